"""Square roots of ratios, such as a root mean squared error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.errors import ArgumentError
from toolkit.stats.estimate import CONFIDENCE, Estimate, from_standard_error
from toolkit.stats.ratios import ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def root_of_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    n: int | None = None,
    method: str = "cluster-robust root of a ratio",
    confidence: float = CONFIDENCE,
) -> Estimate:
    """sqrt(Σ numerators / Σ denominators), one entry per cluster, with the delta method's error: se / (2 · root).

    The interval is symmetrical about the root, t with one degree of freedom fewer than clusters, cut at 0. A ratio of 0
    has a root and no interval: the root has no slope there. Source: as `ratio`.

    >>> error = root_of_ratio([4.0, 9.0, 5.0, 6.0], [2, 3, 2, 3])
    >>> round(error.value, 6), round(error.se, 6), error.df
    (1.549193, 0.086281, 3)
    """
    square = ratio(numerators, denominators, n=n, method=method, confidence=confidence)
    if square.value is None:
        return square
    if square.value < 0:
        raise ArgumentError(f"the ratio is {square.value:g}, which has no square root")
    root = math.sqrt(square.value)
    if square.se is None or square.df is None:
        return square._replace(value=root, ci_lower=None, ci_upper=None)
    if root == 0:
        return Estimate.alone(
            0.0, n=square.n, method=method, reason="no interval: the root of a ratio of 0 has no slope"
        )
    return from_standard_error(
        root,
        square.se / (2 * root),
        n=square.n,
        df=square.df,
        method=method,
        within=(0.0, math.inf),
        confidence=confidence,
    )
