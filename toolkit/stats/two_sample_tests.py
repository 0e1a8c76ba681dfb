"""Whether two samples come from one distribution: from the values, or from counts over cells of the reference."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_at_least
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, numbers
from toolkit.stats.divergences import amounts
from toolkit.stats.estimate import check_positive
from toolkit.stats.proportions import check_successes
from toolkit.stats.sample_ratios import SMALLEST_EXPECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers


_EXACT_UP_TO = 1_000


class KsTest(NamedTuple):
    """Kolmogorov and Smirnov's distance of two samples, the largest gap between their shares up to a value.

    `method`: exact or asymptotic. `status`, `reason`: as in `Estimate`.
    """

    distance: float | None
    p_value: float | None
    n0: int
    n1: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


class KsInterval(NamedTuple):
    """What counts by bin say for certain about that distance: it is nowhere outside `lower` … `upper`."""

    lower: float
    upper: float


class Homogeneity(NamedTuple):
    """The test that two rows of counts are samples of one distribution.

    Attributes
    ----------
    chi2: Pearson's statistic. g: that of the likelihood ratio. df: of both; a cell empty on both sides adds none.
    p_value, g_p_value: from each.
    cramers_v: the size of the difference, 0 … 1, which does not grow with the number of observations.
    smallest_expected: the least count that any cell should have; below 5 the p-values are rough.
    n: observations on both sides. status, reason: as in `Estimate`.
    """

    chi2: float | None
    g: float | None
    df: int
    p_value: float | None
    g_p_value: float | None
    cramers_v: float | None
    smallest_expected: float | None
    n: int
    status: Literal["ok", "absent"]
    reason: str


class Merged(NamedTuple):
    """Counts of both sides after cells were merged: `groups` holds for each new cell the places of the old ones."""

    reference: tuple[int, ...]
    current: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]


def ks(reference: ArrayLike, current: ArrayLike, *, exact: bool | None = None) -> KsTest:
    """Kolmogorov and Smirnov's two-sample test from values.

    Source: Smirnov (1948), Annals of Mathematical Statistics 19:279. With ties it is conservative.

    Parameters
    ----------
    exact: the p-value from all orders of the values; None: up to 1,000 a side. Else from the asymptotic law.

    >>> found = ks([1.0, 2, 2, 3, 7], [2.0, 4, 4, 5])
    >>> round(found.distance, 6), round(found.p_value, 6), found.method
    (0.55, 0.428571, 'exact')
    """
    first, second = numbers("reference", reference), numbers("current", current)
    if not (first.size and second.size):
        reason = f"no observations on one side: n0 == {first.size}, n1 == {second.size}"
        return KsTest(None, None, first.size, second.size, "", "absent", reason)
    counted = max(first.size, second.size) <= _EXACT_UP_TO if exact is None else exact
    found = _counted_ks(first, second) if counted else None
    distance, p_value = found or _limiting_ks(first, second)
    method = "exact" if found else "asymptotic"
    return KsTest(distance, p_value, first.size, second.size, method, "ok", "")


def ks_p(distance: float, n0: float, n1: float) -> float:
    """The asymptotic p-value of a distance: Kolmogorov's law at distance · √(n0 n1 / (n0 + n1)).

    Of the distance's lower bound from bins it is the largest p-value that the values may have.

    >>> [round(ks_p(0.005, n, n), 3) for n in (1000, 100_000)]
    [1.0, 0.164]
    """
    from scipy import special

    check_at_least("distance", distance, 0)
    size = check_positive("n0", n0) / (n0 + check_positive("n1", n1)) * n1
    return float(special.kolmogorov(distance * math.sqrt(size)))


def ks_interval(
    reference: ArrayLike, current: ArrayLike, *, points: Sequence[bool] | None = None, all_points: bool = False
) -> KsInterval:
    """Kolmogorov and Smirnov's distance from counts or shares by bin, in the order of the values.

    At the edges the gap is known; inside a bin from l to r no gap exceeds |F(r) - G(l)| or |G(r) - F(l)|, for whatever
    values lie there.

    Parameters
    ----------
    points: which bins hold one value only: no gap lies inside them. all_points: every one does.

    >>> bounds = ks_interval([1] * 10, [0.5, 0.5, 1, 1, 1, 1, 1, 1, 1.5, 1.5])
    >>> round(bounds.lower, 9), round(bounds.upper, 9)
    (0.1, 0.2)
    """
    import numpy as np

    first, second = amounts(reference, current)
    f, g = (np.concatenate([[0.0], np.cumsum(side / side.sum())]) for side in (first, second))
    lower = float(abs(f - g).max())
    if all_points:
        return KsInterval(lower, lower)
    inside = np.maximum(abs(f[1:] - g[:-1]), abs(g[1:] - f[:-1]))
    if points is not None:
        if len(points) != first.size:
            raise ArgumentError(f"lengths differ: points {len(points)}, reference {first.size}")
        inside = np.where(np.asarray(points), 0.0, inside)
    return KsInterval(lower, min(max(float(inside.max()), lower), 1.0))


def homogeneity(
    reference: ArrayLike, current: ArrayLike, *, design_effect: float = 1.0, yates: bool = False
) -> Homogeneity:
    """Whether two rows of counts are samples of one distribution: the reference is a sample too, not the truth.

    Sources: Pearson (1900), Philosophical Magazine 50:157 · Woolf (1957), Annals of Human Genetics 21:397 (G) · Cramér
    (1946), Mathematical Methods of Statistics, 21.9 · Rao & Scott (1981), JASA 76:221 (the design effect).

    Parameters
    ----------
    design_effect: both statistics are divided by it, as in `psi_test`.
    yates: correct the chi-square of two by two cells for continuity; it then rejects too rarely.

    >>> found = homogeneity([50, 30, 20], [40, 30, 30])
    >>> round(found.chi2, 4), found.df, round(found.p_value, 4), round(found.cramers_v, 4)
    (3.1111, 2, 0.2111, 0.1247)
    """
    import numpy as np
    from scipy import special

    check_at_least("design_effect", design_effect, 1)
    first, second = amounts(reference, current, allow_nothing=True)
    cells = np.stack([counts("reference", first), counts("current", second)])
    cells = cells[:, cells.sum(axis=0) > 0]
    n, df = int(cells.sum()), max(cells.shape[1] - 1, 0)
    if not (first.sum() and second.sum()):
        reason = f"no observations on one side: n0 == {int(first.sum())}, n1 == {int(second.sum())}"
        return Homogeneity(None, None, df, None, None, None, None, n, "absent", reason)
    if df == 0:
        reason = "all observations lie in one cell"
        return Homogeneity(None, None, df, None, None, None, float(cells.min()), n, "absent", reason)
    expected = cells.sum(axis=1)[:, None] * (cells.sum(axis=0) / n)
    away = abs(cells - expected)
    plain = float((np.square(away) / expected).sum())
    if yates and df == 1:
        away -= np.minimum(0.5, away)
    chi2 = float((np.square(away) / expected).sum()) / design_effect
    g = max(2 * float(special.rel_entr(cells, expected).sum()), 0.0) / design_effect
    v = min(math.sqrt(plain / n), 1.0)
    p_value, g_p_value = (float(special.chdtrc(df, statistic)) for statistic in (chi2, g))
    return Homogeneity(chi2, g, df, p_value, g_p_value, v, float(expected.min()), n, "ok", "")


def merge_sparse(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    ordered: bool,
    rare: Sequence[int] = (),
) -> Merged:
    """Merge cells until every one expects 5 observations on the side that has fewer.

    What is merged depends on both sides' sums only, and given those a test keeps its error rates. Ordered cells are
    merged with the next one, the others into one, the rarest first. Cells empty on both sides are dropped.

    Parameters
    ----------
    rare: places of cells without an order that go with the sparse ones whatever they hold: values that one side cannot
        have, because the cells are made of its own. Which of many rare values a sample has is chance.

    >>> merge_sparse([9, 1, 0, 10], [8, 3, 1, 9], ordered=True).groups
    ((0,), (1, 2, 3))
    >>> merge_sparse([90, 1, 20, 3], [80, 3, 10, 9], ordered=False).groups
    ((0,), (2,), (1, 3))
    """
    first, second = amounts(reference, current, allow_nothing=True)
    both = first + second
    n = float(both.sum())
    # A cell expects its share of both sides; on the smaller side this many of each observation in it.
    rate = min(float(first.sum()), float(second.sum())) / n if n else 0.0
    expected = [float(count) * rate for count in both]
    present = [place for place, count in enumerate(both) if count > 0]
    if ordered:
        groups = _neighbours(present, expected)
    else:
        sparse = [place for place in present if expected[place] < SMALLEST_EXPECTED or place in rare]
        groups = _rarest(present, sparse, expected)
    sums = [tuple(int(sum(side[place] for place in group)) for group in groups) for side in (first, second)]
    return Merged(sums[0], sums[1], tuple(tuple(group) for group in groups))


def design_effect(*periods: Sequence[ArrayLike]) -> float:
    """How many times more counts by cell vary between the days of a period than independent rows would; at least 1.

    Pearson's statistic of days against cells over its degrees of freedom, summed over the periods. Rows of one day
    share its weather and its traffic: a million of them may tell as much as a few hundred.
    Source: Rao & Scott (1981), JASA 76:221, first-order correction with days as clusters.

    Parameters
    ----------
    periods: each the counts by cell of its days.

    >>> design_effect([[50, 50], [52, 48], [49, 51]])
    1.0
    >>> round(design_effect([[90, 10], [10, 90], [90, 10], [10, 90]]), 1)
    85.3
    """
    import numpy as np

    statistic, df = 0.0, 0
    for days in periods:
        table = np.asarray([np.asarray(day, dtype=np.float64) for day in days])
        if table.ndim != 2:
            continue
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        if min(table.shape) < 2:
            continue
        expected = table.sum(axis=1)[:, None] * (table.sum(axis=0) / table.sum())
        statistic += float((np.square(table - expected) / expected).sum())
        df += (table.shape[0] - 1) * (table.shape[1] - 1)
    return max(statistic / df, 1.0) if df else 1.0


def shares_differ_p(x0: int, n0: int, x1: int, n1: int, *, design_effect: float = 1.0) -> float | None:
    """The two-sided p-value of x0 of n0 and x1 of n1 having one share: Fisher's where few are expected, else Pearson's.

    1 where all or none of both are counted; None where one side has no observations.

    Parameters
    ----------
    design_effect: Pearson's statistic is divided by it, as in `psi_test`.

    >>> round(shares_differ_p(0, 900, 1, 901), 3), round(shares_differ_p(45, 1000, 30, 1000), 4)
    (1.0, 0.0775)
    """
    from scipy import stats

    x0, n0 = check_successes("x0", x0, "n0", n0)
    x1, n1 = check_successes("x1", x1, "n1", n1)
    if not (n0 and n1):
        return None
    table = [[x0, n0 - x0], [x1, n1 - x1]]
    found = homogeneity(*table, design_effect=design_effect)
    if found.p_value is None or found.smallest_expected is None:
        return 1.0
    if found.smallest_expected >= SMALLEST_EXPECTED:
        return found.p_value
    return min(float(stats.fisher_exact(table).pvalue), 1.0)


def _counted_ks(first: Numbers, second: Numbers) -> tuple[float, float] | None:
    """Distance and p-value from all orders; None where rounding takes the count beyond 1, as at the least distance."""
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            found = stats.ks_2samp(first, second, method="exact")
        except RuntimeWarning:
            return None
    return float(found.statistic), float(found.pvalue)


def _limiting_ks(first: Numbers, second: Numbers) -> tuple[float, float]:
    from scipy import stats

    found = stats.ks_2samp(first, second, method="asymp")
    return float(found.statistic), float(found.pvalue)


def _neighbours(present: list[int], expected: list[float]) -> list[list[int]]:
    groups: list[list[int]] = []
    filled = math.inf
    for place in present:
        if filled >= SMALLEST_EXPECTED:
            groups.append([])
            filled = 0.0
        groups[-1].append(place)
        filled += expected[place]
    if filled < SMALLEST_EXPECTED and len(groups) > 1:
        last = groups.pop()
        groups[-1] += last
    return groups


def _rarest(present: list[int], sparse: list[int], expected: list[float]) -> list[list[int]]:
    kept = [place for place in present if place not in sparse]
    together = list(sparse)
    if together and kept and sum(expected[place] for place in together) < SMALLEST_EXPECTED:
        rarest = min(kept, key=lambda place: (expected[place], place))
        kept.remove(rarest)
        together.append(rarest)
    return [*([place] for place in kept), *([sorted(together)] if together else [])]
