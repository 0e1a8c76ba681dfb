"""Quadratic forms of moments: sums of squares and products of linear combinations of measures, and their rounding.

Every estimate of an experiment is, to first order, a mean of influences: linear combinations of a group's measures. Its
variance is a form in the moments, and no group is looked at a second time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from toolkit.stats.adjustment import Adjustment
    from toolkit.stats.arrays import Numbers
    from toolkit.stats.joint_moments import JointMoments
    from toolkit.stats.two_samples import TwoSamples

NOISE = 1e-14
"""Relative size below which what is left of a sum of products is its rounding: the parts cancel."""


class Spread(NamedTuple):
    """Variances and the covariance that an interval of a difference, and one of its lift, are made of.

    Attributes
    ----------
    control: of the control mean. parts: of the difference, the control's and the treatment's. difference: of the whole.
    shared: covariance of the control mean with the control mean + difference.
    """

    control: float
    parts: tuple[float, float]
    difference: float
    shared: float


def spread(samples: TwoSamples, adjusting: Adjustment | None = None) -> Spread:
    """The variances of a difference of two ratios, adjusted or not.

    Sources: Deng, Knoblich & Lu (2018), KDD, arXiv 1803.06336 (the delta method) with n / (n - 1) in each variant; for
    clusters the sandwich of Liang & Zeger (1986), Biometrika 73:13, with G / (G - 1).
    """
    factors = _factors(samples)
    n0, n1 = float(samples.control.n), float(samples.treatment.n)
    if adjusting is None:
        mean0, mean1 = ratio_influence(samples.control, 0), ratio_influence(samples.treatment, 0)
        control = factors[0] * ratio_square_sum(samples.control) / (n0 * n0)
        treatment = factors[1] * ratio_square_sum(samples.treatment) / (n1 * n1)
        together = 0.0
        if samples.crossed is not None:
            together = factors[0] * _of_two(samples.crossed, mean0, mean1) / (n0 * n1)
        return _spread(control, (control, treatment), together, together)
    return _adjusted_spread(samples, adjusting, factors)


def _factors(samples: TwoSamples) -> tuple[float, float]:
    """What makes sums of squares variances: n / (n - 1) of each variant, or G / (G - 1) of all clusters."""
    if samples.crossed is None:
        n0, n1 = samples.control.n, samples.treatment.n
        return n0 / (n0 - 1), n1 / (n1 - 1)
    return (samples.total / (samples.total - 1),) * 2


def _adjusted_spread(samples: TwoSamples, adjusting: Adjustment, factors: tuple[float, float]) -> Spread:
    import numpy as np

    n0, n1 = float(samples.control.n), float(samples.treatment.n)
    (left0, joint0, own0), (left1, _, _) = adjusting.square_sums
    fitted0, fitted1 = adjusting.corrections
    together = shared = 0.0
    if samples.crossed is not None:
        means = np.array([ratio_influence(samples.control, 0), adjusting.residuals[0]]).T
        both = factors[0] * combined(samples.crossed, means, adjusting.residuals[1][:, None]) / (n0 * n1)
        shared, together = math.sqrt(fitted1) * float(both[0, 0]), math.sqrt(fitted0 * fitted1) * float(both[1, 0])
    control = factors[0] * own0 / (n0 * n0)
    return _spread(
        control,
        (factors[0] * fitted0 * left0 / (n0 * n0), factors[1] * fitted1 * left1 / (n1 * n1)),
        together,
        shared + control - factors[0] * math.sqrt(fitted0) * joint0 / (n0 * n0),
    )


def _spread(control: float, parts: tuple[float, float], together: float, shared: float) -> Spread:
    """With the variance of the whole; sums that an engine has rounded may leave a little less than nothing."""
    whole = parts[0] + parts[1] - 2 * together
    return Spread(
        max(control, 0.0),
        (max(parts[0], 0.0), max(parts[1], 0.0)),
        0.0 if whole <= NOISE * (parts[0] + parts[1]) else whole,
        shared,
    )


def combined(products: Any, left: Numbers, right: Numbers | None = None) -> Numbers:
    """left' · products · right, of combinations in columns; 0 where the parts cancel down to their rounding."""
    import numpy as np

    table = np.asarray(products, dtype=np.float64)
    right = left if right is None else right
    with np.errstate(over="ignore", invalid="ignore"):
        found = left.T @ table @ right
        parts = np.abs(left).T @ np.abs(table) @ np.abs(right)
        return np.where(np.abs(found) <= NOISE * parts, 0.0, found)


def ratio_of(moments: JointMoments, numerator: int) -> float | None:
    """Σ measure `numerator` / Σ of the one after it, over groups; None where the denominators sum to 0."""
    top, bottom = moments.mean(numerator), moments.mean(numerator + 1)
    return top / bottom if top is not None and bottom else None


def ratio_influence(moments: JointMoments, numerator: int) -> list[float]:
    """The combination of measures whose mean over groups is the ratio's error: (s - ratio · n) / (mean of n)."""
    combination = [0.0] * len(moments.origins)
    ratio, weight = ratio_of(moments, numerator), moments.mean(numerator + 1)
    if ratio is not None and weight:
        combination[numerator], combination[numerator + 1] = 1 / weight, -ratio / weight
    return combination


def ratio_square_sum(moments: JointMoments) -> float:
    """Σ over groups of the squares of the metric's influence."""
    influence = ratio_influence(moments, 0)
    return max(_of_two(moments.products, influence, influence), 0.0)


def ratio_error(moments: JointMoments) -> float:
    """The standard error of the metric over 2 groups or more."""
    return math.sqrt(ratio_square_sum(moments) / moments.n / (moments.n - 1))


def _of_two(products: Sequence[Sequence[float]], left: Sequence[float], right: Sequence[float]) -> float:
    """`combined` for the metric's own two measures, in plain numbers: most comparisons need no more."""
    terms = [left[i] * products[i][j] * right[j] for i in (0, 1) for j in (0, 1)]
    found = sum(terms)
    return 0.0 if abs(found) <= NOISE * sum(map(abs, terms)) else found
