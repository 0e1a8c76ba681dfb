"""Tables that lie in files: Parquet, CSV and JSON lines, by name, by pattern, or all in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from glob import has_magic
from os.path import realpath
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from toolkit.data.connections import EMBEDDED, Connection
from toolkit.data.contracts import Column
from toolkit.data.values import named
from toolkit.data.wishes import RECORD
from toolkit.errors import ContractError
from toolkit.workspace import SETTINGS_FILE

if TYPE_CHECKING:
    import ibis.expr.types as ir

FORMATS = {
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz"),
    "json": (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz"),
}
"""What is read, by the ends of the files' names. JSON is one object a line."""

_NANOSECONDS, _WITHOUT_VALUES = "TIMESTAMPTZ_NS", 'kind="NULL"'  # types of DuckDB that Ibis does not know
_DUCKDB_TYPES = {"text": "VARCHAR", "number": "DOUBLE", "boolean": "BOOLEAN", "instant": "TIMESTAMPTZ"}


def list_files(connection: Connection, path: str) -> list[str]:
    """The files that a path of the settings means, sorted: one, those of a pattern, or all in a folder.

    Of a folder those of `FORMATS`: it may hold a README too. What a dot or an underscore begins is no data, such as
    `.ipynb_checkpoints/` and Spark's `_temporary/`, unless the path itself says so; nor is what an import notes. Local
    files are absolute paths; those of an object store are URLs.
    """
    if connection.object_store is not None:
        return _list_objects(connection, path)
    place = Path(connection.base, path)
    if ".." in place.parts:  # the engine names files without it
        place = Path(realpath(place))
    if has_magic(path):
        start = Path(place.anchor)
        found = [str(file) for file in start.glob(str(place.relative_to(start))) if file.is_file()]
        return _visible(found, str(place))
    if not place.is_dir():
        return [str(place)] if place.is_file() else []
    inside = _visible([str(file) for file in place.rglob("*") if file.is_file()], str(place))
    return [file for file in inside if format_of(file) is not None]


def _list_objects(connection: Connection, path: str) -> list[str]:
    store: Any = connection.object_store
    scheme, _, base = connection.base.partition("://")
    scheme = {"s3": "s3a"}.get(scheme, scheme)  # Ibis would fetch an extension of DuckDB's for s3://
    target = f"{base}/{path}"
    if has_magic(path):
        found = _visible(store.glob(target), target)
    else:
        found = [file for file in _visible(store.find(target), target) if format_of(file) is not None]
    return [f"{scheme}://{file}" for file in found]


def _visible(files: Sequence[str], asked: str) -> list[str]:
    """The files that are data by their names, sorted; what the path that was `asked` for names itself is."""
    named_so = [part for part in PurePath(asked).parts if part.startswith((".", "_"))]

    def is_data(part: str) -> bool:
        # As Spark has it: `_year=2030/` is a folder of data.
        hidden = part.startswith(".") or (part.startswith("_") and "=" not in part)
        return not hidden or any(part == each or fnmatchcase(part, each) for each in named_so)

    data = (file for file in files if all(map(is_data, PurePath(file).parts)))
    return sorted(file for file in data if PurePath(file).name != RECORD)


def format_of(file: str) -> str | None:
    """Which of `FORMATS` a file is of by the end of its name; None for none of them."""
    return next((form for form, ends in FORMATS.items() if file.casefold().endswith(ends)), None)


def read_files(
    connection: Connection,
    files: Sequence[str],
    *,
    kinds: Mapping[str, Column],
    file_column: str | None = None,
) -> ir.Table:
    """The rows of `files`, lazily, all of one format; `file_column` is a further column with the file of each row.

    `kinds` are the contract's columns by the files' own names: CSV and JSON have no types, so a text that looks like a
    number stays text, and a column without values has the type that the contract gives it. Values in the names of
    folders (`model=delay/`) are text. Raises `ContractError` for a format that is none of `FORMATS`.
    """
    form = format_of(files[0])
    if form is None:
        ends = ", ".join(end for each in FORMATS.values() for end in each)
        raise ContractError(f"{Path(files[0]).name} is of no format that is read; the names of files end in {ends}")
    if connection.engine != EMBEDDED:
        return _read_elsewhere(connection, files, form)
    backend: Any = connection.backend
    options: dict[str, Any] = {"hive_types_autocast": False, "union_by_name": True}
    if file_column is not None:
        options["filename"] = file_column
    if form == "parquet":
        # Parquet's minimum and maximum leave NaN out. Unless told so, DuckDB concludes from them that there is none and
        # answers isnan() without looking (https://github.com/duckdb/duckdb/issues/25521): a sum would be NaN.
        return _in_known_types(backend, backend.read_parquet(files, can_have_nan=True, **options), kinds)
    if form == "csv":
        table = backend.read_csv(files, **options)
        types = _types_to_correct(table, kinds)
        return backend.read_csv(files, types=types, **options) if types else table
    options |= {"format": "newline_delimited", "sample_size": -1}  # a column may first come in a late row
    table = backend.read_json(files, **options)
    types = _types_to_correct(table, kinds)
    if not types:
        return table
    found = {row[0]: row[1] for row in backend.raw_sql(f'DESCRIBE "{table.get_name()}"').fetchall()}
    found.pop(file_column, None)
    return backend.read_json(files, columns=found | types, **options)


def _in_known_types(backend: Any, table: ir.Table, kinds: Mapping[str, Column]) -> ir.Table:
    """The table without types that only DuckDB knows, in a view of it.

    Instants in nanoseconds, as pandas long wrote them, are cut off to what every engine knows; a column without any
    value, as pandas writes None, has the type that the contract gives it, or is text. A view does it: a cast that Ibis
    sees makes sqlglot refuse to take the hour or the minute of such a column.
    """
    types = {}
    for name, dtype in table.schema().items():
        if dtype.is_unknown() and _NANOSECONDS in str(dtype):
            types[name] = _DUCKDB_TYPES["instant"]
        elif dtype.is_null() or (dtype.is_unknown() and _WITHOUT_VALUES in str(dtype)):
            types[name] = _DUCKDB_TYPES[kinds[name].kind if name in kinds else "text"]
    if not types:
        return table
    cast = ", ".join(f"CAST({named(name)} AS {type_}) AS {named(name)}" for name, type_ in types.items())
    view, own = named(f"{table.get_name()}_known"), named(table.get_name())
    backend.raw_sql(f"CREATE OR REPLACE TEMPORARY VIEW {view} AS SELECT * REPLACE ({cast}) FROM {own}")  # noqa: S608 - names of columns, quoted
    return backend.table(f"{table.get_name()}_known")


def _types_to_correct(table: ir.Table, kinds: Mapping[str, Column]) -> dict[str, str]:
    """By column the type that the contract means, where what was guessed from the values does not hold."""
    types = {}
    for name, dtype in table.schema().items():
        kind = kinds[name].kind if name in kinds else None
        without_values = dtype.is_unknown() or dtype.is_null()
        if kind == "text" and not dtype.is_string():
            types[name] = _DUCKDB_TYPES[kind]
        elif without_values or (dtype.is_string() and kind not in {None, "text"}):
            types[name] = _DUCKDB_TYPES[kind or "text"]
    return types


def _read_elsewhere(connection: Connection, files: Sequence[str], form: str) -> ir.Table:
    if connection.engine != "pyspark" or form != "parquet":
        raise ContractError(
            f"{connection.place} cannot read {Path(files[0]).name}; leave 'source' out of the table in "
            f"{SETTINGS_FILE}, so that the embedded engine reads it"
        )
    return connection.backend.read_parquet_files(files, base=connection.base)
