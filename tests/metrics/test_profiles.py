"""Profiles add up: what is counted apart and added is what is counted together."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.metrics.profiles import ColumnCounts, ColumnEdges, Profile, ProfileKey, Profiles

EDGES = {
    "delay": ColumnEdges.of("delay", [0.0] * 30 + [float(number) for number in range(100)]),
    "stops": ColumnEdges.of("stops", [0, 1, 2] * 20),
    "same": ColumnEdges.of("same", [7] * 10),
    "carrier": ColumnEdges.of_texts("carrier", {f"c{n}": 1_000 - n for n in range(120)} | {"z": 1}, dtype="text"),
    "late": ColumnEdges.of("late", [True, False]),
}
NUMBERS = st.none() | st.just(math.nan) | st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1, 2, 7])
TEXTS = st.none() | st.sampled_from([*(f"c{n}" for n in range(0, 120, 7)), "z", "new", ""])
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, TEXTS, st.none() | st.booleans()), max_size=30)


def profile(rows: list[tuple[object, ...]]) -> Profile:
    return Profile.of(EDGES, {name: [row[at] for row in rows] for at, name in enumerate(EDGES)})


@given(st.lists(ROWS, max_size=6))
def test_the_profile_of_a_union_is_the_sum_of_the_profiles(parts: list[list[tuple[object, ...]]]) -> None:
    together = profile([row for part in parts for row in part])
    added = Profile.sum(profile(part) for part in parts)
    if parts:
        assert added == together
        assert added.digest == together.digest
    backwards = Profile.sum(profile(part) for part in reversed(parts))
    assert backwards == added
    for counts in added.columns.values():
        assert counts.total == added.rows
        assert sum(counts.comparable) == counts.n


@given(ROWS)
def test_a_profile_goes_to_json_and_back(rows: list[tuple[object, ...]]) -> None:
    own = profile(rows)
    again = Profile.from_dict(own.to_dict(), EDGES)
    assert again == own
    assert again.digest == own.digest


def test_no_requests_add_nothing() -> None:
    own = profile([(1.0, 1, 7, "c0", True)])
    assert Profile.empty() + own == own == own + Profile.empty()
    assert Profile.sum([]) == Profile.empty()


def test_another_count_is_another_digest() -> None:
    one, other = profile([(1.0, 1, 7, "c0", True)]), profile([(1.0, 1, 7, "c0", None)])
    assert one.digest != other.digest


def test_counts_of_other_edges_do_not_add_up() -> None:
    one = ColumnCounts.of(ColumnEdges.of("delay", [1.0, 2.0]), [1.0])
    other = ColumnCounts.of(ColumnEdges.of("delay", [1.0, 3.0]), [1.0])
    message = "^counts of columns 'delay' and 'delay' have other edges and do not add up$"
    with pytest.raises(ArgumentError, match=message):
        one + other
    with pytest.raises(
        ArgumentError, match="^the stored counts of column 'delay' were made with other edges than thes"
    ):
        ColumnCounts.from_dict(one.to_dict(), other.edges)


def test_counts_must_be_as_many_as_the_cells() -> None:
    with pytest.raises(ArgumentError, match="^2 counts for column 'stops', whose edges make 3 cells$"):
        ColumnCounts(EDGES["stops"], (1, 2))


def test_a_column_that_was_not_there_on_a_day_counts_the_other_day_s_rows() -> None:
    whole = profile([(1.0, 1, 7, "c0", True)] * 2)
    without = Profile(3, {}, {"late": "text"})
    both = whole + without
    assert (both.rows, both.columns["delay"].total) == (5, 2)
    assert both.types["late"] == "boolean or text"
    assert (both + whole).types["late"] == "boolean or text"


CELLS = {
    ProfileKey(population, date(2026, 1, day), segment, value): Profile(rows, {}, {})
    for population, day, segment, value, rows in [
        ("reference", 1, "", "", 100),
        ("current", 5, "", "", 10),
        ("current", 6, "", "", 20),
        ("current", 12, "", "", 40),
        ("current", 5, "carrier", "A", 1),
        ("current", 12, "carrier", "A", 2),
        ("current", 12, "carrier", "B", 3),
    ]
}


def test_profiles_are_narrowed_to_days_weekdays_and_segments_and_added_up() -> None:
    current = Profiles({}, CELLS).population("current")
    assert current.total.rows == 70
    assert current.days == (date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 12))
    assert current.window(date(2026, 1, 6), date(2026, 1, 12)).total.rows == 60
    assert current.weekdays(0).total.rows == 50  # the 5th and the 12th are Mondays
    assert current.values("carrier") == ("A", "B")
    of_a = current.segment("carrier", "A")
    assert (of_a.total.rows, of_a.days) == (3, (date(2026, 1, 5), date(2026, 1, 12)))
    assert of_a.window(date(2026, 1, 5), date(2026, 1, 5)).total.rows == 1
    assert current.segment("carrier", "C").total == Profile.empty()


def test_days_of_several_populations_are_not_mixed() -> None:
    message = r"^these profiles are of several populations \(current, reference\); choose one with population\(name\)$"
    with pytest.raises(ArgumentError, match=message):
        Profiles({}, CELLS).total  # noqa: B018 - a property that refuses
    with pytest.raises(UnknownNameError, match="population 'curent'"):
        Profiles({}, CELLS).population("curent")
    with pytest.raises(ArgumentError, match=r"^day of the week == 7, must be from 0 \(Monday\) to 6 \(Sunday\)$"):
        Profiles({}, CELLS).weekdays(7)
