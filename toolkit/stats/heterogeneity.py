"""Whether an effect is the same in all segments, and which segment differs from the rest.

The estimates are of disjoint segments, hence independent. What several segments show of each other is one question;
what each shows of 0 is another, and answers nothing about heterogeneity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.stats.estimate import CONFIDENCE, TOO_LARGE, Estimate, difference, from_standard_error

if TYPE_CHECKING:
    from collections.abc import Sequence

POOLED = "inverse variance, one effect for all"


class Heterogeneity(NamedTuple):
    """How much the estimates differ, beyond what their errors explain.

    Attributes
    ----------
    pooled: the one effect that they would share, weighted by the inverse of the variances.
    q: Cochran's statistic. df: segments compared, less 1. p_value: of no difference.
    i_squared: the share of the variation between the estimates that their errors do not explain, 0 … 1.
    segments: compared. left_out: positions of estimates without a value or a standard error, which were not.
    method: of the p-value: "cochran q, chi-square", or "welch f" where the errors have degrees of freedom.
    status, reason: as in `Estimate`.
    """

    pooled: Estimate
    q: float | None
    df: int | None
    p_value: float | None
    i_squared: float | None
    segments: int
    left_out: tuple[int, ...]
    method: str
    status: Literal["ok", "absent"]
    reason: str


def heterogeneity(estimates: Sequence[Estimate], *, confidence: float = CONFIDENCE) -> Heterogeneity:
    """Cochran's Q and I² of the effects of disjoint segments.

    Sources: Cochran (1954), Biometrics 10:101 · Higgins & Thompson (2002), Statistics in Medicine 21:1539 (I²) · Welch
    (1951), Biometrika 38:330: where the standard errors are estimated, from few units in a segment, chi-square calls
    differences too often; his F, which becomes it as the degrees of freedom grow, does not.

    >>> from toolkit.stats.estimate import from_standard_error
    >>> effects = [from_standard_error(v, se, n=90, method="z") for v, se in ((0.1, 0.1), (0.3, 0.12), (-0.2, 0.15))]
    >>> found = heterogeneity(effects)
    >>> round(found.q, 4), found.df, round(found.p_value, 5), round(found.i_squared, 4), round(found.pooled.value, 4)
    (6.7763, 2, 0.03377, 0.7049, 0.1026)
    """
    check_between("confidence", confidence, 0, 1)
    kept = [estimate for estimate in estimates if _has_error(estimate)]
    left_out = tuple(index for index, estimate in enumerate(estimates) if not _has_error(estimate))
    pooled = _pooled(kept, confidence=confidence)
    outcome = Heterogeneity(
        pooled, None, None, None, None, len(kept), left_out, "cochran q, chi-square", "absent", pooled.reason
    )
    if len(kept) < 2:
        reason = f"{len(kept)} of {len(estimates)} segments with a standard error: a comparison needs 2"
        return outcome._replace(reason=reason)
    if pooled.value is None:
        return outcome
    gaps = [(value - pooled.value) / se for value, se in map(_value_and_error, kept)]
    q, df = math.fsum(gap * gap for gap in gaps), len(kept) - 1
    if not math.isfinite(q):
        return outcome._replace(reason=TOO_LARGE)
    p_value, method = _p_value(q, kept)
    i_squared = max(0.0, 1 - df / q) if q else 0.0
    return outcome._replace(q=q, df=df, p_value=p_value, i_squared=i_squared, method=method, status="ok", reason="")


def against_the_rest(estimates: Sequence[Estimate], *, confidence: float = CONFIDENCE) -> tuple[Estimate, ...]:
    """Each segment's effect less the one that all others share, with its test; in the order given.

    As many tests as segments: adjust their p-values together, see `adjust_p`.

    >>> from toolkit.stats.estimate import from_standard_error
    >>> effects = [from_standard_error(v, 0.1, n=90, method="z") for v in (0.1, 0.1, 0.6)]
    >>> [round(contrast.value, 3) for contrast in against_the_rest(effects)]
    [-0.25, -0.25, 0.5]
    """
    method = "segment less the rest"
    found = []
    for index, estimate in enumerate(estimates):
        rest = [other for at, other in enumerate(estimates) if at != index and _has_error(other)]
        if not _has_error(estimate):
            reason = estimate.reason or "the segment has no standard error"
            found.append(Estimate.absent(reason, n=estimate.n, method=method))
        elif not rest:
            found.append(Estimate.absent("there is no other segment to compare with", n=estimate.n, method=method))
        else:
            shared = _pooled(rest, confidence=confidence)
            found.append(difference(shared, estimate, method=method, confidence=confidence))
    return tuple(found)


def _pooled(estimates: list[Estimate], *, confidence: float) -> Estimate:
    n = sum(estimate.n for estimate in estimates)
    if not estimates:
        return Estimate.absent("no segment has a standard error", n=0, method=POOLED)
    shares, se = _shares_of_precision(estimates)
    value = math.fsum(share * _value_and_error(one)[0] for share, one in zip(shares, estimates, strict=True))
    return from_standard_error(value, se, n=n, method=POOLED, null=0.0, scale=0.0, confidence=confidence)


def _shares_of_precision(estimates: list[Estimate]) -> tuple[list[float], float]:
    """Each estimate's inverse variance as a share of all, and the standard error of all together."""
    errors = [_value_and_error(estimate)[1] for estimate in estimates]
    smallest = min(errors)
    # In units of the smallest error, so that no square overflows.
    weights = [(smallest / se) * (smallest / se) for se in errors]
    total = math.fsum(weights)
    return [weight / total for weight in weights], smallest / math.sqrt(total)


def _p_value(q: float, estimates: list[Estimate]) -> tuple[float, str]:
    from scipy import special

    k = len(estimates)
    shares, _ = _shares_of_precision(estimates)
    doubt = math.fsum(
        (1 - share) ** 2 / one.df for share, one in zip(shares, estimates, strict=True) if one.df is not None
    )
    if not doubt:
        return float(special.chdtrc(k - 1, q)), "cochran q, chi-square"
    statistic = q / (k - 1) / (1 + 2 * (k - 2) / (k * k - 1) * doubt)
    return float(special.fdtrc(k - 1, (k * k - 1) / (3 * doubt), statistic)), "cochran q, welch f"


def _has_error(estimate: Estimate) -> bool:
    return estimate.value is not None and bool(estimate.se)


def _value_and_error(estimate: Estimate) -> tuple[float, float]:
    assert estimate.value is not None
    assert estimate.se is not None
    return estimate.value, estimate.se
