from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

numbers = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=4, max_size=40)


@given(first=numbers, second=numbers)
def test_the_distance_is_the_area_between_the_distribution_functions(first, second):
    at = np.unique([*first, *second])
    gap = [np.mean(np.array(first) <= x) - np.mean(np.array(second) <= x) for x in at[:-1]]
    area = float(np.abs(gap) @ np.diff(at)) if at.size > 1 else 0.0
    assert stats.wasserstein(first, second) == pytest.approx(area, rel=1e-9, abs=1e-6)


@given(power=st.integers(-6, 6), shift=st.floats(-5, 5))
def test_in_units_of_the_reference_it_depends_on_no_unit(power, shift):
    random = np.random.default_rng(3)
    reference, current = random.standard_normal(300), shift + random.standard_normal(200)
    factor = 10.0**power
    plain = stats.wasserstein(reference, current, scale=stats.standard_deviation(reference))
    scale = stats.standard_deviation(factor * reference)
    moved = stats.wasserstein(factor * reference, factor * current, scale=scale)
    assert moved == pytest.approx(plain, rel=1e-9)


def test_a_shift_by_one_deviation_is_one():
    random = np.random.default_rng(3)
    values = random.standard_normal(100_000)
    assert stats.wasserstein(values, values + 1, scale=stats.standard_deviation(values)) == pytest.approx(1, abs=0.01)


def test_from_bins_it_is_that_of_the_values_within_the_range_of_the_reference():
    random = np.random.default_rng(3)
    reference, current = random.uniform(0, 1, 20_000), random.uniform(0, 1, 20_000) ** 1.3
    edges = np.quantile(reference, np.linspace(0, 1, 21)[1:-1])
    counts = [np.bincount(np.searchsorted(edges, side), minlength=20) for side in (reference, current)]
    binned = stats.binned_wasserstein(*counts, edges=edges, low=0.0, high=1.0, scale=1.0)
    assert binned == pytest.approx(stats.wasserstein(reference, current), rel=0.01)


def test_no_value_beyond_the_range_makes_the_distance():
    counts = [100, 100, 100, 100], [100, 100, 100, 101]
    near = stats.binned_wasserstein(*counts, edges=[1, 2, 3], low=0, high=4, scale=1)
    assert near < 0.01


def test_where_the_gap_changes_sign_the_area_is_two_triangles():
    """Between the edges 1 and 2 the gap goes from 1/4 to -1/4."""
    found = stats.binned_wasserstein([2, 0, 2], [1, 2, 1], edges=[1, 2], low=0, high=3, scale=1)
    assert found == pytest.approx(1 / 8 + 1 / 8 + 1 / 8)


@pytest.mark.parametrize(
    ("values", "deviation"), [([0, 0, 0, 0, 0, 7], 7 * (5 / 36) ** 0.5), ([3.0, 3.0], 0.0), ([], 0.0)]
)
def test_a_deviation_is_that_of_the_values_themselves(values, deviation):
    assert stats.standard_deviation(values) == pytest.approx(deviation)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_a_deviation_of_extreme_numbers_neither_vanishes_nor_overflows(size):
    assert stats.standard_deviation([size, 3 * size]) == pytest.approx(size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stats.wasserstein([], [1.0]), "reference holds no values: there is no distribution to compare"),
        (lambda: stats.wasserstein([1.0], [1.0], scale=0), "scale == 0, must be a number above 0"),
        (
            lambda: stats.wasserstein([1.0], [1.0], current_weights=[-1]),
            "current_weights holds -1, must hold numbers of at least 0, not all of them 0",
        ),
        (
            lambda: stats.binned_wasserstein([1, 1], [1, 1], edges=[1, 2], low=0, high=3, scale=1),
            "there are 2 edges and 2 bins; bins must be one more than edges",
        ),
        (
            lambda: stats.binned_wasserstein([1, 1, 1], [1, 1, 1], edges=[2, 1], low=0, high=3, scale=1),
            "edges holds 1 after 2, must not fall",
        ),
    ],
)
def test_a_wrong_argument_says_what_is_right(make, message):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
