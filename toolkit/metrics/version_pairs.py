"""Requests that two versions of a model scored: what both made of them, as sums by day.

Each request is its own control, so the difference of two versions does not depend on which requests there were.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import LABEL, ModelDefinition, Source, labelled_predictions
from toolkit.data.instants import date_of, days_as_text
from toolkit.metrics.decisions import decision_scalar
from toolkit.metrics.kinds import column_name
from toolkit.metrics.needs import columns_needed, with_scalars
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

_NUMBERS = {"score_gap_sum", "score_distance_sum", "served_loss_sum", "other_loss_sum"}


class PairDay(NamedTuple):
    """The requests of one day that the served version answered and another one scored, too.

    Attributes
    ----------
    pairs: requests. score_gap_sum, score_distance_sum: Σ (other - served) and Σ of its size.
    decided, agreed: pairs with two decisions, and those of them on which both are the same.
    labelled: pairs with a label. served_loss_sum, other_loss_sum: over them Σ (score - label)².
    judged: labelled pairs with two decisions. served_right, other_right: of them, the right ones.
    """

    version: str
    day: str
    pairs: int
    score_gap_sum: float
    score_distance_sum: float
    decided: int
    agreed: int
    labelled: int
    served_loss_sum: float
    other_loss_sum: float
    judged: int
    served_right: int
    other_right: int


def version_pairs(
    source: Source, model: ModelDefinition, *, version: str, window: Window, as_of: datetime
) -> tuple[PairDay, ...]:
    """By other version and day, the requests that `version` served in `window` and that the other scored; one query.

    Only requests that both answered count. Raises `ContractError`.
    """
    decision = decision_scalar(model, source.columns("predictions"))
    wanted = ["score", "error", "served", *columns_needed([decision]), LABEL]
    rows = labelled_predictions(source, wanted, model=model.key, window=window, as_of=as_of)
    rows = with_scalars(rows.filter(~rows.error, rows.score.notnull()), [decision])
    rows = rows.select(
        "request_id",
        "version",
        "served",
        day=date_of(rows.occurred_at),
        score=rows.score.cast("float64"),
        label=rows[LABEL].cast("float64"),
        yes=rows[column_name(decision)],
    )
    served = rows.filter(rows.served, rows.version == version)
    other = rows.filter(rows.version != version)
    both = served.join(other, "request_id", rname="{name}_other")
    sums = both.group_by(version=both.version_other, day=both.day).aggregate(**_sums(both))
    found = source.execute(days_as_text(sums).order_by("version", "day"), reading="predictions and outcomes")
    return tuple(PairDay._make(_plain(name, row[name]) for name in PairDay._fields) for row in found.to_dict("records"))


def _plain(name: str, value: Any) -> str | int | float:
    if name in {"version", "day"}:
        return str(value)
    return float(value) if name in _NUMBERS else int(value)


def _sums(both: ir.Table) -> dict[str, Any]:
    gap = both.score_other - both.score
    labelled = both.label.notnull()
    decided = both.yes.notnull() & both.yes_other.notnull()
    judged = decided & both.label.isin([0.0, 1.0])
    happened = both.label == 1.0

    def counted(condition: Any) -> Any:
        return condition.ifelse(1, 0).fill_null(0).sum()

    def added(value: Any) -> Any:
        return labelled.ifelse(value, 0.0).sum()

    return {
        "pairs": both.count(),
        "score_gap_sum": gap.sum(),
        "score_distance_sum": gap.abs().sum(),
        "decided": counted(decided),
        "agreed": counted(decided & (both.yes == both.yes_other)),
        "labelled": counted(labelled),
        "served_loss_sum": added((both.score - both.label) * (both.score - both.label)),
        "other_loss_sum": added((both.score_other - both.label) * (both.score_other - both.label)),
        "judged": counted(judged),
        "served_right": counted(judged & (both.yes == happened)),
        "other_right": counted(judged & (both.yes_other == happened)),
    }
