"""Lift at a share: by hand, against sorting, and what its interval promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit import stats

SIMULATIONS = 500
BAND = 4 * math.sqrt(stats.CONFIDENCE * (1 - stats.CONFIDENCE) / SIMULATIONS)
SHARE = 0.1


def from_rows(scores: np.ndarray, labels: np.ndarray, days: np.ndarray, share: float = SHARE) -> stats.Estimate:
    """The sums as an engine would form them; ties by the part of them that fits."""
    _, index, size = np.unique(-scores, return_inverse=True, return_counts=True)
    above = np.cumsum(size) - size
    part = np.clip((share * scores.size - above) / size, 0, 1)[index]
    middle = ((above + size / 2) / scores.size)[index]
    near = np.abs(middle - share) <= share * stats.NEAR
    by_day = [np.bincount(days, weights=column) for column in (np.ones(days.size), labels, part, part * labels)]
    return stats.lift_at_share(*by_day, share=share, near=float(near.sum()), near_positives=float(labels[near].sum()))


def day_rows(rng: np.random.Generator, days: int, per_day: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A day's level moves the scores and the labels of its rows."""
    day = np.repeat(np.arange(days), per_day)
    level = 0.4 * rng.normal(size=days)[day]
    scores = rng.normal(size=day.size) + level
    labels = rng.random(day.size) < 1 / (1 + np.exp(2 - scores - level))
    return scores, labels.astype(float), day


def test_without_ties_it_is_the_rate_among_the_highest_over_the_rate_of_all() -> None:
    scores, labels, days = day_rows(np.random.default_rng(41), 20, 100)
    highest = np.argsort(-scores)[:200]
    assert from_rows(scores, labels, days).value == pytest.approx(labels[highest].mean() / labels.mean(), rel=1e-12)


def test_ties_count_by_the_expectation_over_their_order() -> None:
    rng = np.random.default_rng(42)
    scores, labels, days = day_rows(rng, 10, 30)
    scores = np.round(scores)
    drawn = []
    for _ in range(4000):
        highest = np.lexsort([rng.random(scores.size), -scores])[:30]
        drawn.append(labels[highest].mean() / labels.mean())
    assert from_rows(scores, labels, days).value == pytest.approx(
        np.mean(drawn), abs=4 * np.std(drawn) / math.sqrt(4000)
    )


def test_one_score_for_all_lifts_nothing() -> None:
    found = from_rows(np.full(300, 0.3), np.arange(300) % 3 == 0, np.arange(300) % 10)
    assert found.value == pytest.approx(1.0, rel=1e-12)


def test_the_interval_covers_where_rows_of_a_day_depend_on_each_other() -> None:
    rng = np.random.default_rng(43)
    truth = from_rows(*day_rows(rng, 20_000, 50)).value
    found = [from_rows(*day_rows(rng, 60, 60)) for _ in range(SIMULATIONS)]
    covered = float(np.mean([e.ci_lower <= truth <= e.ci_upper for e in found]))
    assert abs(covered - stats.CONFIDENCE) <= BAND, covered
    # The standard error is the spread of repeated samples, which 500 of them give to within 3 %.
    spread = float(np.std([e.value for e in found]))
    assert float(np.mean([e.se for e in found])) == pytest.approx(spread, rel=0.1)


def test_no_rows_and_no_positives_give_a_reason() -> None:
    nothing = stats.lift_at_share([], [], [], [], share=0.1, near=0, near_positives=0)
    assert (nothing.status, nothing.reason) == ("absent", "no request has a score and a label")
    nobody = stats.lift_at_share([10, 10], [0, 0], [1, 1], [0, 0], share=0.1, near=1, near_positives=0)
    assert (nobody.status, nobody.reason, nobody.n) == ("absent", "no positives among 20 requests", 20)
    one_day = stats.lift_at_share([20], [4], [2], [1], share=0.1, near=2, near_positives=1)
    assert (one_day.value, one_day.reason) == (2.5, "no interval: too few clusters: 1, a variance needs 2")
