"""Covariate adjustment: against regressions of statsmodels, against what resampling finds, and where it cannot be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from clustered_samples import clustered_samples

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.stats.joint_moments import joint_moments

CONTROL = ([12, 13, 10, 17, 12, 9, 15, 11, 14, 12], [10, 12, 9, 14, 11, 8, 13, 10, 12, 11])
TREATMENT = ([15, 11, 17, 14, 15, 19, 11, 14, 13, 16], [12, 10, 14, 11, 13, 15, 9, 12, 11, 13])


def adjusted(y0: Any, x0: Any, y1: Any, x1: Any, **how: Any) -> stats.Effects:
    return stats.compare(stats.two_samples(y0, y1, covariates0=x0, covariates1=x1), adjust=True, **how)


def trial(rng: np.random.Generator, n0: int, n1: int, k: int) -> tuple[Any, Any, Any, Any]:
    """Values and covariates of both variants; the treatment changes the slopes as well as the mean."""
    x0, x1 = rng.normal(size=(k, n0)), rng.normal(size=(k, n1))
    y0 = 5 + x0.sum(axis=0) + rng.normal(size=n0)
    return y0, list(x0), 6 + 1.5 * x1.sum(axis=0) + 2 * rng.normal(size=n1), list(x1)


def lin(y0: Any, x0: Any, y1: Any, x1: Any) -> Any:
    """The regression on the variant, the centred covariates and their products, by statsmodels."""
    import statsmodels.api as sm

    x = np.column_stack([np.concatenate(pair) for pair in zip(x0, x1, strict=True)])
    variant = np.r_[np.zeros(len(y0)), np.ones(len(y1))]
    centred = x - x.mean(axis=0)
    design = np.column_stack([np.ones(len(variant)), variant, centred, variant[:, None] * centred])
    return sm.OLS(np.r_[y0, y1], design)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_from_units_it_is_lins_regression_with_hc2(k: int) -> None:
    given = trial(np.random.default_rng(k), 60, 90, k)
    fit = lin(*given).fit(cov_type="HC2")
    found = stats.adjusted_difference(given[0], given[1], given[2], given[3])
    assert (found.value, found.se) == pytest.approx((fit.params[1], fit.bse[1]), rel=1e-9)
    assert found.method == "lin, hc2"


@pytest.mark.parametrize("k", [1, 3, 8])
def test_from_moments_it_is_lins_regression_with_each_variants_residual_variance(k: int) -> None:
    """A weighted regression whose weights are the variants' own residual variances has the same errors."""
    import statsmodels.api as sm

    given = trial(np.random.default_rng(k), 60, 90, k)
    model = lin(*given)
    found = adjusted(*given)
    residuals = model.fit().resid
    sizes = (60, 90)
    ends = (residuals[:60], residuals[60:])
    scale = np.repeat([float(e @ e) / (n - k - 1) for e, n in zip(ends, sizes, strict=True)], sizes)
    weighted = sm.WLS(model.endog, model.exog, weights=1 / scale).fit()
    covariance = np.linalg.inv(model.exog.T @ (model.exog / scale[:, None]))
    assert found.difference.value == pytest.approx(weighted.params[1], rel=1e-9)
    assert found.difference.se == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-9)
    # HC2 says nearly the same: leverages are about (k + 1) / n.
    assert found.difference.se == pytest.approx(model.fit(cov_type="HC2").bse[1], rel=0.02 * (k + 1))
    assert len(found.theta) == k
    assert 0 < found.variance_reduction < 1


def test_one_slope_for_both_variants_is_the_analysis_of_covariance() -> None:
    import statsmodels.api as sm

    y0, x0, y1, x1 = trial(np.random.default_rng(9), 40, 55, 2)
    x = np.column_stack([np.r_[a, b] for a, b in zip(x0, x1, strict=True)])
    variant = np.r_[np.zeros(40), np.ones(55)]
    fit = sm.OLS(np.r_[y0, y1], np.column_stack([np.ones(95), variant, x])).fit()
    found = adjusted(y0, x0, y1, x1, theta="pooled")
    assert found.difference.value == pytest.approx(fit.params[1], rel=1e-9)
    assert found.theta == pytest.approx(tuple(fit.params[2:]), rel=1e-9)


def test_with_many_units_hc2_and_moments_are_the_same() -> None:
    given = trial(np.random.default_rng(4), 20_000, 30_000, 2)
    exact = stats.adjusted_difference(given[0], given[1], given[2], given[3])
    assert adjusted(*given).difference.se == pytest.approx(exact.se, rel=0.01)


