"""Unit-days and exposures put together: one row per unit (or unit and cluster) with its sums, in a file for a while.

Everything here is an expression of the embedded engine over files; what is large is laid down once and scanned by the
collections of moments after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.experiments.exposures import lay, lay_exposed, single
from toolkit.experiments.holdout import EXPOSED_IN
from toolkit.experiments.measurement import READING, Measurement
from toolkit.metrics.kinds import MISSING
from toolkit.metrics.moment_sums import round_origin

if TYPE_CHECKING:
    import ibis.expr.types as ir

RUN_UNITS = 2_000_000
"""So many units are summed at once, so that their sums fit in memory; the days' files are read once for each run."""

RUN_ROWS = 20_000_000
"""Unit-days that are grouped by unit and day since exposure at once."""

COUNTS = ("requests", "other_version", "early", "answered", "labelled", "counted", "unclustered")
"""Of a unit's requests; see `units.Arrivals`. counted: by the own version at or after exposure."""

_LOOK_ROWS = 10_000


@dataclass(frozen=True)
class Staged:
    """The files that a measurement is collected from.

    Attributes
    ----------
    exposed: see `exposures.lay_exposed`. parts: see `_parts`. days: the unit-days. others: the other experiments.
    folder: where they lie.
    """

    measurement: Measurement
    others: tuple[str, ...]
    exposed_path: Path
    part_paths: tuple[Path, ...]
    day_paths: Mapping[str, Path]
    folder: Path

    def laid(self, name: str, make: Callable[[], ir.Table]) -> ir.Table:
        """The rows of an expression, written when they are first asked for: what reads a file is short to compile."""
        path = self.folder / f"{name}.parquet"
        if not path.is_file():
            lay(make(), path)
        return self._read(path)

    @property
    def exposed(self) -> ir.Table:
        """One row per exposed unit."""
        return self._read(self.exposed_path)

    @property
    def splits(self) -> dict[str, str]:
        """The segmentations by name, and the columns of `units` that hold them."""
        found = dict(self.measurement.segment_columns)
        if self.measurement.period_starts:
            found[EXPOSED_IN] = "exposed_in"
        return found | {f"experiment:{name}": f"other_{i}" for i, name in enumerate(self.others)}

    @cached_property
    def units(self) -> ir.Table:
        """One row per eligible unit in one variant with a request: variant, exposure_day, segments, `COUNTS`, sums.

        For a clustered analysis one row per unit and cluster; a unit's segments are those of its first counted request.
        """
        return self.laid("units", self._units) if self.measurement.plan.cluster else self._units()

    def _units(self) -> ir.Table:
        import ibis

        parts = self._read(*self.part_paths)
        kept = [*self.measurement.segment_columns.values(), "eligible"]
        if self.measurement.plan.cluster:
            units = parts.group_by("unit_id").aggregate(
                **{name: parts[name].argmin(parts.counted_at) for name in kept[:-1]},
                eligible=parts.eligible.argmin(parts.met_at),
            )
            parts = parts.drop(*kept).left_join(units, "unit_id").drop("unit_id_right")
        parts = parts.filter(parts.eligible.fill_null(True))
        if starts := self.measurement.period_starts:
            later = [(parts.exposure_day >= ibis.literal(day), day.isoformat()) for day in reversed(starts)]
            parts = parts.mutate(exposed_in=ibis.cases(*later))
        return parts.mutate(**{name: parts[name].fill_null(MISSING) for name in kept[:-1]})

    @property
    def ineligible(self) -> ir.Table:
        """The units that the plan leaves out."""
        parts = self._read(*self.part_paths)
        if not self.measurement.plan.cluster:
            return parts.filter(~parts.eligible.fill_null(True))
        first = parts.group_by("unit_id").aggregate(
            variant=parts.variant.arbitrary(),
            exposure_day=parts.exposure_day.arbitrary(),
            eligible=parts.eligible.argmin(parts.met_at),
        )
        return first.filter(~first.eligible.fill_null(True))

    @property
    def sums(self) -> list[str]:
        """The columns of `units` that add up over the units of a group."""
        names = [f"{name}{i}" for i, parts in enumerate(_sum_parts(self.measurement)) for name in parts] + ["counted"]
        names += [f"{name}{j}" for j in range(len(self.measurement.pasts)) for name in ("ps", "pn")]
        return names + [f"{name}{k}" for k in range(len(self.measurement.column_covariates)) for name in ("xs", "xn")]

    @property
    def weighted(self) -> list[str]:
        """The metrics whose denominator is not the number of requests."""
        parts = zip(self.measurement.sums, _sum_parts(self.measurement), strict=True)
        return [key for key, own in parts if "r" in own]

    @property
    def day_sums(self) -> dict[str, str]:
        """The metrics' sums among them, and the columns of unit-days that they are the sums of."""
        parts = enumerate(_sum_parts(self.measurement))
        return {f"{name}{i}": column for i, columns in parts for name, column in columns.items() if name in "snr"}

    def since_exposure(self, *, at_once: bool) -> Iterator[ir.Table]:
        """The counted unit-days with their day since exposure, `since`, in runs of days or at once."""
        rows = self.measurement.days
        run: dict[str, Path] = {}
        held = 0
        for day, path in sorted(self.day_paths.items()):
            if day < f"{self.measurement.window.start:%Y-%m-%d}":
                continue
            if run and not at_once and held + rows[day].rows > RUN_ROWS:
                yield self._counted_days(run)
                run, held = {}, 0
            run[day] = path
            held += rows[day].rows
        if run:
            yield self._counted_days(run)

    def _counted_days(self, paths: Mapping[str, Path]) -> ir.Table:
        rows = _placed(self.measurement, self._read(*paths.values()), self.exposed)
        rows = rows.filter(rows.counts)
        if self.measurement.plan.eligible:
            rows = rows.anti_join(self.ineligible, "unit_id")
        return rows

    def _read(self, *paths: Path) -> ir.Table:
        return self.measurement.source.embedded.read_parquet([str(path) for path in paths])


