"""What follows from a shadow deployment: whether an A/B test is worth its weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.display import format_number
from toolkit.experiments.rules import Finding, apply_rule
from toolkit.experiments.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from toolkit.experiments.health import Checks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.readout import Readout
    from toolkit.experiments.segments import SegmentEffects
    from toolkit.experiments.shadow.outlook import Outlook


def judge_shadow(
    plan: ExperimentPlan,
    checks: Checks,
    readout: Readout,
    outlook: Outlook,
    segments: SegmentEffects | None = None,
) -> Verdict:
    """Apply the plan's rule to a shadow: what would ship after an A/B test is worth one, and is not launched without.

    `test`: the rule is met, on the same requests; the reasons say how long the A/B test would take. All other
    decisions are those of `judge`.
    """
    judgements = []
    for treatment in plan.treatments:
        effects = readout.of(treatment)
        primary = next(effect for effect in effects if effect.role == "primary" and not effect.segment)
        if checks.failed:
            reasons = tuple(f"{check.name.replace('_', ' ')} failed: {check.text}" for check in checks.failed)
            found = Finding("withheld", reasons)
        else:
            found = _read_as_test(
                apply_rule(plan, effects, readout.looks, segments), outlook, primary.metric, treatment
            )
        judgements.append(Judgement(treatment, plan.control, *found[:2], primary, found.extension_days))
    return Verdict(plan.key, plan.rule, tuple(judgements))


def _read_as_test(found: Finding, outlook: Outlook, metric: str, treatment: str) -> Finding:
    if found.decision != "ship":
        return found
    expected = outlook.of(metric, treatment)
    if expected.units is None or expected.days is None:
        return Finding("test", found.reasons)
    days = format_number("x_days", expected.days)
    size = f"an A/B test would need about {expected.units:,} {outlook.group_word}s, {days} of this traffic, to see it."
    return Finding("test", (*found.reasons, size))
