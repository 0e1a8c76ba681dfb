"""How far two distributions over the same cells lie apart, and how far apart chance alone would put two samples of one.

Cells come from the reference: bins between its quantiles, or its categories, in one order for both sides. A divergence
of samples is never 0, and grows with cells over observations; so the PSI of counts comes with what it is on nothing
but noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from toolkit.checks import check_at_least, check_between, check_in
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, check_positive, critical_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

EmptyCells = Literal["jeffreys", "floor", "keep"]
"""What is done about cells that are empty on one side. `jeffreys` adds a half to every count; `floor` raises every
share to `FLOOR`, a convention that lets the score jump, for comparison with others' numbers; `keep` does nothing."""

FLOOR = 1e-4

PSI_METHOD = "PSI above its mean on noise, delta method"


class Divergence(NamedTuple):
    """A divergence of two distributions. `status`, `reason`: as in `Estimate`; an infinite one is absent."""

    value: float | None
    status: Literal["ok", "absent"]
    reason: str


class PsiNull(NamedTuple):
    """The PSI of two samples of one distribution: its mean and what it exceeds with probability 1 - confidence."""

    mean: float
    critical: float


class PsiTest(NamedTuple):
    """The PSI of two samples beside what noise alone would give.

    Attributes
    ----------
    value: with Jeffreys cells. null: its mean and critical value on noise.
    p_value: of a PSI at least as large, from the same distribution on both sides.
    excess: `value` minus the mean on noise, at least 0: how far the distributions themselves lie apart.
    cells: compared; one that is empty on both sides is none.
    n0, n1: observations of the reference and of the other side.
    status, reason: as in `Estimate`.
    """

    value: float | None
    null: PsiNull | None
    p_value: float | None
    excess: Estimate
    cells: int
    n0: int
    n1: int
    status: Literal["ok", "absent"]
    reason: str


def psi(reference: ArrayLike, current: ArrayLike, *, empty: EmptyCells = "jeffreys") -> Divergence:
    """The population stability index of two distributions: Σ (p - q) ln(p / q).

    Sources: Kullback & Leibler (1951), Annals of Mathematical Statistics 22:79 (the divergence J, which it is) ·
    Siddiqi (2006), Credit Risk Scorecards.

    Parameters
    ----------
    reference, current: counts by cell; with `keep` or `floor` also shares.

    >>> round(psi([50, 30, 20, 0], [40, 30, 20, 10]).value, 6)
    0.320117
    >>> psi([50, 30, 20, 0], [40, 30, 20, 10], empty="keep").reason
    'infinite: 1 of 4 cells is empty on one side only'
    """
    check_in(empty, get_args(EmptyCells), noun="treatment of empty cells")
    first, second = amounts(reference, current)
    if empty == "jeffreys":
        counts("reference", first)
        counts("current", second)
        used = (first + second) > 0
        return Divergence(_symmetric(first[used] + 0.5, second[used] + 0.5), "ok", "")
    p, q = first / first.sum(), second / second.sum()
    if empty == "floor":
        p, q = p.clip(min=FLOOR), q.clip(min=FLOOR)
    alone = int(((p > 0) != (q > 0)).sum())
    if alone:
        return _infinite(alone, p.size, "on one side only")
    used = p > 0
    return Divergence(_psi(p[used], q[used]), "ok", "")


def psi_null(cells: int, n0: float, n1: float, *, confidence: float = CONFIDENCE) -> PsiNull:
    """What the PSI of two samples of one distribution is: chi-square with cells - 1 degrees, times 1/n0 + 1/n1.

    Source: Yurdakul & Naranjo (2020), Journal of Risk Model Validation 14(4):89.

    >>> psi_null(10, 100, 100)
    PsiNull(mean=0.18, critical=0.33837955209240894)
    """
    from scipy import special

    check_between("confidence", confidence, 0, 1)
    if check_count("cells", cells) < 2:
        raise ArgumentError(f"cells == {cells}, must be at least 2")
    scale = 1 / check_positive("n0", n0) + 1 / check_positive("n1", n1)
    return PsiNull((cells - 1) * scale, float(special.chdtri(cells - 1, 1 - confidence)) * scale)


def psi_test(
    reference: ArrayLike, current: ArrayLike, *, design_effect: float = 1.0, confidence: float = CONFIDENCE
) -> PsiTest:
    """The PSI of two samples' counts by cell, with Jeffreys cells, against its distribution on noise.

    The interval of the excess rests on the delta method plus the variance on noise, and is cut at 0. Where some cell
    expects fewer than 5 observations, p-value and interval are rough: merge cells first (`merge_sparse`).

    Parameters
    ----------
    design_effect: how many times more the counts vary than those of independent observations do; at least 1. So many
        observations tell as much as one (Rao & Scott 1981, JASA 76:221).

    >>> same = psi_test([50, 30, 20], [45, 35, 20])
    >>> round(same.value, 4), round(same.null.mean, 4), round(same.p_value, 3), same.excess.ci_lower
    (0.0126, 0.0394, 0.726, 0.0)
    """
    from scipy import special

    check_between("confidence", confidence, 0, 1)
    check_at_least("design_effect", design_effect, 1)
    first, second = amounts(reference, current, allow_nothing=True)
    counts("reference", first)
    counts("current", second)
    used = (first + second) > 0
    first, second = first[used], second[used]
    n0, n1, cells = int(first.sum()), int(second.sum()), int(used.sum())
    if n0 == 0 or n1 == 0:
        return _untested(f"no observations on one side: n0 == {n0}, n1 == {n1}", cells, n0, n1)
    if cells < 2:
        return _untested("all observations lie in one cell", cells, n0, n1)
    # The halves count as observations: with them the mean on noise is right for five observations in a cell, too.
    size0, size1 = ((n + cells / 2) / design_effect for n in (n0, n1))
    null = psi_null(cells, size0, size1, confidence=confidence)
    value = _symmetric(first + 0.5, second + 0.5)
    scale = 1 / size0 + 1 / size1
    p_value = float(special.chdtrc(cells - 1, value / scale))
    se = math.sqrt(_delta_variance(first + 0.5, second + 0.5, size0, size1) + 2 * (cells - 1) * scale * scale)
    reach, middle = critical_value(confidence), value - null.mean
    low, at, high = (max(middle + side * reach * se, 0.0) for side in (-1, 0, 1))
    excess = Estimate(at, se, None, low, high, p_value, n0 + n1, PSI_METHOD, "ok", "")
    return PsiTest(value, null, p_value, excess, cells, n0, n1, "ok", "")


