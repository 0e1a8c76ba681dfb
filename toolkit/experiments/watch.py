"""What a running experiment is watched for, by whom, and what would stop it: its plan read as duties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from toolkit.display import format_instant_day
from toolkit.experiments.plan_words import RULES, change_text
from toolkit.records import ResultRow, Shown

if TYPE_CHECKING:
    from toolkit.experiments.design import ExperimentDesign
    from toolkit.experiments.plans import ExperimentPlan


class Duty(NamedTuple):
    """One thing that somebody watches.

    Attributes
    ----------
    what: a metric's key, or the name of a check or condition. name: the same in words. group: segment=value, or "".
    limit: what it is held against, in words. owner: who answers for it.
    """

    what: str
    name: str
    group: str
    limit: str
    owner: str


class Stop(NamedTuple):
    """Something that ends or withholds an experiment: what happens, when that is looked at, and what follows."""

    what: str
    when: str
    follows: str


@dataclass(frozen=True)
class Watch(Shown):
    """What a running experiment is watched for, and by whom."""

    experiment: str
    owner: str
    duties: tuple[Duty, ...]

    @property
    @override
    def text(self) -> str:
        owners = ", ".join(dict.fromkeys(duty.owner for duty in self.duties))
        return f"{len(self.duties)} things are watched, by {owners}; {self.owner} answers for the experiment."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            ResultRow(duty.what, "watched", f"{duty.limit}; {duty.owner}", segment=duty.group) for duty in self.duties
        ]

    @override
    def to_table(self) -> list[dict[str, str]]:
        return [
            {"watched": duty.name, "where": duty.group or "everywhere", "limit": duty.limit, "by": duty.owner}
            for duty in self.duties
        ]


@dataclass(frozen=True)
class Stops(Shown):
    """What would stop an experiment, extend it, or withhold its verdict."""

    experiment: str
    stops: tuple[Stop, ...]

    @property
    @override
    def text(self) -> str:
        return "Nothing else stops it: what is not written here before the start is no reason afterwards."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            ResultRow(self.experiment, "stops", f"{stop.what}: {stop.follows}", comparison=stop.when)
            for stop in self.stops
        ]

    @override
    def to_table(self) -> list[dict[str, str]]:
        return [{"if": stop.what, "looked at": stop.when, "then": stop.follows} for stop in self.stops]


def list_watched(design: ExperimentDesign) -> Watch:
    """Who watches what: guardrails everywhere and in the groups that could be harmed, quality, budgets, conditions."""
    plan = design.plan
    return Watch(plan.key, plan.owner, tuple(_duties(design)))


def list_stops(design: ExperimentDesign) -> Stops:
    """What the plan says would stop the experiment, with the bounds that its looks have on the traffic of history."""
    return Stops(design.plan.key, (*_withheld(design.plan), *_decided(design)))


def _duties(design: ExperimentDesign) -> Iterator[Duty]:
    plan, metrics = design.plan, design.history.metrics
    for guardrail in plan.guardrails:
        metric = metrics[guardrail.metric]
        limit = f"not worse by {change_text(guardrail.margin, metric.unit)}"
        yield Duty(guardrail.metric, metric.name, "", limit, metric.owner)
    for group in plan.vulnerable:
        for guardrail in plan.watched(group):
            metric = metrics[guardrail.metric]
            limit = f"not worse by {change_text(guardrail.margin, metric.unit)}: {group.why}"
            yield Duty(guardrail.metric, metric.name, group.label, limit, metric.owner)
    for quality in plan.data_quality:
        metric = metrics[quality.metric]
        limit = f"the same within {change_text(quality.margin, metric.unit)}"
        yield Duty(quality.metric, metric.name, "", limit, metric.owner)
    for budget in plan.budgets:
        metric = metrics[budget.metric]
        limit = f"{budget.text} {metric.unit}".rstrip() + " in each treatment"
        yield Duty(budget.metric, metric.name, "", limit, metric.owner)
    for condition in plan.conditions:
        state = "met" if condition.met else "not met yet"
        yield Duty(condition.name, condition.name, "", f"{condition.text} ({state})", plan.owner)


def _withheld(plan: ExperimentPlan) -> Iterator[Stop]:
    each = "at every look"
    if plan.kind != "shadow":
        yield Stop(
            f"the sample ratio has p below {plan.sample_ratio_alpha:g}", each, "no verdict until the cause is found"
        )
    share = f"{plan.label_maturity.minimum_share:.0%}"
    yield Stop(f"fewer than {share} of the answered requests have a label", each, "no verdict; wait for labels")
    for quality in plan.data_quality:
        yield Stop(f"{quality.metric} is not shown to be the same within {quality.margin:g}", each, "no verdict")
    for condition in plan.conditions:
        if not condition.met:
            yield Stop(f"condition {condition.name} is not met", "before a launch", "nothing is shipped")
    for budget in plan.budgets:
        yield Stop(f"a treatment's {budget.metric} is not {budget.text}", each, "it is not shipped")


def _decided(design: ExperimentDesign) -> Iterator[Stop]:
    plan = design.plan
    if design.bounds is not None:
        for number, (instant, z) in enumerate(zip(plan.planned_looks, design.bounds.z, strict=True), 1):
            last = number == len(plan.planned_looks)
            what = f"the difference is {z:.2f} standard errors or more from zero"
            follows = "the rule decides" if last else "it may stop: ship if the guardrails allow it"
            yield Stop(what, f"look {number}, {format_instant_day(instant)}", follows)
    elif plan.design.kind == "always_valid":
        yield Stop("the confidence sequence leaves zero", "at any time", "it may stop")
    if plan.design.harm and plan.design.kind != "fixed":
        yield Stop("the primary or a guardrail is shown to be worse", "at every look", "it stops for harm")
    if plan.design.futility:
        yield Stop("a win has become unlikely", "at every planned look", "it may stop for futility")
    yield Stop("the window has ended and its labels are there", format_instant_day(plan.ready_on), RULES[plan.rule])
    if plan.max_extension_days:
        days = plan.max_extension_days
        yield Stop("the rule cannot decide yet", format_instant_day(plan.ready_on), f"it goes on, {days} days at most")
