from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import ArgumentError
from toolkit.stats import Spread, draw_spreads
from toolkit.triage import (
    DEFAULT_METHOD,
    METHODS,
    Horizons,
    cost_of_delay,
    cost_of_delay_divided_by_duration,
    delay_cost,
    order,
    order_regret,
    rice,
    weigh_horizons,
    weighted,
    wsjf,
)

POINTS = st.integers(1, 20).map(float)
WORK = st.lists(st.tuples(st.integers(-5, 20), st.integers(1, 9)), min_size=1, max_size=6)
"""Costs of delay with durations; also of work that does harm."""


@given(st.data())
def test_every_formula_is_what_its_function_does(data: st.DataObject) -> None:
    for method in METHODS.values():
        if "criteria" in method.inputs:
            continue
        numbers = {name: data.draw(POINTS) for name in method.inputs}
        numbers |= {"confidence": 0.5} if "confidence" in numbers else {}
        assert method.score(**numbers) == pytest.approx(eval(method.formula, {}, numbers))
        draws = {name: np.array([number, 2 * number / 3]) for name, number in numbers.items()}
        assert method.score(**draws)[0] == method.score(**numbers)


def test_the_methods_say_what_they_are() -> None:
    assert next(iter(METHODS)) == DEFAULT_METHOD == "cost_of_delay_divided_by_duration"
    assert list(METHODS) == ["cost_of_delay_divided_by_duration", "wsjf", "rice", "weighted"]
    for method in METHODS.values():
        assert method.formula
        assert method.source
        assert method.criterion
        assert all(name in method.formula for name in method.inputs)
        assert all(method.inputs.values())


def test_a_teams_own_weights() -> None:
    weights = {"users": 2.0, "speed": 0.5, "effort": -1.0}
    assert weighted({"effort": 3.0, "speed": 4.0, "users": 5.0}, weights) == 9.0
    draws = {"effort": np.array([3.0, 5.0]), "speed": np.array([4.0, 4.0]), "users": np.array([5.0, 1.0])}
    assert weighted(draws, weights).tolist() == [9.0, -1.0]


@given(WORK)
@settings(max_examples=60)
def test_smiths_rule_is_the_best_of_all_orders(work: list[tuple[int, int]]) -> None:
    costs = {f"k{at}": float(cost) for at, (cost, _) in enumerate(work)}
    weeks = {f"k{at}": float(duration) for at, (_, duration) in enumerate(work)}
    found = order({key: cost_of_delay_divided_by_duration(costs[key], 0.0, weeks[key]) for key in costs})
    every = {each: delay_cost(each, costs, weeks) for each in permutations(costs)}
    assert delay_cost(found, costs, weeks) == pytest.approx(min(every.values()))
    given_order = list(costs)
    regret = order_regret(range(len(work)), *(np.array([list(each.values())]).T for each in (costs, weeks)))
    assert regret.expected == pytest.approx(every[tuple(given_order)] - min(every.values()))


def test_an_orders_regret_is_what_knowing_everything_would_save() -> None:
    keys = ["k1", "k2", "k3"]
    costs = draw_spreads([Spread(5, 10, 20), Spread(2, 8, 40), Spread(3, 4, 5)], keys, draws=50, of="value")
    weeks = draw_spreads([Spread(1, 2, 3), Spread(1, 3, 9), Spread(1, 1, 1)], keys, draws=50, of="effort")
    losses = []
    for draw in range(50):
        cost, week = dict(zip(keys, costs[:, draw], strict=True)), dict(zip(keys, weeks[:, draw], strict=True))
        best = min(delay_cost(each, cost, week) for each in permutations(keys))
        losses.append(delay_cost(["k3", "k1", "k2"], cost, week) - best)
    found = order_regret([2, 0, 1], costs, weeks)
    assert found.expected == pytest.approx(np.mean(losses))
    assert found.best_probability == pytest.approx(np.mean(np.array(losses) < 1e-9))


def test_equal_scores_are_ordered_by_key() -> None:
    assert order({"b": 1.0, "c": 2.0, "a": 1.0}) == order({"a": 1.0, "b": 1.0, "c": 2.0}) == ("c", "a", "b")
    assert order({}) == ()


def test_nothing_to_do_costs_nothing() -> None:
    assert delay_cost([], {}, {}) == 0.0


