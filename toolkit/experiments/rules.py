"""The rule of a plan applied to one treatment: statistical, practical and operational, in this order.

Harm comes first and needs no size. A launch needs that the primary metric is better (or, by the rule `not_inferior`,
not worse by its margin), that every guardrail is not worse by its margin, that the gain is worth having, and that
budgets and conditions are met. What lies between is told apart by what would help: more data, a smaller experiment,
settling a condition, or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.display import format_instant_day, format_number
from toolkit.experiments.changes import format_change, format_change_interval

if TYPE_CHECKING:
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.segments import SegmentEffects, SegmentTest

Decision = Literal["ship", "hold", "extend", "stop", "repurpose", "withheld", "test"]

DECISIONS: dict[Decision, str] = {
    "ship": "launch it",
    "hold": "do not launch it now: it is not worse, but too little, or something is missing",
    "extend": "go on: more data can decide",
    "stop": "end it: it harms, or more data would show nothing worth having",
    "repurpose": "go on with a smaller experiment",
    "test": "worth an A/B test: a shadow launches nothing by itself",
    "withheld": "the data cannot be trusted, so nothing follows from them",
}
"""The decisions and what they mean."""

FUTILE_BELOW = 0.1
"""A planned look may stop where the chance of a win at the end, if the planned effect is true, is below this."""

_STEPS = 4
_NORMAL = NormalDist()


class Finding(NamedTuple):
    """What the rule says of one treatment; `extension_days` is how much longer, where it is to be extended."""

    decision: Decision
    reasons: tuple[str, ...]
    extension_days: int | None = None


def apply_rule(
    plan: ExperimentPlan, effects: Sequence[Effect], looks: Looks, segments: SegmentEffects | None
) -> Finding:
    """The decision on one treatment by the plan's rule, with every reason.

    Parameters
    ----------
    effects: of this treatment, those of groups that could be harmed among them.
    looks: what this look may decide.
    """
    primary = next(effect for effect in effects if effect.role == "primary" and not effect.segment)
    decisive = [effect for effect in effects if effect.role in {"primary", "guardrail"}]
    broken = [effect for effect in effects if effect.role == "data_quality" and effect.against_margin == "beyond"]
    if broken:
        return Finding("withheld", tuple(explain(plan, effect) for effect in broken))
    if harmful := [effect for effect in decisive if harms(plan, effect)]:
        return _on_harm(plan, looks, tuple(explain(plan, effect) for effect in harmful))
    reasons = tuple(explain(plan, effect) for effect in decisive)
    if not looks.may_ship:
        return _on_an_unplanned_look(looks)
    asked = [*decisive, *(effect for effect in effects if effect.role == "data_quality")]
    missing = [effect for effect in asked if not suffices(plan, effect)]
    if not missing:
        return _on_success(plan, primary, effects, looks, reasons)
    lacking = tuple(explain(plan, effect) for effect in missing)
    if not looks.is_last:
        return _on_the_way(plan, primary, looks, lacking)
    return _at_the_end(plan, primary, missing, looks, segments, lacking)


def harms(plan: ExperimentPlan, effect: Effect) -> bool:
    """Whether an effect speaks against the treatment: worse, or beyond the margin that it has."""
    if effect.role == "primary" and plan.rule != "not_inferior":
        return effect.outcome == "worse"
    return effect.against_margin == "beyond"


def suffices(plan: ExperimentPlan, effect: Effect) -> bool:
    """Whether an effect is what the rule asks of it: better, or within the margin that it has."""
    if effect.role == "primary" and plan.rule != "not_inferior":
        return effect.outcome == "better"
    return effect.against_margin == "within"


def _on_harm(plan: ExperimentPlan, looks: Looks, reasons: tuple[str, ...]) -> Finding:
    if looks.is_last or plan.design.harm:
        return Finding("stop", _headed("harm", reasons))
    return Finding("extend", (*reasons, "the plan lets no look before the last stop for harm.", *_until(looks)))


def _on_an_unplanned_look(looks: Looks) -> Finding:
    if looks.is_last:
        return Finding("hold", ("all of alpha was spent before, and the plan allows no such extension.",))
    return Finding("extend", ("this look was not planned, so it decides for nothing but a stop.", *_until(looks)))


def _on_success(
    plan: ExperimentPlan,
    primary: Effect,
    effects: Sequence[Effect],
    looks: Looks,
    reasons: tuple[str, ...],
) -> Finding:
    """What the statistics allow is held against its size, the budgets and the conditions."""
    hindrances = [*_over_budget(plan, effects), *_unmet(plan)]
    if plan.rule == "superior_and_not_inferior" and primary.practical not in {"reached", None}:
        smallest = format_change(primary.smallest, primary.unit)
        if primary.practical == "unclear" and not looks.is_last:
            return Finding("extend", (*reasons, f"whether the gain reaches {smallest} is open.", *_until(looks)))
        least = "cannot reach" if primary.practical == "missed" else "as estimated does not reach"
        hindrances.insert(0, f"the gain {least} {smallest}, the smallest that is worth having.")
    if hindrances:
        return Finding("hold", (*reasons, *hindrances))
    return Finding("ship", reasons)


def _on_the_way(plan: ExperimentPlan, primary: Effect, looks: Looks, lacking: tuple[str, ...]) -> Finding:
    """Before the last planned look it goes on, unless the plan lets it stop for futility."""
    chance = conditional_power(plan, primary, looks) if plan.design.futility and looks.current.planned else None
    if chance is not None and chance < FUTILE_BELOW:
        planned = format_change(plan.planned_effect, primary.unit)
        told = format_number("chance_share", chance)
        hopeless = f"even if the planned effect of {planned} is true, a win has a chance of {told}."
        return Finding("stop", _headed("futile", (*lacking, hopeless)))
    return Finding("extend", (*lacking, *_until(looks)))


def _at_the_end(
    plan: ExperimentPlan,
    primary: Effect,
    missing: Sequence[Effect],
    looks: Looks,
    segments: SegmentEffects | None,
    lacking: tuple[str, ...],
) -> Finding:
    """Nothing is decided, and no planned look comes any more: what would help?"""
    if primary in missing and (found := _best_segments(primary, segments)):
        return Finding("repurpose", (*lacking, *found))
    if primary in missing and primary.practical == "missed" and plan.rule == "superior_and_not_inferior":
        smallest = format_change(primary.smallest, primary.unit)
        nothing = f"no gain of {smallest}, the smallest worth having, is left."
        return Finding("stop", _headed("futile", (*lacking, nothing)))
    lacking = (*lacking, *_unmet(plan))
    needed = [_days_needed(plan, effect, looks) for effect in missing]
    if any(days is None for days in needed):
        return Finding("hold", (*lacking, *_no_more_data(plan, missing, needed)))
    days = max(days for days in needed if days is not None)
    if looks.current.kind == "extension":
        return Finding("hold", (*lacking, "it was extended before, and the plan allows that once."))
    if days > plan.max_extension_days:
        allowed = f"the plan allows {_days(plan.max_extension_days)}"
        return Finding("hold", (*lacking, f"to decide it would take {_days(days)} more, and {allowed}."))
    power = format_number("power_share", plan.power)
    return Finding(
        "extend",
        (*lacking, f"{_days(days)} more would give it a power of {power}; write the later end into the plan's window."),
        days,
    )


def _headed(kind: str, reasons: tuple[str, ...]) -> tuple[str, ...]:
    """The reasons, the first of them headed by what they amount to."""
    return (f"{kind}: {reasons[0]}", *reasons[1:])


def _until(looks: Looks) -> tuple[str, ...]:
    if looks.next_planned is None:
        return ()
    what = "is read whole" if looks.next_planned == looks.planned[-1] else "has its next planned look"
    return (f"it {what} on {format_instant_day(looks.next_planned)}.",)


def conditional_power(plan: ExperimentPlan, primary: Effect, looks: Looks) -> float | None:
    """The chance that the last look shows a win, given what there is and that the planned effect is true.

    With Z at information t, the drift theta of the planned effect and the last bound c it is
    Φ((Z√t + theta (1 - t) - c) / √(1 - t)): Lan & Wittes (1988), Biometrics 44:579. None where it cannot be known.
    """
    difference, t = primary.difference, looks.current.fraction
    if (
        plan.rule == "not_inferior"
        or plan.planned_effect is None
        or not difference.se
        or difference.value is None
        or primary.sign is None
    ):
        return None
    bounds = looks.bounds()
    if not bounds or not 0 < t < 1:
        return None
    z = primary.sign * difference.value / difference.se
    drift = plan.planned_effect / (difference.se * math.sqrt(t))
    return _NORMAL.cdf((z * math.sqrt(t) + drift * (1 - t) - bounds[-1].z) / math.sqrt(1 - t))


def _days_needed(plan: ExperimentPlan, effect: Effect, looks: Looks) -> int | None:
    """Days after which the observed standard error would have shrunk to what the plan's power needs.

    Of a gain: reach + z(power) standard errors in the planned effect, or in the smallest that is worth having where
    none was planned; of a margin: as many in the margin, with the power corrected for the number of guardrails
    (Schultzberg, Ankargren & Frånberg 2024). The reach is that of an extension, whose intervals are wider: alpha is
    spent. The observed effect has no say: what looks promising is partly luck. None where there is no error to shrink,
    or it was small enough for what was planned.
    """
    if not effect.difference.se:
        return None
    target = effect.margin if effect.margin is not None else (plan.planned_effect or effect.smallest)
    if target is None:
        return None
    reach = looks.critical() or _NORMAL.inv_cdf(1 - plan.alpha_of_a_comparison / 2)
    power = 1 - (1 - plan.power) / (len(plan.guardrails) + 1)
    if target / (reach + _NORMAL.inv_cdf(power)) >= effect.difference.se:
        return None
    window_days = (plan.window.window.end - plan.window.window.start) / timedelta(days=1)
    growth = 1.0
    for _ in range(_STEPS):  # the more units, the shorter the reach, the fewer units are needed
        needed = target / (looks.reach_ahead(growth) + _NORMAL.inv_cdf(power))
        growth = max((effect.difference.se / needed) ** 2, 1.0)
    return math.ceil(window_days * (growth - 1))


def _no_more_data(plan: ExperimentPlan, missing: Sequence[Effect], needed: Sequence[int | None]) -> list[str]:
    """Why more data are not what is missing."""
    reasons = []
    for effect, days in zip(missing, needed, strict=True):
        head = _head(effect)
        if days is not None or effect.difference.value is None:
            continue
        if not effect.difference.se:
            reasons.append(f"{head} has no error that more data would shrink.")
        elif effect.margin is None and plan.planned_effect is None and effect.smallest is None:
            reasons.append(f"{head}: the plan names no effect, so how much more it takes is not known.")
        else:
            reasons.append(f"{head} had the power that was planned, and did not show it.")
    return reasons


def _best_segments(primary: Effect, segments: SegmentEffects | None) -> list[str]:
    """Where there is evidence of a gain: the segments differ, this one is better by Holm's p, and by enough."""
    if segments is None:
        return []
    found = []
    for test in segments.of(primary.treatment):
        if test.overall.metric != primary.metric or not test.evident:
            continue
        found += [
            f"{each.where} gains: its difference is {format_change(each.difference.value, each.unit)}, "
            f"{format_change_interval(each.difference.ci_lower, each.difference.ci_upper, each.unit)} "
            f"({_counted(test)}); plan an experiment of its own there."
            for each in _winners(test)
        ]
    return found


