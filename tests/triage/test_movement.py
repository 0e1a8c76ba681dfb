"""What moved since the previous plan, and what stands still."""

from __future__ import annotations

from typing import Any

import pytest
from triage.told_history import history, planned, review, word

from toolkit.stats import Spread
from toolkit.triage.lifecycle.history import ItemEvent, PlannedItem, ReviewedPlan
from toolkit.triage.lifecycle.movement import Footing, Movements, find_movements
from toolkit.windows import parse_instant

NOW = "2013-05-29"
OUT = "not planned: Ada wants it out until 2013-06-01: promised"


def footing(place: str = "planned", *, tier: int | None = 1, held: bool = False, closed: bool = False) -> Footing:
    estimates = Spread(25, 50, 100), Spread(3, 3, 3)
    return Footing(place, held, None if place == "cannot be planned" else tier, estimates, closed)


def moved(now: dict[str, Footing], *told: ItemEvent | ReviewedPlan) -> Movements:
    return find_movements(now, history(*told), parse_instant(NOW))


def twice(key: str = "idea/a", place: str = "planned", **facts: Any) -> tuple[ReviewedPlan, ReviewedPlan]:
    item: PlannedItem = planned(key, place, **facts)
    return review("2013-05-01", item), review("2013-05-15", item)


def test_without_an_earlier_plan_nothing_has_moved() -> None:
    found = moved({"idea/a": footing()}, word("started", "idea/a", "2013-05-01"), review(NOW, planned("idea/b")))
    assert found == Movements(None, {}, {})
    assert found.text == ""


def test_an_item_that_the_previous_plan_did_not_have_is_new() -> None:
    now = {"idea/a": footing(), "idea/b": footing("cannot be planned")}
    found = moved(now, review("2013-05-15", planned("idea/a")))
    assert found.by_item == {"idea/b": "new"}
    assert found.text == "Since the plan as of 2013-05-15: 1 new (idea/b)."


def test_another_place_or_another_tier_is_a_move() -> None:
    last = review(
        "2013-05-15",
        planned("idea/in"),
        planned("idea/out", "not planned", tier=2),
        planned("idea/asked", "cannot be planned"),
        planned("idea/tier", "not planned", tier=2),
        planned("idea/still", tier=1),
    )
    now = {
        "idea/in": footing("not planned"),
        "idea/out": footing(tier=2),
        "idea/asked": footing("not planned", tier=3),
        "idea/tier": footing("not planned", tier=3),
        "idea/still": footing(),
    }
    assert moved(now, last).by_item == dict.fromkeys(("idea/in", "idea/out", "idea/asked", "idea/tier"), "moved")


def test_who_leaves_the_first_tier_moves_nobody_else() -> None:
    last = review("2013-05-15", planned("idea/first"), planned("idea/next", "not planned", tier=2))
    found = moved({"idea/next": footing("not planned", tier=1)}, last, word("done", "idea/first", "2013-05-20"))
    assert found.by_item == {"idea/first": "done"}


def test_when_nothing_moved_it_says_so() -> None:
    found = moved({"idea/a": footing()}, review("2013-05-15", planned("idea/a")))
    assert found.text == "Since the plan as of 2013-05-15: nothing moved."


def test_what_was_closed_since_is_told_once() -> None:
    words = word("done", "idea/a", "2013-05-15"), word("dropped", "idea/b", "2013-05-20", reason="too dear")
    now = {key: footing("cannot be planned", closed=True) for key in ("idea/a", "idea/b")}
    assert moved(now, *words, review("2013-05-15", planned("idea/a"), planned("idea/b"))).by_item == {
        "idea/a": "done",
        "idea/b": "dropped",
    }
    known = (
        planned("idea/a", "cannot be planned", state="done"),
        planned("idea/b", "cannot be planned", state="dropped"),
    )
    assert moved(now, *words, review("2013-05-22", *known)).by_item == {}


