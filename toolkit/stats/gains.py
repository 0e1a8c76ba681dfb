"""Lift at a share: how much denser the positives are among the highest scores than among all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.checks import check_between
from toolkit.stats.arrays import counts, matched
from toolkit.stats.estimate import CONFIDENCE, Estimate
from toolkit.stats.ratios import from_influence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

LIFT_METHOD = "lift, ties by expectation; day clusters"
NEAR = 0.25
"""Rows count as near the threshold whose rank lies within so much of the share on either side of it."""


def lift_at_share(
    n: ArrayLike,
    positives: ArrayLike,
    top: ArrayLike,
    top_positives: ArrayLike,
    *,
    share: float,
    near: float,
    near_positives: float,
    method: str = LIFT_METHOD,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Label rate among the `share` of rows with the highest scores, over the label rate of all; day clusters.

    Where equal scores straddle the threshold each counts by the part of them that fits: the expectation over their
    order. A day moves the threshold too: rows pushed over it take the label rate near it with them, so that rate is
    taken off (the influence of a trimmed mean, Stigler 1973, Annals of Statistics 1:472).

    Parameters
    ----------
    n, positives: rows and rows with label 1, one entry per cluster.
    top, top_positives: the same among the highest, straddling rows by their part: Σ top = share · Σ n.
    near, near_positives: rows near the threshold (`NEAR`) in all clusters, and those of them with label 1.

    >>> found = lift_at_share([50, 50, 50], [10, 12, 8], [5, 6, 4], [3, 4, 2], share=0.1, near=6, near_positives=2)
    >>> round(found.value, 4), round(found.se, 4)
    (3.0, 0.0385)
    """
    check_between("share", share, 0, 1)
    rows, ones, high, high_ones = matched(n=n, positives=positives, top=top, top_positives=top_positives)
    total, all_ones = float(counts("n", rows).sum()), float(counts("positives", ones).sum())
    if total == 0:
        return Estimate.absent("no request has a score and a label", n=0, method=method)
    if all_ones == 0:
        return Estimate.absent(f"no positives among {int(total):,} requests", n=int(total), method=method)
    rate = all_ones / total
    density = float(high_ones.sum()) / (share * total)
    value = density / rate
    at_threshold = near_positives / near if near else density
    # What a cluster adds to the positives among the highest, less what the threshold gives back for its rows there.
    top_pull = (high_ones - density * share * rows - at_threshold * (high - share * rows)) / (share * total)
    influences = (top_pull - value * (ones - rate * rows) / total) / rate
    return from_influence(
        value,
        influences[rows > 0],
        int(total),
        method,
        scale=max(value, 1.0),
        within=(0.0, 1 / share),
        confidence=confidence,
    )
