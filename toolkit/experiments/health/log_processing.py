"""Log processing: do both variants' events arrive, once each, whole, and with clocks that agree?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from toolkit import stats
from toolkit.experiments.changes import p_text
from toolkit.experiments.health import queries
from toolkit.experiments.health.assignment import MISPLACED_UNITS
from toolkit.experiments.health.evidence import (
    NOT_COUNTED,
    SMALLEST_EXPECTED,
    Evidence,
    differs,
    homogeneity_p,
    share_gap,
)
from toolkit.experiments.health.findings import Cause, Check, higher, percent, points, ratio_text

SMALLEST_GAP = 0.001
"""A difference of shares that is proven and smaller than this moves no mean that anyone decides by."""

_FEWEST = 20
"""Days on which fewer units of a variant are expected to be active are not compared."""

_LOST = 0.5
"""A day on which a variant is off by this much from its other days."""

_SHIFTED = 0.2
"""Units whose exposure and request lie the same number of whole hours apart: by chance one in 30."""


class DayOff(NamedTuple):
    """A day on which a treatment's active units are out of line with its other days; `ratio` 1 would be in line."""

    day: str
    ratio: float
    p_value: float


def log_checks(seen: Evidence) -> Iterator[Check]:
    """The checks of this stage."""
    for treatment in seen.plan.treatments:
        if not seen.told:
            yield Check.untold("telemetry", f"Not told: {NOT_COUNTED}.", hard=True, variant=treatment)
            continue
        yield _requests_per_unit(seen, treatment)
        yield _missing_days(seen, treatment)
        yield _repeated_requests(seen, treatment)
        yield _null_columns(seen, treatment)
        yield _clocks(seen, treatment)


def _requests_per_unit(seen: Evidence, treatment: str) -> Check:
    gap = seen.requests_gap(treatment)
    expected = f"p of at least {seen.alpha:g}"
    if gap.p_value is None:
        if gap.value == 0:
            text = f"Every unit of {treatment} and {seen.plan.control} has the same number of requests."
            return Check("requests_per_unit", True, False, 0.0, expected, text, treatment)
        return Check.untold("requests_per_unit", f"Not told: {gap.reason}.", variant=treatment)
    means = [
        seen.telemetry.total(name, "requests") / max(seen.telemetry.total(name, "units"), 1)
        for name in (seen.plan.control, treatment)
    ]
    text = (
        f"{means[0]:.3g} requests per exposed unit of {seen.plan.control}, {means[1]:.3g} of {treatment} "
        f"(p {p_text(gap.p_value)})."
    )
    passed = gap.p_value >= seen.alpha
    query = queries.requests_by_day(seen)
    return Check("requests_per_unit", passed, False, gap.value, expected, text, treatment, gap, query=query)


def days_off(seen: Evidence, treatment: str) -> tuple[list[DayOff], int]:
    """The days on which a treatment is off, the worst first, and how many days were compared."""
    days = seen.telemetry.by("request_day")
    counts = {
        day: tuple(seen.telemetry.count("request_day", day, name, "active") for name in (seen.plan.control, treatment))
        for day in days
    }
    totals = [sum(each[place] for each in counts.values()) for place in (0, 1)]
    if not all(totals):
        return [], 0
    share = totals[1] / sum(totals)
    compared = {day: each for day, each in counts.items() if sum(each) * min(share, 1 - share) >= _FEWEST}
    if len(compared) < 3:
        return [], 0
    found = []
    for day, (control, treated) in compared.items():
        rest = (totals[0] - control, totals[1] - treated)
        gap = share_gap(rest[1], sum(rest), treated, control + treated)
        odds = (treated + 0.5) / (control + 0.5) * (rest[0] + 0.5) / (rest[1] + 0.5)
        found.append(DayOff(day, odds, 1.0 if gap.p_value is None else gap.p_value))
    adjusted = stats.adjust_p([each.p_value for each in found], "holm")
    off = [
        each._replace(p_value=p)
        for p, each in zip(adjusted, found, strict=True)
        if p is not None and p < seen.alpha and not _LOST < each.ratio < 1 / _LOST
    ]
    return sorted(off, key=lambda each: each.p_value), len(compared)


