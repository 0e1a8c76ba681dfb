"""Three callers at once, killed at random, called again: every month once, none missing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from schedule_trial import MONTHS, fill, slots_published

from toolkit.archive import list_reports, verify_all
from toolkit.ledger import open_ledger, verify
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace

SCRIPT = Path(__file__).parent / "schedule_trial.py"
CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 120


@contextmanager
def callers(
    *command: str | Path, number: int, environment: dict[str, str] | None = None
) -> Iterator[list[subprocess.Popen[str]]]:
    """So many processes of a command; they are gone in the end."""
    paths = os.pathsep.join([str(CHECKOUT), str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
    started = [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, **(environment or {})},
        )
        for _ in range(number)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def check(workspace: Workspace) -> None:
    """Every month once, none missing, in the archive as in the ledger."""
    assert [str(reference) for reference in list_reports(workspace)] == [f"review/{month}@1" for month in MONTHS]
    assert len(set(slots_published(workspace))) == len(MONTHS)
    with open_ledger(workspace.ledger) as ledger:
        recorded = Counter(entry.subject for entry in ledger.entries(kind="report.published"))
        assert verify(ledger).problems == ()
    assert recorded == Counter(f"review/{month}@1" for month in MONTHS)
    assert verify_all(workspace) == ()
    assert list((workspace.root / "ledger" / "slots").rglob("*.claim")) == []


@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_three_callers_killed_at_random_and_called_again(trial: Workspace, rounds: int) -> None:
    moments = random.Random(3)
    for _ in range(rounds):
        with callers(SCRIPT, trial.root, "dawdle", number=3) as processes:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0.05, 0.4))
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert max(Counter(slots_published(trial)).values(), default=1) == 1
    with callers(SCRIPT, trial.root, "dawdle", number=3) as processes:
        said = [process.communicate(timeout=PATIENCE_S) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], said
    check(trial)


def test_the_slot_of_a_killed_process_is_free_at_once(trial: Workspace) -> None:
    with callers(SCRIPT, trial.root, "hang", number=1) as (process,):
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "running\n"]
        now = parse_instant("2013-05-10")
        assert [outcome.state for outcome in fill(trial, now=now)] == ["running"]
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [outcome.state for outcome in fill(trial, now=now)] == ["published"]
    assert slots_published(trial) == ["2013-05-03T10:00:00Z"]


@pytest.mark.slow
def test_toolkit_due_three_times_at_once_killed_at_random_and_called_again(trial: Workspace) -> None:
    """The whole command with real kernels."""
    command = ("-m", "toolkit.cli", "due", "--now", "2014-03-01")
    here = {"TOOLKIT_WORKSPACE": str(trial.root)}
    moments = random.Random(5)
    begun = 0
    for _ in range(4):
        with callers(*command, number=3, environment=here) as processes:
            for process in processes:
                assert process.stderr is not None
                said = process.stderr.readline()
                assert said.startswith("==> monthly ") or said == "nothing is due\n"
                begun += said.startswith("==> monthly ")
            time.sleep(moments.uniform(0.2, 2))
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert max(Counter(slots_published(trial)).values(), default=1) == 1
    assert begun >= 6, "nothing was killed at its work"
    with callers(*command, number=3, environment=here) as processes:
        ends = [process.communicate(timeout=600) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], ends
    check(trial)
