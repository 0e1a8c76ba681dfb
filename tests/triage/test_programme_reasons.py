"""What would change a plan, and what its constraints cost, against brute force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from triage.exhausted_programmes import best_value, hard_programme, one_resource, random_programme, task

from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.programme_reasons import (
    CONSTRAINTS,
    Price,
    Threshold,
    Why,
    capacities_to_flip,
    constraint_prices,
    effort_to_flip,
    why,
)
from toolkit.triage.programme_solver import Choice, lower_floors, solve

A_LITTLE = 0.004


def solved(seeds: range) -> Iterator[tuple[int, Programme, Choice]]:
    for seed in seeds:
        programme = random_programme(seed)
        if best_value(programme) is not None:
            yield seed, programme, solve(programme)


def changed(programme: Programme, key: str, **facts: Any) -> Programme:
    return replace(
        programme, tasks=tuple(replace(each, **facts) if each.key == key else each for each in programme.tasks)
    )


def worth_having(programme: Programme, key: str) -> bool:
    """Whether the best plan with a task is better than the best one without it."""
    inside, outside = best_value(programme, inside=[key]), best_value(programme, outside=[key])
    return inside is not None and (outside is None or inside >= outside - 1e-9)


@pytest.mark.parametrize(("seeds", "least"), [(30, 7), pytest.param(80, 20, marks=pytest.mark.slow)])
def test_a_task_changes_its_place_at_its_flip_value(seeds: int, least: int) -> None:
    absent = 0
    for seed, programme, choice in solved(range(seeds)):
        for each in why(programme, choice):
            assert each.optimal
            assert each.chosen == (each.key in choice.chosen)
            if each.flip_value is None:
                absent += 1
                where = {"outside": [each.key]} if each.chosen else {"inside": [each.key]}
                assert best_value(programme, **where) is None, seed
                assert each.reason
                continue
            assert (each.flip_value <= each.value + 1e-9) if each.chosen else (each.flip_value >= each.value - 1e-9)
            above = changed(programme, each.key, value=each.flip_value + A_LITTLE)
            below = changed(programme, each.key, value=each.flip_value - A_LITTLE)
            assert worth_having(above, each.key), seed
            assert not worth_having(below, each.key), seed
    assert absent > least


@pytest.mark.parametrize(("seeds", "least"), [(20, 33), pytest.param(60, 100, marks=pytest.mark.slow)])
def test_a_task_is_worth_having_up_to_its_largest_effort(seeds: int, least: int) -> None:
    rng = np.random.default_rng(8)
    found = 0
    for seed, programme, choice in solved(range(seeds)):
        for each in programme.tasks:
            threshold = effort_to_flip(programme, choice, each.key)
            assert threshold.optimal
            factor = threshold.value
            if factor is None or factor < 0.01:
                continue
            found += 1
            assert (factor >= 1 - 1e-6) if each.key in choice.chosen else (factor <= 1 + 1e-6), seed

            def times(factor: float, each: Task = each, programme: Programme = programme) -> Programme:
                days = {name: days * factor for name, days in each.effort_days.items()}
                return changed(programme, each.key, effort_days=days)

            # At the threshold itself a row is exactly full, and rounding decides: a little below it is room, unless a
            # floor counts the task, for which a little more effort is a little more room.
            counted = {kind for floor in programme.floors for kind in floor.kinds}
            if each.kind not in counted:
                assert worth_having(times(factor * 0.9999), each.key), seed
            for more in factor * np.array([1.001, 1.01, *rng.uniform(1.01, 2, 3)]):
                if more > 1 and each.key not in choice.chosen and each.kind in counted:
                    continue
                assert not worth_having(times(float(more)), each.key), (seed, each.key, more)
    assert found > least


@pytest.mark.parametrize(
    ("seeds", "least", "least_absent"), [(6, 8, 4), pytest.param(14, 20, 10, marks=pytest.mark.slow)]
)
def test_a_task_changes_its_place_at_the_first_step_of_capacity_that_changes_it(
    seeds: int, least: int, least_absent: int
) -> None:
    found, absent = 0, 0
    for seed, programme, choice in solved(range(seeds)):
        plans: dict[tuple[frozenset[str], float], tuple[str, ...] | None] = {}
        for key, threshold in capacities_to_flip(programme, choice, step_days=0.5, most_steps=6).items():
            assert threshold.optimal
            sign = -1 if key in choice.chosen else 1
            expected = None
            for step in range(1, 7):
                asked = frozenset(programme.by_key[key].effort_days), sign * 0.5 * step
                if asked not in plans:
                    plans[asked] = best_with_more(programme, *asked)
                best = plans[asked]
                if best is None:
                    if sign < 0:
                        break
                    continue
                if (key in best) == (sign > 0):
                    expected = sign * 0.5 * step
                    break
            assert threshold.value == expected, (seed, key, threshold)
            found, absent = found + (expected is not None), absent + (expected is None)
            assert bool(threshold.reason) == (expected is None)
    assert found > least
    assert absent > least_absent


def best_with_more(programme: Programme, resources: frozenset[str], days: float) -> tuple[str, ...] | None:
    """The best plan with so many days more of some resources, as good as brute force finds; None when there is none."""
    capacity = {name: have + days * (name in resources) for name, have in programme.capacity_days.items()}
    if min(capacity.values()) < 0:
        return None
    other = replace(programme, capacity_days=capacity)
    if best_value(replace(other, floors=())) is None:
        return None
    other = lower_floors(other)
    best = solve(other)
    assert best.value == pytest.approx(best_value(other), abs=1e-6)
    return best.chosen


def relaxed(programme: Programme, price: Price) -> Programme:
    """The programme without what has a price, from the price's name."""
    if price.kind == "capacity":
        days = {**programme.capacity_days, price.name: programme.capacity_days[price.name] + 1}
        return lower_floors(replace(programme, capacity_days=days))
    if price.kind == "floor":
        return replace(programme, floors=tuple(floor for floor in programme.floors if floor.text != price.name))
    if price.kind == "must":
        return changed(programme, price.name, must=False)
    if price.kind == "exclusive":
        groups = list(programme.exclusive)
        groups.remove(tuple(price.name.split(" | ")))
        return replace(programme, exclusive=tuple(groups))
    key, other = price.name.split(" → ")
    (left,) = [each.requires for each in programme.tasks if each.key == key]
    return changed(programme, key, requires=tuple(each for each in left if each != other))


