"""The comparison of a treatment with the control: both means, their difference and its lift, one null and one p-value.

Means per unit, ratios of sums, shares and clusters that straddle the variants, adjusted for covariates or not: all of
them are functions of `TwoSamples`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between, check_in
from toolkit.stats.adjustment import THETAS, Adjustment, Theta, adjustment, missing_groups
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_reach,
    from_standard_error,
    lacking,
    satterthwaite_df,
)
from toolkit.stats.influences import Spread, ratio_error, ratio_of, ratio_square_sum, spread
from toolkit.stats.lifts import fieller
from toolkit.stats.means import too_few
from toolkit.stats.proportions import proportion
from toolkit.stats.score_intervals import compare_proportions
from toolkit.stats.two_samples import TwoSamples, check_samples

if TYPE_CHECKING:
    from toolkit.stats.joint_moments import JointMoments

FEW = 30
"""Successes or failures of a variant below which a share's interval is made of score intervals: a variance guessed from
the sample makes intervals that hold the truth too seldom."""


class Effects(NamedTuple):
    """A treatment against the control. Differences and lifts agree about zero, with each other and with the p-value.

    Attributes
    ----------
    control, treatment: the variants' own means, not adjusted, each with its interval over groups.
    difference: treatment - control. lift: the same as a share of the control mean's size.
    p_value: of the test of no effect, taken alone. That of `difference` and `lift`, unless they reach as far as several
        looks at the data need: then those have none.
    theta: the slope of each covariate: the difference is the raw one less Σ theta · (difference of the covariate).
        None if no adjustment was asked for.
    variance_reduction: 1 - the adjusted variance / the unadjusted one.
    missing: per covariate the groups of control and treatment that lack it.
    reason: why the difference is not adjusted though it was asked for, or which covariates were left out.
    """

    control: Estimate
    treatment: Estimate
    difference: Estimate
    lift: Estimate
    p_value: float | None
    theta: tuple[float, ...] | None = None
    variance_reduction: float | None = None
    missing: tuple[tuple[int, int], ...] | None = None
    reason: str = ""


def compare(
    samples: TwoSamples,
    *,
    confidence: float = CONFIDENCE,
    adjust: bool = False,
    theta: Theta = "within",
    critical: float | None = None,
) -> Effects:
    """Compare two variants, by the one method that fits the samples.

    - A mean per unit or a ratio of sums over units: Welch's test of the linearised values, with Satterthwaite's degrees
      of freedom (Welch 1947; Deng, Knoblich & Lu 2018). With one request per unit this is the difference of means.
    - Clusters: the cluster sandwich with G / (G - 1) and G - 1 degrees of freedom (Liang & Zeger 1986), where a cluster
      may have requests in both variants.
    - A share of units with one request each, with fewer than `FEW` successes or failures in a variant, and a share that
      is 0 or 1 throughout each variant: score intervals, see `compare_proportions`. In the second case a unit or
      cluster counts as a single observation, which can only make the interval wider.
    - With `adjust`, covariates take their part out of the difference, see `adjustment`. The lift is still relative to
      the control's own mean, which depends on the adjusted difference; its interval knows how.

    The lift has Fieller's interval (Fieller 1954), made of the error, degrees of freedom and reach of the difference.
    Parts that cannot be told are None, with their reason.

    Parameters
    ----------
    adjust: whether to use the covariates. theta: where slopes come from, see `adjustment`.
    critical: how many standard errors intervals reach, for one look of several.

    >>> from toolkit.stats.two_samples import two_samples
    >>> past0, past1 = [10, 12, 9, 14, 11, 8, 13, 10], [12, 10, 14, 11, 13, 15, 9, 12]
    >>> now = two_samples([12, 13, 10, 17, 12, 9, 15, 11], [15, 11, 17, 14, 15, 19, 11, 14],
    ...                   covariates0=[past0], covariates1=[past1])
    >>> raw, adjusted = compare(now), compare(now, adjust=True)
    >>> round(raw.difference.value, 3), round(raw.p_value, 3), raw.lift.p_value == raw.p_value
    (2.125, 0.134, True)
    >>> round(adjusted.difference.value, 3), round(adjusted.p_value, 3), round(adjusted.variance_reduction, 2)
    (0.673, 0.074, 0.93)
    """
    check_between("confidence", confidence, 0, 1)
    check_in(theta, THETAS, noun="theta")
    check_samples(samples)
    asked = _Asked(confidence, None if critical is None else check_reach(critical))
    if samples.infinite:
        return _infinite(samples)
    control, treatment = _level(samples, 0, confidence), _level(samples, 1, confidence)
    adjusting, reason = adjustment(samples, theta) if adjust else (None, "")
    means = control.value, treatment.value
    difference, lift = _estimates(samples, means, adjusting, asked)
    alone = difference if critical is None else _estimates(samples, means, adjusting, _Asked(confidence, None))[0]
    effects = Effects(control, treatment, difference, lift, alone.p_value)
    if not adjust:
        return effects
    return effects._replace(
        theta=adjusting.theta if adjusting else (0.0,) * samples.covariates,
        variance_reduction=_reduction(samples, difference) if adjusting else 0.0,
        missing=missing_groups(samples),
        reason=reason,
    )


class _Asked(NamedTuple):
    """How far intervals are to reach."""

    confidence: float
    critical: float | None


def _estimates(
    samples: TwoSamples, means: tuple[float | None, float | None], adjusting: Adjustment | None, asked: _Asked
) -> tuple[Estimate, Estimate]:
    """The difference and the lift."""
    n, names = _shown(samples, adjusting)
    if means[0] is None or means[1] is None:
        absent = Estimate.absent(_nobody(samples, means), n=n, method=names[0])
        return absent, absent._replace(method=names[1])
    if adjusting is None and (shares := _shares(samples, (means[0], means[1]), asked)):
        return shares
    gap = (ratio_of(samples.treatment, 0) or 0.0) - (ratio_of(samples.control, 0) or 0.0)
    gap -= adjusting.shift if adjusting else 0.0
    variances = None
    if few := _too_few(samples):
        difference = Estimate.alone(gap, n=n, method=names[0], reason=f"{lacking(0.0)}: {few}")
    else:
        variances = spread(samples, adjusting)
        difference = from_standard_error(
            gap,
            math.sqrt(variances.difference),
            n=n,
            df=_degrees(samples, variances, adjusting.slopes if adjusting else 0),
            method=names[0],
            null=0.0,
            scale=max(abs(means[0]), abs(means[1])),
            confidence=asked.confidence,
            critical=asked.critical,
        )
    lift = fieller(
        difference,
        means[0],
        se0=math.sqrt(variances.control) if variances else 0.0,
        covariance=variances.shared if variances else 0.0,
        method=names[1],
        confidence=asked.confidence,
        critical=asked.critical,
    )
    return difference, lift


def _level(samples: TwoSamples, side: int, confidence: float) -> Estimate:
    """A variant's own mean, with its error over groups."""
    moments, rows = (samples.control, samples.rows0) if side == 0 else (samples.treatment, samples.rows1)
    ratio, method = ratio_of(moments, 0), "cluster-robust ratio"
    if ratio is None:
        return Estimate.absent("no observations", n=rows, method=method)
    mean = samples.shift + ratio
    if samples.share and (_one_each(moments, rows) or _constant(moments, mean)):
        share = proportion(round(mean * moments.n), moments.n, confidence=confidence)
        return share._replace(n=rows)
    if moments.n < 2:
        reason = f"{lacking(None)}: too few observations: n == {moments.n}, a variance needs 2"
        return Estimate.alone(mean, n=rows, method=method, reason=reason)
    return from_standard_error(
        mean,
        ratio_error(moments),
        n=rows,
        df=moments.n - 1,
        method=method,
        confidence=confidence,
    )


