"""Made-up effects of a made-up experiment, and the rule on them, without data."""

from __future__ import annotations

from typing import Any

from looks_of import make_looks

from toolkit import stats
from toolkit.experiments import Check, Checks, Effect, ExperimentPlan, Looks, Readout, Verdict, judge
from toolkit.experiments.segments import SegmentEffects

SOUND = Check("sample_ratio", True, True, 0.4, "p of at least 0.001", "Fine.")
PLANNED = "planned_effect: 1.5\n"


def make_effect(metric: str, lower: float | None, upper: float | None, **changes: Any) -> Effect:
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


def make_guard(lower: float | None, upper: float | None, **changes: Any) -> Effect:
    return make_effect("latency", lower, upper, **({"role": "guardrail", "margin": 2.0} | changes))


def judge_effects(
    plan: ExperimentPlan,
    effects: tuple[Effect, ...],
    *,
    checks: tuple[Check, ...] = (SOUND,),
    looks: Looks | None = None,
    segments: SegmentEffects | None = None,
) -> Verdict:
    readout = Readout(plan.key, "plain", effects, looks or make_looks(plan))
    return judge(plan, Checks(plan.key, checks), readout, segments)


BETTER, WORSE, UNCLEAR = make_effect("brier", -3, -1), make_effect("brier", 1, 3), make_effect("brier", -1, 3)
WITHIN, BEYOND, ACROSS = make_guard(-1, 1.9), make_guard(2.1, 4), make_guard(-1, 2.5)