def _winners(test: SegmentTest) -> list[Effect]:
    return [
        each.effect
        for each in test.found
        if each.p_adjusted is not None
        and each.p_adjusted < test.alpha
        and each.effect.outcome == "better"
        and each.effect.practical in {"reached", None}
    ]


def _counted(test: SegmentTest) -> str:
    return f"one of {len(test.found)} values of {test.segment}, by Holm's p"


def _over_budget(plan: ExperimentPlan, effects: Sequence[Effect]) -> list[str]:
    """The treatment's own level against each budget."""
    reasons = []
    for budget in plan.budgets:
        effect = next((each for each in effects if each.metric == budget.metric and not each.segment), None)
        level = None if effect is None else effect.treatment_mean if effect.level is None else effect.level.value
        if effect is None or level is None:
            reasons.append(f"budget {budget.metric} is not known: {_why_unknown(effect)}.")
            continue
        above = budget.at_most is not None and level > budget.at_most
        below = budget.at_least is not None and level < budget.at_least
        if above or below:
            shown = format_number("mean", level, unit=effect.unit)
            reasons.append(f"budget {budget.metric} is not kept: {shown} in the treatment, planned {budget.text}.")
    return reasons


def _why_unknown(effect: Effect | None) -> str:
    return "it was not measured" if effect is None else effect.difference.reason or "no requests that count"


