from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from toolkit import stats
from toolkit.errors import ArgumentError


def test_isotonic_shares_are_the_best_that_never_fall() -> None:
    """Against a least-squares search over all steps of a grid."""
    n, ones = np.array([5.0, 3.0, 4.0, 6.0]), np.array([2.0, 0.0, 3.0, 2.0])
    found = stats.isotonic_shares(n, ones)
    assert found.tolist() == pytest.approx([0.25, 0.25, 0.5, 0.5])
    grid = np.linspace(0, 1, 21)
    best = min(
        float((n * (ones / n - np.array([a, b, c, d])) ** 2).sum())
        for a in grid
        for b in grid[grid >= a]
        for c in grid[grid >= b]
        for d in grid[grid >= c]
    )
    assert float((n * (ones / n - found) ** 2).sum()) <= best + 1e-12


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1)), min_size=1, max_size=40))
def test_isotonic_shares_never_fall_and_keep_the_total(cells: list[tuple[int, float]]) -> None:
    n = np.array([size for size, _ in cells], dtype=float)
    ones = np.floor(n * np.array([share for _, share in cells]))
    if not n.sum():
        return
    found = stats.isotonic_shares(n, ones)
    assert (np.diff(found) >= -1e-12).all()
    assert float(found @ n) == pytest.approx(float(ones.sum()), abs=1e-9)


def test_isotonic_shares_of_nothing() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.isotonic_shares([0, 0], [0, 0])
    assert str(caught.value) == "n holds no rows, so that there is nothing to calibrate by; give labelled rows"


def rows(count: int = 4000, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(2, 5, count), 2).clip(0.01, 0.99)
    return score, (rng.random(count) < score).astype(float)


def performance(score: np.ndarray, positives: np.ndarray) -> stats.ScorePerformance:
    place = np.unique(score, return_inverse=True)[1]
    yes = (score >= 0.3).astype(float)
    return stats.score_performance(place, yes, np.ones(score.size), score**2, positives, score * positives)


def test_with_labels_it_is_the_realised_performance() -> None:
    score, label = rows()
    found, yes = performance(score, label), score >= 0.3
    hits = (yes & (label == 1)).sum()
    assert found.accuracy == pytest.approx((yes == (label == 1)).mean())
    assert found.f1 == pytest.approx(2 * hits / (yes.sum() + label.sum()))
    assert found.auc == pytest.approx(stats.auc(score, label).value, abs=1e-12)
    assert found.brier == pytest.approx(stats.brier(score, label).value, abs=1e-12)


def test_expected_labels_give_the_mean_over_labels_that_might_be() -> None:
    score, _ = rows(300)
    rng = np.random.default_rng(9)
    drawn = [performance(score, (rng.random(score.size) < score).astype(float)) for _ in range(3000)]
    expected = performance(score, score)
    for name in ("accuracy", "brier", "label_share", "auc", "f1"):
        values = np.array([getattr(each, name) for each in drawn])
        # What is no mean is expected to within the order of 1 / n.
        slack = 0.0 if name in {"accuracy", "brier", "label_share"} else 0.005
        assert abs(values.mean() - getattr(expected, name)) <= 4 * values.std() / 3000**0.5 + slack


def test_sampling_errors_are_the_spread_of_labels_that_might_be() -> None:
    score, _ = rows(300)
    rng = np.random.default_rng(9)
    drawn = [performance(score, (rng.random(score.size) < score).astype(float)) for _ in range(3000)]
    found = stats.sampling_errors((score >= 0.3).astype(float), np.ones(300), score, score**2, score)
    for name in ("accuracy", "brier", "label_share"):
        spread = np.std([getattr(each, name) for each in drawn])
        assert getattr(found, name) == pytest.approx(spread, rel=0.06)
    assert (found.f1, found.auc, found.average_precision) == (None, None, None)


def test_rows_without_a_decision_have_no_accuracy() -> None:
    found = stats.score_performance([0, 1], [-1, -1], [5, 5], [0.2, 3.2], [1, 4], [0.2, 3.2])
    assert (found.accuracy, found.f1) == (None, None)
    assert found.auc == 0.8


