"""The rule on made-up effects: every branch, without data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from looks_of import SEQUENTIAL, make_looks, make_plan, take

from toolkit import stats
from toolkit.experiments import Check, Checks, Effect, ExperimentPlan, Looks, Readout, Verdict, judge
from toolkit.experiments.segments import SegmentEffect, SegmentEffects, SegmentTest

SOUND = Check("sample_ratio", True, True, 0.4, "p of at least 0.001", "Fine.")
BROKEN = Check("sample_ratio", False, True, 1e-6, "p of at least 0.001", "9 : 1 units do not agree with 50 : 50.")
INFORMS = Check("label_share_difference", None, False, 0.1, "for information", "Differs.")
SOFT = Check("anything", False, False, 0.1, "less", "A failed check that is not hard.")


def _effect(metric: str, lower: float | None, upper: float | None, **changes: Any) -> Effect:
    if lower is None or upper is None:
        estimate = stats.Estimate.alone(0.1, n=2, method="welch", reason="no interval and no test: too few")
    else:
        middle, se = (lower + upper) / 2, (upper - lower) / 4
        estimate = stats.Estimate(middle, se, None, lower, upper, 0.5, 100, "welch", "ok", "")
    values: dict[str, Any] = {
        "metric": metric,
        "name": metric,
        "role": "primary",
        "treatment": "treatment",
        "control": "control",
        "unit": "",
        "direction": "decrease",
        "control_mean": 1.0,
        "treatment_mean": 1.0,
        "difference": estimate,
        "lift": estimate,
    }
    return Effect(**(values | changes))


def _guard(lower: float | None, upper: float | None, **changes: Any) -> Effect:
    return _effect("latency", lower, upper, **({"role": "guardrail", "margin": 2.0} | changes))


def _judge(
    plan: ExperimentPlan,
    effects: tuple[Effect, ...],
    *,
    checks: tuple[Check, ...] = (SOUND,),
    looks: Looks | None = None,
    segments: SegmentEffects | None = None,
) -> Verdict:
    readout = Readout(plan.key, "plain", effects, looks or make_looks(plan))
    return judge(plan, Checks(plan.key, checks), readout, segments)


BETTER, WORSE, UNCLEAR = _effect("brier", -3, -1), _effect("brier", 1, 3), _effect("brier", -1, 3)
WITHIN, BEYOND, ACROSS = _guard(-1, 1.9), _guard(2.1, 4), _guard(-1, 2.5)

CASES = {
    "superior, guardrail within": ((SOUND, INFORMS), (BETTER, WITHIN), "ship", ("is better", "is within its margin")),
    "superior, no guardrails": ((SOUND,), (BETTER,), "ship", ("is better",)),
    "superior, worse within the margin": ((SOUND,), (BETTER, _guard(0.5, 1.5)), "ship", ("is better", "is within")),
    "superior, guardrail across": (
        (SOUND,),
        (BETTER, ACROSS),
        "hold",
        ("may rise by its margin of 2 or more", "to decide it would take 42 days more, and the plan allows 28 days"),
    ),
    "superior, guardrail beyond": (
        (SOUND,),
        (BETTER, BEYOND),
        "stop",
        ("harm: guardrail latency is beyond its margin",),
    ),
    "superior, guardrail without interval": (
        (SOUND,),
        (BETTER, _guard(None, None)),
        "hold",
        ("has no interval: no interval and no test: too few", "has no error that more data would shrink"),
    ),
    "unclear, guardrail within": (
        (SOUND,),
        (UNCLEAR, WITHIN),
        "hold",
        ("-1 to 3, holds 0", "the plan names no effect, so how much more it takes is not known"),
    ),
    "unclear, guardrail beyond": (
        (SOUND,),
        (UNCLEAR, BEYOND),
        "stop",
        ("harm: guardrail latency is beyond its margin",),
    ),
    "unclear, guardrail across": (
        (SOUND,),
        (UNCLEAR, ACROSS),
        "hold",
        ("holds 0", "may rise", "primary brier: the plan names no effect"),
    ),
    "worse, guardrail within": ((SOUND,), (WORSE, WITHIN), "stop", ("harm: primary brier is worse",)),
    "worse, guardrail beyond": ((SOUND,), (WORSE, BEYOND), "stop", ("harm: primary brier is worse", "is beyond")),
    "secondary has no say": (
        (SOUND,),
        (BETTER, _effect("profit", 1, 3, role="secondary"), WITHIN),
        "ship",
        ("primary brier", "guardrail latency"),
    ),
    "hard check failed": ((BROKEN,), (BETTER, WITHIN), "withheld", ("sample ratio failed: 9 : 1 units",)),
    "hard check failed on a bad result": ((BROKEN,), (WORSE, BEYOND), "withheld", ("sample ratio failed",)),
    "soft check failed": ((SOUND, SOFT), (BETTER, WITHIN), "ship", ("is better", "is within")),
    "falling guardrail beyond": (
        (SOUND,),
        (BETTER, _guard(-9, -2.5, direction="increase")),
        "stop",
        ("harm: guardrail latency is beyond its margin",),
    ),
    "rising guardrail is no harm": (
        (SOUND,),
        (BETTER, _guard(3, 9, direction="increase")),
        "ship",
        ("better", "within"),
    ),
    "data quality is not the same": (
        (SOUND,),
        (BETTER, WITHIN, _effect("coverage", 0.2, 0.4, role="data_quality", margin=0.1)),
        "withheld",
        ("data quality coverage is beyond its margin of 0.1",),
    ),
    "data quality is not shown to be the same": (
        (SOUND,),
        (BETTER, WITHIN, _effect("coverage", -0.08, 0.34, role="data_quality", margin=0.3)),
        "extend",
        (
            "data quality coverage is not shown to be within its margin of 0.3: the interval of its difference is "
            "-0.08 to 0.34.",
            "22 days more would give it a power of 80 %",
        ),
    ),
    "a group that could be harmed is harmed": (
        (SOUND,),
        (BETTER, WITHIN, _guard(2.1, 4, segment="carrier", value="UA")),
        "stop",
        ("harm: guardrail latency in carrier=UA is beyond its margin of 2",),
    ),
    "gain too small for certain": (
        (SOUND,),
        (_effect("brier", -3, -1, smallest=4.0), WITHIN),
        "hold",
        ("is better", "is within", "the gain cannot reach 4, the smallest that is worth having"),
    ),
    "gain too small as estimated": (
        (SOUND,),
        (_effect("brier", -3, -1, smallest=2.5), WITHIN),
        "hold",
        ("is better", "is within", "the gain as estimated does not reach 2.5"),
    ),
    "gain worth having": ((SOUND,), (_effect("brier", -3, -1, smallest=2.0), WITHIN), "ship", ("better", "within")),
    "nothing worth having is left": (
        (SOUND,),
        (_effect("brier", -1, 3, smallest=1.5), WITHIN),
        "stop",
        ("futile: primary brier is unclear", "no gain of 1.5, the smallest worth having, is left"),
    ),
}


@pytest.mark.parametrize(("checks", "effects", "decision", "reasons"), CASES.values(), ids=CASES.keys())
def test_the_rule(
    checks: tuple[Check, ...], effects: tuple[Effect, ...], decision: str, reasons: tuple[str, ...]
) -> None:
    verdict = _judge(make_plan(), effects, checks=checks)
    assert verdict.decision == decision
    assert len(verdict.reasons) == len(reasons)
    for reason, expected in zip(verdict.reasons, reasons, strict=True):
        assert expected in reason


def test_an_absent_primary_holds_with_its_reason() -> None:
    absent = stats.Estimate.absent("no observations in one group: n0 == 0, n1 == 5", n=5, method="welch")
    verdict = _judge(make_plan(), (_effect("brier", -3, -1, difference=absent, lift=absent),))
    assert verdict.decision == "hold"
    assert verdict.reasons[0] == "primary brier is absent: no observations in one group: n0 == 0, n1 == 5."
    assert verdict.judgements[0].risk is not None
    assert verdict.judgements[0].risk.worse is None


OPERATIONS = """\
budgets: [{metric: latency, at_most: 200}]
conditions:
  - {name: compliance, text: Legal has seen it., met: true}
  - {name: capacity, text: Two more machines., met: false}
