"""Sums by narrow bins of the score and by decision, day by day: what any question about scores and labels is made of.

Bins are equally wide in the log odds, so that a fraud model whose scores all lie below 0.01 is seen as finely as one
that scores flights. They do not depend on the data, so days, periods and engines merge by adding.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from typing_extensions import override

from toolkit.data import LABEL, ModelDefinition, Source
from toolkit.metrics.day_cells import CODE, CellsKind, DayCells, collect_cells
from toolkit.metrics.decisions import decision_scalar
from toolkit.metrics.kinds import Scalar, number, truth
from toolkit.metrics.query import Population

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.stats.arrays import Numbers

BIN_WIDTH = 0.1
"""Of a bin, in the log odds: 0.025 of the score in the middle, a tenth of it at the ends."""

_OUTERMOST = 100
"""Bins on either side of a score of one half; scores beyond log odds of 10 share the outer ones."""

BINS = 2 * _OUTERMOST
"""How many bins there are."""


class _Columns(NamedTuple):
    day: Numbers
    place: Numbers
    decided: Numbers
    n: Numbers
    score_sum: Numbers
    score_square_sum: Numbers
    labelled: Numbers
    label_sum: Numbers
    labelled_score_sum: Numbers
    labelled_square_sum: Numbers
    score_label_sum: Numbers
    loss_square_sum: Numbers


class ScoreCells(_Columns, DayCells):
    """One entry per day × bin of the score × decision, of answered requests that have a score.

    Attributes
    ----------
    day: the date's ordinal. place: of the bin, lowest scores first. decided: 1 yes, 0 no, -1 unknown.
    n, score_sum, score_square_sum: requests, Σ s and Σ s².
    labelled, label_sum: of these, those whose label is known, and Σ y over them.
    labelled_score_sum, labelled_square_sum, score_label_sum, loss_square_sum: over them Σ s, Σ s², Σ s · y and
        Σ (y - s)⁴.
    """

    __slots__ = ()

    def labelled_only(self) -> Self:
        """The cells as if requests without a label were not there."""
        return self._replace(
            n=self.labelled, score_sum=self.labelled_score_sum, score_square_sum=self.labelled_square_sum
        )


class _ScoreCellsKind(CellsKind):
    kind: Literal["score_cells"]
    decision: Scalar = "decision"
    bounded_label: ClassVar[bool] = True
    answer: ClassVar[str] = "score"
    sums: ClassVar[tuple[str, ...]] = _Columns._fields[3:]

    @override
    def columns(self) -> Sequence[str]:
        return ["score", LABEL, self.decision]

    @override
    def resolved(self, model: ModelDefinition, columns: Collection[str]) -> Self:
        return self.model_copy(update={"decision": decision_scalar(model, columns)})

    @override
    def cell(self, rows: ir.Table) -> dict[str, Any]:
        score, label = number(rows, "score"), number(rows, LABEL)
        known = label.notnull()
        squared = (label - score) * (label - score)
        yes = truth(rows, self.decision)
        decided = yes.notnull().ifelse(yes.ifelse(1, 0), -1)
        return {
            CODE: 3 * (_place(score) + _OUTERMOST) + decided + 1,
            "n": score.notnull().ifelse(1.0, 0.0),
            "score_sum": score,
            "score_square_sum": score * score,
            "labelled": known.ifelse(1.0, 0.0),
            "label_sum": known.ifelse(label, 0.0),
            "labelled_score_sum": known.ifelse(score, 0.0),
            "labelled_square_sum": known.ifelse(score * score, 0.0),
            "score_label_sum": known.ifelse(score * label, 0.0),
            "loss_square_sum": known.ifelse(squared * squared, 0.0),
        }


def collect_score_cells(
    source: Source, model: ModelDefinition, populations: Sequence[Population], *, as_of: datetime
) -> Mapping[str, ScoreCells]:
    """The cells of each population, by its name, with the labels known at `as_of`; one query.

    What was asked before, of the same rows, is not read again. Raises `ContractError`.
    """
    found = collect_cells(source, model, _ScoreCellsKind, "score_cells", populations, as_of=as_of)
    return {name: ScoreCells(day, code // 3, code % 3 - 1, *sums) for name, (day, code, sums) in found.items()}


def _place(score: Any) -> Any:
    """The bin of a score: floor(log odds / width), from -`_OUTERMOST` to `_OUTERMOST` - 1."""
    import ibis

    low = 1 / (1 + math.exp(_OUTERMOST * BIN_WIDTH))
    too_low, too_high = score <= low, score >= 1 - low
    inside = (too_low | too_high).ifelse(None, score)
    place = ((inside / (1.0 - inside)).ln() / BIN_WIDTH).floor().clip(-_OUTERMOST, _OUTERMOST - 1)
    return ibis.cases((too_low, -_OUTERMOST), (too_high, _OUTERMOST - 1), else_=place.cast("int64"))
