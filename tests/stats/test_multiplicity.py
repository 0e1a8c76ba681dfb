"""What a family of tests is held to: power per metric, and the gate of an A/A check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError


def test_a_decision_with_guardrails_has_the_power_that_was_planned() -> None:
    from scipy import special

    # One success metric and four guardrails, each planned with the corrected power, all independent: the worst case
    # of Bonferroni is dependence, so that independence must come out at or above the plan.
    planned, guardrails, runs = 0.8, 4, 40_000
    each = stats.guarded_power(planned, guardrails)
    assert each == pytest.approx(0.96)
    rng = np.random.default_rng(1)
    found = rng.normal(special.ndtri(0.975) + special.ndtri(each), 1, (runs, guardrails + 1)) > special.ndtri(0.975)
    assert planned < found.all(axis=1).mean() < 0.83
    assert np.mean(rng.random((runs, guardrails + 1)).max(axis=1) < planned) < 0.4  # what no correction would give


@given(st.integers(1, 5000), st.floats(0.001, 0.5), st.floats(0.5, 0.999))
def test_the_gate_lets_a_right_method_pass_with_its_confidence(tests: int, alpha: float, confidence: float) -> None:
    from scipy.stats import binom

    band = stats.false_alarm_band(tests, alpha, confidence=confidence)
    passing = binom.cdf(band.highest, tests, alpha) - binom.cdf(band.lowest - 1, tests, alpha)
    assert passing >= confidence - 1e-9
    assert 0 <= band.lowest <= tests * alpha + 1
    assert tests * alpha - 1 <= band.highest <= tests


def test_no_tests_have_an_empty_band() -> None:
    assert stats.false_alarm_band(0, 0.05)[:2] == (0, 0)


WRONG = [
    (lambda: stats.guarded_power(0.8, -1), "guardrails == -1, must be a whole number of at least 0"),
    (lambda: stats.guarded_power(1.0, 1), "power == 1.0, must be a number above 0 and below 1"),
    (lambda: stats.false_alarm_band(2.5, 0.05), "tests == 2.5, must be a whole number of at least 0"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
