"""Units of the past in hash buckets: sums that add up over buckets, so that a split reads no unit again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from toolkit.experiments.unit_table import READING, UnitTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

BUCKETS = 4096
"""Three hexadecimal digits. Fewer buckets would vary more or less than their units do by chance: with B of them the
variance of a split is off by a factor whose standard deviation is √(2 / B)."""

CLUSTER_BUCKETS = 64
"""A clustered analysis keeps sums by bucket of units and bucket of clusters. Clusters in one
bucket count as one, which is as valid and a little less certain."""


@dataclass(frozen=True)
class BucketSums:
    """One metric's sums by bucket of units; s is numerator - shift · denominator, n the denominator, of one unit.

    Attributes
    ----------
    units: how many there are.
    parts: of a plain analysis, buckets × (units, Σ s, Σ n, Σ s², Σ s n, Σ n²).
    grid: of a clustered one, Σ s and Σ n: two arrays of cluster buckets × unit buckets.
    """

    units: int
    parts: Numbers | None
    grid: tuple[Numbers, Numbers] | None

    @cached_property
    def varies(self) -> bool:
        """Whether there is anything to test: units differ, and something is below the line."""
        import numpy as np

        if self.grid is not None:
            return bool(self.grid[1].sum() > 0 and np.ptp(self.grid[0]) > 0)
        if self.parts is None or self.parts[:, 2].sum() <= 0:
            return False
        return bool(_squares(self.parts.sum(axis=0, keepdims=True))[0] > 0)

    def p_values(self, control: Numbers, treatment: Numbers) -> Numbers:
        """The two-sided p of each split; `control` and `treatment` are splits × buckets of 1 and 0."""
        from scipy import special

        difference, se, df = self.differences(control, treatment)
        p_values: Numbers = 2 * special.stdtr(df, -abs(difference / se))
        return p_values

    def differences(self, control: Numbers, treatment: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Of each split: treatment minus control, its standard error and degrees of freedom."""
        import numpy as np

        if self.grid is not None:
            return _over_clusters(*self.grid, control, treatment)
        parts = np.zeros((BUCKETS, 6)) if self.parts is None else self.parts
        level0, variance0, df0 = _over_units(control @ parts)
        level1, variance1, df1 = _over_units(treatment @ parts)
        total = variance0 + variance1
        df = total**2 / (variance0**2 / df0 + variance1**2 / df1)
        return level1 - level0, np.sqrt(total), df


def bucket_sums(table: UnitTable) -> dict[str, BucketSums]:
    """The sums of each metric by bucket of all units of the window."""
    return _grids(table) if table.plan.cluster else _parts(table)


def _parts(table: UnitTable) -> dict[str, BucketSums]:
    import numpy as np

    units = table.inside.group_by("unit_id").aggregate(**table.sums(table.inside))
    units = units.mutate(bucket=_unit_bucket(units.unit_id))
    added: dict[str, Any] = {"units": units.count()}
    for i in range(len(table.adding)):
        s, n = units[f"s_{i}"], units[f"n_{i}"]
        squares = {"ss": s * s, "sn": s * n, "nn": n * n}
        added |= {f"{name}_{i}": part.sum() for name, part in ({"s": s, "n": n} | squares).items()}
    cells = table.source.execute(units.group_by("bucket").aggregate(**added), reading=READING)
    at = [int(bucket, 16) for bucket in cells["bucket"]]
    sums = {}
    for i, key in enumerate(table.adding):
        parts = np.zeros((BUCKETS, 6))
        parts[at] = cells[["units", *(f"{name}_{i}" for name in ("s", "n", "ss", "sn", "nn"))]].to_numpy("float64")
        sums[key] = BucketSums(int(cells["units"].sum()), parts, None)
    return sums


def _grids(table: UnitTable) -> dict[str, BucketSums]:
    import numpy as np

    inside = table.inside
    inside = inside.mutate(bucket=_unit_bucket(inside.unit_id), group=_cluster_bucket(table.group(inside)))
    cells = table.source.execute(inside.group_by("bucket", "group").aggregate(**table.sums(inside)), reading=READING)
    groups, row = np.unique(cells["group"].to_numpy(dtype=str), return_inverse=True)
    column = [int(bucket, 16) for bucket in cells["bucket"]]
    units = int(table.source.execute(inside.aggregate(units=inside.unit_id.nunique()), reading=READING)["units"][0])
    sums = {}
    for i, key in enumerate(table.adding):
        grid = np.zeros((2, len(groups), BUCKETS))
        for part, name in enumerate((f"s_{i}", f"n_{i}")):
            grid[part, row, column] = cells[name].to_numpy(dtype="float64")
        sums[key] = BucketSums(units, None, (grid[0], grid[1]))
    return sums


def _unit_bucket(identifier: Any) -> Any:
    """The first three digits of the MD5, which are alike in every engine."""
    return identifier.hexdigest("md5").substr(0, 3)


def _cluster_bucket(identifier: Any) -> Any:
    """The first digit of the MD5, and the quarter that the second lies in."""
    import ibis

    digits = identifier.hexdigest("md5")
    quarter = ibis.literal("0123456789abcdef").find(digits.substr(1, 1)) // 4
    return digits.substr(0, 1) + quarter.cast("string")


def _squares(sums: Numbers) -> Numbers:
    """Σ (s - R n)² of each row of (units, Σ s, Σ n, Σ s², Σ s n, Σ n²)."""
    _, s, n, ss, sn, nn = sums.T
    ratio = s / n
    squares: Numbers = ss - 2 * ratio * sn + ratio**2 * nn
    return squares


def _over_units(sums: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Ratio, its variance and degrees of freedom, of each split's sums: the linearised values' own variance."""
    units, s, n = sums[:, 0], sums[:, 1], sums[:, 2]
    mean = n / units
    return s / n, _squares(sums) / (units - 1) / mean**2 / units, units - 1


def _over_clusters(s: Numbers, n: Numbers, control: Numbers, treatment: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """The cluster sandwich (Liang & Zeger 1986) of a difference whose clusters have units in both variants."""
    import numpy as np

    tops, bottoms = [control @ s.T], [control @ n.T]  # splits × clusters
    whole = bool((control + treatment == 1).all())  # what control does not have, the only treatment does
    tops.append(s.sum(axis=1) - tops[0] if whole else treatment @ s.T)
    bottoms.append(n.sum(axis=1) - bottoms[0] if whole else treatment @ n.T)
    totals = [bottom.sum(axis=1, keepdims=True) for bottom in bottoms]
    levels = [top.sum(axis=1, keepdims=True) / total for top, total in zip(tops, totals, strict=True)]
    parts = [(tops[side] - levels[side] * bottoms[side]) / totals[side] for side in (0, 1)]
    clusters = s.shape[0]
    se = np.sqrt(clusters / (clusters - 1) * ((parts[1] - parts[0]) ** 2).sum(axis=1))
    return (levels[1] - levels[0])[:, 0], se, np.full(len(se), float(clusters - 1))
