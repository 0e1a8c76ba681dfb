"""What draws of uncertain scores say of an order: probabilities of ranks, tiers, regret, and how stable it is.

Scores are an array of items x draws, higher is better, rank 1 is the best. A draw's ties are shared evenly: two items
that tie for ranks 2 and 3 have half of each. Where items are put in order it is by expected rank, and those that tie
there keep the order in which they were given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from toolkit.stats.arrays import Numbers

CERTAINTY = 0.8
"""The probability from which on a pair of items counts as settled, and an interval of ranks holds."""

_ROUNDING = 1e-12
"""Relative size below which a loss is rounding: the same items added up in another order."""

_BLOCK = 1_000_000
"""Scores that are ranked at once: what they need on the way is some hundred megabytes."""


class RankProbabilities(NamedTuple):
    """How likely each item has each rank.

    Attributes
    ----------
    at: items x ranks, the probability of each; rows and columns add up to 1.
    expected: the expected rank of each item.
    best, worst: by item, the ranks between which it lies with a probability of at least 0.8: the 10 % and the 90 %
        quantile of its rank.
    order: positions of the items, the one with the lowest expected rank first.
    draws: what the probabilities rest on: that of p has a standard error of sqrt(p (1 - p) / draws), or less.
    """

    at: NDArray[np.float64]
    expected: Numbers
    best: NDArray[np.int64]
    worst: NDArray[np.int64]
    order: NDArray[np.int64]
    draws: int

    def within(self, k: int) -> Numbers:
        """By item, the probability of one of the first k ranks. Raises `ArgumentError`."""
        import numpy as np

        _check_k(k, len(self.at))
        return np.asarray(np.minimum(self.at[:, :k].sum(axis=1), 1.0))


class Regret(NamedTuple):
    """What a choice loses against the best one that could be made if every number were known.

    Attributes
    ----------
    expected: the mean loss over the draws, in the unit of the values; also what knowing all of it would be worth.
    relative: that as a share of the best's mean; None where the best's mean is 0.
    best_probability: the share of draws in which nothing is better than the choice.
    """

    expected: float
    relative: float | None
    best_probability: float


class RankStability(NamedTuple):
    """How far an order holds when everything is drawn again.

    Attributes
    ----------
    same_set: the probability that the first k are exactly these k again, in whatever order.
    overlap: the expected share of the first k that are among the first k again.
    agreement: Spearman's correlation of the order with that of a draw, on average: 1 is the same order, 0 is none.
    stays: by item, the probability that it stays on its side of the line after the k-th rank.
    """

    same_set: float
    overlap: float
    agreement: float
    stays: Numbers


def rank_probabilities(scores: ArrayLike) -> RankProbabilities:
    """The probability of every rank for every item. Raises `ArgumentError`.

    >>> ranks = rank_probabilities([[3, 3, 3, 3], [2, 4, 2, 1], [1, 1, 1, 2]])
    >>> ranks.at.tolist()
    [[0.75, 0.25, 0.0], [0.25, 0.5, 0.25], [0.0, 0.25, 0.75]]
    >>> ranks.expected.tolist(), ranks.within(2).tolist()
    ([1.25, 2.0, 2.75], [1.0, 0.75, 0.25])
    """
    import numpy as np

    matrix = _matrix("scores", scores)
    items, draws = matrix.shape
    changes, sums = np.zeros(items * (items + 1)), np.zeros(items)
    rows = np.arange(items) * (items + 1)
    block = max(1, _BLOCK // items)
    for start in range(0, draws, block):
        first, last = _ranks(matrix[:, start : start + block])
        # Each draw adds its share from `first` on and takes it away after `last`; the running sum is what lies between.
        shares = (1.0 / (last - first + 1)).ravel()
        changes += np.bincount((rows + first - 1).ravel(), shares, changes.size)
        changes -= np.bincount((rows + last).ravel(), shares, changes.size)
        sums += (first + last).sum(axis=0)
    at = np.maximum(np.cumsum(changes.reshape(items, items + 1), axis=1)[:, :items], 0.0) / draws
    reached = np.cumsum(at, axis=1)
    tail = (1 - CERTAINTY) / 2
    expected = sums / (2 * draws)
    return RankProbabilities(
        at=at,
        expected=expected,
        best=(reached < tail - _ROUNDING).sum(axis=1) + 1,
        worst=(reached < 1 - tail - _ROUNDING).sum(axis=1) + 1,
        order=np.argsort(expected, kind="stable"),
        draws=draws,
    )


def tiers(scores: ArrayLike, *, certainty: float = CERTAINTY) -> NDArray[np.int64]:
    """The tier of each item, 1 the first: items of which none can be ruled out to be as good as the best share one.

    In the order of expected ranks a tier begins with the best item of what is left, and ends where that item is above
    every further one with a probability of at least `certainty`, a tie counting half (as in multiple comparisons with
    the best: Hsu 1981, Annals of Statistics 9:1026, tier by tier). The certainty is of a tier's first item against what
    is below its tier; the last of one tier and the first of the next are as close as neighbours are. A cut that every
    pair across it is settled by leaves 40 items with lognormal noise of 0.8 in one tier or two, which helps nobody; by
    this rule there are four or five, and 85 % of the pairs of different tiers are in their true order.

    Raises `ArgumentError`.

    >>> tiers([[9, 8, 9, 9], [4, 9, 4, 4], [1, 2, 2, 1], [2, 1, 1, 2]], certainty=0.75).tolist()
    [1, 2, 3, 3]
    """
    import numpy as np

    check_between("certainty", certainty, 0, 1)
    matrix = _matrix("scores", scores)
    order = rank_probabilities(matrix).order
    found = np.empty(len(matrix), dtype=np.int64)
    tier = 0
    while order.size:
        tier += 1
        leader, rest = matrix[order[0]], matrix[order[1:]]
        above = ((leader > rest).mean(axis=1) + (leader >= rest).mean(axis=1)) / 2
        unsettled = np.flatnonzero(above < certainty)
        end = int(unsettled[-1]) + 2 if unsettled.size else 1
        found[order[:end]] = tier
        order = order[end:]
    return found


def regret(chosen: ArrayLike, best: ArrayLike) -> Regret:
    """What a choice loses, from what it brings in each draw and from what the best choice of that draw brings.

    Raises `ArgumentError` where the choice is better than the best.

    >>> regret([5, 4, 6, 5], [5, 6, 6, 8])
    Regret(expected=1.25, relative=0.2, best_probability=0.5)
    """
    import numpy as np

    got, most = matched(chosen=chosen, best=best)
    if got.size == 0:
        raise ArgumentError("chosen is empty, must hold a value for each draw")
    losses = most - got
    rounding = _ROUNDING * np.maximum(np.abs(got), np.abs(most))
    wrong = np.flatnonzero(losses < -rounding)
    if wrong.size:
        at = int(wrong[0])
        raise ArgumentError(f"draw {at}: chosen {got[at]:.12g} is more than best {most[at]:.12g}, must be at most that")
    expected, reference = float(np.maximum(losses, 0.0).mean()), abs(float(most.mean()))
    relative = expected / reference if reference > 0 and math.isfinite(expected / reference) else None
    return Regret(expected, relative, float((losses <= rounding).mean()))


def expected_regret(values: ArrayLike, chosen: Sequence[int]) -> Regret:
    """What choosing these items loses against the best as many of each draw; values are items x draws.

    Where a capacity, not a number of items, limits the choice, solve each draw and give both sides to `regret`.

    Parameters
    ----------
    chosen: positions of the items, each once.

    Raises `ArgumentError`.

    >>> expected_regret([[3, 3], [2, 5], [1, 1]], [0]).expected
    1.0
    """
    import numpy as np

    matrix = _matrix("values", values)
    picked = _positions("chosen", chosen, len(matrix))
    best = np.sort(matrix, axis=0)[len(matrix) - len(picked) :].sum(axis=0)
    return regret(matrix[picked].sum(axis=0), best)


def rank_stability(scores: ArrayLike, k: int) -> RankStability:
    """How far the order by expected rank, and its first k, hold over the draws. Raises `ArgumentError`.

    A draw repeats the first k if no other item is above any of them; a tie at the line is no change.

    >>> held = rank_stability([[3, 3, 3, 3], [2, 4, 2, 1], [1, 1, 1, 2]], 2)
    >>> held.same_set, held.overlap, held.agreement, held.stays.tolist()
    (0.75, 0.875, 0.75, [1.0, 0.75, 0.75])
    """
    import numpy as np

    matrix = _matrix("scores", scores)
    items = len(matrix)
    _check_k(k, items)
    ranks = rank_probabilities(matrix)
    first, rest = ranks.order[:k], ranks.order[k:]
    same = matrix[first].min(axis=0) >= matrix[rest].max(axis=0) if rest.size else np.ones(ranks.draws, dtype=np.bool_)
    within = ranks.within(k)
    stays = 1 - within
    stays[first] = within[first]
    places = np.empty(items)
    places[ranks.order] = np.arange(1, items + 1)
    # Spearman's d², expected over the draws: ranks within a tie are as good as any.
    apart = np.square(places[:, None] - np.arange(1, items + 1)[None, :])
    agreement = 1 - 6 * float((ranks.at * apart).sum()) / (items * (items**2 - 1)) if items > 1 else 1.0
    return RankStability(float(same.mean()), float(within[first].mean()), agreement, stays)


def _ranks(matrix: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """By draw and item, the first and the last of the ranks that it shares; the same one where nothing ties with it.

    One sort of each draw: ranking by `scipy.stats.rankdata` takes several times as long for thousands of items.
    """
    import numpy as np

    rows = np.ascontiguousarray(-matrix.T)
    places = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, places, axis=1)
    draws, items = rows.shape
    position = np.arange(items)
    starts = np.ones((draws, items), dtype=np.bool_)
    starts[:, 1:] = ordered[:, 1:] > ordered[:, :-1]
    ends = np.ones((draws, items), dtype=np.bool_)
    ends[:, :-1] = starts[:, 1:]
    first = np.maximum.accumulate(np.where(starts, position, 0), axis=1) + 1
    last = np.minimum.accumulate(np.where(ends, position, items)[:, ::-1], axis=1)[:, ::-1] + 1
    found = np.empty((2, draws, items), dtype=np.int64)
    for index, ranks in enumerate((first, last)):
        np.put_along_axis(found[index], places, ranks, axis=1)
    return found[0], found[1]


def _matrix(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """`given` as finite numbers of items x draws."""
    import numpy as np

    matrix = np.asarray(given, dtype=np.float64)
    if matrix.ndim != 2:
        raise ArgumentError(f"{name} has {matrix.ndim} dimensions, must have two: items x draws")
    if 0 in matrix.shape:
        raise ArgumentError(f"{name} has {matrix.shape[0]} items x {matrix.shape[1]} draws, must have one at least")
    bad = np.argwhere(~np.isfinite(matrix))
    if bad.size:
        item, draw = map(int, bad[0])
        raise ArgumentError(f"{name} holds {matrix[item, draw]} for item {item}, must hold finite numbers")
    return matrix


def _positions(name: str, given: Sequence[int], items: int) -> list[int]:
    """`given` if it holds positions of items, each once."""
    picked = [int(each) for each in given]
    wrong = [each for each in picked if not 0 <= each < items]
    if wrong:
        raise ArgumentError(f"{name} holds {wrong[0]}, must hold positions from 0 to {items - 1}")
    if len(set(picked)) < len(picked):
        raise ArgumentError(f"{name} holds {next(e for e in picked if picked.count(e) > 1)} twice, must hold each once")
    return picked


def _check_k(k: int, items: int) -> None:
    if not 1 <= k <= items:
        raise ArgumentError(f"k == {k}, must be a whole number from 1 to {items}, the number of items")
