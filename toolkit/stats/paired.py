"""Two versions on the same rows: differences of pairs, disagreement and agreement.

A shadow scores every request with both versions. What varies between requests falls out of the difference, so that
pairs show in thousands of requests what two separate samples show in millions. Differences are 1 minus 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import (
    CONFIDENCE,
    Estimate,
    check_count,
    from_standard_error,
    lacking,
    two_sided_p,
)
from toolkit.stats.proportions import proportion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.stats.joint_moments import JointMoments


class McNemar(NamedTuple):
    """The test of two shares on the same rows, which only the rows that differ can tell apart.

    Attributes
    ----------
    only0, only1: rows with 1 in the first only, and in the second only.
    p_value: mid-p: its error rate comes closer to alpha than the exact one's and hardly ever exceeds it.
    p_exact: never too small, mostly too large.
    n: the rows that differ.
    status, reason: as in `Estimate`.
    """

    only0: int
    only1: int
    p_value: float | None
    p_exact: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


class Agreement(NamedTuple):
    """How often two raters, models or versions say the same.

    Attributes
    ----------
    share: of rows with the same answer, with Wilson's interval.
    kappa: Cohen's: that share beyond the one that the two would reach by chance, as a share of what is left there; the
        test is of no agreement beyond chance.
    n: rows.
    """

    share: Estimate
    kappa: Estimate
    n: int


def paired_difference(
    moments: JointMoments,
    *,
    first: int = 0,
    second: int = 1,
    rows: int | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """The mean difference of pairs, second minus first, with Student's t test against 0.

    Sources: Student (1908), Biometrika 6:1; with `rows` the linearised ratio over clusters, Cochran (1977), ch. 6.

    Parameters
    ----------
    moments: of pairs; with `rows`, of clusters of pairs (units, days) from their sums.
    first, second: which measures of the moments are compared.
    rows: which measure holds the pairs in each cluster; None: every entry is one pair.

    Where two versions differ by a millionth of what they vary, collect their difference as a measure of its own: the
    covariance of two measures has no digits for it.

    >>> from toolkit.stats.joint_moments import joint_moments
    >>> before = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    >>> after = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    >>> gain = paired_difference(joint_moments(before, after))  # Student's sleep data
    >>> round(gain.value, 9), round(gain.ci_lower, 5), gain.df, round(gain.p_value, 6)
    (1.58, 0.70011, 9, 0.002833)
    """
    method = "paired t" if rows is None else "paired, cluster-robust"
    check_between("confidence", confidence, 0, 1)
    groups = moments.n
    if groups == 0:
        return Estimate.absent("no pairs", n=0, method=method)
    # Of the origins first: near 1e9 the means themselves have lost the digits of their difference.
    gap = (moments.origins[second] - moments.origins[first]) + (moments.offsets[second] - moments.offsets[first])
    size = 1.0 if rows is None else moments.origins[rows] + moments.offsets[rows]
    n = groups if rows is None else round(groups * size)
    if size <= 0:
        return Estimate.absent("no pairs: the clusters are empty", n=0, method=method)
    value = gap / size
    if groups < 2:
        what = "pairs" if rows is None else "clusters"
        reason = f"{lacking(0.0)}: too few {what}: {groups}, a variance needs 2"
        return Estimate.alone(value, n=n, method=method, reason=reason)
    signs = {second: 1.0, first: -1.0} | ({} if rows is None else {rows: -value})
    terms = [a * b * moments.products[i][j] for i, a in signs.items() for j, b in signs.items()]
    squares = math.fsum(terms)
    # What is left of terms that cancel is their rounding, not variation.
    if squares <= 8 * math.ulp(1.0) * max(map(abs, terms)):
        squares = 0.0
    se = math.sqrt(squares / (groups - 1) / groups) / size
    largest = max(abs(moments.origins[at] + moments.offsets[at]) for at in (first, second)) / size
    return from_standard_error(
        value,
        se,
        n=n,
        df=groups - 1,
        method=method,
        null=0.0,
        scale=largest,
        confidence=confidence,
    )


def mcnemar(only0: int, only1: int) -> McNemar:
    """Whether rows that differ favour one side, from how many have a 1 in the first only and in the second only.

    Sources: McNemar (1947), Psychometrika 12:153 · Fagerland, Lydersen & Laake (2013), BMC Medical Research Methodology
    13:91 (mid-p).

    >>> found = mcnemar(1, 7)
    >>> round(found.p_exact, 6), round(found.p_value, 6)
    (0.070312, 0.039062)
    >>> mcnemar(0, 0).reason
    'no test: no row differs'
    """
    from scipy import special

    method = "mcnemar, mid-p"
    only0, only1 = check_count("only0", only0), check_count("only1", only1)
    n = only0 + only1
    if n == 0:
        return McNemar(0, 0, None, None, 0, method, "absent", "no test: no row differs")
    fewer = min(only0, only1)
    if 2 * fewer == n:
        return McNemar(only0, only1, 1.0, 1.0, n, method, "ok", "")
    # The binomial's tail as a beta's: scipy's own counts no further than an int of the C language.
    tail = float(special.betainc(n - fewer, fewer + 1, 0.5))
    below = float(special.betainc(n - fewer + 1, fewer, 0.5)) if fewer else 0.0
    return McNemar(only0, only1, tail + below, min(1.0, 2 * tail), n, method, "ok", "")


def difference_of_paired_proportions(
    both: int, only0: int, only1: int, neither: int, *, confidence: float = CONFIDENCE
) -> Estimate:
    """The share of 1 in the second less that in the first, on the same rows, with the mid-p test.

    Source: Newcombe (1998), Statistics in Medicine 17:2635, method 10: the two Wilson intervals, joined with their
    correlation. Interval and test rest on different approximations: close to the edge one may call what the other does
    not.

    Parameters
    ----------
    both, only0, only1, neither: rows with a 1 in both, in the first only, in the second only, in neither.

    >>> gain = difference_of_paired_proportions(36, 2, 12, 0)
    >>> round(gain.value, 9), round(gain.ci_lower, 4), round(gain.ci_upper, 4), round(gain.p_value, 4)
    (0.2, 0.0569, 0.3404, 0.0074)
    """
    method = "newcombe paired score, mcnemar mid-p"
    check_between("confidence", confidence, 0, 1)
    counts = {"both": both, "only0": only0, "only1": only1, "neither": neither}
    both, only0, only1, neither = (check_count(name, count) for name, count in counts.items())
    n = both + only0 + only1 + neither
    if n == 0:
        return Estimate.absent("no pairs", n=0, method=method)
    gap = (only1 - only0) / n
    below0, above0 = _wilson_reaches(both + only0, n, confidence)
    below1, above1 = _wilson_reaches(both + only1, n, confidence)
    phi = _paired_correlation(both, only0, only1, neither)
    below, above = _joined(below1, above0, phi), _joined(above1, below0, phi)
    # Σ of squares less n times the square of the mean, over n - 1.
    se = math.sqrt(max((only0 + only1) / n - gap * gap, 0.0) / n)
    test = mcnemar(only0, only1)
    reason = "" if se else "no standard error: every pair is the same (the interval does not need one)"
    reason = reason if test.p_value is not None or reason == "" else f"no test and {reason}"
    lower, upper = max(gap - below, -1.0), min(gap + above, 1.0)
    return Estimate(gap, se or None, None, lower, upper, test.p_value, n, method, "ok", reason)


def agreement(table: Sequence[Sequence[int]], *, confidence: float = CONFIDENCE) -> Agreement:
    """How often the two say the same, and how often beyond chance, from the square table of their answers.

    Sources: Cohen (1960), Educational and Psychological Measurement 20:37 · Fleiss, Cohen & Everitt (1969),
    Psychological Bulletin 72:323 (standard errors, also the one under no agreement for the test).

    Parameters
    ----------
    table: counts; rows are the answers of the first, columns those of the second, in one order.

    >>> found = agreement([[20, 5], [10, 15]])
    >>> round(found.share.value, 9), round(found.kappa.value, 9), round(found.kappa.se, 4)
    (0.7, 0.4, 0.127)
    """
    import numpy as np

    method = "cohen's kappa"
    counts = [[check_count("table", count) for count in row] for row in table]
    lengths = [len(row) for row in counts]
    if len(counts) < 2 or set(lengths) != {len(counts)}:
        raise ArgumentError(f"table has rows of lengths {lengths}, must have as many rows as columns, 2 or more")
    cells = np.array(counts, dtype=np.float64)
    n = int(cells.sum())
    share = proportion(int(np.trace(cells)), n, confidence=confidence)
    if n == 0:
        return Agreement(share, Estimate.absent("no pairs", n=0, method=method), 0)
    cells /= n
    rows, columns = cells.sum(axis=1), cells.sum(axis=0)
    observed, expected = float(np.trace(cells)), float(rows @ columns)
    if expected == 1:
        reason = "no kappa: both give one and the same answer to every row, which chance would too"
        return Agreement(share, Estimate.absent(reason, n=n, method=method), n)
    value = (observed - expected) / (1 - expected)
    # Rows' and columns' margins of the answers that each cell joins: rows of column's answer, columns of row's answer.
    joined = columns[:, None] + rows[None, :]
    same = np.diag(cells) @ np.square(1 - (rows + columns) * (1 - value))
    other = (1 - value) ** 2 * float((cells * np.square(joined)).sum() - np.diag(cells) @ np.square(rows + columns))
    square = float(same) + other - (value - expected * (1 - value)) ** 2
    se = math.sqrt(max(square, 0.0) / n) / (1 - expected)
    null = expected + expected * expected - float((rows * columns) @ (rows + columns))
    null_se = math.sqrt(max(null, 0.0) / n) / (1 - expected)
    kappa = from_standard_error(value, se, n=n, method=method, within=(-1.0, 1.0), confidence=confidence)
    if null_se > 0:
        kappa = kappa._replace(p_value=two_sided_p(value / null_se))
    return Agreement(share, kappa, n)


def _paired_correlation(both: int, only0: int, only1: int, neither: int) -> float:
    """Newcombe's: continuity corrected where it is positive, 0 where a margin is empty."""
    margins = (both + only0) * (only1 + neither) * (both + only1) * (only0 + neither)
    if margins == 0:
        return 0.0
    cross: float = both * neither - only0 * only1
    if cross > 0:
        cross = max(cross - (both + only0 + only1 + neither) / 2, 0.0)
    return cross / math.sqrt(margins)


def _wilson_reaches(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """How far Wilson's interval reaches below the share, and above it."""
    share = proportion(successes, n, confidence=confidence)
    assert share.value is not None
    assert share.ci_lower is not None
    assert share.ci_upper is not None
    return share.value - share.ci_lower, share.ci_upper - share.value


def _joined(side1: float, side0: float, correlation: float) -> float:
    return math.sqrt(max(side1 * side1 - 2 * correlation * side1 * side0 + side0 * side0, 0.0))
