"""The estimate from predictions that are numbers: the errors that labels showed at each level, in the present mix.

A prediction does not tell its own error, so this sees less than scores do: when the requests become harder at the same
predictions, nothing of it shows. Its intervals are made of how far it was off before, like those of scores, so that it
claims no more than it has kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit import stats
from toolkit.metrics.prediction_cells import PredictionCells, collect_prediction_cells
from toolkit.signals.label_free.basis import FEWEST_LABELLED, Basis, Quantity, Values, Words

if TYPE_CHECKING:
    from toolkit.stats.arrays import Numbers


class ErrorCurve(NamedTuple):
    """The mean error, its mean size and mean square by bin of the prediction, and where there were labels."""

    bias: Numbers
    size: Numbers
    square: Numbers
    lowest: int
    highest: int

    def at(self, cells: PredictionCells) -> tuple[Numbers, Numbers, Numbers]:
        """All three in each cell; beyond the labels, those of the outermost bin that has some."""
        place = cells.place.astype(int).clip(self.lowest, self.highest)
        return self.bias[place], self.size[place], self.square[place]


def calibrate(cells: PredictionCells) -> ErrorCurve | None:
    """The errors by level of the prediction; None with fewer than `FEWEST_LABELLED` labels."""
    import numpy as np

    if cells.labels < FEWEST_LABELLED:
        return None
    n, *sums = (
        np.bincount(cells.place.astype(int), weights=column)
        for column in (cells.labelled, cells.error_sum, cells.size_sum, cells.square_sum)
    )
    filled = np.flatnonzero(n)
    bias, size, square = (stats.binned_means(n, each) for each in sums)
    return ErrorCurve(bias, size, square, int(filled[0]), int(filled[-1]))


def expected_errors(cells: PredictionCells, curve: ErrorCurve) -> stats.ErrorPerformance:
    """What is expected of all requests of `cells`."""
    return stats.error_performance(cells.n, *(cells.n * each for each in curve.at(cells)))


def realised_errors(cells: PredictionCells) -> stats.ErrorPerformance:
    """What the labels that are known say."""
    return stats.error_performance(cells.labelled, cells.error_sum, cells.size_sum, cells.square_sum)


def chance_errors(cells: PredictionCells, curve: ErrorCurve) -> stats.ErrorPerformance:
    """How far labels of these requests would fall from what is expected by chance alone."""
    import numpy as np

    total = float(cells.n.sum())
    if total == 0:
        return stats.ErrorPerformance(None, None, None)
    bias, size, square = curve.at(cells)
    of_bias, of_size = (float(cells.n @ np.maximum(square - each**2, 0.0)) for each in (bias, size))
    return stats.ErrorPerformance(math.sqrt(of_bias) / total, math.sqrt(of_size) / total, None)


def error_values(key: str, cells: PredictionCells, curve: ErrorCurve) -> Values:
    """What a quantity is the mean of; any key but `bias` is the size of the error."""
    import numpy as np

    bias, size, _ = curve.at(cells)
    everywhere = np.ones(cells.n.size, dtype=bool)
    if key == "bias":
        return Values(cells.error_sum, cells.square_sum, bias, everywhere)
    return Values(cells.size_sum, cells.square_sum, size, everywhere)


def with_bias(curve: ErrorCurve, cells: PredictionCells, level: float) -> ErrorCurve:
    """The curve if the bias over `cells` were `level` and every error had moved by as much.

    A mean size follows from that only through the square: it stays at least what it was, or the bias itself.
    """
    import numpy as np

    total = float(cells.n.sum())
    by = level - (float(cells.n @ curve.at(cells)[0]) / total if total else 0.0)
    bias = curve.bias + by
    return curve._replace(
        bias=bias,
        size=np.maximum(curve.size, np.abs(bias)),
        square=np.maximum(curve.square + 2 * by * curve.bias + by**2, 0.0),
    )


PREDICTIONS = Basis(
    level="bias",
    quantities=(
        Quantity("mae", "Mean absolute error", "", "down", (0.0, math.inf)),
        Quantity("rmse", "Root mean square error", "", "down", (0.0, math.inf)),
        Quantity("bias", "Bias", "", "", None),
    ),
    powered=("mae", "bias"),
    drawn=("mae", "bias"),
    budget="",
    words=Words(
        expected_of="the errors at each level of the prediction",
        answers="predictions",
        answered="predicted",
        level="predictions",
        rate="bias",
        more="higher",
        fewer="lower",
        unit="",
    ),
    collect=collect_prediction_cells,
    calibrate=calibrate,
    expect=expected_errors,
    realise=realised_errors,
    chance=chance_errors,
    values=error_values,
    moved=with_bias,
)
"""Of models that give a number."""
