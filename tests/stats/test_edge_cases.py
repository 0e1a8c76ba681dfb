"""The edge cases of the study of experiment analysis, row by row: what peers make of each stands beside what we do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit import stats
from toolkit.stats.joint_moments import from_shifted_sums

NOTHING_TO_BE_RELATIVE_TO = "the control mean is 0: there is nothing to be relative to"
STILL = "no interval and no test: the observations do not vary"


def test_a_control_of_zeros_has_a_difference_and_a_reason_for_the_lift() -> None:
    """gbstats blanks the difference too, p = 1; tea-tasting's lift is infinite; spotify's interval is [inf, inf]."""
    found = stats.compare(stats.two_samples([0.0] * 40, np.arange(40.0)))
    assert found.difference.value == 19.5
    assert found.difference.excludes_zero
    assert found.p_value == pytest.approx(stats.mean(40, 19.5, np.var(np.arange(40), ddof=1), null=0).p_value)
    assert (found.lift.value, found.lift.reason) == (None, NOTHING_TO_BE_RELATIVE_TO)
    share = stats.compare(stats.two_samples([0] * 400, np.arange(400) < 9, share=True))
    assert share.difference.excludes_zero
    assert share.p_value < 0.01
    assert share.lift.reason == NOTHING_TO_BE_RELATIVE_TO


def test_a_control_mean_of_zero_has_a_difference_and_a_reason_for_the_lift() -> None:
    """gbstats: ZERO_NEGATIVE_BASELINE_VARIATION, the difference is blanked."""
    found = stats.compare(stats.two_samples([-2.0, -1.0, 0.0, 1.0, 2.0], [3.0, 4.0, 6.0, 5.0]))
    assert found.difference.value == 4.5
    assert found.p_value < 0.01
    assert (found.lift.value, found.lift.p_value, found.lift.reason) == (None, None, NOTHING_TO_BE_RELATIVE_TO)


@pytest.mark.parametrize("values", [(4.0, 5.0), (0.1, 0.1), (0.3, 0.7), (1e9 + 0.1, 1e9 + 0.3)])
def test_where_neither_variant_varies_there_is_a_reason_and_no_test(values: tuple[float, float]) -> None:
    """gbstats: ZERO_NEGATIVE_VARIANCE, p = 1; tea-tasting: NaN without a reason; spotify: the interval [0, 0]."""
    sizes = ([3, 1, 4, 1, 5], [9, 2, 6, 5, 3, 5])
    samples = [
        stats.two_samples([values[0]] * 7, [values[1]] * 9),
        stats.two_samples(
            values[0] * np.array(sizes[0]),
            values[1] * np.array(sizes[1]),
            denominators0=sizes[0],
            denominators1=sizes[1],
        ),
    ]
    for given in samples:
        found = stats.compare(given)
        assert found.difference.value == pytest.approx(values[1] - values[0], abs=1e-6)
        for part in (found.difference, found.lift):
            assert (part.ci_lower, part.ci_upper, part.p_value, part.reason) == (None, None, None, STILL)
        assert found.control.reason == "no interval: the observations do not vary"


@pytest.mark.parametrize("sizes", [(1, 40), (40, 1), (1, 1)])
def test_one_unit_in_a_variant_is_too_few(sizes: tuple[int, int]) -> None:
    """tea-tasting raises TypeError; spotify: NaN."""
    found = stats.compare(stats.two_samples(np.arange(3.0, 3.0 + sizes[0]), np.arange(2.0, 2.0 + sizes[1])))
    named = " and ".join(f"n{i} == 1" for i in (0, 1) if sizes[i] == 1)
    assert found.difference.value is not None
    assert found.difference.reason == f"no interval and no test: too few observations: {named}, a variance needs 2"
    assert found.lift.value is not None
    assert found.lift.reason == found.difference.reason
    assert found.p_value is None


def test_no_unit_in_a_variant_is_absent() -> None:
    found = stats.compare(stats.two_samples([], [1.0, 2.0]), adjust=True)
    assert found.difference.status == found.lift.status == found.control.status == "absent"
    assert found.difference.reason == "no observations in one group: n0 == 0, n1 == 2"
    assert found.treatment.value == 1.5


def test_from_minus_ten_to_minus_five_is_an_improvement_of_half() -> None:
    """tea-tasting and spotify: -50 %, spotify's interval is inverted; gbstats has one p for each scale."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=50)
    noise -= noise.mean()
    found = stats.compare(stats.two_samples(-10 + 4 * noise, -5 + 4 * noise))
    assert found.lift.value == pytest.approx(0.5, rel=1e-12)
    assert 0 < found.lift.ci_lower < 0.5 < found.lift.ci_upper
    assert found.lift.p_value == found.difference.p_value == found.p_value
    worse = stats.compare(stats.two_samples(-10 + 4 * noise, -15 + 4 * noise))
    assert worse.lift.value == pytest.approx(-0.5, rel=1e-12)
    assert worse.lift.excludes_zero


