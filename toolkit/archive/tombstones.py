"""Tombstones: what stands for a version that retention has removed, `v0003.tombstone.json` beside the other versions.

It keeps the version's number from being used again, says when and by which rule the version went, and holds the digests
that the ledger knows it by. It is written before the folder goes: whoever finds both finishes the removal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from toolkit.archive.versions import Reference, open_staging, scan_tombstones, sync, tombstone_path
from toolkit.digests import digest_bytes, document_bytes
from toolkit.errors import ArchiveError
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace, current_actor

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

PRUNED = "report.pruned"

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Tombstone:
    """What is kept of a version that was removed.

    Attributes
    ----------
    manifest_digest, results_digest: of the files that are gone; the ledger's publication has them too.
    finished_at: when it was published, as its manifest said.
    pruned_at: the ISO instant of the decision.
    rule: why no rule of retention kept it.
    """

    reference: Reference
    manifest_digest: str
    results_digest: str
    finished_at: str | None
    pruned_at: str
    rule: str

    def to_bytes(self) -> bytes:
        """The file's content."""
        return document_bytes(
            {**asdict(self), "reference": str(self.reference), "schema_version": _SCHEMA_VERSION},
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Tombstone:
        """Read a file's content; raises `ValueError` for what is no tombstone."""
        try:
            document = json.loads(data)
            texts = {name: str(document[name]) for name in ("manifest_digest", "results_digest", "pruned_at", "rule")}
            parse_instant(texts["pruned_at"], name="pruned_at")
            return cls(Reference.parse(document["reference"]), finished_at=document["finished_at"], **texts)
        except (KeyError, TypeError, RecursionError) as err:
            raise ValueError(f"no tombstone: {err!r}") from None


def read_tombstone(workspace: Workspace, reference: Reference) -> Tombstone | None:
    """The tombstone of a version; None when it has none. Raises `ArchiveError` when it cannot be read."""
    path = tombstone_path(workspace, reference)
    try:
        return Tombstone.from_bytes(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise ArchiveError(
            f"{reference}: {path.name} cannot be read ({err}); restore it from a backup: it keeps the number from "
            "being used again"
        ) from None


def list_tombstones(workspace: Workspace) -> list[Reference]:
    """Every version that has a tombstone, by template, subject and number."""
    return sorted(scan_tombstones(workspace))


def write_tombstone(workspace: Workspace, reference: Reference, data: bytes) -> bool:
    """Put a tombstone in its place, on disk and whole at once; False when one stands there."""
    path = tombstone_path(workspace, reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_staging(workspace) as staging:
        staged = staging / path.name
        staged.write_bytes(data)
        sync(staged)
        try:
            os.link(staged, path)  # unlike a rename, it takes no name that is taken
        except FileExistsError:
            return False
    sync(path.parent)
    return True


def record_pruning(workspace: Workspace, ledger: Ledger, reference: Reference) -> None:
    """Append the ledger row of a version, all of it read from its tombstone; once.

    Raises `ArchiveError` when the tombstone cannot be read.
    """
    tombstone = read_tombstone(workspace, reference)
    if tombstone is None:
        raise ArchiveError(f"{reference} has no tombstone, so nothing says that it was pruned")
    data = tombstone_path(workspace, reference).read_bytes()
    ledger.append(
        kind=PRUNED,
        subject=str(reference),
        payload={
            "reference": str(reference),
            "manifest_digest": tombstone.manifest_digest,
            "results_digest": tombstone.results_digest,
            "tombstone_digest": digest_bytes(data),
            "rule": tombstone.rule,
        },
        actor=current_actor(),
        effective_at=parse_instant(tombstone.pruned_at, name="pruned_at"),
        once=True,
    )


def unrecorded_tombstones(workspace: Workspace, ledger: Ledger) -> Iterator[Reference]:
    """Versions whose tombstone the ledger does not know: the process died in between."""
    recorded = ledger.subjects(PRUNED)
    return (reference for reference in list_tombstones(workspace) if str(reference) not in recorded)
