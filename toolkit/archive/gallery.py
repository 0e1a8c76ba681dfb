"""The gallery: `reports/index.html`, one static page that leads to every published report.

It is made from the index and the ledger alone, so the same archive gives the same bytes; it fetches nothing and is
replaced whole. It is no part of the archive: nothing verifies it, and it can be made again at any time. The same holds
for the pages below `reports/compare/`, one for each two versions of a report that were the latest two once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.archive import versions
from toolkit.archive.versions import REFUSED, RUN_FAILED, Reference
from toolkit.archive.writing import explained
from toolkit.errors import ArchiveError
from toolkit.ledger.published import PUBLISHED
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.archive.shelf import Shelf

INDEX = "index.html"

_PAIR = re.compile(r"v([0-9]{4,})-v([0-9]{4,})\.html")


@dataclass(frozen=True)
class Gallery:
    """The page that was written, and what it shows: published versions, refusals and failures."""

    page: Path
    reports: int
    refused: int
    failed: int


def write_gallery(workspace: Workspace) -> Gallery:
    """Write `reports/index.html`: reports by template and subject, latest first, then what was refused or failed.

    Order is that of the ledger, not of the clock. A report whose files cannot be read is listed with what is wrong.

    Raises `ArchiveError` when the page cannot be written, `LedgerError` when the ledger cannot be read.
    """
    from toolkit.archive.gallery_page import gallery_html
    from toolkit.archive.index import search_reports
    from toolkit.archive.shelf import arrange_shelves, read_stopped
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        published = {entry.subject: entry.sequence for entry in ledger.entries(kind=PUBLISHED)}
        entries = [*ledger.entries(kind=REFUSED), *ledger.entries(kind=RUN_FAILED)]
    stopped = read_stopped(workspace, entries)
    reports = search_reports(workspace)
    shelves = arrange_shelves(reports, published, stopped)
    with explained(workspace.reports):
        shelves = _write_pairs(workspace, shelves)
        _write(workspace, INDEX, gallery_html(workspace.settings.name, shelves, stopped))
    refused = sum(entry.kind == REFUSED for entry in entries)
    return Gallery(workspace.reports / INDEX, len(reports), refused, len(entries) - refused)


def _write(workspace: Workspace, path: str, page: str) -> None:
    """Write a page below the archive's folder, whole or not at all."""
    with versions.open_staging(workspace) as staging:
        written = staging / "page.html"
        with written.open(
            "w", encoding="utf-8", errors="replace", newline="\n"
        ) as stream:  # the digest is of these bytes
            stream.write(page)
            stream.flush()
            os.fsync(stream.fileno())
        target = workspace.reports / path
        target.parent.mkdir(parents=True, exist_ok=True)
        written.replace(target)


def _write_pairs(workspace: Workspace, shelves: Sequence[Shelf]) -> list[Shelf]:
    """The latest version of each report beside the one before, unless that page is there: versions never change.

    Pages of versions that are gone are removed.
    """
    there = _clear_pairs(workspace, {version.reference for shelf in shelves for version in shelf.versions})
    done = []
    for shelf in shelves:
        before = shelf.previous
        pairs = there.get(shelf.reference.series, set())
        if before is not None and not before.problem and not shelf.latest.problem:
            pair = (before.reference.version or 0, shelf.reference.version or 0)
            if pair in pairs or _write_pair(workspace, before.reference, shelf.reference):
                pairs = pairs | {pair}
        done.append(replace(shelf, pairs=frozenset(pairs)))
    return done


def _write_pair(workspace: Workspace, before: Reference, after: Reference) -> bool:
    """Write the page of two versions; False when one of them turns out to be damaged or gone.

    Damage may show only here: a manifest that is JSON, and no manifest. `verify` says what was changed.
    """
    from toolkit.archive.compare import compare_reports
    from toolkit.archive.comparison_page import comparison_html
    from toolkit.archive.shelf import page_link, pair_path

    links = (f"../../../{page_link(before)}", f"../../../{page_link(after)}")
    try:
        page = comparison_html(compare_reports(workspace, before, after), workspace, links=links)
    except (ArchiveError, AttributeError, LookupError, TypeError, ValueError):
        return False
    _write(workspace, pair_path(before, after), page)
    return True


def _clear_pairs(workspace: Workspace, references: Collection[Reference]) -> dict[str, set[tuple[int, int]]]:
    """Remove the pages of versions that are gone; for each report, the versions that have a page."""
    there: dict[str, set[tuple[int, int]]] = {}
    folder = workspace.reports / versions.COMPARE
    for page in sorted(folder.glob("*/*/*.html")):
        match = _PAIR.fullmatch(page.name)
        if match is None:  # somebody's own
            continue
        series = Reference(page.parent.parent.name, page.parent.name)
        pair = (int(match[1]), int(match[2]))
        if all(series.at(each) in references for each in pair):
            there.setdefault(series.series, set()).add(pair)
        else:
            page.unlink(missing_ok=True)  # another gallery may be written at the same time
            _remove_empty(page.parent, until=workspace.reports)
    return there


def _remove_empty(folder: Path, *, until: Path) -> None:
    """Remove a folder that holds nothing any more, and those above it."""
    while folder != until:
        try:
            folder.rmdir()
        except OSError:  # it holds something, or is gone
            return
        folder = folder.parent
