"""Quantiles of an experiment by variant, with the spread of their shares over units or clusters.

The requests that count are joined with their variant once and laid down for a while; the embedded engine then reads
three narrow columns three times: for the quantile, for the share of requests below it by group, and for the values at
the ends of that share (Woodruff 1952, JASA 47:635). The reach of the ends is fixed, so that another level of
confidence reads nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit import stats
from toolkit.data import LABEL, labelled_predictions
from toolkit.digests import digest_value
from toolkit.experiments.exposures import exposed_units, lay, single
from toolkit.experiments.measurement import READING, Measurement
from toolkit.metrics.kinds import number, truth
from toolkit.metrics.needs import columns_needed, with_scalars
from toolkit.metrics.quantiles import Quantile
from toolkit.stats.joint_moments import JointMoments, from_shifted_sums
from toolkit.stats.quantile_differences import share_error

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

REACH = 1.96
"""Standard errors between the share and each of the ends whose values are looked up."""


class Quantiles(NamedTuple):
    """A quantile of a treatment and the control.

    Attributes
    ----------
    q: which. share_covariance: of the two shares below; 0 unless groups straddle the variants.
    groups: distinct groups in either for a clustered analysis, None for a plain one.
    """

    q: float
    control: stats.QuantileSample
    treatment: stats.QuantileSample
    share_covariance: float
    groups: int | None


def measure_quantiles(measurement: Measurement, folder: Path) -> dict[str, Any]:
    """By metric and variant (and pair of variants) what `read_quantiles` needs, as JSON types."""
    return {
        key: _measure(measurement, metric, folder / f"requests-{at}.parquet")
        for at, (key, metric) in enumerate(measurement.quantiles.items())
    }


def quantiles_key(measurement: Measurement) -> dict[str, Any]:
    """All that the quantiles depend on."""
    identities = {key: metric.identity for key, metric in measurement.quantiles.items()}
    own = [name for name in _columns(measurement) if name != LABEL]
    window = measurement.window
    predictions = measurement.source.day_fingerprints(
        "predictions", own, as_of=measurement.as_of, start=window.start, end=window.end
    )
    return {"measured": measurement.digest, "quantiles": identities, "requests": digest_value(predictions)}


def read_quantiles(kept: Mapping[str, Any], q: float, control: str, treatment: str, *, clustered: bool) -> Quantiles:
    """The quantile of two variants from what `measure_quantiles` found."""
    samples = [stats.QuantileSample(**kept["variants"][variant]) for variant in (control, treatment)]
    straddling = kept["pairs"].get(treatment, {"covariance": 0.0, "both": 0})
    groups = samples[0].groups + samples[1].groups - straddling["both"] if clustered else None
    return Quantiles(q, samples[0], samples[1], straddling["covariance"], groups)


def _columns(measurement: Measurement) -> list[str]:
    plan = measurement.plan
    scalars = [text for metric in measurement.quantiles.values() for text in [*metric.columns(), metric.filter] if text]
    own = ["unit_id", "version", "served", *([plan.cluster] if plan.cluster else [])]
    eligible = [plan.eligible] if plan.eligible else []
    return list(dict.fromkeys([*own, *columns_needed([*scalars, *eligible])]))


def _measure(measurement: Measurement, metric: Quantile, path: Path) -> dict[str, Any]:
    plan, source = measurement.plan, measurement.source
    lay(_requests(measurement, metric), path)
    asked = Asked(source.embedded.read_parquet(str(path)), metric.q, tuple(plan.variants), plan.control)
    return asked.answer(lambda query: source.execute(query, reading=READING), clustered=plan.cluster is not None)


@dataclass(frozen=True)
class Asked:
    """A quantile of requests by variant.

    Attributes
    ----------
    rows: one per request: variant (its place among `variants`), value, group, and lone: the group where there is none.
    """

    rows: ir.Table
    q: float
    variants: tuple[str, ...]
    control: str

    def answer(self, execute: Callable[[ir.Table], pd.DataFrame], *, clustered: bool) -> dict[str, Any]:
        """By variant the fields of `stats.QuantileSample`; by pair with the control what straddles, if clustered."""
        points = self._values({(name, ""): self.q for name in self.variants}, execute)
        known = {name: value for (name, _), value in points.items() if value is not None}
        below = self._below(known, execute, clustered=clustered) if known else {}
        moments = {name: _moments(below, self.variants.index(name)) for name in known}
        errors = {name: share_error(each) for name, each in moments.items()}
        ends = {
            (name, side): self.q + sign * REACH * error
            for name, error in errors.items()
            if error is not None
            for side, sign in (("lower", -1), ("upper", 1))
        }
        found = self._values({place: share for place, share in ends.items() if 0.0 <= share <= 1.0}, execute)
        samples = {
            name: stats.QuantileSample(
                value=known.get(name),
                lower=found.get((name, "lower")),
                upper=found.get((name, "upper")),
                reach=REACH,
                share_se=errors.get(name),
                rows=int(below[f"n_{at}"]) if name in known else 0,
                groups=moments[name].n if name in known else 0,
            )._asdict()
            for at, name in enumerate(self.variants)
        }
        others = [name for name in known if name != self.control] if clustered and self.control in known else []
        return {"variants": samples, "pairs": {name: self._pair(below, moments, name) for name in others}}

    def _values(
        self, shares: Mapping[tuple[str, str], float], execute: Callable[[ir.Table], pd.DataFrame]
    ) -> dict[tuple[str, str], float | None]:
        """The values at some shares of the sorted requests of a variant, each under its variant and side."""
        if not shares:
            return {}
        places = {at: [place for place in shares if place[0] == name] for at, name in enumerate(self.variants)}
        places = {at: own for at, own in places.items() if own}
        # All shares of a variant at once: its values are sorted, and held, once.
        asked = {
            f"at_{at}": self.rows.value.quantile([shares[place] for place in own], where=self.rows.variant == at)
            for at, own in places.items()
        }
        found = execute(self.rows.aggregate(**asked)).iloc[0]
        return {
            place: _number(value)
            for at, own in places.items()
            for place, value in zip(own, _listed(found[f"at_{at}"], len(own)), strict=True)
        }

    def _below(
        self, points: Mapping[str, float], execute: Callable[[ir.Table], pd.DataFrame], *, clustered: bool
    ) -> dict[str, float]:
        """Sums over groups of products of two counts: n (requests) and b (those at or below the variant's quantile).

        By variant, and in a clustered analysis by pair with the control, whose counts are n0 and b0.
        """
        rows = self.rows
        places = {self.variants.index(name): value for name, value in points.items()}
        sums: dict[str, Any] = {}
        for v, point in places.items():
            here = rows.variant == v
            sums |= {f"n{v}": rows.count(where=here), f"b{v}": rows.count(where=here & (rows.value <= point))}
        groups = rows.group_by("group", "lone").aggregate(**sums)
        groups = groups.mutate(**{name: groups[name].cast("float64") for name in sums})
        control = self.variants.index(self.control)
        totals: dict[str, Any] = {}
        for v in places:
            n, b = groups[f"n{v}"], groups[f"b{v}"]
            totals |= {f"groups_{v}": (n > 0).sum(), f"n_{v}": n.sum(), f"b_{v}": b.sum()}
            totals |= {f"bb_{v}": (b * b).sum(), f"bn_{v}": (b * n).sum(), f"nn_{v}": (n * n).sum()}
            if clustered and v != control and control in places:
                n0, b0 = groups[f"n{control}"], groups[f"b{control}"]
                totals |= {f"both_{v}": ((n > 0) & (n0 > 0)).sum(), f"b0b_{v}": (b0 * b).sum()}
                totals |= {f"b0n_{v}": (b0 * n).sum(), f"n0b_{v}": (n0 * b).sum(), f"n0n_{v}": (n0 * n).sum()}
        found = execute(groups.aggregate(**totals)).iloc[0]
        return {name: float(found[name]) for name in totals}

    def _pair(
        self, below: Mapping[str, float], moments: Mapping[str, JointMoments], treatment: str
    ) -> dict[str, float]:
        """The covariance of a variant's share with the control's, from the groups that are in both."""
        at, base = self.variants.index(treatment), self.variants.index(self.control)
        both = int(below[f"both_{at}"])
        groups = moments[self.control].n + moments[treatment].n - both
        n0, n1 = below[f"n_{base}"], below[f"n_{at}"]
        p0, p1 = below[f"b_{base}"] / n0, below[f"b_{at}"] / n1
        product = below[f"b0b_{at}"] - p1 * below[f"b0n_{at}"] - p0 * below[f"n0b_{at}"] + p0 * p1 * below[f"n0n_{at}"]
        covariance = groups / (groups - 1) * product / (n0 * n1) if groups > 1 and both else 0.0
        return {"covariance": covariance, "both": both}


def _moments(below: Mapping[str, float], at: int) -> JointMoments:
    """The moments of (requests at or below the quantile, requests) over the groups of a variant."""
    groups, n, b, bb, bn, nn = (below[f"{name}_{at}"] for name in ("groups", "n", "b", "bb", "bn", "nn"))
    return from_shifted_sums(int(groups), [0.0, 0.0], [b, n], [[bb, bn], [bn, nn]])


def _requests(measurement: Measurement, metric: Quantile) -> ir.Table:
    """Every request that counts for a metric: its variant's place, its group and its value."""
    import ibis

    plan, source = measurement.plan, measurement.source
    columns = _columns(measurement)
    scalars = [text for text in [*metric.columns(), metric.filter, plan.eligible] if text]
    rows = labelled_predictions(source, columns, model=plan.model, window=measurement.window, as_of=measurement.as_of)
    rows = with_scalars(rows.filter(rows.served), scalars)
    units = single(exposed_units(measurement), list(plan.variants)).select("unit_id", "variant", "exposed_at")
    rows = rows.join(units, "unit_id")
    rows = rows.filter(rows.occurred_at >= rows.exposed_at)
    if plan.eligible:
        first = rows.group_by("unit_id").aggregate(is_eligible=truth(rows, plan.eligible).argmin(rows.occurred_at))
        rows = rows.join(first.filter(first.is_eligible.fill_null(False)), "unit_id")
    own = ibis.cases(*((rows.variant == name, each.version) for name, each in plan.variants.items()))
    rows = rows.filter(rows.version == own)
    if metric.filter:
        rows = rows.filter(truth(rows, metric.filter))
    value = number(rows, metric.column)
    rows = rows.filter(value.notnull())
    place = ibis.cases(*((rows.variant == name, at) for at, name in enumerate(plan.variants)))
    group = rows[plan.cluster] if plan.cluster else rows.unit_id
    lone = group.isnull().ifelse(rows.unit_id, None)
    return rows.select(variant=place.cast("int8"), group=group, lone=lone, value=number(rows, metric.column))


def _listed(values: Any, count: int) -> list[Any]:
    """The values of an array; of a variant without a request there is none."""
    return [None] * count if values is None or isinstance(values, float) else list(values)


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
