"""Unit-day tables against pandas, and what is built when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from toolkit.data import unit_days
from toolkit.data.cache import Cache
from toolkit.data.unit_days import DayOfEvents, UnitDays
from toolkit.errors import ArgumentError, UnknownNameError

DAYS = [f"2025-03-{day:02d}" for day in range(1, 8)]
TABLE = UnitDays(("clicks", "revenue", "error"), "sha256:the events")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """3,000 events of 50 units on six days, in no order; nothing happened on the fourth."""
    rng = np.random.default_rng(3)
    n = 3000
    day = rng.choice([0, 1, 2, 4, 5, 6], n)
    seconds = rng.integers(0, 86_400, n)
    seconds[:3] = 0, 86_399, 0
    return pd.DataFrame(
        {
            "unit_id": [f"u{unit}" for unit in rng.integers(0, 50, n)],
            "occurred_at": pd.Timestamp("2025-03-01", tz="UTC") + pd.to_timedelta(day * 86_400 + seconds, unit="s"),
            "variant": rng.choice(["a", "b"], n),
            "clicks": rng.integers(0, 3, n),
            "revenue": np.where(rng.random(n) < 0.3, np.nan, rng.lognormal(2, 1, n)),
            "error": rng.random(n) < 0.1,
        }
    )


@pytest.fixture
def events(frame: pd.DataFrame, tmp_path: Path) -> Any:
    return store(frame, tmp_path / "events.parquet")


def store(frame: pd.DataFrame, path: Path, *, threads: int = 1) -> Any:
    connection = ibis.duckdb.connect(threads=threads)
    connection.raw_sql("SET TimeZone = 'UTC'")
    frame.astype({"revenue": "Float64"}).to_parquet(path, index=False, row_group_size=500)
    return connection.read_parquet(path)


def facts(frame: pd.DataFrame, days: list[str] = DAYS) -> dict[str, DayOfEvents]:
    """What the source would say of each day."""
    of_day = frame.groupby(frame["occurred_at"].dt.strftime("%Y-%m-%d")).size()
    return {day: DayOfEvents(int(of_day.get(day, 0)), f"sha256:{day} {of_day.get(day, 0)}") for day in days}


def summed(frame: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """The unit-days by pandas."""
    by = ["unit_id", "day", *keys]
    rows = frame.assign(day=frame["occurred_at"].dt.tz_localize(None).dt.normalize(), events=1)
    measures = ["events", "clicks", "revenue", "error"]
    return rows.groupby(by)[measures].sum().astype("float64").reset_index()


def read(table: UnitDays, paths: dict[str, Path], *keys: str) -> pd.DataFrame:
    found = table.read(paths, ibis.duckdb.connect()).execute()
    return found.astype({"events": "float64", "day": "datetime64[us]"}).sort_values(
        ["unit_id", "day", *keys], ignore_index=True
    )


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False, rtol=1e-12)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The first and last day of each run that the engine summed."""
    runs: list[tuple[str, str]] = []
    sums = UnitDays.sums

    def noted(self: UnitDays, events: Any, first: str, last: str) -> Any:
        runs.append((first, last))
        return sums(self, events, first, last)

    monkeypatch.setattr(UnitDays, "sums", noted)
    return runs


def test_a_unit_day_is_the_sum_of_its_events(frame: pd.DataFrame, events: Any, tmp_path: Path) -> None:
    paths = TABLE.build(events, facts(frame), Cache(tmp_path / "cache"))
    assert list(paths) == DAYS
    assert_same(read(TABLE, paths), summed(frame))
    assert pq.read_metadata(paths["2025-03-04"]).num_rows == 0


def test_keys_keep_rows_of_one_unit_and_day_apart(frame: pd.DataFrame, events: Any, tmp_path: Path) -> None:
    table = UnitDays(TABLE.measures, TABLE.definition, keys=("variant",))
    paths = table.build(events, facts(frame), Cache(tmp_path / "cache"))
    assert_same(read(table, paths, "variant"), summed(frame, "variant"))


