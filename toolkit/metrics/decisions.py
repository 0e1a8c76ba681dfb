"""Kinds of metric that compare what was decided, yes or no, with what happened.

What was decided is the column `decision`; where a table has none, a score at or above the threshold: the column
`threshold`, else the model's own. Whatever else is to be asked ("what if the threshold were 0.3?") is written as the
parameter `decision`. A request counts when its decision is known and its label is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field
from typing_extensions import override

from toolkit.data import LABEL, ModelDefinition
from toolkit.metrics.kinds import Parts, RatioKind, Scalar, number, truth

if TYPE_CHECKING:
    import ibis.expr.types as ir

_CELLS = {
    "true_positive": (True, True),
    "false_positive": (True, False),
    "false_negative": (False, True),
    "true_negative": (False, False),
}
"""The cells of the confusion matrix: what was decided, and what happened."""


class Decided(NamedTuple):
    """Whether a request was decided yes, and whether it happened; both missing where either is unknown."""

    yes: Any
    happened: Any


def decision_scalar(model: ModelDefinition, columns: Collection[str]) -> str:
    """What says whether a request was decided yes, given the columns of predictions."""
    if "decision" in columns:
        return "decision"
    return f"score >= {'threshold' if 'threshold' in columns else repr(model.decision_threshold)}"


class _DecisionKind(RatioKind):
    """Of the decision against a label that is 0 or 1."""

    bounded_label: ClassVar[bool] = True

    decision: Scalar | None = Field(
        default=None,
        description="boolean column or SQL condition; by default what was decided, else score >= threshold",
    )

    @override
    def columns(self) -> Sequence[str]:
        return [self.decision or "decision", LABEL]

    @override
    def resolved(self, model: ModelDefinition, columns: Collection[str]) -> Self:
        if self.decision or "decision" in columns:
            return self
        return self.model_copy(update={"decision": decision_scalar(model, columns)})

    def decided(self, table: ir.Table) -> Decided:
        """What was decided and what happened, request by request."""
        yes, label = truth(table, self.decision or "decision"), number(table, LABEL)
        known = yes.notnull() & label.isin([0.0, 1.0])
        return Decided(known.ifelse(yes, None), known.ifelse(label == 1.0, None))


class Accuracy(_DecisionKind):
    """Share of the decisions that were right."""

    kind: Literal["accuracy"]
    is_share: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return "share of the decisions that were right"

    @override
    def parts(self, table: ir.Table) -> Parts:
        yes, happened = self.decided(table)
        return Parts(yes == happened)


class Precision(_DecisionKind):
    """Share of the requests decided yes that happened."""

    kind: Literal["precision"]
    is_share: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return "of the requests decided yes, the share that happened"

    @override
    def parts(self, table: ir.Table) -> Parts:
        yes, happened = self.decided(table)
        return Parts(yes.ifelse(happened, None))


class Recall(_DecisionKind):
    """Share of the requests that happened that had been decided yes; the true positive rate, or sensitivity."""

    kind: Literal["recall"]
    is_share: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return "of the requests that happened, the share decided yes"

    @override
    def parts(self, table: ir.Table) -> Parts:
        yes, happened = self.decided(table)
        return Parts(happened.ifelse(yes, None))


class Specificity(_DecisionKind):
    """Share of the requests that did not happen that had been decided no; 1 minus the false positive rate."""

    kind: Literal["specificity"]
    is_share: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return "of the requests that did not happen, the share decided no"

    @override
    def parts(self, table: ir.Table) -> Parts:
        yes, happened = self.decided(table)
        return Parts(happened.ifelse(None, ~yes))


class F1(_DecisionKind):
    """The harmonic mean of precision and recall: 2 · true positives over decided yes plus happened."""

    kind: Literal["f1"]

    @property
    @override
    def estimand(self) -> str:
        return "2 · true positives over (decided yes + happened)"

    @override
    def parts(self, table: ir.Table) -> Parts:
        yes, happened = (flag.cast("int32").cast("float64") for flag in self.decided(table))
        return Parts(2.0 * yes * happened, yes + happened)


class Confusion(_DecisionKind):
    """Share of the decisions in one cell of the confusion matrix; the sums of the cell are its counts."""

    kind: Literal["confusion"]
    is_share: ClassVar[bool] = True
    cell: Literal["true_positive", "false_positive", "false_negative", "true_negative"] = Field(
        description="which of the four"
    )

    @property
    @override
    def estimand(self) -> str:
        return f"share of the decisions that were {self.cell.replace('_', ' ')}s"

    @override
    def parts(self, table: ir.Table) -> Parts:
        yes, happened = self.decided(table)
        decided, outcome = _CELLS[self.cell]
        return Parts((yes == decided) & (happened == outcome))


class NearThresholdShare(RatioKind):
    """Share of the scored requests whose score lies within a distance of the decision threshold."""

    kind: Literal["near_threshold_share"]
    is_share: ClassVar[bool] = True
    within: float = Field(gt=0, lt=1, description="how near is near, in units of the score")
    threshold: Scalar | None = Field(
        default=None, description="number, column or SQL scalar; by default column threshold, else the model's own"
    )

    @property
    @override
    def estimand(self) -> str:
        return f"share of the scores within {self.within:g} of {self.threshold or 'the decision threshold'}"

    @override
    def columns(self) -> Sequence[str]:
        return ["score", self.threshold or "threshold"]

    @override
    def resolved(self, model: ModelDefinition, columns: Collection[str]) -> Self:
        if self.threshold or "threshold" in columns:
            return self
        return self.model_copy(update={"threshold": repr(model.decision_threshold)})

    @override
    def parts(self, table: ir.Table) -> Parts:
        threshold = number(table, self.threshold or "threshold")
        return Parts((number(table, "score") - threshold).abs() <= self.within)
