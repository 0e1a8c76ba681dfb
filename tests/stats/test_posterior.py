"""Beliefs about a difference: against quadrature, closed forms and draws; digits kept however sure they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

VALUE = st.floats(-1e6, 1e6)
ERROR = st.floats(1e-6, 1e6)


def assert_sound(found: stats.Posterior) -> None:
    assert all(part is None or math.isfinite(part) for part in found[:8]), found
    if found.status == "ok":
        assert 0 <= found.probability_better <= 1
        assert found.probability_better + found.probability_worse == pytest.approx(1)
        assert found.loss_if_shipped >= 0
        assert found.loss_if_kept >= 0


# --- normal ---


def test_losses_and_probability_equal_their_integrals() -> None:
    from scipy import integrate
    from scipy.stats import norm

    for mean, sd in ((0.1, 0.05), (-0.3, 0.2), (0.0, 1.0), (2.0, 0.5)):
        found = stats.normal_posterior(mean, sd)
        density = norm(mean, sd).pdf
        reach = (mean - 12 * sd, mean + 12 * sd)
        nodes = np.linspace(*reach, 2_000_001)
        shipped = integrate.trapezoid(np.maximum(-nodes, 0) * density(nodes), nodes)
        kept = integrate.trapezoid(np.maximum(nodes, 0) * density(nodes), nodes)
        assert (found.loss_if_shipped, found.loss_if_kept) == pytest.approx((shipped, kept), abs=1e-10)
        assert found.probability_better == pytest.approx(norm(mean, sd).sf(0), rel=1e-12)
        assert found.probability_above(0.07) == pytest.approx(norm(mean, sd).sf(0.07), rel=1e-12)


@pytest.mark.parametrize("t", [0.5, 3.0, 8.0, 15.0, 29.0, 29.999, 30.001, 31.0, 37.0])
def test_a_loss_far_from_zero_keeps_its_digits(t: float) -> None:
    # Laplace's continued fraction in 60 digits, whatever cancels: Φ(-t) = φ(t) / (t + 1/(t + 2/(t + …))).
    with localcontext() as context:
        context.prec = 60
        point = below = Decimal(t)
        for k in range(3000, 0, -1):
            below = point + k / below
        left = 1 - point / below
    right = float(left) * math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    tolerance = 1e-6 if t < 1 else 1e-11
    assert stats.normal_posterior(t, 1.0).loss_if_shipped == pytest.approx(right, rel=tolerance)


def test_a_certain_difference_costs_nothing_or_all_of_it() -> None:
    for sd in (1e-3, 1e-100, 1e-300):
        found = stats.normal_posterior(1.0, sd)
        assert (found.loss_if_shipped, found.loss_if_kept) == (0.0, 1.0)
        assert (found.probability_better, found.probability_worse) == (1.0, 0.0)
    assert stats.normal_posterior(-12.0, 1.0).probability_better == pytest.approx(1.776482112077679e-33, rel=1e-12)


@given(VALUE, ERROR, VALUE, ERROR)
def test_a_prior_draws_towards_itself_and_the_mirror_image_agrees(
    value: float, se: float, prior_mean: float, prior_sd: float
) -> None:
    found = stats.normal_posterior(value, se, prior_mean=prior_mean, prior_sd=prior_sd)
    assert_sound(found)
    low, high = sorted((value, prior_mean))
    slack = 1e-9 * (abs(value) + abs(prior_mean)) + 1e-300
    assert low - slack <= found.mean <= high + slack
    assert found.sd <= min(se, prior_sd) * (1 + 1e-12)
    precision = 1 / se**2 + 1 / prior_sd**2
    assert found.sd == pytest.approx(precision**-0.5, rel=1e-9)
    assert found.mean == pytest.approx((value / se**2 + prior_mean / prior_sd**2) / precision, abs=slack)
    mirror = stats.normal_posterior(-value, se, prior_mean=-prior_mean, prior_sd=prior_sd, increase=False)
    assert mirror.probability_better == pytest.approx(found.probability_better, abs=1e-12)
    assert mirror.loss_if_shipped == pytest.approx(found.loss_if_shipped, abs=1e-9 * se)


def test_a_wide_prior_is_the_flat_one() -> None:
    flat, wide = stats.normal_posterior(0.3, 0.1), stats.normal_posterior(0.3, 0.1, prior_sd=1e9)
    assert wide[:8] == pytest.approx(flat[:8], rel=1e-9)
    assert (flat.prior, wide.prior) == ("flat", "normal, mean 0, sd 1e+09")


def test_better_is_the_other_side_where_less_is_better() -> None:
    up, down = stats.normal_posterior(0.1, 0.05), stats.normal_posterior(0.1, 0.05, increase=False)
    assert (up.probability_better, up.loss_if_shipped) == (down.probability_worse, down.loss_if_kept)
    assert (up.mean, up.ci_lower) == (down.mean, down.ci_lower)


# --- shares ---


def closed_form(x0: int, n0: int, x1: int, n1: int) -> float:
    """Miller's sum for uniform priors."""
    from scipy.special import betaln

    a0, b0, a1, b1 = x0 + 1, n0 - x0 + 1, x1 + 1, n1 - x1 + 1
    i = np.arange(a1)
    terms = betaln(a0 + i, b0 + b1) - np.log(b1 + i) - betaln(1 + i, b1) - betaln(a0, b0)
    return float(np.exp(terms).sum())


