"""Differences as people read them: those of shares in percentage points, so that no one takes one for a lift.

And p-values, which stand behind a difference.
"""

from __future__ import annotations

from toolkit.display import format_interval, format_number


def format_change(value: float | None, unit: str) -> str:
    """A difference in the metric's unit, without the names of other units.

    >>> format_change(-0.00153, "share"), format_change(0.25, "ms"), format_change(-0.014, "nats")
    ('-0.153 pp', '0.25 ms', '-0.014')
    """
    if unit != "share" or value is None:
        return format_number("difference", value, unit=unit)
    return format_number("value_share", value).replace("%", "pp")


def format_change_interval(lower: float | None, upper: float | None, unit: str) -> str:
    """An interval of a difference in the metric's unit.

    >>> format_change_interval(-0.0044, 0.00135, "share")
    '-0.44 pp to 0.135 pp'
    """
    text = format_interval("value_share" if unit == "share" else "difference", lower, upper, unit=unit)
    return text.replace("%", "pp") if unit == "share" else text


def signed_change(value: float, unit: str) -> str:
    """A difference with its sign, also where it is positive.

    >>> signed_change(0.0014, "share"), signed_change(-3.0, "ms")
    ('+0.14 pp', '-3 ms')
    """
    return ("+" if value > 0 else "") + format_change(value, unit)


def change_axis(unit: str) -> tuple[float, str]:
    """What differences are multiplied with to be drawn, and the unit behind the axis' words.

    >>> change_axis("share"), change_axis("ms"), change_axis("")
    ((100.0, ', pp'), (1.0, ', ms'), (1.0, ''))
    """
    if unit == "share":
        return 100.0, ", pp"
    return 1.0, f", {unit}" if unit else ""


def p_text(value: float | None) -> str:
    """A p-value as it stands behind the letter.

    >>> p_text(0.02), p_text(1e-9)
    ('= 0.0200', '< 0.0001')
    """
    text = format_number("p_value", value)
    return text if text.startswith("<") else f"= {text}"
