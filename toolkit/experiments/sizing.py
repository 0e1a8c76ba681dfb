"""How large an experiment must be: each metric's aim, variance and power, from history and plan."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from toolkit.experiments.history import UnitHistory, UnitVariance, design_effect, unit_variance
from toolkit.experiments.unit_table import WEEK_DAYS, group_keys
from toolkit.stats.boundaries import Boundary, boundary
from toolkit.stats.confidence_sequences import always_valid_reach
from toolkit.stats.crossings import inflation
from toolkit.stats.estimate import critical_value
from toolkit.stats.multiplicity import guarded_power
from toolkit.stats.power import (
    Outcome,
    PowerDesign,
    mean_outcome,
    outcome_from_error,
    power_of,
    share_outcome,
)
from toolkit.stats.sample_sizes import detectable_effect, detectable_margin, units_needed

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.promises import Role
    from toolkit.metrics import MetricDefinition

MOST_WEEKS = 104
"""An experiment that needs longer than two years will not be run."""


class Aim(NamedTuple):
    """What an experiment is to show of one metric.

    Attributes
    ----------
    hypothesis: as in `stats.power`. size: the improvement sought, or the margin; above 0. source: what says so.
    effect: the true difference, treatment minus control, under which the power counts. power: the one that is wanted.
    """

    hypothesis: str
    size: float
    source: str
    effect: float
    power: float


class MetricDesign(NamedTuple):
    """What an experiment would see of one metric. What is None has its reason in `reason`.

    Attributes
    ----------
    group: `segment=value` of a group that could be harmed; "" for everybody. Units are then those of everybody, too.
    level: of the control's version in the history. variance: from unit to unit, of the linearised value.
    explained: the share of it that covariates explain; covered: the share of units that have them.
    effect_of_design: how many times the variance of a level is larger with clusters; None for a plain analysis.
    needed_units: by variant; () where no number is enough. needed_days: whole weeks; None beyond `MOST_WEEKS`.
    power: at the end of the planned window. detectable: the effect or margin that would have the wanted power there,
        above 0; it may be below it for a margin that is kept already.
    """

    metric: str
    name: str
    unit: str
    role: Role
    group: str
    aim: Aim
    level: float | None
    variance: float | None
    explained: float
    covered: float
    effect_of_design: float | None
    needed_units: tuple[int, ...]
    needed_days: int | None
    power: float | None
    detectable: float | None
    reason: str

    @property
    def enough(self) -> bool:
        """Whether the planned window gives the wanted power."""
        return self.power is not None and self.power >= self.aim.power


def planned_days(plan: ExperimentPlan) -> int:
    """The days of a plan's window."""
    return round(plan.window.window.days)


def look_fractions(plan: ExperimentPlan, history: UnitHistory) -> tuple[float, ...]:
    """Of the units that are planned, or else of those at the end, what has come by each planned look."""
    if not history.weeks or plan.design.kind == "always_valid":
        return ()
    start, length = plan.window.window.start, planned_days(plan)
    days = [min((look - start).days, length) for look in plan.planned_looks]
    whole = plan.design.units or history.units_after(length)
    return tuple(history.units_after(day) / whole for day in days)


def planned_bounds(plan: ExperimentPlan, fractions: tuple[float, ...]) -> Boundary | None:
    """The bounds of a group sequential design at these fractions; None for another design, or without any."""
    if plan.design.kind != "group_sequential" or not fractions:
        return None
    return boundary(fractions, alpha=plan.alpha_of_a_comparison, spending=plan.design.spending, rho=plan.design.rho)


def planned_inflation(plan: ExperimentPlan, history: UnitHistory, power: float) -> float:
    """How many times the units of a fixed design the plan's needs for the same power at the end of its window.

    That of an always-valid design counts only what is seen at the end; it may be stopped sooner.
    """
    alpha, design = plan.alpha_of_a_comparison, plan.design
    if design.kind == "group_sequential":
        fractions = look_fractions(plan, history)
        return _inflation(fractions, alpha, power, design.spending, design.rho)
    if design.kind == "always_valid":
        reach = always_valid_reach(history.units_after(planned_days(plan)), alpha=alpha, tune_n=design.tune_units)
        fixed, beyond = critical_value(1 - alpha), PowerDesign(alpha=alpha).reach(power)
        return max(1.0, ((reach + beyond - fixed) / beyond) ** 2)
    return 1.0


@lru_cache(maxsize=64)
def _inflation(fractions: tuple[float, ...], alpha: float, power: float, spending: str, rho: float) -> float:
    """Integrals by quadrature: a curve of a hundred points would make them a hundred times."""
    return max(1.0, inflation(fractions, alpha=alpha, power=power, spending=spending, rho=rho))


def outcome_after(history: UnitHistory, metric: str, *, days: int) -> Outcome | str:
    """How a unit's value varies after so many days, covariates taken out; or why that is not known."""
    definition = history.metrics[metric]
    if definition.kind == "quantile":
        if history.pairs is not None:
            return "a shadow compares quantiles of the same requests, and how those vary together is not known"
        estimate = history.quantiles.get(metric)
        if estimate is None or not estimate.se:
            return history.reason or (
                estimate.reason if estimate and estimate.reason else "no interval of the quantile"
            )
        return outcome_from_error(estimate.se, history.control_units)
    found = unit_variance(history, metric, days=days)
    if isinstance(found, str):
        return found
    if definition.is_share and history.pairs is None and found.single and 0 < found.level < 1 and not found.explained:
        return share_outcome(found.level, pooled=False)
    return mean_outcome(found.variance, gain=min(found.explained, 0.99))


