"""Analysis: are labels, covariates and data quality alike in all variants, and is an effect too good to be true?"""

from __future__ import annotations

from collections.abc import Iterator

from toolkit import stats
from toolkit.data import LABEL
from toolkit.display import format_number
from toolkit.experiments.changes import p_text
from toolkit.experiments.health import queries
from toolkit.experiments.health.evidence import Evidence, differs, share_gap
from toolkit.experiments.health.findings import Cause, Check, higher, percent, points, with_interval
from toolkit.experiments.health.log_processing import SMALLEST_GAP
from toolkit.metrics.needs import columns_needed, scalars_needed

SUSPICIOUS_LIFT = 0.5
"""Twyman's law: whatever is this interesting is usually wrong. Launches that move a metric by half are next to none."""

SUSPICIOUS_FACTOR = 5
"""So many times the planned effect is a surprise, and surprises are looked at before they are believed."""


def analysis_checks(seen: Evidence) -> Iterator[Check]:
    """The checks of this stage."""
    plan = seen.plan
    for variant in (plan.control, *plan.treatments):
        yield _label_maturity(seen, variant)
    for treatment in plan.treatments:
        yield _label_difference(seen, treatment)
    if plan.covariates:
        for treatment in plan.treatments:
            yield _missing_covariates(seen, treatment)
    for quality in plan.data_quality:
        for treatment in plan.treatments:
            yield _data_quality(seen, quality.metric, quality.margin, treatment)
    for treatment in plan.treatments:
        yield _suspicious_lift(seen, treatment)
    if plan.cluster:
        yield _unclustered(seen)


def _label_maturity(seen: Evidence, variant: str) -> Check:
    counts = seen.units.arrivals[variant]
    share = stats.proportion(counts.labelled, counts.answered)
    text = (
        f"{counts.labelled:,} of {counts.answered:,} answered requests of {variant} have a label "
        f"({with_interval(share)})."
    )
    bound = seen.plan.label_maturity.minimum_share
    passed = share.value is not None and share.value >= bound
    expected, query = f"at least {percent(bound)}", queries.requests_by_day(seen)
    return Check("label_maturity", passed, True, share.value, expected, text, variant, share, query=query)


def label_gap(seen: Evidence, treatment: str) -> stats.Estimate:
    """Treatment minus control: answered requests with a label.

    Tested by units, of whose requests none may lack one: what a unit's labels hang on it shares with itself.
    """
    control, treated = seen.units.arrivals[seen.plan.control], seen.units.arrivals[treatment]
    gap = share_gap(control.labelled, control.answered, treated.labelled, treated.answered)
    return gap._replace(p_value=seen.gap("unlabelled", treatment, less="unserved").p_value) if seen.told else gap


def _labels_decide(seen: Evidence) -> bool:
    """Whether the verdict rests on labels."""
    decisive = [seen.plan.primary, *(guardrail.metric for guardrail in seen.plan.guardrails)]
    return any(LABEL in columns_needed(scalars_needed([seen.units.metrics[key]])) for key in decisive)


def _label_difference(seen: Evidence, treatment: str) -> Check:
    """Labels that hang on the variant select the requests that are compared; so their share must be the same."""
    gap, hard = label_gap(seen, treatment), _labels_decide(seen)
    if gap.value is None:
        reason = f"The shares of labelled requests cannot be compared: {gap.reason}."
        return Check.untold("label_share_difference", reason, hard=hard, variant=treatment)
    expected = f"the same in both variants (p of at least {seen.alpha:g}, or less than {percent(SMALLEST_GAP)} apart)"
    if gap.value == 0:
        text = f"The same share of answered requests has a label in {treatment} and {seen.plan.control}."
    else:
        text = (
            f"The share of answered requests with a label is {higher(gap.value)} in {treatment} than in "
            f"{seen.plan.control} (p {p_text(gap.p_value)})."
        )
    passed = not (differs(gap, seen.alpha) and abs(gap.value) >= SMALLEST_GAP)
    query = queries.requests_by_day(seen)
    return Check("label_share_difference", passed, hard, gap.value, expected, text, treatment, gap, query=query)


