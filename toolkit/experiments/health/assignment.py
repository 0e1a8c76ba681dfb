"""Assignment: did the plan's hash and weights give every unit its variant, and were the variants alike before?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit import stats
from toolkit.experiments.changes import p_text
from toolkit.experiments.exposures import SAMPLE_UNITS
from toolkit.experiments.health import queries
from toolkit.experiments.health.evidence import NOT_COUNTED, Evidence, Part, differs, homogeneity_p, share_gap
from toolkit.experiments.health.findings import Cause, Check, bounded, percent, ratio_text
from toolkit.experiments.health.past import past_differences

if TYPE_CHECKING:
    from toolkit.experiments.telemetry import Assigned

MISPLACED_UNITS = 0.01
"""Share of units in the wrong place (double exposed, or not assigned by the plan's hash) above which nothing is
concluded. Whatever such units are like, they move a mean by at most this share of their distance from the others."""

_RATIO = ("sample_ratio", "sample_ratio_by_segment", "sample_ratio_by_day")
_EXPLAINED = 0.03
"""Another key or other weights explain an assignment that they get wrong for no more than this share of units."""


def assignment_checks(seen: Evidence) -> Iterator[Check]:
    """The checks of this stage."""
    yield _sample_ratio(seen)
    yield _by_part(seen, "sample_ratio_by_segment", seen.segment_parts)
    yield _by_part(seen, "sample_ratio_by_day", seen.parts("day"))
    yield _assignment(seen)
    if seen.plan.eligible:
        for treatment in seen.plan.treatments:
            yield _eligibility(seen, treatment)
    yield _balance(seen)


def _sample_ratio(seen: Evidence) -> Check:
    plan, ratio = seen.plan, seen.sample_ratio
    names, planned = " : ".join(plan.variants), " : ".join(str(weight) for weight in plan.weights.values())
    expected = f"p of at least {seen.alpha:g}"
    query = queries.sample_ratio(seen)
    if ratio.p_value is None:
        reason = f"The sample ratio is unknown: {ratio.reason}."
        return Check("sample_ratio", False, True, None, expected, reason, query=query)
    always = stats.sequential_sample_ratio([seen.exposed[name] for name in seen.active], seen.weights)
    decisive = _decisive_p(seen, ratio.p_value, always.p_value)
    passed = decisive >= seen.alpha
    other = f"p = {always.p_value:.3g} at any look" if always.p_value is not None else "no sequential test"
    method = f"p = {ratio.p_value:.3g} ({ratio.method}), {other}"
    text = (
        f"{ratio_text(list(seen.exposed.values()))} units ({names}) {'agree' if passed else 'do not agree'} with the "
        f"planned {planned}: {method}, largest deviation {percent(ratio.largest_deviation)} of all units."
    )
    return Check("sample_ratio", passed, True, decisive, expected, text, query=query)


def _decisive_p(seen: Evidence, once: float, always: float | None) -> float:
    """The chi-square's p where the data are read once; else the one that is valid at any look.

    At the planned looks of a group sequential design both count, each at half of alpha and the chi-square's split over
    the looks: it finds what is there sooner.
    """
    design, looks = seen.plan.design, seen.plan.planned_looks
    if design.kind == "fixed" or always is None:
        return once
    if design.kind == "group_sequential" and (seen.units.as_of in looks or seen.units.as_of >= looks[-1]):
        return min(1.0, 2 * min(len(looks) * once, always))
    return always


def _by_part(seen: Evidence, code: str, parts: Sequence[Part]) -> Check:
    """The ratio within every segment value or day, Holm over all of them; and that they agree with one another."""
    what = "segment value" if code.endswith("segment") else "day"
    if not seen.told:
        return Check.untold(code, f"Not told: {NOT_COUNTED}.", hard=True)
    if not parts:
        reason = (
            "the plan and the model name no segments"
            if code.endswith("segment") and not seen.telemetry.segments
            else f"no {what} has enough units"
        )
        return Check.untold(code, f"Not told: {reason}.", hard=True)
    kinds = list(dict.fromkeys(part.kind for part in parts))
    alike = [homogeneity_p([part.counts for part in parts if part.kind == kind]) for kind in kinds]
    worst = min(parts, key=lambda part: part.adjusted)
    # Two questions, each at half of alpha: is a part off the plan, and do parts differ from each other?
    p_value = min(1.0, 2 * min(worst.adjusted, len(alike) * min(alike)))
    passed = p_value >= seen.alpha
    broken = [part for part in parts if 2 * part.adjusted < seen.alpha]
    if passed:
        text = f"The ratio holds in each of {len(parts)} {what}s (smallest p = {p_value:.3g}, Holm)."
    elif broken:
        named = ", ".join(f"{part.name} ({ratio_text(part.counts)})" for part in broken[:3])
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        rest = f"it holds in the other {len(parts) - len(broken)}" if len(broken) < len(parts) else "in every one"
        text = f"The ratio is broken in {named}{more}; {rest} (p {p_text(p_value)}, Holm)."
    else:
        text = f"The ratio differs from {what} to {what} (p {p_text(p_value)}), though no single one is far off."
    expected = f"p of at least {seen.alpha:g} over all {what}s"
    query = queries.by_day(seen) if what == "day" else queries.by_segment(seen, worst.kind)
    return Check(code, passed, True, p_value, expected, text, query=query)


def _assignment(seen: Evidence) -> Check:
    rule, size, wrong = seen.plan.assignment, len(seen.sample), len(seen.wrong)
    share = stats.proportion(wrong, size)
    text = (
        f"{wrong:,} of {size:,} recomputed assignments ({rule.hash} {rule.version}, key {rule.key!r}) disagree with "
        f"the exposures; a sample of at most {SAMPLE_UNITS:,} units by the hash of their ids."
    )
    found = bounded("assignment", share, MISPLACED_UNITS, text)
    return replace(found, query=queries.exposures(seen))


def _ineligible(seen: Evidence, treatment: str) -> stats.Estimate:
    """Treatment minus control: units that the plan's condition leaves out."""
    ends = []
    for name in (seen.plan.control, treatment):
        left_out = seen.units.ineligible.get(name, 0)
        ends += [left_out, left_out + seen.exposed[name]]
    return share_gap(*ends)


def _eligibility(seen: Evidence, treatment: str) -> Check:
    """What is known at assignment cannot hang on the variant; a condition that does selects its units."""
    gap = _ineligible(seen, treatment)
    if gap.value is None:
        return Check.untold("eligibility", f"Not told: {gap.reason}.", hard=True, variant=treatment)
    left_out = [seen.units.ineligible.get(name, 0) for name in (seen.plan.control, treatment)]
    tested = "" if gap.p_value is None else f" (p {p_text(gap.p_value)})"
    text = (
        f"The plan's condition leaves out {left_out[0]:,} units of {seen.plan.control} and {left_out[1]:,} of "
        f"{treatment}{tested}."
    )
    passed = not differs(gap, seen.alpha)
    expected, query = f"the same share of both (p of at least {seen.alpha:g})", queries.requests_by_day(seen)
    return Check("eligibility", passed, True, gap.value, expected, text, treatment, gap, query=query)


def _balance(seen: Evidence) -> Check:
    """Whether variants were alike in what was before their exposure; Holm over metrics, covariates and treatments."""
    found, reason = past_differences(seen)
    if reason:
        return Check.untold("balance_before_start", f"Not told: {reason}.", hard=True)
    adjusted = stats.adjust_p([each.estimate.p_value for each in found], "holm")
    told = [(p, each) for p, each in zip(adjusted, found, strict=True) if p is not None]
    if not told:
        return Check.untold("balance_before_start", "Not told: nothing of the time before varies.", hard=True)
    p_value, worst = min(told, key=lambda pair: pair[0])
    passed = p_value >= seen.alpha
    expected = f"p of at least {seen.alpha:g}"
    text = (
        f"{len(told)} comparisons of what was before exposure show no difference (smallest p = {p_value:.3g}, Holm)."
        if passed
        else f"Before their exposure the units of {worst.treatment} already differed from those of "
        f"{seen.plan.control} in {worst.what}: {worst.estimate.value:.3g} (p {p_text(p_value)}, Holm over "
        f"{len(told)} comparisons)."
    )
    query = queries.before_start(seen)
    return Check("balance_before_start", passed, True, p_value, expected, text, query=query)


def assignment_causes(seen: Evidence) -> Iterator[Cause]:
    """What went wrong in the assignment, if anything did."""
    yield from _other_hash(seen)
    yield from _other_weights(seen)
    yield from _ramp(seen)
    yield from _one_segment(seen)
    yield from _carry_over(seen)
    for treatment in seen.plan.treatments if seen.plan.eligible else ():
        if differs(_ineligible(seen, treatment), seen.alpha):
            text = f"The condition {seen.plan.eligible!r} hangs on the variant: {treatment} changes what it reads."
            yield Cause("eligible_by_variant", text, 0.9, ("eligibility", "sample_ratio"), treatment)


def _other_hash(seen: Evidence) -> Iterator[Cause]:
    """The plan's key says nothing about the variants: another one was used, or another hash."""
    wrong, chance = seen.share_wrong(seen.sample), seen.wrong_by_chance
    if not seen.sample or wrong <= MISPLACED_UNITS or wrong < 0.7 * chance:
        return
    plan = seen.plan
    others = [plan.key, plan.flag, *(each.experiment for each in seen.telemetry.overlaps)]
    for key in dict.fromkeys(key for key in others if key and key != plan.assignment.key):
        if seen.share_wrong(seen.sample, key=key) <= _EXPLAINED:
            text = f"Units were assigned with the key {key!r} and not with the plan's {plan.assignment.key!r}."
            yield Cause("other_key", text, 0.97, ("assignment", *_RATIO))
            return
    alike = f"{percent(wrong)} of the recomputed assignments disagree, as if by chance ({percent(chance)})"
    text = f"Units were assigned with another key or hash: {alike}."
    yield Cause("other_key", text, 0.88, ("assignment", *_RATIO))
    if seen.ratio_broken:
        text = f"The hash that assigned units is biased: {alike}, and the ratio is off on all days alike."
        everywhere = seen.step is None and homogeneity_p([part.counts for part in seen.parts("day")]) > seen.alpha
        yield Cause("biased_hash", text, 0.92 if everywhere else 0.6, ("assignment", *_RATIO))


def _other_weights(seen: Evidence) -> Iterator[Cause]:
    """The plan's key explains the variants if the weights are those that were seen."""
    wrong = seen.share_wrong(seen.sample)
    if not seen.wrong or wrong <= MISPLACED_UNITS / 2 or seen.step is not None:
        return
    weights = {name: count for name, count in seen.exposed.items() if count}
    seen_weights = {name: weights.get(name, 0) for name in seen.plan.variants}
    if _explains(seen, seen.sample, seen_weights, wrong):
        shares = " : ".join(f"{100 * count / sum(weights.values()):.0f}" for count in seen_weights.values())
        planned = " : ".join(str(weight) for weight in seen.plan.weights.values())
        text = (
            f"The flag runs with weights of about {shares} and not with the planned {planned}; its key is the plan's."
        )
        yield Cause("other_weights", text, 0.95, ("assignment", *_RATIO))


def _explains(seen: Evidence, sample: Sequence[Assigned], weights: dict[str, int], wrong: float) -> bool:
    """Whether the plan's key with these weights leaves next to nothing unexplained."""
    left = seen.share_wrong(sample, weights=weights)
    return left <= _EXPLAINED and left < 0.4 * wrong


def _ramp(seen: Evidence) -> Iterator[Cause]:
    """The ratio is one before a day and another from it on."""
    step = seen.step
    if step is None:
        return
    later = [each for each in seen.sample if each.day >= step.day]
    earlier = [each for each in seen.sample if each.day < step.day]
    wrong = max(seen.share_wrong(later), seen.share_wrong(earlier)) if later and earlier else 0.0
    by_key = (
        bool(later and earlier)
        and wrong > MISPLACED_UNITS
        and all(
            seen.share_wrong(part, weights=dict(zip(seen.plan.variants, counts, strict=True))) <= 2 * _EXPLAINED
            for part, counts in ((earlier, step.before), (later, step.after))
            if len(counts) == len(seen.plan.variants)
        )
    )
    text = (
        f"The weights were changed on {step.day} (ramp-up): {ratio_text(step.before)} units before and "
        f"{ratio_text(step.after)} from then on{seen.deployed(step.day)}."
    )
    # Where the plan's weights explain every unit that is there, it is units that are missing, not weights that changed.
    weight = 0.96 if by_key else 0.7 if wrong > MISPLACED_UNITS else 0.4
    yield Cause("ramp_up", text, weight, ("assignment", *_RATIO, "double_exposure"))


def _one_segment(seen: Evidence) -> Iterator[Cause]:
    """The ratio is broken in one segment value, and holds without it."""
    parts = [part for part in seen.segment_parts if part.adjusted < seen.alpha]
    if not parts:
        return
    worst = min(parts, key=lambda part: part.p_value)
    rest = [part for part in seen.parts(worst.kind) if part.value != worst.value]
    others = [part for part in rest if part.adjusted < seen.alpha]
    alone = not others and bool(rest)
    if alone:
        whole = tuple(map(sum, zip(*(part.counts for part in rest), strict=True)))
        p_value = stats.sample_ratio(whole, seen.weights).p_value
        alone = p_value is None or p_value >= seen.alpha
    if max(worst.counts) >= 0.95 * sum(worst.counts) and max(seen.weights) < 0.9 * sum(seen.weights):
        text = f"{worst.name} is not assigned: {ratio_text(worst.counts)} units; its client always shows one variant."
        yield Cause("segment_unassigned", text, 0.97 if alone else 0.85, ("assignment", *_RATIO))
    elif alone and homogeneity_p([part.counts for part in seen.parts(worst.kind)]) < seen.alpha:
        text = f"Only {worst.name} is out of ratio ({ratio_text(worst.counts)}): look at that segment's client."
        yield Cause("segment_client", text, 0.8, _RATIO)


def _carry_over(seen: Evidence) -> Iterator[Cause]:
    """Variants that differed before they were variants, though the hash gave them out: an earlier experiment's mark."""
    found, reason = past_differences(seen)
    adjusted = stats.adjust_p([each.estimate.p_value for each in found], "holm") if not reason else ()
    broken = (
        [each for p, each in zip(adjusted, found, strict=True) if p is not None and p < seen.alpha] if found else []
    )
    if not broken:
        return
    start = seen.plan.window.window.start.date().isoformat()
    for earlier in dict.fromkeys(each.experiment for each in seen.telemetry.overlaps if each.last_day < start):
        if homogeneity_p(seen.crossed(earlier)) < seen.alpha:
            text = (
                f"The earlier experiment {earlier!r} was carried over: its variants are not spread evenly over this "
                f"one's, and {broken[0].what} already differed before the start."
            )
            yield Cause("carry_over", text, 0.97, ("balance_before_start", "other_experiments"))
            return
    text = (
        f"The variants differed in {broken[0].what} before the start: carried over from an earlier experiment with "
        f"the same assignment, or units were moved after their assignment."
    )
    yield Cause("carry_over", text, 0.85, ("balance_before_start",))
