"""Rates and durations of few events: reference numbers, an independent way, and what their intervals promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.rates import confint_poisson

from toolkit.errors import ArgumentError
from toolkit.stats import event_rate, median_duration


@pytest.mark.parametrize(("events", "exposure"), [(1, 1.0), (10, 8.0), (250, 3.5)])
def test_a_rate_has_garwoods_interval(events, exposure):
    rate = event_rate(events, exposure)
    expected = confint_poisson(events, exposure, method="exact-c")
    assert (rate.value, rate.se) == (events / exposure, pytest.approx(events**0.5 / exposure))
    assert (rate.ci_lower, rate.ci_upper) == pytest.approx(expected, rel=1e-12)


def test_no_event_still_has_an_upper_end():
    rate = event_rate(0, 8)
    assert (rate.value, rate.se, rate.ci_lower) == (0.0, None, 0.0)
    assert rate.ci_upper == pytest.approx(-np.log(0.025) / 8, rel=1e-12)
    assert rate.reason == "no standard error: there was no event (the interval does not need one)"


def test_exposure_must_be_time():
    with pytest.raises(ArgumentError, match=r"^exposure == 0, must be a number above 0$"):
        event_rate(3, 0)


@pytest.mark.parametrize("mean", [0.5, 3.0, 40.0])
def test_the_rates_interval_covers_at_least_as_promised(mean):
    counts = np.arange(200)
    covers = [event_rate(int(c), 2.0).ci_lower <= mean / 2 <= event_rate(int(c), 2.0).ci_upper for c in counts]
    assert np.asarray(covers) @ scipy_stats.poisson.pmf(counts, mean) >= 0.95


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_the_median_is_numpys_and_lies_in_its_interval(durations):
    median = median_duration(durations)
    assert median.value == pytest.approx(np.median(durations))
    if median.ci_lower is None:
        assert len(durations) < 6
    else:
        assert median.ci_lower <= median.value <= median.ci_upper


@pytest.mark.parametrize("n", [6, 9, 20, 101])
def test_the_medians_interval_covers_at_least_as_promised(n):
    rng = np.random.default_rng(n)
    found = [median_duration(sample) for sample in rng.exponential(size=(2000, n))]
    covered = np.mean([each.ci_lower <= np.log(2) <= each.ci_upper for each in found])
    exact = 1 - 2 * scipy_stats.binom.cdf(scipy_stats.binom.ppf(0.025, n, 0.5) - 1, n, 0.5)
    assert exact >= 0.95
    assert covered == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 2000) ** 0.5)


def test_what_is_not_finished_counts_as_longer():
    assert median_duration([1, 2, 3], unfinished=2).value == 3
    assert median_duration([1, 2], unfinished=2).reason == "2 of 4 are not finished"
    assert median_duration([1, 2], unfinished=2).value is None
    many = median_duration(range(1, 8), unfinished=5)
    assert (many.value, many.ci_lower, many.ci_upper) == (6.5, 3.0, None)
    assert many.reason == "no upper end: it lies among those that are not finished"


def test_nothing_and_nonsense():
    assert median_duration([]).reason == "nothing has a duration"
    with pytest.raises(ArgumentError, match=r"^finished holds -1.0, must hold durations of at least 0$"):
        median_duration([2, -1])
