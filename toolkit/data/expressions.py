"""Expressions that people write in definitions: one scalar over a table's columns, in the SQL of DuckDB.

sqlglot reads them and they become Ibis expressions, so that they mean the same on every engine, and so that no text of
a definition ever reaches an engine: what `toolkit.data.functions` does not list cannot be written. An instant may be
compared with ISO text, which is in UTC where it names no zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from toolkit.checks import unknown_name_message
from toolkit.data import functions
from toolkit.data.contracts import Kind
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import ibis.expr.types as ir


def check_expression(sql: str) -> None:
    """Raise `ArgumentError` unless `sql` is one scalar expression of what may be written; no table is asked.

    >>> check_expression("latency_s * 1000")
    >>> check_expression("sum(latency_s)")
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: 'sum(latency_s)': SUM(latency_s) takes many rows; an expression is about one row
    """
    _parse(sql)


def expression_columns(sql: str) -> list[str]:
    """The columns that an expression reads, in the order of their first use. Raises `ArgumentError`.

    >>> expression_columns("coalesce(latency_s, 0) * 1000 > budget_ms")
    ['latency_s', 'budget_ms']
    """
    return _columns(_parse(sql))


def translate(sql: str, table: ir.Table, *, kind: Kind | None = None) -> Any:
    """The Ibis expression over `table` that `sql` says; with `kind` it must be of this kind of the contracts.

    Raises `ArgumentError` for what may not be written, for a column that is not there (nearest name), and for types
    that do not go together.
    """
    value = _Translation(sql, table).value(_parse(sql))
    if kind is not None and not _is_kind(value.type(), kind):
        raise ArgumentError(f"{sql!r} is of type {value.type()}, must be {'an' if kind == 'instant' else 'a'} {kind}")
    return value


def with_columns(table: ir.Table, expressions: Mapping[str, str]) -> ir.Table:
    """`table` with a column for each expression; all of them see the columns that it had. Raises `ArgumentError`."""
    return table.mutate(**{name: translate(sql, table) for name, sql in expressions.items()})


def _is_kind(dtype: Any, kind: Kind) -> bool:
    fits = {
        "text": dtype.is_string(),
        "number": dtype.is_numeric() or dtype.is_boolean(),
        "boolean": dtype.is_boolean(),
        "instant": dtype.is_timestamp() and dtype.timezone is not None,
    }
    return bool(fits[kind])


# --- reading ---


def _parse(sql: str) -> Any:
    """sqlglot's tree of one scalar expression; every node of it may be written."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        statements = sqlglot.parse(sql, read="duckdb")
    except SqlglotError as err:
        reason = str(err).splitlines()[0].rstrip(".")
        raise ArgumentError(f"{sql!r} is no SQL expression: {reason}") from None
    if len(statements) != 1 or statements[0] is None:
        held = "nothing" if statements in ([], [None]) else f"{len(statements)} statements"
        raise ArgumentError(f"{sql!r} holds {held}; write one expression, such as 'latency_s * 1000'")
    for node in statements[0].walk():
        if problem := _problem(node):
            raise ArgumentError(f"{sql!r}: {problem}")
    return statements[0]


def _problem(node: Any) -> str | None:
    """Why a node may not be written, or None."""
    from sqlglot import expressions as sg

    shown = node.sql("duckdb")
    if isinstance(node, sg.Query | sg.Exists | sg.DDL | sg.DML | sg.Command):
        return "it asks a table; an expression is about the columns of one row"
    if isinstance(node, sg.Window):
        return f"{shown} looks at other rows; an expression is about one row"
    if isinstance(node, sg.AggFunc):
        return f"{shown} takes many rows; an expression is about one row"
    name = _function_name(node)
    if name in _VOLATILE:
        return f"{shown} is another value in every run; a report must be the same when it is repeated"
    if _class(node) in _KNOWN and _FLAGS.issuperset(_flags(node)):
        return None
    if isinstance(node, sg.Func) and _class(node) not in _KNOWN and shown.endswith(")"):
        return unknown_name_message(name, _NAMES, noun="function", most=len(_NAMES))
    return f"{shown} may not be written in an expression"


