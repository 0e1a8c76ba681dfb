"""Classes of equal mass without a sort: requests are added up in slices of the scale, and an edge divides one of them.

A slice is a 512th of an octave of scores: those whose keys have the same highest bits. How many requests are in each
tells in which slice a class begins; only the requests of those slices are put in order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from toolkit.metrics.classes import POSITIVES, Asked, Classes, addends, in_mass

_BITS, _OCTAVES = 9, 17
_SHIFT = 53 - _BITS
_LOWEST = (1024 - _OCTAVES) << _BITS

SLICES = _OCTAVES << _BITS
"""From 2 down to 2⁻¹⁶; the lowest holds whatever is below that, too."""

_PART_KEYS = 16_384
"""Keys to work on at once: few enough for what is made of them to stay in a processor's cache."""


def sliced_classes(cells: Sequence[Any], asked: Asked) -> Classes:
    """The classes of a large scope, whose keys are given by cell, with sums that need no rank."""
    import numpy as np

    by_slice = [_added(keys, _slice_of, SLICES, asked.sums) for keys in cells]
    counts = np.sum([sums["n"] for sums in by_slice], axis=0)
    begins = asked.mass_classes[1:]  # the first begins with the lowest score
    divided = _divided(counts, begins)
    is_divided = np.isin(np.arange(SLICES), divided)
    rows = [_in_divided(is_divided, keys) for keys in cells]
    below = _below(np.sort(np.concatenate(rows)), counts, divided, begins)

    def class_of(keys: Any) -> Any:
        return np.searchsorted(below, keys)

    class_of_slice, places = class_of(_highest_key(np.arange(SLICES))), asked.mass_classes.size
    by_class = [_added(keys, class_of, places, asked.sums) for keys in rows]
    table = {
        name: np.stack(
            [
                np.bincount(class_of_slice, np.where(is_divided, 0.0, of_slice[name]), places) + of_class[name]
                for of_slice, of_class in zip(by_slice, by_class, strict=True)
            ]
        )
        for name in ("n", *asked.sums)
    }
    cell, place = np.nonzero(table["n"])
    sums = {name: each[cell, place] for name, each in table.items()}
    return Classes(len(cells), cell, place, sums | {"mass_class": asked.mass_classes[place]})


def _divided(counts: Any, begins: Any) -> Any:
    """In which slice each class begins, or else at the end of which: by what the ranks in a slice can be."""
    import numpy as np

    starts, size = np.cumsum(counts) - counts, counts.sum()
    return np.searchsorted(in_mass(starts, starts + 1, size), begins) - 1


def _below(rows: Any, counts: Any, divided: Any, begins: Any) -> Any:
    """The highest key that each class is above, by the sorted keys of the slices that they divide."""
    import numpy as np

    firsts = np.flatnonzero(np.diff(rows >> 1, prepend=-1))
    lowest = rows[firsts] & ~1
    slice_of_score = _slice_of(lowest)
    own = np.zeros_like(counts)
    own[divided] = counts[divided]
    elsewhere = np.cumsum(counts - own)[slice_of_score]
    ends = np.append(firsts[1:], rows.size)
    reached = np.searchsorted(in_mass(firsts + elsewhere, ends + elsewhere, counts.sum()), begins)
    at = np.minimum(reached, lowest.size - 1)
    inside = (reached < lowest.size) & (slice_of_score[at] == divided)
    return np.where(inside, lowest[at] - 1, _highest_key(divided))


def _slice_of(keys: Any) -> Any:
    import numpy as np

    return np.maximum((keys >> _SHIFT) - _LOWEST, 0)


def _highest_key(of_slice: Any) -> Any:
    """The highest key that a slice could have; that of the highest slice is the highest whole number of 64 bits."""
    return ((of_slice + (_LOWEST + 1)) << _SHIFT) - 1


def _added(keys: Any, place_of: Callable[[Any], Any], places: int, names: Collection[str]) -> dict[str, Any]:
    """By place how many keys are there, as n, and what they add to the sums of these names."""
    import numpy as np

    by_label = np.zeros(2 * places, dtype=np.int64)
    sums = {name: np.zeros(places) for name in names if name not in POSITIVES}
    for part in _parts(keys):
        place = place_of(part)
        by_label += np.bincount(place << 1 | part & 1, minlength=2 * places)
        for name, values in addends(part, sums).items():
            sums[name] += np.bincount(place, values, places)
    negatives, positives = by_label.reshape(places, 2).T
    return {"n": negatives + positives} | {name: sums.get(name, positives) for name in names}


def _in_divided(is_divided: Any, keys: Any) -> Any:
    """Those of the keys whose slice is divided."""
    import numpy as np

    return np.concatenate([part[is_divided[_slice_of(part)]] for part in _parts(keys)])


def _parts(keys: Any) -> Iterator[Any]:
    return (keys[start : start + _PART_KEYS] for start in range(0, keys.size, _PART_KEYS))
