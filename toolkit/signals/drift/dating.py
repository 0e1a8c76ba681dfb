"""Since when a column is what it is now: the day at which its days part best into those before and those after.

Each day is one number, how much more its rows look like the window than like the reference (the mean log likelihood
ratio; for missing or unseen values their share). A date is given only where the days before it looked like the
reference; a change that is older than the days that were read has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date

from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.signals.drift.findings import Aspect

_FEWEST_DAYS = 2
"""Before and after."""

_EXPLAINED = 0.5
"""A date is given when the two sides differ at least so much, as a share of how much all days differ."""


def changed_on(
    aspect: Aspect, reference: ColumnCounts, current: ColumnCounts, days: Mapping[date, ColumnCounts]
) -> date | None:
    """The first day of the change among `days`, which run up to the window's end; None where no day parts them."""
    if aspect == "schema":
        return None
    weights = _weights(aspect, reference, current)
    dated = [(day, _score(counts, weights), counts.total) for day, counts in sorted(days.items()) if counts.total]
    place = _best_split([score for _, score, _ in dated], [rows for *_, rows in dated])
    if place is None:
        return None
    middle = (_score(reference, weights) + _score(current, weights)) / 2
    before, after = (_mean(dated[:place]), _mean(dated[place:]))
    like_now = _score(current, weights) > _score(reference, weights)
    parted = before < middle < after if like_now else before > middle > after
    return dated[place][0] if parted else None


def _weights(aspect: Aspect, reference: ColumnCounts, current: ColumnCounts) -> tuple[float, ...]:
    """What a row adds to the score of its day: of each cell, of unseen and of missing values."""
    cells = len(reference.counts)
    if aspect == "missing":
        return (*[0.0] * cells, 0.0, 1.0)
    if aspect in {"unseen", "constant"}:
        return (*[0.0] * cells, 1.0, 0.0)
    sides = [[count + 0.5 for count in (*side.counts, side.unseen)] for side in (reference, current)]
    p, q = ([count / sum(side) for count in side] for side in sides)
    return (*(math.log(now / then) for then, now in zip(p, q, strict=True)), 0.0)


def _score(counts: ColumnCounts, weights: Sequence[float]) -> float:
    rows = (*counts.counts, counts.unseen, counts.missing)
    return sum(weight * n for weight, n in zip(weights, rows, strict=True)) / max(counts.total, 1)


def _mean(dated: Sequence[tuple[date, float, int]]) -> float:
    return sum(score * rows for _, score, rows in dated) / sum(rows for *_, rows in dated)


def _best_split(scores: Sequence[float], rows: Sequence[int]) -> int | None:
    """The place with the largest sum of squares between the days before it and the rest, if that is most of all."""
    n = sum(rows)
    if len(scores) < 2 * _FEWEST_DAYS:
        return None
    mean = sum(score * size for score, size in zip(scores, rows, strict=True)) / n
    away = [(score - mean) * size for score, size in zip(scores, rows, strict=True)]
    spread = sum(part * (score - mean) for part, score in zip(away, scores, strict=True))
    best, found = 0.0, None
    reached, so_far = 0, 0.0
    for place in range(1, len(scores)):
        reached, so_far = reached + rows[place - 1], so_far + away[place - 1]
        between = so_far * so_far * n / (reached * (n - reached))
        if _FEWEST_DAYS <= place <= len(scores) - _FEWEST_DAYS and between > best:
            best, found = between, place
    return found if spread > 0 and best >= _EXPLAINED * spread else None