def _shares(samples: TwoSamples, means: tuple[float, float], asked: _Asked) -> tuple[Estimate, Estimate] | None:
    """The comparison of two shares by score intervals, where these are called for."""
    sides = ((samples.control, samples.rows0, means[0]), (samples.treatment, samples.rows1, means[1]))
    if not samples.share:
        return None
    single = samples.crossed is None and all(_one_each(moments, rows) for moments, rows, _ in sides)
    still = all(_constant(moments, mean) for moments, _, mean in sides)
    x0, x1 = (round(mean * moments.n) for moments, _, mean in sides)
    n0, n1 = samples.control.n, samples.treatment.n
    if not (still or (single and min(x0, n0 - x0, x1, n1 - x1) < FEW)):
        return None
    difference, lift = compare_proportions(x0, n0, x1, n1, confidence=asked.confidence, critical=asked.critical)
    if single:
        return difference, lift
    each = f", one observation per {'unit' if samples.crossed is None else 'cluster'}"
    return difference._replace(method=difference.method + each), lift._replace(method=lift.method + each)


def _one_each(moments: JointMoments, rows: int) -> bool:
    """Whether each group is a single row."""
    return moments.n == rows and moments.products[1][1] == 0 and moments.mean(1) == 1


def _constant(moments: JointMoments, mean: float) -> bool:
    """Whether a share is 0 or 1 throughout."""
    return mean in {0.0, 1.0} and ratio_square_sum(moments) == 0