def test_a_ratio_is_adjusted_by_a_ratio(rng: np.random.Generator) -> None:
    """The delta method on both ratios: the units' linearised values, adjusted like means."""
    sides = []
    for n, effect in ((300, 0.0), (350, 0.1)):
        level = rng.normal(2, 0.5, size=n)
        before, after = rng.integers(1, 9, size=(2, n))
        sides.append((rng.poisson(np.exp(effect + level / 2) * after), after, rng.poisson(level**2 * before), before))
    found = stats.compare(_of_measures(sides), adjust=True)
    linear = []
    for s, n, u, m in sides:
        ratio, past = s.sum() / n.sum(), u.sum() / m.sum()
        linear.append((ratio + (s - ratio * n) / n.mean(), past + (u - past * m) / m.mean()))
    by_hand = adjusted(linear[0][0], [linear[0][1]], linear[1][0], [linear[1][1]])
    assert found.difference.value == pytest.approx(by_hand.difference.value, rel=0.02)  # the past's mean: by requests
    assert found.difference.se == pytest.approx(by_hand.difference.se, rel=1e-3)
    assert found.difference.se < 0.95 * stats.compare(_of_measures(sides)).difference.se


def _of_measures(sides: list[tuple[Any, ...]]) -> stats.TwoSamples:
    control, treatment = (joint_moments(*side) for side in sides)
    return stats.TwoSamples(control, treatment, int(sides[0][1].sum()), int(sides[1][1].sum()))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20131212)


def test_the_lift_of_an_adjusted_effect_has_the_error_that_repeating_finds(rng: np.random.Generator) -> None:
    """Its numerator is adjusted, its denominator is not, and the two depend on each other."""
    lifts, errors, values = [], [], []
    for _ in range(3000):
        x0, x1 = rng.normal(2, 1, size=(2, 60))
        found = adjusted(3 * x0 + rng.normal(size=60), [x0], 1.5 + 3 * x1 + rng.normal(size=60), [x1])
        lifts.append(found.lift.value)
        errors.append(found.lift.se)
        values.append(found.difference.se / abs(found.control.value))
    assert np.mean(errors) == pytest.approx(np.std(lifts), rel=0.05)
    assert abs(np.mean(values) / np.std(lifts) - 1) > 0.05  # the difference's error over the control mean is another


def test_clusters_are_adjusted_too(rng: np.random.Generator) -> None:
    lifted, errors, raw = [], [], []
    for _ in range(400):
        cluster = np.repeat(np.arange(80), rng.integers(2, 9, size=80))
        variant = rng.integers(0, 2, size=cluster.size)
        known = rng.normal(size=80)[cluster] + 0.3 * rng.normal(size=cluster.size)
        value = 5 + 2 * known + rng.normal(size=cluster.size) + rng.normal(size=80)[cluster]
        samples = clustered_samples(value, variant, cluster, covariate=known)
        found = stats.compare(samples, adjust=True)
        lifted.append(found.difference.value)
        errors.append(found.difference.se)
        raw.append(stats.compare(samples).difference.se)
    assert np.mean(lifted) == pytest.approx(0, abs=4 * np.std(lifted) / 20)
    assert np.mean(errors) == pytest.approx(np.std(lifted), rel=0.12)
    assert np.mean(errors) < 0.9 * np.mean(raw)


def test_missing_covariates_take_the_mean_and_an_indicator(rng: np.random.Generator) -> None:
    import statsmodels.api as sm

    y0, x0, y1, x1 = trial(rng, 80, 90, 1)
    gone0, gone1 = rng.random(80) < 0.3, rng.random(90) < 0.2
    # Those without a past are others than those with one.
    y0, y1 = y0 + 3 * gone0, y1 + 3 * gone1
    sides = [np.where(gone, np.nan, x[0]) for gone, x in ((gone0, x0), (gone1, x1))]
    found = adjusted(y0, [sides[0]], y1, [sides[1]])
    assert found.missing == ((gone0.sum(), gone1.sum()),)
    assert found.reason == ""
    pooled = np.nanmean(np.concatenate(sides))
    filled = np.nan_to_num(np.concatenate(sides), nan=pooled)
    gone = np.r_[gone0, gone1].astype(float)
    variant = np.r_[np.zeros(80), np.ones(90)]
    columns = np.column_stack([filled - filled.mean(), gone - gone.mean()])
    design = np.column_stack([np.ones(170), variant, columns, variant[:, None] * columns])
    assert found.difference.value == pytest.approx(sm.OLS(np.r_[y0, y1], design).fit().params[1], rel=1e-9)
    without = adjusted(y0, [np.nan_to_num(sides[0], nan=pooled)], y1, [np.nan_to_num(sides[1], nan=pooled)])
    assert found.difference.se < without.difference.se


