"""What is owed at a moment."""

from __future__ import annotations

from datetime import timedelta

import pytest
from schedule_trial import SCHEDULE

from toolkit.archive import Slot
from toolkit.errors import ArgumentError, DefinitionError
from toolkit.schedule import Done, ScheduleDefinition, find_next, find_owed, load_schedules, owed
from toolkit.windows import Window, parse_instant
from toolkit.workspace import Workspace

NOW = parse_instant("2013-08-10")
MONTHS = ["2013-05-03T10:00:00Z", "2013-06-03T10:00:00Z", "2013-07-03T10:00:00Z", "2013-08-03T10:00:00Z"]


def load(trial: Workspace, *, catch_up: str = "all", rule: str | None = None) -> dict[str, ScheduleDefinition]:
    text = SCHEDULE.replace("catch_up: all", f"catch_up: {catch_up}")
    if rule is not None:
        text = text.replace('calendar: {every: month, on: 3, at: "06:00"}', rule)
    (trial.root / "schedule.yml").write_text(text, encoding="utf-8")
    return load_schedules(trial)


def slots(
    schedules: dict[str, ScheduleDefinition], *done: str, now: str = "2013-08-10", span: Window | None = None
) -> list[str]:
    known = {Slot("monthly", at): Done(f"review/x@{number}") for number, at in enumerate(done)}
    return [each.slot.at for each in find_owed(schedules, known, now=parse_instant(now), span=span)]


def test_all_owes_every_slot_that_is_not_done_in_order(trial: Workspace) -> None:
    schedules = load(trial)
    assert slots(schedules) == MONTHS
    assert slots(schedules, MONTHS[1], MONTHS[3]) == [MONTHS[0], MONTHS[2]]
    assert slots(schedules, *MONTHS) == []


def test_a_slot_is_owed_from_its_very_instant_on(trial: Workspace) -> None:
    schedules = load(trial)
    assert slots(schedules, now="2013-05-03T09:59:59.999999Z") == []
    assert slots(schedules, now="2013-05-03T10:00:00Z") == MONTHS[:1]


def test_latest_owes_only_the_newest_slot(trial: Workspace) -> None:
    schedules = load(trial, catch_up="latest")
    assert slots(schedules) == MONTHS[3:]
    assert slots(schedules, MONTHS[3]) == []  # what is older stays missed
    assert slots(schedules, now="2013-05-01T10:00:00Z") == []


def test_none_owes_the_newest_slot_for_a_day(trial: Workspace) -> None:
    schedules = load(trial, catch_up="none")
    assert slots(schedules, now="2013-08-04T09:59:59Z") == MONTHS[3:]
    assert slots(schedules, now="2013-08-04T10:00:00Z") == []
    assert slots(schedules, MONTHS[3], now="2013-08-03T11:00:00Z") == []


@pytest.mark.parametrize(
    "rule", ['cron: "*/5 * * * *"', 'cron: "0 6 29 2 *"', "calendar: {every: quarter, on: 1, at: '06:00'}"]
)
def test_the_newest_slot_is_found_however_often_a_rule_comes(trial: Workspace, rule: str) -> None:
    every = load(trial, rule=rule)["monthly"]
    first, end = every.span
    slots_of_it = list(every.list_slots(first, end))
    found = slots(load(trial, catch_up="latest", rule=rule), now="2030-01-01")
    assert [parse_instant(each) for each in found] == slots_of_it[-1:]


def test_outside_of_start_and_end_nothing_is_owed(trial: Workspace) -> None:
    schedules = load(trial)
    assert slots(schedules, now="2013-05-01") == []
    months = [at[:7] for at in slots(schedules, now="2026-01-01")]
    assert months == [*(f"2013-{month:02d}" for month in range(5, 13)), "2014-01"]


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_a_range_takes_in_what_start_end_and_catch_up_leave_out(trial: Workspace, catch_up: str) -> None:
    span = Window.of("2013-03-03T11:00Z", "2013-06-03T10:00Z")
    schedules = load(trial, catch_up=catch_up)
    before = ["2013-03-03T11:00:00Z", "2013-04-03T10:00:00Z"]
    assert slots(schedules, span=span) == [*before, MONTHS[0]]
    assert slots(schedules, before[1], span=span) == [before[0], MONTHS[0]]


def test_a_range_that_is_not_over_is_refused(trial: Workspace) -> None:
    with pytest.raises(ArgumentError) as caught:
        slots(load(trial), span=Window.of("2013-03-01", "2013-09-01"))
    assert str(caught.value) == (
        "the slots up to 2013-09-01T00:00:00Z are not all due: it is 2013-08-10T00:00:00Z; end the range there or "
        "before"
    )


def test_more_slots_than_anybody_waits_for_are_a_mistake(trial: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    schedules = load(trial, rule='cron: "* * * * *"')
    monkeypatch.setattr(owed, "MOST_OWED", 100)
    assert len(slots(schedules, now="2013-05-01T05:39:00Z")) == 100
    with pytest.raises(DefinitionError) as caught:
        slots(schedules, now="2013-05-01T05:40:00Z")
    assert str(caught.value) == (
        "schedule 'monthly' owes more than 100 slots, the first 2013-05-01T04:00:00Z; give it a later start, or "
        "catch_up: latest"
    )


def test_parameters_are_those_of_the_slot(trial: Workspace) -> None:
    first, second, *_ = find_owed(load(trial), {}, now=NOW)
    assert (first.template, first.parameters) == ("review", {"period": "2013-04", "as_of": MONTHS[0]})
    assert second.parameters == {"period": "2013-05", "as_of": MONTHS[1]}


def test_two_schedules_are_owed_by_instant(trial: Workspace) -> None:
    early = SCHEDULE.replace("schedules:\n", "").replace("monthly:", "early:").replace('"06:00"', '"05:00"')
    (trial.root / "schedule.yml").write_text(SCHEDULE + early, encoding="utf-8")
    schedules = load_schedules(trial)
    found = find_owed(schedules, {Slot("early", "2013-06-03T09:00:00Z"): Done()}, now=parse_instant("2013-06-10"))
    assert [str(each.slot) for each in found] == [
        "early 2013-05-03T09:00:00Z",
        "monthly 2013-05-03T10:00:00Z",
        "monthly 2013-06-03T10:00:00Z",
    ]
    assert find_next(schedules, now=NOW) == Slot("early", "2013-09-03T09:00:00Z")


def test_the_next_slot_comes_after_now_and_not_before_the_start(trial: Workspace) -> None:
    schedules = load(trial)
    assert find_next(schedules, now=parse_instant("2000-01-01")) == Slot("monthly", MONTHS[0])
    assert find_next(schedules, now=parse_instant(MONTHS[0])) == Slot("monthly", MONTHS[1])
    assert find_next(schedules, now=parse_instant("2014-01-03T11:00Z") + timedelta(seconds=1)) is None
    assert find_next({}, now=NOW) is None
