"""Exposure and execution: was each unit shown one variant, when it is said to have been, and served by its version?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from toolkit import stats
from toolkit.experiments.changes import p_text
from toolkit.experiments.health import queries
from toolkit.experiments.health.assignment import MISPLACED_UNITS
from toolkit.experiments.health.evidence import NOT_COUNTED, Evidence, differs, homogeneity_p, share_gap
from toolkit.experiments.health.findings import Cause, Check, bounded, percent, points, with_interval

MISSERVED_REQUESTS = 0.001
"""Share of requests by the wrong version, or served before their exposure was logged, above which nothing is concluded.
Stricter than for units: routing and logging are the team's own code, and where they fail they fail for a kind of
request, not at random."""

_MOST = 0.5
_ONE_VERSION = "all variants are served by one version, which does not tell them apart"


def exposure_checks(seen: Evidence) -> Iterator[Check]:
    """The checks of this stage."""
    yield _double_exposure(seen)
    yield _unplanned_variants(seen)
    for treatment in seen.plan.treatments:
        yield _unserved(seen, treatment)
    for treatment in seen.plan.treatments:
        yield _unexposed(seen, treatment)
    yield _late_exposure(seen)
    yield _wrong_version(seen)


def _double_exposure(seen: Evidence) -> Check:
    units = seen.units
    share = stats.proportion(units.double_exposed, units.exposed)
    text = (
        f"{units.double_exposed:,} of {units.exposed:,} exposed units were seen in more than one variant "
        f"({with_interval(share)}); they are left out."
    )
    found = bounded("double_exposure", share, MISPLACED_UNITS, text)
    return _asking(found, queries.double_exposed(seen))


def _unplanned_variants(seen: Evidence) -> Check:
    units = seen.units
    share = stats.proportion(units.unplanned, units.exposed)
    text = f"{units.unplanned:,} of {units.exposed:,} exposed units were in a variant that the plan does not have."
    query = queries.variants(seen)
    return Check("unplanned_variants", units.unplanned == 0, True, share.value, "none", text, "", share, query=query)


def _unserved(seen: Evidence, treatment: str) -> Check:
    """Units that were exposed and have no request: harmless where it is chance, a selection where it is the variant."""
    control, treated = seen.units.arrivals[seen.plan.control], seen.units.arrivals[treatment]
    gap = share_gap(
        control.exposed - control.served, control.exposed, treated.exposed - treated.served, treated.exposed
    )
    expected = f"the same in both variants (p of at least {seen.alpha:g})"
    shares = (
        f"{control.exposed - control.served:,} of {control.exposed:,} units exposed to {seen.plan.control} and "
        f"{treated.exposed - treated.served:,} of {treated.exposed:,} exposed to {treatment} have no served request "
        f"at or after their exposure"
    )
    query = queries.unserved(seen)
    if gap.value is None:
        return Check("unserved", False, True, None, expected, f"{shares}: {gap.reason}.", treatment, query=query)
    if gap.p_value is None:  # all have one, or none has: the variants do not differ
        return Check("unserved", True, True, gap.value, expected, f"{shares}.", treatment, gap)
    passed = gap.p_value >= seen.alpha
    text = f"{shares} (p {p_text(gap.p_value)}); such units have no part in the effects."
    return Check("unserved", passed, True, gap.value, expected, text, treatment, gap, query=query)


def _unexposed(seen: Evidence, treatment: str) -> Check:
    """Units that the treatment's version served and that were never exposed: their exposure was lost, or never made."""
    if not seen.told:
        return Check.untold("unexposed", f"Not told: {NOT_COUNTED}.", variant=treatment)
    if not seen.own_version(treatment):
        return Check.untold("unexposed", f"Not told: {_ONE_VERSION}.", variant=treatment)
    alone = unexposed_units(seen, treatment)
    served = seen.telemetry.total(treatment, "units") - seen.telemetry.total(treatment, "unserved")
    share = stats.proportion(alone, alone + served)
    version = seen.plan.variants[treatment].version
    text = (
        f"{alone:,} of {alone + served:,} units that version {version} of {treatment} served have no exposure; "
        f"they are in no variant."
    )
    found = bounded("unexposed", share, MISPLACED_UNITS, text, hard=False, variant=treatment)
    return _asking(found, queries.unexposed(seen))