def _flags(node: Any) -> list[str]:
    """The variants of a form that a node asks for, such as the LEADING of TRIM, which are no values."""
    if _class(node) in {*_PARTS, "Literal", "Boolean"}:
        return []
    return [name for name, value in node.args.items() if value is True or isinstance(value, str)]


def _class(node: Any) -> str:
    return type(node).__name__


def _function_name(node: Any) -> str:
    from sqlglot import expressions as sg

    if isinstance(node, sg.Anonymous):
        return str(node.this).casefold()
    return node.sql_name().casefold() if isinstance(node, sg.Func) else ""


def _columns(node: Any) -> list[str]:
    return list(dict.fromkeys(each.parts[0].name for each in node.walk(bfs=False) if _class(each) == "Column"))


def _text(node: Any) -> str | None:
    """The text of a literal, also of one with a type before it (`date '2030-01-31'`)."""
    if _class(node) == "Cast" and node.to.this.name in {"DATE", "TIMESTAMP", "TIMESTAMPTZ"}:
        node = node.this
    return str(node.this) if _class(node) == "Literal" and node.is_string else None


_FORMS = {
    "AtTimeZone": "at_time_zone",
    "Between": "between",
    "Boolean": "boolean",
    "Case": "case",
    "Cast": "cast",
    "Column": "column",
    "Extract": "extract",
    "ILike": "like",
    "In": "is_in",
    "Interval": "interval",
    "Is": "is_same",
    "JSONExtractScalar": "json",
    "Like": "like",
    "Literal": "literal",
    "Null": "null",
    "Paren": "paren",
    "TimeToStr": "strftime",
    "TimeToUnix": "epoch",
    "TimestampTrunc": "date_trunc",
    "TryCast": "cast",
    "UnixToTime": "to_timestamp",
}
"""What is not a function of values alone: the method of `_Translation` for it."""

_PARTS = {"DataType", "DataTypeParam", "Identifier", "JSONPath", "JSONPathKey", "JSONPathRoot", "Var"}
_KNOWN = {*_FORMS, *_PARTS, *functions.OPERATORS, *functions.COMPARISONS, *functions.FUNCTIONS}
_NAMES = sorted(
    {
        *(name for name, _ in functions.FUNCTIONS.values()),
        *("cast", "date_trunc", "epoch", "extract", "ifnull", "strftime", "to_timestamp", "try_cast"),
    }
)
_FLAGS = {
    *("coalesce", "ignore_nulls", "negate", "null_if_pos_overflow", "only_json_types", "safe", "scalar_only", "typed"),
}
"""What sqlglot notes of DuckDB's ways, and a NOT before LIKE."""
_VOLATILE = {"current_date", "current_timestamp", "current_time", "now", "rand", "random", "today", "uuid"}


# --- translating ---