def test_risk_counts_as_value_does() -> None:
    assert cost_of_delay(3.0, 4.0) == cost_of_delay(7.0, 0.0) == 7.0
    assert cost_of_delay(-3.0, 1.0) == -2.0


def test_the_long_term_moves_nothing_until_somebody_weighs_it() -> None:
    items = {"fix": (9.0, 0.0), "debt": (2.0, 30.0)}
    horizons = {
        key: Horizons(*(cost_of_delay_divided_by_duration(value, 0.0, 2.0) for value in values))
        for key, values in items.items()
    }
    assert horizons["debt"] == (1.0, 15.0)
    assert order({key: each.short_term for key, each in horizons.items()}) == ("fix", "debt")
    assert order({key: each.long_term for key, each in horizons.items()}) == ("debt", "fix")
    unweighed = {key: weigh_horizons(each, long_term_weight=0) for key, each in horizons.items()}
    assert unweighed == {key: each.short_term for key, each in horizons.items()}
    assert order({key: weigh_horizons(each, long_term_weight=0.5) for key, each in horizons.items()}) == ("debt", "fix")
    with pytest.raises(TypeError, match="long_term_weight"):
        weigh_horizons(horizons["fix"])  # type: ignore[call-arg]  # that is the mistake


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cost_of_delay_divided_by_duration(1.0, 0.0, 0.0),
            "duration_weeks == 0, must be a number above 0",
        ),
        (
            lambda: cost_of_delay_divided_by_duration(np.ones(2), np.zeros(2), np.array([1.0, -2.0])),
            "duration_weeks holds -2, must be a number above 0",
        ),
        (lambda: cost_of_delay(float("nan"), 0.0), "value_per_week == nan, must be a finite number"),
        (lambda: wsjf(-1.0, 2.0, 3.0, 1.0), "value == -1, must be a number of at least 0"),
        (lambda: wsjf(1.0, 2.0, 3.0, 0.0), "size == 0, must be a number above 0"),
        (
            lambda: rice(100.0, 1.0, 80.0, 2.0),
            "confidence == 80, must be a share between 0 and 1; 80 % is 0.8",
        ),
        (lambda: rice(100.0, 1.0, -0.1, 2.0), "confidence == -0.1, must be a number of at least 0"),
        (lambda: rice(100.0, 1.0, 0.5, 0.0), "effort == 0, must be a number above 0"),
        (lambda: weighted({"users": 1.0}, {}), "weights is empty, must hold a weight for each criterion"),
        (
            lambda: weighted({"user": 1.0}, {"users": 1.0}),
            "unknown criterion 'user'; allowed: users. Did you mean 'users'?",
        ),
        (
            lambda: weighted({"users": 1.0}, {"users": 1.0, "speed": 2.0, "cost": -1.0}),
            "criteria lack cost, speed: each weight needs its criterion",
        ),
        (lambda: order({"k1": float("nan")}), "the score of k1 == nan, must be a finite number"),
        (
            lambda: delay_cost(["k1", "k2"], {"k1": 1.0, "k22": 2.0}, {"k1": 1.0, "k2": 1.0}),
            "costs_of_delay lacks 'k2', must hold every key of the order. Did you mean 'k22'?",
        ),
        (
            lambda: delay_cost(["k1"], {"k1": 1.0}, {}),
            "durations_weeks lacks 'k1', must hold every key of the order.",
        ),
        (
            lambda: delay_cost(["k1", "k1"], {"k1": 1.0}, {"k1": 1.0}),
            "the order holds 'k1' twice, must hold each item once",
        ),
        (
            lambda: delay_cost(["k1"], {"k1": 1.0}, {"k1": 0.0}),
            "the duration of k1 == 0, must be a number above 0",
        ),
        (
            lambda: order_regret([0], [[1.0]], [[1.0, 2.0]]),
            "costs_of_delay has the shape (1, 1), durations_weeks (1, 2), must both be items x draws",
        ),
        (
            lambda: order_regret([0, 0], [[1.0], [2.0]], [[1.0], [2.0]]),
            "ordered == [0, 0], must hold each position from 0 to 1 once",
        ),
        (
            lambda: weigh_horizons(Horizons(1.0, 2.0), long_term_weight=-1),
            "long_term_weight == -1, must be a number of at least 0",
        ),
    ],
)
def test_an_error_says_what_was_given(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message
