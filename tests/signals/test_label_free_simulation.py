"""Do the intervals hold what they promise, and does the panel see a base rate that moved? By simulated histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from toolkit.metrics.score_cells import ScoreCells
from toolkit.signals.label_free.assumptions import Drift, judge_assumptions
from toolkit.signals.label_free.basis import outside_share
from toolkit.signals.label_free.estimate import estimate_by_trials, spread_by_level
from toolkit.signals.label_free.powered import powered_estimate
from toolkit.signals.label_free.scores import (
    SCORES,
    Curve,
    calibrate,
    chance_errors,
    expected_performance,
    realised_performance,
)
from toolkit.signals.label_free.trials import Plan, try_earlier, within
from toolkit.windows import Window

BEGIN = datetime(2013, 3, 1, tzinfo=UTC)
LENGTH, CALIBRATION, WINDOWS, PER_DAY = 14, 28, 8, 60
HISTORY = Window(BEGIN, BEGIN + timedelta(days=CALIBRATION + LENGTH * WINDOWS))
NOW = Window(HISTORY.end, HISTORY.end + timedelta(days=LENGTH))
PLAN = Plan(timedelta(days=LENGTH), timedelta(0), timedelta(days=CALIBRATION))


def simulate(rng: np.random.Generator, *, wander: float = 0.0, step: float = 0.0) -> ScoreCells:
    """Every request a cell of its own; each fortnight the base rate moves by chance (`wander`).

    It moves by `step` with the last window that has labels.
    """
    days = np.repeat(np.arange((NOW.end - BEGIN).days), PER_DAY)
    fortnight = np.maximum(days - CALIBRATION, -1) // LENGTH + 1
    gaps = rng.normal(0, wander, fortnight.max() + 1) + step * (np.arange(fortnight.max() + 1) >= WINDOWS)
    score = rng.beta(2, 3, days.size)
    label = (rng.random(days.size) < np.clip(score + gaps[fortnight], 0, 1)).astype(float)
    place = np.floor(np.log(score / (1 - score)) / 0.1).clip(-100, 99) + 100
    one = np.ones(days.size)
    return ScoreCells(
        days + float(BEGIN.date().toordinal()),
        place,
        (score >= 0.5).astype(float),
        one,
        score,
        score**2,
        one,
        label,
        score,
        score**2,
        score * label,
        (label - score) ** 4,
    )


def look(cells: ScoreCells) -> tuple[bool, dict[str, bool]]:
    """Whether the panel holds, and by metric whether the interval covers what the labels of the window say."""
    curve, reference = (
        calibrate(within(cells, window)) for window in (PLAN.calibrating(NOW), Window(BEGIN, BEGIN + PLAN.calibration))
    )
    assert curve is not None
    assert reference is not None
    now, then = within(cells, NOW), within(cells, PLAN.calibrating(NOW))
    trials = try_earlier(SCORES, cells, NOW, PLAN, reference=reference, known_from=HISTORY)
    assert len(trials) == WINDOWS
    panel = judge_assumptions(
        SCORES, trials, outside=outside_share(now, curve), drift=Drift.of(now, then), labels_arrive=""
    )
    expected, chance, truth = expected_performance(now, curve), chance_errors(now, curve), realised_performance(now)
    spread = spread_by_level(SCORES, now, curve, trials)
    covered: dict[str, bool] = {}
    for quantity in SCORES.quantities:
        found = estimate_by_trials(quantity, expected, chance, trials, spread=spread, abstains="", n=now.requests)
        if found.ci_lower is not None and found.ci_upper is not None:
            covered[quantity.key] = found.ci_lower <= getattr(truth, quantity.key) <= found.ci_upper
    return all(line.holds for line in panel), covered


def run(runs: int, **options: Any) -> tuple[float, dict[str, float]]:
    """The share of histories in which it is published, and of these by metric how many are covered."""
    rng = np.random.default_rng(20240701)
    found = [look(simulate(rng, **options)) for _ in range(runs)]
    published = [covered for holds, covered in found if holds]
    shares = {
        key: float(np.mean([covered[key] for covered in published if key in covered] or [np.nan]))
        for key in (quantity.key for quantity in SCORES.quantities)
    }
    return len(published) / runs, shares


@pytest.mark.slow
@pytest.mark.parametrize("wander", [0.0, 0.05])
def test_published_intervals_cover(wander: float) -> None:
    """Whether the base rate stands still or wanders as it always has. Binomial(400, 0.95) is below 0.92 once in 100."""
    published, covered = run(400, wander=wander)
    assert published > 0.8
    assert min(covered.values()) >= 0.92, covered


@pytest.mark.slow
def test_a_base_rate_that_moved_is_abstained_from() -> None:
    published, _ = run(200, step=0.1)
    assert published <= 0.02


def test_a_base_rate_that_moved_is_abstained_from_at_once() -> None:
    published, _ = run(12, step=0.15)
    assert published == 0


def powered_run(labels: int, runs: int, *, slope: float, seed: int = 3) -> tuple[float, float]:
    """Coverage and mean width of the accuracy by so many random labels, where the calibration is wrong by `slope`."""
    rng = np.random.default_rng(seed)
    requests, covered, widths = 6000, [], []
    for _ in range(runs):
        score = rng.beta(2, 3, requests)
        label = (rng.random(requests) < score).astype(float)
        place = np.floor(np.log(score / (1 - score)) / 0.1).clip(-100, 99) + 100
        known = np.zeros(requests)
        known[rng.choice(requests, labels, replace=False)] = 1.0
        yes, day = (score >= 0.5).astype(float), rng.integers(0, 28, requests).astype(float)
        one = np.ones(requests)
        cells = ScoreCells(
            day,
            place,
            yes,
            one,
            score,
            score**2,
            known,
            known * label,
            known * score,
            known * score**2,
            known * score * label,
            known * (label - score) ** 4,
        )
        shares = np.clip(1 / (1 + np.exp(-(np.arange(200) - 99.5) * 0.1)) * slope, 0, 1)
        found = powered_estimate(SCORES, SCORES.quantities[0], cells, Curve(shares, 0, 199), refused="")
        assert found.ci_lower is not None
        assert found.ci_upper is not None
        covered.append(found.ci_lower <= float((yes == label).mean()) <= found.ci_upper)
        widths.append(found.ci_upper - found.ci_lower)
    return float(np.mean(covered)), float(np.mean(widths))


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_intervals_by_a_hundred_labels_cover_whatever_the_calibration_is_worth(slope: float) -> None:
    """Binomial(400, 0.95) is below 0.92 once in 100."""
    covered, _ = powered_run(100, 400, slope=slope)
    assert covered >= 0.92


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "slope"), [(100, 1.0), (300, 1.0), (1000, 1.0), (300, 0.5)])
def test_intervals_by_labels_cover(labels: int, slope: float) -> None:
    covered, width = powered_run(labels, 2000, slope=slope)
    assert 0.935 <= covered <= 0.985
    assert width <= 2.1 * (0.25 / labels) ** 0.5 * 2