"""


def test_budgets_and_conditions_hold_what_the_statistics_would_ship() -> None:
    verdict = _judge(make_plan(OPERATIONS), (BETTER, _guard(-1, 1.9, treatment_mean=240.0, unit="ms")))
    assert verdict.decision == "hold"
    assert verdict.reasons[2:] == (
        "budget latency is not kept: 240 ms in the treatment, planned at most 200.",
        "condition capacity is not met: Two more machines.",
    )
    settled = make_plan(OPERATIONS.replace("met: false", "met: true"))
    assert _judge(settled, (BETTER, _guard(-1, 1.9, treatment_mean=140.0, unit="ms"))).decision == "ship"


def test_a_budget_whose_level_is_not_known_holds() -> None:
    plan = make_plan("budgets: [{metric: profit, at_least: 1}]\n")
    assert _judge(plan, (BETTER, WITHIN)).reasons[-1] == "budget profit is not known: it was not measured."


NOT_INFERIOR = {"rule: superior_and_not_inferior": "rule: not_inferior\nprimary_margin: 4"}


@pytest.mark.parametrize(
    ("lower", "upper", "decision", "reason"),
    [
        (-1, 3, "ship", "primary brier is within its margin of 4: the interval of its difference is -1 to 3."),
        (1, 3, "ship", "primary brier is within its margin of 4"),
        (4.5, 9, "stop", "harm:"),
        (-0.6, 4.8, "extend", "primary brier may rise by its margin of 4 or more"),
    ],
)
def test_the_rule_not_inferior_asks_of_the_primary_only_its_margin(
    lower: float, upper: float, decision: str, reason: str
) -> None:
    verdict = _judge(make_plan(**NOT_INFERIOR), (_effect("brier", lower, upper, margin=4.0), WITHIN))
    assert verdict.decision == decision
    assert reason in verdict.reasons[0]


PLANNED = "planned_effect: 1.5\n"


def test_an_unclear_primary_is_extended_by_what_its_error_lacks_for_the_planned_power() -> None:
    """With the reach of an extension, because alpha is spent: a confidence sequence at the units of that day."""
    from statistics import NormalDist

    verdict = _judge(make_plan(PLANNED), (_effect("brier", -1.7, 0.1), WITHIN))
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
    verdict = _judge(make_plan(more), (_effect("brier", *effect), WITHIN))
    assert verdict.decision == "hold"
    assert verdict.reasons[-1].startswith(reason)


def _segments(primary: Effect, found: dict[str, tuple[float, float, float]], p: float) -> SegmentEffects:
    """By value the interval and Holm's p; `p` is that of the test that the effects differ."""
    each = tuple(
        SegmentEffect(
            replace(
                primary,
                segment="origin",
                value=value,
                difference=_effect("brier", low, high).difference,
                groups=(500, 500),
            ),
            stats.Estimate.absent("made up", n=0, method="none"),
            holm,
        )
        for value, (low, high, holm) in found.items()
    )
    differs = stats.heterogeneity([effect.effect.difference for effect in each])._replace(p_value=p)
    return SegmentEffects("eta-v2", 0.95, (SegmentTest(primary, "origin", each, differs, 0.05),))


