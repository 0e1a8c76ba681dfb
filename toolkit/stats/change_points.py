"""Change points: where the level of a series stepped, by how much, and how sure one may be of the step and its date.

Segmentations are optimal for the sum of squares plus a penalty per step: PELT (Killick, Fearnhead & Eckley 2012, JASA
107:1590), as the package ruptures has it. The usual penalties count on independent values of one variance, and find
steps in what is only weather. Here the penalty is the largest gain that a step anywhere in a series without one would
have with probability `STEP_ALPHA`, in units of the long-run variance (`series_noise`).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import numbers
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, check_positive, from_standard_error
from toolkit.stats.series import SeriesNoise, running_median, series_noise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

STEP = "difference of levels, long-run variance; p-value of the largest step in the series"

STEP_ALPHA = 0.01
"""The chance of a step found in a series that has none: what one is told of should nearly always be there."""

SHORTEST = 7
"""So many values a level must hold to be one: a week of days."""

FEWEST_VALUES = 28
"""So many values a search needs: from fewer nobody knows how much they scatter."""

_CLIPPED = 3.0
"""Standard deviations from the level beyond which a value counts as no further: one storm is no step."""

_DATE_REACH = 11.03
"""Bai (1997), Review of Economics and Statistics 79:551: the 97.5 % quantile of (found - true place) · step² / σ²."""


class BestSplit(NamedTuple):
    """The best single step: the place of the first value after it, both means, and the sum of squares it saves."""

    place: int
    before: float
    after: float
    gain: float


class ChangePoint(NamedTuple):
    """A step in the level.

    Attributes
    ----------
    place: of the first value after it. first_place, last_place: where it lies with 95 % confidence.
    before, after: levels of the segments on its two sides, outliers counted as no further than 3 standard deviations.
    change: after - before. Its interval is that of two levels at a known place, somewhat too short for a found one; its
        p-value is that of the largest step found anywhere in a series without one.
    """

    place: int
    first_place: int
    last_place: int
    before: float
    after: float
    change: Estimate


class ChangePoints(NamedTuple):
    """The steps of a series, in order; perhaps none.

    Attributes
    ----------
    noise: what the values scatter by.
    p_value: of the most evident step, also where it was not evident enough; None when absent.
    gradual: a straight line describes the series better than the steps that were found, so that none is reported.
    """

    points: tuple[ChangePoint, ...]
    noise: SeriesNoise | None
    p_value: float | None
    gradual: bool
    status: Literal["ok", "absent"]
    reason: str


def best_split(values: ArrayLike, *, min_size: int = 2) -> BestSplit:
    """The one step that leaves the smallest sum of squares about the means before and after it.

    >>> best_split([1, 2, 1, 2, 7, 8, 7, 8])
    BestSplit(place=4, before=1.5, after=7.5, gain=72.0)
    """
    import numpy as np

    array = _long_enough(values, min_size)
    n, centre = array.size, float(array.mean())
    after = np.arange(min_size, n - min_size + 1)
    sums = np.cumsum(array - centre)[after - 1]
    gains = np.square(sums) * (n / (after * (n - after)))
    index = int(after[int(np.argmax(gains))])
    return BestSplit(index, float(array[:index].mean()), float(array[index:].mean()), float(gains.max()))


def segment_ends(values: ArrayLike, *, penalty: float, min_size: int = 2) -> tuple[int, ...]:
    """Where the segments of the best segmentation end: the place after the last value of each, the series' own too.

    Best is the least sum of squares about the segments' means plus `penalty` for each step.

    >>> segment_ends([1, 2, 1, 2, 7, 8, 7, 8, 1, 2, 1], penalty=6)
    (4, 8, 11)
    """
    from ruptures import KernelCPD

    array = _long_enough(values, min_size)
    check_positive("penalty", penalty)
    # The linear kernel is the sum of squares, in C; from the centre, so that no digits are lost.
    column = (array - array.mean()).reshape(-1, 1)
    return tuple(int(end) for end in KernelCPD(kernel="linear", min_size=min_size).fit(column).predict(pen=penalty))


def largest_step_p(gain: float, n: int, *, min_size: int) -> float:
    """The probability that the best step of `n` values without one saves as much, in units of their variance.

    Source: Miller & Siegmund (1982), Biometrics 38:1011, for a series looked at continuously, which is above what one
    of n values gives.

    >>> round(largest_step_p(10.41, 182, min_size=7), 4)
    0.0438
    """
    check_count("n", n)
    if not gain >= 0:
        raise ArgumentError(f"gain == {gain}, must be a number of at least 0")
    b, earliest = math.sqrt(gain), min(min_size / n, 0.5)
    if b < 1.5:
        return 1.0
    density = math.exp(-b * b / 2) / math.sqrt(2 * math.pi)
    places = 2 * math.log((1 - earliest) / earliest)
    return min(1.0, density * ((b - 1 / b) * places + 4 / b))


def step_penalty(alpha: float, n: int, *, min_size: int) -> float:
    """The penalty with which `n` values of variance 1 without a step show one with probability `alpha` at most.

    >>> round(step_penalty(0.01, 182, min_size=7), 3)
    13.655
    """
    from scipy import optimize

    check_between("alpha", alpha, 0, 0.5)
    root = optimize.brentq(lambda b: largest_step_p(b * b, n, min_size=min_size) - alpha, 1.4, 38.0, xtol=1e-10)
    return float(root) ** 2


def change_points(values: ArrayLike) -> ChangePoints:
    """The steps of a series whose neighbours may resemble each other and which may hold outliers.

    The chance of finding one where there is none is `STEP_ALPHA`. It stays below 5 % for neighbours that correlate by
    up to 0.6 (`tests/stats/test_change_points.py`), and not above: slow noise looks like steps.

    Absent when there are too few values or none varies. Raises `ArgumentError` for values that are not finite.

    >>> low, high = [5, 6, 5, 4, 5, 6, 4, 5, 6, 5, 5, 6, 4, 5], [9, 8, 9, 10, 9, 8, 10, 9, 9, 8, 9, 8, 10, 9]
    >>> found = change_points([*low, *high])
    >>> [(point.place, round(point.before, 2), round(point.after, 2)) for point in found.points]
    [(14, 5.07, 8.93)]
    """
    import numpy as np

    array = numbers("values", values)
    n = array.size
    if n < FEWEST_VALUES:
        return _absent(f"a search for steps needs {FEWEST_VALUES} values, given: {n}")
    noise = series_noise(array)
    if noise.sd == 0:
        return _absent("the values do not vary")
    calm = _near(array, np.array(running_median(array)), noise.sd) / math.sqrt(noise.long_run_variance)
    penalty = step_penalty(STEP_ALPHA, n, min_size=SHORTEST)
    ends = segment_ends(calm, penalty=penalty, min_size=SHORTEST)
    best = largest_step_p(best_split(calm, min_size=SHORTEST).gain, n, min_size=SHORTEST)
    if len(ends) > 1 and _is_line(calm, ends, penalty):
        return ChangePoints((), noise, best, True, "ok", "")
    points = _points(array, ends, noise)
    p_value = min([best, *(point.change.p_value for point in points if point.change.p_value is not None)])
    return ChangePoints(points, noise, p_value, False, "ok", "")


def _absent(reason: str) -> ChangePoints:
    return ChangePoints((), None, None, False, "absent", reason)


def _points(array: Numbers, ends: tuple[int, ...], noise: SeriesNoise) -> tuple[ChangePoint, ...]:
    """The steps between segments, each judged from the two segments that it parts."""
    import numpy as np

    bounds = [0, *ends]
    parts = [_near(part, np.median(part), noise.sd) for part in (array[a:b] for a, b in pairwise(bounds))]
    found = []
    for (before, after), index, first, last in zip(pairwise(parts), ends, bounds, ends[1:], strict=False):
        levels = float(before.mean()), float(after.mean())
        step = levels[1] - levels[0]
        per_value = 1 / before.size + 1 / after.size
        se = math.sqrt(noise.long_run_variance * per_value)
        estimate = from_standard_error(step, se, n=before.size + after.size, method=STEP, confidence=CONFIDENCE)
        p_value = largest_step_p((step / se) ** 2, array.size, min_size=SHORTEST)
        reach = math.ceil(_DATE_REACH * noise.long_run_variance / (step * step)) if step else array.size
        earliest, latest = max(index - reach, first + 1), min(index + reach, last - 1)
        found.append(ChangePoint(index, earliest, latest, *levels, estimate._replace(p_value=p_value)))
    return tuple(found)


def _near(values: Numbers, level: Numbers | float, sd: float) -> Numbers:
    """The values, none further from their level than an outlier may count."""
    import numpy as np

    return np.asarray(np.clip(values, level - _CLIPPED * sd, level + _CLIPPED * sd), dtype=np.float64)


def _is_line(calm: Numbers, ends: tuple[int, ...], penalty: float) -> bool:
    """Whether a straight line, at the price of one step, does better than the steps."""
    import numpy as np

    steps = sum(float(np.square(part - part.mean()).sum()) for part in np.split(calm, list(ends[:-1])))
    place = np.arange(calm.size) - (calm.size - 1) / 2
    slope = float(place @ calm) / float(place @ place)
    line = float(np.square(calm - calm.mean() - slope * place).sum())
    return line + penalty < steps + penalty * (len(ends) - 1)


def _long_enough(values: ArrayLike, min_size: int) -> Numbers:
    array = numbers("values", values)
    if check_count("min_size", min_size) < 1:
        raise ArgumentError(f"min_size == {min_size}, must be at least 1")
    if array.size < 2 * min_size:
        raise ArgumentError(f"values has {array.size} entries, a step between parts of {min_size} needs {2 * min_size}")
    return array
