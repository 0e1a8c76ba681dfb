"""Imports as the tests of imports make them; by name, so that a process that is spawned finds them too."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from toolkit.data import imports
from toolkit.data.column_facts import look_at_file
from toolkit.data.imports import import_file
from toolkit.data.mapping import TableMapping, Wishes, guess_mapping
from toolkit.data.own_files import open_engine, open_file
from toolkit.workspace import open_workspace

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
