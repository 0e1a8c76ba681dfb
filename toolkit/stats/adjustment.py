"""Covariate adjustment: what was known of a unit before it was exposed takes its part out of the difference.

A slope is fitted in each variant by itself (Lin 2013), which can only help in large samples, whatever the true relation
is. Everything comes from moments: another choice of covariates reads no data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched
from toolkit.stats.estimate import CONFIDENCE, Estimate, from_standard_error, satterthwaite_df
from toolkit.stats.influences import NOISE, combined, ratio_influence, ratio_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers
    from toolkit.stats.joint_moments import JointMoments
    from toolkit.stats.two_samples import TwoSamples

Theta = Literal["within", "pooled", "total"]
"""Where slopes come from: each variant by itself, one for both, or both variants as if they were one sample."""

THETAS: tuple[Theta, ...] = ("within", "pooled", "total")

_COLLINEAR = 1e-9
"""The share of a covariate's variance that others must leave for it to be used: below, its slope is rounding."""


class Adjustment(NamedTuple):
    """How a difference is adjusted: by theta times the difference of the covariates' means.

    Attributes
    ----------
    theta: the effective slope of each of the samples' covariates; 0 for one that is left out.
    shift: what is taken from the difference.
    residuals: of each variant, the combination of measures that is left to vary.
    square_sums: of each variant, Σ residual², Σ residual · influence, Σ influence² over groups, the influence being the
        metric's own, not adjusted.
    corrections: of each variant, the factor on the variance for what fitting its slopes has used up.
    slopes: how many slopes were fitted in each variant; 0 where they are common.
    method: the name of the adjustment.
    """

    theta: tuple[float, ...]
    shift: float
    residuals: tuple[Numbers, Numbers]
    square_sums: tuple[tuple[float, float, float], tuple[float, float, float]]
    corrections: tuple[float, float]
    slopes: int
    method: str


class _Column(NamedTuple):
    """What a slope is fitted to: a covariate, or the indicator of its missing values.

    Attributes
    ----------
    covariate: which. measure: the first of the two that it is made of.
    kind: `ratio` of the two measures over groups; `value` of each group, less the mean of those of both variants that
        have one, and so 0 where it is missing; `indicator` of having one.
    centre: that mean; of a `value` only.
    """

    covariate: int
    measure: int
    kind: Literal["ratio", "value", "indicator"]
    centre: float = 0.0

    @property
    def indicator(self) -> bool:
        return self.kind == "indicator"


class _Side(NamedTuple):
    """One variant, linearised: combinations of its measures (a column for the metric, then one per covariate), their
    centred sums of products, the covariates' means, and what those are weighted by.
    """

    n: int
    combinations: Numbers
    products: Numbers
    means: Numbers
    weights: Numbers


def adjustment(samples: TwoSamples, theta: Theta) -> tuple[Adjustment | None, str]:
    """The adjustment, or None; and why there is none, or which covariates were left out.

    Sources: Lin (2013), Annals of Applied Statistics 7:295, for "within", the default; Deng, Xu, Kohavi & Walker
    (2013), WSDM, for "total"; "pooled" is the slope of an analysis of covariance. With slopes of each variant's own the
    variance is that of both regressions' predictions at the covariates' overall means, each with its own residual
    variance over n - k - 1. HC2 would weigh each residual by its leverage, which takes sums of the fourth order: it has
    the same expectation where the residuals' spread does not depend on the covariates, and differs by a share of about
    k / n where it does (`adjusted_difference` has it, from the units' own numbers). The overall means count as known,
    as in Lin: the effect is that on the units of the experiment, which matters where slopes differ much.
    """
    columns = _columns(samples)
    sides = [_linearised(moments, columns) for moments in (samples.control, samples.treatment)]
    kept = _independent(sides)
    lost = [column for i, column in enumerate(columns) if i not in kept and not column.indicator]
    if not any(not columns[i].indicator for i in kept):
        why = "no covariate varies in both variants" if samples.covariates else "there is no covariate"
        return None, f"not adjusted: {why}"
    fewest = 2 * (len(kept) + 1)
    if min(side.n for side in sides) < fewest:
        sizes = " and ".join(str(side.n) for side in sides)
        return None, f"not adjusted: {len(kept)} slopes need {fewest} groups in each variant, there are {sizes}"
    if len(kept) < len(columns):
        sides = [_only(side, kept) for side in sides]
    slopes = _slopes(samples, sides, theta)
    gap = sides[1].means - sides[0].means
    share = sides[1].weights / (sides[0].weights + sides[1].weights)
    # Each variant's mean is moved to the covariates' overall means along its own slopes.
    effective = (1 - share) * slopes[1] + share * slopes[0]
    own = len(kept) if theta == "within" else 0
    by_covariate = [0.0] * samples.covariates
    for column, slope in zip((columns[i] for i in kept), effective.tolist(), strict=True):
        if not column.indicator:
            by_covariate[column.covariate] = slope
    found = Adjustment(
        theta=tuple(by_covariate),
        shift=float(effective @ gap),
        residuals=(_residual(sides[0], slopes[0]), _residual(sides[1], slopes[1])),
        square_sums=(_square_sums(sides[0], slopes[0]), _square_sums(sides[1], slopes[1])),
        corrections=(_correction(sides[0], share * gap, own), _correction(sides[1], (share - 1) * gap, own)),
        slopes=own,
        method={"within": "adjusted within variant", "pooled": "adjusted, one slope", "total": "cuped"}[theta],
    )
    return found, _left_out([column.covariate for column in lost])


