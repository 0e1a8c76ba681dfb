"""The sample-ratio check: whether units arrived in the variants in the proportions that the plan set."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.checks import check_at_least
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT_BELOW = 1000
"""Two variants with fewer units are tested exactly: it costs nothing there."""

SMALLEST_EXPECTED = 5
"""Cochran (1954), Biometrics 10:417: below this expected count the chi-square approximation is not to be trusted."""


class WeighedCounts(NamedTuple):
    """Counts of units beside the shares that were planned for them.

    Attributes
    ----------
    observed_shares, expected_shares, largest_deviation, n: as in `SampleRatio`.
    active: of each variant with weight its count and its expected share.
    """

    observed_shares: tuple[float, ...]
    expected_shares: tuple[float, ...]
    largest_deviation: float | None
    n: int
    active: tuple[tuple[int, float], ...]

    def settled(self, statistic: str) -> dict[str, Any]:
        """What an outcome says where there is nothing to test; {} where there is."""
        if self.n == 0:
            return {"reason": "no units"}
        strays = self.n - sum(count for count, _ in self.active)
        if strays:
            reason = f"no {statistic}: {strays} units in a variant of weight 0, which the plan makes impossible"
            return {"p_value": 0.0, "method": "impossible under the plan", "status": "ok", "reason": reason}
        return {"reason": "only one variant has weight: there is no ratio to check"} if len(self.active) == 1 else {}


class SampleRatio(NamedTuple):
    """The outcome of a sample-ratio check; shares in the order of the counts.

    Attributes
    ----------
    chi2: Pearson's statistic over the variants with weight; None if it is infinite or there is nothing to compare.
    df: variants with weight, less 1.
    p_value: of the proportions planned; None if `status` is absent.
    observed_shares, expected_shares: of all units.
    largest_deviation: the largest absolute difference of the two.
    n: units.
    method: "chi-square", "exact binomial", or "exact binomial per variant, Bonferroni".
    status, reason: as in `Estimate`.
    """

    chi2: float | None
    df: int
    p_value: float | None
    observed_shares: tuple[float, ...]
    expected_shares: tuple[float, ...]
    largest_deviation: float | None
    n: int
    method: str
    status: Literal["ok", "absent"]
    reason: str


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    """Test counts of units against the weights they were assigned with.

    Pearson's chi-square (Fabijan et al. 2019, KDD); exact for two variants with fewer than 1000 units and wherever a
    count below 5 is expected (with more than two variants each is tested against the rest and the smallest p-value
    multiplied by their number). A variant of weight 0 adds no degree of freedom; units in one make p exactly 0.

    >>> check = sample_ratio([821588, 815482], [1, 1])
    >>> round(check.chi2, 3), check.df, f"{check.p_value:.3g}", round(check.largest_deviation, 5)
    (22.774, 1, '1.82e-06', 0.00186)
    >>> sample_ratio([5170, 4830, 0], [0.5, 0.5, 0]).df
    1
    """
    seen = weigh_counts(counts, weights)
    n, active = seen.n, seen.active
    outcome = SampleRatio(None, len(active) - 1, None, *seen[:4], "chi-square", "absent", "")
    if settled := seen.settled("chi-square"):
        return outcome._replace(**settled)
    two = len(active) == 2
    chi2 = sum((count - n * share) ** 2 / (n * share) for count, share in active)
    outcome = outcome._replace(chi2=chi2 if chi2 < math.inf else None, status="ok")
    if min(n * share for _, share in active) >= SMALLEST_EXPECTED and not (two and n < _EXACT_BELOW):
        return outcome._replace(p_value=_chi_square_p(chi2, df=outcome.df))
    exact = [_binomial_p(count, n, share) for count, share in active]
    if two:
        return outcome._replace(p_value=exact[0], method="exact binomial")
    p_value = min(1.0, len(exact) * min(exact))
    return outcome._replace(p_value=p_value, method="exact binomial per variant, Bonferroni")


def weigh_counts(counts: Sequence[int], weights: Sequence[float]) -> WeighedCounts:
    """The shares that counts of units have and those that the weights plan, if they can be counts and weights."""
    if len(counts) != len(weights):
        raise ArgumentError(f"lengths differ: counts {len(counts)}, weights {len(weights)}")
    observed = [check_count("counts", count) for count in counts]
    planned = [check_at_least("weights", weight, 0) for weight in weights]
    n, total = sum(observed), sum(planned)
    if not 0 < total < math.inf:
        raise ArgumentError(f"weights == {list(weights)}, must have a finite sum above 0")
    shares = tuple(weight / total for weight in planned)
    seen = tuple(count / n for count in observed) if n else ()
    deviation = max(abs(o - e) for o, e in zip(seen, shares, strict=True)) if n else None
    active = tuple((count, share) for count, share in zip(observed, shares, strict=True) if share > 0)
    return WeighedCounts(seen, shares, deviation, n, active)


def _chi_square_p(chi2: float, *, df: int) -> float:
    from scipy import special

    return float(special.chdtrc(df, chi2))


def _binomial_p(count: int, n: int, share: float) -> float:
    """Two-sided: the probability of every count no likelier than this one."""
    from scipy import stats

    return float(stats.binomtest(count, n, share).pvalue)
