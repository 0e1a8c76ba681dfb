"""Two reports beside each other: what went in, what came out, in the order in which it matters."""

from __future__ import annotations

import json

import pytest
from compared_reports import AFTER, BEFORE, EXACT, MAY, make_manifest, make_two_versions, row, source, write_report

from toolkit.archive import Reference, compare_reports, previous_report
from toolkit.archive.changes import KINDS, Tolerance, classify
from toolkit.archive.compare import Version, compare_versions
from toolkit.archive.wording import counts_text, distance, figures_text, input_lines, short, values
from toolkit.digests import digest_bytes, document_bytes
from toolkit.errors import ArchiveError, ArgumentError, UnknownNameError
from toolkit.workspace import open_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return make_two_versions(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def comparison(workspace):
    return compare_reports(workspace, "triage/delay@1", "triage/delay@2")


def digest(text):
    return digest_bytes(text.encode())[:19] + "…"


def test_the_rows_of_two_versions_in_the_order_in_which_they_matter(comparison):
    assert [(change.kind, change.row["key"], change.row["statistic"], change.why) for change in comparison.rows] == [
        ("crossed", "brier", "verdict", ("the verdict changed",)),
        ("crossed", "brier", "change", ("its interval held 0, and now lies above 0", "p now below 0.05")),
        ("crossed", "latency", "bound", ("now beyond the margin",)),
        ("flipped_sign", "auc", "change", ()),
        ("became_absent", "drift", "score", ("too few rows",)),
        ("became_known", "error_rate", "change", ("no errors",)),
        ("appeared", "new", "period", ()),
        ("vanished", "gone", "period", ()),
        ("moved", "late_share", "period", ()),
        ("moved", "latency", "period", ()),
        ("changed_text", "note", "title", ()),
        ("same", "wind", "change", ()),
        ("same", "latency", "margin", ()),
        ("same", "steady", "period", ()),
    ]


def test_inputs_and_figures_are_told_where_they_differ(comparison):
    assert list(input_lines(comparison)) == [
        ("parameters", "top: 3 → 5"),
        ("parameters", "word: not there → <script>document.title = 'ran'</script>"),
        ("as of", "2013-05-02T00:00:00Z → 2013-06-02T00:00:00Z"),
        ("definitions", f"metrics.yml: {digest('metrics')} → {digest('other metrics')}"),
        (
            "data",
            f"predictions: rows 10; fingerprint {digest('predictions 10')} → "
            f"rows 12; fingerprint {digest('predictions 12')}",
        ),
        ("data", f"business: not there → rows 1; fingerprint {digest('business 1')}"),
        ("ledger", f"hash: {digest('1')} → {digest('2')}"),
        ("ledger", "sequence: 1 → 2"),
        ("the same", "template, repositories, toolkit, environment, kernel, workspace"),
    ]
    assert figures_text(comparison) == "2 of 3 differ: bars.png (different), new.png (appeared)"
    assert counts_text(comparison) == (
        "3 crossed a threshold, 1 flipped sign, 1 became absent, 1 became known, 1 appeared, 1 vanished, 2 moved, "
        "1 changed text, 3 same"
    )


def test_the_document_holds_every_row_and_no_number_that_json_lacks(comparison):
    document = json.loads(document_bytes(comparison.to_dict()))
    assert document["schema_version"] == 1
    assert document["tolerance"] == {"relative": 1e-9, "absolute": 1e-12}
    assert sum(document["counts"].values()) == len(document["rows"]) == len(BEFORE) + 1
    moved = next(each for each in document["rows"] if each["key"] == "late_share")
    assert (moved["kind"], moved["before"]["value"], moved["after"]["window"]) == ("moved", 0.20, MAY)
    assert moved["relative"] == pytest.approx(1.5)
    assert {figure["path"]: figure["state"] for figure in document["figures"]} == {
        "figures/bars.png": "different",
        "figures/new.png": "appeared",
        "figures/same.png": "same",
    }
    assert document["inputs"]["data"]["same"] == 1


def test_numbers_are_shown_as_everywhere_and_told_apart(comparison):
    shown = {
        (change.row["key"], change.row["statistic"]): (*values(change), distance(change)) for change in comparison.rows
    }
    assert shown["late_share", "period"] == ("20 %", "50 %", "+30 points (+150 %)")
    assert shown["brier", "change"] == ("0.01 (-0.01 to 0.03)", "0.05 (0.02 to 0.08)", "+0.04 (+400 %)")
    assert shown["new", "period"] == ("not there", "1", "")
    assert shown["drift", "score"] == ("3", "absent", "")
    close = classify(row("a", "mean", 0.12345678), row("a", "mean", 0.12345679), Tolerance())
    assert (*values(close), distance(close)) == ("0.12345678", "0.12345679", "+0.00000001 (+0.0000081 %)")


def test_tables_read_over_several_windows_match_by_window():
    def read(*starts):
        return {"sources": [source("outcomes", number, start=start) for number, start in enumerate(starts)]}

    before, after = read("2013-04-01", "2013-05-01"), read("2013-05-01", "2013-06-01")
    part = compare_versions(Version("a", before, {}), Version("b", after, {}), EXACT).parts[4]
    assert part.name == "data"
    assert [
        (each.before and each.before["start"], each.after and each.after["start"]) for each in part.differences
    ] == [
        ("2013-04-01", None),
        ("2013-05-01", "2013-05-01"),
        (None, "2013-06-01"),
    ]
    one = compare_versions(Version("a", read("2013-04-01"), {}), Version("b", read("2013-05-01"), {}), EXACT)
    assert next(iter(input_lines(one))) == ("data", "outcomes: start 2013-04-01 → start 2013-05-01")


def test_a_table_read_at_the_reports_own_instant_is_not_another_table():
    def version(as_of, read_at):
        return Version(as_of, {"as_of": as_of, "sources": [source("outcomes", 9, as_of=read_at)]}, {})

    own = compare_versions(version("2013-05-01", "2013-05-01"), version("2013-06-01", "2013-06-01"), EXACT)
    assert [name for name, _ in input_lines(own)] == ["as of", "the same"]
    other = compare_versions(version("2013-05-01", "2013-05-01"), version("2013-06-01", "2013-05-02"), EXACT)
    assert list(input_lines(other))[1] == ("data", "outcomes: as of 2013-05-01 → as of 2013-05-02")


def test_notes_say_what_one_should_know_first(workspace, tmp_path):
    own = open_workspace(make_two_versions(tmp_path / "own").root)
    write_report(own, "triage/other@1", AFTER)
    write_report(own, "readout/delay@1", AFTER)
    assert compare_reports(own, "triage/delay", "triage/other").notes == (
        "They are reports on two subjects, delay and other.",
    )
    assert compare_reports(own, "triage/delay", "readout/delay").notes == (
        "They are reports of two templates, triage and readout.",
    )
    assert compare_reports(own, "triage/delay", "triage/delay@2").notes == ("It is one report, compared with itself.",)
    versions = [Version(name, make_manifest(Reference("t", "s")), {"schema_version": n}) for n, name in enumerate("ab")]
    assert compare_versions(*versions, EXACT).notes == (
        "Their results are of two schemas, 0 and 1: a field may mean another thing.",
    )


def test_a_manifest_that_says_little_is_compared_as_far_as_it_goes():
    comparison = compare_versions(Version("old", {}, {}), Version("new", make_manifest(Reference("t", "s")), {}), EXACT)
    assert comparison.counts == dict.fromkeys(KINDS, 0)
    assert ("as of", "not there → 2013-05-02T00:00:00Z") in list(input_lines(comparison))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", "empty"),
        (None, "not there"),
        (False, "false"),
        ("a" * 40, "aaaaaaaaaaaa…"),
        ("x" * 90, "x" * 79 + "…"),
        ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}'),
    ],
)
def test_an_input_is_shown_in_few_characters(value, shown):
    assert short(value) == shown


