"""Simulated launches: draws of an experiment's metrics at a known truth, judged by the real rule.

Each unit has three independent values with variance 1: the primary metric, which should fall, and two guardrails, which
may not rise by their margin. The experiment has so many units that each of the three has the power that three need
together: 1 - (1 - power) / 3 (Schultzberg, Ankargren & Frånberg 2024).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from looks_of import make_looks, make_plan

from toolkit import stats
from toolkit.experiments import Checks, Effect, ExperimentPlan, Look, Looks, Readout, judge

METRICS = ("brier", "latency", "error_rate")
EFFECT = 0.05
"""The planned effect on the primary, and both margins."""

PLAN = {
    "{metric: latency, margin: 2}": f"{{metric: latency, margin: {EFFECT}}}",
    "{metric: error_rate, margin: 0.05}": f"{{metric: error_rate, margin: {EFFECT}}}",
}
PROMISES = f"planned_effect: {EFFECT}\nsmallest_effect: {EFFECT / 2}\n"
LOOKS = ("2024-03-05", "2024-03-08", "2024-03-11", "2024-03-14", "2024-03-16")
DECIDED = ("ship", "stop", "hold", "repurpose")


@dataclass(frozen=True)
class Design:
    """A plan, and the units in each variant at each of its looks."""

    plan: ExperimentPlan
    units: tuple[int, ...]
    looks: tuple[Looks, ...]


@dataclass(frozen=True)
class Launch:
    """One experiment: the toolkit's decision, and whether GrowthBook's default rule ships it at its end."""

    decision: str
    growthbook: bool


def fixed_design(power: float = 0.8) -> Design:
    """Read once, at the end."""
    plan = make_plan(PROMISES, **PLAN)
    units = _units(power)
    return Design(plan, (units,), (make_looks(plan, exposed=2 * units),))


def sequential_design(power: float = 0.8) -> Design:
    """Read five times, with O'Brien–Fleming spending, and as many more units as the looks cost."""
    shares = (0.2, 0.4, 0.6, 0.8, 1.0)
    inflated = stats.inflation(shares, alpha=0.05, power=1 - (1 - power) / len(METRICS), spending="obrien_fleming")
    whole = math.ceil(_units(power) * inflated)
    quoted = ", ".join(f'"{instant}"' for instant in LOOKS[:-1])
    design = f"design: {{kind: group_sequential, looks: [{quoted}], units: {2 * whole}}}\n"
    plan = make_plan(PROMISES + design, **PLAN)
    units = tuple(round(whole * share) for share in shares)
    looks: list[Looks] = []
    taken: list[Look] = []
    for instant, count in zip(LOOKS, units, strict=True):
        looks.append(make_looks(plan, as_of=instant, exposed=2 * count, earlier=taken))
        taken.append(looks[-1].current)
    return Design(plan, units, tuple(looks))


def _units(power: float) -> int:
    normal = NormalDist()
    return math.ceil(2 * ((normal.inv_cdf(0.975) + normal.inv_cdf(1 - (1 - power) / len(METRICS))) / EFFECT) ** 2)


def simulate(design: Design, truth: Mapping[str, float], launches: int, *, seed: int) -> Iterator[Launch]:
    """So many experiments with these true differences; a metric that is not named has none."""
    rng = np.random.default_rng(seed)
    true = np.array([truth.get(metric, 0.0) for metric in METRICS])
    steps = np.diff([0, *design.units])
    for _ in range(launches):
        sums = np.cumsum(rng.normal(size=(len(steps), len(METRICS))) * np.sqrt(2 * steps)[:, None], axis=0)
        means = true + sums / np.array(design.units)[:, None]
        variances = rng.chisquare(design.units[-1] - 1, size=(2, len(METRICS))) / (design.units[-1] - 1)
        yield _launch(design, means, variances)


def _launch(design: Design, means: Any, variances: Any) -> Launch:
    decision = "extend"
    for units, looks, found in zip(design.units, design.looks, means, strict=True):
        effects = _effects(design.plan, units, looks.critical(), found, variances)
        readout = Readout(design.plan.key, "plain", effects, looks)
        decision = judge(design.plan, Checks(design.plan.key, ()), readout).decision
        if decision in DECIDED:
            break
    last = _effects(design.plan, design.units[-1], None, means[-1], variances)
    return Launch(decision, last[0].outcome == "better" and all(effect.outcome != "worse" for effect in last[1:]))


def _effects(plan: ExperimentPlan, units: int, reach: float | None, means: Any, variances: Any) -> tuple[Effect, ...]:
    effects = []
    for place, metric in enumerate(METRICS):
        control, treatment = variances[:, place]
        estimate = stats.welch(units, 0.0, float(control), units, float(means[place]), float(treatment))
        if reach is not None:
            assert estimate.value is not None
            assert estimate.se is not None
            ends = (estimate.value - reach * estimate.se, estimate.value + reach * estimate.se)
            estimate = estimate._replace(ci_lower=ends[0], ci_upper=ends[1], p_value=None)
        effects.append(
            Effect(
                metric=metric,
                name=metric,
                role=plan.role(metric),
                treatment="treatment",
                control="control",
                unit="",
                direction="decrease",
                control_mean=1.0,
                treatment_mean=1.0 + float(means[place]),
                difference=estimate,
                lift=estimate,
                margin=plan.margin(metric),
                smallest=plan.smallest_effect if metric == plan.primary else None,
            )
        )
    return tuple(effects)