def power_design(plan: ExperimentPlan, aim: Aim, metric: MetricDefinition, inflation: float) -> PowerDesign:
    """The design of one metric's test, in the words of `stats.power`."""
    # Every version scores every unit of a shadow; see `history.UnitVariance`.
    weights = dict.fromkeys(plan.weights, 1) if plan.kind == "shadow" else plan.weights
    different = aim.hypothesis == "different"
    return PowerDesign(
        shares=tuple(float(weights[name]) for name in (plan.control, *plan.treatments)),
        alpha=plan.alpha if different else plan.alpha / 2,
        hypothesis=aim.hypothesis,
        margin=0.0 if different else aim.size,
        increase=metric.direction != "decrease",
        inflation=inflation,
    )


def aim_of(plan: ExperimentPlan, key: str, metric: MetricDefinition) -> Aim:
    """What the plan wants to show of a metric."""
    role = plan.role(key)
    better = -1.0 if metric.direction == "decrease" else 1.0
    together = guarded_power(plan.power, len(plan.guardrails) + len(plan.data_quality))
    if role == "secondary":
        size = metric.practical_threshold
        return Aim("different", size, "practical threshold", better * size, plan.power)
    margin = plan.margin(key)
    if role == "primary" and margin is None:
        size, source = (
            (plan.planned_effect, "planned effect")
            if plan.planned_effect is not None
            else (plan.smallest_effect or metric.practical_threshold, "smallest effect worth shipping")
        )
        return Aim("different", size, source, better * size, together)
    assumed = better * (plan.planned_effect or 0.0) if role == "primary" else 0.0
    hypothesis = "equivalent" if role == "data_quality" else "not_inferior"
    return Aim(hypothesis, margin or 0.0, "margin", assumed, together)


def metric_design(plan: ExperimentPlan, history: UnitHistory, key: str) -> MetricDesign:
    """What the experiment would see of one metric, or of a guardrail in a group (see `unit_table.group_keys`)."""
    base, group = group_keys(plan).get(key, (key, None))
    metric, days = history.metrics.get(key, history.metrics[base]), planned_days(plan)
    aim = aim_of(plan, base, metric)
    found = unit_variance(history, key, days=days) if metric.kind != "quantile" else history.reason or "a quantile"
    known = found if isinstance(found, UnitVariance) else None
    estimate = history.quantiles.get(key)
    outcome = (
        outcome_after(history, key, days=days)
        if key in history.metrics
        else "a quantile in a group is not sized: its error there is not known"
    )
    design = MetricDesign(
        metric=base,
        name=metric.name,
        unit=metric.unit,
        role=plan.role(base),
        group=group.label if group else "",
        aim=aim,
        level=known.level if known else estimate.value if estimate else None,
        variance=outcome.variance if isinstance(outcome, Outcome) and not known else known.variance if known else None,
        explained=known.explained if known else 0.0,
        covered=known.covered if known else 0.0,
        effect_of_design=design_effect(history, key) if known else None,
        needed_units=(),
        needed_days=None,
        power=None,
        detectable=None,
        reason=outcome if isinstance(outcome, str) else "",
    )
    return design if isinstance(outcome, str) else _solved(plan, history, key, design, outcome)


def _solved(
    plan: ExperimentPlan, history: UnitHistory, key: str, design: MetricDesign, outcome: Outcome
) -> MetricDesign:
    days, metric, aim = planned_days(plan), history.metrics[key], design.aim
    test = power_design(plan, aim, metric, planned_inflation(plan, history, aim.power))
    units = history.units_after(days)
    needed = units_needed(outcome, aim.effect, test, power=aim.power)
    at_end = power_of(outcome, units, aim.effect, test)
    return design._replace(
        needed_units=needed.units,
        needed_days=_days_needed(history, key, aim, test) if needed.units else None,
        power=at_end.power,
        detectable=detectable_size(outcome, units, test, aim),
        reason=needed.reason or at_end.reason,
    )


def detectable_size(outcome: Outcome, units: float, test: PowerDesign, aim: Aim) -> float | None:
    """The smallest effect, or margin, that so many units see with the aim's power; above 0. None: none is."""
    if aim.hypothesis == "different":
        found = detectable_effect(outcome, units, test, power=aim.power).effect
    else:
        found = detectable_margin(outcome, units, test, effect=aim.effect, power=aim.power).margin
    return None if found is None else abs(found)


def _days_needed(history: UnitHistory, metric: str, aim: Aim, test: PowerDesign) -> int | None:
    """Whole weeks, in days, until the wanted power; None beyond `MOST_WEEKS`."""
    for days in range(WEEK_DAYS, (MOST_WEEKS + 1) * WEEK_DAYS, WEEK_DAYS):
        outcome = outcome_after(history, metric, days=days)
        if isinstance(outcome, str):
            return None
        power = power_of(outcome, history.units_after(days), aim.effect, test).power
        if power is not None and power >= aim.power:
            return days
    return None
