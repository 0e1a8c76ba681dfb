"""Errors of predictions that are numbers, realised or expected, from sums by bin of the prediction.

A prediction does not tell its own error as a score does. But where errors depend on what is predicted, the errors that
labels showed at each level let expect those of another mix of levels: the counterpart of what calibrated scores do, and
resting on the same thing, that errors at a level stay what they were.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, matched

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers


class ErrorPerformance(NamedTuple):
    """How far predictions are off, in their unit; a part is None where there is nothing to compute it from.

    Attributes
    ----------
    bias: mean of prediction - label. mae: mean size of it. rmse: root of its mean square.
    """

    bias: float | None
    mae: float | None
    rmse: float | None


def error_performance(
    n: ArrayLike, error_sum: ArrayLike, size_sum: ArrayLike, square_sum: ArrayLike
) -> ErrorPerformance:
    """Bias, mean absolute error and root mean square error from sums by bin: Σ e, Σ |e| and Σ e².

    >>> error_performance([2, 2], [1.0, -3.0], [1.0, 3.0], [1.0, 5.0])
    ErrorPerformance(bias=-0.5, mae=1.0, rmse=1.224744871391589)
    """
    rows, error, size, square = matched(n=n, error_sum=error_sum, size_sum=size_sum, square_sum=square_sum)
    total = float(rows.sum())
    if total == 0:
        return ErrorPerformance(None, None, None)
    return ErrorPerformance(
        float(error.sum()) / total, float(size.sum()) / total, math.sqrt(max(float(square.sum()) / total, 0.0))
    )


def binned_means(n: ArrayLike, sums: ArrayLike) -> Numbers:
    """The mean of each bin; a bin without rows takes what lies between its neighbours.

    >>> binned_means([2, 0, 2], [1.0, 0.0, 3.0]).tolist()
    [0.5, 1.0, 1.5]
    """
    import numpy as np

    rows, total = matched(n=n, sums=sums)
    counts("n", rows)
    filled = np.flatnonzero(rows > 0)
    if filled.size == 0:
        raise ArgumentError("n holds no rows, so that there is no mean to take; give labelled rows")
    found: Numbers = np.interp(np.arange(rows.size), filled, total[filled] / rows[filled])
    return found
