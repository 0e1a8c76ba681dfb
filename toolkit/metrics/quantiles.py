"""The kind of metric that is a quantile of a column, such as the 95th percentile of latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from typing_extensions import override

from toolkit import stats
from toolkit.metrics.kinds import RankKind, Scalar, Within, number
from toolkit.metrics.ranking import Grain
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd


class Quantile(RankKind):
    """A quantile of a column over the requests that have it, straight between the two neighbouring values.

    Its interval is Woodruff's (1952, JASA 47:635), with days as clusters: the values between which the share below it
    says that the quantile lies. Value and ends are read off the sorted column in the engine.
    """

    kind: Literal["quantile"]
    column: Scalar = Field(description="column or SQL scalar, such as latency_ms")
    q: float = Field(gt=0, lt=1, description="which quantile: 0.95 for the 95th percentile")

    @property
    @override
    def estimand(self) -> str:
        return f"quantile {self.q:g} of {self.column}, linear interpolation"

    @override
    def columns(self) -> Sequence[str]:
        return [self.column]

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        import ibis

        grain = Grain.of(base, split)
        value = number(base, self.column)
        rows = base.filter(value.notnull()).select(**grain.varying, value=value)
        below = ibis.rank().over(ibis.window(group_by=grain.scope(within), order_by="value"))
        sizes = grain.by_scope(rows, within=within, size=rows.count())
        ranked = grain.beside(rows.mutate(below=below), sizes, within=within)
        ranked = ranked.select(*grain.keys, "value", "below", "size")
        points = grain.by_scope(ranked, within=within, point=_at_share(ranked, self.q))
        placed = grain.beside(rows, points, within=within)
        by_day = grain.by_cell(
            placed, n=placed.count(), below=(placed.value <= placed.point).cast("int32").sum(), value=placed.point.max()
        )
        shares = _shares(by_day, grain, within, self.q)
        reached = grain.beside(ranked, shares, within=within)
        ends = {
            "lower": _at_share(reached, reached.lower_share),
            "upper": _at_share(reached, reached.upper_share),
        }
        cells = grain.beside(by_day, grain.by_scope(reached, within=within, **ends), within=within)
        found = {name: _finite(cells[name]) for name in ("value", "lower", "upper")}
        return grain.in_cells(cells.select(*grain.keys, "n", "below", **found))

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        value, lower, upper = (_known(days[name]) for name in ("value", "lower", "upper"))
        return stats.quantile_from_ends(value, lower, upper, q=self.q, n=days["n"], below=days["below"])


def _finite(column: Any) -> Any:
    return (column.isinf() | column.isnan()).ifelse(None, column)


def _known(column: Any) -> float | None:
    """The number that all days have alike; None where there is none."""
    return float(column.iloc[0]) if len(column) and column.notna().iloc[0] else None


def _at_share(ranked: ir.Table, share: Any) -> Any:
    """The value at a share of the sorted rows of a scope, straight between its neighbours; see `stats.quantile`.

    The row at a place, counted from 0, is the largest of those below which no more rows lie than that.
    """
    place = (ranked["size"] - 1).cast("float64") * share
    at_low, at_high = (
        (ranked.below <= neighbour.cast("int64")).ifelse(ranked.value, None).max()
        for neighbour in (place.floor(), place.ceil())
    )
    return at_low + (place - place.floor()).max() * (at_high - at_low)


def _shares(by_day: ir.Table, grain: Grain, within: Within, q: float) -> ir.Table:
    """Woodruff's two shares by scope: `stats.woodruff_shares` in SQL, cut to 0 … 1; missing where there is one day."""
    import ibis

    whole = ibis.window(group_by=grain.scope(within))
    n, below = by_day.n.cast("float64"), by_day.below.cast("float64")
    total = n.sum().over(whole)
    gaps = by_day.mutate(total=total, gap=below - below.sum().over(whole) / total * n)
    spread = grain.by_scope(
        gaps, within=within, total=gaps.total.max(), days=gaps.count(), square=(gaps.gap * gaps.gap).sum()
    )
    df = (spread.days - 1).cast("float64").nullif(0.0)
    reach = ibis.literal(0.0)
    for coefficient in reversed(stats.reach_series()):
        reach = reach / df + coefficient
    width = reach * (spread.days.cast("float64") / df * spread.square).sqrt() / spread.total
    return spread.select(
        *grain.scope(within),
        lower_share=(q - width).clip(0.0, 1.0),
        upper_share=(q + width).clip(0.0, 1.0),
    )
