"""A series of values, one a day: noise, trend, weekly season, smoothed level, outliers; a few days move none of them.

Days of one metric resemble their neighbours, so that what counts them as independent finds trends and steps in noise.
`series_noise` says how much they do, whatever steps and outliers there are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_at_least, check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import ascending, matched, numbers
from toolkit.stats.estimate import CONFIDENCE, TOO_LARGE, Estimate, check_finite, critical_value, two_sided_p

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

MAD_SCALE = 1.482602218505602
"""Standard deviations of a normal in its median absolute deviation: 1 / Φ⁻¹(3/4)."""

SEN = "Theil-Sen, Mann-Kendall"

NEAR_VALUES = 15
"""So many neighbouring values make a local level: more than two weeks, so that no single week is its own norm."""

OUTLYING = 5.0
"""Robust standard deviations from the local level beyond which a value is an outlier."""

_NEAR_NOISE = 29
"""So many values make the level that noise is measured from: four weeks, so that little of the noise goes with it."""

_CUT = 3.0
_WEEK = 7
_MOST_ALIKE = 0.9
_FEWEST_WEEKS = 4


class SeriesNoise(NamedTuple):
    """How values scatter about their level: standard deviation, and the correlation of neighbours (at least 0)."""

    sd: float
    autocorrelation: float

    @property
    def inflation(self) -> float:
        """How many times the variance of a mean is that of independent values."""
        return (1 + self.autocorrelation) / (1 - self.autocorrelation)

    @property
    def long_run_variance(self) -> float:
        """The variance that a mean of n values has, times n."""
        return self.sd * self.sd * self.inflation


class RobustZ(NamedTuple):
    """Each value's distance from the median in robust standard deviations; () where there is no scale, see `reason`."""

    median: float | None
    scale: float | None
    z: tuple[float, ...]
    reason: str


class MannKendall(NamedTuple):
    """The test of Mann (1945) and Kendall: whether later values are larger (or smaller) than earlier ones.

    `s`: pairs that rise less pairs that fall. `tau`: the same as a share of all pairs. Absent parts are None.
    """

    s: float
    z: float | None
    p_value: float | None
    tau: float | None
    reason: str


class WeeklySeason(NamedTuple):
    """What a weekday adds to the level of its week.

    Attributes
    ----------
    effects: Monday to Sunday, summing to 0; () when absent.
    p_value: of weekdays that differ as much by chance (Friedman 1937, JASA 32:675).
    values: how many lie in whole weeks.
    """

    effects: tuple[float, ...]
    p_value: float | None
    values: int
    status: Literal["ok", "absent"]
    reason: str


