"""Instants in columns: what a clock and a calendar in UTC show of them, on every engine, and how far they lie apart.

The embedded engine asks a calendar of all time zones for the day of an instant with a zone, which takes 15 times as
long as to read it: here the zone is taken off before.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.data.connections import EMBEDDED, call_builtin
from toolkit.data.functions import seconds_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK = timedelta(days=7)


def clock_of(instants: Any) -> Any:
    """What a clock in UTC shows at each instant: ask this for hours and days; missing for an infinite instant."""
    if instants.get_backend().name != EMBEDDED:
        return instants  # its session's zone is UTC
    return call_builtin("make_timestamp", _micros_of(instants), returns="timestamp(6)")


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
    micros = _micros_of(instants) - (start - _BEGINNING) // timedelta(microseconds=1)
    return (micros / (_WEEK // timedelta(microseconds=1))).floor().cast("int64")


def seconds_between(first: Any, second: Any) -> Any:
    """From one instant to another, to the microsecond."""
    return (_micros_of(second) - _micros_of(first)) / 1e6


def _micros_of(instants: Any) -> Any:
    """Microseconds since 1970, as a whole number: the fraction of a second is what floats lose."""
    engine = instants.get_backend().name
    known = {EMBEDDED: "epoch_us", "pyspark": "unix_micros"}
    if engine in known:
        return call_builtin(known[engine], instants, returns="int64")
    return (seconds_of(instants, engine) * 1e6).round().cast("int64")