def _shown(samples: TwoSamples, adjusting: Adjustment | None) -> tuple[int, tuple[str, str]]:
    """The observations that are shown, and the names of both methods."""
    clustered = samples.crossed is not None
    names = ("cluster-robust difference", "fieller, cluster-robust") if clustered else ("welch", "fieller")
    n = samples.rows0 + samples.rows1 if clustered else samples.total
    return n, names if adjusting is None else (f"{names[0]}, {adjusting.method}", f"{names[1]}, {adjusting.method}")


def _nobody(samples: TwoSamples, means: tuple[float | None, float | None]) -> str:
    clustered = samples.crossed is not None
    sizes = (samples.rows0, samples.rows1) if clustered else (samples.control.n, samples.treatment.n)
    n0, n1 = (0 if mean is None else size for mean, size in zip(means, sizes, strict=True))
    return f"no observations in one group: n0 == {n0}, n1 == {n1}"


def _too_few(samples: TwoSamples) -> str:
    """Why there is no variance, or ""."""
    if samples.crossed is None:
        return too_few(samples.control.n, samples.treatment.n)
    return f"too few clusters: {samples.total}, a variance needs 2" if samples.total < 2 else ""


def _degrees(samples: TwoSamples, variances: Spread, slopes: int) -> float | None:
    """Degrees of freedom: Satterthwaite's of the two parts; of clusters how many there are, less 1 and the slopes."""
    if samples.crossed is not None:
        return samples.total - 1 - slopes
    sizes = samples.control.n, samples.treatment.n
    ends = zip(variances.parts, sizes, strict=True)
    return satterthwaite_df(*((math.sqrt(part), n - 1 - slopes) for part, n in ends))


def _reduction(samples: TwoSamples, adjusted: Estimate) -> float | None:
    before = spread(samples).difference
    if adjusted.se is None or not (0 < before < math.inf):
        return None
    return 1 - adjusted.se * adjusted.se / before


def _infinite(samples: TwoSamples) -> Effects:
    """Nothing can be said of a mean of infinite values."""
    reason = f"infinite: {samples.infinite:,} requests were scored 0 or 1 and were wrong"
    n = samples.rows0 + samples.rows1
    absent = Estimate.absent(reason, n=n, method="plain" if samples.crossed is None else "clustered")
    return Effects(absent._replace(n=samples.rows0), absent._replace(n=samples.rows1), absent, absent, None)
