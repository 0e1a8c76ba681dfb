"""The remote archive: versions go there and come back whole, and no number ever means two reports.

    objects/ab/cdef…                             every file of every version, by its digest
    reports/<template>/<subject>/v0003.json      the version's manifest: what makes it a version
    reports/<template>/<subject>/v0003.tombstone.json

A push stores the files first and creates the manifest last, if nobody has: a push that was cut short left objects that
no manifest names, which nobody sees and the next push finds in place. Two archives that gave one number to different
reports cannot mix their files: objects are named by what they hold, and only one of the two manifests is created. A
version that was removed before it was ever pushed has its tombstone in the manifest's place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from toolkit.archive.remote_store import Store, check_exclusive, open_store
from toolkit.archive.tombstones import Tombstone, list_tombstones, read_tombstone, record_pruning, write_tombstone
from toolkit.archive.verify import verify_some
from toolkit.archive.versions import (
    MANIFEST,
    NOT_TEMPLATES,
    Reference,
    describe_publication,
    list_reports,
    move_folder,
    open_staging,
    reconcile,
    record_publication,
    report_folder,
    tombstone_path,
)
from toolkit.archive.writing import explained
from toolkit.checks import check_in
from toolkit.digests import digest_bytes, digest_file
from toolkit.errors import ArchiveError
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

_KEY = re.compile(r"reports/([^/@.][^/@]*)/([^/@.][^/@]*)/v([0-9]{4,18})\.json")  # no name leads elsewhere
_AT_ONCE = 8
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Transfer:
    """What a push or a pull did.

    Attributes
    ----------
    moved: versions that were transferred.
    present: those that were on the other side already.
    tombstones: of removed versions, that were transferred.
    problems: what was not transferred, and why; nothing was overwritten.
    """

    moved: list[Reference] = field(default_factory=list)
    present: list[Reference] = field(default_factory=list)
    tombstones: list[Reference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def push_reports(
    workspace: Workspace,
    references: Sequence[Reference] | None = None,
    *,
    progress: Callable[[str], None] | None = None,
) -> Transfer:
    """Copy published versions to the remote archive: these, or all of them and the tombstones of those removed.

    It can be run again and again: what is there is not sent. A number that another report has there is a problem, told
    with both digests; so is a version that is not what was published.

    Raises `DefinitionError` and `MissingExtraError` when there is no remote archive to use, `ArchiveError` when it
    fails.
    """
    from toolkit.ledger import open_ledger

    done = Transfer()
    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
    with open_store(workspace) as store:
        check_exclusive(store)
        chosen = list_reports(workspace) if references is None else sorted(set(references))
        buried = list_tombstones(workspace) if references is None else []
        taken = store.get([_key(reference) for reference in (*chosen, *buried)])
        doubts = verify_some(workspace, [each for each in chosen if _key(each) not in taken])
        for reference in chosen:
            if doubts.get(reference):
                told = "; ".join(doubts[reference])
                done.problems.append(f"{reference} was not pushed, it is not what was published: {told}")
            else:
                _push(workspace, store, reference, taken.get(_key(reference)), done, progress)
        for reference in buried:
            _push_tombstone(workspace, store, reference, taken.get(_key(reference)), done)
    return done


def _push(
    workspace: Workspace,
    store: Store,
    reference: Reference,
    theirs: bytes | None,
    done: Transfer,
    progress: Callable[[str], None] | None,
) -> None:
    folder = report_folder(workspace, reference)
    manifest = (folder / MANIFEST).read_bytes()
    if theirs is None:
        if progress:
            progress(f"pushing {reference}")
        _side_by_side(lambda path, digest: _send(store, reference, folder / path, digest), _list_files(manifest))
        if store.create(_key(reference), manifest):
            done.moved.append(reference)
            return
        theirs = store.get([_key(reference)])[_key(reference)]  # another archive was quicker
    if _named_digest(theirs) == digest_bytes(manifest):
        done.present.append(reference)
    else:
        done.problems.append(_conflict(store, reference, theirs, digest_bytes(manifest), "pushed"))


def _send(store: Store, reference: Reference, path: Path, digest: str) -> None:
    data = path.read_bytes()
    if digest_bytes(data) != digest:
        raise ArchiveError(f"{reference}: {path.name} was changed while it was pushed; the push was stopped")
    store.put_object(data)


def _side_by_side(act: Callable[[str, str], None], files: Iterable[tuple[str, str]]) -> None:
    """Transfer the files of one version: most of the time is waiting for the store."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for done in [pool.submit(act, path, digest) for path, digest in files]:
            done.result()


