"""What is learned from items that are done, with what they brought and took."""

from __future__ import annotations

from triage.told_history import history, planned, review, word

from toolkit.stats import Spread
from toolkit.triage.corrections import ClosedEstimate
from toolkit.triage.lifecycle.closed import Closed, closed_estimates
from toolkit.triage.lifecycle.history import ItemEvent, ReviewedPlan
from toolkit.windows import parse_instant

FIRST = review("2013-04-01", planned("idea/a", "not planned", effort_days=Spread(1, 1, 1)))
CHOSEN = review("2013-04-15", planned("idea/a", effort_days=Spread(1, 2, 4)))
AGAIN = review("2013-05-01", planned("idea/a", effort_days=Spread(2, 4, 8)))


def closed(*told: ItemEvent | ReviewedPlan, as_of: str = "2013-05-29") -> Closed:
    return closed_estimates(history(*told), parse_instant(as_of))


def test_the_estimate_is_that_of_the_first_plan_that_chose_it() -> None:
    done = word("done", "idea/a", "2013-05-10", effort_days=6.0, value_per_week=20.0, unit="EUR")
    assert closed(FIRST, CHOSEN, AGAIN, done) == (
        (
            ClosedEstimate("idea/a", "person/Ada", "value", Spread(25, 50, 100), 20.0),
            ClosedEstimate("idea/a", "person/Ada", "effort", Spread(1, 2, 4), 6.0),
        ),
        (),
    )


def test_what_was_never_planned_counts_as_in_the_last_plan_before_it_was_done() -> None:
    later = review("2013-05-15", planned("idea/a", effort_days=Spread(9, 9, 9)))
    (found,) = closed(FIRST, later, word("done", "idea/a", "2013-05-10", effort_days=6.0)).estimates
    assert found.estimated == Spread(1, 1, 1)


def test_numbers_without_an_estimate_are_left_out_and_said() -> None:
    bare = review("2013-04-15", planned("idea/b", "cannot be planned", effort_days=None), planned("idea/c"))
    told = [
        word("done", "idea/a", "2013-05-10", effort_days=6.0),
        word("done", "idea/b", "2013-05-10", effort_days=6.0),
        word("done", "idea/c", "2013-05-10", value_per_week=6.0, unit="hours"),
        word("done", "idea/d", "2013-05-10"),
    ]
    assert closed(bare, *told) == (
        (),
        (
            "effort of idea/a: no plan had it before it was done",
            "effort of idea/b: nobody had estimated it",
            "value of idea/c: realised in hours, estimated in EUR",
        ),
    )


def test_what_was_estimated_in_another_unit_than_the_plans_is_not_compared() -> None:
    other = review("2013-04-15", planned("idea/a", "cannot be planned", unit="hours"))
    done = word("done", "idea/a", "2013-05-10", value_per_week=20.0, unit="EUR")
    assert closed(other, done) == ((), ("value of idea/a: realised in EUR, estimated in hours",))


def test_what_was_dropped_or_opened_again_teaches_nothing() -> None:
    done = word("done", "idea/a", "2013-05-10", effort_days=6.0)
    assert closed(CHOSEN, done, word("reopened", "idea/a", "2013-05-11")) == ((), ())
    assert closed(CHOSEN, word("dropped", "idea/a", "2013-05-11")) == ((), ())


def test_an_earlier_instant_does_not_know_what_was_said_later() -> None:
    done = word("done", "idea/a", "2013-05-10", effort_days=6.0)
    assert closed(CHOSEN, done, as_of="2013-05-09") == ((), ())
    assert len(closed(CHOSEN, done, as_of="2013-05-10").estimates) == 1