class _Translation:
    """Of one expression over one table: a method for each form."""

    def __init__(self, sql: str, table: ir.Table) -> None:
        self.sql = sql
        self.table = table

    def value(self, node: Any) -> Any:
        """The Ibis expression of a node."""
        from ibis.common.annotations import ValidationError
        from ibis.common.exceptions import IbisError

        name = _class(node)
        try:
            if name in _FORMS:
                return getattr(self, _FORMS[name])(node)
            if name in functions.COMPARISONS:
                return functions.COMPARISONS[name](*self.compared(node.this, node.expression))
            compute = functions.OPERATORS[name] if name in functions.OPERATORS else functions.FUNCTIONS[name][1]
            return compute(*self.arguments(node))
        except ArgumentError:
            raise
        except (AttributeError, IbisError, NotImplementedError, TypeError, ValidationError) as err:
            columns = ", ".join(f"{column} is {self.table[column].type()}" for column in _columns(node))
            reason = f" ({columns})" if columns else ""
            raise self.error(f"{node.sql('duckdb')} does not fit its types or arguments{reason}") from err

    def error(self, problem: str) -> ArgumentError:
        return ArgumentError(f"{self.sql!r}: {problem}")

    @property
    def engine(self) -> str:
        return str(self.table.get_backend().name)

    def arguments(self, node: Any) -> list[Any]:
        """The values that a node is computed from, in the order that sqlglot has for them."""
        given = [node.args.get(name) for name in node.arg_types]
        flat = [part for value in given for part in (value if isinstance(value, list) else [value])]
        return [self.value(part) for part in flat if part is not None and not isinstance(part, bool | str)]

    def compared(self, *nodes: Any) -> list[Any]:
        """The values of nodes that are compared; beside an instant or a day, ISO text is one too."""
        values = [self.value(node) for node in nodes]
        times = [value.type() for value in values if value.type().is_timestamp() or value.type().is_date()]
        texts = [_text(node) if times else None for node in nodes]
        return [
            value if text is None else self.moment(text, times[0]) for value, text in zip(values, texts, strict=True)
        ]

    def moment(self, text: str, dtype: Any) -> Any:
        """A literal of the type of what it is compared with."""
        import ibis

        try:
            if dtype.is_date():
                return ibis.literal(date.fromisoformat(text))
            moment = datetime.fromisoformat(text)
        except ValueError:
            wanted = "day, such as '2030-01-31'" if dtype.is_date() else "instant, such as '2030-01-31T12:00:00Z'"
            raise self.error(f"{text!r} is compared with a column of type {dtype} and is no {wanted}") from None
        if dtype.timezone is not None:
            return ibis.literal(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC), type="timestamp('UTC', 6)")
        if moment.tzinfo is not None:
            raise self.error(f"{text!r} names a time zone, and the column that it is compared with has none")
        return ibis.literal(moment, type="timestamp(6)")

    def column(self, node: Any) -> Any:
        first, *fields = [part.name for part in node.parts]
        if first not in self.table.columns:
            raise self.error(unknown_name_message(first, self.table.columns, noun="column"))
        value = self.table[first]
        for field in fields:
            if not value.type().is_struct():
                raise self.error(f"{first} is of type {value.type()} and has no field {field!r}")
            if field not in value.type().names:
                raise self.error(unknown_name_message(field, value.type().names, noun=f"field of {first}"))
            value = value[field]
        return value

    def literal(self, node: Any) -> Any:
        import ibis

        text = str(node.this)
        if node.is_string:
            return ibis.literal(text)
        return ibis.literal(int(text) if text.isdigit() else float(text))

    def boolean(self, node: Any) -> Any:
        import ibis

        return ibis.literal(bool(node.this))

    def null(self, _node: Any) -> Any:
        import ibis

        return ibis.null()

    def paren(self, node: Any) -> Any:
        return self.value(node.this)

    def between(self, node: Any) -> Any:
        value, low, high = self.compared(node.this, node.args["low"], node.args["high"])
        return value.between(low, high)

    def is_in(self, node: Any) -> Any:
        value, *options = self.compared(node.this, *node.expressions)
        return value.isin(options)

    def is_same(self, node: Any) -> Any:
        value = self.value(node.this)
        if _class(node.expression) == "Null":
            return value.isnull()
        return value.fill_null(not node.expression.this) == bool(node.expression.this)

    def like(self, node: Any) -> Any:
        pattern = _text(node.expression)
        if pattern is None or "\\" in pattern:
            raise self.error(f"{node.sql('duckdb')} must compare with a text in quotes without a backslash")
        text = self.value(node.this)
        found = text.ilike(pattern) if _class(node) == "ILike" else text.like(pattern)
        return ~found if node.args.get("negate") else found

    def case(self, node: Any) -> Any:
        import ibis

        subject = node.this
        branches = [
            (
                self.value(branch.this)
                if subject is None
                else functions.COMPARISONS["EQ"](*self.compared(subject, branch.this)),
                self.value(branch.args["true"]),
            )
            for branch in node.args["ifs"]
        ]
        default = node.args.get("default")
        return ibis.cases(*branches, else_=None if default is None else self.value(default))

    def cast(self, node: Any) -> Any:
        target = node.to.this.name
        if target not in functions.TYPES or node.to.expressions:
            message = unknown_name_message(node.to.sql("duckdb"), functions.TYPES, noun="type")
            raise self.error(message)
        if (text := _text(node)) is not None and target in {"DATE", "TIMESTAMPTZ"}:
            import ibis

            return self.moment(text, ibis.dtype(functions.TYPES[target]))
        value, wanted = self.value(node.this), functions.TYPES[target]
        if problem := _cast_problem(value.type(), target):
            raise self.error(f"{node.sql('duckdb')}: {problem}")
        if value.type().is_floating() and wanted == "int64":
            return functions.whole(value)
        value = functions.clock_of(value) if wanted == "date" else value
        return value.try_cast(wanted) if _class(node) == "TryCast" else value.cast(wanted)

    def extract(self, node: Any) -> Any:
        part = node.this.name.upper()
        name = {"DOW": "DayOfWeek"}.get(part, part.capitalize())
        if name not in {"Day", "DayOfWeek", "Hour", "Minute", "Month", "Year"}:
            allowed = ["day", "dow", "hour", "minute", "month", "year"]
            raise self.error(unknown_name_message(part.lower(), allowed, noun="part of a time"))
        return functions.FUNCTIONS[name][1](self.value(node.expression))

    def date_trunc(self, node: Any) -> Any:
        unit = node.args["unit"].name.upper()
        if unit not in functions.TRUNCATIONS:
            raise self.error(unknown_name_message(unit, functions.TRUNCATIONS, noun="unit"))
        return functions.truncate(self.value(node.this), unit)

    def interval(self, node: Any) -> Any:
        import ibis

        unit = node.args["unit"].name.upper().removesuffix("S")
        if unit not in functions.INTERVALS:
            raise self.error(unknown_name_message(unit, functions.INTERVALS, noun="unit"))
        if _class(node.this) != "Literal" or not str(node.this.this).isdigit():
            raise self.error(f"{node.sql('duckdb')} must be a whole number of a unit, such as INTERVAL 3 HOUR")
        return ibis.interval(int(str(node.this.this)), functions.INTERVALS[unit])

    def strftime(self, node: Any) -> Any:
        form = _text(node.args["format"])
        directives = [] if form is None else [part[:1] for part in form.split("%")[1:]]
        if form is None or not functions.DIRECTIVES.issuperset(directives):
            allowed = ", ".join(f"%{each}" for each in sorted(functions.DIRECTIVES))
            raise self.error(f"{node.sql('duckdb')}: the format must be a text in quotes with no more than {allowed}")
        return functions.clock_of(self.value(node.this)).strftime(form)

    def epoch(self, node: Any) -> Any:
        return functions.seconds_of(self.value(node.this), self.engine)

    def to_timestamp(self, node: Any) -> Any:
        if node.args.get("scale") is not None:
            raise self.error(
                f"{node.sql('duckdb')}: write to_timestamp(SECONDS), such as to_timestamp(created_ms / 1000)"
            )
        return functions.instant_of(self.value(node.this), self.engine)

    def at_time_zone(self, node: Any) -> Any:
        zone, time = _text(node.args["zone"]), self.value(node.this)
        if zone is None or not time.type().is_timestamp():
            raise self.error(f"{node.sql('duckdb')} must be a timestamp AT TIME ZONE and a zone in quotes")
        return functions.at_zone(time, zone, self.engine)

    def json(self, node: Any) -> Any:
        path = node.expression
        if _class(path) != "JSONPath" or any(_class(part) not in _PARTS for part in path.expressions):
            raise self.error(f"{node.sql('duckdb')} must name a key, such as payload->>'score' or payload->>'$.a.b'")
        keys = [str(part.this) for part in path.expressions if _class(part) == "JSONPathKey"]
        return functions.json_text(self.value(node.this), keys, self.engine)


def _cast_problem(dtype: Any, target: str) -> str | None:
    """Why a value of a type is not cast, because engines would not agree on what comes of it; or None."""
    if target == "TEXT" and (dtype.is_floating() or dtype.is_decimal()):
        return "engines write such numbers differently; make it whole first, with floor(), ceil() or round()"
    if target in {"TEXT", "VARCHAR"} and dtype.is_timestamp():
        return "write strftime(TIME, '%Y-%m-%d') for the text of a time"
    if target == "TIMESTAMPTZ" and dtype.is_timestamp() and dtype.timezone is None:
        return "the time has no zone; write which one it is in, such as created AT TIME ZONE 'UTC'"
    return None
