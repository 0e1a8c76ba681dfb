"""The gallery: `reports/index.html`, one static page that leads to every published report.

It is made from the archive and the ledger alone, so the same archive gives the same bytes; it fetches nothing, needs no
script, and is replaced whole. It is no part of the archive: nothing verifies it, and it can be made again at any time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape, unescape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from toolkit.errors import ArchiveError
from toolkit.reports import archive
from toolkit.reports.archive import Reference
from toolkit.reports.runner import FAILED, REFUSED
from toolkit.reports.writing import explained
from toolkit.windows import format_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.ledger import Entry

INDEX = "index.html"
HEADLINES = ("headline", "decision", "title", "text")
"""Statistics whose row says what a report found; the first of these that `results.json` has is shown."""

MOST_STOPPED = 100
"""Refusals and failures on the page; the ledger has them all."""

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_HEAD_BYTES = 16_384
_STYLES = Path(__file__).resolve().parent / "html"


@dataclass(frozen=True)
class Gallery:
    """The page that was written, and what it shows: published versions, refusals and failures."""

    page: Path
    reports: int
    refused: int
    failed: int


@dataclass(frozen=True)
class _Version:
    """One published version as the page shows it; `place` orders versions by their publication."""

    reference: Reference
    title: str
    headline: str
    as_of: str
    published: str
    problem: str
    place: tuple[int, str]

    @property
    def link(self) -> str:
        return quote(f"{self.reference.series}/{self.reference.folder_name}/{archive.PAGE}")


def write_gallery(workspace: Workspace) -> Gallery:
    """Write `reports/index.html`: reports by template and subject, latest first, then what was refused or failed.

    Order is that of the ledger, not of the clock. A report whose files cannot be read is listed with what is wrong.

    Raises `ArchiveError` when the page cannot be written, `LedgerError` when the ledger cannot be read.
    """
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        published = {entry.subject: entry.sequence for entry in ledger.entries(kind=archive.PUBLISHED)}
        stopped = [*ledger.entries(kind=REFUSED), *ledger.entries(kind=FAILED)]
    stopped.sort(key=lambda entry: entry.sequence, reverse=True)
    versions = [_read_version(workspace, each, published.get(str(each))) for each in archive.list_reports(workspace)]
    page = _page(workspace, versions, stopped)
    with explained(workspace.reports), archive.open_staging(workspace) as staging:
        written = staging / INDEX
        with written.open("w", encoding="utf-8") as stream:
            stream.write(page)
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(workspace.reports / INDEX)
    refused = sum(entry.kind == REFUSED for entry in stopped)
    return Gallery(workspace.reports / INDEX, len(versions), refused, len(stopped) - refused)


def _read_version(workspace: Workspace, reference: Reference, sequence: int | None) -> _Version:
    title, headline, as_of, published, problem = "", "", "", "", ""
    try:
        manifest = archive.load_manifest(workspace, reference)
        as_of, published = str(manifest.get("as_of") or ""), str(manifest.get("finished_at") or "")
        title = _read_title(archive.report_folder(workspace, reference) / archive.PAGE)
        headline = find_headline(archive.load_results(workspace, reference))
    except (ArchiveError, AttributeError, KeyError, OSError, TypeError):
        problem = f"A file of this report cannot be read; 'toolkit reports verify {reference}' says which."
    place = (1, published) if sequence is None else (0, f"{sequence:020d}")  # not recorded yet: published last
    return _Version(reference, title, headline, as_of, published, problem, place)


def _read_title(page: Path) -> str:
    with page.open("rb") as stream:
        match = _TITLE.search(stream.read(_HEAD_BYTES).decode("utf-8", errors="replace"))
    return unescape(match[1]).strip() if match else ""


def find_headline(results: dict[str, Any]) -> str:
    """What a report found, in one line: its headline or decision with its first reason, or how many rows it has.

    >>> find_headline({"rows": [{"record": "verdict", "statistic": "decision", "value": "ship"}]})
    'ship'
    """
    rows = results["rows"]
    for statistic in HEADLINES:
        row = next((row for row in rows if row["statistic"] == statistic and isinstance(row["value"], str)), None)
        if row is None:
            continue
        reasons = (each["value"] for each in rows if (each["record"], each["statistic"]) == (row["record"], "reason"))
        reason = next(reasons, None) if statistic == "decision" else None
        return f"{row['value']}: {reason}" if reason else str(row["value"])
    return f"{len(rows)} result row{'' if len(rows) == 1 else 's'}"


def _page(workspace: Workspace, versions: Sequence[_Version], stopped: Sequence[Entry]) -> str:
    name = escape(workspace.settings.name)
    style = "\n".join((_STYLES / sheet).read_text(encoding="utf-8") for sheet in ("report.css", "gallery.css"))
    body = [*_published(versions), *_stopped(workspace, stopped)]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>Reports of {name}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            '<main class="gallery">',
            f"<h1>Reports of {name}</h1>",
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _published(versions: Sequence[_Version]) -> Iterable[str]:
    if not versions:
        yield "<p>Nothing is published yet. <code>toolkit templates</code> lists what can be run.</p>"
    latest_first = sorted(versions, key=lambda version: version.place, reverse=True)
    templates = list(dict.fromkeys(version.reference.template for version in latest_first))
    for template in templates:
        own = [version for version in latest_first if version.reference.template == template]
        title = next((version.title for version in own if version.title), template)
        yield f"<section>\n<h2>{escape(title)}</h2>"
        for subject in dict.fromkeys(version.reference.subject for version in own):
            yield from _subject([version for version in own if version.reference.subject == subject])
        yield "</section>"


def _subject(versions: Sequence[_Version]) -> Iterable[str]:
    """One subject's versions: the latest in full, earlier ones folded."""
    versions = sorted(versions, key=lambda version: version.reference, reverse=True)
    latest = versions[0]
    said = latest.problem or latest.headline
    kind = ' class="failure"' if latest.problem else ""
    yield f'<article>\n<h3><a href="{escape(latest.link)}">{escape(latest.reference.subject)}</a></h3>'
    yield f"<p{kind}>{escape(said)}</p>\n{_facts(latest)}"
    if len(versions) > 1:
        yield f"<details>\n<summary>{len(versions) - 1} earlier</summary>\n<ul>"
        for version in versions[1:]:
            told = version.problem or version.headline
            yield f'<li><a href="{escape(version.link)}">{escape(told)}</a>\n{_facts(version)}</li>'
        yield "</ul>\n</details>"
    yield "</article>"


