"""Means of independent observations and the difference of two, from counts, means and variances."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.stats.arrays import numbers
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_count,
    check_finite,
    check_variance,
    from_standard_error,
    lacking,
    satterthwaite_df,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Moments(NamedTuple):
    """What a mean needs: `n`, `mean` and sample variance (ddof 1); None where there are too few for it."""

    n: int
    mean: float | None
    variance: float | None


def moments(values: ArrayLike) -> Moments:
    """Count, mean and sample variance of an array, centred before squaring: large means lose no digits.

    >>> moments([1000000004, 1000000007, 1000000013, 1000000016])
    Moments(n=4, mean=1000000010.0, variance=30.0)
    """
    import numpy as np

    array = numbers("values", values)
    if array.size == 0:
        return Moments(0, None, None)
    with np.errstate(over="ignore", invalid="ignore"):
        average = float(array.mean())
        squares = float(np.square(array - average).sum())
    return Moments(array.size, average, squares / (array.size - 1) if array.size > 1 else None)


def mean(
    n: int,
    mean: float | None,
    variance: float | None,
    *,
    null: float | None = None,
    method: str = "t",
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean of `n` independent observations with Student's t interval (Student 1908, Biometrika 6:1).

    Parameters
    ----------
    mean, variance: sample mean and sample variance (ddof 1); what stands there for n == 0, n < 2 is not read.
    null: the value to test the mean against; give 0 for the differences of pairs. None: no test.

    >>> paired = mean(10, 1.58, 1.5128888888888892, null=0)  # Student's sleep data
    >>> round(paired.ci_lower, 5), round(paired.ci_upper, 5), round(paired.p_value, 6)
    (0.70011, 2.45989, 0.002833)
    """
    check_between("confidence", confidence, 0, 1)
    n = check_count("n", n)
    if n == 0:
        return Estimate.absent("no observations", n=0, method=method)
    value = check_finite("mean", mean)
    if n == 1:
        reason = f"{lacking(null)}: too few observations: n == 1, a variance needs 2"
        return Estimate.alone(value, n=n, method=method, reason=reason)
    se = math.sqrt(check_variance("variance", variance) / n)
    return from_standard_error(value, se, n=n, df=n - 1, method=method, null=null, confidence=confidence)


def welch(
    n0: int,
    mean0: float | None,
    variance0: float | None,
    n1: int,
    mean1: float | None,
    variance1: float | None,
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """mean1 - mean0 of two independent samples of unequal variance, with the t test against 0.

    Sources: Welch (1947), Biometrika 34:28; degrees of freedom by Satterthwaite (1946). Variances are sample variances
    (ddof 1); what stands for the mean of no and the variance of fewer than 2 observations is not read.

    >>> gain = welch(3407, 0.41, 15.2103, 3461, 0.70, 38.4399)
    >>> round(gain.value, 9), round(gain.ci_lower, 4), round(gain.ci_upper, 4), round(gain.p_value, 4)
    (0.29, 0.0454, 0.5346, 0.0202)
    >>> welch(1, 3.0, None, 40, 2.5, 1.3).reason
    'no interval and no test: too few observations: n0 == 1, a variance needs 2'
    """
    check_between("confidence", confidence, 0, 1)
    n0, n1 = check_count("n0", n0), check_count("n1", n1)
    if n0 == 0 or n1 == 0:
        return Estimate.absent(f"no observations in one group: n0 == {n0}, n1 == {n1}", n=n0 + n1, method="welch")
    mean0, mean1 = check_finite("mean0", mean0), check_finite("mean1", mean1)
    few = too_few(n0, n1)
    if few:
        return Estimate.alone(mean1 - mean0, n=n0 + n1, method="welch", reason=f"{lacking(0.0)}: {few}")
    se0 = math.sqrt(check_variance("variance0", variance0) / n0)
    se1 = math.sqrt(check_variance("variance1", variance1) / n1)
    return from_standard_error(
        mean1 - mean0,
        math.hypot(se0, se1),
        n=n0 + n1,
        df=satterthwaite_df((se0, n0 - 1), (se1, n1 - 1)),
        method="welch",
        null=0.0,
        scale=max(abs(mean0), abs(mean1)),
        confidence=confidence,
    )


def too_few(n0: int, n1: int) -> str:
    """Which of two samples is too small for a variance, or ""."""
    names = " and ".join(f"{name} == {n}" for name, n in (("n0", n0), ("n1", n1)) if n < 2)
    return f"too few observations: {names}, a variance needs 2" if names else ""
