"""A trend through estimates whose errors are known: whether an effect fades (novelty) or grows (learning) over days."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched, numbers
from toolkit.stats.estimate import CONFIDENCE, TOO_LARGE, Estimate, from_standard_error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

TREND = "weighted least squares, known errors"


class Trend(NamedTuple):
    """A straight line through estimates.

    Attributes
    ----------
    slope: its change per step of `at`, with the z test against 0.
    intercept: its value where `at` is 0.
    statistic: the slope in its standard errors.
    p_value_of_fit: of deviations from the line as large as these: a small one says that it is no line.
    points: used.
    status, reason: as in `Estimate`.
    """

    slope: Estimate
    intercept: Estimate
    statistic: float | None
    p_value_of_fit: float | None
    points: int
    status: Literal["ok", "absent"]
    reason: str


def trend(
    values: ArrayLike, errors: ArrayLike, *, at: ArrayLike | None = None, confidence: float = CONFIDENCE
) -> Trend:
    """The line through values of known standard error, each weighted by the inverse of its variance.

    Source: Aitken (1936), Proc. Royal Society of Edinburgh 55:42. The values count as independent. Effects of one day
    each are nearly so; cumulative ones are not: each holds all before it, and a line through them says nothing.

    Parameters
    ----------
    errors: standard errors, above 0. at: such as days since exposure; by default 0, 1, 2 …

    >>> found = trend([5.0, 4.0, 3.2, 2.8, 2.5, 2.4, 2.3], [0.5] * 7)
    >>> round(found.slope.value, 6), round(found.slope.se, 6), round(found.statistic, 4)
    (-0.428571, 0.094491, -4.5356)
    >>> trend([5.0], [0.5]).reason
    'a trend needs values at 2 points, given: 1'
    """
    import numpy as np
    from scipy import special

    check_between("confidence", confidence, 0, 1)
    value, error = matched(values=values, errors=errors)
    place = np.arange(value.size, dtype=np.float64) if at is None else numbers("at", at)
    if place.size != value.size:
        raise ArgumentError(f"lengths differ: values {value.size}, at {place.size}")
    if (error <= 0).any():
        raise ArgumentError(f"errors holds {error.min():g}, must hold numbers above 0")
    points = len(np.unique(place))
    if points < 2:
        return _absent(f"a trend needs values at 2 points, given: {points}", value.size)
    n, unit = value.size, float(error.min())
    with np.errstate(over="ignore", invalid="ignore"):
        # Errors in units of the smallest and places from their centre: squares stay in range and keep their digits.
        weight = np.square(unit / error)
        total = float(weight.sum())
        centre = float(weight @ place) / total
        away = place - centre
        spread = float(weight @ np.square(away))
        if spread <= 0:
            return _absent("all but one of the points have no weight beside it", n)
        level, slope = float(weight @ value) / total, float((weight * away) @ value) / spread
        slope_se = unit / math.sqrt(spread)
        base_se = unit * math.sqrt(1 / total + centre * centre / spread)
        rest = (value - level - slope * away) / error
        misfit = float(rest @ rest)
    start, statistic = level - slope * centre, slope / slope_se if slope_se else math.inf
    if not all(map(math.isfinite, (start, base_se, statistic, misfit))):
        return _absent(TOO_LARGE, n)
    fit = float(special.chdtrc(n - 2, misfit)) if n > 2 else None
    line = from_standard_error(slope, slope_se, n=n, method=TREND, null=0.0, scale=0.0, confidence=confidence)
    base = from_standard_error(start, base_se, n=n, method=TREND, scale=0.0, confidence=confidence)
    return Trend(line, base, statistic, fit, n, "ok", "")


def _absent(reason: str, n: int) -> Trend:
    nothing = Estimate.absent(reason, n=n, method=TREND)
    return Trend(nothing, nothing, None, None, n, "absent", reason)
