"""Units of the past: what each unit of the control's version adds to every metric, lazily, in the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import check_at_least
from toolkit.data import Source, load_model
from toolkit.experiments.plans import check_columns
from toolkit.metrics import (
    MetricDefinition,
    MomentTable,
    Needs,
    RatioKind,
    collect_moments,
    load_metrics,
    load_segments,
    unit_days,
)
from toolkit.metrics.requests import Mean
from toolkit.windows import Window, parse_instant, start_of_day

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.data import ModelDefinition
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.promises import VulnerableGroup
    from toolkit.metrics import SegmentDefinition

WEEK_DAYS = 7
READING = "predictions and outcomes"
_ELIGIBLE = "is eligible"
"""A measure beside the metrics, which no metric of a team is likely to be called."""
_ALONE = "alone "
"""Before the id of a unit that stands for itself, so that it is no cluster's."""


class Past(NamedTuple):
    """The weeks before an experiment.

    Attributes
    ----------
    window: whole weeks; begins on the weekday on which the experiment does. as_of: what was known then counts.
    metrics: the plan's, over eligible requests, resolved for the model; then guardrails in the groups that could be
        harmed, by the keys of `group_keys`. table: the units; None where `reason` says why.
    """

    window: Window
    as_of: datetime
    metrics: Mapping[str, MetricDefinition]
    table: UnitTable | None
    reason: str


def read_past(plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "", weeks: int = 4) -> Past:
    """The units of the control's version in the `weeks` before the experiment, or before `as_of` if that is earlier.

    It ends so early that its labels have had the model's days to mature. Where the data do not reach back so far it is
    as many whole weeks as they do.

    Raises `DefinitionError` for columns that the data do not have, `ContractError` for data that break their contract,
    and `NotReady` without any prediction.
    """
    check_at_least("weeks", weeks, 1)
    check_columns(plan, source)
    model = load_model(source.workspace, plan.model)
    definitions, columns = load_metrics(source.workspace), source.columns("predictions")
    metrics = {key: eligible_only(definitions[key], plan).resolved(model, columns) for key in plan.metrics}
    named = load_segments(source.workspace)
    for key, (metric, group) in group_keys(plan).items():
        if isinstance(metrics[metric], RatioKind):
            metrics[key] = _only_where(metrics[metric], group_condition(group, named.get(group.segment)))
    instant = _instant(source, as_of)
    window = _weeks_before(plan, model, as_of=instant, weeks=weeks)
    if source.facts("predictions", ["served"], as_of=instant, start=window.start, end=window.end).days:
        adding = {key: metric for key, metric in metrics.items() if isinstance(metric, RatioKind)}
        everyone = _eligible_days(plan, source, model, adding, window, instant)
        whole = UnitTable(plan, source, everyone, window, tuple(adding), {})
        reached = _whole_weeks(source, whole.inside, window)
        if reached is not None:
            return Past(reached, instant, metrics, UnitTable.of(plan, source, everyone, tuple(adding), reached), "")
    version, seen = plan.variants[plan.control].version, "scored" if plan.kind == "shadow" else "served"
    reason = f"no history: version {version} {seen} no whole week of requests that count in {window.label}"
    return Past(window, instant, metrics, None, reason)


