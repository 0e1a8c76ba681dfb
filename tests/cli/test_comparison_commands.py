"""`toolkit reports compare` and `toolkit reports reproduce`: what they print, write and exit with."""

from __future__ import annotations

import pytest
from compared_reports import make_two_versions

from toolkit import reports
from toolkit.archive import Reference, compare_reports
from toolkit.archive.changes import REL_TOLERANCE
from toolkit.cli import comparisons
from toolkit.reports import Reproduction


@pytest.fixture
def compared(here, monkeypatch):
    """A workspace with two versions of one report, that the test stands in."""
    workspace = make_two_versions(here / "compared")
    monkeypatch.chdir(workspace.root)
    return workspace


def squeeze(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_compare_tells_inputs_counts_and_the_rows_that_matter(call, compared):
    code, out, err = call("reports", "compare", "triage/delay@1", "triage/delay@2")
    assert (code, err) == (0, "")
    lines = squeeze(out)
    assert lines[0] == "triage/delay@1 → triage/delay@2"
    assert lines[1] == "parameters top: 3 → 5"
    assert "the same template, repositories, toolkit, environment, kernel, workspace" in lines
    assert "figures 2 of 3 differ: bars.png (different), new.png (appeared)" in lines
    rows = lines.index(
        "rows 3 crossed a threshold, 1 flipped sign, 1 became absent, 1 became known, 1 appeared, 1 vanished, "
        "2 moved, 1 changed text, 3 same"
    )
    assert lines[rows + 1 : rows + 5] == [
        "",
        "record of statistic before after change remarks",
        "crossed a threshold moves brier verdict no evidence worse the verdict changed",
        "crossed a threshold moves brier change 0.01 (-0.01 to 0.03) 0.05 (0.02 to 0.08) +0.04 (+400 %) "
        "its interval held 0, and now lies above 0; p now below 0.05",
    ]
    assert not any("more; --all" in line for line in lines)


def test_compare_takes_the_version_before_when_one_is_named(call, compared):
    assert call("reports", "compare", "triage/delay").out == call("reports", "compare", "triage/delay@2").out
    assert call("reports", "compare", "triage/delay").out.startswith("triage/delay@1 → triage/delay@2\n")
    code, out, err = call("reports", "compare", "triage/delay@1")
    assert (code, out) == (2, "")
    assert err == (
        "error: triage/delay@1 is the first version of triage/delay; name the other one to compare it with: "
        "triage/delay@2\n"
    )


def test_compare_prints_the_first_rows_and_all_on_demand(call, compared, monkeypatch):
    monkeypatch.setattr(comparisons, "MOST_ROWS", 2)
    lines = call("reports", "compare", "triage/delay").out.splitlines()
    assert lines[-1] == "and 9 more; --all prints them, --html FILE writes a page"
    every = call("reports", "compare", "triage/delay", "--all").out.splitlines()
    assert len(every) == len(lines) - 1 + 9


def test_compare_as_a_document(call, compared):
    document = call("reports", "compare", "triage/delay", "--json").document
    assert document == compare_reports(compared, "triage/delay@1", "triage/delay@2").to_dict()


def test_compare_with_the_readers_tolerance(call, compared):
    document = call("reports", "compare", "triage/delay", "--rel-tolerance", "1", "--json").document
    assert document["tolerance"]["relative"] == 1
    assert document["counts"]["moved"] == 0
    assert call("reports", "compare", "triage/delay", "--json").document["tolerance"]["relative"] == REL_TOLERANCE
    code, _, err = call("reports", "compare", "triage/delay", "--rel-tolerance", "-1")
    assert (code, err) == (2, "error: rel_tolerance == -1.0, must be a number of at least 0\n")


def test_compare_writes_the_page(call, compared, tmp_path):
    page = tmp_path / "page.html"
    code, out, err = call("reports", "compare", "triage/delay", "--html", page)
    assert (code, err) == (0, f"wrote {page}\n")
    assert out.startswith("triage/delay@1 → triage/delay@2\n")
    assert page.read_text().startswith("<!DOCTYPE html>")
    code, out, err = call("reports", "compare", "triage/delay", "--html", tmp_path / "no" / "page.html")
    assert (code, out) == (2, "")
    assert err == (
        f"error: --html {tmp_path}/no/page.html cannot be written (No such file or directory); name a file in a folder "
        "that is there\n"
    )


def test_compare_says_what_was_probably_meant(call, compared):
    code, _, err = call("reports", "compare", "triage/delay", "triage/delya")
    assert code == 2
    assert err == "error: unknown report 'triage/delya'; allowed: triage/delay. Did you mean 'triage/delay'?\n"


def test_help_says_what_the_exit_codes_mean(call, compared):
    assert "Exit 0 also when they differ: a difference is an answer." in " ".join(
        call("reports", "compare", "--help").out.split()
    )
    told = " ".join(call("reports", "reproduce", "--help").out.split())
    assert "Exit 0: reproduced, the same results to the byte." in told
    assert "Exit 4: drifted, with what differs. Exit 3: not reproducible, with the reason." in told


def test_reproduce_says_reproduced(call, published):
    code, out, err = call("reports", "reproduce", "greets/oslo@1")
    assert (code, out.splitlines()[0]) == (0, "greets/oslo@1: reproduced")
    assert "  note: the notebook saves no results, so all that was made again is that it runs" in out.splitlines()
    assert err.splitlines()[:3] == [
        "==> checking that greets/oslo@1 is what was published",
        "==> finding what the manifest pins",
        "==> starting the kernel",
    ]


def test_reproduce_says_not_reproducible_and_why(call, published):
    (published / "templates" / "greets.ipynb").unlink()
    code, out, _ = call("reports", "reproduce", "greets/oslo")
    assert code == 3
    first, second = out.splitlines()
    assert first == "greets/oslo@2: not reproducible"
    assert second.startswith("  the template greets has changed, and the notebook that ran (sha256:")
    document = call("reports", "reproduce", "greets/oslo", "--json")
    assert (document.code, document.document["answer"]) == (3, "not reproducible")


def test_reproduce_says_drifted_and_shows_the_rows(call, compared, monkeypatch):
    comparison = compare_reports(compared, "triage/delay@1", "triage/delay@2")
    drifted = Reproduction(
        Reference("triage", "delay", 1),
        "drifted",
        ("data, predictions: 10 → 12",),
        ("a figure",),
        ("metrics.yml",),
        comparison,
    )
    monkeypatch.setattr(reports, "reproduce_report", lambda *_, **__: drifted)
    code, out, _ = call("reports", "reproduce", "triage/delay@1")
    assert code == 4
    lines = squeeze(out)
    assert lines[:6] == [
        "triage/delay@1: drifted",
        "data, predictions: 10 → 12",
        "restored: metrics.yml",
        "note: a figure",
        "",
        "record of statistic before after change remarks",
    ]
    assert lines[6] == "crossed a threshold moves brier verdict no evidence worse the verdict changed"
