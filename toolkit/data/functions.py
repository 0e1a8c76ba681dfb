"""What may be written in an expression: operators and functions by DuckDB's names, each as Ibis computes it.

The keys are the names of sqlglot's node classes. Three things are decided where engines differ: a division by zero, and
what lies outside a function's domain, is missing; a number becomes whole by rounding halves away from zero; a sum of a
text and something else is none.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from toolkit.data.connections import EMBEDDED, call_builtin


def _of_numbers(compute: Callable[..., Any], *, shifts: bool = False) -> Callable[..., Any]:
    """Arithmetic, which Ibis knows of texts and booleans too; `shifts`: also of a time and an interval."""

    def computed(*values: Any) -> Any:
        types = [value.type() for value in values]
        is_shift = shifts and (types[0].is_timestamp() or types[0].is_date()) and types[1].is_interval()
        if not is_shift and not all(dtype.is_numeric() or dtype.is_null() for dtype in types):
            raise TypeError
        return compute(*values)

    return computed


def _divide(left: Any, right: Any) -> Any:
    return left.cast("float64") / right.cast("float64").nullif(0.0)


def _join_text(left: Any, right: Any) -> Any:
    if not (left.type().is_string() and right.type().is_string()):
        raise TypeError
    return left.concat(right)


def _finite(value: Any) -> Any:
    return (value.isnan() | value.isinf()).ifelse(None, value) if value.type().is_floating() else value


def whole(value: Any) -> Any:
    """The nearest whole number, halves away from zero; missing for NaN and infinity."""
    finite = _finite(value)
    return (finite < 0).ifelse(-(0.5 - finite).floor(), (finite + 0.5).floor())


def _concat(*values: Any) -> Any:
    import ibis

    return ibis.literal("").join([value.fill_null("") for value in values])


def _coalesce(*values: Any) -> Any:
    import ibis

    return ibis.coalesce(*values)


def _greatest(*values: Any) -> Any:
    import ibis

    return ibis.greatest(*values)


def _least(*values: Any) -> Any:
    import ibis

    return ibis.least(*values)


def _extract(text: Any, pattern: Any, group: Any = 0) -> Any:
    return text.isnull().ifelse(None, text.re_extract(pattern, group).fill_null(""))


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": _of_numbers(operator.add, shifts=True),
    "And": operator.and_,
    "DPipe": _join_text,
    "Div": _of_numbers(_divide),
    "Mod": _of_numbers(lambda left, right: left % right.nullif(0)),
    "Mul": _of_numbers(operator.mul),
    "Neg": _of_numbers(operator.neg),
    "Not": operator.invert,
    "Or": operator.or_,
    "Sub": _of_numbers(operator.sub, shifts=True),
}

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "EQ": operator.eq,
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
    "NEQ": operator.ne,
    "NullSafeEQ": lambda left, right: left.identical_to(right),
    "NullSafeNEQ": lambda left, right: ~left.identical_to(right),
}

FUNCTIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "Abs": ("abs", lambda value: value.abs()),
    "Ceil": ("ceil", lambda value: _finite(value).ceil()),
    "Coalesce": ("coalesce", _coalesce),
    "Concat": ("concat", _concat),
    "Contains": ("contains", lambda text, part: text.contains(part)),
    "Day": ("day", lambda time: clock_of(time).day()),
    "DayOfWeek": ("dayofweek", lambda time: (clock_of(time).day_of_week.index() + 1) % 7),
    "EndsWith": ("ends_with", lambda text, end: text.endswith(end)),
    "Exp": ("exp", lambda value: value.exp()),
    "Floor": ("floor", lambda value: _finite(value).floor()),
    "Greatest": ("greatest", _greatest),
    "Hour": ("hour", lambda time: clock_of(time).hour()),
    "If": ("if", lambda condition, then, other=None: condition.ifelse(then, other)),
    "IsInf": ("isinf", lambda value: value.isinf()),
    "IsNan": ("isnan", lambda value: value.isnan()),
    "Least": ("least", _least),
    "Left": ("left", lambda text, length: text.left(length)),
    "Length": ("length", lambda text: text.length()),
    "Ln": ("ln", lambda value: (value > 0).ifelse(value, None).ln()),
    "Lower": ("lower", lambda text: text.lower()),
    "Minute": ("minute", lambda time: clock_of(time).minute()),
    "Month": ("month", lambda time: clock_of(time).month()),
    "Nullif": ("nullif", lambda value, other: value.nullif(other)),
    "Pow": ("power", lambda value, exponent: value**exponent),
    "RegexpExtract": ("regexp_extract", _extract),
    "RegexpLike": ("regexp_matches", lambda text, pattern: text.re_search(pattern)),
    "Replace": ("replace", lambda text, part, other: text.replace(part, other)),
    "Right": ("right", lambda text, length: text.right(length)),
    "Round": ("round", whole),
    "Sign": ("sign", lambda value: value.sign()),
    "Sqrt": ("sqrt", lambda value: (value >= 0).ifelse(value, None).sqrt()),
    "StartsWith": ("starts_with", lambda text, start: text.startswith(start)),
    "Substring": ("substring", lambda text, start, length=None: text.substr(start - 1, length)),
    "Trim": ("trim", lambda text: text.strip()),
    "Upper": ("upper", lambda text: text.upper()),
    "Year": ("year", lambda time: clock_of(time).year()),
}
"""Functions of values alone: DuckDB's name, and how it is computed."""

