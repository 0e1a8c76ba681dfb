"""`experiments/<key>.yml`: what was promised before the data were seen. Its pieces are in `promises`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from toolkit.data import Period, Source
from toolkit.digests import digest_bytes, digest_file
from toolkit.errors import DefinitionError
from toolkit.experiments.edits import plan_document
from toolkit.experiments.plan_problems import (
    after_assignment_reason,
    column_problems,
    definition_problems,
    read_definitions,
)
from toolkit.experiments.plan_words import KINDS, RULES, plan_rows, plan_table, plan_text
from toolkit.experiments.promises import (
    Assignment,
    Budget,
    Condition,
    Covariate,
    Guardrail,
    LabelMaturity,
    LookDesign,
    QualityMetric,
    Role,
    VariantDefinition,
    VulnerableGroup,
    one_of,
)
from toolkit.metrics.kinds import Scalar
from toolkit.records import ResultRow, Shown
from toolkit.windows import format_instant
from toolkit.workspace import Definition, Problem, Workspace

__all__ = ["KINDS", "RULES", "ExperimentPlan", "Role", "check_columns", "load"]


def _assignment_may_lack(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema what the validation says: all but a shadow deployment need an assignment."""
    schema["required"].remove("assignment")
    schema["if"] = {"properties": {"kind": {"const": "shadow"}}}
    schema["else"] = {"required": ["assignment"]}


