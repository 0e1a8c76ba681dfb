"""An event as a line of JSON, or what is wrong with it; checked and written in one pass, by the standard library alone.

This is the cheap half of the contract, the half that one event can break by itself. What takes more than one row
(repeated keys, labels before their prediction) is found where the rows are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring
from reprlib import repr as shorten
from sys import float_info
from typing import cast

from toolkit.checks import unknown_name_message
from toolkit.data.contracts import CONTRACTS, Column, Kind, Table
from toolkit.errors import ContractError

MOST_BYTES = 1 << 20
"""Of one line; engines read lines into buffers of a few MiB."""

MOST_FEATURES = 1000
"""Further columns of an open table: more are ids that were taken for names."""

_KINDS: dict[type, Kind] = {str: "text", float: "number", int: "number", bool: "boolean", datetime: "instant"}
_WANTED = {
    "text": "text",
    "number": "a number",
    "boolean": "a boolean",
    "instant": "an instant (a datetime with a time zone)",
}
_MOST_INTEGER = 2**63
_MOST_FLOAT = float_info.max


class _Field:
    """A column with what it needs to be written."""

    __slots__ = ("column", "high", "low", "name", "plain", "prefix", "required")

    def __init__(self, name: str, column: Column, *, required: bool) -> None:
        self.name = name
        self.column = column
        self.required = required
        # Values of this type, and floats in these bounds, need no second look; NaN and infinities lie in none.
        self.plain = {"text": str, "boolean": bool}.get(column.kind)
        is_number = column.kind == "number"
        self.low = (-_MOST_FLOAT if column.low is None else column.low) if is_number else 1.0
        self.high = (_MOST_FLOAT if column.high is None else column.high) if is_number else 0.0
        self.prefix = f"{encode_basestring(name)}:"


class LineEncoder:
    r"""Writes the events of one table as lines, and refuses those that break its contract.

    Parameters
    ----------
    features: the declared further columns. Of others the first value says which kind they are.

    >>> encoder = LineEncoder(CONTRACTS["outcomes"])
    >>> at = datetime(2030, 1, 31, 12, tzinfo=UTC)
    >>> encoder.encode({"request_id": "r1", "observed_at": at, "label": 1})
    ('2030-01-31', b'{"request_id":"r1","observed_at":"2030-01-31T12:00:00Z","label":1}\n')
    """

    def __init__(self, contract: Table, features: Mapping[str, Column] | None = None) -> None:
        self.contract = contract
        self._fields = {
            name: _Field(name, column, required=column.required or name in contract.key)
            for name, column in {**contract.columns, **(features or {})}.items()
        }
        self._taken = {name.casefold() for name in self._fields}
        self._most = len(self._fields) + MOST_FEATURES
        self._required = [name for name, field in self._fields.items() if field.required]
        self._rules = {
            name: column
            for name, column in contract.columns.items()
            if column.required_unless or column.not_before or column.nan_only_if
        }
        self._only_of_nan = not any(column.required_unless or column.not_before for column in self._rules.values())

    @property
    def columns(self) -> dict[str, Column]:
        """The columns: those of the contract, the declared ones, and those met."""
        return {name: field.column for name, field in self._fields.items()}

    def encode(self, event: Mapping[str, object]) -> tuple[str, bytes]:
        """The event's UTC day and its line, with the newline. What is missing (None, NaN) is left out.

        Raises `ContractError` when the event breaks the contract, `TypeError` for a value of no kind.
        """
        fields, time, day = self._fields, self.contract.time, ""
        written, required, without_nan = [], 0, True
        text: str | None
        for name, value in event.items():
            field = fields.get(name) or self._meet(name, value)
            if value is None:
                continue
            if type(value) is field.plain:
                text = encode_basestring(cast("str", value)) if field.plain is str else "true" if value else "false"
            elif type(value) is float and field.low <= value <= field.high:
                text = repr(value)
            elif (text := self._text(field, value)) is None:
                without_nan = False
                continue
            written.append(field.prefix + text)
            required += field.required
            if name == time:
                day = text[1:11]
        if required < len(self._required):
            self._refuse_missing(event)
        if not (without_nan and self._only_of_nan):
            self._check_rules(event)
        line = f"{{{','.join(written)}}}\n".encode()
        if len(line) > MOST_BYTES:
            raise self._error(f"the event has {len(line):,} bytes; at most {MOST_BYTES:,} are written")
        return day, line

    def _text(self, field: _Field, value: object) -> str | None:
        """A value as JSON; None for one that is no value (NaN, NaT)."""
        kind = _KINDS.get(type(value))
        if kind is None:
            if not _is_there(value):
                return None
            value = _plain(field.name, value)
            kind = _KINDS[type(value)]
        wanted = field.column.kind
        if kind is not wanted and not (wanted == "number" and kind == "boolean"):
            if not _is_there(value):  # how a frame of pandas has it, whatever the column
                return None
            raise self._wrong_kind(field, value)
        if kind == "text":
            return encode_basestring(cast("str", value))
        if kind == "number":
            return self._number(field, cast("float", value))
        if kind == "boolean":
            return ("true" if value else "false") if wanted == "boolean" else ("1" if value else "0")
        return self._instant(field, cast("datetime", value))

    def _number(self, field: _Field, value: float) -> str | None:
        if value != value:  # noqa: PLR0124 - NaN is the one number that differs from itself
            return None
        column = field.column
        if column.low is not None and value < column.low:
            raise self._error(f"{field.name} is {shorten(value)}, must be at least {column.low:g}")
        if column.high is not None and value > column.high:
            raise self._error(f"{field.name} is {shorten(value)}, must be at most {column.high:g}")
        if not -_MOST_INTEGER <= value < _MOST_INTEGER and (
            isinstance(value, int) or value in (float("inf"), -float("inf"))
        ):
            raise self._error(f"{field.name} is {shorten(value)}, must be finite, and in 64 bits if it is whole")
        return repr(value)

    def _instant(self, field: _Field, value: datetime) -> str | None:
        if value.tzinfo is None:
            raise self._error(f"{field.name} has no time zone; give it one, such as datetime.now(UTC)")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return f'"{value.isoformat()[:-6]}Z"'

    def _meet(self, name: str, value: object) -> _Field:
        """A column that the table did not have before."""
        if not isinstance(name, str):
            raise self._error(f"{shorten(name)} is no name of a column")
        if not self.contract.open:
            raise self._error(_unknown_column(self.contract.name, name))
        if not _is_there(value):
            return _Field(name, Column("number"), required=False)  # what it is shows with its first value
        if name.casefold() in self._taken:
            raise self._error(f"column {name!r} is there in another spelling, and engines take the two for one")
        if len(self._fields) >= self._most:
            raise self._error(f"column {name!r} is one more than {MOST_FEATURES:,} beside those of the contract")
        plain = value if type(value) in _KINDS else _plain(name, value)
        kind = _KINDS[type(plain)]
        if kind == "instant":
            raise self._error(f"{name} is an instant; declare it: features={{{name!r}: 'instant'}}")
        field = _Field(name, Column(kind), required=False)
        self._taken.add(name.casefold())
        self._fields[name] = field
        return field

    def _refuse_missing(self, event: Mapping[str, object]) -> None:
        missing = [name for name in self._required if not _is_there(event.get(name))]
        raise self._error(f"{', '.join(missing)} must not be missing")

    def _check_rules(self, event: Mapping[str, object]) -> None:
        for name, column in self._rules.items():
            value = event.get(name)
            if column.required_unless and not (_is_there(value) or _is_there(event.get(column.required_unless))):
                raise self._error(f"{name} must not be missing where {column.required_unless} is")
            if column.nan_only_if and value is not None and not _is_there(value) and not event.get(column.nan_only_if):
                raise self._error(
                    f"{name} must not be NaN unless {column.nan_only_if} is true (None says that there is none)"
                )
            if column.not_before and isinstance(value, datetime) and _is_there(value):
                first = event.get(column.not_before)
                if isinstance(first, datetime) and value < first:
                    raise self._error(f"{name} must not be before {column.not_before}")

    def _wrong_kind(self, field: _Field, value: object) -> ContractError:
        wanted = _WANTED[field.column.kind]
        return self._error(f"{field.name} is {shorten(value)} ({type(value).__name__}), must be {wanted}")

    def _error(self, problem: str) -> ContractError:
        return ContractError(f"{self.contract.name}: {problem}")


@lru_cache(maxsize=256)
def _unknown_column(table: str, name: str) -> str:
    """The message; the nearest name is looked for once, not for each event of a service that is wrong for hours."""
    return unknown_name_message(name, CONTRACTS[table].columns, noun="column")


def _plain(name: str, value: object) -> object:
    """A value of a subclass, or of NumPy, as the plain one that it stands for. Raises `TypeError`."""
    if isinstance(value, Enum):
        value = value.value
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if type(value) in _KINDS:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, datetime):  # of pandas: to the microsecond
        zone = UTC if value.tzinfo else None
        utc = value.astimezone(UTC) if zone else value
        return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=zone)
    raise TypeError(f"{name} is a {type(value).__name__}, must be text, a number, a boolean, or a datetime")


def _is_there(value: object) -> bool:
    """Whether it is a value: None is none, and NaN and NaT, which differ from themselves, are none."""
    return value is not None and bool(value == value)  # noqa: PLR0124 - NaN, NaT
