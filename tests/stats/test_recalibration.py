"""Calibration slope and intercept from sums of powers: the regression of statsmodels, and their promise."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from toolkit import stats
from toolkit.errors import ArgumentError

CASES = json.loads((Path(__file__).parents[1] / "reference" / "rank_cases.json").read_text(encoding="utf-8"))["cases"]
SIMULATIONS = 500
BAND = 4 * math.sqrt(stats.CONFIDENCE * (1 - stats.CONFIDENCE) / SIMULATIONS)


def from_rows(logits: np.ndarray, labels: np.ndarray, days: np.ndarray) -> stats.Recalibration:
    """The sums as an engine would form them, by day and cell."""
    cells, powers = stats.logit_powers(logits)
    keys, index = np.unique(np.stack([days, cells]), axis=1, return_inverse=True)
    columns = np.column_stack([powers, labels, labels * powers[:, 1]])
    sums = np.stack([np.bincount(index.ravel(), weights=column) for column in columns.T], axis=1)
    return stats.recalibration(keys[0], keys[1], sums[:, :-2], sums[:, -2], sums[:, -1])


def draw(
    rng: np.random.Generator, intercept: float, slope: float, rows: int, spread: float = 1.2, days: int = 30
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    logits = rng.normal(-0.5, spread, size=rows)
    labels = rng.random(rows) < 1 / (1 + np.exp(-(intercept + slope * logits)))
    return logits, labels.astype(float), rng.integers(0, days, size=rows)


def test_equals_the_reference() -> None:
    case = next(case for case in CASES if case["id"] == "cal-slope-01")
    scores, labels = np.array(case["inputs"]["p"]), np.array(case["inputs"]["y"], dtype=float)
    found = from_rows(np.log(scores / (1 - scores)), labels, np.arange(scores.size))
    assert found.slope.value == pytest.approx(case["expected"]["slope"], abs=case["tolerance"])
    assert found.intercept.value == pytest.approx(case["expected"]["intercept"], abs=case["tolerance"])


@pytest.mark.parametrize(
    ("intercept", "slope", "spread"), [(0, 1, 1.3), (0.3, 0.7, 4), (-2, 2, 0.3), (0, 0.1, 1), (1, 7.5, 0.4), (0, -3, 1)]
)
def test_equals_statsmodels_row_by_row(intercept: float, slope: float, spread: float) -> None:
    import statsmodels.api as sm

    logits, labels, days = draw(np.random.default_rng(31), intercept, slope, 20_000, spread)
    found = from_rows(logits, labels, days)
    model = sm.Logit(labels, sm.add_constant(logits))
    theirs = model.fit(disp=0, method="newton", maxiter=200, tol=1e-14)
    assert [e.value for e in found] == pytest.approx(list(theirs.params), rel=1e-9, abs=1e-9)
    clustered = model.fit(
        disp=0, method="newton", maxiter=200, tol=1e-14, cov_type="cluster", cov_kwds={"groups": days}
    )
    # Their factor is G/(G-1) · (rows-1)/(rows-2) for two coefficients; ours has G/(G-1) alone.
    factor = math.sqrt((labels.size - 1) / (labels.size - 2))
    assert [e.se * factor for e in found] == pytest.approx(list(clustered.bse), rel=1e-8)
    assert found.slope.df == 29


def test_intervals_cover_where_rows_of_a_day_depend_on_each_other() -> None:
    """A day's level is in no score. Averaging over it flattens the truth, which a large sample therefore gives."""
    rng = np.random.default_rng(32)

    def sample(days: int, per_day: int) -> stats.Recalibration:
        day = np.repeat(np.arange(days), per_day)
        logits = rng.normal(-0.5, 1.2, size=day.size)
        chance = 1 / (1 + np.exp(-(0.3 + 0.8 * logits + 0.5 * rng.normal(size=days)[day])))
        return from_rows(logits, (rng.random(day.size) < chance).astype(float), day)

    truth = sample(10_000, 40)
    found = [sample(60, 60) for _ in range(SIMULATIONS)]
    for name in ("intercept", "slope"):
        target = getattr(truth, name).value
        covered = np.mean([getattr(e, name).ci_lower <= target <= getattr(e, name).ci_upper for e in found])
        assert abs(covered - stats.CONFIDENCE) <= BAND, name


def test_sums_of_parts_are_those_of_the_whole() -> None:
    """Days split into halves and listed in any order: the same regression."""
    logits, labels, days = draw(np.random.default_rng(33), 0.2, 0.9, 3000)
    cells, powers = stats.logit_powers(logits)
    columns = days, cells, powers, labels, labels * powers[:, 1]
    whole, backwards = stats.recalibration(*columns), stats.recalibration(*(column[::-1] for column in columns))
    merged = from_rows(logits, labels, days)
    for name in ("intercept", "slope"):
        ours = getattr(merged, name)
        for other in (getattr(whole, name), getattr(backwards, name)):
            assert (ours.value, ours.se) == pytest.approx((other.value, other.se), rel=1e-10)


APART = "no slope within 8 is the most likely: the scores are all alike, or tell the labels apart"
ABSENT = [
    ([], [], "no request has a score and a label"),
    ([0.1, 0.4], [1, 1], "no negatives among 2 requests: there is no slope"),
    ([0.1, 0.4], [0, 0], "no positives among 2 requests: there is no slope"),
    ([-1.0, -0.5, 0.5, 1.0], [0, 0, 1, 1], APART),
    ([-1.0, -0.5, 0.5, 1.0], [1, 1, 0, 0], APART),
    ([-1.0, 0.5, 0.5, 1.0], [0, 0, 1, 1], APART),
    ([0.5, 0.5, 0.5], [0, 1, 1], APART),
    ([0.50, 0.51, 0.52, 0.53], [0, 1, 0, 1], APART),
]


@pytest.mark.parametrize(("logits", "labels", "reason"), ABSENT)
def test_without_a_finite_slope_there_is_a_reason(logits: list[float], labels: list[int], reason: str) -> None:
    found = from_rows(np.array(logits), np.array(labels, dtype=float), np.arange(len(logits)))
    for estimate in found:
        assert (estimate.status, estimate.reason, estimate.n) == ("absent", reason, len(labels))


def test_scores_of_exactly_0_or_1_have_no_logit() -> None:
    logits, labels, days = draw(np.random.default_rng(34), 0, 1, 50)
    cells, powers = stats.logit_powers(logits)
    for certain, reason in (
        (1, "1 request was scored exactly 0 or 1, which has no logit"),
        (1200, "1,200 requests were scored exactly 0 or 1, which has no logit"),
    ):
        found = stats.recalibration(days, cells, powers, labels, labels * powers[:, 1], certain=certain)
        assert found.slope == found.intercept == stats.Estimate.absent(reason, n=50, method=found.slope.method)


def test_one_day_gives_values_without_interval() -> None:
    logits, labels, days = draw(np.random.default_rng(35), 0, 1, 400, days=1)
    found = from_rows(logits, labels, days)
    assert found.slope.value is not None
    assert found.slope.reason == "no interval: too few clusters: 1, a variance needs 2"


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"powers has shape \(2, 3\), must hold 13 sums for each of 2 cells"):
        stats.recalibration([1, 1], [0, 1], np.ones((2, 3)), [1, 0], [0.2, 0.0])
