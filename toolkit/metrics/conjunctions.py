"""Every conjunction of up to three conditions, in one scan: what requests that meet it lost.

A condition is one value of one column, or one range of a number between edges that the reference period gave. Each
column becomes a small whole number first (its code); the engine then groups by all sets of up to three columns at
once. What comes back is a count, a sum and a sum of squares per conjunction, and no request.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data.connections import EMBEDDED
from toolkit.errors import ArgumentError
from toolkit.metrics.kinds import DAY, MISSING, POPULATION, RatioKind
from toolkit.metrics.moment_sums import GROUPING_SETS
from toolkit.metrics.needs import counted
from toolkit.metrics.profiles.edges import OTHER, ColumnEdges, just_below, value_text
from toolkit.metrics.profiles.requests import text_of
from toolkit.metrics.query import Question
from toolkit.stats import GroupSums

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd
    from numpy.typing import NDArray

    from toolkit.data.connections import Connection

MOST_PATTERNS = 62
"""Segments whose overlaps one scan can tell: a bit of a signed 64-bit number each."""

FREE = -1
"""Stands for a column that a conjunction says nothing of."""

MOST_KEPT = 4_000_000
"""Coded requests that are kept in memory between questions: about 40 bytes each."""

_CODED = "coded_requests"
"""What the requests as codes are called in the queries over them."""

Segment = tuple[tuple[int, int], ...]
"""A conjunction: the position of each column that it is about, ascending, with the code of its value."""


@dataclass(frozen=True)
class Coding:
    """How a column's values become codes: ranges between `edges`, else one code for each of `numbers` or `values`.

    Attributes
    ----------
    edges: ascending; a range holds its upper end. The first range has no lower end, the last no upper one.
    numbers, values: what is none of them is `other`, the code after them.

    >>> Coding("age", edges=(18, 65)).labels
    ('up to 18', '18 to 65', 'above 65', 'missing')
    >>> Coding("plan", values=("free", "paid")).labels
    ('free', 'paid', 'other', 'missing')
    """

    column: str
    edges: tuple[float, ...] = ()
    numbers: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, edges: ColumnEdges) -> Coding | None:
        """The codes of the cells that a reference laid down; None where it has no two values to tell apart."""
        if edges.kind == "number":
            return cls(edges.column, edges=edges.edges) if edges.edges else None
        if edges.kind == "presence" or edges.size < 2:
            return None
        if edges.kind == "discrete":
            return cls(edges.column, numbers=tuple(sorted(map(float, edges.values))))
        return cls(edges.column, values=edges.values)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each code says; the last one is for missing values."""
        if self.edges:
            return (*_ranges(self.edges), MISSING)
        return (*map(value_text, self.numbers or self.values), OTHER, MISSING)

    def code(self, column: Any) -> Any:
        """The code of each row, as an expression; never missing."""
        import ibis

        last = ibis.literal(len(self.labels) - 1, "int16")
        if self.edges:
            given = column.cast("float64")
            above = [(given > edge).cast("int16") for edge in self.edges]
            return column.isnull().ifelse(last, sum(above[1:], above[0])).cast("int16")
        # One list of all values, where a comparison with each would take the compiler longer than the engine.
        if self.numbers:
            # As texts: Spark reads a number with a point as a decimal, which it finds in no list of doubles.
            known = ibis.array([ibis.literal(repr(float(number))).cast("float64") for number in self.numbers])
            given = column.cast("float64")
        else:
            known, given = ibis.literal(list(self.values), "array<string>"), text_of(column).cast("string")
        at = known.index(given).fill_null(-1)
        return column.isnull().ifelse(last, (at >= 0).ifelse(at, last - 1)).cast("int16")


class Lattice(NamedTuple):
    """All conjunctions that have rows enough in both populations, in one order.

    Attributes
    ----------
    codes: one row per conjunction and one column per coding; `FREE` where it says nothing of that column.
    sizes: how many codes each column has.
    reference, current: count, sum and sum of squares of the loss in each conjunction.
    whole_reference, whole_current: the same of all requests, as arrays of one.
    """

    codes: NDArray[Any]
    sizes: tuple[int, ...]
    reference: GroupSums
    current: GroupSums
    whole_reference: GroupSums
    whole_current: GroupSums

    def segment(self, at: int) -> Segment:
        """The conjunction at a position."""
        return tuple((column, int(code)) for column, code in enumerate(self.codes[at]) if code != FREE)


