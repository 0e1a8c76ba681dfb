"""What a model's answers rest on: each feature's share of all attributions, and how far the shares moved.

An explanation, never an alarm: shares move whenever the inputs do, harm or not, and stay still while the meaning of the
scores changes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched
from toolkit.stats.divergences import total_variation
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from toolkit.stats.arrays import Numbers

    Table = NDArray[np.float64]

SHIFT_METHOD = "L1 of shares; bootstrap over days"
_SEED = 20211102
"""Of the bootstrap: the same days give the same interval."""

_DRAWS = 1000


def attribution_ndcg(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """How well the current order of features ranks the baseline's attributions: 1 is the same order.

    Source: Nigenda et al. (2021), arXiv 2111.13657, who alarm below 0.90. It reads the current attributions for their
    order alone, and a flat baseline gives 1 whatever happened. Features that tie now share their places. None when the
    baseline attributes nothing.

    >>> round(attribution_ndcg([0.7, 0.2, 0.1], [0.1, 0.2, 0.7]), 9)
    0.657606927
    >>> attribution_ndcg([0.25] * 4, [0.4, 0.3, 0.2, 0.1])
    1.0
    """
    import numpy as np

    gain, order = matched(baseline=baseline, current=current)
    _check_sizes(gain, order)
    discount = 1 / np.log2(np.arange(gain.size) + 2)
    best = float(np.sort(gain)[::-1] @ discount)
    if best == 0:
        return None
    _, tied = np.unique(-order, return_inverse=True)
    sizes = np.bincount(tied)
    ends = np.cumsum(sizes)
    total = np.concatenate([[0.0], np.cumsum(discount)])
    of_tie = np.bincount(tied, weights=gain) / sizes
    return min(float(of_tie @ (total[ends] - total[ends - sizes])) / best, 1.0)


def l1_of_shares(baseline: ArrayLike, current: ArrayLike) -> float | None:
    """Σ |share now - share then| over the features, between 0 and 2; None when one side attributes nothing.

    >>> round(l1_of_shares([0.7, 0.2, 0.1], [0.1, 0.2, 0.7]), 9)
    1.2
    """
    then, now = matched(baseline=baseline, current=current)
    _check_sizes(then, now)
    return 2 * total_variation(then, now) if then.sum() and now.sum() else None


def share_shift(reference: Table, current: Table, *, draws: int = _DRAWS, confidence: float = CONFIDENCE) -> Estimate:
    """The L1 distance of the features' shares between two periods, with an interval by a bootstrap over their days.

    Shares that did not move differ by chance all the same, so the distance found is too large, the more so the more
    features there are. By the triangle inequality it is off by no more than the distance that chance alone makes: the
    interval reaches so far to either side, cut to 0 … 2. It covers at least as often as it says.

    Parameters
    ----------
    reference, current: one row per day, one column per feature: Σ |attribution| over the day's requests.

    >>> then = [[7.0, 2.0, 1.0], [7.2, 1.9, 1.1], [6.9, 2.1, 1.0]]
    >>> now = [[4.0, 5.0, 1.0], [4.2, 4.9, 1.1], [3.9, 5.1, 1.0]]
    >>> shift = share_shift(then, now)
    >>> round(shift.value, 3), round(shift.ci_lower, 2), round(shift.ci_upper, 2)
    (0.596, 0.55, 0.64)
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    tables = [np.asarray(table, dtype=np.float64) for table in (reference, current)]
    for name, table in zip(("reference", "current"), tables, strict=True):
        if table.ndim != 2 or table.shape[1] != tables[0].shape[1]:
            raise ArgumentError(f"{name} has shape {table.shape}, must be days × {tables[0].shape[-1]} features")
        if not np.isfinite(table).all() or (table < 0).any():
            raise ArgumentError(f"{name} holds a number below 0 or none at all; give sums of absolute attributions")
    days = len(tables[0]) + len(tables[1])
    if not all(table.size and table.sum() > 0 for table in tables):
        return Estimate.absent("one of the periods has no attribution", n=days, method=SHIFT_METHOD)
    then, now = (table.sum(axis=0) / table.sum() for table in tables)
    value = float(np.abs(now - then).sum())
    if min(len(table) for table in tables) < 2:
        reason = "no interval: a period of one day does not say how days vary"
        return Estimate.alone(value, n=days, method=SHIFT_METHOD, reason=reason)
    draw = np.random.default_rng(_SEED)
    moved_then, moved_now = (
        _drawn_shares(table, draw, check_count("draws", draws)) - share
        for table, share in zip(tables, (then, now), strict=True)
    )
    reach = float(np.quantile(np.abs(moved_now - moved_then).sum(axis=1), confidence))
    return Estimate(
        value, None, None, max(value - reach, 0.0), min(value + reach, 2.0), None, days, SHIFT_METHOD, "ok", ""
    )


def _drawn_shares(table: Table, draw: np.random.Generator, draws: int) -> Table:
    """The shares of bootstrap draws of days, spread as far as so few days should be."""
    import numpy as np

    days = len(table)
    weights = draw.multinomial(days, np.full(days, 1 / days), size=draws)
    sums = weights @ table
    shares = sums / sums.sum(axis=1, keepdims=True)
    whole = table.sum(axis=0) / table.sum()
    spread: Table = whole + (shares - whole) * math.sqrt(days / (days - 1))
    return spread


def _check_sizes(baseline: Numbers, current: Numbers) -> None:
    for name, array in (("baseline", baseline), ("current", current)):
        if (array < 0).any():
            raise ArgumentError(f"{name} holds {array.min()}, must hold sizes of attributions, at least 0")
