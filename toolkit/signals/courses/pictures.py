"""Small multiples of the metrics by day, with their levels, what they are held against, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE

if TYPE_CHECKING:
    from toolkit.metrics.marks import Mark
    from toolkit.signals.courses.course import MetricCourse
    from toolkit.windows import Window

_SHADE = "#e3e8ee"


def draw_courses(figure: Any, courses: Sequence[MetricCourse], *, marks: Sequence[Mark], reference: Window) -> None:
    """One panel per metric on a common axis of days."""
    panels = figure.subplots(len(courses), 1, sharex=True, squeeze=False)[:, 0]
    first, last = courses[0].values[0].day, courses[0].values[-1].day
    for axes, course in zip(panels, courses, strict=True):
        _draw_reference(axes, course, reference, first, last)
        _draw_days(axes, course)
        _draw_marks(axes, marks)
        axes.set_title(_title(course), fontsize=9)
        axes.margins(y=0.15)
        axes.yaxis.get_major_locator().set_params(nbins=4)
        if course.metric.unit == "share":
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    panels[0].set_xlim(first - timedelta(days=1), last + timedelta(days=1))
    panels[-1].set_xlabel(
        "dashed: deployments; shaded red: incidents; band: within one practical threshold of the reference"
    )


def _title(course: MetricCourse) -> str:
    step = f" – {course.step_text}" if course.told else ""
    unit = f", {course.metric.unit}" if course.metric.unit not in {"", "share"} else ""
    return f"{course.metric.name}{unit}{step}"


def _draw_reference(axes: Any, course: MetricCourse, reference: Window, first: date, last: date) -> None:
    level = course.reference.value
    if level is not None:
        reach = course.metric.practical_threshold
        axes.axhspan(level - reach, level + reach, color=_SHADE, zorder=0)
    start, end = max(reference.start.date(), first), min(reference.end.date(), last)
    if start < end:
        axes.axvspan(start, end, ymax=0.04, color=PALETTE[5], zorder=1)


def _draw_days(axes: Any, course: MetricCourse) -> None:
    days = [each.day for each in course.values]
    # None leaves a gap in the line.
    axes.plot(days, [each.value for each in course.values], color=PALETTE[5], linewidth=0.8, zorder=2)
    lone = [each for each in course.values if each.thin]
    axes.plot([each.day for each in lone], [each.value for each in lone], ".", color=_SHADE, markersize=4, zorder=2)
    start = days[0]
    for step in course.steps:
        axes.plot([start, step.day], [step.before] * 2, color=PALETTE[0], linewidth=1.8, zorder=3)
        colour = PALETTE[3] if step.verdict == "worse" else PALETTE[0]
        axes.plot([step.day] * 2, [step.before, step.after], color=colour, linewidth=1.8, zorder=3)
        start = step.day
    if course.level is not None:
        weeks = (days[-1] - start).days / 7
        reach = (course.slope.value or 0.0) * weeks / 2 if course.trending else 0.0
        ends = [course.level - reach, course.level + reach]
        axes.plot([start, days[-1]], ends, color=PALETTE[0], linewidth=1.8, zorder=3)
    outliers = course.outliers
    axes.plot(
        [each.day for each in outliers],
        [each.value for each in outliers],
        "o",
        color=PALETTE[1],
        markerfacecolor="none",
        markersize=5,
        zorder=4,
    )


def _draw_marks(axes: Any, marks: Sequence[Mark]) -> None:
    for mark in marks:
        if mark.kind == "deployment":
            axes.axvline(mark.day, color=PALETTE[4], linewidth=0.8, linestyle="--", zorder=1)
        else:
            end = mark.last_day + timedelta(days=1)
            axes.axvspan(mark.day, end, color=PALETTE[3], alpha=0.15, linewidth=0, zorder=1)
