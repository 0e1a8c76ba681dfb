from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import spatial
from scipy import stats as scipy_stats

from toolkit import stats
from toolkit.errors import ArgumentError, UnknownNameError

counts = st.lists(st.integers(0, 500), min_size=2, max_size=30)


@st.composite
def two_sides(draw):
    first = draw(counts.filter(any))
    second = draw(st.lists(st.integers(0, 500), min_size=len(first), max_size=len(first)).filter(any))
    return first, second


@given(sides=two_sides())
def test_two_ways_of_computing_each_divergence_agree(sides):
    p, q = (np.array(side) / sum(side) for side in sides)
    assert stats.js_distance(p, q) == pytest.approx(spatial.distance.jensenshannon(p, q, 2), abs=1e-7)
    assert stats.hellinger(p, q) == pytest.approx(np.sqrt(max(1 - np.sqrt(p * q).sum(), 0)), abs=1e-7)
    assert stats.total_variation(p, q) == pytest.approx(np.abs(p - q).sum() / 2)
    smooth = [(np.array(side) + 0.5)[np.add(*sides) > 0] for side in sides]
    there, back = (scipy_stats.entropy(*pair) for pair in (smooth, smooth[::-1]))
    assert stats.psi(*sides).value == pytest.approx(there + back, abs=1e-12)


@given(sides=two_sides())
def test_bounded_divergences_keep_their_bounds_and_do_not_depend_on_the_order(sides):
    for measure in (stats.js_distance, stats.hellinger, stats.total_variation, stats.l_infinity):
        assert 0 <= measure(*sides) <= 1
        assert measure(*sides) == pytest.approx(measure(*sides[::-1]))
        assert measure(sides[0], sides[0]) == 0
    assert stats.psi(*sides).value == pytest.approx(stats.psi(*sides[::-1]).value)


def test_cells_empty_on_both_sides_are_none():
    assert stats.psi([50, 30, 0, 0], [40, 30, 0, 0]) == stats.psi([50, 30], [40, 30])
    assert stats.psi_test([50, 30, 0, 0], [40, 30, 0, 0]) == stats.psi_test([50, 30], [40, 30])


def test_an_infinite_divergence_is_absent_with_its_reason():
    assert stats.kl([0.2, 0.3, 0.5], [0.5, 0.5, 0]).reason == "infinite: 1 of 3 cells is empty in q only"
    assert stats.psi([1, 2, 0, 0], [1, 0, 3, 0], empty="keep") == (
        None,
        "absent",
        "infinite: 2 of 4 cells are empty on one side only",
    )


@pytest.mark.parametrize(("bins", "n0", "n1"), [(10, 500, 50), (20, 2000, 300), (5, 50, 50), (20, 20_000, 20_000)])
def test_noise_exceeds_its_critical_value_as_often_as_it_says(bins, n0, n1):
    random = np.random.default_rng(bins + n0)
    tests = 2_000
    first, second = (random.multinomial(n, [1 / bins] * bins, size=tests) for n in (n0, n1))
    found = [stats.psi_test(*sides) for sides in zip(first, second, strict=True)]
    alarms = np.mean([one.value > one.null.critical for one in found])
    assert 0.025 <= alarms <= 0.075
    assert np.mean([one.p_value <= 0.05 for one in found]) == alarms
    assert np.mean([one.value for one in found]) == pytest.approx(found[0].null.mean, rel=0.1)


@pytest.mark.parametrize("shift", [0.1, 0.3, 1.0])
def test_the_interval_of_the_excess_holds_the_divergence_of_the_distributions(shift):
    random = np.random.default_rng(11)
    edges = scipy_stats.norm.ppf(np.linspace(0, 1, 11))
    p, q = (np.diff(scipy_stats.norm.cdf(edges, loc=mean)) for mean in (0, shift))
    truth = stats.psi(p, q, empty="keep").value
    held = 0
    for _ in range(600):
        excess = stats.psi_test(random.multinomial(3_000, p), random.multinomial(1_000, q)).excess
        held += excess.ci_lower <= truth <= excess.ci_upper
    assert 0.92 <= held / 600 <= 0.995


def test_a_design_effect_makes_rows_count_less():
    plain = stats.psi_test([500, 300, 200], [450, 350, 200])
    fewer = stats.psi_test([500, 300, 200], [450, 350, 200], design_effect=10)
    assert fewer.value == plain.value
    assert fewer.null.mean == pytest.approx(10 * plain.null.mean)
    assert plain.p_value < 0.05 < fewer.p_value


def test_what_cannot_be_tested_says_why():
    assert stats.psi_test([0, 0], [1, 2]).reason == "no observations on one side: n0 == 0, n1 == 3"
    assert stats.psi_test([5, 0], [7, 0]).reason == "all observations lie in one cell"
    assert stats.psi_test([5, 0], [7, 0]).excess.reason == "all observations lie in one cell"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stats.psi([0.2, 0.8], [0.5, 0.5]), "reference holds 0.2, must hold whole numbers of at least 0"),
        (lambda: stats.psi([1, 2], [1, 2, 3]), "lengths differ: reference 2, current 3"),
        (lambda: stats.kl([0, 0], [1, 2]), "reference adds up to 0: there is no distribution to compare"),
        (lambda: stats.hellinger([1, -1], [1, 2]), "reference holds -1, must hold numbers of at least 0"),
        (lambda: stats.psi_null(1, 10, 10), "cells == 1, must be at least 2"),
        (lambda: stats.psi_null(3, 0, 10), "n0 == 0, must be a number above 0"),
        (
            lambda: stats.psi_test([1, 2], [1, 2], design_effect=0.5),
            "design_effect == 0.5, must be a number of at least 1",
        ),
    ],
)
def test_a_wrong_argument_says_what_is_right(make, message):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message


def test_an_unknown_treatment_of_empty_cells_names_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        stats.psi([1, 2], [1, 2], empty="jeffrey")
    assert str(caught.value) == (
        "unknown treatment of empty cells 'jeffrey'; allowed: floor, jeffreys, keep. Did you mean 'jeffreys'?"
    )
