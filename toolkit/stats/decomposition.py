"""A change of a mean over segments, split into mix (the segments' shares changed) and within (their means did).

Source: Kitagawa (1955), Journal of the American Statistical Association 50:1168, with midpoint weights: the interaction
is folded half into each part, so that the split does not depend on which period one starts from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.estimate import CONFIDENCE, TOO_LARGE, Estimate, difference
from toolkit.stats.ratios import from_influence

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

_METHOD = "midpoint Kitagawa, clusters"


class SegmentShift(NamedTuple):
    """One segment's part of a change: its share and mean in both periods, and what it adds to mix and within.

    `mean0` or `mean1` is None where the segment has no observation. `mix` is counted from the mean of all segments: a
    segment that grew adds its growth times its distance from that mean. Both sums are those of the whole.
    """

    share0: float
    share1: float
    mean0: float | None
    mean1: float | None
    mix: float
    within: float


class MixWithin(NamedTuple):
    """The split of a change: `total` = `mix` + `within`, and each segment's part of both, in the order given.

    Each number is the exact value for the given sums, rounded once.
    """

    total: Estimate
    mix: Estimate
    within: Estimate
    segments: tuple[SegmentShift, ...]


def mix_within(
    weights0: ArrayLike,
    sums0: ArrayLike,
    weights1: ArrayLike,
    sums1: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
) -> MixWithin:
    """Split the change of Σ sums / Σ weights from period 0 to period 1 into mix and within.

    With shares p and means m of the segments, mix is Σ (p1 - p0) · (m0 + m1)/2 and within is Σ (m1 - m0) · (p0 + p1)/2.
    A segment that has no observation in one period has no mean there: all it does is mix, at the mean it has.

    Parameters
    ----------
    weights0, sums0, weights1, sums1: one row per cluster and one column per segment, the same segments in both periods;
        how many observations, and the sum of their values. Clusters of the two periods are independent.

    Returns estimates with cluster-robust intervals (linearised, as `ratio`), absent when a period has no
    observation or the numbers are too large for floating point.
    Raises `ArgumentError` for arrays that are not of two dimensions, finite and alike, and for a weight below 0.

    >>> split = mix_within([[50, 50]], [[5, 15]], [[30, 70]], [[3, 22.4]])
    >>> [round(part.value, 12) for part in (split.total, split.mix, split.within)]
    [0.054, 0.042, 0.012]
    """
    before, after = _table(0, weights0, sums0), _table(1, weights1, sums1)
    if before[0].shape[1] != after[0].shape[1]:
        raise ArgumentError(f"segments differ: {before[0].shape[1]} in period 0, {after[0].shape[1]} in period 1")
    counts = int(before[0].sum()), int(after[0].sum())
    for period, (weights, _) in enumerate((before, after)):
        if not weights.any():
            return _absent(f"period {period} holds no observation", sum(counts))
    (p0, m0, mean0), (p1, m1, mean1) = _exact(*before), _exact(*after)
    parts = [_part(*each, (mean0 + mean1) / 2) for each in zip(p0, p1, m0, m1, strict=True)]
    mix, within = (sum((part[place] for part in parts), Fraction()) for place in (0, 1))
    try:
        shifts = tuple(
            # Which of its fields may be None, `_part` knows and a type checker cannot see.
            SegmentShift(*(None if part is None else float(part) for part in (*each, *part)))  # type: ignore[arg-type]  # as above
            for each, part in zip(zip(p0, p1, m0, m1, strict=True), parts, strict=True)
        )
        values, scale = [float(value) for value in (mean1 - mean0, mix, within)], float(max(abs(mean0), abs(mean1)))
    except OverflowError:
        return _absent(TOO_LARGE, sum(counts))
    pulls = _pulls(before, after, shifts)
    if not all(math.isfinite(psi.sum()) for pair in pulls for psi in pair):
        return _absent(TOO_LARGE, sum(counts))

    def estimate(value: float, pull: tuple[Numbers, Numbers]) -> Estimate:
        start, end = (
            from_influence(at, psi, size, _METHOD, scale=scale, confidence=confidence)
            for at, psi, size in zip((0.0, value), pull, counts, strict=True)
        )
        return difference(start, end, method=_METHOD, confidence=confidence)

    total, by_mix, by_within = (estimate(value, pull) for value, pull in zip(values, pulls, strict=True))
    return MixWithin(total, by_mix, by_within, shifts)


def _absent(reason: str, n: int) -> MixWithin:
    absent = Estimate.absent(reason, n=n, method=_METHOD)
    return MixWithin(absent, absent, absent, ())


def _pulls(
    before: tuple[Numbers, Numbers], after: tuple[Numbers, Numbers], shifts: Sequence[SegmentShift]
) -> list[tuple[Numbers, Numbers]]:
    """How far each cluster of both periods pulls the change, mix and within: their derivatives, linearised."""
    import numpy as np

    share0, share1 = (np.array([shift[place] for shift in shifts]) for place in (0, 1))
    here, there = (np.array([shift[place] is not None for shift in shifts]) for place in (2, 3))
    mean0, mean1 = (np.array([shift[place] or 0.0 for shift in shifts]) for place in (2, 3))
    both = here & there
    # Half of a mean that both periods have, the whole of one that stands alone.
    half0, half1 = (np.where(both, 0.5, alone) for alone in (here.astype(float), there.astype(float)))
    with np.errstate(over="ignore", invalid="ignore"):
        middle, grown = half0 * mean0 + half1 * mean1, share1 - share0
        moved, reach = np.where(both, mean1 - mean0, 0.0), np.where(both, (share0 + share1) / 2, 0.0)
        shares0, means0 = _influences(*before, share0, mean0)
        shares1, means1 = _influences(*after, share1, mean1)
        mix = -shares0 @ middle + means0 @ (half0 * grown), shares1 @ middle + means1 @ (half1 * grown)
        within = shares0 @ (moved / 2) - means0 @ reach, shares1 @ (moved / 2) + means1 @ reach
        return [(mix[0] + within[0], mix[1] + within[1]), mix, within]


def _table(period: int, weights: ArrayLike, sums: ArrayLike) -> tuple[Numbers, Numbers]:
    """Weights and sums, clusters by segments, checked."""
    import numpy as np

    tables = []
    for name, given in ((f"weights{period}", weights), (f"sums{period}", sums)):
        table = np.asarray(given, dtype=np.float64)
        if table.ndim != 2:
            raise ArgumentError(f"{name} has {table.ndim} dimensions, must have two: clusters and segments")
        if not np.isfinite(table).all():
            raise ArgumentError(f"{name} holds what is missing or not finite")
        tables.append(table)
    weight_table, sum_table = tables
    if weight_table.shape != sum_table.shape:
        raise ArgumentError(f"shapes differ: weights{period} {weight_table.shape}, sums{period} {sum_table.shape}")
    if (weight_table < 0).any():
        raise ArgumentError(f"weights{period} holds {weight_table.min():g}, must hold numbers of at least 0")
    if ((weight_table == 0) & (sum_table != 0)).any():
        raise ArgumentError(f"sums{period} holds a sum over no observations")
    return weight_table, sum_table


def _exact(weights: Numbers, sums: Numbers) -> tuple[list[Fraction], list[Fraction | None], Fraction]:
    """Each segment's share and mean, and the mean of all, as fractions."""
    counts = [sum(map(Fraction, column), Fraction()) for column in weights.T.tolist()]
    totals = [sum(map(Fraction, column), Fraction()) for column in sums.T.tolist()]
    whole = sum(counts, Fraction())
    shares = [count / whole for count in counts]
    means = [total / count if count else None for total, count in zip(totals, counts, strict=True)]
    return shares, means, sum(totals, Fraction()) / whole


def _part(
    share0: Fraction, share1: Fraction, mean0: Fraction | None, mean1: Fraction | None, centre: Fraction
) -> tuple[Fraction, Fraction]:
    """What one segment adds to mix and to within."""
    if mean0 is None and mean1 is None:
        return Fraction(), Fraction()
    first, last = (mean1 if mean0 is None else mean0), (mean0 if mean1 is None else mean1)
    assert first is not None
    assert last is not None
    return (share1 - share0) * ((first + last) / 2 - centre), (last - first) * (share0 + share1) / 2


def _influences(weights: Numbers, sums: Numbers, shares: Numbers, means: Numbers) -> tuple[Numbers, Numbers]:
    """How far each cluster pulls each segment's share and mean."""
    import numpy as np

    whole, counts = weights.sum(), weights.sum(axis=0)
    share = (weights - shares * weights.sum(axis=1, keepdims=True)) / whole
    mean = (sums - means * weights) / np.where(counts == 0, 1.0, counts)
    return share, mean
