"""Trends through estimates: against weighted least squares of statsmodels and a simulated error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

POINTS = st.lists(
    st.tuples(st.floats(-100, 100), st.floats(0.01, 10), st.integers(0, 60)), min_size=3, max_size=12
).filter(lambda points: len({at for _, _, at in points}) > 1)


@given(POINTS)
def test_the_line_equals_weighted_least_squares(points: list[tuple[float, float, int]]) -> None:
    import statsmodels.api as sm

    values, errors, at = (np.array(column, float) for column in zip(*points, strict=True))
    # Known errors: a residual scale of 1 instead of an estimated one.
    theirs = sm.WLS(values, sm.add_constant(at), weights=errors**-2.0).fit(cov_type="fixed scale")
    found = stats.trend(values, errors, at=at)
    assert found.intercept.value == pytest.approx(theirs.params[0], rel=1e-6, abs=1e-6)
    assert found.slope.value == pytest.approx(theirs.params[1], rel=1e-6, abs=1e-6)
    assert (found.intercept.se, found.slope.se) == pytest.approx(tuple(theirs.bse), rel=1e-6)
    assert found.slope.p_value == pytest.approx(theirs.pvalues[1], rel=1e-5, abs=1e-9)
    assert found.statistic == pytest.approx(found.slope.value / found.slope.se)


def test_no_trend_is_called_as_often_as_alpha_says() -> None:
    rng, runs = np.random.default_rng(1), 3000
    errors = np.linspace(0.3, 2.0, 10)
    values = 5 + rng.normal(size=(runs, 10)) * errors
    found = [stats.trend(row, errors) for row in values]
    band = stats.false_alarm_band(runs, 0.05)
    assert band.lowest <= sum(one.slope.p_value < 0.05 for one in found) <= band.highest
    assert band.lowest <= sum(one.p_value_of_fit < 0.05 for one in found) <= band.highest


def test_a_bend_is_no_line() -> None:
    bend = stats.trend([5, 1, 0.2, 0.1, 0, 0.1, 0], [0.1] * 7)
    assert bend.slope.p_value < 1e-6
    assert bend.p_value_of_fit < 1e-6
    line = stats.trend([5, 4, 3, 2, 1, 0, -1], [0.1] * 7)
    assert (line.slope.value, line.p_value_of_fit) == (pytest.approx(-1), pytest.approx(1))


def test_huge_and_tiny_errors_keep_the_line() -> None:
    for unit in (1e-200, 1e200):
        found = stats.trend([5.0 * unit, 4.0 * unit, 3.2 * unit], [0.5 * unit] * 3)
        assert found.slope.value == pytest.approx(-0.9 * unit)
        assert found.slope.se == pytest.approx(0.5 * unit / 2**0.5)


def test_too_few_points_give_a_reason() -> None:
    for values, errors, at, reason in (
        ([], [], None, "a trend needs values at 2 points, given: 0"),
        ([1.0], [0.1], None, "a trend needs values at 2 points, given: 1"),
        ([1.0, 2.0], [0.1, 0.1], [3, 3], "a trend needs values at 2 points, given: 1"),
        ([1.0, 2.0], [1e-200, 1e200], None, "all but one of the points have no weight beside it"),
    ):
        found = stats.trend(values, errors, at=at)
        assert (found.status, found.reason, found.statistic, found.p_value_of_fit) == ("absent", reason, None, None)
        assert (found.slope.reason, found.intercept.reason, found.slope.value) == (reason, reason, None)
    assert stats.trend([1.0, 2.0], [0.1, 0.1]).p_value_of_fit is None  # two points are always on a line


def test_what_makes_no_sense_is_an_error() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.trend([1.0, 2.0], [0.1, 0.0])
    assert str(caught.value) == "errors holds 0, must hold numbers above 0"
    with pytest.raises(ArgumentError) as caught:
        stats.trend([1.0, 2.0], [0.1, 0.1], at=[1])
    assert str(caught.value) == "lengths differ: values 2, at 1"
