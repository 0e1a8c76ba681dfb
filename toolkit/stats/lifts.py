"""Relative lift: a difference of means as a share of the control mean, with Fieller's interval.

The interval uses the error, the degrees of freedom and the critical value of the absolute test, so that both say the
same about zero; the p-value is that of the absolute test.
"""

from __future__ import annotations

import math

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import (
    CONFIDENCE,
    TOO_LARGE,
    Estimate,
    check_count,
    check_finite,
    check_variance,
    critical_value,
    from_standard_error,
    lacking,
    satterthwaite_df,
)
from toolkit.stats.means import too_few


def relative_lift(
    n0: int,
    mean0: float | None,
    variance0: float | None,
    n1: int,
    mean1: float | None,
    variance1: float | None,
    *,
    covariance: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """(mean1 - mean0) / |mean0| from two samples' counts, means and sample variances (ddof 1).

    Source: Fieller (1954), JRSS B 16:175. Dividing by |mean0| keeps the sign of an improvement when the control mean is
    negative. Where the control mean cannot be told from 0 (g >= 1) the interval is unbounded; where it is 0 there is no
    lift. `se` is the delta method's; the interval is not symmetric and not made of it.

    Parameters
    ----------
    covariance: of the two sample means (not of the observations); then there are n - 1 degrees of freedom of the
        smaller sample, which is exact for pairs.

    >>> lift = relative_lift(3407, 0.41, 15.2103, 3461, 0.70, 38.4399)
    >>> round(lift.value, 4), round(lift.ci_lower, 3), round(lift.ci_upper, 3), round(lift.p_value, 4)
    (0.7073, 0.094, 1.709, 0.0202)
    >>> relative_lift(50, 0.1, 4.0, 50, 0.2, 4.0).reason
    'unbounded: the control mean cannot be told from 0 (g = 31.5)'
    """
    check_between("confidence", confidence, 0, 1)
    n0, n1 = check_count("n0", n0), check_count("n1", n1)
    if n0 == 0 or n1 == 0:
        return Estimate.absent(f"no observations in one group: n0 == {n0}, n1 == {n1}", n=n0 + n1, method="fieller")
    mean0, mean1 = check_finite("mean0", mean0), check_finite("mean1", mean1)
    few = too_few(n0, n1)
    if few:
        return _lift_alone(mean0, mean1, n=n0 + n1, method="fieller", reason=f"{lacking(0.0)}: {few}")
    se0 = math.sqrt(check_variance("variance0", variance0) / n0)
    se1 = math.sqrt(check_variance("variance1", variance1) / n1)
    return _fieller(
        mean0,
        mean1,
        se0=se0,
        se1=se1,
        covariance=check_finite("covariance", covariance),
        df=min(n0, n1) - 1 if covariance else satterthwaite_df((se0, n0 - 1), (se1, n1 - 1)),
        n=n0 + n1,
        method="fieller",
        confidence=confidence,
    )


def clustered_relative_lift(
    *,
    n0: int,
    n1: int,
    mean0: float | None,
    mean1: float | None,
    clusters: int,
    square_sum0: float | None,
    square_sum1: float | None,
    product_sum: float | None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """(mean1 - mean0) / |mean0| where clusters may straddle the variants; says what `clustered_difference` says of 0.

    Source: Fieller (1954) on the cluster-robust covariance matrix of the two means.

    Parameters
    ----------
    n0, n1: rows. mean0, mean1: means over rows. clusters: how many there are in all, G.
    square_sum0, square_sum1, product_sum: Σ_c a_c², Σ_c b_c², Σ_c a_c b_c with a_c = (s0c - mean0 · n0c) / n0 and
        b_c = (s1c - mean1 · n1c) / n1, from each cluster's rows n·c and sums s·c in the variants.

    >>> from toolkit.stats.ratios import clustered_difference
    >>> sizes = {"n0": 400, "n1": 420, "mean0": 0.30, "mean1": 0.36, "clusters": 40}
    >>> lift = clustered_relative_lift(**sizes, square_sum0=6e-4, square_sum1=5e-4, product_sum=1e-4)
    >>> gain = clustered_difference(**sizes, influence_square_sum=6e-4 + 5e-4 - 2 * 1e-4)
    >>> round(lift.value, 4), round(lift.ci_lower, 4), round(lift.ci_upper, 4), lift.p_value == gain.p_value
    (0.2, -0.0044, 0.4638, True)
    """
    method = "fieller, cluster-robust"
    check_between("confidence", confidence, 0, 1)
    n0, n1, clusters = check_count("n0", n0), check_count("n1", n1), check_count("clusters", clusters)
    if n0 == 0 or n1 == 0:
        return Estimate.absent(f"no observations in one group: n0 == {n0}, n1 == {n1}", n=n0 + n1, method=method)
    mean0, mean1 = check_finite("mean0", mean0), check_finite("mean1", mean1)
    if clusters < 2:
        reason = f"{lacking(0.0)}: too few clusters: {clusters}, a variance needs 2"
        return _lift_alone(mean0, mean1, n=n0 + n1, method=method, reason=reason)
    correction = clusters / (clusters - 1)
    return _fieller(
        mean0,
        mean1,
        se0=math.sqrt(correction * check_variance("square_sum0", square_sum0)),
        se1=math.sqrt(correction * check_variance("square_sum1", square_sum1)),
        covariance=correction * check_finite("product_sum", product_sum),
        df=clusters - 1,
        n=n0 + n1,
        method=method,
        confidence=confidence,
    )


def _lift_alone(mean0: float, mean1: float, *, n: int, method: str, reason: str) -> Estimate:
    if mean0 == 0:
        return Estimate.absent("the control mean is 0: there is nothing to be relative to", n=n, method=method)
    return Estimate.alone((mean1 - mean0) / abs(mean0), n=n, method=method, reason=reason)


def _fieller(
    mean0: float,
    mean1: float,
    *,
    se0: float,
    se1: float,
    covariance: float,
    df: float | None,
    n: int,
    method: str,
    confidence: float,
) -> Estimate:
    """The lift, its interval by Fieller, and the p-value of the absolute difference."""
    if mean0 == 0:
        return Estimate.absent("the control mean is 0: there is nothing to be relative to", n=n, method=method)
    if abs(covariance) > se0 * se1 * (1 + 1e-9):  # the allowance is for sums rounded in the database
        raise ArgumentError(f"covariance == {covariance}, must be at most {se0 * se1} in size: that of the two means")
    variance = se0 * se0 + se1 * se1 - 2 * covariance
    se = math.hypot(se0, se1) if covariance == 0 else math.sqrt(max(variance, 0.0))
    scale = max(abs(mean0), abs(mean1))
    absolute = from_standard_error(
        mean1 - mean0, se, n=n, df=df, method=method, null=0.0, scale=scale, confidence=confidence
    )
    lift = Estimate.alone((mean1 - mean0) / abs(mean0), n=n, method=method, reason=absolute.reason)
    if absolute.p_value is None or lift.value is None:
        return lift if lift.value is None or absolute.se is None else lift._replace(se=absolute.se / abs(mean0))

    # In units of |mean0|: d the difference, v its variance, a that of the control mean, c their covariance.
    d = lift.value
    a, v = (se0 / mean0) * (se0 / mean0), (se / mean0) * (se / mean0)
    c = math.copysign(1.0, mean0) * (covariance / mean0 / mean0 - a)
    reach = critical_value(confidence, df=df)
    g = reach * reach * a
    spread = v - 2 * d * c + d * d * a
    tested = lift._replace(df=df, p_value=absolute.p_value, reason=f"no interval: {TOO_LARGE}")
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
