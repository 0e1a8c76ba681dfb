"""The rule on made-up effects: every branch, without data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from looks_of import make_looks, make_plan
from made_effects import (
    ACROSS,
    BETTER,
    BEYOND,
    PLANNED,
    SOUND,
    UNCLEAR,
    WITHIN,
    WORSE,
    judge_effects,
    make_effect,
    make_guard,
)

from toolkit import stats
from toolkit.experiments import Check, Effect
from toolkit.experiments.segments import SegmentEffect, SegmentEffects, SegmentTest

BROKEN = Check("sample_ratio", False, True, 1e-6, "p of at least 0.001", "9 : 1 units do not agree with 50 : 50.")
INFORMS = Check("label_share_difference", None, False, 0.1, "for information", "Differs.")
SOFT = Check("anything", False, False, 0.1, "less", "A failed check that is not hard.")

CASES = {
    "superior, guardrail within": ((SOUND, INFORMS), (BETTER, WITHIN), "ship", ("is better", "is within its margin")),
    "superior, no guardrails": ((SOUND,), (BETTER,), "ship", ("is better",)),
    "superior, worse within the margin": ((SOUND,), (BETTER, make_guard(0.5, 1.5)), "ship", ("is better", "is within")),
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
        (BETTER, make_guard(None, None)),
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
        (BETTER, make_effect("profit", 1, 3, role="secondary"), WITHIN),
        "ship",
        ("primary brier", "guardrail latency"),
    ),
    "hard check failed": ((BROKEN,), (BETTER, WITHIN), "withheld", ("sample ratio failed: 9 : 1 units",)),
    "hard check failed on a bad result": ((BROKEN,), (WORSE, BEYOND), "withheld", ("sample ratio failed",)),
    "soft check failed": ((SOUND, SOFT), (BETTER, WITHIN), "ship", ("is better", "is within")),
    "falling guardrail beyond": (
        (SOUND,),
        (BETTER, make_guard(-9, -2.5, direction="increase")),
        "stop",
        ("harm: guardrail latency is beyond its margin",),
    ),
    "rising guardrail is no harm": (
        (SOUND,),
        (BETTER, make_guard(3, 9, direction="increase")),
        "ship",
        ("better", "within"),
    ),
    "data quality is not the same": (
        (SOUND,),
        (BETTER, WITHIN, make_effect("coverage", 0.2, 0.4, role="data_quality", margin=0.1)),
        "withheld",
        ("data quality coverage is beyond its margin of 0.1",),
    ),
    "data quality is not shown to be the same": (
        (SOUND,),
        (BETTER, WITHIN, make_effect("coverage", -0.08, 0.34, role="data_quality", margin=0.3)),
        "extend",
        (
            "data quality coverage is not shown to be within its margin of 0.3: the interval of its difference is "
            "-0.08 to 0.34.",
            "22 days more would give it a power of 80 %",
        ),
    ),
    "a group that could be harmed is harmed": (
        (SOUND,),
        (BETTER, WITHIN, make_guard(2.1, 4, segment="carrier", value="UA")),
        "stop",
        ("harm: guardrail latency in carrier=UA is beyond its margin of 2",),
    ),
    "gain too small for certain": (
        (SOUND,),
        (make_effect("brier", -3, -1, smallest=4.0), WITHIN),
        "hold",
        ("is better", "is within", "the gain cannot reach 4, the smallest that is worth having"),
    ),
    "gain too small as estimated": (
        (SOUND,),
        (make_effect("brier", -3, -1, smallest=2.5), WITHIN),
        "hold",
        ("is better", "is within", "the gain as estimated does not reach 2.5"),
    ),
    "gain worth having": ((SOUND,), (make_effect("brier", -3, -1, smallest=2.0), WITHIN), "ship", ("better", "within")),
    "nothing worth having is left": (
        (SOUND,),
        (make_effect("brier", -1, 3, smallest=1.5), WITHIN),
        "stop",
        ("futile: primary brier is unclear", "no gain of 1.5, the smallest worth having, is left"),
    ),
}


@pytest.mark.parametrize(("checks", "effects", "decision", "reasons"), CASES.values(), ids=CASES.keys())
def test_the_rule(
    checks: tuple[Check, ...], effects: tuple[Effect, ...], decision: str, reasons: tuple[str, ...]
) -> None:
    verdict = judge_effects(make_plan(), effects, checks=checks)
    assert verdict.decision == decision
    assert len(verdict.reasons) == len(reasons)
    for reason, expected in zip(verdict.reasons, reasons, strict=True):
        assert expected in reason


def test_an_absent_primary_holds_with_its_reason() -> None:
    absent = stats.Estimate.absent("no observations in one group: n0 == 0, n1 == 5", n=5, method="welch")
    verdict = judge_effects(make_plan(), (make_effect("brier", -3, -1, difference=absent, lift=absent),))
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
    verdict = judge_effects(make_plan(OPERATIONS), (BETTER, make_guard(-1, 1.9, treatment_mean=240.0, unit="ms")))
    assert verdict.decision == "hold"
    assert verdict.reasons[2:] == (
        "budget latency is not kept: 240 ms in the treatment, planned at most 200.",
        "condition capacity is not met: Two more machines.",
    )
    settled = make_plan(OPERATIONS.replace("met: false", "met: true"))
    assert judge_effects(settled, (BETTER, make_guard(-1, 1.9, treatment_mean=140.0, unit="ms"))).decision == "ship"


def test_a_budget_whose_level_is_not_known_holds() -> None:
    plan = make_plan("budgets: [{metric: profit, at_least: 1}]\n")
    assert judge_effects(plan, (BETTER, WITHIN)).reasons[-1] == "budget profit is not known: it was not measured."


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
    verdict = judge_effects(make_plan(**NOT_INFERIOR), (make_effect("brier", lower, upper, margin=4.0), WITHIN))
    assert verdict.decision == decision
    assert reason in verdict.reasons[0]


def _segments(primary: Effect, found: dict[str, tuple[float, float, float]], p: float) -> SegmentEffects:
    """By value the interval and Holm's p; `p` is that of the test that the effects differ."""
    each = tuple(
        SegmentEffect(
            replace(
                primary,
                segment="origin",
                value=value,
                difference=make_effect("brier", low, high).difference,
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
    verdict = judge_effects(make_plan(), (UNCLEAR, WITHIN), segments=_segments(UNCLEAR, FOUND, 0.01))
    assert verdict.decision == "repurpose"
    assert verdict.reasons[1:] == (
        "origin=EWR gains: its difference is -3, -4 to -2 (one of 3 values of origin, by Holm's p); plan an experiment "
        "of its own there.",
    )


def test_segments_that_do_not_differ_are_chance() -> None:
    verdict = judge_effects(make_plan(), (UNCLEAR, WITHIN), segments=_segments(UNCLEAR, FOUND, 0.3))
    assert verdict.decision == "hold"


def test_an_edited_plan_is_told_in_the_verdict() -> None:
    plan = make_plan()
    first = {"report": "experiment_plan/eta-v2@1", "plan_digest": "sha256:other", "plan_document": '{"alpha":0.01}'}
    verdict = judge_effects(plan, (BETTER, WITHIN), looks=make_looks(plan, first=first))
    assert verdict.notes[0].startswith("The plan was edited since experiment_plan/eta-v2@1: alpha: 0.01 → 0.05;")
    assert verdict.notes[0] in verdict.text


def test_a_verdict_is_rows_a_table_and_one_paragraph() -> None:
    verdict = judge_effects(make_plan(), (BETTER, WITHIN))
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
    assert judge_effects(make_plan(), (BETTER,), checks=(BROKEN,)).text.startswith(
        "Withheld for treatment: sample ratio"
    )


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
    verdict = judge_effects(plan, (first, replace(second, treatment="other")))
    assert [judgement.treatment for judgement in verdict.judgements] == ["treatment", "other"]
    assert verdict.decision == together
    assert verdict.to_rows()[0].value == together


def test_where_one_treatment_is_stopped_another_goes_on_without_it() -> None:
    plan = make_plan(PLANNED, **{"weight: 50}\ncontrol:": 'weight: 30}\n  other: {version: "2", weight: 20}\ncontrol:'})
    verdict = judge_effects(plan, (WORSE, replace(make_effect("brier", -1.75, 0.05), treatment="other")))
    assert verdict.decision == "repurpose"
    assert "Together: repurpose, go on with other, without treatment." in verdict.text
