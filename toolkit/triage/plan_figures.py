"""The figure of a capacity plan: value against effort, how the capacity is used, and how sure the ranks are.

One picture, because the numbers of its first panel are names only by the third.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.display import PALETTE, Picture, format_number, picture, shortened
from toolkit.stats import Spread
from toolkit.triage.teams import resources_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from toolkit.triage.capacity_plan import CapacityPlan
    from toolkit.triage.plannable import Estimated

PLANNED, WAITING, LEAST = PALETTE[0], PALETTE[1], PALETTE[3]
"""The colours of what is planned, of what is not, and of least shares."""

MOST_DRAWN = 30
"""Items that are drawn: those with the first ranks."""

_SCATTER, _BAR, _LINE, _MARGIN = 3.4, 0.4, 0.21, 0.75
"""Heights in inches: of the first panel, of a resource and of an item in the others, and of each panel's margins."""

_MARKER = 11
_STEPS = ((0, 0), (10, 8), (-10, 8), (10, -8), (-10, -8), (0, 13), (0, -13), (17, 0), (-17, 0))
"""Points: the size of a marker, and where its number may stand, the first that is free."""

_LONGEST = 34
"""Letters of a name that are shown; what is longer ends in an ellipsis."""

_WIDE = 10.0
"""From so many times between the smallest and the largest on, an axis is logarithmic."""


class DrawnItem(NamedTuple):
    """An item as it is drawn: `number` stands for it where its name has no room.

    Attributes
    ----------
    worth: per week, its range. rank: expected; best and worst are the ends of its range.
    """

    number: int
    key: str
    planned: bool
    worth: Spread
    days: Spread
    rank: float
    best: int
    worst: int
    tier: int

    def text(self, unit: str) -> str:
        """All that is drawn of it, in words."""
        return (
            f"{self.number} {self.key} {_range('value', self.worth)} {unit} for {_range('days', self.days)} days, rank "
            f"{self.rank:.1f} ({self.best} to {self.worst}), tier {self.tier}, "
            f"{'planned' if self.planned else 'not planned'}"
        )


class DrawnResource(NamedTuple):
    """A team, or a role of it, and what takes its days: by item, those of a kind with a least share first.

    Attributes
    ----------
    taken: days by key of item. least: by kind, where in the bar its least share ends, in days.
    """

    name: str
    capacity_days: float
    taken: Mapping[str, float]
    least: Mapping[str, float]

    @property
    def text(self) -> str:
        """All that is drawn of it, in words."""
        used = format_number("days", sum(self.taken.values()))
        said = [f"{key} {format_number('days', days)}" for key, days in self.taken.items()]
        said += [f"least {kind} up to {format_number('days', ends)}" for kind, ends in self.least.items()]
        return f"{self.name} {used} of {self.capacity_days:g} days" + (f" ({', '.join(said)})" if said else "")


def draw_capacity_plan(plan: CapacityPlan) -> Picture:
    """The figure of a plan that has items, and all of it in words."""
    ranked = sorted(plan.ordered, key=lambda each: (plan.places[each.item.key].rank, each.item.key))
    items = [_drawn(plan, each, number) for number, each in enumerate(ranked[:MOST_DRAWN], start=1)]
    resources = _resources(plan)
    left_out = "" if len(items) == len(ranked) else f"{len(items)} of {len(ranked)} items are drawn, the first by rank"
    return picture(
        lambda figure: _draw(figure, items, resources, plan.plannable.unit, left_out),
        name="capacity_plan",
        alt=_in_words(plan.plannable.unit, items, resources, left_out),
        height_inches=_SCATTER + len(resources) * _BAR + len(items) * _LINE + 2 * _MARGIN,
    )


def _drawn(plan: CapacityPlan, each: Estimated, number: int) -> DrawnItem:
    key, risk = each.item.key, each.risk.mean
    worth = Spread(*(end + risk for end in each.value))
    place = plan.places[key]
    planned = key in plan.choice.chosen
    return DrawnItem(number, key, planned, worth, each.effort, place.rank, place.best, place.worst, place.tier)


