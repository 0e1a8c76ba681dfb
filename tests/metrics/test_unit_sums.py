"""Unit-days hold what each unit's requests add to every metric; pandas agrees, and a new day costs one day."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.data.unit_days import UnitDays
from toolkit.errors import ArgumentError
from toolkit.metrics import load_metrics, unit_days
from toolkit.windows import Window
from toolkit.workspace import open_workspace

LATER = datetime(2014, 1, 1, tzinfo=UTC)
WINDOW = Window.of("2013-03-01", "2013-05-01")
KEYS = ["unit_id", "day", "version", "served"]


@pytest.fixture
def world(tmp_path):
    """Requests of forty units, some of them several times a day."""
    predictions, outcomes = make_events(requests=1500)
    predictions["unit_id"] = [f"u{number % 40}" for number in range(len(predictions))]
    return write_workspace(tmp_path, predictions, outcomes)


@pytest.fixture
def built(monkeypatch):
    """The days that were built, in runs."""
    runs = []
    build = UnitDays._build_run
    monkeypatch.setattr(
        UnitDays,
        "_build_run",
        lambda self, events, run, *rest: (runs.append(list(run)), build(self, events, run, *rest))[1],
    )
    return runs


def ask(world, *, as_of=LATER, window=WINDOW):
    workspace = open_workspace(world.workspace.root)
    model, metrics = load_model(workspace, "small"), load_metrics(workspace)
    table = unit_days(open_source(workspace), model, metrics, window=window, as_of=as_of)
    return table.execute().sort_values(KEYS, ignore_index=True)


def test_they_are_what_pandas_sums(world):
    found = ask(world)
    rows = world.predictions.merge(world.outcomes[["request_id", "label"]], on="request_id", how="left")
    rows["day"] = rows["occurred_at"].dt.date
    both = rows["label"].notna() & rows["score"].notna()
    rows["brier__sum"] = ((rows["label"] - rows["score"]) ** 2).where(both)
    rows["brier__n"] = both.astype(float)
    rows["latency__sum"] = rows["latency_ms"]
    expected = rows.groupby(KEYS, as_index=False).agg(
        events=("request_id", "size"),
        brier__sum=("brier__sum", "sum"),
        brier__n=("brier__n", "sum"),
        latency__sum=("latency__sum", "sum"),
    )
    expected = expected.sort_values(KEYS, ignore_index=True)
    found["day"] = pd.to_datetime(found["day"]).dt.date
    pd.testing.assert_frame_equal(found[list(expected.columns)], expected, check_dtype=False, rtol=1e-12)


def test_nothing_is_built_twice_and_a_late_label_builds_the_day_that_it_is_about(world, built):
    before = ask(world, as_of=datetime(2013, 4, 20, tzinfo=UTC))
    assert len({day for run in built for day in run}) == before["day"].nunique()
    built.clear()
    assert ask(world, as_of=datetime(2013, 4, 20, tzinfo=UTC)).equals(before)
    assert built == []
    ask(world, as_of=datetime(2013, 4, 21, tzinfo=UTC))
    assert built == [["2013-04-19", "2013-04-20"]]  # labels of the evening of the 19th came on the 20th


def test_kinds_that_are_no_ratio_of_sums_are_left_out(world):
    assert not [name for name in ask(world).columns if name.startswith("auc")]


def test_a_window_without_requests_is_said(world):
    with pytest.raises(ArgumentError, match="no day is given; a unit-day table needs at least one"):
        ask(world, window=Window.of("2012-01-01", "2012-02-01"))
