"""Moments read as samples: one metric in a treatment and the control, of everyone or of a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.checks import check_in
from toolkit.errors import ArgumentError
from toolkit.experiments.collection import AFTER, BEFORE, Layout
from toolkit.stats.joint_moments import JointMoments, from_shifted_sums

if TYPE_CHECKING:
    from toolkit.metrics.moment_table import MomentTable

_ROUNDING = 1e-28
"""A spread of this share of the squared values or less is what rounding leaves of none."""


@dataclass(frozen=True)
class Part:
    """Whose groups: those of a segment's value, exposed up to a day, or the requests of a day since exposure."""

    split: str = ""
    value: str = ""
    through: date | None = None
    since: int | None = None

    def __post_init__(self) -> None:
        asked = [bool(self.split), self.through is not None, self.since is not None]
        if sum(asked) > 1:
            raise ArgumentError("segment, through_day and since_day exclude each other; give one of them")


@dataclass(frozen=True)
class Samples:
    """The tables of moments of an experiment, and how to read them.

    Attributes
    ----------
    shares: metrics that are shares. shifts: by metric what was subtracted from each value. tables: by name and chunk.
    """

    layout: Layout
    shares: frozenset[str]
    shifts: Mapping[str, float]
    tables: Mapping[str, MomentTable] = field(repr=False, compare=False)

    def of(
        self, metric: str, treatment: str, part: Part, *, covariates: bool = False, capped: bool = False
    ) -> stats.TwoSamples:
        """The two samples of a metric."""
        names = self.layout.measures(metric, covariates=covariates, capped=capped)
        ends = [self._moments(metric, variant, names, part) for variant in (self.layout.control, treatment)]
        rows = [
            self._rows(metric, variant, moments, part)
            for variant, moments in zip((self.layout.control, treatment), ends, strict=True)
        ]
        both = self._both(metric, treatment, names, part) if self.layout.clustered else None
        is_share = metric in self.shares and not capped
        return self._pair(ends, rows, both, shift=self.shifts[metric], share=is_share)

    def past(self, metric: str, treatment: str) -> stats.TwoSamples:
        """The same of the metric's past; requests are the sum of its denominators, where these are counts."""
        names = list(dict(self.layout.pasts)[metric])
        table = self._table("past", metric)
        ends = []
        for variant in (self.layout.control, treatment):
            where = {} if self.layout.clustered else {"variant": variant}
            ends.append(table.moments(self.layout.of_variant(variant, names), where))
        rows = [round(moments.n * (moments.mean(1) or 0.0)) for moments in ends]
        both = None
        if self.layout.clustered:
            both = table.moments(
                [n for v in (self.layout.control, treatment) for n in self.layout.of_variant(v, names)]
            )
        return self._pair(ends, rows, both, shift=self.shifts[metric], share=metric in self.shares)

    def lacking(self, at: int, variant: str) -> int:
        """The groups of a variant that have a request that counts, and lack a covariate."""
        if not self.layout.metrics:
            return 0
        where = {} if self.layout.clustered else {"variant": variant}
        (name,) = self.layout.of_variant(variant, [f"lack{at}"])
        table = self.tables["groups.0"]
        return round(table.count(name, where) * (table.mean(name, where) or 0.0))

    def days(self) -> tuple[date, ...]:
        """The days of first exposure of units with requests."""
        table = self._table("path" if self.layout.clustered else "groups", self.layout.metrics[0])
        return tuple(date.fromisoformat(day) for day in table.values("exposure_day"))

    def since_days(self) -> tuple[int, ...]:
        """The days since exposure that have requests."""
        if not self.layout.metrics:
            return ()
        return tuple(sorted(int(day) for day in self._table("since", self.layout.metrics[0]).values("since")))

    def values(self, split: str) -> tuple[str, ...]:
        """The values of a segmentation."""
        check_in(split, self.layout.splits, noun="segment")
        if not self.layout.metrics:
            return ()
        if self.layout.clustered:
            table = self._table(f"split {self.layout.splits.index(split)}", self.layout.metrics[0])
            return tuple(table.values("value"))
        return tuple(self._table("groups", self.layout.metrics[0]).values(split))

    def _pair(
        self,
        ends: Sequence[JointMoments],
        rows: Sequence[int],
        both: JointMoments | None,
        *,
        shift: float,
        share: bool,
    ) -> stats.TwoSamples:
        control, treatment = ends
        crossed, groups = None, None
        if both is not None:
            groups = control.n + treatment.n - both.n
            crossed = _crossed(control, treatment, both)
        control, treatment = (_settled(_some(moments), shift) for moments in ends)
        return stats.TwoSamples(
            control=control,
            treatment=treatment,
            rows0=rows[0] if control.n else 0,
            rows1=rows[1] if treatment.n else 0,
            shift=shift,
            share=share,
            crossed=crossed,
            groups=groups,
        )

    def _moments(self, metric: str, variant: str, names: Sequence[str], part: Part) -> JointMoments:
        return self._read(metric, self.layout.of_variant(variant, names), part, variant)

    def _both(self, metric: str, treatment: str, names: Sequence[str], part: Part) -> JointMoments:
        """The moments of the groups that are in both, control's measures first."""
        pair = [name for v in (self.layout.control, treatment) for name in self.layout.of_variant(v, names)]
        return self._read(metric, pair, part, "")

    def _read(self, metric: str, names: Sequence[str], part: Part, variant: str) -> JointMoments:
        found = [
            table.moments(names, where, **segment) for table, where, segment in self._places(metric, part, variant)
        ]
        return found[0] if len(found) == 1 else _less(*found)

    def _rows(self, metric: str, variant: str, moments: JointMoments, part: Part) -> int:
        """How many requests count."""
        if metric not in self.layout.weighted:
            return round(moments.n * (moments.mean(1) or 0.0))
        (name,) = self.layout.of_variant(variant, [self.layout.rows(metric)])
        counts = [
            table.count(name, where, **segment) * (table.mean(name, where, **segment) or 0.0)
            for table, where, segment in self._places(metric, part, variant)
        ]
        return round(counts[0] - sum(counts[1:]))

    def _places(
        self, metric: str, part: Part, variant: str
    ) -> list[tuple[MomentTable, dict[str, Any], dict[str, str]]]:
        """Where the moments of a part are: a table, which of its groups and which segment; a second is to be taken off.

        In a plain analysis the groups are those of a variant; in a clustered one every measure is of one.
        """
        clustered = self.layout.clustered
        own: dict[str, Any] = {} if clustered else {"variant": variant}
        if part.since is not None:
            return [(self._table("since", metric), own | {"since": str(part.since)}, {})]
        if part.split and clustered:
            table = self._table(f"split {self.layout.splits.index(part.split)}", metric)
            return [(table, {"value": part.value}, {})]
        if part.split:
            return [(self._table("groups", metric), own, {"split": part.split, "value": part.value})]
        if part.through is None:
            return [(self._table("groups", metric), own, {})]
        days = [day.isoformat() for day in self.days() if day <= part.through]
        if not clustered:
            return [(self._table("groups", metric), own | {"exposure_day": days}, {})]
        return [(self._table("path", metric), {"exposure_day": days, "side": side}, {}) for side in (AFTER, BEFORE)]

    def _table(self, name: str, metric: str) -> MomentTable:
        return self.tables[f"{name}.{self.layout.chunk_of(metric)}"]


