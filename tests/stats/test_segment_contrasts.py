from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from toolkit.errors import ArgumentError
from toolkit.stats import GroupSums, above_complement, above_rest, moments, rise_beyond_rest


def sums_of(*groups: np.ndarray) -> GroupSums:
    return GroupSums.of(
        [len(each) for each in groups],
        [each.sum() for each in groups],
        [np.square(each).sum() for each in groups],
    )


def whole_of(*groups: np.ndarray) -> GroupSums:
    return sums_of(np.concatenate(groups))


@pytest.fixture
def losses() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.gamma(2, 0.1, size) + shift for size, shift in ((40, 0.0), (700, 0.05), (50, 0.2), (900, 0.06))]


def test_one_segment_is_scipys_welch(losses: list[np.ndarray]) -> None:
    segment, rest = losses[0], losses[1]
    found = above_complement(moments(segment), moments(rest))
    expected = scipy_stats.ttest_ind(segment, rest, equal_var=False, alternative="greater")
    assert (found.t, found.p_value, found.df) == pytest.approx((expected.statistic, expected.pvalue, expected.df))
    gap = (segment.mean() - rest.mean()) * np.sqrt(2) / np.sqrt(segment.var() + rest.var())
    assert found.effect_size == pytest.approx(gap)


def test_many_segments_are_welch_of_each(losses: list[np.ndarray]) -> None:
    segment, rest = losses[:2]
    found = above_rest(sums_of(segment, rest), whole_of(segment, rest))
    for at, (own, others) in enumerate(((segment, rest), (rest, segment))):
        expected = scipy_stats.ttest_ind(own, others, equal_var=False, alternative="greater")
        assert found.p_values[at] == pytest.approx(expected.pvalue, rel=1e-6)
        assert found.dfs[at] == pytest.approx(expected.df)
        assert found.scores[at] == pytest.approx(expected.statistic)


def test_a_rise_beyond_the_rest_by_hand(losses: list[np.ndarray]) -> None:
    then, rest_then, now, rest_now = losses
    found = rise_beyond_rest(sums_of(then), sums_of(now), whole_of(then, rest_then), whole_of(now, rest_now))
    value = (now.mean() - then.mean()) - (rest_now.mean() - rest_then.mean())
    parts = [each.var(ddof=1) / len(each) for each in losses]
    df = sum(parts) ** 2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, losses, strict=True))
    assert found.values[0] == pytest.approx(value)
    assert found.ses[0] == pytest.approx(np.sqrt(sum(parts)))
    assert found.dfs[0] == pytest.approx(df)
    assert found.p_values[0] == pytest.approx(scipy_stats.t.sf(value / np.sqrt(sum(parts)), df))


def test_what_cannot_be_tested_is_said_and_not_guessed() -> None:
    one, all_of_it = np.array([0.4]), np.array([0.4, 0.1, 0.2, 0.9])
    groups = sums_of(one, all_of_it, np.array([]))
    found = above_rest(groups, sums_of(all_of_it))
    assert found.tested.tolist() == [False, False, False]
    assert found.p_values.tolist() == [1.0, 1.0, 1.0]
    assert np.isfinite([*found.values, *found.ses, *found.dfs, *found.scores]).all()


def test_a_single_row_has_a_reason() -> None:
    found = above_complement(moments([0.4]), moments([0.1, 0.3]))
    assert (found.status, found.p_value) == ("absent", None)
    assert found.reason == "too few observations: n0 == 1, a variance needs 2"


def test_losses_that_do_not_vary_have_a_reason() -> None:
    found = above_complement(moments([1.0, 1.0, 1.0]), moments([0.0, 0.0]))
    assert (found.status, found.p_value) == ("absent", None)
    assert found.reason == "no interval and no test: the observations do not vary"


def test_sums_of_other_lengths_are_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        GroupSums.of([1, 2], [0.5], [0.25])
    assert str(caught.value) == "shapes differ: (2,), (1,), (1,)"


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30), st.lists(st.floats(0, 1), min_size=3, max_size=30))
def test_swapping_segment_and_rest_turns_the_sign(one: list[float], other: list[float]) -> None:
    first, second = np.array(one), np.array(other)
    found = above_rest(sums_of(first, second), whole_of(first, second))
    assert found.values[0] == pytest.approx(-found.values[1], abs=1e-9)
    assert found.tested[0] == found.tested[1]
    if found.tested[0]:
        assert found.p_values[0] + found.p_values[1] == pytest.approx(1.0, abs=1e-6)


def test_the_test_of_no_rise_calls_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    called = 0
    for _ in range(2000):
        then, rest_then, now, rest_now = (rng.exponential(0.2, size) for size in (60, 500, 80, 600))
        found = rise_beyond_rest(sums_of(then), sums_of(now), whole_of(then, rest_then), whole_of(now, rest_now))
        called += found.p_values[0] <= 0.05
    assert 0.03 <= called / 2000 <= 0.07


def test_widened_errors_have_the_widened_test(losses: list[np.ndarray]) -> None:
    segment, rest = losses[:2]
    plain = above_rest(sums_of(segment, rest, np.array([])), whole_of(segment, rest))
    found = plain.widened([2.0, np.inf, np.inf])
    assert found.ses[0] == pytest.approx(2 * plain.ses[0])
    assert found.p_values[0] == pytest.approx(scipy_stats.t.sf(plain.values[0] / found.ses[0], plain.dfs[0]))
    assert (found.scores[1], found.p_values[1]) == (0.0, 0.5)  # nothing is known
    assert (found.tested[2], found.p_values[2]) == (False, 1.0)
