"""What production knows before an experiment: how many units come, and how each metric varies from unit to unit.

The history is that of the control's version, in whole weeks, as if the experiment had run there: a unit enters on its
first day and adds until the last. Sums by unit are made once and kept by day (see `metrics.unit_days`); what leaves the
engine are moments and counts by day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import Source, load_model
from toolkit.experiments.unit_table import WEEK_DAYS, Past, pair_names, read_past
from toolkit.metrics import MetricDefinition, MomentTable, Population, RatioKind, measure
from toolkit.stats import Estimate
from toolkit.stats.influences import combined, ratio_influence, ratio_of, ratio_square_sum
from toolkit.stats.joint_moments import JointMoments
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan


@dataclass(frozen=True)
class UnitHistory:
    """The units of the control's version in the weeks before an experiment.

    Attributes
    ----------
    window: whole weeks that begin on the weekday of the experiment's window. as_of: what was known then counts.
    new_units: by day of the window, the units that were first seen on it, whatever version they met.
    weeks: whole weeks of the window that the data reach back to; 0 when `reason` says why there is no history.
    moments: of each metric's sums by unit, after one week, two, ….
    pairs: of a shadow, the same of control and treatment together; None for anything else.
    groups: of a shadow as `pairs`, else as `moments`, by cluster over the whole window; None for a plain analysis.
    shifts: by metric, see `UnitTable`.
    quantiles: by metric that is a quantile, its estimate over the window with days as clusters.
    metrics: those of the plan by key, resolved for the model. covariates: the labels of those that could be measured.
    """

    window: Window
    as_of: datetime
    new_units: tuple[tuple[date, int], ...]
    weeks: int
    moments: MomentTable | None
    pairs: MomentTable | None
    groups: MomentTable | None
    shifts: Mapping[str, float]
    quantiles: Mapping[str, Estimate]
    metrics: Mapping[str, MetricDefinition]
    covariates: tuple[str, ...]
    reason: str = ""

    @property
    def adding(self) -> tuple[str, ...]:
        """The metrics that are ratios of sums, in the order of the measures `s_<i>` and `n_<i>`."""
        return tuple(key for key, metric in self.metrics.items() if isinstance(metric, RatioKind))

    @property
    def units(self) -> int:
        """Units seen in the window."""
        return sum(count for _, count in self.new_units)

    @property
    def control_units(self) -> int:
        """Those of them that met the control's version: what variances rest on."""
        return 0 if self.moments is None else self.moments.rows({"horizon": str(self.weeks)})

    def units_after(self, days: int) -> float:
        """Units that have come after so many days; beyond the window its last week comes again and again.

        A unit that comes back is not new, so that of a small population fewer and fewer are: the last week says how
        many still come.
        """
        counts = [count for _, count in self.new_units]
        last_week = counts[-WEEK_DAYS:]
        whole, rest = divmod(max(days - len(counts), 0), WEEK_DAYS)
        return float(sum(counts[:days]) + whole * sum(last_week) + sum(last_week[:rest]))

    def horizon(self, days: int) -> int:
        """The week of the history whose sums by unit are like those after so many days."""
        return min(max(1, -(-days // WEEK_DAYS)), self.weeks)


class UnitVariance(NamedTuple):
    """How a metric varies from unit to unit.

    Attributes
    ----------
    level: the metric itself. variance: of one unit's linearised value, (s - level · n) / mean n, from its numerator s
        and denominator n: the variance of the metric over N units is this / N.
        Of a shadow it is a quarter of the variance of the unit's own difference between the versions.
    explained: the share of it that the covariates explain. covered: the share of the units that have them all.
    requests: the mean denominator of a unit. single: whether each unit has a denominator of 1 exactly.
    units: how many it rests on.
    """

    level: float
    variance: float
    explained: float
    covered: float
    requests: float
    single: bool
    units: int


def read_history(plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "", weeks: int = 4) -> UnitHistory:
    """The history of the control's version in the `weeks` before the experiment, or before `as_of` if that is earlier.

    It ends so early that its labels have had the model's days to mature, on the weekday on which the experiment begins.

    Raises `DefinitionError` for columns that the data do not have, `ContractError` for data that break their contract,
    and `NotReady` without any prediction.
    """
    past = read_past(plan, source, as_of=as_of, weeks=weeks)
    table, covariates = past.table, tuple(covariate.label for covariate in plan.covariates)
    if table is None:
        return UnitHistory(
            past.window, past.as_of, (), 0, None, None, None, {}, {}, past.metrics, covariates, past.reason
        )
    whole, paired = int(past.window.days) // WEEK_DAYS, plan.kind == "shadow"
    by_cluster = table.pair_cluster_moments if paired else table.cluster_moments
    return UnitHistory(
        past.window,
        past.as_of,
        table.new_units(),
        whole,
        table.moments(whole),
        table.pair_moments(whole) if paired else None,
        by_cluster() if plan.cluster else None,
        table.shifts,
        _quantiles(plan, source, past),
        past.metrics,
        covariates,
    )


def unit_variance(history: UnitHistory, metric: str, *, days: int) -> UnitVariance | str:
    """How a metric that is a ratio of sums varies from unit to unit after so many days, or why that is not known."""
    import numpy as np

    if history.moments is None or metric not in history.adding:
        return history.reason or f"{metric} is no ratio of sums"
    i, known = history.adding.index(metric), [f"x_{j}" for j in range(len(history.covariates))]
    where = {"horizon": str(history.horizon(days))}
    both = history.moments.moments([f"s_{i}", f"n_{i}"], where)
    shifted, mean_n = ratio_of(both, 0), both.mean(1)
    if both.n < 2 or shifted is None or mean_n is None:
        return f"no history: {both.n:,} units have a value in {history.window.label}"
    variance = ratio_square_sum(both) / (both.n - 1)
    explained, covered = 0.0, 0.0
    if history.pairs is not None:
        paired = _pair_variance(history, history.pairs, i, where)
        if isinstance(paired, str):
            return paired
        variance = paired
    elif known:
        complete = history.moments.moments([f"s_{i}", f"n_{i}", *known], where)
        covered = complete.n / both.n
        explained = covered * _explained(np.array(complete.products), shifted) if complete.n > len(known) + 2 else 0.0
    level = history.shifts[metric] + shifted
    single = mean_n == 1 and both.products[1][1] == 0
    return UnitVariance(level, variance, explained, covered, mean_n, single, both.n)


def _pair_variance(history: UnitHistory, pairs: MomentTable, position: int, where: Mapping[str, str]) -> float | str:
    """A quarter of the variance of a unit's own difference: so large is that of each of two independent variants whose
    difference has the same error with as many units in both together. Times what clusters make of it.
    """
    found = _difference_variance(pairs.moments(pair_names(position), where))
    if found is None:
        return f"no history: the treatment's version scored nothing in {history.window.label}"
    return found[0] * (_pair_effect(history, pairs, position) or 1.0) / 4


def _pair_effect(history: UnitHistory, pairs: MomentTable, position: int) -> float | None:
    """How many times the variance of a shadow's difference is larger with clusters; None for a plain analysis."""
    if history.groups is None:
        return None
    alone = _difference_variance(pairs.moments(pair_names(position), {"horizon": str(history.weeks)}))
    clustered = _difference_variance(history.groups.moments(pair_names(position)))
    if alone is None or clustered is None or not alone[0]:
        return None
    return (clustered[0] / clustered[1]) / (alone[0] / alone[1])


def _difference_variance(moments: JointMoments) -> tuple[float, int] | None:
    """The variance of a group's linearised difference, treatment minus control, and how many groups there are."""
    import numpy as np

    if moments.n < 2 or ratio_of(moments, 0) is None or ratio_of(moments, 2) is None:
        return None
    influence = np.subtract(ratio_influence(moments, 2), ratio_influence(moments, 0))
    return max(float(combined(moments.products, influence)), 0.0) / (moments.n - 1), moments.n


def design_effect(history: UnitHistory, metric: str) -> float | None:
    """How many times the variance of a level is larger with clusters than if units were independent; None: unknown.

    Of a shadow it is that of the difference, whose two sides do not lose what a cluster has in common.
    """
    i = history.adding.index(metric)
    if history.pairs is not None:
        return _pair_effect(history, history.pairs, i)
    alone = unit_variance(history, metric, days=history.weeks * WEEK_DAYS)
    if history.groups is None or isinstance(alone, str) or alone.variance == 0:
        return None
    both = history.groups.moments([f"s_{i}", f"n_{i}"])
    if both.n < 2 or ratio_of(both, 0) is None:
        return None
    clustered = ratio_square_sum(both) / (both.n - 1) / both.n
    return clustered / (alone.variance / alone.units)


def _explained(products: Any, shifted: float) -> float:
    """R² of the regression of a unit's s - R n on its covariates; 0 where they do not vary."""
    import numpy as np

    weights = np.array([1.0, -shifted])
    total = float(weights @ products[:2, :2] @ weights)
    with_known, known = weights @ products[:2, 2:], products[2:, 2:]
    # A covariate that is a sum of others adds nothing, and the least-squares solution does not mind.
    fit = float(with_known @ np.linalg.lstsq(known, with_known, rcond=None)[0])
    return min(max(fit / total, 0.0), 1.0) if total > 0 else 0.0


def _quantiles(plan: ExperimentPlan, source: Source, past: Past) -> dict[str, Estimate]:
    """The metrics that are quantiles, with days as clusters."""
    wanted = {key: metric for key, metric in past.metrics.items() if metric.kind == "quantile"}
    if not wanted:
        return {}
    version = plan.variants[plan.control].version
    control = Population("control", version, past.window, served_only=plan.kind != "shadow")
    model = load_model(source.workspace, plan.model)
    cells = measure(source, model, wanted, [control], as_of=past.as_of)
    return {key: cells.estimate(key, control.name) for key in wanted}
