"""Proportions and their differences, by score intervals that stay true at 0, at 1 and for few observations."""

from __future__ import annotations

import math

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, critical_value, two_sided_p


def proportion(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """The share of successes among `n` independent observations, with Wilson's interval.

    Source: Wilson (1927), JASA 22:209. `se` is the normal-theory one and not what the interval is made of; where every
    observation is the same it is absent, because 0 would be untrue.

    >>> share = proportion(3, 200)
    >>> round(share.value, 4), round(share.ci_lower, 6), round(share.ci_upper, 6)
    (0.015, 0.005114, 0.043166)
    >>> proportion(0, 20).ci_lower, proportion(0, 0).reason
    (0.0, 'no observations')
    """
    check_between("confidence", confidence, 0, 1)
    successes, n = check_successes("successes", successes, "n", n)
    if n == 0:
        return Estimate.absent("no observations", n=0, method="wilson")
    share = successes / n
    lower, upper = _wilson(successes, n, critical_value(confidence))
    if successes in {0, n}:
        reason = "no standard error: every observation is the same (the interval does not need one)"
        return Estimate(share, None, None, lower, upper, None, n, "wilson", "ok", reason)
    return Estimate(share, math.sqrt(share * (1 - share) / n), None, lower, upper, None, n, "wilson", "ok", "")


def difference_of_proportions(x0: int, n0: int, x1: int, n1: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """x1/n1 - x0/n0 of two independent groups: Newcombe's hybrid score interval, and the pooled z test against 0.

    Source: Newcombe (1998), Statistics in Medicine 17:873, method 10. The interval and the test rest on different
    approximations: close to the edge one may call what the other does not. `compare_proportions` has one for both.

    >>> gain = difference_of_proportions(48, 80, 56, 70)
    >>> round(gain.value, 9), round(gain.ci_lower, 4), round(gain.ci_upper, 4), round(gain.p_value, 5)
    (0.2, 0.0524, 0.3339, 0.00805)
    """
    method = "newcombe hybrid score, pooled z"
    check_between("confidence", confidence, 0, 1)
    x0, n0 = check_successes("x0", x0, "n0", n0)
    x1, n1 = check_successes("x1", x1, "n1", n1)
    n = n0 + n1
    if n0 == 0 or n1 == 0:
        return Estimate.absent(f"no observations in one group: n0 == {n0}, n1 == {n1}", n=n, method=method)
    share0, share1 = x0 / n0, x1 / n1
    reach = critical_value(confidence)
    lower0, upper0 = _wilson(x0, n0, reach)
    lower1, upper1 = _wilson(x1, n1, reach)
    gap = share1 - share0
    lower = max(gap - math.hypot(share1 - lower1, upper0 - share0), -1.0)
    upper = min(gap + math.hypot(upper1 - share1, share0 - lower0), 1.0)
    se = math.sqrt(share0 * (1 - share0) / n0 + share1 * (1 - share1) / n1)
    estimate = Estimate(gap, se or None, None, lower, upper, None, n, method, "ok", "")
    pooled = (x0 + x1) / n
    if x0 + x1 in {0, n}:
        return estimate._replace(reason="no standard error and no test: every observation is the same")
    pooled_se = math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    reason = "" if se else "no standard error: within each group every observation is the same"
    return estimate._replace(p_value=two_sided_p(gap / pooled_se), reason=reason)


def _wilson(successes: int, n: int, reach: float) -> tuple[float, float]:
    """Wilson's bounds: the roots of (1 + t) p² - (2 share + t) p + share², with t = reach² / n."""
    share, t = successes / n, reach * reach / n
    width = math.sqrt(t * (t + 4 * share * (1 - share)))
    upper = min((2 * share + t + width) / (2 * (1 + t)), 1.0)
    # The product of the roots, because the other root as a difference would lose its digits near 0.
    lower = min(share * share / ((1 + t) * upper), share) if successes else 0.0
    return lower, 1.0 if successes == n else max(upper, share)


def check_successes(x_name: str, x: float, n_name: str, n: float) -> tuple[int, int]:
    """Return both as ints if they are counts and no more are successes than there are."""
    successes, observations = check_count(x_name, x), check_count(n_name, n)
    if successes > observations:
        raise ArgumentError(f"{x_name} == {successes}, must be at most {n_name} == {observations}")
    return successes, observations
