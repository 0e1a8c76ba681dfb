"""Why items are in a plan or out of it: what would change that in their value, their effort or their team's capacity.

All of it is found by solving again, and a solution takes the longer the more items there are. So of up to
`ALL_EXPLAINED` items each is explained; of more, fewer and fewer of those nearest to the line between what is planned
and what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.display import format_count, format_number
from toolkit.records import ResultRow, number_row
from toolkit.triage.capacity_programme import Programme
from toolkit.triage.programme_reasons import Threshold, capacities_to_flip, effort_to_flip, why
from toolkit.triage.programme_solver import Choice

ALL_EXPLAINED = 40
"""Items up to which each is explained, which takes a few seconds; of three times as many a ninth of that."""

_MOST_STEPS = 10
"""Days more or fewer that are looked into, of as many items."""


@dataclass(frozen=True)
class ItemReason:
    """What would change an item's place in the plan.

    Attributes
    ----------
    chosen: whether it is planned. value: what it would have to be worth. effort: the multiple of its effort that it
        would have to take. capacity: how many days more or fewer each of its resources would have to have.
    """

    chosen: bool
    value: Threshold
    effort: Threshold
    capacity: Threshold
    resources: tuple[str, ...]

    def text(self, unit: str) -> str:
        """What would change its place, in words; where no value does, first why not."""
        ways = self._ways(unit)
        changes = f"{'out' if self.chosen else 'in'} {', or '.join(ways)}" if ways else ""
        return "; ".join(each for each in (self.value.reason, changes) if each)

    def _ways(self, unit: str) -> list[str]:
        ways, chosen = [], self.chosen
        if self.value.value is not None:
            value = f"{format_number('value', self.value.value)} {unit} a week"
            ways.append(f"below {value}" if chosen else f"from {value}")
        if self.effort.value is not None:
            share = format_number("effort_share", self.effort.value)
            ways.append(f"{'above' if chosen else 'at'} {share} of its effort")
        if self.capacity.value is not None:
            days = format_count(round(abs(self.capacity.value)), "fewer day" if chosen else "more day")
            ways.append(f"with {days} of {' and of '.join(self.resources)}")
        return ways


def explain(
    wished: Programme, programme: Programme, choice: Choice, ranks: Mapping[str, float]
) -> dict[str, ItemReason]:
    """Why the items of a plan are in or out; of many, those nearest to the line.

    Parameters
    ----------
    wished: with floors as the teams wish them. programme: with those that can be reached, of which `choice` is the best
        plan. ranks: by item, of those whose place is to be explained.
    """
    last = len(choice.chosen)
    nearest = sorted(ranks, key=lambda key: (abs(ranks[key] - last), key))[: most_explained(len(ranks))]
    steps = max(1, _MOST_STEPS * ALL_EXPLAINED // max(len(ranks), ALL_EXPLAINED))
    capacities = capacities_to_flip(wished, choice, nearest, most_steps=steps)
    return {
        each.key: ItemReason(
            each.chosen,
            Threshold(each.flip_value, each.optimal, each.reason),
            effort_to_flip(programme, choice, each.key, known=each),
            capacities[each.key],
            tuple(sorted(programme.by_key[each.key].effort_days)),
        )
        for each in why(programme, choice, nearest)
    }


def flip_rows(key: str, found: ItemReason | None, unit: str, *, reason: str) -> list[ResultRow]:
    """The value, the share of the effort and the days of capacity at which an item's place changes.

    Parameters
    ----------
    reason: why nothing is known of it, where nothing was found.
    """
    value = effort = capacity = Threshold(None, True, reason)
    if found is not None:
        value, effort, capacity = found.value, found.effort, found.capacity
    return [
        number_row(value.value, value.reason, key=key, statistic="flip_value", unit=f"{unit} a week"),
        number_row(effort.value, effort.reason, key=key, statistic="flip_effort_share", unit="share"),
        number_row(capacity.value, capacity.reason, key=key, statistic="flip_capacity_days", unit="days"),
    ]


def most_explained(items: int) -> int:
    """Of so many items, how many are explained.

    >>> [most_explained(items) for items in (10, 40, 120, 500)]
    [10, 40, 4, 0]
    """
    return min(items, ALL_EXPLAINED**3 // max(items, ALL_EXPLAINED) ** 2)


def not_explained(explained: int) -> str:
    """Why nothing is said of an item, where so many others are explained."""
    nearest = f"only the {format_count(explained, 'item')} nearest to the line are"
    return f"not looked into: {nearest if explained else 'with so many items it would take too long'}"
