"""What an experiment's events say about themselves: counts by variant that only its health checks need.

Everything is counted in the engine, a few small tables come back, and they are kept under the fingerprints of what was
read. The effects rest on none of it; see `units`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import Source, load_model
from toolkit.data.instants import day_of
from toolkit.experiments.exposures import SAMPLE_UNITS, lay
from toolkit.experiments.telemetry_counts import (
    Asked,
    exposed_units,
    repeated_units,
    served_requests,
    tallies,
    unit_days,
    unit_rows,
)
from toolkit.metrics import MetricDefinition, RatioKind, load_metrics, load_segments
from toolkit.metrics.needs import columns_needed, scalars_needed
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan

EARLIER_DAYS = 90
"""Experiments that ended so many days before the window, or later, may have left their mark on its units."""

_MOST_COLUMNS = 40
_READING = "predictions, outcomes and exposures"
_ANSWERS = ("score", "prediction", "latency_ms")
_ALWAYS = ("error", "served", "label", "unit_id", "version")


class Tally(NamedTuple):
    """Counts of one variant's units or requests by one value of one kind, such as the exposure day 2024-03-05.

    Kinds of units in one variant: `all`, with all that is counted of them, and just the units by `day` and `hour`
    (of the first exposure), `activity` (served requests in the window, by powers of two), `lag` (whole hours between
    exposure and nearest own request, where it is that exact) and `segment:<name>`; `repeated`, those with several
    requests of one instant. Of double exposed units, with the variant seen first: `switch`, `switch_gap`, `switch_day`,
    `switch_served`, `switch_back`. `unplanned`: exposures to variants that the plan does not have. Of requests:
    `request_day`. Of units without any exposure, with the version that served them as `variant`: `unexposed`, by the
    day of the first such request. `feedback`: units with a report, by category, "" for any.
    """

    kind: str
    value: str
    variant: str
    counts: Mapping[str, float]


class Overlap(NamedTuple):
    """Units of one variant that were also exposed to one variant of another experiment, and when that one was seen."""

    experiment: str
    other_variant: str
    variant: str
    units: int
    first_day: str
    last_day: str


class Deployment(NamedTuple):
    """A deploy or rollback of the experiment's model."""

    day: str
    version: str
    kind: str


class Assigned(NamedTuple):
    """A unit of the sample: where it was seen, and on which day first."""

    unit: str
    variant: str
    day: str


