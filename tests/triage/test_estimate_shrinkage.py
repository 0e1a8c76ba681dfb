"""Estimates of a backlog are drawn towards its centre before it is planned, and it is said by how much."""

from __future__ import annotations

import pytest
from made_signals import arrange
from triage.written_ideas import write_idea

from toolkit.stats import Spread, shrink_spreads
from toolkit.triage import CapacityPlan, backlog, plan_capacity
from toolkit.triage.shrinkage import FEWEST_ITEMS, shrink_quantity
from toolkit.workspace import Workspace

ESTIMATES = """\
value_per_week: {{low: {low}, likely: {value}, high: {high}, unit: EUR}}
effort_days: {{low: 1, likely: 2, high: 4}}
"""


def write(workspace: Workspace, items: int) -> None:
    for at in range(items):
        value = 20 + 10 * at
        write_idea(
            workspace, f"idea{at}", ESTIMATES.format(low=value / 3, value=value, high=value * 3), title=f"I {at}"
        )


def plan(workspace: Workspace) -> CapacityPlan:
    return plan_capacity(workspace, backlog(workspace, arrange(), model="small"), model="small", as_of="2013-05-01")


def test_with_fewer_than_the_least_number_nothing_changes(workspace: Workspace) -> None:
    write(workspace, FEWEST_ITEMS - 1)
    found = plan(workspace)
    assert found.shrunken == ()
    assert all(each.value == each.raw_value for each in found.plannable.items.values())
    assert "luck" not in found.text


def test_from_the_least_number_on_values_are_drawn_together_and_it_is_said(workspace: Workspace) -> None:
    write(workspace, FEWEST_ITEMS)
    found = plan(workspace)
    items = list(found.plannable.items.values())
    assert [each.value for each in items] == list(shrink_spreads([each.raw_value for each in items]).spreads)
    raw, drawn = ([of(each).likely for each in items] for of in (lambda each: each.raw_value, lambda each: each.value))
    assert min(raw) < min(drawn) < max(drawn) < max(raw)
    value, effort = found.shrunken
    assert (value.quantity, value.n, effort.quantity, effort.unit) == ("value", 8, "effort", "days")
    assert found.text.endswith(f"{value.text} {effort.text}")
    rows = {(row.key, row.statistic): row.value for row in found.to_rows()}
    assert rows["all", "value_kept_share"] == value.kept
    assert rows["idea/idea7", "raw_value_per_week"] == 90
    assert rows["idea/idea7", "value_per_week"] == items[7].value.likely < 90
    assert "130 EUR" in str(found.to_table()[0]["cost_of_delay_per_week"])


def test_the_sentence_says_by_how_much_and_why() -> None:
    _, (found,) = shrink_quantity([Spread(each / 3, each, each * 3) for each in range(1, 9)], "effort", "days")
    assert found.text == (
        "The 8 effort estimates keep 41 % of their distance from 3.764 days: by their ranges, the rest is luck."
    )


@pytest.mark.parametrize("without", [Spread(0, 0, 0), Spread(3, 3, 3), Spread(-1, 2, 4)])
def test_what_has_no_range_above_zero_neither_counts_nor_moves(without: Spread) -> None:
    seven = [Spread(each / 3, each, each * 3) for each in range(1, 8)]
    assert shrink_quantity([*seven, without], "value") == ((*seven, without), ())
    spreads, (found,) = shrink_quantity([*seven, without, Spread(3, 8, 20)], "value")
    assert (spreads[7], found.n) == (without, 8)
