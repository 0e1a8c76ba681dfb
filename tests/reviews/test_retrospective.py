"""A period against the one before: what was looked at, what moved, what was promised, what happened, what follows."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from reviewed_model import look, two_months, write_review

from toolkit import stats
from toolkit.data import open_source
from toolkit.errors import ArgumentError, NotReady, Skipped
from toolkit.metrics import load_objectives
from toolkit.records import to_document
from toolkit.reviews import (
    compare_metrics,
    judge_objectives,
    list_actions,
    list_deployments,
    list_experiments,
    list_incidents,
    list_reports,
    split_changes,
)

MAY, APRIL = "2013-05-01 … 2013-05-31", "2013-04-01 … 2013-04-30"


def everything(workspace, review):
    source = open_source(workspace)
    moves = compare_metrics(review)
    objectives = judge_objectives(review, load_objectives(workspace))
    incidents, experiments = list_incidents(review, source), list_experiments(review, workspace)
    return {
        "review": review,
        "moves": moves,
        "objectives": objectives,
        "deployments": list_deployments(review, source),
        "incidents": incidents,
        "experiments": experiments,
        "reports": list_reports(review, workspace),
        "splits": split_changes(review, moves),
        "actions": list_actions(review, objectives, incidents, experiments),
    }


@pytest.fixture(scope="module")
def found(reviewed, review):
    return everything(reviewed, review)


def served(start, end):
    """The served requests with their labels, by pandas."""
    predictions, outcomes = two_months()
    rows = predictions[predictions["served"]].merge(outcomes, on="request_id", how="left")
    inside = (rows["occurred_at"] >= pd.Timestamp(start, tz="UTC")) & (
        rows["occurred_at"] < pd.Timestamp(end, tz="UTC")
    )
    return rows[inside].assign(loss=(rows["label"] - rows["score"]) ** 2)


# --- the period -----------------------------------------------------------------------------------------------------


def test_every_version_that_served_is_in_it(review):
    may, april = served("2013-05-01", "2013-06-01"), served("2013-04-01", "2013-05-01")
    assert review.cells.total("requests", "period") == len(may)
    assert review.cells.total("requests", "previous") == len(april)
    assert review.versions("period") == may["version"].value_counts().sort_index().to_dict()
    assert review.estimate("brier", "period").value == pytest.approx(may["loss"].mean(), abs=1e-12)
    assert review.cells.population("period").text == f"served requests of every version, {MAY}"
    assert review.text == (
        f"Period: all that Small model served, {MAY}. Previous period: {APRIL}. "
        "Labels as known on 2013-06-03T00:00:00Z."
    )
    assert review.to_table()[0]["served_by"] == "version 1 (100 %)"


def test_empty_as_of_is_the_last_complete_day(reviewed):
    assert look(reviewed, as_of="").as_of == datetime(2013, 6, 2, tzinfo=UTC)


def test_it_waits_for_the_labels_and_says_until_when(reviewed):
    with pytest.raises(NotReady) as caught:
        look(reviewed, as_of="2013-06-01T23:59Z")
    assert str(caught.value) == (
        f"the retrospective of {MAY} waits for its labels, known 1 days after the request: it is ready on "
        "2013-06-02T00:00:00Z, and as_of is 2013-06-01T23:59:00Z"
    )
    assert caught.value.ready_on == datetime(2013, 6, 2, tzinfo=UTC)


def test_it_waits_for_the_data_whatever_as_of_says(reviewed):
    with pytest.raises(NotReady) as caught:
        look(reviewed, period="2013-06", as_of="2014-01-01")
    assert str(caught.value) == (
        "the retrospective of 2013-06-01 … 2013-06-30 needs data up to 2013-07-01T00:00:00Z, and they are complete "
        "only up to 2013-06-02T00:00:00Z; it is ready on 2013-07-01 once that day's data have arrived"
    )


def test_a_period_without_a_served_request_is_skipped(reviewed):
    with pytest.raises(Skipped) as caught:
        look(reviewed, period="2013-03")
    assert str(caught.value) == "model 'small' served no request in 2013-03-01 … 2013-03-31"


def test_a_period_that_is_none(reviewed):
    with pytest.raises(ArgumentError, match="period == 'May', must be a month such as 2013-04"):
        look(reviewed, period="May")


# --- metrics, objectives, splits ------------------------------------------------------------------------------------


def test_changes_are_differences_of_the_two_periods(found):
    moves = {move.key: move for move in found["moves"].moves}
    for key, column in (("brier", "loss"), ("latency", "latency_ms"), ("temperature", "temp_f")):
        means = [served(*days)[column].mean() for days in (("2013-04-01", "2013-05-01"), ("2013-05-01", "2013-06-01"))]
        assert moves[key].change.value == pytest.approx(means[1] - means[0], abs=1e-9)
        assert moves[key].change == stats.difference(moves[key].reference, moves[key].current)
    assert moves["calibration"].verdict == "worse"
    assert moves["calibration"].change.value == pytest.approx(0.14, abs=0.05)
    text, most = found["moves"].text, found["moves"].most
    assert text.startswith("Of 7 metrics against the previous period, worse: ")
    assert text.endswith(f"{most.metric.name} moved most, by {most.times_threshold:.1f} practical thresholds.")


def test_objectives_are_met_missed_or_not_yet_in_force(found):
    readings = {reading.key: reading for reading in found["objectives"].readings}
    assert {key: reading.verdict for key, reading in readings.items()} == {
        "close": "missed",
        "fast": "met",
        "honest": "not in force",
    }
    assert found["objectives"].text == "Of 3 objectives, missed: close; met: fast; not in force: honest."
    assert readings["honest"].outcome == "not in force for the whole period: it holds since 2013-05-02"
    assert readings["close"].evidence.startswith("Brier score 0.")
    assert readings["close"].evidence.endswith("), target at most 0.1")


def test_an_objective_of_another_model_is_none_of_ours(review):
    other = load_objectives_of("other")
    assert judge_objectives(review, other).readings == ()


def load_objectives_of(model):
    from toolkit.metrics import ObjectiveDefinition

    given = {"metric": "brier", "business_outcome": "x", "target": {"at_most": 1}, "owner": "x"}
    return {"theirs": ObjectiveDefinition(model=model, **given)}


def test_an_absent_estimate_is_no_verdict(review):
    (reading,) = judge_objectives(review, load_objectives_of("small")).readings
    absent = stats.Estimate.absent("no request has a value", n=0, method="mean")
    assert reading.objective.met_by(absent) == "unclear"
    unclear = type(reading)(reading.key, reading.objective, reading.about, absent, "unclear")
    assert unclear.evidence == "Brier score is absent: no request has a value; target at most 1"


def test_splits_are_the_changes(found):
    moves = {move.key: move.change for move in found["moves"].moves}
    splits = found["splits"].splits
    assert found["splits"].metrics[0] == "brier"
    assert {split.column for split in splits} == {"carrier", "version"}
    for split in splits:
        total, mix, within = split.parts.total, split.parts.mix, split.parts.within
        assert mix.value + within.value == pytest.approx(total.value, abs=1e-15)
        for name in ("value", "se", "ci_lower", "ci_upper"):
            assert getattr(total, name) == pytest.approx(getattr(moves[split.key], name), rel=1e-9)
        assert sum(shift.mix + shift.within for shift in split.parts.segments) == pytest.approx(total.value, abs=1e-15)


def test_a_split_by_hand(found):
    split = next(each for each in found["splits"].splits if (each.key, each.column) == ("brier", "carrier"))
    mix = within = 0.0
    april, may = (
        served(*days).dropna(subset="loss") for days in (("2013-04-01", "2013-05-01"), ("2013-05-01", "2013-06-01"))
    )
    for carrier in "ABC":
        shares = [(rows["carrier"] == carrier).mean() for rows in (april, may)]
        means = [rows.loc[rows["carrier"] == carrier, "loss"].mean() for rows in (april, may)]
        mix += (shares[1] - shares[0]) * (means[0] + means[1]) / 2
        within += (means[1] - means[0]) * (shares[0] + shares[1]) / 2
    assert split.parts.mix.value == pytest.approx(mix, abs=1e-12)
    assert split.parts.within.value == pytest.approx(within, abs=1e-12)


def test_a_version_that_was_not_there_before_is_mix(found):
    split = next(each for each in found["splits"].splits if (each.key, each.column) == ("brier", "version"))
    assert split.values == ("1", "2")
    assert split.parts.segments[1].within == 0.0
    assert split.parts.segments[1].mean0 is None


# --- what happened --------------------------------------------------------------------------------------------------


def test_deployments_of_the_model_in_the_period(found):
    assert found["deployments"].text == "1 in the period: deploy of version 2, 2013-05-01."
    assert found["deployments"].to_table()[0]["commit"] == "abc"


def test_incidents_that_were_open_in_the_period_as_known_then(found):
    assert [each.key for each in found["incidents"].incidents] == ["before", "open", "late"]
    assert [each.key for each in found["incidents"].unresolved] == ["open", "late"]
    assert found["incidents"].text == (
        "3 incidents were open in the period (1 major, 2 minor), 2 of them still on 2013-06-03."
    )
    assert found["incidents"].to_table()[1]["resolved_at"] == "not resolved as of 2013-06-03T00:00:00Z"


def test_experiments_that_overlap_the_period(found):
    assert [(each.plan.key, each.state) for each in found["experiments"].readings] == [
        ("ended", "began and ended"),
        ("long", "began"),
    ]
    assert found["experiments"].text == (
        "Experiments in the period: ended (began and ended); long (began). No decision took effect in it."
    )


def test_actions_name_their_owner_and_their_fact(found):
    actions = found["actions"].to_table()
    assert [(line["action"], line["owner"]) for line in actions] == [
        ("Bring Brier score back to its target", "Grace"),
        ("Resolve incident open", "Ada"),
        ("Resolve incident late", "Ada"),
        ("Decide on experiment ended", "Grace"),
    ]
    assert actions[0]["evidence"] == f"objectives.yml, close: {found['objectives'].missed[0].evidence}"
    assert actions[1]["evidence"] == (
        "incidents, open: major, opened 2013-05-12T06:00:00Z, not resolved as of 2013-06-03T00:00:00Z"
    )
    assert actions[3]["evidence"] == (
        "experiments/ended.yml: its window ended 2013-05-29T00:00:00Z, and no decision is recorded as of "
        "2013-06-03T00:00:00Z"
    )
    assert found["actions"].text == (
        "4 on record: Bring Brier score back to its target (Grace); Resolve incident open (Ada); "
        "Resolve incident late (Ada); Decide on experiment ended (Grace). Further work is what triage ranks."
    )


# --- what is absent says so -----------------------------------------------------------------------------------------


def test_a_first_period_has_nothing_to_be_compared_with(reviewed):
    review = look(reviewed, period="2013-04", as_of="2013-05-03")
    found = everything(reviewed, review)
    reason = "Small model served no request in 2013-03-01 … 2013-03-31"
    assert review.text == (
        f"Period: all that Small model served, {APRIL}. There is no previous period: {reason}, so no change is shown. "
        "Labels as known on 2013-05-03T00:00:00Z."
    )
    assert found["moves"].text == f"Changes are absent: {reason}."
    assert {move.change.reason for move in found["moves"].moves} == {f"one side is absent: {reason}"}
    assert found["splits"].text == f"Brier score is not split: {reason}."
    assert found["splits"].to_table() == [{"metric": "Brier score", "change": f"absent: {reason}"}]
    assert [found[name].plot().alt for name in ("moves", "splits")] == [
        "no metric has a change with an interval",
        "no change could be split",
    ]
    assert found["incidents"].incidents[0].resolved_at == datetime(2013, 5, 2, tzinfo=UTC)


def test_what_the_workspace_does_not_have_is_stated(tmp_path):
    workspace = write_review(tmp_path, with_tables=False, with_objectives=False)
    found = everything(workspace, look(workspace))
    assert found["deployments"].text == (
        "Deployments are absent: the workspace has no table deployments ([tables.deployments] in toolkit.toml)."
    )
    assert found["incidents"].text == (
        "Incidents are absent: the workspace has no table incidents ([tables.incidents] in toolkit.toml)."
    )
    assert found["objectives"].text == "Objectives are absent: objectives.yml states none for Small model."
    assert found["actions"].text == (
        "1 on record: Decide on experiment ended (Grace). Not asked, because the workspace has none: "
        "objectives, incidents. Further work is what triage ranks."
    )
    absent = [row.reason for row in found["incidents"].to_rows()]
    assert absent == ["the workspace has no table incidents ([tables.incidents] in toolkit.toml)"]


def test_a_quiet_period_asks_for_nothing(reviewed, review, found):
    quiet = judge_objectives(review, load_objectives_of("small"))
    incidents = type(found["incidents"])(MAY, review.as_of, ())
    experiments = type(found["experiments"])(MAY, review.as_of, (), ())
    assert list_actions(review, quiet, incidents, experiments).text == "Nothing on record asks for an action."
    assert incidents.text == "No incident was open in the period."


def test_results_are_documents_and_the_same_every_time(reviewed, found):
    first = to_document(found)
    assert first == to_document(everything(reviewed, look(reviewed)))
    for row in first["rows"]:
        assert (row["value"] is None) == (row["status"] == "absent")
        assert bool(row["reason"]) >= (row["status"] == "absent")
        for name in ("value", "ci_lower", "ci_upper", "p_value"):
            assert not isinstance(row[name], float) or np.isfinite(row[name])
    keys = [tuple(row[name] for name in ("record", "key", "statistic", "segment")) for row in first["rows"]]
    assert len(keys) == len(set(keys))


def test_pictures_have_words_and_the_same_bytes(found):
    moves, splits = found["moves"].to_pictures(), found["splits"].to_pictures()
    assert [each.name for each in (*moves, *splits)] == ["moves", "loss", "moved-most"]
    assert moves[0].alt.startswith("Change of each metric against the previous period, in practical thresholds: Brier")
    assert splits[0].alt.startswith("Brier score: change +0.")
    assert "; by version, mix " in splits[0].alt
    assert splits == found["splits"].to_pictures()
