"""The life of a backlog item: a fold over what people said, by the instants from which on it holds."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from triage.told_history import history, planned, review, wish, word

from toolkit.ledger import open_ledger
from toolkit.triage import ItemStanding, PlanHistory, load_history
from toolkit.triage.lifecycle.history import DONE, OVERRIDDEN, STARTED, ItemEvent
from toolkit.windows import parse_instant
from toolkit.workspace import Actor, Workspace

KEY = "idea/quick"


def stands(*told: ItemEvent, as_of: str = "2013-05-01") -> ItemStanding | None:
    return history(*told).standings(parse_instant(as_of)).get(KEY)


def test_of_what_nobody_spoke_nothing_stands() -> None:
    assert stands() is None
    assert PlanHistory("small").standings(parse_instant("2013-05-01")) == {}


def test_an_item_is_what_was_last_said_of_it() -> None:
    told = (word("started", KEY, "2013-05-01", reason="free now"), done := word("done", KEY, "2013-05-10"))
    started = stands(*told, as_of="2013-05-09")
    assert started == ItemStanding("started", parse_instant("2013-05-01"), "Ada", "free now")
    assert stands(*told, as_of="2013-05-10") == ItemStanding("done", done.at, "Ada", closed=done)
    again = stands(*told, word("reopened", KEY, "2013-05-11"), as_of="2013-05-11")
    assert again == ItemStanding("open", parse_instant("2013-05-11"), "Ada")


def test_what_people_said_for_the_very_instant_counts_and_later_words_do_not() -> None:
    assert stands(word("dropped", KEY, "2013-05-02")) is None
    dropped = stands(word("dropped", KEY, "2013-05-01"))
    assert dropped is not None
    assert dropped.state == "dropped"


def test_an_override_holds_until_its_day_whatever_becomes_of_the_item() -> None:
    told = (wish(KEY, "planned", until="2013-05-20"), word("started", KEY, "2013-05-02"))
    standing = stands(*told, as_of="2013-06-01")
    assert standing is not None
    assert standing.state == "started"
    assert standing.override_at(parse_instant("2013-05-19T23:59Z")) == told[0]
    assert standing.override_at(parse_instant("2013-05-20")) is None


def test_an_override_that_was_taken_back_does_not_hold() -> None:
    told = (wish(KEY, "not planned", until="2013-05-20"), word("override_ended", KEY, "2013-05-03"))
    standing = stands(*told, as_of="2013-05-03")
    assert standing is not None
    assert standing.override is None
    before = stands(*told, as_of="2013-05-02")
    assert before is not None
    assert before.override == told[0]


def test_of_several_plans_of_one_instant_the_last_counts() -> None:
    first, again = review("2013-05-01", planned("idea/a")), review("2013-05-01", planned("idea/b"))
    later = review("2013-05-15", planned("idea/c"))
    told = history(first, again, later)
    assert told.plans_before(parse_instant("2013-05-15")) == (again,)
    assert told.plans_before(parse_instant("2013-05-16")) == (again, later)
    assert told.plans_before(parse_instant("2013-05-01")) == ()


def test_a_word_holds_from_the_last_plan_or_the_last_word_on() -> None:
    told = history(
        review("2013-05-01", planned(KEY)), review("2013-05-15", planned(KEY)), word("started", KEY, "2013-05-02")
    )
    assert told.holds_from(KEY) == parse_instant("2013-05-15")
    later = history(
        review("2013-05-01", planned(KEY)),
        word("started", KEY, "2013-05-03"),
        wish(KEY, "planned", until="2013-07-01", at="2013-06-01"),
    )
    assert later.holds_from(KEY) == parse_instant("2013-06-01")
    assert later.holds_from("idea/other") == parse_instant("2013-05-01")


def test_a_history_is_of_one_model_also_where_its_name_begins_like_another(workspace: Workspace) -> None:
    rows = (
        (DONE, "small/idea/quick", "2013-05-03", {"effort_days": "2.5", "value_per_week": "-3.0", "unit": "EUR"}),
        (OVERRIDDEN, "small/idea/quick", "2013-05-02", {"place": "planned", "until": "2013-06-01", "reason": "r"}),
        (STARTED, "smaller/idea/quick", "2013-05-01", {}),
    )
    with open_ledger(workspace.ledger) as ledger:
        for kind, subject, at, payload in rows:
            ledger.append(
                kind=kind,
                subject=subject,
                payload=payload,
                actor=Actor("Ada", "asserted"),
                effective_at=parse_instant(at),
            )
    assert load_history(workspace, model="small").events == (
        ItemEvent(parse_instant("2013-05-03"), DONE, KEY, "Ada", effort_days=2.5, value_per_week=-3.0, unit="EUR"),
        ItemEvent(parse_instant("2013-05-02"), OVERRIDDEN, KEY, "Ada", "r", until=date(2013, 6, 1), place="planned"),
    )
    assert load_history(workspace, model="sma").events == ()


@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.sampled_from(["started", "done", "dropped", "reopened"])),
        unique_by=lambda each: each[0],
    ),
)
def test_the_order_in_which_words_were_recorded_does_not_matter(events: list[tuple[int, str]]) -> None:
    told = [word(kind, KEY, f"2013-04-{day:02d}") for day, kind in events]
    in_order = sorted(told, key=lambda each: each.at)
    now = parse_instant("2013-05-01")
    assert PlanHistory("small", tuple(told)).standings(now) == PlanHistory("small", tuple(in_order)).standings(now)


def test_of_several_words_for_one_instant_the_last_recorded_counts() -> None:
    told = tuple(word(kind, KEY, "2013-05-01") for kind in ("started", "done", "reopened", "dropped"))
    for last in range(1, len(told) + 1):
        found = PlanHistory("small", told[:last]).standings(parse_instant("2013-05-01"))[KEY]
        assert found.state == ("started", "done", "open", "dropped")[last - 1]
