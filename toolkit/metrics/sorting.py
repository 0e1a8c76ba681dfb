"""Order outside the engine: the embedded one hands its scores over, and numpy sorts them in a third of the time.

The engine works in this process, filters and joins, and hands over batches. A score between 0 and 2 and a label of 0 or
1 are one whole number together, which sorts like the score. What comes of it are the classes of ranks of `ranking`,
which other engines make by windows; so does the embedded one of more than `MOST_ROWS` requests, because it can spill.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from toolkit.data.batches import BATCH_ROWS, read_batches
from toolkit.metrics.kinds import CELL, MISSING, RankKind, Within
from toolkit.metrics.ranking import CLASSES, EXACT, Grain, labelled

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST_ROWS = 16_777_216
"""Requests that are sorted here: 128 MiB of them and half as much for each key that varies, meanwhile 900 MiB more."""


class Classes(NamedTuple):
    """Sums over the requests of one scope, an entry for each of its cells and each class that the cell has.

    Attributes
    ----------
    size, cells: requests of the scope, and how many cells it has.
    cell, place: of the entry, from 0; entries are in this order, and places in that of the scores.
    sums: by name, as in `ranking.rank_classes`; besides the twice_top of each entry.
    """

    size: int
    cells: int
    cell: Any
    place: Any
    sums: Mapping[str, Any]


class ClassKind(RankKind):
    """The kinds that are made of classes of ranks, wherever those were made."""

    @property
    def class_sums(self) -> Sequence[str]:
        """Which sums of `Classes` it is made of, besides n; none when it is not made of classes after all."""
        raise NotImplementedError

    def of_classes(self, classes: Classes) -> dict[str, Sequence[Any]]:
        """What `branch` brings of the cells of one scope: columns with a value for each cell."""
        raise NotImplementedError


@dataclass(frozen=True)
class Scores:
    """The labelled requests of some populations, to be sorted by any of several segmentations.

    Attributes
    ----------
    keys: of each request twice the bits of its score, and 1 more when its label is 1.
    codes: by name of what varies (population, day, value_<i> of the i-th segmentation) the place in `names` of each.
    grains: of the segmentations, in order.
    """

    keys: Any
    codes: Mapping[str, Any]
    names: Mapping[str, Sequence[str]]
    grains: tuple[Grain, ...]

    @classmethod
    def read(cls, backend: Any, base: ir.Table, splits: Sequence[str]) -> Self | None:
        """Those of `base` that have score and label, from the embedded engine.

        None when they cannot be sorted here: none at all, more than `MOST_ROWS` requests or cells, a label between 0
        and 1, or a score that is no probability by far. That there are too many is seen only on the way: to have
        the engine count them before costs nearly as much as what is then read in vain.
        """
        import numpy as np

        grains = tuple(Grain.of(base, split) for split in splits)
        varying = {_own_name(name, at): key for at, grain in enumerate(grains) for name, key in grain.varying.items()}
        keys: list[Any] = []
        codes: dict[str, list[Any]] = {name: [] for name in varying}
        names: dict[str, dict[str, int]] = {name: {} for name in varying}
        rows = 0
        for batch in read_batches(backend, backend.compile(labelled(base, Grain(varying, {}))), rows=BATCH_ROWS):
            found, rows = _packed(batch), rows + batch.num_rows
            if found is None or rows > MOST_ROWS:
                return None
            keys.append(found)
            for name, known in names.items():
                codes[name].append(_coded(batch.column(name), known))
        if not rows or any(_cells(grain, names, at) > MOST_ROWS for at, grain in enumerate(grains)):
            return None
        of_rows = {name: np.concatenate(codes.pop(name)) for name in varying}  # never all of them twice
        return cls(np.concatenate(keys), of_rows, {name: list(known) for name, known in names.items()}, grains)

    def measure(self, metrics: Mapping[str, ClassKind], *, within: Within) -> dict[str, ir.Table]:
        """By metric what its branches of all segmentations would bring, as one table."""
        import ibis
        import pyarrow as pa

        wanted = {name for metric in metrics.values() for name in metric.class_sums}
        found: dict[str, list[Any]] = {key: [] for key in metrics}
        for at in range(len(self.grains)):
            for cells, rows in self._scopes(at, within):
                classes = classes_of(rows, wanted)
                for key, metric in metrics.items():
                    found[key].append(pa.table(cells | metric.of_classes(classes)))
        return {key: ibis.memtable(pa.concat_tables(parts)) for key, parts in found.items()}

    def _scopes(self, at: int, within: Within) -> Iterator[tuple[dict[str, Any], list[Any]]]:
        """By scope of a segmentation, given by its place, the keys of its cells, and the sorted requests of each."""
        import numpy as np
        import pyarrow as pa

        grain = self.grains[at]
        constant = {key: literal.op().value for key, literal in grain.constant.items()}
        if not grain.keys:
            rows = self.keys.copy() if self.codes else self.keys  # only codes need the order that they came in
            rows.sort()
            yield {key: [constant[key]] for key in CELL}, [rows]
            return
        scope = grain.scope(within)
        varying = [*scope, *(key for key in grain.keys if key not in scope)]
        known = [self.names[_own_name(key, at)] for key in varying]
        widths = [len(names) for names in known]
        filled, of_cell = self._by_cell([self.codes[_own_name(key, at)] for key in varying], widths)
        of_scope = filled // math.prod(widths[len(scope) :])
        for cells in np.split(np.arange(filled.size), np.flatnonzero(np.diff(of_scope)) + 1):
            places = np.unravel_index(filled[cells], widths)
            keys: dict[str, Any] = {
                key: pa.array(names).take(pa.array(place))  # numpy's own texts would lose NULs at their ends
                for key, names, place in zip(varying, known, places, strict=True)
            }
            keys |= {key: [value] * cells.size for key, value in constant.items()}
            for each in cells:
                of_cell[each].sort()
            yield {key: keys[key] for key in CELL}, [of_cell[each] for each in cells]

    def _by_cell(self, codes: list[Any], widths: list[int]) -> tuple[Any, list[Any]]:
        """The cells that have requests, as places in a grid of such widths, and the requests of each."""
        import numpy as np

        # Places of up to 16 bits are ordered by counting, without comparing them.
        cell = np.ravel_multi_index(codes, widths).astype(np.min_scalar_type(math.prod(widths)))
        counts = np.bincount(cell)
        filled = np.flatnonzero(counts)
        return filled, np.split(self.keys[np.argsort(cell, kind="stable")], np.cumsum(counts[filled])[:-1])


def _own_name(key: str, at: int) -> str:
    """What a key of the segmentation at a place is called among those of all."""
    return f"value_{at}" if key == "segment_value" else key


def _cells(grain: Grain, names: Mapping[str, Collection[str]], at: int) -> int:
    """How many cells the segmentation at a place could have."""
    return math.prod(len(names[_own_name(key, at)]) for key in grain.keys)


def _packed(batch: Any) -> Any | None:
    """Score and label of each request as one whole number, or None when one of them does not fit in."""
    import numpy as np

    score, label = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("score", "label"))
    positive = label == 1.0
    if not (((score >= 0.0) & (score < 2.0)).all() and (positive == label).all()):
        return None
    # Of such a float the two highest bits are 0; and 0 is added because -0 has one that is not.
    return ((score + 0.0).view(np.int64) << 1) | positive


def _coded(column: Any, known: dict[str, int]) -> Any:
    """The place of each value of a column in `known`, which learns the texts of those that are new."""
    import numpy as np

    values = column.dictionary_encode(null_encoding="encode")
    texts = values.dictionary.cast("string").fill_null(MISSING).to_pylist()
    own = [known.setdefault(text, len(known)) for text in texts]
    return np.take(np.array(own, dtype=np.int32), values.indices.to_numpy())


# --- classes of ranks ---


def classes_of(cells: Sequence[Any], wanted: Collection[str]) -> Classes:
    """The classes of a scope, whose sorted requests are given by cell, with those sums that are `wanted`."""
    import numpy as np

    every = cells[0] if len(cells) == 1 else np.concatenate(cells)
    if len(cells) > 1:
        every.sort()
    edges = _edges(every)
    lowest = every[edges] & ~1
    parts = [_cell_sums(rows, every, lowest, wanted) for rows in cells]
    place = np.concatenate([part["place"] for part in parts])
    cell = np.repeat(np.arange(len(parts)), [part["place"].size for part in parts])
    sums = {name: np.concatenate([part[name] for part in parts]) for name in ("n", *wanted)}
    ends = np.append(edges[1:], every.size)
    tops = np.searchsorted(every, every[ends - 1] & ~1) + ends
    return Classes(every.size, len(cells), cell, place, sums | {"twice_top": tops[place]})


def _edges(every: Any) -> Any:
    """Where in a scope its classes begin: as in `ranking.rank_classes`, each score's or those of about as many."""
    import numpy as np

    size = every.size
    if size <= EXACT:
        return np.flatnonzero(np.diff(every >> 1, prepend=-1))
    low, high = np.zeros(CLASSES + 1, dtype=np.int64), np.full(CLASSES + 1, size)
    while (low < high).any():
        score = every[np.minimum((low + high) // 2, size - 1)] & ~1
        below, up_to = np.searchsorted(every, score), np.searchsorted(every, score | 1, "right")
        in_many = np.floor((below / (size - 1) + up_to / size) * (CLASSES / 2))
        reached = in_many >= np.arange(CLASSES + 1)
        low, high = np.where(reached, low, up_to), np.where(reached, below, high)
    edges = np.unique(low)
    return edges[edges < size]


def _cell_sums(rows: Any, every: Any, lowest: Any, wanted: Collection[str]) -> dict[str, Any]:
    """The sums of a cell by class: by the lowest score of each, class by class of those that the cell has."""
    import numpy as np

    if rows.size < lowest.size:
        place = np.searchsorted(lowest, rows, "right") - 1
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        place = place[starts]
    else:
        starts = np.searchsorted(rows, lowest)
        place = np.flatnonzero(np.diff(starts, append=rows.size))
        starts = starts[place]
    n = np.diff(starts, append=rows.size)
    found: dict[str, list[Any]] = {name: [] for name in wanted}
    # So many at once that they, too, fit in a processor's cache; what begins a class begins a score.
    firsts = np.unique(np.searchsorted(starts, np.arange(0, rows.size, BATCH_ROWS)))
    for first, end in pairwise([*firsts[firsts < starts.size].tolist(), starts.size]):
        begin = starts[first]
        some = rows[begin : starts[end] if end < starts.size else rows.size]
        for name, values in _addends(some, begin, rows, every, wanted).items():
            found[name].append(np.add.reduceat(values, starts[first:end] - begin))
    return {"place": place, "n": n} | {name: np.concatenate(parts) for name, parts in found.items()}


def _addends(some: Any, begin: int, rows: Any, every: Any, wanted: Collection[str]) -> dict[str, Any]:
    """What each of some sorted requests adds to the `wanted` sums; they are those of `rows` from `begin` on."""
    import numpy as np

    positive = some & 1
    found: dict[str, Any] = {"positives": positive, "label_sum": positive}
    if not found.keys() >= set(wanted):
        score = (some >> 1).view(np.float64)
        found |= {"score_sum": score, "score_square_sum": score * score, "score_label_sum": score * positive}
    if "twice" in wanted:
        if rows is every:
            scores = np.flatnonzero(np.diff(some >> 1, prepend=-1))
            of_score = np.diff(scores, append=some.size)
            twice = np.repeat(2 * (begin + scores) + of_score, of_score)
        else:
            twice = np.searchsorted(every, some & ~1) + np.searchsorted(every, some | 1, "right")
        found |= {"twice": twice, "twice_positives": twice * positive}
    return {name: found[name] for name in wanted}
