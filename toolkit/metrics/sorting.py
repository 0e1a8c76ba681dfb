"""Order outside the engine: the embedded one hands its scores over, and numpy sorts them in a third of the time.

The engine works in this process, filters and joins, and hands over batches. What comes of them are the classes of ranks
of `ranking`, which other engines make by windows; so does the embedded one of more than `MOST_ROWS` requests, because
it can spill.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from toolkit.data.batches import BATCH_ROWS, read_batches
from toolkit.metrics.classes import Asked, Classes, ClassKind, addends, in_mass, packed
from toolkit.metrics.kinds import CELL, MISSING, Within
from toolkit.metrics.ranking import CLASSES, EXACT, Grain, labelled
from toolkit.metrics.slices import SLICES, sliced_classes

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST_ROWS = 16_777_216
"""Requests that are sorted here: 128 MiB of them and half as much for each key that varies, meanwhile 350 MiB more."""

_FIRST_ROOM = 1_048_576
"""Requests that there is room for at first: what is reserved counts where memory is limited, used or not."""


@dataclass(frozen=True)
class Scores:
    """The labelled requests of some populations, to be sorted by any of several segmentations.

    Attributes
    ----------
    keys: of the requests, as `classes` has them.
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
        keys = np.empty(_FIRST_ROOM, dtype=np.int64)
        codes = {name: np.empty(_FIRST_ROOM, dtype=np.int32) for name in varying}
        names: dict[str, dict[str, int]] = {name: {} for name in varying}
        rows = 0
        for batch in read_batches(backend, backend.compile(labelled(base, Grain(varying, {}))), rows=BATCH_ROWS):
            found, those = packed(batch), slice(rows, rows + batch.num_rows)
            if found is None or those.stop > MOST_ROWS:
                return None
            keys = _with_room(keys, those.stop)
            keys[those] = found
            for name, known in names.items():
                codes[name] = _with_room(codes[name], those.stop)
                codes[name][those] = _coded(batch.column(name), known)
            rows = those.stop
        if not rows or any(_cells(grain, names, at) > MOST_ROWS for at, grain in enumerate(grains)):
            return None
        of_rows = {name: code[:rows] for name, code in codes.items()}
        return cls(keys[:rows], of_rows, {name: list(known) for name, known in names.items()}, grains)

    def measure(self, metrics: Mapping[str, ClassKind], *, within: Within) -> dict[str, ir.Table]:
        """By metric what its branches of all segmentations would bring, as one table."""
        import ibis
        import pyarrow as pa

        asked = Asked.by(metrics.values())
        found: dict[str, list[Any]] = {key: [] for key in metrics}
        for at in range(len(self.grains)):
            for cells, keys in self._scopes(at, within):
                classes = classes_of(keys, asked)
                for key, metric in metrics.items():
                    found[key].append(pa.table(cells | metric.of_classes(classes)))
        return {key: ibis.memtable(pa.concat_tables(parts)) for key, parts in found.items()}

    def _scopes(self, at: int, within: Within) -> Iterator[tuple[dict[str, Any], list[Any]]]:
        """By scope of a segmentation, given by its place, the keys of its cells, and those of the requests of each."""
        import numpy as np
        import pyarrow as pa

        grain = self.grains[at]
        constant = {key: literal.op().value for key, literal in grain.constant.items()}
        if not grain.keys:
            keys = self.keys.copy() if self.codes else self.keys  # only codes need the order that they came in
            yield {key: [constant[key]] for key in CELL}, [keys]
            return
        scope = grain.scope(within)
        varying = [*scope, *(key for key in grain.keys if key not in scope)]
        known = [self.names[_own_name(key, at)] for key in varying]
        widths = [len(names) for names in known]
        filled, of_cell = self._by_cell([self.codes[_own_name(key, at)] for key in varying], widths)
        of_scope = filled // math.prod(widths[len(scope) :])
        for cells in np.split(np.arange(filled.size), np.flatnonzero(np.diff(of_scope)) + 1):
            places = np.unravel_index(filled[cells], widths)
            values: dict[str, Any] = {
                key: pa.array(names).take(pa.array(place))  # numpy's own texts would lose NULs at their ends
                for key, names, place in zip(varying, known, places, strict=True)
            }
            values |= {key: [value] * cells.size for key, value in constant.items()}
            yield {key: values[key] for key in CELL}, [of_cell[each] for each in cells]

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


def _with_room(values: Any, rows: int) -> Any:
    """The values, where there is room for so many rows; else a copy of them with more, doubled until there is."""
    import numpy as np

    room = values.size
    while room < rows:
        room *= 2
    if room == values.size:
        return values
    larger = np.empty(room, dtype=values.dtype)
    larger[: values.size] = values
    return larger


