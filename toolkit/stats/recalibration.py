"""Calibration slope and intercept: the logistic regression of the label on the score's logit, from one pass of sums.

A logistic regression has no finite set of sums that it needs. But inside a narrow cell of the logit its curve is a
polynomial, to far below the rounding of a double: so the sums of the first powers of the logit in each cell give it as
exactly as the rows would, for every slope up to `STEEPEST`. Such sums add up over days, and are formed in one scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import matched, numbers
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count
from toolkit.stats.ratios import from_influence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from toolkit.stats.arrays import Numbers

    Table = NDArray[np.float64]

CELL_WIDTH = 0.25
"""Width of a cell in the logit."""

POWERS = 13
"""Sums of powers that each cell holds: of t⁰ … t¹², where t runs from -1 to 1 over the cell."""

STEEPEST = 8.0
"""The largest slope, up or down, for which the sums give the regression to nine digits."""

RECALIBRATION_METHOD = "logistic recalibration; sandwich, day clusters"
_DEGREE = POWERS - 3
"""Of the curve's polynomial: two more powers are for the logit's square in the information."""

_MOST_STEPS = 60
_CONVERGED = 1e-13


class Recalibration(NamedTuple):
    """label ~ intercept + slope · logit(score): 0 and 1 are perfect; below 1, the scores are too extreme."""

    intercept: Estimate
    slope: Estimate


def logit_powers(logits: ArrayLike) -> tuple[NDArray[np.int64], Table]:
    """The cell of each logit, and its powers there: what an engine sums. The reference for its SQL.

    >>> cells, powers = logit_powers([0.0, 0.1875])
    >>> cells.tolist(), powers[:, 1].tolist()
    ([0, 0], [-1.0, 0.5])
    """
    import numpy as np

    place = numbers("logits", logits) / CELL_WIDTH
    cells = np.floor(place)
    return cells.astype(np.int64), np.vander(2 * (place - cells) - 1, POWERS, increasing=True)


def recalibration(
    clusters: ArrayLike,
    cells: ArrayLike,
    powers: ArrayLike,
    positives: ArrayLike,
    positive_t_sum: ArrayLike,
    *,
    certain: int = 0,
    method: str = RECALIBRATION_METHOD,
    confidence: float = CONFIDENCE,
) -> Recalibration:
    """Intercept and slope by maximum likelihood, with the cluster sandwich (Liang & Zeger 1986) over days.

    Sources: Cox (1958), Biometrika 45:562; Van Calster et al. (2016), J. Clin. Epidemiol. 74:167. Both are absent with
    a reason where no finite slope is the most likely, or where it is steeper than `STEEPEST`.

    Parameters
    ----------
    clusters, cells: whose sums they are, one entry per cluster × cell, see `logit_powers`.
    powers: one row of `POWERS` sums each: Σ t⁰, Σ t¹, …
    positives, positive_t_sum: rows with label 1, and Σ t over them.
    certain: rows scored exactly 0 or 1, which have no logit; with any there is no regression.

    >>> import numpy as np
    >>> logits, labels = np.array([-1.1, -0.4, 0.2, 0.3, 1.2, 2.0] * 4), np.array([0, 1, 0, 1, 0, 1] * 4)
    >>> cells, powers = logit_powers(logits)
    >>> found = recalibration(np.arange(24), cells, powers, labels, labels * powers[:, 1])
    >>> round(found.intercept.value, 6), round(found.slope.value, 6), round(found.slope.se, 6)
    (-0.198031, 0.548058, 0.368911)
    """
    import numpy as np

    check_between("confidence", confidence, 0, 1)
    cluster, cell, positive, positive_t = matched(
        clusters=clusters, cells=cells, positives=positives, positive_t_sum=positive_t_sum
    )
    sums = np.asarray(powers, dtype=np.float64)
    if sums.shape != (cell.size, POWERS):
        raise ArgumentError(f"powers has shape {sums.shape}, must hold {POWERS} sums for each of {cell.size} cells")
    filled = sums[:, 0] > 0
    data = _Cells(*(column[filled] for column in (cell, sums, positive, positive_t)))
    rows, ones = int(data.powers[:, 0].sum()), float(data.positive.sum())

    def absent(reason: str) -> Recalibration:
        nothing = Estimate.absent(reason, n=rows, method=method)
        return Recalibration(nothing, nothing)

    if check_count("certain", certain):
        requests = "1 request was" if certain == 1 else f"{certain:,} requests were"
        return absent(f"{requests} scored exactly 0 or 1, which has no logit")
    if rows == 0:
        return absent("no request has a score and a label")
    if ones in {0, rows}:
        return absent(f"no {'positives' if ones == 0 else 'negatives'} among {rows:,} requests: there is no slope")
    fitted = _fit(data)
    if fitted is None:
        return absent(
            f"no slope within {STEEPEST:g} is the most likely: the scores are all alike, or tell the labels apart"
        )
    theta, information = fitted
    score = _scores(data, theta)
    _, index = np.unique(cluster[filled], return_inverse=True)
    by_cluster = np.stack([np.bincount(index, weights=column) for column in score.T], axis=1)
    influences = np.linalg.solve(information, by_cluster.T)
    intercept, slope = (
        from_influence(float(value), psi, rows, method, scale=1.0, confidence=confidence)
        for value, psi in zip(theta, influences, strict=True)
    )
    return Recalibration(intercept, slope)


class _Cells(NamedTuple):
    cell: Numbers
    powers: Table
    positive: Numbers
    positive_t: Numbers

    @property
    def centre(self) -> Numbers:
        return (self.cell + 0.5) * CELL_WIDTH


def _fit(data: _Cells) -> tuple[Numbers, Table] | None:
    """The most likely (intercept, slope) and the information there; None where there is none within `STEEPEST`."""
    import numpy as np

    # Cells of all clusters together: the fit does not know of days.
    cell, index = np.unique(data.cell, return_inverse=True)

    def summed(column: Numbers) -> Numbers:
        return np.bincount(index, weights=column, minlength=cell.size).astype(np.float64)

    whole = _Cells(
        cell,
        np.stack([summed(column) for column in data.powers.T], axis=1),
        summed(data.positive),
        summed(data.positive_t),
    )
    theta = np.array([0.0, 1.0])
    likelihood = _log_likelihood(whole, theta)
    for _ in range(_MOST_STEPS):
        gradient, information = _scores(whole, theta).sum(axis=0), _information(whole, theta)
        if not np.linalg.cond(information) < 1 / np.finfo(np.float64).eps:
            return None
        step = np.linalg.solve(information, gradient)
        while (found := _log_likelihood(whole, theta + step)) < likelihood - 1e-12 * abs(likelihood):
            step /= 2
        theta, likelihood = theta + step, found
        if abs(theta[1]) > STEEPEST:
            return None
        if np.abs(step).max() <= _CONVERGED * max(1.0, float(np.abs(theta).max())):
            return theta, _information(whole, theta)
    return theta, _information(whole, theta)


def _scores(data: _Cells, theta: Numbers) -> Table:
    """Σ (label - chance) · (1, logit) of each cell."""
    import numpy as np
    from scipy import special

    chance = _polynomials(data, theta, special.expit)
    half = CELL_WIDTH / 2
    missed = data.positive - (chance * data.powers[:, : _DEGREE + 1]).sum(axis=1)
    missed_t = data.positive_t - (chance * data.powers[:, 1 : _DEGREE + 2]).sum(axis=1)
    return np.stack([missed, data.centre * missed + half * missed_t], axis=1)


def _information(data: _Cells, theta: Numbers) -> Table:
    import numpy as np
    from scipy import special

    weight = _polynomials(data, theta, lambda z: special.expit(z) * special.expit(-z))
    flat, first, second = ((weight * data.powers[:, power : _DEGREE + 1 + power]).sum(axis=1) for power in range(3))
    centre, half = data.centre, CELL_WIDTH / 2
    cross = float((centre * flat + half * first).sum())
    square = float((centre**2 * flat + 2 * centre * half * first + half**2 * second).sum())
    return np.array([[float(flat.sum()), cross], [cross, square]])


def _log_likelihood(data: _Cells, theta: Numbers) -> float:
    import numpy as np

    softplus = _polynomials(data, theta, lambda z: np.logaddexp(0.0, z))
    linear = (theta[0] + theta[1] * data.centre) * data.positive + theta[1] * CELL_WIDTH / 2 * data.positive_t
    return float(linear.sum() - (softplus * data.powers[:, : _DEGREE + 1]).sum())


def _polynomials(data: _Cells, theta: Numbers, curve: Callable[[Table], Table]) -> Table:
    """Coefficients, per cell, of the polynomial in t that equals `curve` at Chebyshev's points of the cell."""
    import numpy as np

    nodes = np.cos((2 * np.arange(_DEGREE + 1) + 1) * math.pi / (2 * _DEGREE + 2))
    at_nodes = theta[0] + theta[1] * (data.centre[:, None] + CELL_WIDTH / 2 * nodes)
    to_powers = np.linalg.inv(np.vander(nodes, _DEGREE + 1, increasing=True))
    return curve(at_nodes) @ to_powers.T
