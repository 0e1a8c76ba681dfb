"""Over many simulated experiments: lifts hold the truth as often as they say, and never contradict the difference.

`benchmarks/experiment_calibration.py` does the same beside three peers, with more experiments.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from clustered_samples import clustered_samples

from benchmarks.ways.comparing import read_rows
from benchmarks.ways.draws import SHAPES, Shape, draw_experiments, planned_lift
from toolkit import stats

ALPHA, LIFT = 0.05, 0.1
COVERAGE = (0.945, 0.960)


def contradicts(reading: Any) -> Any:
    """Where the ends of the lift, those of the difference and the p-value do not say the same of zero."""
    lift_lower, lift_upper, lower, upper, p, lift_p = reading.T
    found, told = (lower > 0) | (upper < 0), ~np.isnan(lift_lower)
    by_p = ~np.isnan(p) & (np.abs(p - ALPHA) > 1e-12) & (found != (p < ALPHA))
    by_lift = told & (found != ((lift_lower > 0) | (lift_upper < 0)))
    return by_p | by_lift | (told & ~np.isnan(p) & (p != lift_p))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_draws_are_what_they_say(shape: Shape) -> None:
    rows = draw_experiments(shape, 400, LIFT, 500, np.random.default_rng(1))
    control, treatment = (side[:, 1].mean() / side[:, 2].mean() for side in (rows[:, :6], rows[:, 6:]))
    assert control == pytest.approx(shape.mean, abs=5 * shape.sd / math.sqrt(200_000))
    assert (treatment - control) / abs(control) == pytest.approx(LIFT, abs=0.03)
    ratio = rows[:, 1] / rows[:, 2]
    variance = rows[:, 3] - 2 * ratio * rows[:, 5] + ratio**2 * rows[:, 4]
    assert np.sqrt((variance / rows[:, 2] ** 2).mean()) == pytest.approx(shape.sd, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("units", [50, 200])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_interval_of_the_lift_holds_the_truth(shape: Shape, units: int) -> None:
    draws = 10_000
    rng = np.random.default_rng((20130601, SHAPES.index(shape), units))
    reading = read_rows("toolkit", draw_experiments(shape, units, LIFT, draws, rng), shape.share)
    missed = (reading[:, 0] > LIFT) | (reading[:, 1] < LIFT)  # an interval without ends holds everything
    error = 3 * math.sqrt(0.95 * 0.05 / draws)
    assert COVERAGE[0] - error <= 1 - missed.mean() <= COVERAGE[1] + error
    assert not contradicts(reading).any()


@pytest.mark.slow
def test_a_hundred_thousand_experiments_never_contradict_themselves() -> None:
    """Twelve distributions, few and many units, no effect, a small one and one that is mostly found."""
    rng, experiments, found = np.random.default_rng(20131001), 0, 0
    for shape in SHAPES:
        for units in (5, 20, 50, 200):
            for lift in (0.0, LIFT, min(planned_lift(shape, units), 0.9)):
                rows = draw_experiments(shape, units, lift, 700, rng)
                reading = read_rows("toolkit", rows, shape.share)
                experiments += len(rows)
                found += int(contradicts(reading).sum())
    assert experiments >= 100_000
    assert found == 0


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_few_experiments_of_each_kind_never_contradict_themselves(shape: Shape) -> None:
    rng = np.random.default_rng((3, SHAPES.index(shape)))
    for lift in (0.0, min(planned_lift(shape, 50), 0.9)):
        reading = read_rows("toolkit", draw_experiments(shape, 50, lift, 200, rng), shape.share)
        assert not contradicts(reading).any()


@pytest.mark.slow
@pytest.mark.parametrize("adjust", [False, True])
def test_clusters_in_both_variants_hold_the_truth(adjust: bool) -> None:
    """40 clusters, each with rows in both variants, half of them in unequal shares; the truth is a lift of 10 %."""
    rng, held = np.random.default_rng(6), []
    for _ in range(4_000):
        cluster = np.repeat(np.arange(40), rng.integers(4, 20, size=40))
        variant = (rng.random(cluster.size) < np.where(cluster % 2, 0.5, 0.2)).astype(int)
        known = rng.normal(size=40)[cluster] + rng.normal(size=cluster.size)
        value = (5 + known + rng.normal(size=40)[cluster] + rng.normal(size=cluster.size)) + 0.5 * variant
        samples = clustered_samples(value, variant, cluster, covariate=known)
        lift = stats.compare(samples, adjust=adjust).lift
        held.append(lift.ci_lower <= 0.1 <= lift.ci_upper)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)  # 40 clusters are few for a sandwich


@pytest.mark.slow
@pytest.mark.parametrize("units", [20, 50, 200])
def test_adjusted_lifts_hold_the_truth(units: int) -> None:
    """Skewed values with a skewed past; slopes differ between the variants."""
    rng, held, errors = np.random.default_rng(7), [], []
    for _ in range(4_000):
        past0, past1 = rng.gamma(1.0, size=(2, units))
        y0, y1 = 1 + past0 + rng.gamma(1.0, size=units), 1.1 * (1 + past1 + rng.gamma(1.0, size=units))
        found = stats.compare(stats.two_samples(y0, y1, covariates0=[past0], covariates1=[past1]), adjust=True)
        held.append(found.lift.ci_lower <= 0.1 <= found.lift.ci_upper)
        errors.append(found.lift.excludes_zero == found.difference.excludes_zero == (found.p_value < ALPHA))
    assert COVERAGE[0] - 0.01 <= np.mean(held) <= COVERAGE[1] + 0.01
    assert all(errors)
