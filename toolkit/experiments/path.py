"""Two pictures of an effect's course: the cumulative path with its bounds, and the effect by days since exposure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE, Picture, picture
from toolkit.experiments.changes import change_axis, format_change_interval, signed_change
from toolkit.experiments.forest import BAND

if TYPE_CHECKING:
    from toolkit.experiments.course import Age, Step, TreatmentCourse

_SETTLED = 0.15
"""The share of the days after which the axis is made to fit: the first days' intervals are as wide as the sky."""


def draw_path(course: TreatmentCourse, *, confidence: float, name: str) -> Picture:
    """The cumulative difference by day of exposure, its confidence sequence, and the bounds of planned looks."""
    effect, steps = course.effect, [step for step in course.steps if step.difference.value is not None]
    scale, unit = change_axis(effect.unit)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        days = [step.day for step in steps]
        if effect.smallest is not None:
            ends = -scale * effect.smallest, scale * effect.smallest
            axes.axhspan(*ends, color=BAND, linewidth=0, zorder=0, label="too small to matter")
        axes.axhline(0, color=PALETTE[4], linewidth=1)
        banded = [step for step in steps if step.difference.ci_lower is not None]
        axes.fill_between(
            [step.day for step in banded],
            [scale * (step.difference.ci_lower or 0.0) for step in banded],
            [scale * (step.difference.ci_upper or 0.0) for step in banded],
            color=PALETTE[0],
            alpha=0.18,
            linewidth=0,
            label=f"{100 * confidence:g} % interval for all days together",
        )
        values = [scale * (step.difference.value or 0.0) for step in steps]
        axes.plot(days, values, color=PALETTE[0], linewidth=2, label="difference so far")
        _draw_barriers(axes, course, scale)
        low, high = _limits(course, steps)
        axes.set_ylim(scale * low, scale * high)
        _date_axis(axes, days)
        axes.set_ylabel(f"{effect.comparison}{unit}")
        axes.set_title(f"{effect.name}: the difference as units were exposed")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=8)

    return picture(draw, name=name, alt=_path_alt(course, steps, confidence), height_inches=4.2)


def draw_ages(course: TreatmentCourse, *, confidence: float, name: str) -> Picture:
    """The difference by days since exposure, each with its interval, and the line through them."""
    effect = course.effect
    ages = [age for age in course.ages if age.difference.ci_lower is not None]
    scale, unit = change_axis(effect.unit)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=PALETTE[4], linewidth=1)
        for age in ages:
            low, high = age.difference.ci_lower or 0.0, age.difference.ci_upper or 0.0
            axes.plot([age.days, age.days], [scale * low, scale * high], color=PALETTE[5], linewidth=1.6)
        values = [scale * (age.difference.value or 0.0) for age in ages]
        axes.plot([age.days for age in ages], values, "o", color=PALETTE[0], markersize=5)
        _draw_line(axes, course, ages, scale)
        axes.set_xlabel("days since exposure")
        axes.set_ylabel(f"{effect.comparison}{unit}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_title(f"{effect.name}: the difference by days since exposure")

    return picture(draw, name=name, alt=_ages_alt(course, ages, confidence))


def _draw_barriers(axes: Any, course: TreatmentCourse, scale: float) -> None:
    known = [barrier for barrier in course.barriers if barrier.reach is not None]
    for side in (1, -1):
        days = [barrier.day for barrier in known]
        reach = [side * scale * (barrier.reach or 0.0) for barrier in known]
        axes.plot(days, reach, color=PALETTE[1], linewidth=1, linestyle=(0, (4, 3)), zorder=2)
        for barrier, place in zip(known, reach, strict=True):
            face = PALETTE[1] if barrier.passed else "white"
            axes.plot(barrier.day, place, "D", color=PALETTE[1], markerfacecolor=face, markersize=5, zorder=3)
    if known:
        open_ones = any(not barrier.passed for barrier in known)
        words = "bound at a planned look" + (" (open: to come)" if open_ones else "")
        axes.plot([], [], "D", color=PALETTE[1], linestyle=(0, (4, 3)), markersize=5, label=words)


def _draw_line(axes: Any, course: TreatmentCourse, ages: Sequence[Age], scale: float) -> None:
    """The weighted line, through the weighted centre of the points."""
    slope = course.slope.value
    if slope is None or not ages:
        return
    weights = [1 / (age.difference.se or 1.0) ** 2 for age in ages]
    total = sum(weights)
    x = sum(weight * age.days for weight, age in zip(weights, ages, strict=True)) / total
    y = sum(weight * (age.difference.value or 0.0) for weight, age in zip(weights, ages, strict=True)) / total
    ends = [ages[0].days, ages[-1].days]
    axes.plot(ends, [scale * (y + slope * (end - x)) for end in ends], color=PALETTE[1], linewidth=1.4)


def _limits(course: TreatmentCourse, steps: Sequence[Step]) -> tuple[float, float]:
    """An axis that fits the days after the first few, and the bounds that are near them."""
    settled = steps[int(_SETTLED * len(steps)) :] or steps
    ends = [0.0, *(step.difference.value or 0.0 for step in settled)]
    for step in settled:
        ends += [end for end in (step.difference.ci_lower, step.difference.ci_upper) if end is not None]
    low, high = min(ends), max(ends)
    reach = max(high - low, 1e-12)
    near = [barrier.reach for barrier in course.barriers if barrier.reach is not None and barrier.reach < reach]
    low, high = min([low, *(-end for end in near)]), max([high, *near])
    room = 0.06 * (high - low) or 1e-12
    return low - room, high + room


def _date_axis(axes: Any, days: Sequence[date]) -> None:
    import matplotlib.dates

    ticks: Any = matplotlib.dates  # its calls have no types
    locator = ticks.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ticks.ConciseDateFormatter(locator, show_offset=False))
    years = dict.fromkeys(str(day.year) for day in (days[0], days[-1]))
    axes.set_xlabel(f"units exposed up to this day, {'–'.join(years)}")
    axes.grid(visible=False, axis="x")


def _path_alt(course: TreatmentCourse, steps: Sequence[Step], confidence: float) -> str:
    effect, last = course.effect, steps[-1]
    ends = f"{_shown(effect.unit, last)} ({100 * confidence:g} % for all days together)"
    drawn = f"the difference over all units exposed up to each day from {steps[0].day} to {last.day}"
    parts = [f"{effect.name}, {effect.comparison}: {drawn}. It ends at {ends}"]
    for barrier in course.barriers:
        if barrier.reach is not None:
            state = "taken" if barrier.passed else "to come"
            reach = signed_change(barrier.reach, effect.unit)
            parts.append(f"bound of look {barrier.number} ({state}, {_day(barrier.day)}): {reach} to either side")
    return "; ".join(parts) + "."


def _ages_alt(course: TreatmentCourse, ages: Sequence[Age], confidence: float) -> str:
    effect = course.effect
    shown = "; ".join(f"day {age.days} {signed_change(age.difference.value or 0.0, effect.unit)}" for age in ages)
    return (
        f"{effect.name}, {effect.comparison}: the difference by days since exposure with {100 * confidence:g} % "
        f"intervals, {course.trend}. {shown}."
    )


def _shown(unit: str, step: Step) -> str:
    interval = format_change_interval(step.difference.ci_lower, step.difference.ci_upper, unit)
    return f"{signed_change(step.difference.value or 0.0, unit)}, {interval}"


def _day(day: date) -> str:
    return day.isoformat()
