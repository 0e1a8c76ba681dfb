"""Whether a shadow's data can be trusted: were all requests scored, by both versions, and do they have labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit import stats
from toolkit.display import format_number
from toolkit.experiments.health import Check, Checks

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.shadow.pairs import ShadowPairs

UNPAIRED_REQUESTS = 0.01
"""Share of the served requests that a shadow may have missed: those that it skips are seldom like the others."""

ONE_SIDED_ANSWERS = 0.01
"""Share of the pairs that only one version may have answered: where it fails, its loss is not counted."""


def check_shadow(plan: ExperimentPlan, pairs: ShadowPairs) -> Checks:
    """Hold a shadow's requests against the plan: were all of them scored, by both, and do they have labels?"""
    found = [
        check(plan, pairs, treatment)
        for treatment in pairs.coverage
        for check in (_unpaired, _one_sided, _label_maturity)
    ]
    return Checks(plan.key, tuple(found))


def _unpaired(plan: ExperimentPlan, pairs: ShadowPairs, treatment: str) -> Check:
    counts = pairs.coverage[treatment]
    share = stats.proportion(counts.served - counts.paired, counts.served)
    text = (
        f"{counts.served - counts.paired:,} of {counts.served:,} requests that {plan.control} served were not scored "
        f"by {treatment}; they are in no comparison."
    )
    return _bounded("unpaired", share, UNPAIRED_REQUESTS, text, treatment)


def _one_sided(plan: ExperimentPlan, pairs: ShadowPairs, treatment: str) -> Check:
    counts = pairs.coverage[treatment]
    alone = [
        answered - counts.answered_by_both for answered in (counts.answered_by_control, counts.answered_by_treatment)
    ]
    share = stats.proportion(sum(alone), counts.paired)
    text = (
        f"{alone[0]:,} of {counts.paired:,} pairs were answered by {plan.control} alone and {alone[1]:,} by "
        f"{treatment} alone; metrics of answers leave them out."
    )
    return _bounded("one_sided_answers", share, ONE_SIDED_ANSWERS, text, treatment)


def _label_maturity(plan: ExperimentPlan, pairs: ShadowPairs, treatment: str) -> Check:
    counts = pairs.coverage[treatment]
    share = stats.proportion(counts.labelled, counts.paired)
    bound = plan.label_maturity.minimum_share
    text = f"{counts.labelled:,} of {counts.paired:,} pairs with {treatment} have a label."
    passed = share.value is not None and share.value >= bound
    expected = f"at least {format_number('value_share', bound)}"
    return Check("label_maturity", passed, True, share.value, expected, text, treatment, share)


def _bounded(name: str, share: stats.Estimate, bound: float, text: str, variant: str) -> Check:
    passed = share.value is not None and share.value <= bound
    return Check(
        name, passed, True, share.value, f"at most {format_number('value_share', bound)}", text, variant, share
    )
