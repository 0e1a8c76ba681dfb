"""Sums by narrow bins of the prediction, day by day: what any question about the errors of a regressor is made of.

Bins are equally wide in the logarithm of the prediction's size, each a twelfth wider than the one before it. They do
not depend on the data, so days, periods and engines merge by adding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from typing_extensions import override

from toolkit.data import LABEL, ModelDefinition, Source
from toolkit.metrics.kinds import RankKind, Within, number
from toolkit.metrics.query import Population
from toolkit.metrics.ranking import Grain
from toolkit.metrics.score_cells import CODE, collect_cells
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_PER_DOUBLING = 8
_SMALLEST_POWER, _LARGEST_POWER = -20, 40
"""Predictions below 2⁻²⁰ in size share one bin, and so do those above 2⁴⁰ on either side."""

_OUTERMOST = _PER_DOUBLING * (_LARGEST_POWER - _SMALLEST_POWER)
_SUMS = ("n", "labelled", "error_sum", "size_sum", "square_sum")


class PredictionCells(NamedTuple):
    """One entry per day × bin of the prediction, of answered requests that have one.

    Attributes
    ----------
    day: the date's ordinal. place: of the bin, lowest predictions first.
    n, labelled: requests, and those of them whose label is known.
    error_sum, size_sum, square_sum: over these Σ e, Σ |e| and Σ e² of prediction - label.
    """

    day: Numbers
    place: Numbers
    n: Numbers
    labelled: Numbers
    error_sum: Numbers
    size_sum: Numbers
    square_sum: Numbers

    def between(self, start: date, end: date) -> Self:
        """The cells of the days from `start` and before `end`."""
        inside = (self.day >= start.toordinal()) & (self.day < end.toordinal())
        return type(self)(*(column[inside] for column in self))

    def without_day(self, day: float) -> Self:
        """All cells but those of one day."""
        return type(self)(*(column[self.day != day] for column in self))

    def labelled_only(self) -> Self:
        """The cells as if requests without a label were not there."""
        return self._replace(n=self.labelled)

    @property
    def requests(self) -> int:
        """Requests with a prediction."""
        return int(self.n.sum())

    @property
    def labels(self) -> int:
        """Of these, those whose label is known."""
        return int(self.labelled.sum())


class _PredictionCellsKind(RankKind):
    """The cells as a kind of metric, so that they are asked, checked and kept like everything that is measured."""

    kind: Literal["prediction_cells"]

    @override
    def columns(self) -> Sequence[str]:
        return ["prediction", LABEL]

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        rows = base.filter(number(base, "prediction").notnull() & ~base.error)
        grain = Grain.of(rows, split)
        says, label = number(rows, "prediction"), number(rows, LABEL)
        known, error = label.notnull(), says - label
        rows = rows.select(
            **grain.varying,
            **{CODE: _place(says) + _OUTERMOST},
            n=says.notnull().ifelse(1.0, 0.0),
            labelled=known.ifelse(1.0, 0.0),
            error_sum=known.ifelse(error, 0.0),
            size_sum=known.ifelse(error.abs(), 0.0),
            square_sum=known.ifelse(error * error, 0.0),
        )
        cells = rows.group_by(*grain.keys, CODE).aggregate(**{name: rows[name].sum() for name in _SUMS})
        return grain.in_lists(cells, (CODE, *_SUMS))

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        return Estimate.absent("cells are sums, which make no number of their own", n=0, method=self.kind)


def collect_prediction_cells(
    source: Source, model: ModelDefinition, populations: Sequence[Population], *, as_of: datetime
) -> Mapping[str, PredictionCells]:
    """The cells of each population, by its name, with the labels known at `as_of`; one query.

    What was asked before, of the same rows, is not read again. Raises `ContractError`.
    """
    words: dict[str, Any] = dict.fromkeys(("name", "description", "owner"), "sums by prediction")
    kind = _PredictionCellsKind(
        kind="prediction_cells", direction="none", practical_threshold=1, role="quality", **words
    )
    found = collect_cells(source, model, kind, _SUMS, populations, as_of=as_of)
    return {
        name: PredictionCells(day, code, *(sums[column] for column in _SUMS))
        for name, (day, code, sums) in found.items()
    }


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
