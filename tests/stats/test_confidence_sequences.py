"""Always-valid intervals, p-values and the sequential sample ratio: formulas from their definitions, and properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError

ALPHAS = st.floats(min_value=0.001, max_value=0.3)
SIZES = st.integers(min_value=1, max_value=10**9)
Z = st.floats(min_value=-30, max_value=30)


def mixture_by_integration(s: float, v: float, rho: float, *, sides: int) -> float:
    """The e-value from its definition: likelihood ratios averaged over means drawn from N(0, 1/rho), or its half."""
    from scipy import integrate

    # One likelihood ratio is exp(mean s - mean² v / 2).
    def integrand(mean: float) -> float:
        return math.exp(mean * s - mean * mean * (v + rho) / 2) * math.sqrt(rho / (2 * math.pi))

    middle, width = s / (v + rho), 12 / math.sqrt(v + rho)
    low = middle - width if sides == 2 else max(0.0, middle - width)
    value, _ = integrate.quad(integrand, low, max(middle, 0.0) + width, epsabs=0, epsrel=1e-11, limit=200)
    return value * (1 if sides == 2 else 2)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(("s", "v", "rho"), [(10.0, 100.0, 12.6), (-3.0, 50.0, 5.0), (40.0, 200.0, 900.0)])
def test_the_mixture_is_the_average_of_likelihood_ratios(s: float, v: float, rho: float, sides: stats.Sides) -> None:
    ours = math.exp(stats.log_mixture(s, v, rho=rho, sides=sides))
    assert ours == pytest.approx(mixture_by_integration(s, v, rho, sides=sides), rel=1e-8)


@given(st.floats(min_value=1e-3, max_value=1e9), st.floats(min_value=1e-3, max_value=1e9), ALPHAS)
def test_a_boundary_is_where_the_evidence_is_one_in_alpha(v: float, rho: float, alpha: float) -> None:
    for sides in (1, 2):
        bound = stats.uniform_boundary(v, alpha=alpha, rho=rho, sides=sides)
        assert stats.log_mixture(bound, v, rho=rho, sides=sides) == pytest.approx(-math.log(alpha), abs=1e-8)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_the_width_makes_the_boundary_lowest_where_it_is_tuned(alpha: float, sides: stats.Sides) -> None:
    tuned = stats.mixture_width(1000, alpha=alpha, sides=sides)
    lowest = min(
        stats.uniform_boundary(1000, alpha=alpha, rho=tuned * 1.05**step, sides=sides) for step in range(-60, 61)
    )
    assert stats.uniform_boundary(1000, alpha=alpha, rho=tuned, sides=sides) <= 1.01 * lowest


def test_the_asymptotic_sequence_gavi_and_msprt_are_one_formula() -> None:
    n, alpha, tune_n, se = 6461, 0.05, 5000, 0.13
    # Waudby-Smith et al., eq. 9, with their rho.
    rho = math.sqrt((-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tune_n)
    grown = n * rho**2 + 1
    half = se * math.sqrt(2 * grown / (n * rho**2) * math.log(math.sqrt(grown) / alpha))
    sequence = stats.confidence_sequence(0.2, se, n, alpha=alpha, tune_n=tune_n)
    assert sequence.ci_upper == pytest.approx(0.2 + half, rel=1e-12)
    assert rho == pytest.approx(stats.mixture_width(tune_n, alpha=alpha) ** -0.5, rel=1e-12)
    # GAVI, as its users write it.
    nu = stats.mixture_width(tune_n, alpha=alpha)
    gavi = math.sqrt((n + nu) / n * math.log((n + nu) / (nu * alpha**2)))
    assert stats.always_valid_reach(n, alpha=alpha, tune_n=tune_n) == pytest.approx(gavi, rel=1e-12)
    # The mixture ratio of Johari, Pekelis & Walsh with tau² and the p-value that is its inverse.
    delta, variance, tau2 = 0.03, 1e-4, 4e-4
    ratio = math.sqrt(variance / (variance + tau2)) * math.exp(tau2 * delta**2 / (2 * variance * (variance + tau2)))
    ours = stats.log_mixture(delta / math.sqrt(variance), 1, rho=variance / tau2)
    assert math.exp(ours) == pytest.approx(ratio, rel=1e-12)


@given(Z, SIZES, ALPHAS, st.floats(min_value=1, max_value=1e8), st.sampled_from([1, 2]))
def test_p_is_at_most_alpha_where_the_interval_excludes_the_null(
    z: float, n: int, alpha: float, tune_n: float, sides: stats.Sides
) -> None:
    reach = stats.always_valid_reach(n, alpha=alpha, tune_n=tune_n, sides=sides)
    p = stats.always_valid_p(z, n, alpha=alpha, tune_n=tune_n, sides=sides)
    distance = abs(z) if sides == 2 else z
    assert 0 <= p <= 1
    if abs(distance - reach) > 1e-6:
        assert (p < alpha) == (distance > reach)
    assert reach > stats.critical_value(1 - 2 * alpha if sides == 1 else 1 - alpha)


@given(st.floats(-1e6, 1e6), st.floats(min_value=0, max_value=1e6), st.integers(0, 10**9), ALPHAS)
def test_a_confidence_sequence_is_sound(value: float, se: float, n: int, alpha: float) -> None:
    sequence = stats.confidence_sequence(value, se, n, alpha=alpha)
    assert (sequence.value is None) == (sequence.status == "absent") == (n == 0)
    assert sequence.n == n
    if sequence.ci_lower is None:
        assert sequence.reason
        assert sequence.p_value is None
    else:
        assert sequence.reason == ""
        assert sequence.ci_lower < value < sequence.ci_upper
        assert sequence.excludes_zero == (sequence.p_value < alpha)


def test_a_sequence_without_error_says_so() -> None:
    assert stats.confidence_sequence(1.0, 0.1, 0, alpha=0.05).reason == "no observations"
    flat = stats.confidence_sequence(1.0, 0.0, 9, alpha=0.05)
    assert (flat.value, flat.se, flat.ci_lower) == (1.0, 0.0, None)
    assert flat.reason == "no interval and no test: the observations do not vary"
    huge = stats.confidence_sequence(1.0, math.inf, 9, alpha=0.05, null=None)
    assert huge.reason == "no interval: the numbers are too large for floating point"
    overflown = stats.confidence_sequence(1e308, 1e308, 9, alpha=0.05)
    assert (overflown.ci_lower, overflown.ci_upper) == (None, None)
    assert stats.confidence_sequence(0.0, 1e-300, 9, alpha=0.05, null=1e10).p_value == 0.0
    assert overflown.reason == "no interval: the numbers are too large for floating point"


def test_a_null_may_be_a_margin_or_none() -> None:
    at_margin = stats.confidence_sequence(0.0, 0.1, 5000, alpha=0.05, null=-0.5)
    assert at_margin.p_value == stats.always_valid_p(5.0, 5000, alpha=0.05)
    assert stats.confidence_sequence(0.0, 0.1, 5000, alpha=0.05, null=None).p_value is None


# The sequential sample ratio.


def by_gamma_functions(counts: list[int], shares: list[float], concentration: float) -> float:
    """The formula as it is written."""
    a, n = concentration, sum(counts)
    terms = [
        math.lgamma(a * share + count) - math.lgamma(a * share) - count * math.log(share)
        for count, share in zip(counts, shares, strict=True)
    ]
    return math.lgamma(a) - math.lgamma(a + n) + sum(terms)


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 9)), min_size=2, max_size=5).filter(
        lambda pairs: sum(count for count, _ in pairs) > 0
    ),
    st.floats(min_value=1, max_value=10_000),
)
def test_the_bayes_factor_is_the_ratio_of_gamma_functions(pairs: list[tuple[int, int]], concentration: float) -> None:
    counts, weights = [count for count, _ in pairs], [weight for _, weight in pairs]
    shares = [weight / sum(weights) for weight in weights]
    check = stats.sequential_sample_ratio(counts, weights, concentration=concentration)
    assert check.log_bayes_factor == pytest.approx(by_gamma_functions(counts, shares, concentration), abs=1e-6)
    assert check.p_value == pytest.approx(min(1.0, math.exp(-check.log_bayes_factor)))
    assert check.expected_shares == pytest.approx(shares)


def test_the_bayes_factor_is_the_product_of_its_predictions() -> None:
    # Lindon & Malek's own form: each unit multiplies it by predictive probability / planned share.
    rng = np.random.default_rng(3)
    units = rng.choice(3, size=400, p=[0.4, 0.4, 0.2])
    shares, counts, log_factor = np.array([0.5, 0.3, 0.2]), np.zeros(3), 0.0
    for seen, unit in enumerate(units):
        log_factor += math.log((20 * shares[unit] + counts[unit]) / (20 + seen) / shares[unit])
        counts[unit] += 1
    check = stats.sequential_sample_ratio(counts.astype(int).tolist(), [5, 3, 2], concentration=20)
    assert check.log_bayes_factor == pytest.approx(log_factor, abs=1e-10)


def test_a_thousand_million_units_lose_no_digit() -> None:
    # Reference from 50 digits: the leading terms cancel from 4e10 to 10.
    from decimal import Decimal, getcontext

    getcontext().prec = 60

    def lgamma(x: int) -> Decimal:
        """Stirling's series, exact to far more digits than are asked for at x from 500."""
        d = Decimal(x)
        pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
        series = 1 / (12 * d) - 1 / (360 * d**3) + 1 / (1260 * d**5) - 1 / (1680 * d**7)
        return (d - Decimal("0.5")) * d.ln() - d + (2 * pi).ln() / 2 + series

    counts = [1_000_100_000, 999_900_000]
    exact = lgamma(1000) - lgamma(1000 + sum(counts)) - 2 * lgamma(500) + sum(counts) * Decimal(2).ln()
    exact += sum(lgamma(500 + count) for count in counts)
    check = stats.sequential_sample_ratio(counts, [1, 1], concentration=1000)
    assert check.log_bayes_factor == pytest.approx(float(exact), abs=1e-9)


