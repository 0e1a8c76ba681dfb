from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from toolkit import stats
from toolkit.errors import ArgumentError

sides = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=2, max_size=25).filter(
    lambda pairs: sum(one for one, _ in pairs) and sum(other for _, other in pairs)
)


@given(pairs=sides)
def test_homogeneity_equals_scipy(pairs):
    reference, current = zip(*pairs, strict=True)
    found = stats.homogeneity(reference, current)
    table = np.array([pair for pair in pairs if sum(pair)]).T
    if table.shape[1] < 2:
        assert found.reason == "all observations lie in one cell"
        return
    plain = scipy_stats.chi2_contingency(table, correction=False)
    likelihood = scipy_stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    assert (found.chi2, found.df, found.p_value) == pytest.approx((plain.statistic, plain.dof, plain.pvalue), abs=1e-9)
    assert (found.g, found.g_p_value) == pytest.approx((likelihood.statistic, likelihood.pvalue), abs=1e-9)
    assert found.cramers_v == pytest.approx(scipy_stats.contingency.association(table), abs=1e-9)
    assert found.smallest_expected == pytest.approx(plain.expected_freq.min())


@given(
    values=st.tuples(
        st.lists(st.integers(-9, 9), min_size=1, max_size=60), st.lists(st.integers(-9, 9), min_size=1, max_size=60)
    ),
    edges=st.lists(st.integers(-9, 9), min_size=1, max_size=8, unique=True),
)
def test_the_bounds_from_bins_hold_the_distance_of_the_values(values, edges):
    cut = np.sort(edges)
    counts = [np.bincount(np.searchsorted(cut, side), minlength=cut.size + 1) for side in values]
    bounds = stats.ks_interval(*counts)
    distance = stats.ks(*values).distance
    assert bounds.lower - 1e-12 <= distance <= bounds.upper + 1e-12


def test_bins_of_one_value_leave_no_gap():
    counts = [4, 3, 3], [1, 3, 6]
    distance = stats.ks(np.repeat([1, 2, 3], counts[0]), np.repeat([1, 2, 3], counts[1])).distance
    every = stats.ks_interval(*counts, all_points=True)
    assert every == stats.ks_interval(*counts, points=[True] * 3)
    assert every.lower == every.upper == pytest.approx(distance)
    assert stats.ks_interval(*counts).upper > every.upper


def test_the_p_value_of_the_lower_bound_is_the_largest_that_the_values_may_have():
    random = np.random.default_rng(2)
    for shift in (0.0, 0.05, 0.2):
        first, second = random.standard_normal(2_000), shift + random.standard_normal(1_500)
        cut = np.quantile(first, np.linspace(0, 1, 21)[1:-1])
        counts = [np.bincount(np.searchsorted(cut, side), minlength=20) for side in (first, second)]
        exact = stats.ks_p(stats.ks(first, second).distance, 2_000, 1_500)
        assert exact <= stats.ks_p(stats.ks_interval(*counts).lower, 2_000, 1_500)


@given(pairs=sides, ordered=st.booleans())
def test_merging_keeps_every_observation_and_leaves_no_sparse_cell(pairs, ordered):
    reference, current = zip(*pairs, strict=True)
    merged = stats.merge_sparse(reference, current, ordered=ordered)
    assert (sum(merged.reference), sum(merged.current)) == (sum(reference), sum(current))
    places = [place for group in merged.groups for place in group]
    assert sorted(places) == [place for place, pair in enumerate(pairs) if sum(pair)]
    if ordered:
        assert places == sorted(places)
    smallest = stats.homogeneity(merged.reference, merged.current).smallest_expected
    assert len(merged.groups) == 1 or smallest >= 5 - 1e-9


def test_an_ordered_rest_goes_to_the_last_full_cell():
    assert stats.merge_sparse([9, 0], [1, 8], ordered=True).groups == ((0, 1),)
    assert stats.merge_sparse([9, 9, 9, 1], [9, 9, 9, 1], ordered=True).groups == ((0,), (1,), (2, 3))


def test_values_that_a_side_cannot_have_go_with_the_rare_ones():
    reference, current = [40, 40, 4, 4, 0], [38, 42, 4, 4, 20]
    assert stats.merge_sparse(reference, current, ordered=False).groups == ((0,), (1,), (4,), (2, 3))
    assert stats.merge_sparse(reference, current, ordered=False, rare=[4]).groups == ((0,), (1,), (2, 3, 4))


