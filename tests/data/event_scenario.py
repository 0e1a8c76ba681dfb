"""Services that write events and meet a fault; each prints what it counted as JSON, or is killed before.

python event_scenario.py SCENARIO FOLDER
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.data.writer import Counts, EventWriter

AT = datetime(2030, 1, 31, 12, tzinfo=UTC)
FULL_BYTES = 64 << 10


def offer(events: EventWriter, count: int, *, first: int = 0) -> None:
    for number in range(first, first + count):
        events.predictions(
            request_id=f"r{number:06d}", model="eta", version="2", occurred_at=AT, unit_id="u",
            score=0.25, error=False, served=True,
        )  # fmt: skip  # its lines group what belongs together


def told(counts: Counts) -> dict[str, Any]:
    return {
        "offered": counts.offered,
        "written": counts.written,
        "dropped": dict(counts.by_reason),
        "waiting": counts.waiting,
        "unfinished": counts.unfinished,
        "examples": dict(counts.examples),
    }


def say(counts: Counts) -> None:
    sys.stdout.write(json.dumps(told(counts)) + "\n")
    sys.stdout.flush()


def limited_files(folder: Path) -> None:
    """No file may be larger than `FULL_BYTES`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))
    events = EventWriter(folder, exit_s=60)
    offer(events, 5000)
    say(events.close(60))


def full_disk(folder: Path) -> None:
    """A disk of 1 MiB, in a mount namespace of its own: it fills up, it is cleared, and it takes events again."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "disk", str(folder)], check=True)
    filler = folder / "filler"
    filler.write_bytes(b"\0" * (800 << 10))
    events = EventWriter(folder, exit_s=60)
    offer(events, 5000)
    events.flush(60)
    say(events.counts)
    filler.unlink()
    offer(events, 1000, first=5000)
    say(events.close(60))
    rows = [json.loads(line) for file in folder.rglob("predictions/**/*.jsonl") for line in file.open()]
    accounts = [json.loads(line) for file in folder.rglob("deliveries/**/*.jsonl") for line in file.open()]
    sys.stdout.write(json.dumps({"ids": [row["request_id"] for row in rows], "accounts": accounts}) + "\n")


def read_only(folder: Path) -> None:
    """A disk that may not be written."""
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    events = EventWriter(folder, exit_s=60)
    offer(events, 100)
    say(events.close(60))


def exits(folder: Path) -> None:
    """The process ends by itself, and nobody closes the writer."""
    offer(EventWriter(folder, exit_s=60), 1000)


def fails(folder: Path) -> None:
    """The process ends by an exception."""
    offer(EventWriter(folder, exit_s=60), 1000)
    raise SystemExit(3)


def last_words(folder: Path) -> None:
    """The first events come when the process ends."""
    events = EventWriter(folder, exit_s=60)
    atexit.register(lambda: offer(events, 1000))


def is_killed(folder: Path) -> None:
    """The process is killed once some events are in a file that has no name yet, and some are on their way."""
    events = EventWriter(folder, exit_s=60)
    offer(events, 1000)
    while events.counts.written < 1000:
        time.sleep(0.01)
    say(events.counts)
    offer(events, 100, first=1000)
    os.kill(os.getpid(), signal.SIGKILL)


def forks(folder: Path) -> None:
    """A child goes on where its parent has events in the queue and a file open."""
    events = EventWriter(folder, exit_s=60)
    offer(events, 500)
    while events.counts.written < 500:
        time.sleep(0.01)
    offer(events, 100, first=500)
    child = os.fork()
    if child == 0:
        offer(events, 300, first=10_000)
        say(events.close(60))
        os._exit(0)
    os.waitpid(child, 0)
    offer(events, 50, first=600)
    say(events.close(60))


def _work(events: EventWriter, first: int) -> None:
    offer(events, 200, first=first)


def multiprocesses(folder: Path) -> None:
    """Children of multiprocessing, which end without `atexit`; nobody closes a writer."""
    events = EventWriter(folder, exit_s=60)
    offer(events, 1, first=999_999)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_work, args=(events, 1000 * number)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()


def streams(folder: Path) -> None:
    """Events without end, in small files, of the form that the folder's name says; until it is killed."""
    events = EventWriter(folder, form=folder.name, max_bytes=5000)  # type: ignore[arg-type]  # a name is a text
    sys.stdout.write("1\n")
    sys.stdout.flush()
    for first in range(0, 10**9, 20):
        offer(events, 20, first=first)
        time.sleep(0.002)


def hangs(folder: Path) -> None:
    """The disk hangs, for ever, from the first write on: calls go on, and the process ends at its deadline."""
    real = os.write

    def hang(descriptor: int, data: Any) -> int:
        if descriptor > 2:
            time.sleep(3600)
        return real(descriptor, data)

    os.write = hang
    events = EventWriter(folder, queue_events=500, exit_s=0.5)
    offer(events, 5000)
    say(events.close())


if __name__ == "__main__":
    SCENARIOS = {
        each.__name__: each
        for each in (
            limited_files,
            full_disk,
            read_only,
            exits,
            fails,
            last_words,
            is_killed,
            forks,
            multiprocesses,
            streams,
            hangs,
        )
    }
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
