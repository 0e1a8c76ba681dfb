"""Rows beside each other: matched once each, judged by rules that can be read."""

from __future__ import annotations

from collections import Counter

import pytest
from compared_reports import APRIL, EXACT, MAY, absent, row
from hypothesis import given
from hypothesis import strategies as st

from toolkit.archive.changes import KINDS, Tolerance, classify
from toolkit.archive.comparison import compare_rows
from toolkit.digests import document_bytes


def judge(before, after, **tolerance):
    return classify(before, after, Tolerance(**tolerance))


def kinds(before, after):
    return [(change.kind, change.row["key"], change.row["statistic"]) for change in compare_rows(before, after, EXACT)]


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
