"""Calibration by bins of the score, with errors that hold when the rows of a day depend on each other.

Cells come in, one per cluster (day) × bin, with sums formed in the database. The bins stay as they are; what varies
from day to day is what lies in them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, critical_value
from toolkit.stats.ratios import from_influence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from toolkit.stats.arrays import Numbers

    Table = NDArray[np.float64]
    """One row per cluster, one column per bin."""

ECE_METHOD = "ece, debiased; bootstrap over days"
BRIER_METHOD = "murphy, day clusters"
_SEED = 20190910
"""Of every bootstrap here: the same cells give the same interval."""

_DRAWS = 1000


class BrierParts(NamedTuple):
    """brier = reliability - resolution + uncertainty + within, to rounding.

    Attributes
    ----------
    reliability: mean squared gap between mean score and observed share of the bins; 0 is perfect.
    resolution: how far the bins' observed shares spread around the overall one; more is better.
    uncertainty: variance of the label, which no score changes.
    within: what scores that differ inside a bin add (their variance) or save (twice their covariance with the label).
    """

    reliability: Estimate
    resolution: Estimate
    uncertainty: Estimate
    within: Estimate


def debiased_calibration_error(
    clusters: ArrayLike,
    bins: ArrayLike,
    n: ArrayLike,
    score_sum: ArrayLike,
    label_sum: ArrayLike,
    *,
    draws: int = _DRAWS,
    seed: int = _SEED,
    method: str = ECE_METHOD,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean over rows of |mean score - observed share| of their bin, less what chance alone would add to it.

    A gap of g that is known with error σ is on average E|N(g, σ)| wide, which is more than |g|; the difference, at the
    gap that was found, is taken off, as Kumar, Liang & Ma (2019, NeurIPS, arXiv 1909.10155) do by sampling; here by the
    folded normal's mean, and with the σ of gaps that vary from day to day. Nothing below 0 is given.

    The interval is t · the standard error of a bootstrap over clusters. It begins at 0 where the error that was found
    is no larger than the same draws make of gaps that are all 0: at the edge a standard error misleads. In simulations
    of 10 to 60 days it held the truth in 89 to 97 % of samples (at 95 %), calibrated scores included.

    Parameters
    ----------
    clusters, bins: whose cell it is. n, score_sum, label_sum: rows and sums of the cell.

    >>> day, part = [1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1]
    >>> error = debiased_calibration_error(day, part, [50] * 6, [10.0, 35.0] * 3, [16, 30, 17, 28, 15, 31])
    >>> round(error.value, 4), round(error.ci_lower, 3), error.n
    (0.1133, 0.052, 300)
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    rows, score, label = _tables(clusters, bins, n=n, score_sum=score_sum, label_sum=label_sum)
    total = int(rows.sum())
    if total == 0:
        return Estimate.absent("no request has a score and a label", n=0, method=method)
    days = rows.shape[0]
    gap = score - label
    once = np.ones((1, days))
    plain, debiased = _calibration_errors(once, rows, gap, label)
    value = max(float(debiased[0]), 0.0)
    if days < 2:
        reason = f"no interval: too few clusters: {days}, a variance needs 2"
        return Estimate.alone(value, n=total, method=method, reason=reason)
    draw = np.random.default_rng(seed)
    weights = draw.multinomial(days, np.full(days, 1 / days), size=check_count("draws", draws)).astype(np.float64)
    _, replicates = _calibration_errors(weights, rows, gap, label)
    se = float(replicates.std(ddof=1)) * math.sqrt(days / (days - 1))
    if se == 0:
        return Estimate.alone(value, n=total, method=method, reason="no interval: the days do not vary")._replace(
            se=0.0
        )
    centred = gap - gap.sum(axis=0) / np.maximum(rows.sum(axis=0), 1) * rows
    by_chance, _ = _calibration_errors(weights, rows, centred, label)
    reach = critical_value(confidence, df=days - 1) * se
    is_chance = float(plain[0]) <= float(np.quantile(by_chance, confidence)) * math.sqrt(days / (days - 1))
    lower = 0.0 if is_chance else max(0.0, value - reach)
    return Estimate(value, se, days - 1, lower, min(1.0, value + reach), None, total, method, "ok", "")


def brier_parts(
    clusters: ArrayLike,
    bins: ArrayLike,
    *,
    n: ArrayLike,
    score_sum: ArrayLike,
    label_sum: ArrayLike,
    score_square_sum: ArrayLike,
    score_label_sum: ArrayLike,
    method: str = BRIER_METHOD,
    confidence: float = CONFIDENCE,
) -> BrierParts:
    """Murphy's three parts of the Brier score and what his bins leave over, each with days as clusters.

    Sources: Murphy (1973), J. Appl. Meteorol. 12:595; the part within bins after Stephenson, Coelho & Jolliffe (2008),
    Weather and Forecasting 23:752. Reliability and resolution come out too large by what the bins' shares vary by
    chance (Broecker 2012, Climate Dynamics 39:655): their intervals reach down by as much more.

    Parameters
    ----------
    clusters, bins: whose cell it is. n, …: rows and sums of the cell: Σ s, Σ y, Σ s², Σ s·y.

    >>> parts = brier_parts([1, 1, 2, 2], [0, 1, 0, 1], n=[10] * 4, score_sum=[2.0, 7.0] * 2, label_sum=[1, 8, 1, 8],
    ...                     score_square_sum=[0.4, 4.9] * 2, score_label_sum=[0.2, 5.6] * 2)
    >>> [round(part.value, 4) for part in parts]
    [0.01, 0.1225, 0.2475, 0.0]
    """
    check_between("confidence", confidence, 0, 1)
    rows, score, label, square, product = _tables(
        clusters,
        bins,
        n=n,
        score_sum=score_sum,
        label_sum=label_sum,
        score_square_sum=score_square_sum,
        score_label_sum=score_label_sum,
    )
    total = float(rows.sum())
    if total == 0:
        nothing = Estimate.absent("no request has a score and a label", n=0, method=method)
        return BrierParts(nothing, nothing, nothing, nothing)
    size, share = rows.sum(axis=0), float(label.sum()) / total
    gap = score - label
    mean_gap, mean_score, mean_label = (table.sum(axis=0) / size for table in (gap, score, label))
    # What each cell adds to a part, linearised at the bins' means: their sum over clusters is the part itself.
    reliability = 2 * mean_gap * gap - mean_gap**2 * rows
    resolution = 2 * (mean_label - share) * (label - share * rows) - (mean_label - share) ** 2 * rows
    uncertainty = share**2 * rows + (1 - 2 * share) * label
    within = (
        square
        - 2 * product
        - 2 * (mean_score - mean_label) * score
        + 2 * mean_score * label
        + (mean_score**2 - 2 * mean_score * mean_label) * rows
    )
    chance = {
        "reliability": float(size @ _variances(gap - mean_gap * rows, size)) / total,
        "resolution": float(size @ _variances(label - mean_label * rows, size)) / total,
    }

    def part(name: str, cells: Table, within: tuple[float, float] | None = None) -> Estimate:
        value = float(cells.sum()) / total
        influences = (cells.sum(axis=1) - value * rows.sum(axis=1)) / total
        estimate = from_influence(
            value, influences, int(total), method, scale=1.0, within=within, confidence=confidence
        )
        if estimate.ci_lower is None or name not in chance:
            return estimate
        return estimate._replace(ci_lower=max(0.0, estimate.ci_lower - chance[name]))

    reliable, resolved, uncertain = (
        _at_least_zero(part(name, cells, (0.0, 1.0)))
        for name, cells in (("reliability", reliability), ("resolution", resolution), ("uncertainty", uncertainty))
    )
    return BrierParts(reliable, resolved, uncertain, part("within", within))


def _at_least_zero(estimate: Estimate) -> Estimate:
    """The estimate without the rounding that would put a square below 0."""
    if estimate.value is None or estimate.value >= 0:
        return estimate
    return estimate._replace(value=0.0)


def _calibration_errors(weights: Table, rows: Table, gap: Table, label: Table) -> tuple[Numbers, Numbers]:
    """Plain and debiased error for each row of `weights`, which says how often each cluster counts."""
    import numpy as np
    from scipy import special

    size, total_gap = weights @ rows, weights @ gap
    filled = np.maximum(size, 1)
    mean_gap = total_gap / filled
    drawn = weights.sum(axis=1, keepdims=True)
    if rows.shape[0] > 1:
        # Σ w (gap - mean · rows)², multiplied out: one product per term for all draws at once.
        squares = weights @ gap**2 - 2 * mean_gap * (weights @ (gap * rows)) + mean_gap**2 * (weights @ rows**2)
        variance = np.maximum(squares, 0) * drawn / (drawn - 1) / filled**2
    else:
        share = (weights @ label) / filled
        variance = share * (1 - share) / filled
    width, spread = np.abs(mean_gap), np.sqrt(variance)
    scaled = np.divide(width, spread, out=np.full_like(width, 40.0), where=spread > width / 40)
    folded = spread * math.sqrt(2 / math.pi) * np.exp(-(scaled**2) / 2) + width * (1 - 2 * special.ndtr(-scaled))
    whole = size.sum(axis=1)
    plain = (size * width).sum(axis=1) / whole
    return plain, 2 * plain - (size * folded).sum(axis=1) / whole


def _variances(deviations: Table, size: Numbers) -> Numbers:
    """The variance of each bin's mean from its clusters' deviations; 0 where there is one cluster."""
    import numpy as np

    days = deviations.shape[0]
    found: Numbers = days / max(days - 1, 1) * np.square(deviations).sum(axis=0) / size**2
    return found if days > 1 else np.zeros_like(found)


def _tables(clusters: ArrayLike, bins: ArrayLike, **sums: ArrayLike) -> list[Table]:
    """Each column of the cells as a table of clusters × bins, without clusters and bins that hold no rows."""
    import numpy as np

    cluster, place, *columns = matched(clusters=clusters, bins=bins, **sums)
    size = counts("n", columns[0])
    label = columns[2]
    wrong = label[(label < 0) | (label > size)]
    if wrong.size:
        raise ArgumentError(f"label_sum holds {wrong[0]}, must lie between 0 and the cell's n")
    filled = size > 0
    by_cluster, by_bin = (np.unique(codes[filled], return_inverse=True) for codes in (cluster, place))
    shape = by_cluster[0].size, by_bin[0].size
    index = by_cluster[1] * max(shape[1], 1) + by_bin[1]

    def table(column: Numbers) -> Table:
        sums = np.bincount(index, weights=column[filled], minlength=shape[0] * shape[1])
        return sums.reshape(shape).astype(np.float64)

    return [table(column) for column in columns]