@pytest.mark.parametrize("seeds", [50, pytest.param(150, marks=pytest.mark.slow)])
def test_prices_are_what_brute_force_gains_without_the_constraint(seeds: int) -> None:
    positive = dict.fromkeys(CONSTRAINTS, 0)
    for seed, programme, choice in solved(range(seeds)):
        for price in constraint_prices(programme, choice):
            assert price.optimal
            best = best_value(relaxed(programme, price))
            assert best is not None
            assert price.value == pytest.approx(best - choice.value, abs=1e-9), (seed, price)
            assert price.kind == "capacity" or price.value >= 0
            positive[price.kind] += price.value > 0.001
    assert all(positive.values()), positive


def test_the_floor_of_the_reference_case_costs_what_the_study_says() -> None:
    items = [(12, 4), (10, 3), (8, 2), (14, 6), (5, 2), (7, 3), (9, 5), (4, 1), (11, 5), (3, 1)]
    debt = {"k2", "k5", "k7", "k10"}
    tasks = [
        task(f"k{index}", value, days, kind="debt" if f"k{index}" in debt else "other")
        for index, (value, days) in enumerate(items, start=1)
    ]
    for days, cost in ((6, 1), (8, 3)):
        programme = one_resource(*tasks, days=15, floors=(Floor(("debt",), days / 15),))
        (price,) = constraint_prices(programme, solve(programme), ["floor"])
        assert (price.value, price.optimal, price.reason) == (cost, True, "")


