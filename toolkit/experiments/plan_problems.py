"""What is wrong with an experiment plan: held against metrics, segmentations, the model and the columns of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import unknown_name_message
from toolkit.data import LABEL, Source, load_model
from toolkit.metrics import MetricDefinition, load_metrics, load_segments
from toolkit.metrics.needs import columns_needed
from toolkit.workspace import Problem, Workspace

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.metrics.segments import SegmentDefinition

AFTER_ASSIGNMENT = {
    LABEL: "becomes known after the request",
    "version": "is what the experiment decides",
    "served": "is what the experiment decides",
    "score": "is what the variant's own version answers",
    "prediction": "is what the variant's own version answers",
    "decision": "is what the variant's own version answers",
    "threshold": "is what the variant's own version answers with",
    "latency_ms": "is how the variant's own version answers",
    "error": "is how the variant's own version answers",
    "cost": "is how the variant's own version answers",
    "received_at": "becomes known after the request",
}
"""The columns of predictions that no variant's units are alike in, and why."""


class Definitions(NamedTuple):
    """What a plan speaks of: metrics and segmentations by key, the model's versions (None: no such model)."""

    metrics: Mapping[str, MetricDefinition]
    segments: Mapping[str, SegmentDefinition]
    models: tuple[str, ...]
    versions: tuple[str, ...] | None


def read_definitions(workspace: Workspace, plan: ExperimentPlan) -> Definitions:
    """The definitions of the workspace that a plan speaks of. Raises `DefinitionError`."""
    models = tuple(workspace.keys("models"))
    versions = tuple(load_model(workspace, plan.model).versions) if plan.model in models else None
    return Definitions(load_metrics(workspace), load_segments(workspace), models, versions)


def after_assignment_reason(scalar: str) -> str:
    """Why a column or SQL scalar is not known when a unit is assigned, or "".

    >>> after_assignment_reason("score > 0.5")
    "column 'score' is what the variant's own version answers"
    >>> after_assignment_reason("distance")
    ''
    """
    for column in columns_needed([scalar]):
        if column in AFTER_ASSIGNMENT:
            return f"column {column!r} {AFTER_ASSIGNMENT[column]}"
    return ""


def definition_problems(plan: ExperimentPlan, definitions: Definitions) -> list[Problem]:
    """Every problem that shows without the data, in the order of the metrics' roles."""
    return [
        *_metric_problems(plan, definitions.metrics),
        *_own_past_problems(plan, definitions.metrics),
        *_cap_problems(plan, definitions.metrics),
        *_segment_problems(plan, definitions.segments),
        *_bin_problems(plan, definitions.segments),
        *_model_problems(plan, definitions),
    ]


def column_problems(plan: ExperimentPlan, source: Source) -> list[Problem]:
    """Every column that the plan reads of a request and that predictions do not have."""
    columns = list(source.columns("predictions"))
    named = load_segments(source.workspace)
    problems = []
    for at, segment in _segments(plan):
        if segment not in columns and segment not in named:
            unknown = unknown_name_message(segment, [*columns, *named], noun="segment")
            problems.append(Problem(at, f"{_dotted(at)}: {unknown}"))
    for at, scalar in _scalars(plan):
        for column in columns_needed([scalar]):
            if column not in columns:
                unknown = unknown_name_message(column, columns, noun="column of predictions")
                problems.append(Problem(at, f"{_dotted(at)}: {unknown}"))
    return problems


def _metric_problems(plan: ExperimentPlan, definitions: Mapping[str, MetricDefinition]) -> Iterator[Problem]:
    for at, role, key in _named_metrics(plan):
        if key not in definitions:
            yield Problem(at, f"{role}: " + unknown_name_message(key, definitions, noun="metric"))
            continue
        metric = definitions[key]
        if not metric.adds_up and metric.kind != "quantile":
            text = (
                f"{role}: {key} is of kind {metric.kind}, which is no mean of requests; an experiment cannot compare it"
            )
            yield Problem(at, text)
        if role in {"primary", "guardrail"} and metric.direction not in {"increase", "decrease"}:
            yield Problem(
                at,
                f"{role}: {key} has direction {metric.direction!r}, so no side of it is worse; "
                f"a {role} metric needs direction increase or decrease",
            )


