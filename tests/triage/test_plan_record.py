"""What the ledger is told of a published report's plan: by an act, once, and the same whenever it is asked."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from published_plans import publish_plan, write_estimated
from published_signals import publish_records
from triage.written_ideas import write_idea

from toolkit.acts import settle
from toolkit.ledger import Entry, open_ledger, verify
from toolkit.stats import Spread
from toolkit.triage import PlannedItem, ReviewedPlan, load_history
from toolkit.triage.lifecycle.history import OVERRIDDEN, READ
from toolkit.triage.lifecycle.record import list_unread
from toolkit.windows import parse_instant
from toolkit.workspace import Actor, Workspace

if TYPE_CHECKING:
    import pytest

ADA = Actor("Ada", "asserted")


def rows(workspace: Workspace) -> list[Entry]:
    with open_ledger(workspace.ledger, create=False) as ledger:
        return ledger.entries(kind=READ)


def test_every_item_is_read_as_the_plan_has_it(workspace: Workspace) -> None:
    write_estimated(workspace, "large", 90, 5)
    write_estimated(workspace, "law", 1, 3, 'deadline: "2013-05-14"\nmust_do: true\n')
    write_estimated(workspace, "quick", 50, 2)
    write_idea(workspace, "vague", title="Do something")
    plan = publish_plan(workspace, "2013-05-01")
    (read,) = load_history(workspace, model="small").plans
    assert read._replace(items=()) == ReviewedPlan(
        "triage/small@1", "small", parse_instant("2013-05-01"), "EUR", items=()
    )
    assert [item.key for item in read.items] == ["idea/quick", "idea/law", "idea/large", "idea/vague"]
    quick, law, large, vague = read.items
    shown = {line["item"]: line for line in plan.to_table()}
    assert quick == PlannedItem(
        key="idea/quick",
        title="Do quick",
        origin="idea",
        team="flow",
        place="planned",
        because=str(shown["idea/quick"]["because"]),
        tier=plan.places["idea/quick"].tier,
        rank=plan.places["idea/quick"].rank,
        value_per_week=Spread(25, 50, 100),
        effort_days=Spread(2, 2, 2),
        value_source="person/Ada",
        effort_source="person/Ada",
        unit="EUR",
    )
    assert (law.place, law.because, law.deadline) == ("planned", "must be done by 2013-05-14", date(2013, 5, 14))
    assert (large.place, large.because) == ("not planned", shown["idea/large"]["because"])
    assert vague == PlannedItem(
        key="idea/vague",
        title="Do something",
        origin="idea",
        team="flow",
        place="cannot be planned",
        because=str(shown["idea/vague"]["because"]),
        value_source="person/Ada",
        effort_source="person/Ada",
    )


def test_a_plan_comes_back_as_it_was_written(workspace: Workspace) -> None:
    write_estimated(workspace, "quick", 50.1, 2.3, 'deadline: "2013-06-14"\n')
    publish_plan(workspace, "2013-05-01")
    (read,) = load_history(workspace, model="small").plans
    assert ReviewedPlan.from_payload(read.to_payload()) == read
    (item,) = read.items
    assert (item.value_per_week, item.effort_days) == (Spread(25.05, 50.1, 100.2), Spread(2.3, 2.3, 2.3))


def test_the_second_plan_says_what_moved_and_what_people_want(workspace: Workspace) -> None:
    write_estimated(workspace, "quick", 50, 2)
    publish_plan(workspace, "2013-05-01")
    write_estimated(workspace, "later", 40, 2)
    with open_ledger(workspace.ledger) as ledger:
        payload = {"place": "not planned", "until": "2013-06-01", "reason": "after the audit"}
        at = parse_instant("2013-05-01")
        ledger.append(kind=OVERRIDDEN, subject="small/idea/quick", payload=payload, actor=ADA, effective_at=at)
    publish_plan(workspace, "2013-05-15")
    read = {item.key: item for item in load_history(workspace, model="small").plans[-1].items}
    assert (read["idea/later"].place, read["idea/later"].movement) == ("planned", "new")
    assert (read["idea/quick"].place, read["idea/quick"].movement) == ("not planned", "moved")
    assert read["idea/quick"].because == "Ada wants it out until 2013-06-01: after the audit"


def test_an_item_that_is_gone_is_no_item_of_the_plan(workspace: Workspace) -> None:
    write_estimated(workspace, "quick", 50, 2)
    write_estimated(workspace, "later", 40, 2)
    publish_plan(workspace, "2013-05-01")
    (workspace.root / "ideas" / "later.yml").unlink()
    publish_plan(workspace, "2013-05-15")
    assert [[item.key for item in plan.items] for plan in load_history(workspace, model="small").plans] == [
        ["idea/quick", "idea/later"],
        ["idea/quick"],
    ]


def test_a_published_plan_is_told_to_the_ledger_once(workspace: Workspace) -> None:
    write_estimated(workspace, "quick", 50, 2)
    publish_plan(workspace, "2013-05-01")
    for _ in range(3):
        settle(workspace)
    assert [(row.subject, row.effective_at) for row in rows(workspace)] == [
        ("triage/small@1", parse_instant("2013-05-01"))
    ]
    with open_ledger(workspace.ledger) as ledger:
        assert verify(ledger).passed


def test_a_report_whose_process_died_before_the_act_is_found_by_the_next_command(workspace: Workspace) -> None:
    write_estimated(workspace, "quick", 50, 2)
    publish_plan(workspace, "2013-05-01", act=False)
    assert load_history(workspace, model="small").plans == ()
    settle(workspace)
    assert len(load_history(workspace, model="small").plans) == 1


def test_a_report_without_a_plan_is_looked_at_once_and_is_no_review(workspace: Workspace) -> None:
    for template in ("triage", "retrospective"):
        publish_records(workspace, {}, template=template, subject="small", as_of="2013-05-01T00:00:00Z")
    settle(workspace)
    assert [(row.subject, row.data) for row in rows(workspace)] == [("triage/small@1", {})]
    assert load_history(workspace, model="small").plans == ()


def test_the_act_is_kept_for_a_template_of_ones_own(workspace: Workspace) -> None:
    publish_plan(workspace, "2013-05-01", template="mine", act=False)
    with open_ledger(workspace.ledger) as ledger:
        assert list_unread(ledger) == []  # until its first report has gone through a run
        at = parse_instant("2013-05-01")
        ledger.append(kind=READ, subject="mine/other@1", payload={}, actor=ADA, effective_at=at)
        assert list_unread(ledger) == ["mine/small@1"]


def test_a_report_reads_nothing_that_was_recorded_after_its_run_began(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(workspace.ledger) as ledger:
        before = ledger.position().sequence
    publish_plan(workspace, "2013-05-01")
    monkeypatch.setenv("TOOLKIT_LEDGER_SEQUENCE", str(before))
    assert load_history(workspace, model="small").plans == ()
    monkeypatch.delenv("TOOLKIT_LEDGER_SEQUENCE")
    assert len(load_history(workspace, model="small").plans) == 1
