"""How an engine of its own counts values by day and cell: a row of sums for all numbers, and few groups for texts.

A number is compared with its edges, and the engine adds up how often it was at most each of them: the cheapest that an
engine does per edge. Texts are grouped by their values first, several columns of few values together, and only the
groups are looked up among the known values: long lists cost nothing per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from toolkit.data.days import window_of_days
from toolkit.metrics.kinds import ALL, segment_value
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts, Profile
from toolkit.metrics.profiles.requests import TIME, Place, fitting, text_of

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

MOST_SUMS = 1_000
"""Sums in one row of a query: PostgreSQL takes 1,664 columns."""

MOST_GROUPS = 4_096
"""Combinations of the values of texts that are grouped together."""

_OWN, _TAIL, _UNSEEN, _MISSING = range(4)
"""What a text may be: one with a cell of its own, another of the reference's, a new one, none."""


@dataclass(frozen=True)
class Counting:
    """What is to be counted of some requests.

    Attributes
    ----------
    days: of the requests, ISO dates in order, without a gap.
    sums: edges of numbers and of columns that are only there or not, in bundles of one query each.
    texts: edges of texts and truths, in bundles that are grouped together.
    segments: columns of the requests that split them.
    """

    requests: ir.Table
    days: tuple[str, ...]
    sums: tuple[tuple[ColumnEdges, ...], ...]
    texts: tuple[tuple[ColumnEdges, ...], ...]
    segments: tuple[str, ...]

    @classmethod
    def of(cls, requests: ir.Table, days: Sequence[str], edges: Iterable[ColumnEdges], segments: Sequence[str]) -> Self:
        """The counting of those columns that are there with a type that still fits their edges."""
        counted = fitting(edges, requests)
        numbers = [each for each in counted if each.kind != "category"]
        texts = [each for each in counted if each.kind == "category"]
        return cls(requests, tuple(days), tuple(_bundles(numbers)), tuple(_together(texts)), tuple(segments))

    def run(self, execute: Callable[[ir.Table], pd.DataFrame]) -> dict[Place, Profile]:
        """The profiles by day, segment and value, but for the types of their columns."""
        rows: dict[Place, int] = {}
        columns: dict[Place, dict[str, ColumnCounts]] = {}
        for bundle in self.sums:
            for row in execute(self._sums(bundle)).to_dict("records"):
                place = self._place(row["day_index"], row["segment"], row["value"])
                rows[place] = int(row["rows"])
                columns.setdefault(place, {})
                for at, edges in enumerate(bundle):
                    columns[place][edges.column] = _read_sums(edges, rows[place], row, f"c{at}_")
        for bundle in self.texts:
            for place, counts in self._read_texts(bundle, execute(self._texts(bundle))):
                columns[place][counts.edges.column] = counts
        return {place: Profile(rows[place], dict(sorted(columns[place].items())), {}) for place in sorted(rows)}

    def _place(self, day_index: Any, segment: str, value: str) -> Place:
        return Place(self.days[int(day_index)], segment, value)

    def _sums(self, bundle: Sequence[ColumnEdges]) -> ir.Table:
        """One row per place: how many requests, and per column how many values, and how many up to each edge."""
        import ibis

        requests = self.requests
        sums = {"rows": requests.count()}
        for at, edges in enumerate(bundle):
            own = _sums_of(requests[edges.column], edges)
            sums |= {f"c{at}_{name}": each for name, each in own.items()}
        return ibis.union(
            *(_placed(requests.group_by(**self._keys(split)).aggregate(**sums), split) for split in self._splits)
        )

    def _texts(self, bundle: Sequence[ColumnEdges]) -> ir.Table:
        """One row per place and combination of what is known of each column's text: `state_<i>`, `text_<i>`."""
        import ibis

        return ibis.union(*(self._grouped(split, bundle) for split in self._splits))

    def _grouped(self, split: str, bundle: Sequence[ColumnEdges]) -> ir.Table:
        requests = self.requests
        names = [f"text_{at}" for at in range(len(bundle))]
        texts = {name: text_of(requests[edges.column]) for name, edges in zip(names, bundle, strict=True)}
        given = requests.select(**self._keys(split), **texts)
        keys = [name for name in given.columns if name not in names]
        groups = given.group_by(*keys, *names).aggregate(rows=given.count())
        for name, edges in zip(names, bundle, strict=True):
            groups = _with_state(groups, name, edges)
        states = [name.replace("text", "state") for name in names]
        return _placed(groups.group_by(*keys, *states, *names).aggregate(rows=groups["rows"].sum()), split)

    def _keys(self, split: str) -> dict[str, Any]:
        """The place of a row's day among the days, found by comparing: engines are slow to say what day it is."""
        import ibis

        requests = self.requests
        ends = [window_of_days(day, day).end for day in self.days[:-1]]
        earlier = [(requests[TIME] < end, index) for index, end in enumerate(ends)]
        last = len(self.days) - 1
        day = ibis.cases(*earlier, else_=last).cast("int16") if earlier else ibis.literal(last, "int16")
        value = {} if split == ALL else {"value": segment_value(requests[split])}
        return {"day_index": day, **value}

    def _read_texts(self, bundle: Sequence[ColumnEdges], answer: pd.DataFrame) -> Iterator[tuple[Place, ColumnCounts]]:
        for at, edges in enumerate(bundle):
            own = ["day_index", "segment", "value", f"state_{at}", f"text_{at}"]
            counted: dict[Place, dict[tuple[int, str], int]] = {}
            for (day, segment, value, state, text), rows in answer.groupby(own)["rows"].sum().items():
                counted.setdefault(self._place(day, segment, value), {})[int(state), text] = int(rows)
            for place, counts in counted.items():
                yield place, _text_counts(edges, counts)

    @property
    def _splits(self) -> list[str]:
        return [ALL, *self.segments]