@dataclass(frozen=True)
class Telemetry:
    """The counts that health checks read.

    Attributes
    ----------
    columns: the columns of predictions whose nulls were counted (`null_<i>` in the tallies).
    segments: the segmentations that were counted.
    missing: by what cannot be told (`labels`, `feedback`), why.
    """

    tallies: tuple[Tally, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    sample: tuple[Assigned, ...] = ()
    columns: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    missing: Mapping[str, str] | None = None

    def by(self, kind: str) -> dict[str, dict[str, Mapping[str, float]]]:
        """Value to variant to counts, values in their order."""
        return self._by.get(kind, {})

    @cached_property
    def _by(self) -> dict[str, dict[str, dict[str, Mapping[str, float]]]]:
        found: dict[str, dict[str, dict[str, Mapping[str, float]]]] = {}
        for tally in sorted(self.tallies, key=lambda each: each[:3]):
            found.setdefault(tally.kind, {}).setdefault(tally.value, {})[tally.variant] = tally.counts
        return found

    def count(self, kind: str, value: str, variant: str, name: str) -> int:
        """One count, 0 where nothing was counted."""
        return int(self.by(kind).get(value, {}).get(variant, {}).get(name, 0))

    def total(self, variant: str, name: str) -> int:
        """One count over all units of a variant."""
        return self.count("all", "", variant, name)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "tallies": [[*tally[:3], dict(tally.counts)] for tally in self.tallies],
            "overlaps": [list(each) for each in self.overlaps],
            "deployments": [list(each) for each in self.deployments],
            "sample": [list(each) for each in self.sample],
            "columns": list(self.columns),
            "segments": list(self.segments),
            "missing": dict(self.missing or {}),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Telemetry:
        """What `to_dict` gave."""
        return cls(
            tuple(Tally(*each) for each in given["tallies"]),
            tuple(Overlap(*each) for each in given["overlaps"]),
            tuple(Deployment(*each) for each in given["deployments"]),
            tuple(Assigned(*each) for each in given["sample"]),
            tuple(given["columns"]),
            tuple(given["segments"]),
            dict(given["missing"]),
        )


def collect(
    plan: ExperimentPlan,
    source: Source,
    *,
    as_of: datetime,
    window: Window | None = None,
    metrics: Mapping[str, MetricDefinition] | None = None,
) -> Telemetry:
    """Count what the plan's health checks need; counted once per state of the data, then read from the cache.

    Parameters
    ----------
    window: that in which exposures and requests count; by default the plan's.
    metrics: the definitions of the plan's metrics, where they are at hand.

    Raises `ContractError`.
    """
    metrics = metrics or load_metrics(source.workspace)
    asked = _ask(plan, source, {key: metrics[key] for key in plan.metrics}, window or plan.window.window, as_of)
    key = _key(asked)
    known = source.cache.recall("telemetry", {"all": key})
    if not known:
        known = {"all": _collect(asked).to_dict()}
        source.cache.keep("telemetry", {"all": key}, known)
    return Telemetry.from_dict(known["all"])


def _ask(
    plan: ExperimentPlan,
    source: Source,
    metrics: Mapping[str, MetricDefinition],
    window: Window,
    as_of: datetime,
) -> Asked:
    """What is counted: the columns whose absence would be felt, and the segments.

    The columns are those of metrics, covariates and answers; the segments the plan's, and where it has none, those by
    which the model's reports look for trouble.
    """
    available, model = source.columns("predictions"), load_model(source.workspace, plan.model)
    resolved = [metric.resolved(model, available) for metric in metrics.values()]
    ratios = [metric for metric in resolved if isinstance(metric, RatioKind)]
    covariates = [covariate.column for covariate in plan.covariates if covariate.column]
    wanted = [*columns_needed([*scalars_needed(ratios), *covariates]), *_ANSWERS]
    columns = tuple(name for name in dict.fromkeys(wanted) if name in available and name not in _ALWAYS)
    asked_for = dict.fromkeys([*(plan.segments or model.segments), *(group.segment for group in plan.vulnerable)])
    defined = {} if set(asked_for) <= set(available) else load_segments(source.workspace)
    segments = tuple(name for name in asked_for if name in available or name in defined)
    named = {name: defined[name] for name in segments if name not in available}
    scalars = [scalar for each in named.values() for scalar in each.scalars]
    scalars += [plan.eligible] if plan.eligible else []
    plain = [name for name in segments if name in available]
    read = dict.fromkeys(["unit_id", "error", "served", *columns[:_MOST_COLUMNS], *plain, *columns_needed(scalars)])
    return Asked(plan, source, columns[:_MOST_COLUMNS], segments, named, tuple(read), window, as_of)


def _key(asked: Asked) -> dict[str, Any]:
    """All that the counts depend on."""
    plan, source, window = asked.plan, asked.source, asked.window
    start = {"predictions": window.start, "feedback": window.start, "deployments": window.start}
    read = {
        "predictions": list(asked.read),
        "exposures": [],
        "outcomes": ["label"],
        "feedback": _feedback_columns(source),
        "deployments": [],
    }
    prints = {
        table: source.facts(table, columns, as_of=asked.as_of, start=start.get(table)).fingerprint
        for table, columns in read.items()
        if table in source.tables
    }
    return {
        "experiment": plan.key,
        "model": plan.model,
        "window": [window.start.isoformat(), window.end.isoformat()],
        "as_of": asked.as_of.isoformat(),
        "variants": [[name, variant.version] for name, variant in plan.variants.items()],
        "eligible": plan.eligible,
        "columns": list(asked.columns),
        "segments": list(asked.segments),
        "named": {name: each.model_dump_json() for name, each in asked.named.items()},
        "sample": SAMPLE_UNITS,
        "read": prints,
    }


def _feedback_columns(source: Source) -> list[str]:
    there = source.columns("feedback") if "feedback" in source.tables else []
    return [name for name in ("unit_id", "request_id", "category") if name in there]


def _collect(asked: Asked) -> Telemetry:
    """Rows by unit and day are laid into files first, so that memory holds one step at a time."""
    source, units, requests = asked.source, exposed_units(asked), served_requests(asked)
    found: list[Tally] = []
    folder = source.cache.root / "telemetry" / f".{os.getpid()}.{os.urandom(4).hex()}"
    folder.mkdir(parents=True)
    try:
        exposed = _laid(asked, units, folder / "exposed.parquet")
        days = _laid(asked, unit_days(asked, units, requests), folder / "days.parquet")
        rows = _laid(asked, unit_rows(asked, exposed, days), folder / "units.parquet")
        frame = source.execute(tallies(asked, rows, days, exposed), reading=_READING)
        found += [_tally(row) for row in frame.to_dict("records")]
    finally:
        shutil.rmtree(folder)
    repeats = source.execute(repeated_units(asked, units, requests), reading=_READING)
    found += [_tally({"kind": "repeated", "value": "", **row}) for row in repeats.to_dict("records")]
    missing = {}
    if "feedback" in source.tables:
        found += _feedback(asked, units, requests)
    else:
        missing["feedback"] = "the workspace has no table of feedback"
    if "outcomes" not in source.tables:
        missing["labels"] = "the workspace has no table of outcomes"
    return Telemetry(
        tuple(sorted(found, key=lambda each: each[:3])),
        _overlaps(asked, units),
        _deployments(asked),
        _sample(asked, units),
        asked.columns,
        asked.segments,
        missing,
    )


def _laid(asked: Asked, expression: ir.Table, path: Path) -> ir.Table:
    """An expression's rows as a file of the embedded engine."""
    return asked.source.embedded.read_parquet(str(lay(expression, path)))


def _tally(row: Mapping[Any, Any]) -> Tally:
    """One row of the engine; counts of 0 are left out."""
    keys = ("kind", "value", "variant")
    counts: dict[str, float] = {}
    for name, given in row.items():
        if name not in keys and not _missing(given) and given:
            number = float(given)
            counts[str(name)] = int(number) if number.is_integer() else number
    kind, value, variant = ("missing" if _missing(row[key]) else str(row[key]) for key in keys)
    return Tally(kind, value, variant, counts)


def _missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN is the one value that differs from itself


def _feedback(asked: Asked, units: ir.Table, requests: ir.Table) -> list[Tally]:
    """Units of each variant with a user report after their exposure, in all and by category."""
    import ibis

    columns = _feedback_columns(asked.source)
    reports = asked.source.read(
        "feedback", columns, as_of=asked.as_of, start=asked.window.start, end=asked.window.end
    ).rename(said_at="occurred_at")
    asking = requests.select("request_id", asking_unit="unit_id").distinct()
    if "request_id" in columns:
        reports = reports.left_join(asking, "request_id")
        whose = [reports[name] for name in ("unit_id", "asking_unit") if name in reports.columns]
        reports = reports.mutate(whose=ibis.coalesce(*whose))
    else:
        reports = reports.mutate(whose=reports.unit_id)
    category = reports.category if "category" in columns else ibis.literal("")
    reports = reports.select("whose", "said_at", category=category.fill_null("no category"))
    single = units.filter((units.variants == 1) & units.variant.isin(list(asked.plan.variants)))
    joined = single.join(reports, single.unit_id == reports.whose)
    joined = joined.filter(joined.said_at >= joined.exposed_at)
    by_category = joined.group_by("variant", value=joined.category).aggregate(units=joined.unit_id.nunique())
    whole = joined.group_by("variant").aggregate(units=joined.unit_id.nunique())
    found = []
    for table in (by_category, whole.mutate(value=ibis.literal(""))):
        rows = asked.source.execute(table, reading="feedback, predictions and exposures").to_dict("records")
        found += [_tally({"kind": "feedback", **row}) for row in rows]
    return found


def _overlaps(asked: Asked, units: ir.Table) -> tuple[Overlap, ...]:
    """Other experiments that the units were in during the window or shortly before it; units in one variant of each."""
    start = asked.window.start - timedelta(days=EARLIER_DAYS)
    events = asked.source.read("exposures", [], as_of=asked.as_of, start=start, end=asked.window.end)
    events = events.filter(events.experiment != asked.plan.key)
    if not int(asked.source.execute(events.aggregate(rows=events.count()), reading="exposures")["rows"].iloc[0]):
        return ()
    days = events.group_by("experiment").aggregate(
        first_day=day_of(events.exposed_at.min()), last_day=day_of(events.exposed_at.max())
    )
    others = events.group_by("experiment", "unit_id").aggregate(
        other_variants=events.variant.nunique(), other_variant=events.variant.min()
    )
    others = others.filter(others.other_variants == 1).drop("other_variants")
    single = units.filter((units.variants == 1) & units.variant.isin(list(asked.plan.variants)))
    both = single.select("unit_id", "variant").join(others, "unit_id")
    cells = both.group_by("experiment", "other_variant", "variant").aggregate(units=both.count())
    frame = asked.source.execute(cells.join(days, "experiment"), reading="exposures")
    rows = [
        Overlap(str(row[0]), str(row[1]), str(row[2]), int(row[3]), str(row[4]), str(row[5]))
        for row in frame[list(Overlap._fields)].itertuples(index=False)
    ]
    return tuple(sorted(rows))


def _deployments(asked: Asked) -> tuple[Deployment, ...]:
    """Of the experiment's model in the window."""
    if "deployments" not in asked.source.tables:
        return ()
    window = asked.window
    events = asked.source.read("deployments", [], as_of=asked.as_of, start=window.start, end=window.end)
    events = events.filter(events.model == asked.plan.model)
    events = events.select(day=day_of(events.occurred_at), version=events.version, kind=events.kind)
    frame = asked.source.execute(events.distinct(), reading="deployments")
    return tuple(sorted(Deployment(*map(str, row)) for row in frame.itertuples(index=False)))


def _sample(asked: Asked, units: ir.Table) -> tuple[Assigned, ...]:
    """The first units in one variant, in the order of the hash of their ids that the engine makes."""
    single = units.filter((units.variants == 1) & units.variant.isin(list(asked.plan.variants)))
    place = asked.source.row_hash("exposures", single, ["unit_id"])
    rows = single.select("unit_id", "variant", day=day_of(single.exposed_at), place=place)
    rows = rows.order_by("place", "unit_id").limit(SAMPLE_UNITS).drop("place")
    frame = asked.source.execute(rows, reading="exposures")
    return tuple(Assigned(*map(str, row)) for row in frame.itertuples(index=False))
