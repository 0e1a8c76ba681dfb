"""What a change of a number is measured in: a scale from quantiles of the reference, that no wild value can move."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.errors import ArgumentError

SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""The quantiles of the reference from which the scale is made, beside those of the bins."""

_WIDTHS = {0.25: 1.3489795, 0.1: 2.5631031, 0.05: 3.2897073, 0.01: 4.6526957}
"""The distance between a quantile and its mirror image, in standard deviations of a normal distribution."""


def shares_needed(bins: int) -> tuple[float, ...]:
    """The quantiles from which the edges of so many bins and the scale are made. Raises `ArgumentError`."""
    if bins < 2:
        raise ArgumentError(f"bins == {bins}, must be at least 2")
    return tuple(sorted({*(number / bins for number in range(1, bins)), *SHARES}))


def scale_of(quantiles: Mapping[float, float | None]) -> tuple[float | None, str]:
    """A standard deviation's worth, from the innermost pair of quantiles that differ, and in words what it is."""
    for share, width in _WIDTHS.items():
        low, high = quantiles[share], quantiles[_mirror(share)]
        if low is None or high is None:
            return None, "the reference has no value"
        if not (math.isfinite(low) and math.isfinite(high)):
            return None, f"the {share:g} and {_mirror(share):g} quantiles of the reference are not finite"
        if high > low:
            named = (
                "interquartile range"
                if share == 0.25
                else f"distance of the {share:g} and {_mirror(share):g} quantiles"
            )
            return (high - low) / width, f"{named} / {width:.4g}"
    return None, "98 of 100 values of the reference are one and the same"


def middle(quantiles: Mapping[float, float | None]) -> dict[str, Any]:
    """The fields low, median and high of `ColumnEdges`; None where a quantile is not finite."""
    named = {"low": 0.01, "median": 0.5, "high": 0.99}
    found = {name: quantiles[share] for name, share in named.items()}
    return {name: each if each is not None and math.isfinite(each) else None for name, each in found.items()}


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """A quantile of sorted numbers, straight between the two neighbours."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = ordered[math.floor(place)]
    high = ordered[math.ceil(place)]
    return low if low == high else low + (place - math.floor(place)) * (high - low)


def quantile_of_counts(counted: Mapping[float, int], share: float) -> float | None:
    """The smallest of some counted numbers up to which that share of the rows lie."""
    reached, wanted = 0, share * sum(counted.values())
    for number in sorted(counted):
        reached += counted[number]
        if reached >= wanted:
            return number
    return None


def _mirror(share: float) -> float:
    return round(1 - share, 2)
