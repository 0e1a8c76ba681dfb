from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.stats import LabelledMoments


def sample(seed: int = 0, *, n: int = 200, n_all: int = 5000, skill: float = 0.8) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(1, 1, n + n_all)
    says = skill * truth + rng.normal(0, 0.5, n + n_all) + 0.3
    return truth[:n], says[:n], says[n:]


def moments_of(label: np.ndarray, says: np.ndarray) -> LabelledMoments:
    return stats.labelled_moments(np.ones(label.size), label, label**2, says)


def test_moments_by_cells_are_those_of_the_rows() -> None:
    label, says, _ = sample()
    found = moments_of(label, says)
    covariance = np.cov(label, says)
    assert found == pytest.approx(
        (200, label.mean(), says.mean(), covariance[0, 0], covariance[1, 1], covariance[0, 1])
    )


def test_with_weight_one_it_is_the_paper() -> None:
    """Angelopoulos et al. (2023), algorithm 1: two variances added."""
    label, says, others = sample()
    found = stats.prediction_powered_mean(
        moments_of(label, says),
        n_all=others.size,
        prediction_mean_all=others.mean(),
        prediction_variance_all=others.var(),
        weight=1.0,
    ).estimate
    rectifier = label - says
    assert found.value == pytest.approx(others.mean() + rectifier.mean())
    assert found.se == pytest.approx((rectifier.var(ddof=1) / 200 + others.var() / others.size) ** 0.5)


def test_the_tuned_weight_is_never_wider_than_labels_alone() -> None:
    for skill in (0.0, 0.3, 1.0, -0.5):
        label, says, others = sample(skill=skill)
        found = stats.prediction_powered_mean(
            moments_of(label, says),
            n_all=others.size,
            prediction_mean_all=others.mean(),
            prediction_variance_all=others.var(),
        )
        assert found.estimate.se is not None
        assert found.labels_only.se is not None
        assert found.estimate.se <= found.labels_only.se + 1e-12
        assert 0 <= found.weight <= 1


def test_a_prediction_that_says_nothing_leaves_the_labels() -> None:
    label = np.array([0.0, 1.0, 1.0, 0.0])
    found = stats.prediction_powered_mean(
        moments_of(label, np.full(4, 0.9)), n_all=100, prediction_mean_all=0.9, prediction_variance_all=0.0
    )
    assert found.estimate[:6] == pytest.approx(found.labels_only[:6], nan_ok=True)


@pytest.mark.parametrize(
    ("given", "message"), [((0, 5), "n_all == 0 and labelled.n == 5"), ((9, 1), "n_all == 9 and labelled.n == 1")]
)
def test_it_needs_rows(given: tuple[int, int], message: str) -> None:
    rows = LabelledMoments(given[1], 0.5, 0.5, 0.25, 0.1, 0.05)
    with pytest.raises(ArgumentError) as caught:
        stats.prediction_powered_mean(rows, n_all=given[0], prediction_mean_all=0.5, prediction_variance_all=0.1)
    assert str(caught.value) == f"{message}, must be at least 1 and 2"


def test_moments_need_two_rows() -> None:
    with pytest.raises(ArgumentError) as caught:
        stats.labelled_moments([1], [1.0], [1.0], [0.5])
    assert str(caught.value) == "n sums to 1, must be at least 2 for a variance"


@pytest.mark.parametrize("width", [0.2, 0.1, 0.05])
def test_a_budget_buys_its_width(width: float) -> None:
    bought = stats.label_budget(width, residual_variance=0.19).labels
    assert bought is not None
    reach = 2 * scipy_stats.norm.ppf(0.975)
    assert reach * (0.19 / bought) ** 0.5 <= width < reach * (0.19 / (bought - 1)) ** 0.5


def test_even_labelling_is_pearsons_homogeneity() -> None:
    requests, labelled = [400, 300, 500], [40, 45, 38]
    table = [labelled, np.subtract(requests, labelled)]
    assert stats.even_labelling_p(requests, labelled) == pytest.approx(
        scipy_stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9
    )


def test_even_labelling_merges_what_is_too_small() -> None:
    assert stats.even_labelling_p([1] * 200, [1, 0] * 100) == pytest.approx(1.0)
    assert stats.even_labelling_p([10, 10], [1, 1]) is None


@pytest.mark.parametrize("labelled", [[0, 0], [9, 9]])
def test_without_a_choice_nothing_is_uneven(labelled: list[int]) -> None:
    assert stats.even_labelling_p([9, 9], labelled) is None


def test_random_labels_are_seldom_called_uneven() -> None:
    rng = np.random.default_rng(1)
    alarms = [stats.even_labelling_p([80] * 14, rng.binomial(80, 0.25, 14)) < 0.05 for _ in range(1000)]
    # Binomial(1000, 0.05) lies within 0.029 and 0.071 in 998 of 1000 cases.
    assert 0.029 <= np.mean(alarms) <= 0.071
