"""AUC: how often a positive scores above a negative, with errors for independent rows and for clusters of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, labelled, matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, from_standard_error
from toolkit.stats.ratios import from_influence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

_SAME_ROWS = 1e-6
"""How far the two placement sums may lie apart, in AUC: far above the rounding of a sum over 10⁹ rows, far below any
difference that other rows would make."""


class BinnedAuc(NamedTuple):
    """An AUC from counts by score bin, and between which bounds that of the very same rows lies for certain.

    Attributes
    ----------
    estimate: pairs inside a bin counted half, as if tied. Its interval holds what the rows' own order could make of
        them besides the sampling error: from the lower end of the smallest to the upper end of the largest.
    lower, upper: the AUC with every pair inside a bin in the wrong, and in the right order.
    """

    estimate: Estimate
    lower: float | None
    upper: float | None


def auc(scores: ArrayLike, labels: ArrayLike, *, confidence: float = CONFIDENCE) -> Estimate:
    """The chance that a random positive scores above a random negative, ties counted half, for independent rows.

    The value is the exact Mann-Whitney statistic; the interval is DeLong's, cut to 0 … 1. Sources: DeLong, DeLong &
    Clarke-Pearson (1988), Biometrics 44:837; by midranks as in Sun & Xu (2014), IEEE Signal Proc. Lett. 21:1389.

    >>> area = auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> area.value, round(area.se, 6), area.method
    (0.75, 0.353553, 'delong')
    >>> auc([0.1, 0.4], [1, 1]).reason
    'no negatives among 2 rows'
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    score, positive = labelled(scores, labels, probabilities=False)
    above, below = score[positive], score[~positive]
    if not (above.size and below.size):
        return _one_sided(above.size, below.size, method="delong")
    v10 = _placements(above, below)
    v01 = 1 - _placements(below, above)
    value = float(v10.mean())
    if min(above.size, below.size) < 2:
        reason = f"no interval: DeLong needs 2 positives and 2 negatives, there are {above.size} and {below.size}"
        return Estimate.alone(value, n=score.size, method="delong", reason=reason)
    variance = sum(float(np.square(v - value).sum()) / (v.size - 1) / v.size for v in (v10, v01))
    return from_standard_error(
        value, math.sqrt(variance), n=score.size, method="delong", scale=1.0, within=(0.0, 1.0), confidence=confidence
    )


