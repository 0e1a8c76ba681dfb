"""The errors of a window as small multiples: failed requests by day, with deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from toolkit.display import PALETTE, Picture, picture, shortened
from toolkit.metrics.marks import Mark
from toolkit.windows import Window

_LONGEST_TITLE = 92


class ErrorCourse(NamedTuple):
    """One line of the figure: the message, its failed requests by day, and whether it is a signal."""

    name: str
    days: Mapping[date, int]
    alarming: bool


def draw_courses(
    courses: Sequence[ErrorCourse],
    requests: Mapping[date, int],
    *,
    window: Window,
    deployments: Sequence[Mark],
) -> Picture:
    """Each message's share of the day's requests, one above the other on one axis of days.

    Parameters
    ----------
    requests: served requests by day; a day without any is a gap.
    """
    alt = f"Share of each day's requests that failed, by message; shaded: {window.label}. " + "; ".join(
        f"{course.name}: {sum(course.days.values()):,} on {len(course.days)} days" for course in courses
    )
    if deployments:
        alt += ". Deployments: " + "; ".join(mark.text for mark in deployments)
    return picture(
        lambda figure: _draw(figure, courses, requests, window, deployments),
        name="errors",
        alt=alt,
        height_inches=0.7 + 0.95 * len(courses),
    )


def _draw(
    figure: Any,
    courses: Sequence[ErrorCourse],
    requests: Mapping[date, int],
    window: Window,
    deployments: Sequence[Mark],
) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    panels = figure.subplots(len(courses), 1, sharex=True, squeeze=False)[:, 0]
    days = sorted(requests)
    for axes, course in zip(panels, courses, strict=True):
        shares = [course.days.get(day, 0) / requests[day] if requests[day] else 0.0 for day in days]
        colour = PALETTE[3] if course.alarming else PALETTE[4]
        axes.axvspan(window.start.date(), window.end.date(), color="#e3e8ee", zorder=0)
        axes.bar(days, shares, color=colour, width=1.0, align="edge")
        for mark in deployments:
            axes.axvline(mark.at, color=PALETTE[1], linewidth=1, linestyle="--")
        axes.set_ylim(0, max([*shares, 1e-9]) * 1.15)
        axes.yaxis.set_major_locator(MaxNLocator(2))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_title(shortened(course.name, _LONGEST_TITLE), fontsize=8, fontweight="normal")
    panels[-1].set_xlim(min([*days, window.start.date()]), max([*days, window.end.date()]) + timedelta(days=1))
    figure.autofmt_xdate()
    label = "share of the day's requests (shaded: the window; red: a signal"
    figure.supxlabel(f"{label}{'; dashed: deployments' if deployments else ''})", fontsize=9)
