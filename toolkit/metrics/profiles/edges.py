"""Where the cells of a column lie: laid down by the reference alone, and kept with all that is counted on them.

No later value can move an edge, so none can hide a change; the outer bins are open, so none is dropped either.

A number has bins between quantiles of the reference, each closed on the right. Where one value alone is a bin's worth
of them (zeros, caps), it is a bin of its own. Few different numbers, texts and truths have a cell per value. Which
texts have one is not left to chance, see `kept_values`; the others of the reference are counted together.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self

from toolkit.digests import digest_value
from toolkit.metrics.profiles.scale import SHARES, middle, quantile, quantile_of_counts, scale_of, shares_needed

Kind = Literal["number", "discrete", "category", "presence"]
"""`presence`: only whether there is a value, for types of which no more is counted, such as instants and lists."""

BINS = 20
OTHER = "other"
"""The cell of the values that the reference has and that have no cell of their own."""

MOST_DISCRETE = 20
"""A number with at most so many different values has a cell for each."""

MOST_VALUES = 100
"""Texts with a cell of their own."""

MOST_KNOWN = 100_000
"""Texts of a reference that are remembered by name; where there are more, an unseen one is not told from the rest."""

_EACH_OFTEN = 5
"""Rows for each of few numbers, on average, from which on their being few is no matter of a small reference."""


class Counted(NamedTuple):
    """What counting values gives, in the order of the fields of `ColumnCounts`."""

    counts: tuple[int, ...]
    unseen: int
    missing: int
    least: float | None
    most: float | None


@dataclass(frozen=True)
class ColumnEdges:
    """The cells of one column.

    Attributes
    ----------
    type: of the column in the reference: number, text, boolean, instant, or another as Ibis names it.
    n: values that the reference has.
    edges: of numbers in bins: the inner edges, ascending; bin i holds `edges[i-1] < x <= edges[i]`.
    values: of the others: the values with a cell of their own, the most frequent first.
    tail: the other values of the reference, sorted; () when there are more than can be named (`knows_all` is False).
    tail_size: how many those are.
    novelty: the share of values that one expects never to have been seen before, though nothing changed: that of the
        values which the reference has only once (Good 1953, Biometrika 40:237).
    scale: a standard deviation's worth of the column's own unit, from quantiles; None where there is none.
    scale_text: what the scale is made of, or why there is none.
    low, median, high: the 0.01, 0.5 and 0.99 quantile of the reference, None without numbers.
    """

    column: str
    kind: Kind
    type: str = "unknown"
    n: int = 0
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    tail_size: int = 0
    novelty: float = 0.0
    scale: float | None = None
    scale_text: str = ""
    low: float | None = None
    median: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, column: str, values: Iterable[Any], *, bins: int = BINS) -> Self:
        """The edges that a reference of these values lays down; None and NaN are missing.

        >>> ColumnEdges.of("late", [False, True, False, None]).values
        ('false', 'true')
        >>> ColumnEdges.of("delay", [0.0] * 8 + [1.5, 2.5, 4.0, 7.0], bins=4).cells
        ('x < 0', '0', '0 < x <= 1.75', 'x > 1.75')
        """
        given = present(values)
        if all(isinstance(each, str) for each in given):
            return cls.of_texts(column, Counter(given), dtype="text" if given else "unknown")
        if all(isinstance(each, bool) for each in given):
            return cls.of_texts(column, Counter(map(value_text, given)), dtype="boolean")
        numbers = sorted(float(each) for each in given)
        counted = Counter(numbers)
        if is_discrete(len(counted), len(numbers)):
            return cls.of_numbers(column, counted)
        quantiles = {share: quantile(numbers, share) for share in shares_needed(bins)}
        return cls.of_quantiles(column, quantiles, n=len(numbers), bins=bins)

    @classmethod
    def of_texts(
        cls, column: str, counted: Mapping[str, int], *, dtype: str, more: tuple[int, int, int] = (0, 0, 0)
    ) -> Self:
        """From the number of rows of each text; `more`: what is not named: texts, those of one row, rows."""
        ranked = sorted(counted, key=lambda text: (-counted[text], text))
        n = sum(counted.values()) + more[2]
        kept = kept_values([counted[text] for text in ranked], n)
        named = () if more[0] else tuple(sorted(ranked[kept:]))
        singles = sum(rows == 1 for rows in counted.values()) + more[1]
        return cls(
            column,
            "category",
            dtype,
            n,
            values=tuple(ranked[:kept]),
            tail=named,
            tail_size=len(ranked) - kept + more[0],
            novelty=singles / n if n else 0.0,
        )

    @classmethod
    def of_numbers(cls, column: str, counted: Mapping[float, int]) -> Self:
        """From the number of rows of each of few numbers."""
        ranked = sorted(counted, key=lambda number: (-counted[number], number))
        quantiles = {share: quantile_of_counts(counted, share) for share in SHARES}
        n = sum(counted.values())
        scale, text = scale_of(quantiles)
        return cls(
            column,
            "discrete",
            "number",
            n,
            values=tuple(map(value_text, ranked)),
            novelty=sum(rows == 1 for rows in counted.values()) / n if n else 0.0,
            scale=scale,
            scale_text=text,
            **middle(quantiles),
        )

    @classmethod
    def of_quantiles(cls, column: str, quantiles: Mapping[float, float | None], *, n: int, bins: int = BINS) -> Self:
        """From the quantiles of `shares_needed`, all None without any value."""
        found = [quantiles[number / bins] for number in range(1, bins)]
        scale, text = scale_of(quantiles)
        return cls(
            column,
            "number",
            "number",
            n,
            edges=inner_edges([each for each in found if each is not None]),
            scale=scale,
            scale_text=text,
            **middle(quantiles),
        )

    @property
    def size(self) -> int:
        """How many cells there are, `other` included; unseen and missing values have theirs beside them."""
        if self.kind == "number":
            return len(self.edges) + 1
        return 1 if self.kind == "presence" else len(self.values) + self.has_tail

    @property
    def has_tail(self) -> bool:
        """Whether the last cell is that of other values."""
        return self.tail_size > 0

    @property
    def is_open(self) -> bool:
        """Whether every value has a cell, so that none is unseen."""
        return self.kind in {"number", "presence"}

    @property
    def knows_all(self) -> bool:
        """Whether an unseen value is told from one of the tail."""
        return len(self.tail) == self.tail_size

    @property
    def is_constant(self) -> bool:
        """Whether the reference has one single value: that of a number is no bin, see `is_discrete`."""
        return len(self.values) + self.tail_size == 1

    @property
    def is_constant_number(self) -> bool:
        """Whether that value is a number, so that a change of it has a size."""
        return self.is_constant and self.kind != "category"

    @property
    def point_masses(self) -> tuple[float, ...]:
        """The edges that are the only value of their bin."""
        pairs = zip(self.edges, self.edges[1:], strict=False)
        return tuple(edge for before, edge in pairs if before == just_below(edge))

    @property
    def cells(self) -> tuple[str, ...]:
        """What each cell holds, in words."""
        if self.kind == "presence":
            return ("any value",)
        if self.kind != "number":
            return (*self.values, OTHER) if self.has_tail else self.values
        if not self.edges:
            return ("any value",)
        names, points = [], set(self.point_masses)
        below: float | None = None
        for edge in self.edges:
            following = next((point for point in points if just_below(point) == edge), None)
            high = f"x < {following:.6g}" if following is not None else f"x <= {edge:.6g}"
            if edge in points:
                names.append(f"{edge:.6g}")
            else:
                names.append(high if below is None else f"{below:.6g} < {high}")
            below = edge
        return (*names, f"x > {self.edges[-1]:.6g}")

    @cached_property
    def digest(self) -> str:
        """The digest of all that says where the cells lie and what the reference was like."""
        return digest_value({name: _exact(value) for name, value in self.to_dict().items()})

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        return cls(**fields)

    def count(self, values: Iterable[Any]) -> Counted:
        """Count values by cell; None and NaN are missing."""
        everything = list(values)
        given = present(everything)
        missing = len(everything) - len(given)
        if self.kind == "presence":
            return Counted((len(given),), 0, missing, None, None)
        numbers = [float(each) for each in given] if self.is_constant_number else []
        ends = (min(numbers, default=None), max(numbers, default=None))
        if self.kind == "number":
            return Counted(self._in_bins(given), 0, missing, *ends)
        places = {value: place for place, value in enumerate(self.values)} | dict.fromkeys(self.tail, len(self.values))
        found = Counter(places.get(value_text(each), self.place_of_unknown) for each in given)
        counts = tuple(found.get(place, 0) for place in range(self.size))
        return Counted(counts, found.get(-1, 0), missing, *ends)

    @property
    def place_of_unknown(self) -> int:
        """The cell of a value that is not known by name; -1 for none: it is unseen."""
        return -1 if self.knows_all else len(self.values)

    def _in_bins(self, given: Sequence[Any]) -> tuple[int, ...]:
        import numpy as np

        places = np.searchsorted(np.asarray(self.edges), np.asarray(given, dtype="float64"), side="left")
        return tuple(np.bincount(places, minlength=self.size).tolist())


def kept_values(rows: Sequence[int], n: int) -> int:
    """How many of the most frequent values have a cell of their own, from their rows, descending; all when few.

    The most frequent of many equally frequent values are so by chance, and will not be next time: a difference that
    nothing made. Where `within` values lie within one standard deviation of a cut, having chosen by it adds about
    within / 16 to the chi-square of the kept ones and their rest. A cut may add a tenth of that sum's own deviation.

    >>> kept_values([90, 70, 60], 220), kept_values([12] * 5_000, 60_000)
    (3, 0)
    """
    if len(rows) <= MOST_VALUES:
        return len(rows)
    ascending = rows[::-1]
    rest = n - sum(rows[:MOST_VALUES])
    for kept in range(MOST_VALUES, 0, -1):
        cut = (rows[kept - 1] + rows[kept]) / 2
        reach = math.sqrt(cut)
        within = bisect_left(ascending, cut + reach) - bisect_left(ascending, cut - reach)
        if rows[kept - 1] > rows[kept]:
            added = within / 16 + (within * reach / 4) ** 2 / (2 * rest)
            if added <= math.sqrt(2 * kept) / 10:
                return kept
        rest += rows[kept - 1]
    return 0


def is_discrete(distinct: int, n: int) -> bool:
    """Whether so many different numbers among `n` values are few, so that each has a cell."""
    return distinct == 1 or (0 < distinct <= MOST_DISCRETE and distinct * _EACH_OFTEN <= n)


def inner_edges(quantiles: Sequence[float]) -> tuple[float, ...]:
    """Edges from ascending quantiles; a value that is several of them gets a bin of its own.

    >>> inner_edges([1.0, 2.0, 5.0])
    (1.0, 2.0, 5.0)
    >>> inner_edges([0.0, 0.0, 5.0])
    (-2.2250738585072014e-308, 0.0, 5.0)
    """
    repeated = {each for each, times in Counter(quantiles).items() if times > 1}
    edges = {*quantiles, *(just_below(each) for each in repeated)}
    return tuple(sorted(edge + 0.0 for edge in edges if math.isfinite(edge)))


def just_below(value: float) -> float:
    """The next smaller number, of those that every engine can read."""
    below = math.nextafter(value, -math.inf)
    return -sys.float_info.min if -sys.float_info.min < below < sys.float_info.min else below


def present(values: Iterable[Any]) -> list[Any]:
    """The values that are there, as Python's own: neither None nor NaN nor what stands for them in a table."""
    plain = (value.item() if hasattr(value, "item") else value for value in values)
    # What is missing in a table equals nothing, itself included, or does not say.
    return [value for value in plain if value is not None and (value == value) is True]  # noqa: PLR0124 - as said


def value_text(value: Any) -> str:
    """A value as the name of its cell: the same text on every engine.

    >>> value_text(3.0), value_text(0.1), value_text(True), value_text("a")
    ('3', '0.1', 'true', 'a')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        number = float(value) + 0.0
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
    return str(value)


def _exact(value: Any) -> Any:
    """Floats as the text that gives them back."""
    if isinstance(value, float):
        return repr(value)
    return [_exact(each) for each in value] if isinstance(value, list) else value
