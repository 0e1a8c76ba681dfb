"""Runs of days: each day in one of them, without gaps, within the bounds."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.days import day_runs, window_of_days

FIRST = date(2030, 2, 20)


@given(st.dictionaries(st.integers(0, 40), st.integers(0, 9)), st.integers(0, 30), st.none() | st.integers(1, 7))
def test_every_day_is_in_one_run_without_gaps_and_within_bounds(
    held: dict[int, int], most_rows: int, most_days: int | None
) -> None:
    rows = {str(FIRST + timedelta(days=day)): n for day, n in held.items()}
    runs = list(day_runs(rows, most_rows=most_rows, most_days=most_days))
    assert [day for run in runs for day in run] == sorted(rows)
    for run in runs:
        assert window_of_days(run[0], run[-1]).days == len(run) <= (most_days or len(rows))
        assert len(run) == 1 or sum(rows[day] for day in run) <= most_rows
    for run, following in pairwise(runs):
        joins = window_of_days(run[0], following[0]).days == len(run) + 1
        full = len(run) == most_days or sum(map(rows.__getitem__, [*run, following[0]])) > most_rows
        assert full or not joins


@pytest.mark.parametrize(
    ("rows", "runs"),
    [
        ({}, []),
        ({"2025-02-28": 9, "2025-03-01": 9}, [["2025-02-28"], ["2025-03-01"]]),
        ({"2025-02-28": 4, "2025-03-01": 6}, [["2025-02-28", "2025-03-01"]]),
        ({"2025-03-01": 1, "2025-03-03": 1}, [["2025-03-01"], ["2025-03-03"]]),
        ({"2025-03-01": 99, "2025-03-02": 0, "2025-03-03": 1}, [["2025-03-01"], ["2025-03-02", "2025-03-03"]]),
    ],
)
def test_a_run_has_no_gap_and_ten_rows(rows: dict[str, int], runs: list[list[str]]) -> None:
    assert list(day_runs(rows, most_rows=10)) == runs
