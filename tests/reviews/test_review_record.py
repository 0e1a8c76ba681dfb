"""What a retrospective takes from the ledger: about this model and period, as known then, and never itself."""

from __future__ import annotations

import json
import shutil

import pytest
from reviewed_model import look, write_review

from toolkit.archive import load_results
from toolkit.data import open_source
from toolkit.ledger import open_ledger
from toolkit.reports import RunRequest, find_template, lint_template, run_report
from toolkit.reviews import judge_objectives, list_actions, list_experiments, list_incidents, list_reports
from toolkit.windows import parse_instant
from toolkit.workspace import Actor, open_workspace

ACTOR = Actor("Grace", "asserted")


@pytest.fixture
def workspace(reviewed, tmp_path):
    """The reviewed workspace with a ledger of the test's own."""
    shutil.copytree(reviewed.root, tmp_path / "own", ignore=shutil.ignore_patterns("ledger", "reports"))
    return open_workspace(tmp_path / "own")


def append(workspace, kind, subject, effective_at, **payload):
    with open_ledger(workspace.ledger) as ledger:
        return ledger.append(
            kind=kind, subject=subject, payload=payload, actor=ACTOR, effective_at=parse_instant(effective_at)
        )


def publish(workspace, subject, as_of, **parameters):
    return append(workspace, "report.published", subject, as_of, parameters=json.dumps(parameters))


def listed(workspace, **options):
    return [each.reference for each in list_reports(look(workspace, **options), workspace).reports]


def test_an_empty_ledger_holds_nothing_and_is_not_made(workspace):
    found = list_reports(look(workspace), workspace)
    assert found.text == "No other report about the period is in the ledger."
    assert not workspace.ledger.exists()


def test_a_report_belongs_to_the_period_of_its_last_labelled_day(workspace):
    """With labels a day old: what is as of 2 May still looks back on April, what is as of 2 June on May."""
    for version, as_of in enumerate(("2013-05-02", "2013-05-02T00:01Z", "2013-06-02", "2013-06-02T00:01Z"), start=1):
        publish(workspace, f"triage/small@{version}", as_of, model="small")
    assert listed(workspace) == ["triage/small@2", "triage/small@3"]
    assert listed(workspace, period="2013-04") == ["triage/small@1"]


def test_it_is_about_the_model_or_an_experiment_of_it(workspace):
    publish(workspace, "triage/other@1", "2013-05-20", model="other")
    publish(workspace, "experiment_readout/ended@1", "2013-05-20", experiment="ended")
    publish(workspace, "experiment_readout/theirs@1", "2013-05-20", experiment="theirs")
    publish(workspace, "plain/default@1", "2013-05-20")
    assert listed(workspace) == ["experiment_readout/ended@1"]


def test_the_newest_of_equal_as_of_with_their_number(workspace):
    for version in (1, 2, 10):
        publish(workspace, f"triage/small@{version}", "2013-05-20", model="small")
    publish(workspace, "triage/small@11", "2013-05-21", model="small")
    found = list_reports(look(workspace), workspace)
    assert [(each.reference, each.versions) for each in found.reports] == [
        ("triage/small@10", 3),
        ("triage/small@11", 1),
    ]
    assert found.text == "2 reports about the period: triage/small@10, triage/small@11."


def test_what_was_not_known_at_the_instant_is_not_there(workspace):
    publish(workspace, "retrospective/small-2013-05@1", "2013-07-01", model="small", period="2013-05")
    assert listed(workspace) == []
    assert listed(workspace, as_of="2013-07-02") == ["retrospective/small-2013-05@1"]