def _missing_days(seen: Evidence, treatment: str) -> Check:
    """A day whose log lacks a variant; a treatment that people like more or less is off on every day, not on one."""
    off, compared = days_off(seen, treatment)
    empty = [day for day in seen.window_days if day not in seen.telemetry.by("request_day")]
    if not compared:
        reason = "Not told: fewer than three days have enough active units to compare."
        return Check.untold("missing_days", reason, hard=True, variant=treatment)
    expected = "no day off by half"
    if not off:
        text = f"On none of {compared} days are the active units of {treatment} out of line with the other days"
        text += (
            f"; {', '.join(empty[:3])}{' and more' if len(empty) > 3 else ''} without any request." if empty else "."
        )
        return Check("missing_days", True, True, 0.0, expected, text, treatment)
    named = ", ".join(f"{each.day} ({each.ratio:.2g} times the usual)" for each in off[:3])
    text = f"Active units of {treatment} are out of line on {len(off)} of {compared} days: {named}."
    query = queries.requests_by_day(seen)
    return Check("missing_days", False, True, float(len(off)), expected, text, treatment, query=query)


def repeated_units(seen: Evidence, variant: str) -> int:
    """Units of a variant with several requests of one instant."""
    return seen.telemetry.count("repeated", "", variant, "units")


def _repeated_gap(seen: Evidence, treatment: str) -> stats.Estimate:
    ends = []
    for name in (seen.plan.control, treatment):
        served = seen.telemetry.total(name, "units") - seen.telemetry.total(name, "unserved")
        ends += [repeated_units(seen, name), served]
    return share_gap(*ends)


def _repeated_requests(seen: Evidence, treatment: str) -> Check:
    gap = _repeated_gap(seen, treatment)
    counts = [repeated_units(seen, name) for name in (seen.plan.control, treatment)]
    text = (
        f"{counts[0]:,} units of {seen.plan.control} and {counts[1]:,} of {treatment} have several requests of one "
        f"instant{_tested(gap)}."
    )
    return _gap_check(seen, "repeated_requests", gap, text, treatment, queries.repeated(seen))


def _gap_check(seen: Evidence, code: str, gap: stats.Estimate, text: str, treatment: str, query: str) -> Check:
    """A hard check that a share is the same in both variants: fails if it is proven not to be and not tiny."""
    expected = f"the same in both variants (p of at least {seen.alpha:g}, or less than {percent(SMALLEST_GAP)} apart)"
    if gap.value is None:
        return Check.untold(code, f"Not told: {gap.reason}.", hard=True, variant=treatment)
    passed = not (differs(gap, seen.alpha) and abs(gap.value) >= SMALLEST_GAP)
    return Check(code, passed, True, gap.value, expected, text, treatment, gap, query=query)


def _tested(gap: stats.Estimate) -> str:
    return "" if gap.p_value is None else f" (p {p_text(gap.p_value)})"


def null_gaps(seen: Evidence, treatment: str) -> list[tuple[str, stats.Estimate]]:
    """By column treatment minus control: units with an answered request that lacks it. p-values by Holm."""
    found = [
        (column, seen.gap(f"null_{place}", treatment, less="unserved"))
        for place, column in enumerate(seen.telemetry.columns)
    ]
    adjusted = stats.adjust_p([gap.p_value for _, gap in found], "holm")
    return [(column, gap._replace(p_value=p)) for p, (column, gap) in zip(adjusted, found, strict=True)]


def lost_columns(seen: Evidence, treatment: str) -> list[tuple[str, stats.Estimate]]:
    """The columns that are missing more often in one of two variants, the worst first."""
    lost = [
        (column, gap)
        for column, gap in null_gaps(seen, treatment)
        if differs(gap, seen.alpha) and abs(gap.value or 0) >= SMALLEST_GAP
    ]
    return sorted(lost, key=lambda pair: -abs(pair[1].value or 0))


def _null_columns(seen: Evidence, treatment: str) -> Check:
    columns = seen.telemetry.columns
    expected = f"the same in both variants (p of at least {seen.alpha:g}, Holm)"
    if not columns:
        reason = "Not told: no metric of the plan reads a column of predictions."
        return Check.untold("null_columns", reason, hard=True, variant=treatment)
    lost = lost_columns(seen, treatment)
    gaps = [gap for _, gap in null_gaps(seen, treatment) if gap.value is not None]
    largest = max(gaps, key=lambda gap: abs(gap.value or 0), default=None)
    if not lost:
        text = f"{', '.join(columns)}: missing no more often in {treatment} than in {seen.plan.control}."
        observed = 0.0 if largest is None else largest.value
        return Check("null_columns", True, True, observed, expected, text, treatment, largest)
    named = ", ".join(f"{column} ({higher(gap.value)})" for column, gap in lost[:3])
    text = f"Units that lack a column, {treatment} against {seen.plan.control}: {named}."
    query = queries.nulls(seen, [column for column, _ in lost[:5]])
    return Check("null_columns", False, True, lost[0][1].value, expected, text, treatment, lost[0][1], query=query)


