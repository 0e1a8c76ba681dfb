"""Whether published reports are what was recorded: the manifest against the ledger, every file against the manifest.

A version that retention has removed is gone rightly when its tombstone says so, and the ledger says the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.archive.tombstones import PRUNED, Tombstone, list_tombstones
from toolkit.archive.versions import MANIFEST, Reference, find_report, list_reports, tombstone_path
from toolkit.digests import digest_bytes, digest_file
from toolkit.ledger.published import PUBLISHED
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.ledger import Entry


class _Recorded(NamedTuple):
    """What the ledger holds of one version: one publication, unless it was recorded twice, and at most one pruning."""

    published: list[dict[str, Any]]
    pruned: list[dict[str, Any]]

    @property
    def manifest_digests(self) -> set[str]:
        return {each["manifest_digest"] for each in self.published}


def verify_report(workspace: Workspace, reference: str | Reference) -> tuple[str, ...]:
    """What is wrong with one published version, each problem naming the file; empty when nothing is.

    It reads and records nothing, and of the ledger only this version's rows. Raises `UnknownNameError` for a report
    that is not there.
    """
    from toolkit.ledger import open_ledger

    found = find_report(workspace, reference)
    with open_ledger(workspace.ledger, create=False) as ledger:
        recorded = _collect(ledger.entries(subject=str(found)))
    return tuple(_check_version(workspace, found, recorded.get(str(found))))


def verify_all(workspace: Workspace) -> tuple[str, ...]:
    """What is wrong with the archive: every version's problems, and those the ledger knows whose folder is gone.

    A folder that is gone is no problem when its tombstone agrees with the ledger.
    """
    recorded = _read_ledger(workspace)
    published = list_reports(workspace)
    problems = [problem for each in published for problem in _check_version(workspace, each, recorded.get(str(each)))]
    buried = {str(reference): reference for reference in list_tombstones(workspace)}
    for text in sorted((recorded.keys() | buried.keys()) - {str(reference) for reference in published}):
        if text in buried:
            problems += _check_tombstone(workspace, buried[text], recorded.get(text))
        else:
            problems.append(f"{text}: the ledger records it, and its folder is gone")
    return tuple(problems)


def verify_some(workspace: Workspace, references: Collection[Reference]) -> dict[Reference, tuple[str, ...]]:
    """What is wrong with each of many published versions; the ledger is read once."""
    recorded = _read_ledger(workspace) if references else {}
    return {each: tuple(_check_version(workspace, each, recorded.get(str(each)))) for each in references}


def _read_ledger(workspace: Workspace) -> dict[str, _Recorded]:
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        return _collect([*ledger.entries(kind=PUBLISHED), *ledger.entries(kind=PRUNED)])


def _collect(entries: list[Entry]) -> dict[str, _Recorded]:
    """Reference to what the ledger holds of it."""
    recorded: dict[str, _Recorded] = {}
    for entry in entries:
        rows = recorded.setdefault(entry.subject, _Recorded([], []))
        if entry.kind == PUBLISHED:
            rows.published.append(entry.data)
        elif entry.kind == PRUNED:
            rows.pruned.append(entry.data)
    return recorded


def _check_version(workspace: Workspace, reference: Reference, recorded: _Recorded | None) -> list[str]:
    folder = workspace.reports / reference.template / reference.subject / reference.folder_name
    try:
        data = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return [f"{reference}: {MANIFEST} is missing"]
    problems = []
    if recorded is None or not recorded.published:
        problems.append("the ledger has no row of its publication; any 'toolkit run' adds what a crash left out")
    elif recorded.manifest_digests != {digest_bytes(data)}:
        problems.append(f"{MANIFEST} was changed: its digest is not the one in the ledger")
    if tombstone_path(workspace, reference).exists():
        problems.append("its pruning was cut short; 'toolkit reports prune' finishes it")
    try:
        manifest = json.loads(data)
        files = {entry["path"]: entry["digest"] for entry in manifest["files"]}
        named = manifest["reference"]
    except (ValueError, KeyError, TypeError, RecursionError):
        problems.append(f"{MANIFEST} cannot be read, so no other file can be checked against it")
    else:
        if named != str(reference):
            problems.append(f"{MANIFEST} speaks of {named}")
        problems += _check_files(folder, files)
    return [f"{reference}: {problem}" for problem in problems]


def _check_files(folder: Path, files: dict[str, Any]) -> list[str]:
    problems = []
    present = set(_walk(str(folder), "")) - {MANIFEST}
    for path in sorted(present | files.keys()):
        if path not in present:
            problems.append(f"{path} is missing")
        elif path not in files:
            problems.append(f"{path} is not in the manifest")
        elif (digest := _digest(folder / path)) != files[path]:
            problems.append(f"{path} was changed" if digest else f"{path} is missing")
    return problems


def _digest(path: Path) -> str | None:
    try:
        return digest_file(path)
    except FileNotFoundError:  # retention has just removed it
        return None


def _walk(folder: str, prefix: str) -> Iterator[str]:
    """Every file below a folder, as manifests name it."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries)
    except FileNotFoundError:  # as above
        return
    for name, is_folder in found:
        if is_folder:
            yield from _walk(f"{folder}/{name}", f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}"


def _check_tombstone(workspace: Workspace, reference: Reference, recorded: _Recorded | None) -> list[str]:
    """What is wrong with what is left of a version whose folder is gone."""
    path = tombstone_path(workspace, reference)
    problems = []
    try:
        data = path.read_bytes()
        tombstone = Tombstone.from_bytes(data)
    except (OSError, ValueError):
        return [f"{reference}: {path.name} cannot be read"]
    recorded = recorded or _Recorded([], [])
    if not recorded.pruned:
        problems.append("the ledger has no row of its pruning; 'toolkit reports prune' adds what a crash left out")
    elif {each["tombstone_digest"] for each in recorded.pruned} != {digest_bytes(data)}:
        problems.append(f"{path.name} was changed: its digest is not the one in the ledger")
    if tombstone.reference != reference:
        problems.append(f"{path.name} speaks of {tombstone.reference}")
    left = {(tombstone.manifest_digest, tombstone.results_digest)}
    if recorded.published and {(row["manifest_digest"], row["results_digest"]) for row in recorded.published} != left:
        problems.append(f"{path.name} speaks of another manifest or other results than the ledger's publication")
    return [f"{reference}: {problem}" for problem in problems]
