"""What holds for every input: no NaN and no infinity, symmetry, invariance, one conclusion about zero."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from toolkit import stats

ANY = st.floats(allow_nan=False, allow_infinity=False)
ANY_VARIANCE = st.floats(min_value=0, allow_nan=False, allow_infinity=False, allow_subnormal=False)
SIZE = st.integers(min_value=0, max_value=10**9)
MEAN = st.floats(min_value=-1e6, max_value=1e6).filter(lambda x: abs(x) > 1e-3)
VARIANCE = st.floats(min_value=1e-3, max_value=1e6)
ENOUGH = st.integers(min_value=2, max_value=10**5)
SCORE = st.floats(min_value=0, max_value=1)
SCORED = st.lists(st.tuples(SCORE, st.booleans()), min_size=1, max_size=40)
CLUSTERS = st.lists(st.tuples(ANY, ANY), min_size=1, max_size=20)


def assert_sound(estimate: stats.Estimate) -> None:
    """No NaN, no infinity, bounds in order, and a reason wherever something is absent."""
    value, se, df, lower, upper, p_value, n, method, status, reason = estimate
    for part in (value, se, df, lower, upper, p_value):
        assert part is None or (type(part) in {float, int} and math.isfinite(part)), estimate
    assert (status == "absent") == (value is None)
    assert method
    assert type(n) is int
    if value is None:
        assert reason
        assert (se, df, lower, upper, p_value) == (None,) * 5
    if lower is None or upper is None:
        assert reason
    if lower is not None and upper is not None and value is not None:
        assert lower <= value <= upper
    assert se is None or se >= 0
    assert df is None or df > 0
    assert p_value is None or 0 <= p_value <= 1


@given(SIZE, ANY, ANY_VARIANCE, ANY)
def test_mean_is_sound(n: int, mean: float, variance: float, null: float) -> None:
    assert_sound(stats.mean(n, mean, variance, null=null))


@given(SIZE, ANY, ANY_VARIANCE, SIZE, ANY, ANY_VARIANCE)
def test_welch_and_lift_are_sound(n0: int, m0: float, v0: float, n1: int, m1: float, v1: float) -> None:
    assert_sound(stats.welch(n0, m0, v0, n1, m1, v1))
    assert_sound(stats.relative_lift(n0, m0, v0, n1, m1, v1))


@given(CLUSTERS, CLUSTERS)
def test_ratios_are_sound(some: list[tuple[float, float]], others: list[tuple[float, float]]) -> None:
    (a, b), (c, d) = zip(*some, strict=True), zip(*others, strict=True)
    assert_sound(stats.ratio(a, b, null=0.5))
    assert_sound(stats.difference_of_ratios(a, b, c, d))
    assert_sound(stats.from_influence(a[0], b, 5, "any", null=c[0]))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_proportions_are_sound(x0: int, rest0: int, x1: int, rest1: int) -> None:
    a, b = stats.proportion(x0, x0 + rest0), stats.proportion(x1, x1 + rest1)
    gain = stats.difference_of_proportions(x0, x0 + rest0, x1, x1 + rest1)
    for estimate in (a, b, gain, stats.difference(a, b)):
        assert_sound(estimate)
    for share in (a, b):
        assert share.value is None or 0 <= share.ci_lower <= share.ci_upper <= 1
    assert gain.value is None or -1 <= gain.ci_lower <= gain.ci_upper <= 1


@given(SCORED, st.integers(1, 12))
def test_scores_are_sound(rows: list[tuple[float, bool]], bins: int) -> None:
    scores, labels = zip(*rows, strict=True)
    for by in ("width", "mass"):
        sums = stats.bin_sums(scores, labels, bins=bins, by=by)
        assert (sums.n.sum(), sums.label_sum.sum()) == (len(rows), sum(labels))
        assert_sound(stats.expected_calibration_error(*sums))
        assert_sound(stats.maximum_calibration_error(*sums))
        assert_sound(stats.calibration_gap(*sums))
        assert min(stats.brier_decomposition(*sums)[:3]) >= 0
    array = np.array(scores)
    for estimate in (
        stats.auc(scores, labels),
        stats.log_loss(scores, labels),
        stats.brier(scores, labels),
        stats.calibration_in_the_large_z(len(rows), array.sum(), sum(labels), float((array * (1 - array)).sum())),
    ):
        assert_sound(estimate)


@given(st.lists(st.tuples(st.integers(0, 3000), st.just(0.0) | st.floats(1e-9, 1e9)), min_size=1, max_size=5))
def test_sample_ratio_is_sound(variants: list[tuple[int, float]]) -> None:
    counts, weights = zip(*variants, strict=True)
    assume(sum(weights) > 0)
    check = stats.sample_ratio(counts, weights)
    for part in (check.chi2, check.p_value, check.largest_deviation, *check.observed_shares, *check.expected_shares):
        assert part is None or (math.isfinite(part) and part >= 0)
    assert check.p_value is None or check.p_value <= 1
    assert (check.status == "absent") == (check.p_value is None)
    assert check.reason or check.p_value is not None
    assert check.df == sum(share > 0 for share in check.expected_shares) - 1


@given(ENOUGH, MEAN, VARIANCE, ENOUGH, MEAN, VARIANCE)
def test_swapping_the_groups_flips_the_sign(n0: int, m0: float, v0: float, n1: int, m1: float, v1: float) -> None:
    gain, loss = stats.welch(n0, m0, v0, n1, m1, v1), stats.welch(n1, m1, v1, n0, m0, v0)
    assert (gain.value, gain.ci_lower, gain.ci_upper) == (-loss.value, -loss.ci_upper, -loss.ci_lower)
    assert math.isclose(gain.p_value, loss.p_value, rel_tol=1e-9, abs_tol=1e-300)


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 60), st.integers(1, 60))
def test_swapping_proportions_flips_the_sign(x0: int, rest0: int, x1: int, rest1: int) -> None:
    gain = stats.difference_of_proportions(x0, x0 + rest0, x1, x1 + rest1)
    loss = stats.difference_of_proportions(x1, x1 + rest1, x0, x0 + rest0)
    assert (gain.value, gain.ci_lower, gain.ci_upper, gain.p_value) == (
        -loss.value,
        -loss.ci_upper,
        -loss.ci_lower,
        loss.p_value,
    )


# Whole numbers: then the shifted means are exact, and so is the comparison.
WHOLE = st.integers(min_value=-(10**6), max_value=10**6)


@given(ENOUGH, WHOLE, VARIANCE, ENOUGH, WHOLE, VARIANCE, WHOLE)
def test_adding_a_constant_changes_nothing(
    n0: int, m0: int, v0: float, n1: int, m1: int, v1: float, shift: int
) -> None:
    assert stats.welch(n0, m0, v0, n1, m1, v1) == stats.welch(n0, m0 + shift, v0, n1, m1 + shift, v1)


@given(ENOUGH, MEAN, VARIANCE, ENOUGH, MEAN, VARIANCE)
def test_lift_and_difference_say_the_same_about_zero(
    n0: int, m0: float, v0: float, n1: int, m1: float, v1: float
) -> None:
    gain, lift = stats.welch(n0, m0, v0, n1, m1, v1), stats.relative_lift(n0, m0, v0, n1, m1, v1)
    assert lift.p_value == gain.p_value
    assert lift.df == gain.df
    assert math.copysign(1, lift.value) == math.copysign(1, gain.value)
    distance = min(abs(gain.ci_lower), abs(gain.ci_upper)) / gain.se
    assume(distance > 1e-9)  # at the very edge rounding decides
    assert gain.excludes_zero == (gain.p_value < 1 - stats.CONFIDENCE)
    if lift.ci_lower is None:
        assert lift.reason.startswith("unbounded")
    else:
        assert lift.excludes_zero == gain.excludes_zero


@given(SCORED)
def test_auc_is_a_share_that_only_the_order_decides(rows: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    area = stats.auc(scores, labels)
    assume(area.value is not None)
    assert 0 <= area.value <= 1
    ranks = np.searchsorted(np.unique(scores), scores)
    assert stats.auc(np.exp(ranks / 7.0), labels) == area
    flipped = stats.auc(-ranks, labels)
    assert math.isclose(flipped.value, 1 - area.value, abs_tol=1e-12)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 50)), min_size=2, max_size=20), st.integers(1, 9))
def test_ratio_scales_with_its_numerators(clusters: list[tuple[int, int]], factor: int) -> None:
    top, bottom = np.array([c[0] for c in clusters]), np.array([c[1] for c in clusters])
    once, more = stats.ratio(top, bottom), stats.ratio(2**factor * top, bottom)
    assert more.value == 2**factor * once.value
    assert (more.se, once.se) == (None, None) or more.se == 2**factor * once.se


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=20), st.sampled_from(stats.ADJUSTMENTS))
def test_adjusting_keeps_the_order_and_never_helps(p_values: list[float | None], method: str) -> None:
    adjusted = stats.adjust_p(p_values, method)
    assert [p is None for p in adjusted] == [p is None for p in p_values]
    found = sorted((p, a) for p, a in zip(p_values, adjusted, strict=True) if p is not None)
    # p · m / m may fall one rounding below p.
    assert all(a <= 1 and a >= p * (1 - 1e-15) for p, a in found)
    assert all(before[1] <= after[1] for before, after in pairwise(found))
