"""The score process of a test between its looks: where it can be while it has crossed no bound yet.

S(t) = √t · Z(t), with t the share of the planned information, is a Brownian motion whose drift is the expected Z at
t = 1. Its density on the region that continues follows from the one a look earlier by one integral: Armitage, McPherson
& Rowe (1969), JRSS A 132:235; Jennison & Turnbull (2000), ch. 19. The integrand is as smooth as the step between two
looks is wide, so that Gauss–Legendre panels a few steps wide lose nothing that a bound would show.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from toolkit.stats.arrays import Numbers

Z_CAP = 8.0
"""No bound lies beyond: a normal deviate exceeds it with probability 6e-16."""

_PANEL_NODES = 16
_PANEL_STEPS = 4.0
"""Width of a panel of 16 nodes in standard deviations of the shortest step next to it."""

_CELLS = 2_000_000
"""Entries of the kernel that are held at once: 16 MB."""


class Score(NamedTuple):
    """The score that has crossed nothing yet, as points with their probability.

    Attributes
    ----------
    at, mass: quadrature nodes, and density times weight; the masses sum to the probability of having crossed nothing.
    information: t of the last look.
    drift: the expected Z at t = 1.
    """

    at: Numbers
    mass: Numbers
    information: float
    drift: float

    def above(self, z: float, information: float) -> float:
        """The probability that Z at the next look, with this `information`, is above `z`."""
        return self._beyond(z, information, side=1.0)

    def below(self, z: float, information: float) -> float:
        """The probability that Z at the next look, with this `information`, is below `z`."""
        return self._beyond(z, information, side=-1.0)

    def _beyond(self, z: float, information: float, *, side: float) -> float:
        from scipy import special

        step = information - self.information
        # The lower tail of the normal keeps its digits where 1 - tail would have lost them.
        away = (self.at + self.drift * step - z * math.sqrt(information)) * side
        return float(special.ndtr(away / math.sqrt(step)) @ self.mass)

    def look(self, information: float, lower: float, upper: float, *, next_step: float) -> Score:
        """The score after a look that it passes with Z between `lower` and `upper`.

        `next_step` is the information between this look and the next: the nodes must lie close enough for it.
        """
        import numpy as np

        step, root = information - self.information, math.sqrt(information)
        centre = self.drift * information
        start, end = max(lower * root, centre - Z_CAP * root), min(upper * root, centre + Z_CAP * root)
        if start >= end:
            return self._replace(at=np.empty(0), mass=np.empty(0), information=information)
        sd = math.sqrt(step)
        panels = max(1, math.ceil((end - start) / (_PANEL_STEPS * min(sd, math.sqrt(next_step)))))
        nodes, weights = _gauss()
        half = (end - start) / (2 * panels)
        middles = start + half * (2 * np.arange(panels) + 1)
        at = (middles[:, None] + half * nodes).ravel()
        origin = self.at + self.drift * step
        pieces = np.array_split(at, math.ceil(at.size * origin.size / _CELLS) or 1)
        density = np.concatenate([np.exp(-0.5 * ((piece[:, None] - origin) / sd) ** 2) @ self.mass for piece in pieces])
        mass = density * np.tile(weights * half / (sd * math.sqrt(2 * math.pi)), panels)
        return Score(at, mass, information, self.drift)


def start(drift: float = 0.0) -> Score:
    """The score before the first look: 0, with certainty."""
    import numpy as np

    return Score(np.zeros(1), np.ones(1), 0.0, drift)


@cache
def _gauss() -> tuple[Numbers, Numbers]:
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    return nodes, weights
