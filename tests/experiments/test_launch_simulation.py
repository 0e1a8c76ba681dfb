"""The promises of the rule over many simulated launches: what is shipped wrongly, and what rightly.

`benchmarks/experiment_launches.py` does the same with 10,000 launches beside GrowthBook's default rule.
"""

from __future__ import annotations

from collections import Counter

import pytest
from launches import EFFECT, fixed_design, sequential_design, simulate

LAUNCHES = 1500
WIN = {"brier": -EFFECT}
DESIGNS = {"fixed": fixed_design, "sequential": sequential_design}


def _shares(design: str, truth: dict[str, float]) -> dict[str, float]:
    counted = Counter(launch.decision for launch in simulate(DESIGNS[design](), truth, LAUNCHES, seed=7))
    return {decision: count / LAUNCHES for decision, count in counted.items()}


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_a_true_win_is_shipped_as_often_as_it_was_planned(design: str) -> None:
    assert _shares(design, WIN)["ship"] >= 0.8 - 0.03  # three standard errors of the simulation


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_harm_at_the_margin_is_hardly_ever_shipped(design: str) -> None:
    assert _shares(design, WIN | {"latency": EFFECT}).get("ship", 0) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_what_does_nothing_or_harms_is_hardly_ever_shipped(design: str) -> None:
    assert _shares(design, {}).get("ship", 0) <= 0.05
    harmful = _shares(design, {"brier": EFFECT})
    assert harmful.get("ship", 0) == 0
    assert harmful["stop"] > 0.8


def test_some_launches_of_each_kind_are_judged() -> None:
    """A few, so that the simulation itself is looked at whenever the tests run."""
    decisions = [launch.decision for launch in simulate(fixed_design(), WIN, 60, seed=3)]
    assert decisions.count("ship") > 40
    assert "ship" not in [launch.decision for launch in simulate(fixed_design(), {"brier": EFFECT}, 60, seed=3)]
