"""The gallery without a kernel: versions are laid into the archive and the ledger as a run would."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from toolkit.digests import document_bytes
from toolkit.errors import ArchiveError, LedgerError
from toolkit.ledger import open_ledger
from toolkit.reports import Reference, list_reports, load_manifest, verify_all, write_gallery
from toolkit.reports.archive import open_staging, publish, record_publication
from toolkit.reports.gallery import MOST_STOPPED, find_headline
from toolkit.reports.manifest import list_files
from toolkit.workspace import Workspace
from toolkit.workspace.environment import Actor

START = datetime(2026, 1, 1, 8, tzinfo=UTC)
ADA = Actor("ada", "asserted")
DECISION = {"record": "verdict", "statistic": "decision", "value": "ship"}
REASON = {"record": "verdict", "statistic": "reason", "value": "primary brier is better."}


def lay(
    workspace: Workspace,
    series: str,
    *rows: dict[str, Any],
    title: str = "Triage",
    hours: int = 0,
    recorded: bool = True,
) -> Reference:
    """Publish the next version of a report that was finished `hours` after the start."""
    finished = (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
    with open_staging(workspace) as staging:
        staged = staging / "report"
        staged.mkdir()

        def finish(reference: Reference) -> None:
            (staged / "results.json").write_bytes(document_bytes({"schema_version": 1, "rows": list(rows)}))
            (staged / "report.html").write_text(f"<!DOCTYPE html><title>{title}</title>", encoding="utf-8")
            manifest = {
                "reference": str(reference),
                "files": list_files(staged, but="manifest.json"),
                "template": {"digest": "sha256:00"},
                "parameters": {},
                "as_of": "2013-05-01T00:00:00Z",
                "started_at": finished,
                "finished_at": finished,
            }
            (staged / "manifest.json").write_bytes(document_bytes(manifest))

        reference = publish(workspace, staged, Reference.parse(series), after=0, finish=finish)
    if recorded:
        with open_ledger(workspace.ledger) as ledger:
            record_publication(workspace, ledger, reference)
    return reference


def stop(workspace: Workspace, kind: str, subject: str, *, hours: int = 0, **detail: str) -> None:
    at = START + timedelta(hours=hours)
    with open_ledger(workspace.ledger) as ledger:
        ledger.append(
            kind=f"report.{kind}", subject=subject, payload=detail, actor=ADA, effective_at=at, recorded_at=at
        )


class Page(HTMLParser):
    """The text of a page, its headings and links, and every tag it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action", "data"}]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["style"] and data.strip():
            self.words.append(data.strip())


def read(workspace: Workspace) -> Page:
    return Page((workspace.reports / "index.html").read_text(encoding="utf-8"))


def test_reports_by_template_and_subject_latest_first(workspace: Workspace) -> None:
    lay(workspace, "readout/eta", DECISION, REASON, title="Experiment readout", hours=0)
    lay(workspace, "triage/eta", hours=1)
    lay(workspace, "triage/delay", {"record": "a", "statistic": "title", "value": "Recalibrate"}, hours=2)
    lay(workspace, "triage/eta", hours=3)
    written = write_gallery(workspace)
    assert (written.page, written.reports, written.refused, written.failed) == (
        workspace.reports / "index.html", 4, 0, 0,
    )  # fmt: skip
    page = read(workspace)
    assert page.words == [
        "Reports of tiny",
        "Reports of tiny",
        "Triage",
        "eta",
        "0 result rows",
        *("triage/eta@2", "as of 2013-05-01T00:00:00Z", "published 2026-01-01T11:00Z"),
        "1 earlier",
        "0 result rows",
        *("triage/eta@1", "as of 2013-05-01T00:00:00Z", "published 2026-01-01T09:00Z"),
        "delay",
        "Recalibrate",
        *("triage/delay@1", "as of 2013-05-01T00:00:00Z", "published 2026-01-01T10:00Z"),
        "Experiment readout",
        "eta",
        "ship: primary brier is better.",
        *("readout/eta@1", "as of 2013-05-01T00:00:00Z", "published 2026-01-01T08:00Z"),
    ]
    assert page.links == [
        "triage/eta/v0002/report.html",
        "triage/eta/v0001/report.html",
        "triage/delay/v0001/report.html",
        "readout/eta/v0001/report.html",
    ]
    assert all((workspace.reports / unquote(link)).is_file() for link in page.links)


def test_the_order_is_the_ledgers_not_the_clocks(workspace: Workspace) -> None:
    lay(workspace, "a/first", hours=9)
    lay(workspace, "b/second", hours=1)  # the clock was set back
    lay(workspace, "c/unrecorded", hours=0, recorded=False)  # its process died before the ledger was told
    write_gallery(workspace)
    assert [link.split("/")[0] for link in read(workspace).links] == ["c", "b", "a"]


