"""Instants in columns: the day and the week that they lie in, in UTC on every engine, and how far apart they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.data.functions import clock_of, micros_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK = timedelta(days=7)


def date_of(instants: Any) -> Any:
    """The UTC date of each instant; missing where the instant is."""
    return clock_of(instants).truncate("D").cast("date")


def day_of(instants: Any) -> Any:
    """The UTC day of each instant as ISO text; missing where the instant is.

    A text for each row is dear: group by `date_of`, and then `days_as_text`.
    """
    return date_of(instants).cast("string")


def days_as_text(table: ir.Table, *names: str) -> ir.Table:
    """`table` with some dates, of `day` unless others are named, as ISO text."""
    return table.mutate(**{name: table[name].cast("string") for name in names or ("day",)})


def week_of(instants: Any, start: datetime) -> Any:
    """The number of each instant's week, from `start` on: 0 for the seven days that begin there."""
    micros = micros_of(instants) - (start - _BEGINNING) // timedelta(microseconds=1)
    return (micros / (_WEEK // timedelta(microseconds=1))).floor().cast("int64")


def seconds_between(first: Any, second: Any) -> Any:
    """From one instant to another, to the microsecond."""
    return (micros_of(second) - micros_of(first)) / 1e6