def series_noise(values: ArrayLike) -> SeriesNoise:
    """The noise of a series whose level may step or drift, and whose noise is like an autoregression of order 1.

    Noise is what is left of each value without the running median about it, cut at 3 robust standard deviations: the
    median goes with a step, and the cut keeps outliers from saying much. φ is the correlation of neighbours, taken one
    standard error (n^-1/2) too high, and between 0 and 0.9: the median takes a little of it away, and believing days to
    be more alike than they are misses a small step where believing them less alike invents one.

    >>> noise = series_noise([1, 3, 2, 2.5, 1.5, 3.5, 2, 2, 3, 1.5, 2.5, 2, 3.5])
    >>> round(noise.sd, 3), round(noise.autocorrelation, 3)
    (0.748, 0.0)
    """
    import numpy as np

    array = numbers("values", values)
    if array.size < 3:
        raise ArgumentError(f"values has {array.size} entries, noise needs 3 at least")
    near = min(max(array.size // 2, NEAR_VALUES), _NEAR_NOISE)
    rest = _cut(array - np.array(running_median(array, near=near)))
    rest = rest - rest.mean()
    square, beside = float(rest @ rest), float(rest[1:] @ rest[:-1])
    if square == 0:
        # Constants, one after another: steps are all the variation that there is.
        return SeriesNoise(math.sqrt(float(np.square(np.diff(array)).mean()) / 2), 0.0)
    alike = min(max(beside / square + 1 / math.sqrt(array.size), 0.0), _MOST_ALIKE)
    return SeriesNoise(math.sqrt(square / array.size), alike)


def running_median(values: ArrayLike, *, near: int = NEAR_VALUES) -> tuple[float, ...]:
    """The median of the `near` values about each one; at the ends of the first and last so many.

    >>> running_median([1, 1, 9, 1, 5, 5, 5], near=3)
    (1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0)
    """
    import numpy as np

    array = numbers("values", values)
    check_at_least("near", near, 1)
    if array.size <= near:
        middle = float(np.median(array)) if array.size else 0.0
        return (middle,) * array.size
    medians = np.median(np.lib.stride_tricks.sliding_window_view(array, near), axis=1)
    places = np.clip(np.arange(array.size) - near // 2, 0, medians.size - 1)
    return tuple(medians[places].tolist())


def outlier_z(values: ArrayLike) -> tuple[float, ...]:
    """How far each value is from the local level, in robust standard deviations; () where values do not vary.

    Beyond `OUTLYING` a value is an outlier. A step is none: the local level goes with it.

    >>> z = outlier_z([10, 11, 9, 10, 12, 10, 9, 11, 10, 30])
    >>> [place for place, each in enumerate(z) if abs(each) > OUTLYING]
    [9]
    """
    import numpy as np

    array = numbers("values", values)
    if array.size < 3 or (sd := series_noise(array).sd) == 0:
        return ()
    away = (array - np.array(running_median(array))) / sd
    return tuple(away.tolist())


def robust_z(values: ArrayLike) -> RobustZ:
    """Each value's distance from the median of all, in units of the scaled median absolute deviation.

    Source: Iglewicz & Hoaglin (1993), How to Detect and Handle Outliers.

    >>> round(robust_z([10, 11, 9, 10, 12, 10, 9, 11, 10, 30]).z[-1], 4)
    13.4898
    """
    import numpy as np

    array = numbers("values", values)
    if array.size == 0:
        return RobustZ(None, None, (), "there are no values")
    middle = float(np.median(array))
    scale = MAD_SCALE * float(np.median(np.abs(array - middle)))
    if scale == 0:
        return RobustZ(middle, None, (), "more than half of the values are equal")
    return RobustZ(middle, scale, tuple(((array - middle) / scale).tolist()), "")


def ewma(values: ArrayLike, *, weight: float, start: float | None = None) -> tuple[float, ...]:
    """The exponentially weighted moving average: each is `weight` · value + (1 - weight) · the one before.

    Source: Roberts (1959), Technometrics 1:239. `start`: the one before the first; by default the first value.

    >>> [round(each, 3) for each in ewma([10, 11, 10, 9, 12], weight=0.2, start=10)]
    [10.0, 10.2, 10.16, 9.928, 10.342]
    """
    array = numbers("values", values)
    check_between("weight", weight, 0, 1)
    level = check_finite("start", start) if start is not None else (float(array[0]) if array.size else 0.0)
    smooth = []
    for value in array.tolist():
        level = weight * value + (1 - weight) * level
        smooth.append(level)
    return tuple(smooth)


def mann_kendall(values: ArrayLike, *, inflation: float = 1.0) -> MannKendall:
    """Whether a series rises or falls, whatever its shape; ties count as neither.

    Sources: Mann (1945), Econometrica 13:245; Kendall (1975), Rank Correlation Methods; for neighbours that are alike
    Yue & Wang (2004), Water Resources Management 18:201: the variance of S grows as that of a mean.

    Parameters
    ----------
    inflation: how many times that is, see `SeriesNoise.inflation`.

    >>> found = mann_kendall([12, 15, 14, 18, 17, 21, 20, 24, 26, 25, 29, 31])
    >>> found.s, round(found.z, 4), round(found.tau, 4)
    (58.0, 3.9086, 0.8788)
    """
    import numpy as np

    array = numbers("values", values)
    n = array.size
    if n < 3:
        return MannKendall(0.0, None, None, None, f"a trend needs 3 values, given: {n}")
    s = float(sum(np.sign(array[place + 1 :] - array[place]).sum() for place in range(n - 1)))
    variance = _variance_of_s(array) * check_at_least("inflation", inflation, 1)
    if variance <= 0:
        return MannKendall(s, None, None, 0.0, "the values do not vary")
    z = (s - math.copysign(1.0, s)) / math.sqrt(variance) if s else 0.0
    return MannKendall(s, z, two_sided_p(z), s / (n * (n - 1) / 2), "")


def sen_slope(
    values: ArrayLike, *, at: ArrayLike | None = None, inflation: float = 1.0, confidence: float = CONFIDENCE
) -> Estimate:
    """The median of the slopes between all pairs of values, per step of `at`, with the test of `mann_kendall`.

    Sources: Theil (1950); Sen (1968), JASA 63:1379. Up to 29 % of the values may be anything.

    Parameters
    ----------
    at: such as days, ascending; by default 0, 1, 2 … inflation: as in `mann_kendall`.

    >>> slope = sen_slope([12, 15, 14, 18, 17, 21, 20, 24, 26, 25, 29, 31])
    >>> slope.value, slope.ci_lower, slope.ci_upper
    (1.6125, 1.5, 2.0)
    """
    import numpy as np

    given = numbers("values", values)
    value, place = matched(values=given, at=np.arange(given.size) if at is None else at)
    ascending("at", place)
    test = mann_kendall(value, inflation=inflation)
    n = value.size
    if test.p_value is None:
        return Estimate.absent(test.reason, n=n, method=SEN)
    rows, columns = np.triu_indices(n, 1)
    with np.errstate(over="ignore"):
        slopes = np.sort((value[columns] - value[rows]) / (place[columns] - place[rows]))
    middle = float(np.median(slopes))
    if not math.isfinite(middle):
        return Estimate.absent(TOO_LARGE, n=n, method=SEN)
    reach = critical_value(confidence) * math.sqrt(_variance_of_s(value) * inflation)
    low = max(round((slopes.size - reach) / 2) - 1, 0)
    high = min(round((slopes.size + reach) / 2), slopes.size - 1)
    ends = float(slopes[low]), float(slopes[high])
    return Estimate(middle, None, None, *ends, test.p_value, n, SEN, "ok", "")


def weekly_season(values: ArrayLike, days: ArrayLike) -> WeeklySeason:
    """What each weekday adds to the level of its week: the median, over whole weeks, of what it is above the week's.

    A week's level is its median, so that neither a step nor an outlier makes a season. The test ranks days within
    weeks.

    Parameters
    ----------
    days: the proleptic ordinal of each value's day (`date.toordinal`), ascending; days may be missing.

    >>> flat = weekly_season([5.0] * 42, range(735_000, 735_042))
    >>> flat.status, flat.reason
    ('absent', 'the values do not vary within their weeks')
    """
    import numpy as np
    from scipy import special

    value, day = matched(values=values, days=days)
    ascending("days", day)
    # Day 1 of the calendar was a Monday; a whole week is seven values of one week.
    week = (day.astype(np.int64) - 1) // _WEEK
    whole, sizes = np.unique(week, return_counts=True)
    kept = np.isin(week, whole[sizes == _WEEK])
    weeks = value[kept].reshape(-1, _WEEK)
    if len(weeks) < _FEWEST_WEEKS:
        reason = f"a weekly season needs {_FEWEST_WEEKS} whole weeks, Monday to Sunday, there are {len(weeks)}"
        return WeeklySeason((), None, weeks.size, "absent", reason)
    away = weeks - np.median(weeks, axis=1, keepdims=True)
    if not away.any():
        return WeeklySeason((), None, weeks.size, "absent", "the values do not vary within their weeks")
    medians = np.median(away, axis=0)
    p_value = float(special.chdtrc(_WEEK - 1, _friedman(weeks)))
    return WeeklySeason(tuple((medians - medians.mean()).tolist()), p_value, weeks.size, "ok", "")


def _friedman(rows: Numbers) -> float:
    """Friedman's statistic of columns that are ranked within rows, ties by their mean rank."""
    import numpy as np

    below = (rows[:, None, :] < rows[:, :, None]).sum(axis=2)
    same = (rows[:, None, :] == rows[:, :, None]).sum(axis=2)
    away = below + (same + 1) / 2 - (rows.shape[1] + 1) / 2
    return float((rows.shape[1] - 1) * np.square(away.sum(axis=0)).sum() / np.square(away).sum())


def _cut(rest: Numbers) -> Numbers:
    """What is left of values without their level, each cut at 3 robust standard deviations; all when most are 0."""
    import numpy as np

    reach = _CUT * MAD_SCALE * float(np.median(np.abs(rest)))
    return np.asarray(np.clip(rest, -reach, reach) if reach else rest, dtype=np.float64)


def _variance_of_s(values: Numbers) -> float:
    """The variance of Mann and Kendall's S of independent values, with ties."""
    import numpy as np

    n = values.size
    _, ties = np.unique(values, return_counts=True)
    return float(n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
