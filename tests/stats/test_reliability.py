"""Calibration by bins with days as clusters: exact sums, independent methods, and what the intervals promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit import stats
from toolkit.errors import ArgumentError

SIMULATIONS = 300
BAND = 4 * math.sqrt(stats.CONFIDENCE * (1 - stats.CONFIDENCE) / SIMULATIONS)
BINS = 15
COLUMNS = ("n", "score_sum", "label_sum", "score_square_sum", "score_label_sum")


def cells_of(
    scores: np.ndarray, labels: np.ndarray, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Sums by day and bin of equal mass."""
    place = np.empty(scores.size, dtype=int)
    place[np.argsort(scores, kind="stable")] = np.arange(scores.size) * BINS // scores.size
    size = (int(days.max()) + 1) * BINS
    columns = np.ones(scores.size), scores, labels, scores**2, scores * labels
    sums = [np.bincount(days * BINS + place, weights=column, minlength=size) for column in columns]
    return np.arange(size) // BINS, np.arange(size) % BINS, dict(zip(COLUMNS, sums, strict=True))


def day_rows(
    rng: np.random.Generator, days: int, per_day: int, *, shift: float, slope: float, spread: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, and labels whose logit is shift + slope · logit(score) + a level of the day."""
    day = np.repeat(np.arange(days), per_day)
    logit = rng.normal(-1, 1.2, size=day.size)
    chance = 1 / (1 + np.exp(-(shift + slope * logit + spread * rng.normal(size=days)[day])))
    return 1 / (1 + np.exp(-logit)), (rng.random(day.size) < chance).astype(float), day


def ece_of(scores: np.ndarray, labels: np.ndarray, days: np.ndarray) -> stats.Estimate:
    day, place, sums = cells_of(scores, labels, days)
    return stats.debiased_calibration_error(day, place, *(sums[name] for name in COLUMNS[:3]))


def parts_of(scores: np.ndarray, labels: np.ndarray, days: np.ndarray) -> stats.BrierParts:
    day, place, sums = cells_of(scores, labels, days)
    return stats.brier_parts(day, place, **sums)


ROWS = day_rows(np.random.default_rng(51), 40, 200, shift=0.3, slope=0.8, spread=0.3)


def test_the_four_parts_add_up_to_the_brier_score() -> None:
    from sklearn.metrics import brier_score_loss

    parts = parts_of(*ROWS)
    total = parts.reliability.value - parts.resolution.value + parts.uncertainty.value + parts.within.value
    assert total == pytest.approx(brier_score_loss(ROWS[1], ROWS[0]), abs=1e-15)


def test_three_parts_are_those_of_the_bins_alone() -> None:
    _, place, sums = cells_of(*ROWS)
    whole = [np.bincount(place, weights=sums[name]) for name in COLUMNS[:3]]
    alone, parts = stats.brier_decomposition(*whole), parts_of(*ROWS)
    assert parts.reliability.value == pytest.approx(alone.reliability, rel=1e-12)
    assert parts.resolution.value == pytest.approx(alone.resolution, rel=1e-12)
    assert parts.uncertainty.value == pytest.approx(alone.uncertainty, rel=1e-12)


def test_nothing_is_left_within_bins_whose_scores_are_equal() -> None:
    scores = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 300)
    labels = (np.random.default_rng(52).random(1500) < scores).astype(float)
    day, place, sums = cells_of(scores, labels, np.arange(1500) % 10)
    assert stats.brier_parts(day, np.repeat(0, place.size) + place // 3, **sums).within.value == pytest.approx(
        0, abs=1e-15
    )


@pytest.mark.parametrize("part", stats.BrierParts._fields)
def test_the_standard_error_equals_the_jackknife_over_days(part: str) -> None:
    day, place, sums = cells_of(*ROWS)

    def value(without: int) -> float:
        kept = day != without
        parts = stats.brier_parts(day[kept], place[kept], **{name: column[kept] for name, column in sums.items()})
        return float(getattr(parts, part).value)

    left_out = np.array([value(without) for without in range(40)])
    jackknife = math.sqrt(39 / 40 * np.square(left_out - left_out.mean()).sum())
    assert getattr(parts_of(*ROWS), part).se == pytest.approx(jackknife, rel=2 / 40)


def test_the_debiased_error_is_the_sampled_one_in_closed_form() -> None:
    """Against the sampling of Kumar et al.: twice the plain error, less the mean of errors of redrawn bins."""
    rng = np.random.default_rng(53)
    scores, labels, _ = day_rows(rng, 1, 900, shift=0.1, slope=1, spread=0)
    _, _, sums = cells_of(scores, labels, np.zeros(900, dtype=int))
    n, rate = sums["n"], sums["label_sum"] / sums["n"]
    gap = sums["score_sum"] / n - rate
    plain = stats.expected_calibration_error(n, sums["score_sum"], sums["label_sum"]).value
    draws = np.abs(gap + np.sqrt(rate * (1 - rate) / n) * rng.normal(size=(40_000, BINS))) @ n / n.sum()
    found = ece_of(scores, labels, np.zeros(900, dtype=int))
    assert found.value == pytest.approx(2 * plain - draws.mean(), abs=4 * draws.std() / math.sqrt(40_000))
    assert found.value < plain
    assert found.reason == "no interval: too few clusters: 1, a variance needs 2"


def test_with_many_rows_it_is_the_plain_error() -> None:
    scores, labels, days = day_rows(np.random.default_rng(54), 30, 10_000, shift=0.5, slope=1, spread=0)
    plain = stats.bin_sums(scores, labels, bins=BINS, by="mass")
    assert ece_of(scores, labels, days).value == pytest.approx(stats.expected_calibration_error(*plain).value, rel=1e-3)


def truths(shift: float, slope: float, spread: float) -> dict[str, float]:
    """The parts and the error of the population itself, by quadrature over the day's level."""
    logit = np.sort(np.random.default_rng(55).normal(-1, 1.2, size=300_000))
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    levels = zip(nodes, weights / weights.sum(), strict=True)
    chance = sum(w / (1 + np.exp(-(shift + slope * logit + spread * level))) for level, w in levels)
    scores, place = 1 / (1 + np.exp(-logit)), np.arange(logit.size) * BINS // logit.size
    n, score, label = (np.bincount(place, weights=column) for column in (np.ones(logit.size), scores, chance))
    gap, share = (score - label) / n, float(chance.mean())
    brier = float((chance * (1 - scores) ** 2 + (1 - chance) * scores**2).mean())
    parts = {
        "reliability": float(n @ gap**2) / n.sum(),
        "resolution": float(n @ (label / n - share) ** 2) / n.sum(),
        "uncertainty": share * (1 - share),
    }
    within = brier - parts["reliability"] + parts["resolution"] - parts["uncertainty"]
    return parts | {"within": within, "ece": float(n @ np.abs(gap)) / n.sum()}


@pytest.mark.parametrize(
    ("shift", "slope", "spread"),
    [
        (0.3, 0.8, 0.3),
        pytest.param(0.0, 1.0, 0.3, marks=pytest.mark.slow),
        pytest.param(0.0, 1.0, 0.0, marks=pytest.mark.slow),
    ],
)
def test_the_intervals_cover_miscalibrated_and_calibrated_scores(shift: float, slope: float, spread: float) -> None:
    rng, truth = np.random.default_rng(56), truths(shift, slope, spread)
    held: dict[str, list[bool]] = {name: [] for name in truth}
    for _ in range(SIMULATIONS):
        rows = day_rows(rng, 40, 200, shift=shift, slope=slope, spread=spread)
        for name, found in {"ece": ece_of(*rows), **parts_of(*rows)._asdict()}.items():
            held[name].append(found.ci_lower <= truth[name] <= found.ci_upper)
    covered = {name: float(np.mean(of_name)) for name, of_name in held.items()}
    assert all(share >= stats.CONFIDENCE - BAND for share in covered.values()), covered
    # Where a square is at its edge, 0, and where its own noise is taken off, the interval holds more than it says.
    for name in ("uncertainty", "within"):
        assert abs(covered[name] - stats.CONFIDENCE) <= BAND, covered


def test_calibrated_scores_have_an_interval_from_zero() -> None:
    rng = np.random.default_rng(57)
    found = [ece_of(*day_rows(rng, 30, 100, shift=0, slope=1, spread=0)) for _ in range(100)]
    assert np.mean([estimate.ci_lower == 0 for estimate in found]) >= 0.88
    clearly_wrong = ece_of(*day_rows(rng, 30, 100, shift=1, slope=1, spread=0))
    assert clearly_wrong.ci_lower > 0.1


def test_the_same_cells_in_any_order_give_the_same_interval() -> None:
    day, place, sums = cells_of(*ROWS)
    columns = [sums[name] for name in COLUMNS[:3]]
    first = stats.debiased_calibration_error(day, place, *columns)
    assert first == stats.debiased_calibration_error(day, place, *columns)
    backwards = stats.debiased_calibration_error(day[::-1], place[::-1], *(column[::-1] for column in columns))
    assert first == backwards
    assert first.se != stats.debiased_calibration_error(day, place, *columns, seed=1).se


def test_where_nothing_can_be_said_there_is_a_reason() -> None:
    for nothing in (
        stats.debiased_calibration_error([], [], [], [], []),
        stats.debiased_calibration_error([1, 2], [0, 0], [0, 0], [0, 0], [0, 0]),
        *stats.brier_parts([], [], **{name: [] for name in COLUMNS}),
    ):
        assert (nothing.status, nothing.reason, nothing.n) == ("absent", "no request has a score and a label", 0)
    still = stats.debiased_calibration_error([1, 2, 3], [0, 0, 0], [10] * 3, [2.0] * 3, [2] * 3)
    assert (still.value, still.se, still.reason) == (0.0, 0.0, "no interval: the days do not vary")
    one_day = stats.brier_parts(
        [1, 1], [0, 1], **dict(zip(COLUMNS, ([10, 10], [2, 7], [1, 8], [0.4, 4.9], [0.2, 5.6]), strict=True))
    )
    assert one_day.resolution.reason == "no interval: too few clusters: 1, a variance needs 2"


def test_more_labels_than_rows_are_named() -> None:
    with pytest.raises(ArgumentError, match=r"label_sum holds 11\.0, must lie between 0 and the cell's n"):
        stats.debiased_calibration_error([1], [0], [10], [2.0], [11])


def rank_counts(scores: np.ndarray, labels: np.ndarray, days: np.ndarray, bins: int) -> list[np.ndarray]:
    place = np.minimum(np.floor(scores * bins), bins - 1).astype(int)
    size = (int(days.max()) + 1) * bins
    ones, zeros = (np.bincount(days * bins + place, weights=column, minlength=size) for column in (labels, 1 - labels))
    return [np.arange(size) // bins, np.arange(size) % bins, ones, zeros]


@pytest.mark.parametrize("bins", [2, 5, 50, 1000])
def test_the_binned_auc_bounds_the_exact_one(bins: int) -> None:
    exact, found = stats.auc(ROWS[0], ROWS[1]).value, stats.binned_auc(*rank_counts(*ROWS, bins))
    assert found.lower <= exact <= found.upper
    assert found.estimate.value == pytest.approx((found.lower + found.upper) / 2, rel=1e-12)
    assert found.estimate.ci_lower < found.lower
    assert found.estimate.ci_upper > found.upper


def test_with_a_bin_for_every_score_the_binned_auc_is_exact() -> None:
    scores = np.round(ROWS[0], 2)
    found = stats.binned_auc(ROWS[2], (scores * 100).round(), ROWS[1], 1 - ROWS[1])
    assert found.estimate.value == pytest.approx(stats.auc(scores, ROWS[1]).value, rel=1e-12)


def test_counts_of_days_and_parts_merge_by_adding() -> None:
    cells = rank_counts(*ROWS, 20)
    halves = [np.concatenate([column, column]) for column in cells[:2]] + [
        np.concatenate([np.floor(column / 2), np.ceil(column / 2)]) for column in cells[2:]
    ]
    assert stats.binned_auc(*halves) == stats.binned_auc(*cells)


def test_one_class_has_no_binned_auc() -> None:
    found = stats.binned_auc([1, 2], [0, 1], [0, 0], [4, 5])
    assert (found.estimate.reason, found.lower, found.upper) == ("no positives among 9 rows", None, None)
