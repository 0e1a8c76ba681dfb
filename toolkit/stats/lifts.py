"""Relative lift: a difference of means as a share of the control mean, with Fieller's interval.

The interval uses the error, the degrees of freedom and the critical value of the absolute test, so that both say the
same about zero; the p-value is that of the absolute test.
"""

from __future__ import annotations

import math

from toolkit.stats.estimate import CONFIDENCE, TOO_LARGE, Estimate, check_reach, critical_value
from toolkit.stats.means import welch


def relative_lift(
    n0: int,
    mean0: float | None,
    variance0: float | None,
    n1: int,
    mean1: float | None,
    variance1: float | None,
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """(mean1 - mean0) / |mean0| from two samples' counts, means and sample variances (ddof 1).

    Source: Fieller (1954), JRSS B 16:175. Dividing by |mean0| keeps the sign of an improvement when the control mean is
    negative. Where the control mean cannot be told from 0 (g >= 1) the interval is unbounded; where it is 0 there is no
    lift. `se` is the delta method's; the interval is not symmetric and not made of it.

    >>> lift = relative_lift(3407, 0.41, 15.2103, 3461, 0.70, 38.4399)
    >>> round(lift.value, 4), round(lift.ci_lower, 3), round(lift.ci_upper, 3), round(lift.p_value, 4)
    (0.7073, 0.094, 1.709, 0.0202)
    >>> relative_lift(50, 0.1, 4.0, 50, 0.2, 4.0).reason
    'unbounded: the control mean cannot be told from 0 (g = 31.5)'
    """
    difference = welch(n0, mean0, variance0, n1, mean1, variance1, confidence=confidence)
    se0 = math.sqrt((variance0 or 0.0) / n0) if difference.se else 0.0
    return fieller(difference, mean0 or 0.0, se0=se0, covariance=0.0, method="fieller", confidence=confidence)


def fieller(
    difference: Estimate,
    mean0: float,
    *,
    se0: float,
    covariance: float,
    method: str,
    confidence: float = CONFIDENCE,
    critical: float | None = None,
) -> Estimate:
    """difference / |mean0| with Fieller's interval, which says of zero what the difference's own interval says.

    The difference may be an adjusted one: `mean0` is then still the control's own mean, and `covariance` says how the
    two depend on each other.

    Parameters
    ----------
    difference: an estimate with interval and test, made with the same confidence and the same `critical`.
    se0: the standard error of `mean0`.
    covariance: of `mean0` with `mean0` + difference: that of the two means, 0 if they are independent.

    >>> from toolkit.stats import from_standard_error
    >>> gain = from_standard_error(0.29, 0.125, n=6868, method="z", null=0.0)
    >>> lift = fieller(gain, 0.41, se0=0.067, covariance=0.0, method="fieller")
    >>> round(lift.ci_lower, 3), round(lift.ci_upper, 3), lift.p_value == gain.p_value
    (0.093, 1.712, True)
    """
    n = difference.n
    if difference.value is None:
        return difference._replace(method=method)
    if mean0 == 0:
        return Estimate.absent("the control mean is 0: there is nothing to be relative to", n=n, method=method)
    lift = Estimate.alone(difference.value / abs(mean0), n=n, method=method, reason=difference.reason)
    if lift.value is None or difference.se is None:
        return lift
    se, df = difference.se, difference.df
    if not se:
        return lift._replace(se=0.0)

    # In units of |mean0|: d the difference, v its variance, a that of the control mean, c their covariance.
    d = lift.value
    a, v = (se0 / mean0) * (se0 / mean0), (se / mean0) * (se / mean0)
    c = math.copysign(1.0, mean0) * (covariance / mean0 / mean0 - a)
    reach = critical_value(confidence, df=df) if critical is None else check_reach(critical)
    g = reach * reach * a
    spread = v - 2 * d * c + d * d * a
    tested = lift._replace(df=df, p_value=difference.p_value, reason=f"no interval: {TOO_LARGE}")
    if not (math.isfinite(spread) and math.isfinite(g)):
        return tested
    tested = tested._replace(se=math.sqrt(max(spread, 0.0)))
    if g >= 1:
        return tested._replace(reason=f"unbounded: the control mean cannot be told from 0 (g = {g:.3g})")

    # Roots of (1 - g) t² - 2 middle t + product <= 0: all t that the test of "mean1 - mean0 = t |mean0|" keeps.
    middle = d - reach * reach * c
    product = (abs(d) - reach * math.sqrt(v)) * (abs(d) + reach * math.sqrt(v))
    # middle² - (1 - g) product, rearranged so that d², which leads both, is never subtracted from itself.
    root = reach * math.sqrt(max(spread - reach * reach * (a * v - c * c), 0.0))
    # The root that is a sum keeps its digits; the other follows from the product, and so does its sign.
    outer = (middle + math.copysign(root, middle)) / (1 - g)
    inner = product / (1 - g) / outer if outer else 0.0
    if not (math.isfinite(outer) and math.isfinite(inner)):
        return tested
    return tested._replace(ci_lower=min(outer, inner, d), ci_upper=max(outer, inner, d), reason="")