def unexposed_units(seen: Evidence, treatment: str, name: str = "units") -> int:
    """Units without exposure that the treatment's version served; or another of their counts."""
    version = seen.plan.variants[treatment].version
    return sum(int(each.get(version, {}).get(name, 0)) for each in seen.telemetry.by("unexposed").values())


def _late_exposure(seen: Evidence) -> Check:
    """A treatment's own version can only have served a unit before its exposure if the exposure was logged late."""
    telling = [seen.units.arrivals[name] for name in seen.plan.treatments if seen.own_version(name)]
    if not telling:
        return Check.untold("late_exposure", f"Not told: {_ONE_VERSION}.", hard=True)
    early = sum(counts.early for counts in telling)
    requests = early + sum(counts.requests for counts in telling)
    if not requests:
        return Check.untold("late_exposure", "Not told: no request of a treatment was served.", hard=True)
    share = stats.proportion(early, requests)
    text = (
        f"{early:,} of {requests:,} requests in the treatments were served by the variant's own version before the "
        f"unit's exposure was logged; they are not counted."
    )
    return _asking(bounded("late_exposure", share, MISSERVED_REQUESTS, text), queries.lags(seen))


def _wrong_version(seen: Evidence) -> Check:
    if len({variant.version for variant in seen.plan.variants.values()}) == 1:
        return Check.untold("wrong_version", f"Not told: {_ONE_VERSION}.", hard=True)
    arrivals = seen.units.arrivals
    wrong = sum(counts.other_version for counts in arrivals.values())
    requests = sum(counts.requests for counts in arrivals.values())
    by_variant = ", ".join(f"{variant} {counts.other_version:,}" for variant, counts in arrivals.items())
    share = stats.proportion(wrong, requests)
    text = (
        f"{wrong:,} of {requests:,} served requests were answered by another version than their variant's "
        f"({by_variant}); they are not counted."
    )
    return _asking(bounded("wrong_version", share, MISSERVED_REQUESTS, text), queries.versions(seen))


def _asking(check: Check, query: str) -> Check:
    return replace(check, query=query)


def exposure_causes(seen: Evidence) -> Iterator[Cause]:
    """What went wrong in showing variants and serving them."""
    yield from _two_at_once(seen)
    yield from _strange_variants(seen)
    for treatment in seen.plan.treatments:
        yield from _crash(seen, treatment)
        yield from _lost_before_logging(seen, treatment)
        yield from _lost_exposures(seen, treatment)
        yield from _late_logging(seen, treatment)
        yield from _changed_ids(seen, treatment)
    yield from _wrong_route(seen)


def _two_at_once(seen: Evidence) -> Iterator[Cause]:
    """Units in two variants: both logged by one event, or one variant shown after the other."""
    count = seen.telemetry.count
    gaps = {value: _over_variants(seen, "switch_gap", value) for value in seen.telemetry.by("switch_gap")}
    doubles = sum(gaps.values())
    if not doubles or doubles <= MISPLACED_UNITS * seen.units.exposed / 2:
        return
    at_once = gaps.get("at once", 0) / doubles
    if at_once >= _MOST:
        text = f"One event logs exposures to both variants: {percent(at_once)} of such units have both within a second."
        yield Cause("both_logged", text, 0.95, ("double_exposure",))
        return
    both = _over_variants(seen, "switch_served", "by both") / doubles
    back = _over_variants(seen, "switch_back", "back again") / doubles
    ways = {
        (first, value): count("switch", value, first, "units")
        for value, by_variant in seen.telemetry.by("switch").items()
        for first in by_variant
    }
    (first, then), most = max(ways.items(), key=lambda pair: pair[1])
    one_way = f"{percent(most / doubles)} go from {first} to {then}"
    text = (
        f"Clients keep a variant that they should not (a cache, or a login that comes late): units change variant "
        f"after a while, {one_way}, {percent(both)} are served by both versions, {percent(back)} see the first again."
    )
    yield Cause(
        "cached_variant", text, 0.9 if both >= _MOST or back >= 0.1 else 0.75, ("double_exposure", "wrong_version")
    )


