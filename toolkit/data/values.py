"""How a text becomes a number, a truth or an instant: SQL for DuckDB over a column of texts.

Files that people bring are read as text, value by value, so that what cannot be read is counted and shown and never
turned into something else. Missing stays missing: an empty text, NaN, NULL.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

MISSING_TEXTS = ("", "NaN", "nan", "NULL", "null")
"""What is missing in any column: these are how programs write that there is nothing."""

MISSING_VALUES = ("", "nan", "null", "none", "na", "n/a", "#n/a", "<na>", "nat", "-")
"""What is missing where a number, a truth or an instant is meant, in whatever case."""

Style = Literal["iso", "s", "ms", "us", "ns", "day_first", "month_first", "compact"]
"""How a column writes instants: ISO 8601, units since 1970, 31/01/2030, 01/31/2030, or 20300131."""

STYLES: dict[str, str] = {
    "iso": "ISO 8601, such as 2030-01-31 10:00:00",
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "day_first": "the day first, such as 31/01/2030 10:00",
    "month_first": "the month first, such as 01/31/2030 10:00",
    "compact": "digits of a day, such as 20300131",
}
"""The styles in words."""

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f")
_ZONED = r"\d:\d{2}([.,]\d+)?\s*(Z|z|UTC|[+-]\d{2}(:?\d{2})?)$|\s[A-Za-z_]+/[A-Za-z_/]+$"
_WITH_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?([eE][+-]?\d+)?$"
_SLASHED = r"^\d{1,2}[/.-]\d{1,2}[/.-]\d{4}"


class Read(NamedTuple):
    """SQL of one value: the text that was there (missing if nothing was), and what it is (missing if it is none)."""

    given: str
    value: str


def text(column: str) -> Read:
    """A text without the spaces around it."""
    given = f"CASE WHEN trim({column}) IN ({_listed(MISSING_TEXTS)}) THEN NULL ELSE trim({column}) END"
    return Read(given, given)


def number(column: str, *, decimal_comma: bool = False, factor: float = 1) -> Read:
    """A number, times `factor`; infinite ones are read as such, for a rule to refuse them."""
    given = _given(column)
    value = f"TRY_CAST({given} AS DOUBLE)"
    if decimal_comma:
        written = f"replace(replace({given}, '.', ''), ',', '.')"
        value = f"CASE WHEN regexp_matches({given}, {quoted(_WITH_COMMA)}) THEN TRY_CAST({written} AS DOUBLE) END"
    return Read(given, value if factor == 1 else f"({value}) * {factor!r}")


def boolean(column: str) -> Read:
    """A truth: true or false, yes or no, 1 or 0, in whatever case; 1.0 and 0.0 too."""
    given = _given(column)
    return Read(
        given,
        f"CASE lower({given}) WHEN '1.0' THEN true WHEN '0.0' THEN false ELSE TRY_CAST({given} AS BOOLEAN) END",
    )


def zero_or_one(column: str, *, decimal_comma: bool = False) -> Read:
    """A number, or the words of a truth as 1 and 0."""
    given, value = number(column, decimal_comma=decimal_comma)
    return Read(given, f"coalesce({value}, TRY_CAST({given} AS BOOLEAN)::INTEGER::DOUBLE)")


def is_zoned(column: str) -> str:
    """Whether an ISO text names its own zone."""
    return f"regexp_matches({_given(column)}, {quoted(_ZONED)})"


def is_slashed(column: str) -> str:
    """Whether a text begins like a day in the writing of a country, such as 31/01/2030."""
    return f"regexp_matches({_given(column)}, {quoted(_SLASHED)})"


def local_time(column: str, style: Style) -> str:
    """The clock time that a text shows (a TIMESTAMP), whatever its zone; missing where it shows none."""
    given = _given(column)
    if style in _PER_SECOND:
        return f"make_timestamp({_microseconds(given, style)})"
    if style == "compact":
        return f"try_strptime({given}, '%Y%m%d')"
    if style == "iso":
        return f"CASE WHEN isfinite(TRY_CAST({given} AS TIMESTAMP)) THEN TRY_CAST({given} AS TIMESTAMP) END"
    day, separators = ("%d{0}%m{0}%Y", "/.-") if style == "day_first" else ("%m{0}%d{0}%Y", "/-")
    formats = [day.format(separator) + clock for separator in separators for clock in _CLOCKS]
    return f"CASE WHEN {is_slashed(column)} THEN try_strptime({given}, [{_listed(formats)}]) END"


def instant(column: str, *, style: Style = "iso", zone: str = "UTC", day_ends: bool = False) -> Read:
    """An instant. A text that names no zone is the clock time in `zone`; a day alone is its first moment there.

    Parameters
    ----------
    day_ends: a day alone is its last moment: what is known on a day is known when it ends.
    """
    given, local = _given(column), local_time(column, style)
    if style in _PER_SECOND:
        return Read(given, f"make_timestamptz({_microseconds(given, style)})")
    if day_ends:
        local = f"CASE WHEN {given} LIKE '%:%' THEN {local} ELSE {local} + INTERVAL 1 DAY - INTERVAL 1 MICROSECOND END"
    value = f"timezone({quoted(zone)}, {local})"
    if style == "iso":
        value = f"CASE WHEN {is_zoned(column)} THEN TRY_CAST({given} AS TIMESTAMPTZ) ELSE {value} END"
    return Read(given, value)


def clock_change(column: str, *, style: Style, zone: str) -> str:
    """1 where the clocks of `zone` skipped the time that a text shows, 2 where they showed it twice, else 0."""
    if style in _PER_SECOND or zone == "UTC":
        return "0"
    local, name = local_time(column, style), quoted(zone)
    taken = f"timezone({name}, {local})"
    skipped = f"timezone({name}, {taken}) <> {local}"
    twice = " OR ".join(
        f"timezone({name}, {taken} {sign} INTERVAL {minutes} MINUTE) = {local}" for sign in "+-" for minutes in (30, 60)
    )
    change = f"CASE WHEN {skipped} THEN 1 WHEN {twice} THEN 2 ELSE 0 END"
    return f"CASE WHEN {is_zoned(column)} THEN 0 ELSE {change} END" if style == "iso" else change


def epoch_style(low: float, high: float) -> Style | None:
    """The unit in which both numbers are instants from 1986 to 2128, or None.

    >>> epoch_style(1767225600, 1767229200), epoch_style(1767225600000, 1767229200000), epoch_style(0, 1)
    ('s', 'ms', None)
    """
    for style, factor in _PER_SECOND.items():
        if 5e8 * factor <= low <= high < 5e9 * factor:
            return style  # type: ignore[return-value]  # the keys of _PER_SECOND are styles
    return None


def quoted(value: str) -> str:
    """A text as SQL writes it.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def named(column: str) -> str:
    """A column's name as SQL writes it.

    >>> named("due on")
    '"due on"'
    """
    return '"' + column.replace('"', '""') + '"'


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name, lower case.

    >>> words_of("yPredProba"), words_of("Request ID")
    (('y', 'pred', 'proba'), ('request', 'id'))
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return tuple(re.findall(r"[^\W_]+", spaced.lower()))


def _given(column: str) -> str:
    return f"CASE WHEN lower(trim({column})) IN ({_listed(MISSING_VALUES)}) THEN NULL ELSE trim({column}) END"


def _microseconds(given: str, style: str) -> str:
    return f"TRY_CAST(round(TRY_CAST({given} AS DOUBLE) * {10**6 / _PER_SECOND[style]!r}) AS BIGINT)"


def _listed(values: tuple[str, ...] | list[str]) -> str:
    return ", ".join(quoted(value) for value in values)
