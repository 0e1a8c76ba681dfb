"""Batches: planned as a whole, run by several, resumed; each item once, and one failure stops no other."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest

from toolkit.archive import list_reports, load_manifest
from toolkit.archive import versions as report_archive
from toolkit.errors import ArchiveError, ParameterError, UnknownNameError
from toolkit.ledger import open_ledger
from toolkit.reports.batch import (
    Batch,
    Crew,
    expand_parameters,
    find_done,
    list_batches,
    load_batch,
    open_crew,
    plan_batch,
    run_batch,
    run_item,
)
from toolkit.reports.engine import CellFailure, Execution
from toolkit.reports.limits import Limits
from toolkit.reports.outcomes import Outcome, attempt
from toolkit.reports.stops import Stop
from toolkit.reports.templates import find_template
from toolkit.workspace import Workspace

AS_OF = {"as_of": "2013-05-01"}


@pytest.fixture
def cities(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Executing costs nothing. A city named here fails with what it is mapped to; `ran` lists who ran, in order."""
    told: dict[str, Any] = {"ran": []}

    def execute(template: Any, parameters: Mapping[str, Any], **_: Any) -> Execution:
        told["ran"].append(parameters["city"])
        notebook: Any = nbformat.reads(template.path.read_text(encoding="utf-8"), as_version=4)
        return Execution(notebook, failure=told.get(parameters["city"]))

    monkeypatch.setattr("toolkit.reports.engine.execute", execute)
    return told


def run(workspace: Workspace, batch: Batch, *, workers: int = 1, watch: Any = None) -> dict[int, Outcome]:
    with open_crew(workers, watch=watch) as crew:
        return run_batch(workspace, batch, crew, watch=watch)


def plan(workspace: Workspace, *cities: str) -> Batch:
    return plan_batch(workspace, "saves", AS_OF, {"city": cities})


def states(outcomes: Mapping[int, Outcome]) -> list[str]:
    return [outcomes[number].state for number in sorted(outcomes)]


# --- what is asked for ----------------------------------------------------------------------------------------------


def test_every_combination_is_an_item_and_the_last_varies_fastest(workspace: Workspace) -> None:
    template = find_template(workspace, "saves")
    found = expand_parameters(workspace, template, AS_OF, {"city": ["oslo", "rome"], "levels": ["[1]", "[2]"]})
    assert [(each["city"], each["levels"], each["as_of"]) for each in found] == [
        ("oslo", "[1]", "2013-05-01"),
        ("oslo", "[2]", "2013-05-01"),
        ("rome", "[1]", "2013-05-01"),
        ("rome", "[2]", "2013-05-01"),
    ]


def test_all_means_every_definition(workspace: Workspace) -> None:
    (workspace.root / "citys").mkdir()
    for key in ("oslo", "rome"):
        (workspace.root / "citys" / f"{key}.yml").write_text(f"key: {key}\n")
    found = expand_parameters(workspace, find_template(workspace, "saves"), {}, {"city": ["all"]})
    assert [each["city"] for each in found] == ["oslo", "rome"]


