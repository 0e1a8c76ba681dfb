"""What does the event writer cost a model service, and what does it promise when the disk does not keep up?

Each row is a process of its own, tied to one core, that calls `predictions(...)` with 14 columns, among them three
features, 50,000 times a second for 20 s: nothing may be dropped. Measured is the time of each call, and the CPU time of
the whole process, the writer's thread and the caller's own loop included. Then it calls as fast as it can, where the
queue overflows by design, and with a disk that takes no more; no call may raise, and every event must be accounted for.
Exits 1 when a promise is missed (no drop at the rate, p99 of a call at most 50 µs).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.data.writer import EventWriter

RATE = 50_000
SECONDS = 20
TICK_S = 0.002
FULL_BYTES = 2 << 20
MOST_P99_US = 50.0

AT_THE_RATE = {"JSON lines": ["--form", "jsonl"], "Parquet": ["--form", "parquet"]}
OVERLOADED = {
    "JSON lines, no pause": ["--form", "jsonl", "--rate", "0"],
    "JSON lines, no file above 2 MiB allowed": ["--form", "jsonl", "--full"],
}


def run(folder: Path, *, form: str, rate: int, full: bool) -> dict[str, Any]:
    """Offer events for some seconds, and say what became of them and what it cost."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, FULL_BYTES))
    events = EventWriter(folder, form=form, features={"distance_km": "number", "carrier": "text", "hour": "number"})
    clock, times = time.perf_counter_ns, []
    per_tick = int(rate * TICK_S) or 1000
    raised = number = 0
    cpu = time.process_time()
    start = due = time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        now = datetime.now(UTC)
        for _ in range(per_tick):
            number += 1
            began = clock()
            try:
                events.predictions(
                    request_id=f"r{number:09d}",
                    model="delay",
                    version="2",
                    occurred_at=now,
                    unit_id="user-12345",
                    score=0.123456 + (number % 1000) * 1e-4,
                    decision=False,
                    threshold=0.5,
                    latency_ms=12.5,
                    error=False,
                    served=True,
                    distance_km=1234.5,
                    carrier="AA",
                    hour=7,
                )
            except Exception:  # noqa: BLE001 - the promise is that there is none
                raised += 1
            times.append(clock() - began)
        if rate:
            due += TICK_S
            time.sleep(max(0.0, due - time.perf_counter()))
    wall = time.perf_counter() - start
    counts = events.close(60)
    cpu = time.process_time() - cpu
    times.sort()
    return {
        "offered": counts.offered,
        "written": counts.written,
        "dropped": dict(counts.by_reason),
        "accounted": counts.written + counts.dropped == counts.offered == number and counts.waiting == 0,
        "raised": raised,
        "rate": number / wall,
        "cpu_share": cpu / wall,
        "cpu_us": cpu / number * 1e6,
        "p50_us": times[len(times) // 2] / 1e3,
        "p99_us": times[len(times) * 99 // 100] / 1e3,
        "p999_us": times[len(times) * 999 // 1000] / 1e3,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    """Print the table; whether every promise was kept."""
    print(
        "| events | offered a second | written | dropped | CPU, cores | CPU µs an event | p50 µs | p99 µs | p99.9 µs "
        "| raised | accounted for |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    kept = True
    for name, options in (AT_THE_RATE | OVERLOADED).items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--folder", folder, *options]
            done = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        dropped = ", ".join(f"{reason} {events:,}" for reason, events in done["dropped"].items()) or "0"
        print(
            f"| {name} | {done['rate']:,.0f} | {done['written']:,} | {dropped} | {done['cpu_share']:.2f} "
            f"| {done['cpu_us']:.1f} | {done['p50_us']:.1f} | {done['p99_us']:.1f} | {done['p999_us']:.0f} "
            f"| {done['raised']} | {'all' if done['accounted'] else 'NOT ALL'} |",
            flush=True,
        )
        kept &= done["accounted"] and not done["raised"]
        if name in AT_THE_RATE:
            kept &= not done["dropped"] and done["rate"] >= 0.99 * RATE and done["p99_us"] <= MOST_P99_US
    return int(not kept)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--form", default="jsonl")
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    if given.folder is None:
        sys.exit(main())
    print(json.dumps(run(given.folder, form=given.form, rate=given.rate, full=given.full)))
