"""The scan behind moments: Ibis expressions for an engine, and its sums made into centred moments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import ContractError
from toolkit.metrics.kinds import segment_value
from toolkit.metrics.moment_table import Needs

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

GROUPING_SETS = ("duckdb", "postgres", "pyspark")
"""Engines that are known to group by several sets of keys in one scan; the others scan once per segmentation."""

_LOOK_ROWS = 10_000

_LOSS = 2e6
"""The squared distance of a group's mean from the origin, in units of the group's variance and times √rows, from which
on the relative error of that variance may pass 1e-9."""

_LOSS_OF_TWO = 1e9
"""The same for two rows, whose sums are the same in any order and which are often close by chance."""

_LARGE_SQUARE = 2.0**40
"""A sum of squares of whole numbers up to which 0 is left of it only where there is no spread."""

_ENDS = ("min", "max")


@dataclass(frozen=True)
class Scan:
    """A table of measures as the moments need it, and the engine's one or two passes over it.

    Attributes
    ----------
    rows: `by_<i>` and `split_<i>` (keys), `x_<i>` (measures as floats), `missing` (see `MomentTable`).
    real: the positions of measures that may hold other than whole numbers.
    execute: runs an expression.
    by_pattern: whether rows are kept apart by the measures that they lack. Where no row lacks any, sums without it are
        the same and cost a tenth less; `has_gaps` tells.
    """

    rows: ir.Table
    needs: Needs
    by: tuple[str, ...]
    splits: tuple[str, ...]
    real: tuple[int, ...]
    execute: Callable[[ir.Table], pd.DataFrame]
    by_pattern: bool = True

    @classmethod
    def of(
        cls,
        table: ir.Table,
        needs: Needs,
        by: Sequence[str],
        splits: Sequence[str],
        execute: Callable[[ir.Table], pd.DataFrame],
    ) -> Scan:
        """The scan of a table whose columns are the keys and measures."""
        import ibis

        absent = [table[measure].isnull() for measure in needs.paired]
        missing: Any = ibis.literal(0, "int64")
        if absent:
            bits = [each.ifelse(ibis.literal(1 << bit, "int64"), missing) for bit, each in enumerate(absent)]
            # One test decides for nearly all rows; the bits are put together only where it fails.
            missing = ibis.or_(*absent).ifelse(sum(bits[1:], bits[0]), missing)
        rows = table.select(
            **{f"by_{i}": table[name] for i, name in enumerate(by)},
            **{f"split_{i}": table[name] for i, name in enumerate(splits)},
            **{f"x_{i}": _number(table[measure]) for i, measure in enumerate(needs.measures)},
            missing=missing,
        )
        real = tuple(i for i, measure in enumerate(needs.measures) if _is_real(table[measure].type()))
        return cls(rows, needs, tuple(by), tuple(splits), real, execute)

    def look(self) -> tuple[tuple[float, ...], bool]:
        """From the first rows: a number of few digits near the mean of each measure (0 where they have none), and
        whether any of them lacks a measure.
        """
        columns = [f"x_{i}" for i in range(len(self.needs.measures))]
        first = self.rows.select(*columns, "missing").limit(_LOOK_ROWS)
        hows = ("mean", *_ENDS)
        seen = self.execute(
            first.aggregate(
                gaps=(first["missing"] != 0).any(),
                **{f"{how}_{x}": getattr(first[x], how)() for x in columns for how in hows},
            )
        )
        looks = ([_floats(seen, f"{how}_{x}")[0] for how in hows] for x in columns)
        origins = tuple(round_origin(*look, whole=i not in self.real) for i, look in enumerate(looks))
        return origins, bool(seen["gaps"].fillna(False).iloc[0])

    def sums(self, origins: Sequence[float]) -> pd.DataFrame:
        """One row per group, segment value and pattern of missing measures, for all rows too: sums about `origins`."""
        import pandas as pd

        rows = self.rows.mutate(**{f"d_{i}": self.rows[f"x_{i}"] - origin for i, origin in enumerate(origins)})
        if not self.splits:
            return self._finite(self.execute(self._grouped(rows, None)))
        backend = rows.get_backend()
        if len(self.splits) > 1 and backend.name in GROUPING_SETS:
            frame = self._finite(self.execute(self._grouping_sets(rows, backend)))
        else:
            frame = self._finite(self.execute(_union([self._grouped(rows, at) for at in range(len(self.splits))])))
        first = frame[frame["split"] == self.splits[0]]
        keys = [*self._by, "missing"]
        adding = [name for name in frame.columns if name not in {*keys, "split", "value"}]
        how = {name: name.split("_")[0] if name.startswith(("min", "max")) else "sum" for name in adding}
        groups = first.groupby(keys, sort=True).agg(how)
        names = groups.index.to_frame(index=False).assign(split="", value="")
        whole = pd.concat([names, groups.reset_index(drop=True)], axis=1)
        return pd.concat([whole, frame], ignore_index=True)

    def has_gaps(self, sums: pd.DataFrame) -> bool:
        """Whether some rows lacked a measure that is needed together with another."""
        paired = [i for i, measure in enumerate(self.needs.measures) if measure in self.needs.paired]
        return any((sums[f"n_{i}"] != sums["rows"]).any() for i in paired)

    def precise_sums(self) -> pd.DataFrame:
        """The same about each group's own mean, `mean_<i>`, in two passes for each segmentation."""
        rows = self.rows.mutate(
            **{name: segment_value(self.rows[name]) for name in self.rows.columns if name.startswith(("by_", "split_"))}
        )
        parts = []
        for at in (None, *range(len(self.splits))):
            keys = self._keys(*([] if at is None else [at]))
            measures = range(len(self.needs.measures))
            means = rows.group_by(*keys).aggregate(**{f"mean_{i}": rows[f"x_{i}"].mean() for i in measures})
            both = rows.inner_join(means, keys)
            centred = both.mutate(**{f"d_{i}": both[f"x_{i}"] - both[f"mean_{i}"] for i in measures})
            parts.append(self._grouped(centred, at, means=True))
        return self._finite(self.execute(_union(parts)))

    @property
    def _by(self) -> list[str]:
        return [f"by_{i}" for i in range(len(self.by))]

    def _keys(self, *splits: int) -> list[str]:
        return [*self._by, *(f"split_{at}" for at in splits), *(["missing"] if self.by_pattern else [])]

    def _aggregates(self, rows: ir.Table, *, means: bool = False) -> dict[str, Any]:
        """The sums of a group. Lowest and highest tell equal values, whose sums are rounded, from those that differ."""
        measures = self.needs.measures
        at = {measure: i for i, measure in enumerate(measures)}
        sums: dict[str, Any] = {"rows": rows.count()}
        for i, measure in enumerate(measures):
            if not self.by_pattern or measure not in self.needs.paired:
                sums[f"n_{i}"] = rows[f"x_{i}"].count()
            sums[f"sum_{i}"] = rows[f"d_{i}"].sum()
            if i in self.real and (measure, measure) in self.needs.pairs:
                sums |= {f"{how}_{i}": getattr(rows[f"x_{i}"], how)() for how in _ENDS}
            if means:
                sums[f"mean_{i}"] = rows[f"mean_{i}"].max()
        for j, (a, b) in enumerate(self.needs.pairs):
            sums[f"product_{j}"] = (rows[f"d_{at[a]}"] * rows[f"d_{at[b]}"]).sum()
        return sums

    def _grouped(self, rows: ir.Table, at: int | None, *, means: bool = False) -> ir.Table:
        """The sums by group and (unless None) the values of one segmentation. Keys become text when there are few."""
        import ibis

        keys = self._keys(*([] if at is None else [at]))
        groups = rows.aggregate(by=keys, **self._aggregates(rows, means=means))
        split, value = ibis.literal("" if at is None else self.splits[at]), ibis.literal("")
        return self._keyed(groups, split, value if at is None else segment_value(groups[f"split_{at}"]))

    def _grouping_sets(self, rows: ir.Table, backend: Any) -> ir.Table:
        """The sums by the values of every segmentation, in one scan. Ibis cannot say it, the tree it compiles can."""
        import ibis
        import sqlglot as sg
        import sqlglot.expressions as sge

        count = len(self.splits)
        names = self._keys(*range(count))
        groups = rows.aggregate(by=names, **self._aggregates(rows))
        tree: Any = sg.parse_one(backend.compile(groups), read=backend.dialect)
        keys = {name: key.unalias() for name, key in zip(names, tree.expressions, strict=False)}
        tuples = [sge.Tuple(expressions=[keys[name].copy() for name in self._keys(at)]) for at in range(count)]
        tree.set("group", sge.Group(grouping_sets=[sge.GroupingSets(expressions=tuples)]))
        for at in range(count):
            left_out = sge.Anonymous(this="GROUPING", expressions=[keys[f"split_{at}"].copy()])
            tree.select(sge.alias_(left_out, f"without_{at}", quoted=True), copy=False)
        schema = dict(groups.schema()) | {f"without_{at}": "int64" for at in range(count)}
        found = backend.sql(tree.sql(backend.dialect), schema=ibis.schema(schema))
        here = [found[f"without_{at}"] == 0 for at in range(count)]
        split = ibis.cases(*zip(here, self.splits, strict=True))
        value = ibis.cases(*((is_here, segment_value(found[f"split_{at}"])) for at, is_here in enumerate(here)))
        return self._keyed(found, split, value)

    def _keyed(self, groups: ir.Table, split: Any, value: Any) -> ir.Table:
        """Groups with their keys as text, in one order of columns."""
        import ibis

        sums = [name for name in groups.columns if not name.startswith(("by_", "split_", "without_", "missing"))]
        return groups.select(
            **{name: segment_value(groups[name]) for name in self._by},
            split=split,
            value=value,
            missing=groups["missing"] if self.by_pattern else ibis.literal(0, "int64"),
            **{name: groups[name] for name in sums},
        )

    def _finite(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame in one order, with `n_<i>` for every measure. Raises `ContractError` where a sum is not finite."""
        import numpy as np
        import pandas as pd

        frame = frame[frame["rows"] > 0].astype({"rows": "int64", "missing": "int64"})
        frame = frame.sort_values([*self._by, "split", "value", "missing"], ignore_index=True)
        counts, wrong = {}, []
        for i, measure in enumerate(self.needs.measures):
            if self.by_pattern and measure in self.needs.paired:
                bit = np.int64(1 << self.needs.paired.index(measure))
                rows = frame["rows"].where((frame["missing"] & bit) == 0, 0)
            else:
                rows = frame[f"n_{i}"]
            counts[f"n_{i}"] = rows.astype("int64")
            own = [
                f"sum_{i}",
                *(f"product_{j}" for j, pair in enumerate(self.needs.pairs) if pair == (measure, measure)),
            ]
            there = counts[f"n_{i}"] > 0
            if not all(np.isfinite(_floats(frame, name)[there]).all() for name in own):
                wrong.append(measure)
        if wrong:
            raise ContractError(
                f"{', '.join(wrong)}: some values are infinite, not a number or too large to square; there is no mean"
            )
        sums = frame.drop(columns=[name for name in counts if name in frame])
        return pd.concat([sums, pd.DataFrame(counts, index=frame.index)], axis=1)


def round_origin(mean: float, low: float, high: float, *, whole: bool = False) -> float:
    """0 if the range reaches it, else `mean` to a sixteenth of the range, in few binary digits; whole if `whole`.

    Sums of whole numbers minus a whole number are exact, in every engine and in any order.

    >>> round_origin(1000000010.3, 1000000004, 1000000016), round_origin(0.31, 0, 1)
    (1000000010.5, 0.0)
    """
    if not (math.isfinite(mean) and math.isfinite(high - low)) or low <= 0 <= high:
        return 0.0
    if low == high:
        return low
    grain = 2.0 ** (math.frexp(high - low)[1] - 5)
    if whole:
        grain = max(grain, 1.0)
    return math.floor(mean / grain + 0.5) * grain


def centre(sums: pd.DataFrame, needs: Needs, origins: Sequence[float]) -> tuple[pd.DataFrame, bool]:
    """The frame of a `MomentTable` from the sums of a `Scan`, and whether the sums kept digits enough for it."""
    import numpy as np
    import pandas as pd

    count = len(sums)
    columns: dict[str, Any] = {name: sums[name] for name in sums.columns if name.startswith("by_")}
    columns |= {name: sums[name] for name in ("split", "value", "missing", "rows")}
    distances, equal = [], []
    for i, common in enumerate(origins):
        n = sums[f"n_{i}"].to_numpy()
        distance = np.where(n > 0, _floats(sums, f"sum_{i}"), 0.0) / np.maximum(n, 1)
        origin = _floats(sums, f"mean_{i}") if f"mean_{i}" in sums else np.full(count, float(common))
        low, high = (_floats(sums, f"{how}_{i}") if f"min_{i}" in sums else np.full(count, np.nan) for how in _ENDS)
        same = (n > 0) & (low == high)
        origin, offset = np.where(same, low, origin), np.where(same, 0.0, distance)
        columns |= {f"n_{i}": n, f"origin_{i}": np.where(n > 0, origin, 0.0), f"offset_{i}": offset}
        distances.append(distance)
        equal.append(same)
    exact = True
    for j, (a, b) in enumerate(needs.pairs):
        i, k = needs.measures.index(a), needs.measures.index(b)
        n = np.minimum(columns[f"n_{i}"], columns[f"n_{k}"])
        varies = (n > 0) & ~equal[i] & ~equal[k]
        square = np.where(varies, _floats(sums, f"product_{j}"), 0.0)
        product = np.where(varies, square - n * distances[i] * distances[k], 0.0)
        if i == k:
            product = np.maximum(product, 0.0)
            exact &= not _has_lost_digits(n[varies], square[varies], product[varies], real=f"min_{i}" in sums)
        columns[f"product_{j}"] = product
    return pd.DataFrame(columns), exact


def _has_lost_digits(n: Any, square: Any, product: Any, *, real: bool) -> bool:
    """Whether any centred square is too small a rest of the square that it was made of.

    Whole numbers of no spread are known: their squares are exact, and nothing at all is left.
    """
    import numpy as np

    limit = np.where(n > 2, _LOSS / np.sqrt(n), _LOSS_OF_TWO)
    lost = (n > 1) & (square - product > limit * product)
    return bool((lost if real else lost & ((product > 0) | (square > _LARGE_SQUARE))).any())


def _floats(frame: pd.DataFrame, column: str) -> Any:
    return frame[column].to_numpy(dtype="float64", na_value=math.nan)


def _union(tables: Sequence[ir.Table]) -> ir.Table:
    import ibis

    return tables[0] if len(tables) == 1 else ibis.union(*tables)


def _number(column: Any) -> Any:
    """The column as a float; of a boolean PostgreSQL makes an integer first."""
    return column.cast("int32").cast("float64") if column.type().is_boolean() else column.cast("float64")


def _is_real(dtype: Any) -> bool:
    return not (dtype.is_integer() or dtype.is_boolean())
