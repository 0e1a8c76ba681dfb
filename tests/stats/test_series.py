from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from day_series import FIRST_DAY, noise
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as peer

from toolkit import stats
from toolkit.errors import ArgumentError

PLAIN = st.lists(st.integers(-1000, 1000), min_size=3, max_size=40)


@pytest.mark.parametrize("alike", [0.0, 0.4, 0.7])
def test_the_noise_of_a_series_is_found_beside_its_steps_and_outliers(alike):
    values = noise(3000, np.random.default_rng(3), alike=alike)
    values[1000:] += 8
    values[2000:] -= 5
    values[500] = values[1700] = 1e6
    found = stats.series_noise(values)
    # The running median takes some of what is slow with it.
    assert found.sd == pytest.approx(1, rel=0.1)
    assert alike - 0.08 <= found.autocorrelation <= alike + 0.06
    assert found.long_run_variance == pytest.approx(found.sd**2 * found.inflation)


def test_one_outlier_of_a_million_moves_the_noise_by_less_than_a_twentieth():
    values = noise(182, np.random.default_rng(4))
    spoilt = values.copy()
    spoilt[90] = 1e6
    before, after = stats.series_noise(values), stats.series_noise(spoilt)
    assert after.sd == pytest.approx(before.sd, rel=0.05)


def test_noise_where_most_neighbours_are_equal_rests_on_all_differences():
    found = stats.series_noise([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0])
    assert found.sd > 0
    assert stats.series_noise([2.0] * 9) == stats.SeriesNoise(0.0, 0.0)


def test_noise_of_two_values_is_refused():
    with pytest.raises(ArgumentError) as caught:
        stats.series_noise([1.0, 2.0])
    assert str(caught.value) == "values has 2 entries, noise needs 3 at least"


@given(PLAIN, st.sampled_from([1e-6, 0.5, 1e6]), st.integers(-9, 9))
def test_trend_and_outliers_do_not_depend_on_the_unit(values, scale, start):
    moved = [scale * (value + start) for value in values]
    assert stats.mann_kendall(moved).s == stats.mann_kendall(values).s
    slope, other = stats.sen_slope(values), stats.sen_slope(moved)
    assert other.p_value == slope.p_value
    if slope.value is not None:
        assert other.value == pytest.approx(scale * slope.value, rel=1e-6, abs=scale * 1e-6)
    assert np.array(stats.outlier_z(moved)) == pytest.approx(np.array(stats.outlier_z(values)), rel=1e-5, abs=1e-5)


@given(PLAIN)
def test_the_trend_is_that_of_kendall_and_theil(values):
    test, slope = stats.mann_kendall(values), stats.sen_slope(values)
    if len(set(values)) == 1:
        assert slope.reason == test.reason == "the values do not vary"
        return
    theirs = peer.theilslopes(values, method="separate")
    assert slope.value == pytest.approx(theirs.slope)
    assert [slope.ci_lower, slope.ci_upper] == pytest.approx([theirs.low_slope, theirs.high_slope])
    concordance = peer.kendalltau(range(len(values)), values, variant="b")
    assert np.sign(test.s) == np.sign(concordance.statistic)


def test_a_trend_of_days_that_are_alike_is_less_evident():
    values = [12, 15, 14, 18, 17, 21, 20, 24, 26, 25, 29, 31]
    free, alike = stats.sen_slope(values), stats.sen_slope(values, inflation=3.0)
    assert alike.value == free.value
    assert alike.p_value > free.p_value
    assert alike.ci_lower <= free.ci_lower < free.ci_upper <= alike.ci_upper


def test_trends_are_refused_with_their_reason():
    assert stats.mann_kendall([1.0, 2.0]).reason == "a trend needs 3 values, given: 2"
    assert stats.sen_slope([1.0, 2.0]).reason == "a trend needs 3 values, given: 2"
    with pytest.raises(ArgumentError) as caught:
        stats.sen_slope([1, 2, 3], at=[1, 1, 2])
    assert str(caught.value) == "at holds 1 after 1, must ascend and hold nothing twice"