def test_a_covariate_that_says_nothing_new_is_left_out(rng: np.random.Generator) -> None:
    y0, x0, y1, x1 = trial(rng, 40, 50, 2)
    both = adjusted(y0, [*x0, x0[0] - 2 * x0[1]], y1, [*x1, x1[0] - 2 * x1[1]])
    two = adjusted(y0, x0, y1, x1)
    assert both.reason == "covariate 3 left out: it does not vary in both variants, or others say the same"
    assert both.difference == pytest.approx(two.difference)
    assert both.theta == pytest.approx((*two.theta, 0.0))


def test_too_few_units_for_the_slopes_leave_the_difference_as_it_is(rng: np.random.Generator) -> None:
    y0, x0, y1, x1 = trial(rng, 6, 50, 3)
    found = adjusted(y0, x0, y1, x1)
    assert found.reason == "not adjusted: 3 slopes need 8 groups in each variant, there are 6 and 50"
    assert found.difference == stats.compare(stats.two_samples(y0, y1)).difference
    assert (found.theta, found.variance_reduction) == ((0.0,) * 3, 0.0)
    alone = stats.compare(stats.two_samples(y0, y1), adjust=True)
    assert (alone.reason, alone.theta) == ("not adjusted: there is no covariate", ())
    few = stats.adjusted_difference(y0[:4], [x[:4] for x in x0], y1, x1)
    assert few.reason == "3 slopes need 5 units in each variant, there are 4 and 50"


def test_what_cannot_be_fitted_or_told_says_so(rng: np.random.Generator) -> None:
    y0, x0, y1, x1 = trial(rng, 40, 50, 2)
    with pytest.raises(ArgumentError) as caught:
        stats.adjusted_difference(y0, x0, y1, x1[:1])
    assert str(caught.value) == "2 covariates in the control and 1 in the treatment"
    # A metric that does not vary has no variance that could be reduced.
    still = adjusted([3.0] * 40, x0, [4.0] * 50, x1)
    assert (still.difference.value, still.variance_reduction) == (1.0, None)
    assert still.difference.reason == "no interval and no test: the observations do not vary"
    # One that is its own covariate leaves nothing to vary.
    same = adjusted(x0[0], x0, x1[0], x1)
    assert same.difference.value == pytest.approx(0, abs=1e-12)
    assert same.variance_reduction == pytest.approx(1, abs=1e-12)


def test_covariates_of_another_unit_or_origin_change_nothing(rng: np.random.Generator) -> None:
    y0, x0, y1, x1 = trial(rng, 40, 50, 2)
    moved = [[1e6 + 250 * x[0], x[1] / 1000] for x in (x0, x1)]
    found, other = adjusted(y0, x0, y1, x1), adjusted(y0, moved[0], y1, moved[1])
    assert other.difference.value == pytest.approx(found.difference.value, rel=1e-8)
    assert other.difference.se == pytest.approx(found.difference.se, rel=1e-8)
    assert other.lift.ci_lower == pytest.approx(found.lift.ci_lower, rel=1e-7)


def test_the_three_definitions_of_the_slope_on_ten_units_a_variant() -> None:
    """Tea-tasting's and growthbook's numbers are those of one slope over everything, spotify's are no estimate's."""
    (y0, x0), (y1, x1) = CONTROL, TREATMENT
    own, pooled, total = (adjusted(y0, [x0], y1, [x1], theta=theta) for theta in ("within", "pooled", "total"))
    assert own.difference.value == pytest.approx(0.7, rel=1e-12)
    assert own.difference.se == pytest.approx(0.2737344618, rel=1e-9)
    assert stats.adjusted_difference(y0, [x0], y1, [x1]).se == pytest.approx(0.2982212223, rel=1e-9)
    assert pooled.difference.value == pytest.approx(0.7, rel=1e-12)
    assert total.difference.value == pytest.approx(0.6461538462, rel=1e-9)
    assert total.difference.se == pytest.approx(0.2532886912, rel=1e-9)
    assert total.theta == pytest.approx((1.353846154,), rel=1e-9)


@pytest.mark.parametrize("theta", ["within", "pooled", "total"])
def test_the_adjusted_difference_is_the_raw_one_less_the_covariates_part(theta: str, rng: np.random.Generator) -> None:
    y0, x0, y1, x1 = trial(rng, 40, 50, 2)
    found = adjusted(y0, x0, y1, x1, theta=theta)
    moved = sum(slope * (b.mean() - a.mean()) for slope, a, b in zip(found.theta, x0, x1, strict=True))
    assert found.difference.value == pytest.approx(y1.mean() - y0.mean() - moved, rel=1e-9)
