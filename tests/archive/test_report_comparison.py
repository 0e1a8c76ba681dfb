"""Rows beside each other: matched once each, judged by rules that can be read, in the order in which they matter."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from compared_reports import (
    AFTER,
    APRIL,
    BEFORE,
    MAY,
    absent,
    make_manifest,
    make_two_versions,
    row,
    source,
    write_report,
)
from hypothesis import given
from hypothesis import strategies as st

from toolkit.archive import Reference, compare_reports, previous_report
from toolkit.archive.changes import KINDS, Tolerance, classify
from toolkit.archive.compare import Version, compare_versions
from toolkit.archive.comparison import compare_rows
from toolkit.archive.wording import counts_text, distance, figures_text, input_lines, short, values
from toolkit.digests import digest_bytes, document_bytes
from toolkit.errors import ArchiveError, ArgumentError, UnknownNameError
from toolkit.workspace import open_workspace

EXACT = Tolerance(0, 0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return make_two_versions(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def comparison(workspace):
    return compare_reports(workspace, "triage/delay@1", "triage/delay@2")


def judge(before, after, **tolerance):
    return classify(before, after, Tolerance(**tolerance))


def kinds(before, after):
    return [(change.kind, change.row["key"], change.row["statistic"]) for change in compare_rows(before, after, EXACT)]


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
    close = judge(row("a", "mean", 0.12345678), row("a", "mean", 0.12345679))
    assert (*values(close), distance(close)) == ("0.12345678", "0.12345679", "+0.00000001 (+0.0000081 %)")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (1.0, 1.0 + 1e-10, "same"),
        (1.0, 1.0 + 1e-8, "moved"),
        (1e-17, -1e-17, "same"),
        (5, 6, "moved"),
        (10**12, 10**12 + 1, "moved"),
        (5, 5.0, "same"),
        (0.0, 2.0, "moved"),
        (-1.0, 1.0, "flipped_sign"),
        (True, False, "changed_text"),
        (1, True, "changed_text"),
        ("a", "b", "changed_text"),
        (1.0, "one", "changed_text"),
        (10**400, 10**400 + 1, "changed_text"),
        (1.0, None, "became_absent"),
        (None, 1.0, "became_known"),
    ],
)
def test_a_value_is_judged_by_what_it_is(before, after, kind):
    assert judge(row("a", "mean", before), row("a", "mean", after)).kind == kind


def test_tolerances_are_the_readers_choice():
    assert judge(row("a", "mean", 1.0), row("a", "mean", 1.05), relative=0.1).kind == "same"
    assert judge(row("a", "mean", 0.0), row("a", "mean", 0.05), absolute=0.1).kind == "same"
    assert judge(row("a", "n", 5), row("a", "n", 6), relative=0.5).kind == "moved"


def test_a_change_of_a_number_that_no_float_holds_has_no_distance():
    change = judge(row("a", "mean", 5e-324), row("a", "mean", 1.7e308))
    assert (change.kind, change.absolute, change.relative) == ("moved", 1.7e308, None)
    assert judge(row("a", "mean", 0.0), row("a", "mean", 2.0)).relative is None


def test_what_lies_beside_the_value_counts_too():
    steady = {"value": 1.0, "key": "a", "statistic": "mean"}
    more = judge(row(**steady, ci_lower=0.5, n=10), row(**steady, ci_lower=0.6, n=11))
    assert (more.kind, more.why) == ("moved", ("interval, n moved",))
    other = judge(row(**steady, method="mean"), row(**steady, method="median"))
    assert (other.kind, other.why) == ("changed_text", ("method: mean → median",))
    unit = judge(row("a", "mean", 1.0, unit="ms"), row("a", "mean", 1000.0))
    assert (unit.kind, unit.why, unit.absolute) == ("changed_text", ("unit: ms → none",), None)
    reason = judge(absent("a", "mean", "none"), absent("a", "mean", "too few"))
    assert (reason.kind, reason.why) == ("changed_text", ("reason: none → too few",))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ((-0.1, 0.1), (0.1, 0.3), "its interval held 0, and now lies above 0"),
        ((0.1, 0.3), (-0.1, 0.1), "its interval lay above 0, and now holds 0"),
        ((-0.3, -0.1), (0.1, 0.3), "its interval lay below 0, and now lies above 0"),
        ((0.1, None), (-0.1, None), "its interval lay above 0, and now holds 0"),
        ((None, -0.1), (None, 0.1), "its interval lay below 0, and now holds 0"),
    ],
)
def test_an_interval_crosses_zero(before, after, why):
    change = judge(*(row("a", "x", 1.0, ci_lower=lower, ci_upper=upper) for lower, upper in (before, after)))
    assert (change.kind, change.why[0]) == ("crossed", why)


def test_an_interval_that_one_side_lacks_crosses_nothing():
    assert judge(row("a", "x", 1.0), row("a", "x", 1.0, ci_lower=0.5, ci_upper=2.0)).kind == "moved"


def test_p_values_cross_wherever_they_stand():
    change = judge(row("a", "x", 1.0, p_value=0.04), row("a", "x", 1.0, p_value=0.06))
    assert (change.kind, change.why) == ("crossed", ("p now not below 0.05", "p-value moved"))
    assert judge(row("a", "adjusted_p_value", 0.06), row("a", "adjusted_p_value", 0.04)).kind == "crossed"
    assert judge(row("a", "x", 0.06), row("a", "x", 0.04)).kind == "moved"


@pytest.mark.parametrize(
    ("threshold", "statistic", "unit", "kind"),
    [
        ("margin", "bound", "ms", "crossed"),
        ("margin", "control_mean", "ms", "moved"),  # no margin is set for it
        ("margin", "bound", "", "moved"),  # of another unit
        ("target", "rate", "ms", "crossed"),
        ("practical_threshold", "change", "ms", "crossed"),
        ("practical_threshold", "period", "ms", "moved"),
    ],
)
def test_a_value_crosses_the_threshold_beside_it(threshold, statistic, unit, kind):
    limit = row("a", threshold, 5.0, unit="ms")
    sides = [[row("a", statistic, value, unit=unit), limit] for value in (-4.0, -6.0)]
    if threshold != "practical_threshold":
        sides = [[row("a", statistic, value, unit=unit), limit] for value in (4.0, 6.0)]
    found = {change.row["statistic"]: change.kind for change in compare_rows(*sides, EXACT)}
    assert found == {statistic: kind, threshold: "same"}


def test_a_threshold_that_moves_past_a_value_is_crossed_by_it():
    sides = [[row("a", "rate", 5.5), row("a", "target", limit)] for limit in (5.0, 6.0)]
    assert kinds(*sides) == [("moved", "a", "target"), ("same", "a", "rate")]
    sides[1][0] = row("a", "rate", 5.6)
    assert kinds(*sides) == [("crossed", "a", "rate"), ("moved", "a", "target")]


def test_each_window_has_its_own_threshold_and_thresholds_have_none():
    sides = [
        [
            row("a", statistic, value, window=window)
            for window, limit in ((APRIL, 5.0), (MAY, 9.0))
            for statistic, value in (("rate", rate), ("target", limit))
        ]
        for rate in (4.0, 6.0)
    ]
    assert [(change.kind, change.row["window"]) for change in compare_rows(*sides, EXACT)][:2] == [
        ("crossed", APRIL),
        ("moved", MAY),
    ]
    limits = [[row("a", "target", target), row("a", "limit", 5.0)] for target in (4.0, 6.0)]
    assert kinds(*limits)[0] == ("moved", "a", "target")


def test_a_relative_change_is_to_the_magnitude_before():
    change = judge(row("a", "mean", -2.0), row("a", "mean", -1.0))
    assert (change.absolute, change.relative) == (1.0, 0.5)


def test_only_rows_with_one_window_on_each_side_match_across_windows():
    april, may = row("a", "mean", 1.0, window=APRIL), row("a", "mean", 2.0, window=MAY)
    assert kinds([april], [may]) == [("moved", "a", "mean")]
    june = row("a", "mean", 3.0, window="2013-06-01 … 2013-06-30")
    changes = compare_rows([april, may], [may, june], EXACT)
    assert [(change.kind, change.row["window"]) for change in changes] == [
        ("appeared", june["window"]),
        ("vanished", APRIL),
        ("same", MAY),
    ]
    assert [change.kind for change in compare_rows([april], [may, june], EXACT)] == ["appeared", "appeared", "vanished"]


def test_rows_of_one_name_match_by_value_and_then_in_order():
    before = [row("v", "reason", text) for text in ("first", "second", "third")]
    after = [row("v", "reason", text) for text in ("new", "first", "third, too", "more")]
    changes = compare_rows(before, after, EXACT)
    assert [
        (change.kind, (change.before or {}).get("value"), (change.after or {}).get("value")) for change in changes
    ] == [
        ("appeared", None, "more"),
        ("changed_text", "second", "new"),
        ("changed_text", "third", "third, too"),
        ("same", "first", "first"),
    ]


def test_the_largest_relative_moves_come_first_and_verdicts_before_all():
    sizes = {"a": 1.1, "b": 3.0, "c": 1.5}
    before = [row("z", "outcome", "passed"), *(row(key, "mean", 1.0) for key in sizes), row("d", "mean", 0.0)]
    after = [
        row("z", "outcome", "failed"),
        *(row(key, "mean", value) for key, value in sizes.items()),
        row("d", "mean", 9),
    ]
    assert [change.row["key"] for change in compare_rows(before, after, EXACT)] == ["z", "d", "b", "c", "a"]


def test_what_is_about_everything_comes_before_segments():
    segment, whole = row("a", "mean", 1.0, segment="carrier=AA"), row("a", "mean", 1.0)
    after = [{**segment, "value": -9.0}, {**whole, "value": -1.0}]
    assert [change.row["segment"] for change in compare_rows([segment, whole], after, EXACT)] == ["", "carrier=AA"]


_NAMES = st.sampled_from(["a", "b", ""])
_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["ship", "wait"]), st.floats(-2, 2), st.just(-0.0)
)
_ROWS = st.lists(
    st.builds(
        lambda key, segment, statistic, window, value, bound, p: row(
            key, statistic, value, segment=segment, window=window, ci_lower=bound, p_value=p
        ),
        _NAMES,
        _NAMES,
        st.sampled_from(["mean", "verdict", "margin", "bound", "p_value"]),
        st.sampled_from([APRIL, MAY, ""]),
        _VALUES,
        st.one_of(st.none(), st.floats(-1, 1)),
        st.one_of(st.none(), st.floats(0, 1)),
    ),
    max_size=12,
)
_MIRRORED = {"appeared": "vanished", "became_absent": "became_known"}
_MIRRORED |= {there: back for back, there in _MIRRORED.items()}


@given(_ROWS, _ROWS)
def test_every_row_of_both_sides_is_there_once(before, after):
    changes = compare_rows(before, after, Tolerance())
    for side, rows in (("before", before), ("after", after)):
        found = Counter(id(each) for change in changes if (each := getattr(change, side)) is not None)
        assert found == Counter(map(id, rows))
    assert all(change.before is not None or change.after is not None for change in changes)
    assert all(change.kind in KINDS for change in changes)
    document_bytes([change.absolute for change in changes] + [change.relative for change in changes])


@given(_ROWS)
def test_a_document_beside_itself_is_the_same_throughout(rows):
    again = [dict(each) for each in rows]
    assert {change.kind for change in compare_rows(rows, again, EXACT)} <= {"same"}


@given(_ROWS, _ROWS)
def test_the_other_way_round_what_appeared_has_vanished(before, after):
    def tally(changes, mirror):
        return Counter(
            (mirror.get(change.kind, change.kind), id(change.before), id(change.after)) for change in changes
        )

    there = tally(compare_rows(before, after, Tolerance()), {})
    back = tally(compare_rows(after, before, Tolerance()), _MIRRORED)
    assert there == Counter({(kind, new, old): count for (kind, old, new), count in back.items()})


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
