"""Harm in tolerances, its confidence, and what it is worth."""

from __future__ import annotations

from datetime import date

import pytest
from made_signals import SCALE, calibration, drift, estimate, segment, signal

from toolkit.data.models import LossValue
from toolkit.signals.groups.harm import Harm, HarmScale, add_harm, measure_harm

EUROS = LossValue(currency="EUR", low=2, likely=5, high=10)
PRICED = HarmScale(0.005, 7000.0, EUROS)


def test_a_loss_of_one_practical_threshold_on_every_request_is_one_tolerance() -> None:
    harm = measure_harm(calibration(35.0), SCALE)
    assert harm.tolerances == pytest.approx(1.0)
    assert harm.level == "medium"


def test_a_segment_counts_by_what_it_adds_to_the_whole() -> None:
    assert measure_harm(segment("carrier=FL", 3.5), SCALE).tolerances == pytest.approx(0.1)


def test_a_gain_is_no_harm() -> None:
    harm = measure_harm(calibration(-35.0), SCALE)
    assert (harm.tolerances, harm.severity, harm.level) == (0.0, 0.0, "low")


def test_severity_is_harm_times_the_probability_that_it_is_there() -> None:
    sure, unsure = (measure_harm(calibration(35.0, loss_se=se), SCALE) for se in (1.0, 35.0))
    assert sure.severity == pytest.approx(1.0)
    assert unsure.confidence == pytest.approx(0.8413447, abs=1e-6)  # one standard error above zero
    assert unsure.severity == pytest.approx(0.8413447, abs=1e-6)


def test_adjusted_evidence_caps_the_confidence() -> None:
    assert measure_harm(calibration(35.0, p_adjusted=0.04), SCALE).confidence == pytest.approx(0.96)


def test_a_loss_without_an_interval_may_as_well_be_none() -> None:
    bare = estimate(35.0)._replace(se=None, ci_lower=None, ci_upper=None, reason="one day")
    assert measure_harm(signal("segment", "brier", excess_loss_per_week=bare), SCALE).confidence == 0.5


def test_drift_has_no_harm_of_its_own_however_far_it_went() -> None:
    harm = measure_harm(drift("temp_f", times_threshold=8000.0), SCALE)
    assert (harm.tolerances, harm.severity, harm.level) == (None, 0.0, "unmeasured")
    assert harm.text == "excess loss absent: its share in the loss was not measured"


def test_a_budget_that_is_spent_as_fast_as_it_comes_in_is_one_tolerance() -> None:
    spent = signal("budget", "error_rate", family="service", budget_share=0.25)
    assert measure_harm(spent, SCALE).tolerances == pytest.approx(1.0)  # a quarter of 28 days' budget in a week
    weekly = HarmScale(0.005, 7000.0, None, {"error_rate": 7})
    assert measure_harm(spent, weekly).tolerances == pytest.approx(0.25)


def test_an_outage_of_today_counts_by_how_fast_it_spends() -> None:
    today = date(2013, 4, 30)
    outage = signal("budget", "error_rate", family="service", budget_share=0.25, first_day=today)
    assert measure_harm(outage, SCALE).tolerances == pytest.approx(7.0)


def test_what_users_feel_counts_by_its_threshold_and_in_a_segment_by_the_requests_touched() -> None:
    slow = {"family": "service", "times_threshold": 4.0, "requests_per_week": 700.0}
    assert measure_harm(signal("metric_change", "latency", **slow), SCALE).tolerances == pytest.approx(4.0)
    some = signal("metric_change", "latency", segment="origin=JFK", **slow)
    assert measure_harm(some, SCALE).tolerances == pytest.approx(0.4)


@pytest.mark.parametrize("family", ["inputs", "model", "labels", "governance"])
def test_thresholds_of_other_families_are_no_harm(family: str) -> None:
    assert measure_harm(signal("metric_change", "auc", family=family, times_threshold=9.0), SCALE).tolerances is None


def test_without_requests_nothing_has_a_harm() -> None:
    assert measure_harm(calibration(35.0), HarmScale(0.005, 0.0)).tolerances is None


def test_value_pairs_the_doubts_of_the_loss_and_of_its_price() -> None:
    loss = measure_harm(calibration(100.0, loss_se=10.0), PRICED)
    assert loss.value_per_week is not None
    assert loss.value_per_week.likely == 500.0
    assert loss.value_per_week.low == pytest.approx(2 * (100 - 19.59964), abs=1e-3)
    assert loss.value_per_week.high == pytest.approx(10 * (100 + 19.59964), abs=1e-3)
    assert loss.value_per_week.text == "500 EUR a week (160.8 to 1,196)"


def test_a_range_that_reaches_below_zero_takes_the_high_price_of_a_gain() -> None:
    found = measure_harm(calibration(10.0, loss_se=10.0), PRICED).value_per_week
    assert found is not None
    assert found.low == pytest.approx(10 * (10 - 19.59964), abs=1e-3)


def test_a_value_nobody_gave_is_absent_with_its_reason() -> None:
    assert measure_harm(calibration(), SCALE).no_value_reason == (
        "nobody has said what a unit of loss costs (loss_value in the model's file)"
    )
    assert measure_harm(drift("temp_f"), PRICED).no_value_reason == "its share in the loss was not measured"


def test_overlapping_losses_are_not_added_up() -> None:
    harms = {
        "calibration": measure_harm(calibration(350.0, requests_per_week=7000.0), SCALE),
        "segment:carrier=FL": measure_harm(segment("carrier=FL", 300.0, requests_per_week=500.0), SCALE),
        "drift:temp_f": measure_harm(drift("temp_f", units_per_week=6000.0), SCALE),
    }
    together = add_harm(harms)
    assert together.tolerances == pytest.approx(10.0)
    assert together.excess_loss_per_week == harms["calibration"].excess_loss_per_week
    assert (together.requests_per_week, together.units_per_week) == (7000.0, 6000.0)


def test_the_words_of_a_harm() -> None:
    harm = measure_harm(calibration(350.0, requests_per_week=7012.4, units_per_week=6200.0), PRICED)
    assert harm.text == (
        "7,012 requests of 6,200 users a week; newly excess loss 350 a week (281.4 to 418.6); "
        "1,750 EUR a week (562.8 to 4,186)"
    )
    assert Harm(units_per_week=3.0).text.startswith("3 users a week; ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"currency": "EUR", "low": 3, "likely": 2, "high": 4}, "low 3 <= likely 2 <= high 4 does not hold"),
        ({"currency": "EUR", "low": -1, "likely": 2, "high": 4}, "Input should be greater than or equal to 0"),
    ],
)
def test_a_loss_value_is_a_range_of_costs(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossValue.model_validate(given)
