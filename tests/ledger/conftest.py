"""A ledger in a temporary folder, a short way to append to it, and the way around its guards."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import toolkit
from toolkit.ledger import Entry, Ledger, open_ledger
from toolkit.windows import parse_instant
from toolkit.workspace import Actor

Append = Callable[..., Entry]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with open_ledger(path) as opened:
        yield opened


@pytest.fixture
def append(ledger: Ledger) -> Append:
    """Append one entry; every value has a default."""

    def append_one(**given: Any) -> Entry:
        values: dict[str, Any] = {
            "kind": "report.published",
            "subject": "triage/eta@1",
            "payload": {"manifest": "sha256:0f"},
            "actor": Actor("ana", "asserted"),
            "effective_at": parse_instant("2013-05-01"),
        }
        return ledger.append(**(values | given))

    return append_one


@pytest.fixture
def tamper(path: Path) -> Callable[..., None]:
    """Run SQL on the file as someone would who has it: without the toolkit, and with the triggers dropped."""

    def run(statement: str, *values: object) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute(statement, values)
            connection.commit()

    return run


@pytest.fixture
def five(append: Append) -> list[Entry]:
    """Five entries that differ in every column."""
    return [
        append(
            kind=f"report.kind_{number}",
            subject=f"triage/eta@{number}",
            payload={"number": number},
            actor=Actor(f"actor {number}", "asserted"),
            effective_at=parse_instant(f"2013-05-0{number}"),
            recorded_at=parse_instant(f"2026-01-0{number}"),
        )
        for number in range(1, 6)
    ]


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process of this Python, with this toolkit, on some code and its arguments; warnings are errors."""
    here = str(Path(toolkit.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", code, *(str(argument) for argument in arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1]

    yield start
    for process in started:
        with process:  # closes its pipe and waits for it
            process.kill()