def kl(p: ArrayLike, q: ArrayLike) -> Divergence:
    """Kullback and Leibler's divergence of `p` from `q` in nats: Σ p ln(p / q), of shares or of counts as they are.

    >>> round(kl([0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]).value, 6)
    0.121777
    >>> kl([0.5, 0.5], [1, 0]).reason
    'infinite: 1 of 2 cells is empty in q only'
    """
    first, second = _shares(p, q)
    alone = int(((first > 0) & (second == 0)).sum())
    return _infinite(alone, first.size, "in q only") if alone else Divergence(_kl(first, second), "ok", "")


def js_distance(p: ArrayLike, q: ArrayLike) -> float:
    """Jensen and Shannon's distance in base 2, from 0 to 1: √((KL(p, m) + KL(q, m)) / 2) with m = (p + q) / 2.

    With natural logarithms it would be 0.833 times as large; two tools with one threshold need not mean the same.
    Source: Lin (1991), IEEE Transactions on Information Theory 37:145.

    >>> round(js_distance([0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]), 6), js_distance([1, 0], [0, 1])
    (0.200503, 1.0)
    """
    first, second = _shares(p, q)
    middle = (first + second) / 2
    return math.sqrt(min(max(_kl(first, middle) + _kl(second, middle), 0.0) / 2 / math.log(2), 1.0))


def hellinger(p: ArrayLike, q: ArrayLike) -> float:
    """Hellinger's distance, from 0 to 1: √(1 - Σ √(p q)). A cell that is empty on one side needs no special care.

    >>> round(hellinger([0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]), 6)
    0.1679
    """
    import numpy as np

    first, second = _shares(p, q)
    # As a sum of squares: 1 - Σ √(p q) loses its digits where the two are alike.
    return math.sqrt(float(np.square(np.sqrt(first) - np.sqrt(second)).sum()) / 2)


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """The total variation distance, from 0 to 1: Σ |p - q| / 2, the share that would have to change cells.

    >>> round(total_variation([0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]), 12)
    0.2
    """
    first, second = _shares(p, q)
    return float(abs(first - second).sum()) / 2


def l_infinity(p: ArrayLike, q: ArrayLike) -> float:
    """The largest difference of a cell's share.

    >>> round(l_infinity([0.25, 0.25, 0.25, 0.25], [0.1, 0.2, 0.3, 0.4]), 12)
    0.15
    """
    first, second = _shares(p, q)
    return float(abs(first - second).max())


def amounts(first: ArrayLike, second: ArrayLike, *, allow_nothing: bool = False) -> tuple[Numbers, Numbers]:
    """Two distributions over the same cells as given: amounts of at least 0, and on each side something.

    >>> amounts([0, 0], [1, 2])
    Traceback (most recent call last):
        ...
    toolkit.errors.ArgumentError: reference adds up to 0: there is no distribution to compare
    """
    sides = matched(reference=first, current=second)
    for name, side in zip(("reference", "current"), sides, strict=True):
        if side.size and side.min() < 0:
            raise ArgumentError(f"{name} holds {side.min():g}, must hold numbers of at least 0")
        if not (allow_nothing or side.sum() > 0):
            raise ArgumentError(f"{name} adds up to 0: there is no distribution to compare")
    return sides[0], sides[1]


def _shares(p: ArrayLike, q: ArrayLike) -> tuple[Numbers, Numbers]:
    first, second = amounts(p, q)
    return first / first.sum(), second / second.sum()


def _kl(p: Numbers, q: Numbers) -> float:
    """Where p is 0 a cell adds nothing."""
    from scipy import special

    return max(float(special.rel_entr(p, q).sum()), 0.0)


def _symmetric(first: Numbers, second: Numbers) -> float:
    return _psi(first / first.sum(), second / second.sum())


def _psi(p: Numbers, q: Numbers) -> float:
    import numpy as np

    return float(((p - q) * np.log(p / q)).sum())


def _delta_variance(first: Numbers, second: Numbers, size0: float, size1: float) -> float:
    """The variance of the PSI to first order, from its derivatives by the shares of both sides."""
    import numpy as np

    p, q = first / first.sum(), second / second.sum()
    by_p, by_q = np.log(p / q) + 1 - q / p, np.log(q / p) + 1 - p / q
    return _variance(p, by_p) / size0 + _variance(q, by_q) / size1


def _variance(shares: Numbers, values: Numbers) -> float:
    away = values - float(shares @ values)
    return float(shares @ (away * away))


def _infinite(alone: int, cells: int, where: str) -> Divergence:
    verb = "is" if alone == 1 else "are"
    return Divergence(None, "absent", f"infinite: {alone} of {cells} cells {verb} empty {where}")


def _untested(reason: str, cells: int, n0: int, n1: int) -> PsiTest:
    return PsiTest(
        None, None, None, Estimate.absent(reason, n=n0 + n1, method=PSI_METHOD), cells, n0, n1, "absent", reason
    )
