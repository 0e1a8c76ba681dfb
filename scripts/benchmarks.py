"""`make bench`: every benchmark, one after the other, and its output in docs/benchmarks.md.

    python scripts/benchmarks.py [NAME …]

With names only these are run, and their parts of the page are written anew. Each part says on what it was measured; a
benchmark that misses what it promises ends the run with its part written, because a miss is a result too.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `make bench` (`scripts/benchmarks.py`) from the output of `benchmarks/*.py`; never edited.
"""
LIBRARIES = ("duckdb", "ibis-framework", "pandas", "numpy", "papermill", "ipykernel")


def describe(path: Path) -> str:
    """A benchmark's own words: its docstring."""
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def read_parts() -> dict[str, str]:
    """The parts that the page has, by the benchmark's name."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    parts = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def write_parts(parts: dict[str, str]) -> None:
    """The page, the benchmarks in the order of their names; those that are gone leave it."""
    names = [path.stem for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    text = [HEAD, *(f"## {name}\n\n{parts[name]}\n" for name in names if name in parts)]
    PAGE.write_text("\n".join(text), encoding="utf-8")


def machine() -> str:
    """What it is measured on, and when."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"*{os.cpu_count()} cores, {system}, {libraries}; {datetime.now(UTC):%Y-%m-%d}.*"


def main() -> int:
    """Run those asked for; the exit code of the first that failed."""
    known = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("*.py"))}
    asked = sys.argv[1:] or list(known)
    if unknown := [name for name in asked if name not in known]:
        print(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = 0
    for name in asked:
        print(f"==> {name}", flush=True)
        command = [sys.executable, str(known[name])]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout)
        said = re.sub(r"^#{1,2} ", "### ", done.stdout.strip(), flags=re.MULTILINE)
        write_parts(read_parts() | {name: "\n\n".join([describe(known[name]), machine(), said])})
        if done.returncode:
            print(f"error: {name} ended with {done.returncode}", file=sys.stderr)
            failed = failed or done.returncode
    print(f"==> wrote {PAGE.relative_to(ROOT)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
