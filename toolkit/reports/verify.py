"""Whether published reports are what was recorded: the manifest against the ledger, every file against the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from toolkit.digests import digest_file
from toolkit.reports.archive import (
    MANIFEST,
    PUBLISHED,
    Reference,
    find_report,
    list_reports,
    report_folder,
)
from toolkit.workspace import Workspace


def verify_report(workspace: Workspace, reference: str | Reference) -> tuple[str, ...]:
    """What is wrong with one published version, each problem naming the file; empty when nothing is.

    It reads and records nothing. Raises `UnknownNameError` for a report that is not there.
    """
    found = find_report(workspace, reference)
    return tuple(_check_version(workspace, found, _recorded(workspace)))


def verify_all(workspace: Workspace) -> tuple[str, ...]:
    """What is wrong with the archive: every version's problems, and those the ledger knows whose folder is gone."""
    recorded = _recorded(workspace)
    published = list_reports(workspace)
    problems = [problem for reference in published for problem in _check_version(workspace, reference, recorded)]
    gone = sorted(recorded.keys() - {str(reference) for reference in published})
    return (*problems, *(f"{reference}: the ledger records it, and its folder is gone" for reference in gone))


def _recorded(workspace: Workspace) -> dict[str, set[str]]:
    """Reference to the manifest digests that the ledger holds for it: one, unless it was recorded twice."""
    from toolkit.ledger import open_ledger

    digests: dict[str, set[str]] = {}
    with open_ledger(workspace.ledger, create=False) as ledger:
        for entry in ledger.entries(kind=PUBLISHED):
            digests.setdefault(entry.subject, set()).add(entry.data["manifest_digest"])
    return digests


def _check_version(workspace: Workspace, reference: Reference, recorded: dict[str, set[str]]) -> list[str]:
    folder = report_folder(workspace, reference)
    if not (folder / MANIFEST).is_file():
        return [f"{reference}: {MANIFEST} is missing"]
    problems = []
    if str(reference) not in recorded:
        problems.append("the ledger has no row of its publication; any 'toolkit run' adds what a crash left out")
    elif recorded[str(reference)] != {digest_file(folder / MANIFEST)}:
        problems.append(f"{MANIFEST} was changed: its digest is not the one in the ledger")
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {entry["path"]: entry["digest"] for entry in manifest["files"]}
        named = manifest["reference"]
    except (ValueError, KeyError, TypeError):
        problems.append(f"{MANIFEST} cannot be read, so no other file can be checked against it")
    else:
        if named != str(reference):
            problems.append(f"{MANIFEST} speaks of {named}")
        problems += _check_files(folder, files)
    return [f"{reference}: {problem}" for problem in problems]


def _check_files(folder: Path, files: dict[str, Any]) -> list[str]:
    problems = []
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - {MANIFEST}
    for path in sorted(present | files.keys()):
        if path not in present:
            problems.append(f"{path} is missing")
        elif path not in files:
            problems.append(f"{path} is not in the manifest")
        elif digest_file(folder / path) != files[path]:
            problems.append(f"{path} was changed")
    return problems
