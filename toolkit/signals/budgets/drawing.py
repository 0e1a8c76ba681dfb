"""The burn chart: what is left of each error budget over its period, and when rules rang."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from toolkit.display import PALETTE
from toolkit.metrics.marks import Mark
from toolkit.signals.budgets.readings import BudgetReading

_COLOURS = {"page": PALETTE[3], "ticket": PALETTE[1]}
_SHADES = {"page": 0.3, "ticket": 0.13}


def draw_burns(figure: Any, readings: Sequence[BudgetReading], marks: Sequence[Mark]) -> None:
    """One panel below the other on one axis of time: a panel of each budget, with deployments and incidents."""
    panels = figure.subplots(len(readings), 1, sharex=True, squeeze=False)[:, 0]
    for axes, reading in zip(panels, readings, strict=True):
        _draw(axes, reading)
        _draw_marks(axes, reading, marks)
    panels[-1].set_xlabel("dashed: spent evenly; above: deployments (triangles), incidents (bars)")
    figure.autofmt_xdate()


def _draw(axes: Any, reading: BudgetReading) -> None:
    start, end = reading.period.start, reading.period.end
    times: list[datetime] = [start, *(each.at for each in reading.course), end]
    spent = [0.0, *(each.consumed_share for each in reading.course)]
    left = [100 * (1 - share) for share in [*spent, spent[-1]]]
    lowest = min(left)
    axes.plot([start, end], [100, 0], color=PALETTE[5], linestyle="--", linewidth=1)
    axes.axhline(0, color=PALETTE[4], linewidth=0.8)
    axes.step(times, left, where="post", color=PALETTE[0])
    if lowest < 0:
        floor = [min(value, 0.0) for value in left]
        axes.fill_between(times, floor, 0, step="post", color=PALETTE[3], alpha=0.25, linewidth=0)
    for alarm in reading.alarms:
        shade = {"alpha": _SHADES[alarm.rule.severity], "linewidth": 0}
        axes.axvspan(alarm.started_at, alarm.ended_at or end, color=_COLOURS[alarm.rule.severity], **shade)
        axes.axvline(alarm.started_at, color=_COLOURS[alarm.rule.severity], linewidth=0.9)
    axes.set_xlim(start, end)
    axes.set_ylim(min(lowest * 1.05, -5), 105)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.set_ylabel("budget left")
    pages, tickets = (sum(a.rule.severity == name for a in reading.alarms) for name in ("page", "ticket"))
    axes.set_title(
        f"{reading.metric.name}, {reading.objective.target.label}: {reading.state} "
        f"({pages} page{'' if pages == 1 else 's'}, red; {tickets} ticket{'' if tickets == 1 else 's'}, orange)"
    )


def _draw_marks(axes: Any, reading: BudgetReading, marks: Sequence[Mark]) -> None:
    """Deployments as triangles on the upper edge, incidents as bars below it."""
    start, end = reading.period.start, reading.period.end
    for mark in marks:
        until = mark.until or (end if mark.kind == "incident" else mark.at)
        if until < start or mark.at >= end:
            continue
        if mark.kind == "deployment":
            axes.plot([mark.at], [103], "v", color=PALETTE[4], markersize=5, clip_on=False)
        else:
            axes.plot([max(mark.at, start), min(until, end)], [103, 103], color=PALETTE[4], linewidth=3)