def test_a_place_that_no_value_changes_says_why() -> None:
    programme = one_resource(
        task("audit", 1, 2, must=True, requires=("logs",)),
        task("logs", 1, 2),
        task("debt", 1, 2, kind="debt"),
        task("large", 99, 11),
        task("also large", 99, 5),
        floors=(Floor(("debt",), 0.2),),
    )
    choice = solve(programme)
    told = {each.key: each for each in why(programme, choice)}
    assert told == {
        "also large": Why(
            "also large",
            False,
            99,
            None,
            True,
            "beside what must be done, what it requires and the floors there is no room for it",
        ),
        "audit": Why("audit", True, 1, None, True, "it must be done"),
        "debt": Why("debt", True, 1, None, True, "without it a floor is out of reach"),
        "large": Why("large", False, 99, None, True, "it takes 11 days of 'core', which has 10"),
        "logs": Why("logs", True, 1, None, True, "'audit' must be done and needs it"),
    }
    assert effort_to_flip(programme, choice, "audit") == Threshold(None, True, "it must be done")
    assert effort_to_flip(programme, choice, "also large").value == pytest.approx(0.8)
    assert why(programme, choice, ["logs"]) == (told["logs"],)


def test_a_task_of_negative_value_enters_with_no_effort_and_no_capacity() -> None:
    programme = one_resource(task("bad", -1, 2), task("good", 1, 2))
    choice = solve(programme)
    assert effort_to_flip(programme, choice, "bad") == Threshold(
        None, True, "no effort, however small, would bring it in"
    )
    assert capacities_to_flip(programme, choice, ["bad"], most_steps=3) == {
        "bad": Threshold(None, True, "not with 3 days more: further was not looked")
    }
    assert capacities_to_flip(programme, choice, ["bad"], most_steps=1)["bad"].reason == (
        "not with 1 day more: further was not looked"
    )
    assert capacities_to_flip(programme, choice, ["good"], step_days=3)["good"].value == -9
    tight = one_resource(task("good", 1, 0.5), days=0.6)
    assert capacities_to_flip(tight, solve(tight))["good"].reason == "with 1 day fewer the capacity would be below 0"
    must = one_resource(task("good", 1, 9.5, must=True))
    assert capacities_to_flip(must, solve(must))["good"].reason == "there is no plan at all with 1 day fewer"


def test_more_capacity_is_looked_into_with_floors_that_it_puts_out_of_reach() -> None:
    tasks = (task("debt", 1, 2, kind="debt"), task("good", 9, 6), task("next", 8, 4))
    programme = one_resource(*tasks, days=10, floors=(Floor(("debt",), 0.2),))
    choice = solve(programme)
    assert choice.chosen == ("debt", "good")
    assert capacities_to_flip(programme, choice, ["next"])["next"].value == 2


def test_what_is_not_proven_says_so() -> None:
    programme = hard_programme(60)
    choice = solve(programme, gap=0.2)
    (each,) = why(programme, choice, [choice.chosen[0]], time_limit_s=0.5)
    assert not each.optimal
    assert each.reason == "not proven: a solution ended at a limit"
    prices = constraint_prices(programme, choice, ["capacity"], time_limit_s=0.5)
    assert {price.reason for price in prices} == {"not proven: a solution ended at a limit"}


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (
            lambda programme, choice: why(programme, choice, ["lable"]),
            UnknownNameError,
            "unknown task 'lable'; allowed: audit, label. Did you mean 'label'?",
        ),
        (
            lambda programme, choice: effort_to_flip(programme, choice, "lable"),
            UnknownNameError,
            "unknown task 'lable'; allowed: audit, label. Did you mean 'label'?",
        ),
        (
            lambda programme, choice: constraint_prices(programme, choice, ["floors"]),
            UnknownNameError,
            "unknown constraint 'floors'; allowed: capacity, exclusive, floor, must, requires. Did you mean 'floor'?",
        ),
        (
            lambda programme, choice: capacities_to_flip(programme, choice, step_days=0),
            ArgumentError,
            "step_days == 0, must be a number of days above 0",
        ),
        (
            lambda programme, choice: capacities_to_flip(programme, choice, most_steps=0),
            ArgumentError,
            "most_steps == 0, must be a number of at least 1",
        ),
    ],
)
def test_what_cannot_be_asked_is_said(ask: Any, error: type[Exception], text: str) -> None:
    programme = one_resource(task("label"), task("audit"))
    with pytest.raises(error) as caught:
        ask(programme, solve(programme))
    assert str(caught.value) == text