def _push_tombstone(
    workspace: Workspace, store: Store, reference: Reference, theirs: bytes | None, done: Transfer
) -> None:
    data = tombstone_path(workspace, reference).read_bytes()
    ours = _digest_here(workspace, reference)
    if theirs is None:
        if store.create(_key(reference), data):
            done.tombstones.append(reference)
            return
        theirs = store.get([_key(reference)])[_key(reference)]
    if _named_digest(theirs) != ours:
        done.problems.append(_conflict(store, reference, theirs, str(ours), "pushed"))
    elif _read_tombstone(theirs) is None and store.create(_tombstone_key(reference), data):
        done.tombstones.append(reference)


def pull_reports(
    workspace: Workspace, references: Sequence[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> Transfer:
    """Bring versions from the remote archive: these, or all of them; every digest is checked before anything is kept.

    A version that was removed, there or here, stays removed: its tombstone comes instead. The ledger is told as of
    any version that it lacked. A number that another report has here is a problem, told with both digests.

    Raises what `push_reports` does, and `UnknownNameError` for a version that is not there.
    """
    from toolkit.ledger import open_ledger

    done = Transfer()
    with open_store(workspace) as store:
        there, buried = _list_remote(store)
        chosen = sorted(there) if references is None else sorted({_choose(text, there) for text in references})
        here = set(list_reports(workspace)) | set(list_tombstones(workspace))
        commits = store.get([_key(reference) for reference in chosen])
        tombstones = store.get([_tombstone_key(each) for each in chosen if each in buried and each not in here])
        with explained(workspace.reports), open_ledger(workspace.ledger) as ledger:
            reconcile(workspace, ledger)
            for reference in chosen:
                if progress and reference not in here:
                    progress(f"pulling {reference}")
                try:
                    held, stone = commits[_key(reference)], tombstones.get(_tombstone_key(reference))
                    _pull(workspace, ledger, store, reference, held, buried=stone, done=done)
                except (ArchiveError, FileNotFoundError, KeyError, TypeError, ValueError) as err:
                    why = str(err) if isinstance(err, ArchiveError) else f"its manifest there cannot be read ({err!r})"
                    done.problems.append(f"{reference} was not pulled: {why}")
    return done


def _pull(
    workspace: Workspace,
    ledger: Ledger,
    store: Store,
    reference: Reference,
    theirs: bytes,
    *,
    buried: bytes | None,
    done: Transfer,
) -> None:
    ours = _digest_here(workspace, reference)
    if ours is None and (stone := buried or (theirs if _read_tombstone(theirs) else None)) is not None:
        _check_agreement(reference, stone, theirs)
        write_tombstone(workspace, reference, stone)
        record_pruning(workspace, ledger, reference)
        done.tombstones.append(reference)
        return
    if ours is None:
        with open_staging(workspace) as staging:
            staged = staging / "report"
            _fetch(store, reference, theirs, staged)
            target = report_folder(workspace, reference)
            target.parent.mkdir(parents=True, exist_ok=True)
            if move_folder(staged, target):
                record_publication(workspace, ledger, reference, recovered=True)
                done.moved.append(reference)
                return
        ours = _digest_here(workspace, reference)  # a run here was quicker
    if ours == _named_digest(theirs):
        done.present.append(reference)
    else:
        done.problems.append(_conflict(store, reference, theirs, str(ours), "pulled"))


def _fetch(store: Store, reference: Reference, manifest: bytes, staged: Path) -> None:
    """Lay a version's files into a folder, each with the digest that the manifest has, the manifest last."""
    document = json.loads(manifest)
    if document["reference"] != str(reference):
        raise ArchiveError(f"its manifest there speaks of {document['reference']}")
    staged.mkdir()

    def receive(path: str, digest: str) -> None:
        (staged / path).parent.mkdir(parents=True, exist_ok=True)
        (staged / path).write_bytes(store.get_object(digest))

    _side_by_side(receive, _list_files(manifest))
    (staged / MANIFEST).write_bytes(manifest)
    describe_publication(reference, document, staged)  # what cannot be recorded must not come into the archive


def _list_files(manifest: bytes) -> Iterator[tuple[str, str]]:
    """Path and digest of the files that a manifest names. Raises `ArchiveError` for a path that leads elsewhere."""
    files: list[Mapping[str, Any]] = json.loads(manifest)["files"]
    for entry in files:
        path, digest = str(entry["path"]), str(entry["digest"])
        parts = PurePosixPath(path).parts
        sound = parts and not path.startswith("/") and ".." not in parts and parts != (MANIFEST,) and "\0" not in path
        if not sound or not _DIGEST.fullmatch(digest):
            raise ArchiveError(f"its manifest names the file {path!r} with the digest {digest!r}, which no report has")
        yield path, digest


def _digest_here(workspace: Workspace, reference: Reference) -> str | None:
    """The digest of the manifest that a number has here, also when it was pruned; None when it is free."""
    try:
        return digest_file(report_folder(workspace, reference) / MANIFEST)
    except FileNotFoundError:
        tombstone = read_tombstone(workspace, reference)
        return tombstone.manifest_digest if tombstone else None


def _read_tombstone(data: bytes) -> Tombstone | None:
    """The tombstone that stands in a manifest's place, if one does."""
    try:
        return Tombstone.from_bytes(data)
    except ValueError:
        return None


def _named_digest(data: bytes) -> str:
    """The digest of the manifest that a number means in the remote archive."""
    tombstone = _read_tombstone(data)
    return tombstone.manifest_digest if tombstone else digest_bytes(data)


def _check_agreement(reference: Reference, stone: bytes, theirs: bytes) -> None:
    tombstone = Tombstone.from_bytes(stone)
    if (tombstone.reference, tombstone.manifest_digest) != (reference, _named_digest(theirs)):
        raise ArchiveError(
            f"its tombstone there speaks of {tombstone.reference} with the manifest {tombstone.manifest_digest}, and "
            f"what the number means there is {_named_digest(theirs)}"
        )


def _conflict(store: Store, reference: Reference, theirs: bytes, ours: str, done: str) -> str:
    return (
        f"{reference} was not {done}: {store.url} has another report under this number. There its manifest is "
        f"{_named_digest(theirs)}, here {ours}. Nothing was overwritten; run yours again, so that it has a number of "
        "its own, and push that"
    )


def _list_remote(store: Store) -> tuple[set[Reference], set[Reference]]:
    """The versions in the remote archive, and those that have a tombstone beside their manifest."""
    there: set[Reference] = set()
    buried: set[Reference] = set()
    for key in store.list_keys("reports"):
        plain = key.replace(".tombstone.json", ".json")
        if (match := _KEY.fullmatch(plain)) and match[1] not in NOT_TEMPLATES:
            (there if plain == key else buried).add(Reference(match[1], match[2], int(match[3])))
    return there, buried


def _choose(text: str, there: Iterable[Reference]) -> Reference:
    """The version that a reference means in the remote archive."""
    asked = Reference.parse(text)
    versions = [each for each in there if each.series == asked.series]
    if asked.version is None and versions:
        return max(versions)
    allowed = versions or list(there)
    check_in(str(asked), {str(each) if asked.version else each.series for each in allowed}, noun="remote report")
    return asked


def _key(reference: Reference) -> str:
    return f"reports/{reference.series}/{reference.folder_name}.json"


def _tombstone_key(reference: Reference) -> str:
    return f"reports/{reference.series}/{reference.folder_name}.tombstone.json"