def test_what_is_the_same_everywhere_is_said_shortly(workspace):
    comparison = compare_reports(workspace, "triage/delay@1", "triage/delay@1")
    assert [name for name, _ in input_lines(comparison)] == ["the same"]
    assert (counts_text(comparison), figures_text(comparison)) == ("13 same", "2, all the same")
    empty = compare_versions(Version("a", {}, {}), Version("b", {}, {}), EXACT)
    assert (counts_text(empty), figures_text(empty)) == ("no rows", "none")


def test_the_version_before(workspace, tmp_path):
    assert previous_report(workspace, "triage/delay") == Reference("triage", "delay", 1)
    with pytest.raises(ArgumentError) as first:
        previous_report(workspace, "triage/delay@1")
    assert str(first.value) == (
        "triage/delay@1 is the first version of triage/delay; name the other one to compare it with: triage/delay@2"
    )
    lone = open_workspace(make_two_versions(tmp_path / "lone").root)
    write_report(lone, "triage/delay@5", [])
    assert previous_report(lone, "triage/delay") == Reference("triage", "delay", 2)
    write_report(lone, "triage/lone@3", [])
    with pytest.raises(ArgumentError) as single:
        previous_report(lone, "triage/lone")
    assert str(single.value) == (
        "triage/lone has a single version, triage/lone@3, so there is nothing before it to compare it with; run the "
        "template again, or name another report as the second one"
    )


def test_what_is_not_there_or_damaged_is_said(workspace, tmp_path):
    with pytest.raises(UnknownNameError) as unknown:
        compare_reports(workspace, "triage/delay", "triage/dela")
    assert str(unknown.value) == "unknown report 'triage/dela'; allowed: triage/delay. Did you mean 'triage/delay'?"
    with pytest.raises(ArgumentError) as negative:
        compare_reports(workspace, "triage/delay@1", "triage/delay", rel_tolerance=-1)
    assert str(negative.value) == "rel_tolerance == -1, must be a number of at least 0"
    damaged = make_two_versions(tmp_path / "damaged")
    (damaged.reports / "triage/delay/v0002/results.json").write_text("{")
    with pytest.raises(ArchiveError) as err:
        compare_reports(damaged, "triage/delay@1", "triage/delay@2")
    assert str(err.value).startswith("triage/delay@2: results.json cannot be read (")
