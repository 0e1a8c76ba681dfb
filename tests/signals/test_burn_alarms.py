"""When rules ring: how soon after an outage, for how long, and never for what chance does."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signals.clocked_requests import END, SLOT, clocked

from toolkit import stats
from toolkit.metrics.hourly import HourlyCounts, Totals
from toolkit.signals.budgets.absence import look_for_silence
from toolkit.signals.budgets.burns import Alarm, burn_windows, find_alarms
from toolkit.stats import BURN_RULES, BurnRule
from toolkit.windows import Window

HOUR, SIX_HOURS, THREE_DAYS = BURN_RULES
ALLOWED = 0.01
OUTAGE = END - timedelta(days=2)


def alarms(counts: HourlyCounts, *rules: BurnRule, days: int = 7) -> tuple[Alarm, ...]:
    window = Window(END - timedelta(days=days), END)
    return find_alarms(counts.totals("errors"), window=window, allowed_share=ALLOWED, rules=rules or BURN_RULES)


def outage(bad_of_ten: int, *, hours: float = 6, rate: int = 10):
    """Ten requests in five minutes (or `rate`), of which so many in ten fail while it lasts."""

    def share_of(at: datetime) -> tuple[int, int]:
        failing = OUTAGE <= at < OUTAGE + timedelta(hours=hours)
        return (rate * bad_of_ten // 10 if failing else 0), rate

    return clocked(share_of)


def test_a_quiet_service_rings_nothing() -> None:
    assert alarms(outage(0)) == ()


def test_a_total_outage_pages_as_soon_as_its_budget_says() -> None:
    first = alarms(outage(10))[0]
    assert first.rule == HOUR
    # 14.4 % of the hour's 120 requests must fail: 18 of them come within two slots
    assert first.started_at - OUTAGE == timedelta(minutes=10)
    assert stats.detection_min(HOUR, bad_share=1.0, allowed_share=ALLOWED, requests_an_hour=120) == pytest.approx(9.0)
    assert (first.bad, first.n, first.burn) == (120, 120, pytest.approx(100.0))


def test_an_alarm_ends_when_the_short_window_is_clean() -> None:
    counts, over = outage(10, hours=6), OUTAGE + timedelta(hours=6)
    ended = [alarm.ended_at for rule in BURN_RULES for alarm in alarms(counts, rule)]
    assert ended == [over + timedelta(minutes=minutes) for minutes in (5, 30, 360)]


def test_rules_of_one_severity_that_ring_at_once_are_one_alarm() -> None:
    page, ticket = alarms(outage(10, hours=6))
    assert (page.rule, ticket.rule) == (HOUR, THREE_DAYS)
    assert page.ended_at == OUTAGE + timedelta(hours=6, minutes=30)
    assert page.started_at < ticket.started_at


def test_an_outage_that_lasts_is_still_on() -> None:
    assert [alarm.ended_at for alarm in alarms(outage(10, hours=48))] == [None, None]


def test_a_slow_burn_is_a_ticket_and_no_page() -> None:
    def share_of(at: datetime) -> tuple[int, int]:
        return (2 if at >= OUTAGE else 0), 100

    (ticket,) = alarms(clocked(share_of))
    assert ticket.rule == THREE_DAYS
    # At twice the allowed share half of three days must pass; then the excess must still be told from chance.
    least = stats.least_alarming(THREE_DAYS, 86_400, allowed_share=ALLOWED)
    assert ticket.started_at - OUTAGE == SLOT * math.ceil(least / 2)
    assert timedelta(hours=36) < ticket.started_at - OUTAGE < timedelta(hours=42)


def test_flapping_is_one_alarm() -> None:
    def share_of(at: datetime) -> tuple[int, int]:
        failing = OUTAGE <= at < OUTAGE + timedelta(hours=3) and at.minute < 20
        return (10 if failing else 0), 10

    assert len(alarms(clocked(share_of), HOUR)) == 1


def test_one_failure_of_one_request_pages_nobody() -> None:
    def share_of(at: datetime) -> tuple[int, int]:
        return int(at == OUTAGE), int(at.minute == 0)

    assert alarms(clocked(share_of)) == ()


def test_a_service_that_fails_and_is_seldom_asked_is_paged_for() -> None:
    """One request an hour: the last five minutes are nearly always empty, and the newest request stands for them."""

    def share_of(at: datetime) -> tuple[int, int]:
        asked = int(at.minute == 0)
        return (asked if at >= OUTAGE else 0), asked

    page, _ = alarms(clocked(share_of))
    assert page.rule == SIX_HOURS
    assert page.started_at - OUTAGE == timedelta(hours=2, minutes=5)
    assert page.ended_at is None
    least = stats.least_alarming(SIX_HOURS, 6, allowed_share=ALLOWED)
    assert least == 3


@pytest.mark.parametrize("rate", [1, 3, 100])
def test_what_rings_is_what_each_window_says(rate: int) -> None:
    """Looked at once, by the rates of the windows and the guard, a rule rings where the whole week's look rings."""
    rng = np.random.default_rng(rate)
    failing = {END - int(place) * SLOT for place in rng.integers(1, 2000, 60)}

    def share_of(at: datetime) -> tuple[int, int]:
        return (rate if at in failing else 0), rate

    counts = clocked(share_of)
    totals = counts.totals("errors")
    found = {rule: alarms(counts, rule) for rule in BURN_RULES}
    for at in (END - SLOT * int(place) for place in rng.integers(0, 2000, 200)):
        windows = burn_windows(totals, end=at, allowed_share=ALLOWED)
        burns = {window.name: window.rate.value for window in windows}
        for rule in BURN_RULES:
            long = next(window for window in windows if window.name == stats.window_name(rule.long_min))
            guard = stats.burn_guard(long.bad, long.n, allowed_share=ALLOWED, window_min=rule.long_min)
            now = bool(stats.judge_burns(burns, rules=[rule]).rule) and guard.passed
            during = any(
                alarm.started_at <= at and (alarm.ended_at is None or at < alarm.ended_at) for alarm in found[rule]
            )
            assert during or not now


