"""`experiments/<key>.yml`: what was promised before the data were seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from toolkit.checks import unknown_name_message
from toolkit.data import Period, load_model
from toolkit.digests import ASSIGNMENT_HASHES, digest_file
from toolkit.metrics import MetricDefinition, load_metrics
from toolkit.records import ResultRow, Shown, Value
from toolkit.workspace import Definition, Problem, Workspace

RULES = {
    "superior_and_not_inferior": "ship if the primary metric is better and no guardrail can be worse by its margin",
}
"""The decision rules and what they say."""

KINDS = {"ab": "A/B test", "holdout": "Holdout"}
"""The kinds of experiments and what they are called."""


class Assignment(Definition):
    """The hash that assigned units to variants; see `toolkit.digests.assign_variant`."""

    hash: str = Field(description="the hash, such as flagd-fractional")
    version: int = Field(description="its version")
    key: str = Field(min_length=1, description="the key that is hashed with the unit's id; mostly the flag's")

    @field_validator("hash")
    @classmethod
    def _is_known(cls, value: str) -> str:
        return _one_of(value, ASSIGNMENT_HASHES, noun="assignment hash")

    @field_validator("version")
    @classmethod
    def _has_version(cls, value: int, info: ValidationInfo) -> int:
        versions = ASSIGNMENT_HASHES.get(info.data.get("hash", ""), (value,))
        if value not in versions:
            raise ValueError(f"{info.data['hash']} has versions {', '.join(map(str, versions))}")
        return value


class VariantDefinition(Definition):
    """A variant: the model version that serves it, and its whole-number weight in the assignment."""

    version: str = Field(description="the model version that serves it")
    weight: int = Field(ge=0, description="its whole-number weight in the assignment")


class Guardrail(Definition):
    """A metric that may not get worse by `margin`, in the metric's unit."""

    metric: str = Field(description="key of the metric, in metrics.yml")
    margin: float = Field(gt=0, description="it may not get worse by this much, in the metric's unit")


class LabelMaturity(Definition):
    """How long after the window labels are waited for, and the share of answered requests that must have one."""

    days: int = Field(ge=0, description="so many days after the window labels are waited for")
    minimum_share: float = Field(gt=0, le=1, description="the share of answered requests that must have a label")


