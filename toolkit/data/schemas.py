"""The contracts as schemas for those who produce the events: Arrow for Parquet and streams, JSON Schema for lines.

An event is one row of a contract's table. Its instants are in UTC; as JSON they are ISO texts that end in `Z`. NaN is
no number: a number that there is none of is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from toolkit.checks import check_in
from toolkit.data.contracts import CONTRACTS, Column, Kind, Table
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    import pyarrow as pa

DIALECT = "http://json-schema.org/draft-07/schema#"

_JSON_TYPES: dict[Kind, str] = {"text": "string", "number": "number", "boolean": "boolean", "instant": "string"}


def arrow_schema(table: str, *, features: Mapping[str, Kind] | None = None) -> pa.Schema:
    """The Arrow schema of a contract's table, every column with its description.

    Parameters
    ----------
    features: further columns (features and segments) of a table that may have them, by kind.

    Numbers are float64, instants are microseconds in UTC. Raises `UnknownNameError` and `ArgumentError`.

    >>> arrow_schema("predictions", features={"distance_km": "number"}).field("distance_km").type
    DataType(double)
    """
    import pyarrow as pa

    contract = _contract(table)
    columns = contract.columns | feature_columns(contract, features or {})
    types = {
        "text": pa.string(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "instant": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema(
        [
            pa.field(
                name,
                types[column.kind],
                nullable=not column.required and name not in contract.key,
                metadata={"description": _describe(column)} if column.description else None,
            )
            for name, column in columns.items()
        ],
        metadata={"table": contract.name, "grain": contract.grain, "key": ", ".join(contract.key)},
    )


def json_schema(table: str, *, features: Mapping[str, Kind] | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 7) of one event of a contract's table.

    Parameters
    ----------
    features: further columns (features and segments) of a table that may have them, by kind. Without, such a table
        takes any further text, number or boolean.

    Raises `UnknownNameError` and `ArgumentError`.

    >>> json_schema("outcomes")["required"]
    ['request_id', 'observed_at', 'label']
    """
    contract = _contract(table)
    columns = contract.columns | feature_columns(contract, features or {})
    always = [name for name, column in columns.items() if column.required or name in contract.key]
    anything = {"type": ["string", "number", "boolean", "null"]}
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "title": contract.name,
        "description": f"{contract.grain}; key: {', '.join(contract.key)}",
        "type": "object",
        "properties": {name: _property(column, optional=name not in always) for name, column in columns.items()},
        "required": always,
        "additionalProperties": anything if contract.open and not features else False,
    }
    either = [
        {"anyOf": [_is_there(name, column), _is_there(column.required_unless, columns[column.required_unless])]}
        for name, column in columns.items()
        if column.required_unless
    ]
    return schema | ({"allOf": either} if either else {})


def feature_columns(contract: Table, features: Mapping[str, Kind]) -> dict[str, Column]:
    """The declared features of an open table as columns.

    Raises `ArgumentError` for a table that takes none, a name that the contract has, a kind that there is not.
    """
    if features and not contract.open:
        names = ", ".join(features)
        raise ArgumentError(f"features == {names}: {contract.name} takes no columns but those of its contract")
    for name, kind in features.items():
        if name.casefold() in contract.columns:
            raise ArgumentError(f"features: {name!r} is a column of the contract of {contract.name}")
        check_in(kind, get_args(Kind), noun=f"kind of the feature {name!r}", error=ArgumentError)
    return {name: Column(kind) for name, kind in features.items()}


def _contract(table: str) -> Table:
    return CONTRACTS[check_in(table, CONTRACTS, noun="table")]


def _describe(column: Column) -> str:
    rules = [
        "in UTC" if column.kind == "instant" else "",
        f"not before {column.not_before}" if column.not_before else "",
        f"needed where {column.required_unless} is missing" if column.required_unless else "",
        "missing where there is none" if column.nan_only_if else "",
    ]
    return "; ".join(text for text in (column.description, *rules) if text)


def _property(column: Column, *, optional: bool) -> dict[str, Any]:
    kind = _JSON_TYPES[column.kind]
    bounds = {"minimum": column.low, "maximum": column.high}
    return {
        "type": [kind, "null"] if optional else kind,
        **({"format": "date-time", "examples": ["2030-01-31T12:00:00.25Z"]} if column.kind == "instant" else {}),
        **{name: bound for name, bound in bounds.items() if bound is not None},
        **({"description": _describe(column)} if column.description else {}),
    }


def _is_there(name: str, column: Column) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": _JSON_TYPES[column.kind]}}}
