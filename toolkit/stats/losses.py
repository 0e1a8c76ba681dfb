"""Losses of predicted probabilities, averaged over independent rows: the reference for what engines compute in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.stats.arrays import labelled
from toolkit.stats.estimate import CONFIDENCE, Estimate
from toolkit.stats.means import mean, moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def log_loss(scores: ArrayLike, labels: ArrayLike, *, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of -ln(probability given to what happened), in nats (Good 1952, JRSS B 14:107).

    A score of exactly 0 or 1 that is wrong makes it infinite: then it is absent and the reason counts such rows.
    Clipping them would make up the number.

    >>> round(log_loss([0.9, 0.2, 0.6], [1, 0, 0]).value, 6)
    0.414932
    >>> log_loss([1.0, 0.2, 0.0], [0, 0, 1]).reason
    'infinite: 2 rows were certain and wrong'
    """
    import numpy as np

    score, positive = labelled(scores, labels)
    wrong = int(np.count_nonzero(np.where(positive, score == 0, score == 1)))
    if wrong:
        rows = "1 row was" if wrong == 1 else f"{wrong} rows were"
        return Estimate.absent(f"infinite: {rows} certain and wrong", n=score.size, method="log loss, t")
    # log1p keeps the digits of 1 - score; adding 0.0 turns -0.0 into 0.0.
    losses = np.concatenate([-np.log(score[positive]), -np.log1p(-score[~positive])]) + 0.0
    return mean(*moments(losses), method="log loss, t", confidence=confidence)


def brier(scores: ArrayLike, labels: ArrayLike, *, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of (score - label)², between 0 and 1 (Brier 1950, Monthly Weather Review 78:1).

    >>> round(brier([0.9, 0.2, 0.6], [1, 0, 0]).value, 6)
    0.136667
    """
    import numpy as np

    score, positive = labelled(scores, labels)
    return mean(*moments(np.square(score - positive)), method="brier, t", confidence=confidence)