def test_the_smallest_value_of_a_day_is_kept_beside_the_sums(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame = frame.assign(seconds=(frame["occurred_at"] - frame["occurred_at"].dt.floor("D")).dt.total_seconds())
    table = UnitDays(TABLE.measures, TABLE.definition, lows=("seconds",))
    paths = table.build(store(frame, tmp_path / "e.parquet"), facts(frame), Cache(tmp_path / "cache"))
    day = frame["occurred_at"].dt.tz_localize(None).dt.normalize()
    expected = summed(frame).assign(seconds=frame.groupby(["unit_id", day])["seconds"].min().to_numpy())
    assert_same(read(table, paths), expected)


def test_days_in_order_are_the_same_bytes_however_many_were_summed_together(
    frame: pd.DataFrame, events: Any, tmp_path: Path
) -> None:
    table = UnitDays(TABLE.measures, TABLE.definition, keys=("variant",), in_order=True)
    whole = table.build(events, facts(frame), Cache(tmp_path / "whole"))
    alone = table.build(events, facts(frame), Cache(tmp_path / "alone"), run_rows=1)
    rows = pq.read_table(whole["2025-03-01"]).to_pandas()
    assert list(zip(rows["unit_id"], rows["variant"], strict=True)) == sorted(
        zip(rows["unit_id"], rows["variant"], strict=True)
    )
    for day in DAYS:
        pd.testing.assert_frame_equal(pd.read_parquet(whole[day]), pd.read_parquet(alone[day]), check_exact=True)


def test_events_of_a_run_of_days_may_be_made_for_it(
    frame: pd.DataFrame, events: Any, tmp_path: Path, ran: list[tuple[str, str]]
) -> None:
    asked = []

    def between(first: str, last: str) -> Any:
        asked.append((first, last))
        return events

    cache = Cache(tmp_path / "cache")
    TABLE.build(between, facts(frame, DAYS[:2]), cache)
    paths = TABLE.build(between, facts(frame), cache)
    assert asked == ran == [("2025-03-01", "2025-03-02"), ("2025-03-03", "2025-03-07")]
    assert_same(read(TABLE, paths), summed(frame))


def test_one_more_day_costs_one_day(
    frame: pd.DataFrame, events: Any, tmp_path: Path, ran: list[tuple[str, str]]
) -> None:
    cache = Cache(tmp_path / "cache")
    before = TABLE.build(events, facts(frame, DAYS[:6]), cache)
    assert ran == [("2025-03-01", "2025-03-06")]
    written = {day: path.stat().st_mtime_ns for day, path in before.items()}
    after = TABLE.build(events, facts(frame), cache)
    assert ran[1:] == [("2025-03-07", "2025-03-07")]
    assert {day: path.stat().st_mtime_ns for day, path in after.items() if day in written} == written
    assert_same(read(TABLE, after), summed(frame))
    TABLE.build(events, facts(frame), cache)
    assert len(ran) == 2


def test_a_changed_day_is_built_again_alone(
    frame: pd.DataFrame, events: Any, tmp_path: Path, ran: list[tuple[str, str]]
) -> None:
    cache, days = Cache(tmp_path / "cache"), facts(frame)
    before = TABLE.build(events, days, cache)
    late = frame.iloc[[0]].assign(occurred_at=pd.Timestamp("2025-03-03T12:00", tz="UTC"), clicks=9)
    more = pd.concat([frame, late], ignore_index=True)
    after = TABLE.build(store(more, tmp_path / "more.parquet"), facts(more), cache)
    assert ran[1:] == [("2025-03-03", "2025-03-03")]
    assert [day for day in DAYS if before[day] != after[day]] == ["2025-03-03"]
    assert_same(read(TABLE, after), summed(more))


def test_days_that_lack_are_built_in_runs_of_so_many_events(
    frame: pd.DataFrame, events: Any, tmp_path: Path, ran: list[tuple[str, str]]
) -> None:
    cache, days = Cache(tmp_path / "cache"), facts(frame)
    TABLE.build(events, {"2025-03-05": days["2025-03-05"]}, cache)
    paths = TABLE.build(events, days, cache, run_rows=sum(days[day].rows for day in DAYS[:2]))
    assert ran == [
        ("2025-03-05", "2025-03-05"),
        ("2025-03-01", "2025-03-02"),
        ("2025-03-03", "2025-03-04"),
        ("2025-03-06", "2025-03-07"),
    ]
    one_by_one = TABLE.build(events, days, Cache(tmp_path / "other"), run_rows=1)
    assert len(ran) == 4 + 7
    for found in (paths, one_by_one):
        assert_same(read(TABLE, found), summed(frame))


def test_the_same_events_give_the_same_bytes(frame: pd.DataFrame, tmp_path: Path) -> None:
    built = [
        TABLE.build(store(frame, tmp_path / f"{run}.parquet"), facts(frame), Cache(tmp_path / f"cache {run}"))
        for run in range(3)
    ]
    assert all(len({paths[day].read_bytes() for paths in built}) == 1 for day in DAYS)


def test_an_engine_with_several_threads_writes_the_same_days(frame: pd.DataFrame, tmp_path: Path) -> None:
    many = pd.concat([frame] * 150, ignore_index=True)
    events = store(many, tmp_path / "many.parquet", threads=2)
    paths = TABLE.build(events, facts(many), Cache(tmp_path / "cache"))
    assert_same(read(TABLE, paths), summed(many))


def test_days_that_come_in_batches_are_written_one_after_the_other(
    frame: pd.DataFrame, events: Any, tmp_path: Path
) -> None:
    ordered = TABLE.sums(events, DAYS[0], DAYS[-1]).order_by("day", "unit_id")
    written = unit_days._write_days(ordered.to_pyarrow().to_batches(max_chunksize=7), tmp_path)
    assert list(written) == [*DAYS[:3], *DAYS[4:]]
    assert_same(read(TABLE, written), summed(frame))


def test_a_build_that_fails_leaves_nothing(frame: pd.DataFrame, events: Any, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    broken = events.mutate(clicks=events.unit_id.cast("int64"))
    with pytest.raises(Exception, match="Could not convert string"):
        TABLE.build(broken, facts(frame), cache)
    assert not [path for path in cache.root.rglob("*") if path.is_file()]
    assert not list((cache.root / "unit-days").iterdir())


def test_a_path_with_an_apostrophe_is_a_path(frame: pd.DataFrame, events: Any, tmp_path: Path) -> None:
    paths = TABLE.build(events, facts(frame), Cache(tmp_path / "Ada's cache"))
    assert_same(read(TABLE, paths), summed(frame))


def test_another_definition_measure_or_key_is_another_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    tables = [
        TABLE,
        UnitDays(TABLE.measures, "sha256:other events"),
        UnitDays(("clicks", "revenue"), TABLE.definition),
        UnitDays(TABLE.measures, TABLE.definition, keys=("variant",)),
        UnitDays(TABLE.measures, TABLE.definition, unit="cluster_id"),
    ]
    paths = {table.path(day, f"sha256:{n}", cache) for table in tables for day in DAYS[:2] for n in (1, 2)}
    assert len(paths) == 5 * 2 * 2


def test_what_cannot_be_built_is_said(events: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        UnitDays(("clicks", "events"), "sha256:d")
    assert str(caught.value) == "'events' cannot be twice in a unit-day table, which has day, events itself"
    with pytest.raises(UnknownNameError) as unknown:
        UnitDays(("click",), "sha256:d").build(events, {}, Cache(tmp_path))
    assert unknown.value.args[0] == (
        "unknown column of the events 'click'; allowed: clicks, error, occurred_at, revenue, unit_id, variant. "
        "Did you mean 'clicks'?"
    )
    with pytest.raises(ArgumentError) as no_day:
        TABLE.read({}, events.get_backend())
    assert str(no_day.value) == "no day is given; a unit-day table needs at least one"
