"""Made by DuckDB: the units of an experiment, their requests, and a workspace with the events behind them."""

from __future__ import annotations

import math
from pathlib import Path

from ways.process import open_engine

UNITS_SQL = """
SELECT unit, variant, country, (orders > 0)::INTEGER AS converted, orders, round(orders * price, 2) AS revenue,
    sessions, orders_before, round(orders_before * price * (0.7 + 0.6 * u9), 2) AS revenue_before, sessions_before
FROM (
    SELECT *, (sessions * share * CASE WHEN variant = 'b' THEN 1.01 ELSE 1 END + u7)::BIGINT AS orders,
        (sessions_before * share + u8)::BIGINT AS orders_before
    FROM (
        SELECT i AS unit, CASE WHEN u1 < 0.5 THEN 'a' ELSE 'b' END AS variant, floor(u2 * 20)::BIGINT AS country,
            (1 + rate * -ln(u3))::BIGINT AS sessions, (1 + rate * -ln(u4))::BIGINT AS sessions_before,
            0.05 + 0.4 * u5 AS share, exp(2 + 0.47 * ln(u6 / (1 - u6))) AS price, u7, u8, u9
        FROM (SELECT *, -ln(u10) - ln(u11) AS rate FROM ({chances}))
    )
)"""
PARTS_SQL = """
SELECT unit AS unit_id, variant, DATE '2025-03-01' + (hash(unit) % 30)::INTEGER AS exposure_day,
    country::VARCHAR AS segment__country, NULL::BOOLEAN AS eligible, 0.0 AS counted_at, 0.0 AS met_at, 1 AS counted,
    revenue::DOUBLE AS s0, 1::BIGINT AS n0, converted::DOUBLE AS s1, 1::BIGINT AS n1, orders::DOUBLE AS s2,
    1::BIGINT AS n2, orders::DOUBLE AS s3, sessions::DOUBLE AS n3, 1::BIGINT AS r3,
    orders_before::DOUBLE AS ps0, 1::BIGINT AS pn0, revenue_before::DOUBLE AS ps1, 1::BIGINT AS pn1,
    orders_before::DOUBLE AS ps2, sessions_before::DOUBLE AS pn2, 0::BIGINT AS ps3, 0::BIGINT AS pn3
FROM ({units})"""
REQUESTS_SQL = """
SELECT (u1 < 0.5)::TINYINT AS variant, floor(u2 * {users})::BIGINT AS "group", NULL::BIGINT AS lone,
    round(exp(3 + 0.8 * ln(u3 / (1 - u3))), 3) AS value
FROM ({chances})"""
EVENTS_SQL = """
SELECT 'r' || i AS request_id, 'shop' AS model, (1 + (hash(unit) % 2))::VARCHAR AS version,
    TIMESTAMPTZ '2025-02-15 00:00:00+00' + to_microseconds((i * {step})::BIGINT) AS occurred_at,
    'u' || unit AS unit_id, true AS served, false AS error, 0.5 AS score, (hash(unit) % 20)::VARCHAR AS country,
    u1 < 0.1 AS converted, floor(u2 * 5) AS orders, round(-ln(u3) * 20, 2) AS revenue, 1 + floor(u4 * 3) AS sessions
FROM (SELECT *, floor(u5 * {users})::BIGINT AS unit FROM ({chances}))"""

SETTINGS = """\
schema_version = 2
name = "cost"

[tables.predictions]
path = "data/predictions/*.parquet"

[tables.outcomes]
path = "data/outcomes/*.parquet"

[tables.exposures]
path = "data/exposures.parquet"
"""
MODEL = """\
key: shop
name: Shop
description: d
owner: Ada
label: {name: bought, description: d, maturity_days: 1}
decision_threshold: 0.5
loss: brier
versions:
  "1": &version
    description: d
    features: []
    trained: {start: "2024-12-01", end: "2025-01-01"}
    reference: {start: "2025-01-01", end: "2025-02-01"}
  "2": *version
"""
METRICS = """\
metrics:
  failed: &metric
    name: m
    description: d
    owner: Ada
    kind: error_rate
    direction: increase
    practical_threshold: 0.01
    role: quality
  bought: {<<: *metric, kind: proportion, column: converted}
  orders: {<<: *metric, kind: mean, column: orders}
  revenue: {<<: *metric, kind: mean, column: revenue}
  orders_per_session: {<<: *metric, kind: ratio, numerator: orders, denominator: sessions}
"""
PLAN = """\
key: cost
hypothesis: h
owner: Ada
kind: ab
model: shop
window: {start: "2025-03-01", end: "2025-03-31"}
unit: unit_id
analysis: plain
assignment: {hash: flagd-fractional, version: 2, key: cost}
variants:
  a: {version: "1", weight: 50}
  b: {version: "2", weight: 50}
control: a
primary: revenue
secondary: [bought, orders, orders_per_session]
alpha: 0.05
sample_ratio_alpha: 0.001
label_maturity: {days: 1, minimum_share: 0.9}
covariates: [{metric: orders}, {metric: revenue}, {metric: orders_per_session}]
segments: [country]
rule: superior_and_not_inferior
"""


