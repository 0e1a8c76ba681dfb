"""The expressions behind a shadow deployment: requests that two versions scored, and their sums by unit or cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from toolkit.data import LABEL, Source, load_model
from toolkit.errors import DefinitionError
from toolkit.metrics import MetricDefinition, Population, RatioKind
from toolkit.metrics.decisions import decision_scalar
from toolkit.metrics.kinds import column_name, segment_value, truth
from toolkit.metrics.needs import addends, columns_needed
from toolkit.metrics.query import Question

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan

COVERAGE_MEASURES = (
    "served",
    "paired",
    "answered_by_control",
    "answered_by_treatment",
    "answered_by_both",
    "labelled",
)
"""Counts of requests that the control's version served; all but the first are of those that have a pair."""

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
    """One row per request that the control's version served, with what both versions add to each measure.

    Columns: `group`, segments, and the measures: `COVERAGE_MEASURES`, `DECISION_MEASURES` (missing where there is no
    decision, or nothing to judge it by) and those of each metric (missing where it does not count for both).

    Raises `DefinitionError` for a metric that is no ratio of sums over requests.
    """
    rows = _rows(plan, metrics, source, as_of=as_of)
    control, shadow = (plan.variants[name].version for name in (plan.control, treatment))
    served = rows.filter(rows.served, rows.version == control)
    beside = rows.filter(~rows.served, rows.version == shadow)
    a = served.rename(**{f"a__{name}": name for name in served.columns if name != "request_id"})
    b = beside.rename(**{f"b__{name}": name for name in beside.columns if name != "request_id"})
    both = a.left_join(b, "request_id")
    found: dict[str, Any] = {
        "group": both[f"a__{plan.cluster or 'unit_id'}"].cast("string").fill_null(both.a__unit_id.cast("string")),
        **{split: both[f"a__{split}"] for split in plan.splits},
        **_coverage(both),
        **_decisions(both),
    }
    for key in metrics:
        found |= _paired_measures(key, both)
    return both.select(**found)


def unit_table(pairs: ir.Table, metrics: Mapping[str, MetricDefinition], splits: Sequence[str]) -> ir.Table:
    """One row per unit or cluster, for everything (`split` "") and within each value of each segment.

    A measure that counts for none of its requests is missing: such a unit is none of the metric's.
    """
    import ibis

    of_metrics = ((*measures_of(metric), rows_measure(metric), spoilt_measure(metric)) for metric in metrics)
    names = [*COVERAGE_MEASURES, *DECISION_MEASURES, *(name for measures in of_metrics for name in measures)]
    parts = []
    for split in ("", *splits):
        value = segment_value(pairs[split]) if split else ibis.literal("")
        keyed = pairs.mutate(split=ibis.literal(split), value=value)
        parts.append(keyed.group_by("group", "split", "value").aggregate(**{name: keyed[name].sum() for name in names}))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _rows(
    plan: ExperimentPlan, metrics: Mapping[str, MetricDefinition], source: Source, *, as_of: datetime
) -> ir.Table:
    """One row per eligible request and version in the window: keys, segments, addends, and the decision."""
    model = load_model(source.workspace, plan.model)
    everything = Population("all", None, plan.window.window, served_only=False)
    question = Question.of(source, model, metrics, [everything], as_of=as_of, segments=plan.splits)
    summed = {key: metric for key, metric in question.metrics.items() if isinstance(metric, RatioKind)}
    if others := [key for key in metrics if key not in summed or not summed[key].adds_up]:
        raise DefinitionError(
            f"metric {others[0]!r} is of kind {metrics[others[0]].kind}, which is no mean of requests; a shadow "
            "deployment cannot compare it pair by pair"
        )
    decision = decision_scalar(model, source.columns("predictions"))
    own = [decision, *([plan.eligible] if plan.eligible else [])]
    keys = ["request_id", "unit_id", "version", "served", "error", LABEL, *([plan.cluster] if plan.cluster else [])]
    rows = replace(
        question,
        scalars=tuple(dict.fromkeys([*question.scalars, *own])),
        columns=tuple(dict.fromkeys([*question.columns, *columns_needed(own), *keys])),
    ).requests()
    if plan.eligible:
        rows = rows.filter(truth(rows, plan.eligible).fill_null(False))
    added = {name: part for key, metric in summed.items() for name, part in addends(key, metric, rows).items()}
    return rows.select(*dict.fromkeys([*keys, *plan.splits]), decided_yes=rows[column_name(decision)], **added)


def _count(condition: Any) -> Any:
    return condition.fill_null(False).cast("int32").cast("float64")


def _coverage(both: Any) -> dict[str, Any]:
    import ibis

    paired = both.b__version.notnull()
    answered = {"control": paired & ~both.a__error, "treatment": paired & ~both.b__error}
    conditions = {
        "served": ibis.literal(True),
        "paired": paired,
        **{f"answered_by_{side}": condition for side, condition in answered.items()},
        "answered_by_both": answered["control"] & answered["treatment"],
        "labelled": paired & both[f"a__{LABEL}"].notnull(),
    }
    return {name: _count(condition) for name, condition in conditions.items()}


def _paired_measures(key: str, both: Any) -> dict[str, Any]:
    """Numerators and denominators of both sides, where the request counts on both."""
    import ibis

    counts = both[f"a__{key}__numerator"].notnull() & both[f"b__{key}__numerator"].notnull()
    spoilt = [both[name] for side in _SIDES if (name := f"{side}__{key}__spoilt") in both.columns]
    either = reduce(or_, (part.fill_null(False) for part in spoilt)) if spoilt else ibis.literal(False)
    found = {rows_measure(key): counts.ifelse(1.0, None), spoilt_measure(key): _count(either)}
    for side in _SIDES:
        denominator = f"{side}__{key}__denominator"
        weight = both[denominator] if denominator in both.columns else ibis.literal(1.0)
        found[f"{side}__{key}__sum"] = counts.ifelse(both[f"{side}__{key}__numerator"], None)
        found[f"{side}__{key}__n"] = counts.ifelse(weight, None)
    return found


def _decisions(both: Any) -> dict[str, Any]:
    a, b, late = both.a__decided_yes, both.b__decided_yes, both[f"a__{LABEL}"] == 1.0
    decided = a.notnull() & b.notnull()
    judged = decided & both[f"a__{LABEL}"].isin([0.0, 1.0])
    of_decided = {
        "decided": decided,
        "agreed": a == b,
        "both_yes": a & b,
        "only_control_yes": a & ~b,
        "only_treatment_yes": ~a & b,
    }
    of_judged = {
        "judged": judged,
        "both_right": (a == late) & (b == late),
        "only_control_right": (a == late) & (b != late),
        "only_treatment_right": (a != late) & (b == late),
    }
    counts = {name: decided.ifelse(_count(part), None) for name, part in of_decided.items()}
    counts |= {name: judged.ifelse(_count(part), None) for name, part in of_judged.items()}
    return counts | {"gained": counts["only_treatment_right"] - counts["only_control_right"]}
