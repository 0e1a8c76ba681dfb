"""Sample sizes: the equation of `power` solved for the units, for the smallest effect and for the smallest margin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.checks import check_at_least
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import TOO_LARGE, check_finite
from toolkit.stats.power import (
    TWO_VARIANTS,
    Outcome,
    PowerDesign,
    Sizing,
    chance,
    check_design,
    difference_variances,
    few_units,
    impossible,
    unsolved,
    whole_units,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def units_needed(outcome: Outcome, effect: float, design: PowerDesign = TWO_VARIANTS, *, power: float = 0.8) -> Sizing:
    """The units, in all variants together, that give the power at a true difference of `effect`.

    Sources: as `power_of`; the closed form for z, by search for t and for equivalence.

    >>> from toolkit.stats.power import mean_outcome, share_outcome
    >>> found = units_needed(share_outcome(0.10), 0.01)
    >>> round(found.n / 2, 2), found.units, found.method
    (14750.79, (14751, 14751), 'z, pooled null')
    >>> round(units_needed(share_outcome(0.10, pooled=False), 0.01).n / 2, 2)
    14748.05
    >>> units_needed(mean_outcome(100), 0, PowerDesign(alpha=0.025, hypothesis="not_inferior", margin=2)).units
    (393, 393)
    >>> units_needed(mean_outcome(1), 0).reason
    'no number of units is enough: the effect is 0'
    """
    check_design(outcome, design, power)
    effect = check_finite("effect", effect)
    answer = unsolved(outcome, design)._replace(effect=effect, margin=design.margin, power=power)
    reason = impossible(outcome, effect, design.margin) or _hopeless(design, effect)
    if reason:
        return answer._replace(reason=reason)
    start = _closed_form(outcome, design, effect, power)
    n: float | None = start
    if design.test == "t" or design.hypothesis == "equivalent":
        fewest = design.fewest if design.test == "t" else start / 16
        n = _first(lambda tried: chance(outcome, design, effect, tried) - power, fewest, start)
    if n is None or not math.isfinite(n):
        return answer._replace(reason=f"no number of units: {TOO_LARGE}")
    return answer._replace(n=n, units=whole_units(design, n, up=True), status="ok", reason="")


def detectable_effect(outcome: Outcome, n: float, design: PowerDesign = TWO_VARIANTS, *, power: float = 0.8) -> Sizing:
    """The smallest true difference, on the better side, that `n` units in all show with the power.

    For `not_inferior` it may lie on the worse side: so much worse the treatment may be and still be shown not to be
    worse by the margin. For `equivalent` there is the `detectable_margin`.

    >>> from toolkit.stats.power import share_outcome
    >>> round(detectable_effect(share_outcome(0.10), 2 * 14750.790467).effect, 9)
    0.01
    >>> round(detectable_effect(share_outcome(0.10), 29502, PowerDesign(increase=False)).effect, 6)
    -0.009574
    """
    check_design(outcome, design, power)
    if design.hypothesis == "equivalent":
        raise ArgumentError("detectable_effect was asked for 'equivalent', which has none; ask for detectable_margin")
    answer, reason = _planned(outcome, design, n, power)
    answer = answer._replace(margin=design.margin)
    if reason:
        return answer._replace(reason=reason)
    toward = 1.0 if design.increase else -1.0

    def lacking(size: float) -> float:
        return chance(outcome, design, toward * size, n) - power

    found: float | None
    if outcome.share is not None:
        fall, rise = outcome.share, 1 - outcome.share
        worse, better = (fall, rise) if design.increase else (rise, fall)
        found = _crossing(lacking, -min(design.margin, worse), better)
    elif design.test == "z":
        found = design.reach(power) * _error(outcome, design, n) - design.margin
    else:
        found = _first(lacking, -design.margin, design.reach(power) * _error(outcome, design, n) - design.margin)
    if found is None:
        way = "rise" if design.increase else "fall"
        reason = f"no {way} from {outcome.share:g} can be found with power {power:g}" if outcome.share else TOO_LARGE
        return answer._replace(reason=reason)
    return answer._replace(effect=toward * found, status="ok", reason="")


def detectable_margin(
    outcome: Outcome, n: float, design: PowerDesign, *, effect: float = 0.0, power: float = 0.8
) -> Sizing:
    """The smallest margin that `n` units in all show the treatment to keep, if the true difference is `effect`.

    The margin of the design is not read.

    >>> from toolkit.stats.power import mean_outcome
    >>> design = PowerDesign(alpha=0.025, hypothesis="not_inferior")
    >>> round(detectable_margin(mean_outcome(100), 2 * 392.4439867, design).margin, 6)
    2.0
    """
    if design.hypothesis == "different":
        raise ArgumentError("detectable_margin was asked for 'different', which has none; ask for detectable_effect")
    check_design(outcome, design._replace(margin=1.0), power)
    effect = check_finite("effect", effect)
    answer, reason = _planned(outcome, design, n, power)
    answer = answer._replace(effect=effect)
    reason = reason or impossible(outcome, effect)
    if reason:
        return answer._replace(reason=reason)
    worse = -effect if design.increase else effect
    least = abs(effect) if design.hypothesis == "equivalent" else max(worse, 0.0)

    def lacking(margin: float) -> float:
        return chance(outcome, design._replace(margin=margin), effect, n) - power

    found = _first(lacking, least, least + design.reach(power) * _error(outcome, design, n, effect))
    if found is None:
        return answer._replace(reason=f"no margin: {TOO_LARGE}")
    return answer._replace(margin=found, status="ok", reason="")


def _planned(outcome: Outcome, design: PowerDesign, n: float, power: float) -> tuple[Sizing, str]:
    """The answer so far for `n` units, and why there can be no more of it."""
    n = check_at_least("n", n, 0)
    answer = unsolved(outcome, design)._replace(n=n, power=power)
    few = few_units(design, n)
    return (
        (answer, few)
        if few
        else (answer._replace(units=whole_units(design, n)), impossible(outcome, 0.0, design.margin))
    )


def _hopeless(design: PowerDesign, effect: float) -> str:
    """Why no number of units is enough, or ""."""
    if design.distance(effect) > 0:
        return ""
    what = "the effect is 0" if design.hypothesis == "different" else "the true difference lies at or beyond the margin"
    return f"no number of units is enough: {what}"


def _closed_form(outcome: Outcome, design: PowerDesign, effect: float, power: float) -> float:
    null, spread = (math.sqrt(variance) for variance in difference_variances(outcome, design, effect))
    critical = design.reach()
    needed = (critical * null + (design.reach(power) - critical) * spread) / design.distance(effect)
    return design.inflation * needed * needed


def _error(outcome: Outcome, design: PowerDesign, n: float, effect: float = 0.0) -> float:
    """The standard error of the difference."""
    return math.sqrt(difference_variances(outcome, design, effect)[1] * design.inflation / n)


def _first(lacking: Callable[[float], float], low: float, guess: float) -> float | None:
    """Where nothing is lacking any more, from `low` upwards; `low` itself if it is enough. None: nowhere."""
    step = max(guess - low, math.ulp(1.0) * abs(low), math.ulp(0.0))
    while math.isfinite(low + step):
        found = _crossing(lacking, low, low + step)
        if found is not None:
            return found
        step *= 4
    return None


def _crossing(lacking: Callable[[float], float], low: float, high: float) -> float | None:
    """Between two points; the lower one if it is enough, None if something is lacking still at the upper one."""
    from scipy import optimize

    if lacking(low) >= 0:
        return low
    if lacking(high) < 0:
        return None
    return float(optimize.brentq(lacking, low, high, xtol=max(abs(high) * 1e-14, math.ulp(0.0)), rtol=1e-14))
