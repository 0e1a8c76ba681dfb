"""Tests against a margin: whether a treatment is not worse by it, and whether two variants are the same within it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from toolkit.checks import check_at_least, check_between
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import TOO_LARGE, Estimate, check_finite, one_sided_p


class MarginTest(NamedTuple):
    """The outcome of a test against a margin, for a difference of treatment minus control.

    Attributes
    ----------
    passed: whether the treatment is shown to keep the margin; None if nothing can be said. False is no proof of harm.
    p_value: one-sided, of a true difference at the margin.
    statistic: standard errors between the difference and the margin.
    bound: how bad the difference may be at the confidence of the test, in the unit of the difference.
    limit: where the margin lies: -margin if more is better, +margin if less is.
    method: "one-sided t" or "one-sided z".
    status: `absent` if `passed` is. reason: why a part is absent; else "".
    """

    passed: bool | None
    p_value: float | None
    statistic: float | None
    bound: float | None
    limit: float
    method: str
    status: Literal["ok", "absent"]
    reason: str


class Equivalence(NamedTuple):
    """The outcome of two one-sided tests.

    Attributes
    ----------
    passed: whether the difference is shown to lie between `low` and `high`; None if nothing can be said.
    p_value: the larger of the two one-sided ones, p_low (against `low`) and p_high.
    ci_lower, ci_upper: the interval of confidence 1 - 2 alpha: it lies between the limits exactly if both tests pass.
    status, reason: as in `MarginTest`.
    """

    passed: bool | None
    p_value: float | None
    p_low: float | None
    p_high: float | None
    ci_lower: float | None
    ci_upper: float | None
    low: float
    high: float
    method: str
    status: Literal["ok", "absent"]
    reason: str


def not_inferior(difference: Estimate, margin: float, *, increase: bool = True, alpha: float = 0.05) -> MarginTest:
    """Whether a difference is shown to be no worse than the margin.

    Source: Julious (2004), Statistics in Medicine 23:1921.

    Parameters
    ----------
    margin: of at least 0, in the unit of the difference; at 0 the test asks whether the treatment is better.
    increase: whether more is better.
    alpha: one-sided; the error and degrees of freedom of the difference are used.

    >>> drop = Estimate(-0.01, 0.004, None, -0.0178, -0.0022, 0.012, 4000, "difference", "ok", "")
    >>> found = not_inferior(drop, 0.02)
    >>> found.passed, round(found.p_value, 6), round(found.bound, 6)
    (True, 0.00621, -0.016579)
    """
    check_at_least("margin", margin, 0)
    sign = 1.0 if increase else -1.0
    limit = -sign * margin
    check_between("alpha", alpha, 0, 1)
    method = _method(difference)
    lacking = _without_error(difference)
    if lacking:
        return MarginTest(None, None, None, None, limit, method, "absent", lacking)
    value, se = check_finite("value", difference.value), check_finite("se", difference.se)
    statistic = (sign * value + margin) / se
    p_value = one_sided_p(statistic, df=difference.df)
    bound = value - sign * _one_sided_reach(alpha, difference.df) * se
    if not (math.isfinite(statistic) and math.isfinite(bound)):
        return MarginTest(None, None, None, None, limit, method, "absent", TOO_LARGE)
    return MarginTest(p_value < alpha, p_value, statistic, bound, limit, method, "ok", "")


def equivalent(difference: Estimate, low: float, high: float, *, alpha: float = 0.05) -> Equivalence:
    """Whether a difference is shown to lie between two limits: two one-sided tests, each at alpha.

    Source: Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15:657.

    >>> change = Estimate(0.001, 0.004, 58, -0.007, 0.009, 0.80, 60, "welch", "ok", "")
    >>> found = equivalent(change, -0.01, 0.01)
    >>> found.passed, round(found.p_value, 4), round(found.ci_upper, 5)
    (True, 0.0141, 0.00769)
    """
    check_between("alpha", alpha, 0, 0.5)
    if not check_finite("low", low) < check_finite("high", high):
        raise ArgumentError(f"low == {low} and high == {high}: low must lie below high")
    method = f"two {_method(difference)} tests"
    lacking = _without_error(difference)
    if lacking:
        return Equivalence(None, None, None, None, None, None, low, high, method, "absent", lacking)
    value, se = check_finite("value", difference.value), check_finite("se", difference.se)
    p_low, p_high = (one_sided_p(gap / se, df=difference.df) for gap in (value - low, high - value))
    p_value, reach = max(p_low, p_high), _one_sided_reach(alpha, difference.df) * se
    lower, upper = value - reach, value + reach
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return Equivalence(None, None, None, None, None, None, low, high, method, "absent", TOO_LARGE)
    return Equivalence(p_value < alpha, p_value, p_low, p_high, lower, upper, low, high, method, "ok", "")


def _without_error(difference: Estimate) -> str:
    """Why there can be no test, or ""."""
    if difference.value is not None and difference.se:
        return ""
    return difference.reason or "the difference has no standard error"


def _method(difference: Estimate) -> str:
    return "one-sided z" if difference.df is None else "one-sided t"


def _one_sided_reach(alpha: float, df: float | None) -> float:
    from scipy import special

    return -float(special.ndtri(alpha) if df is None else special.stdtrit(df, alpha))