@dataclass(frozen=True)
class Conjunctions:
    """Requests of two populations, as codes of their columns and the loss of each; asked for sums.

    `question` has the two populations, reference first, the one metric that is the loss, and the codings' columns as
    segments. Requests without a loss (no label yet, or a failed request) do not count. `kept_as`: see `kept`.
    """

    question: Question
    codings: tuple[Coding, ...]
    kept_as: str = ""

    def __post_init__(self) -> None:
        if len(self.question.populations) != 2:
            raise ArgumentError(f"{len(self.question.populations)} populations are given, must be two: then and now")
        if len(self.question.metrics) != 1 or not isinstance(self._loss, RatioKind):
            raise ArgumentError("conjunctions are measured by one metric that is a mean over requests")

    @property
    def _loss(self) -> Any:
        return next(iter(self.question.metrics.values()))

    def lattice(self, *, depth: int, fewest: int, days: Collection[str] | None = None) -> Lattice:
        """All conjunctions of up to `depth` columns with at least `fewest` requests in both populations. One query.

        `days`: the ISO dates that are looked at; None: all.
        """
        import sqlglot.expressions as sge

        columns = range(len(self.codings))
        sets = [at for size in range(min(depth, len(columns)) + 1) for at in combinations(columns, size)]
        rows = _of_days(days)
        if self._connection.engine in GROUPING_SETS:
            groups = rows.select(*_names(columns), *_sums(), copy=False)
            tuples = [sge.Tuple(expressions=_names(each)) for each in sets]
            groups.set("group", sge.Group(grouping_sets=[sge.GroupingSets(expressions=tuples)]))
        else:  # a scan for each set
            parts = [
                rows.select(*_names(columns, grouped=each), *_sums()).group_by(*_names(each), copy=False)
                for each in sets
            ]
            groups = sge.union(*parts, distinct=False, copy=False)
        return self._lattice(self._ask(_where_enough(groups, fewest), codes=columns))

    def patterns(self, segments: Sequence[Segment], *, days: Collection[str] | None = None) -> pd.DataFrame:
        """Requests by day and by the set of segments that they lie in: any union and overlap is a sum. One query.

        Returns one row per population (0 reference, 1 current), day and pattern (bit i: lies in segment i), in order:
        `n`, `total`, `square`.
        """
        import sqlglot as sg
        import sqlglot.expressions as sge

        if len(segments) > MOST_PATTERNS:
            raise ArgumentError(f"{len(segments)} segments are given, must be at most {MOST_PATTERNS}")
        pattern: Any = sge.cast(sge.convert(0), "bigint")
        for bit, segment in enumerate(segments):
            meets = [sge.EQ(this=_column(f"c_{at}"), expression=sge.convert(code)) for at, code in segment]
            case = sge.Case().when(sge.and_(*meets, copy=False), sge.convert(1 << bit), copy=False)
            pattern = sge.Add(this=pattern, expression=case.else_(sge.convert(0), copy=False))
        keys = ["population", "day", "pattern"]
        told = _of_days(days).select(
            _column("population"),
            _column("day"),
            _column("loss"),
            sge.alias_(pattern, "pattern", quoted=True, copy=False),
            copy=False,
        )
        sums = sg.select(*map(_column, keys), *_sums()).from_(told.subquery("told", copy=False), copy=False)
        found = self._ask(sums.group_by(*map(_column, keys), copy=False), days=True)
        return found.sort_values(keys, ignore_index=True)

    @property
    def _connection(self) -> Connection:
        return self.question.source.opened("predictions").connection

    @property
    def _backend(self) -> Any:
        return self._connection.backend

    @contextmanager
    def kept(self, rows: int) -> Iterator[Conjunctions]:
        """The same, which code the requests once and not for each question; `rows` are about how many there are.

        For as long as it lasts the embedded engine has them in a temporary table, unless they are too many for memory.
        Other engines, which may be asked to read and nothing else, code them each time.
        """
        if self._connection.engine != EMBEDDED or rows > MOST_KEPT:
            yield self
            return
        with self._connection.run(self.question.reading, self._requests.cache) as table:
            yield replace(self, kept_as=self._backend.compile(table))

    @property
    def _requests(self) -> ir.Table:
        """The requests that have a loss: population, day, a code `c_<i>` per coding, and the loss."""
        import ibis

        base = self.question.requests()
        first = self.question.populations[0].name
        rows = base.select(
            population=(base[POPULATION] == first).ifelse(ibis.literal(0, "int16"), ibis.literal(1, "int16")),
            day=base[DAY].cast("string"),
            loss=counted(self._loss, base).numerator,
            **{f"c_{at}": coding.code(base[coding.column]) for at, coding in enumerate(self.codings)},
        )
        return rows.filter(rows.loss.notnull())

    @cached_property
    def _coded(self) -> str:
        return self.kept_as or str(self._backend.compile(self._requests))

    def _ask(self, query: Any, *, codes: Iterable[int] = (), days: bool = False) -> pd.DataFrame:
        """What the engine answers to a query over `coded`, given as a tree.

        Ibis has no grouping sets, and would take longer to compile so many conditions than the engine to answer.
        """
        import ibis

        keys = {"day": "string", "pattern": "int64"} if days else {f"c_{at}": "int16" for at in codes}
        schema = {"population": "int16", **keys, "n": "int64", "total": "float64", "square": "float64"}
        text = f"WITH {_CODED} AS ({self._coded}) {query.sql(self._backend.dialect, copy=False)}"
        table = self._backend.sql(text, schema=ibis.schema(schema))
        return self.question.source.execute(table, reading=self.question.reading)

    def _lattice(self, found: pd.DataFrame) -> Lattice:
        """The conjunctions that both populations have, in the order of their codes."""
        import numpy as np

        codes = found[[f"c_{at}" for at in range(len(self.codings))]].to_numpy(dtype="float64", na_value=FREE)
        codes = codes.astype(np.int64)
        sizes = tuple(len(coding.labels) for coding in self.codings)
        keys = (codes - FREE) @ weigh_codes(sizes)
        sides = []
        for population in (0, 1):
            at = np.flatnonzero(found["population"].to_numpy() == population)
            sides.append(at[np.argsort(keys[at], kind="stable")])
        _, first, second = np.intersect1d(keys[sides[0]], keys[sides[1]], assume_unique=True, return_indices=True)
        then, now = sides[0][first], sides[1][second]
        if then.size == 0:  # not even all requests are enough
            empty = GroupSums.of([], [], [])
            return Lattice(codes[:0], sizes, empty, empty, empty, empty)
        sums = [GroupSums.of(*(found[name].to_numpy(dtype="float64")[at] for name in _SUMS)) for at in (then, now)]
        parts = [(GroupSums(*(part[1:] for part in each)), GroupSums(*(part[:1] for part in each))) for each in sums]
        (reference, whole_reference), (current, whole_current) = parts
        return Lattice(codes[then[1:]], sizes, reference, current, whole_reference, whole_current)


