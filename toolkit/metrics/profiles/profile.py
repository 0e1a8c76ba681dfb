"""Counts of columns in the cells that a reference laid down: they add up, over days, over segments and over files.

Whatever is asked of a window afterwards (another threshold, another reference, the same weekdays only) is a sum of
these small rows, and no event is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from toolkit.digests import digest_value
from toolkit.errors import ArgumentError
from toolkit.metrics.profiles.edges import ColumnEdges

SEVERAL_TYPES = " or "
"""Between the types of a column that was not the same on all days."""


@dataclass(frozen=True)
class ColumnCounts:
    """How many values of one column fell into each cell of its edges.

    Attributes
    ----------
    counts: one per cell, see `ColumnEdges.cells`.
    unseen: values that the reference did not have; 0 for numbers in bins, whose outer bins are open.
    missing: rows without a value, NaN included.
    least, most: the smallest and the largest value, kept only where the reference had one single number.
    """

    edges: ColumnEdges
    counts: tuple[int, ...]
    unseen: int = 0
    missing: int = 0
    least: float | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        if len(self.counts) != self.edges.size:
            raise ArgumentError(
                f"{len(self.counts)} counts for column {self.edges.column!r}, whose edges make {self.edges.size} cells"
            )

    @classmethod
    def of(cls, edges: ColumnEdges, values: Iterable[Any]) -> Self:
        """Count some values; None and NaN are missing.

        >>> edges = ColumnEdges.of("colour", ["red", "red", "blue"])
        >>> counts = ColumnCounts.of(edges, ["blue", "green", None, "blue"])
        >>> edges.values, counts.counts, counts.unseen, counts.missing
        (('red', 'blue'), (0, 2), 1, 1)
        """
        return cls(edges, *edges.count(values))

    @property
    def n(self) -> int:
        """Values that are there."""
        return sum(self.counts) + self.unseen

    @property
    def total(self) -> int:
        """Rows, with a value or without."""
        return self.n + self.missing

    @property
    def comparable(self) -> tuple[int, ...]:
        """The counts in which two sides of one population agree but for chance: they add up to `n`.

        Where a tail has a cell of its own, unseen values belong to it: which values of a long tail turn up is chance.
        Elsewhere values that the reference did not have are a last cell of their own.
        """
        if self.edges.has_tail:
            return (*self.counts[:-1], self.counts[-1] + self.unseen)
        return self.counts if self.edges.is_open else (*self.counts, self.unseen)

    def __add__(self, other: ColumnCounts) -> ColumnCounts:
        """The counts of both; raises `ArgumentError` unless they are of the same edges."""
        if self.edges is not other.edges and self.edges.digest != other.edges.digest:
            raise ArgumentError(
                f"counts of columns {self.edges.column!r} and {other.edges.column!r} have other edges and do not add up"
            )
        return ColumnCounts(
            self.edges,
            tuple(own + more for own, more in zip(self.counts, other.counts, strict=True)),
            self.unseen + other.unseen,
            self.missing + other.missing,
            min((each for each in (self.least, other.least) if each is not None), default=None),
            max((each for each in (self.most, other.most) if each is not None), default=None),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON types; of the edges only the digest."""
        found: dict[str, Any] = {
            "edges": self.edges.digest,
            "counts": list(self.counts),
            "unseen": self.unseen,
            "missing": self.missing,
        }
        return found if self.least is None else found | {"least": self.least, "most": self.most}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], edges: ColumnEdges) -> Self:
        """What `to_dict` wrote. Raises `ArgumentError` when it was counted on other edges."""
        if stored["edges"] != edges.digest:
            raise ArgumentError(f"the stored counts of column {edges.column!r} were made with other edges than these")
        return cls(
            edges,
            tuple(stored["counts"]),
            stored["unseen"],
            stored["missing"],
            stored.get("least"),
            stored.get("most"),
        )


@dataclass(frozen=True)
class Profile:
    """The counts of the columns of some requests.

    Attributes
    ----------
    rows: requests.
    columns: by name; a column that was not there has none, and one that was there on some days counts their rows only.
    types: what each column was then: number, text, boolean, instant, or another as Ibis names it; several, joined by
        `SEVERAL_TYPES`, where it changed.
    """

    rows: int
    columns: Mapping[str, ColumnCounts]
    types: Mapping[str, str]

    @classmethod
    def of(cls, edges: Mapping[str, ColumnEdges], table: Mapping[str, Iterable[Any]]) -> Self:
        """The profile of columns given as values; those without edges and those that are not there are left out."""
        columns = {name: ColumnCounts.of(edges[name], values) for name, values in table.items() if name in edges}
        rows = max((counts.total for counts in columns.values()), default=0)
        return cls(rows, columns, {name: edges[name].type for name in columns})

    @classmethod
    def empty(cls) -> Self:
        """The profile of no requests: adding it changes nothing."""
        return cls(0, {}, {})

    def __add__(self, other: Profile) -> Profile:
        """The profile of both; raises `ArgumentError` where a column's edges differ."""
        columns = dict(self.columns)
        for name, counts in other.columns.items():
            columns[name] = columns[name] + counts if name in columns else counts
        types = dict(self.types)
        for name, dtype in other.types.items():
            types[name] = _both(types[name], dtype) if name in types else dtype
        return Profile(
            self.rows + other.rows,
            {name: columns[name] for name in sorted(columns)},
            {name: types[name] for name in sorted(types)},
        )

    @classmethod
    def sum(cls, profiles: Iterable[Profile]) -> Profile:
        """The profile of all of them; that of no requests when there are none."""
        total: Profile = cls.empty()
        for profile in profiles:
            total = total + profile
        return total

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "rows": self.rows,
            "columns": {name: counts.to_dict() for name, counts in sorted(self.columns.items())},
            "types": dict(sorted(self.types.items())),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], edges: Mapping[str, ColumnEdges]) -> Self:
        """What `to_dict` wrote. Raises `ArgumentError` when a column was counted on other edges."""
        columns = {name: ColumnCounts.from_dict(counts, edges[name]) for name, counts in stored["columns"].items()}
        return cls(stored["rows"], columns, stored["types"])

    @cached_property
    def digest(self) -> str:
        """The digest of all its counts and of the edges behind them."""
        stored = self.to_dict()
        for counts in stored["columns"].values():
            counts |= {end: repr(counts[end]) for end in ("least", "most") if end in counts}
        return digest_value(stored)


def _both(one: str, other: str) -> str:
    if one == other:
        return one
    return SEVERAL_TYPES.join(sorted({*one.split(SEVERAL_TYPES), *other.split(SEVERAL_TYPES)}))
