"""Differences of quantiles between two variants whose requests depend on each other within a unit or cluster.

An engine reads three values per variant: the quantile, and those at the shares a few standard errors below and above
it (Woodruff). Their distance tells how far an error of the share moves the quantile; no density is guessed, no row is
resampled, and another alpha reads nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.comparisons import Effects
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_count,
    check_finite,
    check_reach,
    check_variance,
    critical_value,
    from_standard_error,
    lacking,
    satterthwaite_df,
)
from toolkit.stats.influences import ratio_error, ratio_of
from toolkit.stats.joint_moments import JointMoments
from toolkit.stats.lifts import fieller
from toolkit.stats.quantiles import FEWEST_DAYS

REACH = 1.96
"""How many standard errors of the share the two ends lie from the quantile: the same whatever the alpha."""


class QuantileSample(NamedTuple):
    """A quantile of one variant's requests, and how far it is known.

    Attributes
    ----------
    value: the sample's quantile; None without a request.
    lower, upper: the values at the shares q - `reach` · `share_se` and q + `reach` · `share_se`; None where that share
        lies outside 0 … 1.
    share_se: the standard error of the share of requests at or below the quantile, see `share_error`.
    rows, groups: requests, and the units or clusters they belong to.
    """

    value: float | None
    lower: float | None
    upper: float | None
    reach: float
    share_se: float | None
    rows: int
    groups: int


def share_error(moments: JointMoments) -> float | None:
    """The standard error of a share of requests over groups; None for fewer than 2 groups.

    Source: Deng, Knoblich & Lu (2018), KDD, arXiv 1803.06336.

    Parameters
    ----------
    moments: over groups, of their requests at or below the quantile and of all their requests.

    >>> from toolkit.stats.joint_moments import joint_moments
    >>> round(share_error(joint_moments([93, 96, 95, 97, 94, 95], [100] * 6)), 6)
    0.005774
    """
    if moments.n < 2 or ratio_of(moments, 0) is None:
        return None
    return ratio_error(moments)


def fewest_rows(q: float, *, confidence: float = CONFIDENCE) -> float:
    """With no more independent requests than this, an end of the interval lies beyond all of them: z² q / (1 - q).

    >>> round(fewest_rows(0.99), 1), round(fewest_rows(0.5), 1)
    (380.3, 3.8)
    """
    check_between("q", q, 0, 1)
    odds = max(q, 1 - q) / min(q, 1 - q)
    return critical_value(confidence) ** 2 * odds


def compare_quantiles(
    control: QuantileSample,
    treatment: QuantileSample,
    q: float,
    *,
    share_covariance: float = 0.0,
    groups: int | None = None,
    confidence: float = CONFIDENCE,
    critical: float | None = None,
) -> Effects:
    """The difference of two quantiles and its lift, one null and one p-value.

    Each quantile's standard error is the distance of its ends over twice their reach. Sources: Woodruff (1952), JASA
    47:635; Francisco & Fuller (1991), Annals of Statistics 19:454; for clusters Deng, Knoblich & Lu (2018), KDD, arXiv
    1803.06336. The lift has Fieller's interval.

    Parameters
    ----------
    q: which quantile, between 0 and 1.
    share_covariance: of the two shares, where clusters have requests in both variants.
    groups: with clusters, how many there are in all; None: groups are independent units, each in one variant.
    critical: as in `compare`.

    >>> control = QuantileSample(412.0, 391.0, 440.0, 1.96, 0.0057, 60_000, 4_000)
    >>> treatment = QuantileSample(380.0, 366.0, 399.0, 1.96, 0.0056, 61_000, 4_100)
    >>> effects = compare_quantiles(control, treatment, 0.95)
    >>> round(effects.difference.value, 1), round(effects.difference.ci_lower, 2), round(effects.p_value, 4)
    (-32.0, -61.54, 0.0338)
    """
    check_between("confidence", confidence, 0, 1)
    check_between("q", q, 0, 1)
    if critical is not None:
        check_reach(critical)
    levels = [_level(side, q, groups is not None, confidence) for side in (control, treatment)]
    reasons = [level.reason for level in levels]
    n, names = control.rows + treatment.rows, ("difference of quantiles, woodruff", "fieller, woodruff")
    low, high = levels[0].value, levels[1].value
    if low is None or high is None:
        reason = f"no observations in one group: n0 == {control.rows}, n1 == {treatment.rows}"
        absent = Estimate.absent(reason, n=n, method=names[0])
        return Effects(levels[0], levels[1], absent, absent._replace(method=names[1]), None)
    se0, se1 = levels[0].se, levels[1].se
    shared, single = 0.0, None
    if not se0 or not se1:
        silent = next(reason for reason, se in zip(reasons, (se0, se1), strict=True) if not se)
        reason = f"{lacking(0.0)}: {silent.removeprefix('no interval: ')}"
        difference = Estimate.alone(high - low, n=n, method=names[0], reason=reason)
    else:
        shared = _covariance(control, treatment, se0, se1, check_finite("share_covariance", share_covariance))
        df: float | None = satterthwaite_df((se0, control.groups - 1), (se1, treatment.groups - 1))
        if groups is not None:
            df = check_count("groups", groups) - 1
        variance = max(se0 * se0 + se1 * se1 - 2 * shared, 0.0)
        estimates = [
            from_standard_error(
                high - low,
                math.sqrt(variance),
                n=n,
                df=df,
                method=names[0],
                null=0.0,
                scale=max(abs(low), abs(high)),
                confidence=confidence,
                critical=reach,
            )
            for reach in (critical, None)
        ]
        difference, single = estimates[0], estimates[1].p_value
    lift = fieller(
        difference,
        low,
        se0=se0 or 0.0,
        covariance=shared,
        method=names[1],
        confidence=confidence,
        critical=critical,
    )
    return Effects(levels[0], levels[1], difference, lift, single)


def _level(side: QuantileSample, q: float, clustered: bool, confidence: float) -> Estimate:
    """A variant's own quantile."""
    method = f"quantile, linear interpolation; woodruff, {'clusters' if clustered else 'units'}"
    rows, groups = check_count("rows", side.rows), check_count("groups", side.groups)
    if side.value is None or rows == 0:
        return Estimate.absent("no request has a value", n=rows, method=method)
    value = check_finite("value", side.value)
    kind = "clusters" if clustered else "units"
    if groups < FEWEST_DAYS or side.share_se is None:
        reason = f"no interval: too few {kind}: {groups}, a quantile's interval needs {FEWEST_DAYS}"
        return Estimate.alone(value, n=rows, method=method, reason=reason)
    reach = check_reach(side.reach) * check_variance("share_se", side.share_se)
    outside = q - reach <= 0, q + reach >= 1
    if any(outside):
        where = "below the smallest" if outside[0] else "above the largest"
        reason = f"no interval: with {rows:,} values of {groups:,} {kind} quantile {q:g} may lie {where} of them"
        return Estimate.alone(value, n=rows, method=method, reason=reason)
    low, high = check_finite("lower", side.lower), check_finite("upper", side.upper)
    if low > high:
        raise ArgumentError(f"lower == {low:g} lies above upper == {high:g}")
    if low == high:
        reason = "no interval: the values around the quantile are all equal"
        return Estimate.alone(value, n=rows, method=method, reason=reason)._replace(se=0.0)
    se = (high - low) / (2 * side.reach)
    return from_standard_error(value, se, n=rows, df=groups - 1, method=method, confidence=confidence)


def _covariance(control: QuantileSample, treatment: QuantileSample, se0: float, se1: float, shares: float) -> float:
    """Of the two quantiles: that of their shares, moved along both distributions like the standard errors."""
    if not (shares and control.share_se and treatment.share_se):
        return 0.0
    correlation = shares / control.share_se / treatment.share_se
    if abs(correlation) > 1 + 1e-9:  # the allowance is for sums rounded in the database
        size = control.share_se * treatment.share_se
        raise ArgumentError(f"share_covariance == {shares}, must be at most {size} in size: that of the two shares")
    return correlation * se0 * se1