def test_no_rows_have_no_performance() -> None:
    assert stats.score_performance([], [], [], [], [], []) == (None,) * 6
    assert stats.sampling_errors([], [], [], [], []) == (None,) * 6


@pytest.mark.parametrize("count", [1, 7, 400])
def test_the_count_of_right_decisions_is_poisson_binomial(count: int) -> None:
    chances = np.random.default_rng(count).random(count)
    found, theirs = stats.correct_count(chances), scipy_stats.poisson_binom(chances)
    assert found.at_most == pytest.approx(theirs.cdf(np.arange(count + 1)), abs=1e-9)
    assert (found.mean, found.sd) == pytest.approx((theirs.mean(), theirs.std()))


def test_chances_are_probabilities() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.correct_count([0.5, 1.5])
    assert str(caught.value) == "chances holds 1.5, must hold probabilities between 0 and 1"


def test_a_level_is_reached_by_one_odds_ratio() -> None:
    share, n = np.array([0.0, 0.05, 0.3, 0.8, 1.0]), np.array([3, 40, 30, 20, 2])
    found = stats.with_level(share, n, 0.5)
    assert float(found @ n / n.sum()) == pytest.approx(0.5)
    inside = slice(1, 4)
    ratio = found[inside] / (1 - found[inside]) / (share[inside] / (1 - share[inside]))
    assert ratio == pytest.approx([ratio[0]] * 3)
    assert (found[0], found[-1]) == (0.0, 1.0)
    assert stats.with_level([0.2], [0], 0.5).tolist() == [0.2]


def test_weights_of_many_rows_are_those_of_each() -> None:
    each = stats.weighted_share([2.0] * 3 + [0.5] * 4, [1, 1, 1, 0, 0, 0, 0])
    assert stats.weighted_share([2.0, 0.5], [1, 0], n=[3, 4])[:2] == pytest.approx(each[:2])


def test_weights() -> None:
    assert stats.weighted_share([0.0], [1.0]) == (None, 0.0, "the weights sum to 0")
    with pytest.raises(ArgumentError) as caught:
        stats.weighted_share([-1.0, 2.0], [1.0, 1.0])
    assert str(caught.value) == "weights holds -1.0, must hold numbers of at least 0"


def test_an_estimate_without_a_past_is_absent() -> None:
    found = stats.from_misses(0.7, [0.1, 0.1], n=10)
    assert (found.value, found.status) == (None, "absent")
    assert found.reason == "there are 2 earlier windows to try the estimate on, it needs 3"


def test_an_estimate_is_never_surer_than_chance_lets_it_be() -> None:
    found = stats.from_misses(0.7, [0.0, 0.0, 0.0], n=100, least_se=0.05)
    assert found.se == 0.05
    assert stats.from_misses(0.7, [0.1] * 4, n=100, added_variance=0.03).se == pytest.approx(0.2)


def test_an_interval_of_misses_covers() -> None:
    """Normal misses, four of them: t with four degrees of freedom is exact. Binomial(4000): 3 sd are 0.0103."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(4000):
        *misses, truth = rng.normal(0, 0.05, 5)
        found = stats.from_misses(0.5, misses, n=100)
        assert found.ci_lower is not None
        assert found.ci_upper is not None
        covered += found.ci_lower <= 0.5 + truth <= found.ci_upper
    assert covered / 4000 == pytest.approx(0.95, abs=0.0103)


def test_a_last_miss_is_held_against_those_before() -> None:
    assert stats.stands_out([0.01, 0.02]).stands_out is None
    assert stats.stands_out([0.01, 0.02]).reason == "2 earlier windows are too few to know what is usual"
    assert stats.stands_out([0.01]).reason == "1 earlier window is too few to know what is usual"
    assert stats.stands_out([0.0, 0.0, 0.01]) == (None, stats.critical_value(0.95, df=2), True, "")
    assert stats.stands_out([0.0, 0.0, 0.0]).reason == "no window was off at all"
    assert stats.stands_out([0.0, 0.0, 0.01], least_se=0.01).stands_out is False
