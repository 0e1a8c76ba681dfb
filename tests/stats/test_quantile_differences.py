"""Differences of quantiles from three values a variant: against resampling and formulas, and where they cannot be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.stats.joint_moments import joint_moments

REACH = 1.96


def sampled(values: Any, units: Any, q: float) -> stats.QuantileSample:
    """What an engine reads of a variant's rows."""
    values, units = np.asarray(values, float), np.asarray(units)
    value = float(np.quantile(values, q))
    _, index = np.unique(units, return_inverse=True)
    below, rows = np.bincount(index, weights=values <= value), np.bincount(index)
    error = stats.share_error(joint_moments(below, rows))
    ends = [q - REACH * (error or 0), q + REACH * (error or 0)]
    low, high = (float(np.quantile(values, end)) if 0 <= end <= 1 else None for end in ends)
    return stats.QuantileSample(value, low, high, REACH, error, values.size, rows.size)


def skewed(rng: np.random.Generator, units: int, factor: float = 1.0) -> tuple[Any, Any]:
    """Rows of units that are slow or fast as a whole."""
    unit = np.repeat(np.arange(units), rng.integers(1, 8, size=units))
    return factor * np.exp(rng.normal(size=units)[unit] + 0.5 * rng.normal(size=unit.size)), unit


def test_independent_rows_have_the_textbook_error() -> None:
    """sqrt(q (1 - q) / n) / density, for an exponential."""
    rng = np.random.default_rng(1)
    n, q = 200_000, 0.9
    sides = [sampled(rng.exponential(size=n), np.arange(n), q) for _ in range(2)]
    found = stats.compare_quantiles(*sides, q)
    expected = math.sqrt(q * (1 - q) / n) / (1 - q)
    assert found.control.se == pytest.approx(expected, rel=0.08)  # the density is that between two values
    assert found.difference.se == pytest.approx(math.sqrt(2) * expected, rel=0.08)
    assert found.control.value == pytest.approx(-math.log(0.1), rel=0.01)


def test_units_make_the_error_larger_and_it_is_that_of_repeating() -> None:
    rng = np.random.default_rng(2)
    found, lifts = [], []
    for _ in range(400):
        effects = stats.compare_quantiles(sampled(*skewed(rng, 800), 0.9), sampled(*skewed(rng, 800, 1.1), 0.9), 0.9)
        found.append((effects.difference.value, effects.difference.se))
        lifts.append((effects.lift.value, effects.lift.se))
    for values, errors in (np.array(found).T, np.array(lifts).T):
        assert errors.mean() == pytest.approx(values.std(), rel=0.1)
    rows = skewed(rng, 800)[0]
    alone = sampled(rows, np.arange(rows.size), 0.9)
    assert (alone.share_se or 0) < 0.75 * (sampled(*skewed(rng, 800), 0.9).share_se or 0)


def test_intervals_hold_the_truth_and_agree_about_zero() -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(400):
        effects = stats.compare_quantiles(sampled(*skewed(rng, 300), 0.75), sampled(*skewed(rng, 300), 0.75), 0.75)
        difference, lift = effects.difference, effects.lift
        held.append(difference.ci_lower <= 0 <= difference.ci_upper)
        assert difference.excludes_zero == lift.excludes_zero == (effects.p_value < 0.05)
        assert difference.p_value == lift.p_value
    assert 0.95 - 4 * math.sqrt(0.05 * 0.95 / 400) <= np.mean(held) <= 1