def shifted_hours(seen: Evidence, variant: str) -> tuple[int, float]:
    """The commonest lag of whole hours between exposure and request but 0, and the share of served units with it."""
    lags = {value: seen.telemetry.count("lag", value, variant, "units") for value in seen.telemetry.by("lag")}
    told = sum(count for value, count in lags.items() if value != "none")
    whole = {value: count for value, count in lags.items() if value not in {"none", "other", "0", "missing"}}
    if not whole or told < _FEWEST:
        return 0, 0.0
    value, count = max(whole.items(), key=lambda pair: (pair[1], pair[0]))
    return int(value), count / told


def _enough(table: list[list[int]]) -> list[list[int]]:
    """The rows in which at least 5 of each column are expected."""
    columns = [sum(column) for column in zip(*table, strict=True)]
    smallest = min(columns, default=0) / max(sum(columns), 1)
    return [row for row in table if sum(row) * smallest >= SMALLEST_EXPECTED]


def _clocks(seen: Evidence, treatment: str) -> Check:
    hours = sorted(seen.telemetry.by("hour"), key=str)
    table = [
        [seen.telemetry.count("hour", hour, name, "units") for name in (seen.plan.control, treatment)] for hour in hours
    ]
    p_value = homogeneity_p(_enough(table))
    shifts = {name: shifted_hours(seen, name) for name in (seen.plan.control, treatment)}
    apart = abs(shifts[treatment][1] - shifts[seen.plan.control][1])
    shifted = apart >= _SHIFTED
    expected = f"hours of exposure alike (p of at least {seen.alpha:g}), no lag of whole hours in one variant"
    if p_value >= seen.alpha and not shifted:
        both = f"Units of {treatment} and {seen.plan.control}"
        text = f"{both} are exposed at the same hours of the day (p {p_text(p_value)})."
        return Check("clocks", True, False, p_value, expected, text, treatment)
    parts = []
    if p_value < seen.alpha:
        parts.append(f"the hours of the day at which they are exposed differ (p {p_text(p_value)})")
    for name, (hour, share) in shifts.items():
        if shifted and share >= _SHIFTED:
            parts.append(f"{percent(share)} of {name} have {hour:+d} h between exposure and request")
    text = f"Clocks of {treatment} and {seen.plan.control} disagree: {'; '.join(parts)}."
    return Check("clocks", False, False, p_value, expected, text, treatment, query=queries.lags(seen))


def log_causes(seen: Evidence) -> Iterator[Cause]:
    """What went wrong in the logs."""
    for treatment in seen.plan.treatments:
        yield from _lost_day(seen, treatment)
        yield from _logged_twice(seen, treatment)
        yield from _null_column(seen, treatment)
        yield from _clock_shift(seen, treatment)
        yield from _filtered(seen, treatment)