def test_what_left_the_backlog_says_why_or_is_gone() -> None:
    last = review(
        "2013-05-15",
        planned("idea/a"),
        planned("idea/b"),
        planned("idea/c"),
        planned("idea/d", "cannot be planned", state="done"),
        planned("signal/e", origin="signal"),
        planned("debt/f", origin="debt"),
    )
    words = word("done", "idea/a", "2013-05-20"), word("dropped", "idea/b", "2013-05-21", reason="too dear")
    found = moved({}, last, *words, word("done", "idea/d", "2013-05-02"))
    assert found.by_item == {
        "idea/a": "done",
        "idea/b": "dropped",
        "idea/c": "gone",
        "signal/e": "gone",
        "debt/f": "gone",
    }
    assert found.absent == {
        "idea/a": "done on 2013-05-20",
        "idea/b": "dropped on 2013-05-21 by Ada: too dear",
        "idea/c": "it is not in the backlog any more, and nobody said why",
        "signal/e": "no group of signals goes by it any more, and nobody said why",
        "debt/f": "it is no open debt any more; debt/f.yml says why, if it is still there",
    }


def test_what_could_be_planned_three_times_and_never_was_is_starved() -> None:
    now = {"idea/a": footing("not planned")}
    assert moved(now, *twice(place="not planned")).by_item == {"idea/a": "starved"}
    assert moved(now, twice(place="not planned")[1]).by_item == {}
    assert moved(now, twice(place="not planned")[0], review("2013-05-15", planned("idea/a"))).by_item == {
        "idea/a": "moved"
    }


def test_what_somebody_wants_out_is_not_starved() -> None:
    held = twice(place="not planned", override=OUT)
    assert moved({"idea/a": footing("not planned", held=True)}, *held).by_item == {}
    assert moved({"idea/a": footing("not planned")}, *held).by_item == {}


def test_another_tier_does_not_hide_that_it_starves() -> None:
    plans = [review(plan.as_of.isoformat(), *plan.items, planned("idea/b")) for plan in twice(place="not planned")]
    now = {"idea/a": footing("not planned", tier=2), "idea/b": footing()}
    assert moved(now, *plans).by_item["idea/a"] == "starved"


@pytest.mark.parametrize(("kind", "movement"), [(None, "stagnant"), ("started", None), ("reopened", "stagnant")])
def test_what_is_planned_three_times_and_nobody_begins_is_stagnant(kind: str | None, movement: str | None) -> None:
    told = [word(kind, "idea/a", "2013-05-02")] if kind else []
    assert moved({"idea/a": footing()}, *twice(), *told).by_item.get("idea/a") == movement


def test_the_same_estimate_is_asked_for_again_and_again() -> None:
    asked = twice(place="cannot be planned")
    assert moved({"idea/a": footing("cannot be planned")}, *asked).by_item == {"idea/a": "stagnant"}
    other = twice(place="cannot be planned", effort_days=Spread(1, 2, 3))
    assert moved({"idea/a": footing("cannot be planned")}, *other).by_item == {}


def test_what_a_detector_measures_anew_is_no_movement() -> None:
    seen = [
        review(
            day, planned("signal/a", "cannot be planned", value_per_week=Spread(1, 2, high), value_source="detector/x")
        )
        for day, high in (("2013-05-01", 3), ("2013-05-15", 4))
    ]
    now = Footing("cannot be planned", False, None, (None, Spread(3, 3, 3)), False)
    assert moved({"signal/a": now}, *seen).by_item == {"signal/a": "stagnant"}


def test_a_report_that_is_filled_in_afterwards_sees_no_later_plan_and_no_later_word() -> None:
    later = review("2013-06-15", planned("idea/a", "not planned")), word("dropped", "idea/a", "2013-06-01")
    assert moved({"idea/a": footing()}, review("2013-05-15", planned("idea/a")), *later).by_item == {}


def test_of_many_only_some_are_named() -> None:
    found = moved({f"idea/{at}": footing() for at in range(7)}, review("2013-05-15"))
    assert found.text == ("Since the plan as of 2013-05-15: 7 new (idea/0, idea/1, idea/2, idea/3 and 3 more).")
