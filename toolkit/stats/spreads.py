"""Spreads: what people give as low, likely and high, read as a distribution, and seeded draws from it.

Low and high are the 10 % and the 90 % quantile, likely is the median. Each half has its own width, taken from its own
quantile: of a spread above 0 the halves are lognormal, of one that reaches 0 or below they are normal. So what is
given is met exactly, on both sides, and nothing else has to be asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.digests import canonical_bytes, digest_bytes
from toolkit.errors import ArgumentError
from toolkit.stats.estimate import TOO_LARGE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from toolkit.stats.arrays import Numbers

DRAWS = 4000
"""Draws unless told otherwise: a probability of them has a standard error of at most 0.008."""

_REACH = 1.2815515655446004
"""The 90 % quantile of the standard normal."""

_FEWEST = 4
"""Spreads below which nothing can be said about how they differ: of fewer, the prior of that is all there is."""

_WIDEST = 8.0
_STEPS = 200
"""How far items may differ: up to so many times the standard deviation that is seen, in so many steps."""

_OPEN = math.ulp(1.0) / 2
"""Shares stay this far from 0 and 1, whose quantiles are infinite."""


class Spread(NamedTuple):
    """An uncertain number: its 10 % quantile, its median and its 90 % quantile, all in its own unit.

    Where low is above 0 it is two-piece lognormal, and never falls to 0; else two-piece normal. low == likely == high
    is a constant; low == likely or likely == high puts half of the probability on likely. A low of 0 says that one
    draw in ten lies below 0.

    >>> effort_days = Spread(2, 4, 12)
    >>> effort_days.quantile(0.9), round(effort_days.mean, 3), Spread(3, 3, 3).mean
    (12.0, 6.009, 3.0)
    """

    low: float
    likely: float
    high: float

    def quantile(self, share: float) -> float:
        """The value that the number stays below with probability `share`. Raises `ArgumentError`."""
        from scipy import special

        check_between("share", share, 0, 1)
        if share in {0.1, 0.5, 0.9}:
            # What was given comes back as it was given, not as its logarithm rounds it.
            return float(self.checked()[{0.1: 0, 0.5: 1, 0.9: 2}[share]])
        return float(_at(self.checked(), special.ndtri(share), "the spread"))

    @property
    def mean(self) -> float:
        """The expected value, in closed form; above likely where the upper half is the wider. Raises `ArgumentError`.

        A half normal's mean is sigma / sqrt(2 pi); E[exp(sigma z); z > 0] = exp(sigma² / 2) Φ(sigma).
        """
        from scipy import special

        below, above, lognormal = _widths(self.checked())
        if not lognormal:
            mean = self.likely + (above - below) / math.sqrt(2 * math.pi)
        elif below == above == 0:
            mean = self.likely
        else:
            # erfcx keeps exp(sigma² / 2) Φ(-sigma) finite where its factors are not.
            lower = float(special.erfcx(below / math.sqrt(2))) / 2
            upper = float(special.ndtr(above)) * math.exp(above * above / 2) if above * above < 1400 else math.inf
            mean = self.likely * (lower + upper)
        return _finite(float(mean), self, "the spread")

    def checked(self, name: str = "the spread") -> Spread:
        """The spread itself, if its numbers are finite and in order; `name` says in the error whose it is.

        >>> Spread(5, 3, 8).checked("effort of k1")
        Traceback (most recent call last):
            ...
        toolkit.errors.ArgumentError: effort of k1: low 5, likely 3, high 8, must be finite and low <= likely <= high
        """
        if not (all(map(math.isfinite, self)) and self.low <= self.likely <= self.high):
            raise ArgumentError(f"{name}: {_said(self)}, must be finite and low <= likely <= high")
        return self


class ShrunkenSpreads(NamedTuple):
    """Spreads drawn towards what is common to all of them.

    Attributes
    ----------
    spreads: in the order given.
    centre: the value towards which they are drawn; None where there are too few to tell.
    kept: by spread, how much of its distance from the centre is left; 1: untouched, 0: nothing sets it apart.
    """

    spreads: tuple[Spread, ...]
    centre: float | None
    kept: tuple[float, ...]


def draw_spreads(
    spreads: Sequence[Spread], keys: Sequence[str], *, draws: int = DRAWS, seed: int = 0, of: str = ""
) -> NDArray[np.float64]:
    """Independent draws of each spread: an array of items x draws, the same for the same arguments, byte for byte.

    Each item is drawn from its own stream, seeded by `seed`, `of` and its key: its draws do not depend on which other
    items there are, nor on their order, so a backlog to which one item is added ranks the others on the same draws.
    An item's draws are stratified: one in each of `draws` slices of equal probability, in random order, which is a
    Latin hypercube over the items (McKay, Beckman & Conover 1979, Technometrics 21:239).

    Parameters
    ----------
    keys: of the items, each once.
    of: what is drawn, such as "value": two spreads of one item under one name would rise and fall together.

    Raises `ArgumentError` naming the item.

    >>> two = draw_spreads([Spread(1, 2, 4), Spread(-1, 0, 3)], ["k1", "k2"], seed=7)
    >>> two.shape, bool((draw_spreads([Spread(-1, 0, 3)], ["k2"], seed=7)[0] == two[1]).all())
    ((2, 4000), True)
    """
    from scipy import special

    if len(spreads) != len(keys):
        raise ArgumentError(f"lengths differ: spreads {len(spreads)}, keys {len(keys)}")
    drawn = draw_shares(keys, draws=draws, seed=seed, of=of)
    for row, (spread, key) in enumerate(zip(spreads, keys, strict=True)):
        name = f"{of} of {key}" if of else key
        drawn[row] = _at(spread.checked(name), special.ndtri(drawn[row]), name)
    return drawn


def draw_shares(keys: Sequence[str], *, draws: int = DRAWS, seed: int = 0, of: str = "") -> NDArray[np.float64]:
    """Draws between 0 and 1 for each item, items x draws, from the streams of `draw_spreads`.

    What has the probability p happens where a draw is at most p. Raises `ArgumentError`.

    >>> round(float((draw_shares(["k1"], of="confidence") <= 0.25).mean()), 3)
    0.25
    """
    import numpy as np

    if draws < 1:
        raise ArgumentError(f"draws == {draws}, must be a whole number of at least 1")
    if twice := [key for key, times in Counter(keys).items() if times > 1]:
        raise ArgumentError(f"keys holds {twice[0]!r} twice, must name each item once: its draws come from its key")
    shares = np.empty((len(keys), draws))
    for row, key in enumerate(keys):
        shares[row] = _shares(key, draws, seed, of)
    return shares


def shrink_spreads(spreads: Sequence[Spread]) -> ShrunkenSpreads:
    """The spreads, all in one unit, as all together suggest: the highest are partly luck, the more the wider they are.

    The logarithms of likely values vary because the items differ, and because each is off by as much as its spread
    says. How much of it is the first is judged from all, by a normal hierarchical model (Gelman et al. 2013, Bayesian
    Data Analysis, 5.4), and each item keeps that share of its distance from the centre. The prior of the variance
    between items is uniform, Stein's harmonic one (Morris & Lysy 2012, arXiv 1203.5610): the items of one
    backlog tell little of it, and to take away too much of what sets them apart costs more than too little.

    Unshrunken, what ranks first disappoints on average, and probabilities of high ranks are too high. A spread that
    reaches 0 or below, or is a constant, stays as it is, and so do all where fewer than four remain.

    Raises `ArgumentError`.

    >>> found = shrink_spreads([*(Spread(each / 2, each, each * 2) for each in (2, 4, 8, 16)), Spread(3, 3, 3)])
    >>> [round(each.likely, 2) for each in found.spreads], [round(kept, 2) for kept in found.kept]
    ([2.32, 4.2, 7.62, 13.82, 3], [0.86, 0.86, 0.86, 0.86, 1.0])
    """
    import numpy as np

    halves = [_widths(spread.checked()) for spread in spreads]
    used = [at for at, (below, above, lognormal) in enumerate(halves) if lognormal and below + above > 0]
    if len(used) < _FEWEST:
        return ShrunkenSpreads(tuple(spreads), None, (1.0,) * len(spreads))
    logs = np.log([spreads[at].likely for at in used])
    errors = np.asarray([(halves[at][0] + halves[at][1]) / 2 for at in used])
    posterior = _shared(logs, errors)
    found, shares = list(spreads), [1.0] * len(spreads)
    for at, log, sd, kept, error in zip(used, posterior.means, posterior.sds, posterior.kept, errors, strict=True):
        likely = math.exp(log)
        below, above = (half * sd / error * _REACH for half in halves[at][:2])
        found[at] = Spread(likely * math.exp(-below), likely, likely * math.exp(above)).checked()
        shares[at] = float(kept)
    return ShrunkenSpreads(tuple(found), math.exp(posterior.centre), tuple(shares))


class _Shared(NamedTuple):
    """What normal estimates with one normal behind them say: of each, and of the one's centre."""

    means: Numbers
    sds: Numbers
    kept: Numbers
    centre: float


