"""Two independent methods agree: each estimator against another library, a bootstrap or a root finder."""

from __future__ import annotations

import math

import numpy as np
import pytest
from clustered_samples import paired_samples

from toolkit import stats

RNG_SEED = 7
TIGHT = 1e-10


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(RNG_SEED)


def clustered_rows(rng: np.random.Generator, clusters: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that share an effect of their cluster, in two variants that straddle: cluster, variant, value."""
    cluster = np.repeat(np.arange(clusters), rng.integers(2, 12, size=clusters))
    variant = rng.integers(0, 2, size=cluster.size)
    value = rng.normal(size=clusters)[cluster] + rng.normal(size=cluster.size) + 0.3 * variant + 2
    return cluster, variant, value


def test_welch_equals_scipy(rng: np.random.Generator) -> None:
    from scipy.stats import ttest_ind

    a, b = rng.normal(3, 1, size=40), rng.exponential(3.5, size=25)
    ours = stats.welch(*stats.moments(a), *stats.moments(b))
    theirs = ttest_ind(b, a, equal_var=False)
    bounds = theirs.confidence_interval(0.95)
    assert (ours.p_value, ours.df) == pytest.approx((theirs.pvalue, theirs.df), rel=TIGHT)
    assert (ours.ci_lower, ours.ci_upper) == pytest.approx((bounds.low, bounds.high), rel=TIGHT)


def test_mean_equals_scipy(rng: np.random.Generator) -> None:
    from scipy.stats import ttest_1samp

    values = rng.normal(0.4, 1, size=17)
    ours = stats.mean(*stats.moments(values), null=0.1, confidence=0.9)
    theirs = ttest_1samp(values, 0.1)
    bounds = theirs.confidence_interval(0.9)
    assert (ours.p_value, ours.ci_lower, ours.ci_upper) == pytest.approx(
        (theirs.pvalue, bounds.low, bounds.high), rel=TIGHT
    )


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (3, 200), (199, 200), (50, 100)])
def test_proportion_equals_statsmodels(successes: int, n: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    ours = stats.proportion(successes, n, confidence=0.9)
    assert (ours.ci_lower, ours.ci_upper) == pytest.approx(
        proportion_confint(successes, n, alpha=0.1, method="wilson"), abs=1e-12
    )


@pytest.mark.parametrize(
    "counts", [(48, 80, 56, 70), (0, 20, 0, 30), (10, 10, 0, 12), (1, 2000, 9, 2100), (5, 9, 5, 9)]
)
def test_difference_of_proportions_equals_statsmodels(counts: tuple[int, int, int, int]) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    x0, n0, x1, n1 = counts
    ours = stats.difference_of_proportions(*counts)
    bounds = confint_proportions_2indep(x1, n1, x0, n0, method="newcomb", compare="diff")
    assert (ours.ci_lower, ours.ci_upper) == pytest.approx(bounds, abs=1e-12)
    if 0 < x0 + x1 < n0 + n1:
        assert ours.p_value == pytest.approx(proportions_ztest([x1, x0], [n1, n0])[1], rel=TIGHT)


def test_fieller_equals_the_inverted_test(rng: np.random.Generator) -> None:
    """The bounds are where the t test of "mean1 - mean0 = lift · |mean0|" changes its mind."""
    from scipy.optimize import brentq
    from scipy.stats import t as student

    for sign in (1, -1):
        a, b = sign * rng.normal(2, 1.5, size=30), sign * rng.normal(3, 2, size=45)
        lift = stats.relative_lift(*stats.moments(a), *stats.moments(b))
        size, reach = abs(a.mean()), student.ppf(0.975, lift.df)

        def excess(theta: float, a: np.ndarray = a, b: np.ndarray = b, reach: float = reach) -> float:
            # mean1 - (1 ± theta) · mean0 as a contrast of the two independent means.
            weight = 1 + theta * np.sign(a.mean())
            contrast = b.mean() - weight * a.mean()
            return abs(contrast) - reach * math.sqrt(b.var(ddof=1) / b.size + weight**2 * a.var(ddof=1) / a.size)

        assert lift.value == pytest.approx((b.mean() - a.mean()) / size, rel=TIGHT)
        lower = brentq(excess, lift.value - 5, lift.value, xtol=1e-13)
        upper = brentq(excess, lift.value, lift.value + 50, xtol=1e-13)
        assert (lift.ci_lower, lift.ci_upper) == pytest.approx((lower, upper), rel=1e-9)


def test_lift_of_pairs_counts_their_covariance(rng: np.random.Generator) -> None:
    """Its test is the paired t test."""
    from scipy.stats import ttest_rel

    a = rng.normal(5, 1, size=30)
    b = a + rng.normal(0.2, 0.5, size=30)
    lift = stats.compare(paired_samples(a, b)).lift
    assert lift.p_value == pytest.approx(ttest_rel(b, a).pvalue, rel=1e-8)
    assert lift.df == 29


def test_delta_se_of_lift_equals_a_bootstrap(rng: np.random.Generator) -> None:
    a, b = rng.normal(10, 3, size=300), rng.normal(11, 3, size=200)
    lift = stats.relative_lift(*stats.moments(a), *stats.moments(b))
    draws = 4000
    means0 = a[rng.integers(0, a.size, (draws, a.size))].mean(axis=1)
    means1 = b[rng.integers(0, b.size, (draws, b.size))].mean(axis=1)
    # A bootstrap standard error has a relative error of 1 / sqrt(2 draws) = 1.1 %; four of those.
    assert lift.se == pytest.approx(float((means1 / means0).std(ddof=1)), rel=4 / math.sqrt(2 * draws))


def test_clustered_ratio_equals_a_regression_with_clusters(rng: np.random.Generator) -> None:
    """On a constant alone statsmodels' factor G/(G-1) · (rows-1)/(rows-1) is G/(G-1), as ours."""
    import statsmodels.api as sm

    cluster, _, value = clustered_rows(rng)
    fit = sm.OLS(value, np.ones(value.size)).fit(cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True)
    ours = stats.ratio(np.bincount(cluster, weights=value), np.bincount(cluster))
    assert (ours.value, ours.se) == pytest.approx((fit.params[0], fit.bse[0]), rel=TIGHT)
    assert [ours.ci_lower, ours.ci_upper] == pytest.approx(list(fit.conf_int()[0]), rel=TIGHT)
    assert ours.df == cluster.max()


@pytest.mark.parametrize("decimals", [1, 6])
def test_auc_equals_scikit_learn(rng: np.random.Generator, decimals: int) -> None:
    from sklearn.metrics import roc_auc_score

    labels = rng.integers(0, 2, size=400)
    scores = np.round(rng.normal(size=400) + 0.7 * labels, decimals)
    assert stats.auc(scores, labels).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_delong_equals_the_double_sum_and_a_bootstrap(rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1], [90, 60])
    scores = np.round(rng.normal(size=150) + 1.0 * labels, 1)
    ours = stats.auc(scores, labels)

    above, below = scores[labels == 1], scores[labels == 0]
    kernel = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    by_pairs = kernel.mean(axis=1).var(ddof=1) / above.size + kernel.mean(axis=0).var(ddof=1) / below.size
    assert (ours.value, ours.se) == pytest.approx((kernel.mean(), math.sqrt(by_pairs)), rel=TIGHT)

    draws = 1500
    replicates = [
        kernel[np.ix_(rng.integers(0, above.size, above.size), rng.integers(0, below.size, below.size))].mean()
        for _ in range(draws)
    ]
    # 1 / sqrt(2 draws) = 1.8 % is the bootstrap's own error; the plug-in variance is 1/60 smaller besides.
    assert ours.se == pytest.approx(float(np.std(replicates)), rel=4 / math.sqrt(2 * draws) + 1 / 60)