@pytest.mark.parametrize(
    ("given", "each", "message"),
    [
        ({"city": "oslo"}, {"city": ["rome"]}, "parameter 'city' is given by -p and by --each; give it once"),
        ({}, {"city": [""]}, "--each city= names no value; write --each city=a,b,c, or --each city=all"),
        ({}, {"city": ["all"]}, "--each city=all means every definition in citys/, and there is none"),
        (
            {"levels": "x"},
            {"city": ["oslo"], "as_of": ["2013-05-01", "tomorrow"]},
            'levels == \'x\', must be a JSON list such as ["a", "b"] (list[int])',
        ),
        (
            {},
            {"city": ["oslo"], "as_of": ["2013-05-01", "tomorrow"]},
            "as_of == 'tomorrow', must be an ISO date or instant in UTC, such as '2013-05-01' or '2013-05-01T06:00Z'",
        ),
        (
            {"level": "[1]"},
            {"city": ["oslo", "rome"]},
            "unknown parameter 'level'; allowed: as_of, city, levels. Did you mean 'levels'?",
        ),
    ],
)
def test_what_is_wrong_with_any_item_is_said_once_before_anything_runs(
    workspace: Workspace, given: dict[str, object], each: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        plan_batch(workspace, "saves", given, each)
    assert list_batches(workspace) == []


def test_a_batch_is_remembered_as_it_was_planned(workspace: Workspace) -> None:
    batch = plan_batch(workspace, "saves", AS_OF, {"city": ["oslo"]}, kernel="cold", limits=Limits(cell_s=5))
    assert load_batch(workspace, batch.name) == batch
    assert list_batches(workspace) == [batch.name]
    with pytest.raises(UnknownNameError, match=f"^unknown batch '{batch.name}x'; allowed: {batch.name}"):
        load_batch(workspace, batch.name + "x")


def test_a_damaged_batch_says_so(workspace: Workspace) -> None:
    batch = plan(workspace, "oslo")
    (workspace.root / "ledger" / "batches" / f"{batch.name}.json").write_text('{"template": 1}')
    with pytest.raises(ArchiveError, match=f"^the batch {batch.name} cannot be read .*; plan it again: toolkit run"):
        load_batch(workspace, batch.name)


def test_many_are_warm_and_one_is_cold_unless_somebody_says(workspace: Workspace) -> None:
    assert plan(workspace, "oslo", "rome").request(workspace, 1).kernel == "warm"
    assert plan(workspace, "oslo").request(workspace, 1).kernel == "cold"
    settings = workspace.settings.model_copy(update={"kernel": "cold"})
    cold = Workspace(workspace.root, settings)
    assert plan(workspace, "oslo", "rome").request(cold, 1).kernel == "cold"


# --- running --------------------------------------------------------------------------------------------------------


def test_each_item_is_published_and_names_its_batch(workspace: Workspace, cities: dict[str, Any]) -> None:
    told: list[tuple[int, str, str]] = []
    batch = plan(workspace, "oslo", "rome", "bergen")
    outcomes = run(workspace, batch, workers=2, watch=lambda *each: told.append(each))
    assert states(outcomes) == ["published"] * 3
    assert outcomes[2].reference == "saves/rome@1"
    assert load_manifest(workspace, "saves/rome@1")["batch"] == {"batch": batch.name, "item": 2}
    with open_ledger(workspace.ledger) as ledger:
        recorded = {entry.subject: entry.data["batch"]["item"] for entry in ledger.entries(kind="report.published")}
    assert recorded == {"saves/oslo@1": 1, "saves/rome@1": 2, "saves/bergen@1": 3}
    assert {(number, state) for number, state, _ in told} == {
        *((number, "running") for number in (1, 2, 3)),
        *((number, "published") for number in (1, 2, 3)),
    }
    assert not (workspace.root / "ledger" / "batches" / batch.name).exists()  # no claim is left behind


def test_one_failure_stops_no_other(workspace: Workspace, cities: dict[str, Any]) -> None:
    cities["rome"] = CellFailure(2, "ValueError", "no rows")
    cities["bergen"] = CellFailure(2, "NotReady", "ready on 2013-06-01")
    outcomes = run(workspace, plan(workspace, "oslo", "rome", "bergen", "kiel"))
    assert states(outcomes) == ["published", "failed", "waiting", "published"]
    assert "ValueError: no rows" in str(outcomes[2].reason)
    assert [outcomes[number].needs_a_person for number in (1, 2, 3)] == [False, True, False]


def test_a_defect_is_told_in_full_and_stops_no_other(
    workspace: Workspace, cities: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish = report_archive.publish

    def breaks_in_rome(where: Workspace, staged: Path, series: Any, **more: Any) -> Any:
        if series.subject == "rome":
            raise ZeroDivisionError("a defect")
        return publish(where, staged, series, **more)

    monkeypatch.setattr(report_archive, "publish", breaks_in_rome)
    outcomes = run(workspace, plan(workspace, "rome", "oslo"))
    assert states(outcomes) == ["failed", "published"]
    assert outcomes[1].reason == "ZeroDivisionError: a defect"
    assert "breaks_in_rome" in caplog.text


def test_only_what_can_be_transient_is_tried_again(workspace: Workspace, cities: dict[str, Any]) -> None:
    cities["rome"] = CellFailure(None, "RuntimeError", "Kernel didn't respond in 60 seconds", transient=True)
    cities["bergen"] = CellFailure(1, "ValueError", "no rows")
    pauses: list[float] = []
    batch = plan(workspace, "rome", "bergen")
    rome, bergen = (attempt(batch.request(workspace, number), pause=pauses.append) for number in (1, 2))
    assert (rome.state, rome.tries, bergen.state, bergen.tries) == ("failed", 3, "failed", 1)
    assert cities["ran"] == ["rome", "rome", "rome", "bergen"]
    assert pauses == [1.0, 2.0]


def test_no_more_is_handed_out_than_twice_the_workers(workspace: Workspace) -> None:
    """Memory does not grow with the batch: the crew never holds more than 2 × workers items."""
    from concurrent.futures import Future

    batch = plan(workspace, *(f"city{number}" for number in range(50)))
    held: list[Future[Outcome]] = []
    most = 0

    def submit(request: Any, after: int) -> Future[Outcome]:
        nonlocal most
        future: Future[Outcome] = Future()
        held.append(future)
        most = max(most, sum(not each.done() for each in held))
        if most == 6 or len(held) == len(batch.items):
            for each in held:
                if not each.done():
                    each.set_result(Outcome("published"))
        return future

    assert len(run_batch(workspace, batch, Crew(3, submit))) == 50
    assert most == 6


# --- resuming -------------------------------------------------------------------------------------------------------


def test_resuming_runs_what_is_not_done(workspace: Workspace, cities: dict[str, Any]) -> None:
    cities["rome"] = CellFailure(2, "ValueError", "no rows")
    cities["kiel"] = CellFailure(2, "Skipped", "nothing to report")
    batch = plan(workspace, "oslo", "rome", "kiel")
    assert states(run(workspace, batch)) == ["published", "failed", "skipped"]
    del cities["rome"]
    cities["ran"].clear()
    outcomes = run(workspace, load_batch(workspace, batch.name))
    assert states(outcomes) == ["done", "published", "done"]
    assert outcomes[3].reason == "nothing to report"
    assert cities["ran"] == ["rome"]
    assert [str(each) for each in list_reports(workspace)] == ["saves/oslo@1", "saves/rome@1"]


def test_a_report_whose_process_died_before_it_was_recorded_is_done(
    workspace: Workspace, cities: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = plan(workspace, "oslo")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(report_archive, "record_publication", die)
        with pytest.raises(KeyboardInterrupt):
            run_item(batch.request(workspace, 1), batch.after)
    assert find_done(workspace, batch.name, batch.after) == {1: Outcome("done", reference="saves/oslo@1")}
    assert states(run(workspace, batch)) == ["done"]


def test_an_item_that_was_lost_with_its_worker_is_asked_about_before_it_runs_again(
    workspace: Workspace, cities: dict[str, Any]
) -> None:
    batch = plan(workspace, "oslo", "rome")
    first = run_item(batch.request(workspace, 1), batch.after)
    again = run_item(batch.request(workspace, 1), batch.after)  # the cluster thinks that it was lost
    assert (first.state, again.state, again.reference) == ("published", "done", "saves/oslo@1")
    assert cities["ran"] == ["oslo"]


def test_two_who_resume_at_once_run_each_item_once(workspace: Workspace, cities: dict[str, Any]) -> None:
    batch = plan(workspace, *(f"city{number}" for number in range(12)))
    found: list[dict[int, Outcome]] = []
    threads = [threading.Thread(target=lambda: found.append(run(workspace, batch, workers=2))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(cities["ran"]) == sorted(f"city{number}" for number in range(12))
    assert len(list_reports(workspace)) == 12
    by_state = [outcomes[number].state for outcomes in found for number in outcomes]
    assert by_state.count("published") == 12
    assert set(by_state) <= {"published", "done", "running"}


# --- stopping -------------------------------------------------------------------------------------------------------


def test_ctrl_c_begins_nothing_new_and_says_what_was_finished(workspace: Workspace, cities: dict[str, Any]) -> None:
    batch, stop = plan(workspace, "oslo", "rome", "bergen", "kiel", "turin"), Stop()

    def watch(number: int, state: str, _: str) -> None:
        if (number, state) == (1, "published"):
            raise KeyboardInterrupt  # as it would reach the main thread

    with open_crew(1, stop=stop) as crew:
        outcomes = run_batch(workspace, batch, crew, watch=watch, stop=stop)
    assert stop.reason == "interrupted"
    assert outcomes[1].state == "published"
    assert len(outcomes) < 5
    left = 5 - sum(outcome.state == "published" for outcome in outcomes.values())
    cities["ran"].clear()
    assert len(run(workspace, batch)) == 5
    assert len(cities["ran"]) == left
    assert len(list_reports(workspace)) == 5


def test_asked_twice_it_does_not_wait(workspace: Workspace, cities: dict[str, Any]) -> None:
    batch = plan(workspace, "oslo", "rome")

    def impatient(number: int, state: str, _: str) -> None:
        if state == "published":
            raise KeyboardInterrupt

    with open_crew(2) as crew, pytest.raises(KeyboardInterrupt):
        run_batch(workspace, batch, crew, watch=impatient)
    assert states(run(workspace, batch)) == ["done", "done"]