def test_what_is_merged_is_the_same_whichever_side_is_called_the_reference():
    reference, current = [90, 1, 20, 3, 0], [80, 3, 10, 9, 2]
    for ordered in (True, False):
        there = stats.merge_sparse(reference, current, ordered=ordered)
        back = stats.merge_sparse(current, reference, ordered=ordered)
        assert there.groups == back.groups


@pytest.mark.parametrize(("n0", "n1"), [(50, 50), (500, 50), (2_000, 2_000), (20_000, 200)])
def test_a_chi_square_over_merged_cells_keeps_its_error_rate(n0, n1):
    random = np.random.default_rng(n0 + n1)
    shares = 1 / np.arange(1, 41)
    tests = 1_500
    alarms = 0
    for pair in zip(*(random.multinomial(n, shares / shares.sum(), size=tests) for n in (n0, n1)), strict=True):
        merged = stats.merge_sparse(*pair, ordered=False)
        alarms += stats.homogeneity(merged.reference, merged.current).p_value <= 0.05
    assert 0.025 <= alarms / tests <= 0.08


def test_independent_rows_have_a_design_effect_of_one_and_days_of_their_own_level_a_large_one():
    random = np.random.default_rng(4)
    same = random.multinomial(1_000, [0.1] * 10, size=60)
    assert 1.0 <= stats.design_effect(same[:30], same[30:]) < 1.2
    own = [random.multinomial(1_000, random.dirichlet([10] * 10)) for _ in range(60)]
    # A Dirichlet of total weight 100 gives counts of 1,000 the variance of (1000 + 100) / (100 + 1) rows' each.
    assert stats.design_effect(own[:30], own[30:]) == pytest.approx(1100 / 101, rel=0.15)


@pytest.mark.parametrize("days", [[], [[3, 4]], [[0, 0], [0, 0]], [[5, 0], [7, 0]]])
def test_where_nothing_varies_between_days_the_design_effect_is_one(days):
    assert stats.design_effect(days) == 1.0


def test_few_expected_observations_are_tested_exactly():
    table = [[1, 899], [9, 892]]
    assert stats.shares_differ_p(1, 900, 9, 901) == pytest.approx(scipy_stats.fisher_exact(table).pvalue)
    assert stats.shares_differ_p(0, 900, 0, 901) == 1.0
    assert stats.shares_differ_p(900, 900, 901, 901) == 1.0
    assert stats.shares_differ_p(0, 0, 3, 901) is None


def test_shares_of_a_hundred_million_rows_are_compared():
    assert stats.shares_differ_p(0, 10**8, 1, 10**8) == 1.0
    assert stats.shares_differ_p(10**6, 10**8, 10**6 + 10**4, 10**8) < 1e-10


def test_what_cannot_be_tested_says_why():
    assert stats.ks([], [1.0]).reason == "no observations on one side: n0 == 0, n1 == 1"
    assert stats.homogeneity([0, 0], [1, 2]).reason == "no observations on one side: n0 == 0, n1 == 3"
    assert stats.homogeneity([5, 0], [7, 0]).reason == "all observations lie in one cell"
    assert stats.homogeneity([5, 0], [7, 0]).p_value is None


def test_where_counting_all_orders_fails_the_asymptotic_law_is_used():
    found = stats.ks([0] * 5, [0] * 4 + [1])
    assert (found.method, found.p_value) == ("asymptotic", pytest.approx(1.0))


def test_large_samples_are_tested_by_the_asymptotic_law():
    random = np.random.default_rng(6)
    first, second = random.standard_normal(1_001), random.standard_normal(500)
    found = stats.ks(first, second)
    assert found.method == "asymptotic"
    assert found.p_value == pytest.approx(scipy_stats.ks_2samp(first, second, method="asymp").pvalue)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stats.homogeneity([1.5, 2], [1, 2]), "reference holds 1.5, must hold whole numbers of at least 0"),
        (lambda: stats.ks_interval([1, 2], [1, 2], points=[True]), "lengths differ: points 1, reference 2"),
        (lambda: stats.ks_p(0.1, 0, 5), "n0 == 0, must be a number above 0"),
        (lambda: stats.shares_differ_p(5, 3, 1, 2), "x0 == 5, must be at most n0 == 3"),
    ],
)
def test_a_wrong_argument_says_what_is_right(make, message):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