def _resources(plan: CapacityPlan) -> list[DrawnResource]:
    """Every team, or each of its roles. A least share is of the whole team: with roles it has no place in a bar."""
    found = []
    for key, team in plan.teams.items():
        shares = {} if team.roles else team.floors
        floors = {kind: share * team.capacity_days for kind, share in shares.items() if share}
        for resource, capacity in resources_of(key, team).items():
            chosen = [
                (each.item.kind, each.item.key, each.days * each.item.resources[resource])
                for each in plan.ordered
                if each.item.key in plan.choice.chosen and resource in each.item.resources
            ]
            order = [*floors, *(kind for kind, _, _ in chosen if kind not in floors)]
            taken: dict[str, float] = {}
            least: dict[str, float] = {}
            for kind in dict.fromkeys(order):
                if kind in floors:
                    least[kind] = sum(taken.values()) + floors[kind]
                taken |= {item: days for of, item, days in chosen if of == kind}
            found.append(DrawnResource(resource, capacity, taken, least))
    return found


def _in_words(unit: str, items: Sequence[DrawnItem], resources: Sequence[DrawnResource], left_out: str) -> str:
    shown = "Value and risk per week against effort, with ranges of 80 %, and the expected rank"
    ranked = "; ".join([*(each.text(unit) for each in items), *([left_out] if left_out else [])])
    return f"{shown}: {ranked}. How the capacity is used: {'; '.join(each.text for each in resources)}."


def _range(name: str, spread: Spread) -> str:
    low, likely, high = (format_number(name, each) for each in spread)
    return f"{likely} ({low} to {high})"


def _draw(
    figure: Figure, items: Sequence[DrawnItem], resources: Sequence[DrawnResource], unit: str, left_out: str
) -> None:
    """The three panels under each other; `left_out` says what is not drawn."""
    heights = [_SCATTER, len(resources) * _BAR + _MARGIN, len(items) * _LINE + _MARGIN]
    worth, capacity, ranks = figure.subplots(3, 1, height_ratios=heights)
    numbers = {each.key: each.number for each in items}
    _draw_worth(worth, items, unit)
    _draw_capacity(capacity, resources, numbers)
    _draw_ranks(ranks, items, left_out)


def _draw_worth(axes: Axes, items: Sequence[DrawnItem], unit: str) -> None:
    """Value and risk per week against effort, with ranges; what is planned in another colour."""
    for planned, colour, label in ((False, WAITING, "not planned"), (True, PLANNED, "planned")):
        some = [each for each in items if each.planned is planned]
        if not some:
            continue
        axes.errorbar(
            [each.days.likely for each in some],
            [each.worth.likely for each in some],
            yerr=_reach([each.worth for each in some]),
            xerr=_reach([each.days for each in some]),
            fmt="o",
            markersize=_MARKER,
            color=colour,
            ecolor=(colour, 0.35),
            label=label,
            elinewidth=1,
        )
    if _is_wide([each.days for each in items]):
        _make_logarithmic(axes, "x")
    if _is_wide([each.worth for each in items]):
        _make_logarithmic(axes, "y")
    _write_numbers(axes, items)
    axes.set(title="Value against effort", xlabel="effort, person-days", ylabel=f"value and risk, {unit} a week")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, markerscale=0.6)


