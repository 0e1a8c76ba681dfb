"""Numbers as people read them; the unit or the name's suffix decides.

`*_share` and `rel_*` are fractions shown as percent, `*_ms` and `*_days` carry their unit, `p_value` never rounds to
zero. An absent number is shown as `absent`, never as a blank or a zero.

>>> format_number("served_share", 0.1234), format_number("latency_ms", 12.345), format_number("p_value", 1e-9)
('12.3 %', '12.3 ms', '< 0.0001')
>>> format_number("value", None), format_number("n", 336776)
('absent', '336,776')
"""

from __future__ import annotations

import math
from datetime import datetime

ABSENT = "absent"
_SMALLEST_P = 1e-4


def format_number(name: str, value: object, *, unit: str = "") -> str:
    """`value` as text, by the suffix of `name` or by `unit` (`share`, `ms`, `days`, ...)."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return format_instant_day(value)
    if not isinstance(value, int | float):
        return str(value)
    if name == "p_value" or name.endswith("_p_value"):
        return f"< {_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.4f}"
    if name.startswith("rel_") or name.endswith("_share") or unit == "share":
        return f"{_significant(100 * value, 3)} %"
    for suffix, shown in (("_ms", "ms"), ("_days", "days")):
        if name.endswith(suffix) or unit == shown:
            return f"{_significant(value, 3)} {shown}"
    if isinstance(value, int):
        return f"{value:,}"
    return _significant(value, 4)


def format_interval(name: str, lower: float | None, upper: float | None, *, unit: str = "") -> str:
    """An interval as text; an absent bound is `unbounded`, two absent bounds are `absent`.

    >>> format_interval("rel_lift", -0.012, 0.034)
    '-1.2 % to 3.4 %'
    """
    if lower is None and upper is None:
        return ABSENT
    ends = ["unbounded" if end is None else format_number(name, end, unit=unit) for end in (lower, upper)]
    return f"{ends[0]} to {ends[1]}"


def format_count(number: int, noun: str) -> str:
    """So many of something.

    >>> format_count(1, "item"), format_count(1200, "item")
    ('1 item', '1,200 items')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_instant_day(instant: datetime) -> str:
    """An instant at midnight as its day, any other to the minute."""
    return f"{instant:%Y-%m-%d}" if (instant.hour, instant.minute) == (0, 0) else f"{instant:%Y-%m-%d %H:%M}"


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{min(decimals, 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text