def _coded(column: Any, known: dict[str, int]) -> Any:
    """The place of each value of a column in `known`, which learns the texts of those that are new."""
    import numpy as np

    values = column.dictionary_encode(null_encoding="encode")
    texts = values.dictionary.cast("string").fill_null(MISSING).to_pylist()
    own = [known.setdefault(text, len(known)) for text in texts]
    return np.take(np.array(own, dtype=np.int32), values.indices.to_numpy())


# --- classes of ranks ---


def classes_of(cells: Sequence[Any], asked: Asked) -> Classes:
    """The classes of a scope, whose keys are given by cell; those may be put in order on the way."""
    size = sum(keys.size for keys in cells)
    # In more cells the tables by slice would be as large as what is sorted.
    if size > EXACT and "twice" not in asked.sums and len(cells) * SLICES <= size // 4:
        return sliced_classes(cells, asked)
    return sorted_classes(cells, asked)


def sorted_classes(cells: Sequence[Any], asked: Asked) -> Classes:
    """The classes of a scope by a sort of its keys."""
    import numpy as np

    every = cells[0] if len(cells) == 1 else np.concatenate(cells)
    every.sort()
    if len(cells) > 1:
        for keys in cells:
            keys.sort()
    edges, mass_class = _edges(every, asked.mass_classes)
    lowest = every[edges] & ~1
    parts = [_cell_sums(keys, every, lowest, asked.sums) for keys in cells]
    place = np.concatenate([part["place"] for part in parts])
    cell = np.repeat(np.arange(len(parts)), [part["place"].size for part in parts])
    sums = {name: np.concatenate([part[name] for part in parts]) for name in ("n", *asked.sums)}
    return Classes(len(cells), cell, place, sums | {"mass_class": mass_class[place]})


def _edges(every: Any, begins: Any) -> tuple[Any, Any]:
    """Where in a scope its classes begin, each score's or those of equal mass, and which of equal mass each is in."""
    import numpy as np

    size = every.size
    if size <= EXACT:
        edges = np.flatnonzero(np.diff(every >> 1, prepend=-1))
        return edges, CLASSES * (edges + np.append(edges[1:], size)) // (2 * size)
    low, high = np.zeros_like(begins), np.full_like(begins, size)
    while (low < high).any():
        score = every[np.minimum((low + high) // 2, size - 1)] & ~1
        below, up_to = np.searchsorted(every, score), np.searchsorted(every, score | 1, "right")
        reached = in_mass(below, up_to, size) >= begins
        low, high = np.where(reached, low, up_to), np.where(reached, below, high)
    filled = np.flatnonzero(np.diff(low, append=size))
    return low[filled], begins[filled]


def _cell_sums(keys: Any, every: Any, lowest: Any, wanted: Collection[str]) -> dict[str, Any]:
    """The sums of a cell by class: by the lowest score of each, class by class of those that the cell has."""
    import numpy as np

    if keys.size < lowest.size:
        place = np.searchsorted(lowest, keys, "right") - 1
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        place = place[starts]
    else:
        starts = np.searchsorted(keys, lowest)
        place = np.flatnonzero(np.diff(starts, append=keys.size))
        starts = starts[place]
    n = np.diff(starts, append=keys.size)
    found: dict[str, list[Any]] = {name: [] for name in wanted}
    # So many at once that they, too, fit in a processor's cache; what begins a class begins a score.
    firsts = np.unique(np.searchsorted(starts, np.arange(0, keys.size, BATCH_ROWS)))
    for first, end in pairwise([*firsts[firsts < starts.size].tolist(), starts.size]):
        begin = starts[first]
        some = keys[begin : starts[end] if end < starts.size else keys.size]
        values = addends(some, wanted)
        if "twice" in wanted:
            values |= _rank_addends(some, begin, keys, every)
        for name in wanted:
            found[name].append(np.add.reduceat(values[name], starts[first:end] - begin))
    return {"place": place, "n": n} | {name: np.concatenate(parts) for name, parts in found.items()}


def _rank_addends(some: Any, begin: int, keys: Any, every: Any) -> dict[str, Any]:
    """What each of some sorted requests adds to the sums of ranks; they are those of `keys` from `begin` on."""
    import numpy as np

    if keys is every:
        scores = np.flatnonzero(np.diff(some >> 1, prepend=-1))
        of_score = np.diff(scores, append=some.size)
        twice = np.repeat(2 * (begin + scores) + of_score, of_score)
    else:
        twice = np.searchsorted(every, some & ~1) + np.searchsorted(every, some | 1, "right")
    return {"twice": twice, "twice_positives": twice * (some & 1)}
