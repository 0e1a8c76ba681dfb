"""Performance by a few labels: prediction-powered, as soon as a hundred of a window's labels are there.

It is right whatever the calibration is worth, so it needs no panel; but the labels must be a random part of the window.
Whether they are is looked at: by day, by answer, and, on the window before, by what early labels said.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.display import format_number
from toolkit.signals.label_free.assumptions import gap_size
from toolkit.signals.label_free.basis import Basis, Quantity, Values

if TYPE_CHECKING:
    from toolkit.stats.arrays import Numbers

UNLIKELY = 0.01
"""Labels that would be spread so unevenly no more often than this are taken for no random part."""


def why_not_random(cells: Any, *, answer: str) -> str:
    """In what way the labels of a window are no random part of it, by day and by answer; "" when nothing says so."""
    for by, name in ((cells.day, "day"), (cells.place, answer)):
        requests, labelled = _grouped(by, cells.n, cells.labelled)
        p = stats.even_labelling_p(requests, labelled)
        if p is not None and p < UNLIKELY:
            return (
                f"the labels are no random part of the window: how many are known differs by {name} "
                f"(p {format_number('p_value', p)})"
            )
    return ""


def early_labels_differ(basis: Basis, early: Any, all_known: Any) -> str:
    """Whether labels that were known early said something else than those that came later, on an earlier window.

    What is compared is the level, as far as answers do not tell it: label less what is expected of the answer.
    """
    curve = basis.calibrate(all_known)
    later = all_known.labels - early.labels
    if curve is None or min(early.labels, later) < stats.FEWEST_LABELS:
        return ""
    known, whole = (basis.values(basis.level, cells, curve) for cells in (early, all_known))
    gap_early = float(known.value_sum.sum() - early.labelled @ known.prediction)
    gap_whole = float(whole.value_sum.sum() - all_known.labelled @ whole.prediction)
    moments = stats.labelled_moments(all_known.labelled, whole.value_sum, whole.value_square_sum, whole.prediction)
    spread = moments.variance - 2 * moments.covariance + moments.prediction_variance
    if spread <= 0:
        return ""
    early_mean, late_mean = gap_early / early.labels, (gap_whole - gap_early) / later
    z = (early_mean - late_mean) / math.sqrt(spread * (1 / early.labels + 1 / later))
    if stats.two_sided_p(z) >= UNLIKELY:
        return ""
    early_shown, late_shown = (
        f"{gap_size(each, basis.words)} {'above' if each >= 0 else 'below'}" for each in (early_mean, late_mean)
    )
    return (
        "early labels are no random part: on the window before, those known as early lay "
        f"{early_shown} what was expected of their {basis.words.answers}, and those that came later {late_shown}"
    )


def powered_estimate(basis: Basis, quantity: Quantity, cells: Any, curve: Any, *, refused: str) -> stats.Estimate:
    """A quantity by prediction and the labels that are there, or why not."""
    labels = cells.labels

    def absent(reason: str) -> stats.Estimate:
        return stats.Estimate.absent(reason, n=labels, method=stats.PPI_METHOD)

    if quantity.key not in basis.powered:
        return absent("no mean over requests")
    if labels < stats.FEWEST_LABELS:
        return absent(f"{labels} labels of the window are known, it needs {stats.FEWEST_LABELS}")
    if refused:
        return absent(refused)
    values = basis.values(quantity.key, cells, curve)
    known, left = _moments(values, cells), (cells.n - cells.labelled) * values.counted
    if known is None or known.n < stats.FEWEST_LABELS:
        return absent(f"fewer than {stats.FEWEST_LABELS} labels are of decided requests")
    total = float(left.sum())
    if total == 0:
        return absent("every request has its label: nothing is to be estimated")
    mean = float(left @ values.prediction) / total
    variance = float(left @ (values.prediction - mean) ** 2) / total
    return stats.prediction_powered_mean(
        known, n_all=int(total), prediction_mean_all=mean, prediction_variance_all=variance, within=quantity.within
    ).estimate


def residual_variance(basis: Basis, key: str, cells: Any, curve: Any) -> float | None:
    """What the labels of a window vary beyond their prediction: what a label budget is made of."""
    known = _moments(basis.values(key, cells, curve), cells)
    if known is None:
        return None
    weight = 0.0
    if known.prediction_variance > 0:
        weight = min(max(known.covariance / known.prediction_variance, 0.0), 1.0)
    return max(known.variance - 2 * weight * known.covariance + weight**2 * known.prediction_variance, 0.0)


def _moments(values: Values, cells: Any) -> stats.LabelledMoments | None:
    labelled = cells.labelled * values.counted
    if labelled.sum() < 2:
        return None
    return stats.labelled_moments(
        labelled, values.value_sum * values.counted, values.value_square_sum * values.counted, values.prediction
    )


def _grouped(by: Numbers, *columns: Numbers) -> list[Numbers]:
    import numpy as np

    codes, which = np.unique(by, return_inverse=True)
    return [np.bincount(which, weights=column, minlength=codes.size).astype(np.float64) for column in columns]