def test_a_weight_of_0_does_not_count_and_a_unit_there_is_impossible() -> None:
    three, two = (stats.sequential_sample_ratio([5170, 4830, 0][:k], [1, 1, 0][:k]) for k in (3, 2))
    assert (three.log_bayes_factor, three.p_value) == (two.log_bayes_factor, two.p_value)
    stray = stats.sequential_sample_ratio([50, 50, 1], [1, 1, 0])
    assert (stray.log_bayes_factor, stray.p_value, stray.method) == (None, 0.0, "impossible under the plan")
    assert stray.reason == "no Bayes factor: 1 units in a variant of weight 0, which the plan makes impossible"
    assert stats.sequential_sample_ratio([0, 0], [1, 1]).reason == "no units"
    # All units in one of two variants of equal weight, with a uniform prior: 2^n / (n + 1).
    empty = stats.sequential_sample_ratio([10, 0], [1, 1], concentration=2)
    assert empty.log_bayes_factor == pytest.approx(10 * math.log(2) - math.log(11), abs=1e-12)
    # So many that the prior is lost beside them.
    endless = stats.sequential_sample_ratio([10**17, 0], [1, 1], concentration=2)
    assert endless.log_bayes_factor == pytest.approx(10**17 * math.log(2), rel=1e-12)
    alone = stats.sequential_sample_ratio([9], [1])
    assert (alone.status, alone.reason) == ("absent", "only one variant has weight: there is no ratio to check")


