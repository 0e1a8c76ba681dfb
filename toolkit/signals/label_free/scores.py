"""The estimate from scores: calibrated, they let expect accuracy, F1, AUC and the Brier score."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from toolkit import stats
from toolkit.metrics.score_cells import BINS, ScoreCells, collect_score_cells
from toolkit.signals.label_free.basis import FEWEST_LABELLED, Basis, Quantity, Values, Words

if TYPE_CHECKING:
    from toolkit.stats.arrays import Numbers


class Curve(NamedTuple):
    """What a score of each bin means: the share of positives, and between which bins there were labels."""

    shares: Numbers
    lowest: int
    highest: int

    def of(self, cells: ScoreCells) -> Numbers:
        """The share of positives that is expected in each cell."""
        found: Numbers = self.shares[cells.place.astype(int)]
        return found


def calibrate(cells: ScoreCells) -> Curve | None:
    """What each score means by the labels of `cells`; None with fewer than `FEWEST_LABELLED`, or of one kind only."""
    import numpy as np

    labels, positives = cells.labels, float(cells.label_sum.sum())
    if labels < FEWEST_LABELLED or not 0 < positives < labels:
        return None
    n, ones = (
        np.bincount(cells.place.astype(int), weights=column, minlength=BINS)
        for column in (cells.labelled, cells.label_sum)
    )
    filled = np.flatnonzero(n)
    return Curve(stats.isotonic_shares(n, ones), int(filled[0]), int(filled[-1]))


def expected_performance(cells: ScoreCells, curve: Curve) -> stats.ScorePerformance:
    """What is expected of all requests of `cells`."""
    share = curve.of(cells)
    return stats.score_performance(
        cells.place,
        cells.decided,
        cells.n,
        cells.score_square_sum,
        share * cells.n,
        share * cells.score_sum,
    )


def realised_performance(cells: ScoreCells) -> stats.ScorePerformance:
    """What the labels that are known say."""
    return stats.score_performance(
        cells.place,
        cells.decided,
        cells.labelled,
        cells.labelled_square_sum,
        cells.label_sum,
        cells.score_label_sum,
    )


def chance_errors(cells: ScoreCells, curve: Curve) -> stats.ScorePerformance:
    """How far labels of these requests would fall from what is expected by chance alone."""
    return stats.sampling_errors(cells.decided, cells.n, cells.score_sum, cells.score_square_sum, curve.of(cells))


def score_values(key: str, cells: ScoreCells, curve: Curve) -> Values:
    """What a quantity is the mean of; any key but `label_share` and `accuracy` is the Brier score."""
    import numpy as np

    share, everywhere = curve.of(cells), np.ones(cells.n.size, dtype=bool)
    if key == "label_share":
        return Values(cells.label_sum, cells.label_sum, share, everywhere)
    if key == "accuracy":
        yes = cells.decided == 1
        right = np.where(yes, cells.label_sum, cells.labelled - cells.label_sum)
        return Values(right, right, np.where(yes, share, 1 - share), cells.decided >= 0)
    rows = np.maximum(cells.n, 1)
    predicted = share + (cells.score_square_sum - 2 * share * cells.score_sum) / rows
    loss = cells.label_sum - 2 * cells.score_label_sum + cells.labelled_square_sum
    return Values(loss, cells.loss_square_sum, predicted, everywhere)


def with_level(curve: Curve, cells: ScoreCells, level: float) -> Curve:
    """The curve if positives were as frequent among `cells` as `level` and nothing else had changed."""
    import numpy as np

    n = np.bincount(cells.place.astype(int), weights=cells.n, minlength=BINS)
    return curve._replace(shares=stats.with_level(curve.shares, n, min(max(level, 0.0), 1.0)))


SCORES = Basis(
    level="label_share",
    quantities=(
        Quantity("accuracy", "Accuracy", "share", "up"),
        Quantity("f1", "F1", "", "up"),
        Quantity("auc", "AUC", "", "up"),
        Quantity("average_precision", "Average precision", "", "up"),
        Quantity("brier", "Brier score", "", "down"),
        Quantity("label_share", "Positive labels", "share", ""),
    ),
    powered=("label_share", "accuracy", "brier"),
    drawn=("accuracy", "auc", "brier"),
    budget="accuracy",
    words=Words(
        expected_of="calibrated scores",
        answers="scores",
        answered="scored",
        level="positive labels",
        rate="base rate",
        more="more",
        fewer="fewer",
        unit="share",
    ),
    collect=collect_score_cells,
    calibrate=calibrate,
    expect=expected_performance,
    realise=realised_performance,
    chance=chance_errors,
    values=score_values,
    moved=with_level,
)
"""Of models that give a probability."""