class ExperimentPlan(Definition, Shown):
    """`experiments/<key>.yml`. Exposures in `window` count; intervals have confidence 1 - alpha, two-sided.

    `kind` is `ab` (variants side by side before a launch) or `holdout` (after it: the control is the group that is held
    out from what was launched). Both are measured, checked and judged alike.
    `analysis` is `plain` (units are independent) or `clustered` (requests with the same `cluster` may depend on each
    other, in the same variant or not). The order of `variants` is part of the assignment.
    """

    key: str = Field(description="the file's name without .yml; what the column experiment of exposures holds")
    hypothesis: str = Field(description="what will be better, and why")
    owner: str = Field(description="who answers for it")
    kind: Literal["ab", "holdout"] = Field(description="ab: before a launch; holdout: after it")
    model: str = Field(description="key of the model, in models/")
    window: Period = Field(description="exposures in it count")
    unit: Literal["unit_id"] = Field(description="what is assigned to a variant")
    analysis: Literal["plain", "clustered"] = Field(
        description="clustered: requests of one cluster depend on each other"
    )
    cluster: Literal["cluster_id"] | None = Field(default=None, description="the cluster of a clustered analysis")
    assignment: Assignment = Field(description="the hash that assigns units to variants")
    variants: dict[str, VariantDefinition] = Field(
        min_length=2, description="variants by name; their order is part of the assignment"
    )
    control: str = Field(description="the variant that the others are compared with")
    primary: str = Field(description="key of the metric that the hypothesis is about")
    secondary: tuple[str, ...] = Field(default=(), description="keys of metrics that are shown and decide nothing")
    guardrails: tuple[Guardrail, ...] = Field(default=(), description="metrics that may not get worse by their margin")
    alpha: float = Field(gt=0, lt=0.5, description="two-sided; intervals have confidence 1 - alpha")
    sample_ratio_alpha: float = Field(gt=0, lt=0.5, description="below this p the sample ratio is refused")
    label_maturity: LabelMaturity = Field(description="how long labels are waited for, and how many there must be")
    rule: Literal["superior_and_not_inferior"] = Field(description="how the verdict follows from the readout")

    _digest: str = PrivateAttr(default="")

    @field_validator("variants")
    @classmethod
    def _two_have_weight(cls, value: dict[str, VariantDefinition]) -> dict[str, VariantDefinition]:
        if sum(variant.weight > 0 for variant in value.values()) < 2:
            raise ValueError("at least two variants need a weight above 0")
        return value

    @field_validator("control")
    @classmethod
    def _is_a_variant(cls, value: str, info: ValidationInfo) -> str:
        variants = info.data.get("variants")
        if variants is not None and variants[_one_of(value, variants, noun="variant")].weight == 0:
            raise ValueError("the control needs a weight above 0")
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.analysis == "clustered" and self.cluster is None:
            raise ValueError("a clustered analysis needs cluster: cluster_id")
        if self.analysis == "plain" and self.cluster is not None:
            raise ValueError("a plain analysis takes no cluster; write analysis: clustered or leave cluster out")
        named = list(self.metrics)
        twice = sorted({key for key in named if named.count(key) > 1})
        if twice:
            raise ValueError(f"metric {twice[0]!r} is named twice among primary, secondary and guardrails")
        return self

    @property
    def digest(self) -> str:
        """The digest of the plan's file; "" for a plan that was made in memory."""
        return self._digest

    @property
    def confidence(self) -> float:
        """The confidence of every interval: 1 - alpha."""
        return 1 - self.alpha

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of every metric: the primary, the secondary ones, the guardrails."""
        return (self.primary, *self.secondary, *(guardrail.metric for guardrail in self.guardrails))

    @property
    def treatments(self) -> tuple[str, ...]:
        """The variants that are compared with the control: those with weight, so with units to expect."""
        return tuple(name for name, variant in self.variants.items() if name != self.control and variant.weight)

    @property
    def weights(self) -> dict[str, int]:
        """Variant to weight, in the order of the assignment."""
        return {name: variant.weight for name, variant in self.variants.items()}

    @property
    def ready_on(self) -> datetime:
        """The first instant from which the experiment can be read: the window's end and the labels' maturity."""
        return self.window.window.end + timedelta(days=self.label_maturity.days)

    def role(self, metric: str) -> Literal["primary", "secondary", "guardrail"]:
        """What a metric of the plan is there for."""
        if metric == self.primary:
            return "primary"
        return "secondary" if metric in self.secondary else "guardrail"

    def margin(self, metric: str) -> float | None:
        """The margin of a guardrail; None for any other metric."""
        return next((guardrail.margin for guardrail in self.guardrails if guardrail.metric == metric), None)

    @property
    def text(self) -> str:
        """The plan in one paragraph."""
        rule = self.assignment
        shares = " : ".join(f"{name} {weight}" for name, weight in self.weights.items())
        held = "; ".join(f"{guardrail.metric} by {guardrail.margin:g}" for guardrail in self.guardrails)
        parts = [
            f"{self.hypothesis.rstrip('.')}.",
            f"{KINDS[self.kind]} of model {self.model}, {self.window.window.label}.",
            f"Variants by {rule.hash} {rule.version} of {self.unit} with key {rule.key!r}: {shares}.",
            *([f"Held out: {self.control}."] if self.kind == "holdout" else []),
            f"Primary metric: {self.primary}.",
            f"Guardrails may not get worse: {held}." if held else "There are no guardrails.",
            f"Rule {self.rule}: {RULES[self.rule]}; {100 * self.confidence:g} % intervals, {self.analysis} analysis.",
        ]
        return " ".join(parts)

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per promise."""
        window = self.window.window.label

        def row(statistic: str, value: Value, *, key: str = "") -> ResultRow:
            return ResultRow(key or self.key, statistic, value, window=window)

        return [
            row("hypothesis", self.hypothesis),
            row("owner", self.owner),
            row("kind", self.kind),
            row("model", self.model),
            row("analysis", self.analysis),
            row("assignment", f"{self.assignment.hash}/{self.assignment.version}/{self.assignment.key}"),
            row("control", self.control),
            *(row("weight", variant.weight, key=name) for name, variant in self.variants.items()),
            *(row("version", variant.version, key=name) for name, variant in self.variants.items()),
            *(row("role", self.role(metric), key=metric) for metric in self.metrics),
            *(row("margin", guardrail.margin, key=guardrail.metric) for guardrail in self.guardrails),
            row("alpha", self.alpha),
            row("sample_ratio_alpha", self.sample_ratio_alpha),
            row("label_maturity_days", self.label_maturity.days),
            row("minimum_label_share", self.label_maturity.minimum_share),
            row("rule", self.rule),
            *([row("digest", self.digest)] if self.digest else []),
        ]

    def to_table(self) -> list[dict[str, str]]:
        """One line per variant, metric and number of the plan."""
        control = "held out" if self.kind == "holdout" else "control"
        lines = [
            {
                "what": f"variant {name}" + (f" ({control})" if name == self.control else ""),
                "planned": f"version {variant.version}, weight {variant.weight}",
            }
            for name, variant in self.variants.items()
        ]
        for metric in self.metrics:
            margin = self.margin(metric)
            planned = self.role(metric) + (f", margin {margin:g}" if margin is not None else "")
            lines.append({"what": f"metric {metric}", "planned": planned})
        labels = f"{self.label_maturity.minimum_share:.1%} known {self.label_maturity.days} days after the window"
        lines.append({"what": "labels", "planned": labels})
        lines.append({"what": "sample ratio", "planned": f"refused below p = {self.sample_ratio_alpha:g}"})
        return lines


