"""The gallery without a kernel: versions are laid into the archive and the ledger as a run would."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from laid_reports import DECISION, REASON, found, headline, lay, number, read, stop

from toolkit.archive import list_reports, load_manifest, verify_all, write_gallery
from toolkit.archive.gallery_page import MOST_ATTENTION, MOST_NEWEST, MOST_STOPPED
from toolkit.archive.index import search_reports
from toolkit.errors import ArchiveError, LedgerError
from toolkit.workspace import Workspace


def test_reports_by_template_and_subject_latest_first(workspace: Workspace) -> None:
    lay(workspace, "readout/eta", DECISION, REASON, title="Experiment readout", hours=0)
    lay(workspace, "triage/eta", hours=1)
    lay(workspace, "triage/delay", {"record": "a", "statistic": "title", "value": "Recalibrate"}, hours=2)
    lay(workspace, "triage/eta", hours=3)
    written = write_gallery(workspace)
    assert (written.page, written.reports, written.refused, written.failed) == (
        workspace.reports / "index.html", 4, 0, 0,
    )  # fmt: skip  # its lines group what belongs together
    page = read(workspace)
    assert page.words[2:6] == ["Reports of tiny", "4 reports", "3 subjects", "newest 2026-01-01 11:00Z"]
    cards = page.words[len(page.words) - page.words[::-1].index("Triage") - 1 :]
    assert cards == [
        "Triage",
        "eta",
        "0 result rows",
        *("triage/eta@2", "as of 2013-05-01", "published 2026-01-01 11:00Z"),
        "Compare with version 1",
        "1 earlier version",
        "delay",
        "Recalibrate",
        *("triage/delay@1", "as of 2013-05-01", "published 2026-01-01 10:00Z"),
        "Experiment readout",
        "eta",
        "ship: primary brier is better.",
        *("readout/eta@1", "as of 2013-05-01", "published 2026-01-01 08:00Z"),
    ]
    assert page.links[-4:] == [
        "triage/eta/v0002/report.html",
        "compare/triage/eta/v0001-v0002.html",
        "triage/delay/v0001/report.html",
        "readout/eta/v0001/report.html",
    ]
    assert all((workspace.reports / unquote(link)).is_file() for link in page.links if not link.startswith("#"))


def test_the_newest_say_what_is_new_and_what_changed(workspace: Workspace) -> None:
    lay(workspace, "triage/eta", headline("all is well"), hours=0)
    lay(workspace, "triage/delay", headline("all is well"), hours=1)
    lay(workspace, "triage/eta", headline("too late"), hours=2)
    write_gallery(workspace)
    page = read(workspace)
    start = page.words.index("Newest")
    assert page.words[start + 1 : start + 12] == [
        *("changed", "triage/eta@2", "too late", "before: all is well", "2026-01-01 10:00Z"),
        *("new", "triage/delay@1", "all is well", "2026-01-01 09:00Z"),
        *("triage/eta@1", "all is well"),
    ]


def test_the_newest_are_few(workspace: Workspace) -> None:
    for hour in range(MOST_NEWEST + 2):
        lay(workspace, f"triage/s{hour:02d}", hours=hour)
    write_gallery(workspace)
    page = read(workspace)
    newest = page.html[page.html.index(">Newest<") : page.html.index("</ol>", page.html.index(">Newest<"))]
    assert re.findall(r">triage/(s\d\d)@1<", newest) == [f"s{hour:02d}" for hour in range(9, 1, -1)]


def test_the_order_is_the_ledgers_not_the_clocks(workspace: Workspace) -> None:
    lay(workspace, "a/first", hours=9)
    lay(workspace, "b/second", hours=1)  # the clock was set back
    lay(workspace, "c/unrecorded", hours=0, recorded=False)  # its process died before the ledger was told
    write_gallery(workspace)
    page = read(workspace)
    assert [row[1] for row in found(page)] == ["c/unrecorded", "b/second", "a/first"]
    assert [link.split("/")[0] for link in page.links[-3:]] == ["c", "b", "a"]


def test_the_search_knows_every_version_and_every_stop(workspace: Workspace) -> None:
    lay(workspace, "triage/eta", headline("fine"), hours=0, parameters={"model": "eta", "as_of": "x", "days": [7, 28]})
    lay(workspace, "triage/eta", headline("late"), hours=1, as_of="2013-06-01T12:30:00Z")
    stop(workspace, "refused", "triage/eta", type="NotReady", reason="not yet", hours=2)
    stop(workspace, "refused", "triage/eta", type="NotReady", reason="not yet", hours=3)
    write_gallery(workspace)
    page = read(workspace)
    assert found(page) == [
        ["refused", "triage/eta", "", "not yet", "", "2026-01-01 11:00Z", "refused (NotReady), 2 times"],
        ["published", "triage/eta", 2, "late", "2013-06-01 12:30Z", "2026-01-01 09:00Z", ""],
        ["published", "triage/eta", 1, "fine", "2013-05-01", "2026-01-01 08:00Z", "days=[7, 28] model=eta"],
    ]
    assert page.data["titles"] == {"triage": "Triage"}
    assert page.data["pairs"] == {"triage/eta": [[1, 2]]}


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
        *("failed", "triage/eta", "KeyError: 'y'", "2026-01-01 13:00Z"),
        *("failed", "triage/eta", "KeyError: 'x'", "2026-01-01 12:00Z"),
        *("failed", "triage/eta", "ZeroDivisionError: division by zero", "The half-run notebook", "2026-01-01 11:00Z"),
        *("refused (NotReady), 2 times", "triage/eta", "ready on 2013-05-08", "2026-01-01 10:00Z"),
    ]
    assert page.links[-1] == "failed/triage/eta/20260101T110000.000000Z/report.html"
    assert [row[2] for row in found(page) if row[0] == "failed"] == ["", "", page.links[-1]]
    assert page.words[3:7] == ["1 report", "1 subject", "2 refused", "3 failed"]


def test_what_came_of_the_last_run_needs_a_look_until_one_is_published(workspace: Workspace) -> None:
    lay(workspace, "triage/eta", hours=0)
    lay(workspace, "triage/delay", hours=1)
    stop(workspace, "refused", "triage/delay", type="NotReady", reason="not yet", hours=2)
    stop(workspace, "failed", "triage/eta", reason="KeyError: 'x'", hours=1)
    write_gallery(workspace)
    page = read(workspace)
    assert page.part("Needs a look", "Newest") == [
        "Needs a look",
        *("failed", "triage/eta", "KeyError: 'x'", "2026-01-01 09:00Z"),
        *("refused", "triage/delay", "not yet", "2026-01-01 10:00Z"),
    ]
    assert '<section class="attention alarm">' in page.html
    lay(workspace, "triage/eta", hours=3)
    write_gallery(workspace)
    page = read(workspace)
    assert page.part("Needs a look", "Newest")[1:3] == ["refused", "triage/delay"]
    assert '<section class="attention">' in page.html
    lay(workspace, "triage/delay", hours=4)
    write_gallery(workspace)
    assert "Needs a look" not in read(workspace).words


def test_a_report_that_was_never_published_needs_a_look_too(workspace: Workspace) -> None:
    lay(workspace, "triage/eta", hours=3)
    stop(workspace, "refused", "triage/delay", type="NotReady", reason="not yet", hours=1)
    stop(workspace, "failed", "triage/delay", reason="KeyError: 'x'", hours=2)
    stop(workspace, "failed", "triage/other", reason="KeyError: 'y'", hours=3)
    write_gallery(workspace)
    assert read(workspace).part("Needs a look", "Triage") == [
        "Needs a look",
        *("failed", "triage/other", "KeyError: 'y'", "2026-01-01 11:00Z"),
        *("failed", "triage/delay", "KeyError: 'x'", "2026-01-01 10:00Z"),
    ]


def test_more_that_need_a_look_than_fit_are_counted(workspace: Workspace) -> None:
    for each in range(MOST_ATTENTION + 1):
        lay(workspace, f"triage/s{each:02d}")
        stop(workspace, "refused", f"triage/s{each:02d}", type="NotReady", reason="not yet")
    write_gallery(workspace)
    page = read(workspace)
    assert page.part("Needs a look", "Newest").count("not yet") == MOST_ATTENTION
    assert "1 more reports were refused or failed when they last ran; see below." in page.words


def test_more_refusals_than_fit_are_counted(workspace: Workspace) -> None:
    for each in range(MOST_STOPPED + 2):
        stop(workspace, "refused", "triage/eta", type="NotReady", reason=f"reason {each}")
    write_gallery(workspace)
    page = read(workspace)
    assert "reason 2" in page.words
    assert "reason 1" not in page.words
    assert page.words[-2:] == ["2 more are in the ledger:", "toolkit ledger log"]
    assert [row[3] for row in found(page)][-2:] == ["reason 1", "reason 0"]  # the search knows them still


def test_an_empty_archive_says_what_to_do(workspace: Workspace) -> None:
    assert write_gallery(workspace).reports == 0
    page = read(workspace)
    assert page.words[-3:] == ["Nothing is published yet.", "toolkit templates", "lists what can be run."]
    assert "input" not in page.tags


def test_without_scripts_it_says_what_is_missing(workspace: Workspace) -> None:
    lay(workspace, "triage/eta")
    write_gallery(workspace)
    html = read(workspace).html
    told = "Search, filters and earlier versions need scripts, which are off. <code>toolkit reports list</code> finds"
    assert f'<noscript><p class="absent">{told} every report.</p></noscript>' in html


EVIL = "<script>alert(1)</script>&\"'</style><!--\u2028]]>"


def test_everything_shown_is_escaped_and_nothing_is_fetched(workspace: Workspace) -> None:
    rows = (headline(EVIL), {**number(EVIL, 0.5), "unit": EVIL})
    evil = {"parameters": {EVIL: EVIL}, "as_of": EVIL, "finished_at": EVIL + "T"}
    for _ in range(2):
        lay(workspace, 'a/"><img src=x>', *rows, title="A &lt;b&gt; B", recorded=False, **evil)
    stop(workspace, "refused", "a/<b>", type=EVIL, reason=EVIL)
    write_gallery(workspace)
    page = read(workspace)
    assert {"img", "link", "iframe", "form", "b>"}.isdisjoint(page.tags)
    assert page.tags.count("script") == 2
    assert page.words.count(EVIL) >= 2
    assert "A <b> B" in page.words
    assert "http://" not in page.html
    assert "https://" not in page.html
    assert page.html.lower().count("<script") == page.html.lower().count("</script") == 2
    assert {row[3] for row in found(page)} == {EVIL}
    for link in page.links:
        assert link.startswith("#") or (workspace.reports / unquote(link)).is_file(), link


def test_only_its_own_script_may_run(workspace: Workspace) -> None:
    lay(workspace, "triage/eta")
    write_gallery(workspace)
    page = read(workspace)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', page.html)
    script = page.html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'")


def test_a_damaged_report_is_named_and_hides_no_other(workspace: Workspace) -> None:
    lay(workspace, "a/good")
    for series, name in (("b/manifest", "manifest.json"), ("c/results", "results.json"), ("d/page", "report.html")):
        folder = workspace.reports / lay(workspace, series).series / "v0001"
        (folder / name).unlink()
        if name == "results.json":
            (folder / name).write_text("[]", encoding="utf-8")
    assert write_gallery(workspace).reports == 4
    words = read(workspace).words
    problems = {str(each.reference): each.problem for each in search_reports(workspace)}
    assert problems.pop("a/good@1") is None
    for reference, problem in problems.items():
        assert problem in words
        assert f"toolkit reports verify {reference}" in problem
    assert "0 result rows" in words
    assert str(workspace.root) not in " ".join(words)
    assert [row[0] for row in found(read(workspace))].count("damaged") == 3
    assert read(workspace).part("Needs a look", "Newest").count("damaged") == 3


def test_text_that_no_file_can_hold_stops_no_page(workspace: Workspace) -> None:
    folder = workspace.reports / lay(workspace, "triage/eta", parameters={"city": "PLACE"}).series / "v0001"
    manifest = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(manifest.replace("PLACE", "\\ud800"), encoding="utf-8")
    write_gallery(workspace)
    assert [row[6] for row in found(read(workspace))] == ["city=?"]


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
    named = sorted(path.name for path in workspace.reports.iterdir() if not path.name.startswith(".index"))
    assert named == [".staging", "index.html", "triage"]
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
