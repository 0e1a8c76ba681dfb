"""The report archive: `reports/<template>/<subject>/v0001/`, each version published whole and never rewritten.

A version is staged beside the archive, brought to disk, and takes its number by renaming its folder onto a fresh name:
no lock, and no half version whenever the process dies. What the ledger then lacks, `reconcile` adds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import check_in
from toolkit.digests import digest_file
from toolkit.errors import ArchiveError, ArgumentError, UnknownNameError
from toolkit.ledger.published import PUBLISHED
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace, current_actor

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

MANIFEST = "manifest.json"
RESULTS = "results.json"
FIGURES = "figures"
NOTEBOOK = "report.ipynb"
PAGE = "report.html"
FAILED = "failed"
COMPARE = "compare"
REFUSED = "report.refused"
RUN_FAILED = "report.failed"
AS_OF = "as_of"
"""The parameter that is an instant; empty means the last day complete in the data."""

_STAGING = ".staging"
QUARANTINE = ".quarantine"
NOT_TEMPLATES = (COMPARE, FAILED, QUARANTINE, _STAGING)
"""Folders of the archive that hold no published versions."""

_STALE_SECONDS = 24 * 60 * 60
_REFERENCE = re.compile(r"(?P<template>[^/@]+)/(?P<subject>[^/@]+)(?:@(?P<version>latest|[0-9]+))?")
_VERSION = re.compile(r"v([0-9]{4}|[1-9][0-9]{4,17})")  # one name for a number, and none that no database can hold
_TOMBSTONE = re.compile(_VERSION.pattern + r"\.tombstone\.json")


@dataclass(frozen=True, order=True)
class Reference:
    """One published report: `<template>/<subject>@<n>`; without a number, the latest.

    >>> Reference.parse("triage/delay@3").folder_name, str(Reference.parse("triage/delay@latest"))
    ('v0003', 'triage/delay')
    """

    template: str
    subject: str
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference; raises `ArgumentError`."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise ArgumentError(
                f"report reference == {text!r}, must be like 'triage/delay@3', or 'triage/delay' for the latest"
            )
        version = match["version"]
        return cls(match["template"], match["subject"], int(version) if version not in (None, "latest") else None)

    def __str__(self) -> str:
        return self.series if self.version is None else f"{self.series}@{self.version}"

    @property
    def series(self) -> str:
        """`<template>/<subject>`: what all its versions share."""
        return f"{self.template}/{self.subject}"

    @property
    def folder_name(self) -> str:
        """The version's folder, such as `v0003`."""
        return f"v{self.version or 0:04d}"

    def at(self, version: int) -> Reference:
        """The same report's version `version`."""
        return Reference(self.template, self.subject, version)


class Slot(NamedTuple):
    """A slot of a schedule, which a run fills: the schedule's key, and the ISO instant at which it is due."""

    schedule: str
    at: str

    def __str__(self) -> str:
        return f"{self.schedule} {self.at}"

    def to_dict(self) -> dict[str, str]:
        """As manifests and ledger rows have it."""
        return self._asdict()


def list_reports(workspace: Workspace, template: str | None = None, subject: str | None = None) -> list[Reference]:
    """Every published version, by template, subject and number, or those of one template or subject."""
    return sorted(reference for reference, _ in scan_versions(workspace, template, subject))


def scan_versions(
    workspace: Workspace, template: str | None = None, subject: str | None = None
) -> Iterator[tuple[Reference, str]]:
    """Every published version and its folder, in no order; no folder is entered that was not asked for."""
    for of_template, of_subject, version, path in scan_folders(workspace, template, subject):
        yield Reference(of_template, of_subject, version), path


def scan_folders(
    workspace: Workspace, template: str | None = None, subject: str | None = None
) -> Iterator[tuple[str, str, int, str]]:
    """The same as plain values: template, subject, number and folder, for who walks ten thousand of them."""
    for series, folder in _scan_series(workspace, template, subject):
        for name, path in _list(folder, folders=True):
            if match := _VERSION.fullmatch(name):
                yield series.template, series.subject, int(match[1]), path


def scan_tombstones(workspace: Workspace) -> Iterator[Reference]:
    """Every version that has a tombstone, in no order."""
    for series, folder in _scan_series(workspace):
        for name, _ in _list(folder, folders=False):
            if match := _TOMBSTONE.fullmatch(name):
                yield series.at(int(match[1]))


