"""What would change an item's place and how stable a plan is, held against plans of changed input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from triage.exhausted_programmes import best_value, one_resource, task

from conftest import TEAMS
from toolkit.triage import Backlog, BacklogItem, CapacityPlan, Range, Value, plan_capacity
from toolkit.triage.item_reasons import explain, most_explained
from toolkit.triage.plan_stability import measure_stability
from toolkit.triage.programme_solver import solve
from toolkit.workspace import Workspace

SIZES = {"large": (90, 4), "middle": (60, 3), "small": (50, 2), "tiny": (8, 1)}


def item(key: str, worth: float, days: float) -> BacklogItem:
    value, effort = Value(low=worth, likely=worth, high=worth, unit="EUR"), Range(low=days, likely=days, high=days)
    return BacklogItem(key, "idea", "model", key, "Ada", "flow", key, value_per_week=value, effort_days=effort)


def plan(
    workspace: Workspace, changed: str = "", *, worth: float | None = None, times: float = 1, more_days: float = 0
) -> CapacityPlan:
    """The plan, with another value or effort of an item, or another capacity."""
    sizes = dict(SIZES)
    if changed:
        was, days = SIZES[changed]
        sizes[changed] = (was if worth is None else worth, days * times)
    team = TEAMS.replace("capacity_days: 5", f"capacity_days: {5 + more_days}") + "    floors: {debt: 0.2}\n"
    (workspace.root / "teams.yml").write_text(team)
    items = tuple(item(key, *size) for key, size in sizes.items())
    return plan_capacity(workspace, Backlog(items), model="small", as_of="2013-05-01")


@pytest.mark.parametrize("key", ["large", "small"])
def test_just_beyond_a_flip_the_place_is_another(workspace: Workspace, key: str) -> None:
    found = plan(workspace)
    rows = {row.statistic: row.value for row in found.to_rows() if row.key == key}
    planned = key in found.choice.chosen
    value, share, days = (rows[name] for name in ("flip_value", "flip_effort_share", "flip_capacity_days"))
    assert isinstance(value, float)
    assert isinstance(share, float)
    assert key in plan(workspace, key, worth=value + 0.01).choice.chosen
    assert key not in plan(workspace, key, worth=value - 0.01).choice.chosen
    assert key in plan(workspace, key, times=share * 0.999).choice.chosen
    assert key not in plan(workspace, key, times=share * 1.001).choice.chosen
    assert isinstance(days, float)
    assert (key in plan(workspace, more_days=days).choice.chosen) is not planned
    if abs(days) > 1:
        nearer = days - 1 if days > 0 else days + 1
        assert (key in plan(workspace, more_days=nearer).choice.chosen) is planned


def test_of_many_items_those_nearest_to_the_line_are_explained_and_the_others_say_so(workspace: Workspace) -> None:
    items = tuple(item(f"i{index:02}", 200 - index, 1) for index in range(60))
    (workspace.root / "teams.yml").write_text(TEAMS)
    found = plan_capacity(workspace, Backlog(items), model="small", as_of="2013-05-01")
    assert len(found.whys) == most_explained(60) == 17
    assert {"i04", "i05"} <= found.whys.keys()
    (last,) = [line for line in found.to_table() if line["item"] == "i59"]
    assert last["because"] == "not looked into: only the 17 items nearest to the line are"
    absent = {row.statistic: row.reason for row in found.to_rows() if row.key == "i59" and row.status == "absent"}
    assert absent == dict.fromkeys(("flip_value", "flip_effort_share", "flip_capacity_days"), last["because"])


def test_a_place_that_no_value_changes_says_why_and_what_else_would() -> None:
    programme = one_resource(task("large", 9, 12), task("law", 1, 2, must=True), task("bad", -1, 1))
    found = explain(programme, programme, solve(programme), {"large": 1.0, "law": 2.0, "bad": 3.0})
    assert found["large"].text("EUR") == (
        "it takes 12 days of 'core', which has 10; in at 66.7 % of its effort, or with 4 more days of core"
    )
    assert found["law"].text("EUR") == "it must be done"
    assert found["bad"].text("EUR") == "in from 0 EUR a week"


def test_regret_is_what_brute_force_loses() -> None:
    programme = one_resource(task("a", 5, 6), task("b", 4, 5), task("c", 3, 4), days=10)
    costs = np.random.default_rng(3).lognormal(1, 0.8, (3, 80))
    choice = solve(programme)
    found = measure_stability(programme, choice, costs, costs)
    assert (found.draws, found.first) == (50, 2)
    lost = []
    for column in costs[:, :50].T:
        tasks = tuple(replace(each, value=worth) for each, worth in zip(programme.tasks, column, strict=True))
        best = best_value(replace(programme, tasks=tasks))
        assert best is not None
        lost.append(best - sum(each.value for each in tasks if each.key in choice.chosen))
    assert found.regret is not None
    assert found.regret.expected == pytest.approx(np.mean(lost))
    rows = {row.statistic: row for row in found.to_rows("all", "EUR")}
    assert (rows["expected_regret"].unit, rows["expected_regret"].n) == ("EUR a week", 50)


def test_how_often_the_same_items_come_first() -> None:
    programme = one_resource(task("a", 3, 5), task("b", 2, 4), task("c", 1, 5))
    scores = np.array([[3, 3, 3, 3], [2, 4, 2, 1], [1, 1, 1, 2]])
    found = measure_stability(programme, solve(programme), scores, scores)
    assert (found.same_first, found.again) == (0.75, 0.875)
    assert found.text("EUR") == (
        "That the values are not known better is expected to cost 0.25 EUR a week, 4.55 % of the best plan; the same "
        "2 items come first again in 75 % of the draws, 87.5 % of them on average."
    )


def test_with_many_items_stability_says_that_it_was_not_looked_into() -> None:
    programme = one_resource(*(task(f"t{index}", 1 + index) for index in range(67)), days=5)
    draws = np.ones((67, 3))
    found = measure_stability(programme, solve(programme), draws, draws)
    (row,) = [row for row in found.to_rows("all", "EUR") if row.statistic == "expected_regret"]
    assert (row.value, row.reason) == (None, "not looked into: it is with up to 66 items")
    assert "not known better" not in found.text("EUR")


def test_nothing_to_plan_is_as_stable_as_nothing() -> None:
    programme = one_resource()
    found = measure_stability(programme, solve(programme), np.empty((0, 0)), np.empty((0, 0)))
    assert found.text("EUR") == ""
    reasons = [row.reason for row in found.to_rows("all", "EUR")]
    assert reasons == ["nothing can be planned", "nothing is planned", "nothing is planned"]