def covariate_gaps(seen: Evidence, treatment: str) -> list[tuple[str, stats.Estimate]]:
    """By covariate treatment minus control: groups that count and lack it. p-values by Holm."""
    units = seen.units
    samples = units.samples(seen.plan.primary, treatment, covariates=True)
    missing = units.missing_covariates
    found = [
        (
            label,
            share_gap(
                missing.get((label, seen.plan.control), 0),
                samples.control.n,
                missing.get((label, treatment), 0),
                samples.treatment.n,
            ),
        )
        for label in units.covariates
    ]
    adjusted = stats.adjust_p([gap.p_value for _, gap in found], "holm")
    return [(label, gap._replace(p_value=p)) for p, (label, gap) in zip(adjusted, found, strict=True)]


def _missing_covariates(seen: Evidence, treatment: str) -> Check:
    gaps = [(label, gap) for label, gap in covariate_gaps(seen, treatment) if gap.value is not None]
    if not gaps:
        reason = "Not told: no group of one of the variants counts."
        return Check.untold("missing_covariates", reason, variant=treatment)
    label, worst = max(gaps, key=lambda pair: abs(pair[1].value or 0))
    passed = not any(differs(gap, seen.alpha) for _, gap in gaps)
    text = (
        f"The covariates are missing as often in {treatment} as in {seen.plan.control}."
        if passed
        else f"{label} is missing more often in one variant: {higher(worst.value)} in {treatment} than in "
        f"{seen.plan.control} (p {p_text(worst.p_value)}); what is adjusted by it is biased."
    )
    expected = f"the same in both variants (p of at least {seen.alpha:g}, Holm)"
    columns = [each.column for each in seen.plan.covariates if each.column and each.column.isidentifier()]
    query = queries.nulls(seen, columns) if columns else queries.before_start(seen)
    return Check("missing_covariates", passed, False, worst.value, expected, text, treatment, worst, query=query)


def _data_quality(seen: Evidence, metric: str, margin: float, treatment: str) -> Check:
    """A metric that must be the same: shown to lie within its margin by two one-sided tests."""
    difference = stats.compare(seen.units.samples(metric, treatment)).difference
    expected = f"within {format_number('value', margin)} to either side"
    code = f"data_quality_{metric}"
    if difference.value is not None and difference.se == 0:
        passed = abs(difference.value) < margin
        text = f"{metric} differs by {difference.value:.3g} in {treatment}, without any variation."
        return Check(code, passed, True, difference.value, expected, text, treatment, difference)
    test = stats.equivalent(difference, -margin, margin, alpha=seen.plan.alpha_of_a_comparison)
    if test.passed is None:
        text = f"Whether {metric} is the same in {treatment} is not known: {test.reason}."
        return Check(code, False, True, None, expected, text, treatment, difference)
    text = (
        f"{metric} in {treatment} less that in {seen.plan.control}: {difference.value:.3g}, interval "
        f"{test.ci_lower:.3g} to {test.ci_upper:.3g}, {'within' if test.passed else 'not shown to be within'} its "
        f"margin of {margin:g}."
    )
    query = "" if test.passed else queries.requests_by_day(seen)
    return Check(code, test.passed, True, difference.value, expected, text, treatment, difference, query=query)


def _suspicious_lift(seen: Evidence, treatment: str) -> Check:
    """For information: an effect that asks to be looked at twice."""
    plan, units = seen.plan, seen.units
    odd: list[tuple[float, str]] = []
    compared = 0
    for metric in plan.metrics:
        if not units.metrics[metric].adds_up:
            continue
        effects = stats.compare(units.samples(metric, treatment), confidence=plan.confidence_of_a_comparison)
        compared += effects.difference.value is not None
        lift, difference = effects.lift.value, effects.difference
        if not difference.excludes_zero or difference.value is None:
            continue
        if lift is not None and abs(lift) > SUSPICIOUS_LIFT:
            odd.append((abs(lift), f"{metric} changed by {format_number('rel_lift', lift)}"))
        elif metric == plan.primary and plan.planned_effect:
            times = abs(difference.value) / plan.planned_effect
            if times > SUSPICIOUS_FACTOR:
                odd.append((times, f"{metric} changed by {times:.1f} times the planned effect"))
    expected = f"no lift beyond {percent(SUSPICIOUS_LIFT)}"
    if not compared:
        return Check.untold("suspicious_lift", "Not told: no metric can be compared.", variant=treatment)
    if not odd:
        text = f"No metric of {treatment} changed by so much that one would not believe it."
        return Check("suspicious_lift", None, False, 0.0, expected, text, treatment)
    named = "; ".join(each for _, each in sorted(odd, reverse=True))
    text = f"Too good or too bad to believe without a second look at the log: {named}."
    query = queries.requests_by_day(seen)
    return Check("suspicious_lift", None, False, max(odd)[0], expected, text, treatment, query=query)