def _scan_series(
    workspace: Workspace, template: str | None = None, subject: str | None = None
) -> Iterator[tuple[Reference, str]]:
    for of_template, parent in _pick(str(workspace.reports), template):
        if of_template not in NOT_TEMPLATES:  # staging folders come and go while others look
            for of_subject, folder in _pick(parent, subject):
                yield Reference(of_template, of_subject), folder


def _pick(folder: str, name: str | None) -> list[tuple[str, str]]:
    """The folder of this name in a folder, there or not; without a name, every one."""
    if name is None:
        return _list(folder, folders=True)
    return [] if name in (".", "..") else [(name, f"{folder}/{name}")]


def _list(folder: str, *, folders: bool) -> list[tuple[str, str]]:
    """The folders or the files in a folder, name and path; none when it is not there."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.path) for entry in entries if entry.is_dir() == folders]
    except (FileNotFoundError, NotADirectoryError):
        return []


def find_report(workspace: Workspace, reference: str | Reference) -> Reference:
    """The published version that a reference names; the latest when it names no number.

    Raises `UnknownNameError` with the nearest reference, or with when and why the version was pruned, and
    `ArgumentError` for what is not a reference.
    """
    asked = Reference.parse(reference) if isinstance(reference, str) else reference
    versions = list_reports(workspace, asked.template, asked.subject)
    if asked.version is None and versions:
        return versions[-1]
    if asked not in versions:
        _refuse_pruned(workspace, asked)
        published = versions or list_reports(workspace)
        allowed = [str(each) for each in published] if asked.version else [each.series for each in published]
        check_in(str(asked), dict.fromkeys(allowed), noun="report")
    return asked


def _refuse_pruned(workspace: Workspace, asked: Reference) -> None:
    """Raise `UnknownNameError` for a version that retention has removed."""
    from toolkit.archive.tombstones import read_tombstone

    if asked.version is not None and (tombstone := read_tombstone(workspace, asked)) is not None:
        raise UnknownNameError(
            f"report {str(asked)!r} was pruned at {tombstone.pruned_at} ({tombstone.rule}); what is left of it is its "
            f"tombstone, and the ledger's record of it: its manifest was {tombstone.manifest_digest}"
        )


def tombstone_path(workspace: Workspace, reference: Reference) -> Path:
    """Where the tombstone of a version stands, if it has one."""
    return workspace.reports / reference.template / reference.subject / f"{reference.folder_name}.tombstone.json"


def report_folder(workspace: Workspace, reference: Reference) -> Path:
    """The folder of a published version."""
    return workspace.reports / reference.template / reference.subject / reference.folder_name


def load_manifest(workspace: Workspace, reference: str | Reference) -> dict[str, Any]:
    """The manifest of a published report.

    Raises `UnknownNameError`, and `ArchiveError` when the file cannot be read.
    """
    return _load(workspace, reference, MANIFEST)


def load_results(workspace: Workspace, reference: str | Reference) -> dict[str, Any]:
    """`results.json` of a published report: `schema_version` and `rows`.

    Raises `UnknownNameError`, and `ArchiveError` when the file cannot be read.
    """
    return _load(workspace, reference, RESULTS)


def _load(workspace: Workspace, reference: str | Reference, name: str) -> dict[str, Any]:
    found = find_report(workspace, reference)
    try:
        document: dict[str, Any] = json.loads((report_folder(workspace, found) / name).read_bytes())
    except (OSError, ValueError) as err:
        raise ArchiveError(
            f"{found}: {name} cannot be read ({err}); 'toolkit reports verify {found}' says what was changed"
        ) from None
    return document


@contextmanager
def open_staging(workspace: Workspace) -> Iterator[Path]:
    """A folder of this run's own, removed at the end unless it was published; its name says whose it is."""
    folder = workspace.reports / _STAGING / f"{socket.gethostname()}~{os.getpid()}~{token_hex(8)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_staging(workspace: Workspace, *, now: datetime) -> None:
    """Remove what dead runs left: their process is gone, or, on another machine, a day has passed."""
    for folder in (workspace.reports / _STAGING).glob("*~*~*"):
        host, process, _ = folder.name.rsplit("~", 2)
        if host == socket.gethostname():
            dead = not _is_alive(int(process))
        else:
            dead = now.timestamp() - folder.stat().st_mtime > _STALE_SECONDS
        if dead:
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def publish(
    workspace: Workspace, staged: Path, series: Reference, *, after: int, finish: Callable[[Reference], None]
) -> Reference:
    """Give a staged folder the next version number and move it into the archive, whole.

    Parameters
    ----------
    series: template and subject.
    after: the highest number the ledger knows; a number is never used again, even when its folder is gone.
    finish: writes into the staged folder what names the version; called again when another run took the number.
    """
    parent = workspace.reports / series.template / series.subject
    while True:
        reference = series.at(max(after, _last_taken(parent)) + 1)
        finish(reference)
        parent.mkdir(parents=True, exist_ok=True)  # last: a disk that is full shows before it leaves an empty folder
        if move_folder(staged, parent / reference.folder_name):
            return reference


