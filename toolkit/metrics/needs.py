"""What a metric needs from each request, as Ibis expressions.

Every metric but AUC is a mean of one value per request, so the engine only adds values and counts: sums merge across
days and segments. AUC needs ranks and has its own sums, in `query`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from toolkit.errors import DefinitionError

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.metrics.definitions import MetricDefinition

SCORED_KINDS = ("auc", "log_loss", "brier", "calibration")
"""The kinds that compare score and label."""


def columns_needed(metrics: Iterable[MetricDefinition]) -> list[str]:
    """The columns that the metrics read, each once, sorted."""
    needed = set()
    for metric in metrics:
        if metric.kind in SCORED_KINDS:
            needed |= {"score", "label"}
        if metric.column:
            needed.add(metric.column)
    return sorted(needed)


def row_value(metric: MetricDefinition, table: ir.Table) -> Any:
    """The metric's value for each request of `table`; missing where the request does not count.

    Raises `DefinitionError` for AUC, which is no mean of requests. The log loss of a request that was certain and
    wrong is infinite; the engine cannot sum it, so it is missing here and counted by `certain_and_wrong`.
    """
    if metric.kind in {"proportion", "mean"}:
        return table[metric.column].cast("float64")
    if metric.kind == "auc":
        raise DefinitionError(
            f"metric {metric.name!r} is of kind auc, which is no mean of requests; use brier or log_loss here"
        )
    score, label = table["score"], table["label"]
    if metric.kind == "brier":
        return (label - score) * (label - score)
    if metric.kind == "calibration":
        return label - score
    given_to_label = label * score + (1.0 - label) * (1.0 - score)
    return -(given_to_label.nullif(0.0).ln())


def certain_and_wrong(table: ir.Table) -> Any:
    """1 for each request whose score gave the label no chance at all, else 0."""
    return ((table["label"] - table["score"]).abs() == 1.0).cast("int64")