def chances(rows: int) -> str:
    """Rows of `i` with independent numbers u1 … u11 between 0 and 1."""
    numbers = ", ".join(f"((hash(i * 16 + {k}) >> 11) + 0.5) / 9007199254740992 AS u{k}" for k in range(1, 12))
    return f"SELECT i, {numbers} FROM range({rows}) numbered(i)"


def make(kind: str, rows: str, path: str) -> None:
    """Lay the file of so many rows."""
    source = chances(int(rows))
    users = max(10, int(rows) // 5)
    queries = {
        "units": PARTS_SQL.format(units=UNITS_SQL.format(chances=source)),
        "requests": REQUESTS_SQL.format(chances=source, users=users),
    }
    open_engine().execute(f"COPY ({queries[kind]}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


def make_events(rows: int, root: Path, *, events: str = EVENTS_SQL) -> None:
    """A workspace with predictions of 45 days, a file per day, the outcomes of all, and an exposure per unit."""
    write_definitions(root)
    engine, days, users = open_engine(), 45, max(10, rows // 5)
    query = events.format(chances=chances(rows), users=users, step=days * 86_400_000_000 / rows)
    for name in ("predictions", "outcomes"):
        (root / "data" / name).mkdir(parents=True)
    for day in range(days):
        start = f"TIMESTAMPTZ '2025-02-15 00:00:00+00' + INTERVAL {day} DAY"
        within = f"occurred_at >= {start} AND occurred_at < {start} + INTERVAL 1 DAY"
        low, high = (math.floor(edge * rows / days) for edge in (day, day + 1))
        mine = (
            f"SELECT * FROM ({query.replace(f'range({rows})', f'range({max(0, low - 2)}, {high + 2})')}) WHERE {within}"
        )
        for name, columns in (
            ("predictions", "*"),
            ("outcomes", "request_id, occurred_at + INTERVAL 1 HOUR AS observed_at, converted::INTEGER AS label"),
        ):
            path = root / "data" / name / f"{day:02d}.parquet"
            engine.execute(f"COPY (SELECT {columns} FROM ({mine})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    engine.execute(
        f"""COPY (SELECT 'cost' AS experiment, unit_id, CASE version WHEN '1' THEN 'a' ELSE 'b' END AS variant,
            min(occurred_at) AS exposed_at FROM '{root}/data/predictions/*.parquet'
            WHERE occurred_at >= TIMESTAMPTZ '2025-03-01 00:00:00+00' AND occurred_at < TIMESTAMPTZ
            '2025-03-31 00:00:00+00' GROUP BY ALL)
        TO '{root}/data/exposures.parquet' (FORMAT parquet, COMPRESSION zstd)"""
    )
    two = "TIMESTAMPTZ '2025-04-02 00:00:00+00'"  # so that the last day is complete
    engine.execute(
        f"""COPY (SELECT * REPLACE ({two} AS occurred_at, 'last' AS request_id) FROM
            '{root}/data/predictions/00.parquet' LIMIT 1)
        TO '{root}/data/predictions/99.parquet' (FORMAT parquet)"""
    )


def write_definitions(root: Path) -> None:
    for folder in ("models", "experiments", "data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "toolkit.toml").write_text(SETTINGS)
    (root / "models/shop.yml").write_text(MODEL)
    (root / "metrics.yml").write_text(METRICS)
    (root / "experiments/cost.yml").write_text(PLAN)