def _lost_day(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """The log of a day lacks most of a variant: its requests, or its exposures."""
    off, _ = days_off(seen, treatment)
    # Other days look too full beside a lost one, so the farthest off is the one.
    lost = [each for each in off if each.ratio <= 0.5] or [each for each in off if each.ratio >= 2]
    explains = ("missing_days", "unserved", "sample_ratio", "sample_ratio_by_day", "unexposed", "requests_per_unit")
    if lost and len(lost) <= 3:
        who = treatment if lost[0].ratio < 1 else seen.plan.control
        days = ", ".join(each.day for each in sorted(lost))
        text = (
            f"The log of {days} lacks {who}: {lost[0].ratio:.2g} times the usual active units of {treatment}"
            f"{seen.deployed(lost[0].day)}."
        )
        yield Cause("lost_day", text, 0.97, explains, treatment)
        return
    broken = [part for part in seen.parts("day") if part.adjusted < seen.alpha]
    rest = [part.counts for part in seen.parts("day") if part not in broken]
    whole = tuple(map(sum, zip(*rest, strict=True))) if rest else ()
    holds = bool(rest) and (stats.sample_ratio(whole, seen.weights).p_value or 0) >= seen.alpha
    if broken and len(broken) <= 3 and holds:
        days = ", ".join(part.value for part in broken)
        deployed = seen.deployed(broken[0].value)
        text = f"The log of exposures of {days} is not whole; every other day keeps the ratio{deployed}."
        yield Cause("lost_day", text, 0.9, explains)


def _logged_twice(seen: Evidence, treatment: str) -> Iterator[Cause]:
    gap = _repeated_gap(seen, treatment)
    if not differs(gap, seen.alpha) or gap.value is None or abs(gap.value) < SMALLEST_GAP:
        return
    who = treatment if gap.value > 0 else seen.plan.control
    text = (
        f"Events of {who} are logged twice under new ids: {points(gap.value)} more of its units have several "
        f"requests of one instant."
    )
    yield Cause("logged_twice", text, 0.95, ("repeated_requests", "requests_per_unit"), treatment)


def _null_column(seen: Evidence, treatment: str) -> Iterator[Cause]:
    lost = lost_columns(seen, treatment)
    if not lost:
        return
    column, gap = lost[0]
    who = treatment if (gap.value or 0) > 0 else seen.plan.control
    place = seen.telemetry.columns.index(column)
    count = seen.telemetry.count
    days = sorted(seen.telemetry.by("request_day"))
    with_nulls = [day for day in days if count("request_day", day, who, f"null_{place}")]
    since = ""
    if with_nulls and with_nulls[0] > days[0]:
        since = f" from {with_nulls[0]} on{seen.deployed(with_nulls[0])}"
    covariate = any(column == each.column for each in seen.plan.covariates)
    text = f"{who} does not log {column}{since}: {points(gap.value)} more of its units lack it."
    code = "covariate_missing" if covariate else "null_column"
    yield Cause(code, text, 0.93, ("null_columns", "missing_covariates"), treatment)


def _clock_shift(seen: Evidence, treatment: str) -> Iterator[Cause]:
    explains = ("clocks", "late_exposure", "unserved", "sample_ratio_by_day")
    control = seen.plan.control
    for name, other in ((treatment, control), (control, treatment)):
        hours, share = shifted_hours(seen, name)
        if share >= _SHIFTED and share > 2 * shifted_hours(seen, other)[1]:
            text = (
                f"Clocks of {name} are in another time zone: {percent(share)} of its units have {hours:+d} h between "
                f"exposure and request."
            )
            yield Cause("clock_shift", text, 0.97, explains, treatment)
            return
    table = [
        [seen.telemetry.count("hour", str(hour), each, "units") for each in (control, treatment)] for hour in range(24)
    ]
    if homogeneity_p(_enough(table)) >= seen.alpha:
        return
    rolled = {
        shift: homogeneity_p(_enough([[table[hour][0], table[(hour + shift) % 24][1]] for hour in range(24)]))
        for shift in range(24)
    }
    best = max(rolled, key=lambda shift: rolled[shift])
    if best and rolled[best] >= seen.alpha:
        hours = best if best <= 12 else best - 24
        text = f"Clocks of {treatment} are {hours:+d} h off: moved by so much, both variants have the same hours."
        yield Cause("clock_shift", text, 0.9, explains, treatment)


def _filtered(seen: Evidence, treatment: str) -> Iterator[Cause]:
    """Units are missing among those with many requests, or with few, and not among the others."""
    if not seen.ratio_broken:
        return
    if seen.step is not None and seen.share_wrong(seen.sample) > MISPLACED_UNITS:
        return  # other weights for a while: who came earlier has also come back more often
    parts = seen.parts("activity")
    broken = [part for part in parts if part.adjusted < seen.alpha and part.value != "0"]
    if not broken or len(parts) < 2 or homogeneity_p([part.counts for part in parts]) > seen.alpha:
        return
    rest = [part for part in parts if part not in broken]
    whole = tuple(map(sum, zip(*(part.counts for part in rest), strict=True))) if rest else ()
    holds = bool(rest) and (stats.sample_ratio(whole, seen.weights).p_value or 0) >= seen.alpha
    worst = min(broken, key=lambda part: part.p_value)
    place = seen.active.index(treatment)
    base = seen.active.index(seen.plan.control)
    fewer = worst.counts[place] * seen.weights[base] < worst.counts[base] * seen.weights[place]
    who = treatment if fewer else seen.plan.control
    text = (
        f"A filter (of bots) leaves out units of {who} by their activity: among those with {worst.value} requests "
        f"there are {ratio_text(worst.counts)}{', and all others keep the ratio' if holds else ''}."
    )
    explains = ("sample_ratio", "sample_ratio_by_day", "sample_ratio_by_segment", "requests_per_unit")
    yield Cause("filtered_units", text, 0.92 if holds else 0.6, explains, treatment)
