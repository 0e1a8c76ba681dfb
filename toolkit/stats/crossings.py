"""What a boundary does under an effect: power, how early the test stops, the sample it costs, and a futility bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from toolkit.checks import check_between, check_in
from toolkit.errors import ArgumentError
from toolkit.stats.boundaries import STALLED, Boundary, boundary, solve_below
from toolkit.stats.score_process import Z_CAP, Score, start
from toolkit.stats.spending import RHO, SPENDING, spent_alpha

_LARGEST_DRIFT = 40.0


class Crossings(NamedTuple):
    """Where a test ends, as probabilities per look; what is left never crosses a bound.

    Attributes
    ----------
    fractions: information at the looks.
    upper, lower: of crossing z, and -z, for the first time at the look.
    futile: of falling below the futility bound there, and not below -z; 0 without such a bound.
    """

    fractions: tuple[float, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...]
    futile: tuple[float, ...]

    @property
    def power(self) -> float:
        """The probability of crossing on the good side, at any look."""
        return math.fsum(self.upper)

    @property
    def rejected(self) -> float:
        """The probability of crossing on either side, at any look: with drift 0 the chance of a false alarm."""
        return math.fsum(self.upper + self.lower)

    @property
    def expected_fraction(self) -> float:
        """The information at which the test is expected to end, as a share of what was planned."""
        ends = [sum(parts) for parts in zip(self.upper, self.lower, self.futile, strict=True)]
        weighed = math.fsum(end * fraction for end, fraction in zip(ends, self.fractions, strict=True))
        return weighed + max(0.0, 1 - math.fsum(ends)) * self.fractions[-1]


def crossing_probability(bounds: Boundary, drift: float) -> Crossings:
    """Where a test with these bounds ends under a drift: the expected Z at information 1 (effect / its final se).

    >>> end = crossing_probability(boundary([0.25, 0.5, 0.75, 1.0], alpha=0.05), drift=2.8016)
    >>> round(end.power, 4), round(end.expected_fraction, 4)
    (0.7923, 0.8262)
    """
    if not math.isfinite(drift):
        raise ArgumentError(f"drift == {drift}, must be a finite number")
    score, at = start(drift), 0.0
    ends: list[_Ends] = []
    region, reached = _EVERYWHERE, _NONE
    for look, fraction in enumerate(bounds.fractions):
        if fraction - at >= STALLED:
            if at > 0:
                score = score.look(at, region.low, region.high, next_step=fraction - at)
            at, region, reached = fraction, _EVERYWHERE, _NONE
        if at == 0:
            ends.append(_NONE)
            continue
        # A look without new information ends only what its bounds catch beyond those of the look before.
        region = region.narrowed(bounds, look)
        so_far = region.ends(score, at)
        ends.append(_Ends(*(now - then for now, then in zip(so_far, reached, strict=True))))
        reached = so_far
    return Crossings(bounds.fractions, *(tuple(side) for side in zip(*ends, strict=True)))


def drift_for_power(bounds: Boundary, power: float) -> float:
    """The drift at which a test with these bounds crosses on the good side with probability `power`.

    The largest effect it must be able to find times the root of the sample: (drift / drift of one fixed look)² is what
    its looks cost in sample size.

    >>> round(drift_for_power(boundary([1.0], alpha=0.05), 0.8), 6)
    2.801585
    """
    from scipy import optimize

    check_between("power", power, 0, 1)

    def shortfall(drift: float) -> float:
        return crossing_probability(bounds, drift).power - power

    if shortfall(0.0) >= 0:
        raise ArgumentError(f"power == {power}, must be above {power + shortfall(0.0):.4g}: what no effect at all has")
    if shortfall(_LARGEST_DRIFT) < 0:
        raise ArgumentError(f"bounds that are 8 or more at every look reach no power of {power}")
    return float(optimize.brentq(shortfall, 0.0, _LARGEST_DRIFT, xtol=1e-10))


def inflation(
    fractions: Sequence[float], *, alpha: float, power: float, spending: str = "obrien_fleming", rho: float = RHO
) -> float:
    """How many times the sample of a test without looks one with these looks needs at most for the same power.

    Two-sided. `fractions` are shares of the planned sample, the last 1; with `expected_fraction` of the crossings the
    sample to be expected is usually smaller than without looks.

    >>> round(inflation([0.2, 0.4, 0.6, 0.8, 1.0], alpha=0.05, power=0.8), 4)
    1.0247
    """
    looks = boundary(fractions, alpha=alpha, spending=spending, rho=rho)
    fixed = boundary([looks.fractions[-1]], alpha=alpha, spending=spending, rho=rho)
    return (drift_for_power(looks, power) / drift_for_power(fixed, power)) ** 2


def with_futility(bounds: Boundary, *, power: float, spending: str = "obrien_fleming", rho: float = RHO) -> Boundary:
    """The boundary with a bound for futility, which spends 1 - power as the other spends alpha and meets it at the end.

    Source: Pampallona, Tsiatis & Kim (2001), Drug Information Journal 35:1113. It is not binding: the bounds for
    rejecting stay as they are, so that going on in spite of it makes no false alarm likelier. Under the effect that the
    test has `power` for with this bound (`drift_for_power` of the result), 1 - power of the tests end futile or at the
    end without a gain. An effect known to be harmful is futile too: where the bound lies below -z, harm comes first.

    >>> both = with_futility(boundary([0.5, 1.0], alpha=0.05), power=0.8)
    >>> [round(z, 3) for z in both.futility], round(crossing_probability(both, drift_for_power(both, 0.8)).power, 6)
    ([0.559, 1.969], 0.8)
    """
    from scipy import optimize

    check_between("power", power, 0, 1)
    check_in(spending, SPENDING, noun="spending function")
    due = [spent_alpha(fraction, 1 - power, spending, rho=rho, sides=1) for fraction in bounds.fractions]

    def lower(drift: float) -> Boundary:
        return bounds._replace(futility=_spend_below(bounds, due, drift))

    def shortfall(drift: float) -> float:
        return crossing_probability(lower(drift), drift).power - power

    least = drift_for_power(bounds, power)
    return lower(float(optimize.brentq(shortfall, least, _LARGEST_DRIFT, xtol=1e-10)))


class _Ends(NamedTuple):
    """Probabilities of ending at one look."""

    upper: float
    lower: float
    futile: float


class _Region(NamedTuple):
    """Where a look lets Z go on: between `low` and `high`; below `harm` it has crossed on the other side."""

    harm: float
    low: float
    high: float

    def narrowed(self, bounds: Boundary, look: int) -> _Region:
        high = min(self.high, bounds.z[look])
        harm = max(self.harm, -bounds.z[look]) if bounds.sides == 2 else -math.inf
        futility = bounds.futility[look] if bounds.futility else -math.inf
        return _Region(harm, max(self.low, harm, futility), high)

    def ends(self, score: Score, information: float) -> _Ends:
        lower = score.below(self.harm, information) if self.harm > -math.inf else 0.0
        below = score.below(self.low, information) if self.low > -math.inf else 0.0
        return _Ends(score.above(self.high, information), lower, below - lower)


_EVERYWHERE = _Region(-math.inf, -math.inf, math.inf)
_NONE = _Ends(0.0, 0.0, 0.0)


def _spend_below(bounds: Boundary, due: Sequence[float], drift: float) -> tuple[float, ...]:
    """At each look but the last the bound that the score falls below there, first, with the probability due."""
    score, at = start(drift), 0.0
    region, reached = _EVERYWHERE, 0.0
    futility: list[float] = []
    for look, fraction in enumerate(bounds.fractions[:-1]):
        if fraction - at >= STALLED:
            if at > 0:
                score = score.look(at, region.low, region.high, next_step=fraction - at)
            bound = min(solve_below(score, fraction, due[look] - reached), bounds.z[look])
            at, reached = fraction, due[look]
            region = _EVERYWHERE
        else:
            bound = futility[-1] if futility else -Z_CAP
        futility.append(bound)
        region = region.narrowed(bounds._replace(futility=tuple(futility)), look)
    return (*futility, bounds.z[-1])
