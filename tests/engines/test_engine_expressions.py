"""Every operator and function that may be written in an expression: the same on every engine, and as Python has it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from toolkit.data.expressions import translate

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

Row = dict[str, Any]


def half_up(value: float) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)


def known(compute: Callable[..., Any], *names: str) -> Callable[[Row], Any]:
    """Missing where one of the columns is."""
    return lambda row: None if any(row[name] is None for name in names) else compute(*(row[name] for name in names))


NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 29, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

EXPRESSIONS: dict[str, Callable[[Row], Any]] = {
    "latency_s * 1000": lambda row: row["latency_s"] * 1000,
    "latency_s + 1 - 0.25": lambda row: row["latency_s"] + 0.75,
    "-latency_s": lambda row: -row["latency_s"],
    "stops / 2": known(lambda stops: stops / 2, "stops"),
    "latency_s / stops": known(lambda stops, latency: latency / stops if stops else None, "stops", "latency_s"),
    "stops % 3": known(lambda stops: stops % 3, "stops"),
    "stops % 0": lambda _: None,
    "stops > 2": known(lambda stops: stops > 2, "stops"),
    "stops >= 2 AND NOT error": lambda row: (
        False if row["error"] else (None if row["stops"] is None else row["stops"] >= 2)
    ),
    "error OR stops < 2": lambda row: True if row["error"] else (None if row["stops"] is None else row["stops"] < 2),
    "stops BETWEEN 1 AND 3": known(lambda stops: 1 <= stops <= 3, "stops"),
    "stops IN (1, 4)": known(lambda stops: stops in {1, 4}, "stops"),
    "region NOT IN ('Nord', '東京')": known(lambda region: region not in {"Nord", "東京"}, "region"),
    "region = 'it''s'": known(lambda region: region == "it's", "region"),
    "region <> 'Süd'": known(lambda region: region != "Süd", "region"),
    "region IS NULL": lambda row: row["region"] is None,
    "region IS NOT NULL": lambda row: row["region"] is not None,
    "region IS DISTINCT FROM 'Nord'": lambda row: row["region"] != "Nord",
    "(stops > 2) IS TRUE": lambda row: row["stops"] is not None and row["stops"] > 2,
    "(stops > 2) IS NOT FALSE": lambda row: row["stops"] is None or row["stops"] > 2,
    "coalesce(region, 'none')": lambda row: "none" if row["region"] is None else row["region"],
    "ifnull(stops, -1)": lambda row: -1 if row["stops"] is None else row["stops"],
    "nullif(region, '')": known(lambda region: region or None, "region"),
    "CASE WHEN stops = 0 THEN 'direct' WHEN stops > 2 THEN 'many' ELSE 'few' END": lambda row: (
        "few" if row["stops"] is None else "direct" if row["stops"] == 0 else "many" if row["stops"] > 2 else "few"
    ),
    "CASE version WHEN '1' THEN 10 WHEN '2' THEN 20 END": lambda row: {"1": 10, "2": 20}[row["version"]],
    "if(error, 1, 0)": lambda row: int(row["error"]),
    "greatest(stops, 2)": lambda row: 2 if row["stops"] is None else max(row["stops"], 2),
    "least(stops, 2)": lambda row: 2 if row["stops"] is None else min(row["stops"], 2),
    "abs(-stops)": known(abs, "stops"),
    "floor(latency_s * 1000)": lambda row: math.floor(row["latency_s"] * 1000),
    "ceil(latency_s * 1000)": lambda row: math.ceil(row["latency_s"] * 1000),
    "floor(score * 20)": known(lambda score: None if math.isnan(score) else math.floor(score * 20), "score"),
    "round(latency_s * 1000)": lambda row: half_up(row["latency_s"] * 1000),
    "round(stops / 2)": known(lambda stops: half_up(stops / 2), "stops"),
    "sqrt(latency_s - 0.01)": lambda row: math.sqrt(row["latency_s"] - 0.01) if row["latency_s"] >= 0.01 else None,
    "ln(stops)": known(lambda stops: math.log(stops) if stops > 0 else None, "stops"),
    "exp(latency_s)": lambda row: math.exp(row["latency_s"]),
    "power(latency_s, 2)": lambda row: row["latency_s"] ** 2,
    "sign(stops - 2)": known(lambda stops: (stops > 2) - (stops < 2), "stops"),
    "isnan(score)": known(math.isnan, "score"),
    "isinf(score)": known(math.isinf, "score"),
    "cast(stops AS double)": known(float, "stops"),
    "cast(stops AS text)": known(str, "stops"),
    "cast(version AS integer)": lambda row: int(row["version"]),
    "cast(latency_s * 1000 AS bigint)": lambda row: half_up(row["latency_s"] * 1000),
    "cast(error AS double)": lambda row: float(row["error"]),
    "error::integer": lambda row: int(row["error"]),
    "region || '-' || version": known(lambda region, version: f"{region}-{version}", "region", "version"),
    "concat(region, '/', version)": lambda row: f"{row['region'] or ''}/{row['version']}",
    "upper(version || 'x')": lambda row: row["version"] + "X",
    "lower('X' || version)": lambda row: "x" + row["version"],
    "length(region)": known(len, "region"),
    "left(request_id, 2)": lambda row: row["request_id"][:2],
    "right(request_id, 2)": lambda row: row["request_id"][-2:],
    "substring(request_id, 2, 3)": lambda row: row["request_id"][1:4],
    "trim(' ' || version || ' ')": lambda row: row["version"],
    "replace(request_id, 'r', 'q')": lambda row: row["request_id"].replace("r", "q"),
    "contains(region, 'ü')": known(lambda region: "ü" in region, "region"),
    "starts_with(region, 'N')": known(lambda region: region.startswith("N"), "region"),
    "ends_with(region, 's')": known(lambda region: region.endswith("s"), "region"),
    "region LIKE 'N%d'": known(lambda region: region.startswith("N") and region.endswith("d"), "region"),
    "region NOT ILIKE 'n%'": known(lambda region: not region.lower().startswith("n"), "region"),
    "regexp_matches(request_id, '^r0[1-3]')": lambda row: re.search("^r0[1-3]", row["request_id"]) is not None,
    "regexp_extract(request_id, 'r0([0-9])', 1)": lambda row: row["request_id"][2],
    "regexp_extract(region, 'N.*')": known(lambda region: region if region.startswith("N") else "", "region"),
    "created >= '2026-03-29T12:00:00Z'": lambda row: row["created"] >= NOON,
    "created < '2026-03-29'": lambda row: row["created"] < MIDNIGHT,
    "created < timestamptz '2026-03-29 02:00:00+02:00'": lambda row: row["created"] < MIDNIGHT,
    "created BETWEEN '2026-03-28T12:00:00' AND '2026-03-29T12:00:00+00:00'": lambda row: (
        NOON - timedelta(days=1) <= row["created"] <= NOON
    ),
    "created + INTERVAL 36 HOUR > '2026-03-30'": lambda row: (
        row["created"] + timedelta(hours=36) > MIDNIGHT + timedelta(days=1)
    ),
    "created - INTERVAL 1 DAY": lambda row: row["created"] - timedelta(days=1),
    "date_trunc('hour', created)": lambda row: row["created"].replace(minute=0, second=0, microsecond=0),
    "date_trunc('day', created)": lambda row: row["created"].replace(hour=0, minute=0, second=0, microsecond=0),
    "cast(created AS date) = date '2026-03-29'": lambda row: row["created"].date() == MIDNIGHT.date(),
    "cast(created AS date) < '2026-03-29'": lambda row: row["created"].date() < MIDNIGHT.date(),
    "hour(created)": lambda row: row["created"].hour,
    "extract(minute FROM created)": lambda row: row["created"].minute,
    "day(created) + month(created) + year(created)": lambda row: (
        row["created"].day + row["created"].month + row["created"].year
    ),
    "dayofweek(created)": lambda row: row["created"].isoweekday() % 7,
    "strftime(created, '%Y-%m-%d %H:%M:%S')": lambda row: row["created"].strftime("%Y-%m-%d %H:%M:%S"),
    "epoch(created)": lambda row: row["created"].timestamp(),
    "to_timestamp(stops * 3600)": known(lambda stops: datetime.fromtimestamp(stops * 3600, UTC), "stops"),
    "hour(created AT TIME ZONE 'Europe/Berlin')": lambda row: row["created"].astimezone(BERLIN).hour,
    "created AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'Europe/Berlin' = created": lambda _: True,
    "cast('2026-03-29T02:00:00+02:00' AS timestamptz) <= created": lambda row: row["created"] >= MIDNIGHT,
    "'{\"a\": {\"b\": \"' || version || '\"}}' ->> '$.a.b'": lambda row: row["version"],
    "cast('{\"n\": 2.5}' ->> 'n' AS double) * stops": known(lambda stops: 2.5 * stops, "stops"),
    "'{}' ->> 'n'": lambda _: None,
    "stops > 1 = true": known(lambda stops: stops > 1, "stops"),
}


def same(found: Any, expected: Any) -> bool:
    if expected is None or found is None:
        return found is expected
    if isinstance(expected, bool) or isinstance(found, bool):
        return found is expected
    if isinstance(expected, int | float):
        return math.isclose(float(found), expected, rel_tol=1e-9, abs_tol=1e-12)
    return bool(found == expected)


def test_every_expression_means_the_same_on_every_engine(
    engine: Engine, event_tables: tuple[pa.Table, pa.Table]
) -> None:
    """One query for all of them: they are also what may stand beside each other in a query."""
    table = engine.raw("predictions")
    rows = {row["request_id"]: row for row in event_tables[0].to_pylist()}
    values = {f"value_{index}": translate(sql, table) for index, sql in enumerate(EXPRESSIONS)}

    answer = table.select("request_id", **values).to_pyarrow().to_pylist()

    assert len(answer) == len(rows)
    different = [
        f"{sql} of {row['request_id']}: {row[f'value_{index}']!r}, and it is {expected!r}"
        for index, (sql, compute) in enumerate(EXPRESSIONS.items())
        for row in answer
        if not same(row[f"value_{index}"], expected := compute(rows[row["request_id"]]))
    ]
    assert not different, "\n".join(different[:20])
