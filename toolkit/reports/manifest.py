"""The manifest: what a report was made of and with, so that it can be verified, compared and made again."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.digests import digest_file, digest_value
from toolkit.windows import format_instant
from toolkit.workspace import current_actor

if TYPE_CHECKING:
    from toolkit.reports.engine import Execution
    from toolkit.reports.run import Run

SCHEMA_VERSION = 1
"""Of `manifest.json`; a change of a key's name or meaning raises it."""

_AT, _NO_COMMIT = "# branch.oid ", "(initial)"  # of git's status, version 2 of its form


def describe_run(
    run: Run, execution: Execution, provenance: Mapping[str, Any], results: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything in the manifest that does not depend on the version's number."""
    template, request = run.template, run.request
    return {
        "schema_version": SCHEMA_VERSION,
        "template": {"name": template.name, "origin": template.origin, "digest": template.digest},
        "subject": run.series.subject,
        "parameters": run.parameters,
        "as_of": run.as_of,
        "slot": request.slot.to_dict() if request.slot else None,
        "batch": request.item.to_dict() if request.item else None,
        "windows": find_windows(results),
        "trends": list(template.trends),
        "toolkit": describe_toolkit(),
        "workspace": find_commit(run.workspace.root),
        "definitions": provenance["definitions"],
        "sources": provenance["sources"],
        "quarantined": provenance["quarantined"],
        "repositories": provenance["repositories"],
        "environment": describe_environment(),
        "kernel": _describe_kernel(run, execution),
        "ledger": {"sequence": run.position.sequence, "hash": run.position.hash},
        "started_at": format_instant(run.started_at),
        "finished_at": format_instant(datetime.now(UTC)),
        "actor": _describe_actor(),
    }


def _describe_kernel(run: Run, execution: Execution) -> dict[str, Any]:
    from toolkit.reports.engine import RUNNER_KERNEL

    interpreter = "runner" if run.kernel == RUNNER_KERNEL else "kernelspec"
    known = {"name": run.kernel, "interpreter": interpreter, "start": execution.start}
    return known | ({"cold_reason": execution.cold_reason} if execution.cold_reason else {})


def _describe_actor() -> dict[str, Any]:
    """Who acted, as far as they say it themselves: the name of a user of this machine stays in the ledger."""
    actor = current_actor()
    return {"name": actor.name if actor.assurance == "asserted" else None, "assurance": actor.assurance}


def notebook_bytes(notebook: Any) -> bytes:
    """A notebook as its file's bytes."""
    import nbformat

    text: str = nbformat.writes(notebook)
    return (text + "\n").encode()


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
        status = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", ".")
        ignored = status.returncode == 0 and _git(folder, "check-ignore", "--quiet", ".").returncode == 0
    except FileNotFoundError:
        return {"commit": None, "reason": "git is not installed"}
    lines = status.stdout.splitlines()
    commit = next((line.removeprefix(_AT) for line in lines if line.startswith(_AT)), _NO_COMMIT)
    if ignored or commit == _NO_COMMIT:
        return {"commit": None, "reason": "not in a git repository, or one without a commit"}
    return {"commit": commit, "modified": any(not line.startswith("#") for line in lines)}


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
