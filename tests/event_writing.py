"""What the tests of the event writer have in common: events, a writer, what a reader finds, and scenarios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from toolkit.data.writer import EventWriter

SCENARIO = Path(__file__).parent / "data" / "event_scenario.py"
AT = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2031, 1, 1, tzinfo=UTC)


def prediction(number: int = 0, **changes: object) -> dict[str, object]:
    event: dict[str, object] = {
        "request_id": f"r{number:06d}", "model": "eta", "version": "2", "occurred_at": AT, "unit_id": "u",
        "score": 0.25, "error": False, "served": True,
    }  # fmt: skip  # its lines group what belongs together
    return event | changes


def start(folder: Path, **options: Any) -> EventWriter:
    """A writer that has time at its end, however busy the machine is."""
    return EventWriter(folder, **{"exit_s": 60, **options})


def lines(folder: Path, table: str = "predictions") -> list[dict[str, Any]]:
    """The rows that a reader finds."""
    files = sorted((folder / table).rglob("day=*/[!.]*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def ids(folder: Path) -> list[str]:
    return sorted(row["request_id"] for row in lines(folder))


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*"))


def accounts(folder: Path) -> dict[tuple[str, str], int]:
    """What the writers said about themselves."""
    found: dict[tuple[str, str], int] = {}
    for row in lines(folder, "deliveries"):
        key = (row["table"], row["outcome"])
        found[key] = found.get(key, 0) + row["events"]
    return found


def play(scenario: str, folder: Path, *, before: tuple[str, ...] = (), code: int = 0) -> list[Any]:
    command = [*before, sys.executable, str(SCENARIO), scenario, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (code, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@cache
def namespace() -> tuple[str, ...]:
    """The command that gives a process mounts of its own; skips where this machine does not allow it."""
    command = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
    try:
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "disk", "/tmp"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed, so no disk can be made full or read-only")
    if tried.returncode:
        pytest.skip(f"this machine lets no process mount a disk of its own: {tried.stderr.decode().strip()}")
    return command


def check_sums(told: dict[str, Any], *, offered: int) -> None:
    assert told["offered"] == offered
    assert told["written"] + sum(told["dropped"].values()) + told["waiting"] == offered
