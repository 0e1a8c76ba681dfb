"""`make bench`: every benchmark, one after the other, and its output in docs/benchmarks.md.

The page says on what it was measured; a benchmark that misses what it promises stops the run and nothing is written.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
LIBRARIES = ("duckdb", "ibis-framework", "pandas", "numpy", "papermill", "ipykernel")


def describe(path: Path) -> str:
    """A benchmark's own words: its docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def main() -> int:
    """Run them all; the exit code of the one that failed."""
    parts = [
        "# Benchmarks",
        "Written by `make bench` (`scripts/benchmarks.py`) from the output of `benchmarks/*.py`; never edited.",
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        + ".",
    ]
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        print(f"==> {path.relative_to(ROOT)}", flush=True)
        done = subprocess.run([sys.executable, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout)
        if done.returncode:
            print(f"error: {path.name} ended with {done.returncode}; {PAGE.name} is left as it was", file=sys.stderr)
            return done.returncode
        parts += [f"## {path.stem}", describe(path), re.sub(r"^# ", "### ", done.stdout.strip(), flags=re.MULTILINE)]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"==> wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