_SUMS = ("n", "total", "square")


def _column(name: str) -> Any:
    import sqlglot as sg

    return sg.column(name, quoted=True)


def _names(columns: Iterable[int], *, grouped: Collection[int] | None = None) -> list[Any]:
    """The keys of conjunctions; those that are not `grouped` by are NULL, as a code never is."""
    import sqlglot.expressions as sge

    names = [_column("population")]
    for at in columns:
        free = grouped is not None and at not in grouped
        names.append(
            sge.alias_(sge.cast(sge.Null(), "smallint"), f"c_{at}", quoted=True) if free else _column(f"c_{at}")
        )
    return names


def _sums() -> list[Any]:
    import sqlglot.expressions as sge

    loss = _column("loss")
    parts = (sge.Count(this=sge.Star()), sge.Sum(this=loss.copy()), sge.Sum(this=loss * loss))
    return [sge.alias_(part, name, quoted=True) for part, name in zip(parts, _SUMS, strict=True)]


def _of_days(days: Collection[str] | None) -> Any:
    """A query over the coded requests of some days, of which nothing is selected yet."""
    import sqlglot as sg
    import sqlglot.expressions as sge

    rows = sg.select().from_(_CODED)
    if days is None:
        return rows
    return rows.where(sge.In(this=_column("day"), expressions=[sge.convert(day) for day in sorted(days)]))


def _where_enough(groups: Any, fewest: int) -> Any:
    import sqlglot as sg
    import sqlglot.expressions as sge

    enough = sge.GTE(this=_column("n"), expression=sge.convert(fewest))
    return sg.select("*").from_(groups.subquery("groups_of", copy=False), copy=False).where(enough, copy=False)


def weigh_codes(sizes: Sequence[int]) -> NDArray[Any]:
    """What to multiply each column's code, less `FREE`, with to make one whole number of a conjunction.

    The conjunction of nothing, which is all requests, has the number 0.

    >>> weigh_codes((2, 9)).tolist()
    [10, 1]
    """
    import numpy as np

    digits = [size + 1 for size in sizes]
    if math.prod(digits) >= 2**63:
        raise ArgumentError(f"the codings have {math.prod(digits)} combinations of values, must be fewer than 2**63")
    return np.asarray([math.prod(digits[at + 1 :]) for at in range(len(digits))], dtype=np.int64)


def _ranges(edges: Sequence[float]) -> list[str]:
    """The ranges between edges in words; where one holds a single value, which is how a spike is told apart, that.

    >>> _ranges((just_below(0.0), 0.0, 2.5))
    ['below 0', '0', '0 to 2.5', 'above 2.5']
    """
    names: list[str] = []
    for at, edge in enumerate(edges):
        before = edges[at - 1] if at else None
        spike = edges[at + 1] if at + 1 < len(edges) and just_below(edges[at + 1]) == edge else None
        if before is not None and just_below(edge) == before:
            names.append(f"{edge:.6g}")
        elif before is None:
            names.append(f"up to {edge:.6g}" if spike is None else f"below {spike:.6g}")
        else:
            names.append(f"{before:.6g} to {edge if spike is None else spike:.6g}")
    return [*names, f"above {edges[-1]:.6g}"]
