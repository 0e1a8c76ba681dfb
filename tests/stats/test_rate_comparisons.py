"""Rates before and now: the exact test against scipy's, and false alarms with and without bursts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from toolkit.errors import ArgumentError
from toolkit.stats import burst_size, compare_rates


@pytest.mark.parametrize(
    ("events0", "exposure0", "events1", "exposure1"), [(10, 1000, 30, 1000), (3, 9100, 4, 700), (40, 100, 9, 80)]
)
def test_the_p_value_is_twice_the_smaller_binomial_tail(events0, exposure0, events1, exposure1):
    share = exposure1 / (exposure0 + exposure1)
    tails = [binomtest(events1, events0 + events1, share, alternative=way).pvalue for way in ("greater", "less")]
    found = compare_rates(events0, exposure0, events1, exposure1)
    assert found.difference.p_value == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-12)


@given(
    st.integers(0, 60), st.integers(0, 60), st.floats(0.5, 1e6), st.floats(0.5, 1e6), st.sampled_from([1.0, 2.5, 40.0])
)
def test_turned_round_it_says_the_same(events0, events1, exposure0, exposure1, dispersion):
    found = compare_rates(events0, exposure0, events1, exposure1, dispersion=dispersion)
    turned = compare_rates(events1, exposure1, events0, exposure0, dispersion=dispersion)
    assert turned.difference.value == pytest.approx(-found.difference.value)
    assert turned.difference.ci_lower == pytest.approx(-found.difference.ci_upper)
    if found.difference.p_value is None:
        assert found.difference.reason == "no test: there was no event"
    else:
        assert turned.difference.p_value == pytest.approx(found.difference.p_value, rel=1e-6, abs=1e-12)
    for rate in (found.rate0, found.rate1, found.difference):
        assert rate.ci_lower <= rate.value <= rate.ci_upper


def test_where_there_was_none_before_there_is_a_difference():
    found = compare_rates(0, 9000, 6, 1000)
    assert found.difference.value == pytest.approx(0.006)
    assert found.difference.p_value == pytest.approx(2 * 0.1**6)
    assert found.difference.ci_lower > 0
    assert found.rate0.reason == "no standard error: there was no event (the interval does not need one)"


def test_bursts_make_the_same_counts_say_less():
    alone, bursting = (compare_rates(100, 1000, 150, 1000, dispersion=size) for size in (1.0, 10.0))
    assert alone.difference.p_value < 0.01 < bursting.difference.p_value
    assert bursting.difference.value == alone.difference.value
    assert bursting.rate1.ci_lower < alone.rate1.ci_lower
    assert bursting.difference.se == pytest.approx(alone.difference.se * 10**0.5)


def test_how_large_bursts_are():
    assert burst_size([0, 0, 40, 0, 0], [100] * 5) == pytest.approx(40)
    assert burst_size([3, 3], [1, 1]) == 1.0, "fewer than ten events say nothing"
    assert burst_size([50], [100]) == 1.0, "a single day says nothing"
    assert burst_size([10, 20, 30], [100, 200, 300]) == 1.0, "more requests, more events"
    assert burst_size([50, 0], [100, 0]) == 1.0, "a day without requests is none"


@pytest.mark.parametrize("events_a_day", [0.3, 3.0, 40.0])
def test_false_alarms_of_a_week_against_three_months(events_a_day):
    rng = np.random.default_rng(5)
    before, now = rng.poisson(events_a_day * 91, 1500), rng.poisson(events_a_day * 7, 1500)
    alarms = [compare_rates(x0, 91, x1, 7).difference.p_value for x0, x1 in zip(before, now, strict=True)]
    rate = np.mean([p is not None and p <= 0.05 for p in alarms])
    assert rate <= 1.5 * 0.05


def test_false_alarms_where_errors_come_in_bursts():
    """Negative binomial days of mean 20 and variance 120; taken as independent they would ring every other week."""
    rng = np.random.default_rng(6)
    days = rng.negative_binomial(4, 4 / 24, (600, 98))
    rung = {"with": 0, "without": 0}
    for course in days:
        before, now = course[:91], int(course[91:].sum())
        size = burst_size(before, [1000.0] * 91)
        for name, dispersion in (("with", size), ("without", 1.0)):
            p = compare_rates(int(before.sum()), 91_000, now, 7000, dispersion=dispersion).difference.p_value
            rung[name] += p <= 0.05
    assert rung["with"] / 600 <= 1.5 * 0.05
    assert rung["without"] / 600 > 0.25


def test_what_is_no_rate_is_refused():
    with pytest.raises(ArgumentError) as caught:
        compare_rates(1, 0, 1, 10)
    assert str(caught.value) == "exposure0 == 0, must be a number above 0"
    with pytest.raises(ArgumentError) as caught:
        compare_rates(1, 10, 1.5, 10)
    assert str(caught.value) == "events1 == 1.5, must be a whole number of at least 0"
    with pytest.raises(ArgumentError) as caught:
        compare_rates(1, 10, 1, 10, dispersion=0.5)
    assert str(caught.value) == "dispersion == 0.5, must be a number of at least 1"
