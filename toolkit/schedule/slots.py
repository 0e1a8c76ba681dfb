"""The times of a schedule: cron expressions and calendar rules in a time zone, as instants in UTC.

Clocks that are put forward skip local times, clocks that are put back repeat them. As in Debian's cron, a rule for a
fixed time runs once either way: a skipped time at the first moment after the gap, a repeated one at its first
occurrence. A cron expression whose minute or hour begins with `*` follows real time instead: it has no slot in a gap,
and slots in both of two equal hours. (In Australia/Lord_Howe, where clocks shift by half an hour, such an expression
can lose the slots of that half hour.)
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Final, Protocol
from zoneinfo import ZoneInfo

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ENDS: Final = ("first_business_day", "last_business_day", "last_day")
"""Days of a month or quarter that have no number; a business day is Monday to Friday, holidays are not known."""

_MONTHS = {"month": 1, "quarter": 3}
_MARGIN = timedelta(days=2)  # more than any time zone and any shift of a slot


class Calendar(Protocol):
    """What this module asks of a calendar rule."""

    @property
    def every(self) -> str:
        """`day`, `week`, `month` or `quarter`."""

    @property
    def on(self) -> int | str | None:
        """The day in the period."""

    @property
    def time_of_day(self) -> time:
        """The local time of day."""


def list_slots(rule: str | Calendar, zone: str, *, start: datetime, stop: datetime) -> Iterator[datetime]:
    """The instants of a rule from `start` and before `stop`, in UTC, each once and in order.

    Parameters
    ----------
    rule: a cron expression of five fields, or a calendar rule.
    zone: the IANA name of the zone in which the rule is read.

    >>> from toolkit.windows import parse_instant
    >>> start, stop = parse_instant("2013-03-09"), parse_instant("2013-03-12")
    >>> [f"{slot:%d %H:%M}" for slot in list_slots("30 2 * * *", "America/New_York", start=start, stop=stop)]
    ['09 07:30', '10 07:00', '11 06:30']
    """
    known = ZoneInfo(zone)
    first = start - _MARGIN
    found = _cron(rule, known, first) if isinstance(rule, str) else _calendar(rule, known, first)
    last = start - timedelta(microseconds=1)
    for slot in found:
        if slot >= stop:
            return
        if slot > last:
            yield slot
            last = slot


def to_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a local time without offset: the first of two, and after a gap when there is none.

    >>> to_instant(datetime(2013, 11, 3, 1, 30), ZoneInfo("America/New_York")).isoformat()
    '2013-11-03T05:30:00+00:00'
    """
    while True:
        instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None, fold=0) == local:
            return instant
        local += timedelta(minutes=1)


def _cron(expression: str, zone: ZoneInfo, first: datetime) -> Iterator[datetime]:
    from cronsim import CronSim

    for local in CronSim(expression, first.astimezone(zone)):
        yield local.astimezone(UTC)


def _calendar(rule: Calendar, zone: ZoneInfo, first: datetime) -> Iterator[datetime]:
    for day in _days(rule, first.astimezone(zone).date()):
        yield to_instant(datetime.combine(day, rule.time_of_day), zone)


def _days(rule: Calendar, first: date) -> Iterator[date]:
    """The days of a calendar rule, from the period on that `first` lies in."""
    if rule.every == "day":
        yield from (first + timedelta(days=number) for number in count())
    elif rule.every == "week":
        monday = first - timedelta(days=first.weekday())
        day = monday + timedelta(days=WEEKDAYS.index(str(rule.on)))
        yield from (day + timedelta(weeks=number) for number in count())
    else:
        length = _MONTHS[rule.every]
        period = date(first.year, first.month - (first.month - 1) % length, 1)
        while True:
            following = _months_later(period, length)
            yield _day_in(rule.on, period, following - timedelta(days=1))
            period = following


def _day_in(on: int | str | None, first: date, last: date) -> date:
    """The day that a rule means in the period from `first` to `last`."""
    if isinstance(on, int):
        return first + timedelta(days=on - 1)
    if on == "last_day":
        return last
    day, step = (first, 1) if on == "first_business_day" else (last, -1)
    while day.weekday() >= 5:  # Saturday, Sunday
        day += timedelta(days=step)
    return day


def _months_later(month: date, months: int) -> date:
    years, index = divmod(month.month - 1 + months, 12)
    return date(month.year + years, index + 1, 1)


def placeholders(slot: datetime, zone: str) -> dict[str, str]:
    """What the placeholders in a schedule's parameters stand for at a slot.

    `slot` is the instant itself; the others are in the schedule's zone: `today` is the slot's date, `day`, `week`
    (ISO), `month` and `quarter` are the last ones that were over when that date began.

    >>> from toolkit.windows import parse_instant
    >>> placeholders(parse_instant("2013-05-03T10:00Z"), "America/New_York")  # doctest: +NORMALIZE_WHITESPACE
    {'slot': '2013-05-03T10:00:00Z', 'today': '2013-05-03', 'day': '2013-05-02', 'week': '2013-W17',
     'month': '2013-04', 'quarter': '2013-Q1'}
    """
    from toolkit.windows import format_instant

    today = slot.astimezone(ZoneInfo(zone)).date()
    week = (today - timedelta(weeks=1)).isocalendar()
    month = _months_later(today.replace(day=1), -1)
    quarter = _months_later(today.replace(day=1), -3)
    return {
        "slot": format_instant(slot),
        "today": today.isoformat(),
        "day": (today - timedelta(days=1)).isoformat(),
        "week": f"{week.year}-W{week.week:02d}",
        "month": f"{month:%Y-%m}",
        "quarter": f"{quarter.year}-Q{(quarter.month + 2) // 3}",
    }


PLACEHOLDERS: Final = tuple(placeholders(datetime(2013, 5, 3, tzinfo=UTC), "UTC"))
"""Their names."""
