"""How requests that the embedded engine reads are counted or coded: it filters, looks texts up, and hands batches over.

Numpy compares a batch with an edge in a fourth of the time that the engine takes. One batch is held at a time, however
many requests there are. The counts are those of `counting`, which asks other engines for sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from toolkit.data.batches import BATCH_ROWS, read_batches
from toolkit.data.days import window_of_days
from toolkit.metrics.kinds import ALL, segment_value
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts, Profile
from toolkit.metrics.profiles.requests import TIME, Place, fitting, text_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.data.connections import Connection


FEW_TEXTS = 50
"""Among so many an unseen text is simply not found; the engine also looks for the nearest, which takes reading all."""


class Group(NamedTuple):
    """The places of some rows in one segmentation, and which of them each row has; None: all are of the only one."""

    places: list[Place]
    of_row: Any

    def tabulate(self, found: Any, width: int) -> Any:
        """How many rows of each place have each of `width` codes."""
        import numpy as np

        if self.of_row is None:
            return np.bincount(found, minlength=width)[None, :]
        many = len(self.places)
        return np.bincount(self.of_row * np.int64(width) + found, minlength=many * width).reshape(many, width)

    def sizes(self, rows: int) -> list[int]:
        """How many of `rows` each place has."""
        import numpy as np

        return [rows] if self.of_row is None else np.bincount(self.of_row, minlength=len(self.places)).tolist()


@dataclass
class Tally:
    """What was counted of one place so far.

    Attributes
    ----------
    rows: its requests.
    counts: by column how many have each code, see `codes`.
    ends: the smallest and the largest value of a column whose reference had one single number.
    """

    rows: int
    counts: list[Any]
    ends: dict[int, tuple[float, float]] = field(default_factory=dict)

    def widen(self, at: int, least: float, most: float) -> None:
        """Note the ends of more values of a column."""
        low, high = self.ends.get(at, (math.inf, -math.inf))
        self.ends[at] = (min(low, least), max(high, most))


@dataclass(frozen=True)
class Streaming:
    """What is to be counted of some requests; the fields are those of `Counting`, but for `edges`: in one sequence."""

    requests: ir.Table
    days: tuple[str, ...]
    edges: tuple[ColumnEdges, ...]
    segments: tuple[str, ...]

    @classmethod
    def of(cls, requests: ir.Table, days: Sequence[str], edges: Iterable[ColumnEdges], segments: Sequence[str]) -> Self:
        """The counting of those columns that are there with a type that still fits their edges."""
        return cls(requests, tuple(days), tuple(fitting(edges, requests)), tuple(segments))

    def run(self, connection: Connection, reading: str) -> dict[Place, Profile]:
        """The profiles by day, segment and value, but for the types of their columns."""
        tallies: dict[Place, Tally] = connection.run(reading, lambda: self._count(connection.backend))
        return {place: self._profile(tallies[place]) for place in sorted(tallies)}

    def _count(self, backend: Any) -> dict[Place, Tally]:
        tallies: dict[Place, Tally] = {}
        for batch in self.batches(backend, [TIME]):
            for day, piece in self._pieces(batch):
                self._add(tallies, piece, list(self._groups(day, piece)))
        return tallies

    def _add(self, tallies: dict[Place, Tally], piece: Any, groups: Sequence[Group]) -> None:
        for group in groups:
            for place, rows in zip(group.places, group.sizes(piece.num_rows), strict=True):
                if place not in tallies:
                    tallies[place] = self._nothing()
                tallies[place].rows += rows
        for at, edges in enumerate(self.edges):
            values = values_of(piece, at)
            for group, counted in zip(groups, _counted(values, edges, groups), strict=True):
                for place, counts in zip(group.places, counted, strict=True):
                    tallies[place].counts[at] += counts
                if edges.is_constant_number:
                    for place, ends in zip(group.places, _ends(values, group), strict=True):
                        tallies[place].widen(at, *ends)

    def batches(self, backend: Any, also: Sequence[str]) -> Iterator[Any]:
        """Arrow batches with `value_<i>` of each column, `by_<i>` of each segment, and the requests' columns `also`."""
        with self._known_texts(backend):
            yield from read_batches(backend, self._sql(backend, also), rows=BATCH_ROWS)

    @contextmanager
    def _known_texts(self, backend: Any) -> Iterator[None]:
        """By column of texts a type of the engine whose values are those that the reference had, those of cells first.

        To cast a text is to look it up, once for each that a file names; a join would have the engine gather all
        columns again.
        """
        import pyarrow as pa

        texts = [at for at, each in enumerate(self.edges) if each.kind == "category"]
        try:
            for at in texts:
                known = [*self.edges[at].values, *self.edges[at].tail]
                backend.con.register("profile_texts", pa.table({"text": pa.array(known, "string")}))
                backend.con.execute(f"CREATE TEMP TYPE profile_texts_{at} AS ENUM (SELECT text FROM profile_texts)")  # noqa: S608 - a number
                backend.con.unregister("profile_texts")
            yield
        finally:
            for at in texts:
                backend.con.execute(f"DROP TYPE IF EXISTS profile_texts_{at}")

    def _sql(self, backend: Any, also: Sequence[str]) -> str:
        requests = self.requests
        values = {f"value_{at}": _value(requests[each.column], each) for at, each in enumerate(self.edges)}
        by = {f"by_{at}": segment_value(requests[segment]) for at, segment in enumerate(self.segments)}
        rows = requests.select(*also, **values, **by)
        sql = str(backend.compile(rows))
        texts = {at: each for at, each in enumerate(self.edges) if each.kind == "category"}
        if not texts:
            return sql
        placed = ", ".join(f"{_text_place(each, at)} AS place_{at}" for at, each in texts.items())
        coded = ", ".join(f"{_text_code(each, at)} AS value_{at}" for at, each in texts.items())
        places = ", ".join(f"place_{at}" for at in texts)
        # A place has a column of its own: the engine would look a text up as often as the expression is written.
        placing = f"SELECT *, {placed} FROM ({sql}) AS requests"  # noqa: S608 - names of ours
        return f"SELECT * EXCLUDE ({places}) REPLACE ({coded}) FROM ({placing}) AS placed"  # noqa: S608 - names of ours

    def _pieces(self, batch: Any) -> Iterator[tuple[str, Any]]:
        """A batch by day: tables and files are in the order of time more often than not, and cut without a copy."""
        import numpy as np

        ends = [window_of_days(day, day).end.replace(tzinfo=None) for day in self.days[:-1]]
        times = batch.column(TIME).to_numpy(zero_copy_only=False)
        days = np.searchsorted(np.array(ends, dtype="datetime64[us]"), times, side="right")
        if (days[1:] < days[:-1]).any():
            order = np.argsort(days, kind="stable")
            batch, days = batch.take(order), days[order]
        cuts = [0, *(np.flatnonzero(days[1:] > days[:-1]) + 1).tolist(), len(days)]
        for first, end in pairwise(cuts):
            if first < end:
                yield self.days[days[first]], batch.slice(first, end - first)

    def _groups(self, day: str, piece: Any) -> Iterator[Group]:
        yield Group([Place(day, ALL, "")], None)
        for at, segment in enumerate(self.segments):
            texts = piece.column(f"by_{at}").dictionary_encode()
            yield Group(
                [Place(day, segment, value) for value in texts.dictionary.to_pylist()], texts.indices.to_numpy()
            )

    def _nothing(self) -> Tally:
        import numpy as np

        return Tally(0, [np.zeros(codes_of(each), dtype="int64") for each in self.edges])

    def _profile(self, tally: Tally) -> Profile:
        columns = {}
        for at, edges in enumerate(self.edges):
            *counts, unseen, missing = tally.counts[at].tolist()
            least, most = tally.ends.get(at, (math.inf, -math.inf))
            ends = (least, most) if least <= most else (None, None)
            columns[edges.column] = ColumnCounts(edges, tuple(counts), unseen, missing, *ends)
        return Profile(tally.rows, dict(sorted(columns.items())), {})