def test_only_this_very_report_is_left_out(workspace):
    """Same template, model, period and as-of; what differs in one of them is another report."""
    same = {"model": "small", "period": "2013-05"}
    publish(workspace, "retrospective/small-2013-05@1", "2013-06-03", **same)
    publish(workspace, "retrospective/small-2013-05@2", "2013-06-02T12:00Z", **same)
    publish(workspace, "own_retrospective/small-2013-05@1", "2013-06-03", **same)
    assert listed(workspace) == ["retrospective/small-2013-05@2", "own_retrospective/small-2013-05@1"]
    review = look(workspace)
    own = list_reports(review, workspace, template="own_retrospective")
    assert [each.reference for each in own.reports] == [
        "retrospective/small-2013-05@2",
        "retrospective/small-2013-05@1",
    ]


def test_a_run_reads_no_entry_after_its_position(workspace, monkeypatch):
    first = publish(workspace, "triage/small@1", "2013-05-20", model="small")
    publish(workspace, "triage/small@2", "2013-05-21", model="small")
    monkeypatch.setenv("TOOLKIT_LEDGER_SEQUENCE", str(first.sequence))
    assert listed(workspace) == ["triage/small@1"]
    monkeypatch.setenv("TOOLKIT_LEDGER_SEQUENCE", "0")
    assert listed(workspace) == []


def test_decisions_of_the_models_experiments(workspace):
    append(workspace, "experiment.decided", "ended", "2013-05-30", decision="ship")
    append(workspace, "experiment.decided", "past", "2013-05-02")
    append(workspace, "experiment.decided", "long", "2013-06-10", decision="too late to be known")
    append(workspace, "experiment.decided", "theirs", "2013-05-30", decision="ship")
    found = list_experiments(look(workspace), workspace)
    assert found.text == (
        "Experiments in the period: ended (began and ended); long (began). "
        "Decisions that took effect in it: past: the entry does not say what; ended: ship."
    )
    assert [line["decision"] for line in found.to_table()] == [
        "ship, 2013-05-30, by Grace",
        "absent: no decision is recorded",
    ]
    assert found.undecided == ()


def test_an_experiment_that_cannot_be_read_yet_says_from_when(tmp_path):
    workspace = write_review(tmp_path, with_objectives=False, with_tables=False)
    plan = workspace.root / "experiments" / "ended.yml"
    plan.write_text(plan.read_text().replace("2013-05-29", "2013-06-01"))
    review = look(workspace, as_of="2013-06-02")
    incidents = list_incidents(review, open_source(workspace))
    actions = list_actions(review, judge_objectives(review, {}), incidents, list_experiments(review, workspace))
    assert actions.actions[0].evidence == (
        "experiments/ended.yml: its window ended 2013-06-01T00:00:00Z, and no decision is recorded as of "
        "2013-06-02T00:00:00Z; it can be read from 2013-06-04T00:00:00Z on"
    )


def test_the_template_is_thin(workspace):
    assert lint_template(find_template(workspace, "retrospective")) == []


@pytest.mark.slow
def test_it_does_not_list_itself_and_runs_again_to_the_same_bytes(workspace):
    """Run, run again, run for another instant, and once more: what the last two wrote is known to none of the first."""
    publish(workspace, "triage/small@1", "2013-05-20", model="small")

    def run(as_of):
        return run_report(RunRequest(workspace.root, "retrospective", {"period": "2013-05", "as_of": as_of}))

    first, second = run("2013-06-02"), run("2013-06-02")
    assert [str(each.reference) for each in (first, second)] == [
        "retrospective/small-2013-05@1",
        "retrospective/small-2013-05@2",
    ]
    for path in ("results.json", *(f"figures/{item.name}" for item in (first.folder / "figures").iterdir())):
        assert (first.folder / path).read_bytes() == (second.folder / path).read_bytes(), path

    def reports(published):
        rows = load_results(workspace, published.reference)["rows"]
        return {row["key"] for row in rows if row["record"] == "reports"}

    assert reports(second) == {"reports", "triage/small@1"}
    later = run("2013-06-03")
    assert reports(later) == {"reports", "triage/small@1", "retrospective/small-2013-05@2"}
    sources = {source["table"] for source in later.manifest["sources"]}
    assert sources == {"predictions", "outcomes", "deployments", "incidents"}
