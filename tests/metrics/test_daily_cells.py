"""Cells from the cache are those that the engine gives, and only what is new is asked of it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics import Population, load_metrics, measure
from toolkit.metrics.query import Question, statement
from toolkit.windows import Window
from toolkit.workspace import open_workspace

LATER = datetime(2014, 1, 1, tzinfo=UTC)
ALL = Window.of("2013-03-01", "2013-05-01")
POPULATIONS = (
    Population("reference", "1", Window.of("2013-03-01", "2013-04-01"), served_only=False),
    Population("current", "1", Window.of("2013-04-01", "2013-05-01"), served_only=True),
)


@pytest.fixture
def asked(monkeypatch):
    """What the engine was asked for: None for everything, else by population the days from and to."""
    seen = []
    requests = Question.requests

    def note(self, within=None):
        seen.append(within and {name: span.label for name, span in within.items()})
        return requests(self, within)

    monkeypatch.setattr(Question, "requests", note)
    return seen


@pytest.fixture
def world(tmp_path):
    return write_workspace(tmp_path, *make_events(requests=1200)).workspace


def ask(workspace, *, populations=POPULATIONS, as_of=LATER, metrics=None):
    workspace = open_workspace(workspace.root)
    return measure(
        open_source(workspace),
        load_model(workspace, "small"),
        metrics or load_metrics(workspace),
        populations,
        as_of=as_of,
        segments=["carrier"],
    ).frame


def write(workspace, name, frame):
    frame.to_parquet(workspace.root / "data" / f"{name}.parquet", index=False)


def read(workspace, name):
    return pd.read_parquet(workspace.root / "data" / f"{name}.parquet")


def test_what_is_kept_is_what_the_statement_gives(world):
    source = open_source(world)
    question = Question.of(
        source,
        load_model(world, "small"),
        load_metrics(world),
        POPULATIONS,
        as_of=LATER,
        segments=["carrier"],
    )
    plain = source.execute(statement(question), reading="predictions and outcomes")
    plain = plain.sort_values(["population", "segment", "segment_value", "day"], ignore_index=True)
    for _ in range(2):  # measured, then kept
        pd.testing.assert_frame_equal(ask(world)[list(plain.columns)], plain, check_exact=True)


def test_the_same_question_asks_the_engine_for_no_cell(world, asked):
    first = ask(world)
    assert asked == [None]
    pd.testing.assert_frame_equal(ask(world), first, check_exact=True)
    assert asked == [None]


def test_other_words_and_thresholds_ask_for_no_cell_and_another_filter_does(world, asked):
    ask(world)
    text = (world.root / "metrics.yml").read_text()
    (world.root / "metrics.yml").write_text(text.replace("practical_threshold: 0.01", "practical_threshold: 0.03"))
    ask(world)
    assert asked == [None]
    (world.root / "metrics.yml").write_text(text.replace("column: latency_ms", "column: latency_ms, filter: served"))
    ask(world)
    assert len(asked) > 1


def test_a_new_day_is_measured_and_the_others_are_not(world, asked):
    predictions, outcomes = read(world, "predictions"), read(world, "outcomes")
    write(world, "predictions", predictions[predictions["occurred_at"] < pd.Timestamp("2013-04-20", tz="UTC")])
    write(world, "outcomes", outcomes[outcomes["observed_at"] < pd.Timestamp("2013-04-20", tz="UTC")])
    ask(world)
    write(world, "predictions", predictions[predictions["occurred_at"] < pd.Timestamp("2013-04-21", tz="UTC")])
    write(world, "outcomes", outcomes[outcomes["observed_at"] < pd.Timestamp("2013-04-21", tz="UTC")])
    found = ask(world)
    # The 20th is new, and labels for requests of the evening of the 19th arrived on it. AUC needs the whole window.
    assert asked == [None, {"current": "2013-04-19 … 2013-04-20"}, None]
    shutil.rmtree(world.root / "cache")
    pd.testing.assert_frame_equal(found, ask(world), check_exact=True)


def test_without_metrics_of_order_a_new_day_asks_for_that_day_alone(world, asked):
    metrics = {key: metric for key, metric in load_metrics(world).items() if key in {"latency", "error_rate"}}
    predictions = read(world, "predictions")
    write(world, "predictions", predictions[predictions["occurred_at"] < pd.Timestamp("2013-04-20", tz="UTC")])
    ask(world, metrics=metrics)
    write(world, "predictions", predictions[predictions["occurred_at"] < pd.Timestamp("2013-04-21", tz="UTC")])
    ask(world, metrics=metrics)
    assert asked == [None, {"current": "2013-04-20 … 2013-04-20"}]


def test_a_late_label_changes_the_day_that_it_is_about(world, asked):
    outcomes = read(world, "outcomes")
    predictions = read(world, "predictions").set_index("request_id")["occurred_at"]
    late = outcomes.index[100]
    day = f"{predictions[outcomes.loc[late, 'request_id']]:%Y-%m-%d}"
    outcomes.loc[late, "observed_at"] += timedelta(days=9)
    write(world, "outcomes", outcomes)
    before = outcomes.loc[late, "observed_at"] - timedelta(hours=1)
    without, with_label = ask(world, as_of=before.to_pydatetime()), ask(world)
    changed = [within for within in asked if within]
    assert changed[0]["reference"].startswith(day)
    assert with_label["labelled"].sum() > without["labelled"].sum()
    shutil.rmtree(world.root / "cache")
    pd.testing.assert_frame_equal(ask(world), with_label, check_exact=True)


def test_a_key_that_repeats_one_of_another_day_counts_once_whatever_is_kept(world):
    ask(world)
    predictions = read(world, "predictions")
    again = predictions.head(2).assign(occurred_at=predictions["occurred_at"].iloc[-3])
    write(world, "predictions", pd.concat([predictions, again]))
    found = ask(world)
    shutil.rmtree(world.root / "cache")
    pd.testing.assert_frame_equal(ask(world), found, check_exact=True)
    assert found.loc[found["segment"] == "", "requests"].sum() == len(predictions)


def test_another_question_may_call_the_same_requests_something_else(world):
    first = ask(world)
    renamed = ask(world, populations=[Population("now", "1", POPULATIONS[1].window, served_only=True)])
    expected = first[first["population"] == "current"].assign(population="now").reset_index(drop=True)
    pd.testing.assert_frame_equal(renamed, expected, check_exact=True)


def test_no_request_at_all_gives_no_cell(world):
    empty = Window.of("2012-01-01", "2012-02-01")
    assert ask(world, populations=[Population("none", "1", empty, served_only=True)]).empty


STEPS = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 5), st.booleans()), min_size=1, max_size=3
)  # the day that the data reach, days by which labels come late, whether something was corrected


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_whatever_came_in_whatever_order_the_numbers_are_those_of_an_empty_cache(tmp_path_factory, steps, seed):
    predictions, outcomes = make_events(requests=400, seed=seed)
    workspace = write_workspace(tmp_path_factory.mktemp("any"), predictions, outcomes).workspace
    for reach_days, late_days, corrected in steps:
        end = predictions["occurred_at"].iloc[0] + timedelta(days=reach_days)
        known = predictions[predictions["occurred_at"] < end].copy()
        if corrected and len(known):
            known.loc[known.index[len(known) // 2], "latency_ms"] += 1.0
        labels = outcomes.assign(observed_at=outcomes["observed_at"] + timedelta(days=late_days))
        write(workspace, "predictions", known)
        write(workspace, "outcomes", labels[labels["observed_at"] < end])
        kept = ask(workspace)
        moved = workspace.root / "cache"
        aside = moved.rename(workspace.root / "aside")
        pd.testing.assert_frame_equal(ask(workspace), kept, check_exact=True)
        shutil.rmtree(moved)
        aside.rename(moved)
