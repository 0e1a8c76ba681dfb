"""Pairs: against scipy, statsmodels and simulation; the score interval holds where the normal one does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.stats.joint_moments import joint_moments, merge_moments

COUNT = st.integers(0, 400)


def holds(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`given` without a deadline: the first call imports scipy, and no test here is about time."""
    return lambda test: settings(deadline=None)(given(*strategies)(test))


# --- differences ---


def test_the_difference_of_pairs_equals_scipy() -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(1)
    first = rng.normal(100, 30, 50)
    second = first + rng.normal(0.5, 1, 50)
    ours, theirs = stats.paired_difference(joint_moments(first, second)), ttest_rel(second, first)
    bounds = theirs.confidence_interval(0.95)
    assert (ours.p_value, ours.df) == (pytest.approx(theirs.pvalue, rel=1e-9), 49)
    assert (ours.ci_lower, ours.ci_upper) == pytest.approx((bounds.low, bounds.high), rel=1e-9)
    assert stats.paired_difference(joint_moments(second, first)).value == pytest.approx(-ours.value)


def test_clusters_of_pairs_equal_the_ratio_over_clusters() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(1, 30, 40)
    first = rng.poisson(3 * rows).astype(float)
    second = first + rng.poisson(0.4 * rows) - rng.poisson(0.3 * rows)
    parts = [joint_moments(first[:15], second[:15], rows[:15]), joint_moments(first[15:], second[15:], rows[15:])]
    ours = stats.paired_difference(merge_moments(*parts), rows=2)
    theirs = stats.ratio(second - first, rows, n=int(rows.sum()), null=0)
    assert ours[:7] == pytest.approx(theirs[:7], rel=1e-9)
    assert ours.method == "paired, cluster-robust"
    ones = stats.paired_difference(joint_moments(first, second, np.ones(40)), rows=2)
    assert ones[:7] == pytest.approx(stats.paired_difference(joint_moments(first, second))[:7], rel=1e-9)


def test_large_numbers_keep_their_differences() -> None:
    # Whole differences of numbers near 1e9: the mean and its error by hand.
    first = np.array([1e9 + 3, 1e9 + 50, 1e9 - 20, 1e9 + 7])
    found = stats.paired_difference(joint_moments(first, first + np.array([1, 2, 4, 1])))
    assert found.value == 2.0
    assert found.se == pytest.approx(math.sqrt(2 / 4), rel=1e-9)


def test_equal_differences_are_no_variation() -> None:
    first = np.array([0.1, 0.2, 0.7, 1.3])
    for apart in (0.0, 0.1):
        found = stats.paired_difference(joint_moments(first, first + apart))
        assert (found.value, found.se) == (pytest.approx(apart), 0.0)
        assert found.reason == "no interval and no test: the observations do not vary"


def test_too_few_pairs_give_a_reason() -> None:
    assert stats.paired_difference(joint_moments([], [])).reason == "no pairs"
    one = stats.paired_difference(joint_moments([2.0], [3.5]))
    assert (one.value, one.reason) == (1.5, "no interval and no test: too few pairs: 1, a variance needs 2")
    cluster = stats.paired_difference(joint_moments([2.0], [3.5], [3]), rows=2)
    assert (cluster.value, cluster.n) == (0.5, 3)
    assert cluster.reason == "no interval and no test: too few clusters: 1, a variance needs 2"
    empty = stats.paired_difference(joint_moments([0.0, 0.0], [0.0, 0.0], [0, 0]), rows=2)
    assert (empty.status, empty.reason) == ("absent", "no pairs: the clusters are empty")


# --- disagreement ---


@holds(COUNT, COUNT)
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


