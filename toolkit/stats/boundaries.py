"""Group sequential bounds: how far Z must be from zero at each of several looks so that together they keep alpha.

An interval of estimate ± bound · standard error at each look is a repeated confidence interval (Jennison & Turnbull
1989, JRSS B 51:305): all of them hold the truth together with probability 1 - alpha, stopped for whatever reason.

>>> planned = boundary([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05)
>>> [round(z, 3) for z in planned.z]
[4.877, 3.357, 2.68, 2.29, 2.031]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from toolkit.checks import check_at_least, check_between, check_in
from toolkit.errors import ArgumentError
from toolkit.stats.score_process import Z_CAP, Score, start
from toolkit.stats.spending import RHO, SPENDING, Sides, check_sides, spent_alpha

CLASSIC = ("pocock", "obrien_fleming")

STALLED = 1e-5
"""Information that grows by less is the information of the look before: the two Z are one number."""

_NOTHING = 1e-15
"""Less than this left to spend on a side, and the bound is `Z_CAP`."""

_TINY = 1e-300


class Boundary(NamedTuple):
    """Bounds for the looks in their order.

    Attributes
    ----------
    fractions: information so far at each look, as a share of what was planned.
    z: cross it, above or (two-sided) below -z, and the test has rejected; at most 8.
    spent: of `alpha`, up to and with each look.
    alpha, sides: the chance of a false alarm over all looks, and whether below -z counts too.
    futility: below it on the good side more data would hardly help; () without such a bound. See `with_futility`.
    """

    fractions: tuple[float, ...]
    z: tuple[float, ...]
    spent: tuple[float, ...]
    alpha: float
    sides: Sides
    futility: tuple[float, ...] = ()


def boundary(
    fractions: Sequence[float],
    *,
    alpha: float,
    spending: str = "obrien_fleming",
    rho: float = RHO,
    final: bool = True,
    sides: Sides = 2,
) -> Boundary:
    """The bounds that spend alpha by a function of the information (Lan & DeMets 1983, Biometrika 70:659).

    Two-sided bounds are symmetric: alpha/2 on each side, and crossing one side ends the test, so that the chance of a
    false alarm is alpha exactly. Bounds made from one side alone at alpha/2 (`sides=1`) count on a score that went far
    below to come back above; they are larger, in the fifth digit.

    A look whose information did not grow repeats the bound and spends nothing. Information beyond 1 leaves nothing to
    spend for later looks, whose bound is 8. A test may end short: with `final` the last look spends all the rest.

    Harm is the bound below: -z. To stop for harm sooner than for a gain, take a second, one-sided boundary at alpha/2
    with `pocock` spending and read it on -Z: stopping for harm makes a false gain no likelier.

    Parameters
    ----------
    fractions: information at the looks so far, and at planned ones if wanted, in their order; 0 or more.
    final: whether the last of them ends the test.
    sides: 1 for an upper bound only, at the one-sided level alpha.

    >>> round(boundary([0.83], alpha=0.05).z[0], 6)
    1.959964
    >>> early = boundary([0.3, 0.5, 0.5, 0.9], alpha=0.05, spending="pocock", final=False)
    >>> [round(z, 3) for z in early.z], [round(share, 4) for share in early.spent]
    ([2.312, 2.398, 2.398, 2.272], [0.0208, 0.031, 0.031, 0.0467])
    """
    shares = check_fractions(fractions)
    check_in(spending, SPENDING, noun="spending function")
    check_between("alpha", alpha, 0, 1)
    check_between("rho", rho, 0, math.inf)
    check_sides(sides)
    due = tuple(spent_alpha(share, alpha, spending, rho=rho, sides=sides) for share in shares)
    return _spend(shares, due, alpha, final, sides)


def classic_boundary(looks: int, *, alpha: float, family: str) -> Boundary:
    """The bounds of Pocock (1977), Biometrika 64:191, or O'Brien & Fleming (1979), Biometrics 35:549: equal steps.

    Pocock's bound is one constant C; O'Brien and Fleming's at look k of K is C · √(K/k). Two-sided.

    >>> round(classic_boundary(5, alpha=0.05, family="pocock").z[0], 3)
    2.413
    >>> [round(z, 3) for z in classic_boundary(5, alpha=0.05, family="obrien_fleming").z]
    [4.562, 3.226, 2.634, 2.281, 2.04]
    """
    check_in(family, CLASSIC, noun="family of boundaries")
    check_between("alpha", alpha, 0, 1)
    if looks < 1:
        raise ArgumentError(f"looks == {looks}, must be at least 1")
    return _classic(looks, alpha, family)


def studentized(z: float, df: float | None) -> float:
    """The bound for a statistic whose standard error was estimated: the quantile of t with the tail of `z`.

    Source: the significance level approach of Pocock (1977), Biometrika 64:191. At a single look
    it makes the bound the critical value of the ordinary t test. Without `df` it is `z` itself.

    >>> round(studentized(1.959964, 9), 6), studentized(2.04, None)
    (2.262157, 2.04)
    """
    from scipy import special

    if not math.isfinite(z):
        raise ArgumentError(f"z == {z}, must be a finite number")
    if df is None:
        return z
    if not df > 0:
        raise ArgumentError(f"df == {df}, must be a number above 0")
    return math.copysign(abs(float(special.stdtrit(df, special.ndtr(-abs(z))))), z)


def check_fractions(given: Sequence[float]) -> tuple[float, ...]:
    """`given` as floats if they can be the information at looks in their order."""
    if not given:
        raise ArgumentError("fractions is empty, must hold the information at one look at least")
    shares = tuple(float(check_at_least("fractions", share, 0)) for share in given)
    for number, (before, after) in enumerate(pairwise(shares), start=2):
        if after < before:
            raise ArgumentError(
                f"fractions fall from {before:g} to {after:g} at look {number}, must not fall: give the looks in the "
                "order they were taken, and the most information so far where rows have gone"
            )
    return shares


def solve_above(score: Score, information: float, probability: float, *, low: float = -Z_CAP) -> float:
    """The z that the score at its next look exceeds with this probability; between `low` and `Z_CAP`."""
    return _solve(lambda z: score.above(z, information), probability, low, Z_CAP)


def solve_below(score: Score, information: float, probability: float) -> float:
    """The z that the score at its next look falls below with this probability."""
    return -_solve(lambda z: score.below(-z, information), probability, -Z_CAP, Z_CAP)


def _solve(tail: Callable[[float], float], probability: float, low: float, high: float) -> float:
    """Where the falling `tail` meets the probability, compared by logarithms: tails differ by many powers of ten."""
    from scipy import optimize

    if probability < _NOTHING or tail(high) >= probability:
        return high
    if tail(low) <= probability:
        return low

    def excess(z: float) -> float:
        # A bound far beyond what a short step can reach has a tail of 0.
        return math.log(max(tail(z), _TINY) / probability)

    return float(optimize.brentq(excess, low, high, xtol=1e-11))


@lru_cache(maxsize=4096)
def _spend(fractions: tuple[float, ...], due: tuple[float, ...], alpha: float, final: bool, sides: Sides) -> Boundary:
    """The recursion: at each look the bound that is crossed first there with the probability due and not yet spent."""
    score, at = start(), 0.0
    bounds: list[float] = []
    spent: list[float] = []
    before = reached = 0.0
    for index, fraction in enumerate(fractions):
        last = final and index == len(fractions) - 1
        if fraction - at >= STALLED:
            if at > 0:
                score = _passed(score, at, bounds[-1], sides, next_step=fraction - at)
            at, before = fraction, reached
        elif not (last and at > 0):
            bounds.append(bounds[-1] if bounds else Z_CAP)
            spent.append(reached)
            continue
        # The last look without new information spends the rest on the Z that is there: as one look with the one before.
        reached = alpha if last else due[index]
        bounds.append(solve_above(score, at, (reached - before) / sides, low=0.0 if sides == 2 else -Z_CAP))
        spent.append(reached)
    return Boundary(fractions, tuple(bounds), tuple(spent), alpha, sides)


def _passed(score: Score, information: float, bound: float, sides: Sides, *, next_step: float) -> Score:
    return score.look(information, -bound if sides == 2 else -math.inf, bound, next_step=next_step)


@lru_cache(maxsize=256)
def _classic(looks: int, alpha: float, family: str) -> Boundary:
    from scipy import optimize

    fractions = tuple(look / looks for look in range(1, looks + 1))
    shape = [1.0 if family == "pocock" else math.sqrt(1 / fraction) for fraction in fractions]

    def spent_with(constant: float) -> tuple[float, ...]:
        score, spent, total = start(), [], 0.0
        for look, fraction in enumerate(fractions):
            bound = constant * shape[look]
            total += 2 * score.above(bound, fraction)
            spent.append(total)
            score = _passed(score, fraction, bound, 2, next_step=1 / looks)
        return tuple(spent)

    constant = float(optimize.brentq(lambda c: spent_with(c)[-1] - alpha, 0.0, Z_CAP, xtol=1e-11))
    spent = (*spent_with(constant)[:-1], alpha)
    return Boundary(fractions, tuple(constant * height for height in shape), spent, alpha, 2)
