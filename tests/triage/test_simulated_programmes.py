"""The simulator of `benchmarks/triage_value.py`: what it draws, what a plan sees of it, and what work delivers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ways.hindsight import look_back
from benchmarks.ways.simulated_programmes import (
    EFFORT_NOISE,
    SOURCES,
    VALUE_NOISE,
    Closed,
    Entry,
    Item,
    Programme,
    Setting,
    Stated,
    View,
    draw_programme,
    run_programme,
)

SETTINGS = [
    Setting(),
    Setting(constraints=True),
    Setting(constraints=True, biased=True, weeks=14),
    Setting(constraints=True, teams=3, first_items=15, weeks=14),
]


def by_estimates(view: View) -> list[int]:
    return [entry.key for entry in sorted(view.entries, key=lambda entry: -entry.value.likely / entry.effort.likely)]


def first_come(view: View) -> list[int]:
    return [entry.key for entry in view.entries]


def last_come(view: View) -> list[int]:
    return first_come(view)[::-1]


def made(*items: Item, **setting: object) -> Programme:
    return Programme(Setting(**setting)._replace(weeks=10), {item.entry.key: item for item in items}, ())


def item(key: int, value: float, effort: float, *, kind: str = "model", interest: float = 0.0, **more: object) -> Item:
    entry = Entry(key, kind, "person B", 0, 0, Stated(1, 2, 4), Stated(1, 2, 4), (), None)._replace(**more)
    return Item(entry, value, effort, interest, value)


@pytest.mark.parametrize("setting", SETTINGS)
def test_nobody_delivers_more_than_the_bound_and_hindsight_comes_near_it(setting: Setting) -> None:
    for number in range(3):
        programme = draw_programme(setting, 1, number)
        found = look_back(programme)
        rng = np.random.default_rng(number)
        policies = {
            "first come": first_come,
            "estimates": by_estimates,
            "random": lambda view, rng=rng: [int(key) for key in rng.permutation([each.key for each in view.entries])],
            "truth": lambda view, items=programme.items: sorted(
                [entry.key for entry in view.entries], key=lambda key: -items[key].value / items[key].effort
            ),
            "hindsight": lambda view, order=found.order: [
                key for key in order if key in {entry.key for entry in view.entries}
            ],
        }
        delivered = {name: run_programme(programme, policy).value for name, policy in policies.items()}
        assert max(delivered.values()) <= found.bound * (1 + 1e-9)
        assert delivered["hindsight"] >= 0.8 * found.bound
        assert delivered["hindsight"] >= max(delivered["first come"], delivered["random"], delivered["estimates"])


def test_a_finer_grid_of_time_gives_a_closer_bound() -> None:
    programme = draw_programme(Setting(weeks=14), 1, 0)
    assert look_back(programme, buckets_per_week=2).bound < look_back(programme).bound


def test_the_same_seed_and_number_give_the_same_programme_and_the_same_outcome() -> None:
    once, again = (draw_programme(SETTINGS[1], 5, 3) for _ in range(2))
    assert once == again
    assert run_programme(once, by_estimates) == run_programme(again, by_estimates)
    assert draw_programme(SETTINGS[1], 5, 4) != once
    assert draw_programme(SETTINGS[1], 6, 3) != once


def test_scenarios_share_the_truth_of_their_programmes() -> None:
    plain, biased, bound = (
        draw_programme(setting, 2, 0) for setting in (Setting(), Setting(biased=True), Setting(constraints=True))
    )
    for key, one in plain.items.items():
        other, third = biased.items[key], bound.items[key]
        assert (one.value, one.effort, one.interest_days) == (other.value, other.effort, other.interest_days)
        assert replace(third, entry=third.entry._replace(requires=())) == one
        source = SOURCES[one.entry.source]
        assert other.entry.value.likely == pytest.approx(one.entry.value.likely * source.value_bias)
        assert other.entry.effort.likely == pytest.approx(one.entry.effort.likely * source.effort_bias)


def test_estimates_of_unbiased_sources_are_centred_and_their_ranges_hold_four_of_five() -> None:
    items = [each for number in range(40) for each in draw_programme(Setting(), 3, number).items.values()]
    for noise, stated, truth in (
        (VALUE_NOISE, [each.entry.value for each in items], [each.value for each in items]),
        (EFFORT_NOISE, [each.entry.effort for each in items], [each.effort for each in items]),
    ):
        errors = np.log([each.likely for each in stated]) - np.log(truth)
        assert len(items) > 3_000
        assert errors.mean() == pytest.approx(0, abs=4 * noise / math.sqrt(len(items)))
        assert errors.std() == pytest.approx(noise, rel=0.05)
        held = np.mean([each.low <= true <= each.high for each, true in zip(stated, truth, strict=True)])
        assert held == pytest.approx(0.8, abs=0.03)


def test_a_plan_sees_estimates_and_of_the_truth_only_what_was_closed_a_fortnight_ago() -> None:
    programme = draw_programme(Setting(constraints=True), 4, 0)
    truths = {number for each in programme.items.values() for number in (each.value, each.effort, each.interest_days)}
    truths.discard(0.0)  # of interest, for all that is no debt
    views: list[View] = []

    def plan(view: View) -> list[int]:
        views.append(view)
        return by_estimates(view)

    outcome = run_programme(programme, plan)
    for view in views:
        assert all(type(entry) is Entry for entry in view.entries)
        assert all(entry.since_week <= view.week for entry in view.entries)
        assert not {number for entry in view.entries for number in (*entry.value, *entry.effort)} & truths
        assert not {entry.key for entry in view.entries} & view.done
        fresh = view.closed[len(programme.past) :]
        assert view.closed[: len(programme.past)] == programme.past
        assert all(type(each) is Closed and outcome.done[each.entry.key] <= view.week - 2 for each in fresh)
    assert len(views[-1].closed) > len(programme.past) + 20


def test_value_counts_from_when_an_item_is_done_and_not_after_its_deadline() -> None:
    two = made(item(1, 5.0, 8.0), item(2, 3.0, 12.0), capacity_days=4.0)
    outcome = run_programme(two, first_come)
    assert outcome.done == {1: pytest.approx(2), 2: pytest.approx(5)}
    assert outcome.value == pytest.approx(5 * (10 - 2) + 3 * (10 - 5))
    late = made(item(1, 5.0, 8.0), item(2, 3.0, 12.0, deadline_week=4.5), capacity_days=4.0)
    assert run_programme(late, first_come).value == pytest.approx(5 * (10 - 2))


def test_debt_takes_days_every_week_until_it_is_paid() -> None:
    debt = item(2, 0.0, 3.0, kind="debt", interest=1.0)
    paid_last = run_programme(made(item(1, 5.0, 12.0), debt, capacity_days=4.0), first_come)
    assert paid_last.done == {1: pytest.approx(4), 2: pytest.approx(5)}
    paid_first = run_programme(made(item(1, 5.0, 12.0), debt, capacity_days=4.0), last_come)
    assert paid_first.done == {2: pytest.approx(1), 1: pytest.approx(4)}


def test_with_constraints_a_share_of_the_time_is_for_debt_whether_planned_or_not() -> None:
    programme = made(item(1, 5.0, 16.0), item(2, 0.0, 4.0, kind="debt"), capacity_days=5.0, constraints=True)
    outcome = run_programme(programme, lambda view: [key for key in first_come(view) if key != 2])
    assert outcome.done == {1: pytest.approx(4), 2: pytest.approx(4)}


def test_an_item_waits_for_what_it_requires() -> None:
    programme = made(item(1, 1.0, 4.0), item(2, 9.0, 4.0, requires=(1,)), capacity_days=4.0)
    outcome = run_programme(programme, last_come)
    assert outcome.done == {1: pytest.approx(1), 2: pytest.approx(2)}


def test_a_plan_of_what_was_not_shown_is_an_error() -> None:
    programme = made(item(1, 1.0, 4.0), item(2, 9.0, 4.0, since_week=4))
    with pytest.raises(ValueError, match=r"the plan of week 0 has \[2\], which the view does not"):
        run_programme(programme, lambda view: [*first_come(view), 2])
