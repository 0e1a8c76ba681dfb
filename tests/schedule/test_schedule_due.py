"""Running what is owed; the run itself is cheap, the archive and the ledger are the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from schedule_trial import MONTHS, cheap_run, fill, make_workspace, slots_published, write_report

from toolkit.archive import Slot, list_reports, load_manifest, verify_all
from toolkit.errors import Blocked, ContractError, LedgerError, NotReady, RunError, ToolkitError
from toolkit.ledger import open_ledger
from toolkit.reports import Published, RunRequest, run_report
from toolkit.reports.engine import CellFailure, Execution
from toolkit.schedule import Outcome, due, find_done
from toolkit.schedule.claims import claim
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace

MAY = parse_instant("2013-05-10")
JUNE = parse_instant("2013-06-10")
FIRST = Slot("monthly", "2013-05-03T10:00:00Z")


def states(outcomes: list[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def raising(err: ToolkitError) -> Callable[..., Published]:
    def run(_: RunRequest, *, progress: Callable[[str], None]) -> Published:
        raise err

    return run


def never(*_: object, **__: object) -> Published:
    raise AssertionError("it was run again")


def claims(workspace: Workspace) -> list[Path]:
    return list((workspace.root / "ledger" / "slots").rglob("*.claim"))


def test_every_slot_is_published_once(trial: Workspace) -> None:
    outcomes = fill(trial)
    assert [outcome.reference for outcome in outcomes] == [f"review/{month}@1" for month in MONTHS]
    assert states(outcomes) == ["published"] * 9
    assert fill(trial, run=never) == []
    assert claims(trial) == []
    assert verify_all(trial) == ()


def test_a_claim_that_a_killed_process_left_of_a_slot_that_is_done_is_removed(trial: Workspace) -> None:
    fill(trial, now=MAY)
    for slot in (FIRST, Slot("monthly", "2013-06-03T10:00:00Z")):
        with claim(trial, slot) as ours:
            assert ours
    assert len(claims(trial)) == 2
    assert fill(trial, now=MAY, run=never) == []
    assert [path.name for path in claims(trial)] == ["20130603T100000.000000Z.claim"]


def test_manifest_and_ledger_remember_the_slot(trial: Workspace) -> None:
    fill(trial, now=MAY)
    slot = {"schedule": "monthly", "at": "2013-05-03T10:00:00Z"}
    assert load_manifest(trial, "review/2013-04")["slot"] == slot
    with open_ledger(trial.ledger) as ledger:
        (entry,) = ledger.entries(kind="report.published")
        assert entry.data["slot"] == slot
        assert find_done(trial, ledger) == {FIRST: ("review/2013-04@1", None)}


def test_progress_names_the_slot(trial: Workspace) -> None:
    told: list[str] = []
    fill(trial, now=JUNE, progress=told.append)
    assert told == [
        "monthly 2013-05-03T10:00:00Z (1 of 2): starting the kernel",
        "monthly 2013-06-03T10:00:00Z (2 of 2): starting the kernel",
    ]
    told.clear()
    fill(trial, now=parse_instant("2013-07-10"), run=raising(RunError("review failed")), progress=told.append)
    assert told == ["monthly 2013-07-03T10:00:00Z (1 of 1): failed: review failed"]


def test_a_report_whose_process_died_before_it_was_recorded_is_found(trial: Workspace) -> None:
    def die(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
        write_report(request)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(trial, now=MAY, run=die)
    with open_ledger(trial.ledger) as ledger:
        assert ledger.entries(kind="report.published") == []
    assert fill(trial, now=MAY, run=never) == []
    assert states(fill(trial, now=JUNE)) == ["published"]
    with open_ledger(trial.ledger) as ledger:
        entries = [(entry.subject, entry.data.get("recovered")) for entry in ledger.entries(kind="report.published")]
    assert entries == [("review/2013-04@1", True), ("review/2013-05@1", None)]
    assert slots_published(trial) == ["2013-05-03T10:00:00Z", "2013-06-03T10:00:00Z"]


def test_what_another_process_did_in_the_meantime_is_not_run(trial: Workspace) -> None:
    def overtaken(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
        if request.slot == FIRST:  # another process runs the rest while this one is busy with the first
            fill(trial, now=JUNE)
        return cheap_run(request, progress=progress)

    outcomes = fill(trial, now=JUNE, run=overtaken)
    assert [(outcome.state, outcome.reference) for outcome in outcomes] == [
        ("published", "review/2013-04@1"),
        ("done", "review/2013-05@1"),
    ]
    assert slots_published(trial) == ["2013-05-03T10:00:00Z", "2013-06-03T10:00:00Z"]


def test_a_slot_that_is_claimed_is_left_alone_until_it_is_free(trial: Workspace) -> None:
    with claim(trial, FIRST) as ours:
        assert ours
        (outcome,) = fill(trial, now=MAY, run=never)
        assert (outcome.state, outcome.reason) == ("running", "another process is running it")
        assert not outcome.needs_a_person
    assert states(fill(trial, now=MAY)) == ["published"]


@pytest.mark.parametrize(
    ("err", "state", "alarming"),
    [
        (NotReady("ready on 2013-05-04", ready_on=parse_instant("2013-05-04")), "waiting", False),
        (Blocked("a rule says no"), "refused", True),
        (ContractError("predictions: 3 of 9 rows have no score"), "refused", True),
        (RunError("review failed in code cell 2 of 2"), "failed", True),
    ],
)
def test_what_did_not_work_out_stays_owed(trial: Workspace, err: ToolkitError, state: str, alarming: bool) -> None:
    (outcome,) = fill(trial, now=MAY, run=raising(err))
    assert (outcome.state, outcome.reason, outcome.needs_a_person) == (state, str(err), alarming)
    assert outcome.ready_on == getattr(err, "ready_on", None)
    assert states(fill(trial, now=MAY)) == ["published"]
    assert slots_published(trial) == [FIRST.at]


def test_one_failure_stops_no_other_slot(trial: Workspace) -> None:
    def fails_first(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
        if request.slot == FIRST:
            raise RunError("it failed")
        return cheap_run(request, progress=progress)

    assert states(fill(trial, now=JUNE, run=fails_first)) == ["failed", "published"]
    assert states(fill(trial, now=JUNE)) == ["published"]


def test_a_defect_is_not_swallowed_and_lets_go_of_its_slot(trial: Workspace) -> None:
    def broken(*_: object, **__: object) -> Published:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill(trial, now=MAY, run=broken)
    assert states(fill(trial, now=MAY)) == ["published"]


def test_a_slot_with_nothing_to_report_is_done_with_its_reason(
    trial: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(template: Any, *_: object, **__: object) -> Execution:
        return Execution(nbformat.read(template.path, as_version=4), failure=CellFailure(1, said, "no rows"))

    monkeypatch.setattr("toolkit.reports.engine.execute", execute)
    said = "NotReady"
    assert states(fill(trial, now=MAY, run=run_report)) == ["waiting"]
    said = "Skipped"
    assert states(fill(trial, now=MAY, run=run_report)) == ["skipped"]
    assert fill(trial, now=MAY, run=never) == []
    with open_ledger(trial.ledger) as ledger:
        refused = [(entry.data["type"], entry.data["slot"]) for entry in ledger.entries(kind="report.refused")]
        assert find_done(trial, ledger) == {FIRST: (None, "no rows")}
    assert refused == [("NotReady", FIRST.to_dict()), ("Skipped", FIRST.to_dict())]


def test_a_report_that_is_ahead_of_the_data_waits_without_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_workspace(tmp_path / "w", reads=("predictions",))
    asked: list[Any] = []
    monkeypatch.setattr(due, "find_as_of", lambda each: asked.append(each) or parse_instant("2013-06-01"))
    first, second = fill(workspace, now=JUNE)
    assert first.state == "published"
    assert (second.state, second.reason) == (
        "waiting",
        "as_of 2013-06-03T10:00:00Z is later than the data, which are complete up to 2013-06-01T00:00:00Z",
    )
    assert second.ready_on == parse_instant("2013-06-03T10:00Z")
    assert len(asked) == 1
    with open_ledger(workspace.ledger) as ledger:
        assert [entry.kind for entry in ledger.entries()] == ["report.published"]  # however often it is asked for
    monkeypatch.setattr(due, "find_as_of", lambda _: parse_instant("2013-06-04"))
    assert states(fill(workspace, now=JUNE)) == ["published"]


def test_data_that_cannot_be_read_are_a_refusal(tmp_path: Path) -> None:
    (outcome,) = fill(make_workspace(tmp_path / "w", reads=("predictions",)), now=MAY, run=never)
    assert outcome.state == "refused"
    assert "predictions" in (outcome.reason or "")


def test_a_folder_in_the_place_of_a_claim_says_what_to_do(trial: Workspace) -> None:
    file = trial.root / "ledger" / "slots" / "monthly" / "20130503T100000.000000Z.claim"
    file.mkdir(parents=True)
    with pytest.raises(LedgerError) as caught:
        fill(trial, now=MAY)
    assert str(caught.value) == (
        f"the claim {file} cannot be written (Is a directory), and nothing was run for it. Make its folder writable "
        "for this user, or free some space, then run the command again"
    )


def test_a_real_run_is_remembered_with_its_slot(trial: Workspace) -> None:
    (outcome,) = fill(trial, now=MAY, run=run_report)
    assert (outcome.state, outcome.reference) == ("published", "review/2013-04@1")
    assert load_manifest(trial, "review/2013-04")["slot"] == FIRST.to_dict()
    assert load_manifest(trial, "review/2013-04")["parameters"]["as_of"] == FIRST.at
    assert fill(trial, now=MAY, run=never) == []
    assert [str(each) for each in list_reports(trial)] == ["review/2013-04@1"]
    assert verify_all(trial) == ()