def _shared(values: Numbers, errors: Numbers) -> _Shared:
    """The posterior, averaged over how much the items may differ: one best guess of that would be too sure."""
    import numpy as np

    widest = _WIDEST * max(float(values.std(ddof=1)), float(errors.min()))
    between = np.square(np.linspace(0.0, widest, _STEPS))[:, None]
    weights = 1 / (between + np.square(errors))
    precision = weights.sum(axis=1, keepdims=True)
    centres = (weights * values).sum(axis=1, keepdims=True) / precision
    logs = (np.log(weights) - weights * np.square(values - centres)).sum(axis=1) / 2 - np.log(precision[:, 0]) / 2
    # A variance of even density: the steps are of its root.
    belief = np.sqrt(between[:, 0]) * np.exp(logs - logs.max())
    belief /= belief.sum()
    kept = between * weights
    means = centres + kept * (values - centres)
    # The centre is itself uncertain, and the less an item keeps of its own, the more it shares of that.
    variances = kept * np.square(errors) + np.square(1 - kept) / precision
    mean = belief @ means
    spread = belief @ (variances + np.square(means - mean))
    return _Shared(mean, np.sqrt(spread), belief @ kept, float(belief @ centres[:, 0]))


def _shares(key: str, draws: int, seed: int, of: str) -> Numbers:
    """One share of each slice, in the random order of the item's own stream."""
    import numpy as np

    digest = digest_bytes(canonical_bytes([seed, of, key])).removeprefix("sha256:")
    stream = np.random.default_rng(int(digest[:32], 16))
    shares = (stream.permutation(draws) + stream.random(draws)) / draws
    return np.clip(shares, _OPEN, 1 - _OPEN)