def test_refusals_and_failures_with_their_reason(workspace: Workspace) -> None:
    lay(workspace, "triage/eta")
    stop(workspace, "refused", "triage/eta", type="NotReady", reason="ready on 2013-05-08", hours=1)
    stop(workspace, "refused", "triage/eta", type="NotReady", reason="ready on 2013-05-08", hours=2)
    kept = "reports/failed/triage/eta/20260101T110000.000000Z"
    (workspace.root / kept).mkdir(parents=True)
    (workspace.root / kept / "report.html").write_text("", encoding="utf-8")
    stop(workspace, "failed", "triage/eta", reason="ZeroDivisionError: division by zero", kept=kept, hours=3)
    stop(workspace, "failed", "triage/eta", reason="KeyError: 'x'", kept="reports/failed/gone", hours=4)
    stop(workspace, "failed", "triage/eta", reason="KeyError: 'y'", kept="../../etc", hours=5)
    written = write_gallery(workspace)
    assert (written.reports, written.refused, written.failed) == (1, 2, 3)
    page = read(workspace)
    assert page.words[page.words.index("Refused and failed") + 1 :] == [
        *("triage/eta", "failed", "2026-01-01T13:00Z", "KeyError: 'y'"),
        *("triage/eta", "failed", "2026-01-01T12:00Z", "KeyError: 'x'"),
        *("triage/eta", "failed", "2026-01-01T11:00Z", "ZeroDivisionError: division by zero", "The half-run notebook"),
        *("triage/eta", "refused (NotReady), 2 times", "2026-01-01T10:00Z", "ready on 2013-05-08"),
    ]
    assert page.links[1:] == ["failed/triage/eta/20260101T110000.000000Z/report.html"]


def test_more_refusals_than_fit_are_counted(workspace: Workspace) -> None:
    for number in range(MOST_STOPPED + 2):
        stop(workspace, "refused", "triage/eta", type="NotReady", reason=f"reason {number}")
    write_gallery(workspace)
    words = read(workspace).words
    assert "reason 2" in words
    assert "reason 1" not in words
    assert words[-2:] == ["2 more are in the ledger:", "toolkit ledger log"]


def test_an_empty_archive_says_what_to_do(workspace: Workspace) -> None:
    assert write_gallery(workspace).reports == 0
    assert read(workspace).words[2:] == ["Nothing is published yet.", "toolkit templates", "lists what can be run."]


def test_everything_shown_is_escaped_and_nothing_is_fetched(workspace: Workspace) -> None:
    evil = "<script>alert(1)</script>&\"'"
    lay(workspace, 'a/"><img src=x>', {"record": "r", "statistic": "headline", "value": evil}, title="A &lt;b&gt; B")
    stop(workspace, "refused", "a/<b>", type="Blocked", reason=evil)
    write_gallery(workspace)
    page = read(workspace)
    assert {"script", "img", "link", "iframe", "form"}.isdisjoint(page.tags)
    assert page.words.count(evil) == 2
    assert "A <b> B" in page.words
    html = (workspace.reports / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html
    assert "http://" not in html
    assert "https://" not in html
    (link,) = page.links
    assert (workspace.reports / unquote(link)).is_file()


def test_a_damaged_report_is_named_and_hides_no_other(workspace: Workspace) -> None:
    lay(workspace, "a/good")
    for series, name in (("b/manifest", "manifest.json"), ("c/results", "results.json"), ("d/page", "report.html")):
        folder = workspace.reports / lay(workspace, series).series / "v0001"
        (folder / name).unlink()
        if name == "results.json":
            (folder / name).write_text("[]", encoding="utf-8")
    assert write_gallery(workspace).reports == 4
    words = read(workspace).words
    for series in ("b/manifest", "c/results", "d/page"):
        assert f"A file of this report cannot be read; 'toolkit reports verify {series}@1' says which." in words
    assert "0 result rows" in words
    assert str(workspace.root) not in " ".join(words)


def test_the_same_archive_gives_the_same_bytes_anywhere(workspace: Workspace, tmp_path: Path) -> None:
    lay(workspace, "triage/eta", DECISION)
    stop(workspace, "refused", "triage/eta", type="NotReady", reason="not yet")
    page = write_gallery(workspace).page.read_bytes()
    shutil.copytree(workspace.root, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy", workspace.settings)
    assert write_gallery(copy).page.read_bytes() == page
    assert write_gallery(copy).page.read_bytes() == page


def test_the_page_is_no_part_of_the_archive(workspace: Workspace) -> None:
    reference = lay(workspace, "triage/eta")
    before = (list_reports(workspace), verify_all(workspace), load_manifest(workspace, reference))
    write_gallery(workspace)
    assert (list_reports(workspace), verify_all(workspace), load_manifest(workspace, reference)) == before
    assert sorted(path.name for path in workspace.reports.iterdir()) == [".staging", "index.html", "triage"]
    assert list((workspace.reports / ".staging").iterdir()) == []


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_gallery(workspace).page
    before = page.read_bytes()
    lay(workspace, "triage/eta")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ArchiveError) as caught:
        write_gallery(workspace)
    assert str(caught.value) == (
        "reports/ has no room left (No space left on device), and nothing in it was changed. "
        "Free some space, then run the command again"
    )
    assert page.read_bytes() == before
    assert list((workspace.reports / ".staging").iterdir()) == []


def test_a_damaged_ledger_stops_it(workspace: Workspace) -> None:
    workspace.ledger.parent.mkdir()
    workspace.ledger.write_bytes(b"not a database, and long enough to be read as one" * 100)
    with pytest.raises(LedgerError, match="is not a ledger"):
        write_gallery(workspace)
    assert not workspace.reports.exists()


@pytest.mark.parametrize(
    ("rows", "headline"),
    [
        ([], "0 result rows"),
        ([{"record": "a", "statistic": "mean", "value": 1.5}], "1 result row"),
        ([REASON, DECISION], "ship: primary brier is better."),
        ([DECISION], "ship"),
        ([{**REASON, "record": "other"}, DECISION], "ship"),
        ([DECISION, {"record": "a", "statistic": "headline", "value": "All is well"}], "All is well"),
        ([{"record": "a", "statistic": "text", "value": None}], "1 result row"),
    ],
)
def test_the_headline_is_the_first_row_that_says_what_was_found(rows: list[dict[str, Any]], headline: str) -> None:
    assert find_headline({"rows": rows}) == headline