FOUND = {"EWR": (-4.0, -2.0, 0.001), "JFK": (-1.0, 3.0, 0.4), "LGA": (-3.0, -0.1, 0.2)}


def test_a_segment_that_gains_is_an_experiment_of_its_own() -> None:
    verdict = _judge(make_plan(), (UNCLEAR, WITHIN), segments=_segments(UNCLEAR, FOUND, 0.01))
    assert verdict.decision == "repurpose"
    assert verdict.reasons[1:] == (
        "origin=EWR gains: its difference is -3, -4 to -2 (one of 3 values of origin, by Holm's p); plan an experiment "
        "of its own there.",
    )


def test_segments_that_do_not_differ_are_chance() -> None:
    verdict = _judge(make_plan(), (UNCLEAR, WITHIN), segments=_segments(UNCLEAR, FOUND, 0.3))
    assert verdict.decision == "hold"


def test_a_look_that_was_not_planned_stops_for_harm_and_ships_nothing() -> None:
    plan = make_plan(SEQUENTIAL)
    looks = take(plan, {"2024-03-04": 100})
    found = _judge(plan, (BETTER, WITHIN), looks=looks)
    assert (found.decision, found.reasons) == (
        "extend",
        (
            "this look was not planned, so it decides for nothing but a stop.",
            "it has its next planned look on 2024-03-06.",
        ),
    )
    assert _judge(plan, (WORSE, WITHIN), looks=looks).decision == "stop"
    lenient = make_plan(SEQUENTIAL.replace("units", "harm: false, units"))
    assert _judge(lenient, (WORSE, WITHIN), looks=looks).decision == "extend"


