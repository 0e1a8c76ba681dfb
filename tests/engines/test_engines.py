"""What every engine does alike: hashes of rows, instants, the contract; and that it only reads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from engine_events import FIRST, REQUESTS

from toolkit.errors import ContractError
from toolkit.windows import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from engine_places import Engine

AS_OF = parse_instant("2026-04-01")
COLUMNS = ["request_id", "version", "created", "score", "region", "stops", "error"]


def hash_sum(engine: Engine, columns: list[str], **changes: Callable[[Any], Any]) -> int:
    table = engine.raw("predictions")
    changed = table.mutate(**{name: change(table) for name, change in changes.items()}) if changes else table
    return int(
        changed.aggregate(hash_sum=engine.connection.row_hash(changed, columns).sum()).execute()["hash_sum"].iloc[0]
    )


def test_a_row_s_hash_is_of_64_bits_and_its_sum_is_exact(engine: Engine) -> None:
    table = engine.raw("predictions")
    hashes = table.select(hashed=engine.connection.row_hash(table, COLUMNS)).execute()["hashed"].map(int)

    assert hashes.nunique() == REQUESTS
    assert hashes.abs().max() > 2**62
    assert sum(hashes) == hash_sum(engine, COLUMNS)


def test_a_row_s_hash_depends_on_every_value_and_tells_missing_from_empty_and_nan(engine: Engine) -> None:
    before = hash_sum(engine, COLUMNS)

    assert before == hash_sum(engine, COLUMNS)
    assert before != hash_sum(engine, COLUMNS[:-1])
    assert before != hash_sum(engine, ["version", "request_id", *COLUMNS[2:]])
    assert before != hash_sum(engine, COLUMNS, region=lambda table: table.region.fill_null(""))
    assert before != hash_sum(engine, COLUMNS, score=lambda table: table.score.isnan().ifelse(None, table.score))
    assert before != hash_sum(engine, COLUMNS, stops=lambda table: (table.request_id == "r0000").ifelse(9, table.stops))


def test_instants_are_kept_to_the_microsecond_and_days_begin_in_utc(
    engine: Engine, event_tables: tuple[pa.Table, pa.Table]
) -> None:
    source = engine.source()
    read = source.read("predictions", [], as_of=AS_OF)

    found = source.execute(read.select("request_id", "occurred_at").order_by("request_id"), reading="predictions")
    by_day = source.facts("predictions", [], as_of=AS_OF)

    expected = event_tables[0].to_pandas()
    assert found["occurred_at"].tolist() == expected["created"].tolist()
    assert str(found["occurred_at"].dt.tz) == "UTC"
    days = expected["created"].dt.strftime("%Y-%m-%d").value_counts().sort_index()
    assert [(day.day, day.rows) for day in by_day.days] == list(days.items())


def test_only_what_was_known_is_read(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    noon = FIRST.to_pydatetime().replace(hour=12)
    read = engine.source().read("predictions", ["score"], as_of=noon)

    expected = event_tables[0].to_pandas()
    assert int(read.count().execute()) == int((expected["created"] <= noon).sum())


def test_nan_is_read_as_missing_and_counted(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    source = engine.source()
    read = source.read("predictions", ["score", "error"], as_of=AS_OF)

    scores = source.execute(read.select("score"), reading="predictions")["score"]

    nan = sum(math.isnan(score) for score in event_tables[0]["score"].to_pylist() if score is not None)
    assert nan > 0
    assert source.facts("predictions", ["score", "error"], as_of=AS_OF).nan == {"score": nan}
    assert int(read.aggregate(missing=read.score.isnull().sum()).execute()["missing"].iloc[0]) == nan
    assert int(scores.isna().sum()) == nan


def test_a_time_without_a_zone_breaks_the_contract(engine: Engine) -> None:
    """As a table that says when, and not where the clock stood."""
    source = engine.source()
    table = engine.raw("predictions")
    naive = table.mutate(created=table.created.cast("timestamp"))
    opened = source.opened("predictions")
    source._opened["predictions"] = replace(opened, table=naive.rename(occurred_at="created"))

    with pytest.raises(ContractError, match="predictions.occurred_at: timestamps have no time zone"):
        source.read("predictions", [], as_of=AS_OF)
