"""Two shares compared by the score test: for few successes, where a variance guessed from the sample is untrue.

Every candidate for the difference, or for the ratio, is tested with the variance that the shares would have if it were
true. The intervals hold the candidates that are not rejected, so that interval, lift and p-value agree about zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from toolkit.checks import check_between
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_reach, critical_value, two_sided_p
from toolkit.stats.proportions import check_successes

_DIFFERENCE, _RATIO = "miettinen-nurminen score", "miettinen-nurminen score ratio"


def compare_proportions(
    x0: int, n0: int, x1: int, n1: int, *, confidence: float = CONFIDENCE, critical: float | None = None
) -> tuple[Estimate, Estimate]:
    """The difference x1/n1 - x0/n0 and the lift (x1/n1) / (x0/n0) - 1 of two independent groups.

    Source: Miettinen & Nurminen (1985), Statistics in Medicine 4:213; the p-value is that of their test of no
    difference, a pooled z test with N / (N - 1) on the variance. `se` is the normal-theory one and not what the
    intervals are made of.

    Parameters
    ----------
    critical: as in `from_standard_error`.

    >>> gain, lift = compare_proportions(3, 200, 11, 210)
    >>> round(gain.ci_lower, 4), round(gain.ci_upper, 4), round(lift.ci_lower, 3), round(lift.ci_upper, 3)
    (0.0025, 0.0783, 0.067, 10.533)
    >>> round(gain.p_value, 4), lift.p_value == gain.p_value
    (0.0375, True)
    >>> compare_proportions(0, 200, 4, 210)[1].reason
    'the control mean is 0: there is nothing to be relative to'
    """
    check_between("confidence", confidence, 0, 1)
    reach = critical_value(confidence) if critical is None else check_reach(critical)
    x0, n0 = check_successes("x0", x0, "n0", n0)
    x1, n1 = check_successes("x1", x1, "n1", n1)
    n = n0 + n1
    if n0 == 0 or n1 == 0:
        absent = Estimate.absent(f"no observations in one group: n0 == {n0}, n1 == {n1}", n=n, method=_DIFFERENCE)
        return absent, absent._replace(method=_RATIO)
    share0, share1 = x0 / n0, x1 / n1
    error0, error1 = (math.sqrt(share * (1 - share) / size) for share, size in ((share0, n0), (share1, n1)))
    p_value, reason = None, ""
    if x0 + x1 in {0, n}:
        reason = "no standard error and no test: every observation is the same"
    else:
        p_value = None if critical is not None else two_sided_p(math.sqrt(_difference_score(x0, n0, x1, n1, 0.0)))
        if not (error0 or error1):
            reason = "no standard error: within each group every observation is the same"
    gap = share1 - share0
    lower, upper = _difference_ends(x0, n0, x1, n1, reach)
    se = math.hypot(error0, error1)
    difference = Estimate(gap, se or None, None, lower, upper, p_value, n, _DIFFERENCE, "ok", reason)
    if x0 == 0:
        nothing = "the control mean is 0: there is nothing to be relative to"
        return difference, Estimate.absent(nothing, n=n, method=_RATIO)
    ratio = share1 / share0
    lower, upper = _ratio_ends(x0, n0, x1, n1, reach)
    se = math.hypot(error1, ratio * error0) / share0
    value = gap / share0
    lower, upper = min(lower - 1, value), max(upper - 1, value)
    return difference, Estimate(value, se or None, None, lower, upper, p_value, n, _RATIO, "ok", reason)


def _difference_ends(x0: int, n0: int, x1: int, n1: int, reach: float) -> tuple[float, float]:
    gap = x1 / n1 - x0 / n0

    def score(candidate: float) -> float:
        return _difference_score(x0, n0, x1, n1, candidate)

    lower = -1.0 if gap == -1 else _end(score, inside=gap, outside=-1.0, reach=reach)
    return lower, 1.0 if gap == 1 else _end(score, inside=gap, outside=1.0, reach=reach)


def _ratio_ends(x0: int, n0: int, x1: int, n1: int, reach: float) -> tuple[float, float]:
    ratio = (x1 / n1) / (x0 / n0)

    def score(candidate: float) -> float:
        return _ratio_score(x0, n0, x1, n1, candidate)

    beyond = 2 * max(ratio, 1.0)
    # With a success in the control no ratio is so large that none larger is rejected.
    while score(beyond) <= reach * reach:
        beyond *= 2
    lower = _end(score, inside=ratio, outside=0.0, reach=reach) if x1 else 0.0
    return lower, _end(score, inside=ratio, outside=beyond, reach=reach)


def _end(score: Callable[[float], float], *, inside: float, outside: float, reach: float) -> float:
    """The candidate between `inside`, which is kept, and `outside`, which is rejected, that is just kept."""
    from scipy import optimize

    def beyond(candidate: float) -> float:
        # Cut off, because at the ends of the range nothing varies and the statistic is infinite.
        return min(math.sqrt(score(candidate)), 4 * reach) - reach

    return float(optimize.brentq(beyond, inside, outside, xtol=1e-15, rtol=1e-14))


def _difference_score(x0: int, n0: int, x1: int, n1: int, candidate: float) -> float:
    """The square of the score statistic of share1 - share0 == candidate."""
    share0, share1 = x0 / n0, x1 / n1
    away = share1 - share0 - candidate
    low, high = max(0.0, -candidate), min(1.0, 1.0 - candidate)
    fitted0 = min(max(_fitted(x0, n0, x1, n1, candidate), low), high)
    fitted1 = fitted0 + candidate
    variance = max(fitted0 * (1 - fitted0), 0.0) / n0 + max(fitted1 * (1 - fitted1), 0.0) / n1
    return _squared(away, variance, n0 + n1)


def _fitted(x0: int, n0: int, x1: int, n1: int, candidate: float) -> float:
    """The most likely share of the control if the treatment's is larger by `candidate`: a root of a cubic.

    Source: Miettinen & Nurminen (1985), appendix; polished by Newton's steps, because the closed form loses digits
    where two roots are close.
    """
    n = n0 + n1
    cubic = (
        float(n),
        (2 * n0 + n1) * candidate - n - x0 - x1,
        (n0 * candidate - n - 2 * x0) * candidate + x0 + x1,
        x0 * candidate * (1 - candidate),
    )
    third = cubic[1] / (3 * cubic[0])
    q = third * third * third - cubic[1] * cubic[2] / (6 * cubic[0] * cubic[0]) + cubic[3] / (2 * cubic[0])
    p = math.copysign(math.sqrt(max(third * third - cubic[2] / (3 * cubic[0]), 0.0)), q)
    turn = 1.0 if p == 0 else min(max(q / (p * p * p), -1.0), 1.0)
    root = 2 * p * math.cos((math.pi + math.acos(turn)) / 3) - third
    for _ in range(2):
        slope = (3 * cubic[0] * root + 2 * cubic[1]) * root + cubic[2]
        step = (((cubic[0] * root + cubic[1]) * root + cubic[2]) * root + cubic[3]) / slope if slope else 0.0
        root -= step if abs(step) < 1e-6 else 0.0
    return root


def _ratio_score(x0: int, n0: int, x1: int, n1: int, candidate: float) -> float:
    """The square of the score statistic of share1 / share0 == candidate."""
    n, x = n0 + n1, x0 + x1
    middle = candidate * (x0 + n1) + x1 + n0
    fitted0 = 2 * x / (middle + math.sqrt(max(middle * middle - 4 * n * candidate * x, 0.0)))
    fitted1 = min(candidate * fitted0, 1.0)
    variance = fitted1 * (1 - fitted1) / n1 + candidate * candidate * max(fitted0 * (1 - fitted0), 0.0) / n0
    return _squared(x1 / n1 - candidate * (x0 / n0), variance, n)


def _squared(away: float, variance: float, n: int) -> float:
    if away == 0:
        return 0.0
    return away * away / variance * (n - 1) / n if variance > 0 else math.inf