def _over_variants(seen: Evidence, kind: str, value: str) -> int:
    return sum(int(counts.get("units", 0)) for counts in seen.telemetry.by(kind).get(value, {}).values())


def _strange_variants(seen: Evidence) -> Iterator[Cause]:
    for value in seen.telemetry.by("unplanned"):
        near = get_close_matches(value, seen.plan.variants, n=1)
        units = _over_variants(seen, "unplanned", value)
        if near:
            text = f"The log writes {value!r} where the plan says {near[0]!r} ({units:,} units)."
            yield Cause("misspelt_variant", text, 0.95, ("unplanned_variants", "sample_ratio"))
        else:
            text = f"The flag still serves {value!r}, which the plan has dropped or another plan has ({units:,} units)."
            yield Cause("left_over_variant", text, 0.8, ("unplanned_variants", "sample_ratio"))


def _crash(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """More exposed units of one variant without an answer, and more errors among those with one."""
    lost, errors = seen.gap("unserved", treatment), seen.gap("errors", treatment, less="unserved")
    explains = ("unserved", "errors", "sample_ratio_by_segment", "requests_per_unit")
    for who, sign in ((treatment, 1), (seen.plan.control, -1)):
        fewer, failing = (differs(gap, seen.alpha) and sign * (gap.value or 0) > 0 for gap in (lost, errors))
        without, with_error = points(lost.value), points(errors.value)
        if fewer and failing:
            text = (
                f"{who} crashes: {without} more of its exposed units have no answer, and {with_error} more of the "
                f"others see an error."
            )
            yield Cause("crash", text, 0.95, explains, treatment)
        elif fewer:
            text = f"{who} fails before it answers, or its answers are not logged: {without} more have no request."
            yield Cause("crash", text, 0.6, explains, treatment)
        elif failing:
            text = f"{who} fails more often: {with_error} more of its units see an error."
            yield Cause("failing", text, 0.7, ("errors",), treatment)


def _lost_before_logging(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """Units are missing and left no trace at all: they went before anything was logged."""
    excess = seen.excess(treatment)
    if not seen.ratio_broken or seen.share_wrong(seen.sample) > MISPLACED_UNITS:
        return
    who, missing = (treatment, -excess) if excess < 0 else (seen.plan.control, excess / (1 + excess))
    gone = missing * seen.exposed[who] / (1 - missing) if missing < 1 else 0.0
    # Units that the control's version serves without exposure are those outside the experiment.
    if who == treatment and unexposed_units(seen, treatment) > 0.3 * gone:
        return
    everywhere = homogeneity_p([part.counts for part in seen.parts("day")]) >= seen.alpha
    text = (
        f"{who} loses units before anything is logged (a redirect or a slow start that people leave): it has "
        f"{percent(missing)} fewer than planned{', on all days alike' if everywhere else ''}, those it has are "
        f"assigned right, and the missing left no request."
    )
    weight = 0.75 if everywhere else 0.5
    explains = ("sample_ratio", "sample_ratio_by_day", "sample_ratio_by_segment")
    yield Cause("lost_before_logging", text, weight, explains, treatment)


def _lost_exposures(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """Units are missing, and the treatment's version served units without exposure."""
    alone = unexposed_units(seen, treatment)
    served = seen.telemetry.total(treatment, "units")
    if not seen.own_version(treatment) or alone <= MISPLACED_UNITS * (alone + served):
        return
    explains = ("sample_ratio", "sample_ratio_by_day", "sample_ratio_by_segment", "unexposed", "late_exposure")
    with_label = [unexposed_units(seen, treatment, each) for each in ("own_labelled", "own_label_sum")]
    known = [seen.telemetry.total(treatment, each) for each in ("own_labelled", "own_label_sum")]
    chosen = share_gap(int(with_label[1]), int(with_label[0]), int(known[1]), int(known[0]))
    after = seen.telemetry.total(treatment, "after_outcome")
    waited = after / served if served else 0.0
    shares = all(0 <= total <= n for n, total in (with_label, known))  # labels of other kinds have other means
    if shares and differs(chosen, seen.alpha):
        text = (
            f"Exposure to {treatment} is logged by what happened afterwards: the mean label of exposed units is "
            f"{known[1] / known[0]:.2f} and that of {alone:,} units that it served without exposure "
            f"{with_label[1] / with_label[0]:.2f}"
            + (f"; {percent(waited)} were exposed only after their outcome." if after else ".")
        )
        yield Cause("outcome_triggered", text, 0.97, explains, treatment)
    text = (
        f"Exposure events of {treatment} are lost: its version served {alone:,} units that have none"
        f"{_on_a_day(seen, treatment)}."
    )
    yield Cause("lost_exposures", text, 0.85, explains, treatment)


def _on_a_day(seen: Evidence, treatment: str) -> str:
    version = seen.plan.variants[treatment].version
    by_day = {day: int(each.get(version, {}).get("units", 0)) for day, each in seen.telemetry.by("unexposed").items()}
    day, most = max(by_day.items(), key=lambda pair: pair[1])
    return f", most of them on {day}{seen.deployed(day)}" if most >= _MOST * sum(by_day.values()) else ""


def _late_logging(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """The treatment's own version had served units before their exposure."""
    early, served = seen.telemetry.total(treatment, "early"), seen.telemetry.total(treatment, "units")
    if not seen.own_version(treatment) or not served or early <= MISSERVED_REQUESTS * served:
        return
    days = {
        day: seen.telemetry.count("request_day", day, treatment, "early") for day in seen.telemetry.by("request_day")
    }
    day, most = max(days.items(), key=lambda pair: pair[1])
    since = (
        f", most of them on {day}{seen.deployed(day)}" if len(days) > 1 and most >= _MOST * sum(days.values()) else ""
    )
    explains = ("late_exposure", "unserved")
    after = seen.telemetry.total(treatment, "after_outcome")
    if after >= _MOST * early:
        known = f"{after:,} of {early:,} late ones came after their label"
        text = f"Exposure to {treatment} is logged when the outcome is known: {known}."
        yield Cause("outcome_triggered", text, 0.9, explains, treatment)
    text = (
        f"Exposure to {treatment} is logged late: its version had already served {percent(early / served)} of its "
        f"units{since}."
    )
    yield Cause("late_logging", text, 0.85, explains, treatment)


def _changed_ids(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """One variant has more units than planned, each with fewer requests, and about as many requests as planned."""
    control, gap, excess = seen.plan.control, seen.requests_gap(treatment), seen.excess(treatment)
    requests = {name: seen.telemetry.total(name, "requests") for name in (control, treatment)}
    if not seen.ratio_broken or not all(requests.values()) or not differs(gap, seen.alpha):
        return
    if (gap.value or 0) * excess > 0:  # the variant with more units has the more active ones
        return
    planned = seen.plan.weights[treatment] / seen.plan.weights[control]
    if abs(requests[treatment] / requests[control] / planned - 1) < abs(excess) / 2:
        who, more = (treatment, excess) if excess > 0 else (control, 1 / (1 + excess) - 1)
        text = (
            f"Units of {who} change their id (a cookie that is lost): it has {percent(more)} more units than planned, "
            f"each with fewer requests, and no more requests in all."
        )
        explains = ("sample_ratio", "sample_ratio_by_day", "requests_per_unit", "assignment", "balance_before_start")
        yield Cause("changed_ids", text, 0.93, explains, treatment)


def _wrong_route(seen: Evidence) -> Iterator[Cause]:
    """Requests by another version than the variant's: who, and from when."""
    others = {name: counts.other_version for name, counts in seen.units.arrivals.items()}
    whole = sum(counts.requests for counts in seen.units.arrivals.values())
    wrong = sum(others.values())
    if not whole or wrong <= MISSERVED_REQUESTS * whole / 2:
        return
    worst = max(others, key=lambda name: others[name])
    days = {day: seen.telemetry.count("request_day", day, worst, "other") for day in seen.telemetry.by("request_day")}
    first = next((day for day, count in sorted(days.items()) if count), "")
    later = bool(first) and first > min(days)
    since = f" from {first} on{seen.deployed(first)}" if later else ""
    alone = others[worst] >= 0.9 * wrong
    who = f"requests of {worst}" if alone else "requests of several variants"
    text = f"Routing sends {who} to another version{since}: {others[worst]:,} of {wrong:,} such requests."
    yield Cause("wrong_route", text, 0.88 if alone else 0.7, ("wrong_version", "requests_per_unit"))