def _unmet(plan: ExperimentPlan) -> list[str]:
    return [f"condition {each.name} is not met: {each.text.rstrip('.')}." for each in plan.conditions if not each.met]


def explain(plan: ExperimentPlan, effect: Effect) -> str:
    """What one metric says, with the numbers that say it."""
    head, difference = _head(effect), effect.difference
    if difference.value is None:
        return f"{head} is absent: {difference.reason}."
    if difference.ci_lower is None or difference.ci_upper is None:
        return f"{head} has no interval: {difference.reason}."
    interval = format_change_interval(difference.ci_lower, difference.ci_upper, effect.unit)
    by_margin = effect.role != "primary" or plan.rule == "not_inferior"
    if effect.margin is None or not by_margin:
        if effect.outcome == "unclear":
            return f"{head} is unclear: the interval of its difference, {interval}, holds 0."
        return f"{head} is {effect.outcome}: the interval of its difference is {interval}."
    margin = format_change(effect.margin, effect.unit)
    if effect.against_margin == "unclear" and effect.role == "data_quality":
        return f"{head} is not shown to be within its margin of {margin}: the interval of its difference is {interval}."
    if effect.against_margin == "unclear":
        side = "fall" if effect.direction == "increase" else "rise"
        return f"{head} may {side} by its margin of {margin} or more: the interval of its difference is {interval}."
    return f"{head} is {effect.against_margin} its margin of {margin}: the interval of its difference is {interval}."


def _head(effect: Effect) -> str:
    where = f" in {effect.where}" if effect.segment else ""
    return f"{effect.role.replace('_', ' ')} {effect.metric}{where}"


def _days(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"
