"""The moments of an experiment: which groups, which measures of them, and the few scans that collect them.

In a plain analysis a group is a unit, which is in one variant: one row per unit. In a clustered one it is a cluster,
which may be in several: one row per cluster, with the measures of each variant side by side, so that what straddles the
variants has its covariance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from toolkit.errors import ArgumentError
from toolkit.experiments.measurement import READING, Measurement
from toolkit.experiments.unit_sums import Shifts, Staged, look_at
from toolkit.metrics.moment_table import MomentTable, Needs
from toolkit.metrics.moments import collect_moments

if TYPE_CHECKING:
    import ibis.expr.types as ir

_MOST_MEASURES = 60
"""Measures that are needed in pairs in one scan; `collect_moments` takes a few more."""

AFTER, BEFORE = "after", "before"
"""A cluster's sums up to a day, that day included or not: see `Collector.path`."""


@dataclass(frozen=True)
class Layout:
    """Which measures stand for what; the same for the scans and for those who read them.

    Attributes
    ----------
    variants: in the plan's order. control: one of them. clustered: whether groups are clusters.
    metrics: the ratios of sums that are compared, in order. extra: metrics that are shares: their shift is 0.
    weighted: metrics whose denominator is not the number of requests.
    covariates: the two measures of each of the plan's covariates. pasts: by metric the two measures of its past.
    capped: metrics with a cap. splits: the segmentations.
    """

    variants: tuple[str, ...]
    control: str
    clustered: bool
    metrics: tuple[str, ...]
    weighted: tuple[str, ...]
    covariates: tuple[tuple[str, str], ...]
    pasts: tuple[tuple[str, tuple[str, str]], ...]
    capped: tuple[str, ...]
    splits: tuple[str, ...]

    @classmethod
    def of(cls, measurement: Measurement, splits: Iterable[str], weighted: Iterable[str]) -> Layout:
        """The layout of a measurement; what only the data and the kinds of metric tell is given."""
        plan, sums, pasts = measurement.plan, list(measurement.sums), list(measurement.pasts)
        columns = iter(range(len(plan.covariates)))
        covariates = []
        for each in plan.covariates:
            if each.metric:
                at = pasts.index(next(p for p in pasts if p == (each.metric, each.past_days)))
                covariates.append((f"ps{at}", f"pn{at}"))
            else:
                at = next(columns)
                covariates.append((f"xs{at}", f"xn{at}"))
        places = {metric: pasts.index(measurement.past_of(metric)) for metric in sums}
        return cls(
            variants=tuple(plan.variants),
            control=plan.control,
            clustered=plan.cluster is not None,
            metrics=tuple(sums),
            weighted=tuple(weighted),
            covariates=tuple(covariates),
            pasts=tuple((metric, (f"ps{j}", f"pn{j}")) for metric, j in places.items()),
            capped=tuple(metric for metric in sums if metric in plan.caps),
            splits=tuple(splits),
        )

    def measures(self, metric: str, *, covariates: bool = False, capped: bool = False) -> list[str]:
        """Numerator, denominator, and the two sums of each covariate."""
        i = self.metrics.index(metric)
        extra = [name for pair in self.covariates for name in pair] if covariates else []
        return [f"{'c' if capped else 's'}{i}", f"n{i}", *extra]

    def rows(self, metric: str) -> str:
        """How many requests count."""
        i = self.metrics.index(metric)
        return f"r{i}" if metric in self.weighted else f"n{i}"

    def of_variant(self, variant: str, names: Sequence[str]) -> list[str]:
        """The measures of one variant; in a plain analysis the variant is part of the key instead."""
        return [f"v{self.variants.index(variant)}_{name}" for name in names] if self.clustered else list(names)

    @cached_property
    def chunks(self) -> tuple[tuple[str, ...], ...]:
        """The metrics by scan: as many as fit in one."""
        own = len(self.variants) if self.clustered else 1
        fixed = own * 2 * len(self.covariates)
        each = own * 3
        size = max(1, (_MOST_MEASURES - fixed) // each)
        if fixed + each > _MOST_MEASURES:
            raise ArgumentError(
                f"{len(self.covariates)} covariates of {len(self.variants)} variants are more than one scan takes; "
                "leave some covariates out"
            )
        return tuple(self.metrics[at : at + size] for at in range(0, len(self.metrics), size))

    def chunk_of(self, metric: str) -> int:
        """The scan that a metric is in."""
        return next(at for at, chunk in enumerate(self.chunks) if metric in chunk)

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables of moments, without their chunk."""
        whole = ("groups", "past", "since")
        return (*whole, "path", *(f"split {at}" for at in range(len(self.splits)))) if self.clustered else whole

    def needs(
        self,
        metrics: Sequence[str],
        *,
        covariates: bool,
        capped: bool = True,
        pasts: bool = False,
        lacks: bool = True,
    ) -> Needs:
        """The moments that the comparisons of some metrics need."""
        found = Needs()
        for metric in metrics:
            if pasts:
                found |= self._joint(dict(self.pasts)[metric])
                continue
            found |= self._joint(self.measures(metric, covariates=covariates))
            if capped and metric in self.capped:
                found |= self._joint(self.measures(metric, covariates=covariates, capped=True))
            if covariates and lacks and metric == self.metrics[0]:
                names = [f"lack{k}" for k in range(len(self.covariates))]
                found |= Needs(tuple(name for v in self.variants for name in self.of_variant(v, names)))
            if metric in self.weighted:
                found |= Needs(tuple(name for v in self.variants for name in self.of_variant(v, [self.rows(metric)])))
        return found

    def _joint(self, names: Sequence[str]) -> Needs:
        if not self.clustered:
            return Needs.of(*names)
        control = self.of_variant(self.control, names)
        others = [self.of_variant(variant, names) for variant in self.variants if variant != self.control]
        return reduce(or_, (Needs.of(*control, *other) for other in others))


@dataclass(frozen=True)
class Collector:
    """The scans over what is staged."""

    staged: Staged
    layout: Layout
    shifts: Shifts
    caps: dict[str, float]

    @classmethod
    def of(cls, staged: Staged) -> Collector:
        """With the shifts and caps found in the data."""
        measurement = staged.measurement
        layout = Layout.of(measurement, staged.splits, staged.weighted)
        plain = cls(staged, layout, look_at(measurement, staged.units), {})
        return cls(staged, layout, plain.shifts, plain._find_caps())

    def collect(self, place: str) -> MomentTable:
        """One table of moments: `<table>.<chunk>`, see `Layout`."""
        table, _, chunk = place.rpartition(".")
        metrics = self.layout.chunks[int(chunk)]
        name, _, at = table.partition(" ")
        make: Callable[..., MomentTable] = getattr(self, f"_{name}")
        return make(metrics, *([int(at)] if at else []))

    def _groups(self, metrics: Sequence[str]) -> MomentTable:
        needs = self.layout.needs(metrics, covariates=True)
        if self.layout.clustered:
            return self._moments(self._measured(self._clusters), needs, origins=self._origins)
        splits = self.staged.splits
        rows = self._measured(self.staged.units, keys=["variant", "exposure_day", *splits.values()]).rename(splits)
        return self._moments(rows, needs, by=("variant", "exposure_day"), splits=tuple(splits))

    def _split(self, metrics: Sequence[str], at: int) -> MomentTable:
        column = self.staged.splits[self.layout.splits[at]]
        rows = self._measured(self._wide([column]), keys=[column]).rename(value=column)
        needs = self.layout.needs(metrics, covariates=True)
        return self._moments(rows, needs, by=("value",), origins=self._origins)

    def _past(self, metrics: Sequence[str]) -> MomentTable:
        needs = self.layout.needs(metrics, covariates=False, pasts=True)
        if self.layout.clustered:
            rows = self._measured(self._clusters, only_with_past=True)
            return self._moments(rows, needs, origins=self._origins)
        rows = self._measured(self.staged.units, keys=["variant"], only_with_past=True)
        return self._moments(rows, needs, by=("variant",))

    def _since(self, metrics: Sequence[str]) -> MomentTable:
        """By day since exposure. In a plain analysis no unit has the same day since exposure in two runs of days."""
        needs = self.layout.needs(metrics, covariates=False, capped=False)
        found = []
        for days in self.staged.since_exposure(at_once=self.layout.clustered):
            sums = {name: days[column].sum().fill_null(0) for name, column in self.staged.day_sums.items()}
            groups = self._group_keys(days) if self.layout.clustered else {"unit_id": days.unit_id}
            long = days.group_by(variant=days.variant, since=days.since, **groups).aggregate(**sums)
            keys = ["since"] if self.layout.clustered else ["variant", "since"]
            rows = self._measured(self._pivot(long, keys, list(sums)) if self.layout.clustered else long, keys=keys)
            # Most units have a request on such a day, or a few.
            origins = {name: float(name.rpartition("_")[2][0] in "nr") for name in needs.measures}
            found.append(self._moments(rows, needs, by=keys, origins=origins))
        return MomentTable.joined(*found)

    def _path(self, metrics: Sequence[str]) -> MomentTable:
        """Clusters up to each day of exposure, told by what the day changes: their sums with it, and without it.

        The moments up to a day are those of all rows `AFTER` up to it less those of all rows `BEFORE`.
        """
        import ibis

        wide = self.staged.laid("days", lambda: self._wide(["exposure_day"]))
        pasts = {name for _, pair in self.layout.pasts for name in pair}
        unused = {"counted", *(pasts - {name for pair in self.layout.covariates for name in pair})}
        unused |= {name for name in self.staged.sums if name.startswith("spoilt")}
        sums = [name for name in wide.columns if name.startswith("v") and name.partition("_")[2] not in unused]
        until = ibis.window(group_by=["cluster", "lone"], order_by="exposure_day", preceding=None, following=0)
        both = wide.mutate(**{f"until_{name}": wide[name].sum().over(until) for name in sums})
        after = {name: both[f"until_{name}"] for name in sums}
        before = {name: both[f"until_{name}"] - both[name] for name in sums}
        rows = ibis.union(
            *(
                both.select("exposure_day", side=ibis.literal(side), **values)
                for side, values in ((AFTER, after), (BEFORE, before))
            )
        )
        keys = ["exposure_day", "side"]
        needs = self.layout.needs(metrics, covariates=True, lacks=False)
        # The days are only ever added up.
        return self._moments(
            self._measured(rows, keys=keys), needs, by=tuple(keys), origins=self._origins, careful=False
        )

    @property
    def _clusters(self) -> ir.Table:
        """One row per cluster."""
        return self.staged.laid("clusters", lambda: self._wide([]))

    @cached_property
    def _origins(self) -> dict[str, float]:
        """A number near each measure of a cluster: its mean for counts, 0 for what is about a shift already."""
        rows = self._clusters
        sums = [name for name in rows.columns if name.startswith("v")]
        counts = [name for name in sums if name.partition("_")[2].startswith(("n", "r", "pn", "xn"))]
        source = self.staged.measurement.source
        seen = source.execute(rows.aggregate(**{n: rows[n].mean(where=rows[n] > 0) for n in counts}), reading=READING)
        means = {name: seen[name].astype("float64").fillna(0.0).round().iloc[0] for name in counts}
        measures = {f"{v}_{name}" for v, _, name in (each.partition("_") for each in sums)}
        capped = {name.replace("_s", "_c") for name in sums if name.partition("_")[2].startswith("s")}
        lacks = {f"v{v}_lack{k}" for v in range(len(self.layout.variants)) for k in range(len(self.layout.covariates))}
        return dict.fromkeys(measures | capped | lacks, 0.0) | means

    def _find_caps(self) -> dict[str, float]:
        """By metric with a cap, the quantile (type 7) of the totals of all groups of all variants that count."""
        capped = self.layout.capped
        if not capped:
            return {}
        measurement = self.staged.measurement
        rows = self._long([]) if self.layout.clustered else self.staged.units
        totals = {}
        for metric in capped:
            i = self.layout.metrics.index(metric)
            counts = rows[self.layout.rows(metric)] > 0
            totals[f"cap{i}"] = counts.ifelse(rows[f"s{i}"], None).quantile(measurement.plan.caps[metric])
        found = measurement.source.execute(rows.aggregate(**totals), reading=READING).iloc[0]
        values = {metric: found[f"cap{self.layout.metrics.index(metric)}"] for metric in capped}
        return {metric: float(value) for metric, value in values.items() if value == value}  # noqa: PLR0124 - NaN

    def _group_keys(self, rows: ir.Table) -> dict[str, Any]:
        """The cluster, and the unit where a request has none: it stands for itself."""
        cluster = rows[self.staged.measurement.plan.cluster or "unit_id"]
        return {"cluster": cluster, "lone": cluster.isnull().ifelse(rows.unit_id, None)}

    def _long(self, extra: Sequence[str]) -> ir.Table:
        """One row per cluster, variant and `extra`: the sums of its units."""
        units = self.staged.units
        keys = {"variant": units.variant, **self._group_keys(units), **{name: units[name] for name in extra}}
        return units.group_by(**keys).aggregate(**{name: units[name].sum() for name in self.staged.sums})

    def _wide(self, extra: Sequence[str]) -> ir.Table:
        return self._pivot(self._long(extra), extra, self.staged.sums)

    def _pivot(self, long: ir.Table, extra: Sequence[str], names: Sequence[str]) -> ir.Table:
        """One row per cluster and `extra`, the sums of each variant side by side."""
        return long.group_by("cluster", "lone", *extra).aggregate(
            **{
                f"v{v}_{name}": long[name].sum(where=long.variant == variant).fill_null(0)
                for v, variant in enumerate(self.layout.variants)
                for name in names
            }
        )

    def _measured(self, sums: ir.Table, *, keys: Sequence[str] = (), only_with_past: bool = False) -> ir.Table:
        """The measures of each group, missing where nothing of it counts, and the keys.

        A covariate that a group lacks is 0 of 0, so that it has no part in the covariate's mean.
        """
        starts = [f"v{v}_" for v in range(len(self.layout.variants))] if self.layout.clustered else [""]
        measures: dict[str, Any] = {}
        for start in starts:
            for i, metric in enumerate(self.layout.metrics):
                counts = sums[f"{start}{self.layout.rows(metric)}"] > 0
                total, weight = sums[f"{start}s{i}"], sums[f"{start}n{i}"]
                shift = self.shifts.metrics[metric]
                parts = {"s": total, "n": weight}
                if metric in self.layout.weighted:
                    parts["r"] = sums[f"{start}r{i}"]
                if metric in self.caps:
                    parts["c"] = (total > self.caps[metric]).ifelse(self.caps[metric], total)
                for name, value in parts.items():
                    about = value - shift * weight if name in "sc" and shift else value
                    measures[f"{start}{name}{i}"] = counts.ifelse(about, None)
            for (sum_name, n_name), shift in self.shifts.covariates.items():
                if f"{start}{n_name}" not in sums.columns:
                    continue
                total, weight = sums[f"{start}{sum_name}"], sums[f"{start}{n_name}"]
                values = {sum_name: total - shift * weight if shift else total, n_name: weight}
                for name, value in values.items():
                    measures[f"{start}{name}"] = (weight != 0).ifelse(value, None) if only_with_past else value
            if f"{start}counted" in sums.columns:
                here = sums[f"{start}counted"] > 0
                for k, (_, n_name) in enumerate(self.layout.covariates):
                    measures[f"{start}lack{k}"] = here.ifelse((sums[f"{start}{n_name}"] == 0).cast("int32"), None)
        return sums.select(*keys, **measures)

    def _moments(
        self,
        rows: ir.Table,
        needs: Needs,
        *,
        by: Sequence[str] = (),
        splits: Sequence[str] = (),
        origins: Mapping[str, float] | None = None,
        careful: bool = True,
    ) -> MomentTable:
        source = self.staged.measurement.source
        return collect_moments(
            rows,
            needs,
            by=by,
            splits=splits,
            origins=origins,
            careful=careful,
            execute=lambda expression: source.execute(expression, reading=READING),
        )
