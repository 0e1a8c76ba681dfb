"""Courses by day: every number against pandas, steps planted on a day, and days that are missing, thin or wrong."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from served_months import PER_DAY, START, look_at

from toolkit.data import load_model
from toolkit.display import format_number
from toolkit.errors import ArgumentError
from toolkit.records import to_document
from toolkit.signals import metric_courses, observe

JULY = (pd.Timestamp("2013-07-01", tz="UTC") - START).days
AUGUST = (pd.Timestamp("2013-08-01", tz="UTC") - START).days
SEPTEMBER = (pd.Timestamp("2013-09-01", tz="UTC") - START).days


def course(found, key):
    return next(each for each in found.courses if each.key == key)


def slower(requests):
    """Latency from September on; the temperature has not been there since."""
    late = requests["day"] >= SEPTEMBER
    return requests.assign(latency_ms=requests["latency_ms"] + 6.0 * late, temp_f=requests["temp_f"].mask(late))


def slower_in_july(requests):
    """Latency from July on; the temperature has a weekly season."""
    weekend = requests["occurred_at"].dt.day_of_week >= 5
    return requests.assign(
        latency_ms=requests["latency_ms"] + 6.0 * (requests["day"] >= JULY), temp_f=requests["temp_f"] - 6.0 * weekend
    )


def slower_for_ten_days(requests):
    """Latency in September; the temperature is higher behind a week without it."""
    warmer = requests["temp_f"] + 8.0 * (requests["day"] >= SEPTEMBER)
    during = requests["day"].between(SEPTEMBER, SEPTEMBER + 9)
    return requests.assign(
        latency_ms=requests["latency_ms"] + 6.0 * during,
        temp_f=warmer.mask(requests["day"].between(SEPTEMBER - 7, SEPTEMBER - 1)),
    )


def odd_days(requests):
    """Days on which something is wrong, and no level changed.

    From 1 July a week without a temperature. On 1 August the clock was a day ahead, so that one day is empty and the
    next holds two; on 8 August it lost most of the day. On 15 August latency was high; on 22 August hardly anything was
    served, and that was slow.
    """
    day = requests["day"]
    ahead, lost, slow, off = (day == AUGUST + after for after in (0, 7, 14, 21))
    hour = requests["occurred_at"].dt.hour
    return requests.assign(
        temp_f=requests["temp_f"].mask(day.between(JULY, JULY + 6)),
        latency_ms=requests["latency_ms"] + 40.0 * slow + 200.0 * off,
        occurred_at=requests["occurred_at"] + pd.to_timedelta(ahead.astype(int), unit="D"),
    )[~(lost & (hour < 16)) & ~(off & (hour > 1))]


def courses_of(tmp_path_factory, change=None, **how):
    looked = look_at(tmp_path_factory.mktemp("courses"), change, **how)
    return looked, metric_courses(looked.source, looked.observed)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    return courses_of(tmp_path_factory)


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return courses_of(tmp_path_factory, slower)


@pytest.fixture(scope="module")
def july(tmp_path_factory):
    return courses_of(tmp_path_factory, slower_in_july, marks=True)[1]


@pytest.fixture(scope="module")
def taken_back(tmp_path_factory):
    return courses_of(tmp_path_factory, slower_for_ten_days)[1]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return courses_of(tmp_path_factory, odd_days)[1]


def test_the_history_ends_with_the_current_window(quiet):
    looked, found = quiet
    assert found.window.label == "2013-04-01 … 2013-09-29"
    assert found.window.end == looked.observed.window.end
    assert all(len(each.values) == 182 for each in found.courses)


def test_each_days_value_is_that_of_its_requests(quiet):
    looked, found = quiet
    rows = looked.predictions[looked.predictions["served"]]
    by_day = rows.groupby(rows["occurred_at"].dt.date)
    latency = by_day["latency_ms"].mean()
    errors = by_day["error"].mean()
    for key, expected in (("latency", latency), ("error_rate", errors)):
        for each in course(found, key).values:
            assert each.value == pytest.approx(expected[each.day], abs=1e-12)
    labelled = rows.merge(looked.outcomes, on="request_id")
    day = labelled[labelled["occurred_at"].dt.date == date(2013, 5, 5)]
    (value,) = [each for each in course(found, "auc").values if each.day == date(2013, 5, 5)]
    positive, negative = (day.loc[day["label"] == label, "score"].to_numpy() for label in (1, 0))
    wins = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    assert value.value == pytest.approx(wins, abs=1e-12)
    assert value.requests == PER_DAY


def test_nothing_is_signalled_when_nothing_changed(quiet):
    _, found = quiet
    assert found.signals == ()
    assert all(each.steps == () and not each.trending for each in found.courses)
    assert "None stepped by its practical threshold." in found.text
    assert found.text.endswith("Not marked, because the workspace has no such table: deployments, incidents.")
    assert found.text.startswith("7 metrics by day over 2013-04-01 … 2013-09-29.")


def test_a_planted_step_is_found_on_its_day_and_is_a_signal(slow):
    _, found = slow
    (signal,) = found.signals
    assert (signal.kind, signal.metric, signal.verdict, signal.family) == (
        "change_point",
        "latency",
        "worse",
        "service",
    )
    assert signal.key == "change_point:latency"
    assert signal.columns == ("latency_ms",)
    (step,) = course(found, "latency").steps
    assert step.first_day <= date(2013, 9, 1) <= step.last_day
    assert abs((signal.first_day - date(2013, 9, 1)).days) <= 2
    assert signal.last_day == date(2013, 9, 29)
    assert step.change.ci_lower < 6 < step.change.ci_upper
    assert signal.times_threshold == pytest.approx(6, abs=0.7)
    assert signal.p_adjusted < 1e-6
    assert signal.requests_per_week == PER_DAY * 7
    assert signal.no_loss_reason == "its share in the loss was not measured"


def test_the_table_and_the_text_say_the_same(slow):
    _, found = slow
    (step,) = course(found, "latency").steps
    (line,) = [line for line in found.to_table() if line["metric"] == "Latency"]
    assert line["last_step"] == f"{step.day}: {_ms(step.before)} to {_ms(step.after)}, worse"
    assert f"Latency stepped on {step.day} from {_ms(step.before)} to {_ms(step.after)} (worse, " in found.text


def _ms(value):
    return format_number("value", value, unit="ms")


def test_a_step_long_ago_is_shown_and_is_no_signal_any_more(july):
    latency = course(july, "latency")
    (step,) = latency.steps
    assert step.verdict == "worse"
    assert july.signals == ()
    assert {"deploy of version 1", "incident slow"} <= {mark.name for mark in step.near}
    assert "near incident slow, 2013-06-30 and deploy of version 1, 2013-07-01" in july.text
    assert "no such table" not in july.text
    assert latency.level == pytest.approx(step.after)


def test_a_weekly_season_is_taken_out_and_shown(july):
    temperature = course(july, "temperature")
    assert temperature.seasonal
    assert (temperature.steps, temperature.outliers) == ((), ())
    assert temperature.season_text.startswith(("Sat -", "Sun -"))
    assert not course(july, "error_rate").seasonal


def test_a_step_that_was_taken_back_is_no_signal(taken_back):
    assert [step.verdict for step in course(taken_back, "latency").steps] == ["worse", "better"]
    assert "latency" not in {signal.metric for signal in taken_back.signals}


def test_a_step_behind_a_gap_says_so(taken_back):
    (step,) = course(taken_back, "temperature").steps
    assert (step.day, step.gap_days, step.verdict) == (date(2013, 9, 1), 7, "changed")
    assert "after 7 days without a value" in taken_back.text
    (signal,) = taken_back.signals
    assert (signal.metric, signal.verdict, signal.family) == ("temperature", "changed", "inputs")


def test_days_on_which_something_is_wrong_are_no_steps(odd):
    assert odd.signals == ()
    assert all(each.steps == () for each in odd.courses)


def test_a_week_without_the_metric_is_a_gap(odd):
    temperature = course(odd, "temperature")
    assert temperature.gaps[0] == (date(2013, 7, 1), date(2013, 7, 7))
    missing = [each for each in temperature.values if date(2013, 7, 1) <= each.day <= date(2013, 7, 7)]
    assert [(each.value, each.reason) for each in missing] == [(None, "no request has a value")] * 7
    assert "Absent for a week or more: Temperature 2013-07-01 … 2013-07-07." in odd.text


def test_a_metric_that_stays_away_is_a_gap_to_the_end(slow):
    assert course(slow[1], "temperature").gaps == ((date(2013, 9, 1), date(2013, 9, 29)),)


def test_a_clock_that_steps_leaves_an_empty_day_and_a_double_one(odd):
    latency = course(odd, "latency")
    assert latency.gaps == ((date(2013, 8, 1), date(2013, 8, 1)),)
    assert on(latency, "2013-08-01").reason == "no request"
    assert on(latency, "2013-08-02").requests == 2 * PER_DAY
    assert on(latency, "2013-08-08").usable


def test_a_day_of_few_requests_is_shown_and_not_judged(odd):
    day = on(course(odd, "latency"), "2013-08-22")
    assert day.thin
    assert day.value > 100


def test_one_bad_day_stands_out(odd):
    (outlier,) = course(odd, "latency").outliers
    assert outlier.day == date(2013, 8, 15)
    assert outlier.value - outlier.level == pytest.approx(40, abs=4)


def on(found, day):
    return next(each for each in found.values if str(each.day) == day)


def test_a_better_metric_is_no_signal_and_a_worse_loss_is_sized_by_the_week(tmp_path):
    def faster_and_wrong(requests):
        late = requests["day"] >= SEPTEMBER
        return requests.assign(
            latency_ms=requests["latency_ms"] / (1.0 + late), chance=np.clip(requests["chance"] + 0.5 * late, 0, 1)
        )

    looked = look_at(tmp_path, faster_and_wrong)
    found = metric_courses(looked.source, looked.observed)
    signals = {signal.metric: signal for signal in found.signals}
    assert [step.verdict for step in course(found, "latency").steps] == ["better"]
    assert "latency" not in signals
    assert {"brier", "calibration"} <= set(signals)
    brier = signals["brier"]
    labelled = looked.observed.cells.total("labelled", "current") / looked.observed.weeks
    assert brier.excess_loss_per_week.value == pytest.approx(brier.change.value * labelled)
    assert (brier.family, brier.no_loss_reason) == ("model", "")


def look_again(looked, **how):
    workspace = looked.source.workspace
    return observe(workspace, looked.source, load_model(workspace, "small"), **how)


def test_days_scored_before_they_were_served_stand_for_themselves(quiet):
    looked, _ = quiet
    observed = look_again(looked, as_of="2013-06-01", window_days=28)
    latency = course(metric_courses(looked.source, observed, history_days=90), "latency")
    known = [each.day for each in latency.values if each.value is not None]
    assert (known[0], known[-1]) == (date(2013, 3, 2), date(2013, 5, 30))
    assert latency.gaps == ()


def test_days_before_the_first_request_are_not_said_to_be_looked_at(quiet):
    looked, _ = quiet
    observed = look_again(looked, as_of="2013-06-01", window_days=28)
    found = metric_courses(looked.source, observed, history_days=182)
    days = "2013-03-01 … 2013-05-30 (there is nothing from 2012-11-30 until then)"
    assert found.text.startswith(f"7 metrics by day over {days}.")
    assert found.plot().alt.startswith(f"Each metric by day, {days}. ")


def test_a_short_history_is_searched_and_a_shorter_one_refused(quiet):
    looked, _ = quiet
    observed = look_again(looked, as_of="2013-04-20", window_days=14)
    assert all(each.reason == "" for each in metric_courses(looked.source, observed, history_days=28).courses)
    with pytest.raises(ArgumentError) as caught:
        metric_courses(looked.source, observed, history_days=27)
    assert str(caught.value) == "history_days == 27, must be a number of at least 28"


def test_results_are_documents_and_the_same_every_time(slow):
    looked, found = slow
    first = to_document({"courses": found})
    assert first == to_document({"courses": metric_courses(looked.source, looked.observed)})
    for row in first["rows"]:
        assert (row["value"] is None) == (row["status"] == "absent"), row
        assert bool(row["reason"]) >= (row["status"] == "absent"), row
        for name in ("value", "ci_lower", "ci_upper", "p_value"):
            assert not isinstance(row[name], float) or np.isfinite(row[name])


def test_the_picture_has_words_and_the_same_bytes(slow):
    _, found = slow
    first, again = found.plot(), found.plot()
    assert first.png.startswith(b"\x89PNG")
    assert first == again
    assert "Latency: 2013-0" in first.alt
    assert "Error rate: none." in first.alt
