"""Quantiles of clustered rows: the value against numpy, the interval against its promise and an independent method."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

SIMULATIONS = 600
BAND = 4 * math.sqrt(stats.CONFIDENCE * (1 - stats.CONFIDENCE) / SIMULATIONS)
"""Four binomial standard errors of the simulated share."""

DAYS, PER_DAY = 30, 50
TRUE_Z = 1.2815515655446004  # of the normal, at 0.9


def day_rows(rng: np.random.Generator, days: int = DAYS) -> tuple[np.ndarray, np.ndarray]:
    """Values that share a day's level, and their days; the logarithm's variance is 0.45."""
    day = np.repeat(np.arange(days), PER_DAY)
    return np.exp(0.3 * rng.normal(size=days)[day] + 0.6 * rng.normal(size=day.size)), day


@pytest.mark.parametrize("q", [0.001, 0.25, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("rows", [1, 2, 17, 1000])
def test_the_value_is_numpys_linear_quantile(q: float, rows: int) -> None:
    values = np.random.default_rng(rows).gamma(2, 50, size=rows)
    assert stats.quantile(values, np.arange(rows), q).value == pytest.approx(np.quantile(values, q), rel=1e-14)


def test_the_interval_covers_where_rows_of_a_day_depend_on_each_other() -> None:
    rng = np.random.default_rng(21)
    truth = math.exp(TRUE_Z * math.sqrt(0.45))
    found = [stats.quantile(*day_rows(rng), 0.9) for _ in range(SIMULATIONS)]
    covered = float(np.mean([e.ci_lower <= truth <= e.ci_upper for e in found]))
    assert abs(covered - stats.CONFIDENCE) <= BAND, covered
    # The order statistics' own interval, for independent rows, promises far too much.
    shares = [0.9 + sign * 1.96 * math.sqrt(0.9 * 0.1 / (DAYS * PER_DAY)) for sign in (-1, 1)]
    rng = np.random.default_rng(21)
    by_rows = [np.quantile(day_rows(rng)[0], shares) for _ in range(SIMULATIONS)]
    assert float(np.mean([low <= truth <= high for low, high in by_rows])) < stats.CONFIDENCE - 3 * BAND


def test_the_standard_error_equals_a_bootstrap_over_days() -> None:
    rng = np.random.default_rng(22)
    values, day = day_rows(rng, days=500)
    ours = stats.quantile(values, day, 0.9)
    by_day = values.reshape(500, PER_DAY)
    draws = [np.quantile(by_day[rng.integers(0, 500, 500)], 0.9) for _ in range(1000)]
    assert ours.se == pytest.approx(float(np.std(draws)), rel=0.1)


def test_with_one_row_a_day_it_is_the_order_statistics_interval() -> None:
    """Independent rows: Woodruff's shares are q ± z · sqrt(q (1 - q) / n), with t for z and n - 1 for n."""
    values = np.random.default_rng(23).normal(size=4000)
    ours = stats.quantile(values, np.arange(4000), 0.7)
    reach = stats.critical_value(df=3999) * math.sqrt(0.7 * 0.3 / 3999)
    assert (ours.ci_lower, ours.ci_upper) == pytest.approx(np.quantile(values, [0.7 - reach, 0.7 + reach]), abs=1e-3)


@pytest.mark.parametrize(("df", "within"), [(4, 4e-4), (5, 2e-4), (10, 4e-6), (14, 1e-6), (30, 1e-7), (365, 1e-12)])
def test_the_series_is_students_quantile(df: int, within: float) -> None:
    series = sum(coefficient / df**power for power, coefficient in enumerate(stats.reach_series()))
    assert series == pytest.approx(stats.critical_value(df=df), rel=within)


TOO_FEW = "no interval: too few days: 4, a quantile's interval needs 5"
EDGE = "no interval: with 60 values on 6 days quantile 0.99 may lie above the largest of them"
REASONS = [
    ([10] * 4, [9] * 4, 0.9, TOO_FEW),
    ([10] * 6, [9, 10, 10, 10, 10, 10], 0.99, EDGE),
    (
        [10] * 6,
        [0, 1, 0, 0, 0, 0],
        0.01,
        EDGE.replace("0.99", "0.01").replace("above the largest", "below the smallest"),
    ),
]


@pytest.mark.parametrize(("n", "below", "q", "reason"), REASONS)
def test_too_little_gives_a_value_and_a_reason(n: list[int], below: list[int], q: float, reason: str) -> None:
    found = stats.quantile_from_ends(5.0, 4.0, 6.0, q=q, n=n, below=below)
    assert (found.value, found.se, found.ci_lower, found.status, found.reason) == (5.0, None, None, "ok", reason)


def test_no_rows_and_values_that_do_not_vary() -> None:
    nothing = stats.quantile_from_ends(None, None, None, q=0.5, n=[0, 0], below=[0, 0])
    assert (nothing.status, nothing.reason, nothing.n) == ("absent", "no request has a value", 0)
    assert stats.quantile([], [], 0.5) == nothing
    still = stats.quantile([3.0] * 40, np.arange(40) % 8, 0.5)
    assert (still.value, still.se, still.ci_lower) == (3.0, 0.0, None)
    assert still.reason == "no interval: the values around it are all equal"


def test_days_without_rows_change_nothing() -> None:
    n, below = [100] * 6, [93, 96, 95, 97, 94, 95]
    given_days = stats.quantile_from_ends(4.0, 3.0, 5.0, q=0.95, n=n, below=below)
    assert stats.quantile_from_ends(4.0, 3.0, 5.0, q=0.95, n=[0, *n], below=[0, *below]) == given_days


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"q == 1\.5, must be a number above 0 and below 1"):
        stats.quantile([1.0, 2.0], [1, 2], 1.5)
    with pytest.raises(ArgumentError, match=r"below holds 2\.5, must hold whole numbers of at least 0"):
        stats.quantile_from_ends(1.0, 1.0, 1.0, q=0.5, n=[5], below=[2.5])
    with pytest.raises(ArgumentError, match="lower == nan, must be a finite number"):
        stats.quantile_from_ends(1.0, math.nan, 1.0, q=0.5, n=[100] * 6, below=[49, 51, 50, 48, 52, 50])


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 8)), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_order_of_rows_changes_nothing_and_the_value_lies_inside(rows: list[tuple[float, int]], q: float) -> None:
    values, days = zip(*rows, strict=True)
    found = stats.quantile(values, days, q)
    assert found == stats.quantile(values[::-1], days[::-1], q)
    assert min(values) <= found.value <= max(values)
    if found.ci_lower is None:
        assert found.reason
    else:
        assert found.ci_lower <= found.value <= found.ci_upper
