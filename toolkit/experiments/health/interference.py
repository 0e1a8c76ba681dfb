"""Interference: other experiments on the same units, and harm that is too rare to be a metric."""

from __future__ import annotations

from collections.abc import Iterator

from toolkit import stats
from toolkit.experiments.changes import p_text
from toolkit.experiments.health import queries
from toolkit.experiments.health.evidence import NOT_COUNTED, Evidence, differs, homogeneity_p, share_gap
from toolkit.experiments.health.findings import Cause, Check, points

INTERACTION_ALPHA = 0.01
"""Other experiments are looked at with less strictness: a false alarm costs a look, not a verdict."""


def interference_checks(seen: Evidence) -> Iterator[Check]:
    """The checks of this stage."""
    if not seen.told:
        yield Check.untold("other_experiments", f"Not told: {NOT_COUNTED}.")
        return
    yield _other_experiments(seen)
    yield from _interactions(seen)
    for treatment in seen.plan.treatments:
        yield _errors(seen, treatment)
    for treatment in seen.plan.treatments:
        yield _feedback(seen, treatment)


def running(seen: Evidence) -> list[str]:
    """The other experiments that exposed units while this one ran."""
    start = seen.units.window.start.date().isoformat()
    return list(dict.fromkeys(each.experiment for each in seen.telemetry.overlaps if each.last_day >= start))


def _tables(seen: Evidence) -> dict[str, float]:
    """By other experiment, earlier ones too, the p-value of its variants against this one's."""
    names = list(dict.fromkeys(each.experiment for each in seen.telemetry.overlaps))
    found = [homogeneity_p(seen.crossed(name)) for name in names]
    adjusted = stats.adjust_p(found, "holm")
    return {name: 1.0 if p is None else p for name, p in zip(names, adjusted, strict=True)}


def _other_experiments(seen: Evidence) -> Check:
    tables = _tables(seen)
    expected = f"spread evenly (p of at least {seen.alpha:g}, Holm)"
    if not tables:
        text = "No unit was in another experiment, in the window or in the 90 days before it."
        return Check("other_experiments", True, False, 1.0, expected, text)
    worst = min(tables, key=lambda name: tables[name])
    passed = tables[worst] >= seen.alpha
    shared = sum(each.units for each in seen.telemetry.overlaps if each.experiment == worst)
    text = (
        f"Units are also in {', '.join(tables)}; the variants are spread evenly over this experiment's (smallest p = "
        f"{tables[worst]:.3g})."
        if passed
        else f"The variants of {worst}, which {shared:,} units are also in, are not spread evenly over this "
        f"experiment's (p {p_text(tables[worst])}): what one did is taken for what the other did."
    )
    query = queries.other_experiment(seen, worst)
    return Check("other_experiments", passed, False, tables[worst], expected, text, query=query)


def interaction_tests(seen: Evidence) -> list[tuple[str, str, stats.Estimate]]:
    """Other experiment, treatment, and how the primary's difference varies between the other's first two variants.

    p-values by Holm over all of them.
    """
    units, found = seen.units, []
    for name in running(seen):
        segment = f"experiment:{name}"
        if segment not in units.segments:
            continue
        sizes: dict[str, int] = {}
        for each in seen.telemetry.overlaps:
            if each.experiment == name:
                sizes[each.other_variant] = sizes.get(each.other_variant, 0) + each.units
        values = sorted(sizes, key=lambda value: (-sizes[value], value))[:2]
        if len(values) < 2:
            continue
        for treatment in seen.plan.treatments:
            cells = []
            for value in sorted(values):
                effects = stats.compare(units.samples(seen.plan.primary, treatment, segment=segment, value=value))
                cells.append((effects.control, effects.treatment))
            found.append((name, treatment, stats.interaction((cells[0], cells[1]))))
    adjusted = stats.adjust_p([each.p_value for _, _, each in found], "holm")
    return [(name, t, each._replace(p_value=p)) for p, (name, t, each) in zip(adjusted, found, strict=True)]


