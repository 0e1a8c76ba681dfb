"""Classes of ranks outside the engine: what is asked of them, and what each request adds to their sums.

A score between 0 and 2 and a label of 0 or 1 are one whole number together, the request's key: twice the bits of the
score, and 1 more when the label is 1. Keys sort like the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from toolkit.metrics.kinds import RankKind
from toolkit.metrics.ranking import CLASSES


class Classes(NamedTuple):
    """Sums over the requests of one scope, an entry for each of its cells and each class that the cell has.

    Attributes
    ----------
    cells: how many the scope has.
    cell, place: of the entry, from 0; entries are in this order, and places in that of the scores.
    sums: by name, as in `ranking.rank_classes`; besides the mass_class of each entry.
    """

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

    @property
    def mass_classes(self) -> Collection[int]:
        """Which of the classes of equal mass it tells apart in a large scope: those at which one of its own begins."""
        raise NotImplementedError

    def of_classes(self, classes: Classes) -> dict[str, Sequence[Any]]:
        """What `branch` brings of the cells of one scope: columns with a value for each cell."""
        raise NotImplementedError


class Asked(NamedTuple):
    """What some metrics ask of the classes of a scope, together: names of sums, and where large classes begin."""

    sums: frozenset[str]
    mass_classes: Any

    @classmethod
    def by(cls, metrics: Collection[ClassKind]) -> Asked:
        """All that any of them asks."""
        import numpy as np

        begins = np.unique(np.concatenate([np.asarray(metric.mass_classes) for metric in metrics]))
        return cls(frozenset(name for metric in metrics for name in metric.class_sums), begins)


def packed(batch: Any) -> Any | None:
    """The keys of the requests of a batch, or None when a score or a label does not fit in."""
    import numpy as np

    score, label = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("score", "label"))
    keys = (score + 0.0).view(np.int64)  # a 0 is added because -0 has the highest bit
    positive = label == 1.0
    if not ((keys.view(np.uint64) < 1 << 62) & (positive | (label == 0.0))).all():
        return None
    keys <<= 1  # of a float between 0 and 2 the two highest bits are 0
    keys |= positive
    return keys


POSITIVES = frozenset({"positives", "label_sum"})
"""The sums that are how many requests have label 1."""


def addends(keys: Any, wanted: Collection[str]) -> dict[str, Any]:
    """What each request adds to those sums that need no rank."""
    import numpy as np

    positive, score = keys & 1, (keys >> 1).view(np.float64)
    each: dict[str, Callable[[], Any]] = {
        **dict.fromkeys(POSITIVES, lambda: positive),
        "score_sum": lambda: score,
        "score_square_sum": lambda: score * score,
        "score_label_sum": lambda: score * positive,
    }
    return {name: of_keys() for name, of_keys in each.items() if name in wanted}


def in_mass(below: Any, up_to: Any, size: int) -> Any:
    """In which of the classes of equal mass a score falls that so many are below and so many no higher than."""
    import numpy as np

    return np.floor((below / (size - 1) + up_to / size) * (CLASSES / 2))
