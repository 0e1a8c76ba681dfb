"""The cases of part `triage` in tests/reference/, all of them; of each kind the function that gives our result."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from scipy import stats as scipy_stats
from signal_cases import agrees

from toolkit.triage import METHODS, delay_cost, order
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.programme_solver import solve

Inputs = dict[str, Any]

CASES = [
    case
    for name in ("signals", "debt")
    for case in json.loads((Path(__file__).parents[1] / "reference" / f"{name}_cases.json").read_text(encoding="utf-8"))
    if case.get("part") == "triage"
]


def scored(method: str, inputs: Inputs) -> Inputs:
    """The scores and the order by a method whose inputs are called as in the case."""
    scores = {
        item["id"]: METHODS[method].score(**{name: item[name] for name in METHODS[method].inputs})
        for item in inputs["items"]
    }
    return {"scores": scores, "order": list(order(scores))}


def smith(items: list[tuple[str, float, float]]) -> Inputs:
    """The order by cost of delay divided by duration, what it costs, and what the others cost."""
    costs, weeks = {key: cost for key, cost, _ in items}, {key: duration for key, _, duration in items}
    cd3 = METHODS["cost_of_delay_divided_by_duration"].score
    scores = {key: cd3(value_per_week=costs[key], risk_per_week=0.0, duration_weeks=weeks[key]) for key in costs}
    found = order(scores)
    every = [delay_cost(each, costs, weeks) for each in permutations(costs)]
    assert delay_cost(found, costs, weeks) == min(every)
    return {
        "cd3": list(scores.values()),
        "order": list(found),
        "delay_cost": delay_cost(found, costs, weeks),
        "total_delay_cost": delay_cost(found, costs, weeks),
        "fifo_cost": delay_cost(list(costs), costs, weeks),
        "worst": max(every),
    }


def knapsack(inputs: Inputs) -> Inputs:
    """The best plan, of which there is only one, and what a greedy one would be worth."""
    items = {item["id"]: item for item in inputs["items"]}
    programme = Programme(
        tuple(Task(key, each["value"], {"team": each["effort"]}, kind=each["kind"]) for key, each in items.items()),
        {"team": inputs["capacity"]},
        # The case gives its floor in days; ours is a share of the capacity.
        floors=(Floor(("debt",), inputs["min_debt_effort"] / inputs["capacity"]),),
    )
    found = solve(programme)
    debt = sum(items[key]["effort"] for key in found.chosen if items[key]["kind"] == "debt")
    value = sum(items[key]["value"] for key in found.chosen)
    assert (found.value, found.bound, found.gap) == (value, value, 0)
    assert (found.optimal, found.reason) == (True, "")
    assert found.used_days == {"team": sum(items[key]["effort"] for key in found.chosen)}
    assert debt >= inputs["min_debt_effort"]
    return {
        "value": found.value,
        "one_optimal_set": sorted(found.chosen, key=list(items).index),
        "effort": found.used_days["team"],
        "greedy_value_unconstrained": greedy_value(items, inputs["capacity"]),
    }


def greedy_value(items: dict[str, Inputs], capacity: float) -> float:
    """What the order by value divided by effort is worth, each item taken if it still fits; no floor."""
    value, left = 0.0, capacity
    for key in order({key: each["value"] / each["effort"] for key, each in items.items()}):
        if items[key]["effort"] <= left:
            left -= items[key]["effort"]
            value += items[key]["value"]
    return value


def rank_agreement(inputs: Inputs) -> Inputs:
    places = [inputs["b"].index(key) for key in inputs["a"]]
    return {
        "kendall_tau": scipy_stats.kendalltau(range(len(places)), places).statistic,
        "spearman": scipy_stats.spearmanr(range(len(places)), places).statistic,
    }


FUNCTIONS: dict[str, Callable[[Inputs], Inputs]] = {
    "wsjf": lambda inputs: scored("wsjf", inputs),
    "rice": lambda inputs: scored("rice", inputs),
    "cost_of_delay": lambda inputs: smith([(i["id"], i["cod_per_week"], i["weeks"]) for i in inputs["items"]]),
    "cost_of_delay_divided_by_duration": lambda inputs: smith([tuple(item) for item in inputs["items"]]),
    "knapsack": knapsack,
    "rank_agreement": rank_agreement,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_equals_the_reference(case: dict[str, Any]) -> None:
    found = FUNCTIONS[case["kind"]](case["inputs"])
    for name, expected in case["expected"].items():
        assert agrees(found[name], expected, case["tolerance"]), (name, found[name], expected)


def test_no_case_is_left_over_and_all_are_ours() -> None:
    assert {case["id"] for case in CASES} == {
        "cd3-01-smith",
        "cd3-order",
        "knapsack-cap15-debt6",
        "knapsack-cap15-debt8",
        "rank-02-kendall-rbo",
        "rice-01",
        "wsjf-01",
    }
    assert {case["kind"] for case in CASES} == set(FUNCTIONS)
    assert {case["role"] for case in CASES} == {"ours"}
    assert all(case["source"] for case in CASES)