def _interactions(seen: Evidence) -> Iterator[Check]:
    names = running(seen)
    if not names:
        return
    tests = interaction_tests(seen)
    if not any(each.p_value is not None for _, _, each in tests):
        reason = f"Not told: too few units of {', '.join(names)} are in both variants of both."
        yield Check.untold("interaction", reason)
        return
    for treatment in seen.plan.treatments:
        mine = [(name, each) for name, t, each in tests if t == treatment and each.p_value is not None]
        if not mine:
            continue
        name, worst = min(mine, key=lambda pair: pair[1].p_value or 0.0)
        passed = not differs(worst, INTERACTION_ALPHA)
        text = (
            f"The effect on {seen.plan.primary} does not hang on {', '.join(each for each, _ in mine)} (smallest p "
            f"{p_text(worst.p_value)}, Holm)."
            if passed
            else f"The effect on {seen.plan.primary} hangs on {name}: it differs by {worst.value:.3g} between two of "
            f"its variants (p {p_text(worst.p_value)}, Holm)."
        )
        expected = f"p of at least {INTERACTION_ALPHA:g}"
        query = queries.other_experiment(seen, name)
        yield Check("interaction", passed, False, worst.value, expected, text, treatment, worst, query=query)


def _errors(seen: Evidence, treatment: str) -> Check:
    """Units that saw an error: a harm too rare for a mean shows in an exact test."""
    gap = seen.gap("errors", treatment, less="unserved")
    counts = [seen.telemetry.total(name, "errors") for name in (seen.plan.control, treatment)]
    text = f"{counts[0]:,} units of {seen.plan.control} and {counts[1]:,} of {treatment} saw an error{_tested(gap)}."
    return _rare(seen, "errors", gap, text, treatment, queries.requests_by_day(seen))


def _feedback(seen: Evidence, treatment: str) -> Check:
    missing = (seen.telemetry.missing or {}).get("feedback", "")
    if missing:
        return Check.untold("feedback", f"Not told: {missing}.", variant=treatment)
    worst, gap = _worst_report(seen, treatment)
    counts = [seen.telemetry.count("feedback", worst, name, "units") for name in (seen.plan.control, treatment)]
    what = f" of category {worst!r}" if worst else ""
    told = f"{counts[0]:,} units of {seen.plan.control} and {counts[1]:,} of {treatment} sent a report{what}"
    return _rare(seen, "feedback", gap, f"{told}{_tested(gap)}.", treatment, queries.feedback(seen))


def _worst_report(seen: Evidence, treatment: str) -> tuple[str, stats.Estimate]:
    """The category of reports that differs most, "" for any; its p-value by Holm over the categories."""
    values = list(dict.fromkeys(["", *seen.telemetry.by("feedback")]))
    found = []
    for value in values:
        ends = []
        for name in (seen.plan.control, treatment):
            ends += [seen.telemetry.count("feedback", value, name, "units"), seen.telemetry.total(name, "units")]
        found.append(share_gap(*ends))
    adjusted = stats.adjust_p([each.p_value for each in found], "holm")
    told = [(1.0 if p is None else p, place) for place, p in enumerate(adjusted)]
    p_value, place = min(told)
    return values[place], found[place]._replace(p_value=p_value if found[place].p_value is not None else None)


def _rare(seen: Evidence, code: str, gap: stats.Estimate, text: str, treatment: str, query: str) -> Check:
    expected = f"the same in both variants (p of at least {seen.alpha:g})"
    if gap.value is None:
        return Check.untold(code, f"Not told: {gap.reason}.", variant=treatment)
    passed = not differs(gap, seen.alpha)
    return Check(code, passed, False, gap.value, expected, text, treatment, gap, query=query)


def _tested(gap: stats.Estimate) -> str:
    return "" if gap.p_value is None else f" (p {p_text(gap.p_value)})"


def interference_causes(seen: Evidence) -> Iterator[Cause]:
    """What another experiment did to this one."""
    for name, p_value in _tables(seen).items():
        if p_value < seen.alpha and name in running(seen):
            text = (
                f"{name!r} shares this experiment's assignment, as by the same key: the variants of both go together."
            )
            yield Cause("other_experiment", text, 0.9, ("other_experiments", "interaction", "balance_before_start"))
    for name, treatment, test in interaction_tests(seen) if seen.told else ():
        if differs(test, INTERACTION_ALPHA):
            then = "run one after the other, or judge each variant of it apart"
            text = f"{treatment} works differently for units in {name!r}: {then}."
            yield Cause("interaction", text, 0.9, ("interaction",), treatment)
    for treatment in seen.plan.treatments:
        worst, gap = _worst_report(seen, treatment)
        if differs(gap, seen.alpha):
            what = f" about {worst!r}" if worst else ""
            more = "more" if (gap.value or 0) > 0 else "fewer"
            text = f"People notice {treatment}: {points(gap.value)} {more} of its units send a report{what}."
            yield Cause("people_notice", text, 0.8, ("feedback",), treatment)
