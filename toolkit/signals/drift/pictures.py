"""Drift as pictures: the distributions that changed most, and how large every change is beside its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from toolkit.display import PALETTE, Picture, picture, shortened
from toolkit.signals.drift.findings import DRIFT_FLOOR
from toolkit.signals.drift.judging import ColumnDrift
from toolkit.signals.drift.references import REFERENCE_WORDS

if TYPE_CHECKING:
    from toolkit.metrics.profiles.profile import ColumnCounts
    from toolkit.signals.drift.comparison import Drift

_PANELS = 8
"""Distributions drawn: the most remarkable ones."""

_ACROSS = 4
_BEYOND = 0.25
"""A share of values beyond the outermost edge that is written down: where they lie there is not known."""

_BARS = 8
"""Values of a category that have a bar."""

_MARKERS = "oDs"
_FILLS: tuple[Literal["full", "none"], ...] = ("full", "none", "none")
_THEN, _NOW = PALETTE[5], PALETTE[0]


def draw_distributions(columns: Sequence[ColumnDrift]) -> Picture | None:
    """Small multiples: numbers by the share of values up to each edge, which is exact, categories by shares."""
    drawn = [column for column in columns if _has_distribution(column)][:_PANELS]
    if not drawn:
        return None
    lines = -(-len(drawn) // _ACROSS)
    alt = "Distributions in the reference and now, by column: " + "; ".join(
        f"{column.column} {column.words}" for column in drawn
    )

    def draw(figure: Any) -> None:
        grid = figure.subplots(lines, min(_ACROSS, len(drawn)), squeeze=False)
        panels = [axes for row in grid for axes in row]
        for axes, column in zip(panels, drawn, strict=False):
            _panel(axes, column)
        for axes in panels[len(drawn) :]:
            axes.set_axis_off()
        figure.legend(
            handles=_handles(), loc="outside upper left", ncols=2, title="share up to the value, or of each value"
        )

    return picture(
        draw,
        name="distributions",
        alt=alt,
        width_inches=2.4 * min(_ACROSS, len(drawn)) + 0.4,
        height_inches=0.7 + 2.2 * lines,
    )


def draw_sizes(drift: Drift) -> Picture | None:
    """Each column's PSI above noise against every reference, on one axis with the practical threshold."""
    columns = [column for column in drift.against(drift.deciding) if column.shift is not None]
    if not columns:
        return None
    names = [name for name, _ in drift.references if name not in drift.absent]
    marks = {
        name: {column.column: column for column in drift.against(name) if column.shift is not None} for name in names
    }
    alt = f"PSI above noise by column against {REFERENCE_WORDS[drift.deciding]}: " + "; ".join(
        f"{column.column} {_size(column):.2f}" for column in columns
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvspan(0, DRIFT_FLOOR, color="#e3e8ee", zorder=0)
        for place, column in enumerate(reversed(columns)):
            for number, name in enumerate(names):
                if column.column in marks[name]:
                    _mark(axes, marks[name][column.column], place + 0.22 * (len(names) - 1) / 2 - 0.22 * number, number)
        axes.set_yticks(range(len(columns)), [column.column for column in reversed(columns)])
        axes.set_xscale("symlog", linthresh=DRIFT_FLOOR, linscale=0.8)
        ticks = [0, 0.1, 0.3, 1, 3, 10]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(0, max(1.0, *(_size(column, high=True) * 1.2 for column in columns)))
        axes.set_ylim(-0.6, len(columns) - 0.4)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("PSI above its mean on noise, with 95 % interval (shaded: within the threshold; red: changed)")
        axes.set_title("How far each column moved")
        _legend(axes, names)

    return picture(draw, name="drift_sizes", alt=alt, height_inches=1.4 + 0.3 * len(columns))


def _mark(axes: Any, column: ColumnDrift, place: float, number: int) -> None:
    found = column.finding("drift")
    if column.shift is None or found is None or found.size is None or found.size.value is None:
        return
    colour = PALETTE[3] if found.verdict == "changed" else PALETTE[4]
    axes.plot([found.size.ci_lower, found.size.ci_upper], [place, place], color=colour, linewidth=1.4)
    axes.plot(found.size.value, place, _MARKERS[number], color=colour, markersize=4.5, fillstyle=_FILLS[number])


def _legend(axes: Any, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=PALETTE[4],
            marker=_MARKERS[number],
            fillstyle=_FILLS[number],
            linestyle="",
            label=REFERENCE_WORDS[name],
        )
        for number, name in enumerate(names)
    ]
    axes.legend(handles=handles, loc="lower right", title="against")


def _size(column: ColumnDrift, *, high: bool = False) -> float:
    excess = column.shift.psi.excess if column.shift else None
    if excess is None:
        return 0.0
    return (excess.ci_upper if high else excess.value) or 0.0


def _has_distribution(column: ColumnDrift) -> bool:
    sides = (column.reference, column.current)
    return column.shift is not None and all(side is not None and side.n for side in sides)


def _panel(axes: Any, column: ColumnDrift) -> None:
    reference, current = column.reference, column.current
    if reference is None or current is None:
        return
    if current.edges.kind == "number":
        _curves(axes, reference, current)
    else:
        _bars(axes, reference, current)
    changed = bool(column.changes)
    axes.set_title(column.column, fontsize=9, color=PALETTE[3] if changed else "#333333")


def _curves(axes: Any, reference: ColumnCounts, current: ColumnCounts) -> None:
    edges = current.edges
    low = edges.low if edges.low is not None else edges.edges[0]
    high = edges.high if edges.high is not None else edges.edges[-1]
    at = [min(low, edges.edges[0]), *edges.edges, max(high, edges.edges[-1])]
    for side, colour, width in ((reference, _THEN, 3.0), (current, _NOW, 1.5)):
        reached, shares = 0, [0.0]
        for count in side.counts:
            reached += count
            shares.append(reached / side.n)
        axes.plot(at, shares, color=colour, linewidth=width)
    for count, where, place, aligned in (
        (current.counts[0], f"below {edges.edges[0]:.4g}", (0.05, 0.9), "left"),
        (current.counts[-1], f"above {edges.edges[-1]:.4g}", (0.95, 0.08), "right"),
    ):
        if count >= _BEYOND * current.n:
            axes.text(
                *place, f"{100 * count / current.n:.0f} % {where}", transform=axes.transAxes, ha=aligned, color=_NOW
            )
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.locator_params(axis="x", nbins=4)


def _bars(axes: Any, reference: ColumnCounts, current: ColumnCounts) -> None:
    names = [*current.edges.cells]
    then, now = list(reference.counts), list(current.counts)
    if reference.unseen or current.unseen:
        names.append("never seen")
        then.append(reference.unseen)
        now.append(current.unseen)
    apart = [abs(one / reference.n - other / current.n) for one, other in zip(then, now, strict=True)]
    chosen = sorted(sorted(range(len(names)), key=lambda place: -apart[place])[:_BARS])
    for line, place in enumerate(reversed(chosen)):
        axes.barh(line + 0.2, then[place] / reference.n, height=0.38, color=_THEN)
        axes.barh(line - 0.2, now[place] / current.n, height=0.38, color=_NOW)
    axes.set_yticks(range(len(chosen)), [shortened(names[place], 12) for place in reversed(chosen)])
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=_THEN, linewidth=3, label="reference"),
        Line2D([], [], color=_NOW, linewidth=1.5, label="now"),
    ]
