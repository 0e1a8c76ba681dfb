"""Imports as the tests of imports make them; by name, so that a process that is spawned finds them too."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from toolkit.data import imports
from toolkit.data.column_facts import look_at_file
from toolkit.data.imports import Imported, import_file
from toolkit.data.mapping import TableMapping, guess_mapping
from toolkit.data.own_files import open_engine, open_file
from toolkit.data.wishes import Wishes
from toolkit.workspace import Workspace, open_workspace

Import = Callable[..., Imported]
SETTINGS = """\
schema_version = 2
name = "own"
[tables.predictions]
path = "data/predictions"
[tables.outcomes]
path = "data/outcomes"
"""
HEADER = "id,ts,score,region"
GOOD = [
    f"r{number},2026-01-{1 + number // 4:02d}T{number % 4:02d}:00:00Z,0.{1 + number % 9},north" for number in range(40)
]
NOTHING_SAID = Wishes()


def map_file(path: Path, table: str, *, wishes: Wishes = NOTHING_SAID) -> TableMapping:
    with open_engine(path.parent) as engine:
        facts = look_at_file(open_file(path), engine)
    return guess_mapping(table, facts, wishes=wishes)


def import_and_die(root: Path, file: Path, step: str) -> None:
    """Import a file of predictions, and be killed where `step` would begin."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(imports._Run, step, die)
    import_file(open_workspace(root), map_file(file, "predictions"))


def rows(workspace: Workspace, table: str = "predictions") -> pd.DataFrame:
    """All that was imported into a table."""
    files = sorted((workspace.root / "data" / table).rglob("*.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True) if files else pd.DataFrame()


def reasons(imported: Imported) -> dict[str, int]:
    """Why rows were left out, and how many."""
    return {each.reason: each.rows for each in imported.quarantined}
