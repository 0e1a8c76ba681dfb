"""Every interval covers the truth as often as it says: seeded simulations, judged by their own binomial error."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from clustered_samples import samples_of_sums

from toolkit import stats

SIMULATIONS = 1500
BAND = 4 * math.sqrt(stats.CONFIDENCE * (1 - stats.CONFIDENCE) / SIMULATIONS)
"""Four binomial standard errors of the simulated share: a correct method fails once in 16,000 seeds."""


def coverage(estimates: Iterable[stats.Estimate], truth: float) -> float:
    """The share of intervals that hold the truth; an unbounded side holds everything beyond."""
    held = [
        (e.ci_lower is None or e.ci_lower <= truth) and (e.ci_upper is None or truth <= e.ci_upper) for e in estimates
    ]
    assert len(held) == SIMULATIONS
    return float(np.mean(held))


def assert_nominal(share: float) -> None:
    assert abs(share - stats.CONFIDENCE) <= BAND, share


def moments_of(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return data.mean(axis=1), data.var(axis=1, ddof=1)


def test_wilson() -> None:
    counts = np.random.default_rng(1).binomial(200, 0.13, size=SIMULATIONS)
    assert_nominal(coverage((stats.proportion(int(x), 200) for x in counts), 0.13))


def test_newcombe() -> None:
    rng = np.random.default_rng(2)
    control, treatment = rng.binomial(150, 0.20, size=SIMULATIONS), rng.binomial(120, 0.32, size=SIMULATIONS)
    pairs = zip(control, treatment, strict=True)
    assert_nominal(coverage((stats.difference_of_proportions(int(a), 150, int(b), 120) for a, b in pairs), 0.12))


def test_welch() -> None:
    rng = np.random.default_rng(3)
    mean0, variance0 = moments_of(rng.normal(1, 1, size=(SIMULATIONS, 12)))
    mean1, variance1 = moments_of(rng.normal(2, 4, size=(SIMULATIONS, 30)))
    rows = zip(mean0, variance0, mean1, variance1, strict=True)
    assert_nominal(coverage((stats.welch(12, m0, v0, 30, m1, v1) for m0, v0, m1, v1 in rows), 1.0))


def test_fieller() -> None:
    rng = np.random.default_rng(4)
    mean0, variance0 = moments_of(rng.normal(1, 1.5, size=(SIMULATIONS, 40)))
    mean1, variance1 = moments_of(rng.normal(1.5, 2, size=(SIMULATIONS, 50)))
    rows = zip(mean0, variance0, mean1, variance1, strict=True)
    lifts = [stats.relative_lift(40, m0, v0, 50, m1, v1) for m0, v0, m1, v1 in rows]
    assert_nominal(coverage(lifts, 0.5))
    # With a control mean four standard errors from 0 the delta interval is lopsided: this is what Fieller is for.
    sides = np.array([(e.ci_upper - e.value) / (e.value - e.ci_lower) for e in lifts if e.ci_upper is not None])
    assert np.median(sides) > 1.5


def clustered(rng: np.random.Generator, clusters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums, sums of squares and counts per simulation and cluster; rows of a cluster share an effect (truth: 2)."""
    sizes = rng.integers(3, 10, size=(SIMULATIONS, clusters))
    rows = np.arange(9) < sizes[:, :, None]
    values = np.where(rows, 2 + rng.normal(size=(SIMULATIONS, clusters, 1)) + rng.normal(size=rows.shape), 0.0)
    return values.sum(axis=2), np.square(values).sum(axis=2), sizes


def test_cluster_ratio_covers_and_independent_rows_would_not() -> None:
    sums, squares, sizes = clustered(np.random.default_rng(5), clusters=60)
    assert_nominal(coverage((stats.ratio(s, n) for s, n in zip(sums, sizes, strict=True)), 2.0))
    n, total = sizes.sum(axis=1), sums.sum(axis=1)
    variances = (squares.sum(axis=1) - total**2 / n) / (n - 1)
    naive = (stats.mean(int(k), t / k, v) for k, t, v in zip(n, total, variances, strict=True))
    assert coverage(naive, 2.0) < stats.CONFIDENCE - 5 * BAND


def test_difference_of_cluster_ratios() -> None:
    rng = np.random.default_rng(6)
    sums0, _, sizes0 = clustered(rng, clusters=50)
    sums1, _, sizes1 = clustered(rng, clusters=40)
    quadruples = zip(sums0, sizes0, sums1, sizes1, strict=True)
    assert_nominal(coverage((stats.difference_of_ratios(*four) for four in quadruples), 0.0))


def test_clusters_that_straddle_the_variants() -> None:
    """Means 2 and 2.4, and a common effect per cluster."""
    rng, clusters, found = np.random.default_rng(8), 60, []
    for _ in range(SIMULATIONS):
        n = rng.integers(1, 7, size=(2, clusters))
        s = n * (np.array([[2.0], [2.4]]) + rng.normal(size=clusters)) + np.sqrt(n) * rng.normal(size=n.shape)
        found.append(stats.compare(samples_of_sums((s[0], n[0]), (s[1], n[1]))))
    assert_nominal(coverage((effects.difference for effects in found), 0.4))
    assert_nominal(coverage((effects.lift for effects in found), 0.2))


def day_clustered(rng: np.random.Generator, days: int, per_day: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels, one row per simulation; a day moves the share of positives and the scores together."""
    level = np.repeat(rng.normal(size=(SIMULATIONS, days)), per_day, axis=1)
    labels = rng.random(level.shape) < 1 / (1 + np.exp(-level))
    return 0.9 * labels - 0.7 * level + rng.normal(size=level.shape), labels


def placements(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """For each row the share of the other class that it lies on the right side of, without ties."""
    order = np.argsort(scores)
    ranked = labels[order]
    positives_below, negatives_below = np.cumsum(ranked), np.cumsum(~ranked)
    value = np.empty(scores.size)
    value[order] = np.where(ranked, negatives_below / negatives_below[-1], 1 - positives_below / positives_below[-1])
    return value


def test_day_clustered_auc_covers_and_delong_on_rows_would_not() -> None:
    days, per_day = 60, 15
    scores, labels = day_clustered(np.random.default_rng(9), days, per_day)
    large_scores, large_labels = day_clustered(np.random.default_rng(10), 400, 1)  # 600,000 rows in all
    truth = stats.auc(large_scores.ravel(), large_labels.ravel()).value

    day = np.repeat(np.arange(days), per_day)
    ours = []
    for score, label in zip(scores, labels, strict=True):
        share = placements(score, label)
        ours.append(
            stats.auc_from_placements(
                *(np.bincount(day[which], minlength=days) for which in (label, ~label)),
                *(np.bincount(day[which], weights=share[which], minlength=days) for which in (label, ~label)),
            )
        )
    assert_nominal(coverage(ours, truth))
    by_rows = (stats.auc(score, label) for score, label in zip(scores, labels, strict=True))
    assert coverage(by_rows, truth) < stats.CONFIDENCE - 3 * BAND


def test_delong_on_independent_rows() -> None:
    rng = np.random.default_rng(11)
    labels = np.repeat([False, True], [120, 80])
    scores = rng.normal(size=(SIMULATIONS, labels.size)) + labels
    truth = 0.5 * (1 + math.erf(0.5))  # Φ(1 / √2): two unit normals one apart
    assert_nominal(coverage((stats.auc(score, labels) for score in scores), truth))
