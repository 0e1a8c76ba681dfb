"""What follows: the plan's rule applied to checks and effects. It decides nothing that the plan did not say before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from toolkit.experiments.changes import format_change, format_change_interval
from toolkit.experiments.plans import RULES
from toolkit.records import ResultRow, Shown, Value

if TYPE_CHECKING:
    from toolkit.experiments.health import Checks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.readout import Effect, Readout

Decision = Literal["ship", "do not ship", "inconclusive", "withheld"]


@dataclass(frozen=True)
class Judgement:
    """The rule applied to one treatment."""

    treatment: str
    control: str
    decision: Decision
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict(Shown):
    """The rule applied to every treatment of an experiment."""

    experiment: str
    rule: str
    judgements: tuple[Judgement, ...]

    @property
    def decision(self) -> Decision:
        """The decision of the experiment: `ship` if any treatment is to be shipped, else the one all agree on.

        Treatments that agree on nothing are `inconclusive`; the text names each.
        """
        decisions = {judgement.decision for judgement in self.judgements}
        if "ship" in decisions:
            return "ship"
        return decisions.pop() if len(decisions) == 1 else "inconclusive"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason, each once."""
        return tuple(dict.fromkeys(reason for judgement in self.judgements for reason in judgement.reasons))

    @property
    def text(self) -> str:
        """The decisions with their reasons."""
        found = [
            f"{judgement.decision.capitalize()} {judgement.treatment}: {' '.join(judgement.reasons)}"
            if judgement.decision in {"ship", "do not ship"}
            else f"{judgement.decision.capitalize()} for {judgement.treatment}: {' '.join(judgement.reasons)}"
            for judgement in self.judgements
        ]
        return " ".join([*found, f"Rule {self.rule}: {RULES[self.rule]}."])

    def to_rows(self) -> Sequence[ResultRow]:
        """One row per treatment with its decision, and one per reason."""
        rows = []
        for judgement in self.judgements:
            comparison = f"{judgement.treatment} - {judgement.control}"
            rows.append(ResultRow(self.experiment, "decision", judgement.decision, comparison=comparison))
            rows += [
                ResultRow(self.experiment, "reason", reason, comparison=comparison) for reason in judgement.reasons
            ]
        return [*rows, ResultRow(self.experiment, "rule", self.rule)]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per treatment and reason."""
        return [
            {"comparison": f"{judgement.treatment} - {judgement.control}", "decision": judgement.decision, "why": why}
            for judgement in self.judgements
            for why in judgement.reasons
        ]


def judge(plan: ExperimentPlan, checks: Checks, readout: Readout) -> Verdict:
    """Apply the plan's rule `superior_and_not_inferior` to each treatment.

    A failed hard check: `withheld`. The primary metric's whole interval on its good side and every guardrail's within
    its margin: `ship`. The primary's whole interval on its bad side, or a guardrail's wholly beyond its margin:
    `do not ship`. Anything else: `inconclusive`, with what is missing.
    """
    return Verdict(
        plan.key,
        plan.rule,
        tuple(Judgement(t, plan.control, *_decide(checks, readout.of(t))) for t in plan.treatments),
    )


def _decide(checks: Checks, effects: Sequence[Effect]) -> tuple[Decision, tuple[str, ...]]:
    if checks.failed:
        return "withheld", tuple(f"{check.name.replace('_', ' ')} failed: {check.text}" for check in checks.failed)
    decisive = [effect for effect in effects if effect.role != "secondary"]
    against = [effect for effect in decisive if _speaks_against(effect)]
    if against:
        return "do not ship", tuple(_reason(effect) for effect in against)
    missing = [effect for effect in decisive if not _speaks_for(effect)]
    if missing:
        return "inconclusive", tuple(_reason(effect) for effect in missing)
    return "ship", tuple(_reason(effect) for effect in decisive)


def _speaks_for(effect: Effect) -> bool:
    return effect.outcome == "better" if effect.role == "primary" else effect.against_margin == "within"


def _speaks_against(effect: Effect) -> bool:
    return effect.outcome == "worse" if effect.role == "primary" else effect.against_margin == "beyond"


def _reason(effect: Effect) -> str:
    """What one metric says, with the numbers that say it."""
    head = f"{effect.role} {effect.metric}"
    difference = effect.difference
    if difference.value is None:
        return f"{head} is absent: {difference.reason}."
    if difference.ci_lower is None or difference.ci_upper is None:
        return f"{head} has no interval: {difference.reason}."
    interval = format_change_interval(difference.ci_lower, difference.ci_upper, effect.unit)
    if effect.margin is None:
        if effect.outcome == "unclear":
            return f"{head} is unclear: the interval of its difference, {interval}, holds 0."
        return f"{head} is {effect.outcome}: the interval of its difference is {interval}."
    margin = format_change(effect.margin, effect.unit)
    if effect.against_margin == "unclear":
        side = "fall" if effect.direction == "increase" else "rise"
        return f"{head} may {side} by its margin of {margin} or more: the interval of its difference is {interval}."
    return f"{head} is {effect.against_margin} its margin of {margin}: the interval of its difference is {interval}."
