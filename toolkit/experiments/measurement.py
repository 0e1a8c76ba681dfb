"""What an experiment measures, with all that plan and metrics leave open filled in, and its unit-days in the cache.

A unit-day is what one unit's requests of one day add to every metric, apart by version and by whether they came at or
after an exposure *of that day*. So a day's file depends on that day alone: which variant a unit is in, and since when,
is joined to it later. A day more costs that day; an exposure or a label that comes late costs the day that it belongs
to; another variant, margin or alpha costs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import LABEL, Source, load_model
from toolkit.data.functions import seconds_of
from toolkit.data.instants import date_of
from toolkit.data.unit_days import DayOfEvents, UnitDays
from toolkit.digests import digest_value
from toolkit.errors import DefinitionError
from toolkit.experiments.holdout import period_days
from toolkit.experiments.promises import DEFAULT_PAST_DAYS
from toolkit.metrics import MetricDefinition, RatioKind, load_metrics
from toolkit.metrics.daily import Wanted
from toolkit.metrics.kinds import DAY, OURS, number, segment_value, truth
from toolkit.metrics.needs import addends, columns_needed, label_outside
from toolkit.metrics.quantiles import Quantile
from toolkit.metrics.query import Population, Question
from toolkit.windows import Window

if TYPE_CHECKING:
    from pathlib import Path

    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan

FORMAT = 1
"""Of what is kept about an experiment; another one makes other digests, so that nothing old is read."""

READING = "predictions, outcomes and exposures"

_ALL = "all"
_DAY = timedelta(days=1)
_MET_AT, _AFTER = f"{OURS}met_at", f"{OURS}after"


class Past(NamedTuple):
    """A metric over the whole days before the day of each unit's first exposure."""

    metric: str
    days: int


