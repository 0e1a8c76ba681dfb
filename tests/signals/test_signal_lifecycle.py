"""The life of a signal: a fold over what happened, by the instants that it speaks of."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_signals import arrange, calibration, drift

from toolkit.signals.lifecycle.history import (
    ACKNOWLEDGED,
    MUTED,
    RECOVERED,
    SEEN,
    SignalEvent,
    SignalHistory,
    fold_events,
)
from toolkit.windows import parse_instant

KEY = "calibration"


def seen(day: str, key: str = KEY, window_days: int = 28) -> SignalEvent:
    return SignalEvent(parse_instant(day), SEEN, key, report=f"triage/{day}@1", window_days=window_days)


def recovered(day: str) -> SignalEvent:
    return SignalEvent(parse_instant(day), RECOVERED, KEY)


def acknowledged(day: str) -> SignalEvent:
    return SignalEvent(parse_instant(day), ACKNOWLEDGED, KEY, by="Ada")


def muted(day: str, until: str) -> SignalEvent:
    return SignalEvent(parse_instant(day), MUTED, KEY, by="Ada", until=date.fromisoformat(until))


def state(*events: SignalEvent, as_of: str = "2013-05-01") -> str:
    (group,) = arrange(calibration(), history=SignalHistory("delay", events), as_of=as_of).groups
    return group.said_of_it


def test_a_signal_that_nobody_saw_is_new() -> None:
    assert state() == "new"


def test_a_signal_that_an_earlier_report_saw_goes_on() -> None:
    assert state(seen("2013-04-24")) == "ongoing"


def test_what_another_run_for_the_same_instant_saw_does_not_count() -> None:
    assert state(seen("2013-05-01")) == "new"


def test_a_report_that_is_filled_in_sees_only_its_past() -> None:
    assert state(seen("2013-06-01"), recovered("2013-06-08"), acknowledged("2013-06-01")) == "new"


def test_what_people_said_for_the_very_instant_counts() -> None:
    assert state(seen("2013-04-24"), acknowledged("2013-05-01")) == "acknowledged by Ada"


def test_a_signal_that_came_back_has_returned_and_nobody_knows_of_it() -> None:
    back = (seen("2013-03-01"), acknowledged("2013-03-01"), recovered("2013-04-01"))
    assert state(*back) == "returned, for the 2nd time"
    assert state(*back, seen("2013-04-10")) == "ongoing"


def test_a_mute_holds_until_its_day_and_over_a_recovery() -> None:
    events = (seen("2013-04-01"), muted("2013-04-01", "2013-05-02"), recovered("2013-04-10"))
    assert state(*events) == "muted until 2013-05-02 by Ada"
    assert state(*events, as_of="2013-05-02") == "returned, for the 2nd time"


def test_muted_groups_come_last_however_severe() -> None:
    history = SignalHistory("delay", (seen("2013-04-24"), muted("2013-04-24", "2013-06-01")))
    found = arrange(calibration(), drift("temp_f"), history=history)
    assert [group.key for group in found.groups] == ["drift:temp_f", "calibration"]
    assert found.text.endswith("2 signals in 2 groups (1 muted, 1 new).")


def test_a_group_with_a_new_signal_says_how_many() -> None:
    history = SignalHistory("delay", (seen("2013-04-24", "drift:temp_f"),))
    (group,) = arrange(drift("temp_f"), drift("humidity"), history=history).groups
    assert (group.state, group.said_of_it) == ("ongoing", "ongoing, 1 of 2 signals new")


def test_a_group_of_which_one_signal_returned_has_returned() -> None:
    back = (seen("2013-03-01", "drift:temp_f"), SignalEvent(parse_instant("2013-04-01"), RECOVERED, "drift:temp_f"))
    (group,) = arrange(drift("temp_f"), drift("humidity"), history=SignalHistory("delay", back)).groups
    assert (group.state, group.said_of_it) == ("returned", "returned, for the 2nd time")


def test_what_was_looked_for_and_is_gone_has_recovered() -> None:
    history = SignalHistory("delay", (seen("2013-04-24", window_days=31), seen("2013-04-24", "drift:temp_f")))
    found = arrange(history=history, kinds=frozenset({"calibration"}))
    assert found.recovered == {"calibration": parse_instant("2013-04-24")}
    assert found.text == (
        "No signal: nothing deviated beyond chance and its practical threshold. Recovered since an earlier report: "
        "calibration."
    )
    assert [row.key for row in found.to_rows() if row.statistic == "signal_recovered"] == ["calibration"]


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (seen("2013-04-24"), frozenset({"drift"})),  # a report that does not look for it
        (seen("2013-04-24", window_days=7), frozenset({"calibration"})),  # nor one that looks at other days
        (seen("2013-05-01"), frozenset({"calibration"})),  # nor a second run for the same instant
    ],
)
def test_what_was_not_looked_for_has_not_recovered(event: SignalEvent, kinds: frozenset[str]) -> None:
    assert arrange(history=SignalHistory("delay", (event,)), kinds=kinds).recovered == {}


EVENTS = st.lists(
    st.tuples(st.integers(1, 28), st.sampled_from([SEEN, RECOVERED, ACKNOWLEDGED])),
    max_size=12,
    unique_by=lambda event: event[0],
)


@given(EVENTS, st.randoms())
def test_the_order_in_which_rows_were_written_does_not_matter(events: list[tuple[int, str]], shuffled: object) -> None:
    made = [SignalEvent(parse_instant(f"2013-04-{day:02d}"), kind, KEY) for day, kind in events]
    again = list(made)
    shuffled.shuffle(again)
    assert fold_events(made) == fold_events(again)


@given(EVENTS)
def test_a_signal_is_active_exactly_from_seen_to_recovered(events: list[tuple[int, str]]) -> None:
    active = False
    for _, kind in sorted(events):
        active = {SEEN: True, RECOVERED: False}.get(kind, active)
    made = [SignalEvent(parse_instant(f"2013-04-{day:02d}"), kind, KEY) for day, kind in events]
    found = fold_events(made).get(KEY)
    assert (found.active if found else False) == active
