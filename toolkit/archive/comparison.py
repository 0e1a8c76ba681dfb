"""Two reports beside each other, as values: which row is which, and what both were made of.

Rows are matched by record, key, segment, comparison and statistic. Reports of two instants speak of two windows, so
rows that have one window on each side are matched whatever it is; where a side has several, only the same window
matches. Rows that share all of that, such as a verdict's reasons, are matched by equal values first, then in order.
What counts as the same is in `toolkit.archive.changes`.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

from toolkit.archive.changes import KINDS, THRESHOLDS, VERDICTS, Kind, Row, RowChange, Tolerance, classify

SCHEMA_VERSION = 1
"""Of a comparison's JSON document; a change of a key's name or meaning raises it."""

IDENTITY = ("record", "key", "segment", "comparison", "statistic")
"""The fields that say which row is which."""

_PLACE = IDENTITY[:-1]
_BESIDE = ("window", "value", "ci_lower", "ci_upper", "p_value", "n", "unit", "method", "status", "reason")

T = TypeVar("T")


@dataclass(frozen=True)
class Side:
    """One of the two reports: how it is called, when it was published, and the instant it speaks of."""

    name: str
    published: str = ""
    as_of: str = ""


@dataclass(frozen=True)
class Difference:
    """One thing that both were made of, where they differ; None: not there."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Part:
    """One kind of input: what differs in it, and how much is the same."""

    name: str
    differences: tuple[Difference, ...]
    same: int


@dataclass(frozen=True)
class Figure:
    """A figure by its file's path, and its digest in each report; None where it is not there."""

    path: str
    before: str | None
    after: str | None

    @property
    def state(self) -> str:
        """`same` to the byte, `different`, `appeared` or `vanished`."""
        if self.before is None or self.after is None:
            return "appeared" if self.before is None else "vanished"
        return "same" if self.before == self.after else "different"


@dataclass(frozen=True)
class Comparison:
    """Two reports beside each other.

    Attributes
    ----------
    notes: what one should know before one reads on, such as that they are of two templates.
    parts: what both were made of.
    rows: every row of both, each once, in the order in which a reviewer should see them.
    """

    before: Side
    after: Side
    notes: tuple[str, ...]
    parts: tuple[Part, ...]
    rows: tuple[RowChange, ...]
    figures: tuple[Figure, ...]
    tolerance: Tolerance

    @property
    def counts(self) -> dict[Kind, int]:
        """How many rows there are of each kind, in the order of `KINDS`."""
        counted = Counter(change.kind for change in self.rows)
        return {kind: counted[kind] for kind in KINDS}

    @property
    def changed(self) -> tuple[RowChange, ...]:
        """The rows that are not the same."""
        return tuple(change for change in self.rows if change.kind != "same")

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON types, with every row."""
        return {
            "schema_version": SCHEMA_VERSION,
            "before": vars(self.before),
            "after": vars(self.after),
            "notes": list(self.notes),
            "tolerance": vars(self.tolerance),
            "inputs": {
                part.name: {"same": part.same, "differences": [vars(each) for each in part.differences]}
                for part in self.parts
            },
            "counts": self.counts,
            "rows": [_row_document(change) for change in self.rows],
            "figures": [{**vars(figure), "state": figure.state} for figure in self.figures],
        }


def _row_document(change: RowChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "why": list(change.why),
        **{name: change.row.get(name, "") for name in IDENTITY},
        "before": change.before and {name: change.before.get(name) for name in _BESIDE},
        "after": change.after and {name: change.after.get(name) for name in _BESIDE},
        "absolute": change.absolute,
        "relative": change.relative,
    }


def compare_rows(before: Sequence[Row], after: Sequence[Row], tolerance: Tolerance) -> tuple[RowChange, ...]:
    """Every row of both sides, each once: what became of it, in the order in which a reviewer should see them.

    >>> rows = [{"record": "r", "key": "brier", "statistic": "change", "value": 0.1, "window": "May"}]
    >>> [change.kind for change in compare_rows(rows, [{**rows[0], "value": -0.1, "window": "June"}], Tolerance())]
    ['flipped_sign']
    """
    pairs = pair_up(before, after, [_identity, _window], alike=lambda row: repr(row.get("value")))
    limits_before, limits_after = _thresholds(before), _thresholds(after)

    def judge(old: Row | None, new: Row | None) -> RowChange:
        return classify(
            old,
            new,
            tolerance,
            limits_before.get(_place(old), ()) if old else (),
            limits_after.get(_place(new), ()) if new else (),
        )

    changes = [judge(old, new) for old, new in pairs]
    order = {kind: number for number, kind in enumerate(KINDS)}
    return tuple(sorted(changes, key=lambda change: (order[change.kind], *_urgency(change))))


def _urgency(change: RowChange) -> tuple[float, ...]:
    """Among rows of one kind: verdicts first, then what is about everything, then what has an interval; moves by size.

    Otherwise the reports' own order stays: it is the one in which they should be read.
    """
    row = change.row
    if change.kind == "moved":
        size = abs(change.relative) if change.relative is not None else float("inf") if change.absolute else 0.0
        return (-size,)
    verdict = VERDICTS.index(row["statistic"]) if row.get("statistic") in VERDICTS else len(VERDICTS)
    bounded = row.get("ci_lower") is not None or row.get("ci_upper") is not None
    return verdict, bool(row.get("segment")), not bounded


def _identity(row: Row) -> Hashable:
    return tuple(row.get(name, "") for name in IDENTITY)


def _place(row: Row) -> Hashable:
    return (*(row.get(name, "") for name in _PLACE), row.get("window", ""))


def _window(row: Row) -> Hashable:
    return str(row.get("window", ""))


def _thresholds(rows: Sequence[Row]) -> dict[Hashable, list[Row]]:
    found: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        if row.get("statistic") in THRESHOLDS:
            found[_place(row)].append(row)
    return found


def pair_up(
    before: Sequence[T], after: Sequence[T], keys: Sequence[Callable[[T], Hashable]], *, alike: Callable[[T], Hashable]
) -> Iterator[tuple[T | None, T | None]]:
    """Each item of both sides once, beside its counterpart or None.

    Items match when they agree on the first key; where a side has several that differ in the keys behind it, only when
    they agree on the next one too. Those left that agree on all of them match by `alike` first, then in order.
    """
    first, rest = keys[0], keys[1:]
    groups: dict[Hashable, tuple[list[T], list[T]]] = {}
    for side, items in enumerate((before, after)):
        for item in items:
            groups.setdefault(first(item), ([], []))[side].append(item)
    for old, new in groups.values():
        if any(len({tuple(key(item) for key in rest) for item in items}) > 1 for items in (old, new)):
            yield from pair_up(old, new, rest, alike=alike)
        else:
            yield from _pair_in_order(old, new, alike)


def _pair_in_order(
    before: list[T], after: list[T], alike: Callable[[T], Hashable]
) -> Iterator[tuple[T | None, T | None]]:
    if len(before) == len(after) == 1:
        yield before[0], after[0]
        return
    spare: dict[Hashable, deque[int]] = defaultdict(deque)
    for place, item in enumerate(after):
        spare[alike(item)].append(place)
    left, taken = [], set()
    for item in before:
        if places := spare[alike(item)]:
            taken.add(places[0])
            yield item, after[places.popleft()]
        else:
            left.append(item)
    yield from zip_longest(left, (item for place, item in enumerate(after) if place not in taken))