def _facts(version: _Version) -> str:
    published = f"published {version.published[:16]}Z" if version.published else ""
    facts = [str(version.reference), f"as of {version.as_of}" if version.as_of else "", published]
    return '<p class="facts">' + "".join(f"<span>{escape(fact)}</span>" for fact in facts if fact) + "</p>"


def _stopped(workspace: Workspace, stopped: Sequence[Entry]) -> Iterable[str]:
    """What was refused or failed, newest first; the same told again in a row is one line with a count."""
    if not stopped:
        return
    yield '<section>\n<h2>Refused and failed</h2>\n<ul class="stopped">'
    told = groupby(stopped, key=lambda entry: (entry.kind, entry.subject, entry.data.get("reason", "")))
    lines = [(*key, list(entries)) for key, entries in told]
    for kind, subject, reason, entries in lines[:MOST_STOPPED]:
        newest = entries[0]
        word = "failed" if kind == FAILED else f"refused ({newest.data.get('type', '')})"
        times = f", {len(entries)} times" if len(entries) > 1 else ""
        facts = f"<span>{escape(subject)}</span><span>{escape(word + times)}</span>"
        when = f"<span>{format_instant(newest.recorded_at)[:16]}Z</span>"
        yield f'<li><p class="facts">{facts}{when}</p><p>{escape(str(reason))}{_kept(workspace, newest)}</p></li>'
    yield "</ul>"
    if (more := len(lines) - MOST_STOPPED) > 0:
        yield f'<p class="absent">{more} more are in the ledger: <code>toolkit ledger log</code></p>'
    yield "</section>"


def _kept(workspace: Workspace, entry: Entry) -> str:
    """A link to what was kept of a failure, if it is still there."""
    kept = entry.data.get("kept")
    page = workspace.root / str(kept) / archive.PAGE if kept else None
    if page is None or workspace.reports not in page.parents or not page.is_file():
        return ""
    link = quote(page.relative_to(workspace.reports).as_posix())
    return f' <a href="{escape(link)}">The half-run notebook</a>'
