"""What closed items were estimated at, and what came of them: what corrections are learned from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from toolkit.records import Quantity
from toolkit.stats import Spread
from toolkit.triage.corrections import ClosedEstimate
from toolkit.triage.lifecycle.history import ItemEvent, PlanHistory, PlannedItem, ReviewedPlan


class Closed(NamedTuple):
    """Estimates beside what was realised, and of the realised numbers that have no estimate, why."""

    estimates: tuple[ClosedEstimate, ...]
    left_out: tuple[str, ...]


def closed_estimates(history: PlanHistory, as_of: datetime) -> Closed:
    """Of the items that were done by an instant with numbers of what they brought or took: what was estimated of them.

    The estimate is the range as given in the first plan in which the item was planned: by that it was chosen. What was
    never planned counts as in the last plan before it was done. Plans of later instants count for nothing.
    """
    plans = history.plans_before(as_of)
    estimates, left_out = [], []
    for key, standing in sorted(history.standings(as_of).items()):
        if standing.state != "done" or standing.closed is None:
            continue
        found = _estimated_in(plans, key, standing.closed.at)
        for quantity, realised in _realised(standing.closed):
            estimate = _pair(key, quantity, realised, standing.closed.unit, found)
            if isinstance(estimate, str):
                left_out.append(f"{quantity} of {key}: {estimate}")
            else:
                estimates.append(estimate)
    return Closed(tuple(estimates), tuple(left_out))


def _estimated_in(plans: tuple[ReviewedPlan, ...], key: str, done: datetime) -> PlannedItem | None:
    """The item in the plan whose estimate counts."""
    seen = [item for plan in plans if plan.as_of <= done for item in plan.items if item.key == key]
    planned = [each for each in seen if each.place == "planned"]
    return planned[0] if planned else seen[-1] if seen else None


def _realised(done: ItemEvent) -> Iterator[tuple[Quantity, float]]:
    if done.value_per_week is not None:
        yield "value", done.value_per_week
    if done.effort_days is not None:
        yield "effort", done.effort_days


def _pair(key: str, quantity: Quantity, realised: float, unit: str, item: PlannedItem | None) -> ClosedEstimate | str:
    """The estimate beside what was realised, or why there is none."""
    if item is None:
        return "no plan had it before it was done"
    given: Spread | None = item.value_per_week if quantity == "value" else item.effort_days
    source = item.value_source if quantity == "value" else item.effort_source
    if given is None or not source:
        return "nobody had estimated it"
    if quantity == "value" and unit and unit != item.unit:
        return f"realised in {unit}, estimated in {item.unit}"
    return ClosedEstimate(key, source, quantity, given, realised)
