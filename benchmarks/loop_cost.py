"""What does the first loop cost, and does it give the same bytes? The example built once, each template ten times.

Wall and CPU seconds of one command each (user and system, children included), as a person would run it: a cold kernel,
one engine thread. Exits 1 when a template's results.json differs in any of the runs.
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

RUNS = 10
TEMPLATES = (["triage"], ["experiment_readout", "-p", "experiment=delay-v2"])


class Cost(NamedTuple):
    """Of one command."""

    wall_s: float
    cpu_s: float


def run(arguments: list[str], folder: Path) -> tuple[Cost, str]:
    """One command of the toolkit, and what it printed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "toolkit.cli", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - start, cpu), done.stdout


def main() -> int:
    """Print one line per step."""
    print("| step | runs | wall s, median | CPU s, median | different results.json |\n|---|---|---|---|---|")
    different = False
    with tempfile.TemporaryDirectory() as base:
        workspace = Path(base) / "flights"
        cost, _ = run(["init", str(workspace), "--example", "flights"], Path(base))
        print(f"| `toolkit init --example flights` | 1 | {cost.wall_s:.1f} | {cost.cpu_s:.1f} | |", flush=True)
        for template in TEMPLATES:
            costs, digests = [], set()
            for _ in range(RUNS):
                cost, printed = run(["run", *template, "--json"], workspace)
                costs.append(cost)
                results = Path(json.loads(printed)["folder"]) / "results.json"
                digests.add(hashlib.sha256((workspace / results).read_bytes()).hexdigest())
            wall, cpu = (statistics.median(part) for part in zip(*costs, strict=True))
            print(f"| `toolkit run {template[0]}` | {RUNS} | {wall:.1f} | {cpu:.1f} | {len(digests) - 1} |", flush=True)
            different |= len(digests) > 1
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
