"""Made by DuckDB: predictions with 25 columns of two times 28 days, a file per day; later five numbers have moved."""

from __future__ import annotations

from pathlib import Path

from ways.process import open_engine

DAYS = 28
PERIODS = {"reference": ("2025-01-01", "2025-01-29"), "current": ("2025-01-29", "2025-02-26")}
NUMBERS = [f"n{number:02d}" for number in range(20)]
TEXTS = {"c0": 3, "c1": 10, "c2": 50, "c3": 500, "c4": 5_000}
COLUMNS = [*NUMBERS, *TEXTS]
SETTINGS = 'schema_version = 2\nname = "drift"\n\n[tables.predictions]\npath = "data/predictions"\n'
MODEL = """\
key: shop
name: Shop
description: d
owner: Ada
label: {name: bought, description: d, maturity_days: 1}
decision_threshold: 0.5
loss: brier
versions:
  "1":
    description: d
    features: []
    trained: {start: "2024-12-01", end: "2025-01-01"}
    reference: {start: "2025-01-01", end: "2025-01-29"}
"""


def make(root: Path, rows: int, periods: dict[str, tuple[str, str]]) -> None:
    """A workspace with so many predictions in each period, a file per day."""
    (root / "models").mkdir(parents=True)
    (root / "data/predictions").mkdir(parents=True)
    (root / "toolkit.toml").write_text(SETTINGS)
    (root / "metrics.yml").write_text("metrics: {}\n")
    (root / "models/shop.yml").write_text(MODEL)
    engine = open_engine()
    engine.execute("SELECT setseed(0.42)")
    for name, (start, _) in periods.items():
        moved = 0.2 if name == "current" else 0.0
        for day in range(DAYS):
            low, high = (edge * rows // DAYS for edge in (day, day + 1))
            engine.execute(
                f"COPY ({day_sql(start, day, low, high, moved)}) TO '{root}/data/predictions/{name}-{day:02d}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )


def day_sql(start: str, day: int, low: int, high: int, moved: float) -> str:
    normal = "sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())"
    own = []
    for at, name in enumerate(NUMBERS):
        shift = moved if at < 5 else 0.0
        value = (
            f"{normal} + {shift}",
            f"exp({normal}) * (1 + {shift})",
            f"random() + {shift} * 0.1",
            f"floor(random() * 100) + {shift} * 10",
            f"CASE WHEN random() < {0.05 + shift * 0.1} THEN NULL ELSE {normal} END",
        )[at % 5]
        own.append(f"({value})::DOUBLE AS {name}")
    own += [f"'v' || floor({many} * power(random(), 1.5))::INT AS {name}" for name, many in TEXTS.items()]
    step = 86_400_000_000 // max(1, high - low)
    return (
        f"SELECT 'r{start}-' || i AS request_id, 'shop' AS model, '1' AS version, TIMESTAMPTZ '{start} 00:00:00+00' "
        f"+ INTERVAL {day} DAY + to_microseconds((i - {low}) * {step}) AS occurred_at, 'u' || i AS unit_id, "
        f"false AS error, true AS served, {', '.join(own)} FROM range({low}, {high}) AS t(i)"
    )
