from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as scipy_stats

from toolkit.errors import ArgumentError
from toolkit.stats import EffectPrior, fit_effects


def test_one_normal_shrinks_by_its_share_of_the_variance() -> None:
    found = EffectPrior((0.0, 0.3), (0.0, 1.0)).shrink(0.5, 0.4)
    kept = 0.3**2 / (0.3**2 + 0.4**2)
    assert found.value == pytest.approx(0.5 * kept)
    assert found.sd == pytest.approx(0.4 * kept**0.5)


def test_the_posterior_is_what_integration_gives() -> None:
    prior = EffectPrior((0.0, 0.1, 0.8), (0.0, 0.7, 0.3))
    value, se = 0.6, 0.25

    def density(effect: float) -> float:
        before = 0.7 * scipy_stats.norm.pdf(effect, scale=0.1) + 0.3 * scipy_stats.norm.pdf(effect, scale=0.8)
        return float(before * scipy_stats.norm.pdf(value, loc=effect, scale=se))

    total, mean, second = (
        integrate.quad(lambda x, power=power: x**power * density(x), -5, 5, points=[0, value])[0] for power in (0, 1, 2)
    )
    found = prior.shrink(value, se)
    assert found.value == pytest.approx(mean / total, rel=1e-6)
    assert found.sd == pytest.approx((second / total - (mean / total) ** 2) ** 0.5, rel=1e-6)


def test_noise_shrinks_to_next_to_nothing_and_the_few_true_effects_hardly() -> None:
    rng = np.random.default_rng(2)
    truth = np.where(np.arange(3000) < 30, 0.1, 0.0)
    ses = rng.uniform(0.005, 0.02, 3000)
    values = rng.normal(truth, ses)
    prior = fit_effects(values, ses)
    shrunken = np.array([prior.shrink(value, se).value for value, se in zip(values, ses, strict=True)])
    assert np.square(shrunken - truth).mean() < 0.1 * np.square(values - truth).mean()
    assert shrunken[:30].mean() == pytest.approx(0.1, abs=0.01)
    assert np.abs(shrunken[30:]).max() < 0.5 * np.abs(values[30:]).max()


def test_the_largest_of_many_is_overstated_by_less_than_half_as_much() -> None:
    """Picked as the largest of 400, an estimate is too large on average; the prior mends most of it."""
    rng = np.random.default_rng(5)
    raw, shrunken = [], []
    for _ in range(60):
        truth = rng.normal(0, 0.02, 400)
        values = rng.normal(truth, 0.02)
        at = int(values.argmax())
        raw.append(values[at] - truth[at])
        shrunken.append(fit_effects(values, np.full(400, 0.02)).shrink(values[at], 0.02).value - truth[at])
    assert np.mean(raw) > 0.03
    assert abs(np.mean(shrunken)) < 0.5 * np.mean(raw)


def test_nothing_but_noise_is_called_nothing() -> None:
    rng = np.random.default_rng(3)
    prior = fit_effects(rng.normal(0, 0.01, 500), np.full(500, 0.01))
    assert abs(prior.shrink(0.03, 0.01).value) < 0.01


def test_shares_add_up_and_the_sign_is_kept() -> None:
    prior = fit_effects([0.5, -0.4, 0.0, 0.1], [0.1, 0.1, 0.1, 0.1])
    assert sum(prior.shares) == pytest.approx(1.0)
    assert prior.scales[0] == 0.0
    assert prior.shrink(-0.5, 0.1).value == pytest.approx(-prior.shrink(0.5, 0.1).value)


def test_the_unit_does_not_matter() -> None:
    values, ses = np.array([0.5, -0.4, 0.0, 0.1, 0.02]), np.array([0.1, 0.2, 0.1, 0.15, 0.1])
    plain = fit_effects(values, ses).shrink(0.5, 0.1)
    scaled = fit_effects(values * 1e6, ses * 1e6).shrink(0.5e6, 0.1e6)
    assert scaled.value == pytest.approx(plain.value * 1e6, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "ses", "said"),
    [
        ([], [], "values is empty, must hold at least one estimate"),
        ([0.1], [0.0], "the smallest of ses == 0.0, must be a number above 0"),
        ([0.1], [-1.0], "the smallest of ses == -1.0, must be a number above 0"),
        ([0.1, 0.2], [0.1], "lengths differ: values 2, ses 1"),
    ],
)
def test_what_cannot_be_fitted_is_said(values: list[float], ses: list[float], said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        fit_effects(values, ses)
    assert str(caught.value) == said