TYPES = {
    "BIGINT": "int64",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DOUBLE": "float64",
    "FLOAT": "float64",
    "INT": "int64",
    "SMALLINT": "int64",
    "TEXT": "string",
    "TIMESTAMPTZ": "timestamp('UTC', 6)",
    "TINYINT": "int64",
    "VARCHAR": "string",
}
"""What a value may be cast to: sqlglot's name, and the type of Ibis."""

TRUNCATIONS = ("HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
INTERVALS = {"SECOND": "s", "MINUTE": "m", "HOUR": "h", "DAY": "D"}
DIRECTIVES = frozenset("YmdHMS")
"""Of `strftime`: those that mean the same everywhere."""


# --- functions that engines have and Ibis has not, or not exactly ---


def seconds_of(instant: Any, engine: str) -> Any:
    """Seconds since 1970 with their fraction."""
    if engine == "pyspark":
        return call_builtin("unix_micros", instant, returns="int64") / 1e6
    if engine == "postgres":
        import ibis

        return call_builtin("date_part", ibis.literal("epoch"), instant, returns="float64")
    return call_builtin("epoch", instant, returns="float64")


def micros_of(instant: Any) -> Any:
    """Microseconds since 1970, as a whole number: what floats lose is the fraction of a second."""
    engine = instant.get_backend().name
    known = {EMBEDDED: "epoch_us", "pyspark": "unix_micros"}
    if engine in known:
        return call_builtin(known[engine], instant, returns="int64")
    return (seconds_of(instant, engine) * 1e6).round().cast("int64")


def clock_of(time: Any) -> Any:
    """What a clock in UTC shows at an instant, a time without zone where that matters; of anything else it is that.

    The embedded engine asks a calendar of all time zones for the day of an instant with a zone, which takes 15 times as
    long as to read it. An infinite instant shows nothing.
    """
    if not (time.type().is_timestamp() and time.type().timezone) or time.get_backend().name != EMBEDDED:
        return time  # other engines' sessions are in UTC
    return call_builtin("make_timestamp", micros_of(time), returns="timestamp(6)")


def truncate(time: Any, unit: str) -> Any:
    """The beginning (in UTC) of the hour, day, ... that a time is in; an instant stays one, which Ibis forgets."""
    import ibis

    if not time.type().is_timestamp():
        raise TypeError
    returns = "timestamp('UTC', 6)" if time.type().timezone else "timestamp(6)"
    return call_builtin("date_trunc", ibis.literal(unit.lower()), time, returns=returns)


def instant_of(seconds: Any, engine: str) -> Any:
    """The instant so many seconds after the beginning of 1970."""
    name = {"pyspark": "timestamp_seconds"}.get(engine, "to_timestamp")
    return call_builtin(name, seconds.cast("float64"), returns="timestamp('UTC', 6)")


def at_zone(time: Any, zone: str, engine: str) -> Any:
    """The instant of a clock's time in a zone; of an instant, what the clock shows there."""
    import ibis

    to_instant = time.type().timezone is None
    returns = "timestamp('UTC', 6)" if to_instant else "timestamp(6)"
    if engine == "pyspark":
        shifted = call_builtin(
            "to_utc_timestamp" if to_instant else "from_utc_timestamp",
            time,
            ibis.literal(zone),
            returns="timestamp('UTC', 6)",
        )
        return shifted if to_instant else call_builtin("to_timestamp_ntz", shifted, returns=returns)
    return call_builtin("timezone", ibis.literal(zone), time, returns=returns)


def json_text(value: Any, keys: list[str], engine: str) -> Any:
    """The text of what lies under some keys of a JSON text or column; missing where there is none."""
    import ibis

    if engine == "postgres":
        from ibis.expr.datatypes import jsonb

        value = value.cast(jsonb)
        return call_builtin("jsonb_extract_path_text", value, *(ibis.literal(key) for key in keys), returns="string")
    name = "get_json_object" if engine == "pyspark" else "json_extract_string"
    path = "$" + "".join(f".{key}" if key.isidentifier() else f"['{key}']" for key in keys)
    return call_builtin(name, value, ibis.literal(path), returns="string")
