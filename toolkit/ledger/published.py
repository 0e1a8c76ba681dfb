"""Published reports in the ledger, and which of them a stage has not read yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.ledger.store import Ledger

PUBLISHED = "report.published"
"""Ledger kind: a report was published; its subject is the report's reference."""


def list_unread(ledger: Ledger, read: str, *, shipped: Collection[str]) -> list[str]:
    """The references of published reports that may hold what a stage reads and have no row yet, oldest first.

    Parameters
    ----------
    read: the kind of the stage's rows, which are on the references of reports that it has read.
    shipped: the templates that hold it; others are known by their first report that did.
    """
    known = ledger.subjects(read)
    templates = {*shipped, *map(template_of, known)}
    unread = {each for each in ledger.subjects(PUBLISHED) - known if template_of(each) in templates}
    if not unread:  # as nearly always: no payload is parsed
        return []
    return [entry.subject for entry in ledger.entries(kind=PUBLISHED) if entry.subject in unread]


def template_of(reference: str) -> str:
    """The template of a report.

    >>> template_of("triage/eta@1")
    'triage'
    """
    return reference.partition("/")[0]
