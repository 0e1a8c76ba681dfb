"""The register: what is owed on a day, by whom, until when, and what it costs, all as the owners gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from toolkit.debt.items import DebtItem
from toolkit.debt.ranges import ALL_ITEMS, NOT_ESTIMATED, BreakEven, Total
from toolkit.display import PALETTE, Picture, format_count, picture
from toolkit.records import ResultRow, Shown, number_row
from toolkit.triage.ranges import range_row, range_text
from toolkit.windows import format_instant, parse_instant

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Entry:
    """One item as it stood on the register's day."""

    item: DebtItem
    status: str
    overdue_days: int
    age_days: int

    @property
    def break_even(self) -> BreakEven | None:
        """The break-even where both principal and interest are given."""
        principal, interest = self.item.principal_days, self.item.interest_days_per_month
        if principal is None or interest is None:
            return None
        return BreakEven(
            low=principal.low / interest.high,
            likely=principal.likely / interest.likely if interest.likely else None,
            high=principal.high / interest.low if interest.low else None,
        )

    @property
    def no_break_even_reason(self) -> str:
        """Why there is no likely break-even; "" where there is one."""
        missing = [
            name
            for name, given in (
                ("principal", self.item.principal_days),
                ("interest", self.item.interest_days_per_month),
            )
            if given is None
        ]
        if missing:
            return f"nobody has estimated the {' and the '.join(missing)}"
        return "" if self.break_even and self.break_even.likely is not None else "the likely interest is 0"


@dataclass(frozen=True, repr=False)
class Register(Shown):
    """The items that were known on a day. `later` were opened after it and are left out."""

    as_of: datetime
    entries: tuple[Entry, ...]
    later: int

    @property
    def open(self) -> tuple[Entry, ...]:
        """What is owed: neither accepted nor paid."""
        return tuple(entry for entry in self.entries if entry.status == "open")

    @property
    def principal(self) -> Total:
        """What paying off every open item takes."""
        return Total.of("principal", "days", [entry.item.principal_days for entry in self.open])

    @property
    def interest(self) -> Total:
        """What all open items cost in a month; items may overlap, which nobody has taken out."""
        return Total.of("interest", "days per month", [entry.item.interest_days_per_month for entry in self.open])

    @property
    def overdue(self) -> Overdue:
        """The open items whose day has passed."""
        late = [entry for entry in self.open if entry.overdue_days]
        undated = sum(entry.item.due_on is None for entry in self.open)
        late.sort(key=lambda entry: (-entry.overdue_days, entry.item.key))
        return Overdue(self.as_of, tuple(late), undated, len(self.open))

    @property
    def waiting(self) -> Waiting:
        """The open items by what it costs to wait."""
        return Waiting(self.as_of, self.open, self.principal, self.interest)

    @property
    @override
    def text(self) -> str:
        left_out = f" {format_count(self.later, 'item')} opened later and left out." if self.later else ""
        if not self.entries:
            return f"No debt was written down by {format_instant(self.as_of)}.{left_out}"
        statuses = [entry.status for entry in self.entries]
        counts = f"{statuses.count('accepted')} accepted, {statuses.count('paid')} paid"
        return (
            f"On {format_instant(self.as_of)}: {format_count(len(self.open), 'item')} open, {counts}. "
            f"{self.overdue.text} {self.principal.text} {self.interest.text} "
            f"Estimates are the owners'; what nobody estimated is absent.{left_out}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        counts = {status: sum(entry.status == status for entry in self.entries) for status in ("accepted", "paid")}
        return [
            ResultRow(ALL_ITEMS, "open_items", len(self.open)),
            *(ResultRow(ALL_ITEMS, f"{status}_items", count) for status, count in counts.items()),
            ResultRow(ALL_ITEMS, "later_items", self.later),
            *self.overdue.to_rows()[:2],
            self.principal.row("principal_days"),
            self.interest.row("interest_days_per_month"),
            *(row for entry in self.entries for row in _rows(entry)),
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "item": entry.item.key,
                "title": entry.item.title,
                "kind": entry.item.kind,
                "owner": entry.item.owner,
                "team": entry.item.team,
                "status": entry.status,
                "opened_on": entry.item.opened_on.isoformat(),
                "due_on": _day(entry.item.due_on),
                "principal_days": range_text(entry.item.principal_days),
                "interest_days_per_month": range_text(entry.item.interest_days_per_month),
                "evidence": ", ".join(entry.item.evidence) or "none",
            }
            for entry in self.entries
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        return self.waiting.to_pictures()


@dataclass(frozen=True, repr=False)
class Overdue(Shown):
    """Open items whose due date has passed, the latest first."""

    as_of: datetime
    entries: tuple[Entry, ...]
    undated: int
    among: int

    @property
    @override
    def text(self) -> str:
        if not self.among:
            return "Nothing is open, so nothing is overdue."
        named = ", ".join(f"{entry.item.key} by {_days(entry.overdue_days)}" for entry in self.entries)
        late = f"Overdue: {named}." if named else "Nothing is overdue."
        return f"{late} {format_count(self.undated, 'item').capitalize()} without a due date." if self.undated else late

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            ResultRow(ALL_ITEMS, "overdue_items", len(self.entries)),
            ResultRow(ALL_ITEMS, "undated_items", self.undated),
            *(_overdue_row(entry) for entry in self.entries),
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "item": entry.item.key,
                "title": entry.item.title,
                "owner": entry.item.owner,
                "due_on": _day(entry.item.due_on),
                "overdue_days": entry.overdue_days,
            }
            for entry in self.entries
        ]


