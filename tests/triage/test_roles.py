"""Capacity by role: how teams and items say it, what is asked for, and that plans hold to each role."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from made_signals import arrange, calibration, drift
from triage.written_ideas import write_debt, write_estimated, write_idea

from conftest import TEAMS
from toolkit.debt import backlog_items, load_items, review
from toolkit.errors import ArgumentError, DefinitionError
from toolkit.triage import Backlog, BacklogItem, CapacityPlan, Range, Value, backlog, load_ideas, load_teams
from toolkit.triage.planning import plan_capacity
from toolkit.workspace import Workspace

ROLES = "    roles: {data scientist: 3, engineer: 2}\n"
HALVES = "roles: {data scientist: 0.5, engineer: 0.5}\n"
ONLY_SCIENCE, ONLY_ENGINEERING = "roles: {data scientist: 1}\n", "roles: {engineer: 1}\n"
PRINCIPAL = "principal_days: {low: 1, likely: 2, high: 3}\n"


def divide(workspace: Workspace, roles: str = ROLES) -> None:
    """The team of the workspace, with the 5 days that it has divided into roles."""
    (workspace.root / "teams.yml").write_text(TEAMS.replace("    models:", f"{roles}    models:"))


def plan(workspace: Workspace) -> CapacityPlan:
    return plan_capacity(workspace, backlog(workspace, arrange(), model="small"), model="small", as_of="2013-05-01")


def teams_error(workspace: Workspace) -> str:
    with pytest.raises(DefinitionError) as caught:
        load_teams(workspace)
    return str(caught.value)


def test_roles_add_up_to_the_capacity(workspace: Workspace) -> None:
    divide(workspace)
    assert load_teams(workspace)["flow"].roles == {"data scientist": 3, "engineer": 2}
    divide(workspace, "    roles: {data scientist: 3, engineer: 3}\n")
    assert teams_error(workspace) == (
        "teams.yml:7: roles: they add up to 6 days, and capacity_days is 5; make them agree"
    )
    divide(workspace, "    roles: {data scientist: 5, engineer: 0}\n")
    assert teams_error(workspace) == "teams.yml:7: teams.flow.roles.engineer is 0: input should be greater than 0"


def test_estimates_of_a_team_are_in_its_roles(workspace: Workspace) -> None:
    estimate = "calibration: {effort_days: {low: 2, likely: 3, high: 5}"
    divided = TEAMS.replace(estimate, f"{estimate}, roles: {{enginer: 1}}")
    (workspace.root / "teams.yml").write_text(divided)
    assert teams_error(workspace) == (
        "teams.yml:9: roles: team flow has none; take them out, or divide its 5 days into roles"
    )
    (workspace.root / "teams.yml").write_text(divided.replace("    models:", f"{ROLES}    models:"))
    assert teams_error(workspace) == (
        "teams.yml:10: roles: unknown role 'enginer'; allowed: data scientist, engineer. Did you mean 'engineer'?"
    )


def test_a_slash_is_for_roles(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").write_text(TEAMS.replace("  flow:", "  flow/b:"))
    assert teams_error(workspace) == (
        "teams.yml:2: team flow/b: a key has no slash, which stands between a team and its role"
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("roles: {engineer: 0.5}\n", "roles is {'engineer': 0.5}: the shares add up to 0.5, must add up to 1"),
        ("roles: {engineer: 0}\n", "roles.engineer is 0: input should be greater than 0"),
        (
            "roles: {engineer: 0.5, data scientits: 0.5}\n",
            "roles: unknown role 'data scientits'; allowed: data scientist, engineer. Did you mean 'data scientist'?",
        ),
    ],
)
def test_an_item_says_its_shares_by_role(workspace: Workspace, said: str, message: str) -> None:
    divide(workspace)
    write_idea(workspace, "a", said)
    with pytest.raises(DefinitionError) as caught:
        load_ideas(workspace)
    assert str(caught.value) == f"ideas/a.yml:8: {message}"
    write_debt(workspace, PRINCIPAL + said)
    with pytest.raises(DefinitionError) as caught:
        load_items(workspace)
    assert str(caught.value) == f"debt/old.yml:9: {message}"


def test_a_team_without_roles_has_no_item_with_them(workspace: Workspace) -> None:
    write_idea(workspace, "a", HALVES)
    with pytest.raises(DefinitionError) as caught:
        load_ideas(workspace)
    assert str(caught.value) == (
        "ideas/a.yml:8: roles: team flow has none; take them out, or divide its 5 days into roles"
    )


def test_who_did_not_say_the_roles_is_asked_for_them(workspace: Workspace) -> None:
    divide(workspace)
    write_estimated(workspace, "vague", 10, 1)
    write_estimated(workspace, "clear", 10, 1, HALVES)
    write_debt(workspace, PRINCIPAL + "interest_days_per_month: {low: 1, likely: 2, high: 3}\n")
    debt = backlog_items(workspace, review(load_items(workspace), as_of="2013-05-01"), model="small")
    found = backlog(workspace, arrange(calibration(350.0), drift("temp_f")), model="small", debt=debt)
    asked = {item.key: item.lacks["roles"] for item in found.items if "roles" in item.lacks}
    assert asked == {
        "debt/old": "ask Bea: roles in debt/old.yml",
        "idea/vague": "ask Ada: roles in ideas/vague.yml",
        "signal/calibration": "ask Ada: estimates.calibration.roles of team flow in teams.yml",
        "signal/drift:temp_f": "ask Ada: estimates.drift.roles of team flow in teams.yml",
    }
    rows = {(row.key, row.statistic): row for row in found.to_rows()}
    assert rows["idea/vague", "roles"].reason == "not estimated: ask Ada: roles in ideas/vague.yml"
    assert rows["idea/clear", "engineer_share"].value == 0.5
    said = {line["item"]: line["roles"] for line in found.to_table()}
    assert said["idea/vague"] == "absent: ask Ada: roles in ideas/vague.yml"
    assert said["idea/clear"] == "50 % data scientist, 50 % engineer"
    write_idea(workspace, "idle")
    assert plan(workspace).plannable.reasons == {
        "idea/idle": "it lacks an estimate of value, effort and roles",
        "idea/vague": "it lacks an estimate of roles",
    }


def test_teams_without_roles_hear_nothing_of_them(workspace: Workspace) -> None:
    write_estimated(workspace, "plain", 10, 1)
    found = backlog(workspace, arrange(), model="small")
    assert "roles" not in found.to_table()[0]
    assert not any("roles" in row.statistic or row.statistic.endswith("_share") for row in found.to_rows())
    assert [row.key for row in plan(workspace).to_rows() if row.statistic == "used_days"] == ["flow"]


def test_one_role_binds_where_the_team_as_a_whole_would_have_room(workspace: Workspace) -> None:
    for key, value in (("one", 50), ("two", 40), ("three", 30)):
        write_estimated(workspace, key, value, 1.5, ONLY_ENGINEERING)
    write_estimated(workspace, "study", 5, 2, ONLY_SCIENCE)
    divide(workspace)
    found = plan(workspace)
    assert found.choice.chosen == ("idea/one", "idea/study")
    rows = {(row.key, row.statistic): row.value for row in found.to_rows()}
    assert (rows["flow", "capacity_days"], rows["flow", "used_days"]) == (5, 3.5)
    assert (rows["flow/engineer", "capacity_days"], rows["flow/engineer", "used_days"]) == (2, 1.5)
    assert (rows["flow/data scientist", "capacity_days"], rows["flow/data scientist", "used_days"]) == (3, 2)
    assert rows["flow/engineer", "price_of_capacity"] == pytest.approx(40)
    assert rows["flow/data scientist", "price_of_capacity"] == pytest.approx(0, abs=1e-9)
    assert found.text.startswith(
        "Flow, 3.5 of 5 days in 14 (data scientist 2 of 3, engineer 1.5 of 2): Do one (1.5 days), Do study (2 days). "
    )
    because = {line["item"]: line["because"] for line in found.to_table()}
    assert because["idea/two"] == (
        "in from 50 EUR a week, or at 33.3 % of its effort, or with 1 more day of flow/engineer"
    )


def test_what_must_be_done_names_the_role_that_it_does_not_fit(workspace: Workspace) -> None:
    divide(workspace)
    write_estimated(workspace, "law", 1, 3, 'roles: {engineer: 1}\ndeadline: "2013-05-14"\nmust_do: true\n')
    with pytest.raises(ArgumentError) as caught:
        plan(workspace)
    assert str(caught.value) == (
        "the must-do tasks do not fit: 'flow/engineer' has 2 days, and they take 3: 'idea/law' (3 days); raise the "
        "capacity, move a deadline, or make a task smaller"
    )


def test_a_least_share_counts_the_days_of_all_roles(workspace: Workspace) -> None:
    divide(workspace, ROLES + "    floors: {model: 0.8}\n")
    write_estimated(workspace, "both", 1, 4, HALVES)
    found = plan(workspace)
    assert (found.choice.chosen, found.lowered) == (("idea/both",), "")


def random_items(seed: int) -> list[BacklogItem]:
    rng = np.random.default_rng(seed)
    items = []
    for index in range(7):
        share = float(rng.choice([0.25, 0.5, 0.75, 1.0]))
        roles = {"engineer": share} | ({"data scientist": 1 - share} if share < 1 else {})
        days, worth = (round(float(number), 2) for number in (rng.uniform(0.3, 2), rng.uniform(1, 9)))
        key = f"idea/{index}"
        value, effort = Value(low=worth, likely=worth, high=worth, unit="EUR"), Range(low=days, likely=days, high=days)
        items.append(
            BacklogItem(
                key, "idea", "model", key, "Ada", "flow", key, value_per_week=value, effort_days=effort, roles=roles
            )
        )
    return items


@pytest.mark.parametrize("seed", range(8))
def test_no_set_that_fits_each_role_is_worth_more(workspace: Workspace, seed: int) -> None:
    divide(workspace)
    items = random_items(seed)
    fitting = [
        sum(item.value_per_week.likely for item in some if item.value_per_week)
        for size in range(len(items) + 1)
        for some in combinations(items, size)
        if all(
            sum(item.effort_days.likely * item.roles.get(role, 0) for item in some if item.effort_days) <= days + 1e-9
            for role, days in {"data scientist": 3, "engineer": 2}.items()
        )
    ]
    found = plan_capacity(workspace, Backlog(tuple(items)), model="small", as_of="2013-05-01")
    assert found.choice.value == pytest.approx(max(fitting))
    whole = sum(item.effort_days.likely for item in items if item.effort_days)
    assert whole > 5  # not everything fits
