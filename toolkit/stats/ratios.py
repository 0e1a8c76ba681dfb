"""Ratios of sums over clusters, and every estimator that is a sum of influences: cluster-robust errors.

A cluster is what was sampled or randomised as one: a day, an aircraft, a user with all their requests. Rows inside a
cluster may depend on each other in any way; clusters are independent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.checks import check_between
from toolkit.stats.arrays import matched, numbers
from toolkit.stats.estimate import (
    CONFIDENCE,
    TOO_LARGE,
    Estimate,
    check_count,
    difference,
    from_standard_error,
    lacking,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_RATIO = "cluster-robust ratio"


def from_influence(
    value: float,
    influences: ArrayLike,
    n: int,
    method: str,
    *,
    null: float | None = None,
    scale: float | None = None,
    within: tuple[float, float] | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """An estimate from each cluster's influence on it: se = sqrt(G/(G-1) · Σ ψ²), t with G - 1 degrees of freedom.

    Source: Liang & Zeger (1986), Biometrika 73:13 (the cluster sandwich).

    Parameters
    ----------
    influences: ψ, one per cluster, of mean 0: how far the cluster pulls the estimate.
    null, scale, within: as in `from_standard_error`.

    >>> estimate = from_influence(0.5, [0.03, -0.01, -0.02], 3, "example")
    >>> round(estimate.se, 6), estimate.df
    (0.045826, 2)
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    psi = numbers("influences", influences)
    with np.errstate(over="ignore"):
        square_sum = float(np.square(psi).sum())
    return _cluster_robust(
        value, square_sum, psi.size, n=n, method=method, null=null, scale=scale, within=within, confidence=confidence
    )


def ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    n: int | None = None,
    null: float | None = None,
    method: str = _RATIO,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Σ numerators / Σ denominators, one entry per cluster, with the linearised (delta method) error.

    Sources: Cochran (1977), Sampling Techniques, ch. 6; Deng, Knoblich & Lu (2018), KDD, arXiv 1803.06336. With sums of
    a metric as numerators and counts of rows as denominators it is the mean over rows.

    Parameters
    ----------
    n: the observations the clusters hold, to be shown; by default the number of clusters.
    null: the value to test the ratio against; None: no test.

    >>> rate = ratio([1, 0, 2, 1, 3, 0, 1, 2], [4, 3, 6, 2, 8, 1, 5, 5])
    >>> round(rate.value, 6), round(rate.se, 6), rate.df
    (0.294118, 0.044926, 7)
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    top, bottom = matched(numerators=numerators, denominators=denominators)
    n = top.size if n is None else check_count("n", n)
    with np.errstate(over="ignore", invalid="ignore"):
        top_sum, bottom_sum = float(top.sum()), float(bottom.sum())
    if top.size == 0:
        return Estimate.absent("no clusters", n=n, method=method)
    if bottom_sum == 0:
        return Estimate.absent("the denominators sum to 0", n=n, method=method)
    value = top_sum / bottom_sum
    if not (math.isfinite(value) and math.isfinite(bottom_sum)):
        return Estimate.absent(TOO_LARGE, n=n, method=method)
    with np.errstate(over="ignore", invalid="ignore"):
        square_sum = float(np.square((top - value * bottom) / bottom_sum).sum())
    return _cluster_robust(value, square_sum, top.size, n=n, method=method, null=null, confidence=confidence)


def difference_of_ratios(
    numerators0: ArrayLike,
    denominators0: ArrayLike,
    numerators1: ArrayLike,
    denominators1: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """ratio 1 - ratio 0 of two independent sets of clusters, with Satterthwaite's degrees of freedom.

    For clusters with rows on both sides see `compare`.

    >>> gain = difference_of_ratios([1, 0, 2, 1, 3, 0, 1, 2], [4, 3, 6, 2, 8, 1, 5, 5],
    ...                             [2, 1, 3, 1, 2, 0, 2, 3], [5, 3, 6, 2, 5, 2, 4, 6])
    >>> round(gain.value, 6), round(gain.se, 6), round(gain.p_value, 6)
    (0.130125, 0.058625, 0.044015)
    """
    return difference(
        ratio(numerators0, denominators0, confidence=confidence),
        ratio(numerators1, denominators1, confidence=confidence),
        method=f"difference of {_RATIO}s",
        confidence=confidence,
    )


def _cluster_robust(
    value: float,
    square_sum: float,
    clusters: int,
    *,
    n: int,
    method: str,
    null: float | None = None,
    scale: float | None = None,
    within: tuple[float, float] | None = None,
    confidence: float,
) -> Estimate:
    if clusters < 2:
        reason = f"{lacking(null)}: too few clusters: {clusters}, a variance needs 2"
        return Estimate.alone(value, n=n, method=method, reason=reason)
    return from_standard_error(
        value,
        math.sqrt(clusters / (clusters - 1) * square_sum),
        n=n,
        df=clusters - 1,
        method=method,
        null=null,
        scale=scale,
        within=within,
        confidence=confidence,
    )
