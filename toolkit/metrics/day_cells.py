"""Cells by day, sums of narrow bins: how the engine makes them, and what every question of them begins with.

The bins do not depend on the data, so days, periods and engines merge by adding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from typing_extensions import override

from toolkit.data import ModelDefinition, Source
from toolkit.metrics.kinds import RankKind, Within, number
from toolkit.metrics.query import Population, measure
from toolkit.metrics.ranking import Grain, from_lists
from toolkit.stats import Estimate

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from toolkit.stats.arrays import Numbers

CODE = "code"
"""Column of a cell's own number among those of its day."""


class DayCells:
    """What the cells of every kind have: arrays of one length, an entry for each cell.

    Attributes
    ----------
    day: the date's ordinal. n, labelled: answered requests, and those of them whose label is known.
    """

    __slots__ = ()

    day: Numbers
    n: Numbers
    labelled: Numbers

    def between(self, start: date, end: date) -> Self:
        """The cells of the days from `start` and before `end`."""
        return self._where((self.day >= start.toordinal()) & (self.day < end.toordinal()))

    def without_day(self, day: float) -> Self:
        """All cells but those of one day."""
        return self._where(self.day != day)

    @property
    def requests(self) -> int:
        """Requests of all cells."""
        return int(self.n.sum())

    @property
    def labels(self) -> int:
        """Of these, those whose label is known."""
        return int(self.labelled.sum())

    def _where(self, chosen: NDArray[np.bool_]) -> Self:
        columns: Any = self  # a tuple of arrays, in the classes below
        return type(self)(*(column[chosen] for column in columns))


class CellsKind(RankKind):
    """Cells as a kind of metric, so that they are asked, checked and kept like everything that is measured.

    Class attributes
    ----------------
    answer: the column that is binned; requests without it have no cell.
    sums: what is summed in each cell.
    """

    answer: ClassVar[str]
    sums: ClassVar[tuple[str, ...]]

    def cell(self, rows: ir.Table) -> dict[str, Any]:
        """Of each request the number of its cell (`CODE`), and what it adds to each of `sums`."""
        raise NotImplementedError

    @override
    def branch(self, base: ir.Table, split: str, *, within: Within = "population") -> ir.Table:
        rows = base.filter(number(base, self.answer).notnull() & ~base.error)
        grain = Grain.of(rows, split)
        rows = rows.select(**grain.varying, **self.cell(rows))
        cells = rows.group_by(*grain.keys, CODE).aggregate(**{name: rows[name].sum() for name in self.sums})
        return grain.in_lists(cells, (CODE, *self.sums))

    @override
    def estimate(self, days: pd.DataFrame) -> Estimate:
        return Estimate.absent("cells are sums, which make no number of their own", n=0, method=self.kind)


def collect_cells(
    source: Source,
    model: ModelDefinition,
    kind: type[CellsKind],
    key: str,
    populations: Sequence[Population],
    *,
    as_of: datetime,
) -> Mapping[str, tuple[Numbers, Numbers, list[Numbers]]]:
    """By population the day (an ordinal), the number and the sums of each cell, with the labels known at `as_of`.

    One query; what was asked before, of the same rows, is not read again. `key`: what the kind is called. Raises
    `ContractError`.
    """
    import numpy as np

    words: dict[str, Any] = dict.fromkeys(("name", "description", "owner"), key.replace("_", " "))
    asked = kind(kind=key, direction="none", practical_threshold=1, role="quality", **words)
    cells = measure(source, model, {key: asked}, populations, as_of=as_of)
    names = (CODE, *kind.sums)
    own = {f"{key}__{name}": name for name in names}
    found: dict[str, tuple[Numbers, Numbers, list[Numbers]]] = {}
    for population in populations:
        days = cells.days(population.name)
        filled = days[["day", *own]].rename(columns=own).dropna() if set(own) <= set(days) else days.head(0)
        if filled.empty:
            nothing = np.empty(0)
            found[population.name] = (nothing, nothing, [nothing for _ in kind.sums])
            continue
        sums = from_lists(filled, names)
        ordinals = np.array([date.fromisoformat(day).toordinal() for day in filled["day"]], dtype=np.float64)
        found[population.name] = (ordinals[sums["day"].astype(np.intp)], sums[CODE], [sums[name] for name in kind.sums])
    return found
