"""What does starting cost? CPU seconds (user and system, children included), the smallest of five runs."""

from __future__ import annotations

import resource
import subprocess
import sys

RUNS = 5
STATEMENTS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import toolkit": [sys.executable, "-c", "import toolkit"],
    "toolkit --help": [sys.executable, "-m", "toolkit.cli", "--help"],
    "toolkit init --help": [sys.executable, "-m", "toolkit.cli", "init", "--help"],
}


def cpu_seconds(command: list[str]) -> float:
    """CPU time of one run of `command`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    print(f"| command | CPU s, smallest of {RUNS} |\n|---|---|")
    for name, command in STATEMENTS.items():
        print(f"| `{name}` | {min(cpu_seconds(command) for _ in range(RUNS)):.2f} |")
