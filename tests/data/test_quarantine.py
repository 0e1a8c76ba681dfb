"""Rows that break their contract: a few are left out, counted and shown; many are an error. Nothing vanishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from conftest import write_workspace
from toolkit.data import labelled_predictions, open_source
from toolkit.errors import ContractError
from toolkit.windows import Window
from toolkit.workspace import JOURNAL

LATER = datetime(2014, 1, 1, tzinfo=UTC)
MARCH = Window.of("2013-03-01", "2013-04-01")


def read(tmp_path, predictions, outcomes, **limits):
    source = open_source(write_workspace(tmp_path, predictions, outcomes, **limits).workspace)
    return source.read("predictions", ["score", "error"], as_of=LATER)


def noted():
    return [(item.table, item.rule, item.rows, item.of_rows) for item in sorted(JOURNAL.quarantines)]


def test_a_few_bad_rows_are_left_out_counted_and_shown(tmp_path, events):
    predictions, outcomes = events
    predictions.loc[[4, 9], "score"] = 1.5
    predictions.loc[7, "score"] = float("inf")
    predictions["error"] = predictions["error"].astype("boolean")
    predictions.loc[8, "error"] = None
    rows = read(tmp_path, predictions, outcomes).execute()
    assert sorted(rows["request_id"]) == sorted(predictions.drop(index=[4, 7, 8, 9])["request_id"])
    assert noted() == [
        ("predictions", "error must not be missing", 1, 3000),
        ("predictions", "score must be finite", 1, 3000),
        ("predictions", "score must be from 0 to 1", 2, 3000),
    ]
    (*_, bounds) = sorted(JOURNAL.quarantines)
    assert JOURNAL.to_dict()["quarantined"][-1]["examples"] == ["r00004 × small × 1", "r00009 × small × 1"]
    assert bounds.text == (
        "predictions.score must be from 0 to 1: 2 of 3,000 rows break this, such as r00004 × small × 1; "
        "r00009 × small × 1"
    )


def test_a_row_that_breaks_two_rules_counts_once_against_the_limit(tmp_path, events):
    predictions, outcomes = events
    predictions["error"] = predictions["error"].astype("boolean")
    predictions.loc[:2, "error"] = None
    predictions.loc[:2, "score"] = 2.0
    assert read(tmp_path, predictions, outcomes, max_quarantined_share=0.001).count().execute() == 2997


def test_more_than_the_limit_is_an_error(tmp_path, events):
    predictions, outcomes = events
    predictions.loc[:30, "score"] = 1.5
    with pytest.raises(ContractError) as caught:
        read(tmp_path, predictions, outcomes)
    assert str(caught.value) == (
        "predictions.score must be from 0 to 1: 31 of 3,000 rows break this, such as r00000 × small × 1; "
        "r00001 × small × 1; r00002 × small × 1\n"
        "predictions: 31 of 3,000 rows break the contract, and a share of at most 0.01 may be left out "
        "(max_quarantined_share of [tables.predictions] in toolkit.toml)"
    )
    assert not JOURNAL.quarantines
    assert not JOURNAL.reads


def test_of_a_repeated_key_the_first_row_counts(tmp_path, events):
    predictions, outcomes = events
    later = predictions.head(3).assign(score=0.99, occurred_at=lambda rows: rows["occurred_at"] + timedelta(days=40))
    same = predictions.iloc[[5]]
    rows = read(tmp_path, pd.concat([later, predictions, same]), outcomes).execute().set_index("request_id")
    assert rows["score"].to_dict() == predictions.set_index("request_id")["score"].to_dict()
    assert noted() == [("predictions", "request_id × model × version must not repeat", 4, 3004)]
    (found,) = JOURNAL.quarantines
    assert found.examples == ("r00000 × small × 1", "r00001 × small × 1", "r00002 × small × 1")


def test_rows_without_a_time_are_in_no_window_and_yet_counted(tmp_path, events):
    predictions, outcomes = events
    predictions.loc[[3, 2900], "occurred_at"] = pd.NaT
    source = open_source(write_workspace(tmp_path, predictions, outcomes).workspace)
    rows = source.read("predictions", ["score"], as_of=LATER, start=MARCH.start, end=MARCH.end)
    inside = predictions["occurred_at"].between(MARCH.start, MARCH.end, inclusive="left").sum()
    assert rows.count().execute() == inside
    assert noted() == [("predictions", "occurred_at must not be missing", 2, inside + 2)]


def test_a_label_from_before_its_prediction_is_left_out(tmp_path, events):
    predictions, outcomes = events
    first = outcomes.index[700]
    request_id = outcomes.loc[first, "request_id"]
    outcomes.loc[first, "observed_at"] -= timedelta(hours=4)
    source = open_source(write_workspace(tmp_path, predictions, outcomes).workspace)
    rows = labelled_predictions(source, ["score", "label"], model="small", window=MARCH, as_of=LATER).execute()
    rows = rows.set_index("request_id")
    assert pd.isna(rows.loc[request_id, "label"])
    labelled = outcomes["request_id"].isin(rows.index)
    assert rows["label"].notna().sum() == labelled.sum() - 1
    assert noted() == [("outcomes", "observed_at must not be before the prediction's occurred_at", 1, labelled.sum())]


def test_a_label_from_before_the_window_of_its_prediction_is_counted_with_those_inside(tmp_path, events):
    predictions, outcomes = events
    outcomes.loc[[3, 4], "observed_at"] = pd.Timestamp("2013-02-20T12:00", tz="UTC")
    outcomes.loc[700, "observed_at"] -= timedelta(hours=4)
    source = open_source(write_workspace(tmp_path, predictions, outcomes).workspace)
    rows = labelled_predictions(source, ["score", "label"], model="small", window=MARCH, as_of=LATER).execute()
    labelled = outcomes["request_id"].isin(rows["request_id"])
    assert rows["label"].notna().sum() == labelled.sum() - 3
    assert noted() == [("outcomes", "observed_at must not be before the prediction's occurred_at", 3, labelled.sum())]


def test_many_labels_from_before_the_window_are_an_error(tmp_path, events):
    predictions, outcomes = events
    outcomes.loc[:899, "observed_at"] = pd.Timestamp("2013-02-20", tz="UTC")
    source = open_source(write_workspace(tmp_path, predictions, outcomes).workspace)
    with pytest.raises(ContractError, match="900 of .* rows break the contract, and a share of at most 0.01"):
        labelled_predictions(source, ["score", "label"], model="small", window=MARCH, as_of=LATER)


@pytest.mark.parametrize("first_window", [Window.of("2013-03-01", "2013-03-12"), None])
def test_a_label_from_days_before_its_prediction_is_found_whatever_was_kept_before(
    tmp_path, events, first_window, monkeypatch
):
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)
    predictions, outcomes = events
    outcomes.loc[700, "observed_at"] -= timedelta(days=6)  # of the 16th, and now of the 10th
    workspace = write_workspace(tmp_path, predictions, outcomes).workspace
    for window in filter(None, (first_window, MARCH)):
        source = open_source(workspace)
        rows = labelled_predictions(source, ["score", "label"], model="small", window=window, as_of=LATER).execute()
    label = rows.set_index("request_id").loc[outcomes.loc[700, "request_id"], "label"]
    assert pd.isna(label)


def test_labels_of_requests_before_the_window_are_not_those_of_its_requests(tmp_path, events):
    source = open_source(write_workspace(tmp_path, *events).workspace)
    april = Window.of("2013-04-01", "2013-05-01")
    labelled_predictions(source, ["score", "label"], model="small", window=april, as_of=LATER)
    assert noted() == []
    assert {read.start for read in JOURNAL.reads} == {april.start.isoformat().replace("+00:00", "Z")}
