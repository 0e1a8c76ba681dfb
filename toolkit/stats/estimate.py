"""The one value object of the room, the reference distributions, and how an estimate is put together.

Every function of `toolkit.stats` returns an `Estimate` or a tuple of its own whose absent parts are None beside a
reason: never NaN, never infinity.

>>> from_standard_error(0.3, 0.1, n=50, df=48, method="example", null=0).excludes_zero
True
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from toolkit.checks import check_at_least, check_between
from toolkit.errors import ArgumentError

CONFIDENCE = 0.95
"""The confidence of every interval, unless a plan says otherwise."""

ROUNDING = 4 * math.ulp(1.0)
"""Relative size below which a standard error is rounding: a mean of equal numbers is itself off by a few units in its
last place, so that its "variance" is not 0 but noise, and a test on it would find anything."""

TOO_LARGE = "the numbers are too large for floating point"


class Estimate(NamedTuple):
    """A number with what is known about its error. A part that is absent is None, and `reason` says why.

    Attributes
    ----------
    value: the estimate, in the unit of what is estimated.
    se: its standard error, in the same unit.
    df: degrees of freedom of the reference t; None for the normal.
    ci_lower, ci_upper: the interval; None: absent or unbounded on that side.
    p_value: two-sided; None also where nothing is tested.
    n: the observations it rests on.
    method: such as "wilson", "welch", "cluster-robust ratio".
    status: `absent` if there is no value.
    reason: why the value, the interval, the standard error or a test is absent; else "".
    """

    value: float | None
    se: float | None
    df: float | None
    ci_lower: float | None
    ci_upper: float | None
    p_value: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str

    @classmethod
    def absent(cls, reason: str, *, n: int, method: str) -> Estimate:
        """An estimate that could not be made.

        >>> Estimate.absent("no observations", n=0, method="welch").status
        'absent'
        """
        return cls(None, None, None, None, None, None, n, method, "absent", reason)

    @classmethod
    def alone(cls, value: float, *, n: int, method: str, reason: str) -> Estimate:
        """A value without standard error, interval and test, and why."""
        if not math.isfinite(value):
            return cls.absent(TOO_LARGE, n=n, method=method)
        return cls(value, None, None, None, None, None, n, method, "ok", reason)

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and zero lies outside it."""
        above = self.ci_lower is not None and self.ci_lower > 0
        below = self.ci_upper is not None and self.ci_upper < 0
        return above or below


def critical_value(confidence: float = CONFIDENCE, *, df: float | None = None) -> float:
    """How many standard errors a two-sided interval reaches: a quantile of the normal, or of t with `df`.

    >>> round(critical_value(0.95), 6), round(critical_value(0.95, df=9), 6)
    (1.959964, 2.262157)
    """
    from scipy import special

    # The lower tail keeps its digits where 1 - tail would have lost them.
    tail = (1 - check_between("confidence", confidence, 0, 1)) / 2
    return abs(float(special.ndtri(tail) if df is None else special.stdtrit(df, tail)))


def two_sided_p(statistic: float, *, df: float | None = None) -> float:
    """The probability of a statistic at least as far from zero, by the tail itself, never by 1 - cdf.

    >>> two_sided_p(12.0)
    3.552964224155306e-33
    """
    from scipy import special

    if math.isnan(statistic):
        raise ArgumentError(f"statistic == {statistic}, must be a number")
    tail = -abs(statistic)
    return min(1.0, 2 * float(special.ndtr(tail) if df is None else special.stdtr(df, tail)))


def one_sided_p(statistic: float, *, df: float | None = None) -> float:
    """The probability of a statistic at least as high, by the tail itself.

    >>> round(one_sided_p(1.6448536269514729), 6), one_sided_p(float("-inf"), df=9)
    (0.05, 1.0)
    """
    from scipy import special

    if math.isinf(statistic):
        return 0.0 if statistic > 0 else 1.0
    return float(special.ndtr(-statistic) if df is None else special.stdtr(df, -statistic))


def from_standard_error(
    value: float,
    se: float,
    *,
    n: int,
    method: str,
    df: float | None = None,
    null: float | None = None,
    scale: float | None = None,
    within: tuple[float, float] | None = None,
    confidence: float = CONFIDENCE,
    critical: float | None = None,
) -> Estimate:
    """The estimate value ± critical value · se, and the test of `value == null`.

    Parameters
    ----------
    df: of the reference t; None: normal.
    null: what to test the value against; None: no test.
    critical: how many standard errors the interval reaches, in place of the quantile: one look of several. Then there
        is no p-value: that of a single look would contradict the interval.
    scale: size of the numbers that `value` was computed from; a standard error below its rounding is no variation.
    within: the range of the parameter; the interval is cut to it.

    >>> from_standard_error(1.0, 0.0, n=8, df=7, method="mean").reason
    'no interval: the observations do not vary'
    """
    reach = critical_value(confidence, df=df) if critical is None else check_reach(critical)
    if not math.isfinite(value):
        return Estimate.absent(TOO_LARGE, n=n, method=method)
    if not math.isfinite(se):
        return Estimate.alone(value, n=n, method=method, reason=f"{lacking(null)}: {TOO_LARGE}")
    if se <= ROUNDING * abs(value if scale is None else scale):
        reason = f"{lacking(null)}: the observations do not vary"
        return Estimate.alone(value, n=n, method=method, reason=reason)._replace(se=0.0)
    lower, upper = value - reach * se, value + reach * se
    if within is not None:
        lower, upper = max(lower, within[0]), min(upper, within[1])
    untested = null is None or critical is not None
    p_value = None if untested else two_sided_p(_quotient(value - (null or 0.0), se), df=df)
    estimate = Estimate(value, se, df, lower, upper, p_value, n, method, "ok", "")
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return estimate._replace(ci_lower=None, ci_upper=None, reason=f"no interval: {TOO_LARGE}")
    return estimate


