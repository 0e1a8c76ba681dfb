"""Corrections: what closed items say about the next estimates of their source, applied where they are given.

A source is whoever an estimate comes from: a person, or the detector whose signals were priced. What was realised over
what was estimated gives a bias and a spread, both shrunken towards 1; with no history nothing changes. Chosen items
disappoint on average, because what looked best was partly luck: that is a part of the bias that is learned here. In a
backlog whose estimates are shrunken too it counts twice. To compare what was realised with shrunken estimates instead
undoes that, and makes the bias less certain: in simulations it helped about as much where sources are biased as it
harmed where they are not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.records import Correction, Quantity
from toolkit.stats.spreads import Spread


@dataclass(frozen=True)
class ClosedEstimate:
    """What a source estimated of an item that is closed, and what it turned out to be.

    Attributes
    ----------
    source: whom the estimate came from, such as `person/Ada` or `detector/calibration`.
    estimated: the range that was given; above 0.
    realised: what was measured afterwards, in the same unit.
    """

    item: str
    source: str
    quantity: Quantity
    estimated: Spread
    realised: float


class Learned(NamedTuple):
    """Corrections, and the items of which none could be made, with the reason."""

    corrections: tuple[Correction, ...]
    left_out: tuple[str, ...]


def learn_corrections(closed: Iterable[ClosedEstimate]) -> Learned:
    """A correction for each source and quantity, from its closed items; sorted.

    Estimates of an item that reach 0 or below have no factor, nor has what was realised at 0 or below: they are left
    out and named. Raises `ArgumentError` for an item that a source has twice.
    """
    found: dict[tuple[str, Quantity], list[tuple[float, float]]] = defaultdict(list)
    seen: set[tuple[str, str, Quantity]] = set()
    left_out = []
    for each in closed:
        key = (each.item, each.source, each.quantity)
        if key in seen:
            raise ArgumentError(f"{each.quantity} of {each.item} by {each.source} is there twice; an item closes once")
        seen.add(key)
        spread = each.estimated.checked(f"{each.quantity} of {each.item}")
        if spread.low <= 0 or each.realised <= 0:
            said = f"realised {each.realised:g}" if spread.low > 0 else f"estimated from {spread.low:g}"
            left_out.append(f"{each.quantity} of {each.item}: {said}, and there is no factor to 0 or below")
            continue
        ratio = math.log(each.realised / spread.likely)
        width = math.log(spread.high / spread.likely if ratio > 0 else spread.likely / spread.low)
        if width == 0:
            left_out.append(f"{each.quantity} of {each.item}: its range has no width on the side of what was realised")
            continue
        found[each.source, each.quantity].append((ratio, width / stats.critical_value(0.8)))
    corrections = []
    for (source, quantity), pairs in sorted(found.items()):
        ratios, widths = zip(*pairs, strict=True)
        error = stats.estimation_error(ratios, widths)
        corrections.append(Correction(source, quantity, error.bias, error.spread, error.n))
    return Learned(tuple(corrections), tuple(left_out))


def correct(spread: Spread, source: str, quantity: Quantity, corrections: Sequence[Correction]) -> Spread:
    """An estimate as its source's history suggests: moved by the bias, and as wide as the spread says.

    Without a correction for this source and quantity it is unchanged, and so is one that reaches 0 or below: factors
    say nothing of it. Raises `ArgumentError` when there are two corrections for it.

    >>> late = Correction("person/Ada", "effort", bias=1.5, spread=2.0, n=12)
    >>> correct(Spread(2, 4, 8), "person/Ada", "effort", [late])
    Spread(low=1.5, likely=6.0, high=24.0)
    >>> correct(Spread(2, 4, 8), "person/Bea", "effort", [late])
    Spread(low=2, likely=4, high=8)
    """
    own = [each for each in corrections if (each.source, each.quantity) == (source, quantity)]
    if len(own) > 1:
        raise ArgumentError(f"{len(own)} corrections for the {quantity} estimates of {source}, must be one at most")
    low, likely, high = spread
    if not own or low <= 0:
        return spread
    (correction,) = own
    moved = likely * correction.bias
    return Spread(moved * (low / likely) ** correction.spread, moved, moved * (high / likely) ** correction.spread)