def codes_of(edges: ColumnEdges) -> int:
    """The codes of a column: one per cell, one for unseen values, and one for missing ones."""
    return edges.size + 2


def values_of(batch: Any, at: int) -> Any:
    """The values of a column in a batch: numbers as floats, NaN when missing; for the others see `codes`."""
    return batch.column(f"value_{at}").to_numpy(zero_copy_only=False)


def codes(values: Any, edges: ColumnEdges) -> Any:
    """The code of each value of a column: that of its cell, or `size` when it is unseen, or `size + 1` when missing.

    `values` are as `Streaming` reads them: numbers as floats, NaN when missing; of texts and truths the codes
    themselves; of other columns whether there is none.
    """
    import numpy as np

    if edges.kind == "category":
        return values
    unseen, missing = edges.size, edges.size + 1
    own = np.min_scalar_type(missing)
    if edges.kind == "presence":
        return values.astype(own) * own.type(missing)
    numbers = edges.kind == "number"
    # What is at most no edge is in the last bin, as what equals no value is unseen.
    found = np.full(len(values), unseen - numbers, dtype=own)
    if numbers:
        for edge in edges.edges:
            found -= values <= edge
    else:
        for cell, value in enumerate(edges.values):
            found -= (values == float(value)) * own.type(unseen - cell)
    found += np.isnan(values) * own.type(missing - unseen + numbers)
    return found


