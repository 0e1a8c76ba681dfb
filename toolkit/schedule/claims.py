"""Claims: of all processes that would run a slot, one does.

A claim is a lock on the slot's own file, held while the slot is run. The operating system lets go of it when the
process ends, however it ends, so there is no lease to wait for and nothing to clean up after `kill -9`. Whether a slot
is done must be asked behind its claim: then whoever had it before has either finished or died.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import LedgerError
from toolkit.reports import Slot
from toolkit.reports.archive import stamp
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace


@contextmanager
def claim(workspace: Workspace, slot: Slot) -> Iterator[bool]:
    """Hold a slot; False when another process, or another thread, holds it.

    Raises `LedgerError` when the claim's file cannot be written.
    """
    descriptor = _open(_file(workspace, slot))
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)  # and the lock is gone


def sweep(workspace: Workspace, done: Iterable[Slot]) -> None:
    """Remove the claims of slots that are done.

    Only of these: of a slot that is not done, one process may hold the file that is removed here, while another claims
    a new one in its place. Of one that is done, whoever claims it finds that out.
    """
    folder = _folder(workspace)
    for file in set(folder.glob("*/*.claim")) & {_file(workspace, slot) for slot in done}:
        file.unlink(missing_ok=True)


def _folder(workspace: Workspace) -> Path:
    return workspace.ledger.parent / "slots"


def _file(workspace: Workspace, slot: Slot) -> Path:
    return _folder(workspace) / slot.schedule / f"{stamp(parse_instant(slot.at, name='slot'))}.claim"


def _open(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o666)  # Python's own are not inherited: no kernel keeps a claim
    except OSError as err:
        raise LedgerError(
            f"the claim {file} cannot be written ({err.strerror}), and its slot was not run. Make its folder writable "
            "for this user, or free some space, then run the command again"
        ) from err