def _named_metrics(plan: ExperimentPlan) -> Iterator[tuple[list[str | int], str, str]]:
    """Where the plan's file names a metric, what for, and which."""
    yield ["primary"], "primary", plan.primary
    for index, key in enumerate(plan.secondary):
        yield ["secondary", index], "secondary", key
    for role, place, keys in (
        ("guardrail", "guardrails", [each.metric for each in plan.guardrails]),
        ("data_quality", "data_quality", [each.metric for each in plan.data_quality]),
        ("budget", "budgets", [each.metric for each in plan.budgets]),
    ):
        for index, key in enumerate(keys):
            yield [place, index, "metric"], role, key


def _own_past_problems(plan: ExperimentPlan, definitions: Mapping[str, MetricDefinition]) -> Iterator[Problem]:
    for index, covariate in enumerate(plan.covariates):
        key = covariate.metric
        if key is None:
            continue
        at: list[str | int] = ["covariates", index, "metric"]
        if key not in definitions:
            yield Problem(at, f"covariate: {unknown_name_message(key, definitions, noun='metric')}")
        elif not definitions[key].adds_up:
            kind = definitions[key].kind
            yield Problem(
                at, f"covariate: {key} is of kind {kind}, which is no mean of requests; a unit has no value of it"
            )


def _cap_problems(plan: ExperimentPlan, definitions: Mapping[str, MetricDefinition]) -> Iterator[Problem]:
    for key in plan.caps:
        at = ["caps", key]
        if key not in plan.metrics:
            yield Problem(at, f"caps: {unknown_name_message(key, plan.metrics, noun='metric of this plan')}")
        elif key in definitions and (definitions[key].is_share or not definitions[key].adds_up):
            kind = definitions[key].kind
            yield Problem(at, f"caps: {key} is of kind {kind}, which no single unit can pull far; leave its cap out")


def _segment_problems(plan: ExperimentPlan, named: Mapping[str, SegmentDefinition]) -> Iterator[Problem]:
    """Segmentations of metrics.yml that the variants' own answers decide; what is no such name may be a column."""
    if plan.kind == "shadow":  # every version answers every request: they are compared on the same ones
        return
    for at, segment in _segments(plan):
        scalars = named[segment].scalars if segment in named else [segment]
        for reason in filter(None, map(after_assignment_reason, scalars)):
            yield Problem(at, f"{_dotted(at)}: {segment}: {reason}; the variants' segments would not be comparable")


def _bin_problems(plan: ExperimentPlan, named: Mapping[str, SegmentDefinition]) -> Iterator[Problem]:
    """Groups of a binned segmentation that are none of its bins."""
    for index, group in enumerate(plan.vulnerable):
        bins = named[group.segment].bins if group.segment in named else ()
        if bins and group.value not in bins:
            unknown = unknown_name_message(group.value, bins, noun=f"bin of segment {group.segment!r}")
            yield Problem(["vulnerable", index, "value"], f"vulnerable.{index}.value: {unknown}")


def _segments(plan: ExperimentPlan) -> Iterator[tuple[list[str | int], str]]:
    for index, segment in enumerate(plan.segments):
        yield ["segments", index], segment
    for index, group in enumerate(plan.vulnerable):
        yield ["vulnerable", index, "segment"], group.segment


def _scalars(plan: ExperimentPlan) -> Iterator[tuple[list[str | int], str]]:
    """Where the plan's file names a column or SQL scalar of a request, and which."""
    if plan.eligible is not None:
        yield ["eligible"], plan.eligible
    for index, covariate in enumerate(plan.covariates):
        if covariate.column is not None:
            yield ["covariates", index, "column"], covariate.column


def _model_problems(plan: ExperimentPlan, definitions: Definitions) -> Iterator[Problem]:
    if definitions.versions is None:
        yield Problem(["model"], f"model: {unknown_name_message(plan.model, definitions.models, noun='model')}")
        return
    for name, variant in plan.variants.items():
        if variant.version not in definitions.versions:
            unknown = unknown_name_message(variant.version, definitions.versions, noun=f"version of model {plan.model}")
            yield Problem(["variants", name, "version"], f"variants.{name}.version: {unknown}")


def _dotted(at: Iterable[str | int]) -> str:
    return ".".join(map(str, at))