def _widths(spread: Spread) -> tuple[float, float, bool]:
    """The standard deviations of the lower and of the upper half, and whether they are of the logarithm."""
    low, likely, high = spread
    if low > 0:
        # Differences of logarithms: the quotient of a very large and a very small number overflows.
        logs = math.log(low), math.log(likely), math.log(high)
        return (logs[1] - logs[0]) / _REACH, (logs[2] - logs[1]) / _REACH, True
    return (likely - low) / _REACH, (high - likely) / _REACH, False


def _at(spread: Spread, z: Numbers, name: str) -> Numbers:
    """The spread's values at standard normal quantiles."""
    import numpy as np

    below, above, lognormal = _widths(spread)
    with np.errstate(over="ignore", invalid="ignore"):
        steps = z * np.where(z < 0, below, above)
        values = spread.likely * np.exp(steps) if lognormal else spread.likely + steps
    if not np.isfinite(values).all():
        _finite(math.inf, spread, name)
    return np.asarray(values)


def _finite(value: float, spread: Spread, name: str) -> float:
    if not math.isfinite(value):
        raise ArgumentError(f"{name}: {_said(spread)}: {TOO_LARGE}; is one of them in another unit?")
    return value


def _said(spread: Spread) -> str:
    return f"low {spread.low:.12g}, likely {spread.likely:.12g}, high {spread.high:.12g}"