def test_a_false_trend_is_as_rare_among_days_that_are_alike():
    """Of 300 series without a trend, at the 5 % level; with the variance of independent days a third would have one."""
    rng = np.random.default_rng(6)
    corrected = plain = 0
    for _ in range(300):
        values = noise(120, rng, alike=0.6)
        inflation = stats.series_noise(values).inflation
        corrected += stats.mann_kendall(values, inflation=inflation).p_value <= 0.05
        plain += stats.mann_kendall(values).p_value <= 0.05
    assert corrected <= 27  # Binomial(300, 0.05) exceeds it with probability 0.001
    assert plain > 60


def test_a_weekly_season_is_found_with_its_days_and_without_a_step():
    rng = np.random.default_rng(7)
    days = np.arange(FIRST_DAY, FIRST_DAY + 126)
    weekday = (days - 1) % 7
    values = noise(126, rng) * 0.5 + np.where(weekday >= 5, -4.0, 0.0) + np.where(days >= FIRST_DAY + 60, 20.0, 0.0)
    found = stats.weekly_season(values, days)
    assert found.p_value < 1e-6
    assert sum(found.effects) == pytest.approx(0, abs=1e-12)
    assert date.fromordinal(int(days[int(np.argmax(weekday == 5))])).isoweekday() == 6
    weekend, rest = np.mean(found.effects[5:]), np.mean(found.effects[:5])
    assert weekend - rest == pytest.approx(-4, abs=0.5)


def test_a_weekly_season_of_noise_is_rare():
    rng = np.random.default_rng(8)
    days = range(FIRST_DAY, FIRST_DAY + 182)
    found = sum(stats.weekly_season(noise(182, rng, alike=0.3), days).p_value <= 0.01 for _ in range(200))
    assert found <= 8  # Binomial(200, 0.01) exceeds it with probability 0.0004


def test_the_season_is_tested_as_friedman_does():
    values = np.round(noise(126, np.random.default_rng(12)), 1)
    monday = FIRST_DAY + 6
    found = stats.weekly_season(values, range(monday, monday + 126))
    assert found.p_value == pytest.approx(peer.friedmanchisquare(*values.reshape(-1, 7).T).pvalue, rel=1e-9)


def test_a_weekly_season_goes_by_dates_where_days_are_missing():
    days = [day for day in range(FIRST_DAY, FIRST_DAY + 140) if not 40 <= day - FIRST_DAY < 47 and day % 31]
    values = [10.0 + 5.0 * ((day - 1) % 7 == 0) + 0.01 * (day % 5) for day in days]
    found = stats.weekly_season(values, days)
    assert found.effects[0] - found.effects[3] == pytest.approx(5, abs=0.05)


def test_a_weekly_season_needs_weeks():
    found = stats.weekly_season([1.0, 2.0] * 10, range(FIRST_DAY, FIRST_DAY + 20))
    assert (found.status, found.effects, found.p_value) == ("absent", (), None)
    assert found.reason == "a weekly season needs 4 whole weeks, Monday to Sunday, there are 2"


def test_robust_z_of_what_has_no_scale():
    assert stats.robust_z([]).reason == "there are no values"
    assert stats.robust_z([3, 3, 3, 9]) == stats.RobustZ(3.0, None, (), "more than half of the values are equal")


def test_smoothing_starts_with_the_first_value_and_weighs_by_age():
    assert stats.ewma([4.0, 4.0, 8.0], weight=0.5) == (4.0, 4.0, 6.0)
    assert stats.ewma([], weight=0.5) == ()


def test_a_step_is_no_outlier_and_a_day_is():
    values = noise(120, np.random.default_rng(9))
    values[60:] += 10
    values[90] += 12
    found = [place for place, z in enumerate(stats.outlier_z(values)) if abs(z) > stats.OUTLYING]
    assert found == [90]
