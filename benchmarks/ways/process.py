"""Processes that are measured: a peer's own Python, an engine of one thread, the most memory that a process had."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any


def install(folder: Path, *needs: str) -> Path | str:
    """The Python of a fresh environment that has what a peer needs, or why there is none."""
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *needs]
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], pip):
            subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as err:
        return last_words(err)
    return python


def last_words(failed: subprocess.CalledProcessError) -> str:
    """The last line that a process said, whose output was captured as text."""
    return (failed.stderr or failed.stdout or f"ended with {failed.returncode}").strip().splitlines()[-1]


def open_engine(*, memory_limit: str = "") -> Any:
    import duckdb

    limits = {"memory_limit": memory_limit} if memory_limit else {}
    engine = duckdb.connect(config={"threads": 1, **limits})
    engine.execute("SET TimeZone = 'UTC'")
    return engine


def highest_mib(pid: int | str = "self") -> float:
    """The most memory that a process ever had; what `resource` says may be its parent's. None of one that has ended."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
