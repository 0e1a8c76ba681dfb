"""Figures of a capacity plan."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from toolkit.display import PALETTE
from toolkit.stats import Spread
from toolkit.triage.plannable import Estimated

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_value_against_effort(figure: Figure, drawn: Sequence[Estimated], chosen: Collection[str], unit: str) -> None:
    """Value and risk per week against effort, with ranges; what is planned in another colour."""
    axes = figure.subplots()
    for planned, colour, label in ((True, PALETTE[0], "planned"), (False, PALETTE[1], "not planned")):
        some = [each for each in drawn if (each.item.key in chosen) is planned]
        if not some:
            continue
        days, worth = [each.effort.likely for each in some], [each.value.likely + each.risk.likely for each in some]
        sideways, upwards = _reach([each.effort for each in some]), _reach([each.value for each in some])
        axes.errorbar(days, worth, yerr=upwards, xerr=sideways, fmt="o", color=colour, label=label, elinewidth=1)
        for each, x, y in zip(some, days, worth, strict=True):
            axes.annotate(each.item.key, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="effort, person-days", ylabel=f"value and risk, {unit} a week")
    axes.legend(loc="upper left")


def _reach(spreads: Sequence[Spread]) -> list[list[float]]:
    """How far each reaches below and above what is likely."""
    return [[each.likely - each.low for each in spreads], [each.high - each.likely for each in spreads]]
