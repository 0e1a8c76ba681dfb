"""The forest plot of a readout: every metric's relative lift on one axis, with practical bands, margins and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.experiments.changes import format_change

if TYPE_CHECKING:
    from toolkit import stats
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.readout import Readout

_GOOD, _BAD, _QUIET = PALETTE[2], PALETTE[3], PALETTE[4]
BAND = "#e3e8ee"
"""The colour of what is too small to matter."""

_SMALLEST_REACH = 0.01
"""The axis shows at least 1 % on each side, so that noise around nothing is not drawn as if it were large."""

_FAR = 2
"""A margin further out than this many times the widest interval is written at the edge: drawing it to scale would hide
the intervals."""


def draw_forest(readout: Readout) -> Picture:
    """Relative lifts with their intervals; absent ones say why. The words beside them are those of the readout.

    A pale band is what is too small to matter for its metric; a thin grey line is what the effect is without the
    adjustment, or with its largest values capped.
    """
    effects = readout.effects
    several = len(readout.treatments) > 1
    reach = _reach(effects)
    interval = f"{100 * readout.confidence:g} % interval"

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for index, effect in enumerate(effects):
            _draw_band(axes, effect, y=-index, reach=reach)
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
        axes.set_xlabel(f"relative lift, % of the control, with {interval}{_legend(effects)}")
        axes.set_title(f"What changed: {' and '.join(readout.treatments)} against {effects[0].control}")

    return picture(
        draw,
        name="effects",
        alt=_alt(readout, interval),
        width_inches=8.4,
        height_inches=1.1 + 0.52 * len(effects),
    )


def colour_of(effect: Effect) -> str:
    """Green for what is better, red for what is worse or beyond its margin, blue for what is safe, else grey."""
    if effect.word == "within its margin":
        return PALETTE[0]
    if effect.word == "beyond its margin":
        return _BAD
    if effect.against_margin is not None:
        return _QUIET
    return {"better": _GOOD, "worse": _BAD}.get(effect.outcome, _QUIET)


def lift_interval(lift: stats.Estimate) -> str:
    """The interval of a lift as text; `unbounded` where Fieller's has no ends.

    >>> from toolkit import stats
    >>> lift_interval(stats.relative_lift(50, 0.1, 4.0, 50, 0.2, 4.0))
    'unbounded'
    """
    if lift.value is not None and lift.ci_lower is None and lift.reason.startswith("unbounded"):
        return "unbounded"
    return format_interval("rel_lift", lift.ci_lower, lift.ci_upper)


def _legend(effects: Sequence[Effect]) -> str:
    bands = any(effect.rel_smallest is not None for effect in effects)
    views = list(dict.fromkeys(view.name for effect in effects for view in effect.views))
    return ("; shaded: too small to matter" if bands else "") + (f"; thin: {', '.join(views)}" if views else "")


def _reach(effects: Sequence[Effect]) -> float:
    """How far the axis goes to each side of zero: over all intervals, and over the margins that are not far out.

    A lift without an interval has no say: it may be anything, and would hide the others. Its number stands beside it.
    """
    ends = [abs(end) for effect in effects for end in (effect.lift.ci_lower, effect.lift.ci_upper) if end is not None]
    widest = max([*ends, _SMALLEST_REACH])
    held = [abs(end) for effect in effects for end in (effect.rel_margin, effect.rel_smallest) if end is not None]
    return 1.12 * max([widest, *(end for end in held if end <= _FAR * widest)])


def _draw_band(axes: Any, effect: Effect, *, y: float, reach: float) -> None:
    if effect.rel_smallest is None or effect.margin is not None:
        return
    half = 100 * min(effect.rel_smallest, reach)
    axes.fill_between([-half, half], y - 0.36, y + 0.36, color=BAND, linewidth=0, zorder=0)


def _draw_effect(axes: Any, effect: Effect, *, y: float, reach: float) -> None:
    colour = colour_of(effect)
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
    for place, view in enumerate(effect.views, start=1):
        _draw_view(axes, view.lift, y=y - 0.14 * place, reach=reach)
    if effect.rel_margin is not None:
        _draw_margin(axes, effect.rel_margin, y=y, reach=reach)
        if effect.role == "data_quality":
            _draw_margin(axes, -effect.rel_margin, y=y, reach=reach, named=False)


def _draw_view(axes: Any, lift: stats.Estimate, *, y: float, reach: float) -> None:
    if lift.ci_lower is None or lift.ci_upper is None:
        return
    ends = [100 * max(lift.ci_lower, -reach), 100 * min(lift.ci_upper, reach)]
    axes.plot(ends, [y, y], color=PALETTE[5], linewidth=1, solid_capstyle="butt")
    if lift.value is not None and abs(lift.value) <= reach:
        axes.plot(100 * lift.value, y, "|", color=PALETTE[5], markersize=5)


def _draw_margin(axes: Any, margin: float, *, y: float, reach: float, named: bool = True) -> None:
    side = 1 if margin > 0 else -1
    if abs(margin) <= reach:
        axes.plot([100 * margin] * 2, [y - 0.28, y + 0.28], color=_BAD, linewidth=1.2, linestyle=(0, (3, 2)))
        place, words = margin, "margin"
    else:
        arrow = ("→", "←")[side < 0]
        place, words = side * reach, f"margin {format_number('rel_margin', margin)} {arrow}"
    align = "center" if abs(margin) <= reach else "right" if side > 0 else "left"
    if not named:
        return
    axes.text(100 * place, y + 0.3, words, color=_BAD, fontsize=7, ha=align, va="bottom")


def _label(effect: Effect, several: bool) -> str:
    role = effect.role.replace("_", " ")
    parts = [*([effect.where] if effect.segment else []), *([effect.treatment] if several else [])]
    return "\n".join([effect.name, ", ".join([role, *parts])])


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
        head = f"{effect.label} ({effect.role.replace('_', ' ')}, {effect.comparison})"
        if effect.lift.value is None:
            parts.append(f"{head}: absent, {effect.lift.reason}")
            continue
        margin = "" if effect.rel_margin is None else f", margin {format_number('rel_margin', effect.rel_margin)}"
        value = format_number("rel_lift", effect.lift.value)
        parts.append(f"{head}: {value}, {interval} {_interval(effect)}{margin}, {effect.word}")
    return f"Forest plot of relative lifts. {'; '.join(parts)}."
