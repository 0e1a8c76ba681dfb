"""Events in time when there are few: how often they come and how long they take, by exact intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.checks import check_at_least, check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import numbers
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, check_positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RATE_METHOD = "Poisson rate, exact interval"
MEDIAN_METHOD = "median, order statistics"


def event_rate(
    events: int, exposure: float, *, dispersion: float = 1.0, confidence: float = CONFIDENCE, method: str = RATE_METHOD
) -> Estimate:
    """Events per unit of exposure (such as weeks), as if they came independently at one rate, or in bursts.

    Source: Garwood (1936), Biometrika 28:437: exact without bursts, so at least as wide as promised.

    Parameters
    ----------
    dispersion: variance over mean of the counts, see `burst_size`: with 4, four events say as much as one.

    >>> rate = event_rate(10, 8)
    >>> rate.value, round(rate.ci_lower, 4), round(rate.ci_upper, 4)
    (1.25, 0.5994, 2.2988)
    >>> event_rate(0, 8).ci_lower, round(event_rate(0, 8).ci_upper, 4)
    (0.0, 0.4611)
    """
    from scipy import stats

    check_between("confidence", confidence, 0, 1)
    check_at_least("dispersion", dispersion, 1)
    count = check_count("events", events)
    check_positive("exposure", exposure)
    tail, said = (1 - confidence) / 2, count / dispersion
    lower = float(stats.chi2.ppf(tail, 2 * said)) / 2 * dispersion if count else 0.0
    upper = float(stats.chi2.isf(tail, 2 * said + 2)) / 2 * dispersion
    rate, se = count / exposure, math.sqrt(count * dispersion) / exposure
    reason = "" if count else "no standard error: there was no event (the interval does not need one)"
    return Estimate(rate, se or None, None, lower / exposure, upper / exposure, None, count, method, "ok", reason)


def median_duration(finished: ArrayLike, *, unfinished: int = 0, confidence: float = CONFIDENCE) -> Estimate:
    """The median of durations, with an interval between two of them that holds for every distribution.

    The interval's ends are those order statistics between which the median lies with at least this probability, by the
    binomial distribution of how many lie below it. `unfinished` ones count as longer than every finished one: the
    median, and the interval's upper end, are absent when they would fall among these.

    >>> median_duration([1, 2, 3, 4, 5, 6, 7, 8, 9])[:5]
    (5.0, None, None, 2.0, 8.0)
    >>> median_duration([125.0, 1030.0]).reason
    'no interval: 2 durations are too few for one of 95 %'
    """
    import numpy as np
    from scipy import stats

    check_between("confidence", confidence, 0, 1)
    check_at_least("unfinished", unfinished, 0)
    known = np.sort(numbers("finished", finished))
    if known.size and known[0] < 0:
        raise ArgumentError(f"finished holds {known[0]}, must hold durations of at least 0")
    n = int(known.size) + unfinished
    if n == 0:
        return Estimate.absent("nothing has a duration", n=0, method=MEDIAN_METHOD)
    middle = known[(n - 1) // 2 : n // 2 + 1]
    if middle.size < n // 2 - (n - 1) // 2 + 1:
        return Estimate.absent(f"{unfinished} of {n} are not finished", n=n, method=MEDIAN_METHOD)
    below = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))  # so many at most may lie below the interval
    if below < 1:
        reason = f"no interval: {n} durations are too few for one of {confidence:.3%}".replace(".000%", " %")
        return Estimate(float(middle.mean()), None, None, None, None, None, n, MEDIAN_METHOD, "ok", reason)
    lower, upper = known[below - 1], known[n - below] if n - below < known.size else None
    reason = "" if upper is not None else "no upper end: it lies among those that are not finished"
    return Estimate(
        float(middle.mean()),
        None,
        None,
        float(lower),
        None if upper is None else float(upper),
        None,
        n,
        MEDIAN_METHOD,
        "ok",
        reason,
    )