class ExperimentPlan(Definition, Shown):
    """`experiments/<key>.yml`. Exposures in `window` count; intervals have confidence 1 - alpha, two-sided.

    `kind` is `ab` (variants side by side before a launch), `holdout` (after it: the control is the group that is held
    out from what was launched) or `shadow` (every version scores every request, one of them serves it: no exposures).
    `analysis` is `plain` (units are independent) or `clustered` (requests with the same `cluster` may depend on each
    other, in the same variant or not). The order of `variants` is part of the assignment.
    With several treatments alpha is split evenly over them; see `alpha_of_a_comparison`.
    """

    model_config = ConfigDict(json_schema_extra=_assignment_may_lack)

    key: str = Field(description="the file's name without .yml; what the column experiment of exposures holds")
    hypothesis: str = Field(description="what will be better, and why")
    owner: str = Field(description="who answers for it")
    origin: str = Field(default="", description="the backlog item that it came from: an idea's key or a signal group")
    kind: Literal["ab", "holdout", "shadow"] = Field(
        description="ab: before a launch; holdout: after it; shadow: every version scores every request"
    )
    model: str = Field(description="key of the model, in models/")
    privacy_class: Literal["public", "internal", "confidential", "personal"] = Field(
        default="internal", description="who may see what it measures: the class of the most delicate column it reads"
    )
    window: Period = Field(description="exposures in it count")
    unit: Literal["unit_id"] = Field(description="what is assigned to a variant")
    analysis: Literal["plain", "clustered"] = Field(
        description="clustered: requests of one cluster depend on each other"
    )
    cluster: Literal["cluster_id"] | None = Field(default=None, description="the cluster of a clustered analysis")
    eligible: Scalar | None = Field(
        default=None,
        description="SQL scalar (DuckDB) or boolean column, known at assignment; only requests where it is true count",
    )
    assignment: Assignment = Field(description="the hash that assigns units to variants; a shadow needs none")
    flag: str = Field(default="", description="key of the feature flag; if left out, the key of the assignment")
    variants: dict[str, VariantDefinition] = Field(
        min_length=2, description="variants by name; their order is part of the assignment"
    )
    control: str = Field(description="the variant that the others are compared with")
    primary: str = Field(description="key of the metric that the hypothesis is about")
    secondary: tuple[str, ...] = Field(default=(), description="keys of metrics that are shown and decide nothing")
    guardrails: tuple[Guardrail, ...] = Field(default=(), description="metrics that may not get worse by their margin")
    data_quality: tuple[QualityMetric, ...] = Field(
        default=(), description="metrics that must be the same in all variants; if not, there is no verdict"
    )
    budgets: tuple[Budget, ...] = Field(default=(), description="operational limits on a treatment's own level")
    conditions: tuple[Condition, ...] = Field(default=(), description="what people must have settled before a launch")
    planned_effect: float | None = Field(
        default=None,
        gt=0,
        description="the primary's improvement that it is powered for, absolute, in the metric's unit",
    )
    smallest_effect: float | None = Field(
        default=None,
        gt=0,
        description="the primary's improvement worth shipping; if left out, the metric's practical threshold",
    )
    power: float = Field(default=0.8, gt=0.5, lt=1, description="the chance to see the planned effect")
    alpha: float = Field(gt=0, lt=0.5, description="two-sided; intervals have confidence 1 - alpha")
    sample_ratio_alpha: float = Field(
        default=0.001, gt=0, lt=0.5, description="below this p the sample ratio is refused"
    )
    covariates: tuple[Covariate, ...] = Field(
        default=(), description="what explains part of the metrics and was known before exposure"
    )
    segments: tuple[str, ...] = Field(
        default=(), description="fixed in advance: columns of predictions, or segmentations of metrics.yml"
    )
    vulnerable: tuple[VulnerableGroup, ...] = Field(
        default=(), description="groups that could be harmed, and the guardrails that watch them"
    )
    caps: dict[str, float] = Field(
        default_factory=dict, description="metric to the quantile at which unit totals are capped, beside the raw"
    )
    label_maturity: LabelMaturity = Field(description="how long labels are waited for, and how many there must be")
    design: LookDesign = Field(default=LookDesign(), description="when it may be read")
    max_extension_days: int = Field(default=28, ge=0, description="it may be extended by so many days and no more")
    rule: Literal["superior_and_not_inferior", "not_inferior"] = Field(
        description="how the verdict follows from the readout"
    )
    primary_margin: float | None = Field(
        default=None,
        gt=0,
        validate_default=True,
        description="of rule not_inferior: the primary may not be worse by this much, in the metric's unit",
    )

    _digest: str = PrivateAttr(default="")
    _practical_threshold: float | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _shadow_needs_no_assignment(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("kind") == "shadow" and "assignment" not in data:
            key = str(data.get("key") or "shadow")
            return {**data, "assignment": {"hash": "flagd-fractional", "version": 2, "key": key}}
        return data

    @field_validator("eligible")
    @classmethod
    def _is_known_before(cls, value: str | None) -> str | None:
        if value is not None and (reason := after_assignment_reason(value)):
            raise ValueError(f"{reason}; eligibility must be known when a unit is assigned")
        return value

    @field_validator("variants")
    @classmethod
    def _two_have_weight(cls, value: dict[str, VariantDefinition]) -> dict[str, VariantDefinition]:
        unsaid = [name for name, variant in value.items() if "weight" not in variant.model_fields_set]
        if unsaid and len(unsaid) < len(value):
            raise ValueError(f"{', '.join(unsaid)} has no weight and others have; give each one its weight, or none")
        if sum(variant.weight > 0 for variant in value.values()) < 2:
            raise ValueError("at least two variants need a weight above 0")
        return value

    @field_validator("control")
    @classmethod
    def _is_a_variant(cls, value: str, info: ValidationInfo) -> str:
        variants = info.data.get("variants")
        if variants is not None and variants[one_of(value, variants, noun="variant")].weight == 0:
            raise ValueError("the control needs a weight above 0")
        return value

    @field_validator("covariates")
    @classmethod
    def _explain_from_before(cls, value: tuple[Covariate, ...]) -> tuple[Covariate, ...]:
        labels = [covariate.label for covariate in value]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"covariate {twice[0]} is there twice")
        for covariate in value:
            if covariate.column is not None and (reason := after_assignment_reason(covariate.column)):
                raise ValueError(f"{reason}; a covariate must be known when a unit is assigned")
        return value

    @field_validator("segments")
    @classmethod
    def _are_known_before(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if twice := sorted({name for name in value if value.count(name) > 1}):
            raise ValueError(f"segment {twice[0]!r} is there twice")
        for name in value if info.data.get("kind") != "shadow" else ():
            if reason := after_assignment_reason(name):
                raise ValueError(f"{reason}; the variants' segments would not be comparable")
        return value

    @field_validator("vulnerable")
    @classmethod
    def _are_watched(cls, value: tuple[VulnerableGroup, ...], info: ValidationInfo) -> tuple[VulnerableGroup, ...]:
        guardrails = [guardrail.metric for guardrail in info.data.get("guardrails", ())]
        for group in value:
            for metric in group.metrics:
                one_of(metric, guardrails, noun="guardrail")
            if not guardrails and "guardrails" in info.data:
                raise ValueError(f"nothing watches {group.label}: the plan has no guardrails")
        return value

    @field_validator("caps")
    @classmethod
    def _cap_the_top(cls, value: dict[str, float]) -> dict[str, float]:
        for metric, quantile in value.items():
            if not 0.5 < quantile < 1:
                raise ValueError(f"the cap of {metric} is {quantile:g}, must be a quantile above 0.5 and below 1")
        return value

    @field_validator("design")
    @classmethod
    def _looks_lie_inside(cls, value: LookDesign, info: ValidationInfo) -> LookDesign:
        window, maturity = info.data.get("window"), info.data.get("label_maturity")
        if window is None or maturity is None:  # which is told already
            return value
        start, end = window.window.start, window.window.end + timedelta(days=maturity.days)
        for text, instant in zip(value.looks, value.instants, strict=True):
            if not start < instant < end:
                raise ValueError(
                    f"look {text} lies outside the experiment; allowed: after {format_instant(start)} and before "
                    f"{format_instant(end)}, when the last look is due"
                )
        return value

    @field_validator("primary_margin")
    @classmethod
    def _goes_with_the_rule(cls, value: float | None, info: ValidationInfo) -> float | None:
        rule = info.data.get("rule")
        if rule == "not_inferior" and value is None:
            raise ValueError("rule not_inferior needs it: by how much the primary metric may not be worse")
        if rule == "superior_and_not_inferior" and value is not None:
            raise ValueError(
                "it belongs to rule not_inferior; with superior_and_not_inferior the primary must be better"
            )
        return value

    @field_validator("smallest_effect")
    @classmethod
    def _is_no_more_than_planned(cls, value: float | None, info: ValidationInfo) -> float | None:
        planned = info.data.get("planned_effect")
        if value is not None and planned is not None and value > planned:
            raise ValueError(
                f"the planned effect ({planned:g}) would not be worth shipping; plan for at least {value:g}"
            )
        return value

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        if self.analysis == "clustered" and self.cluster is None:
            raise ValueError("a clustered analysis needs cluster: cluster_id")
        if self.analysis == "plain" and self.cluster is not None:
            raise ValueError("a plain analysis takes no cluster; write analysis: clustered or leave cluster out")
        named = [self.primary, *self.secondary]
        named += [each.metric for each in (*self.guardrails, *self.data_quality)]
        twice = sorted({key for key in named if named.count(key) > 1})
        if twice:
            places = "primary, secondary, guardrails and data_quality"
            raise ValueError(f"metric {twice[0]!r} is named twice among {places}")
        return self

    @property
    def digest(self) -> str:
        """The digest of the plan's file; "" for a plan that was made in memory."""
        return self._digest

    @property
    def content_digest(self) -> str:
        """The digest of what the plan says: comments, layout and defaults that are written out do not change it."""
        return digest_bytes(plan_document(self).encode())

    @property
    def confidence(self) -> float:
        """The confidence of the experiment as a whole: 1 - alpha."""
        return 1 - self.alpha

    @property
    def alpha_of_a_comparison(self) -> float:
        """The alpha of each treatment against the control: split evenly, so that the whole keeps alpha (Bonferroni)."""
        return self.alpha / len(self.treatments)

    @property
    def confidence_of_a_comparison(self) -> float:
        """The confidence of every interval of a treatment against the control: 1 - alpha / treatments."""
        return 1 - self.alpha_of_a_comparison

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of every metric that is measured, each once: by role, those that only have a budget last."""
        watched = [each.metric for each in (*self.guardrails, *self.data_quality)]
        limited = [budget.metric for budget in self.budgets]
        return tuple(dict.fromkeys([self.primary, *self.secondary, *watched, *limited]))

    @property
    def treatments(self) -> tuple[str, ...]:
        """The variants that are compared with the control: those with weight, so with units to expect."""
        return tuple(name for name, variant in self.variants.items() if name != self.control and variant.weight)

    @property
    def weights(self) -> dict[str, int]:
        """Variant to weight, in the order of the assignment."""
        return {name: variant.weight for name, variant in self.variants.items()}

    @property
    def splits(self) -> tuple[str, ...]:
        """The segmentations that are measured: the planned ones, and those of the groups that could be harmed."""
        return tuple(dict.fromkeys([*self.segments, *(group.segment for group in self.vulnerable)]))

    @property
    def ready_on(self) -> datetime:
        """The first instant from which the experiment can be read whole: the window's end and the labels' maturity."""
        return self.window.window.end + timedelta(days=self.label_maturity.days)

    @property
    def planned_looks(self) -> tuple[datetime, ...]:
        """The as-of instants of every planned look, increasing; the last is `ready_on`."""
        return (*self.design.instants, self.ready_on)

    @property
    def threshold(self) -> float | None:
        """The primary's improvement worth shipping: `smallest_effect`, else its practical threshold in metrics.yml.

        None for a plan that was made in memory, without `smallest_effect`: its metrics are not known.
        """
        return self._practical_threshold if self.smallest_effect is None else self.smallest_effect

    def role(self, metric: str) -> Role:
        """What a metric of the plan is there for."""
        if metric == self.primary:
            return "primary"
        if metric in self.secondary:
            return "secondary"
        if any(each.metric == metric for each in self.data_quality):
            return "data_quality"
        is_guardrail = any(each.metric == metric for each in self.guardrails)
        return "budget" if not is_guardrail and metric in {each.metric for each in self.budgets} else "guardrail"

    def margin(self, metric: str) -> float | None:
        """The margin of a guardrail, of a data-quality metric, of the primary under not_inferior; None of others."""
        if metric == self.primary:
            return self.primary_margin
        return next((each.margin for each in (*self.guardrails, *self.data_quality) if each.metric == metric), None)

    def watched(self, group: VulnerableGroup) -> tuple[Guardrail, ...]:
        """The guardrails that watch a group that could be harmed, with their margins."""
        return tuple(each for each in self.guardrails if not group.metrics or each.metric in group.metrics)

    @property
    def text(self) -> str:
        """The plan in one paragraph."""
        return plan_text(self)

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per promise."""
        return plan_rows(self)

    def to_table(self) -> list[dict[str, str]]:
        """One line per variant, metric, look, group, limit and number of the plan."""
        return plan_table(self)


def load(workspace: Workspace, key: str) -> ExperimentPlan:
    """Read `experiments/<key>.yml` and hold it against `metrics.yml` and the model's definition.

    Reads no data: what the columns must be like is checked by `check_columns`, which everything that measures calls.

    Raises `UnknownNameError` (nearest key) and `DefinitionError` (file, line, given, allowed, nearest match).
    """
    plan = workspace.load_keyed("experiments", key, ExperimentPlan, noun="experiment")
    path = f"experiments/{key}.yml"
    definitions = read_definitions(workspace, plan)
    if problems := definition_problems(plan, definitions):
        raise workspace.error_in(path, problems)
    plan._digest = digest_file(workspace.root / path)  # noqa: SLF001 - only a plan that came from a file has one
    threshold = definitions.metrics[plan.primary].practical_threshold
    plan._practical_threshold = threshold  # noqa: SLF001 - it stands in another file, which only the loader reads
    return plan


def check_columns(plan: ExperimentPlan, source: Source) -> None:
    """Hold the plan's segments, covariates and eligibility against the columns of predictions; `DefinitionError`.

    The error names the file and line where the plan came from one. Only the names of columns are read.
    """
    problems = column_problems(plan, source)
    if problems:
        path = f"experiments/{plan.key}.yml"
        raise source.workspace.error_in(path, problems) if plan.digest else _unfiled(plan, problems)


def _unfiled(plan: ExperimentPlan, problems: Sequence[Problem]) -> DefinitionError:
    return DefinitionError("\n".join(f"experiment {plan.key!r}: {text}" for _, text in problems))
