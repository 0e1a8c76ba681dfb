"""Moments against exact rational arithmetic, and what merging must not change."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ArgumentError
from toolkit.stats.joint_moments import (
    JointMoments,
    from_shifted_sums,
    joint_moments,
    merge_moments,
    pool_moments,
)

LARGE = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]
# What is smaller has a square that floating point cannot hold.
VALUE = st.floats(min_value=-1e6, max_value=1e6).map(lambda value: value if abs(value) > 1e-100 else 0.0)
ROW = st.tuples(VALUE, VALUE, VALUE)
PARTS = st.lists(st.lists(ROW, max_size=8), min_size=1, max_size=6).filter(any)


def exactly(rows: list[tuple[float, ...]]) -> tuple[int, list[Fraction], list[list[Fraction]]]:
    """Count, means and centred products in rational arithmetic: every digit is right."""
    columns = [[Fraction(value) for value in column] for column in zip(*rows, strict=True)]
    means = [sum(column) / len(rows) for column in columns]
    centred = [[value - mean for value in column] for column, mean in zip(columns, means, strict=True)]
    return len(rows), means, [[sum(a * b for a, b in zip(x, y, strict=True)) for y in centred] for x in centred]


def assert_close(moments: JointMoments, rows: list[tuple[float, ...]], relative: float = 1e-12) -> None:
    """Means to the size of the values, products to the product of the spreads."""
    n, means, products = exactly(rows)
    sizes = [max(abs(value) for value in column) for column in zip(*rows, strict=True)]
    assert moments.n == n
    for measure, (exact, size) in enumerate(zip(means, sizes, strict=True)):
        assert moments.mean(measure) == pytest.approx(float(exact), rel=0, abs=relative * size)
    for i, line in enumerate(products):
        for j, exact in enumerate(line):
            scale = float(line[i]) ** 0.5 * float(products[j][j]) ** 0.5
            # Values that hardly differ are themselves rounded to their size.
            rounding = n * (1e-16 * sizes[i]) * (1e-16 * sizes[j]) + 1e-300
            assert moments.products[i][j] == pytest.approx(float(exact), rel=0, abs=relative * scale + rounding)


def of(rows: list[tuple[float, ...]]) -> JointMoments:
    return joint_moments(*zip(*rows, strict=True)) if rows else joint_moments([], [], [])


def test_a_variance_at_a_mean_of_a_milliard_is_exact() -> None:
    assert joint_moments(LARGE).variance() == 30.0
    assert merge_moments(joint_moments(LARGE[:1]), joint_moments(LARGE[1:])).variance() == 30.0
    shifted = [value - 1e9 for value in LARGE]
    products = [[sum(value * value for value in shifted)]]
    assert from_shifted_sums(4, [1e9], [sum(shifted)], products).variance() == 30.0


@given(st.lists(ROW, min_size=1, max_size=40))
def test_moments_agree_with_exact_arithmetic(rows: list[tuple[float, ...]]) -> None:
    assert_close(of(rows), rows)


@given(PARTS)
def test_moments_of_parts_merge_to_those_of_the_whole(parts: list[list[tuple[float, ...]]]) -> None:
    assert_close(merge_moments(*map(of, parts)), [row for part in parts for row in part])


@given(PARTS, st.randoms(use_true_random=False))
def test_the_order_of_merging_changes_nothing(parts: list[list[tuple[float, ...]]], chance: random.Random) -> None:
    rows = [row for part in parts for row in part]
    moments = [of(part) for part in parts]
    chance.shuffle(moments)
    assert_close(merge_moments(*moments), rows)
    one_by_one = moments[0]
    for moment in moments[1:]:
        one_by_one = merge_moments(one_by_one, moment)
    assert_close(one_by_one, rows)


@given(st.lists(st.integers(min_value=-1000, max_value=1000), min_size=2, max_size=30), st.integers(-8, 8))
def test_large_means_lose_no_digits(distances: list[int], exponent: int) -> None:
    level = 10.0 ** (4 + abs(exponent))
    rows = [(level + distance, float(distance), 1.0) for distance in distances]
    assert_close(merge_moments(of(rows[:1]), of(rows[1:])), rows)


def test_equal_values_have_exactly_no_spread() -> None:
    assert joint_moments([0.1] * 1000).variance() == 0.0
    part = joint_moments([0.1] * 7)
    assert merge_moments(part, part, part) == part._replace(n=21)


def test_rounding_leaves_no_sum_of_squares_below_zero() -> None:
    assert from_shifted_sums(3, [0.0], [0.3], [[0.03 - 1e-17]]).products == ((0.0,),)


def test_nothing_has_no_mean_and_one_row_no_variance() -> None:
    nothing, one = joint_moments([]), joint_moments([3.0])
    assert (nothing.n, nothing.mean(), nothing.variance()) == (0, None, None)
    assert (one.n, one.mean(), one.variance()) == (1, 3.0, None)
    assert merge_moments(nothing, one, nothing) == one
    assert merge_moments(nothing, nothing) == nothing
    assert from_shifted_sums(0, [5.0], [0.0], [[0.0]]).mean() is None


def test_empty_parts_with_numbers_that_mean_nothing_are_not_read() -> None:
    nan, zeros = np.nan, [[0.0], [0.0]]
    pooled = pool_moments(np.array([0, 2]), np.array([[nan], [1.0]]), zeros, np.array([[[nan]], [[2.0]]]))
    assert pooled == JointMoments(2, (1.0,), (0.0,), ((2.0,),))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (joint_moments, "no measure was given; give one array per measure"),
        (merge_moments, "no moments to merge; give at least one part"),
        (lambda: joint_moments([1, 2], [1]), "lengths differ: measure 0 2, measure 1 1"),
        (
            lambda: joint_moments([1, None]),
            "measure 0: 1 of 2 is missing or not finite; leave such rows out and count them",
        ),
        (
            lambda: merge_moments(joint_moments([1]), joint_moments([1], [2])),
            "parts have different numbers of measures: 1, 2",
        ),
        (
            lambda: from_shifted_sums(2, [0.0, 1.0], [1.0], [[1.0]]),
            "origins, sums and products are of shapes (2,), (1,) and (1, 1), must be (k,), (k,) and (k, k)",
        ),
        (
            lambda: from_shifted_sums(1.5, [0], [1], [[1]]),  # type: ignore[arg-type]  # as a caller may
            "n == 1.5, must be a whole number of at least 0",
        ),
        (
            lambda: pool_moments([2, -1], [[0], [0]], [[0], [0]], [[[0]], [[0]]]),
            "n holds -1, must hold numbers of rows",
        ),
        (
            lambda: joint_moments([1e200, -1e200]),
            "the moments of 2 rows are not finite: the numbers are too large for floating point, or one is infinite",
        ),
    ],
)
def test_what_cannot_be_is_said(act: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        act()
    assert str(caught.value) == message
