from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

_sums = st.lists(st.tuples(st.floats(0.01, 1e6), st.integers(1, 1000)), min_size=2, max_size=30)


@given(clusters=_sums)
def test_the_root_is_that_of_the_ratio_and_its_error_that_of_its_slope(clusters: list[tuple[float, int]]) -> None:
    numerators, denominators = zip(*clusters, strict=True)
    square = stats.ratio(numerators, denominators, n=7)
    root = stats.root_of_ratio(numerators, denominators, n=7)
    assert root.value == pytest.approx(math.sqrt(square.value), rel=1e-12)
    if square.df is None:
        assert (root.se, root.ci_lower) == (square.se, None)
    else:
        assert root.se == pytest.approx(square.se / (2 * root.value), rel=1e-12)
        assert (root.df, root.n) == (len(clusters) - 1, 7)
        reach = stats.critical_value(df=root.df) * root.se
        assert root.ci_lower == pytest.approx(max(0.0, root.value - reach), rel=1e-9, abs=1e-9)
        assert root.ci_upper == pytest.approx(root.value + reach, rel=1e-9)


def test_its_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(400):
        errors = rng.normal(0, 2.0, (40, 25))
        root = stats.root_of_ratio((errors**2).sum(axis=1), np.full(40, 25), n=1000)
        hits += root.ci_lower <= 2.0 <= root.ci_upper
    assert 0.92 <= hits / 400 <= 0.98


@pytest.mark.parametrize(
    ("numerators", "denominators", "value", "reason"),
    [
        ([], [], None, "no clusters"),
        ([1, 2], [0, 0], None, "the denominators sum to 0"),
        ([8], [2], 2.0, "no interval: too few clusters: 1, a variance needs 2"),
        ([4, 8], [1, 2], 2.0, "no interval: the observations do not vary"),
        ([0, 0], [1, 2], 0.0, "no interval: the observations do not vary"),
        ([1, -1], [1, 2], 0.0, "no interval: the root of a ratio of 0 has no slope"),
    ],
)
def test_reasons(numerators: list[float], denominators: list[float], value: float | None, reason: str) -> None:
    root = stats.root_of_ratio(numerators, denominators)
    assert (root.value, root.reason, root.ci_lower) == (value, reason, None)


def test_a_negative_ratio_has_no_root() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.root_of_ratio([-2, -1], [1, 1])
    assert str(caught.value) == "the ratio is -1.5, which has no square root"
