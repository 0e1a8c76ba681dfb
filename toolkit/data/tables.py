"""A configured table as its engine sees it, by the contract's names; of local files also the state of each on disk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.checks import unknown_name_message
from toolkit.data.cache import file_state
from toolkit.data.connections import EMBEDDED, Connection
from toolkit.data.contracts import Column, Table
from toolkit.data.expressions import translate
from toolkit.data.files import format_of, list_files, read_files
from toolkit.errors import ArgumentError, ContractError
from toolkit.workspace import SETTINGS_FILE, TableSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir

FILE = "file_of_row"
"""The column that `OpenedTable.only` adds: the path of the file that a row comes from."""


@dataclass(frozen=True)
class OpenedTable:
    """A table to read, and the connection that reads it.

    Attributes
    ----------
    table: lazy, with the contract's names for the columns that the settings map.
    files: the files it lies in, when they are local and their state can be known; () when only the engine knows.
    open_files: the rows of some files, mapped in the same way, with the file of each in `FILE`.
    """

    contract: Table
    settings: TableSettings
    connection: Connection
    table: ir.Table
    files: tuple[str, ...]
    open_files: Callable[[Sequence[str]], ir.Table]

    @property
    def mapping(self) -> dict[str, Any]:
        """What the settings say about the columns."""
        return self.settings.model_dump(mode="json", include={"columns", "expressions"})

    def states(self) -> dict[str, Any]:
        """By file (as the workspace names it) what changes when it is written; None for one that was just written."""
        now_ns = time.time_ns()
        return {self.relative(file): file_state(Path(file), now_ns=now_ns) for file in self.files}

    def relative(self, file: str) -> str:
        """A file's path as the workspace names it; as it is when it lies elsewhere."""
        path, base = Path(file), Path(self.connection.base)
        return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()

    def only(self, files: Sequence[str]) -> ir.Table:
        """The rows of some of the files, with the file of each in `FILE`; what only other files have is missing."""
        import ibis

        rows = self.open_files([str(Path(self.connection.base, file)) for file in files])
        types = self.table.schema()
        lacking = {name: ibis.null(types[name]) for name in self.table.columns if name not in rows.columns}
        return rows.mutate(**lacking) if lacking else rows

    def place_in_key(self, rows: ir.Table, columns: Sequence[str]) -> ir.Table:
        """The rows with `place_in_key`: 0 for the first row of each key, in the order of time and then of content."""
        import ibis

        order = [rows[self.contract.time], self.connection.row_hash(rows, columns)]
        place = ibis.row_number().over(group_by=[rows[name] for name in self.contract.key], order_by=order)
        return rows.mutate(place_in_key=place)


def open_table(contract: Table, settings: TableSettings, connection: Connection) -> OpenedTable:
    """Find a table where its settings say that it is. Nothing is read but names and types.

    Raises `ContractError` for files or a table that are not there, and for mapped columns that are not in it.
    """
    if settings.table is not None:
        found = _database_table(contract, settings.table, connection)
        return OpenedTable(contract, settings, connection, _map(contract, settings, found), (), _no_files)
    assert settings.path is not None  # the settings hold either a table or a path
    files = list_files(connection, settings.path)
    where = f"[tables.{contract.name}] in {SETTINGS_FILE}"
    if not files:
        raise ContractError(f"{contract.name}: no file matches {settings.path!r} ({where})")
    if problem := _several_formats(files):
        raise ContractError(f"{contract.name}: {settings.path!r} means {problem} ({where})")
    kinds = _own_kinds(contract, settings)

    def open_files(some: Sequence[str]) -> ir.Table:
        return _map(contract, settings, read_files(connection, some, kinds=kinds, file_column=FILE))

    table = _map(contract, settings, read_files(connection, files, kinds=kinds))
    local = connection.engine == EMBEDDED and "://" not in connection.base
    return OpenedTable(contract, settings, connection, table, tuple(files) if local else (), open_files)


def _several_formats(files: Sequence[str]) -> str | None:
    """What is wrong with files of more than one format: to pass over some would be to lose their rows."""
    counts = Counter(map(format_of, files))
    if len(counts) == 1:
        return None
    examples = {format_of(file): Path(file).name for file in reversed(files)}
    shown = ", ".join(
        f"{number:,} {form or 'of none that is read'} ({examples[form]})" for form, number in counts.items()
    )
    return (
        f"files of {len(counts)} formats, {shown}, and a table is read from files of one; move the others away, or "
        f"let path be a pattern for those that are meant, such as 'folder/**/*{Path(files[0]).suffix}'"
    )


def _no_files(files: Sequence[str]) -> ir.Table:
    raise AssertionError(f"a table of a database lies in no files, asked for {files}")


def _database_table(contract: Table, name: str, connection: Connection) -> ir.Table:
    schema, _, table = name.rpartition(".")
    database = tuple(schema.split(".")) if "." in schema else schema or None
    known = connection.run(contract.name, lambda: connection.list_tables(database))
    if table not in known:
        where = f"{connection.place}{f', schema {schema}' if schema else ''}"
        raise ContractError(f"{contract.name}: " + unknown_name_message(table, known, noun=f"table in {where}"))
    return connection.backend.table(table, database=database)


def _own_kinds(contract: Table, settings: TableSettings) -> dict[str, Column]:
    """The contract's columns by the names that they have in the files."""
    return {settings.columns.get(name, name): column for name, column in contract.columns.items()}


def _map(contract: Table, settings: TableSettings, table: ir.Table) -> ir.Table:
    """The contract's names for own columns, and the columns that expressions make of own columns."""
    for own in settings.columns.values():
        if own not in table.columns:
            raise ContractError(f"{contract.name}: " + unknown_name_message(own, table.columns, noun="mapped column"))
    made = {name: _translate(contract, name, sql, table) for name, sql in settings.expressions.items()}
    renamed = {name: table[own] for name, own in settings.columns.items()}
    hidden = {own for own in settings.columns.values() if own not in settings.columns}
    kept = [name for name in table.columns if name not in {*renamed, *made, *hidden}]
    return table.select(*kept, **renamed, **made) if renamed or made else table


def _translate(contract: Table, name: str, sql: str, table: ir.Table) -> Any:
    column = contract.columns.get(name)
    try:
        return translate(sql, table, kind=column.kind if column else None)
    except ArgumentError as err:
        where = f"expressions of [tables.{contract.name}] in {SETTINGS_FILE}"
        raise ContractError(f"{contract.name}.{name}: {err} ({where})") from None