@settings(max_examples=25)
@given(st.integers(1, 4), st.floats(0.002, 0.05), st.integers(0, 10_000))
def test_an_alarm_always_has_more_bad_requests_than_its_rule_allows(rate: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = clocked(lambda _: (int(rng.binomial(rate, share)), rate), days=12)
    for alarm in alarms(counts):
        assert alarm.bad / alarm.n > alarm.rule.burn * ALLOWED
        assert alarm.guard.passed
        assert alarm.ended_at is None or alarm.ended_at > alarm.started_at


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.001, 0.01, 0.03])
def test_ten_requests_an_hour_page_less_than_once_a_year_for_nothing(share: float) -> None:
    """Thirty years of a service that is exactly at its limit; without the guard there are hundreds of pages a year."""
    rng, pages, years = np.random.default_rng(8), 0, 30
    slots = 365 * 288
    for _ in range(years):
        n = rng.poisson(10 / 12, slots)
        bad = rng.binomial(n, share)
        asked = np.flatnonzero(n)
        sums = [np.concatenate([[0], np.cumsum(each[asked])]) for each in (bad, n)]
        totals = Totals(END.timestamp() + asked * SLOT.total_seconds(), *sums)
        window = Window(END, END + timedelta(days=365))
        found = find_alarms(totals, window=window, allowed_share=share)
        pages += sum(alarm.rule.severity == "page" for alarm in found)
    assert pages <= years / 2


# --- silence ---


def office_hours(at: datetime) -> tuple[int, int]:
    return 0, 30 if 8 <= at.hour < 18 else 0


def test_a_night_without_requests_is_no_silence() -> None:
    silence = look_for_silence(clocked(office_hours).totals("errors"), end=END)
    assert not silence.alarms
    assert (silence.window_min, silence.requests, silence.expected) == (1440, 3600, 3600.0)
    assert silence.text == "3,600 requests in the last 1d, where 3,600 are usual"


def test_a_day_without_requests_is_silence() -> None:
    def share_of(at: datetime) -> tuple[int, int]:
        return (0, 0) if at >= END - timedelta(days=1) else office_hours(at)

    silence = look_for_silence(clocked(share_of).totals("errors"), end=END)
    assert silence.alarms
    assert (silence.window_min, silence.requests, silence.expected) == (1440, 0, 3600.0)


def test_the_shortest_silent_window_is_told() -> None:
    def share_of(at: datetime) -> tuple[int, int]:
        return 0, 0 if at >= END - timedelta(hours=7) else 5

    silence = look_for_silence(clocked(share_of).totals("errors"), end=END)
    assert silence.alarms
    assert (silence.window_min, silence.requests, silence.expected) == (60, 0, 60.0)


def test_few_requests_are_silent_only_where_chance_is_ruled_out() -> None:
    def hourly(at: datetime) -> tuple[int, int]:
        return 0, int(at.minute == 0 and at < END - timedelta(hours=12))

    silence = look_for_silence(clocked(hourly).totals("errors"), end=END)
    assert not silence.alarms  # six hours hold six requests: none of them is rare all year, and the day holds half


def test_an_outage_in_one_earlier_week_does_not_hide_this_one() -> None:
    def share_of(at: datetime) -> tuple[int, int]:
        silent = at >= END - timedelta(days=1) or END - timedelta(days=8) <= at < END - timedelta(days=7)
        return 0, 0 if silent else 5

    assert look_for_silence(clocked(share_of).totals("errors"), end=END).alarms


def test_without_earlier_weeks_silence_is_not_known() -> None:
    silence = look_for_silence(clocked(office_hours, days=10).totals("errors"), end=END)
    assert (silence.expected, silence.alarms) == (None, False)
    assert silence.text == ("whether requests have stopped is not known: fewer than 2 earlier weeks to compare with")
    nothing = look_for_silence(clocked(lambda _: (0, 0)).totals("errors"), end=END)
    assert (nothing.expected, nothing.requests, nothing.alarms) == (None, 0, False)
