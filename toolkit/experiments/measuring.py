"""Measures an experiment: from what is kept if nothing has changed, else from the days that have."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.data import Source
from toolkit.errors import Skipped
from toolkit.experiments import telemetry
from toolkit.experiments.collection import Collector, Layout
from toolkit.experiments.exposures import by_day, count_exposed, other_experiments, sample_units
from toolkit.experiments.measurement import READING, Measurement
from toolkit.experiments.plans import check_columns
from toolkit.experiments.quantile_sums import measure_quantiles, quantiles_key
from toolkit.experiments.readiness import readable_window
from toolkit.experiments.samples import Samples
from toolkit.experiments.unit_sums import COUNTS, Staged, staged
from toolkit.experiments.units import Arrivals, Units
from toolkit.metrics.moments import kept_moments
from toolkit.metrics.needs import check_labels
from toolkit.windows import parse_instant

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.metrics.moment_table import MomentTable

_KIND = "experiments"


def measure(plan: ExperimentPlan, source: Source, *, as_of: str | datetime = "") -> Units:
    """Measure every metric of the plan for every variant.

    The units are those exposed in the plan's window, each from its first exposure on. Units seen in more than one
    variant are excluded and counted. Of each unit the requests count that were served at or after its first exposure
    and before the window's end by its variant's own version. Labels are those known at `as_of`.

    Requests are summed to unit-days, which are kept by day (see `measurement`), and these to moments, which are kept
    too: the same data and metrics are not read again for another margin, alpha or rule.

    Parameters
    ----------
    as_of: an instant; as text ISO in UTC, "" for the last day complete in the data. A plan whose design has looks may
        be measured before its end: then the window ends where labels have had the plan's days to mature.

    Raises `DefinitionError` for columns that the data do not have, `NotReady` (with the date to come back) before the
    window has ended and its labels have had the plan's days to mature, `Skipped` for a shadow deployment and when no
    unit was exposed, `ContractError` for data that break their contract.
    """
    if plan.kind == "shadow":
        raise Skipped(
            f"experiment {plan.key!r} is a shadow deployment, which exposes nobody; template shadow_readout reads it"
        )
    check_columns(plan, source)
    complete_through = source.complete_through()
    instant = as_of if isinstance(as_of, datetime) else parse_instant(as_of) if as_of else complete_through
    window = readable_window(plan, as_of=instant, complete_through=complete_through)
    measurement = Measurement.of(plan, source, window=window, as_of=instant)
    counts, tables = _kept(measurement)
    units = _units(measurement, counts, tables, _quantiles(measurement))
    if units.exposed == 0:
        raise Skipped(f"experiment {plan.key!r}: no unit was exposed in {window.label}")
    return replace(units, health=telemetry.collect(plan, source, as_of=instant, window=window, metrics=units.metrics))


def _kept(measurement: Measurement) -> tuple[Mapping[str, Any], dict[str, MomentTable]]:
    """The counts and the tables of moments: kept, or collected and then kept."""
    cache, key = measurement.source.cache, {"measured": measurement.digest}
    known = cache.recall(_KIND, {"counts": key})
    if known:
        paths = _table_keys(measurement, _layout(measurement, known["counts"]))
        if all(cache.path("moments", each, ".parquet").is_file() for each in paths.values()):
            return known["counts"], {name: kept_moments(cache, each, _gone) for name, each in paths.items()}
    others = other_experiments(measurement)
    with _folder(measurement) as folder, staged(measurement, others, folder) as files:
        counts = _count(measurement, files)
        check_labels(counts["label_outside"], measurement.plan.model, measurement.metrics)
        collector = Collector.of(files)
        counts |= {"shifts": collector.shifts.metrics, "caps": collector.caps}
        counts |= {"splits": list(collector.layout.splits), "weighted": list(collector.layout.weighted)}
        tables = {
            name: kept_moments(cache, each, partial(collector.collect, name))
            for name, each in _table_keys(measurement, collector.layout).items()
        }
    cache.keep(_KIND, {"counts": key}, {"counts": counts})
    return counts, tables


def _layout(measurement: Measurement, counts: Mapping[str, Any]) -> Layout:
    return Layout.of(measurement, counts["splits"], counts["weighted"])


def _table_keys(measurement: Measurement, layout: Layout) -> dict[str, dict[str, Any]]:
    """The keys of the tables of moments, by name and chunk."""
    return {
        f"{name}.{chunk}": {"measured": measurement.digest, "table": f"{name}.{chunk}"}
        for name in layout.tables
        for chunk in range(len(layout.chunks))
    }


def _quantiles(measurement: Measurement) -> Mapping[str, Any]:
    if not measurement.quantiles:
        return {}
    cache, keys = measurement.source.cache, {"quantiles": quantiles_key(measurement)}
    known = cache.recall(_KIND, keys)
    if not known:
        with _folder(measurement) as folder:
            known = {"quantiles": measure_quantiles(measurement, folder)}
        cache.keep(_KIND, keys, known)
    found: Mapping[str, Any] = known["quantiles"]
    return found


@contextmanager
def _folder(measurement: Measurement) -> Iterator[Path]:
    """A folder in the cache for files that are needed for a while."""
    folder = measurement.source.cache.root / _KIND / f".{os.getpid()}.{os.urandom(4).hex()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _count(measurement: Measurement, files: Staged) -> dict[str, Any]:
    """Exposed units and their requests, as JSON types."""
    found = count_exposed(measurement, files.exposed)
    units = files.units
    sums = {name: units[name].sum() for name in COUNTS}
    spoilt = {
        f"spoilt{i}": units[f"spoilt{i}"].sum() for i in range(len(measurement.sums)) if f"spoilt{i}" in units.columns
    }
    outside = {"label_outside": units.label_outside.sum()} if "label_outside" in units.columns else {}
    clustered = measurement.plan.cluster is not None
    served = units.unit_id.nunique(where=units.requests > 0) if clustered else (units.requests > 0).sum()
    rows = measurement.source.execute(
        units.group_by("variant").aggregate(served=served, **sums, **spoilt, **outside), reading=READING
    )
    by_variant = {str(row["variant"]): row for row in rows.to_dict("records")}
    keys = list(measurement.sums)
    found["requests"] = {
        variant: {name: int(row[name]) for name in ("served", *COUNTS)} for variant, row in by_variant.items()
    }
    found["infinite"] = [
        [keys[int(name.removeprefix("spoilt"))], variant, int(row[name])]
        for variant, row in by_variant.items()
        for name in spoilt
    ]
    found["label_outside"] = sum(int(row.get("label_outside", 0)) for row in by_variant.values())
    found["ineligible"] = []
    if measurement.plan.eligible:
        out = files.ineligible
        rows = measurement.source.execute(
            out.group_by("variant", day=out.exposure_day.cast("string")).aggregate(units=out.count()), reading=READING
        )
        found["ineligible"] = sorted(
            [str(row["variant"]), str(row["day"]), int(row["units"])] for row in rows.to_dict("records")
        )
    found["segments"] = _count_segments(measurement, files)
    found["sample"] = sample_units(measurement, files.exposed)
    return found


def _count_segments(measurement: Measurement, files: Staged) -> list[list[Any]]:
    """Units with requests by segmentation, value and variant."""
    units = files.units
    counts = []
    for name, column in files.splits.items():
        count = units.unit_id.nunique() if measurement.plan.cluster else units.count()
        by = units.group_by("variant", value=units[column]).aggregate(units=count)
        rows = measurement.source.execute(by, reading=READING)
        counts += [[name, str(row["value"]), str(row["variant"]), int(row["units"])] for row in rows.to_dict("records")]
    return sorted(counts)


def _units(
    measurement: Measurement,
    counts: Mapping[str, Any],
    tables: Mapping[str, MomentTable],
    quantiles: Mapping[str, Any],
) -> Units:
    """What was found as `Units`."""
    plan = measurement.plan
    days = dict(by_day(counts["exposed"]))
    for place, units in by_day(counts["ineligible"]).items():
        days[place] -= units
    arrivals = {}
    for variant in plan.variants:
        exposed = sum(units for (name, _), units in days.items() if name == variant)
        own = counts["requests"].get(variant, {})
        arrivals[variant] = Arrivals(exposed, **{name: own.get(name, 0) for name in Arrivals._fields[1:]})
    layout = _layout(measurement, counts)
    shares = frozenset(key for key, metric in measurement.sums.items() if metric.is_share)
    read = Samples(layout, shares, counts["shifts"], tables)
    labels = tuple(covariate.label for covariate in plan.covariates)
    return Units(
        experiment=plan.key,
        window=measurement.window,
        planned_window=plan.window.window,
        as_of=measurement.as_of,
        control=plan.control,
        clustered=plan.cluster is not None,
        arrivals=arrivals,
        double_exposed=counts["double_exposed"],
        unplanned=counts["unplanned"],
        ineligible={
            variant: sum(units for name, _, units in counts["ineligible"] if name == variant)
            for variant in plan.variants
        },
        exposed_by_day={place: units for place, units in sorted(days.items()) if units},
        exposed_by_segment=_by_segment(counts, arrivals),
        infinite={(metric, variant): number for metric, variant, number in counts["infinite"] if number},
        caps=counts["caps"],
        covariates=labels,
        missing_covariates={
            (label, variant): read.lacking(at, variant) for at, label in enumerate(labels) for variant in plan.variants
        },
        sample=tuple((unit, variant) for unit, variant in counts["sample"]),
        metrics=measurement.metrics,
        digest=measurement.digest,
        read=read,
        kept_quantiles=quantiles,
    )


def _by_segment(counts: Mapping[str, Any], arrivals: Mapping[str, Arrivals]) -> dict[tuple[str, str, str], int]:
    """Units by segment, value and variant; those without a request have none."""
    found = {(segment, value, variant): units for segment, value, variant, units in counts["segments"]}
    for segment in counts["splits"]:
        for variant, of_variant in arrivals.items():
            seen = sum(n for (name, _, v), n in found.items() if (name, v) == (segment, variant))
            if of_variant.exposed > seen:
                place = (segment, "missing", variant)
                found[place] = found.get(place, 0) + of_variant.exposed - seen
    return found


def _gone() -> MomentTable:
    raise FileNotFoundError("a kept table of moments was removed while it was looked for; run it again")
