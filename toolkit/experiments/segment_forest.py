"""The forest of segments: one metric's effect in every segment, beside the effect over everyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.experiments.changes import change_axis, format_change_interval, signed_change
from toolkit.experiments.forest import BAND, colour_of

if TYPE_CHECKING:
    from toolkit.experiments.segments import SegmentEffect, SegmentTest

_FAR = 3
"""An interval that reaches further than this many times the median one is cut."""

_SHOWN = 24
"""Values of a segment that are drawn; of more, the largest. The rows have them all."""


def draw_segments(tests: Sequence[SegmentTest], *, confidence: float, name: str) -> Picture:
    """The effects of one metric by segment; a line over everyone, a band of what is too small to matter."""
    overall = tests[0].overall
    scale, unit = change_axis(overall.unit)
    lines: list[SegmentTest | SegmentEffect] = []
    for test in tests:
        lines += [test, *_drawn(test)]
    reach = scale * _reach(tests)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        if overall.smallest is not None:
            axes.axvspan(-scale * overall.smallest, scale * overall.smallest, color=BAND, linewidth=0, zorder=0)
        axes.axvline(0, color=PALETTE[4], linewidth=1)
        if overall.difference.value is not None:
            axes.axvline(scale * overall.difference.value, color=PALETTE[0], linewidth=1.2, linestyle=(0, (4, 3)))
        for index, line in enumerate(lines):
            _draw_line(axes, line, y=-index, scale=scale, reach=reach)
        axes.set_yticks([-index for index in range(len(lines))], [_label(line) for line in lines])
        for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
            tick.set_fontweight("bold" if _is_test(line) else "normal")
        axes.set_ylim(-len(lines) + 0.4, 0.6)
        axes.set_xlim(-reach, reach)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.spines["left"].set_visible(False)
        shaded = "; shaded: too small to matter" if overall.smallest is not None else ""
        shaded += "; n: units or clusters"
        axes.set_xlabel(f"difference{unit}, with {100 * confidence:g} % intervals\ndashed: everyone{shaded}")
        axes.set_title(f"{overall.name} by segment: {overall.treatment} against {overall.control}")

    return picture(
        draw, name=name, alt=_alt(tests, confidence), width_inches=8.4, height_inches=1.1 + 0.36 * len(lines)
    )


def _drawn(test: SegmentTest) -> tuple[SegmentEffect, ...]:
    """The largest values, in the order of their names."""
    largest = sorted(test.found, key=lambda found: -sum(found.groups))[:_SHOWN]
    return tuple(found for found in test.found if found in largest)


def _is_test(line: SegmentTest | SegmentEffect) -> bool:
    return hasattr(line, "differs")


def _label(line: Any) -> str:
    return str(line.segment) if _is_test(line) else str(line.effect.value)


def _reach(tests: Sequence[SegmentTest]) -> float:
    """How far the axis goes to each side of zero: over the intervals of what is drawn, and over the practical band.

    An interval that is far wider than most is cut at the edge, with an arrow: drawn to scale it would hide the others.
    """
    overall = tests[0].overall
    estimates = [overall.difference, *(found.effect.difference for test in tests for found in _drawn(test))]
    known = [[abs(end) for end in (each.ci_lower, each.ci_upper, each.value) if end is not None] for each in estimates]
    ends = sorted(max(each) for each in known if each)
    widest = min(ends[-1], _FAR * ends[len(ends) // 2]) if ends else 0.0
    band = overall.smallest or 0.0
    return 1.08 * max(widest, band if band <= 3 * widest else 0.0, 1e-12)


def _draw_line(axes: Any, line: Any, *, y: float, scale: float, reach: float) -> None:
    beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
    if _is_test(line):
        colour = PALETTE[1] if line.evident else PALETTE[4]
        axes.text(1.02, y, line.words, color=colour, **beside)
        return
    effect = line.effect
    difference, colour = effect.difference, colour_of(effect)
    if difference.value is None:
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(0.02, y, difference.reason, color=PALETTE[4], style="italic", bbox=paper, **beside)
        return
    if difference.ci_lower is not None and difference.ci_upper is not None:
        low, high = scale * difference.ci_lower, scale * difference.ci_upper
        axes.plot([max(low, -reach), min(high, reach)], [y, y], color=colour, linewidth=1.8)
        for place in (low, high):
            if abs(place) > reach:
                side = 1 if place > 0 else -1
                axes.plot(side * reach, y, "<>"[side > 0], color=colour, markersize=6, clip_on=False)
    if abs(scale * difference.value) <= reach:
        axes.plot(scale * difference.value, y, "o", color=colour, markersize=5)
    apart = ", apart from the rest" if line.is_apart else ""
    shown = signed_change(difference.value, effect.unit)
    axes.text(
        1.02, y, f"{shown} (n {format_number('n', sum(line.groups))}): {effect.word}{apart}", color=colour, **beside
    )


def _alt(tests: Sequence[SegmentTest], confidence: float) -> str:
    overall = tests[0].overall
    parts = []
    for test in tests:
        shown = []
        for found in _drawn(test):
            difference = found.effect.difference
            if difference.value is None:
                shown.append(f"{found.effect.value} absent, {difference.reason}")
                continue
            interval = format_change_interval(difference.ci_lower, difference.ci_upper, overall.unit)
            shown.append(
                f"{found.effect.value} {signed_change(difference.value, overall.unit)} ({interval}), "
                f"{found.effect.word}"
            )
        parts.append(f"{test.segment} ({test.words}): {'; '.join(shown)}")
    return (
        f"Forest plot of {overall.name} by segment, {overall.comparison}, {100 * confidence:g} % intervals. "
        f"{'. '.join(parts)}."
    )
