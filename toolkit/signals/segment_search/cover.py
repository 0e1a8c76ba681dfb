"""Which few of many overlapping segments to list: the strongest, then the strongest in what it leaves, and so on.

One cause shows in many conjunctions: in the segment that it hit, in all that hold it and in all that lie in it. Of
those along one line of conditions the sharpest is kept; of the others each must stand on requests that no segment
before it explains, and share few of its own with any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.metrics.conjunctions import FREE, Lattice, weigh_codes
from toolkit.stats import Contrasts, GroupSums

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_MOST_SHARED = 0.3
"""Two listed segments share less than this of the requests that either has (Jaccard)."""

_LEAST_OWN = 0.5
"""At least this share of a listed segment's requests lies in none that is listed before it."""

_SHARPER = 1.000001
"""A longer conjunction is sharper only if its score is higher by more than rounding: often it holds the same rows."""


def sharpest(lattice: Lattice, scores: NDArray[Any]) -> NDArray[Any]:
    """Which conjunctions have a higher score than all with one condition less, and none lower than with one more.

    A planted cause has its highest score in the very conjunction that it hit: fewer conditions dilute it, more of them
    leave rows out.
    """
    import numpy as np

    weights = weigh_codes(lattice.sizes)
    digits = lattice.codes - FREE
    keys = digits @ weights
    order = np.argsort(keys, kind="stable")
    sharp = np.ones(len(keys), dtype=bool)
    longer = np.zeros(len(keys))
    for column, weight in enumerate(weights):
        has = np.flatnonzero(digits[:, column] > 0)
        parents = keys[has] - digits[has, column] * weight
        at = np.searchsorted(keys, parents, sorter=order)
        at = order[np.minimum(at, len(order) - 1)]
        there = keys[at] == parents  # all but the conjunction of nothing
        child, parent = has[there], at[there]
        sharp[child[scores[child] <= scores[parent] * _SHARPER]] = False
        np.maximum.at(longer, parent, scores[child])
    return sharp & (scores * _SHARPER >= longer)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Requests by the set of candidates that they lie in.

    Attributes
    ----------
    inside: one row per candidate and one column per such set: whether the set has the candidate.
    reference, current: count, sum and sum of squares of the loss by set.
    """

    inside: NDArray[Any]
    reference: GroupSums
    current: GroupSums

    @classmethod
    def of(cls, patterns: pd.DataFrame, candidates: int) -> Overlaps:
        """From what `Conjunctions.patterns` gave for so many segments."""
        import numpy as np

        found = np.unique(patterns["pattern"].to_numpy(dtype="int64"))
        sides = []
        for population in (0, 1):
            rows = patterns[patterns["population"] == population]
            at = np.searchsorted(found, rows["pattern"].to_numpy(dtype="int64"))
            sums = np.zeros((3, found.size))
            for line, name in enumerate(("n", "total", "square")):
                sums[line] = np.bincount(at, weights=rows[name].to_numpy(dtype="float64"), minlength=found.size)
            sides.append(GroupSums.of(*sums))
        inside = (found[None, :] >> np.arange(candidates)[:, None]) & 1 == 1
        return cls(inside, *sides)

    def shared(self, one: int, other: int) -> float:
        """The share of the current requests of either candidate that lie in both (Jaccard)."""
        both = self.inside[one] & self.inside[other]
        either = self.inside[one] | self.inside[other]
        n = float(self.current.n[either].sum())
        return float(self.current.n[both].sum()) / n if n else 0.0

    def left(self, covered: NDArray[Any]) -> tuple[GroupSums, GroupSums, GroupSums, GroupSums]:
        """Each candidate's sums in the requests that are not covered, reference and current; then those of all."""
        free = (~covered).astype("float64")
        each = [
            GroupSums(*(self.inside.astype("float64") @ (part * free) for part in side))
            for side in (self.reference, self.current)
        ]
        whole = [GroupSums.of(*([float(part @ free)] for part in side)) for side in (self.reference, self.current)]
        return each[0], each[1], whole[0], whole[1]


Contrast = Callable[[GroupSums, GroupSums, GroupSums, GroupSums], Contrasts]
"""What candidates are compared by, from the sums that `Overlaps.left` gives."""


def cover(
    overlaps: Overlaps,
    candidates: Sequence[int],
    contrast: Contrast,
    *,
    largest_p: float,
    smallest_value: float,
    most: int,
) -> list[int]:
    """The candidates to list by their places, the strongest first, each judged in what the earlier ones left.

    Parameters
    ----------
    candidates: those that may be listed. largest_p, smallest_value: what the contrast must keep to in what is left.
    most: so many at most.
    """
    import numpy as np

    picks: list[int] = []
    covered = np.zeros(overlaps.inside.shape[1], dtype=bool)
    open_to_pick = list(candidates)
    while open_to_pick and len(picks) < most:
        left = overlaps.left(covered)
        found = contrast(*left)
        own = left[1].n >= _LEAST_OWN * (overlaps.inside @ overlaps.current.n)
        good = found.tested & own & (found.p_values <= largest_p) & (found.values >= smallest_value)
        open_to_pick = [each for each in open_to_pick if good[each]]
        if not open_to_pick:
            break
        best = max(open_to_pick, key=lambda each: (float(found.scores[each]), -each))
        picks.append(best)
        covered |= overlaps.inside[best]
        open_to_pick = [each for each in open_to_pick if overlaps.shared(each, best) < _MOST_SHARED]
    return picks
