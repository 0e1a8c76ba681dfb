"""The rule on made-up effects: every branch, without data."""

from __future__ import annotations

from typing import Any

import pytest
from experiment_trial import PLAN

from toolkit import stats
from toolkit.experiments import Check, Checks, Effect, ExperimentPlan, Readout, judge

SOUND = Check("sample_ratio", True, True, 0.4, "p of at least 0.001", "Fine.")
BROKEN = Check("sample_ratio", False, True, 1e-6, "p of at least 0.001", "9 : 1 units do not agree with 50 : 50.")
INFORMS = Check("label_share_difference", None, False, 0.1, "for information", "Differs.")
SOFT = Check("anything", False, False, 0.1, "less", "A failed check that is not hard.")


def _plan() -> ExperimentPlan:
    from ruamel.yaml import YAML

    return ExperimentPlan.model_validate(YAML(typ="safe").load(PLAN))


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


BETTER, WORSE, UNCLEAR = _effect("brier", -3, -1), _effect("brier", 1, 3), _effect("brier", -1, 3)
WITHIN, BEYOND, ACROSS = _guard(-1, 1.9), _guard(2.1, 4), _guard(-1, 2.5)

CASES = {
    "superior, guardrail within": ((SOUND, INFORMS), (BETTER, WITHIN), "ship", ("is better", "is within its margin")),
    "superior, no guardrails": ((SOUND,), (BETTER,), "ship", ("is better",)),
    "superior, worse within the margin": ((SOUND,), (BETTER, _guard(0.5, 1.5)), "ship", ("is better", "is within")),
    "superior, guardrail across": (
        (SOUND,),
        (BETTER, ACROSS),
        "inconclusive",
        ("may rise by its margin of 2 or more",),
    ),
    "superior, guardrail beyond": ((SOUND,), (BETTER, BEYOND), "do not ship", ("is beyond its margin",)),
    "superior, guardrail without interval": (
        (SOUND,),
        (BETTER, _guard(None, None)),
        "inconclusive",
        ("has no interval: no interval and no test: too few",),
    ),
    "unclear, guardrail within": ((SOUND,), (UNCLEAR, WITHIN), "inconclusive", ("-1 to 3, holds 0",)),
    "unclear, guardrail beyond": ((SOUND,), (UNCLEAR, BEYOND), "do not ship", ("is beyond its margin",)),
    "unclear, guardrail across": ((SOUND,), (UNCLEAR, ACROSS), "inconclusive", ("holds 0", "may rise")),
    "worse, guardrail within": ((SOUND,), (WORSE, WITHIN), "do not ship", ("primary brier is worse",)),
    "worse, guardrail beyond": ((SOUND,), (WORSE, BEYOND), "do not ship", ("is worse", "is beyond")),
    "secondary has no say": (
        (SOUND,),
        (BETTER, _effect("profit", 1, 3, role="secondary"), WITHIN),
        "ship",
        ("primary brier", "guardrail latency"),
    ),
    "hard check failed": ((BROKEN,), (BETTER, WITHIN), "withheld", ("sample ratio failed: 9 : 1 units",)),
    "hard check failed on a bad result": ((BROKEN,), (WORSE, BEYOND), "withheld", ("sample ratio failed",)),
    "soft check failed": ((SOUND, SOFT), (BETTER, WITHIN), "ship", ("is better", "is within")),
    "falling guardrail across": (
        (SOUND,),
        (BETTER, _guard(-2.5, 1, direction="increase")),
        "inconclusive",
        ("may fall by its margin of 2 or more",),
    ),
    "falling guardrail beyond": (
        (SOUND,),
        (BETTER, _guard(-9, -2.5, direction="increase")),
        "do not ship",
        ("is beyond its margin",),
    ),
    "rising guardrail is no harm": (
        (SOUND,),
        (BETTER, _guard(3, 9, direction="increase")),
        "ship",
        ("better", "within"),
    ),
    "margin touched": ((SOUND,), (BETTER, _guard(-1, 2.0)), "inconclusive", ("may rise by its margin",)),
}


@pytest.mark.parametrize(("checks", "effects", "decision", "reasons"), CASES.values(), ids=CASES.keys())
def test_the_rule(
    checks: tuple[Check, ...], effects: tuple[Effect, ...], decision: str, reasons: tuple[str, ...]
) -> None:
    plan = _plan()
    verdict = judge(plan, Checks(plan.key, checks), Readout(plan.key, "plain", plan.alpha, effects))
    assert verdict.decision == decision
    assert len(verdict.reasons) == len(reasons)
    for reason, expected in zip(verdict.reasons, reasons, strict=True):
        assert expected in reason


def test_an_absent_primary_is_inconclusive_with_its_reason() -> None:
    plan = _plan()
    absent = stats.Estimate.absent("no observations in one group: n0 == 0, n1 == 5", n=5, method="welch")
    effects = (_effect("brier", -3, -1, difference=absent, lift=absent),)
    verdict = judge(plan, Checks(plan.key, (SOUND,)), Readout(plan.key, "plain", plan.alpha, effects))
    assert verdict.decision == "inconclusive"
    assert verdict.reasons == ("primary brier is absent: no observations in one group: n0 == 0, n1 == 5.",)


def test_a_verdict_is_rows_a_table_and_one_paragraph() -> None:
    plan = _plan()
    readout = Readout(plan.key, "plain", plan.alpha, (BETTER, WITHIN))
    verdict = judge(plan, Checks(plan.key, (SOUND,)), readout)
    assert [(row.key, row.statistic) for row in verdict.to_rows()] == [
        ("eta-v2", "decision"),
        ("eta-v2", "reason"),
        ("eta-v2", "reason"),
        ("eta-v2", "rule"),
    ]
    assert verdict.text == (
        "Ship treatment: primary brier is better: the interval of its difference is -3 to -1. "
        "guardrail latency is within its margin of 2: the interval of its difference is -1 to 1.9. "
        "Rule superior_and_not_inferior: ship if the primary metric is better and no guardrail can be worse by its "
        "margin."
    )
    assert (
        "Inconclusive for treatment: "
        in judge(plan, Checks(plan.key, (SOUND,)), Readout(plan.key, "plain", plan.alpha, (UNCLEAR,))).text
    )
    assert "ship" in verdict._repr_html_()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (BETTER, WORSE, "ship"),
        (WORSE, WORSE, "do not ship"),
        (WORSE, UNCLEAR, "inconclusive"),
        (UNCLEAR, UNCLEAR, "inconclusive"),
    ],
)
def test_several_treatments_have_a_verdict_each_and_one_together(first: Effect, second: Effect, together: str) -> None:
    from dataclasses import replace

    text = PLAN.replace("weight: 50}\ncontrol:", 'weight: 30}\n  other: {version: "2", weight: 20}\ncontrol:')
    from ruamel.yaml import YAML

    plan = ExperimentPlan.model_validate(YAML(typ="safe").load(text))
    readout = Readout(plan.key, "plain", plan.alpha, (first, replace(second, treatment="other")))
    verdict = judge(plan, Checks(plan.key, (SOUND,)), readout)
    assert [judgement.treatment for judgement in verdict.judgements] == ["treatment", "other"]
    assert verdict.decision == together
