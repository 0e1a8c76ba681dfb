"""Pairs: against scipy and statsmodels, and by the exact error rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from clustered_samples import paired_samples
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

COUNT = st.integers(0, 400)


# --- differences ---


def test_the_difference_of_pairs_equals_scipy() -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(1)
    first = rng.normal(100, 30, 50)
    second = first + rng.normal(0.5, 1, 50)
    ours, theirs = stats.compare(paired_samples(first, second)).difference, ttest_rel(second, first)
    bounds = theirs.confidence_interval(0.95)
    assert (ours.p_value, ours.df) == (pytest.approx(theirs.pvalue, rel=1e-9), 49)
    assert (ours.ci_lower, ours.ci_upper) == pytest.approx((bounds.low, bounds.high), rel=1e-9)
    assert stats.compare(paired_samples(second, first)).difference.value == pytest.approx(-ours.value)


def test_clusters_of_pairs_equal_the_ratio_over_clusters() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(1, 30, 40)
    first = rng.poisson(3 * rows).astype(float)
    second = first + rng.poisson(0.4 * rows) - rng.poisson(0.3 * rows)
    ours = stats.compare(paired_samples(first, second, rows)).difference
    theirs = stats.ratio(second - first, rows, null=0)
    assert ours[:6] == pytest.approx(theirs[:6], rel=1e-9)
    assert (ours.n, ours.method) == (2 * rows.sum(), "cluster-robust difference")


def test_large_numbers_keep_their_differences() -> None:
    # Whole differences of numbers near 1e9: the mean and its error by hand.
    first = np.array([1e9 + 3, 1e9 + 50, 1e9 - 20, 1e9 + 7])
    found = stats.compare(paired_samples(first, first + np.array([1, 2, 4, 1]))).difference
    assert found.value == 2.0
    assert found.se == pytest.approx(math.sqrt(2 / 4), rel=1e-9)


def test_equal_differences_are_no_variation() -> None:
    first = np.array([0.1, 0.2, 0.7, 1.3])
    for apart in (0.0, 0.1):
        found = stats.compare(paired_samples(first, first + apart)).difference
        assert (found.value, found.se) == (pytest.approx(apart), 0.0)
        assert found.reason == "no interval and no test: the observations do not vary"


def test_too_few_pairs_give_a_reason() -> None:
    nobody = stats.compare(paired_samples([], [])).difference
    assert nobody.reason == "no observations in one group: n0 == 0, n1 == 0"
    cluster = stats.compare(paired_samples([2.0], [3.0], [2])).difference
    assert (cluster.value, cluster.n) == (0.5, 4)
    assert cluster.reason == "no interval and no test: too few clusters: 1, a variance needs 2"
    empty = stats.compare(paired_samples([0.0, 0.0], [0.0, 0.0], [0, 0])).difference
    assert (empty.status, empty.reason) == ("absent", "no observations in one group: n0 == 0, n1 == 0")


# --- disagreement ---


@given(COUNT, COUNT)
def test_mcnemar_equals_statsmodels_and_orders_its_p_values(only0: int, only1: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    found = stats.mcnemar(only0, only1)
    if only0 == only1 == 0:
        assert (found.p_value, found.p_exact) == (None, None)
        return
    theirs = mcnemar([[0, only0], [only1, 0]], exact=True)
    assert found.p_exact == pytest.approx(theirs.pvalue, rel=1e-9)
    assert 0 < found.p_value <= found.p_exact <= 1
    assert stats.mcnemar(only1, only0).p_value == found.p_value


def test_mid_p_is_the_published_one() -> None:
    # Fagerland, Lydersen & Laake (2013): airway hyper-responsiveness, 1 and 7 discordant pairs: 0.070 and 0.039.
    found = stats.mcnemar(1, 7)
    assert (found.p_exact, found.p_value) == pytest.approx((0.0703125, 0.0390625))


def test_mid_p_errs_as_often_as_alpha_says_and_no_more() -> None:
    from scipy.stats import binom

    for n in (6, 10, 25, 60, 200):
        counts = np.arange(n + 1)
        p_values = np.array([stats.mcnemar(int(k), int(n - k)).p_value for k in counts])
        rate = binom.pmf(counts, n, 0.5)[p_values < 0.05].sum()
        assert rate < 0.056


# --- agreement ---


@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=3, max_size=3))
def test_kappa_equals_statsmodels(table: list[list[int]]) -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    found = stats.agreement(table)
    if found.kappa.value is None:
        assert found.kappa.reason
        return
    with np.errstate(all="ignore"):
        theirs = cohens_kappa(np.array(table))
    assert found.kappa.value == pytest.approx(theirs.kappa, rel=1e-9, abs=1e-12)
    if found.kappa.ci_lower is not None:
        assert found.kappa.se == pytest.approx(theirs.std_kappa, rel=1e-6, abs=1e-9)
    if found.kappa.p_value is not None:
        assert found.kappa.p_value == pytest.approx(theirs.pvalue_two_sided, rel=1e-6, abs=1e-12)
    assert found.share.value == pytest.approx(np.trace(table) / np.sum(table))


def test_agreement_without_rows_or_with_one_answer_gives_a_reason() -> None:
    nobody = stats.agreement([[0, 0], [0, 0]])
    assert (nobody.n, nobody.share.reason, nobody.kappa.reason) == (0, "no observations", "no pairs")
    same = stats.agreement([[30, 0], [0, 0]])
    assert same.share.value == 1.0
    assert same.kappa.reason == ("no kappa: both give one and the same answer to every row, which chance would too")
    perfect = stats.agreement([[30, 0], [0, 10]]).kappa
    assert (perfect.value, perfect.ci_lower) == (1.0, None)
    assert perfect.p_value < 1e-8


WRONG = [
    (
        lambda: stats.agreement([[1, 2], [3]]),
        "table has rows of lengths [2, 1], must have as many rows as columns, 2 or more",
    ),
    (lambda: stats.agreement([[1]]), "table has rows of lengths [1], must have as many rows as columns, 2 or more"),
    (lambda: stats.mcnemar(1, 2.5), "only1 == 2.5, must be a whole number of at least 0"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
