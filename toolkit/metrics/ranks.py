"""Kinds of metric that judge the order of requests: AUC, lift among the highest scores, NDCG."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from toolkit import stats
from toolkit.data import LABEL
from toolkit.metrics.classes import Classes, ClassKind
from toolkit.metrics.kinds import RankKind, Within, column_name, number
from toolkit.metrics.ranking import (
    BETWEEN,
    CLASSES,
    Grain,
    between,
    from_lists,
    labelled,
    rank_classes,
    ranked,
    undecided,
)
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd


class Auc(ClassKind):
    """The chance that a request with label 1 scores above one with label 0, ties counted half.

    Exact by default, from the rank of every score in its population (DeLong, DeLong & Clarke-Pearson 1988, Biometrics
    44:837). With `bins`, from counts by score bin: they merge by adding, and the interval holds also what the order
    inside the bins could make of it. Labels between 0 and 1 make it absent.
    """

    kind: Literal["auc"]
    bins: int | None = Field(
        default=None,
        ge=2,
        le=10_000,
        description="count in so many bins of equal width, of scores from 0 to 1; exact without",
    )
    scored: ClassVar[bool] = True
    bounded_label: ClassVar[bool] = True

    @property
    @override
    def class_sums(self) -> Sequence[str]:
        return ("positives", "twice", "twice_positives") if self.bins is None else ()

    @property
    @override
    def mass_classes(self) -> Collection[int]:
        return range(CLASSES + 1)  # the highest score of all has the last for itself

    @property
    @override
    def estimand(self) -> str:
        how = "exact" if self.bins is None else f"to within {self.bins} bins of the score"
        return f"chance that a request with label 1 scores above one with label 0, {how}"

    @override
    def columns(self) -> Sequence[str]:
        return ["score", LABEL]

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        grain = Grain.of(base, split)
        return _placements(base, grain, within) if self.bins is None else _by_bin(base, grain, self.bins)

    @override
    def of_classes(self, classes: Classes) -> dict[str, Sequence[Any]]:
        return _placements_of(classes)

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        if self.bins is not None:
            return self.binned(days).estimate
        return undecided(self.kind, days, "positives", "negatives") or _exact(days)

    def binned(self, days: pd.DataFrame) -> stats.BinnedAuc:
        """The estimate from bins with the bounds between which the exact AUC of the very same requests lies."""
        if absent := undecided(self.kind, days, "positives", "negatives"):
            return stats.BinnedAuc(absent, None, None)
        cells = from_lists(days, ["bin", "positives", "negatives"])
        method = f"auc of {self.bins} score bins; delong, day clusters"
        return stats.binned_auc(cells["day"], cells["bin"], cells["positives"], cells["negatives"], method=method)


def _placements(base: ir.Table, grain: Grain, within: Within) -> ir.Table:
    """Placement sums by day: for each class, the share of the other class ranked on its wrong or right side.

    A request is placed among the other class by its rank among all, less its rank among its own (Sun & Xu 2014). The
    ranks among all are exact, and those among its own add up to a known total: so the AUC is exact whatever the day's
    share of them, which in a large scope is read off the classes of ranks. Whole numbers up to 2 · 10⁹ requests.
    """
    import ibis

    classes = rank_classes(base, grain, within=within)
    scope = grain.scope(within)
    every = ibis.window(group_by=scope)
    up_to_here = ibis.window(group_by=scope, order_by="of_class", range=(None, 0))
    from_here = ibis.window(group_by=scope, order_by="of_class", range=(0, None))
    classes = classes.mutate(negatives=classes.n - classes.positives)

    def standing(counted: ir.IntegerColumn) -> tuple[ir.IntegerColumn, ir.IntegerColumn]:
        """Σ over the scope; and for each class, of its own kind, twice those below it and once those in it."""
        whole = counted.sum().over(every)
        twice_below = whole - counted.sum().over(from_here) + counted.sum().over(up_to_here)
        return whole.cast("int64"), twice_below.cast("int64")

    all_positives, twice_positives_below = standing(classes.positives)
    all_negatives, twice_negatives_below = standing(classes.negatives)
    classes = classes.mutate(
        all_positives=all_positives,
        all_negatives=all_negatives,
        right_positives=classes.twice_positives - classes.positives * twice_positives_below,
        right_negatives=classes.negatives * (2 * all_positives + twice_negatives_below)
        - (classes.twice - classes.twice_positives),
    )
    by_day = grain.by_cell(
        classes,
        **{
            name: classes[name].sum().cast("float64")
            for name in ("positives", "negatives", "right_positives", "right_negatives", BETWEEN)
        },
        all_positives=classes.all_positives.max().cast("float64"),
        all_negatives=classes.all_negatives.max().cast("float64"),
    )
    placed = by_day.select(
        *grain.keys,
        "positives",
        "negatives",
        placement_positives=by_day.right_positives / 2.0 / by_day.all_negatives.nullif(0.0),
        placement_negatives=by_day.right_negatives / 2.0 / by_day.all_positives.nullif(0.0),
        **{BETWEEN: by_day[BETWEEN]},
    )
    return grain.in_cells(placed)


def _placements_of(classes: Classes) -> dict[str, Sequence[Any]]:
    """What `_placements` says of the cells of one scope, in its words, of classes that are at hand."""
    import numpy as np

    n, positives, twice, twice_positives = (
        classes.sums[name] for name in ("n", "positives", "twice", "twice_positives")
    )
    negatives = n - positives

    def standing(counted: Any) -> tuple[int, Any]:
        in_class = np.bincount(classes.place, counted).astype(np.int64)
        return int(counted.sum()), (2 * np.cumsum(in_class) - in_class)[classes.place]

    def by_cell(values: Any) -> Any:
        return np.bincount(classes.cell, values, minlength=classes.cells)

    all_positives, twice_positives_below = standing(positives)
    all_negatives, twice_negatives_below = standing(negatives)
    right_positives = twice_positives - positives * twice_positives_below
    right_negatives = negatives * (2 * all_positives + twice_negatives_below) - (twice - twice_positives)
    return {
        "positives": by_cell(positives),
        "negatives": by_cell(negatives),
        "placement_positives": by_cell(right_positives) / 2.0 / (all_negatives or math.nan),
        "placement_negatives": by_cell(right_negatives) / 2.0 / (all_positives or math.nan),
        BETWEEN: np.zeros(classes.cells),  # requests that have such labels are left to the engine
    }


def _exact(days: pd.DataFrame) -> Estimate:
    return stats.auc_from_placements(
        positives=days["positives"],
        negatives=days["negatives"],
        placement_sum_positives=days["placement_positives"].fillna(0.0),
        placement_sum_negatives=days["placement_negatives"].fillna(0.0),
    )


def _by_bin(base: ir.Table, grain: Grain, bins: int) -> ir.Table:
    rows = labelled(base, grain)
    place = (rows.score * float(bins)).floor().clip(0, bins - 1).cast("int64")
    positive = (rows.label == 1.0).cast("int32")
    sums = {"positives": positive.sum(), "negatives": (1 - positive).sum(), BETWEEN: between(rows.label).sum()}
    counted = rows.group_by(*grain.keys, bin=place).aggregate(**sums)
    return grain.in_lists(counted, ["bin", *sums])


class Lift(RankKind):
    """Label rate among the requests with the highest scores, over the label rate of all.

    Labels between 0 and 1 make it absent.
    """

    kind: Literal["lift"]
    share: float = Field(gt=0, lt=1, description="share of the requests that are the highest, such as 0.1")
    scored: ClassVar[bool] = True
    bounded_label: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return f"label rate of the {self.share:.3g} of the requests that score highest, over that of all"

    @override
    def columns(self) -> Sequence[str]:
        return ["score", LABEL]

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        import ibis

        grain = Grain.of(base, split)
        rows = ranked(base, grain, within=within)
        whole = rows.score.count().over(ibis.window(group_by=grain.scope(within))).cast("float64")
        up_to = (rows.share_up_to * whole).round()
        above, shared = whole - up_to, up_to - rows.below
        distance = ((above + shared / 2.0) / whole - self.share).abs()
        rows = rows.select(
            *grain.keys,
            "label",
            part=((whole * self.share - above) / shared).clip(0.0, 1.0),
            near=(distance <= self.share * stats.NEAR).ifelse(1.0, 0.0),
        )
        sums = grain.by_cell(
            rows,
            n=rows.count(),
            positives=rows.label.sum(),
            top=rows.part.sum(),
            top_positives=(rows.part * rows.label).sum(),
            near=rows.near.sum(),
            near_positives=(rows.near * rows.label).sum(),
            **{BETWEEN: between(rows.label).sum()},
        )
        return grain.in_cells(sums)

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        return undecided(self.kind, days, "n") or stats.lift_at_share(
            days["n"],
            days["positives"],
            days["top"],
            days["top_positives"],
            share=self.share,
            near=float(days["near"].sum()),
            near_positives=float(days["near_positives"].sum()),
        )


class Ndcg(RankKind):
    """How well the scores order the requests of a group, a query or session: 1 is the best order of its labels.

    Normalised discounted cumulative gain (Järvelin & Kekäläinen 2002, ACM TOIS 20:422) with the label itself as gain
    and 1 / log2(1 + rank) as discount. Requests of one score share their discounts: the expectation over their order,
    as in McSherry & Najork (2008, ECIR). Groups without any gain have no best order: they do not count.
    """

    kind: Literal["ndcg"]
    group: str = Field(min_length=1, description="column that names the group, such as a query or session id")
    k: int = Field(default=10, ge=1, description="how many ranks count")
    scored: ClassVar[bool] = True

    @property
    @override
    def estimand(self) -> str:
        return f"mean over the groups by {self.group} of NDCG at {self.k}"

    @override
    def columns(self) -> Sequence[str]:
        return ["score", LABEL, self.group]

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        """A group's day is that of its first request; `within` "day" makes of a group one group a day."""
        import ibis

        group = base[column_name(self.group)]
        score, label = number(base, "score"), number(base, LABEL)
        counted = base.filter(group.notnull() & score.notnull() & label.notnull())
        grain = Grain.of(counted, split)
        rows = counted.select(**grain.varying, group=group, score=score, label=label)
        groups = [*grain.scope(within), "group"]

        def discount(order: object) -> ir.FloatingValue:
            rank = ibis.row_number().over(ibis.window(group_by=groups, order_by=order)) + 1
            return (rank <= self.k).ifelse(1.0 / (1.0 + rank).cast("float64").log2(), 0.0)

        rows = rows.mutate(discount=discount(ibis.desc("score")), best_discount=discount(ibis.desc("label")))
        rows = rows.mutate(shared=rows.discount.mean().over(ibis.window(group_by=[*groups, "score"])))
        first = {"day": rows.day.min()} if "day" in grain.keys and within == "population" else {}
        gains = rows.group_by(groups).aggregate(
            **first,
            gain=(rows.label * rows.shared).sum(),
            best=(rows.label * rows.best_discount).sum(),
        )
        gains = gains.filter(gains.best > 0.0)
        by_day = grain.by_cell(gains, groups=gains.count(), ndcg_sum=(gains.gain / gains.best).sum())
        return grain.in_cells(by_day)

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        method, groups = f"ndcg@{self.k}, ties by expectation; mean of groups, day clusters", days["groups"]
        if not len(groups):
            return Estimate.absent("no group has a label above 0", n=0, method=method)
        return stats.ratio(days["ndcg_sum"], groups, n=int(groups.sum()), method=method)
