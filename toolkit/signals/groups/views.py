"""The picture of signal groups: how much harm each does, against how far it moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE, Picture, format_number, picture, shortened
from toolkit.signals.groups.harm import HIGH_FROM, MEDIUM_FROM, Level

if TYPE_CHECKING:
    from toolkit.signals.groups.signal_group import SignalGroup

LEVEL_COLOURS: dict[Level, str] = {
    "high": PALETTE[3],
    "medium": PALETTE[1],
    "low": PALETTE[2],
    "unmeasured": PALETTE[4],
}
_NAMED = 12
"""Groups whose name stands beside their number; the others are numbers only, and named in the table."""


def draw_groups(groups: Sequence[SignalGroup]) -> tuple[Picture, ...]:
    """Harm against size of the deviation, one numbered dot for each group."""
    listed = "; ".join(
        f"{rank}. {group.signals[0].name} "
        f"{'harm not measured' if group.harm.tolerances is None else format_number('value', group.severity)}, "
        f"moved {group.times_threshold:.1f}"
        for rank, group in enumerate(groups, start=1)
    )
    alt = f"Severity in tolerances against how far it moved, in practical thresholds, by signal group: {listed}"
    return (picture(lambda figure: _draw(figure, groups), name="harm_and_drift", alt=alt, height_inches=3.8),)


def _name_heights(groups: Sequence[SignalGroup]) -> dict[int, int]:
    """By rank how high a name stands: of those that lie side by side at 0, neighbours at one of three heights."""
    ground = [rank for rank, group in enumerate(groups, start=1) if group.severity == 0]
    ground.sort(key=lambda rank: groups[rank - 1].times_threshold)
    return {rank: at % 3 for at, rank in enumerate(ground)}


def _draw(figure: Any, groups: Sequence[SignalGroup]) -> None:
    axes = figure.subplots()
    for level, low in (("medium", MEDIUM_FROM), ("high", HIGH_FROM)):
        axes.axhline(low, color=PALETTE[5], linewidth=0.8, linestyle="--")
        axes.text(0.995, low, level, transform=axes.get_yaxis_transform(), ha="right", va="bottom", color=PALETTE[4])
    heights = _name_heights(groups)
    for rank, group in reversed(list(enumerate(groups, start=1))):
        colour = LEVEL_COLOURS[group.level]
        filled = "none" if group.harm.tolerances is None else colour
        moved, severity = group.times_threshold, group.severity
        axes.plot(moved, severity, "o", color=colour, markerfacecolor=filled, markersize=7, clip_on=False)
        name = f"{rank} {shortened(group.signals[0].name, 28)}" if rank <= _NAMED else f"{rank}"
        above = 4 + 10 * heights.get(rank, 0)
        axes.annotate(name, (moved, severity), xytext=(6, above), textcoords="offset points", fontsize=8)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("symlog", linthresh=0.1)
    farthest, worst = max(group.times_threshold for group in groups), max(group.severity for group in groups)
    axes.set_xlim(0, max(4.0, 3 * farthest))
    axes.set_ylim(-0.01, max(2 * HIGH_FROM, 2 * worst))
    _label(axes.xaxis, (0, 1, 3, 10, 30, 100, 300, 1000), axes.set_xticks, axes.get_xlim()[1])
    _label(axes.yaxis, (0, 0.1, 0.3, 1, 3, 10, 30, 100, 300), axes.set_yticks, axes.get_ylim()[1])
    axes.set_xlabel("how far it moved, in practical thresholds")
    axes.set_ylabel("severity: harm × confidence, in tolerances")
    axes.set_title("How much harm, and how far it moved (hollow: harm not measured)")


def _label(axis: Any, ticks: Sequence[float], put: Any, limit: float) -> None:
    """Plain numbers up to the limit, where a logarithmic axis would write powers of ten."""
    from matplotlib.ticker import NullLocator

    shown = [tick for tick in ticks if tick <= limit]
    put(shown, [f"{tick:g}" for tick in shown])
    axis.set_minor_locator(NullLocator())