@dataclass(frozen=True, repr=False)
class Waiting(Shown):
    """What it costs to leave the open items as they are."""

    nothing_to_draw: ClassVar[str] = "no open item has both principal and interest"

    as_of: datetime
    entries: tuple[Entry, ...]
    principal: Total
    interest: Total

    @property
    @override
    def text(self) -> str:
        if not self.entries:
            return "Nothing is open, so waiting costs nothing that is written down."
        known = sum(entry.break_even is not None for entry in self.entries)
        return (
            f"{self.interest.text} Months until the interest exceeds the principal, counted from "
            f"{format_instant(self.as_of)}, can be said for {known} of {format_count(len(self.entries), 'item')}."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            self.interest.row("interest_days_per_month"),
            *(_break_even_row(entry) for entry in self.entries),
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "item": entry.item.key,
                "principal_days": range_text(entry.item.principal_days),
                "interest_days_per_month": range_text(entry.item.interest_days_per_month),
                "months_until_interest_exceeds_principal": _months(entry),
            }
            for entry in self.entries
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [entry for entry in self.entries if entry.break_even is not None]
        if not drawn:
            return ()
        alt = "Interest per month against principal, in person-days: " + "; ".join(
            f"{entry.item.key} {range_text(entry.item.interest_days_per_month)} against "
            f"{range_text(entry.item.principal_days)}{', overdue' if entry.overdue_days else ''}"
            for entry in drawn
        )
        return (picture(lambda figure: _draw(figure, drawn), name="interest", alt=alt),)


def review(items: Mapping[str, DebtItem], *, as_of: datetime | str) -> Register:
    """The register as it stood at `as_of`: items opened later are not known, items paid later are open.

    An item is overdue from the day after `due_on`. Nothing is estimated here. Rows per item are keyed by it; rows of
    all items have the key `all`, and their sums are over open items only.

    Raises `ArgumentError` for an `as_of` that is no instant.
    """
    instant = parse_instant(as_of) if isinstance(as_of, str) else as_of
    known = [item for item in items.values() if item.opened_on <= instant.date()]
    entries = [_enter(item, instant.date()) for item in known]
    entries.sort(key=lambda entry: (entry.status != "open", entry.item.due_on or date.max, entry.item.key))
    return Register(instant, tuple(entries), len(items) - len(known))


def _enter(item: DebtItem, day: date) -> Entry:
    paid_later = item.closed_on is not None and item.closed_on > day
    status = "open" if paid_later else item.status
    late = (day - item.due_on).days if status == "open" and item.due_on is not None else 0
    return Entry(item, status, max(late, 0), (day - item.opened_on).days)


def _rows(entry: Entry) -> list[ResultRow]:
    item = entry.item
    rows = [
        ResultRow(item.key, "status", entry.status),
        ResultRow(item.key, "title", item.title),
        ResultRow(item.key, "kind", item.kind),
        ResultRow(item.key, "owner", item.owner),
        ResultRow(item.key, "team", item.team),
        number_row(item.model, "it concerns no single model", key=item.key, statistic="model"),
        ResultRow(item.key, "opened_on", item.opened_on.isoformat()),
        ResultRow(item.key, "age_days", entry.age_days, unit="days"),
        number_row(
            item.due_on.isoformat() if item.due_on else None,
            "nobody has promised a day",
            key=item.key,
            statistic="due_on",
        ),
        *(ResultRow(item.key, "evidence", reference) for reference in item.evidence),
        *(
            range_row(item.key, statistic, days, unit=unit, method="the owner's range", reason=NOT_ESTIMATED)
            for statistic, days, unit in (
                ("principal_days", item.principal_days, "days"),
                ("interest_days_per_month", item.interest_days_per_month, "days per month"),
            )
        ),
    ]
    return [*rows, _overdue_row(entry), _break_even_row(entry)] if entry.status == "open" else rows


def _overdue_row(entry: Entry) -> ResultRow:
    days = None if entry.item.due_on is None else entry.overdue_days
    return number_row(days, "nobody has promised a day", key=entry.item.key, statistic="overdue_days", unit="days")


def _break_even_row(entry: Entry) -> ResultRow:
    months, reason = entry.break_even, entry.no_break_even_reason
    return ResultRow(
        key=entry.item.key,
        statistic="break_even_months",
        value=months.likely if months else None,
        ci_lower=months.low if months else None,
        ci_upper=months.high if months else None,
        unit="months",
        method="principal over interest, undiscounted" if not reason else "",
        status="absent" if reason else "ok",
        reason=reason,
    )


def _months(entry: Entry) -> str:
    months = entry.break_even
    if months is None:
        return f"absent: {entry.no_break_even_reason}"
    likely = "never" if months.likely is None else f"{months.likely:.1f}"
    return f"{likely} ({months.low:.1f} to {'never' if months.high is None else f'{months.high:.1f}'})"


def _day(day: date | None) -> str:
    return "none" if day is None else day.isoformat()


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"


def _draw(figure: Figure, entries: Sequence[Entry]) -> None:
    axes: Any = figure.add_subplot()
    for entry in entries:
        principal, interest = entry.item.principal_days, entry.item.interest_days_per_month
        assert principal is not None
        assert interest is not None
        colour = PALETTE[3] if entry.overdue_days else PALETTE[0]
        axes.errorbar(
            principal.likely,
            interest.likely,
            xerr=[[principal.likely - principal.low], [principal.high - principal.likely]],
            yerr=[[interest.likely - interest.low], [interest.high - interest.likely]],
            fmt="D" if entry.overdue_days else "o",
            color=colour,
            capsize=2,
        )
        label = f"{entry.item.key} (overdue)" if entry.overdue_days else entry.item.key
        axes.annotate(
            label, (principal.likely, interest.likely), xytext=(5, 5), textcoords="offset points", color=colour
        )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("principal: days to pay it off")
    axes.set_ylabel("interest: days per month")
    axes.set_title("What waiting costs, against what paying off takes")
