"""Counts, means and centred sums of products of several measures on the same rows: all that most estimates need.

Moments of parts merge to those of the whole, so that days, segments and files are added up instead of read again.
Squares are of centred values, never of raw ones: numbers near 1e9 that differ by 3 keep their variance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched
from toolkit.stats.estimate import TOO_LARGE, check_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class JointMoments(NamedTuple):
    """What means, variances and covariances of k measures need.

    Attributes
    ----------
    n: rows; each has every measure.
    origins, offsets: k of each; a mean is origin + offset. They are kept apart because near 1e9 their sum has lost the
        digits that merging needs. What stands there without a row is not read.
    products: k × k centred sums of products, Σ (x_i - mean_i) (x_j - mean_j); symmetric.
    """

    n: int
    origins: tuple[float, ...]
    offsets: tuple[float, ...]
    products: tuple[tuple[float, ...], ...]

    def mean(self, measure: int = 0) -> float | None:
        """The mean of one measure; None without a row."""
        return self.origins[measure] + self.offsets[measure] if self.n else None

    def variance(self, measure: int = 0) -> float | None:
        """The sample variance (ddof 1) of one measure; None for fewer than 2 rows."""
        return self.covariance(measure, measure)

    def covariance(self, measure: int, other: int) -> float | None:
        """The sample covariance (ddof 1) of two measures; None for fewer than 2 rows."""
        return self.products[measure][other] / (self.n - 1) if self.n > 1 else None


def joint_moments(*measures: ArrayLike) -> JointMoments:
    """The moments of arrays of one length, one per measure; raises `ArgumentError` for anything missing or infinite.

    >>> both = joint_moments([1000000004, 1000000007, 1000000013, 1000000016], [1, 2, 3, 4])
    >>> both.n, both.mean(0), both.variance(0), both.covariance(0, 1)
    (4, 1000000010.0, 30.0, 7.0)
    """
    import numpy as np

    if not measures:
        raise ArgumentError("no measure was given; give one array per measure")
    rows = np.stack(matched(**{f"measure {index}": values for index, values in enumerate(measures)}))
    n = rows.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        origins = rows.mean(axis=1) if n else np.zeros(len(rows))
        centred = rows - origins[:, None]
        return from_shifted_sums(n, origins, centred.sum(axis=1), centred @ centred.T)


def from_shifted_sums(n: int, origins: ArrayLike, sums: ArrayLike, products: ArrayLike) -> JointMoments:
    """The moments from sums of values minus a number near their mean, as an engine forms them in one pass.

    Parameters
    ----------
    origins: c, one per measure; any number within a few hundred standard deviations of the mean loses no digit that
        matters. sums: Σ (x - c). products: k × k, Σ (x_i - c_i) (x_j - c_j).

    Source: Chan, Golub & LeVeque (1983), The American Statistician 37:242.

    >>> from_shifted_sums(4, [1000000000], [40], [[490]]).variance()
    30.0
    """
    import numpy as np

    n = check_count("n", n)
    origin, total, square = (np.asarray(given, dtype=np.float64) for given in (origins, sums, products))
    if origin.ndim != 1 or total.shape != origin.shape or square.shape != (origin.size, origin.size):
        raise ArgumentError(
            f"origins, sums and products are of shapes {origin.shape}, {total.shape} and {square.shape}, "
            "must be (k,), (k,) and (k, k)"
        )
    if n == 0:
        return _tidy(0, origin, np.zeros_like(origin), np.zeros_like(square))
    with np.errstate(over="ignore", invalid="ignore"):
        return _tidy(n, origin, total / n, square - np.outer(total, total / n))


def merge_moments(*parts: JointMoments) -> JointMoments:
    """The moments of all rows of the parts together, whatever the order of the parts.

    >>> whole = merge_moments(joint_moments([1, 2]), joint_moments([3]))
    >>> whole.n, whole.mean(), whole.variance()
    (3, 2.0, 1.0)
    """
    if not parts:
        raise ArgumentError("no moments to merge; give at least one part")
    if len({len(part.origins) for part in parts}) > 1:
        counts = ", ".join(str(len(part.origins)) for part in parts)
        raise ArgumentError(f"parts have different numbers of measures: {counts}")
    return pool_moments(*zip(*parts, strict=True))


def pool_moments(n: Any, origins: Any, offsets: Any, products: Any) -> JointMoments:
    """`merge_moments` for parts in arrays: n (parts), origins and offsets (parts × k), products (parts × k × k).

    Source: Chan, Golub & LeVeque (1983), The American Statistician 37:242, for any number of parts.

    >>> pool_moments([2, 1], [[1.0], [1.0]], [[0.5], [2.0]], [[[0.5]], [[0.0]]])
    JointMoments(n=3, origins=(1.0,), offsets=(1.0,), products=((2.0,),))
    """
    import numpy as np

    counts, starts, rests, squares = (np.asarray(part, dtype=np.float64) for part in (n, origins, offsets, products))
    if (counts < 0).any():
        raise ArgumentError(f"n holds {counts.min():g}, must hold numbers of rows")
    there = counts > 0
    counts, starts, rests, squares = counts[there], starts[there], rests[there], squares[there]
    if not there.any():
        nothing = np.zeros(starts.shape[1])
        return _tidy(0, nothing, nothing, np.zeros(squares.shape[1:]))
    with np.errstate(over="ignore", invalid="ignore"):
        # Distances from the mean that most rows have: subtracting neighbours is exact, and equal means stay equal.
        most = counts.argmax()
        away = (starts - starts[most]) + (rests - rests[most])
        shift = counts @ away / counts.sum()
        apart = away - shift
        between = (counts[:, None] * apart).T @ apart
        return _tidy(int(counts.sum()), starts[most], rests[most] + shift, squares.sum(axis=0) + between)


def _tidy(n: int, origins: Any, offsets: Any, products: Any) -> JointMoments:
    """As plain numbers; rounding must not leave a sum of squares below 0."""
    import numpy as np

    if not (np.isfinite(origins + offsets).all() and np.isfinite(products).all()):
        raise ArgumentError(f"the moments of {n:,} rows are not finite: {TOO_LARGE}, or one is infinite")
    diagonal = np.diag_indices_from(products)
    products[diagonal] = np.maximum(products[diagonal], 0.0)
    symmetric = (products + products.T) / 2
    return JointMoments(
        n, tuple(origins.tolist()), tuple(offsets.tolist()), tuple(tuple(row) for row in symmetric.tolist())
    )