def _some(moments: JointMoments) -> JointMoments:
    """Nothing at all where the denominators sum to 0: there is no mean."""
    if moments.n and moments.mean(1) != 0.0:
        return moments
    k = len(moments.origins)
    return JointMoments(0, (0.0,) * k, (0.0,) * k, ((0.0,) * k,) * k)


def _settled(moments: JointMoments, shift: float) -> JointMoments:
    """The moments with exactly no spread about the ratio where only rounding has left one.

    The sum of equal numbers is rounded: without this a constant would have an interval of 1e-17.
    """
    weight = moments.mean(1)
    if not moments.n or not weight:
        return moments
    ratio = (moments.mean(0) or 0.0) / weight
    (ss, sn), nn = moments.products[0][:2], moments.products[1][1]
    spread = ss - 2 * ratio * sn + ratio * ratio * nn
    size = (abs(shift) + abs(ratio)) ** 2 * (nn + moments.n * weight * weight)
    if nn == 0.0 or spread > _ROUNDING * size:
        return moments  # where each group has the same denominator, equal values have equal sums
    exact = (shift + ratio) - shift
    origins = (exact * weight, *moments.origins[1:])
    rows = [list(row) for row in moments.products]
    for k in range(len(rows)):
        rows[0][k] = rows[k][0] = exact * rows[1][k]
    rows[0][0] = exact * exact * nn
    return moments._replace(origins=origins, offsets=(0.0, *moments.offsets[1:]), products=tuple(map(tuple, rows)))


def _crossed(control: JointMoments, treatment: JointMoments, both: JointMoments) -> tuple[tuple[float, ...], ...]:
    """Σ over the groups in both of the control's measures times the treatment's, each about its own means."""
    k = len(control.origins)
    if not both.n:
        return ((0.0,) * k,) * k
    away0 = [both.origins[i] - control.origins[i] + both.offsets[i] - control.offsets[i] for i in range(k)]
    away1 = [both.origins[k + i] - treatment.origins[i] + both.offsets[k + i] - treatment.offsets[i] for i in range(k)]
    return tuple(tuple(both.products[i][k + j] + both.n * away0[i] * away1[j] for j in range(k)) for i in range(k))


def _less(whole: JointMoments, part: JointMoments) -> JointMoments:
    """The moments of the rows of `whole` without those of `part`."""
    import numpy as np

    if not part.n:
        return whole
    origin = np.array(whole.origins)
    away = np.array(part.origins) - origin + np.array(part.offsets)
    sums = whole.n * np.array(whole.offsets) - part.n * away
    products = np.array(whole.products) + whole.n * np.outer(whole.offsets, whole.offsets)
    products -= np.array(part.products) + part.n * np.outer(away, away)
    return from_shifted_sums(whole.n - part.n, origin, sums, products)
