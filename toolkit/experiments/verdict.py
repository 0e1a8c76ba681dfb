"""What follows: the plan's rule applied to checks and effects. It decides nothing that the plan did not say before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.experiments.plans import RULES
from toolkit.experiments.risk import Risk, weigh
from toolkit.experiments.rules import DECISIONS, Decision, Finding, apply_rule
from toolkit.records import ResultRow, Shown, Value, estimate_row

if TYPE_CHECKING:
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.health import Checks
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.readout import Readout
    from toolkit.experiments.segments import SegmentEffects

_GOES_ON: tuple[Decision, ...] = ("extend", "repurpose")


@dataclass(frozen=True)
class Judgement:
    """The rule applied to one treatment.

    Attributes
    ----------
    primary: the effect that the hypothesis is about.
    extension_days: how much longer, of one that is to be extended beyond its window.
    risk: of being wrong; None where the verdict is withheld.
    """

    treatment: str
    control: str
    decision: Decision
    reasons: tuple[str, ...]
    primary: Effect
    extension_days: int | None = None
    risk: Risk | None = None

    @property
    def comparison(self) -> str:
        """What is subtracted from what."""
        return f"{self.treatment} - {self.control}"

    @property
    def headline(self) -> str:
        """The decision and what it is about: `Ship treatment`, `Extend treatment by 9 days`."""
        if self.decision == "withheld":
            return f"Withheld for {self.treatment}"
        by = f" by {self.extension_days} day{'' if self.extension_days == 1 else 's'}" if self.extension_days else ""
        return f"{self.decision.capitalize()} {self.treatment}{by}"

    @property
    def text(self) -> str:
        """The decision with its reasons and its risk."""
        return " ".join([f"{self.headline}:", *self.reasons, *([self.risk.text] if self.risk else [])])


@dataclass(frozen=True)
class Verdict(Shown):
    """The rule applied to every treatment of an experiment.

    Attributes
    ----------
    notes: what else one should know before acting on it, such as that the plan was edited.
    """

    experiment: str
    rule: str
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()

    @property
    def decision(self) -> Decision:
        """The decision of the experiment as a whole.

        `ship` if any treatment is to be shipped (of a shadow: `test`), else the one that all agree on. Where one is to
        be stopped and another goes on: `repurpose`, without the first. Else it goes on if any does; the text names
        each.
        """
        decisions = {judgement.decision for judgement in self.judgements}
        for first in ("ship", "test"):
            if first in decisions:
                return first
        if len(decisions) == 1:
            return decisions.pop()
        if "repurpose" in decisions or ("stop" in decisions and "extend" in decisions):
            return "repurpose"
        return "extend" if "extend" in decisions else "hold"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason, each once."""
        return tuple(dict.fromkeys(reason for judgement in self.judgements for reason in judgement.reasons))

    @property
    def text(self) -> str:
        """The decisions with their reasons and risks, and the rule that they follow."""
        parts = [judgement.text for judgement in self.judgements]
        if len(self.judgements) > 1:
            parts.append(self._together())
        return " ".join([*parts, *self.notes, f"Rule {self.rule}: {RULES[self.rule]}."])

    def _together(self) -> str:
        stopped = [each.treatment for each in self.judgements if each.decision == "stop"]
        going = [each.treatment for each in self.judgements if each.decision in _GOES_ON]
        if self.decision == "repurpose" and stopped and going:
            return f"Together: repurpose, go on with {' and '.join(going)}, without {' and '.join(stopped)}."
        return f"Together: {self.decision}, {DECISIONS[self.decision]}."

    def to_rows(self) -> Sequence[ResultRow]:
        """The decision as a whole; per treatment its decision, reasons, primary effect and risk; the rule."""
        rows = [ResultRow(self.experiment, "decision", self.decision)] if len(self.judgements) > 1 else []
        for judgement in self.judgements:
            comparison, primary = judgement.comparison, judgement.primary
            rows.append(ResultRow(self.experiment, "decision", judgement.decision, comparison=comparison))
            rows += [
                ResultRow(self.experiment, "reason", reason, comparison=comparison) for reason in judgement.reasons
            ]
            if judgement.extension_days is not None:
                rows.append(
                    ResultRow(self.experiment, "extension_days", judgement.extension_days, comparison=comparison)
                )
            rows.append(
                estimate_row(
                    primary.difference,
                    key=primary.metric,
                    statistic="primary_difference",
                    unit=primary.unit,
                    comparison=comparison,
                )
            )
            rows += judgement.risk.rows(self.experiment, comparison) if judgement.risk else []
        rows += [ResultRow(self.experiment, "note", note) for note in self.notes]
        return [*rows, ResultRow(self.experiment, "rule", self.rule)]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per treatment and reason, then its risk."""
        return [
            {"comparison": judgement.comparison, "decision": judgement.decision, "why": why}
            for judgement in self.judgements
            for why in (*judgement.reasons, *([judgement.risk.text] if judgement.risk else []), *self.notes)
        ]


def judge(
    plan: ExperimentPlan,
    checks: Checks,
    readout: Readout,
    segments: SegmentEffects | None = None,
) -> Verdict:
    """Apply the plan's rule to each treatment: statistical, practical and operational; see `rules.apply_rule`.

    A failed hard check: `withheld`. Harm: `stop`. What the rule asks for, with a gain worth having, within budgets and
    with every condition met: `ship`; without these: `hold`. Undecided: `extend` to the next planned look, or by so many
    days as the plan allows; `repurpose` where a segment that was fixed in advance gains; `stop` where no gain worth
    having is left; else `hold`, with what is missing.

    Parameters
    ----------
    readout: the effects, and the look that they were read at.
    segments: effects by segment, if the plan has any.
    """
    looks = readout.looks
    return Verdict(
        plan.key,
        plan.rule,
        tuple(
            _judge_one(plan, checks, readout.of(treatment), segments, looks, treatment) for treatment in plan.treatments
        ),
        (looks.plan_edited,) if looks.plan_edited else (),
    )


def _judge_one(
    plan: ExperimentPlan,
    checks: Checks,
    effects: Sequence[Effect],
    segments: SegmentEffects | None,
    looks: Looks,
    treatment: str,
) -> Judgement:
    if checks.failed:
        reasons = tuple(f"{check.name.replace('_', ' ')} failed: {check.text}" for check in checks.failed)
        found = Finding("withheld", reasons)
    else:
        found = apply_rule(plan, effects, looks, segments)
    primary = next(effect for effect in effects if effect.role == "primary" and not effect.segment)
    risk = None if found.decision == "withheld" else weigh(plan, effects, looks)
    return Judgement(treatment, plan.control, *found[:2], primary, found.extension_days, risk)