def placements_by_cluster(
    scores: np.ndarray, labels: np.ndarray, cluster: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    above, below = scores[labels == 1], scores[labels == 0]
    kernel = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    size = cluster.max() + 1
    return (
        np.bincount(cluster[labels == 1], minlength=size),
        np.bincount(cluster[labels == 0], minlength=size),
        np.bincount(cluster[labels == 1], weights=kernel.mean(axis=1), minlength=size),
        np.bincount(cluster[labels == 0], weights=kernel.mean(axis=0), minlength=size),
    )


def test_auc_from_placements_equals_delong_when_every_row_is_a_cluster(rng: np.random.Generator) -> None:
    labels = np.repeat([0, 1], [500, 400])
    scores = np.round(rng.normal(size=900) + 0.8 * labels, 2)
    ours, plain = (
        stats.auc_from_placements(*placements_by_cluster(scores, labels, np.arange(900))),
        stats.auc(scores, labels),
    )
    assert ours.value == pytest.approx(plain.value, rel=TIGHT)
    # The two small-sample factors, 900/899 and n/(n-1) per class, differ by less than 1/400 in the variance.
    assert ours.se == pytest.approx(plain.se, rel=1 / 400)


def test_auc_from_placements_equals_the_jackknife_over_clusters(rng: np.random.Generator) -> None:
    """Leaving out one cluster at a time is another estimate of the same error."""
    days = 40
    cluster = np.repeat(np.arange(days), 25)
    level = rng.normal(size=days)[cluster]
    labels = (rng.random(cluster.size) < 1 / (1 + np.exp(-level))).astype(int)
    scores = 0.8 * labels + rng.normal(size=cluster.size) - 0.6 * level
    ours = stats.auc_from_placements(*placements_by_cluster(scores, labels, cluster))
    left_out = np.array([stats.auc(scores[cluster != day], labels[cluster != day]).value for day in range(days)])
    jackknife = math.sqrt((days - 1) / days * np.square(left_out - left_out.mean()).sum())
    # Both are first-order; they part at order 1 / days.
    assert ours.se == pytest.approx(jackknife, rel=2 / days)
    assert ours.se > 1.2 * stats.auc(scores, labels).se


def test_losses_equal_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    scores = rng.random(300)
    labels = (rng.random(300) < scores).astype(int)
    assert stats.log_loss(scores, labels).value == pytest.approx(log_loss(labels, scores), rel=TIGHT)
    assert stats.brier(scores, labels).value == pytest.approx(brier_score_loss(labels, scores), rel=TIGHT)


def test_brier_decomposition_adds_up_to_the_brier_score(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 5, size=500) / 5 + 0.1  # equal within a bin, as Murphy's identity asks
    labels = (rng.random(500) < scores**1.3).astype(int)
    parts = stats.brier_decomposition(*stats.bin_sums(scores, labels, bins=5))
    total = parts.reliability - parts.resolution + parts.uncertainty
    assert total == pytest.approx(stats.brier(scores, labels).value, rel=TIGHT)


def test_expected_calibration_error_equals_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.calibration import calibration_curve

    scores = rng.random(400)
    labels = (rng.random(400) < scores**2).astype(int)
    sums = stats.bin_sums(scores, labels, bins=10)
    observed, predicted = calibration_curve(labels, scores, n_bins=10)
    expected = np.average(np.abs(observed - predicted), weights=sums.n)
    assert stats.expected_calibration_error(*sums).value == pytest.approx(expected, rel=TIGHT)


def test_sample_ratio_equals_scipy() -> None:
    from scipy.stats import binomtest, chisquare

    large = stats.sample_ratio([5210, 4790, 2400], [2, 2, 1])
    expected = np.array([2, 2, 1]) / 5 * 12400
    theirs = chisquare([5210, 4790, 2400], expected)
    assert (large.chi2, large.p_value) == pytest.approx((theirs.statistic, theirs.pvalue), rel=TIGHT)
    small = stats.sample_ratio([300, 180], [3, 2])
    assert small.p_value == pytest.approx(binomtest(300, 480, 0.6).pvalue, rel=TIGHT)
    assert (small.method, large.method) == ("exact binomial", "chi-square")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("holm", "holm"),
        ("hochberg", "simes-hochberg"),
        ("benjamini-hochberg", "fdr_bh"),
        ("benjamini-yekutieli", "fdr_by"),
    ],
)
def test_adjusted_p_values_equal_statsmodels(rng: np.random.Generator, ours: str, theirs: str) -> None:
    from statsmodels.stats.multitest import multipletests

    p_values = list(rng.random(30) ** 3)
    assert stats.adjust_p(p_values, ours) == pytest.approx(multipletests(p_values, method=theirs)[1], rel=TIGHT)