def difference(
    a: Estimate, b: Estimate, *, method: str = "difference of independent estimates", confidence: float = CONFIDENCE
) -> Estimate:
    """b - a for two independent estimates: pooled standard error, Satterthwaite's degrees of freedom, t test against 0.

    Source: Satterthwaite (1946), Biometrics Bulletin 2:110. Absent if either is; without interval if either has no
    standard error. An estimate with a normal reference (df None) adds no uncertainty of its own about its error.

    >>> april = Estimate(0.20, 0.03, 29, 0.14, 0.26, None, 30, "cluster-robust ratio", "ok", "")
    >>> may = Estimate(0.35, 0.04, 30, 0.27, 0.43, None, 31, "cluster-robust ratio", "ok", "")
    >>> change = difference(april, may)
    >>> round(change.value, 9), round(change.se, 9), round(change.df, 4), round(change.p_value, 5)
    (0.15, 0.05, 55.1806, 0.00405)
    """
    n = a.n + b.n
    if a.value is None or b.value is None:
        absent = a if a.value is None else b
        return Estimate.absent(f"one side is absent: {absent.reason}", n=n, method=method)
    if a.se is None or b.se is None:
        silent = a if a.se is None else b
        reason = f"{lacking(0.0)}: one side has no standard error ({silent.reason})"
        return Estimate.alone(b.value - a.value, n=n, method=method, reason=reason)
    return from_standard_error(
        b.value - a.value,
        math.hypot(a.se, b.se),
        n=n,
        df=satterthwaite_df((a.se, a.df), (b.se, b.df)),
        method=method,
        null=0.0,
        scale=max(abs(a.value), abs(b.value)),
        confidence=confidence,
    )


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """The estimate in another unit: value, error and interval times a known `factor` of at least 0.

    >>> scaled(Estimate(0.01, 0.002, 29, 0.006, 0.014, 0.001, 900, "mean", "ok", ""), 1000).ci_upper
    14.0
    """
    check_at_least("factor", factor, 0)
    parts = (estimate.value, estimate.se, estimate.ci_lower, estimate.ci_upper)
    value, se, lower, upper = (None if part is None else part * factor for part in parts)
    return estimate._replace(value=value, se=se, ci_lower=lower, ci_upper=upper)


def satterthwaite_df(*parts: tuple[float, float | None]) -> float | None:
    """Degrees of freedom of a sum of independent parts, each a standard error with its degrees of freedom.

    None (the normal) if no part has any. Source: Satterthwaite (1946), Biometrics Bulletin 2:110.

    >>> round(satterthwaite_df((3.0, 8), (3.0, 8)), 6), round(satterthwaite_df((3.0, 8), (4.0, None)), 6)
    (16.0, 61.728395)
    """
    total = math.hypot(*(se for se, _ in parts))
    if total == 0 or not math.isfinite(total):
        # No variation, or too much of it: no interval will be made.
        return None
    # Shares of the variance instead of fourth powers, which overflow.
    doubt = sum((se / total) ** 4 / df for se, df in parts if df is not None)
    return 1 / doubt if doubt > 0 and math.isfinite(1 / doubt) else None


def lacking(null: float | None) -> str:
    """What an estimate without a standard error does without: the start of its reason."""
    return "no interval" if null is None else "no interval and no test"


def check_count(name: str, given: float) -> int:
    """Return `given` as an int if it is a whole number of at least 0.

    >>> check_count("n", 12.5)
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: n == 12.5, must be a whole number of at least 0
    """
    if not (math.isfinite(given) and given >= 0 and given == int(given)):
        raise ArgumentError(f"{name} == {given}, must be a whole number of at least 0")
    return int(given)


def check_finite(name: str, given: float | None) -> float:
    """Return `given` as a float if it is a finite number."""
    if given is None or not math.isfinite(given):
        raise ArgumentError(f"{name} == {given}, must be a finite number")
    return float(given)


def check_variance(name: str, given: float | None) -> float:
    """Return `given` as a float if it can be a variance."""
    return float(check_at_least(name, check_finite(name, given), 0))


def check_positive(name: str, given: float) -> float:
    """Return `given` if it is a finite number above 0."""
    if not (math.isfinite(given) and given > 0):
        raise ArgumentError(f"{name} == {given}, must be a number above 0")
    return given


def check_reach(critical: float) -> float:
    """Return `critical` as a float if an interval can reach so many standard errors."""
    if not (math.isfinite(critical) and critical > 0):
        raise ArgumentError(f"critical == {critical}, must be a number above 0: standard errors that intervals reach")
    return float(critical)


def _quotient(difference: float, se: float) -> float:
    """difference / se, infinite where it overflows: the tail beyond it is 0 in any case."""
    # se is above the rounding of the value's scale, so that neither side is 0 / 0.
    return difference / se if math.isfinite(difference) else math.copysign(math.inf, difference)