@pytest.mark.parametrize(
    "counts",
    [(100, 1000, 120, 1000), (0, 5, 5, 5), (0, 0, 0, 0), (3, 10, 900, 3000), (49_000, 10**6, 7, 90), (1, 2, 1, 10**5)],
)
def test_the_probability_equals_the_closed_form(counts: tuple[int, int, int, int]) -> None:
    found = stats.share_posterior(*counts)
    assert found.probability_better == pytest.approx(closed_form(*counts), abs=1e-9)
    assert_sound(found)


@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 0.5), (2.0, 30.0)])
@pytest.mark.parametrize(
    "counts", [(100, 1000, 120, 1000), (0, 20, 2, 30), (5, 5, 0, 4), (30, 40, 2 * 10**5, 3 * 10**5)]
)
def test_losses_equal_those_of_draws(prior: tuple[float, float], counts: tuple[int, int, int, int]) -> None:
    rng, draws = np.random.default_rng(5), 400_000
    x0, n0, x1, n1 = counts
    gap = rng.beta(prior[0] + x1, prior[1] + n1 - x1, draws) - rng.beta(prior[0] + x0, prior[1] + n0 - x0, draws)
    found = stats.share_posterior(*counts, prior=prior)
    error = 5 / math.sqrt(draws)
    assert found.mean == pytest.approx(gap.mean(), abs=error * gap.std())
    assert found.sd == pytest.approx(gap.std(), rel=0.01)
    assert found.probability_better == pytest.approx((gap > 0).mean(), abs=error)
    assert found.loss_if_kept == pytest.approx(np.maximum(gap, 0).mean(), abs=error * gap.std())
    assert found.loss_if_shipped == pytest.approx(np.maximum(-gap, 0).mean(), abs=error * gap.std())


def test_losses_differ_by_the_mean_and_many_units_are_normal() -> None:
    found = stats.share_posterior(40_000, 100_000, 40_300, 100_000)
    assert found.loss_if_kept - found.loss_if_shipped == pytest.approx(found.mean, rel=1e-9)
    normal = stats.normal_posterior(found.mean, found.sd)
    assert found.probability_better == pytest.approx(normal.probability_better, abs=1e-6)
    assert found.loss_if_shipped == pytest.approx(normal.loss_if_shipped, rel=1e-3)
    assert (found.ci_lower, found.probability_above(0.0)) == (None, None)
    assert found.reason == "no interval: the probabilities and losses are exact and need none"


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_shares_are_sound_and_mirrored(x0: int, rest0: int, x1: int, rest1: int) -> None:
    found = stats.share_posterior(x0, x0 + rest0, x1, x1 + rest1)
    swapped = stats.share_posterior(x1, x1 + rest1, x0, x0 + rest0, increase=False)
    assert_sound(found)
    assert swapped.probability_better == pytest.approx(found.probability_better, abs=1e-9)
    assert swapped.loss_if_shipped == pytest.approx(found.loss_if_shipped, abs=1e-9)


# --- reasons and errors ---


def test_an_estimate_without_error_gives_its_reason() -> None:
    found = stats.posterior(stats.welch(1, 3.0, None, 40, 2.5, 1.3), prior_sd=1.0)
    assert found == stats.Posterior(
        *(None,) * 8,
        "normal, mean 0, sd 1",
        "absent",
        "no interval and no test: too few observations: n0 == 1, a variance needs 2",
    )
    assert found.probability_above(0.0) is None
    still = stats.from_standard_error(0.5, 0.0, n=9, method="mean")
    assert stats.posterior(still).reason == "no interval: the observations do not vary"
    assert stats.normal_posterior(1e300, 1e-300).reason == "the numbers are too large for floating point"


WRONG = [
    (lambda: stats.normal_posterior(1, 0), "se == 0, must be a number above 0 and below inf"),
    (lambda: stats.normal_posterior(1, 1, prior_sd=0), "prior_sd == 0, must be a number above 0 and below inf"),
    (lambda: stats.normal_posterior(math.nan, 1), "value == nan, must be a finite number"),
    (lambda: stats.share_posterior(3, 2, 0, 0), "x0 == 3, must be at most n0 == 2"),
    (lambda: stats.share_posterior(3, 4, 0, 0, prior=(0, 1)), "prior[0] == 0, must be a number above 0 and below inf"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message
