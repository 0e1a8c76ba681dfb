"""The forest plot of a readout: every metric's relative lift on one axis, with margins and the words that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.experiments.changes import format_change

if TYPE_CHECKING:
    from toolkit.experiments.readout import Effect, Readout

_GOOD, _BAD, _QUIET = PALETTE[2], PALETTE[3], PALETTE[4]
_COLOURS = {
    "better": _GOOD,
    "worse": _BAD,
    "within its margin": PALETTE[0],
    "beyond its margin": _BAD,
}
_SMALLEST_REACH = 0.01
"""The axis shows at least 1 % on each side, so that noise around nothing is not drawn as if it were large."""

_FAR = 3
"""A margin further out than this many times the widest interval is written at the edge: drawing it to scale would hide
the intervals."""


def draw_forest(readout: Readout) -> Picture:
    """Relative lifts with their intervals; absent ones say why. The words beside them are those of the readout."""
    effects = readout.effects
    several = len(readout.treatments) > 1
    reach = _reach(effects)
    interval = f"{100 * readout.confidence:g} % interval"

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=PALETTE[4], linewidth=1)
        for index, effect in enumerate(effects):
            _draw_effect(axes, effect, y=-index, reach=reach)
        axes.set_yticks([-index for index in range(len(effects))], [_label(effect, several) for effect in effects])
        for tick, effect in zip(axes.get_yticklabels(), effects, strict=True):
            tick.set_fontweight("bold" if effect.role == "primary" else "normal")
        axes.set_ylim(-len(effects) + 0.4, 0.6)
        axes.set_xlim(-100 * reach, 100 * reach)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"relative lift, % of the control mean, with {interval}")
        axes.set_title(f"What changed: {' and '.join(readout.treatments)} against {effects[0].control}")

    return picture(
        draw,
        name="effects",
        alt=_alt(readout, interval),
        width_inches=8.4,
        height_inches=1.1 + 0.52 * len(effects),
    )


def _reach(effects: tuple[Effect, ...]) -> float:
    """How far the axis goes to each side of zero: over all intervals, and over the margins that are not far out.

    A lift without an interval has no say: it may be anything, and would hide the others. Its number stands beside it.
    """
    ends = [abs(end) for effect in effects for end in (effect.lift.ci_lower, effect.lift.ci_upper) if end is not None]
    widest = max([*ends, _SMALLEST_REACH])
    margins = [abs(effect.rel_margin) for effect in effects if effect.rel_margin is not None]
    return 1.12 * max([widest, *(margin for margin in margins if margin <= _FAR * widest)])


def _draw_effect(axes: Any, effect: Effect, *, y: float, reach: float) -> None:
    colour = _COLOURS.get(effect.word, _QUIET)
    weight = 3.0 if effect.role == "primary" else 1.6
    lift = effect.lift
    beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
    axes.text(1.02, y, _beside(effect), color=colour, **beside)
    if lift.value is None:
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(0.02, y, f"absent: {lift.reason}", color=_QUIET, style="italic", bbox=paper, **beside)
        return
    if lift.ci_lower is not None and lift.ci_upper is not None:
        axes.plot([100 * lift.ci_lower, 100 * lift.ci_upper], [y, y], color=colour, linewidth=weight)
    elif lift.reason.startswith("unbounded"):
        ends = {"xytext": (-100 * reach, y), "arrowprops": {"arrowstyle": "<->", "color": colour}}
        axes.annotate("", xy=(100 * reach, y), **ends)
    if abs(lift.value) <= reach:
        axes.plot(100 * lift.value, y, "o", color=colour, markersize=4 + weight)
    if effect.rel_margin is not None:
        _draw_margin(axes, effect.rel_margin, y=y, reach=reach)


def _draw_margin(axes: Any, margin: float, *, y: float, reach: float) -> None:
    side = 1 if margin > 0 else -1
    if abs(margin) <= reach:
        axes.plot([100 * margin] * 2, [y - 0.28, y + 0.28], color=_BAD, linewidth=1.2, linestyle=(0, (3, 2)))
        place, words = margin, "margin"
    else:
        arrow = ("→", "←")[side < 0]
        place, words = side * reach, f"margin {format_number('rel_margin', margin)} {arrow}"
    align = "center" if abs(margin) <= reach else "right" if side > 0 else "left"
    axes.text(100 * place, y + 0.3, words, color=_BAD, fontsize=7, ha=align, va="bottom")


def _label(effect: Effect, several: bool) -> str:
    return f"{effect.name}\n{effect.role}" + (f", {effect.treatment}" if several else "")


def _beside(effect: Effect) -> str:
    """The lift in numbers and the word; the difference instead where there is no lift."""
    lift = effect.lift
    if effect.difference.value is None:
        return effect.word
    if lift.value is None:
        return f"difference {format_change(effect.difference.value, effect.unit)}\n{effect.word}"
    return f"{format_number('rel_lift', lift.value)} ({_interval(effect)})\n{effect.word}"


def _interval(effect: Effect) -> str:
    lift = effect.lift
    if lift.ci_lower is None or lift.ci_upper is None:
        return lift.reason.partition(":")[0]
    return format_interval("rel_lift", lift.ci_lower, lift.ci_upper)


def _alt(readout: Readout, interval: str) -> str:
    parts = []
    for effect in readout.effects:
        head = f"{effect.name} ({effect.role}, {effect.comparison})"
        if effect.lift.value is None:
            parts.append(f"{head}: absent, {effect.lift.reason}")
            continue
        margin = "" if effect.rel_margin is None else f", margin {format_number('rel_margin', effect.rel_margin)}"
        value = format_number("rel_lift", effect.lift.value)
        parts.append(f"{head}: {value}, {interval} {_interval(effect)}{margin}, {effect.word}")
    return f"Forest plot of relative lifts. {'; '.join(parts)}."