def test_variants_of_opposite_sign_have_an_interval_around_the_estimate_or_none() -> None:
    """tea-tasting's interval is inverted and misses its own estimate."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=200)
    noise -= noise.mean()
    found = stats.compare(stats.two_samples(-2 + noise, 3 + noise))
    assert found.lift.value == pytest.approx(2.5, rel=1e-12)
    assert found.lift.ci_lower < 2.5 < found.lift.ci_upper
    assert found.lift.excludes_zero
    unsure = stats.compare(stats.two_samples(-0.01 + noise, 0.02 + noise))
    assert unsure.lift.value == pytest.approx(3.0, rel=1e-9)
    assert unsure.lift.ci_lower is None
    assert unsure.lift.reason.startswith("unbounded: the control mean cannot be told from 0 (g = ")
    assert unsure.lift.p_value == unsure.difference.p_value


def test_a_missing_covariate_is_counted_and_never_a_crash() -> None:
    """gbstats takes 0 for it in SQL; tea-tasting raises ValueError: math domain error."""
    gap = float("nan")
    y0, x0 = [1, 2, 3, 4, 5, 6], [1, 2, gap, 4, gap, 6]
    y1, x1 = [2, 3, 4, 5, 6, 8], [2, 3, 4, gap, 6, 7]
    samples = stats.two_samples(y0, y1, covariates0=[x0], covariates1=[x1])
    assert stats.compare(samples).difference.value == pytest.approx(1.166666667, abs=1e-9)
    found = stats.compare(samples, adjust=True)
    assert found.missing == ((2, 1),)
    # Lin's regression, with the mean of all who have a past for those who have none, and an indicator of those.
    x, y, variant = np.array(x0 + x1), np.array(y0 + y1), np.repeat([0.0, 1.0], 6)
    columns = np.column_stack([np.nan_to_num(x - np.nanmean(x)), np.isnan(x)])
    columns = columns - columns.mean(axis=0)
    design = np.column_stack([np.ones(12), variant, columns, variant[:, None] * columns])
    assert found.difference.value == pytest.approx(np.linalg.lstsq(design, y)[0][1], rel=1e-9)
    assert found.difference.ci_lower is not None
    everything = stats.two_samples(y0, y1, covariates0=[[gap] * 6], covariates1=[[gap] * 6])
    nothing = stats.compare(everything, adjust=True)
    assert nothing.difference == stats.compare(everything).difference
    assert (nothing.missing, nothing.reason) == (((6, 6),), "not adjusted: no covariate varies in both variants")


def test_a_constant_covariate_leaves_the_unadjusted_result_with_a_reason() -> None:
    y0, y1 = [12, 13, 10, 17, 12, 9, 15, 11, 14, 12], [15, 11, 17, 14, 15, 19, 11, 14, 13, 16]
    found = stats.compare(stats.two_samples(y0, y1, covariates0=[[5] * 10], covariates1=[[5] * 10]), adjust=True)
    assert (found.difference.value, found.theta, found.variance_reduction) == (2.0, (0.0,), 0.0)
    assert found.difference.se == pytest.approx(1.090361816, abs=1e-9)
    assert found.reason == "not adjusted: no covariate varies in both variants"


def test_values_near_1e9_keep_their_variance() -> None:
    """gbstats: variance -170.7; spotify raises."""
    values = np.array([4.0, 7.0, 13.0, 16.0])
    samples = stats.two_samples(1e9 + values, 1e9 + values + 2)
    assert samples.control.variance() == 30.0
    found, small = stats.compare(samples), stats.compare(stats.two_samples(values, values + 2))
    assert found.control.value == 1e9 + 10
    assert found.difference == small.difference
    # From an engine's sums, shifted by a number near the mean, in units of several requests.
    n = np.array([1, 3, 2, 5])
    sums = (values - 10) * n
    products = [[sums @ sums, sums @ n], [sums @ n, n @ n]]
    side = from_shifted_sums(4, [0.0, 0.0], [sums.sum(), n.sum()], products)
    given = stats.TwoSamples(side, side._replace(offsets=(side.offsets[0] + 1, side.offsets[1])), 11, 11, shift=1e9)
    by_hand = stats.ratio(values * n, n)
    assert stats.compare(given).control.se == pytest.approx(by_hand.se, rel=1e-12)


def test_a_statistic_of_twelve_has_a_p_value() -> None:
    """gbstats: exactly 0, and blank p-values for large effects."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=200_000)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    found = stats.compare(stats.two_samples(5 + noise, 5 + noise + 12 * math.sqrt(2 / noise.size)))
    assert found.difference.value / found.difference.se == pytest.approx(12, rel=1e-9)
    assert found.p_value == pytest.approx(3.55e-33, rel=0.01)
    assert found.lift.p_value == found.p_value


def test_a_variant_of_no_weight_adds_no_degree_of_freedom() -> None:
    """gbstats: 0.0031 instead of 0.00067, and no alert."""
    found = stats.sample_ratio([5170, 4830, 0], [0.5, 0.5, 0])
    assert (found.df, found.p_value) == (1, pytest.approx(0.0006738585314, abs=1e-9))


def test_ten_units_a_variant_are_adjusted_within_it() -> None:
    """gbstats and tea-tasting: 0.646 and se 0.253, one slope over both; spotify: se 0.420, n and n - 1 mixed."""
    y0, x0 = [12, 13, 10, 17, 12, 9, 15, 11, 14, 12], [10, 12, 9, 14, 11, 8, 13, 10, 12, 11]
    y1, x1 = [15, 11, 17, 14, 15, 19, 11, 14, 13, 16], [12, 10, 14, 11, 13, 15, 9, 12, 11, 13]
    exact = stats.adjusted_difference(y0, [x0], y1, [x1])
    assert (exact.value, exact.se) == (pytest.approx(0.700, abs=5e-4), pytest.approx(0.298, abs=5e-4))
    found = stats.compare(stats.two_samples(y0, y1, covariates0=[x0], covariates1=[x1]), adjust=True)
    assert found.difference.value == pytest.approx(0.7, rel=1e-12)
    # Moments cannot weigh residuals by their leverage, which for ten units makes a difference.
    assert found.difference.se == pytest.approx(0.274, abs=5e-4)
