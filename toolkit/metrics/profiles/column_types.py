"""What type each column had on each day: files of one table may differ, and the engine reads them as if they did not.

Where one file says 1 and a later one "1", the engine makes texts of both. Where a file lacks a column, its rows read as
missing. Both are facts about the channel, so they are looked up in the files themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.data import LABEL, Source
from toolkit.data.instants import date_of, days_as_text
from toolkit.data.tables import FILE
from toolkit.metrics.profiles.profile import SEVERAL_TYPES
from toolkit.metrics.profiles.requests import TIME, column_type

if TYPE_CHECKING:
    from toolkit.data.tables import OpenedTable

Types = dict[str, str]
"""By column; a column that was not there is not in it."""


def types_by_day(source: Source, columns: Iterable[str], days: Sequence[str]) -> dict[str, Types]:
    """The types that columns of predictions (and the label) had on each day, see `column_type`.

    Only local Parquet files can differ; elsewhere a table has one type per column. Raises `ContractError`.
    """
    opened = source.opened("predictions")
    schema = opened.table.schema()
    whole = {name: column_type(schema[name]) for name in sorted({*columns} & {*schema.names})}
    label = {LABEL: "number"} if LABEL in columns and "outcomes" in source.tables else {}
    of_files = {file: _types_in(opened, file, whole) for file in opened.files if file.endswith(("parquet", "pq"))}
    if all(types == whole for types in of_files.values()):
        return dict.fromkeys(days, whole | label)
    found: dict[str, list[Types]] = {day: [] for day in days}
    for file, day in _days_of_files(source, opened):
        if day in found:
            found[day].append(of_files.get(file, whole))
    return {day: _together(types) | label for day, types in found.items()}


def _types_in(opened: OpenedTable, file: str, whole: Types) -> Types:
    """The types of the columns that a file has; what settings compute, or a folder's name says, is as it is read."""
    import ibis
    from pyarrow import parquet

    schema = ibis.Schema.from_pyarrow(parquet.read_schema(file))
    made, renamed = opened.settings.expressions, opened.settings.columns
    folders = {part.partition("=")[0] for part in Path(file).parts[:-1] if "=" in part}
    own = {name: renamed.get(name, name) for name in whole if name not in made}
    types = {name: whole[name] for name in whole if name in made or own[name] in folders}
    for name, mine in own.items():
        if mine in schema.names:  # a file without any value may not say what they would be
            types[name] = whole[name] if schema[mine].is_null() else column_type(schema[mine])
    return dict(sorted(types.items()))


def _days_of_files(source: Source, opened: OpenedTable) -> list[tuple[str, str]]:
    """Which file has requests of which day; read off the times alone."""
    rows = opened.only(opened.files)
    groups = rows.group_by(FILE, day=date_of(rows[TIME])).aggregate(rows=rows.count())
    frame = source.execute(days_as_text(groups), reading="predictions")
    return sorted(zip(frame[FILE], frame["day"], strict=True))


def _together(parts: Sequence[Types]) -> Types:
    found: dict[str, set[str]] = {}
    for types in parts:
        for name, dtype in types.items():
            found.setdefault(name, set()).add(dtype)
    return {name: SEVERAL_TYPES.join(sorted(types)) for name, types in sorted(found.items())}
