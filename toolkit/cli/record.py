"""`toolkit ledger`: the append-only record of what was published and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.output import AsJson, print_document, print_table, print_text
from toolkit.errors import ArchiveError, VerificationError

if TYPE_CHECKING:
    from toolkit.ledger import Position
    from toolkit.workspace import Workspace

MOST_ENTRIES = 50
"""Entries that `ledger log` prints unless told otherwise: about a screen."""

Kind = Annotated[str | None, typer.Option(metavar="KIND", help="Only this kind, such as report.published.")]
Subject = Annotated[str | None, typer.Option(metavar="SUBJECT", help="Only on this subject.")]
Limit = Annotated[int, typer.Option(metavar="N", help="At most so many.")]


def log(*, kind: Kind = None, subject: Subject = None, limit: Limit = MOST_ENTRIES, as_json: AsJson = False) -> None:
    """List entries, the newest first."""
    from toolkit.ledger import open_ledger
    from toolkit.workspace import open_workspace

    with open_ledger(open_workspace().ledger, create=False) as ledger:
        entries = ledger.entries(kind=kind, subject=subject, limit=limit, newest_first=True)
    if as_json:
        print_document({"entries": [entry.to_dict() for entry in entries]})
    elif entries:
        print_table(
            ["sequence", "recorded_at", "actor", "kind", "subject"],
            [[str(e.sequence), f"{e.recorded_at:%Y-%m-%d %H:%M:%S}Z", e.actor, e.kind, e.subject] for e in entries],
        )
    else:
        print_text("no such entries" if kind or subject else "the ledger is empty", to_stderr=True)


def verify(*, as_json: AsJson = False) -> int:
    """Check that the record was not changed.

    No entry rewritten, removed or cut off. Exit 4 if one was.
    """
    from toolkit.ledger import open_ledger
    from toolkit.ledger import verify as verify_ledger
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    expected = last_published_position(workspace)
    with open_ledger(workspace.ledger, create=False) as ledger:
        found = verify_ledger(ledger, expected=expected)
    if as_json:
        print_document({"entries": found.entries, "problems": list(found.problems), "notes": list(found.notes)})
    elif found.passed:
        print_text(f"verified {found.entries} {'entry' if found.entries == 1 else 'entries'}")
    if found.notes:
        print_text("\n".join(found.notes), to_stderr=True)
    if found.passed:
        return 0
    print_text("\n".join(["verification failed:", *found.problems]), to_stderr=True)
    return VerificationError.exit_code


def last_published_position(workspace: Workspace) -> Position | None:
    """The furthest ledger position that a published manifest holds: a ledger shorter than that was cut off."""
    from toolkit.archive import list_reports, load_manifest
    from toolkit.ledger import Position

    positions = []
    for reference in list_reports(workspace):
        try:
            held = load_manifest(workspace, reference)["ledger"]
            positions.append(Position(held["sequence"], held["hash"]))
        except (ArchiveError, KeyError, TypeError):  # a damaged manifest: `reports verify` names it
            continue
    return max(positions, default=None)