REFUSED = [
    (lambda: stats.mixture_width(0, alpha=0.05), "tune_v == 0, must be a number above 0"),
    (lambda: stats.mixture_width(9, alpha=0.5, sides=1), "alpha == 0.5, must be below 0.5 for one side"),
    (lambda: stats.always_valid_reach(0, alpha=0.05), "n == 0, must be a number above 0"),
    (lambda: stats.always_valid_p(math.nan, 9, alpha=0.05), "z == nan, must be a finite number"),
    (lambda: stats.log_mixture(1, -1, rho=1), "v == -1, must be a number above 0"),
    (lambda: stats.uniform_boundary(1, alpha=0.05, rho=math.inf), "rho == inf, must be a number above 0"),
    (lambda: stats.confidence_sequence(1.0, -0.1, 9, alpha=0.05), "se == -0.1, must be a number of at least 0"),
    (lambda: stats.confidence_sequence(math.inf, 0.1, 9, alpha=0.05), "value == inf, must be a finite number"),
    (lambda: stats.sequential_sample_ratio([1], [1, 1]), "lengths differ: counts 1, weights 2"),
    (lambda: stats.sequential_sample_ratio([1, 2], [0, 0]), "weights == [0, 0], must have a finite sum above 0"),
    (
        lambda: stats.sequential_sample_ratio([1, 2], [1, 1], concentration=0),
        "concentration == 0, must be a number above 0",
    ),
    (lambda: stats.sequential_sample_ratio([1.5, 2], [1, 1]), "counts == 1.5, must be a whole number of at least 0"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_is_refused_says_why(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == message
