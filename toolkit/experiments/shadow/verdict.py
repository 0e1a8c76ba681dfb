"""What follows from a shadow deployment: whether an A/B test is worth its weeks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.display import format_number
from toolkit.experiments.verdict import Judgement, Verdict, judge

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
    decisions are those of `judge`. No risk of a launch is told, because nothing is launched.
    """
    verdict = judge(plan, checks, readout, segments)
    return replace(verdict, judgements=tuple(_of_a_shadow(each, outlook) for each in verdict.judgements))


def _of_a_shadow(judgement: Judgement, outlook: Outlook) -> Judgement:
    found = replace(judgement, risk=None)
    if judgement.decision != "ship":
        return found
    expected = outlook.of(judgement.primary.metric, judgement.treatment)
    reasons = judgement.reasons
    if expected.units is not None and expected.days is not None:
        days = format_number("test_days", expected.days)
        size = (
            f"an A/B test would need about {expected.units:,} {outlook.group_word}s, {days} of this traffic, to see it."
        )
        reasons = (*reasons, size)
    return replace(found, decision="test", reasons=reasons)
