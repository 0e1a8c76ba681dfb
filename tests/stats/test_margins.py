"""Tests against a margin: one-sided tests, intervals and decisions that say the same, and their error rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

VALUE = st.floats(-1e6, 1e6)
ERROR = st.floats(1e-3, 1e6)
DF = st.none() | st.floats(1, 1e6)
ALPHA = st.floats(0.001, 0.3)


def change(value: float, se: float, df: float | None = None, confidence: float = 0.95) -> stats.Estimate:
    return stats.from_standard_error(value, se, n=100, df=df, method="welch", null=0, scale=0, confidence=confidence)


def test_not_inferior_equals_a_one_sided_t_test() -> None:
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(1)
    before, after = rng.normal(10, 2, 40), rng.normal(9.8, 3, 55)
    gain = stats.welch(*stats.moments(before), *stats.moments(after))
    up = ttest_ind(after + 1.2, before, equal_var=False, alternative="greater")
    found = stats.not_inferior(gain, 1.2)
    assert (found.statistic, found.p_value) == pytest.approx((up.statistic, up.pvalue), rel=1e-9)
    assert found.bound == pytest.approx(up.confidence_interval(0.95).low - 1.2, rel=1e-9)
    down = ttest_ind(after - 1.2, before, equal_var=False, alternative="less")
    found = stats.not_inferior(gain, 1.2, increase=False)
    assert (found.p_value, found.limit, found.method) == (pytest.approx(down.pvalue, rel=1e-9), 1.2, "one-sided t")


def test_equivalent_equals_statsmodels() -> None:
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    rng = np.random.default_rng(2)
    before, after = rng.normal(10, 2, 60), rng.normal(10.1, 2.5, 70)
    gain = stats.welch(*stats.moments(before), *stats.moments(after))
    p_value, (low, high) = CompareMeans(DescrStatsW(after), DescrStatsW(before)).ttost_ind(-1, 1, usevar="unequal")
    found = stats.equivalent(gain, -1, 1)
    assert (found.p_value, found.p_low, found.p_high) == pytest.approx((p_value, low[1], high[1]), rel=1e-8)


@given(VALUE, ERROR, DF, st.floats(0, 1e6), ALPHA, st.booleans())
def test_p_bound_and_decision_say_the_same(
    value: float, se: float, df: float | None, margin: float, alpha: float, increase: bool
) -> None:
    found = stats.not_inferior(change(value, se, df), margin, increase=increase, alpha=alpha)
    assert found.passed == (found.p_value < alpha)
    inside = found.bound - found.limit if increase else found.limit - found.bound
    assert abs(inside) < 1e-6 * (abs(value) + se + margin) or found.passed == (inside > 0)
    mirrored = stats.not_inferior(change(-value, se, df), margin, increase=not increase, alpha=alpha)
    assert (mirrored.p_value, mirrored.passed) == (found.p_value, found.passed)


@given(VALUE, ERROR, DF, ALPHA)
def test_equivalence_is_the_interval_between_the_limits(
    value: float, se: float, df: float | None, alpha: float
) -> None:
    found = stats.equivalent(change(value, se, df), -3 * se, 5 * se, alpha=alpha)
    assert found.p_value == max(found.p_low, found.p_high)
    room = min(found.ci_lower + 3 * se, 5 * se - found.ci_upper)
    assert abs(room) < 1e-6 * (abs(value) + se) or found.passed == (room > 0)


def test_harm_at_the_margin_passes_as_often_as_alpha_says() -> None:
    rng, runs = np.random.default_rng(3), 4000
    data = rng.exponential(size=(runs, 2, 200)) - np.array([0, 0.25])[:, None]
    means, variances = data.mean(axis=2), data.var(axis=2, ddof=1)
    passed = sum(
        stats.not_inferior(stats.welch(200, m[0], v[0], 200, m[1], v[1]), 0.25, alpha=0.05).passed
        for m, v in zip(means, variances, strict=True)
    )
    band = stats.false_alarm_band(runs, 0.05)
    assert band.lowest <= passed <= band.highest


STILL = change(0.5, 0.0)
LACKING = [
    (lambda: stats.not_inferior(STILL, 0.1), "no interval and no test: the observations do not vary"),
    (lambda: stats.equivalent(STILL, -1, 1), "no interval and no test: the observations do not vary"),
    (
        lambda: stats.not_inferior(stats.welch(0, None, None, 5, 1.0, 1.0), 0.1),
        "no observations in one group: n0 == 0, n1 == 5",
    ),
    (lambda: stats.equivalent(change(1, 1)._replace(se=None), -1, 1), "the difference has no standard error"),
]


@pytest.mark.parametrize(("make", "reason"), LACKING)
def test_without_an_error_there_is_a_reason_and_no_decision(make: Callable[[], Any], reason: str) -> None:
    found = make()
    assert (found.passed, found.p_value, found.status, found.reason) == (None, None, "absent", reason)


def test_far_from_the_margin_the_tail_keeps_its_digits() -> None:
    assert stats.not_inferior(change(12, 1), 0).p_value == pytest.approx(1.776482112e-33)
    assert stats.not_inferior(change(1e300, 1e-300), 1.0).reason == "the numbers are too large for floating point"
    assert stats.equivalent(change(1e308, 1e308), -1, 1).reason == "the numbers are too large for floating point"
    assert math.isclose(stats.not_inferior(change(-12, 1), 0).p_value, 1)


WRONG = [
    (lambda: stats.not_inferior(change(1, 1), -0.1), "margin == -0.1, must be a number of at least 0"),
    (lambda: stats.not_inferior(change(1, 1), 0.1, alpha=1.0), "alpha == 1.0, must be a number above 0 and below 1"),
    (lambda: stats.equivalent(change(1, 1), -1, 1, alpha=0.5), "alpha == 0.5, must be a number above 0 and below 0.5"),
    (lambda: stats.equivalent(change(1, 1), 1, -1), "low == 1 and high == -1: low must lie below high"),
    (lambda: stats.equivalent(change(1, 1), 1, math.inf), "high == inf, must be a finite number"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
