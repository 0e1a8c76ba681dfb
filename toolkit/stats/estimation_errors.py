"""Estimation errors: how far what was realised lay from what was estimated, per source of estimates.

In logarithms, because estimates of value and effort are off by factors. A source with few closed items is drawn towards
no correction at all: a bias of `PRIOR_FACTOR` either way is an ordinary one before anything was seen. So without a
history nothing is corrected, and a source without a bias is hardly touched.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched
from toolkit.stats.estimate import critical_value

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

PRIOR_FACTOR = 1.65
"""One standard deviation of the bias of sources, as a factor: about two of three are off by less."""

_HELD = 0.8
"""What a range holds: low and high are the 10 % and the 90 % quantile."""

_PRIOR_ITEMS = 4.0
"""Closed items' worth of belief that a source's ranges are as wide as they should be."""


class EstimationError(NamedTuple):
    """What is to be expected of a source's next estimate.

    Attributes
    ----------
    bias: what is realised for 1 estimated, shrunken towards 1. bias_lower, bias_upper: its central 80 %.
    spread: how many times as wide, in logarithms, its ranges have to be around the bias to hold 80 % of what is
        realised; shrunken towards 1, and the doubt of the bias is in it.
    n: closed items that it rests on.
    """

    bias: float
    bias_lower: float
    bias_upper: float
    spread: float
    n: int


def estimation_error(log_ratios: ArrayLike, stated_sds: ArrayLike) -> EstimationError:
    """The bias and the spread of a source, from what its closed items turned out to be.

    The posterior mean of a normal bias with a normal prior around 0 (Gelman et al., Bayesian Data Analysis, 2.5), its
    error from how much the items vary around each other: as the stated widths say, corrected by the spread found.

    Parameters
    ----------
    log_ratios: log(realised / likely) of each closed item.
    stated_sds: the standard deviation of that logarithm as the stated range has it, on the side of what was realised;
        above 0.

    Raises `ArgumentError`.

    >>> found = estimation_error([0.7, 0.9, 0.8, 0.6], [0.3, 0.3, 0.3, 0.3])
    >>> round(found.bias, 2), round(found.spread, 2), found.n
    (2.03, 0.9, 4)
    >>> nothing = estimation_error([], [])
    >>> nothing.bias, nothing.spread, round(nothing.bias_upper, 2)
    (1.0, 1.0, 1.9)
    """
    import numpy as np

    ratios, sds = matched(log_ratios=log_ratios, stated_sds=stated_sds)
    wrong = sds[sds <= 0]
    if wrong.size:
        raise ArgumentError(
            f"stated_sds holds {wrong[0]:.12g}, must be above 0: a range without width foretells nothing"
        )
    prior = math.log(PRIOR_FACTOR) ** 2
    weights = 1 / np.square(sds)
    total = float(weights.sum())
    centre = float(weights @ ratios) / total if ratios.size else 0.0
    around = float(weights @ np.square(ratios - centre))
    noise = math.sqrt((_PRIOR_ITEMS + around) / (_PRIOR_ITEMS + max(ratios.size - 1, 0)))
    known = total / noise**2
    mean, variance = known * centre / (known + 1 / prior), 1 / (known + 1 / prior)
    # The next item is off by its own noise and by what is not known of the bias.
    spread = math.sqrt(noise**2 + variance * total / ratios.size) if ratios.size else noise
    reach = critical_value(_HELD) * math.sqrt(variance)
    bias, lower, upper = (math.exp(each) for each in (mean, mean - reach, mean + reach))
    return EstimationError(bias, lower, upper, spread, int(ratios.size))
