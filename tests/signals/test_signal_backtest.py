"""Back-test: what each rule would have told people, week by week, and what it would have missed."""

from __future__ import annotations

from datetime import date

import pytest
from made_signals import arrange, calibration, drift, segment

from toolkit.errors import ArgumentError
from toolkit.signals import AlertRule, PlantedFault, SignalGroups, backtest
from toolkit.signals.lifecycle.history import MUTED, SignalEvent
from toolkit.windows import parse_instant

KINDS = frozenset({"calibration", "drift", "segment"})


def reports(*weeks: tuple[object, ...]) -> list[SignalGroups]:
    """A report a week, from 1 May on."""
    days = ("2013-05-01", "2013-05-08", "2013-05-15", "2013-05-22", "2013-05-29")
    return [arrange(*week, as_of=day, kinds=KINDS) for week, day in zip(weeks, days, strict=False)]


HISTORY = reports(
    (drift("temp_f"),),
    (drift("temp_f"), calibration(35.0)),
    (drift("temp_f"), calibration(35.0)),
    (calibration(350.0), drift("temp_f")),
    (drift("temp_f"),),
)
RULES = {"severe": AlertRule("high"), "usual": AlertRule("medium"), "everything": AlertRule("unmeasured")}


def alerts(history: list[SignalGroups], rule: AlertRule, **given: object) -> list[tuple[str, str]]:
    (played,) = backtest(history, {"rule": rule}, **given).played
    return [(f"{each.as_of:%m-%d}", each.group.key) for each in played.alerts]


def test_a_problem_that_goes_on_is_told_once_and_again_when_it_becomes_more_severe() -> None:
    assert alerts(HISTORY, AlertRule("medium")) == [("05-08", "calibration"), ("05-22", "calibration")]
    assert alerts(HISTORY, AlertRule("high")) == [("05-22", "calibration")]


def test_a_problem_that_came_back_is_told_again() -> None:
    history = reports((calibration(),), (), (calibration(),))
    assert alerts(history, AlertRule("medium")) == [("05-01", "calibration"), ("05-15", "calibration")]


def test_what_goes_on_is_repeated_when_the_rule_says_so() -> None:
    history = reports(*[(calibration(),)] * 5)
    assert [day for day, _ in alerts(history, AlertRule("medium", repeat_days=14))] == ["05-01", "05-15", "05-29"]


def test_a_rule_is_about_families_and_models() -> None:
    assert alerts(HISTORY, AlertRule("unmeasured", families=("inputs",))) == [("05-01", "drift:temp_f")]
    assert alerts(HISTORY, AlertRule("unmeasured", models=("other",))) == []


def test_nobody_is_told_of_what_was_muted() -> None:
    mute = SignalEvent(parse_instant("2013-05-08"), MUTED, "calibration", by="Ada", until=date(2013, 6, 30))
    assert alerts(HISTORY, AlertRule("medium"), said=[mute]) == []


def test_a_new_signal_in_a_group_that_was_told_is_not_told_again() -> None:
    small = segment("carrier=FL", 20.0)
    assert alerts(reports((calibration(),), (calibration(), small)), AlertRule("medium")) == [("05-01", "calibration")]


def test_alerts_a_week_and_missed_faults() -> None:
    planted = [
        PlantedFault("scores too low", ("calibration",), date(2013, 5, 1), date(2013, 5, 20)),
        PlantedFault("carrier", ("segment:*carrier=FL*",), date(2013, 5, 1), date(2013, 5, 20)),
    ]
    found = backtest(HISTORY, RULES, planted=planted)
    assert found.weeks == 5.0
    assert [found.per_week(each) for each in found.played] == [0.2, 0.4, 0.6]
    assert [each.missed for each in found.played] == [("carrier",)] * 3
    assert [each.detections[0].delay_days for each in found.played] == [20, 6, 6]
    assert found.text == (
        "Over 5 weeks, 5 reports and 8 signals. severe: 1 alerts, 0.2 a week, missed carrier. "
        "usual: 2 alerts, 0.4 a week, missed carrier. everything: 3 alerts, 0.6 a week, missed carrier."
    )
    assert found.to_table()[1] == {
        "rule": "usual",
        "alerts": 2,
        "alerts_a_week": 0.4,
        "faults_found": "1 of 2",
        "missed": "carrier",
        "median_delay_days": 6,
    }
    absent = [row for row in found.to_rows() if row.status == "absent"]
    assert [(row.key, row.segment, row.reason) for row in absent] == [
        (name, "fault=carrier", "nobody would have been told") for name in RULES
    ]


def test_the_picture_counts_in_words() -> None:
    (drawn,) = backtest(HISTORY, RULES).to_pictures()
    assert drawn.alt == "When each rule would have told somebody, by rule: severe 1; usual 2; everything 3 alerts."
    assert backtest(reports(()), RULES).to_pictures() == ()


def test_one_report_stands_for_its_window() -> None:
    assert backtest(reports(()), RULES).weeks == 4.0


def test_a_history_is_of_one_model() -> None:
    with pytest.raises(ArgumentError) as caught:
        backtest([], RULES)
    assert str(caught.value) == (
        "history holds no report; a back-test is of one model, and needs at least one report of it"
    )
