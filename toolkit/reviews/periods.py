"""The periods that people review: a month, a quarter, a week, or some days; and the one of the same kind before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from toolkit.errors import ArgumentError
from toolkit.windows import Window

_MONTH = re.compile(r"(\d{4})-(\d{2})")
_QUARTER = re.compile(r"(\d{4})-Q([1-4])")
_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_DAYS = re.compile(r"(\d{4}-\d{2}-\d{2})/(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True)
class ReviewPeriod:
    """A period as it was written, its window in UTC, and the window of the one of the same kind just before."""

    text: str
    window: Window
    previous: Window


def parse_period(text: str) -> ReviewPeriod:
    """Read a month (2013-04), a quarter (2013-Q2), an ISO week (2013-W17), or the first day and the first day after.

    Before a month comes a month, before a quarter a quarter; before two dates come equally many days.

    Raises `ArgumentError` for anything else, and for days that do not come one after the other.

    >>> april = parse_period("2013-04")
    >>> april.window.label, april.previous.label
    ('2013-04-01 … 2013-04-30', '2013-03-01 … 2013-03-31')
    >>> parse_period("2013-04-11/2013-04-21").previous.label
    '2013-04-01 … 2013-04-10'
    """
    try:
        before, start, end = _days(text)
    except (ValueError, OverflowError):  # the shape of a day, but no such day
        raise _refusal(text) from None
    if start >= end:
        raise ArgumentError(f"period == {text!r}, its first day must come before the first day after it")
    first, middle, last = (datetime.combine(day, time(), tzinfo=UTC) for day in (before, start, end))
    return ReviewPeriod(text, Window(middle, last), Window(first, middle))


def _days(text: str) -> tuple[date, date, date]:
    """The first day of the period before, of the period, and the first day after it."""
    if match := _MONTH.fullmatch(text):
        return _months(int(match[1]), int(match[2]), 1)
    if match := _QUARTER.fullmatch(text):
        return _months(int(match[1]), 3 * int(match[2]) - 2, 3)
    if match := _WEEK.fullmatch(text):
        start = date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return start - timedelta(weeks=1), start, start + timedelta(weeks=1)
    if match := _DAYS.fullmatch(text):
        start, end = date.fromisoformat(match[1]), date.fromisoformat(match[2])
        return start - max(end - start, timedelta()), start, end
    raise _refusal(text)


def _months(year: int, month: int, length: int) -> tuple[date, date, date]:
    start = date(year, month, 1)
    before, after = 12 * year + month - 1 - length, 12 * year + month - 1 + length
    return date(before // 12, before % 12 + 1, 1), start, date(after // 12, after % 12 + 1, 1)


def _refusal(text: str) -> ArgumentError:
    return ArgumentError(
        f"period == {text!r}, must be a month such as 2013-04, a quarter such as 2013-Q2, a week such as 2013-W17, or "
        "two dates such as 2013-04-01/2013-05-01, the second one the first day after the period"
    )
