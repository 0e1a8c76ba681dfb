"""Sums by narrow bins of the prediction, day by day: what any question about the errors of a regressor is made of.

Bins are equally wide in the logarithm of the prediction's size, each an eleventh wider than the one before it. They do
not depend on the data, so days, periods and engines merge by adding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from typing_extensions import override

from toolkit.data import LABEL, ModelDefinition, Source
from toolkit.metrics.day_cells import CODE, CellsKind, DayCells, collect_cells
from toolkit.metrics.kinds import number
from toolkit.metrics.query import Population

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.stats.arrays import Numbers

_PER_DOUBLING = 8
_SMALLEST_POWER, _LARGEST_POWER = -20, 40
"""Predictions below 2⁻²⁰ in size share one bin, and so do those above 2⁴⁰ on either side."""

_OUTERMOST = _PER_DOUBLING * (_LARGEST_POWER - _SMALLEST_POWER)


class _Columns(NamedTuple):
    day: Numbers
    place: Numbers
    n: Numbers
    labelled: Numbers
    error_sum: Numbers
    size_sum: Numbers
    square_sum: Numbers


class PredictionCells(_Columns, DayCells):
    """One entry per day × bin of the prediction, of answered requests that have one.

    Attributes
    ----------
    day: the date's ordinal. place: of the bin, lowest predictions first.
    n, labelled: requests, and those of them whose label is known.
    error_sum, size_sum, square_sum: over these Σ e, Σ |e| and Σ e² of prediction - label.
    """

    __slots__ = ()

    def labelled_only(self) -> Self:
        """The cells as if requests without a label were not there."""
        return self._replace(n=self.labelled)


class _PredictionCellsKind(CellsKind):
    kind: Literal["prediction_cells"]
    answer: ClassVar[str] = "prediction"
    sums: ClassVar[tuple[str, ...]] = _Columns._fields[2:]

    @override
    def columns(self) -> Sequence[str]:
        return ["prediction", LABEL]

    @override
    def cell(self, rows: ir.Table) -> dict[str, Any]:
        says, label = number(rows, "prediction"), number(rows, LABEL)
        known, error = label.notnull(), says - label
        return {
            CODE: _place(says) + _OUTERMOST,
            "n": says.notnull().ifelse(1.0, 0.0),
            "labelled": known.ifelse(1.0, 0.0),
            "error_sum": known.ifelse(error, 0.0),
            "size_sum": known.ifelse(error.abs(), 0.0),
            "square_sum": known.ifelse(error * error, 0.0),
        }


def collect_prediction_cells(
    source: Source, model: ModelDefinition, populations: Sequence[Population], *, as_of: datetime
) -> Mapping[str, PredictionCells]:
    """The cells of each population, by its name, with the labels known at `as_of`; one query.

    What was asked before, of the same rows, is not read again. Raises `ContractError`.
    """
    found = collect_cells(source, model, _PredictionCellsKind, "prediction_cells", populations, as_of=as_of)
    return {name: PredictionCells(day, code, *sums) for name, (day, code, sums) in found.items()}


def _place(prediction: Any) -> Any:
    """The bin of a prediction, from -`_OUTERMOST` to `_OUTERMOST`; 0 holds the smallest of either sign."""
    size = prediction.abs()
    is_small = size < 2.0**_SMALLEST_POWER
    step = (
        (is_small.ifelse(None, size).ln() * (_PER_DOUBLING / math.log(2))).floor()
        - (_SMALLEST_POWER * _PER_DOUBLING)
        + 1
    )
    place = is_small.ifelse(0.0, step.clip(1, _OUTERMOST))
    return ((prediction < 0).ifelse(-1.0, 1.0) * place).cast("int64")
