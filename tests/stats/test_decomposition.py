"""Mix and within: the reference case, exact sums for every input, and intervals that cover."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit import stats
from toolkit.errors import ArgumentError

CASES = json.loads((Path(__file__).parents[1] / "reference" / "decomposition_cases.json").read_text(encoding="utf-8"))
WEIGHTS = arrays(np.float64, (3, 4), elements=st.integers(0, 10**6).map(float))
MEANS = arrays(np.float64, (3, 4), elements=st.floats(-1e6, 1e6))


def split(weights0, means0, weights1, means1):
    return stats.mix_within(weights0, weights0 * means0, weights1, weights1 * means1)


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["id"])
def test_reference_case(case):
    before, after = (np.array(list(case["inputs"][name].values())) for name in ("before", "after"))
    found = split(before[None, :, 0], before[None, :, 1], after[None, :, 0], after[None, :, 1])
    expected, tolerance = case["expected"], case["tolerance"]
    assert found.mix.value == pytest.approx(expected["mix"], abs=tolerance)
    assert found.within.value == pytest.approx(expected["within"], abs=tolerance)
    assert found.total.value == pytest.approx(expected["after"] - expected["before"], abs=tolerance)


@given(WEIGHTS, MEANS, WEIGHTS, MEANS)
def test_mix_and_within_are_the_whole_change(weights0, means0, weights1, means1):
    assume(weights0.any() and weights1.any())
    found = split(weights0, means0, weights1, means1)
    mix, within, total = found.mix.value, found.within.value, found.total.value
    # Each of the three is rounded once, so nothing but half a unit in the last place of each can lie between them.
    assert abs(mix + within - total) <= 2 * math.ulp(max(abs(mix), abs(within), abs(total)))
    parts = found.segments
    for name, whole in (("mix", mix), ("within", within)):
        each = [getattr(part, name) for part in parts]
        assert math.fsum(each) == pytest.approx(whole, rel=1e-15, abs=len(each) * math.ulp(max(map(abs, each))))
    sums = [(weights * means).sum() / weights.sum() for weights, means in ((weights0, means0), (weights1, means1))]
    assert total == pytest.approx(sums[1] - sums[0], rel=1e-9, abs=1e-6)
    assert math.fsum(part.share1 for part in parts) == pytest.approx(1)


@given(WEIGHTS, MEANS, WEIGHTS, MEANS)
def test_backwards_is_the_negative(weights0, means0, weights1, means1):
    assume(weights0.any() and weights1.any())
    forth, back = split(weights0, means0, weights1, means1), split(weights1, means1, weights0, means0)
    for name in ("total", "mix", "within"):
        assert getattr(forth, name).value == -getattr(back, name).value
    assert [part.mix for part in forth.segments] == [-part.mix for part in back.segments]


@given(WEIGHTS, MEANS, MEANS)
def test_equal_shares_have_no_mix_and_equal_means_nothing_within(weights, means0, means1):
    assume(weights.any())
    assert split(weights, means0, weights, means1).mix.value == 0
    level = np.broadcast_to(means0[0], means0.shape)
    moved = split(weights, np.round(level), weights[::-1] + 1, np.round(level))
    assert moved.within.value == 0


def test_a_segment_that_is_new_or_gone_is_mix():
    found = stats.mix_within([[50, 0, 50]], [[5, 0, 15]], [[50, 50, 0]], [[5, 20, 0]])
    _, new, gone = found.segments
    assert (new.mean0, new.mean1, new.within) == (None, 0.4, 0.0)
    assert (gone.mean0, gone.mean1, gone.within) == (0.3, None, 0.0)
    assert (found.mix.value, found.within.value) == (found.total.value, 0.0)


def test_the_change_has_the_interval_of_a_difference_of_ratios():
    rng = np.random.default_rng(7)
    weights = rng.poisson(30, (2, 25, 3)).astype(float)
    sums = rng.binomial(weights.astype(int), 0.3).astype(float)
    found = stats.mix_within(weights[0], sums[0], weights[1], sums[1]).total
    whole = [array.sum(axis=1) for array in (sums[0], weights[0], sums[1], weights[1])]
    expected = stats.difference_of_ratios(*whole)
    for name in ("value", "se", "df", "ci_lower", "ci_upper", "p_value"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)


@pytest.mark.parametrize("shares", [(1, 2, 1), (0, 2, 1)], ids=["all segments", "a new segment"])
def test_standard_errors_are_those_of_repeated_draws(shares):
    """The mean standard error of 300 draws is within a sixth of the draws' own spread (its own error is 4 %)."""
    rng = np.random.default_rng(11)

    def draw():
        weights = [rng.poisson(25 * np.array(share), (30, 3)).astype(float) for share in (shares, (2, 2, 1))]
        sums = [
            rng.binomial(table.astype(int), rates).astype(float)
            for table, rates in zip(weights, ([0.1, 0.3, 0.5], [0.2, 0.3, 0.5]), strict=True)
        ]
        return stats.mix_within(weights[0], sums[0], weights[1], sums[1])

    draws = [draw() for _ in range(300)]
    for name in ("total", "mix", "within"):
        spread = np.std([getattr(each, name).value for each in draws], ddof=1)
        claimed = np.mean([getattr(each, name).se for each in draws])
        assert claimed == pytest.approx(spread, rel=1 / 6)


def test_an_empty_period_is_absent_and_says_which():
    found = stats.mix_within([[0, 0]], [[0, 0]], [[1, 2]], [[1, 2]])
    assert found.total == found.mix == found.within
    assert (found.total.status, found.total.reason, found.segments) == ("absent", "period 0 holds no observation", ())


def test_one_cluster_has_no_interval():
    found = stats.mix_within([[50, 50]], [[5, 15]], [[30, 70]], [[3, 22.4]])
    assert found.mix.ci_lower is None
    assert "too few clusters: 1, a variance needs 2" in found.mix.reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1, 2], [[1, 2]], [[1, 2]], [[1, 2]]), "weights0 has 1 dimensions, must have two: clusters and segments"),
        (([[1, 2]], [[1, math.nan]], [[1, 2]], [[1, 2]]), "sums0 holds what is missing or not finite"),
        (([[1, 2]], [[1]], [[1, 2]], [[1, 2]]), "shapes differ: weights0 (1, 2), sums0 (1, 1)"),
        (([[1, 2]], [[1, 2]], [[1, -2]], [[1, 2]]), "weights1 holds -2, must hold numbers of at least 0"),
        (([[1, 2]], [[1, 2]], [[1, 0]], [[1, 2]]), "sums1 holds a sum over no observations"),
        (([[1, 2]], [[1, 2]], [[1]], [[1]]), "segments differ: 2 in period 0, 1 in period 1"),
    ],
)
def test_what_cannot_be_split_is_named(given, message):
    with pytest.raises(ArgumentError) as caught:
        stats.mix_within(*given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "sums", [([[-1.7e308, 0]], [[1.7e308, 0]]), ([[0, 1e200]], [[1, 1e200]])], ids=["the change", "a segment's mean"]
)
def test_what_floating_point_does_not_hold_is_absent(sums):
    before, after = sums
    found = stats.mix_within([[1, 1e-200]], before, [[1, 1e-200]], after)
    assert found.total == stats.Estimate.absent(
        "the numbers are too large for floating point", n=2, method="midpoint Kitagawa, clusters"
    )
    assert found.segments == ()
