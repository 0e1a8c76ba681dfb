from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import norm

from toolkit.errors import ArgumentError
from toolkit.stats import estimation_error

RATIOS = st.lists(st.tuples(st.floats(-3, 3), st.floats(0.05, 2)), min_size=1, max_size=12)


def test_without_a_history_nothing_is_corrected() -> None:
    found = estimation_error([], [])
    assert (found.bias, found.spread, found.n) == (1.0, 1.0, 0)
    assert found.bias_lower * found.bias_upper == pytest.approx(1)


def test_the_posterior_is_that_of_integration() -> None:
    ratios, sds = np.array([0.9, 0.4, 0.7]), np.array([0.3, 0.6, 0.4])
    found = estimation_error(ratios, sds)
    around = (
        np.average(np.square(ratios - np.average(ratios, weights=sds**-2.0)), weights=sds**-2.0) * (sds**-2.0).sum()
    )
    noise = math.sqrt((4 + around) / (4 + 2))

    def density(bias: float) -> float:
        return float(norm.pdf(bias, 0, math.log(1.65)) * norm.pdf(ratios, bias, sds * noise).prod())

    whole = integrate.quad(density, -5, 5)[0]
    mean = integrate.quad(lambda bias: bias * density(bias), -5, 5)[0] / whole
    below = integrate.quad(density, -5, math.log(found.bias_upper))[0] / whole
    assert math.log(found.bias) == pytest.approx(mean, abs=1e-9)
    variance = integrate.quad(lambda bias: (bias - mean) ** 2 * density(bias), -5, 5)[0] / whole
    assert below == pytest.approx(0.9, abs=1e-6)
    assert found.spread == pytest.approx(math.sqrt(noise**2 + variance * np.mean(sds**-2.0)))


@given(RATIOS)
def test_the_bias_lies_between_none_and_what_was_seen(pairs: list[tuple[float, float]]) -> None:
    ratios, sds = zip(*pairs, strict=True)
    found = estimation_error(ratios, sds)
    low, high = min(0.0, *ratios), max(0.0, *ratios)
    assert low - 1e-9 <= math.log(found.bias) <= high + 1e-9
    assert found.bias_lower < found.bias < found.bias_upper


@given(RATIOS)
def test_turned_around_it_is_the_inverse(pairs: list[tuple[float, float]]) -> None:
    ratios, sds = zip(*pairs, strict=True)
    found, other = estimation_error(ratios, sds), estimation_error([-ratio for ratio in ratios], sds)
    assert found.bias * other.bias == pytest.approx(1)
    assert found.spread == pytest.approx(other.spread)


def test_a_long_history_is_believed() -> None:
    noise = norm.ppf((np.arange(400) + 0.5) / 400)
    found = estimation_error(0.6 + 0.8 * noise, np.full(400, 0.4))
    assert found.bias == pytest.approx(math.exp(0.6), rel=0.01)
    assert found.spread == pytest.approx(2, rel=0.03)


def test_the_next_is_held_by_its_interval_as_often_as_promised() -> None:
    """Sources are off by ordinary factors, their ranges are right: 80 % of the true biases lie in the central 80 %."""
    draw, held = np.random.default_rng(8), 0
    for _ in range(2_000):
        bias = draw.normal(0, math.log(1.65))
        sds = draw.uniform(0.3, 0.9, draw.integers(1, 20))
        found = estimation_error(draw.normal(bias, sds), sds)
        held += found.bias_lower <= math.exp(bias) <= found.bias_upper
    assert 0.77 <= held / 2_000 <= 0.83


def test_a_range_without_width_is_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        estimation_error([0.1, 0.2], [0.3, 0])
    assert str(caught.value) == "stated_sds holds 0, must be above 0: a range without width foretells nothing"