def _make_logarithmic(axes: Axes, name: Literal["x", "y"]) -> None:
    """Ticks at 1, 2 and 5, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set(**{f"{name}scale": "log"})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,g}"))


def _write_numbers(axes: Axes, items: Sequence[DrawnItem]) -> None:
    """Each number on its marker, or beside it where it would be on another's."""
    axes.autoscale_view()  # else the limits are those of an empty panel until it is drawn
    points_per_pixel = 72 / axes.figure.dpi
    at = axes.transData.transform([(each.days.likely, each.worth.likely) for each in items]) * points_per_pixel
    taken: list[tuple[float, float]] = []
    for each, (x, y) in zip(items, at, strict=True):
        others = [*taken, *((other, upper) for other, upper in at if (other, upper) != (x, y))]
        beside = next((step for step in _STEPS if _is_free(x + step[0], y + step[1], others)), _STEPS[0])
        taken.append((x + beside[0], y + beside[1]))
        axes.annotate(
            str(each.number),
            (each.days.likely, each.worth.likely),
            xytext=beside,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7,
            weight="bold",
            color="white" if beside == (0, 0) else _colour(each),
            zorder=5,
        )


def _is_free(x: float, y: float, others: Sequence[tuple[float, float]]) -> bool:
    return all(math.hypot(x - other, y - upper) > _MARKER * 0.8 for other, upper in others)


def _draw_capacity(axes: Axes, resources: Sequence[DrawnResource], numbers: Mapping[str, int]) -> None:
    """The days of each team or role by item, beside its capacity; where a least share ends is marked."""
    most = max(max(each.capacity_days, sum(each.taken.values())) for each in resources)
    for row, resource in enumerate(resources):
        axes.barh(row, resource.capacity_days, height=0.62, color="none", edgecolor=PALETTE[4])
        begins = 0.0
        for key, days in resource.taken.items():
            axes.barh(row, days, left=begins, height=0.5, color=PLANNED, edgecolor="white", linewidth=1)
            if days > 0.03 * most:
                name = str(numbers.get(key, "…"))
                axes.text(begins + days / 2, row, name, ha="center", va="center", fontsize=7, color="white")
            begins += days
        for at, (kind, ends) in enumerate(resource.least.items()):
            axes.plot([ends, ends], [row - 0.4, row + 0.4], color=LEAST, linewidth=1.5)
            # Above and below the bar by turns: they may stand close to each other.
            side, va = (-0.3, "bottom") if at % 2 == 0 else (0.3, "top")
            axes.text(ends, row + side, f"least {kind} ", ha="right", va=va, fontsize=7, color=LEAST)
    axes.set_yticks(range(len(resources)), [shortened(each.name, _LONGEST) for each in resources])
    axes.set_ylim(len(resources) - 0.4, -0.6)
    axes.set(title="How the capacity is used", xlabel="person-days by item; the frame is the capacity")
    axes.grid(visible=False)


def _draw_ranks(axes: Axes, items: Sequence[DrawnItem], left_out: str) -> None:
    """The expected rank of each item with its range; every other tier on a shade."""
    from matplotlib.ticker import MaxNLocator

    for row, each in enumerate(items):
        if each.tier % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color="#e3e8ee", linewidth=0)
        axes.plot([each.best, each.worst], [row, row], color=_colour(each), alpha=0.5, linewidth=3)
        axes.plot(each.rank, row, "o", color=_colour(each), markersize=5)
    axes.set_yticks(
        range(len(items)), [f"{shortened(each.key, _LONGEST)}  {each.number}" for each in items], fontsize=8
    )
    axes.set_ylim(len(items) - 0.5, -0.5)
    label = "rank: expected, and its range of 80 %; a change of shade is a new tier"
    axes.set(title="How sure the ranks are", xlabel=f"{label}\n{left_out}" if left_out else label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x")


def _colour(item: DrawnItem) -> str:
    return PLANNED if item.planned else WAITING


def _is_wide(spreads: Sequence[Spread]) -> bool:
    lowest = min(each.low for each in spreads)
    return lowest > 0 and max(each.high for each in spreads) > _WIDE * lowest


def _reach(spreads: Sequence[Spread]) -> list[list[float]]:
    """How far each reaches below and above what is likely."""
    return [[each.likely - each.low for each in spreads], [each.high - each.likely for each in spreads]]