def test_a_planned_look_ships_or_goes_on() -> None:
    plan = make_plan(SEQUENTIAL)
    looks = take(plan, {"2024-03-06": 330, "2024-03-11": 700})
    assert _judge(plan, (BETTER, WITHIN), looks=looks).decision == "ship"
    found = _judge(plan, (UNCLEAR, WITHIN), looks=looks)
    assert (found.decision, found.reasons[-1]) == ("extend", "it is read whole on 2024-03-16.")


def test_a_planned_look_may_stop_for_futility_if_the_plan_says_so() -> None:
    hopeless = _effect("brier", 0.0, 4.0)
    text = SEQUENTIAL.replace("units", "futility: true, units") + PLANNED
    looks = take(make_plan(text), {"2024-03-06": 330, "2024-03-11": 700})
    found = _judge(make_plan(text), (hopeless, WITHIN), looks=looks)
    assert (found.decision, found.reasons[0]) == (
        "stop",
        "futile: primary brier is unclear: the interval of its difference, 0 to 4, holds 0.",
    )
    assert found.reasons[-1].startswith("even if the planned effect of 1.5 is true, a win has a chance of ")
    plain = make_plan(SEQUENTIAL + PLANNED)
    assert _judge(plain, (hopeless, WITHIN), looks=looks).decision == "extend"


def test_conditional_power_is_what_simulation_finds() -> None:
    import numpy as np

    from toolkit.experiments.rules import conditional_power

    text = SEQUENTIAL + PLANNED
    plan = make_plan(text)
    looks = take(plan, {"2024-03-06": 330, "2024-03-11": 700})
    effect = _effect("brier", -2.0, 1.0)  # -0.5 with an error of 0.75
    drift = 1.5 / (0.75 * 0.7**0.5)
    rest = np.random.default_rng(2).normal(drift * 0.3, 0.3**0.5, 400_000)
    last = 0.5 / 0.75 * 0.7**0.5 + rest
    expected = (last > looks.bounds()[-1].z).mean()
    assert conditional_power(plan, effect, looks) == pytest.approx(expected, abs=0.003)


def test_an_extended_experiment_is_not_extended_again() -> None:
    plan = make_plan(PLANNED)
    looks = make_looks(plan)
    extension = replace(looks, current=looks.current._replace(kind="extension", planned_for=None, final=False))
    found = _judge(plan, (_effect("brier", -2, 0.2), WITHIN), looks=extension)
    assert (found.decision, found.reasons[-1]) == ("hold", "it was extended before, and the plan allows that once.")
    assert found.judgements[0].risk is not None
    assert found.judgements[0].risk.error_bound == 0.05


def test_what_is_read_beyond_an_extension_decides_nothing() -> None:
    plan = make_plan(PLANNED)
    looks = make_looks(plan)
    beyond = replace(looks, current=looks.current._replace(kind="unscheduled", planned_for=None, final=False))
    found = _judge(plan, (BETTER, WITHIN), looks=beyond)
    assert (found.decision, found.reasons) == (
        "hold",
        ("all of alpha was spent before, and the plan allows no such extension.",),
    )


def test_the_risk_of_being_wrong_is_stated() -> None:
    verdict = _judge(make_plan(), (BETTER, WITHIN))
    risk = verdict.judgements[0].risk
    assert risk is not None
    assert (risk.error_bound, risk.prior) == (0.025, "flat")
    assert risk.worse == pytest.approx(3.17e-5, rel=0.01)  # 4 standard errors
    assert [(harm.metric, round(harm.chance, 4)) for harm in risk.harms] == [("latency", 0.0163)]
    assert risk.text == (
        "A treatment that is not better, or is worse by a margin, would be shipped with a chance of 2.5 % at most, by "
        "the design. After the data it is worse with probability below 0.01 %, and shipping is expected to lose "
        "0.000003573 (prior: flat). The likeliest harm beyond a margin is latency, with probability 1.63 %."
    )