def test_clusters_that_straddle_the_variants_take_what_they_share_out() -> None:
    rng = np.random.default_rng(4)
    values, cluster = skewed(rng, 400)
    variant = rng.integers(0, 2, size=values.size)
    q, sides, parts = 0.8, [], []
    for side in (0, 1):
        here = variant == side
        sides.append(sampled(values[here], cluster[here], q))
        below, rows = (
            np.bincount(cluster[here], weights=weights, minlength=400)
            for weights in (values[here] <= sides[-1].value, np.ones(here.sum()))
        )
        parts.append((below - below.sum() / rows.sum() * rows) / rows.sum())
    shared = 400 / 399 * float(parts[0] @ parts[1])
    assert shared > 0
    found = stats.compare_quantiles(*sides, q, share_covariance=shared, groups=400)
    apart = stats.compare_quantiles(*sides, q, groups=400)
    expected = apart.difference.se**2 - 2 * shared * np.prod(
        [(s.upper - s.lower) / 2 / REACH / s.share_se for s in sides]
    )
    assert found.difference.se == pytest.approx(math.sqrt(expected), rel=1e-9)
    assert (found.difference.df, found.control.method) == (399, "quantile, linear interpolation; woodruff, clusters")


def test_another_alpha_or_reach_reads_nothing_more() -> None:
    sides = (
        stats.QuantileSample(412, 391, 440, REACH, 0.0057, 60_000, 4_000),
        stats.QuantileSample(380, 366, 399, REACH, 0.0056, 61_000, 4_100),
    )
    usual, wide = (stats.compare_quantiles(*sides, 0.95, confidence=confidence) for confidence in (0.95, 0.99))
    assert usual.difference.se == wide.difference.se
    assert usual.difference.excludes_zero
    assert not wide.difference.excludes_zero
    far = stats.compare_quantiles(*sides, 0.95, critical=4.0)
    assert far.difference.ci_lower == pytest.approx(-32 - 4 * usual.difference.se)
    assert (far.p_value, far.difference.p_value) == (usual.p_value, None)


def test_as_few_rows_as_an_end_cannot_be_among_have_a_reason() -> None:
    """growthbook refuses n <= z² q / (1 - q); for units the share's own error says the same."""
    assert stats.fewest_rows(0.99) == pytest.approx(380.3044232, abs=1e-6)
    assert stats.fewest_rows(0.01) == pytest.approx(stats.fewest_rows(0.99))
    rng = np.random.default_rng(5)
    few, enough = (sampled(rng.exponential(size=n), np.arange(n), 0.99) for n in (375, 500))
    found = stats.compare_quantiles(few, enough, 0.99)
    assert found.difference.value == enough.value - few.value
    assert found.difference.reason == (
        "no interval and no test: with 375 values of 375 units quantile 0.99 may lie above the largest of them"
    )
    assert found.p_value is None
    assert found.treatment.ci_lower is not None
    low = stats.compare_quantiles(enough, sampled(rng.exponential(size=300), np.arange(300), 0.01), 0.01)
    assert "may lie below the smallest of them" in low.treatment.reason


def test_reasons() -> None:
    good = stats.QuantileSample(412, 391, 440, REACH, 0.0057, 60_000, 4_000)
    flat = stats.compare_quantiles(good, good._replace(lower=412, upper=412), 0.95).difference
    assert (flat.value, flat.reason) == (0.0, "no interval and no test: the values around the quantile are all equal")
    few = stats.compare_quantiles(good, good._replace(groups=4), 0.95)
    assert few.difference.reason == "no interval and no test: too few units: 4, a quantile's interval needs 5"
    assert few.lift.value == 0.0
    nobody = stats.compare_quantiles(good, stats.QuantileSample(None, None, None, REACH, None, 0, 0), 0.95)
    assert nobody.difference.reason == "no observations in one group: n0 == 60000, n1 == 0"
    assert nobody.lift.status == "absent"
    assert stats.share_error(joint_moments([1], [2])) is None


def test_what_cannot_be_is_refused() -> None:
    good = stats.QuantileSample(412, 391, 440, REACH, 0.0057, 60_000, 4_000)
    with pytest.raises(ArgumentError) as caught:
        stats.compare_quantiles(good, good, 0.95, share_covariance=1.0, groups=4_000)
    assert str(caught.value).startswith("share_covariance == 1.0, must be at most 3.249")
    with pytest.raises(ArgumentError, match="lower == 440 lies above upper == 391"):
        stats.compare_quantiles(good, good._replace(lower=440, upper=391), 0.95)
    with pytest.raises(ArgumentError, match="q == 1"):
        stats.compare_quantiles(good, good, 1)