def auc_from_placements(
    positives: ArrayLike,
    negatives: ArrayLike,
    placement_sum_positives: ArrayLike,
    placement_sum_negatives: ArrayLike,
    *,
    method: str = "delong, clusters",
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The AUC over all rows, with an error that holds when the rows of a cluster (a day) depend on each other.

    Source: the placement values of DeLong et al. (1988), summed by cluster as in Obuchowski (1997), Biometrics 53:567:
    ψ_c = Σ (V10 - A) / P over the cluster's positives + Σ (V01 - A) / N over its negatives.

    Parameters
    ----------
    positives, negatives: rows with label 1 and 0, one entry per cluster.
    placement_sum_positives: Σ over the cluster's positives of the share of ALL negatives that score below, ties half.
    placement_sum_negatives: Σ over the cluster's negatives of the share of ALL positives that score above, ties half.

    Clusters without rows are left out. `ArgumentError` if the two placement sums give different AUCs: then they do not
    come from the same rows.

    >>> area = auc_from_placements([3, 2, 3], [4, 3, 2], [2.4, 1.2, 2.2], [3.0, 1.8, 1.725])
    >>> round(area.value, 6), round(area.se, 6), area.df, area.n
    (0.725, 0.109481, 2, 17)
    """
    check_between("confidence", confidence, 0, 1)
    p, n, above, below = matched(
        positives=positives,
        negatives=negatives,
        placement_sum_positives=placement_sum_positives,
        placement_sum_negatives=placement_sum_negatives,
    )
    positive_rows, negative_rows = float(counts("positives", p).sum()), float(counts("negatives", n).sum())
    if not (positive_rows and negative_rows):
        return _one_sided(int(positive_rows), int(negative_rows), method=method)
    value, check = float(above.sum()) / positive_rows, float(below.sum()) / negative_rows
    if not abs(value - check) <= _SAME_ROWS:
        raise ArgumentError(
            f"the placement sums disagree: positives give an AUC of {value:.6g}, negatives {check:.6g}; "
            f"both must be formed over the same rows"
        )
    if not -_SAME_ROWS <= value <= 1 + _SAME_ROWS:
        raise ArgumentError(f"the placement sums give an AUC of {value:.6g}; placements are shares between 0 and 1")
    value = min(max(value, 0.0), 1.0)
    psi = (above - value * p) / positive_rows + (below - value * n) / negative_rows
    return from_influence(
        value,
        psi[(p + n) > 0],
        int(positive_rows + negative_rows),
        method,
        scale=1.0,
        within=(0.0, 1.0),
        confidence=confidence,
    )


def binned_auc(
    clusters: ArrayLike,
    bins: ArrayLike,
    positives: ArrayLike,
    negatives: ArrayLike,
    *,
    method: str = "auc of score bins; delong, day clusters",
    confidence: float = CONFIDENCE,
) -> BinnedAuc:
    """The AUC from counts that merge by adding: of days, of segments, of engines. Error as in `auc_from_placements`.

    Parameters
    ----------
    clusters, bins: whose cell it is; bins by their place, lowest scores first. positives, negatives: rows of the cell.

    >>> area = binned_auc([1, 1, 2, 2], [0, 1, 0, 1], [1, 3, 2, 4], [4, 1, 5, 2])
    >>> round(area.lower, 4), round(area.estimate.value, 4), round(area.upper, 4)
    (0.525, 0.725, 0.925)
    """
    import numpy as np

    cluster, place, ones, zeros = matched(clusters=clusters, bins=bins, positives=positives, negatives=negatives)
    counts("positives", ones)
    counts("negatives", zeros)
    codes, which = np.unique(place, return_inverse=True)
    days, day = np.unique(cluster, return_inverse=True)
    by_bin = [np.bincount(which, weights=column, minlength=codes.size) for column in (ones, zeros)]
    ones_above = by_bin[0].sum() - np.cumsum(by_bin[0])
    zeros_below = np.cumsum(by_bin[1]) - by_bin[1]

    def area(inside: float) -> Estimate:
        """With this share of the pairs inside a bin in the right order."""
        above = (zeros_below + inside * by_bin[1])[which] * ones
        below = (ones_above + inside * by_bin[0])[which] * zeros
        p, n, right_above, right_below = (
            np.bincount(day, weights=column, minlength=days.size) for column in (ones, zeros, above, below)
        )
        # Pairs are counted before they are shared out: halves and whole numbers, so that no order of cells matters.
        return auc_from_placements(
            p,
            n,
            right_above / max(n.sum(), 1),
            right_below / max(p.sum(), 1),
            method=method,
            confidence=confidence,
        )

    low, middle, high = area(0.0), area(0.5), area(1.0)
    if low.ci_lower is None or high.ci_upper is None or middle.ci_lower is None:
        return BinnedAuc(middle, low.value, high.value)
    return BinnedAuc(middle._replace(ci_lower=low.ci_lower, ci_upper=high.ci_upper), low.value, high.value)


def _placements(these: Numbers, others: Numbers) -> Numbers:
    """For each of `these`, the share of `others` below it, ties half."""
    import numpy as np

    ranked = np.sort(others)
    below_or_tied = np.searchsorted(ranked, these, "right")
    shares: Numbers = (np.searchsorted(ranked, these, "left") + below_or_tied) / (2 * others.size)
    return shares


def _one_sided(positives: int, negatives: int, *, method: str) -> Estimate:
    rows = positives + negatives
    missing = " and no ".join(name for name, n in (("positives", positives), ("negatives", negatives)) if n == 0)
    return Estimate.absent(f"no {missing} among {rows} rows", n=rows, method=method)
