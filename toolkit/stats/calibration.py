"""Calibration: whether scores mean what they say, from sums by bin or by cluster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_in
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, labelled, matched
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_count,
    check_finite,
    check_variance,
    two_sided_p,
)
from toolkit.stats.ratios import ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

_BINNINGS = ("width", "mass")
_NO_INTERVAL = "no interval: absolute gaps are biased upwards, the more so the fewer the rows"


class BinSums(NamedTuple):
    """Rows gathered by score: arrays with one entry per bin, lowest scores first; a bin may be empty."""

    n: Numbers
    score_sum: Numbers
    label_sum: Numbers


class BrierDecomposition(NamedTuple):
    """Murphy's parts: brier = reliability - resolution + uncertainty, for scores that are equal within a bin.

    Attributes
    ----------
    reliability: mean squared gap between score and observed share; 0 is perfect.
    resolution: how far the bins' observed shares spread around the overall one; more is better.
    uncertainty: variance of the label, which no score changes.
    n: rows.
    reason: why the parts are None; else "".
    """

    reliability: float | None
    resolution: float | None
    uncertainty: float | None
    n: int
    reason: str


def bin_sums(scores: ArrayLike, labels: ArrayLike, *, bins: int, by: Literal["width", "mass"] = "width") -> BinSums:
    """Gather rows into `bins` of equal width (floor(score · bins), 1 into the last) or of equal mass (by rank).

    Rows with the same score always share a bin.

    >>> bin_sums([0.1, 0.2, 0.7, 1.0], [0, 1, 1, 1], bins=2).label_sum.tolist()
    [1.0, 2.0]
    """
    import numpy as np

    check_in(by, _BINNINGS, noun="binning")
    if check_count("bins", bins) < 1:
        raise ArgumentError(f"bins == {bins}, must be at least 1")
    score, positive = labelled(scores, labels)
    if by == "width":
        place = np.floor(score * bins)
    else:
        ranked = np.sort(score)
        midrank = (np.searchsorted(ranked, score, "left") + np.searchsorted(ranked, score, "right")) / 2
        place = np.floor(midrank * bins / max(score.size, 1))
    index = np.minimum(place, bins - 1).astype(np.intp)
    sums = [np.bincount(index, weights=column, minlength=bins) for column in (np.ones(score.size), score, positive)]
    return BinSums(*(column.astype(np.float64) for column in sums))


def brier_decomposition(n: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike) -> BrierDecomposition:
    """Reliability, resolution and uncertainty from sums per bin. Source: Murphy (1973), J. Appl. Meteorol. 12:595.

    The scores of a bin stand as their mean; what they vary within it is in none of the three.

    >>> parts = brier_decomposition([10, 10], [2.0, 7.0], [1, 8])
    >>> round(parts.reliability, 4), round(parts.resolution, 4), round(parts.uncertainty, 4)
    (0.01, 0.1225, 0.2475)
    """
    import numpy as np

    rows, score, label = _check_bins(n, score_sum, label_sum)
    total = float(rows.sum())
    if total == 0:
        return BrierDecomposition(None, None, None, 0, "no rows")
    share = float(label.sum()) / total
    return BrierDecomposition(
        reliability=float((rows * np.square((score - label) / rows)).sum()) / total,
        resolution=float((rows * np.square(label / rows - share)).sum()) / total,
        uncertainty=share * (1 - share),
        n=int(total),
        reason="",
    )


def expected_calibration_error(n: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike) -> Estimate:
    """The mean over rows of |mean score - observed share| of their bin (Naeini et al. 2015, AAAI).

    >>> round(expected_calibration_error([10, 10], [2.0, 7.0], [1, 8]).value, 9)
    0.1
    """
    import numpy as np

    rows, score, label = _check_bins(n, score_sum, label_sum)
    if rows.size == 0:
        return Estimate.absent("no rows", n=0, method="ece")
    value = float(np.abs(score - label).sum() / rows.sum())
    return Estimate.alone(value, n=int(rows.sum()), method="ece", reason=_NO_INTERVAL)


def maximum_calibration_error(n: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike) -> Estimate:
    """The largest |mean score - observed share| of any bin (Naeini et al. 2015, AAAI).

    >>> round(maximum_calibration_error([10, 40], [2.0, 28.0], [1, 27]).value, 9)
    0.1
    """
    import numpy as np

    rows, score, label = _check_bins(n, score_sum, label_sum)
    if rows.size == 0:
        return Estimate.absent("no rows", n=0, method="mce")
    value = float(np.abs((score - label) / rows).max())
    return Estimate.alone(value, n=int(rows.sum()), method="mce", reason=_NO_INTERVAL)


def calibration_gap(
    n: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike, *, confidence: float = CONFIDENCE
) -> Estimate:
    """Observed share minus mean score over all rows, from sums per cluster (a day), tested against 0.

    Positive: more happened than was predicted. The error is cluster-robust, see `ratio`; rows of a cluster may depend.

    >>> gap = calibration_gap([100, 120, 90, 110], [20.0, 25.0, 17.0, 24.0], [26, 30, 18, 31])
    >>> round(gap.value, 6), round(gap.se, 6), round(gap.p_value, 4), gap.n
    (0.045238, 0.01096, 0.0258, 420)
    """
    rows, score, label = matched(n=n, score_sum=score_sum, label_sum=label_sum)
    total = int(counts("n", rows).sum())
    gap = label - score
    return ratio(gap, rows, n=total, null=0.0, method="cluster-robust calibration gap", confidence=confidence)


def calibration_in_the_large_z(n: int, score_sum: float, label_sum: float, score_variance_sum: float) -> Estimate:
    """z = Σ (label - score) / sqrt(Σ score (1 - score)), normal if scores are true and rows independent.

    The same comparison as Spiegelhalter (1986, Statistics in Medicine 5:421) makes of the Brier score. The value is z
    itself, so that there is no interval; for the size of the gap see `calibration_gap`.

    >>> test = calibration_in_the_large_z(100, 20.0, 30, 16.0)
    >>> test.value, round(test.p_value, 5)
    (2.5, 0.01242)
    """
    method = "calibration in the large, z"
    n = check_count("n", n)
    if n == 0:
        return Estimate.absent("no observations", n=0, method=method)
    gap = check_finite("label_sum", label_sum) - check_finite("score_sum", score_sum)
    expected = math.sqrt(check_variance("score_variance_sum", score_variance_sum))
    if expected == 0:
        return Estimate.absent("every score is exactly 0 or 1: there is no error to compare with", n=n, method=method)
    estimate = Estimate.alone(gap / expected, n=n, method=method, reason="no interval: the value is a test statistic")
    return estimate if estimate.value is None else estimate._replace(p_value=two_sided_p(estimate.value))


def _check_bins(n: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike) -> tuple[Numbers, Numbers, Numbers]:
    """The three arrays without empty bins."""
    rows, score, label = matched(n=n, score_sum=score_sum, label_sum=label_sum)
    counts("n", rows)
    wrong = label[(label < 0) | (label > rows)]
    if wrong.size:
        raise ArgumentError(f"label_sum holds {wrong[0]}, must lie between 0 and the bin's n")
    filled = rows > 0
    return rows[filled], score[filled], label[filled]
