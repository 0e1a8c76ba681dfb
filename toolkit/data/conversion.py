"""The rows of an own file as the rows of a table: every value read, every row that cannot be one with its reason.

What is built here is lazy: expressions of DuckDB over the texts of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from toolkit.data import values
from toolkit.data.column_facts import ColumnFacts, ExtraKind
from toolkit.data.contracts import CONTRACTS, Column
from toolkit.data.mapping import FROM_REQUEST, NO_SCORE, ROW_NUMBER, Assigned, TableMapping
from toolkit.data.values import Read, named, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

TYPES: dict[str, str] = {"text": "VARCHAR", "number": "DOUBLE", "boolean": "BOOLEAN", "instant": "TIMESTAMPTZ"}
"""What each kind of a contract is in DuckDB, and so in the Parquet files."""

NO_LABEL = "it has no label yet"
"""Why a row of predictions with their labels is no label: it is not wrong."""

_NOUNS = {"text": "text", "number": "number", "boolean": "yes or no", "instant": "instant"}


class Target(NamedTuple):
    """A column of the table: its name, its kind, how it is read, what the contract says of it."""

    name: str
    kind: ExtraKind
    read: Read
    spec: Column | None = None
    change: str = "0"


def targets(mapping: TableMapping, *, digest: str, there: Mapping[str, ExtraKind]) -> list[Target]:
    """The columns of the table that the file gives, in the contract's order.

    `there` are the columns of the rows that the table has already, with their kinds: a further column keeps its kind,
    and one that the file does not have is missing in its rows.
    """
    contract = CONTRACTS[mapping.table]
    found = []
    for name, spec in contract.columns.items():
        if name in mapping.assigned:
            found.append(_assigned(name, spec, mapping.assigned[name], mapping))
        elif name in mapping.constants:
            found.append(Target(name, spec.kind, _constant(mapping.constants[name], spec.kind), spec))
        elif name in mapping.derived:
            found.append(Target(name, spec.kind, _derived(mapping, name, digest), spec))
        elif name in there:
            found.append(_absent(name, spec.kind))
    for name, own in mapping.extras.items():
        kind = there.get(name, own.kind)
        found.append(_extra(name, kind, own, mapping))
    if contract.open:
        given = {target.name for target in found}
        found += [_absent(name, kind) for name, kind in there.items() if name not in given]
    return found


def _assigned(name: str, spec: Column, assigned: Assigned, mapping: TableMapping) -> Target:
    own = assigned.own
    column = f"c{own.place}"
    if spec.kind == "instant":
        read = values.instant(column, style=assigned.style, zone=mapping.timezone, day_ends=name == "observed_at")
        change = values.clock_change(column, style=assigned.style, zone=mapping.timezone)
        return Target(name, "instant", read, spec, change)
    if name == "label" and mapping.positive is not None:
        given = values.text(column).given
        return Target(name, "number", Read(given, f"({given} = {quoted(mapping.positive)})::INTEGER::DOUBLE"), spec)
    if name == "label":
        return Target(name, "number", values.zero_or_one(column, decimal_comma=own.decimal_comma), spec)
    return Target(name, spec.kind, _read(spec.kind, own, factor=assigned.factor), spec)


def _extra(name: str, kind: ExtraKind, own: ColumnFacts, mapping: TableMapping) -> Target:
    if kind != "instant":
        return Target(name, kind, _read(kind, own))
    column, style, zone = f"c{own.place}", mapping.styles.get(name, "iso"), mapping.timezone
    return Target(
        name,
        kind,
        values.instant(column, style=style, zone=zone),
        change=values.clock_change(column, style=style, zone=zone),
    )


def _read(kind: str, own: ColumnFacts, *, factor: float = 1.0) -> Read:
    column = f"c{own.place}"
    if kind == "number":
        return values.number(column, decimal_comma=own.decimal_comma, factor=factor)
    return values.boolean(column) if kind == "boolean" else values.text(column)


def _constant(value: str, kind: str) -> Read:
    written = f"CAST({quoted(value)} AS {TYPES[kind]})"
    return Read(written, written)


def _absent(name: str, kind: ExtraKind) -> Target:
    missing = f"CAST(NULL AS {TYPES[kind]})"
    return Target(name, kind, Read(missing, missing))


def _derived(mapping: TableMapping, name: str, digest: str) -> Read:
    how = mapping.derived[name]
    if how == ROW_NUMBER:
        value = f"{quoted(digest[:8] + '-')} || row"
        return Read(value, value)
    if how == FROM_REQUEST and name == "unit_id":
        request = mapping.assigned.get("request_id")
        return values.text(f"c{request.own.place}") if request else _derived(mapping, "request_id", digest)
    if how == NO_SCORE:
        answer = mapping.assigned.get("score") or mapping.assigned.get("prediction")
        given = _read("number", answer.own).given if answer else None
        value = f"({given}) IS NULL" if given else "false"
        return Read(value, value)
    return Read("NULL::TIMESTAMPTZ", "NULL::TIMESTAMPTZ")  # the time of the request: joined when the rows are there


def convert(rows: DuckDBPyRelation, mapping: TableMapping, columns: list[Target]) -> DuckDBPyRelation:
    """One row per row of the file: `row`, `reason` (missing where it is a good one), `given`, `clock`, and the columns.

    `reason` is the first thing that is wrong with the row; `given` is the row as it was, as JSON, where one is wrong;
    `clock` is 1 or 2 where the clocks skipped or repeated one of its times. Columns are `v0`, `v1` and so on.
    """
    reads = [part for place, each in enumerate(columns) for part in (f"{each.read.value} AS v{place}",)]
    given = [f"({each.read.given}) IS NOT NULL AS g{place}" for place, each in enumerate(columns)]
    changes = [each.change for each in columns if each.change != "0"]
    clock = f"greatest({', '.join(changes)})" if changes else "0"
    own = mapping.facts.file.names
    json = "to_json({" + ", ".join(f"{quoted(name)}: c{place}" for place, name in enumerate(own)) + "})::VARCHAR"
    texts = [f"c{place}" for place in range(len(own))]
    read = rows.project(", ".join(["row", "broken", *texts, f"coalesce({clock}, 0) AS clock", *reads, *given]))
    cases = " ".join(f"WHEN {wrong} THEN {quoted(reason)}" for reason, wrong in _wrongs(mapping, columns))
    judged = f"CASE WHEN broken THEN 'the line is no JSON object' {cases} END AS reason"
    kept = ", ".join(f"v{place}" for place in range(len(columns)))
    judged_rows = read.project(f"row, {judged}, clock, {', '.join(texts)}, {kept}")
    return judged_rows.project(f"row, reason, CASE WHEN reason IS NOT NULL THEN {json} END AS given, clock, {kept}")


def _wrongs(mapping: TableMapping, columns: list[Target]) -> list[tuple[str, str]]:
    """What can be wrong with a row, in words and as a condition, in the order that it is told."""
    contract = CONTRACTS[mapping.table]
    places = {each.name: f"v{place}" for place, each in enumerate(columns)}
    wrongs = []
    if mapping.whole:
        wrongs += [(NO_LABEL, f"NOT g{place}") for place, each in enumerate(columns) if each.name == "label"]
    for place, (name, kind, _, spec, _) in enumerate(columns):
        value, given = f"v{place}", f"g{place}"
        later = mapping.derived.get(name) == FROM_REQUEST and kind == "instant"
        if (name in contract.key or (spec and spec.required)) and not later:
            wrongs.append((f"{name} is missing", f"NOT {given}"))
        if kind != "text":
            wrongs.append((f"{name} is no {_NOUNS[kind]}", f"{given} AND {value} IS NULL"))
        if kind == "number":
            wrongs.append((f"{name} is infinite", f"isinf({value})"))
        if name == "label" and mapping.binary:
            wrongs.append(("label is not from 0 to 1", f"({value} < 0 OR {value} > 1)"))
        if spec and spec.low is not None:
            high = spec.high
            words = f"below {spec.low:g}" if high is None else f"not from {spec.low:g} to {high:g}"
            beyond = "" if high is None else f" OR {value} > {high!r}"
            wrongs.append((f"{name} is {words}", f"({value} < {spec.low!r}{beyond})"))
        if spec and spec.required_unless:
            other = places.get(spec.required_unless)
            missing = f"NOT {given}" + (f" AND {other} IS NULL" if other else "")
            wrongs.append((f"{name} is missing, and so is {spec.required_unless}", missing))
        if spec and spec.not_before and spec.not_before in places:
            wrongs.append((f"{name} is before {spec.not_before}", f"{value} < {places[spec.not_before]}"))
    return wrongs


def after_requests(
    staged: DuckDBPyRelation, predictions: DuckDBPyRelation, columns: list[Target], *, derived: bool
) -> DuckDBPyRelation:
    """Labels held against the requests that they are of: none is known before its request was made.

    With `derived`, a label is known when its request was made, and one without a request cannot be dated. Adds
    `matched`: whether the request is there.
    """
    places = {each.name: f"v{place}" for place, each in enumerate(columns)}
    request, observed = places["request_id"], places["observed_at"]
    made = predictions.aggregate("request_id::VARCHAR AS made_id, max(occurred_at) AS made_at", "request_id")
    joined = staged.join(made, f"{request} = made_id", how="left")
    if derived:
        wrong = "made_at IS NULL THEN 'no prediction has this request_id, so when its label was known cannot be said'"
    else:
        wrong = f"{observed} < made_at THEN 'observed_at is before the prediction''s occurred_at'"
    changed = f"coalesce({observed}, made_at) AS {observed}" if derived else observed
    kept = [changed if place == observed else place for place in places.values()]
    return joined.project(
        f"row, CASE WHEN reason IS NOT NULL THEN reason WHEN {wrong} END AS reason, given, clock, "
        f"made_id IS NOT NULL AS matched, {', '.join(kept)}"
    )


def named_values(columns: list[Target]) -> str:
    """The projection that gives the columns their names."""
    return ", ".join(f"v{place} AS {named(each.name)}" for place, each in enumerate(columns))


def kinds_of(rows: DuckDBPyRelation) -> dict[str, ExtraKind]:
    """The columns of rows that are there, with their kinds."""
    return {name: _kind(str(dtype)) for name, dtype in zip(rows.columns, rows.types, strict=True)}


def _kind(dtype: str) -> ExtraKind:
    if dtype == "BOOLEAN":
        return "boolean"
    if dtype.startswith("TIMESTAMP"):
        return "instant"
    numbers = ("DOUBLE", "FLOAT", "DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "U")
    return "number" if dtype.startswith(numbers) and dtype != "UUID" else "text"


def read_there(connection: DuckDBPyConnection, files: list[str]) -> DuckDBPyRelation | None:
    """The rows of the Parquet files that a table has already; None when it has none."""
    return connection.read_parquet(files, union_by_name=True) if files else None
