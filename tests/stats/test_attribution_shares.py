from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from toolkit import stats
from toolkit.errors import ArgumentError


def days(shares: list[float], count: int, seed: int, *, noise: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.abs(np.array(shares) * 100 * (1 + rng.normal(0, noise, (count, len(shares)))))


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    baseline, current = rng.random(8), np.round(rng.random(8), 1)  # ties, too
    assert stats.attribution_ndcg(baseline, current) == pytest.approx(ndcg_score([baseline], [current]), abs=1e-12)


def test_where_nothing_is_attributed_there_is_no_number() -> None:
    assert stats.attribution_ndcg([0.0, 0.0], [1.0, 2.0]) is None
    assert stats.l1_of_shares([0.0, 0.0], [1.0, 2.0]) is None


def test_sizes_are_not_negative() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.l1_of_shares([0.5, -0.5], [1.0, 2.0])
    assert str(caught.value) == "baseline holds -0.5, must hold sizes of attributions, at least 0"


def test_a_shift_is_found_and_its_interval_leaves_out_zero() -> None:
    shift = stats.share_shift(days([0.5, 0.3, 0.2], 31, 1), days([0.3, 0.5, 0.2], 28, 2))
    assert shift.value == pytest.approx(0.4, abs=0.02)
    assert shift.ci_lower is not None
    assert shift.ci_upper is not None
    assert 0.3 < shift.ci_lower < shift.value < shift.ci_upper < 0.5


def test_what_chance_makes_reaches_down_to_zero() -> None:
    inside = [
        stats.share_shift(days([0.5, 0.3, 0.2], 28, seed), days([0.5, 0.3, 0.2], 28, 900 + seed), draws=200).ci_lower
        == 0
        for seed in range(100)
    ]
    assert np.mean(inside) >= 0.88  # Binomial(100, 0.95) is below once in 200


@pytest.mark.slow
@pytest.mark.parametrize("moved", [0.0, 0.01, 0.05, 0.2])
def test_the_interval_covers(moved: float) -> None:
    covered = 0
    for seed in range(400):
        shift = stats.share_shift(
            days([0.5, 0.3, 0.2], 28, seed, noise=0.1),
            days([0.5 - moved, 0.3 + moved, 0.2], 28, 5000 + seed, noise=0.1),
            draws=400,
        )
        assert shift.ci_lower is not None
        assert shift.ci_upper is not None
        covered += shift.ci_lower <= 2 * moved <= shift.ci_upper
    assert covered / 400 >= 0.92


def test_one_day_has_no_interval() -> None:
    shift = stats.share_shift(np.array([[1.0, 1.0]]), np.array([[1.0, 3.0], [1.0, 3.0]]))
    assert shift.value == pytest.approx(0.5)
    assert shift.reason == "no interval: a period of one day does not say how days vary"


def test_a_period_without_attributions_is_absent() -> None:
    assert stats.share_shift(np.zeros((3, 2)), np.ones((3, 2))).reason == "one of the periods has no attribution"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((2, 3)), "current has shape (2, 3), must be days × 2 features"),
        (-np.ones((2, 2)), "current holds a number below 0 or none at all; give sums of absolute attributions"),
    ],
)
def test_tables_that_are_none(table: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.share_shift(np.ones((2, 2)), table)
    assert str(caught.value) == message