@holds(COUNT, COUNT, COUNT, COUNT)
def test_the_paired_difference_of_shares_is_sound_and_mirrored(a: int, b: int, c: int, d: int) -> None:
    found = stats.difference_of_paired_proportions(a, b, c, d)
    if a + b + c + d == 0:
        assert found.reason == "no pairs"
        return
    assert -1 <= found.ci_lower <= found.value <= found.ci_upper <= 1
    mirrored = stats.difference_of_paired_proportions(a, c, b, d)
    assert (mirrored.ci_lower, mirrored.ci_upper) == pytest.approx((-found.ci_upper, -found.ci_lower), abs=1e-12)
    flipped = stats.difference_of_paired_proportions(d, c, b, a)  # 0 for 1 and 1 for 0
    assert flipped[1:7] == pytest.approx(mirrored[1:7], abs=1e-12)
    first = np.repeat([1, 1, 0, 0], [a, b, c, d])
    second = np.repeat([1, 0, 1, 0], [a, b, c, d])
    by_pairs = stats.paired_difference(joint_moments(first, second))
    assert found.value == pytest.approx(by_pairs.value, abs=1e-12)
    if found.se and by_pairs.se:
        assert found.se == pytest.approx(by_pairs.se * math.sqrt((found.n - 1) / found.n), rel=1e-9)


def tango(only0: int, only1: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Tango's score interval (1998), by search: the other interval that is recommended for pairs."""
    from scipy import optimize

    reach, gap = stats.critical_value(confidence), (only1 - only0) / n

    def score(delta: float) -> float:
        # The likelihood's share of only0 where the difference is delta, a root of a quadratic.
        a, b = 2 * n, -only1 - only0 + (2 * n - only1 + only0) * delta
        share = (math.sqrt(b * b - 4 * a * (-only0 * delta * (1 - delta))) - b) / (2 * a)
        return (only1 - only0 - n * delta) / math.sqrt(n * (2 * share + delta * (1 - delta)))

    edge = 1 - 1e-9
    lower = optimize.brentq(lambda delta: score(delta) - reach, -edge, gap)
    return lower, optimize.brentq(lambda delta: score(delta) + reach, gap, edge)


@pytest.mark.parametrize("counts", [(36, 2, 12, 0), (20, 6, 12, 43), (2, 1, 7, 11), (400, 30, 55, 515)])
def test_the_interval_is_close_to_tangos(counts: tuple[int, int, int, int]) -> None:
    found = stats.difference_of_paired_proportions(*counts)
    width = found.ci_upper - found.ci_lower
    assert (found.ci_lower, found.ci_upper) == pytest.approx(tango(counts[1], counts[2], sum(counts)), abs=0.1 * width)


@pytest.mark.parametrize("cells", [(0.85, 0.02, 0.05, 0.08), (0.3, 0.1, 0.1, 0.5), (0.02, 0.03, 0.05, 0.9)])
def test_the_interval_holds_the_truth_as_often_as_it_says(cells: tuple[float, ...]) -> None:
    rng, runs = np.random.default_rng(3), 3000
    truth, held = cells[2] - cells[1], 0
    for counts in rng.multinomial(60, cells, runs):
        found = stats.difference_of_paired_proportions(*(int(count) for count in counts))
        held += found.ci_lower <= truth <= found.ci_upper
    assert held / runs > 0.94


def test_pairs_that_all_agree_have_an_interval_and_no_test() -> None:
    found = stats.difference_of_paired_proportions(12, 0, 0, 8)
    assert (found.value, found.se, found.p_value) == (0.0, None, None)
    assert found.ci_lower < 0 < found.ci_upper
    assert found.reason == "no test and no standard error: every pair is the same (the interval does not need one)"
    apart = stats.difference_of_paired_proportions(0, 0, 20, 0)
    assert (apart.value, apart.se, apart.ci_upper) == (1.0, None, 1.0)
    assert apart.p_value < 1e-5
    assert apart.reason == "no standard error: every pair is the same (the interval does not need one)"


# --- agreement ---


@holds(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=3, max_size=3))
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
    (
        lambda: stats.difference_of_paired_proportions(1, -1, 0, 0),
        "only0 == -1, must be a whole number of at least 0",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