def test_the_expected_loss_without_a_prior_is_the_mean_of_what_is_lost() -> None:
    import numpy as np

    risk = _judge(make_plan(), (UNCLEAR, WITHIN)).judgements[0].risk
    assert risk is not None
    drawn = np.random.default_rng(1).normal(1.0, 1.0, 400_000)  # brier rises by 1 with an error of 1: worse
    assert risk.loss == pytest.approx(np.maximum(drawn, 0).mean(), abs=0.01)
    assert risk.worse == pytest.approx((drawn > 0).mean(), abs=0.003)


def test_a_prior_that_the_readout_states_is_the_one_of_the_risk() -> None:
    effect = replace(BETTER, belief=stats.normal_posterior(-2.0, 0.5, prior_sd=1.0, increase=False))
    risk = _judge(make_plan(), (effect, WITHIN)).judgements[0].risk
    assert risk is not None
    assert risk.prior == "normal, mean 0, sd 1"
    assert risk.worse == pytest.approx(1.7e-4, rel=0.05)  # 1.6 away from 0, with a spread of 0.447


def test_an_edited_plan_is_told_in_the_verdict() -> None:
    plan = make_plan()
    first = {"report": "experiment_plan/eta-v2@1", "plan_digest": "sha256:other", "plan_document": '{"alpha":0.01}'}
    verdict = _judge(plan, (BETTER, WITHIN), looks=make_looks(plan, first=first))
    assert verdict.notes[0].startswith("The plan was edited since experiment_plan/eta-v2@1: alpha: 0.01 → 0.05;")
    assert verdict.notes[0] in verdict.text


def test_a_verdict_is_rows_a_table_and_one_paragraph() -> None:
    verdict = _judge(make_plan(), (BETTER, WITHIN))
    assert [(row.key, row.statistic) for row in verdict.to_rows()] == [
        ("eta-v2", "decision"),
        ("eta-v2", "reason"),
        ("eta-v2", "reason"),
        ("brier", "primary_difference"),
        ("eta-v2", "error_bound_share"),
        ("eta-v2", "worse_share"),
        ("eta-v2", "expected_loss"),
        ("latency", "harm_beyond_margin_share"),
        ("eta-v2", "rule"),
    ]
    assert verdict.text.startswith(
        "Ship treatment: primary brier is better: the interval of its difference is -3 to -1. "
        "guardrail latency is within its margin of 2: the interval of its difference is -1 to 1.9. A treatment that "
    )
    assert verdict.text.endswith(
        "Rule superior_and_not_inferior: ship if the primary metric is better and no guardrail can be worse by its "
        "margin."
    )
    assert [line["decision"] for line in verdict.to_table()] == ["ship"] * 3
    assert "ship" in verdict._repr_html_()
    assert _judge(make_plan(), (BETTER,), checks=(BROKEN,)).text.startswith("Withheld for treatment: sample ratio")


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (BETTER, WORSE, "ship"),
        (WORSE, WORSE, "stop"),
        (WORSE, UNCLEAR, "hold"),
        (UNCLEAR, UNCLEAR, "hold"),
    ],
)
def test_several_treatments_have_a_verdict_each_and_one_together(first: Effect, second: Effect, together: str) -> None:
    plan = make_plan(**{"weight: 50}\ncontrol:": 'weight: 30}\n  other: {version: "2", weight: 20}\ncontrol:'})
    verdict = _judge(plan, (first, replace(second, treatment="other")))
    assert [judgement.treatment for judgement in verdict.judgements] == ["treatment", "other"]
    assert verdict.decision == together
    assert verdict.to_rows()[0].value == together


def test_where_one_treatment_is_stopped_another_goes_on_without_it() -> None:
    plan = make_plan(PLANNED, **{"weight: 50}\ncontrol:": 'weight: 30}\n  other: {version: "2", weight: 20}\ncontrol:'})
    verdict = _judge(plan, (WORSE, replace(_effect("brier", -1.75, 0.05), treatment="other")))
    assert verdict.decision == "repurpose"
    assert "Together: repurpose, go on with other, without treatment." in verdict.text
