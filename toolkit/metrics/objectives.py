"""`objectives.yml`: where a team wants its metrics to be, and what the business has from it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from toolkit.checks import unknown_name_message
from toolkit.metrics.definitions import load_metrics
from toolkit.metrics.kinds import MetricDefinition
from toolkit.stats import Estimate
from toolkit.workspace import Day, Definition, Problem, Workspace

OBJECTIVES_FILE = "objectives.yml"
_TARGETS = {"decrease": "at_most", "increase": "at_least", "toward_zero": "within"}
"""Metric direction to the one target that agrees with it; with direction `none` any does."""


class Target(Definition):
    """Where a metric should be, in its unit: exactly one of the three, the bound itself included."""

    at_most: float | None = Field(default=None, description="the metric should be no more than this")
    at_least: float | None = Field(default=None, description="the metric should be no less than this")
    within: float | None = Field(default=None, ge=0, description="the metric should be no further from 0 than this")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1 or self.bound is None:
            raise ValueError("a target is exactly one of at_most, at_least and within, such as {at_most: 0.1}")
        return self

    @property
    def kind(self) -> str:
        """Which of the three it is."""
        return next(iter(self.model_fields_set))

    @property
    def bound(self) -> float | None:
        """The number behind it."""
        value: float | None = getattr(self, self.kind)
        return value

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that are on target; infinite where there is no limit."""
        infinity = float("inf")
        if self.within is not None:
            return -self.within, self.within
        low = -infinity if self.at_least is None else self.at_least
        return low, infinity if self.at_most is None else self.at_most

    @property
    def label(self) -> str:
        """The target as people say it.

        >>> Target(within=0.02).label
        'within 0.02 of 0'
        """
        return (
            f"within {self.within:g} of 0"
            if self.within is not None
            else f"{self.kind.replace('_', ' ')} {self.bound:g}"
        )


class ObjectiveDefinition(Definition):
    """One objective: a metric of a model, the business outcome that it stands for, and the target."""

    metric: str = Field(description="key of the metric, in metrics.yml")
    model: str = Field(description="key of the model, in models/")
    business_outcome: str = Field(min_length=1, description="what the business has from it when the target is met")
    target: Target = Field(description="where the metric should be: one of at_most, at_least and within")
    owner: str = Field(min_length=1, description="who answers for it")
    since: Day | None = Field(default=None, description="the first day that it holds for, as 2030-01-31")

    def met_by(self, estimate: Estimate) -> Literal["met", "missed", "unclear"]:
        """Whether an estimate of the metric meets the target, judged by its interval.

        `met` when the whole interval is on target, `missed` when none of it is; `unclear` when the target's edge lies
        inside, or when there is no interval that could tell.

        >>> from toolkit.stats import Estimate
        >>> objective = ObjectiveDefinition(
        ...     metric="brier", model="delay", business_outcome="fewer alarms", target={"at_most": 0.2}, owner="Ada"
        ... )
        >>> objective.met_by(Estimate(0.15, 0.01, None, 0.13, 0.17, None, 100, "example", "ok", ""))
        'met'
        >>> objective.met_by(Estimate(0.15, None, None, None, None, None, 1, "example", "ok", "one observation"))
        'unclear'
        """
        if estimate.status == "absent":
            return "unclear"
        low, high = self.target.limits
        lower, upper = estimate.ci_lower, estimate.ci_upper
        if (lower is not None and lower > high) or (upper is not None and upper < low):
            return "missed"
        above = low == -float("inf") or (lower is not None and lower >= low)
        below = high == float("inf") or (upper is not None and upper <= high)
        return "met" if above and below else "unclear"


class ObjectivesFile(Definition):
    """`objectives.yml`."""

    objectives: dict[str, ObjectiveDefinition] = Field(min_length=1, description="objectives by key")


def load_objectives(workspace: Workspace) -> dict[str, ObjectiveDefinition]:
    """The objectives of `objectives.yml` by key, in the file's order; {} when there is no such file.

    Raises `DefinitionError` also for a metric or model that is not there, and for a target on the wrong side.
    """
    if not (workspace.root / OBJECTIVES_FILE).exists():
        return {}
    objectives = workspace.load(OBJECTIVES_FILE, ObjectivesFile).objectives
    metrics, models = load_metrics(workspace), workspace.keys("models")
    problems: list[Problem] = []
    for key, objective in objectives.items():
        at = ["objectives", key]
        if objective.metric in metrics:
            problems += _side_problems(objective, metrics[objective.metric], at)
        else:
            unknown = unknown_name_message(objective.metric, metrics, noun="metric")
            problems.append(Problem([*at, "metric"], f"{'.'.join(at)}.metric: {unknown}"))
        if objective.model not in models:
            unknown = unknown_name_message(objective.model, models, noun="model")
            problems.append(Problem([*at, "model"], f"{'.'.join(at)}.model: {unknown}"))
    if problems:
        raise workspace.error_in(OBJECTIVES_FILE, problems)
    return objectives


def _side_problems(objective: ObjectiveDefinition, metric: MetricDefinition, at: list[str]) -> list[Problem]:
    given, wanted = objective.target.kind, _TARGETS.get(metric.direction)
    if wanted in {None, given}:
        return []
    text = (
        f"{'.'.join(at)}.target is {given}, and {objective.metric} has direction {metric.direction!r}: "
        f"only {wanted} asks for what is better"
    )
    return [Problem([*at, "target", given], text)]
