"""The promise about looks: planned ones keep alpha and lose little power, unplanned ones never pass alpha.

Seeded simulations, judged by their own binomial error. The first ones draw the score itself, which is what the bounds
are made for; the slow one draws units of a skewed metric, whose variance has to be estimated at each look.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit import stats

LOOKS = 14
ALPHA, POWER = 0.05, 0.8
PLANNED = [look / LOOKS for look in range(1, LOOKS + 1)]
FIXED_DRIFT = stats.critical_value(1 - ALPHA) + 0.8416212335729143
"""The effect that one look at the planned end finds with power 0.8, in standard errors there."""


def paths(runs: int, fractions: list[float], drift: float, seed: int) -> np.ndarray:
    """Z of Brownian motion with a drift: one row per run, one column per look."""
    t = np.array(fractions)
    steps = np.diff(t, prepend=0.0)
    score = np.cumsum(np.random.default_rng(seed).normal(drift * steps, np.sqrt(steps), size=(runs, t.size)), axis=1)
    return score / np.sqrt(t)


def error(share: float, runs: int) -> float:
    """Four binomial standard errors."""
    return 4 * math.sqrt(share * (1 - share) / runs)


@pytest.mark.parametrize("spending", stats.SPENDING)
def test_planned_looks_keep_alpha(spending: str) -> None:
    runs = 40_000
    bounds = stats.boundary(PLANNED, alpha=ALPHA, spending=spending)
    crossed = (np.abs(paths(runs, PLANNED, 0.0, seed=1)) >= bounds.z).any(axis=1).mean()
    assert abs(crossed - ALPHA) <= error(ALPHA, runs)


def test_14_planned_looks_keep_78_of_80_points_of_power_and_all_with_the_sample_they_ask_for() -> None:
    runs = 40_000
    bounds = stats.boundary(PLANNED, alpha=ALPHA)
    same_sample = stats.crossing_probability(bounds, FIXED_DRIFT).power
    assert same_sample > 0.78
    found = (paths(runs, PLANNED, FIXED_DRIFT, seed=2) >= bounds.z).any(axis=1).mean()
    assert abs(found - same_sample) <= error(POWER, runs)
    more = stats.inflation(PLANNED, alpha=ALPHA, power=POWER)
    assert 1 < more < 1.05
    found = (paths(runs, PLANNED, FIXED_DRIFT * math.sqrt(more), seed=3) >= bounds.z).any(axis=1).mean()
    assert abs(found - POWER) <= error(POWER, runs)


def test_alpha_is_kept_whatever_the_traffic_does() -> None:
    # A look's information is known when it is taken; here it follows days off, a flood, and an end that comes short.
    runs = 40_000
    for fractions in ([0.05, 0.05, 0.4, 0.42, 0.9], [0.3, 0.7, 1.2], [0.1, 0.2, 0.3], [0.6, 1.1, 1.4]):
        bounds = stats.boundary(fractions, alpha=ALPHA, spending="pocock")
        # Stalled looks see the same Z again.
        z = paths(runs, sorted(set(fractions)), 0.0, seed=4)
        z = z[:, [sorted(set(fractions)).index(fraction) for fraction in fractions]]
        crossed = (np.abs(z) >= bounds.z).any(axis=1).mean()
        assert abs(crossed - ALPHA) <= error(ALPHA, runs), fractions


def test_looking_at_every_unit_never_passes_alpha_with_a_sequence_and_does_with_a_fixed_interval() -> None:
    runs, n = 4_000, 3_000
    rng = np.random.default_rng(5)
    sums = np.cumsum(rng.normal(size=(runs, n)), axis=1)
    counts = np.arange(1, n + 1)
    z = np.abs(sums) / np.sqrt(counts)
    reach = np.array([stats.always_valid_reach(count, alpha=ALPHA, tune_n=1000) for count in counts.tolist()])
    assert (z >= reach).any(axis=1).mean() <= ALPHA
    assert (z >= stats.critical_value(1 - ALPHA)).any(axis=1).mean() > 0.5
    # The p-value says the same, and its smallest so far too.
    lowest = min(
        stats.always_valid_p(float(z[0, at]), int(counts[at]), alpha=ALPHA, tune_n=1000) for at in range(0, n, 10)
    )
    assert (lowest <= ALPHA) == bool((z[0, ::10] >= reach[::10]).any())


def test_the_sequential_sample_ratio_never_passes_alpha_and_finds_a_loss() -> None:
    runs, days = 2_000, 60
    rng = np.random.default_rng(7)
    arrived = rng.poisson(500, size=(runs, days))
    fair = np.cumsum(rng.binomial(arrived, 0.5), axis=1)
    total = np.cumsum(arrived, axis=1)

    def ever(ours: np.ndarray, units: np.ndarray) -> bool:
        rows = zip(ours.tolist(), units.tolist(), strict=True)
        return any(stats.sequential_sample_ratio([a, n - a], [1, 1]).p_value <= ALPHA for a, n in rows)

    assert np.mean([ever(a, n) for a, n in zip(fair, total, strict=True)]) <= ALPHA
    lost = np.cumsum(rng.binomial(arrived[:200], 0.48), axis=1)
    assert np.mean([ever(a, n) for a, n in zip(lost, total[:200], strict=True)]) > 0.95


def skewed_z(runs: int, lift: float, rng: np.random.Generator) -> np.ndarray:
    """The statistic at 14 daily looks for 100 units a day and variant of an exponential metric; one row per run."""
    days, units = LOOKS, 100
    parts = []
    for factor in (1.0, 1 + lift):
        values = factor * rng.standard_exponential(size=(runs, days, units))
        parts.append((values.sum(axis=2).cumsum(axis=1), np.square(values).sum(axis=2).cumsum(axis=1)))
    n = units * np.arange(1, days + 1)
    (s0, q0), (s1, q1) = parts
    variance = ((q0 - s0**2 / n) + (q1 - s1**2 / n)) / (n - 1) / n
    return (s1 - s0) / n / np.sqrt(variance)


@pytest.mark.slow
def test_14_daily_looks_at_units_of_a_skewed_metric() -> None:
    chunk, chunks = 2_000, 50
    rng = np.random.default_rng(8)
    planned = stats.boundary(PLANNED, alpha=ALPHA).z
    bounds = np.array([stats.studentized(z, 2 * (100 * day - 1)) for day, z in enumerate(planned, start=1)])
    units = 200 * np.arange(1, LOOKS + 1)
    reach = np.array([stats.always_valid_reach(n, alpha=ALPHA, tune_n=1400) for n in units.tolist()])
    # The lift whose statistic at the end has the mean that one look finds with power 0.8; sd and mean are the same.
    lift = 0.1
    for _ in range(50):
        lift = FIXED_DRIFT * math.sqrt((1 + (1 + lift) ** 2) / (LOOKS * 100))
    false, always, found = [], [], []
    for _ in range(chunks):
        z = skewed_z(chunk, 0.0, rng)
        false.append((np.abs(z) >= bounds).any(axis=1).mean())
        always.append((np.abs(z) >= reach).any(axis=1).mean())
        found.append((skewed_z(chunk, lift, rng) >= bounds).any(axis=1).mean())
    runs = chunk * chunks
    assert abs(np.mean(false) - ALPHA) <= error(ALPHA, runs)
    assert np.mean(always) <= ALPHA
    assert np.mean(found) >= 0.78
