"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 90


class Cluster(NamedTuple):
    """The scheduler's address, and the workers' processes, each the leader of a group."""

    address: str
    workers: list[subprocess.Popen[bytes]]


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with (folder / f"{arguments[0]}-{os.urandom(2).hex()}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def start_worker(folder: Path) -> subprocess.Popen[bytes]:
    """One more worker, of one thread, without a nanny: who kills it kills it."""
    return _start(
        folder,
        "worker", "--scheduler-file", "scheduler.json", "--no-nanny", "--nthreads", "1", "--no-dashboard",
        "--host", "127.0.0.1", "--death-timeout", "60",
    )  # fmt: skip  # its lines group what belongs together


@contextmanager
def cluster(folder: Path, *, workers: int = 2) -> Iterator[Cluster]:
    """A scheduler and so many workers; all are gone in the end."""
    from distributed import Client

    file = folder / "scheduler.json"
    started = [
        _start(
            folder, "scheduler", "--scheduler-file", str(file), "--port", "0", "--no-dashboard", "--host", "127.0.0.1"
        )
    ]
    try:
        until = time.monotonic() + PATIENCE_S
        while not (file.is_file() and file.stat().st_size):
            assert time.monotonic() < until, "the scheduler did not start"
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        started += [start_worker(folder) for _ in range(workers)]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=PATIENCE_S)
        yield Cluster(address, started[1:])
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
