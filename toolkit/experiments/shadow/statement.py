"""The expressions behind a shadow deployment: requests that two versions scored, and their sums by unit or cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from toolkit.data import LABEL, Source, labelled_predictions, load_model
from toolkit.errors import DefinitionError
from toolkit.metrics import MetricDefinition, RatioKind
from toolkit.metrics.kinds import column_name, truth
from toolkit.metrics.needs import addends, columns_needed, scalars_needed, with_scalars

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan

DECISION_MEASURES = (
    "decided",
    "agreed",
    "both_yes",
    "only_control_yes",
    "only_treatment_yes",
    "judged",
    "both_right",
    "only_control_right",
    "only_treatment_right",
    "gained",
)
"""Counts of requests. decided: by both. judged: decided by both, with a label that is 0 or 1. gained: only the
treatment was right, less those where only the control was."""

_SIDES = ("a", "b")
"""Columns of the control's row begin with a, of the treatment's with b: variants may have any names."""


def measures_of(metric: str) -> tuple[str, str, str, str]:
    """The measures of a metric: the control's numerator and denominator, and the treatment's."""
    return f"a__{metric}__sum", f"a__{metric}__n", f"b__{metric}__sum", f"b__{metric}__n"


def rows_measure(metric: str) -> str:
    """The measure that counts the requests which count for a metric on both sides."""
    return f"{metric}__rows"


def spoilt_measure(metric: str) -> str:
    """The measure that counts the requests whose value is infinite on either side."""
    return f"{metric}__spoilt"


def pair_table(
    plan: ExperimentPlan, metrics: Mapping[str, MetricDefinition], source: Source, treatment: str, *, as_of: datetime
) -> ir.Table:
    """One row per request that the control's version served, with what both versions add to each metric.

    Columns: `group`, `paired`, `a_answered`, `b_answered`, `labelled`, segments, the measures of each metric (missing
    where it does not count for both), and `DECISION_MEASURES`.

    Raises `DefinitionError` for a metric that is no ratio of sums over requests.
    """
    resolved = _resolved(metrics, plan, source)
    rows = _rows(plan, resolved, source, as_of=as_of)
    control, shadow = (plan.variants[name].version for name in (plan.control, treatment))
    served = rows.filter(rows.served, rows.version == control)
    beside = rows.filter(~rows.served, rows.version == shadow)
    a = served.rename(**{f"a__{name}": name for name in served.columns if name != "request_id"})
    b = beside.rename(**{f"b__{name}": name for name in beside.columns if name != "request_id"})
    both = a.left_join(b, "request_id")
    paired = both.b__version.notnull()
    found: dict[str, Any] = {
        "group": both[f"a__{plan.cluster or 'unit_id'}"].cast("string").fill_null(both.a__unit_id.cast("string")),
        "paired": paired,
        "a_answered": paired & ~both.a__error,
        "b_answered": paired & ~both.b__error,
        "labelled": paired & both[f"a__{LABEL}"].notnull(),
    }
    found |= {split: both[f"a__{split}"] for split in plan.splits}
    for key in resolved:
        found |= _paired_measures(key, both)
    return both.select(**found, **_decisions(both))


def unit_table(pairs: ir.Table, metrics: Mapping[str, MetricDefinition], splits: Sequence[str]) -> ir.Table:
    """One row per unit or cluster, for everything (`split` "") and within each value of each segment."""
    import ibis

    of_metrics = ((*measures_of(metric), rows_measure(metric), spoilt_measure(metric)) for metric in metrics)
    names = [*DECISION_MEASURES, *(name for measures in of_metrics for name in measures)]
    here = pairs.filter(pairs.paired)
    parts = []
    for split in ("", *splits):
        value = here[split].cast("string").fill_null("missing") if split else ibis.literal("")
        keyed = here.mutate(split=ibis.literal(split), value=value)
        sums = {name: keyed[name].sum().fill_null(0.0) for name in names}
        parts.append(keyed.group_by("group", "split", "value").aggregate(**sums))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def coverage_counts(pairs: ir.Table) -> ir.Table:
    """One row with the counts of `Coverage`."""
    return pairs.aggregate(
        served=pairs.count(),
        paired=pairs.paired.sum().fill_null(0),
        answered_by_control=pairs.a_answered.sum().fill_null(0),
        answered_by_treatment=pairs.b_answered.sum().fill_null(0),
        answered_by_both=(pairs.a_answered & pairs.b_answered).sum().fill_null(0),
        labelled=pairs.labelled.sum().fill_null(0),
    )


def _resolved(metrics: Mapping[str, MetricDefinition], plan: ExperimentPlan, source: Source) -> dict[str, RatioKind]:
    model, columns = load_model(source.workspace, plan.model), source.columns("predictions")
    found = {}
    for key, metric in metrics.items():
        if not (isinstance(metric, RatioKind) and metric.adds_up):
            raise DefinitionError(
                f"metric {key!r} is of kind {metric.kind}, which is no mean of requests; a shadow deployment cannot "
                "compare it pair by pair"
            )
        found[key] = metric.resolved(model, columns)
    return found


def _rows(plan: ExperimentPlan, metrics: Mapping[str, RatioKind], source: Source, *, as_of: datetime) -> ir.Table:
    """One row per request and version in the window: keys, segments, addends of each metric, and the decision."""
    model = load_model(source.workspace, plan.model)
    available = source.columns("predictions")
    decision = "decision" if "decision" in available else f"score >= {model.decision_threshold!r}"
    scalars = list(
        dict.fromkeys([*scalars_needed(metrics.values()), decision, *([plan.eligible] if plan.eligible else [])])
    )
    own = ["request_id", "unit_id", "version", "served", "error", LABEL, *plan.splits]
    if plan.cluster:
        own.append(plan.cluster)
    columns = list(dict.fromkeys([*columns_needed(scalars), *own]))
    rows = labelled_predictions(source, columns, model=plan.model, window=plan.window.window, as_of=as_of)
    rows = with_scalars(rows, scalars)
    if plan.eligible:
        rows = rows.filter(truth(rows, plan.eligible).fill_null(False))
    added = {name: part for key, metric in metrics.items() for name, part in addends(key, metric, rows).items()}
    return rows.select(*dict.fromkeys(own), decided_yes=rows[column_name(decision)], **added)


def _paired_measures(key: str, both: Any) -> dict[str, Any]:
    """Numerators and denominators of both sides, where the request counts on both."""
    import ibis

    counts = both[f"a__{key}__numerator"].notnull() & both[f"b__{key}__numerator"].notnull()
    spoilt = [both[name] for side in _SIDES if (name := f"{side}__{key}__spoilt") in both.columns]
    either = reduce(or_, (part.fill_null(False) for part in spoilt)) if spoilt else ibis.literal(False)
    found = {
        rows_measure(key): counts.cast("int32").cast("float64"),
        spoilt_measure(key): either.cast("int32").cast("float64"),
    }
    for side in _SIDES:
        denominator = f"{side}__{key}__denominator"
        weight = both[denominator] if denominator in both.columns else ibis.literal(1.0)
        found[f"{side}__{key}__sum"] = counts.ifelse(both[f"{side}__{key}__numerator"], None)
        found[f"{side}__{key}__n"] = counts.ifelse(weight, None)
    return found


def _decisions(both: Any) -> dict[str, Any]:
    a, b, label = both.a__decided_yes, both.b__decided_yes, both[f"a__{LABEL}"]
    decided = a.notnull() & b.notnull()
    judged = decided & label.isin([0.0, 1.0])
    late = label == 1.0
    named = {
        "decided": decided,
        "agreed": decided & (a == b),
        "both_yes": decided & a & b,
        "only_control_yes": decided & a & ~b,
        "only_treatment_yes": decided & ~a & b,
        "judged": judged,
        "both_right": judged & (a == late) & (b == late),
        "only_control_right": judged & (a == late) & (b != late),
        "only_treatment_right": judged & (a != late) & (b == late),
    }
    counts = {name: part.fill_null(False).cast("int32").cast("float64") for name, part in named.items()}
    return counts | {"gained": counts["only_treatment_right"] - counts["only_control_right"]}