def _last_taken(parent: Path) -> int:
    """The highest number in a series that is taken, by a version or by a tombstone."""
    names = [name for folders in (True, False) for name, _ in _list(str(parent), folders=folders)]
    matches = [match for name in names if (match := _VERSION.fullmatch(name) or _TOMBSTONE.fullmatch(name))]
    return max((int(match[1]) for match in matches), default=0)


def move_folder(staged: Path, target: Path) -> bool:
    """Rename a folder onto a fresh name, its content on disk first; False when the name is taken."""
    for path in sorted(staged.rglob("*")):
        sync(path)
    sync(staged)
    try:
        staged.rename(target)
    except OSError as err:
        if err.errno in (EEXIST, ENOTEMPTY):
            return False
        raise ArchiveError(f"{target.name} could not be published: {err}") from err
    for folder in target.parents[:3]:
        sync(folder)
    return True


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reconcile(workspace: Workspace, ledger: Ledger) -> None:
    """Record every version on disk that the ledger lacks: its process died between rename and append."""
    for reference in list_unrecorded(workspace, ledger.subjects(PUBLISHED)):
        record_publication(workspace, ledger, reference, recovered=True)


def list_unrecorded(workspace: Workspace, recorded: Collection[str]) -> list[Reference]:
    """Every published version that is not among those recorded; ask the ledger first, then this."""
    return sorted(
        Reference(template, subject, version)
        for template, subject, version, path in scan_folders(workspace)
        if f"{template}/{subject}@{version}" not in recorded and Path(path, MANIFEST).is_file()
    )


def record_publication(workspace: Workspace, ledger: Ledger, reference: Reference, *, recovered: bool = False) -> None:
    """Append the ledger row of a published version, all of it read from the version's own folder; once."""
    manifest = load_manifest(workspace, reference)
    folder = report_folder(workspace, reference)
    versions = list_reports(workspace, reference.template, reference.subject)
    earlier = [each for each in versions if each < reference]
    payload, effective_at = describe_publication(reference, manifest, folder)
    payload["supersedes"] = str(earlier[-1]) if earlier else None
    if recovered:
        payload["recovered"] = True
    ledger.append(
        kind=PUBLISHED,
        subject=str(reference),
        payload=payload,
        actor=current_actor(),
        effective_at=effective_at,
        once=True,  # the run and another run's reconcile may be here at the same moment
    )


def describe_publication(
    reference: Reference, manifest: dict[str, Any], folder: Path
) -> tuple[dict[str, Any], datetime]:
    """What the ledger records of a version with this manifest, and the time it speaks of.

    Raises `KeyError`, `TypeError`, `ValueError` or `FileNotFoundError` for what is the manifest of no report.
    """
    payload = {
        "reference": str(reference),
        "manifest_digest": digest_file(folder / MANIFEST),
        "results_digest": digest_file(folder / RESULTS),
        "template_digest": manifest["template"]["digest"],
        "parameters": parameters_text(manifest["parameters"]),
    }
    payload |= {key: manifest[key] for key in ("slot", "batch") if manifest.get(key)}  # what the run was for
    return payload, parse_instant(manifest["as_of"] or manifest["started_at"])


def last_recorded(ledger: Ledger, series: Reference) -> int:
    """The highest version of a report that the ledger knows; 0 when it knows none."""
    from toolkit.archive.tombstones import PRUNED

    prefix = f"{series.series}@"
    recorded = {Reference.parse(each) for kind in (PUBLISHED, PRUNED) for each in ledger.subjects(kind, prefix=prefix)}
    return max((each.version or 0 for each in recorded), default=0)


def parameters_text(parameters: dict[str, Any]) -> str:
    """Parameters as one text: the ledger hashes no floats."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def stamp(instant: datetime) -> str:
    """An instant as a folder's name, sortable."""
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"
