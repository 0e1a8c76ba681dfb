"""Several processes append at once, and one is killed in the middle: the chain holds."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from toolkit.ledger import Entry, Ledger, open_ledger, verify

StartPython = Callable[..., subprocess.Popen[str]]

WRITER = """
import itertools, sys
from pathlib import Path
from toolkit.ledger import open_ledger
from toolkit.windows import parse_instant
from toolkit.workspace import Actor

path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with open_ledger(path) as ledger:
    for number in range(count) if count else itertools.count():
        entry = ledger.append(
            kind="report.published",
            subject=f"{name}@{number}",
            payload={"text": "x" * 500},
            actor=Actor(name, "asserted"),
            effective_at=parse_instant("2013-05-01"),
        )
        print(entry.sequence, entry.hash, flush=True)
"""


def test_processes_that_start_together_share_one_chain(path: Path, start_python: StartPython) -> None:
    """The ledger is not there yet: creating it is part of the race."""
    writers = [start_python(WRITER, path, f"writer{number}", 25) for number in range(4)]
    acknowledged = [line.split() for writer in writers for line in writer.communicate()[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    with open_ledger(path, create=False) as ledger:
        entries = ledger.entries()
        assert verify(ledger).problems == ()
    assert [entry.sequence for entry in entries] == list(range(1, 101))
    assert {(str(entry.sequence), entry.hash) for entry in entries} == {(at, digest) for at, digest in acknowledged}
    for number in range(4):
        own = [entry.subject for entry in entries if entry.actor == f"writer{number}"]
        assert own == [f"writer{number}@{at}" for at in range(25)]


def test_threads_share_one_ledger(ledger: Ledger, append: Callable[..., Entry]) -> None:
    def write() -> None:
        for _ in range(10):
            append()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(ledger).entries == 40
    assert verify(ledger).problems == ()


def test_a_killed_writer_leaves_a_valid_chain(path: Path, start_python: StartPython) -> None:
    acknowledged: list[list[str]] = []
    for round_number in range(5):
        writer = start_python(WRITER, path, f"round{round_number}", 0)
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().split() for _ in range(3 + round_number)]
        writer.kill()  # SIGKILL: it cannot tidy up
        acknowledged += [line.split() for line in writer.communicate()[0].splitlines()]
        with open_ledger(path) as ledger:
            found = verify(ledger)
            stored = {str(entry.sequence): entry.hash for entry in ledger.entries()}
        assert found.problems == ()
        for sequence, digest in acknowledged:  # what was acknowledged is there
            assert stored[sequence] == digest
