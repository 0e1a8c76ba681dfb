"""A signal or an idea of the backlog as a drafted debt item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_signals import arrange, calibration, drift
from published_signals import publish_records
from triage.written_ideas import make_workspace, write_idea

from toolkit.debt import backlog_items, load_items, review
from toolkit.debt.draft import draft_debt
from toolkit.errors import ArgumentError
from toolkit.triage import PlannedItem, ReviewedPlan, backlog, load_history, plan_capacity
from toolkit.triage.drafts import Draft, write_draft
from toolkit.workspace import Workspace

GROUPS = replace(arrange(calibration(350.0), drift("temp_f")), model="small")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With a published plan: two signals and an idea."""
    workspace = make_workspace(tmp_path)
    write_idea(
        workspace, "tidy", "effort_days: {low: 1, likely: 2.5, high: 5}\n", kind="data", title="'Tidy \"it\": #up'"
    )
    items = backlog(workspace, GROUPS, model="small")
    plan = plan_capacity(workspace, items, model="small", as_of="2013-05-01")
    records = {"groups": GROUPS, "backlog": items, "plan": plan}
    publish_records(workspace, records, template="triage", subject="small", as_of="2013-05-01T00:00:00Z")
    return workspace


def reviewed(workspace: Workspace, key: str) -> tuple[ReviewedPlan, PlannedItem]:
    (plan,) = load_history(workspace, model="small").plans
    return plan, next(item for item in plan.items if item.key == key)


def drafted(workspace: Workspace, key: str, *, named: str | None = None, owner: str = "Ada") -> Draft:
    plan, item = reviewed(workspace, key)
    draft = draft_debt(workspace, plan, item, owner=owner, key=named)
    write_draft(workspace, draft)
    return draft


def test_a_signal_becomes_debt_that_the_next_triage_merges_with_it(workspace: Workspace) -> None:
    draft = drafted(workspace, "signal/calibration", named="stale-fit")
    assert draft.path == "debt/stale-fit.yml"
    item = load_items(workspace)["stale-fit"]
    assert (item.title, item.kind, item.owner, item.team, item.model) == (
        "Recalibrate the scores",
        "model",
        "Ada",
        "flow",
        "small",
    )
    assert (str(item.opened_on), item.evidence, item.signals) == (
        "2013-05-01",
        ("triage/small@1",),
        ("calibration",),
    )
    assert (item.principal_days and item.principal_days.likely, item.interest_days_per_month) == (3, None)
    debt = backlog_items(workspace, review(load_items(workspace), as_of="2013-05-08"), model="small")
    found = backlog(workspace, GROUPS, model="small", debt=debt)
    assert [each.key for each in found.items] == ["signal/drift:temp_f", "idea/tidy", "debt/stale-fit"]
    assert found.items[-1].settles == ("calibration",)


def test_what_nobody_said_is_asked_for(workspace: Workspace) -> None:
    draft = drafted(workspace, "signal/drift:temp_f", owner="")
    assert draft.path == "debt/drift-temp-f.yml"
    assert draft.to_decide == (
        "what it lies in; allowed: data, model, code, test, configuration, documentation, infrastructure, process",
        "who answers for it; nobody is known",
        "what is owed, how it came about, and what it does",
        "due_on, the last day on which it is to be paid off, if anybody promises one",
        "principal_days {low, likely, high}, the person-days to pay it off; nobody has estimated them",
        "interest_days_per_month {low, likely, high}, the person-days that it costs in each month; nobody has said",
    )
    item = load_items(workspace)["drift-temp-f"]
    assert (item.kind, item.owner, item.principal_days) == ("data", "to be named", None)


def test_a_team_with_roles_is_asked_for_them_unless_the_idea_says_them(workspace: Workspace) -> None:
    teams = workspace.root / "teams.yml"
    teams.write_text(
        teams.read_text().replace("capacity_days: 5", "capacity_days: 5\n    roles: {engineer: 3, analyst: 2}")
    )
    path = workspace.root / "ideas" / "tidy.yml"
    path.write_text(path.read_text() + "roles: {engineer: 0.75, analyst: 0.25}\n")
    assert (
        "roles, the shares of principal_days by role, which add up to 1: engineer, analyst; without them it cannot be "
        "planned"
    ) in drafted(workspace, "signal/calibration").to_decide
    drafted(workspace, "idea/tidy")
    assert load_items(workspace)["tidy"].roles == {"engineer": 0.75, "analyst": 0.25}


def test_an_idea_keeps_its_words_and_its_estimate(workspace: Workspace) -> None:
    draft = drafted(workspace, "idea/tidy")
    assert draft.to_decide[0] == "whether idea/tidy stays; it is the same work, and the backlog has both"
    item = load_items(workspace)["tidy"]
    assert (item.title, item.kind, item.description, item.evidence, item.signals) == (
        'Tidy "it": #up',
        "data",
        "It should help.",
        ("triage/small@1", "ideas/tidy.yml"),
        (),
    )
    assert item.principal_days is not None
    assert item.principal_days.likely == 2.5


def test_a_file_that_is_there_stays_as_it_is(workspace: Workspace) -> None:
    drafted(workspace, "idea/tidy")
    path = workspace.root / "debt" / "tidy.yml"
    before = path.read_bytes()
    with pytest.raises(ArgumentError) as caught:
        drafted(workspace, "idea/tidy")
    assert str(caught.value) == (
        "debt/tidy.yml is there already, and a draft is never written over it; give another --key"
    )
    assert path.read_bytes() == before


def test_debt_is_debt_already(workspace: Workspace) -> None:
    plan, item = reviewed(workspace, "idea/tidy")
    with pytest.raises(ArgumentError) as caught:
        draft_debt(workspace, plan, item._replace(key="debt/old", origin="debt"), owner="Ada")
    assert str(caught.value) == "debt/old is a debt item already: debt/old.yml"


def test_a_key_is_the_name_of_a_file(workspace: Workspace) -> None:
    with pytest.raises(ArgumentError) as caught:
        drafted(workspace, "idea/tidy", named="../tidy")
    assert str(caught.value) == ("key '../tidy' cannot be the name of a file; write it with letters, digits, - and _")
