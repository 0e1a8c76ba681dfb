"""What the ledger is told of a published report's signals: by an act, once, and the same whenever it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_signals import arrange, calibration, drift, segment
from published_signals import make_trial, publish_groups

from toolkit.acts import settle
from toolkit.ledger import Entry, open_ledger, verify
from toolkit.signals.lifecycle.history import ACKNOWLEDGED, RECOVERED, SEEN, load_history
from toolkit.signals.lifecycle.record import READ, ReportedSignals, load_reported
from toolkit.windows import parse_instant
from toolkit.workspace import Actor, Workspace

FL = segment("carrier=FL", 60.0)


@pytest.fixture
def trial(tmp_path: Path) -> Workspace:
    return make_trial(tmp_path / "trial")


def rows(workspace: Workspace, kind: str) -> list[Entry]:
    with open_ledger(workspace.ledger, create=False) as ledger:
        return ledger.entries(kind=kind)


def test_a_published_report_is_told_to_the_ledger_once(trial: Workspace) -> None:
    reference = publish_groups(trial, arrange(calibration(), FL, drift("temp_f")))
    for _ in range(3):
        settle(trial)
    assert [entry.subject for entry in rows(trial, SEEN)] == [
        "delay/calibration",
        "delay/segment:carrier=FL",
        "delay/drift:temp_f",
    ]
    (read,) = rows(trial, READ)
    assert (read.subject, read.effective_at) == (reference, parse_instant("2013-05-01"))
    assert rows(trial, SEEN)[0].data == {
        "report": "triage/delay@1",
        "window_days": 28,
        "group": "calibration",
        "level": "high",
        "title": "scores are 3.2 % too low on average; also carrier=FL",
    }
    with open_ledger(trial.ledger) as ledger:
        assert verify(ledger).passed


def test_a_report_whose_process_died_before_the_act_is_found_by_the_next_command(trial: Workspace) -> None:
    publish_groups(trial, arrange(calibration()), act=False)
    assert rows(trial, SEEN) == []
    settle(trial)
    assert len(rows(trial, SEEN)) == 1


def test_an_act_that_was_cut_short_is_finished_and_writes_no_row_twice(trial: Workspace) -> None:
    publish_groups(trial, arrange(calibration(), FL), act=False)
    with open_ledger(trial.ledger) as ledger:
        ledger.append(
            kind=SEEN,
            subject="delay/calibration",
            payload={"report": "triage/delay@1", "window_days": 28},
            actor=Actor("ana", "asserted"),
            effective_at=parse_instant("2013-05-01"),
        )
    settle(trial)
    assert [entry.subject for entry in rows(trial, SEEN)] == ["delay/calibration", "delay/segment:carrier=FL"]


def test_the_second_report_of_an_instant_has_rows_of_its_own_and_the_same_states(trial: Workspace) -> None:
    publish_groups(trial, arrange(calibration()))
    again = arrange(calibration(), history=load_history(trial, "delay"))
    assert again.groups[0].state == "new"
    publish_groups(trial, again)
    assert [entry.data["report"] for entry in rows(trial, SEEN)] == ["triage/delay@1", "triage/delay@2"]
    later = arrange(calibration(), history=load_history(trial, "delay"), as_of="2013-05-08")
    assert later.groups[0].state == "ongoing"


def test_what_is_gone_recovers_and_returns_when_it_comes_back(trial: Workspace) -> None:
    publish_groups(trial, arrange(calibration()))
    gone = arrange(history=load_history(trial, "delay"), kinds=frozenset({"calibration"}), as_of="2013-05-08")
    publish_groups(trial, gone)
    (row,) = rows(trial, RECOVERED)
    assert (row.subject, row.effective_at) == ("delay/calibration", parse_instant("2013-05-08"))
    back = arrange(calibration(), history=load_history(trial, "delay"), as_of="2013-05-15")
    assert back.groups[0].said_of_it == "returned, for the 2nd time"


def test_a_report_reads_nothing_that_was_recorded_after_its_run_began(
    trial: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(trial.ledger) as ledger:
        before = ledger.position().sequence
    publish_groups(trial, arrange(calibration(), as_of="2013-04-24"))
    monkeypatch.setenv("TOOLKIT_LEDGER_SEQUENCE", str(before))
    assert load_history(trial, "delay").events == ()
    monkeypatch.delenv("TOOLKIT_LEDGER_SEQUENCE")
    assert len(load_history(trial, "delay").events) == 1


def test_a_report_that_was_reported_reads_back_as_it_was(trial: Workspace) -> None:
    groups = arrange(calibration(), FL, drift("temp_f"))
    reference = publish_groups(trial, groups)
    assert load_reported(trial, "delay") == [ReportedSignals.of(groups)._replace(report=reference)]
    assert load_reported(trial, "other") == []


def test_the_history_is_of_one_model_also_where_its_name_begins_like_another(trial: Workspace) -> None:
    publish_groups(trial, arrange(calibration()))
    assert load_history(trial, "del").events == ()


def test_a_report_without_groups_is_looked_at_once(trial: Workspace) -> None:
    publish_groups(trial, None)
    publish_groups(trial, None, template="retrospective")
    settle(trial)
    assert [(entry.subject, entry.data) for entry in rows(trial, READ)] == [("triage/delay@1", {})]
    assert load_reported(trial) == []


def test_the_act_is_kept_for_a_template_of_ones_own(trial: Workspace) -> None:
    from toolkit.signals.lifecycle.record import list_unread

    publish_groups(trial, arrange(calibration()), template="mine", act=False)
    with open_ledger(trial.ledger) as ledger:
        assert list_unread(ledger) == []  # until its first report has gone through a run
        ledger.append(
            kind=READ,
            subject="mine/other@1",
            payload={},
            actor=Actor("ana", "asserted"),
            effective_at=parse_instant("2013-05-01"),
        )
        assert list_unread(ledger) == ["mine/delay@1"]


def test_an_acknowledgement_holds_until_recovery(trial: Workspace) -> None:
    publish_groups(trial, arrange(calibration(), as_of="2013-04-24"))
    with open_ledger(trial.ledger) as ledger:
        ledger.append(
            kind=ACKNOWLEDGED,
            subject="delay/calibration",
            payload={"reason": "retraining on Friday"},
            actor=Actor("ana", "asserted"),
            effective_at=parse_instant("2013-04-24"),
        )
    (group,) = arrange(calibration(), history=load_history(trial, "delay")).groups
    assert group.said_of_it == "acknowledged by ana"
    assert load_history(trial, "delay").events[-1].reason == "retraining on Friday"