@dataclass(frozen=True)
class Measurement:
    """A plan that is to be measured in `window`, with what was known at `as_of`.

    Attributes
    ----------
    window: the plan's, or at an early look its part that has matured.
    metrics: the definitions of the plan's metrics as they are shown. sums: those that are ratios of sums, for the
        plan's model, and those that only covariates name. quantiles: those that are quantiles.
    question: the requests behind the sums, those of the units' past included.
    """

    plan: ExperimentPlan
    source: Source
    window: Window
    as_of: datetime
    metrics: Mapping[str, MetricDefinition]
    sums: Mapping[str, RatioKind]
    quantiles: Mapping[str, Quantile]
    question: Question

    @classmethod
    def of(cls, plan: ExperimentPlan, source: Source, *, window: Window, as_of: datetime) -> Measurement:
        """The measurement of a plan. Raises `DefinitionError` for a metric that cannot be compared by unit."""
        definitions = load_metrics(source.workspace)
        model, columns = load_model(source.workspace, plan.model), source.columns("predictions")
        metrics = {key: definitions[key] for key in plan.metrics}
        summed, quantiles = {}, {}
        for key in dict.fromkeys([*plan.metrics, *(each.metric for each in plan.covariates if each.metric)]):
            metric = definitions[key]
            if isinstance(metric, Quantile) and key in metrics:
                quantiles[key] = metric.resolved(model, columns)
            elif isinstance(metric, RatioKind) and metric.adds_up:
                summed[key] = metric.resolved(model, columns)
            else:
                reason = f"is of kind {metric.kind}, which is no mean of requests"
                raise DefinitionError(f"metric {key!r} {reason}; an experiment cannot compare it by unit")
        longest = max([DEFAULT_PAST_DAYS, *(each.past_days for each in plan.covariates)])
        whole = Population(_ALL, None, Window(window.start - longest * _DAY, window.end), served_only=True)
        question = Question.of(source, model, summed, [whole], as_of=as_of, segments=plan.splits)
        own = [scalar for scalar in (plan.eligible, *(each.column for each in plan.covariates)) if scalar]
        keys = [
            "unit_id",
            "version",
            "error",
            "served",
            "occurred_at",
            LABEL,
            *([plan.cluster] if plan.cluster else []),
        ]
        question = replace(
            question,
            scalars=tuple(dict.fromkeys([*question.scalars, *own])),
            columns=tuple(dict.fromkeys([*question.columns, *columns_needed(own), *keys])),
        )
        return cls(plan, source, window, as_of, metrics, summed, quantiles, question)

    @property
    def column_covariates(self) -> tuple[str, ...]:
        """The columns and SQL scalars of the plan's covariates."""
        return tuple(each.column for each in self.plan.covariates if each.column)

    @property
    def pasts(self) -> tuple[Past, ...]:
        """The pasts that are summed: those of covariates, and for the balance of the variants one of each metric."""
        named = [Past(each.metric, each.past_days) for each in self.plan.covariates if each.metric]
        return tuple(dict.fromkeys([*named, *(self.past_of(metric, named) for metric in self.sums)]))

    def past_of(self, metric: str, named: list[Past] | None = None) -> Past:
        """The past in which the variants are compared: over the days of the metric's covariate, if it has one."""
        known = self.pasts if named is None else named
        return next((past for past in known if past.metric == metric), Past(metric, DEFAULT_PAST_DAYS))

    @property
    def segment_columns(self) -> dict[str, str]:
        """The segmentations, and the columns of unit-days that hold them."""
        return {name: f"segment__{name}" for name in self.plan.splits}

    @property
    def period_starts(self) -> tuple[date, ...]:
        """Of a holdout, the first days of the periods that its units are told apart by: those of first exposure."""
        if self.plan.kind != "holdout":
            return ()
        length, first = period_days(self.plan.window.window), self.window.start.date()
        count = -(-(self.window.end.date() - first).days // length)
        return tuple(first + timedelta(days=length * at) for at in range(max(count, 1)))

    @cached_property
    def days(self) -> dict[str, DayOfEvents]:
        """The days of requests, each with all that its unit-days depend on."""
        wanted = {place.partition(" ")[0]: key for place, key in Wanted.of(self.question).days.items()}
        whole, own = self.question.populations[0].window, [name for name in self.question.columns if name != LABEL]
        facts = self.source.facts("predictions", own, as_of=self.as_of, start=whole.start, end=whole.end)
        rows = {day.day: day.rows for day in facts.days if day.day}
        rows.setdefault(f"{self.window.start:%Y-%m-%d}", 0)  # an experiment without a request has a day, too
        met = self.exposure_days
        return {
            day: DayOfEvents(count, digest_value({"requests": wanted.get(day), "exposures": met.get(day)}))
            for day, count in sorted(rows.items())
        }

    @cached_property
    def exposure_days(self) -> dict[str, str]:
        """The fingerprint of each day of exposures."""
        start, end = self.window.start, self.window.end
        return self.source.day_fingerprints("exposures", [], as_of=self.as_of, start=start, end=end)

    @cached_property
    def unit_days(self) -> UnitDays:
        """The experiment's unit-day table."""
        plan = self.plan
        measures = ["answered", "labelled", *(["label_outside"] if self._checks_labels else [])]
        for key, metric in self.sums.items():
            measures += [f"{key}__{name}" for name in self._parts_of(metric)]
        measures += [f"{name}{at}" for at in range(len(self.column_covariates)) for name in ("column_sum", "column_n")]
        keys = ["version", "after", *([plan.cluster] if plan.cluster else []), *(["eligible"] if plan.eligible else [])]
        keys += self.segment_columns.values()
        return UnitDays(tuple(measures), self._definition, tuple(keys), lows=("first_s",), in_order=True)

    def build_days(self) -> dict[str, Path]:
        """The file of each day, built where it is not there yet."""
        return self.unit_days.build(self._events, self.days, self.source.cache)

    def exposures(self) -> ir.Table:
        """The exposures of the experiment in the window."""
        events = self.source.read("exposures", [], as_of=self.as_of, start=self.window.start, end=self.window.end)
        return events.filter(events.experiment == self.plan.key)

    @cached_property
    def digest(self) -> str:
        """Of all that the sums depend on, and of nothing that only rules, margins or levels of confidence depend on."""
        plan = self.plan
        return digest_value(
            {
                "format": FORMAT,
                "days": {day: facts.fingerprint for day, facts in self.days.items()},
                "exposures": self.exposure_days,
                "definition": self._definition,
                "window": [self.window.start.isoformat(), self.window.end.isoformat()],
                "variants": {name: variant.version for name, variant in plan.variants.items()},
                "control": plan.control,
                "metrics": {key: metric.identity for key, metric in self.sums.items()},
                "covariates": [each.model_dump() for each in plan.covariates],
                "segments": list(plan.splits),
                "periods": [day.isoformat() for day in self.period_starts],
                "caps": {metric: repr(share) for metric, share in plan.caps.items()},
                "cluster": plan.cluster,
            }
        )

    @property
    def _definition(self) -> str:
        """Of what a unit-day is, beside the requests of the question."""
        plan, columns = self.plan, list(self.column_covariates)
        return digest_value(
            {"format": FORMAT, "experiment": plan.key, "eligible": plan.eligible, "covariates": columns}
        )

    @property
    def _checks_labels(self) -> bool:
        return any(metric.bounded_label for metric in self.sums.values())

    def _parts_of(self, metric: RatioKind) -> list[str]:
        """The sums of a metric: which it has is seen on its requests, before any is read."""
        found = addends("", metric, self._empty)
        names = {"__denominator": "rows", "__spoilt": "spoilt"}
        return ["sum", "n", *(name for part, name in names.items() if part in found)]

    @cached_property
    def _empty(self) -> ir.Table:
        """The requests, for their columns' types."""
        return self.question.requests()

    def _events(self, first: str, last: str) -> ir.Table:
        """The requests of a run of days with what each adds to every measure."""
        whole = self.question.populations[0].window
        run = Window(max(whole.start, _start(first)), min(whole.end, _start(last) + _DAY))
        rows = self._with_after(self.question.requests({_ALL: run}), run)
        measures: dict[str, Any] = {"answered": ~rows.error, "labelled": ~rows.error & rows[LABEL].notnull()}
        if self._checks_labels:
            measures["label_outside"] = label_outside(rows)
        for key, metric in self.sums.items():
            parts = addends(key, metric, rows)
            numerator, denominator = parts[f"{key}__numerator"], parts.get(f"{key}__denominator")
            counts = numerator.notnull().cast("int32")
            measures |= {f"{key}__sum": numerator, f"{key}__n": counts if denominator is None else denominator}
            if denominator is not None:
                measures[f"{key}__rows"] = counts
            if f"{key}__spoilt" in parts:
                measures[f"{key}__spoilt"] = parts[f"{key}__spoilt"].cast("int32")
        for at, scalar in enumerate(self.column_covariates):
            value = number(rows, scalar)
            measures |= {f"column_sum{at}": value, f"column_n{at}": value.notnull().cast("int32")}
        keys: dict[str, Any] = {name: rows[self.plan.cluster] for name in [self.plan.cluster] if name}
        if self.plan.eligible:
            keys["eligible"] = truth(rows, self.plan.eligible).fill_null(False)
        for name, column in self.segment_columns.items():
            keys[column] = segment_value(rows[name])
        first_s = seconds_of(rows.occurred_at, rows.get_backend().name)
        keys |= {"after": rows[_AFTER], "first_s": first_s}
        return rows.select("unit_id", "occurred_at", "version", **keys, **measures)

    def _with_after(self, rows: ir.Table, run: Window) -> ir.Table:
        """Whether each request came at or after an exposure of its unit on the same day."""
        import ibis

        met = self.exposures()
        if not (run.overlaps(self.window) and self.exposure_days):
            return rows.mutate(**{_AFTER: ibis.literal(False)})
        met = met.filter(met.exposed_at >= run.start, met.exposed_at < run.end)
        met = met.mutate(day=date_of(met.exposed_at))
        first = met.group_by("unit_id", "day").aggregate(**{_MET_AT: met.exposed_at.min()})
        joined = rows.left_join(first, ["unit_id", (DAY, "day")])
        return joined.mutate(**{_AFTER: (joined.occurred_at >= joined[_MET_AT]).fill_null(False)})


def _start(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
