"""Instants and half-open windows of time, in UTC.

An `as_of` is an instant: nothing that became known after it exists. A `Window` holds `start <= t < end`.

>>> window = Window.of("2013-04-01", "2013-05-01")
>>> window.days, window.label
(30, '2013-04-01 … 2013-04-30')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from toolkit.checks import check_at_least
from toolkit.errors import ArgumentError, NotReady

_DATE_ONLY = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_instant(text: str, *, name: str = "as_of") -> datetime:
    """Read an ISO instant in UTC; a bare date is its first moment.

    Raises `ArgumentError` for anything else, a date-time without an offset included: which zone it meant is unknown.

    >>> parse_instant("2013-05-01").isoformat()
    '2013-05-01T00:00:00+00:00'
    >>> parse_instant("2013-05-01T06:00")
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: as_of == '2013-05-01T06:00' has no time zone; write '2013-05-01T06:00Z' for UTC
    """
    try:
        if _DATE_ONLY.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentError(
            f"{name} == {text!r}, must be an ISO date or instant in UTC, such as '2013-05-01' or '2013-05-01T06:00Z'"
        ) from None
    if instant.tzinfo is None:
        raise ArgumentError(f"{name} == {text!r} has no time zone; write '{text}Z' for UTC")
    return instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """The one way an instant is written: ISO, UTC, `Z`, no fraction unless there is one.

    >>> format_instant(parse_instant("2013-05-01T02:00+02:00"))
    '2013-05-01T00:00:00Z'
    """
    if instant.tzinfo is None:
        raise ArgumentError(f"instant == {instant.isoformat()} has no time zone")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def start_of_day(instant: datetime) -> datetime:
    """The first moment of the UTC day that `instant` lies in."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, order=True)
class Window:
    """A half-open window of time: `start <= t < end`, both instants with a time zone."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, instant in (("start", self.start), ("end", self.end)):
            if instant.tzinfo is None:
                raise ArgumentError(f"{name} == {instant.isoformat()} has no time zone")
        if not self.start < self.end:
            raise ArgumentError(
                f"empty window: start {format_instant(self.start)} is not before end {format_instant(self.end)}"
            )

    @classmethod
    def of(cls, start: str, end: str) -> Window:
        """The window between two ISO dates or instants."""
        return cls(parse_instant(start, name="start"), parse_instant(end, name="end"))

    @classmethod
    def last_days(cls, window_days: int, *, before: datetime) -> Window:
        """The `window_days` whole UTC days that ended at or before `before`."""
        check_at_least("window_days", window_days, 1)
        end = start_of_day(before)
        return cls(end - timedelta(days=window_days), end)

    @property
    def days(self) -> float:
        """Length in days; a whole number for windows of whole days."""
        length = (self.end - self.start) / timedelta(days=1)
        return int(length) if length == int(length) else length

    @property
    def first_day(self) -> date:
        """The UTC day that it begins on."""
        return self.start.astimezone(UTC).date()

    @property
    def last_day(self) -> date:
        """The UTC day of its last moment."""
        return (self.end - timedelta(microseconds=1)).astimezone(UTC).date()

    @property
    def dates(self) -> tuple[date, ...]:
        """Every UTC day that has a moment of it, in order.

        >>> [f"{day}" for day in Window.of("2030-02-27", "2030-03-01T06:00Z").dates]
        ['2030-02-27', '2030-02-28', '2030-03-01']
        """
        first = self.first_day
        return tuple(first + timedelta(days=ahead) for ahead in range((self.last_day - first).days + 1))

    @property
    def label(self) -> str:
        """First and last day, as people say it; the instants when the window is not of whole days."""
        if self.start == start_of_day(self.start) and self.end == start_of_day(self.end):
            return f"{self.first_day} … {self.last_day}"
        return f"{format_instant(self.start)} … {format_instant(self.end)}"

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def overlaps(self, other: Window) -> bool:
        """Whether the two windows share an instant."""
        return self.start < other.end and other.start < self.end

    def require_complete(self, complete_through: datetime, *, what: str) -> None:
        """Raise `NotReady`, naming the date it will be ready, unless the data reach the window's end."""
        if self.end > complete_through:
            raise NotReady(
                f"{what} needs data up to {format_instant(self.end)}, and they are complete only up to "
                f"{format_instant(complete_through)}; it is ready on {self.end:%Y-%m-%d} "
                f"once that day's data have arrived",
                ready_on=self.end,
            )
