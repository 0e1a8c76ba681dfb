"""Group sequential bounds: published constants, an independent integral, and what must hold for any looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError, UnknownNameError

EQUAL = [0.2, 0.4, 0.6, 0.8, 1.0]
SPENDINGS = st.sampled_from(stats.SPENDING)
ALPHAS = st.floats(min_value=0.001, max_value=0.2)
LOOKS = st.lists(st.floats(min_value=0.01, max_value=1.4), min_size=1, max_size=8).map(sorted)

slowly = settings(max_examples=40)


def bounds_of(z: list[float], fractions: list[float]) -> stats.Boundary:
    return stats.Boundary(tuple(fractions), tuple(z), (0.0,) * len(z), 0.05, 2)


def stays_inside(z: list[float], fractions: list[float], drift: float) -> float:
    """The probability of crossing nothing, by the normal distribution of all Z at once (Genz's integration)."""
    from scipy.stats import multivariate_normal

    t = np.array(fractions)
    covariance = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    law = multivariate_normal(mean=drift * np.sqrt(t), cov=covariance, abseps=1e-6, releps=1e-6, seed=1)
    return float(law.cdf(np.array(z), lower_limit=-np.array(z)))


# Published numbers.


def test_spent_alpha_is_the_two_one_sided_halves() -> None:
    from scipy.stats import norm as normal

    by_hand = 2 * (2 - 2 * normal.cdf(normal.isf(0.0125) / math.sqrt(0.6)))
    assert stats.spent_alpha(0.6, 0.05, "obrien_fleming") == pytest.approx(by_hand, rel=1e-12)
    one_sided = 2 * normal.sf(normal.isf(0.025) / math.sqrt(0.2))
    assert stats.spent_alpha(0.2, 0.05, "obrien_fleming", sides=1) == pytest.approx(one_sided, rel=1e-12)
    assert stats.spent_alpha(0.4, 0.05, "pocock") == pytest.approx(0.05 * math.log(1 + (math.e - 1) * 0.4))
    assert stats.spent_alpha(0.5, 0.05, "power") == pytest.approx(0.05 / 8)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # Lan & DeMets' program and ldbounds print these to four digits.
        ("obrien_fleming", [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_bounds_that_spend_alpha_are_those_published(spending: str, published: list[float]) -> None:
    assert stats.boundary(EQUAL, alpha=0.05, spending=spending).z == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(
    ("family", "looks", "constant"),
    [
        # Jennison & Turnbull (2000), tables 2.1 and 2.3.
        ("pocock", 1, 1.960),
        ("pocock", 2, 2.178),
        ("pocock", 5, 2.413),
        ("pocock", 20, 2.672),
        ("obrien_fleming", 2, 1.977),
        ("obrien_fleming", 5, 2.040),
        ("obrien_fleming", 20, 2.126),
    ],
)
def test_classic_constants_are_those_published(family: str, looks: int, constant: float) -> None:
    bounds = stats.classic_boundary(looks, alpha=0.05, family=family)
    assert bounds.z[-1] == pytest.approx(constant, abs=6e-4)
    assert bounds.spent[-1] == 0.05
    assert stats.crossing_probability(bounds, 0.0).rejected == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(("looks", "error"), [(1, 0.05), (2, 0.083), (5, 0.142), (10, 0.193), (20, 0.248)])
def test_looking_as_if_once_costs_what_armitage_found(looks: int, error: float) -> None:
    peeking = bounds_of([1.959964] * looks, [look / looks for look in range(1, looks + 1)])
    assert stats.crossing_probability(peeking, 0.0).rejected == pytest.approx(error, abs=6e-4)


@pytest.mark.parametrize(
    ("family", "power", "inflation"),
    [
        # Jennison & Turnbull (2000), tables 2.2 and 2.4, five looks.
        ("pocock", 0.8, 1.229),
        ("pocock", 0.9, 1.207),
        ("obrien_fleming", 0.8, 1.028),
        ("obrien_fleming", 0.9, 1.026),
    ],
)
def test_looks_cost_the_sample_that_is_published(family: str, power: float, inflation: float) -> None:
    bounds = stats.classic_boundary(5, alpha=0.05, family=family)
    fixed = stats.boundary([1.0], alpha=0.05)
    ratio = stats.drift_for_power(bounds, power) / stats.drift_for_power(fixed, power)
    assert ratio**2 == pytest.approx(inflation, abs=6e-4)


# Other ways to the same numbers.


@pytest.mark.parametrize("spending", stats.SPENDING)
@pytest.mark.parametrize("drift", [0.0, 2.0])
def test_crossings_equal_the_multivariate_normal(spending: str, drift: float) -> None:
    fractions = [0.22, 0.5, 0.55, 1.0]
    bounds = stats.boundary(fractions, alpha=0.05, spending=spending)
    for looks in (2, 4):
        inside = stays_inside(list(bounds.z[:looks]), fractions[:looks], drift)
        ends = stats.crossing_probability(bounds, drift)
        assert sum(ends.upper[:looks] + ends.lower[:looks]) == pytest.approx(1 - inside, abs=5e-6)


def test_many_looks_come_to_the_continuous_process_with_siegmunds_correction() -> None:
    # The spending function is the law of the first passage of a level, which Siegmund (1985) lowers by 0.583 √step.
    from scipy.stats import norm as normal

    looks = 200
    bounds = stats.boundary([look / looks for look in range(1, looks + 1)], alpha=0.05)
    level = normal.isf(0.0125) - 0.5826 / math.sqrt(looks)
    late = [z * math.sqrt(t) for z, t in zip(bounds.z, bounds.fractions, strict=True) if t > 0.3]
    # The correction is 0.041 and itself a limit.
    assert late == pytest.approx([level] * len(late), abs=0.005)


def test_steps_of_any_size_lose_no_digit() -> None:
    # The same looks with one more, so close to another that it can add next to nothing.
    plain = stats.boundary([0.3, 0.6, 1.0], alpha=0.05, spending="pocock")
    near = bounds_of([*plain.z[:2], plain.z[1], plain.z[2]], [0.3, 0.6, 0.6 + 2e-5, 1.0])
    ends = stats.crossing_probability(near, 0.0)
    # Brownian motion: from just below the bound it is crossed in a short step with probability density · √(step / 2π).
    density = 2 * math.exp(-(plain.z[1] ** 2) / 2) / math.sqrt(2 * math.pi * 0.6)
    assert 0 < ends.upper[2] + ends.lower[2] < density * math.sqrt(2e-5 / (2 * math.pi))
    spaced = bounds_of(list(plain.z), [0.3, 0.6, 1.0])
    assert ends.rejected == pytest.approx(stats.crossing_probability(spaced, 0.0).rejected, abs=4e-4)
    inside = stays_inside(list(near.z), [0.3, 0.6, 0.6 + 2e-5, 1.0], 0.0)
    assert ends.rejected == pytest.approx(1 - inside, abs=5e-6)


def test_one_sided_bounds_at_half_of_alpha_are_a_little_larger() -> None:
    one = stats.boundary(EQUAL, alpha=0.025, spending="pocock", sides=1)
    two = stats.boundary(EQUAL, alpha=0.05, spending="pocock")
    assert one.z[0] == pytest.approx(two.z[0], abs=1e-10)
    assert all(0 < a - b < 2e-5 for a, b in zip(one.z[1:], two.z[1:], strict=True))
    assert stats.crossing_probability(one, 0.0).lower == (0.0,) * 5


# Information that does not behave.


def test_a_look_without_new_information_repeats_the_bound_and_spends_nothing() -> None:
    plain = stats.boundary([0.3, 0.6, 1.0], alpha=0.05)
    stalled = stats.boundary([0.3, 0.3, 0.6, 0.6 + 1e-6, 0.6 + 2e-6, 1.0], alpha=0.05)
    a, b, c = plain.z
    assert stalled.z == pytest.approx([a, a, b, b, b, c], abs=1e-7)
    assert stalled.spent == pytest.approx([plain.spent[look] for look in (0, 0, 1, 1, 1, 2)], abs=1e-7)
    ends = stats.crossing_probability(stalled, 1.0)
    assert ends.upper[1] == ends.upper[3] == ends.lower[4] == 0.0
    assert ends.power == pytest.approx(stats.crossing_probability(plain, 1.0).power, abs=1e-6)


def test_information_beyond_the_plan_leaves_nothing_to_spend() -> None:
    over = stats.boundary([0.5, 1.2, 1.5], alpha=0.05, final=False)
    assert over.spent == (pytest.approx(stats.spent_alpha(0.5, 0.05, "obrien_fleming")), 0.05, 0.05)
    assert over.z[2] == 8.0
    # What there is counts for the correlation: with more information the second Z owes less to the first.
    assert stats.crossing_probability(over, 0.0).rejected == pytest.approx(0.05, abs=1e-9)
    assert over.z[1] > stats.boundary([0.5, 1.0], alpha=0.05).z[1]


def test_a_test_that_ends_short_spends_all_the_rest() -> None:
    short = stats.boundary([0.3, 0.6, 0.8], alpha=0.05)
    longer = stats.boundary([0.3, 0.6, 0.8], alpha=0.05, final=False)
    assert short.z[:2] == longer.z[:2]
    assert short.z[2] < longer.z[2]
    assert short.spent[2] == 0.05
    assert stats.crossing_probability(short, 0.0).rejected == pytest.approx(0.05, abs=1e-9)


def test_a_test_that_ends_without_new_information_spends_the_rest_on_what_is_there() -> None:
    ended = stats.boundary([0.3, 0.6, 0.6], alpha=0.05)
    assert ended.z[1] > ended.z[2]
    # The last two looks are one: together they are what a final look at 0.6 would have been.
    assert ended.z[2] == pytest.approx(stats.boundary([0.3, 0.6], alpha=0.05).z[1], abs=1e-9)
    assert stats.crossing_probability(ended, 0.0).rejected == pytest.approx(0.05, abs=1e-9)


def test_looks_before_there_is_anything_to_spend_have_the_bound_of_8() -> None:
    early = stats.boundary([0.0, 1e-7, 0.01, 0.02, 1.0], alpha=0.05)
    assert early.z[:4] == (8.0, 8.0, 8.0, 8.0)
    assert early.z[4] == pytest.approx(1.959964, abs=1e-6)
    assert early.spent[:2] == (0.0, 0.0)
    assert stats.boundary([0.0], alpha=0.05) == stats.Boundary((0.0,), (8.0,), (0.0,), 0.05, 2)
    assert stats.crossing_probability(stats.boundary([0.0, 1.0], alpha=0.05), 2.0).upper[0] == 0.0


# The bounds of t and of futility that go with them.


def test_a_studentized_bound_has_the_tail_of_its_z() -> None:
    from scipy import special

    for z in (-2.5, 0.0, 1.96, 4.9, 8.0):
        t = stats.studentized(z, 38)
        assert special.stdtr(38, -abs(t)) == pytest.approx(special.ndtr(-abs(z)), rel=1e-9)
        assert t * z >= z * z
    assert stats.studentized(1.959963984540054, 12) == pytest.approx(stats.critical_value(0.95, df=12), abs=1e-12)


def test_futility_ends_hopeless_tests_and_keeps_power_and_alpha() -> None:
    bounds = stats.boundary(EQUAL, alpha=0.05)
    both = stats.with_futility(bounds, power=0.8)
    assert both.z == bounds.z
    assert both.futility[-1] == bounds.z[-1]
    assert all(low < high for low, high in zip(both.futility[:-1], both.z, strict=False))
    drift = stats.drift_for_power(both, 0.8)
    assert drift > stats.drift_for_power(bounds, 0.8)
    ends = stats.crossing_probability(both, drift)
    due = [stats.spent_alpha(t, 0.2, "obrien_fleming", sides=1) for t in EQUAL]
    stopped = np.cumsum([low + futile for low, futile in zip(ends.lower, ends.futile, strict=True)])
    assert stopped == pytest.approx(due, abs=1e-8)
    # Without an effect it ends much earlier, and finds one no more often.
    nothing = stats.crossing_probability(both, 0.0)
    assert nothing.power < 0.025
    assert nothing.expected_fraction < 0.75
    assert stats.crossing_probability(bounds, 0.0).expected_fraction > 0.98


def test_a_futility_bound_stalls_with_the_information() -> None:
    bounds = stats.with_futility(stats.boundary([0.0, 0.4, 0.4, 1.0], alpha=0.05), power=0.9, spending="pocock")
    assert bounds.futility[0] == -8.0
    assert bounds.futility[1] == bounds.futility[2]


# What holds for any looks.


@slowly
@given(LOOKS, ALPHAS, SPENDINGS)
def test_any_looks_keep_alpha_and_spend_it_all(fractions: list[float], alpha: float, spending: str) -> None:
    bounds = stats.boundary(fractions, alpha=alpha, spending=spending)
    assert len(bounds.z) == len(bounds.spent) == len(fractions)
    assert bounds.spent[-1] == alpha
    assert all(before <= after for before, after in pairwise(bounds.spent))
    assert all(0 <= z <= 8 for z in bounds.z)
    assert stats.crossing_probability(bounds, 0.0).rejected == pytest.approx(alpha, abs=1e-7)


@slowly
@given(LOOKS, ALPHAS, SPENDINGS)
def test_a_bound_depends_on_no_later_look(fractions: list[float], alpha: float, spending: str) -> None:
    # All looks but the last, which spends the rest; so a bound can be computed at its look.
    known = stats.boundary(fractions, alpha=alpha, spending=spending, final=False)
    longer = stats.boundary([*fractions, 1.5], alpha=alpha, spending=spending)
    assert longer.z[:-1] == pytest.approx(known.z, abs=1e-8)
    assert longer.spent[:-1] == known.spent


@slowly
@given(st.floats(min_value=0.01, max_value=3), ALPHAS, SPENDINGS)
def test_one_look_is_the_ordinary_test(fraction: float, alpha: float, spending: str) -> None:
    assert stats.boundary([fraction], alpha=alpha, spending=spending).z[0] == pytest.approx(
        stats.critical_value(1 - alpha), abs=1e-9
    )


@slowly
@given(st.integers(min_value=2, max_value=30), ALPHAS)
def test_bounds_of_obrien_and_fleming_fall_and_end_above_one_look(looks: int, alpha: float) -> None:
    z = stats.boundary([look / looks for look in range(1, looks + 1)], alpha=alpha).z
    assert all(before > after or before == 8 for before, after in pairwise(z))
    # Looking all the time, which costs most, the last bound would be that of alpha/2: the level whose passage is spent.
    assert stats.critical_value(1 - alpha) < z[-1] < stats.critical_value(1 - alpha / 2)


@slowly
@given(st.integers(min_value=1, max_value=20), SPENDINGS, st.floats(min_value=0.5, max_value=0.95))
def test_looks_cost_sample_and_save_time(looks: int, spending: str, power: float) -> None:
    fractions = [look / looks for look in range(1, looks + 1)]
    cost = stats.inflation(fractions, alpha=0.05, power=power, spending=spending)
    assert cost >= 1 - 1e-9
    bounds = stats.boundary(fractions, alpha=0.05, spending=spending)
    ends = stats.crossing_probability(bounds, stats.drift_for_power(bounds, power))
    assert ends.power == pytest.approx(power, abs=1e-8)
    assert ends.expected_fraction <= 1 + 1e-9


@slowly
@given(st.permutations(EQUAL).filter(lambda shuffled: shuffled != EQUAL))
def test_looks_out_of_order_are_refused(fractions: list[float]) -> None:
    with pytest.raises(ArgumentError, match="fractions fall from"):
        stats.boundary(fractions, alpha=0.05)


REFUSED = [
    (
        lambda: stats.boundary([0.4, 0.3], alpha=0.05),
        "fractions fall from 0.4 to 0.3 at look 2, must not fall: give the looks in the order they were taken, and the "
        "most information so far where rows have gone",
    ),
    (lambda: stats.boundary([], alpha=0.05), "fractions is empty, must hold the information at one look at least"),
    (lambda: stats.boundary([-0.1], alpha=0.05), "fractions == -0.1, must be a number of at least 0"),
    (lambda: stats.boundary([1.0], alpha=1), "alpha == 1, must be a number above 0 and below 1"),
    (lambda: stats.boundary([1.0], alpha=0.05, rho=0), "rho == 0, must be a number above 0 and below inf"),
    (
        lambda: stats.boundary([1.0], alpha=0.05, sides=3),
        "sides == 3, must be 1 (an upper bound only) or 2",
    ),
    (lambda: stats.spent_alpha(-1, 0.05, "power"), "fraction == -1, must be a number of at least 0"),
    (lambda: stats.classic_boundary(0, alpha=0.05, family="pocock"), "looks == 0, must be at least 1"),
    (lambda: stats.studentized(2.0, 0), "df == 0, must be a number above 0"),
    (lambda: stats.studentized(math.nan, 9), "z == nan, must be a finite number"),
    (
        lambda: stats.crossing_probability(stats.boundary([1.0], alpha=0.05), math.nan),
        "drift == nan, must be a finite number",
    ),
    (
        lambda: stats.drift_for_power(stats.boundary([1.0], alpha=0.05), 0.02),
        "power == 0.02, must be above 0.025: what no effect at all has",
    ),
    (
        lambda: stats.drift_for_power(stats.boundary([0.0], alpha=0.05), 0.8),
        "bounds that are 8 or more at every look reach no power of 0.8",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_is_refused_says_why(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == message


def test_an_unknown_spending_function_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as error:
        stats.boundary([1.0], alpha=0.05, spending="obrien-fleming")
    assert str(error.value) == (
        "unknown spending function 'obrien-fleming'; allowed: obrien_fleming, pocock, power. "
        "Did you mean 'obrien_fleming'?"
    )
    with pytest.raises(UnknownNameError) as error:
        stats.classic_boundary(3, alpha=0.05, family="pockock")
    assert str(error.value) == (
        "unknown family of boundaries 'pockock'; allowed: obrien_fleming, pocock. Did you mean 'pocock'?"
    )
