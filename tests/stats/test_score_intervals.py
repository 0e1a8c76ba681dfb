"""Score intervals of two shares: the published ones, the test they invert, and one conclusion for both scales."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from toolkit import stats
from toolkit.errors import ArgumentError

COUNTS = st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 40), st.integers(0, 2000)).filter(
    lambda counts: counts[0] + counts[1] > 0 and counts[2] + counts[3] > 0
)


def test_published_intervals() -> None:
    """Newcombe (1998), Table II, method 6: Miettinen and Nurminen's."""
    for counts, expected in (
        ((48, 80, 56, 70), (0.0528, 0.3382)),
        ((3, 10, 9, 10), (0.1700, 0.8406)),
    ):
        found = stats.compare_proportions(*counts)[0]
        assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("counts", [(3, 200, 11, 210), (7, 60, 40, 300), (28, 200_745, 15, 20), (1, 9, 8, 9)])
def test_the_ends_are_where_the_test_with_the_likeliest_shares_stops_rejecting(counts: tuple[int, ...]) -> None:
    """The shares under each candidate are found by a search instead of in closed form."""
    x0, n0, x1, n1 = counts
    difference, lift = stats.compare_proportions(*counts)

    def score(at: tuple[float, float], away: float, slope: float) -> float:
        variance = at[1] * (1 - at[1]) / n1 + slope**2 * at[0] * (1 - at[0]) / n0
        return away**2 / (variance * (n0 + n1) / (n0 + n1 - 1))

    def likeliest(second: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
        def loss(share: float) -> float:
            other = second(share)
            return -sum(
                x * math.log(p) + (n - x) * math.log1p(-p)
                for x, n, p in ((x0, n0, share), (x1, n1, other))
                if 0 < p < 1
            )

        found = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
        return float(found), float(second(found))

    z = stats.critical_value()
    for end in (difference.ci_lower, difference.ci_upper):
        at = likeliest(lambda share, end=end: share + end, max(0, -end) + 1e-12, min(1, 1 - end) - 1e-12)
        assert score(at, x1 / n1 - x0 / n0 - end, 1.0) == pytest.approx(z * z, rel=1e-4)
    for end in (lift.ci_lower + 1, lift.ci_upper + 1):
        at = likeliest(lambda share, end=end: share * end, 1e-12, min(1, 1 / end) - 1e-12)
        assert score(at, x1 / n1 - end * x0 / n0, end) == pytest.approx(z * z, rel=1e-4)


def test_the_p_value_is_the_pooled_test_of_statsmodels() -> None:
    from statsmodels.stats.proportion import test_proportions_2indep as pooled

    for x0, n0, x1, n1 in ((3, 200, 11, 210), (6, 6, 5, 14), (33, 200_745, 115, 201_229)):
        theirs = pooled(x1, n1, x0, n0, method="score", compare="diff", correction=True)
        found = stats.compare_proportions(x0, n0, x1, n1)[0]
        assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@given(COUNTS, st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_both_scales_and_the_p_value_agree(counts: tuple[int, int, int, int], confidence: float) -> None:
    x0, rest0, x1, rest1 = counts
    difference, lift = stats.compare_proportions(x0, x0 + rest0, x1, x1 + rest1, confidence=confidence)
    assert -1 <= difference.ci_lower <= difference.value <= difference.ci_upper <= 1
    if difference.p_value is not None and abs(difference.p_value - (1 - confidence)) > 1e-9:
        assert difference.excludes_zero == (difference.p_value < 1 - confidence)
        if lift.value is not None:
            assert lift.excludes_zero == difference.excludes_zero
            assert lift.p_value == difference.p_value
    if lift.value is not None:
        assert -1 <= lift.ci_lower <= lift.value <= lift.ci_upper < math.inf
    turned = stats.compare_proportions(x1, x1 + rest1, x0, x0 + rest0, confidence=confidence)[0]
    assert (turned.ci_lower, turned.ci_upper) == pytest.approx((-difference.ci_upper, -difference.ci_lower), abs=1e-9)


def test_nothing_and_everything() -> None:
    never = stats.compare_proportions(0, 40, 0, 50)
    assert never[0].reason == "no standard error and no test: every observation is the same"
    assert never[0].ci_lower < 0 < never[0].ci_upper
    always, same = stats.compare_proportions(40, 40, 50, 50)
    assert always.ci_lower < 0 < always.ci_upper
    assert same.ci_lower < 0 < same.ci_upper
    assert always.p_value is same.p_value is None
    opposite = stats.compare_proportions(0, 20, 30, 30)[0]
    assert (opposite.value, opposite.ci_upper, opposite.se) == (1.0, 1.0, None)
    assert opposite.reason == "no standard error: within each group every observation is the same"
    gone = stats.compare_proportions(9, 20, 0, 30)[1]
    assert (gone.value, gone.ci_lower) == (-1.0, -1.0)
    assert gone.ci_upper < 0
    for part in stats.compare_proportions(0, 0, 3, 9):
        assert part.reason == "no observations in one group: n0 == 0, n1 == 9"
    with pytest.raises(ArgumentError, match="x1 == 9, must be at most n1 == 8"):
        stats.compare_proportions(1, 2, 9, 8)
