"""Order inside the engine: where each score stands among those of its scope, and small tables kept in one row per cell.

A scope is whose scores are ranked against each other: those of a segment's whole population, or of each day. A sort of
ten million scores is what all of this costs, so each request carries no more through it than it must.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.data import LABEL
from toolkit.metrics.kinds import CELL, Within, cell_keys, number
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

EXACT = 131_072
"""The largest scope in which the error of an AUC, too, rests on every single rank."""

CLASSES = 720
"""Classes of ranks in a larger scope: a number of many divisors; they move the error of an AUC by less than 1 ‰."""


BETWEEN = "between"
"""Column of how many labels are neither 0 nor 1."""


@dataclass(frozen=True)
class Grain:
    """The keys of the cells of one segmentation: those that vary from request to request, and those that do not.

    A constant carried beside each request, or hashed for it, would cost half a sort.
    """

    varying: Mapping[str, Any]
    constant: Mapping[str, Any]

    @classmethod
    def of(cls, base: ir.Table, split: str) -> Grain:
        """The grain of the segmentation `split` of `base`."""
        import ibis

        keys = {name: key if hasattr(key, "op") else ibis.literal(key) for name, key in cell_keys(base, split).items()}
        found = {name: _literal(key) for name, key in keys.items()}
        constant = {name: literal for name, literal in found.items() if literal is not None}
        return cls({name: key for name, key in keys.items() if name not in constant}, constant)

    @property
    def keys(self) -> list[str]:
        """The names of the keys that vary."""
        return list(self.varying)

    def scope(self, within: Within) -> list[str]:
        """The keys of a scope, those that vary."""
        return [key for key in self.varying if key != "day" or within == "day"]

    def by_scope(self, rows: ir.Table, *, within: Within, **sums: Any) -> ir.Table:
        """One row per scope, with `sums`."""
        keys = self.scope(within)
        return rows.group_by(*keys).aggregate(**sums) if keys else rows.aggregate(**sums)

    def by_cell(self, rows: ir.Table, **sums: Any) -> ir.Table:
        """One row per cell that has a row, with `sums`."""
        if self.keys:
            return rows.group_by(*self.keys).aggregate(**sums)
        whole = rows.aggregate(**sums, _rows=rows.count())
        return whole.filter(whole["_rows"] > 0).drop("_rows")

    def beside(self, rows: ir.Table, scopes: ir.Table, *, within: Within) -> ir.Table:
        """Each of `rows` with what `scopes` has for its scope; a name that both have gets `_of_scope` there."""
        keys, rname = self.scope(within), "{name}_of_scope"
        if not keys:
            return rows.cross_join(scopes, rname=rname)
        return rows.join(scopes, [same for key in keys for same in _same(key, rows, scopes)], rname=rname)

    def in_cells(self, table: ir.Table) -> ir.Table:
        """`table`, which has the keys that vary, with all the keys of `CELL`."""
        return table.mutate(**self.constant).relocate(*CELL)

    def in_lists(self, parts: ir.Table, names: Sequence[str]) -> ir.Table:
        """One row per cell: each column of `names` as a list over the rows that the cell has, all in one order."""
        return self.in_cells(self.by_cell(parts, **{name: parts[name].collect() for name in names}))


def _same(key: str, rows: ir.Table, scopes: ir.Table) -> list[Any]:
    """That a key of two tables is the same, also where both have none, as a segment of whole numbers or booleans may.

    Said by equations alone: of `IS NOT DISTINCT FROM` not every engine makes a hash join.
    """
    mine, theirs = rows[key], scopes[key]
    if not (mine.type().is_integer() or mine.type().is_boolean()):
        return [key]
    any_value = False if mine.type().is_boolean() else 0
    return [mine.fill_null(any_value) == theirs.fill_null(any_value), mine.isnull() == theirs.isnull()]


def _literal(column: Any) -> Any:
    """The literal that a column is, through whatever passes it on unchanged; None if it is none."""
    import ibis.expr.operations as ops

    node = column.op()
    while isinstance(node, ops.Field):
        node = node.rel.values.get(node.name)
    return node.to_expr() if isinstance(node, ops.Literal) else None


def from_lists(days: pd.DataFrame, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
    """The columns that `in_lists` packed, unpacked, ordered by day and the first of `names`; `day` counts from 0."""
    import numpy as np

    rows = [
        np.array([np.asarray(list(row), dtype=np.float64) for row in lists])
        for lists in days[list(names)].itertuples(index=False)
    ]
    rows = [row[:, np.argsort(row[0], kind="stable")] for row in rows]
    day = np.repeat(np.arange(len(rows), dtype=np.float64), [row.shape[1] for row in rows])
    table = np.concatenate(rows, axis=1) if rows else np.empty((len(names), 0))
    return {"day": day} | dict(zip(names, table, strict=True))


def between(label: Any) -> Any:
    """1 for a label that is neither 0 nor 1; see `undecided`."""
    return (~label.isin([0.0, 1.0])).cast("int32")


def undecided(kind: str, days: pd.DataFrame, *counts: str) -> Estimate | None:
    """The absent estimate of a kind that tells label 1 from label 0 where some labels lie between; else None.

    Parameters
    ----------
    days: what the kind's branch brought back, with `BETWEEN`. counts: its columns that are counts of requests.
    """
    found = _total(days[BETWEEN])
    if not found:
        return None
    reason = (
        f"{found:,} labels lie between 0 and 1, and {kind} tells label 1 from label 0; a metric with the filter "
        "label in (0, 1) leaves them out"
    )
    return Estimate.absent(reason, n=sum(_total(days[name]) for name in counts), method=kind)


def _total(column: Any) -> int:
    """The sum of a column of whole numbers, or of lists of them."""
    import numpy as np

    return round(sum(float(np.sum(value)) for value in column))


def labelled(base: ir.Table, grain: Grain) -> ir.Table:
    """The requests that have both score and label: the keys that vary, and score and label as floats."""
    score, label = number(base, "score"), number(base, LABEL)
    return base.filter(score.notnull() & label.notnull()).select(**grain.varying, score=score, label=label)


def ranked(base: ir.Table, grain: Grain, *, within: Within) -> ir.Table:
    """The requests of `labelled` with their standing in their scope: one sort, without a group for each score.

    Columns besides: below, how many score lower; share_below, the same as a share of the others; share_up_to, the share
    of all that score lower or the same.
    """
    import ibis

    rows = labelled(base, grain)
    in_order = ibis.window(group_by=grain.scope(within), order_by="score")
    return rows.mutate(
        below=ibis.rank().over(in_order),
        share_below=ibis.percent_rank().over(in_order),
        share_up_to=ibis.cume_dist().over(in_order),
    )


def rank_classes(base: ir.Table, grain: Grain, *, within: Within, squares: bool = False) -> ir.Table:
    """One row per cell and class of ranks; equal scores share a class, and classes hold about as many requests each.

    In a scope of up to `EXACT` requests each score is a class of its own, in a larger one there are `CLASSES` of them.

    Columns besides the keys that vary: of_class, in order; mass_class, in which of `CLASSES` of equal mass its ranks
    are, also where there are more; size, of the scope; n, positives, `BETWEEN`, score_sum and label_sum; twice, Σ over
    the requests of how many score lower and how many no higher, and twice_positives, over those with label 1; with
    `squares` score_square_sum and score_label_sum.
    """
    import ibis

    rows = ranked(base, grain, within=within)
    # below = share_below · (size - 1), so that this is true where the scope is small, and for its lowest score.
    is_small = rows.below <= rows.share_below * (EXACT - 0.5)
    in_mass = ((rows.share_below + rows.share_up_to) * (CLASSES / 2)).floor().cast("int64")
    rows = rows.mutate(of_class=is_small.ifelse(rows.below, in_mass), in_mass=in_mass)
    positive = rows.label == 1.0
    sums = {
        "n": rows.count(),
        "positives": positive.cast("int32").sum(),
        BETWEEN: between(rows.label).sum(),
        "score_sum": rows.score.sum(),
        "label_sum": rows.label.sum(),
        "below": rows.below.sum(),
        "up_to": rows.share_up_to.sum(),
        "below_positives": positive.ifelse(rows.below, 0).sum(),
        "up_to_positives": positive.ifelse(rows.share_up_to, 0.0).sum(),
        "in_mass": rows.in_mass.max(),
    }
    if squares:
        sums |= {
            "score_square_sum": (rows.score * rows.score).sum(),
            "score_label_sum": (rows.score * rows.label).sum(),
        }
    classes = rows.group_by(*grain.keys, "of_class").aggregate(**sums)
    classes = classes.mutate(size=classes.n.sum().over(ibis.window(group_by=grain.scope(within))).cast("int64"))

    def twice(below: str, up_to: str) -> Any:
        """Of a class few enough requests are added up for the share, times the size, to be a whole number again."""
        return classes[below].cast("int64") + (classes[up_to] * classes["size"]).round().cast("int64")

    classes = classes.mutate(twice=twice("below", "up_to"), twice_positives=twice("below_positives", "up_to_positives"))
    of_one_score = (CLASSES * (classes.twice // classes.n)) // (2 * classes["size"])
    return classes.mutate(mass_class=(classes["size"] <= EXACT).ifelse(of_one_score, classes.in_mass))
