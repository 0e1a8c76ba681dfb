"""Who was exposed: one row per unit with its variant and first exposure, and the other experiments that it was in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.data.instants import date_of
from toolkit.experiments.measurement import READING, Measurement
from toolkit.metrics.kinds import MISSING

if TYPE_CHECKING:
    import ibis.expr.types as ir

SAMPLE_UNITS = 2000
"""How many units' assignments are recomputed. If 1 % of all were wrong, 20 would be expected among them."""

MOST_OTHERS = 5
"""So many other experiments are looked at, those with the most units first."""

SEVERAL = "several"
"""The variant of a unit that another experiment showed more than one."""

_BATCH_ROWS = 100_000


def lay(expression: ir.Table, path: Path) -> Path:
    """Write an expression's rows as a Parquet file, whatever its engine; memory holds one batch."""
    import pyarrow.parquet as pq

    backend = expression.get_backend()
    if backend.name == "duckdb":
        backend.to_parquet(expression, path, compression="zstd")
        return path
    with pq.ParquetWriter(path, expression.schema().to_pyarrow(), compression="zstd") as writer:
        for batch in expression.to_pyarrow_batches(chunk_size=_BATCH_ROWS):
            writer.write_batch(batch)
    return path


def exposed_units(measurement: Measurement) -> ir.Table:
    """One row per exposed unit: how many variants it was seen in, the variant, first exposure, its day and events."""
    events = measurement.exposures()
    units = events.group_by("unit_id").aggregate(
        variants=events.variant.nunique(),
        variant=events.variant.min(),
        exposed_at=events.exposed_at.min(),
        exposures=events.count(),
    )
    return units.mutate(exposure_day=date_of(units.exposed_at))


def other_experiments(measurement: Measurement) -> tuple[str, ...]:
    """The other experiments that exposed units in the window, those with the most units first."""
    events = _others(measurement)
    counts = events.group_by("experiment").aggregate(units=events.unit_id.nunique())
    frame = measurement.source.execute(counts, reading="exposures")
    ordered = sorted(zip(frame["units"], frame["experiment"], strict=True), key=lambda pair: (-pair[0], pair[1]))
    return tuple(str(name) for _, name in ordered[:MOST_OTHERS])


def lay_exposed(measurement: Measurement, others: Sequence[str], path: Path) -> Path:
    """`exposed_units` as a file, with a column `other_<i>` for each other experiment: the unit's variant in it."""
    units = exposed_units(measurement)
    for i, name in enumerate(others):
        events = _others(measurement)
        events = events.filter(events.experiment == name)
        seen = events.group_by("unit_id").aggregate(
            seen=events.variant.nunique(), **{f"other_{i}": events.variant.min()}
        )
        joined = units.left_join(seen, "unit_id").drop("unit_id_right")
        variant = (joined.seen > 1).ifelse(SEVERAL, joined[f"other_{i}"]).fill_null(MISSING)
        units = joined.mutate(**{f"other_{i}": variant}).drop("seen")
    return lay(units if units.get_backend().name == "duckdb" else units.order_by("unit_id"), path)


def single(exposed: ir.Table, variants: Sequence[str]) -> ir.Table:
    """Those that can be compared: the units that were seen in one variant, and that one is planned."""
    return exposed.filter((exposed.variants == 1) & exposed.variant.isin(list(variants)))


def count_exposed(measurement: Measurement, exposed: ir.Table) -> dict[str, Any]:
    """Units by variant and day of first exposure; those in more than one variant, and in one that is not planned."""
    variants = list(measurement.plan.variants)
    alone = exposed.variants == 1
    rows = measurement.source.execute(
        exposed.group_by(
            kind=(~alone).ifelse("double", exposed.variant.isin(variants).ifelse("single", "unplanned")),
            variant=alone.ifelse(exposed.variant, ""),
            day=exposed.exposure_day.cast("string"),
        ).aggregate(units=exposed.count()),
        reading=READING,
    )
    return {
        "double_exposed": int(rows.loc[rows["kind"] == "double", "units"].sum()),
        "unplanned": int(rows.loc[rows["kind"] == "unplanned", "units"].sum()),
        "exposed": sorted(
            [str(row["variant"]), str(row["day"]), int(row["units"])]
            for row in rows[rows["kind"] == "single"].to_dict("records")
        ),
    }


def sample_units(measurement: Measurement, exposed: ir.Table) -> list[list[str]]:
    """Unit and variant of the first `SAMPLE_UNITS` units in the order of the MD5 of their ids."""
    units = single(exposed, list(measurement.plan.variants))
    order = units.unit_id.hexdigest("md5")
    first = units.select("unit_id", "variant", order=order).order_by("order", "unit_id").limit(SAMPLE_UNITS)
    frame = measurement.source.execute(first, reading=READING)
    return [[str(unit), str(variant)] for unit, variant in zip(frame["unit_id"], frame["variant"], strict=True)]


def by_day(exposed: Sequence[Sequence[Any]]) -> Mapping[tuple[str, date], int]:
    """The counts of `count_exposed` by variant and day."""
    return {(variant, date.fromisoformat(day)): units for variant, day, units in exposed}


def _others(measurement: Measurement) -> ir.Table:
    window = measurement.window
    events = measurement.source.read("exposures", [], as_of=measurement.as_of, start=window.start, end=window.end)
    return events.filter(events.experiment != measurement.plan.key)
