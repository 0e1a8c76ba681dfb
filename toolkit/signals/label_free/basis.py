"""What a label-free estimate is made of, scores or predictions: the one list of what differs between the two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit import stats

if TYPE_CHECKING:
    from toolkit.stats.arrays import Flags, Numbers

_BINS_TOGETHER = 5
"""Neighbouring bins that share their labels, as in a calibration curve."""

FEWEST_LABELLED = 100
"""Labelled requests that a window needs, to calibrate by it or to try an estimate on it."""


class Quantity(NamedTuple):
    """A number that is estimated: its key, what people call it, its unit, the way that is better, and its range."""

    key: str
    name: str
    unit: str
    better: Literal["up", "down", ""]
    within: tuple[float, float] | None = (0.0, 1.0)


class Values(NamedTuple):
    """Of one quantity by cell: Σ z and Σ z² over labelled requests, what is predicted for each, and where it counts."""

    value_sum: Numbers
    value_square_sum: Numbers
    prediction: Numbers
    counted: Flags


class Words(NamedTuple):
    """How the panel and the text speak.

    Attributes
    ----------
    expected_of: such as "calibrated scores". answers: such as "scores". answered: such as "scored".
    level: what the level is one of, such as "positive labels". rate: the level itself. unit: its unit.
    more, fewer: the two ways it may be off.
    """

    expected_of: str
    answers: str
    answered: str
    level: str
    rate: str
    more: str
    fewer: str
    unit: str


@dataclass(frozen=True)
class Basis:
    """Scores or predictions; cells and curves are its own and go from one of its functions to the next.

    Attributes
    ----------
    level: the quantity whose miss says that answers no longer mean what they meant.
    quantities: all that is estimated. powered: those that are means over requests. drawn: those that a figure shows.
    budget: the quantity whose labels are priced, or "".
    collect: reads cells. calibrate: a curve from cells, or None. expect, realise: performance of cells.
    chance: errors by chance alone. values: what a quantity is the mean of.
    moved: the curve with another level of the answers of some cells.
    """

    level: str
    quantities: tuple[Quantity, ...]
    powered: tuple[str, ...]
    drawn: tuple[str, ...]
    budget: str
    words: Words
    collect: Callable[..., Any]
    calibrate: Callable[[Any], Any]
    expect: Callable[[Any, Any], Any]
    realise: Callable[[Any], Any]
    chance: Callable[[Any, Any], Any]
    values: Callable[[str, Any, Any], Values]
    moved: Callable[[Any, Any, float], Any]


def outside_share(cells: Any, curve: Any) -> float:
    """The share of requests whose answers lie outside those that had labels."""
    outside = (cells.place < curve.lowest) | (cells.place > curve.highest)
    total = float(cells.n.sum())
    return float(cells.n[outside].sum()) / total if total else 0.0


def effective_labels(now: Any, calibrating: Any) -> float:
    """As how many labels those that calibrate are as good, weighted to the answers of the present (Kish 1965)."""
    import numpy as np

    groups = [(cells.place // _BINS_TOGETHER).astype(int) for cells in (now, calibrating)]
    size = int(max((group.max() for group in groups if group.size), default=0)) + 1
    wanted = np.bincount(groups[0], weights=now.n, minlength=size)
    there = np.bincount(groups[1], weights=calibrating.labelled, minlength=size)
    filled = there > 0
    weights = wanted[filled] / there[filled]
    return stats.weighted_share(weights, np.zeros(weights.size), n=there[filled]).effective_n


def answer_distance(these: Any, others: Any) -> float:
    """The largest distance between two distributions of the answers (Smirnov's D), at the edges of the bins."""
    import numpy as np

    bins = int(max((cells.place.max() for cells in (these, others) if cells.place.size), default=0)) + 1
    shares = [np.bincount(cells.place.astype(int), weights=cells.n, minlength=bins) for cells in (these, others)]
    if not all(share.sum() for share in shares):
        return 0.0
    first, second = (np.cumsum(share) / share.sum() for share in shares)
    return float(np.abs(first - second).max())
