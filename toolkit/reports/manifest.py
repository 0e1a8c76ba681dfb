"""The manifest: what a report was made of and with, so that it can be verified, compared and made again."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.digests import digest_file, digest_value

SCHEMA_VERSION = 1
"""Of `manifest.json`; a change of a key's name or meaning raises it."""


def describe_toolkit() -> dict[str, Any]:
    """Version of the toolkit, and its commit when it runs from a source checkout."""
    from toolkit import __version__

    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():
        return {"version": __version__, **find_commit(checkout)}
    return {"version": __version__, "commit": None, "reason": "installed from a package"}


@cache
def describe_environment() -> dict[str, str]:
    """Python, platform, and the digest of the sorted `name==version` of everything installed; read once a process."""
    from importlib.metadata import distributions

    found = {
        f"{re.sub(r'[-_.]+', '-', name).lower()}=={distribution.version}"
        for distribution in distributions()
        if (name := distribution.metadata["Name"])
    }
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "packages_digest": digest_value(sorted(found)),
    }


def find_commit(folder: Path) -> dict[str, Any]:
    """The git commit a folder is at and whether tracked files in it differ from it, or the reason why none is known."""
    try:
        commit = _git(folder, "rev-parse", "--verify", "HEAD")
        ignored = _git(folder, "check-ignore", "--quiet", ".")
        status = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except FileNotFoundError:
        return {"commit": None, "reason": "git is not installed"}
    if commit.returncode or ignored.returncode == 0:
        return {"commit": None, "reason": "not in a git repository, or one without a commit"}
    return {"commit": commit.stdout.strip(), "modified": bool(status.stdout.strip())}


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def list_files(folder: Path, *, but: str) -> list[dict[str, Any]]:
    """Path, digest and size of every file in a folder except `but`, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / but)
    return [
        {"path": path.relative_to(folder).as_posix(), "digest": digest_file(path), "bytes": path.stat().st_size}
        for path in paths
    ]


def find_windows(results: Mapping[str, Any]) -> list[str]:
    """The windows that the rows of `results.json` speak of."""
    return sorted({row["window"] for row in results["rows"] if row["window"]})