def load(workspace: Workspace, key: str) -> ExperimentPlan:
    """Read `experiments/<key>.yml` and hold it against `metrics.yml` and the model's definition.

    Raises `UnknownNameError` (nearest key) and `DefinitionError` (file, given, allowed, nearest match).
    """
    plan = workspace.load_keyed("experiments", key, ExperimentPlan, noun="experiment")
    path = f"experiments/{key}.yml"
    definitions = load_metrics(workspace)
    problems = [problem for metric in plan.metrics for problem in _metric_problems(plan, metric, definitions)]
    if plan.model in workspace.keys("models"):
        versions = load_model(workspace, plan.model).versions
        problems += [
            Problem(
                ["variants", name, "version"],
                f"variants.{name}.version: "
                + unknown_name_message(variant.version, versions, noun=f"version of model {plan.model}"),
            )
            for name, variant in plan.variants.items()
            if variant.version not in versions
        ]
    else:
        unknown = unknown_name_message(plan.model, workspace.keys("models"), noun="model")
        problems.append(Problem(["model"], f"model: {unknown}"))
    if problems:
        raise workspace.error_in(path, problems)
    plan._digest = digest_file(workspace.root / path)  # noqa: SLF001 - only a plan that came from a file has one
    return plan


def _metric_problems(plan: ExperimentPlan, key: str, definitions: dict[str, MetricDefinition]) -> list[Problem]:
    role, at = plan.role(key), _place(plan, key)
    if key not in definitions:
        return [Problem(at, f"{role}: " + unknown_name_message(key, definitions, noun="metric"))]
    metric = definitions[key]
    problems = []
    if not metric.adds_up:
        text = f"{role}: {key} is of kind {metric.kind}, which is no mean of requests; an experiment cannot compare it"
        problems.append(Problem(at, text))
    if role != "secondary" and metric.direction not in {"increase", "decrease"}:
        text = (
            f"{role}: {key} has direction {metric.direction!r}, so no side of it is worse; "
            f"a {role} metric needs direction increase or decrease"
        )
        problems.append(Problem(at, text))
    return problems


def _place(plan: ExperimentPlan, metric: str) -> list[str | int]:
    """Where the plan's file names a metric."""
    if metric == plan.primary:
        return ["primary"]
    if metric in plan.secondary:
        return ["secondary", plan.secondary.index(metric)]
    return ["guardrails", [guardrail.metric for guardrail in plan.guardrails].index(metric), "metric"]


def _one_of(value: str, allowed: Iterable[str], *, noun: str) -> str:
    """Return `value` if it is allowed, else raise what pydantic wants: a plain ValueError."""
    names = list(allowed)
    if value not in names:
        raise ValueError(unknown_name_message(value, names, noun=noun))
    return value
