"""`objectives.yml`: where a team wants its metrics to be, and what the business has from it.

An objective is about a metric, or it watches the feedback channel: how old the newest request is, and whether labels
are there when they are due. One about a share of requests may have an error budget: so many may be bad in a period.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from toolkit.checks import unknown_name_message
from toolkit.data import LABEL
from toolkit.metrics.definitions import load_metrics
from toolkit.metrics.kinds import MetricDefinition
from toolkit.metrics.needs import columns_needed, scalars_needed
from toolkit.stats import Estimate
from toolkit.workspace import Day, Definition, Problem, Workspace

OBJECTIVES_FILE = "objectives.yml"
_TARGETS = {"decrease": "at_most", "increase": "at_least", "toward_zero": "within"}
"""Metric direction to the one target that agrees with it; with direction `none` any does."""

Watch = Literal["freshness", "label_arrival"]


class Watched(NamedTuple):
    """Something about the channel that an objective may watch: the target that asks for what is better, its limits."""

    name: str
    unit: str
    target: str
    low: float
    high: float
    example: float


WATCHED: dict[Watch, Watched] = {
    "freshness": Watched("Time since the newest request", "h", "at_most", 1, 8760, 6),
    "label_arrival": Watched("Labels there when due", "share", "at_least", 0.5, 1, 0.98),
}
"""What objectives watch beside metrics."""


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


class BudgetDefinition(Definition):
    """How long the period is whose requests share one budget of bad ones; it ends with the last request looked at."""

    period_days: int = Field(default=28, ge=7, le=366, description="days of the period that rolls along")


class ObjectiveDefinition(Definition):
    """One objective: a metric of a model, or what of its channel is watched, the business outcome, and the target."""

    metric: str | None = Field(default=None, description="key of the metric, in metrics.yml; or else watch")
    watch: Watch | None = Field(
        default=None,
        description="freshness: hours since the newest request; label_arrival: share of labels that are there when due",
    )
    model: str = Field(description="key of the model, in models/")
    business_outcome: str = Field(min_length=1, description="what the business has from it when the target is met")
    target: Target = Field(description="where it should be: one of at_most, at_least and within")
    budget: BudgetDefinition | None = Field(
        default=None, description="of a metric that is a share of requests: the period in which so many may be bad"
    )
    owner: str = Field(min_length=1, description="who answers for it")
    since: Day | None = Field(default=None, description="the first day that it holds for, as 2030-01-31")

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        if (self.metric is None) == (self.watch is None):
            raise ValueError(
                "an objective is about a metric or about what it watches: exactly one of the keys metric and watch"
            )
        if self.watch is None:
            return self
        if self.budget is not None:
            raise ValueError(f"a budget is of requests, and {self.watch} counts none: leave out budget")
        watched, bound = WATCHED[self.watch], self.target.bound or 0.0
        if self.target.kind != watched.target or not watched.low <= bound <= watched.high:
            raise ValueError(
                f"the target of {self.watch} is {watched.target} from {watched.low:g} to {watched.high:g} "
                f"({watched.unit}), such as {{{watched.target}: {watched.example:g}}}"
            )
        return self

    @property
    def subject(self) -> str:
        """What it is about: the metric's key, or what it watches."""
        return self.metric or self.watch or ""

    @property
    def allowed_share(self) -> float:
        """Of an objective with a budget the share of requests that may be bad."""
        bound = self.target.bound or 0.0
        return 1 - bound if self.target.kind == "at_least" else bound

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

    Raises `DefinitionError` also for a metric or model that is not there, for a target on the wrong side, and for a
    budget of a metric that is no share of requests known at once.
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
            problems += _budget_problems(objective, metrics[objective.metric], at)
        elif objective.metric is not None:
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


def _budget_problems(objective: ObjectiveDefinition, metric: MetricDefinition, at: list[str]) -> list[Problem]:
    """Why a metric has no error budget: what counts must be requests, each good or bad as soon as it is answered."""
    if objective.budget is None:
        return []
    why = ""
    if not (metric.adds_up and metric.is_share):
        why = f"{objective.metric} is of kind {metric.kind}, which is no share of requests that are bad"
    elif LABEL in columns_needed(scalars_needed([metric])):
        why = f"{objective.metric} needs labels, and of the last hours there are none"
    elif objective.target.kind == "within" or not 0 < objective.allowed_share < 1:
        label = objective.target.label
        why = f"a share of requests has a target at_most or at_least a number above 0 and below 1, not {label}"
    text = f"{'.'.join(at)}.budget: {why}; leave out budget to hold the metric against its target alone"
    return [Problem([*at, "budget"], text)] if why else []