@contextmanager
def staged(measurement: Measurement, others: Sequence[str], folder: Path) -> Iterator[Staged]:
    """Lay the files into `folder`, which the caller removes. Builds the unit-days that are not in the cache yet."""
    days = measurement.build_days()
    backend = measurement.source.embedded
    exposed_path = lay_exposed(measurement, others, folder / "exposed.parquet")
    exposed = backend.read_parquet(str(exposed_path))
    units = int(measurement.source.execute(exposed.aggregate(n=exposed.count()), reading=READING)["n"].iloc[0])
    runs = max(1, -(-units // RUN_UNITS))
    paths = []
    for run in range(runs):
        rows, mine = backend.read_parquet([str(path) for _, path in sorted(days.items())]), exposed
        if runs > 1:
            rows, mine = (each.filter((each.unit_id.hash() % runs).abs() == run) for each in (rows, exposed))
        paths.append(lay(_parts(measurement, rows, mine, len(others)), folder / f"parts-{run}.parquet"))
    yield Staged(measurement, tuple(others), exposed_path, tuple(paths), days, folder)


class Shifts(NamedTuple):
    """What is subtracted from every value: by metric, and by the two columns of each past and column covariate."""

    metrics: dict[str, float]
    covariates: dict[tuple[str, str], float]


def look_at(measurement: Measurement, parts: ir.Table) -> Shifts:
    """A number near each metric, from the first units: sums of values minus it keep the digits that the values have.

    0 for shares, whose sums are exact, and for metrics whose units lie on both sides of 0.
    """
    metrics = list(measurement.sums)
    pairs = {key: (f"s{i}", f"n{i}") for i, key in enumerate(metrics) if not measurement.sums[key].is_share}
    columns = [(f"xs{k}", f"xn{k}") for k in range(len(measurement.column_covariates))]
    looked = dict.fromkeys([*pairs.values(), *columns])
    near: dict[tuple[str, str], float] = {}
    if looked:
        first = parts.select(*(name for pair in looked for name in pair)).limit(_LOOK_ROWS)
        ratios = first.select(**{f"x{at}": first[s] / first[n].nullif(0) for at, (s, n) in enumerate(looked)})
        hows = ("mean", "min", "max")
        ends = {f"{how}_{x}": getattr(ratios[x], how)() for x in ratios.columns for how in hows}
        seen = measurement.source.execute(ratios.aggregate(**ends), reading=READING).astype("float64").iloc[0]
        near = {pair: round_origin(*(float(seen[f"{how}_x{at}"]) for how in hows)) for at, pair in enumerate(looked)}
    shifts = {key: near[pairs[key]] if key in pairs else 0.0 for key in metrics}
    pasts = {(f"ps{j}", f"pn{j}"): shifts[past.metric] for j, past in enumerate(measurement.pasts)}
    return Shifts(shifts, pasts | {pair: near[pair] for pair in columns})


def _sum_parts(measurement: Measurement) -> list[dict[str, str]]:
    """By metric, what a unit has of it and the column of unit-days that it is the sum of."""
    own = set(measurement.unit_days.measures)
    names = {"s": "sum", "n": "n", "r": "rows", "spoilt": "spoilt"}
    return [
        {short: f"{key}__{name}" for short, name in names.items() if f"{key}__{name}" in own}
        for key in measurement.sums
    ]


def _whole_sums(measurement: Measurement) -> list[str]:
    """The columns of parts that hold counts: the moments of whole numbers are exact, and cost less."""
    parts = _sum_parts(measurement)
    counts = [i for i, own in enumerate(parts) if "r" not in own]
    keys = list(measurement.sums)
    names = [f"n{i}" for i in counts]
    names += [f"{name}{i}" for i, own in enumerate(parts) for name in ("r", "spoilt") if name in own]
    names += [f"pn{j}" for j, past in enumerate(measurement.pasts) if keys.index(past.metric) in counts]
    return names + [f"xn{k}" for k in range(len(measurement.column_covariates))]


def _placed(measurement: Measurement, days: ir.Table, exposed: ir.Table) -> ir.Table:
    """The unit-days of units in one variant, with `since` (days since exposure), `after`, `own` and `counts`."""
    import ibis

    variants = measurement.plan.variants
    units = single(exposed, list(variants)).drop("variants", "exposed_at", "exposures")
    rows = days.inner_join(units, "unit_id")
    since = rows.day.delta(rows.exposure_day, unit="day")
    own = rows.version == ibis.cases(*((rows.variant == name, each.version) for name, each in variants.items()))
    rows = rows.mutate(since=since, own=own, after=(since > 0) | ((since == 0) & rows.after))
    return rows.mutate(counts=rows.after & rows.own)


def _parts(measurement: Measurement, days: ir.Table, exposed: ir.Table, others: int) -> ir.Table:
    """One row per unit (and cluster) in one variant that has a request, with all sums.

    Columns: unit_id, the cluster, variant, exposure_day, segments and `other_<i>`, eligible, counted_at and met_at (the
    first request that counts, and the first after exposure), `COUNTS`, label_outside; of metric i s, n, r (requests,
    where the denominator is another) and spoilt; of past j ps and pn, of column covariate k xs and xn.
    """
    import ibis

    plan = measurement.plan
    rows = _placed(measurement, days, exposed)
    first = f"{measurement.window.start:%Y-%m-%d}"
    rows = rows.mutate(inside=rows.day >= ibis.literal(first).cast("date"))
    rows = rows.mutate(
        early=~rows.after & rows.own & rows.inside,
        strange=rows.after & ~rows.own,
        **{f"past{j}": (rows.since < 0) & (rows.since >= -past.days) for j, past in enumerate(measurement.pasts)},
    )

    def total(column: str, where: str) -> Any:
        return rows[column].sum(where=rows[where]).fill_null(0)

    sums: dict[str, Any] = {
        "variant": rows.variant.arbitrary(),
        "exposure_day": rows.exposure_day.arbitrary(),
        "counted_at": rows.first_s.min(where=rows.counts),
        "met_at": rows.first_s.min(where=rows.after),
        "requests": total("events", "after"),
        "other_version": total("events", "strange"),
        "early": total("events", "early"),
        "answered": total("answered", "counts"),
        "labelled": total("labelled", "counts"),
        "counted": total("events", "counts"),
    }
    bare = rows.counts & rows[plan.cluster].isnull() if plan.cluster else None
    sums["unclustered"] = ibis.literal(0) if bare is None else rows.events.sum(where=bare).fill_null(0)
    if "label_outside" in rows.columns:
        sums["label_outside"] = rows.label_outside.sum(where=rows.inside).fill_null(0.0)
    for column in measurement.segment_columns.values():
        sums[column] = rows[column].argmin(rows.first_s, where=rows.counts)
    sums["eligible"] = rows.eligible.argmin(rows.first_s, where=rows.after) if plan.eligible else ibis.null("boolean")
    sums |= {f"other_{i}": rows[f"other_{i}"].arbitrary() for i in range(others)}
    whole = _whole_sums(measurement)
    for i, parts in enumerate(_sum_parts(measurement)):
        sums |= {f"{name}{i}": total(column, "counts") for name, column in parts.items()}
    for j, past in enumerate(measurement.pasts):
        sums |= {f"ps{j}": total(f"{past.metric}__sum", f"past{j}"), f"pn{j}": total(f"{past.metric}__n", f"past{j}")}
    for k in range(len(measurement.column_covariates)):
        sums |= {f"xs{k}": total(f"column_sum{k}", "counts"), f"xn{k}": total(f"column_n{k}", "counts")}
    sums |= {name: sums[name].cast("int64") for name in whole}
    return rows.group_by("unit_id", *([plan.cluster] if plan.cluster else [])).aggregate(**sums)
