"""Shrinkage of a backlog's estimates: what all of them together make believable of each.

The highest values and the lowest efforts are partly luck, and a plan picks exactly those. So before planning each
estimate is drawn towards the backlog's centre, the more the wider its range is against how far the items lie apart.
Ranks and their probabilities come of the shrunken ranges too; what was given stays beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from toolkit.display import format_number
from toolkit.records import Quantity, ResultRow
from toolkit.stats import Spread, shrink_spreads
from toolkit.triage.plannable import Plannable

FEWEST_ITEMS = 8
"""Of fewer estimates it cannot be told how far the items truly lie apart, and nothing is shrunken."""


class ShrunkenQuantity(NamedTuple):
    """By how much the estimates of a quantity were shrunken.

    Attributes
    ----------
    centre: towards which, in `unit`. kept: what is left of the distance from it, as a mean over the `n` estimates.
    """

    quantity: Quantity
    centre: float
    kept: float
    n: int
    unit: str

    @property
    def text(self) -> str:
        """By how much, and why."""
        return (
            f"The {self.n} {self.quantity} estimates keep {format_number('kept_share', self.kept)} of their distance "
            f"from {format_number(self.quantity, self.centre)} {self.unit}: by their ranges, the rest is luck."
        )

    def to_rows(self, key: str) -> list[ResultRow]:
        """The same as rows under this key."""
        return [
            ResultRow(key, f"{self.quantity}_centre", self.centre, unit=self.unit, n=self.n),
            ResultRow(key, f"{self.quantity}_kept_share", self.kept, unit="share", n=self.n),
        ]


class ShrunkenEstimates(NamedTuple):
    """What can be planned with its estimates shrunken, and by how much they were; nothing where there are too few."""

    plannable: Plannable
    quantities: tuple[ShrunkenQuantity, ...]


def shrink_estimates(plannable: Plannable) -> ShrunkenEstimates:
    """The items with values and efforts as the whole backlog makes them believable; what was given stays as raw."""
    items = plannable.items
    values, of_values = shrink_quantity([each.value for each in items.values()], "value", f"{plannable.unit} a week")
    efforts, of_efforts = shrink_quantity([each.effort for each in items.values()], "effort", "days")
    found = {
        key: replace(each, value=value, effort=effort)
        for (key, each), value, effort in zip(items.items(), values, efforts, strict=True)
    }
    return ShrunkenEstimates(plannable._replace(items=found), (*of_values, *of_efforts))


def shrink_quantity(
    spreads: Sequence[Spread], quantity: Quantity, unit: str = ""
) -> tuple[tuple[Spread, ...], tuple[ShrunkenQuantity, ...]]:
    """Estimates of one quantity, in order, and by how much they were shrunken: by nothing with fewer than
    `FEWEST_ITEMS` that can be, which are those above 0 whose range has a width.

    >>> spreads, (found,) = shrink_quantity([Spread(each / 3, each, each * 3) for each in range(1, 9)], "effort")
    >>> [round(each.likely, 1) for each in spreads], round(found.kept, 2), found.n
    ([2.2, 2.9, 3.4, 3.9, 4.2, 4.6, 4.9, 5.1], 0.41, 8)
    """
    able = [at for at, each in enumerate(spreads) if 0 < each.low < each.high]
    if len(able) < FEWEST_ITEMS:
        return tuple(spreads), ()
    shrunken = shrink_spreads(spreads)
    assert shrunken.centre is not None
    kept = sum(shrunken.kept[at] for at in able) / len(able)
    return shrunken.spreads, (ShrunkenQuantity(quantity, shrunken.centre, kept, len(able), unit),)
