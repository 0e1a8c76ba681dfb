"""Quantiles of clustered rows: the interval is found among the values themselves, by Woodruff's method.

The share of rows at or below the quantile is a ratio over clusters (days) with an error of its own. The interval's ends
are the values at that share minus and plus what the error reaches: no density has to be guessed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.stats.arrays import counts, matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_finite, critical_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

QUANTILE_METHOD = "quantile, linear interpolation; woodruff, day clusters"
FEWEST_DAYS = 5
"""Clusters that an interval needs: with fewer the error of the share is itself a guess."""


class Shares(NamedTuple):
    """Where an interval's ends lie, as shares of the rows: 0 the smallest value, 1 the largest."""

    lower: float
    upper: float


def reach_series(confidence: float = CONFIDENCE) -> tuple[float, ...]:
    """Coefficients c of Student's quantile in its degrees of freedom: t = Σ c_k / df^k, for use inside an engine.

    Source: the expansion of Cornish & Fisher (1937), as in Abramowitz & Stegun 26.7.5. Within 4e-4 of the quantile
    from 4 degrees of freedom on, and within 2e-6 from 14 on.

    >>> round(sum(c / 30**k for k, c in enumerate(reach_series())), 6), round(critical_value(df=30), 6)
    (2.042272, 2.042272)
    """
    z = critical_value(confidence)
    return (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )


def woodruff_shares(n: ArrayLike, below: ArrayLike, q: float, *, confidence: float = CONFIDENCE) -> Shares | None:
    """The shares between whose values the `q` quantile's interval lies; None with fewer than `FEWEST_DAYS` clusters.

    Sources: Woodruff (1952), JASA 47:635; for clusters Deng, Knoblich & Lu (2018), KDD, arXiv 1803.06336.

    Parameters
    ----------
    n, below: rows, and rows at or below the sample's quantile, one entry per cluster.

    >>> shares = woodruff_shares([100] * 6, [93, 96, 95, 97, 94, 95], 0.95)
    >>> round(shares.lower, 4), round(shares.upper, 4)
    (0.9352, 0.9648)
    """
    rows, at_most = _check_counts(n, below)
    check_between("q", q, 0, 1)
    clusters = rows.size
    if clusters < FEWEST_DAYS:
        return None
    total = float(rows.sum())
    gaps = at_most - at_most.sum() / total * rows
    se = math.sqrt(clusters / (clusters - 1) * float(gaps @ gaps)) / total
    series = reach_series(confidence)
    reach = sum(coefficient / (clusters - 1) ** power for power, coefficient in enumerate(series))
    return Shares(q - reach * se, q + reach * se)


def quantile_from_ends(
    value: float | None,
    lower: float | None,
    upper: float | None,
    *,
    q: float,
    n: ArrayLike,
    below: ArrayLike,
    method: str = QUANTILE_METHOD,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The estimate of a quantile whose value and interval's ends were read off in an engine, see `woodruff_shares`.

    The standard error is the interval's width over twice its reach (Francisco & Fuller 1991, Annals of Statistics
    19:454), so that differences can be formed. Without rows, days or values enough there is a reason instead.

    Parameters
    ----------
    value: None where it is not finite.
    lower, upper: the values at the two shares, None where they are not finite; not read where these lie outside 0 … 1.
    n, below: as in `woodruff_shares`; clusters without rows are left out.

    >>> days, below = [100] * 6, [93, 96, 95, 97, 94, 95]
    >>> p95 = quantile_from_ends(412.0, 391.0, 440.0, q=0.95, n=days, below=below)
    >>> p95.value, p95.ci_lower, p95.ci_upper, round(p95.se, 3), p95.df
    (412.0, 391.0, 440.0, 9.531, 5)
    """
    rows, at_most = _check_counts(n, below)
    total = int(rows.sum())
    if total == 0:
        return Estimate.absent("no request has a value", n=0, method=method)
    if value is None:
        return Estimate.absent("infinite: values around it are not finite", n=total, method=method)
    value = check_finite("value", value)
    shares = woodruff_shares(rows, at_most, q, confidence=confidence)
    if shares is None:
        reason = f"no interval: too few days: {rows.size}, a quantile's interval needs {FEWEST_DAYS}"
        return Estimate.alone(value, n=total, method=method, reason=reason)
    if shares.lower < 0 or shares.upper > 1:
        side = "below the smallest" if shares.lower < 0 else "above the largest"
        reason = f"no interval: with {total:,} values on {rows.size} days quantile {q:g} may lie {side} of them"
        return Estimate.alone(value, n=total, method=method, reason=reason)
    if lower is None or upper is None:
        return Estimate.alone(
            value, n=total, method=method, reason="no interval: it reaches values that are not finite"
        )
    low, high = check_finite("lower", lower), check_finite("upper", upper)
    if low == high:
        reason = "no interval: the values around it are all equal"
        return Estimate.alone(value, n=total, method=method, reason=reason)._replace(se=0.0)
    df = rows.size - 1
    se = (high - low) / (2 * critical_value(confidence, df=df))
    return Estimate(value, se, df, min(low, value), max(high, value), None, total, method, "ok", "")


def quantile(values: ArrayLike, clusters: ArrayLike, q: float, *, confidence: float = CONFIDENCE) -> Estimate:
    """The `q` quantile of rows by linear interpolation (type 7 of Hyndman & Fan 1996), rows of a cluster dependent.

    What engines compute in SQL is compared with this.

    >>> found = quantile([3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0], [1, 1, 2, 2, 3, 3, 4, 4], 0.5)
    >>> found.value, found.reason
    (3.5, "no interval: too few days: 4, a quantile's interval needs 5")
    """
    import numpy as np

    check_between("q", q, 0, 1)
    row, cluster = matched(values=values, clusters=clusters)
    if row.size == 0:
        return Estimate.absent("no request has a value", n=0, method=QUANTILE_METHOD)
    ranked = np.sort(row)
    value = _interpolated(ranked, q)
    _, index = np.unique(cluster, return_inverse=True)
    n, below = np.bincount(index), np.bincount(index, weights=row <= value)
    shares = woodruff_shares(n, below, q, confidence=confidence)
    inside = shares is not None and shares.lower >= 0 and shares.upper <= 1
    ends = [_interpolated(ranked, share) for share in shares] if shares and inside else [None, None]
    return quantile_from_ends(value, *ends, q=q, n=n, below=below, confidence=confidence)


def _interpolated(ranked: Numbers, share: float) -> float:
    """The value at a share of sorted rows, straight between the two neighbours."""
    place = (ranked.size - 1) * share
    low = math.floor(place)
    high = min(low + 1, ranked.size - 1)
    return float(ranked[low] + (place - low) * (ranked[high] - ranked[low]))


def _check_counts(n: ArrayLike, below: ArrayLike) -> tuple[Numbers, Numbers]:
    """Both arrays without clusters that hold no rows."""
    rows, at_most = matched(n=n, below=below)
    counts("n", rows)
    counts("below", at_most)
    filled = rows > 0
    return rows[filled], at_most[filled]
