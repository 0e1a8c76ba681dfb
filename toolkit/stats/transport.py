"""How far values would have to be moved to turn one distribution into another, in units of the reference's own spread.

A distance in the unit of a column says nothing beside another column's. Divided by a scale of the reference it is free
of units: a shift by one standard deviation of a normal distribution is 1, whatever is measured in what.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from toolkit.errors import ArgumentError
from toolkit.stats.arrays import ascending, matched, numbers
from toolkit.stats.divergences import amounts
from toolkit.stats.estimate import check_finite, check_positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers


def standard_deviation(values: ArrayLike) -> float:
    """The root of the mean squared distance from the mean: of these values, not of what they are a sample of.

    >>> standard_deviation([1.0, 3.0])
    1.0
    """
    array = numbers("values", values)
    if not array.size or array.min() == array.max():
        return 0.0
    # In units of the range, so that neither squares of huge numbers overflow nor those of tiny ones vanish.
    width = float(array.max() - array.min())
    return width * float(((array - array.min()) / width).std())


def wasserstein(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    reference_weights: ArrayLike | None = None,
    current_weights: ArrayLike | None = None,
    scale: float = 1.0,
) -> float:
    """Wasserstein's distance of two samples, the area between their distribution functions, over `scale`.

    Source: Vallender (1974), Theory of Probability and its Applications 18:784.

    Parameters
    ----------
    reference_weights, current_weights: what each value counts; by default 1.
    scale: such as `standard_deviation` of the reference; 1 leaves the distance in the unit of the values.

    >>> round(wasserstein([1.0, 2, 2, 3, 7], [2.0, 4, 4, 5]), 9)
    1.55
    >>> shifted = wasserstein([0, 1e-5, 2e-5], [5e-5, 6e-5, 7e-5], scale=standard_deviation([0, 1e-5, 2e-5]))
    >>> round(shifted, 6)
    6.123724
    """
    from scipy import stats

    check_positive("scale", scale)
    sides = [_sample("reference", reference, reference_weights), _sample("current", current, current_weights)]
    (first, weights0), (second, weights1) = sides
    return float(stats.wasserstein_distance(first / scale, second / scale, weights0, weights1))


def binned_wasserstein(
    reference: ArrayLike, current: ArrayLike, *, edges: ArrayLike, low: float, high: float, scale: float
) -> float:
    """Wasserstein's distance from counts by bin, over `scale`, counting no value beyond `low` and `high`.

    Both distribution functions are known at the edges and taken as straight between them. The outer bins are open;
    they are cut at `low` and `high`, limits of the reference: values further out are moved no further, so that no
    single one makes the distance, and a shift beyond the reference's range is at least what is said.

    Parameters
    ----------
    reference, current: counts or shares by bin: one more than there are edges.
    edges: between the bins, ascending. low, high: where the outer bins are cut.

    >>> round(binned_wasserstein([1, 1, 1, 1], [0, 1, 1, 2], edges=[1, 2, 3], low=0, high=4, scale=1), 9)
    0.75
    """
    import numpy as np

    first, second = amounts(reference, current)
    inner = ascending("edges", numbers("edges", edges), ties=True)
    check_positive("scale", scale)
    if first.size != inner.size + 1:
        raise ArgumentError(f"there are {inner.size} edges and {first.size} bins; bins must be one more than edges")
    first_knot = min(check_finite("low", low), float(inner.min(initial=math.inf)))
    last_knot = max(check_finite("high", high), float(inner.max(initial=-math.inf)))
    knots = np.concatenate([[first_knot], inner, [last_knot]])
    gap = np.concatenate([[0.0], np.cumsum(second / second.sum() - first / first.sum())])
    gap[-1] = 0.0
    return _area(knots / scale, gap)


def _sample(name: str, values: ArrayLike, weights: ArrayLike | None) -> tuple[Numbers, Numbers | None]:
    if weights is None:
        array, weight = numbers(name, values), None
    else:
        array, weight = matched(**{name: values, f"{name}_weights": weights})
        if weight.size and (weight.min() < 0 or weight.sum() <= 0):
            raise ArgumentError(
                f"{name}_weights holds {weight.min():g}, must hold numbers of at least 0, not all of them 0"
            )
    if not array.size:
        raise ArgumentError(f"{name} holds no values: there is no distribution to compare")
    return array, weight


def _area(knots: Numbers, gap: Numbers) -> float:
    """The area under |gap|, straight between knots: where the gap changes sign it is two triangles."""
    import numpy as np

    width, left, right = np.diff(knots), abs(gap[:-1]), abs(gap[1:])
    crossing = gap[:-1] * gap[1:] < 0
    total = np.where(left + right > 0, left + right, 1.0)
    mean = np.where(crossing, (left * left + right * right) / (2 * total), (left + right) / 2)
    return float((width * mean).sum())
