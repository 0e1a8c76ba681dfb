"""Burn rates, the rules of two windows, and a guard whose yearly bound is proved by counting and by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.stats import BURN_RULES, BurnRule

HOUR, SIX_HOURS, THREE_DAYS = BURN_RULES
YEAR_MIN = 365.25 * 1440


def test_the_rules_are_those_of_the_workbook() -> None:
    assert [(rule.severity, rule.text) for rule in BURN_RULES] == [
        ("page", "1h and 5m both > 14.4"),
        ("page", "6h and 30m both > 6"),
        ("ticket", "3d and 6h both > 1"),
    ]


def test_what_each_rule_spends_of_thirty_days() -> None:
    spent = [rule.burn * rule.long_min / (30 * 1440) for rule in BURN_RULES]
    assert spent == pytest.approx([0.02, 0.05, 0.1])


def test_a_burn_rate_is_the_share_over_the_allowed_one() -> None:
    rate, share = stats.burn_rate(30, 1000, allowed_share=0.02), stats.proportion(30, 1000)
    assert rate.value == pytest.approx(1.5)
    assert rate.ci_lower == pytest.approx(share.ci_lower / 0.02)
    assert rate.ci_upper == pytest.approx(share.ci_upper / 0.02)


def test_without_requests_nothing_burns_and_nothing_is_kept() -> None:
    rate = stats.burn_rate(0, 0, allowed_share=0.02)
    assert (rate.value, rate.status, rate.reason) == (None, "absent", "no observations")
    guard = stats.burn_guard(0, 0, allowed_share=0.02, window_min=60)
    assert (guard.p_value, guard.alarms_a_year, guard.passed) == (None, None, False)


@pytest.mark.parametrize(
    ("burns", "expected"),
    [
        ({"1h": 15, "5m": 20}, (True, False, "1h and 5m both > 14.4")),
        ({"1h": 15, "5m": 14.4}, (False, False, "")),
        ({"1h": 15, "5m": None}, (False, False, "")),
        ({"1h": 15}, (False, False, "")),
        ({"6h": 7, "30m": 7, "3d": 2}, (True, True, "6h and 30m both > 6")),
        ({"6h": 1.1, "3d": 1.1}, (False, True, "3d and 6h both > 1")),
        ({}, (False, False, "")),
    ],
)
def test_a_rule_rings_when_both_of_its_windows_burn(burns: dict[str, float], expected: tuple[object, ...]) -> None:
    assert stats.judge_burns(burns) == expected


@pytest.mark.parametrize(
    ("burn", "consumed", "hours", "reason"),
    [
        (1.0, 0.0, 720.0, ""),
        (2.0, 0.5, 180.0, ""),
        (0.0, 0.5, None, "nothing bad happens"),
        (0.0, 1.0, 0.0, "it is spent"),
        (3.0, 1.7, 0.0, "it is spent"),
    ],
)
def test_time_to_exhaustion(burn: float, consumed: float, hours: float | None, reason: str) -> None:
    assert stats.time_to_exhaustion(period_h=720, burn=burn, consumed_share=consumed) == (hours, reason)


@given(st.integers(1, 60), st.integers(0, 60), st.sampled_from([1e-4, 0.003, 0.03, 0.4]))
def test_the_guard_counts_what_a_service_at_its_limit_does(n: int, bad: int, share: float) -> None:
    bad = min(bad, n)
    guard = stats.burn_guard(bad, n, allowed_share=share, window_min=360)
    many = np.arange(bad, n + 1)
    chances = binom.pmf(many, n, share)
    assert guard.p_value == pytest.approx(chances.sum(), rel=1e-9)
    assert guard.alarms_a_year == pytest.approx(YEAR_MIN / 360 * (many * chances).sum(), rel=1e-9)


def test_the_guard_of_many_windows_is_the_guard_of_each() -> None:
    n = np.array([0, 1, 10, 10, 10, 60, 60, 10_000])
    bad = np.array([0, 1, 2, 3, 4, 2, 9, 400])
    found = stats.guarded(bad, n, allowed_share=0.01, window_min=60)
    each = [
        stats.burn_guard(int(b), int(of), allowed_share=0.01, window_min=60).passed
        for b, of in zip(bad, n, strict=True)
    ]
    assert found.tolist() == each == [False, False, False, False, True, False, True, True]


def test_the_guard_holds_for_a_hundred_million_requests() -> None:
    guard = stats.burn_guard(1_002_000, 100_000_000, allowed_share=0.01, window_min=60)
    assert guard.p_value == pytest.approx(binom.sf(1_001_999, 100_000_000, 0.01), rel=1e-6)
    assert 0 < guard.p_value < 0.05
    assert not guard.passed


@pytest.mark.parametrize("rule", BURN_RULES, ids=lambda rule: rule.text)
@pytest.mark.parametrize("share", [0.001, 0.03])
@pytest.mark.parametrize("n", [0, 1, 7, 60, 720])
def test_the_least_alarming_count_is_the_least(rule: BurnRule, share: float, n: int) -> None:
    least = stats.least_alarming(rule, n, allowed_share=share)
    rings = [
        bad / n / share > rule.burn and stats.burn_guard(bad, n, allowed_share=share, window_min=rule.long_min).passed
        for bad in range(1, n + 1)
    ]
    assert least == (rings.index(True) + 1 if True in rings else None)


def test_a_slow_burn_is_never_detected_by_a_fast_rule() -> None:
    assert stats.detection_min(HOUR, bad_share=0.002, allowed_share=0.001) is None
    assert stats.detection_min(SIX_HOURS, bad_share=0.006, allowed_share=0.001) is None
    assert stats.detection_min(THREE_DAYS, bad_share=0.002, allowed_share=0.001) == pytest.approx(2160.0)


def test_few_requests_are_detected_later_or_not_at_all() -> None:
    found = [
        stats.detection_min(HOUR, bad_share=1.0, allowed_share=0.01, requests_an_hour=rate)
        for rate in (10_000, 60, 10, 1)
    ]
    assert found[0] < found[1] < found[2] == 24.0
    assert found[3] is None
    assert stats.detection_min(SIX_HOURS, bad_share=1.0, allowed_share=0.01, requests_an_hour=1) == 180.0


def test_silence_is_measured_by_what_is_usual() -> None:
    guard = stats.absence_guard(2, expected=40.0, window_min=1440)
    assert guard.p_value == pytest.approx(poisson.cdf(2, 40.0))
    assert guard.alarms_a_year == pytest.approx(365.25 * 40.0 * poisson.cdf(2, 40.0))
    assert guard.passed
    assert stats.absence_guard(0, expected=0.0, window_min=60) == (None, None)
    assert not stats.absence_guard(0, expected=0.0, window_min=60).passed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: stats.burn_rate(1, 2, allowed_share=0),
            "allowed_share == 0, must be a number above 0 and below 1",
        ),
        (
            lambda: stats.burn_guard(3, 2, allowed_share=0.1, window_min=60),
            "bad == 3, must be at most n == 2",
        ),
        (
            lambda: stats.time_to_exhaustion(period_h=1, burn=-1, consumed_share=0),
            "burn == -1, must be a number of at least 0",
        ),
        (
            lambda: stats.absence_guard(0, expected=-1.0, window_min=60),
            "expected == -1.0, must be a number of at least 0",
        ),
    ],
)
def test_what_is_no_count_or_share_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message