def missing_groups(samples: TwoSamples) -> tuple[tuple[int, int], ...]:
    """Per covariate the groups of the control and of the treatment that lack it, where each has one value at most.

    (0, 0) for a covariate that is a ratio of sums: a group that adds nothing to it is like any other.
    """
    sides = samples.control, samples.treatment
    found = []
    for covariate in range(samples.covariates):
        known = [_known(moments, covariate) for moments in sides]
        gaps = [0 if n is None else moments.n - n for n, moments in zip(known, sides, strict=True)]
        found.append((0, 0) if None in known else (gaps[0], gaps[1]))
    return tuple(found)


def adjusted_difference(
    values0: ArrayLike,
    covariates0: Sequence[ArrayLike],
    values1: ArrayLike,
    covariates1: Sequence[ArrayLike],
    *,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """mean1 - mean0 adjusted within each variant, from the units' own numbers, with HC2 errors.

    Sources: Lin (2013), Annals of Applied Statistics 7:295; MacKinnon & White (1985), Journal of Econometrics 29:305
    (HC2). The degrees of freedom are Satterthwaite's of both variants' residuals. `compare` gives the same value from
    moments, which cannot weigh each residual by its leverage.

    >>> gain = adjusted_difference([3, 5, 4, 7, 6], [[1, 2, 2, 4, 3]], [6, 9, 5, 8, 8], [[1, 4, 2, 3, 3]])
    >>> round(gain.value, 6), round(gain.se, 6)
    (1.942308, 0.523663)
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    if len(covariates0) != len(covariates1):
        raise ArgumentError(f"{len(covariates0)} covariates in the control and {len(covariates1)} in the treatment")
    sides = []
    for values, covariates in ((values0, covariates0), (values1, covariates1)):
        columns = matched(values=values, **{f"covariate {i}": column for i, column in enumerate(covariates)})
        sides.append(
            (columns[0], np.stack(columns[1:], axis=1) if len(columns) > 1 else np.zeros((columns[0].size, 0)))
        )
    method, k, n = "lin, hc2", len(covariates0), sum(y.size for y, _ in sides)
    if min(y.size for y, _ in sides) < k + 2:
        reason = f"{k} slopes need {k + 2} units in each variant, there are {sides[0][0].size} and {sides[1][0].size}"
        return Estimate.absent(reason, n=n, method=method)
    centre = np.concatenate([x for _, x in sides]).mean(axis=0)
    fits = [_at_centre(y, x - centre) for y, x in sides]
    return from_standard_error(
        fits[1][0] - fits[0][0],
        math.hypot(fits[0][1], fits[1][1]),
        n=n,
        df=satterthwaite_df(*((se, y.size - k - 1) for (_, se), (y, _) in zip(fits, sides, strict=True))),
        method=method,
        null=0.0,
        scale=max(abs(fits[0][0]), abs(fits[1][0])),
        confidence=confidence,
    )


def _at_centre(values: Numbers, covariates: Numbers) -> tuple[float, float]:
    """The regression's value where all covariates are 0, and its HC2 standard error."""
    import numpy as np

    design = np.column_stack([np.ones(values.size), covariates])
    basis, triangle = np.linalg.qr(design)
    inverse = np.linalg.pinv(triangle)
    residuals = values - basis @ (basis.T @ values)
    leverages = np.square(basis).sum(axis=1)
    pulls = (basis @ inverse.T)[:, 0]
    # A unit that alone determines a slope is fitted exactly and has no residual.
    free = np.maximum(1 - leverages, np.finfo(float).eps)
    return float(pulls @ values), float(np.sqrt((np.square(pulls * residuals) / free).sum()))


def _columns(samples: TwoSamples) -> list[_Column]:
    columns = []
    for covariate, gaps in enumerate(missing_groups(samples)):
        measure = 2 * covariate + 2
        if any(gaps):
            columns.append(_Column(covariate, measure, "value", _overall(samples, measure)))
            columns.append(_Column(covariate, measure, "indicator"))
        else:
            columns.append(_Column(covariate, measure, "ratio"))
    return columns


def _overall(samples: TwoSamples, measure: int) -> float:
    """The ratio of two measures over the groups of both variants."""
    sums = [
        sum(moments.n * (moments.mean(place) or 0.0) for moments in (samples.control, samples.treatment))
        for place in (measure, measure + 1)
    ]
    return sums[0] / sums[1] if sums[1] else 0.0


def _known(moments: JointMoments, covariate: int) -> int | None:
    """How many groups have the covariate if its denominator is 1 or 0 for each of them; else None."""
    place = 2 * covariate + 3
    n, mean = moments.n, moments.mean(place)
    if mean is None:
        return 0
    # Of whole numbers Σ x² = Σ x only if each is 0 or 1.
    is_indicator = 0 <= mean <= 1 and abs(moments.products[place][place] - n * mean * (1 - mean)) <= 1e-9 * n
    return round(n * mean) if is_indicator else None


def _linearised(moments: JointMoments, columns: Sequence[_Column]) -> _Side:
    import numpy as np

    combinations, means, weights = [ratio_influence(moments, 0)], [], []
    for _, measure, kind, centre in columns:
        value, known = (moments.mean(place) or 0.0 for place in (measure, measure + 1))
        if kind == "ratio":
            combinations.append(ratio_influence(moments, measure))
            means.append(ratio_of(moments, measure) or 0.0)
            weights.append(moments.n * known)
            continue
        combination = [0.0] * len(moments.origins)
        combination[measure : measure + 2] = (1.0, -centre) if kind == "value" else (0.0, 1.0)
        combinations.append(combination)
        means.append(value - centre * known if kind == "value" else known)
        weights.append(float(moments.n))
    table = np.array(combinations).T
    return _Side(moments.n, table, combined(moments.products, table), np.array(means), np.array(weights))


def _independent(sides: Sequence[_Side]) -> list[int]:
    """The covariates that vary in both variants and are no linear combination of those before them."""
    import numpy as np

    kept: list[int] = []
    for i in range(len(sides[0].means)):
        at = [place + 1 for place in kept]
        for side in sides:
            own, shared = side.products[i + 1, i + 1], side.products[np.ix_(at, [i + 1])]
            explained = (shared.T @ np.linalg.solve(side.products[np.ix_(at, at)], shared)).item() if at else 0.0
            if not own - explained > _COLLINEAR * own:
                break
        else:
            kept.append(i)
    return kept


def _only(side: _Side, kept: Sequence[int]) -> _Side:
    import numpy as np

    at = [0, *(place + 1 for place in kept)]
    return _Side(
        side.n,
        side.combinations[:, at],
        side.products[np.ix_(at, at)],
        side.means[list(kept)],
        side.weights[list(kept)],
    )


def _slopes(samples: TwoSamples, sides: Sequence[_Side], theta: Theta) -> list[Any]:
    """Of each variant, the slope of the metric on each covariate."""
    import numpy as np

    if theta == "within":
        return [np.linalg.solve(side.products[1:, 1:], side.products[1:, 0]) for side in sides]
    table = sides[0].products + sides[1].products
    if theta == "total":
        ratios = [ratio_of(moments, 0) or 0.0 for moments in (samples.control, samples.treatment)]
        apart = np.array([ratios[1] - ratios[0], *(sides[1].means - sides[0].means)])
        table = table + np.outer(apart, apart) * (sides[0].n * sides[1].n / (sides[0].n + sides[1].n))
    return [np.linalg.solve(table[1:, 1:], table[1:, 0])] * 2


def _residual(side: _Side, slopes: Any) -> Numbers:
    """What is left of the metric's influence beside those of the covariates, in terms of the measures."""
    import numpy as np

    residual: Numbers = side.combinations @ np.concatenate([[1.0], -slopes])
    return residual


def _square_sums(side: _Side, slopes: Any) -> tuple[float, float, float]:
    import numpy as np

    left = np.concatenate([[1.0], -slopes])
    with np.errstate(over="ignore", invalid="ignore"):
        along = side.products @ left
        square, size = float(left @ along), float(np.abs(left) @ np.abs(side.products) @ np.abs(left))
    return 0.0 if square <= NOISE * size else square, float(along[0]), float(side.products[0, 0])


def _correction(side: _Side, away: Any, slopes: int) -> float:
    """The factor on n / (n - 1): the slopes' degrees of freedom, and the distance over which their errors carry."""
    import numpy as np

    if not slopes:
        return 1.0
    carried = side.n * float(away @ np.linalg.solve(side.products[1:, 1:], away))
    return (side.n - 1) / (side.n - 1 - slopes) * (1 + carried)


def _left_out(covariates: Sequence[int]) -> str:
    if not covariates:
        return ""
    numbers = ", ".join(str(covariate + 1) for covariate in covariates)
    return f"covariate {numbers} left out: it does not vary in both variants, or others say the same"
