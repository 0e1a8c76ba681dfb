"""Alpha spending: how much of the chance of a false alarm a group sequential test may have used at a look.

Source: Lan & DeMets (1983), Biometrika 70:659. What is spent depends on the information so far alone, so that neither
the number of looks nor their instants need be known beforehand; they must not depend on the effect seen.
"""

from __future__ import annotations

import math
from typing import Literal

from toolkit.checks import check_at_least, check_between, check_in
from toolkit.errors import ArgumentError

SPENDING = ("obrien_fleming", "pocock", "power")
"""`obrien_fleming` keeps nearly everything for the end, `pocock` spends about evenly, `power` spends alpha · t^rho."""

RHO = 3.0
"""The exponent of the power family, unless a plan says otherwise: between the other two, close to O'Brien–Fleming."""

Sides = Literal[1, 2]


def spent_alpha(fraction: float, alpha: float, spending: str, *, rho: float = RHO, sides: Sides = 2) -> float:
    """How much of `alpha` may be spent once a `fraction` t of the planned information is there.

    obrien_fleming: 2 · (1 - Φ(z / √t)), where z is exceeded with probability a/2 · pocock: a · ln(1 + (e - 1) t) (both
    Lan & DeMets 1983) · power: a · t^rho (Kim & DeMets 1987, Biometrika 74:149).

    A two-sided test spends a = alpha/2 on each side and twice the value in all. For O'Brien–Fleming that is not the
    same as the one-sided function at alpha: at t = 0.2 and alpha = 0.05 it is 1.1e-6, not 1.2e-5. It is what published
    two-sided bounds are made from.

    Parameters
    ----------
    fraction: at least 0; beyond 1 nothing is left to spend.
    alpha: the chance of a false alarm in all, two-sided if `sides` is 2.

    >>> [round(spent_alpha(t, 0.05, "obrien_fleming"), 7) for t in (0.2, 0.6, 1.0, 1.3)]
    [1.1e-06, 0.0076161, 0.05, 0.05]
    >>> round(spent_alpha(0.5, 0.05, "pocock"), 6), round(spent_alpha(0.5, 0.05, "power", rho=2), 6)
    (0.031006, 0.0125)
    """
    from scipy import special

    check_in(spending, SPENDING, noun="spending function")
    check_between("alpha", alpha, 0, 1)
    check_sides(sides)
    t = min(check_at_least("fraction", fraction, 0), 1.0)
    side = alpha / sides
    if t == 0:
        return 0.0
    if t == 1:
        return alpha
    if spending == "obrien_fleming":
        return sides * 2 * float(special.ndtr(special.ndtri(side / 2) / math.sqrt(t)))
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1) * t)
    return alpha * float(t ** check_between("rho", rho, 0, math.inf))


def check_sides(given: int) -> None:
    """Refuse anything but a one-sided or a two-sided test."""
    if given not in {1, 2}:
        raise ArgumentError(f"sides == {given}, must be 1 (an upper bound only) or 2")
