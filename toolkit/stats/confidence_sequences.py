"""Intervals and p-values that stay true however often and whenever one looks.

One method under several names: the normal mixture of Robbins (1970), Ann. Math. Statist. 41:1397. With information v
and a mixture of width rho the sum s of independent deviations has

    log e-value = s² / (2 (v + rho)) - log(1 + v / rho) / 2

whose supremum over all looks is above log(1/alpha) with probability alpha at most. In standard errors, z = s / √v, only
v / rho counts. It is the asymptotic confidence sequence of Waudby-Smith et al. (2021), arXiv 2103.06476, eq. 9 (their
rho is rho^-1/2 here, their t is v), "GAVI" (Howard et al. 2021, Ann. Statist. 49:1055, eq. 14) and the mixture
sequential probability ratio test (Johari, Pekelis & Walsh 2015, arXiv 1512.04922: v = 1 and rho = variance / tau²).

It costs power where the looks are planned: `toolkit.stats.boundary` is for those.
"""

from __future__ import annotations

import math

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import Estimate, check_count, check_finite, check_positive, from_standard_error
from toolkit.stats.spending import Sides, check_sides

_METHOD = "asymptotic confidence sequence"

TUNE_N = 5000
"""The number of observations at which the sequence is narrowest, unless a plan says otherwise."""


def mixture_width(tune_v: float, *, alpha: float, sides: Sides = 2) -> float:
    """The rho of the mixture whose boundary is lowest, to within 1 %, at information `tune_v`.

    Source: Howard et al. (2021), Ann. Statist. 49:1055: v / (2 log(1/a) + log(1 + 2 log(1/a))), with a = alpha
    two-sided and 2 · alpha one-sided.

    >>> round(mixture_width(100, alpha=0.05), 5)
    12.60056
    """
    check_positive("tune_v", tune_v)
    check_sides(sides)
    tail = check_between("alpha", alpha, 0, 1) * (2 if sides == 1 else 1)
    if tail >= 1:
        raise ArgumentError(f"alpha == {alpha}, must be below 0.5 for one side")
    twice = -2 * math.log(tail)
    return tune_v / (twice + math.log1p(twice))


def log_mixture(s: float, v: float, *, rho: float, sides: Sides = 2) -> float:
    """The log of the e-value of a sum `s` of deviations with variance `v` in all: the evidence against a mean of 0.

    One-sided (against a mean of at most 0) the mixture is over the positive half: plus log(2 Φ(s / √(v + rho))).

    >>> round(log_mixture(10, 100, rho=mixture_width(100, alpha=0.05)), 7)
    -0.6510052
    """
    from scipy import special

    check_finite("s", s)
    check_positive("v", v)
    check_positive("rho", rho)
    check_sides(sides)
    evidence = s * (s / (v + rho)) / 2 - math.log1p(v / rho) / 2
    return evidence if sides == 2 else evidence + math.log(2) + float(special.log_ndtr(s / math.sqrt(v + rho)))


def uniform_boundary(v: float, *, alpha: float, rho: float, sides: Sides = 2) -> float:
    """The sum that deviations with variance `v` in all exceed, at any v ever, with probability alpha at most.

    Two-sided (for the absolute sum) in closed form, √((v + rho) log((v + rho) / (rho alpha²))); one-sided by a root.

    >>> round(uniform_boundary(100, alpha=0.05, rho=mixture_width(100, alpha=0.05)), 5)
    30.35209
    >>> round(uniform_boundary(100, alpha=0.05, rho=mixture_width(100, alpha=0.05, sides=1), sides=1), 5)
    27.66071
    """
    check_between("alpha", alpha, 0, 1)
    check_positive("v", v)
    check_positive("rho", rho)
    check_sides(sides)
    two_sided = math.sqrt((v + rho) * (math.log1p(v / rho) - 2 * math.log(alpha)))
    if sides == 2:
        return two_sided
    from scipy import optimize

    def excess(s: float) -> float:
        return log_mixture(s, v, rho=rho, sides=1) + math.log(alpha)

    # There is no evidence at 0, and up to twice that of the two-sided mixture beyond.
    return float(optimize.brentq(excess, 0.0, two_sided, xtol=1e-12 * two_sided))


def always_valid_reach(n: float, *, alpha: float, tune_n: float = TUNE_N, sides: Sides = 2) -> float:
    """How many standard errors an interval reaches that holds at every look: the critical value of the sequence.

    Only n / tune_n counts, so that n may be units, groups or any other measure of information, and `tune_n` the same.

    >>> round(always_valid_reach(10_000, alpha=0.05, tune_n=10_000), 6)
    3.035209
    >>> round(always_valid_reach(10_000, alpha=0.05, tune_n=10_000, sides=1), 6)
    2.766071
    """
    check_positive("n", n)
    rho = mixture_width(tune_n, alpha=alpha, sides=sides)
    return uniform_boundary(n, alpha=alpha, rho=rho, sides=sides) / math.sqrt(n)


def always_valid_p(z: float, n: float, *, alpha: float, tune_n: float = TUNE_N, sides: Sides = 2) -> float:
    """The p-value that may be read at any look: 1 / e-value, at most 1, for an estimate `z` standard errors from null.

    It is at most alpha exactly where the interval of `always_valid_reach` with the same alpha excludes the null. Over
    looks its smallest value so far is as valid. One-sided: against a value of at most the null.

    >>> round(always_valid_p(3.0, 400, alpha=0.05, tune_n=5000), 6)
    0.222743
    """
    check_finite("z", z)
    check_positive("n", n)
    rho = mixture_width(tune_n, alpha=alpha, sides=sides)
    return math.exp(-max(0.0, log_mixture(z, 1.0, rho=rho / n, sides=sides)))


def confidence_sequence(
    value: float,
    se: float,
    n: int,
    *,
    alpha: float,
    tune_n: float = TUNE_N,
    null: float | None = 0.0,
) -> Estimate:
    """The estimate with an interval and a p-value that hold at every look together, for a value with its usual error.

    Source: Waudby-Smith et al. (2021), arXiv 2103.06476, eq. 9. Asymptotic: it needs what the central limit theorem
    needs at the first look, and is a promise about all looks from there on. Two-sided.

    Parameters
    ----------
    n: the observations that the standard error rests on.
    tune_n: where the sequence is to be narrowest; chosen beforehand, because it may not follow the data.

    >>> gain = confidence_sequence(0.5, 0.1298308125, 6461, alpha=0.05)
    >>> round(gain.ci_upper - gain.value, 9), round(gain.p_value, 5)
    (0.394493195, 0.0039)
    """
    check_between("alpha", alpha, 0, 1)
    n = check_count("n", n)
    if n == 0:
        return Estimate.absent("no observations", n=0, method=_METHOD)
    check_finite("value", value)
    if math.isnan(se) or se < 0:
        raise ArgumentError(f"se == {se}, must be a number of at least 0")
    reach = always_valid_reach(n, alpha=alpha, tune_n=tune_n)
    estimate = from_standard_error(value, se, n=n, method=_METHOD, null=null, critical=reach)
    if null is None or not estimate.se:
        return estimate
    z = (value - null) / se
    return estimate._replace(p_value=always_valid_p(z, n, alpha=alpha, tune_n=tune_n) if math.isfinite(z) else 0.0)
