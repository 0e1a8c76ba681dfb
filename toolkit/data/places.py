"""Where imported rows lie, and what `toolkit.toml` must say so that they are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from toolkit.errors import ArgumentError
from toolkit.workspace import SETTINGS_FILE, Workspace
from toolkit.workspace.documents import parse_toml

_OTHER_FORMS = re.compile(r"\.(csv|tsv|jsonl|ndjson)(\.gz)?$", flags=re.IGNORECASE)
"""What a folder may hold that is a table too, as long as no Parquet file lies beside it."""


def parquet_files(workspace: Workspace, table: str) -> list[str]:
    """The Parquet files that a table has, sorted; none when it lies in another source or in files of another form."""
    settings = workspace.settings.tables.get(table)
    if settings is None or settings.path is None or settings.source is not None:
        return []
    place = workspace.root / settings.path
    found = place.rglob("*.parquet") if place.is_dir() else workspace.root.glob(settings.path)
    return sorted(str(path) for path in found if path.suffix == ".parquet" and path.is_file())


def settings_for_import(workspace: Workspace, table: str) -> str | None:
    """The text that `toolkit.toml` must have for what is imported into a table to be read; None when it has it.

    Raises `ArgumentError` when the table is configured so that imported files would not be read.
    """
    text = (workspace.root / SETTINGS_FILE).read_text(encoding="utf-8")
    settings = workspace.settings.tables.get(table)
    place = f"data/{table}"
    where = f"[tables.{table}] in {SETTINGS_FILE}"
    if settings is None:
        return _checked(workspace, f'{text.rstrip()}\n\n[tables.{table}]\npath = "{place}"\n', table, place)
    if settings.path is None or settings.source is not None:
        raise ArgumentError(f"{table} lies in {settings.place} ({where}), where what is imported would not be seen")
    if settings.columns or settings.expressions:
        raise ArgumentError(
            f"{where} maps own names of columns, and what is imported has the contract's names; "
            "put its mapping into --map and take it out there, or import into another workspace"
        )
    others = sorted(path.name for path in (workspace.root / place).rglob("*") if _OTHER_FORMS.search(path.name))
    if others:
        raise ArgumentError(
            f"{place}/ holds files that are read where they lie ({others[0]}), and beside imported ones they would not "
            "be; move them out of the workspace and import them too"
        )
    if _covers(settings.path, f"{place}/digest/day.parquet"):
        return None
    if settings.path == f"{place}/*.parquet":
        pattern = re.compile(rf"^(\s*path\s*=\s*)([\"']){re.escape(settings.path)}\2", flags=re.MULTILINE)
        return _checked(workspace, pattern.sub(rf'\1"{place}"', text, count=1), table, place)
    raise ArgumentError(f"{where} has path {settings.path!r}, which does not cover {place}/; make it {place!r}")


def _checked(workspace: Workspace, text: str, table: str, place: str) -> str:
    data = parse_toml(text, path=workspace.root / SETTINGS_FILE, shown=SETTINGS_FILE).data
    if data["tables"].get(table, {}).get("path") != place:
        raise ArgumentError(f'{SETTINGS_FILE} must say [tables.{table}] path = "{place}"; write that into it')
    return text


def _covers(pattern: str, path: str) -> bool:
    """Whether a path of the settings, which may be a folder or a pattern, means this file."""
    parts, own = PurePosixPath(pattern).parts, PurePosixPath(path).parts
    if not any(mark in pattern for mark in "*?["):
        return own[: len(parts)] == parts
    return _matches(parts, own)


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])
