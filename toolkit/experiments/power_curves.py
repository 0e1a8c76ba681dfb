"""The figures of a design: power against the effect, what can be seen when, looks with their bounds, and A/A splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE, Picture, format_number, picture

if TYPE_CHECKING:
    from toolkit.experiments.design import ExperimentDesign
    from toolkit.experiments.sizing import MetricDesign
    from toolkit.experiments.splits import SplitCheck

_SUBJECT, _MARK, _GOOD, _BAD, _QUIET, _PALE = PALETTE
_POINTS = 81


def draw_power(design: ExperimentDesign) -> Picture | None:
    """The primary's power against the true effect, at the end of the plan and at half of it; None if it is unknown."""
    primary = design.primary
    if primary.detectable is None or primary.aim.hypothesis != "different":
        return None
    days, aim, unit = design.planned_days, primary.aim, _unit(primary)
    end = 2.0 * max(aim.size, primary.detectable)
    sizes = [end * step / (_POINTS - 1) for step in range(1, _POINTS)]
    curves = {after: design.powers(primary.metric, sizes, days=after) for after in (days, max(days // 2, 1))}
    marks = {aim.source: aim.size}
    if design.plan.threshold is not None and design.plan.threshold != aim.size:
        marks["smallest effect worth shipping"] = design.plan.threshold

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for (after, powers), style, side in zip(curves.items(), ("-", (0, (4, 2))), (-1, 1), strict=False):
            axes.plot(sizes, [100 * power for power in powers], color=_SUBJECT, linestyle=style)
            _name_line(axes, sizes, [100 * power for power in powers], f"after {after} days", side)
        axes.axhline(100 * aim.power, color=_QUIET, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.text(
            end, 100 * aim.power - 1.5, f"wanted, {aim.power:.0%}", color=_QUIET, ha="right", va="top", fontsize=8
        )
        for row, (words, size) in enumerate(marks.items()):
            axes.axvline(size, color=_MARK, linewidth=1)
            told = f" {words}, {format_number('', size)}"
            paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            axes.text(size, 3 + 9 * row, told, color=_MARK, fontsize=8, bbox=paper)
        axes.set_xlim(0, end)
        axes.set_ylim(0, 104)
        axes.set_xlabel(f"true improvement of {primary.name}{unit}")
        axes.set_ylabel("power, %")
        axes.set_title(f"How likely {primary.name} is seen to be better")

    marked = ", ".join(f"{words} of {format_number('', size)}" for words, size in marks.items())
    at_end = f"{primary.power:.1%}" if primary.power is not None else "not known"
    alt = (
        f"Power of {primary.name} against its true improvement after {days} and {max(days // 2, 1)} days, "
        f"with {marked}. "
        f"At the {aim.source} the power after {days} days is {at_end}; wanted are {aim.power:.1%}."
    )
    return picture(draw, name="power", alt=alt, width_inches=8.4)


def draw_durations(design: ExperimentDesign) -> Picture | None:
    """What can be seen after so many days, of every metric as a share of what the plan wants to see of it."""
    lines = {each.metric: _reached(design, each) for each in design.metrics if each.power is not None}
    drawn = {key: line for key, line in lines.items() if line and line[0][1] >= _LOWEST}
    if not drawn:
        return None
    names = {each.metric: each.name for each in design.metrics}
    at_once = [names[key] for key, line in lines.items() if line and key not in drawn]
    last = max(days for line in drawn.values() for days, _ in line)
    colours = _colours(list(drawn), design.primary.metric)
    told = f"; within the first week: {', '.join(at_once)}" if at_once else ""
    low = min(share for line in drawn.values() for _, share in line) / 1.3
    high = min(max(share for line in drawn.values() for _, share in line) * 1.6, _HIGHEST)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axhline(1, color=_QUIET, linewidth=0.8)
        axes.axvline(design.planned_days, color=_MARK, linewidth=1)
        axes.text(design.planned_days, high, f" planned, {design.planned_days} days", color=_MARK, fontsize=8, va="top")
        for key, line in drawn.items():
            days, shares = zip(*line, strict=True)
            axes.plot(days, shares, color=colours[key], linewidth=2.2 if key == design.primary.metric else 1.3)
        places = _apart([line[-1][1] for line in drawn.values()], low, high)
        for key, place in zip(drawn, places, strict=True):
            axes.text(1.01, place, names[key], color=colours[key], fontsize=8, va="center", transform=axes.transAxes)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        ticks = [tick for tick in _TICKS if low <= tick <= high]
        axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(0, last)
        axes.set_xlabel(f"days of the experiment{told}")
        axes.set_ylabel("can be seen, % of what is to be seen")
        axes.set_title("How long it takes until each metric can tell")

    said = "; ".join(
        f"{each.name}: {f'{each.needed_days} days' if each.needed_days else 'more than two years'}"
        for each in design.metrics
        if each.metric in lines
    )
    alt = (
        f"Smallest effect or margin that can be seen, as a share of the wanted one, against days. Enough after: {said}."
    )
    return picture(draw, name="durations", alt=alt, width_inches=8.4)


def draw_looks(design: ExperimentDesign) -> Picture | None:
    """The bounds of the planned looks; None where there is one look only."""
    bounds = design.bounds
    if bounds is None:
        return None
    dates = [f"{instant:%Y-%m-%d}" for instant in design.plan.planned_looks]
    shares, reach = [100 * share for share in bounds.fractions], bounds.z
    single = design.single_reach

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for side in (1, -1):
            axes.plot(shares, [side * z for z in reach], color=_SUBJECT, marker="o")
            axes.axhline(side * single, color=_QUIET, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.axhline(0, color=_QUIET, linewidth=0.8)
        axes.text(0.5, single, " a single look", color=_QUIET, fontsize=8, va="bottom")
        for share, z, day in zip(shares, reach, dates, strict=True):
            axes.annotate(
                f"{day}\n±{z:.2f}", (share, z), xytext=(0, 7), textcoords="offset points", fontsize=8, ha="center"
            )
        axes.set_xlim(0, 108)
        axes.set_ylim(-max(reach) * 1.15, max(reach) * 1.35)
        axes.set_xlabel("units so far, % of those at the end")
        axes.set_ylabel("standard errors from zero")
        axes.set_title("How far each look must be from zero to decide")

    steps = "; ".join(
        f"{day} with {share:.0f} % of the units: {z:.2f}" for day, share, z in zip(dates, shares, reach, strict=True)
    )
    alt = f"Bounds of the planned looks in standard errors: {steps}. A single look would need {single:.2f}."
    return picture(draw, name="looks", alt=alt, width_inches=8.4)


def draw_splits(check: SplitCheck) -> Picture:
    """The share of false alarms of each metric with its band."""
    tested = [each for each in check.metrics if each.false_share is not None]

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvspan(100 * check.low, 100 * check.high, color=_PALE, alpha=0.3, linewidth=0)
        axes.axvline(100 * check.alpha, color=_QUIET, linewidth=0.8)
        for row, each in enumerate(tested):
            share = 100 * (each.false_share or 0.0)
            colour = _BAD if each.status == "alarming" else _GOOD
            axes.plot(share, -row, "o", color=colour)
            axes.text(1.02, -row, f"{share:.1f} %, {each.status}", color=colour, fontsize=8.5, va="center",
                      transform=axes.get_yaxis_transform())  # fmt: skip  # its lines group what belongs together
        axes.set_yticks([-row for row in range(len(tested))], [each.name for each in tested])
        axes.set_ylim(-len(tested) + 0.4, 0.6)
        ends = [100 * check.low, 100 * check.high, *(100 * (each.false_share or 0.0) for each in tested)]
        axes.set_xlim(max(min(ends) - 1.5, 0), max(ends) + 1.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(f"false alarms, % of {check.splits:,} splits; shaded: what a right test gives")
        axes.set_title("How often a split of the past looks like an effect")

    shares = "; ".join(f"{each.name} {each.false_share:.1%}, {each.status}" for each in tested)
    alt = f"False alarms in {check.splits:,} splits of the past, allowed {check.low:.1%} to {check.high:.1%}: {shares}."
    return picture(draw, name="splits", alt=alt, width_inches=8.4, height_inches=1.1 + 0.36 * len(tested))


_LOWEST, _HIGHEST = 0.1, 20.0
"""A metric that tells a tenth of what is wanted after a week is named and not drawn; above the upper end none is."""
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def _reached(design: ExperimentDesign, metric: MetricDesign) -> list[tuple[int, float]]:
    """Whole weeks in days, and what can be seen after them as a share of what is wanted."""
    last = max(2 * design.planned_days, 28)
    found = [(days, design.detectable(metric.metric, days=days)) for days in range(7, last + 1, 7)]
    return [(days, size / metric.aim.size) for days, size in found if size is not None]


def _colours(keys: Sequence[str], primary: str) -> dict[str, str]:
    others = (_GOOD, _MARK, _BAD, _QUIET, _PALE)
    rest = [key for key in keys if key != primary]
    return {primary: _SUBJECT} | {key: others[place % len(others)] for place, key in enumerate(rest)}


def _apart(shares: Sequence[float], low: float, high: float) -> list[float]:
    """Heights of names beside lines that end at these shares, as parts of the axis, none on top of another."""
    heights = [math.log(min(max(share, low), high) / low) / math.log(high / low) for share in shares]
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed: dict[int, float] = {}
    before = -1.0
    for index in order:
        before = placed[index] = max(heights[index], before + 0.07)
    return [placed[index] for index in range(len(heights))]


def _name_line(axes: Any, sizes: Sequence[float], powers: Sequence[float], words: str, side: int) -> None:
    """The line's name beside it, two thirds up, on the left or on the right."""
    place = next((index for index, power in enumerate(powers) if power >= 66), len(powers) - 1)
    axes.annotate(
        words,
        (sizes[place], powers[place]),
        xytext=(8 * side, 0),
        textcoords="offset points",
        fontsize=8,
        color=_SUBJECT,
        ha="right" if side < 0 else "left",
        va="center",
    )


def _unit(metric: MetricDesign) -> str:
    return f", {metric.unit}" if metric.unit else ""
