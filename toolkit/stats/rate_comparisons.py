"""Two rates of events, such as errors per request before and now: the exact test, also where events come in bursts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_at_least, check_between
from toolkit.stats.arrays import matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, check_positive
from toolkit.stats.events import event_rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

METHOD = "exact conditional test, interval from Garwood's"
_FEWEST_EVENTS = 10
"""Events below which nothing can be said about how they burst."""


class RateComparison(NamedTuple):
    """Rate 1 against rate 0, both per unit of exposure.

    Attributes
    ----------
    rate0, rate1: events per exposure, each with its interval.
    difference: rate 1 - rate 0, with the p-value of no difference.
    """

    rate0: Estimate
    rate1: Estimate
    difference: Estimate


def compare_rates(
    events0: int,
    exposure0: float,
    events1: int,
    exposure1: float,
    *,
    dispersion: float = 1.0,
    confidence: float = CONFIDENCE,
) -> RateComparison:
    """Compare two rates of events that come independently, or in bursts of a known size.

    Given all events, those of the second group are binomial if the rates are equal: the p-value is twice the smaller
    tail (Przyborowski & Wilenski 1940, Biometrika 31:313), so it errs to the careful side. The difference's interval is
    made of both rates' own (`event_rate`) by MOVER (Zou & Donner 2008, Statistics in Medicine 27:1693).

    Parameters
    ----------
    dispersion: variance over mean of the counts, see `burst_size`: with 4, four events say as much as one.

    Raises `ArgumentError`.

    >>> worse = compare_rates(10, 1000, 30, 1000)
    >>> round(worse.difference.value, 3), round(worse.difference.ci_lower, 4), round(worse.difference.p_value, 6)
    (0.02, 0.0071, 0.002221)
    """
    check_between("confidence", confidence, 0, 1)
    check_at_least("dispersion", dispersion, 1)
    counts = check_count("events0", events0), check_count("events1", events1)
    exposures = check_positive("exposure0", exposure0), check_positive("exposure1", exposure1)
    said = counts[0] / dispersion, counts[1] / dispersion
    rate0, rate1 = (
        event_rate(count, exposure, dispersion=dispersion, confidence=confidence, method=METHOD)
        for count, exposure in zip(counts, exposures, strict=True)
    )
    p_value = _p_value(*said, exposure1 / (exposure0 + exposure1)) if sum(counts) else None
    return RateComparison(rate0, rate1, _difference(rate0, rate1, p_value, sum(counts)))


def burst_size(events: ArrayLike, exposures: ArrayLike) -> float:
    """Variance over mean of counts by day, at least 1: how many events come together.

    Pearson's chi-square against one common rate over its degrees of freedom (McCullagh & Nelder 1989, 4.5). Of fewer
    than ten events, or a single day, nothing can be said: 1.

    >>> burst_size([0, 0, 40, 0, 0], [100, 100, 100, 100, 100])
    40.0
    >>> burst_size([9, 11, 10, 10, 9], [100, 100, 100, 100, 100])
    1.0
    """
    import numpy as np

    counts, sizes = matched(events=events, exposures=exposures)
    counts, sizes = counts[sizes > 0], sizes[sizes > 0]
    if counts.size < 2 or counts.sum() < _FEWEST_EVENTS:
        return 1.0
    expected = sizes * (counts.sum() / sizes.sum())
    return max(1.0, float(np.square(counts - expected) @ (1 / expected)) / (counts.size - 1))


def _p_value(events0: float, events1: float, share1: float) -> float:
    """Twice the smaller tail of the binomial; counts that bursts have made smaller need not be whole."""
    from scipy import special

    upper = float(special.betainc(events1, events0 + 1, share1)) if events1 > 0 else 1.0
    lower = float(special.betaincc(events1 + 1, events0, share1)) if events0 > 0 else 1.0
    return min(1.0, 2 * min(upper, lower))


def _difference(rate0: Estimate, rate1: Estimate, p_value: float | None, n: int) -> Estimate:
    assert rate0.value is not None
    assert rate1.value is not None
    assert rate0.ci_lower is not None
    assert rate1.ci_lower is not None
    assert rate0.ci_upper is not None
    assert rate1.ci_upper is not None
    gap = rate1.value - rate0.value
    lower = gap - math.hypot(rate1.value - rate1.ci_lower, rate0.ci_upper - rate0.value)
    upper = gap + math.hypot(rate1.ci_upper - rate1.value, rate0.value - rate0.ci_lower)
    se = math.hypot(rate0.se or 0.0, rate1.se or 0.0)
    reason = "" if p_value is not None else "no test: there was no event"
    return Estimate(gap, se or None, None, lower, upper, p_value, n, METHOD, "ok", reason)
