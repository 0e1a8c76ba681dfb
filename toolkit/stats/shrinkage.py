"""Empirical Bayes: of many estimates the largest are partly luck, and all of them together say how much.

The prior is a mixture of normals around 0, one of them all at 0, whose shares are fitted to the estimates themselves.
So among thousands of segments of which a few truly differ, noise shrinks to next to nothing and the few hardly at all:
one normal for all would shrink both alike. As far as the prior is right, the posterior mean of a segment needs no
correction for having been picked as the largest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched
from toolkit.stats.estimate import check_finite, check_positive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from toolkit.stats.arrays import Numbers

_ROUNDS = 300
_SETTLED = 1e-5
"""No share of the mixture moves more than this between two rounds: the fit is over."""

_NULL_PENALTY = 10.0
"""Estimates' worth of belief in no effect, so that a handful of estimates is not fitted by their own noise."""


class Shrunken(NamedTuple):
    """What an estimate is worth: the posterior mean and standard deviation of what it estimates."""

    value: float
    sd: float


class EffectPrior(NamedTuple):
    """How large effects are among many: a mixture of normals around 0.

    Attributes
    ----------
    scales: the standard deviations, the first of them 0: no effect at all. shares: of each, adding up to 1.
    """

    scales: tuple[float, ...]
    shares: tuple[float, ...]

    def shrink(self, value: float, se: float) -> Shrunken:
        """The posterior of the effect behind an estimate with standard error `se`.

        >>> EffectPrior((0.0, 1.0), (0.0, 1.0)).shrink(2.0, 1.0)  # one normal: half of it is left
        Shrunken(value=1.0, sd=0.7071067811865476)
        """
        import numpy as np

        check_finite("value", value)
        se = check_positive("se", se)
        scales = np.asarray(self.scales)
        kept = np.square(scales) / (np.square(scales) + se * se)
        heights = _heights(np.array([value]), np.array([se]), scales)
        weights = _responsibilities(heights, np.asarray(self.shares))[0]
        mean = float(weights @ (kept * value))
        second = float(weights @ (kept * se * se + np.square(kept * value)))
        return Shrunken(mean, math.sqrt(max(second - mean * mean, 0.0)))


def fit_effects(values: ArrayLike, ses: ArrayLike) -> EffectPrior:
    """The prior that many estimates with their standard errors suggest, by expectation maximisation.

    Source: Stephens (2017), Biostatistics 18:275 (adaptive shrinkage, and the penalty on effects that are not 0).
    Estimates that share rows are not independent; the prior describes them all the same, only with less information
    than their number says.

    >>> prior = fit_effects([0.1, -0.2, 0.05, -0.1, 0.15, 0.0, 5.0] * 20, [0.1] * 140)
    >>> prior.shares[0] > 0.5, round(prior.shrink(0.1, 0.1).value, 2), round(prior.shrink(5.0, 0.1).value, 1)
    (True, 0.0, 5.0)
    """
    import numpy as np

    estimates, errors = matched(values=values, ses=ses)
    if estimates.size == 0:
        raise ArgumentError("values is empty, must hold at least one estimate")
    check_positive("the smallest of ses", float(errors.min()))
    scales = _grid(estimates, errors)
    heights = _heights(estimates, errors, scales)
    shares = np.full(scales.size, 1.0 / scales.size)
    belief = np.zeros(scales.size)
    belief[0] = _NULL_PENALTY - 1
    for _ in range(_ROUNDS):
        counts = _responsibilities(heights, shares).sum(axis=0) + belief
        fitted = counts / counts.sum()
        moved = float(np.abs(fitted - shares).max())
        shares = fitted
        if moved < _SETTLED:
            break
    return EffectPrior(tuple(map(float, scales)), tuple(map(float, shares)))


def _grid(estimates: Numbers, errors: Numbers) -> Numbers:
    """0, then from half of the smallest error, doubling, to beyond what the largest estimate can need."""
    import numpy as np

    lowest = float(errors.min()) / 2
    spread = float(np.maximum(np.square(estimates) - np.square(errors), 0.0).max())
    steps = math.ceil(math.log2(max(2 * math.sqrt(spread) / lowest, 2.0)))
    return np.asarray([0.0, *(lowest * 2.0**step for step in range(steps + 1))])


def _heights(estimates: Numbers, errors: Numbers, scales: Numbers) -> NDArray[np.float64]:
    """The density of each estimate (row) under each scale (column), in units of the row's highest."""
    import numpy as np

    variances = np.square(errors)[:, None] + np.square(scales)[None, :]
    logs = -0.5 * (np.log(variances) + np.square(estimates)[:, None] / variances)
    return np.asarray(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _responsibilities(heights: NDArray[np.float64], shares: Numbers) -> NDArray[np.float64]:
    """How likely each estimate comes from each scale; a row adds up to 1."""
    import numpy as np

    weighted = heights * shares
    totals = weighted.sum(axis=1)
    # An estimate that only scales of share 0 can explain comes from the widest that has one.
    lost = totals == 0
    if lost.any():
        weighted[lost, int(np.flatnonzero(shares)[-1])] = 1.0
        totals = weighted.sum(axis=1)
    return np.asarray(weighted / totals[:, None])
