"""The rule on made-up effects at looks, and what an extension could still decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from looks_of import SEQUENTIAL, make_looks, make_plan, take
from made_effects import BETTER, PLANNED, UNCLEAR, WITHIN, WORSE, judge_effects, make_effect

from toolkit import stats


def test_an_unclear_primary_is_extended_by_what_its_error_lacks_for_the_planned_power() -> None:
    """With the reach of an extension, because alpha is spent: a confidence sequence at the units of that day."""
    from statistics import NormalDist

    verdict = judge_effects(make_plan(PLANNED), (make_effect("brier", -1.7, 0.1), WITHIN))
    assert (verdict.decision, verdict.judgements[0].extension_days) == ("extend", 14)
    reach = stats.always_valid_reach(1000 * (14 + 13.03) / 14, alpha=0.05)  # 1,000 units came in 14 days
    needed = 1.5 / (reach + NormalDist().inv_cdf(1 - 0.2 / 3))
    assert 14 * ((0.45 / needed) ** 2 - 1) == pytest.approx(13.03, abs=0.02)
    assert verdict.text.startswith("Extend treatment by 14 days: primary brier is unclear: ")


@pytest.mark.parametrize(
    ("more", "effect", "reason"),
    [
        (PLANNED + "max_extension_days: 5\n", (-2, 0.2), "to decide it would take 26 days more, and the plan allows 5"),
        (PLANNED, (-0.9, 0.1), "primary brier had the power that was planned, and did not show it."),
    ],
)
def test_what_an_extension_cannot_decide_is_held(more: str, effect: tuple[float, float], reason: str) -> None:
    verdict = judge_effects(make_plan(more), (make_effect("brier", *effect), WITHIN))
    assert verdict.decision == "hold"
    assert verdict.reasons[-1].startswith(reason)


def test_a_look_that_was_not_planned_stops_for_harm_and_ships_nothing() -> None:
    plan = make_plan(SEQUENTIAL)
    looks = take(plan, {"2024-03-04": 100})
    found = judge_effects(plan, (BETTER, WITHIN), looks=looks)
    assert (found.decision, found.reasons) == (
        "extend",
        (
            "this look was not planned, so it decides for nothing but a stop.",
            "it has its next planned look on 2024-03-06.",
        ),
    )
    assert judge_effects(plan, (WORSE, WITHIN), looks=looks).decision == "stop"
    lenient = make_plan(SEQUENTIAL.replace("units", "harm: false, units"))
    assert judge_effects(lenient, (WORSE, WITHIN), looks=looks).decision == "extend"


def test_a_planned_look_ships_or_goes_on() -> None:
    plan = make_plan(SEQUENTIAL)
    looks = take(plan, {"2024-03-06": 330, "2024-03-11": 700})
    assert judge_effects(plan, (BETTER, WITHIN), looks=looks).decision == "ship"
    found = judge_effects(plan, (UNCLEAR, WITHIN), looks=looks)
    assert (found.decision, found.reasons[-1]) == ("extend", "it is read whole on 2024-03-16.")


def test_a_planned_look_may_stop_for_futility_if_the_plan_says_so() -> None:
    hopeless = make_effect("brier", 0.0, 4.0)
    text = SEQUENTIAL.replace("units", "futility: true, units") + PLANNED
    looks = take(make_plan(text), {"2024-03-06": 330, "2024-03-11": 700})
    found = judge_effects(make_plan(text), (hopeless, WITHIN), looks=looks)
    assert (found.decision, found.reasons[0]) == (
        "stop",
        "futile: primary brier is unclear: the interval of its difference, 0 to 4, holds 0.",
    )
    assert found.reasons[-1].startswith("even if the planned effect of 1.5 is true, a win has a chance of ")
    plain = make_plan(SEQUENTIAL + PLANNED)
    assert judge_effects(plain, (hopeless, WITHIN), looks=looks).decision == "extend"


def test_conditional_power_is_what_simulation_finds() -> None:
    import numpy as np

    from toolkit.experiments.rules import conditional_power

    text = SEQUENTIAL + PLANNED
    plan = make_plan(text)
    looks = take(plan, {"2024-03-06": 330, "2024-03-11": 700})
    effect = make_effect("brier", -2.0, 1.0)  # -0.5 with an error of 0.75
    drift = 1.5 / (0.75 * 0.7**0.5)
    rest = np.random.default_rng(2).normal(drift * 0.3, 0.3**0.5, 400_000)
    last = 0.5 / 0.75 * 0.7**0.5 + rest
    expected = (last > looks.bounds()[-1].z).mean()
    assert conditional_power(plan, effect, looks) == pytest.approx(expected, abs=0.003)


def test_an_extended_experiment_is_not_extended_again() -> None:
    plan = make_plan(PLANNED)
    looks = make_looks(plan)
    extension = replace(looks, current=looks.current._replace(kind="extension", planned_for=None, final=False))
    found = judge_effects(plan, (make_effect("brier", -2, 0.2), WITHIN), looks=extension)
    assert (found.decision, found.reasons[-1]) == ("hold", "it was extended before, and the plan allows that once.")
    assert found.judgements[0].risk is not None
    assert found.judgements[0].risk.error_bound == 0.05


def test_what_is_read_beyond_an_extension_decides_nothing() -> None:
    plan = make_plan(PLANNED)
    looks = make_looks(plan)
    beyond = replace(looks, current=looks.current._replace(kind="unscheduled", planned_for=None, final=False))
    found = judge_effects(plan, (BETTER, WITHIN), looks=beyond)
    assert (found.decision, found.reasons) == (
        "hold",
        ("all of alpha was spent before, and the plan allows no such extension.",),
    )
