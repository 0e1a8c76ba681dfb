"""How good scores are before their labels are there: what is expected of calibrated scores, and how far to trust it.

A score that means what it says tells its own error: of requests scored 0.7, three in ten will not happen. So accuracy,
F1, AUC and the Brier score can be expected before a label is there (confidence-based performance estimation; Kivimäki
et al. 2024, arXiv 2407.08649). All of it rests on the scores meaning the same as when they were calibrated, which no
label-free number can tell. What can be told is how far the same estimate was off in earlier windows whose labels are
there now: `from_misses` makes the interval of those, and `stands_out` says when the last of them was out of line.

One function, `score_performance`, gives both sides: with the labels it is the realised performance, with expected
labels the expected one, so that the two differ by nothing but the labels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from toolkit.checks import check_between
from toolkit.errors import ArgumentError
from toolkit.stats.arrays import counts, matched, numbers
from toolkit.stats.estimate import CONFIDENCE, Estimate, check_count, critical_value, from_standard_error

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers

FEWEST_MISSES = 3
"""Earlier windows that an interval rests on at least: with two, t says 4.3 times what was seen, which says nothing."""

_FURTHEST_ODDS, _HALVINGS = 30.0, 60
"""Of the search for an odds ratio: e⁻³⁰ to e³⁰, halved down to the rounding of a double."""

MISSES_METHOD = "expected of calibrated scores; t of the misses in earlier windows"


class ScorePerformance(NamedTuple):
    """How good scores are; a part is None where there is nothing to compute it from.

    Attributes
    ----------
    label_share: share of positive labels. accuracy, f1: of the decisions. auc: pairs inside a bin counted half.
    average_precision: mean precision over the positives, at the score of each (Manning et al. 2008, ch. 8).
    brier: mean squared gap of score and label.
    """

    label_share: float | None
    accuracy: float | None
    f1: float | None
    auc: float | None
    average_precision: float | None
    brier: float | None


class CorrectCount(NamedTuple):
    """How many of some independent decisions are right, each with a probability of its own (Poisson-binomial).

    `at_most` is the distribution: the chance that at most 0, 1, 2 … are right.
    """

    mean: float
    sd: float
    at_most: tuple[float, ...]


class WeightedShare(NamedTuple):
    """A self-normalised weighted mean, and how many equal weights would say as much (Kish 1965)."""

    value: float | None
    effective_n: float
    reason: str


class StandsOut(NamedTuple):
    """Whether the last of some misses is out of line with those before.

    Attributes
    ----------
    times: the last, in root mean squares of the earlier ones. limit: how many are in line.
    stands_out: None where there are too few earlier ones, and `reason` says so.
    """

    times: float | None
    limit: float | None
    stands_out: bool | None
    reason: str


def isotonic_shares(n: ArrayLike, label_sum: ArrayLike) -> Numbers:
    """The share of positives of each bin, lowest scores first, made never to fall: pool adjacent violators.

    Source: Ayer, Brunk, Ewing, Reid & Silverman (1955), Ann. Math. Statist. 26:641. A bin without rows takes what lies
    between its neighbours.

    >>> isotonic_shares([10, 10, 0, 10], [2, 1, 0, 6]).tolist()
    [0.15, 0.15, 0.375, 0.6]
    """
    import numpy as np

    rows, label = matched(n=n, label_sum=label_sum)
    counts("n", rows)
    filled = np.flatnonzero(rows > 0)
    if filled.size == 0:
        raise ArgumentError("n holds no rows, so that there is nothing to calibrate by; give labelled rows")
    # Blocks of pooled bins: label sum, rows, bins.
    blocks: list[tuple[float, float, int]] = []
    for positives, size in zip(label[filled].tolist(), rows[filled].tolist(), strict=True):
        block = (positives, size, 1)
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    shares = np.concatenate([np.full(bins, positives / size) for positives, size, bins in blocks])
    found: Numbers = np.interp(np.arange(rows.size), filled, shares)
    return found


def with_level(shares: ArrayLike, n: ArrayLike, level: float) -> Numbers:
    """The shares with their odds all multiplied by one number, so that their mean over `n` rows each is `level`.

    What calibrated scores would be if positives were as frequent as that and nothing else had changed.

    >>> with_level([0.1, 0.4], [100, 100], 0.35).round(4).tolist()
    [0.1623, 0.5377]
    """
    import numpy as np

    share, rows = matched(shares=shares, n=n)
    total = float(counts("n", rows).sum())
    if total == 0:
        return share
    low, high = -_FURTHEST_ODDS, _FURTHEST_ODDS
    moved = share
    for _ in range(_HALVINGS):
        odds = math.exp((low + high) / 2)
        moved = share * odds / (1 - share + share * odds)
        if float(moved @ rows) < level * total:
            low = (low + high) / 2
        else:
            high = (low + high) / 2
    return np.asarray(moved, dtype=np.float64)


def score_performance(
    bins: ArrayLike,
    decided: ArrayLike,
    n: ArrayLike,
    score_square_sum: ArrayLike,
    positives: ArrayLike,
    score_positive_sum: ArrayLike,
) -> ScorePerformance:
    """Performance from sums by bin of the score and by decision; a bin may come more than once.

    Parameters
    ----------
    bins: by their place, lowest scores first. decided: 1 yes, 0 no, anything else unknown: such rows have no accuracy.
    n, score_square_sum: rows and Σ s² of the cell.
    positives, score_positive_sum: rows with label 1 and Σ s over them; or what is expected of them, n · p and Σ s · p.

    >>> found = score_performance([0, 1, 2], [0, 1, 1], [10, 10, 10], [0.1, 3.6, 6.4], [1, 5, 9],
    ...                           [0.1, 3.0, 7.2])
    >>> round(found.accuracy, 6), round(found.f1, 6), round(found.auc, 6), round(found.brier, 6)
    (0.766667, 0.8, 0.855556, 0.15)
    """
    import numpy as np

    place, yes, rows, square, ones, score_ones = matched(
        bins=bins,
        decided=decided,
        n=n,
        score_square_sum=score_square_sum,
        positives=positives,
        score_positive_sum=score_positive_sum,
    )
    total, happened = float(rows.sum()), float(ones.sum())
    if total == 0:
        return ScorePerformance(*[None] * len(ScorePerformance._fields))
    said_yes, said_no = yes == 1, yes == 0
    known = float(rows[said_yes | said_no].sum())
    right = float(ones[said_yes].sum())
    right_no = float((rows - ones)[said_no].sum())
    either = float(rows[said_yes].sum()) + float(ones[said_yes | said_no].sum())
    codes, which = np.unique(place, return_inverse=True)
    by_bin, all_by_bin = (np.bincount(which, weights=column, minlength=codes.size) for column in (ones, rows))
    zeros = all_by_bin - by_bin
    pairs = happened * (total - happened)
    ordered = float((by_bin * (np.cumsum(zeros) - zeros / 2)).sum())
    from_top = np.cumsum(all_by_bin[::-1])
    precision = np.cumsum(by_bin[::-1]) / np.maximum(from_top, np.finfo(np.float64).tiny)
    return ScorePerformance(
        label_share=happened / total,
        accuracy=(right + right_no) / known if known else None,
        f1=2 * right / either if either else None,
        auc=ordered / pairs if pairs > 0 else None,
        average_precision=float(precision @ by_bin[::-1]) / happened if happened > 0 else None,
        brier=float(ones.sum() - 2 * score_ones.sum() + square.sum()) / total,
    )


def sampling_errors(
    decided: ArrayLike, n: ArrayLike, score_sum: ArrayLike, score_square_sum: ArrayLike, shares: ArrayLike
) -> ScorePerformance:
    """How far labels would fall from what is expected by chance alone, as standard errors; rows are independent.

    Of accuracy it is the spread of a Poisson-binomial count. Of what is no mean (F1, AUC) it is not given.

    >>> found = sampling_errors([1, 0], [100, 300], [80.0, 60.0], [64.0, 12.0], [0.8, 0.2])
    >>> round(found.label_share, 6), round(found.accuracy, 6), round(found.brier, 6)
    (0.02, 0.02, 0.012)
    """
    import numpy as np

    yes, rows, score, square, share = matched(
        decided=decided, n=n, score_sum=score_sum, score_square_sum=score_square_sum, shares=shares
    )
    total = float(rows.sum())
    if total == 0:
        return ScorePerformance(*[None] * len(ScorePerformance._fields))
    known = (yes == 1) | (yes == 0)
    spread = share * (1 - share)
    decided_rows = float(rows[known].sum())
    # The Brier loss of one row is s² + y (1 - 2 s).
    lever = np.maximum(rows - 4 * score + 4 * square, 0.0)
    return ScorePerformance(
        label_share=math.sqrt(float((rows * spread).sum())) / total,
        accuracy=math.sqrt(float((rows * spread)[known].sum())) / decided_rows if decided_rows else None,
        f1=None,
        auc=None,
        average_precision=None,
        brier=math.sqrt(float((lever * spread).sum())) / total,
    )


def correct_count(chances: ArrayLike) -> CorrectCount:
    """The exact distribution of how many decisions are right, from the chance that each one is.

    Source: Poisson (1837); by convolution, which has no negative terms to cancel. For some thousands of rows.

    >>> found = correct_count([0.9, 0.8, 0.7])
    >>> round(found.mean, 6), round(found.sd, 6), [round(chance, 3) for chance in found.at_most]
    (2.4, 0.678233, [0.006, 0.098, 0.496, 1.0])
    """
    import numpy as np

    chance = numbers("chances", chances)
    outside = chance[(chance < 0) | (chance > 1)]
    if outside.size:
        raise ArgumentError(f"chances holds {outside[0]}, must hold probabilities between 0 and 1")
    law = np.ones(1)
    for each in chance.tolist():
        law = np.convolve(law, (1 - each, each))
    at_most = np.minimum(np.cumsum(law), 1.0)
    return CorrectCount(
        float(chance.sum()), math.sqrt(float((chance * (1 - chance)).sum())), tuple(float(each) for each in at_most)
    )


def weighted_share(weights: ArrayLike, values: ArrayLike, *, n: ArrayLike | None = None) -> WeightedShare:
    """The mean of `values`, each counted by its weight: what another mix of rows would have had (Hájek 1971).

    `n`: how many rows each entry stands for; None: one.

    >>> found = weighted_share([0.5, 0.5, 1.0, 1.0, 2.0], [1, 1, 1, 0, 0])
    >>> found.value, round(found.effective_n, 6)
    (0.4, 3.846154)
    """
    import numpy as np

    weight, value = matched(weights=weights, values=values)
    rows = np.ones(weight.size) if n is None else counts("n", matched(weights=weights, n=n)[1])
    negative = weight[weight < 0]
    if negative.size:
        raise ArgumentError(f"weights holds {negative[0]}, must hold numbers of at least 0")
    weighted = weight * rows
    total = float(weighted.sum())
    if total == 0:
        return WeightedShare(None, 0.0, "the weights sum to 0")
    return WeightedShare(float(weighted @ value) / total, total**2 / float(weighted @ weight), "")


def from_misses(
    value: float,
    misses: Sequence[float],
    *,
    n: int,
    least_se: float = 0.0,
    added_variance: float = 0.0,
    within: tuple[float, float] | None = None,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """An estimate whose interval is made of how far estimates of its kind were off: t · root mean square of the misses.

    A miss is the realised minus the expected number of an earlier window of the same length, made in the same way.
    Their root mean square is taken around 0, so that a bias widens the interval, and has as many degrees of freedom as
    there are windows. Absent with fewer than `FEWEST_MISSES`: then nothing is known about the error.

    Parameters
    ----------
    n: the rows of this window. least_se: the error by chance alone, below which no luck of the past may take it.
    added_variance: what the sampling error of this window has beyond those of the past.

    >>> found = from_misses(0.75, [0.02, -0.03, 0.01, -0.02], n=900)
    >>> round(found.se, 6), round(found.ci_lower, 4), round(found.ci_upper, 4), found.df
    (0.021213, 0.6911, 0.8089, 4)
    >>> from_misses(0.75, [0.02], n=900).reason
    'there is 1 earlier window to try the estimate on, it needs 3'
    """
    check_between("confidence", confidence, 0, 1)
    n = check_count("n", n)
    known = numbers("misses", list(misses))
    if known.size < FEWEST_MISSES:
        windows = "there is 1 earlier window" if known.size == 1 else f"there are {known.size} earlier windows"
        return Estimate.absent(f"{windows} to try the estimate on, it needs {FEWEST_MISSES}", n=n, method=MISSES_METHOD)
    variance = float((known @ known) / known.size) + max(added_variance, 0.0)
    se = max(math.sqrt(variance), least_se)
    return from_standard_error(
        value, se, n=n, df=known.size, method=MISSES_METHOD, within=within, confidence=confidence, scale=1.0
    )


def stands_out(misses: Sequence[float], *, least_se: float = 0.0, confidence: float = CONFIDENCE) -> StandsOut:
    """Whether the last miss lies outside what those before it let expect, by the interval of `from_misses`.

    `least_se` is the error by chance alone, below which nothing stands out.

    >>> found = stands_out([0.02, -0.03, 0.01, 0.12])
    >>> round(found.times, 3), round(found.limit, 3), found.stands_out
    (5.555, 3.182, True)
    """
    known = numbers("misses", list(misses))
    if known.size < FEWEST_MISSES:
        windows = "1 earlier window is" if known.size == 1 else f"{known.size} earlier windows are"
        return StandsOut(None, None, None, f"{windows} too few to know what is usual")
    earlier = known[:-1]
    usual = max(math.sqrt(float(earlier @ earlier) / earlier.size), least_se)
    last, limit = abs(float(known[-1])), critical_value(confidence, df=earlier.size)
    if usual == 0:
        return StandsOut(None, limit, last > 0, "" if last > 0 else "no window was off at all")
    return StandsOut(last / usual, limit, last > limit * usual, "")
