"""One column judged: its counts in a window beside those of a reference, without reading anything.

What stands before a distribution is judged before it: a changed type, missing values, values that were never there, a
constant that is another one. Each is a finding of its own, because each has another remedy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from toolkit import stats
from toolkit.display import format_number
from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.signals.drift.findings import (
    DRIFT_FLOOR,
    MISSING_FLOOR,
    SMALLEST_SAMPLE,
    UNSEEN_FLOOR,
    Finding,
)
from toolkit.signals.drift.shifts import Shift, measure_shift

_METHOD = "newcombe hybrid score; fisher exact or chi-square"

_Days = tuple[Sequence[ColumnCounts], Sequence[ColumnCounts]]
"""The counts of the reference's days, and of the window's."""


@dataclass(frozen=True)
class ColumnDrift:
    """One column of a window against one reference.

    Attributes
    ----------
    column, segment: what; the segment as `column=value` or "" for everything. against: the name of the reference.
    reference, current: the counts, None for a side that does not have the column.
    missing: the share of rows without a value in both, with Wilson's interval; None without the column.
    shift: how far the distributions lie apart; None where there is none to compare, and then a finding says why.
    findings: by aspect, in the order in which they are to be read.
    since: the day from which on it is so, where one was found.
    """

    column: str
    segment: str
    against: str
    reference: ColumnCounts | None
    current: ColumnCounts | None
    missing: tuple[stats.Estimate, stats.Estimate] | None
    shift: Shift | None
    findings: tuple[Finding, ...]
    since: date | None = None

    @property
    def worst(self) -> Finding:
        """The finding that is to be read first: a change before anything else, in the order of aspects."""
        return min(self.findings, key=lambda found: found.rank)

    @property
    def changes(self) -> tuple[Finding, ...]:
        """The findings that are worth acting on."""
        return tuple(found for found in self.findings if found.verdict == "changed")

    @property
    def words(self) -> str:
        """What became of the column, in words."""
        return "; ".join(found.words for found in self.changes) or self.worst.words

    def finding(self, aspect: str) -> Finding | None:
        """The finding about one aspect, None where it was not looked at."""
        return next((found for found in self.findings if found.aspect == aspect), None)


def judge_column(
    reference: ColumnCounts,
    current: ColumnCounts,
    *,
    against: str = "fixed",
    segment: str = "",
    reference_days: Sequence[ColumnCounts] = (),
    current_days: Sequence[ColumnCounts] = (),
) -> ColumnDrift:
    """Compare a column's counts with those of a reference, which lie in the same cells.

    Parameters
    ----------
    reference_days, current_days: the same counts day by day. With them evidence is that of days, not of rows: what
        differs between two periods no more than the days of one do is no evidence.

    Returns a `ColumnDrift` whose findings are not adjusted for others yet, see `adjusted`.
    """
    days = (reference_days, current_days)
    judged = ColumnDrift(current.edges.column, segment, against, reference, current, None, None, ())
    small = _too_small("rows", reference.total, current.total)
    if small:
        return replace(judged, findings=(_absent("missing", small), _absent("drift", small)))
    missing = (
        stats.proportion(reference.missing, reference.total),
        stats.proportion(current.missing, current.total),
    )
    judged = replace(judged, missing=missing)
    findings = [_judge_missing(reference, current, days)]
    small = _no_values(reference, current) or _too_small("values", reference.n, current.n)
    if small or current.edges.kind == "presence":
        reason = small or f"only missing values are counted of the type {current.edges.type}"
        return replace(judged, findings=(*findings, _absent("drift", reason)))
    if current.edges.is_constant_number:
        return replace(judged, findings=(*findings, _judge_constant(reference, current, days)))
    if not current.edges.is_open:
        findings.append(_judge_unseen(reference, current, days))
    shift = measure_shift(reference, current, reference_days=reference_days, current_days=current_days)
    return replace(judged, shift=shift, findings=(*findings, _judge_shift(shift)))


def schema_finding(
    column: str, text: str, *, against: str, reference: ColumnCounts | None, current: ColumnCounts | None
) -> ColumnDrift:
    """A column whose being there or whose type is another: a fact, after which nothing else is compared."""
    found = Finding("schema", None, "", 1.0, None, text)
    return ColumnDrift(column, "", against, reference, current, None, None, (found,))


def adjusted(columns: Sequence[ColumnDrift]) -> tuple[ColumnDrift, ...]:
    """The columns with every p-value adjusted over all of them together (Benjamini & Hochberg 1995)."""
    values = [found.p_value for column in columns for found in column.findings]
    new = iter(stats.adjust_p(values, "benjamini-hochberg"))
    return tuple(
        replace(column, findings=tuple(replace(found, p_adjusted=next(new)) for found in column.findings))
        for column in columns
    )


def _too_small(noun: str, n0: int, n1: int) -> str:
    if min(n0, n1) >= SMALLEST_SAMPLE:
        return ""
    return f"not enough data: {n0:,} {noun} in the reference and {n1:,} now, {SMALLEST_SAMPLE} are needed"


def _no_values(reference: ColumnCounts, current: ColumnCounts) -> str:
    if not current.n:
        return "every value is missing now"
    if not reference.n:
        return "every value was missing in the reference"
    edges = current.edges
    # Cells are made of the reference period: of nothing there is one, in which any two distributions are the same.
    has_cells = edges.n or edges.edges or edges.values or edges.kind == "presence"
    return "" if has_cells else "the reference period has no value to make cells of"


def _absent(aspect: Literal["missing", "drift"], reason: str) -> Finding:
    floor = {"missing": MISSING_FLOOR, "drift": DRIFT_FLOOR}[aspect]
    return Finding(aspect, stats.Estimate.absent(reason, n=0, method=""), "", floor, None, reason)


def _judge_missing(reference: ColumnCounts, current: ColumnCounts, days: _Days) -> Finding:
    effect = stats.design_effect(*([[day.missing, day.n] for day in side] for side in days))
    counts = (reference.missing, reference.total, current.missing, current.total)
    size = _share_change(*counts, design_effect=effect)
    then, now = _percent(reference.missing, reference.total), _percent(current.missing, current.total)
    text = f"{now} of its values are missing, in the reference {then}"
    return Finding("missing", size, "share", MISSING_FLOOR, size.p_value, text)


def _judge_unseen(reference: ColumnCounts, current: ColumnCounts, days: _Days) -> Finding:
    """Values that the period of the edges did not have.

    Of texts with few values, all of them seen often, a new one is a fact. Of others some are always new: so many as
    had been seen once only, or as were new in the compared period too.
    """
    edges = current.edges
    text = f"{current.unseen:,} of {current.n:,} values ({_percent(current.unseen, current.n)}) were never seen before"
    if edges.kind == "category" and not edges.has_tail and not edges.novelty and not reference.unseen:
        size = stats.proportion(current.unseen, current.n)
        return Finding("unseen", size, "share", UNSEEN_FLOOR, None, text)
    expected = reference.unseen or round(edges.novelty * reference.n)
    # The new values of a larger window repeat each other: as rows they are fewer than they look.
    effect = max(_unseen_effect(days), 1 + current.n / reference.n)
    size = _share_change(expected, reference.n, current.unseen, current.n, design_effect=effect)
    # Fewer new values than expected are no news.
    p_value = size.p_value if (size.value or 0.0) > 0 else 1.0
    return Finding("unseen", size, "share", UNSEEN_FLOOR, p_value, text)


def _judge_constant(reference: ColumnCounts, current: ColumnCounts, days: _Days) -> Finding:
    was = current.edges.values[0]
    counts = (reference.unseen, reference.n, current.unseen, current.n)
    size = _share_change(*counts, design_effect=_unseen_effect(days))
    if not current.unseen:
        return Finding("constant", size, "share", UNSEEN_FLOOR, size.p_value, f"it is {was} as ever")
    text = f"it was {was} throughout and is another value in {_percent(current.unseen, current.n)}"
    if current.least is not None and current.most is not None:
        away = max(current.most - float(was), current.least - float(was), key=abs)
        ends = f"{current.least:.9g}" if current.least == current.most else f"{current.least:.9g} to {current.most:.9g}"
        text = f"{text}: {ends}, {away:+.6g}"
    return Finding("constant", size, "share", UNSEEN_FLOOR, size.p_value, text)


def _unseen_effect(days: _Days) -> float:
    return stats.design_effect(*([[day.unseen, day.n - day.unseen] for day in side] for side in days))


def _judge_shift(shift: Shift) -> Finding:
    size = shift.psi.excess
    text = f"PSI {size.value:.2f} above noise" if size.value is not None else size.reason
    return Finding("drift", size, "PSI", DRIFT_FLOOR, shift.p_value, text)


def _share_change(x0: int, n0: int, x1: int, n1: int, *, design_effect: float) -> stats.Estimate:
    """The difference of two shares with Newcombe's interval, wider by the design effect, and the test of none."""
    size = stats.difference_of_proportions(x0, n0, x1, n1)
    if size.value is None or size.ci_lower is None or size.ci_upper is None:
        return size
    wider = math.sqrt(design_effect)
    return size._replace(
        ci_lower=max(size.value - wider * (size.value - size.ci_lower), -1.0),
        ci_upper=min(size.value + wider * (size.ci_upper - size.value), 1.0),
        p_value=stats.shares_differ_p(x0, n0, x1, n1, design_effect=design_effect),
        method=_METHOD,
    )


def _percent(count: int, n: int) -> str:
    return format_number("share", count / n if n else None, unit="share")
