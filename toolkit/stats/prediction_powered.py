"""Prediction-powered inference: a few labels correct what a prediction says of many rows.

The mean of the predictions over all rows is precise and may be wrong; the mean of the labels over a few rows is right
and imprecise. Their sum, prediction plus the mean correction that the labelled rows ask for, is right whatever the
prediction is worth, and the more precise the better it is. The labelled rows must be a random part of all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, matched
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_count,
    check_finite,
    check_positive,
    check_variance,
    critical_value,
    from_standard_error,
)
from toolkit.stats.means import mean
from toolkit.stats.two_sample_tests import homogeneity, merge_sparse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PPI_METHOD = "prediction-powered, t"

FEWEST_LABELS = 100
"""Labels from which on a prediction-powered interval is made: with fewer, t misleads for shares."""


class LabelledMoments(NamedTuple):
    """Of rows that have both: how many, the means of label and prediction, their variances and covariance (ddof 1)."""

    n: int
    mean: float
    prediction_mean: float
    variance: float
    prediction_variance: float
    covariance: float

    def best_weight(self, n_all: float = math.inf) -> float:
        """How much of the prediction narrows the interval most, beside `n_all` rows without a label; from 0 to 1."""
        if self.prediction_variance <= 0:
            return 0.0
        return min(max(self.covariance / self.prediction_variance / (1 + self.n / n_all), 0.0), 1.0)

    def residual_variance(self, weight: float) -> float:
        """The variance of label - weight · prediction, which more labels average out."""
        return max(self.variance - 2 * weight * self.covariance + weight**2 * self.prediction_variance, 0.0)


class PredictionPowered(NamedTuple):
    """A mean by prediction and labels.

    Attributes
    ----------
    estimate: with its interval. labels_only: what the labels alone say.
    weight: how much of the prediction is used, between 0 and 1.
    """

    estimate: Estimate
    labels_only: Estimate
    weight: float


class LabelBudget(NamedTuple):
    """How many labels in all an interval of a given width takes; None where there are not so many, and why."""

    width: float
    labels: int | None
    reason: str


def labelled_moments(
    n: ArrayLike, label_sum: ArrayLike, label_square_sum: ArrayLike, prediction: ArrayLike
) -> LabelledMoments:
    """The moments of rows by cells: labelled rows, Σ z, Σ z², and the prediction, which is one for a cell.

    >>> found = labelled_moments([2, 2], [1.0, 2.0], [1.0, 2.0], [0.4, 0.8])
    >>> found.mean, round(found.prediction_mean, 6), found.variance, round(found.covariance, 6)
    (0.75, 0.6, 0.25, 0.066667)
    """
    rows, label, square, says = matched(
        n=n, label_sum=label_sum, label_square_sum=label_square_sum, prediction=prediction
    )
    size = int(counts("n", rows).sum())
    if size < 2:
        raise ArgumentError(f"n sums to {size}, must be at least 2 for a variance")
    mean_label, mean_says = float(label.sum()) / size, float(rows @ says) / size
    over = size / (size - 1)
    return LabelledMoments(
        size,
        mean_label,
        mean_says,
        max(float(square.sum()) / size - mean_label**2, 0.0) * over,
        float(rows @ (says - mean_says) ** 2) / size * over,
        float(label @ (says - mean_says)) / size * over,
    )


def prediction_powered_mean(
    labelled: LabelledMoments,
    *,
    n_all: int,
    prediction_mean_all: float,
    prediction_variance_all: float,
    weight: float | None = None,
    within: tuple[float, float] | None = None,
    confidence: float = CONFIDENCE,
) -> PredictionPowered:
    """mean label + weight · (mean prediction over all rows - over the labelled rows), with its interval.

    Sources: Angelopoulos et al. (2023), Science 382:669, arXiv 2301.09633 (weight 1); Angelopoulos, Duchi & Zrnic
    (2023), arXiv 2311.01453 (the weight that makes the interval narrowest, so that a bad prediction costs nothing).

    Parameters
    ----------
    n_all, …: of the rows without a label.
    weight: how much of the prediction to use; None: cov(label, prediction) / var(prediction) / (1 + n / n_all), cut to
        0 … 1.

    >>> rows = LabelledMoments(100, 0.70, 0.74, 0.2121, 0.02, 0.018)
    >>> found = prediction_powered_mean(rows, n_all=9900, prediction_mean_all=0.76, prediction_variance_all=0.02)
    >>> round(found.estimate.value, 4), round(found.estimate.se, 4), round(found.labels_only.se, 4)
    (0.7178, 0.0443, 0.0461)
    """
    check_between("confidence", confidence, 0, 1)
    n_all = check_count("n_all", n_all)
    if n_all == 0 or labelled.n < 2:
        raise ArgumentError(f"n_all == {n_all} and labelled.n == {labelled.n}, must be at least 1 and 2")
    check_variance("prediction_variance", labelled.prediction_variance)
    check_variance("variance", labelled.variance)
    if weight is None:
        weight = labelled.best_weight(n_all)
    floor = weight**2 * check_variance("prediction_variance_all", prediction_variance_all) / n_all
    value = labelled.mean + weight * (
        check_finite("prediction_mean_all", prediction_mean_all) - labelled.prediction_mean
    )
    estimate = from_standard_error(
        value,
        math.sqrt(labelled.residual_variance(weight) / labelled.n + floor),
        n=labelled.n,
        df=labelled.n - 1,
        method=PPI_METHOD,
        within=within,
        confidence=confidence,
        scale=1.0,
    )
    alone = mean(labelled.n, labelled.mean, labelled.variance, method="labels alone, t", confidence=confidence)
    return PredictionPowered(estimate, alone, weight)


def label_budget(width: float, *, residual_variance: float, confidence: float = CONFIDENCE) -> LabelBudget:
    """The labels that make an interval `width` wide from end to end: n = residual variance / (width / 2z)².

    `residual_variance`: see `LabelledMoments`; what the rows without a label vary by is taken for nothing beside it.

    >>> label_budget(0.1, residual_variance=0.19)
    LabelBudget(width=0.1, labels=292, reason='')
    """
    half = check_positive("width", width) / 2 / critical_value(confidence)
    return LabelBudget(width, max(math.ceil(check_variance("residual_variance", residual_variance) / half**2), 1), "")


def even_labelling_p(requests: ArrayLike, labelled: ArrayLike) -> float | None:
    """The chance that labels would be spread over groups (days, scores) as unevenly, had each request the same chance.

    By `homogeneity`, after `merge_sparse` made neighbours one until each group expects 5 labelled and 5 unlabelled;
    None with fewer than two groups, or when all or none are labelled.

    >>> round(even_labelling_p([100, 100, 100], [10, 12, 9]), 4)
    0.7774
    >>> even_labelling_p([100, 100, 100], [30, 1, 0]) < 1e-6
    True
    """
    rows, known = matched(requests=requests, labelled=labelled)
    counts("requests", rows)
    counts("labelled", known)
    merged = merge_sparse(known, counts("requests less labelled", rows - known), ordered=True)
    return homogeneity(merged.reference, merged.current).p_value