def _counted(values: Any, edges: ColumnEdges, groups: Sequence[Group]) -> list[Any]:
    """For each group how many rows of each place have each code."""
    import numpy as np

    if edges.kind == "number" and len(groups) == 1:
        # Where all rows are of one place, counting needs no codes.
        upto = np.empty(len(values), dtype=bool)
        up_to = [np.count_nonzero(np.less_equal(values, edge, out=upto)) for edge in (*edges.edges, math.inf)]
        return [[np.array([*np.diff(up_to, prepend=0), 0, len(values) - up_to[-1]])]]
    found, width = codes(values, edges), codes_of(edges)
    return [group.tabulate(found, width) for group in groups]


def _ends(values: Any, group: Group) -> Iterator[tuple[float, float]]:
    """The smallest and the largest number of each place, inf and -inf when it has none."""
    import numpy as np

    at = 0 if group.of_row is None else group.of_row
    least, most = np.full(len(group.places), math.inf), np.full(len(group.places), -math.inf)
    np.fmin.at(least, at, values if group.of_row is not None else np.fmin.reduce(values))
    np.fmax.at(most, at, values if group.of_row is not None else np.fmax.reduce(values))
    yield from zip(least.tolist(), most.tolist(), strict=True)


def _value(column: Any, edges: ColumnEdges) -> Any:
    """What of a column is read: numbers and texts, of others whether there is none."""
    if edges.kind == "presence":
        return column.isnull()
    return text_of(column) if edges.kind == "category" else column.cast("float64")


def _text_place(edges: ColumnEdges, at: int) -> str:
    """Where among the known texts a text is, in the engine's own words: Ibis knows no types that are made as one goes.

    NULL when it is not among them.
    """
    text, texts = f"value_{at}", f"profile_texts_{at}"
    if len(edges.values) + len(edges.tail) > FEW_TEXTS:
        text = f"CASE WHEN {text} IN (SELECT unnest(enum_range(NULL::{texts}))::VARCHAR) THEN {text} END"
    return f"enum_code(TRY_CAST({text} AS {texts}))::INTEGER"


def _text_code(edges: ColumnEdges, at: int) -> str:
    """The code of a text whose place is known."""
    missing, unknown = edges.size + 1, edges.size if edges.knows_all else edges.place_of_unknown
    cases = f"WHEN value_{at} IS NULL THEN {missing} WHEN place_{at} IS NULL THEN {unknown}"
    return f"CASE {cases} ELSE least(place_{at}, {len(edges.values)}) END"
