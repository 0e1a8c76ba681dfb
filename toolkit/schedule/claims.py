"""Claims of slots: of all processes that would run a slot, one does; see `toolkit.reports.claims`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from toolkit.archive import Slot
from toolkit.archive.versions import stamp
from toolkit.reports import claims
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace


def claim(workspace: Workspace, slot: Slot) -> AbstractContextManager[claims.Hold]:
    """Hold a slot; "" when another process, or another thread, holds it. Raises `LedgerError`."""
    return claims.claim(_file(workspace, slot))


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