def _bundles(numbers: Sequence[ColumnEdges]) -> Iterator[tuple[ColumnEdges, ...]]:
    """The columns of one query each; one without columns still counts the rows."""
    bundle: list[ColumnEdges] = []
    held = 0
    for edges in numbers:
        if bundle and held + edges.size + 2 > MOST_SUMS:
            yield tuple(bundle)
            bundle, held = [], 0
        bundle.append(edges)
        held += edges.size + 2
    yield tuple(bundle)


def _together(texts: Sequence[ColumnEdges]) -> Iterator[tuple[ColumnEdges, ...]]:
    """The columns that are grouped together: those of few values, as long as few combinations are possible."""
    bundle: list[ColumnEdges] = []
    combinations = 1
    for edges in sorted(texts, key=lambda each: (each.size, each.column)):
        if edges.has_tail:
            yield (edges,)
            continue
        if bundle and combinations * (edges.size + 2) > MOST_GROUPS:
            yield tuple(bundle)
            bundle, combinations = [], 1
        bundle.append(edges)
        combinations *= edges.size + 2
    if bundle:
        yield tuple(bundle)


def _placed(groups: ir.Table, split: str) -> ir.Table:
    """Groups with the segment and value of their `Place`."""
    import ibis

    value = ibis.literal("") if split == ALL else groups["value"]
    rest = [name for name in groups.columns if name != "value"]
    return groups.select(*rest, segment=ibis.literal(split), value=value)


def _sums_of(column: Any, edges: ColumnEdges) -> dict[str, Any]:
    if edges.kind == "presence":
        return {"n": column.count()}
    number = column.cast("float64")
    if edges.kind == "number":
        conditions = {f"upto_{i}": number <= edge for i, edge in enumerate(edges.edges)}
    else:
        conditions = {f"is_{i}": number == float(value) for i, value in enumerate(edges.values)}
    ends = {"least": number.min(), "most": number.max()} if edges.is_constant_number else {}
    return {"n": number.count(), **{name: each.sum() for name, each in conditions.items()}, **ends}


def _read_sums(edges: ColumnEdges, rows: int, row: Mapping[str, Any], prefix: str) -> ColumnCounts:
    n = _count(row[f"{prefix}n"])
    if edges.kind == "presence":
        return ColumnCounts(edges, (n,), missing=rows - n)
    if edges.kind == "number":
        up_to = [0, *(_count(row[f"{prefix}upto_{i}"]) for i in range(len(edges.edges))), n]
        return ColumnCounts(edges, tuple(high - low for low, high in pairwise(up_to)), missing=rows - n)
    counts = tuple(_count(row[f"{prefix}is_{i}"]) for i in range(len(edges.values)))
    has_ends = edges.is_constant_number and n
    ends = [float(row[f"{prefix}{end}"]) if has_ends else None for end in ("least", "most")]
    return ColumnCounts(edges, counts, n - sum(counts), rows - n, *ends)


def _with_state(groups: ir.Table, name: str, edges: ColumnEdges) -> ir.Table:
    """Groups in which a text without a cell of its own is "", with `state_<i>`, which says what it was."""
    import ibis

    text = groups[name]
    rest: Any = ibis.literal(not edges.knows_all)
    if edges.tail:
        # Joined, because engines go through a list value by value.
        known = _table_of(edges.tail)
        groups = groups.left_join(known, text == known["known"])
        text, rest = groups[name], groups["known"].notnull()
    own = text.isin(edges.values).fill_null(False) if edges.values else ibis.literal(False)
    state = ibis.cases((text.isnull(), _MISSING), (own, _OWN), (rest, _TAIL), else_=_UNSEEN)
    others = [column for column in groups.columns if column not in {name, "known"}]
    return groups.select(*others, **{name: own.ifelse(text, ""), name.replace("text", "state"): state.cast("int16")})


def _table_of(texts: Sequence[str]) -> ir.Table:
    """Texts as a table with one column, `known`, in the query itself: the engine may only read."""
    import ibis

    return ibis.array(list(texts)).unnest().name("known").as_table()


def _text_counts(edges: ColumnEdges, counted: Mapping[tuple[int, str], int]) -> ColumnCounts:
    counts = tuple(counted.get((_OWN, text), 0) for text in edges.values)
    if edges.has_tail:
        counts = (*counts, counted.get((_TAIL, ""), 0))
    return ColumnCounts(edges, counts, counted.get((_UNSEEN, ""), 0), counted.get((_MISSING, ""), 0))


def _count(found: Any) -> int:
    """A sum that an engine gives: none of no value is 0."""
    return 0 if found is None or found != found else int(found)  # noqa: PLR0124 - NaN differs from itself
