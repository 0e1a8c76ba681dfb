"""Where there is no number there is a reason, and where the input is wrong an error that says how."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from toolkit import stats
from toolkit.errors import ArgumentError, UnknownNameError

HUGE = 1e308

NOTHING = [
    (lambda: stats.proportion(0, 0), "no observations"),
    (lambda: stats.mean(0, None, None), "no observations"),
    (lambda: stats.difference_of_proportions(0, 0, 3, 9), "no observations in one group: n0 == 0, n1 == 9"),
    (lambda: stats.welch(5, 1.0, 1.0, 0, None, None), "no observations in one group: n0 == 5, n1 == 0"),
    (lambda: stats.relative_lift(0, None, None, 5, 1.0, 1.0), "no observations in one group: n0 == 0, n1 == 5"),
    (
        lambda: stats.relative_lift(9, 0.0, 1.0, 5, 1.0, 1.0),
        "the control mean is 0: there is nothing to be relative to",
    ),
    (
        lambda: stats.relative_lift(1, 0.0, None, 5, 1.0, 1.0),
        "the control mean is 0: there is nothing to be relative to",
    ),
    (lambda: stats.ratio([], []), "no clusters"),
    (lambda: stats.ratio([1, 2], [3, -3]), "the denominators sum to 0"),
    (lambda: stats.ratio([HUGE, HUGE], [1, 1]), "the numbers are too large for floating point"),
    (lambda: stats.difference_of_ratios([1], [0], [1], [2]), "one side is absent: the denominators sum to 0"),
    (lambda: stats.welch(5, -HUGE, 1.0, 5, HUGE, 1.0), "the numbers are too large for floating point"),
    (lambda: stats.auc([], []), "no positives and no negatives among 0 rows"),
    (lambda: stats.auc([0.1, 0.2, 0.3], [0, 0, 0]), "no positives among 3 rows"),
    (lambda: stats.auc_from_placements([0, 0], [3, 4], [0, 0], [0, 0]), "no positives among 7 rows"),
    (lambda: stats.log_loss([1.0, 0.3], [0, 1]), "infinite: 1 row was certain and wrong"),
    (lambda: stats.log_loss([1.0, 0.0, 0.0], [0, 1, 0]), "infinite: 2 rows were certain and wrong"),
    (lambda: stats.brier([], []), "no observations"),
    (lambda: stats.expected_calibration_error([0], [0], [0]), "no rows"),
    (lambda: stats.maximum_calibration_error([], [], []), "no rows"),
    (lambda: stats.calibration_in_the_large_z(0, 0.0, 0.0, 0.0), "no observations"),
    (
        lambda: stats.calibration_in_the_large_z(3, 2.0, 2.0, 0.0),
        "every score is exactly 0 or 1: there is no error to compare with",
    ),
]


@pytest.mark.parametrize(("make", "reason"), NOTHING)
def test_an_absent_estimate_says_why(make: Callable[[], stats.Estimate], reason: str) -> None:
    estimate = make()
    assert estimate == stats.Estimate.absent(reason, n=estimate.n, method=estimate.method)
    assert not estimate.excludes_zero


STILL = "the observations do not vary"
PARTS = [
    (lambda: stats.mean(1, 3.0, None), 3.0, "no interval: too few observations: n == 1, a variance needs 2"),
    (
        lambda: stats.welch(1, 3.0, None, 1, 4.0, None),
        1.0,
        "no interval and no test: too few observations: n0 == 1 and n1 == 1, a variance needs 2",
    ),
    (lambda: stats.mean(9, 3.0, 0.0), 3.0, f"no interval: {STILL}"),
    (lambda: stats.mean(9, 3.0, 0.0, null=2), 3.0, f"no interval and no test: {STILL}"),
    (lambda: stats.welch(9, 3.0, 0.0, 9, 4.0, 0.0), 1.0, f"no interval and no test: {STILL}"),
    (lambda: stats.relative_lift(9, 4.0, 0.0, 9, 5.0, 0.0), 0.25, f"no interval and no test: {STILL}"),
    (lambda: stats.ratio([1, 2, 3], [2, 4, 6]), 0.5, f"no interval: {STILL}"),
    (lambda: stats.ratio([1], [2]), 0.5, "no interval: too few clusters: 1, a variance needs 2"),
    (
        lambda: stats.difference_of_ratios([1], [2], [3, 4], [4, 4]),
        0.375,
        (
            "no interval and no test: one side has no standard error "
            "(no interval: too few clusters: 1, a variance needs 2)"
        ),
    ),
    (
        lambda: stats.relative_lift(1, 4.0, None, 9, 5.0, 1.0),
        0.25,
        "no interval and no test: too few observations: n0 == 1, a variance needs 2",
    ),
    (lambda: stats.auc([1, 2, 3, 4], [0, 0, 1, 1]), 1.0, f"no interval: {STILL}"),
    (
        lambda: stats.auc([1, 2, 3], [0, 1, 1]),
        1.0,
        "no interval: DeLong needs 2 positives and 2 negatives, there are 2 and 1",
    ),
]


@pytest.mark.parametrize(("make", "value", "reason"), PARTS)
def test_a_part_that_is_absent_says_why(make: Callable[[], stats.Estimate], value: float, reason: str) -> None:
    estimate = make()
    assert estimate.value == pytest.approx(value, abs=1e-12)
    assert (estimate.status, estimate.reason) == ("ok", reason)
    assert (estimate.ci_lower, estimate.ci_upper, estimate.p_value) == (None, None, None)
    assert not estimate.excludes_zero


def test_equal_numbers_have_no_variance_even_when_their_mean_is_rounded() -> None:
    a, b = np.full(10, 0.1), np.full(7, 0.1)
    assert a.mean() != b.mean()  # rounding: a test on it would find a difference of nothing
    gain = stats.welch(*stats.moments(a), *stats.moments(b))
    assert (gain.p_value, gain.reason) == (None, f"no interval and no test: {STILL}")
    thirds = stats.ratio([0.1, 0.2, 0.3, 0.7], [0.3, 0.6, 0.9, 2.1])
    assert (thirds.ci_lower, thirds.reason) == (None, f"no interval: {STILL}")


def test_an_unbounded_lift_keeps_its_test() -> None:
    lift = stats.relative_lift(100, 0.05, 1.0, 100, 0.9, 1.0)
    assert (lift.ci_lower, lift.ci_upper) == (None, None)
    assert lift.reason == "unbounded: the control mean cannot be told from 0 (g = 15.6)"
    assert lift.p_value < 1e-7
    assert not lift.excludes_zero


def test_a_share_of_all_has_an_interval_and_no_standard_error() -> None:
    share = stats.proportion(20, 20)
    assert (share.value, share.se, share.ci_upper) == (1.0, None, 1.0)
    assert share.reason == "no standard error: every observation is the same (the interval does not need one)"
    gain = stats.difference_of_proportions(20, 20, 30, 30)
    assert (gain.value, gain.p_value) == (0.0, None)
    assert gain.ci_lower < 0 < gain.ci_upper
    assert gain.reason == "no standard error and no test: every observation is the same"
    opposite = stats.difference_of_proportions(0, 20, 30, 30)
    assert (opposite.value, opposite.se) == (1.0, None)
    assert opposite.p_value < 1e-9
    assert opposite.reason == "no standard error: within each group every observation is the same"


def test_a_normal_estimate_adds_no_doubt_of_its_own() -> None:
    normal = stats.from_standard_error(1.0, 0.2, n=10, method="normal")
    student = stats.from_standard_error(2.0, 0.3, n=10, df=9, method="t")
    assert stats.difference(normal, normal).df is None
    mixed = stats.difference(normal, student)
    assert mixed.df == pytest.approx(9 * (0.04 + 0.09) ** 2 / 0.09**2)
    assert mixed.value == -stats.difference(student, normal).value


def test_excludes_zero_reads_half_open_intervals() -> None:
    base = stats.Estimate(1.0, 1.0, None, 0.5, None, None, 3, "example", "ok", "unbounded above")
    assert base.excludes_zero
    assert not base._replace(ci_lower=None).excludes_zero
    assert base._replace(ci_lower=None, ci_upper=-0.1).excludes_zero
    assert not base._replace(ci_lower=-0.5, ci_upper=0.5).excludes_zero


def test_confidence_widens_every_interval() -> None:
    makers: list[Callable[..., stats.Estimate]] = [
        lambda **kw: stats.proportion(30, 80, **kw),
        lambda **kw: stats.difference_of_proportions(30, 80, 35, 90, **kw),
        lambda **kw: stats.mean(20, 1.0, 2.0, **kw),
        lambda **kw: stats.welch(20, 1.0, 2.0, 30, 2.0, 3.0, **kw),
        lambda **kw: stats.relative_lift(200, 1.0, 2.0, 300, 2.0, 3.0, **kw),
        lambda **kw: stats.ratio([1, 2, 2, 1], [3, 4, 5, 6], **kw),
        lambda **kw: stats.difference_of_ratios([1, 2, 2, 1], [3, 4, 5, 6], [2, 2, 1], [3, 3, 4], **kw),
        lambda **kw: stats.compare(stats.two_samples([1, 2, 2, 1], [2, 4, 3]), **kw).difference,
        lambda **kw: stats.compare(stats.two_samples([5, 6, 6, 5], [7, 8, 8]), **kw).lift,
        lambda **kw: stats.compare_proportions(3, 80, 5, 90, **kw)[0],
        lambda **kw: stats.compare_proportions(3, 80, 5, 90, **kw)[1],
        lambda **kw: stats.auc([1, 3, 2, 4, 3, 5], [0, 0, 0, 1, 1, 1], **kw),
        lambda **kw: stats.auc_from_placements([3, 2, 3], [4, 3, 2], [2.4, 1.2, 2.2], [3.0, 1.8, 1.725], **kw),
        lambda **kw: stats.log_loss([0.2, 0.7, 0.6], [0, 1, 0], **kw),
        lambda **kw: stats.brier([0.2, 0.7, 0.6], [0, 1, 0], **kw),
        lambda **kw: stats.calibration_gap([10, 20, 15], [2.0, 5.0, 4.0], [3, 4, 6], **kw),
    ]
    for make in makers:
        default, wide, narrow = make(), make(confidence=0.99), make(confidence=0.5)
        assert default == make(confidence=stats.CONFIDENCE)
        assert wide.ci_upper - wide.ci_lower >= default.ci_upper - default.ci_lower > narrow.ci_upper - narrow.ci_lower
        assert wide.p_value == default.p_value
        with pytest.raises(ArgumentError, match=r"^confidence == 95, must be a number above 0 and below 1$"):
            make(confidence=95)


def test_auc_stays_a_share() -> None:
    area = stats.auc([1, 2, 3, 4, 3.5, 6, 7, 8], [0, 0, 0, 0, 1, 1, 1, 1])
    assert (area.ci_upper, area.reason) == (1.0, "")
    assert area.ci_lower < area.value < 1


def test_days_without_rows_are_no_clusters() -> None:
    full = stats.auc_from_placements([3, 2, 3], [4, 3, 2], [2.4, 1.2, 2.2], [3.0, 1.8, 1.725])
    with_empty = stats.auc_from_placements([3, 0, 2, 3], [4, 0, 3, 2], [2.4, 0, 1.2, 2.2], [3.0, 0, 1.8, 1.725])
    assert with_empty == full


@pytest.mark.parametrize("bins", [1, 3, 7])
def test_rows_with_one_score_share_a_bin(bins: int) -> None:
    sums = stats.bin_sums([0.3] * 9, [0, 1, 0] * 3, bins=bins, by="mass")
    assert max(sums.n) == 9
    assert stats.bin_sums([1.0, 1.0], [1, 1], bins=bins).n[-1] == 2


def test_sample_ratio_at_its_edges() -> None:
    none = stats.sample_ratio([0, 0], [1, 1])
    assert (none.status, none.reason, none.observed_shares, none.largest_deviation) == ("absent", "no units", (), None)
    single = stats.sample_ratio([10, 0], [1, 0])
    assert (single.p_value, single.reason) == (None, "only one variant has weight: there is no ratio to check")
    stray = stats.sample_ratio([500, 500, 3], [1, 1, 0])
    assert (stray.p_value, stray.chi2, stray.df, stray.method) == (0.0, None, 1, "impossible under the plan")
    assert stray.reason == "no chi-square: 3 units in a variant of weight 0, which the plan makes impossible"
    rare = stats.sample_ratio([10_000, 10_000, 9], [5000, 5000, 1])
    assert rare.method == "exact binomial per variant, Bonferroni"
    assert rare.p_value == pytest.approx(3 * 2.4e-4, rel=0.15)  # Poisson(2): P(9 or more) = 2.37e-4
    assert stats.sample_ratio([499, 500], [1, 1]).method == "exact binomial"
    assert stats.sample_ratio([500, 500], [1, 1]).method == "chi-square"


def test_three_percent_of_exposures_lost_is_called() -> None:
    """Of 100,000 units, every 33rd of one variant is missing."""
    assert stats.sample_ratio([50_000, 48_500], [50, 50]).p_value < 1e-5
    assert stats.sample_ratio([50_000, 50_000], [50, 50]).p_value == 1.0


WRONG = [
    (lambda: stats.proportion(5, 3), "successes == 5, must be at most n == 3"),
    (lambda: stats.difference_of_proportions(1, 2, 9, 8), "x1 == 9, must be at most n1 == 8"),
    (lambda: stats.proportion(-1, 3), "successes == -1, must be a whole number of at least 0"),
    (lambda: stats.mean(2.5, 1.0, 1.0), "n == 2.5, must be a whole number of at least 0"),
    (lambda: stats.mean(math.inf, 1.0, 1.0), "n == inf, must be a whole number of at least 0"),
    (lambda: stats.mean(5, math.nan, 1.0), "mean == nan, must be a finite number"),
    (lambda: stats.mean(5, 1.0, None), "variance == None, must be a finite number"),
    (lambda: stats.welch(5, 1.0, -1.0, 5, 1.0, 1.0), "variance0 == -1.0, must be a number of at least 0"),
    (lambda: stats.two_sided_p(math.nan), "statistic == nan, must be a number"),
    (lambda: stats.critical_value(1.0), "confidence == 1.0, must be a number above 0 and below 1"),
    (lambda: stats.ratio([1, 2], [1]), "lengths differ: numerators 2, denominators 1"),
    (lambda: stats.ratio([[1]], [[1]]), "numerators has 2 dimensions, must have one"),
    (
        lambda: stats.auc([0.1, math.nan, math.inf], [0, 1, 1]),
        "scores: 2 of 3 are missing or not finite; leave such rows out and count them",
    ),
    (lambda: stats.auc([0.1, 0.2], [0, 2]), "labels holds 2.0, must hold 0 and 1 only"),
    (lambda: stats.brier([1.1], [1]), "scores holds 1.1, must hold probabilities between 0 and 1"),
    (
        lambda: stats.auc_from_placements([2, 2], [2, 2], [1.0, 1.0], [1.0, 1.5]),
        (
            "the placement sums disagree: positives give an AUC of 0.5, negatives 0.625; "
            "both must be formed over the same rows"
        ),
    ),
    (
        lambda: stats.auc_from_placements([2], [2], [3.0], [3.0]),
        "the placement sums give an AUC of 1.5; placements are shares between 0 and 1",
    ),
    (
        lambda: stats.auc_from_placements([1.5], [2], [1.0], [1.0]),
        "positives holds 1.5, must hold whole numbers of at least 0",
    ),
    (lambda: stats.brier_decomposition([2], [1.0], [3]), "label_sum holds 3.0, must lie between 0 and the bin's n"),
    (lambda: stats.bin_sums([0.1], [1], bins=0), "bins == 0, must be at least 1"),
    (lambda: stats.sample_ratio([1, 2], [1]), "lengths differ: counts 2, weights 1"),
    (lambda: stats.sample_ratio([1, 2], [0, 0]), "weights == [0, 0], must have a finite sum above 0"),
    (lambda: stats.sample_ratio([1, 2], [-1, 2]), "weights == -1, must be a number of at least 0"),
    (lambda: stats.adjust_p([1.2], "holm"), "p_values holds 1.2, must hold numbers between 0 and 1"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_input_is_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        call()


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'benjamini-hochberg'"):
        stats.adjust_p([0.1], "benjamini_hochberg")
    with pytest.raises(UnknownNameError, match="unknown binning 'mas'; allowed: mass, width"):
        stats.bin_sums([0.1], [1], bins=2, by="mas")


def test_an_empty_brier_decomposition_says_so() -> None:
    assert stats.brier_decomposition([0], [0], [0]) == stats.BrierDecomposition(None, None, None, 0, "no rows")


def test_numbers_too_large_lose_only_what_they_must() -> None:
    wider = stats.from_standard_error(1.5e308, 1e308, n=2, method="normal", null=0.0)
    assert (wider.ci_lower, wider.ci_upper, wider.reason) == (
        None,
        None,
        "no interval: the numbers are too large for floating point",
    )
    assert wider.p_value == pytest.approx(stats.two_sided_p(1.5))
    lift = stats.relative_lift(2, 1.0, 0.0, 2, 1.0, 1.7e308)
    assert (lift.value, lift.ci_upper, lift.p_value) == (0.0, None, 1.0)
    assert lift.reason == "no interval: the numbers are too large for floating point"
    spread = stats.from_standard_error(1.0, math.inf, n=2, method="normal", null=0.0)
    assert (spread.value, spread.reason) == (
        1.0,
        "no interval and no test: the numbers are too large for floating point",
    )


def test_values_are_plain_python_numbers() -> None:
    """So that they can be written as JSON."""
    for estimate in (
        stats.welch(np.int64(5), np.float64(1), np.float64(1), np.int64(5), np.float64(2), np.float64(1)),
        *stats.compare(stats.two_samples(np.arange(5.0), np.arange(3.0, 9.0)))[:4],
        *stats.compare(stats.two_samples(np.arange(5) < 2, np.arange(6) < 3, share=True))[:4],
        stats.auc(np.arange(6.0), np.array([0, 1, 0, 1, 0, 1])),
        stats.proportion(np.int64(3), np.int64(9)),
        stats.calibration_in_the_large_z(np.int64(9), np.float64(3), np.int64(4), np.float64(2)),
    ):
        assert {type(part) for part in estimate} <= {float, int, str, type(None)}
