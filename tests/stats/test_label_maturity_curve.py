"""The maturity curve against statsmodels, against plain counting, and against the truth that it was drawn from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from toolkit.errors import ArgumentError
from toolkit.stats import CONFIDENCE
from toolkit.stats.maturity import (
    SMALLEST_SHARE,
    MaturityCurve,
    MaturityWeights,
    maturity_curve,
    maturity_weights,
    truncated_shares,
)

CASES = json.loads((Path(__file__).parents[1] / "reference" / "maturity_cases.json").read_text(encoding="utf-8"))
SIMULATIONS = 1500
BAND = 4 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / SIMULATIONS)
"""Four binomial standard errors of the simulated share: a correct method fails once in 16,000 seeds."""


def curve_of(ages: Any, arrived: Any) -> MaturityCurve:
    """The curve of single requests: how long each waited, and whether for a label that came."""
    flags = np.asarray(arrived, dtype=float)
    return maturity_curve(ages, flags, 1 - flags)


def drawn(seed: int, requests: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    delays, watched = rng.geometric(0.25, requests) - 1, rng.integers(0, 15, requests)
    return np.minimum(delays, watched), delays <= watched


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["id"])
def test_reference(case: dict[str, Any]) -> None:
    curve = curve_of(case["inputs"]["age_days"], case["inputs"]["label_arrived"])
    assert [step.delay for step in curve.steps] == case["expected"]["times"]
    waiting = [1 - step.share.value for step in curve.steps]
    assert waiting == pytest.approx(case["expected"]["share_still_unlabelled"], abs=case["tolerance"])


@pytest.mark.parametrize("seed", range(5))
def test_curve_and_greenwood_are_those_of_statsmodels(seed: int) -> None:
    ages, arrived = drawn(seed)
    curve, peer = curve_of(ages, arrived), SurvfuncRight(ages, arrived)
    assert [step.delay for step in curve.steps] == list(peer.surv_times)
    assert [step.at_risk for step in curve.steps] == list(peer.n_risk)
    assert [step.arrived for step in curve.steps] == list(peer.n_events)
    assert [1 - step.share.value for step in curve.steps] == pytest.approx(list(peer.surv_prob), rel=1e-12)
    assert [step.share.se for step in curve.steps] == pytest.approx(list(peer.surv_prob_se), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_delay_until_a_share_is_statsmodels_quantile(seed: int, share: float) -> None:
    ages, arrived = drawn(seed)
    until, peer = curve_of(ages, arrived).delay_until(share), SurvfuncRight(ages, arrived)
    assert until.value == peer.quantile(share)
    lower, upper = peer.quantile_ci(share, method="cloglog")
    if not math.isnan(lower):  # statsmodels finds no interval where the curve jumps from below all of it to above
        assert (until.ci_lower, until.ci_upper) == (lower, upper)


def test_limits_are_symmetric_on_the_log_log_scale() -> None:
    ages, arrived = drawn(9)
    shares = [step.share for step in curve_of(ages, arrived).steps if step.share.se is not None]
    assert len(shares) > 5
    for share in shares:
        middle, low, high = (math.log(-math.log1p(-x)) for x in (share.value, share.ci_lower, share.ci_upper))
        assert high - middle == pytest.approx(middle - low, rel=1e-9)
        assert 0 < share.ci_lower < share.value < share.ci_upper < 1


def test_where_all_have_arrived_the_lower_limit_is_exact() -> None:
    (only,) = maturity_curve([0], [40], [0]).steps
    assert (only.share.value, only.share.se, only.share.ci_upper) == (1.0, None, 1.0)
    assert only.share.ci_lower == pytest.approx(0.025 ** (1 / 40), rel=1e-12)
    assert only.share.reason == (
        "no standard error: every request that was watched so long has a label (the interval does not need one)"
    )


def test_between_the_steps_the_curve_stands_and_beyond_its_end_it_is_not_known() -> None:
    curve = maturity_curve([2, 4, 6], [5, 3, 0], [0, 0, 2])
    assert [curve.share_by(delay).value for delay in (2, 3.9, 4, 6)] == [0.5, 0.5, 0.8, 0.8]
    assert curve.share_by(1)[:1] == (0.0,)
    assert curve.share_by(1).reason == "no interval: no label came as early"
    assert curve.share_by(7).reason == "none was watched for more than 6"
    assert curve.delay_until(0.9).reason == "only 80.0% have a label at the end of the curve"
    assert (curve.n, curve.waiting, curve.longest) == (10, 2, 6.0)


def test_nothing_was_watched() -> None:
    curve = maturity_curve([], [], [])
    assert curve == MaturityCurve((), None, 0, 0)
    assert curve.share_by(0).reason == "no request was watched"
    assert curve.delay_until(0.5).reason == "only 0.0% have a label at the end of the curve"


@pytest.mark.parametrize("at", [0, 2, 5, 9])
def test_the_interval_covers_the_truth(at: int) -> None:
    truth = 1 - 0.75 ** (at + 1)
    held = []
    for seed in range(SIMULATIONS):
        ages, arrived = drawn(10_000 + seed, requests=250)
        share = curve_of(ages, arrived).share_by(at)
        held.append(share.ci_lower <= truth <= share.ci_upper)
    assert abs(np.mean(held) - CONFIDENCE) <= BAND


def test_requests_that_still_wait_are_not_counted_as_never() -> None:
    """The plain share of requests with a label is far from the truth where the curve is not."""
    ages, arrived = drawn(4, requests=20_000)
    curve = curve_of(ages, arrived)
    assert curve.share_by(9).value == pytest.approx(1 - 0.75**10, abs=0.01)
    assert np.mean(arrived & (ages <= 9)) < 0.85


groups = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 30)).map(lambda g: (max(g[:2]), min(g[:2]), g[2])),
    min_size=1,
    max_size=40,
)


@given(groups, st.randoms())
def test_order_and_splitting_of_groups_change_nothing(given_groups: list[tuple[int, int, int]], random: Any) -> None:
    ages, delays, arrived = (np.array(column) for column in zip(*given_groups, strict=True))
    mixed = [(age, delay, 1) for age, delay, count in given_groups for _ in range(count)]
    random.shuffle(mixed)
    one_by_one = [np.array([g[place] for g in mixed]) for place in range(3)]
    assert maturity_curve(delays, arrived, arrived) == maturity_curve(
        *(one_by_one[place] for place in (1, 2, 2)) if mixed else ([], [], [])
    )
    assert truncated_shares(ages, delays, arrived) == truncated_shares(*one_by_one)


@given(groups)
def test_shares_rise_to_1(given_groups: list[tuple[int, int, int]]) -> None:
    found = truncated_shares(*zip(*given_groups, strict=True))
    assert list(found) == sorted(found)
    assert list(found.values()) == sorted(found.values())
    assert not found or list(found.values())[-1] == 1.0


@settings(max_examples=30)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=60))
def test_of_requests_watched_to_the_end_both_are_plain_counting(delays: list[int]) -> None:
    watched = [8] * len(delays)
    counting = {float(day): np.mean(np.array(delays) <= day) for day in sorted(set(delays))}
    assert truncated_shares(watched, delays, np.ones(len(delays))) == pytest.approx(counting)
    curve = curve_of(delays, np.ones(len(delays)))
    assert {step.delay: step.share.value for step in curve.steps} == pytest.approx(counting)


def test_early_labels_weighted_by_kind_give_the_mean_that_all_will_have() -> None:
    """Positives come within two days, negatives take ten: of what is there, far too many are positive."""
    rng = np.random.default_rng(5)
    positive = rng.random(60_000) < 0.2
    delay = np.where(positive, rng.integers(0, 3, positive.size), rng.integers(0, 11, positive.size))
    watched = rng.integers(0, 14, positive.size)
    known = delay <= watched
    weighted, total = 0.0, 0.0
    for kind in (True, False):
        chosen = known & (positive == kind)
        shares = truncated_shares(watched[chosen], delay[chosen], np.ones(chosen.sum()))
        by_age = [max((share for at, share in shares.items() if at <= age), default=0.0) for age in range(14)]
        labelled = np.bincount(watched[chosen], minlength=14)
        weights = maturity_weights(by_age, labelled)
        count = sum(weight * n for weight, n in zip(weights.weights, labelled, strict=True) if weight)
        weighted, total = weighted + kind * count, total + count
    assert positive[known].mean() > 0.25
    assert weighted / total == pytest.approx(0.2, abs=0.008)


def test_weights_and_their_effective_number() -> None:
    found = maturity_weights([1.0, 0.25, SMALLEST_SHARE / 2], [300, 50, 2])
    assert found.weights == (1.0, 4.0, None)
    assert found.effective_n == pytest.approx(500**2 / (300 + 16 * 50))
    assert found.left_out == 2
    assert maturity_weights([], []) == MaturityWeights((), 0.0, 0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: maturity_curve([-1], [1], [0]), "delays holds -1, must hold times of at least 0"),
        (lambda: maturity_curve([1], [0.5], [0]), "arrived holds 0.5, must hold whole numbers of at least 0"),
        (lambda: maturity_curve([1], [1], [-1]), "waiting holds -1.0, must hold whole numbers of at least 0"),
        (lambda: truncated_shares([1], [2], [1]), "delays holds 2 where watched is 1, must be at most that"),
        (lambda: maturity_weights([1.5], [1]), "shares holds 1.5, must hold numbers between 0 and 1"),
        (lambda: maturity_curve([1], [1], [0]).delay_until(1.5), "share == 1.5, must be a number above 0 and below 1"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Any, text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == text
