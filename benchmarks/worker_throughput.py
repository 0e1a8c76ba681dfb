"""How many reports an hour do two workers make, against one papermill driver? The study's 8-cell notebook.

One driver runs it by papermill ten times, imports left out; `toolkit run --each --workers 2` makes a batch of it, its
start, its imports and its zygote included.

    python benchmarks/worker_throughput.py [REPORTS]

Prints Markdown. Exits 1 when two workers make less than five times the reports of the one driver.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from report_cost import CHECKOUT, ONE_THREAD, RUNS, ask_driver, find_notebooks, median, run_command

REPORTS = 60
LEAST = 5.0


def main() -> int:
    """Measure and print."""
    reports = int(sys.argv[1]) if len(sys.argv) > 1 else REPORTS
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "PYTHONPATH": str(CHECKOUT)}
    with tempfile.TemporaryDirectory() as base:
        workspace = Path(base)
        (workspace / "toolkit.toml").write_text('schema_version = 2\nname = "throughput"\n\n[tables]\n')
        notebook = next(find_notebooks(workspace))
        _, *costs = ask_driver("papermill", notebook, workspace, environment, RUNS)
        one = 3600 / median(costs).wall_s
        seeds = ",".join(map(str, range(reports)))
        toolkit = str(Path(sys.executable).parent / "toolkit")
        command = [toolkit, "run", notebook.stem, "--each", f"seed={seeds}", "--workers", "2"]
        two = 3600 * reports / run_command(command, workspace, environment).wall_s
    print(
        f"| who | reports an hour |\n|---|---|\n| one papermill driver | {one:,.0f} |\n"
        f"| `toolkit run eight_cells --each seed=… --workers 2`, {reports} reports | {two:,.0f} |\n\n"
        f"{two / one:.1f} times as many."
    )
    return int(two < LEAST * one)


if __name__ == "__main__":
    sys.exit(main())