@dataclass(frozen=True)
class UnitTable:
    """The units of a window with what each adds to every metric; lazy, in the embedded engine.

    Attributes
    ----------
    everyone: one row per unit, cluster, day and version, of eligible requests. window: of which the rows count; those
        before it are the units' own past.
    shifts: by metric, a number near its mean in the control's version; what is summed is numerator - shift ·
        denominator, so that large means keep their variance.
    """

    plan: ExperimentPlan
    source: Source
    everyone: ir.Table
    window: Window
    adding: tuple[str, ...]
    shifts: Mapping[str, float]

    @classmethod
    def of(
        cls, plan: ExperimentPlan, source: Source, everyone: ir.Table, adding: tuple[str, ...], window: Window
    ) -> UnitTable:
        """The table of these metrics, with the plan's covariates; `everyone` as `_eligible_days` gives it."""
        inside = cls(plan, source, everyone, window, adding, {}).inside
        totals = {f"{key}__{part}": inside[f"{key}__{part}"].sum() for key in adding for part in ("sum", "n")}
        shifts = dict.fromkeys(adding, 0.0)
        if totals:
            row = source.execute(inside.aggregate(**totals), reading=READING).iloc[0]
            shifts = {key: _ratio(row[f"{key}__sum"], row[f"{key}__n"]) for key in adding}
        return cls(plan, source, everyone, window, adding, shifts)

    @property
    def days(self) -> ir.Table:
        """The unit-days of the control's version."""
        return self.everyone.filter(self.everyone.version == self.plan.variants[self.plan.control].version)

    @property
    def inside(self) -> ir.Table:
        """The control's unit-days in the window."""
        return self.days.filter(self.days.day >= self.window.start.date())

    def new_units(self) -> tuple[tuple[date, int], ...]:
        """By day of the window, the units that were first seen on it, whatever version they met."""
        inside = self.everyone.filter(self.everyone.day >= self.window.start.date())
        first = inside.group_by("unit_id").aggregate(day=inside.day.min())
        seen = self.source.execute(first.group_by("day").aggregate(units=first.count()), reading=READING)
        counts = {_as_date(day): int(count) for day, count in zip(seen["day"], seen["units"], strict=True)}
        days = (self.window.start.date() + timedelta(days=number) for number in range(int(self.window.days)))
        return tuple((day, counts.get(day, 0)) for day in days)

    def moments(self, weeks: int) -> MomentTable:
        """The moments by unit after one week, two, …; `horizon` is the number of weeks."""
        import ibis

        parts = [self.units(week).mutate(horizon=ibis.literal(week)) for week in range(1, weeks + 1)]
        return self._collect(ibis.union(*parts) if weeks > 1 else parts[0], by=["horizon"])

    def cluster_moments(self) -> MomentTable:
        """The moments by cluster over the whole window."""
        inside = self.inside
        return self._collect(inside.group_by(group=self.group(inside)).aggregate(**self.sums(inside)), covariates=False)

    def pair_moments(self, weeks: int) -> MomentTable:
        """As `moments`, of units under the control's version and the first treatment's, which both scored them."""
        import ibis

        parts = []
        for week in range(1, weeks + 1):
            rows = self._both(weeks=week)
            units = rows.group_by("unit_id").aggregate(**self._pair_sums(rows))
            parts.append(units.mutate(horizon=ibis.literal(week)))
        return self._collect_pairs(ibis.union(*parts) if weeks > 1 else parts[0], by=["horizon"])

    def pair_cluster_moments(self) -> MomentTable:
        """The same by cluster over the whole window."""
        rows = self._both(weeks=int(self.window.days) // WEEK_DAYS)
        return self._collect_pairs(rows.group_by(group=self.group(rows)).aggregate(**self._pair_sums(rows)))

    def units(self, weeks: int) -> ir.Table:
        """One row per unit seen in the first `weeks` of the window: `s_<i>`, `n_<i>` by metric, `x_<j>` by covariate.

        `x_<j>` is the unit's own mean of a covariate; missing where it has none.
        """
        end = self.window.start.date() + timedelta(days=weeks * WEEK_DAYS)
        inside = self.days.filter(self.days.day >= self.window.start.date(), self.days.day < end)
        units = inside.group_by("unit_id").aggregate(**self.sums(inside), **self._columns_known(inside))
        for j, covariate in enumerate(self.plan.covariates):
            if covariate.metric is None:
                continue
            first = self.window.start.date() - timedelta(days=covariate.past_days)
            past = self.days.filter(self.days.day >= first, self.days.day < self.window.start.date())
            name = f"x_{j}"
            own = past.group_by("unit_id").aggregate(**{name: _own_mean(past, _past_key(j))})
            units = units.left_join(own, "unit_id").drop("unit_id_right")
        return units

    def sums(self, rows: ir.Table) -> dict[str, Any]:
        """What the rows of a group add to each metric: `s_<i>`, shifted, and `n_<i>`."""
        sums: dict[str, Any] = {}
        for i, key in enumerate(self.adding):
            numerator, denominator = rows[f"{key}__sum"].sum(), rows[f"{key}__n"].sum()
            sums |= {f"s_{i}": numerator - self.shifts[key] * denominator, f"n_{i}": denominator.cast("float64")}
        return sums

    def group(self, rows: ir.Table) -> Any:
        """The cluster of each row; a unit without one stands for itself."""
        import ibis

        return ibis.coalesce(rows[self.plan.cluster or "unit_id"], ibis.literal(_ALONE) + rows.unit_id)

    def _both(self, *, weeks: int) -> ir.Table:
        """The unit-days that either of the two versions has in the first weeks of the window."""
        first = self.window.start.date()
        rows, versions = self.everyone, [self.plan.variants[name].version for name in self._pair]
        return rows.filter(
            rows.day >= first, rows.day < first + timedelta(days=weeks * WEEK_DAYS), rows.version.isin(versions)
        )

    @property
    def _pair(self) -> tuple[str, str]:
        return self.plan.control, self.plan.treatments[0]

    def _pair_sums(self, rows: ir.Table) -> dict[str, Any]:
        """`s_<i>_<v>` and `n_<i>_<v>`: as `sums`, of the control (0) and the treatment (1); 0 where one has nothing."""
        sums: dict[str, Any] = {}
        for v, name in enumerate(self._pair):
            here = rows.version == self.plan.variants[name].version
            for i, key in enumerate(self.adding):
                numerator, denominator = (
                    rows[f"{key}__{part}"].sum(where=here).fill_null(0).cast("float64") for part in ("sum", "n")
                )
                sums |= {f"s_{i}_{v}": numerator - self.shifts[key] * denominator, f"n_{i}_{v}": denominator}
        return sums

    def _collect_pairs(self, table: ir.Table, by: Sequence[str] = ()) -> MomentTable:
        needs = Needs()
        for i in range(len(self.adding)):
            needs |= Needs.of(*pair_names(i))
        return collect_moments(table, needs, by=by, execute=self._execute)

    def _execute(self, expression: ir.Table) -> Any:
        return self.source.execute(expression, reading=READING)

    def _columns_known(self, rows: ir.Table) -> dict[str, Any]:
        return {
            f"x_{j}": _own_mean(rows, _past_key(j))
            for j, covariate in enumerate(self.plan.covariates)
            if covariate.metric is None
        }

    def _collect(self, table: ir.Table, by: Sequence[str] = (), *, covariates: bool = True) -> MomentTable:
        known = [f"x_{j}" for j in range(len(self.plan.covariates))] if covariates else []
        needs = Needs()
        for i in range(len(self.adding)):
            needs |= Needs.of(f"s_{i}", f"n_{i}", *known) | Needs.of(f"s_{i}", f"n_{i}")
        return collect_moments(table, needs, by=by, execute=self._execute)


def pair_names(position: int) -> tuple[str, str, str, str]:
    """The measures of one metric in the moments of pairs: both sums of the control, then of the treatment."""
    return f"s_{position}_0", f"n_{position}_0", f"s_{position}_1", f"n_{position}_1"


def _eligible_days(
    plan: ExperimentPlan,
    source: Source,
    model: ModelDefinition,
    adding: Mapping[str, RatioKind],
    window: Window,
    as_of: datetime,
) -> ir.Table:
    """The unit-days of eligible requests, from the covariates' past on; for a shadow also of what was not served."""
    definitions, columns = load_metrics(source.workspace), source.columns("predictions")
    wanted: dict[str, MetricDefinition] = dict(adding)
    for j, covariate in enumerate(plan.covariates):
        given = definitions[covariate.metric] if covariate.metric else _mean_of(covariate.column or "")
        wanted[_past_key(j)] = eligible_only(given, plan).resolved(model, columns)
    if plan.eligible:
        wanted[_ELIGIBLE] = _mean_of(plan.eligible)
    past_days = max((covariate.past_days for covariate in plan.covariates), default=0)
    reached = Window(window.start - timedelta(days=past_days), window.end)
    also = [plan.cluster] if plan.cluster else []
    days = unit_days(source, model, wanted, window=reached, as_of=as_of, also=also)
    if plan.kind != "shadow":
        days = days.filter(days.served)
    return days.filter(days[f"{_ELIGIBLE}__sum"] > 0) if plan.eligible else days


def _weeks_before(plan: ExperimentPlan, model: ModelDefinition, *, as_of: datetime, weeks: int) -> Window:
    mature = start_of_day(as_of - timedelta(days=model.label.maturity_days))
    start = start_of_day(plan.window.window.start)
    end = min(mature, start)
    end -= timedelta(days=(end - start).days % WEEK_DAYS)
    return Window(end - timedelta(days=weeks * WEEK_DAYS), end)


def _whole_weeks(source: Source, inside: ir.Table, window: Window) -> Window | None:
    """The whole weeks at the end of the window that the control's version reaches back to; None if there is none."""
    first = source.execute(inside.aggregate(first=inside.day.min()), reading=READING)["first"].iloc[0]
    if first is None or first != first:  # noqa: PLR0124 - NaT is the one value that differs from itself
        return None
    weeks = (window.end.date() - _as_date(first)).days // WEEK_DAYS
    return Window(window.end - timedelta(days=weeks * WEEK_DAYS), window.end) if weeks else None


def eligible_only(metric: MetricDefinition, plan: ExperimentPlan) -> MetricDefinition:
    """The metric over eligible requests only."""
    return _only_where(metric, plan.eligible) if plan.eligible else metric


def group_keys(plan: ExperimentPlan) -> dict[str, tuple[str, VulnerableGroup]]:
    """By a key that no metric has: each guardrail in each group that it watches."""
    return {
        f"group {number} {guardrail.metric}": (guardrail.metric, group)
        for number, group in enumerate(plan.vulnerable)
        for guardrail in plan.watched(group)
    }


def group_condition(group: VulnerableGroup, named: SegmentDefinition | None) -> str:
    """The SQL scalar that is true of a group's requests.

    >>> from toolkit.experiments.promises import VulnerableGroup
    >>> group_condition(VulnerableGroup(segment="city", value="L'Aquila", why="few"), None)
    "CAST(city AS VARCHAR) = 'L''Aquila'"
    """
    if named is not None and named.edges:
        place, column = named.bins.index(group.value), f"({named.column})"
        low = [f"{column} >= {named.edges[place - 1]!r}"] if place else []
        high = [f"{column} < {named.edges[place]!r}"] if place < len(named.edges) else []
        return " AND ".join([*low, *high])
    scalar = group.segment if named is None else f"({named.expression})"
    value = group.value.replace("'", "''")
    return f"CAST({scalar} AS VARCHAR) = '{value}'"


def _only_where(metric: MetricDefinition, condition: str) -> MetricDefinition:
    both = f"({metric.filter}) AND ({condition})" if metric.filter else condition
    return metric.model_copy(update={"filter": both})


def _mean_of(scalar: str) -> Mean:
    return Mean(
        name=scalar, description=scalar, owner="", kind="mean", column=scalar, direction="none",
        practical_threshold=1.0, role="input",
    )  # fmt: skip  # its lines group what belongs together


def _past_key(position: int) -> str:
    return f"covariate {position}"


def _own_mean(rows: ir.Table, key: str) -> Any:
    """A unit's own mean; missing where it has nothing to divide by."""
    return rows[f"{key}__sum"].sum() / rows[f"{key}__n"].sum().cast("float64").nullif(0.0)


def _ratio(numerator: Any, denominator: Any) -> float:
    return float(numerator) / float(denominator) if denominator and numerator == numerator else 0.0  # noqa: PLR0124 - NaN


def _instant(source: Source, as_of: str | datetime) -> datetime:
    if isinstance(as_of, datetime):
        return as_of
    return parse_instant(as_of) if as_of else source.complete_through()


def _as_date(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value