def _unclustered(seen: Evidence) -> Check:
    arrivals = seen.units.arrivals.values()
    alone = sum(counts.unclustered for counts in arrivals)
    counted = sum(counts.requests - counts.other_version for counts in arrivals)
    share = stats.proportion(alone, counted)
    text = f"{alone:,} of {counted:,} requests have no cluster; the unit of each stands as a cluster of its own."
    return Check("unclustered", None, False, share.value, "for information", text, estimate=share)


def analysis_causes(seen: Evidence) -> Iterator[Cause]:
    """What went wrong between the log and the numbers."""
    for treatment in seen.plan.treatments:
        yield from _lost_labels(seen, treatment)
        yield from _lost_covariate(seen, treatment)
    yield from _late_labels(seen)


def _lost_labels(seen: Evidence, treatment: str) -> Iterator[Cause]:
    gap = label_gap(seen, treatment)
    if not differs(gap, seen.alpha) or gap.value is None or abs(gap.value) < SMALLEST_GAP:
        return
    who = treatment if gap.value < 0 else seen.plan.control
    count = seen.telemetry.count
    lacking = {
        day: count("request_day", day, who, "answered") - count("request_day", day, who, "labelled")
        for day in seen.telemetry.by("request_day")
    }
    day, most = max(lacking.items(), key=lambda pair: pair[1], default=("", 0))
    one_day = len(lacking) > 2 and most >= 0.5 * sum(lacking.values())
    since = f", most of them of {day}{seen.deployed(day)}" if one_day else ", on all days alike"
    fewer = f"{points(gap.value)} fewer{since}"
    text = f"Labels of {who} are lost in the join (their request ids do not match): {fewer}."
    yield Cause("label_join_loss", text, 0.93, ("label_share_difference", "label_maturity"), treatment)


def _lost_covariate(seen: Evidence, treatment: str) -> Iterator[Cause]:
    if not seen.plan.covariates:
        return
    for label, gap in covariate_gaps(seen, treatment):
        if differs(gap, seen.alpha) and gap.value is not None:
            who = treatment if gap.value > 0 else seen.plan.control
            more = f"{points(gap.value)} more of its groups lack it"
            text = f"The covariate {label} does not reach the log of {who}: {more}."
            yield Cause(
                "covariate_missing",
                text,
                0.92,
                ("missing_covariates", "null_columns", "balance_before_start"),
                treatment,
            )


def _late_labels(seen: Evidence) -> Iterator[Cause]:
    """All variants lack labels: those of the last days are late, or the feed is not whole."""
    bound = seen.plan.label_maturity.minimum_share
    labelled = [counts.labelled / counts.answered for counts in seen.units.arrivals.values() if counts.answered]
    if not labelled or min(labelled) >= bound:
        return
    if not seen.told or "labels" in (seen.telemetry.missing or {}):
        text = "The workspace has no table of outcomes: nothing is labelled."
        yield Cause("no_labels", text, 0.95, ("label_maturity",))
        return
    days = sorted(seen.telemetry.by("request_day"))
    half = days[len(days) // 2 :]
    early, late = (_labelled(seen, part) for part in (days[: len(days) // 2], half))
    if early is not None and late is not None and late < early - 0.05:
        shares = f"{percent(early)} of the requests of the first half have one, {percent(late)} of the second"
        text = f"Labels are late: {shares}."
        yield Cause("late_labels", text, 0.85, ("label_maturity",))
    else:
        text = "Labels are missing in all variants and on all days: the feed of outcomes is not whole."
        yield Cause("missing_labels", text, 0.7, ("label_maturity",))


def _labelled(seen: Evidence, days: list[str]) -> float | None:
    labelled, answered = (
        sum(seen.telemetry.count("request_day", day, name, what) for day in days for name in seen.plan.variants)
        for what in ("labelled", "answered")
    )
    return labelled / answered if answered else None
