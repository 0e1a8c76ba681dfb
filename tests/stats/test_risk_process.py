"""The test that may be looked at every day: what it promises when nothing happens, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from day_series import noise

from toolkit import stats
from toolkit.errors import ArgumentError

REFERENCE_DAYS, YEAR = 31, 365
LEVEL, SCATTER = 0.16, 0.03
"""Of the daily Brier score of the example's model: its days scatter by about a fifth."""


def days(count: int, rng: np.random.Generator, *, alike: float = 0.0) -> np.ndarray:
    return LEVEL + SCATTER * noise(count, rng, alike=alike)


def process(rng: np.random.Generator, *, rise: float = 0.0, at: int = 100, alike: float = 0.0, tolerance: float = 0.01):
    losses = days(REFERENCE_DAYS + YEAR, rng, alike=alike)
    losses[REFERENCE_DAYS + at :] += rise
    return stats.risk_process(losses[:REFERENCE_DAYS], losses[REFERENCE_DAYS:], tolerance=tolerance)


@pytest.mark.parametrize("alike", [0.0, 0.3])
def test_365_daily_looks_raise_a_false_alarm_at_most_as_often_as_promised(alike):
    """With no tolerance at all, the hardest case."""
    rng = np.random.default_rng(20)
    runs = 300
    false = sum(process(rng, alike=alike, tolerance=0.0).alarm is not None for _ in range(runs))
    assert false <= 0.05 * runs


def test_a_fixed_test_looked_at_every_day_breaks_that_promise():
    rng = np.random.default_rng(21)
    false = 0
    for _ in range(100):
        losses = days(REFERENCE_DAYS + YEAR, rng)
        before, after = losses[:REFERENCE_DAYS], losses[REFERENCE_DAYS:]
        counts = np.arange(1, YEAR + 1)
        means = np.cumsum(after) / counts
        error = SCATTER * np.sqrt(1 / counts + 1 / REFERENCE_DAYS)
        false += bool(((means - before.mean()) / error > 1.645)[7:].any())
    assert false > 12  # Binomial(100, 0.05) exceeds it with probability 0.001


def test_a_rise_within_the_tolerance_is_no_alarm():
    rng = np.random.default_rng(22)
    runs = 200
    assert sum(process(rng, rise=0.01, at=0).alarm is not None for _ in range(runs)) <= 0.05 * runs


def test_a_rise_beyond_it_is_found_and_dated():
    rng = np.random.default_rng(23)
    delays, starts = [], []
    for _ in range(100):
        found = process(rng, rise=0.09)
        delays.append(YEAR if found.alarm is None else found.alarm - 100)
        starts.append(abs((found.began or 0) - 100))
    assert np.median(delays) <= 28
    assert np.mean(np.array(delays) < 60) >= 0.95
    assert np.median(starts) <= 7


def test_the_evidence_is_read_look_by_look():
    found = process(np.random.default_rng(24), rise=0.09)
    assert found.alarm == next(place for place, each in enumerate(found.log_evidence) if each >= found.needed)
    assert found.p_value == pytest.approx(0.025 + np.exp(-max(found.log_evidence)))
    assert len(found.log_evidence) == YEAR
    assert (found.p_value <= 0.05) == (found.alarm is not None)
    shorter = process(np.random.default_rng(24), rise=0.09)
    assert shorter.log_evidence[:150] == found.log_evidence[:150]


def test_later_days_do_not_change_earlier_evidence():
    rng = np.random.default_rng(25)
    before, after = days(REFERENCE_DAYS, rng), days(YEAR, rng)
    whole = stats.risk_process(before, after, tolerance=0.01).log_evidence
    part = stats.risk_process(before, after[:200], tolerance=0.01).log_evidence
    assert part == pytest.approx(whole[:200], rel=1e-12)


def test_one_day_of_a_million_is_one_bad_day():
    rng = np.random.default_rng(26)
    before, after = days(REFERENCE_DAYS, rng), days(YEAR, rng)
    after[180] = 1e6
    found = stats.risk_process(before, after, tolerance=0.01)
    assert found.alarm is None
    assert found.high < LEVEL + 10 * SCATTER


def test_after_a_recovery_the_alarm_stands_and_the_evidence_falls():
    rng = np.random.default_rng(27)
    losses = days(REFERENCE_DAYS + YEAR, rng)
    losses[REFERENCE_DAYS + 100 : REFERENCE_DAYS + 150] += 0.12
    found = stats.risk_process(losses[:REFERENCE_DAYS], losses[REFERENCE_DAYS:], tolerance=0.01)
    assert found.alarm is not None
    assert 93 <= found.began <= 107
    assert found.log_evidence[-1] < found.needed


def test_what_has_no_bound_is_absent_with_its_reason():
    found = stats.risk_process([0.1] * 13, [0.2] * 30, tolerance=0.01)
    assert (found.status, found.reason) == ("absent", "a bound needs 14 reference days, given: 13")
    assert (found.bound, found.p_value, found.log_evidence) == (None, None, ())
    assert stats.risk_process([0.1] * 20, [0.2], tolerance=0.01).reason == (
        "the losses of the reference days do not vary"
    )
    nothing = stats.risk_process([0.1, 0.2] * 10, [], tolerance=0.01)
    assert (nothing.status, nothing.log_evidence, nothing.p_value) == ("ok", (), 1.0)


def test_what_is_asked_wrongly_is_said():
    with pytest.raises(ArgumentError) as caught:
        stats.risk_process([0.1, 0.2] * 10, [0.1], tolerance=-0.1)
    assert str(caught.value) == "tolerance == -0.1, must be a number of at least 0"


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("reference_days", [14, 31, 90])
def test_the_promise_holds_for_references_of_any_length(reference_days, alike):
    """With the example's tolerance of a third of a standard deviation."""
    rng = np.random.default_rng(reference_days)
    runs = 1000
    false = 0
    for _ in range(runs):
        losses = days(reference_days + YEAR, rng, alike=alike)
        false += stats.risk_process(losses[:reference_days], losses[reference_days:], tolerance=0.01).alarm is not None
    assert false <= 0.05 * runs
