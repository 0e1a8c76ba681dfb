"""Power and sample sizes: against statsmodels, simulation of the very tests, and each direction against the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from toolkit import stats
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.stats import PowerDesign, mean_outcome, share_outcome

STUDENT = PowerDesign(test="t")
NOT_WORSE = PowerDesign(alpha=0.025, hypothesis="not_inferior", margin=0.2)
SAME = PowerDesign(hypothesis="equivalent", margin=0.3)
RUNS = 20_000


# --- against others ---


def test_students_power_equals_statsmodels() -> None:
    from statsmodels.stats.power import TTestIndPower

    for effect, n in ((0.2, 40), (0.5, 64), (0.8, 12), (1.4, 5)):
        theirs = TTestIndPower().power(effect, n, 0.05)
        assert stats.power_of(mean_outcome(1), 2 * n, effect, STUDENT).power == pytest.approx(theirs, abs=1e-9)


def test_students_units_equal_statsmodels_also_one_sided() -> None:
    from statsmodels.stats.power import TTestIndPower

    better = PowerDesign(test="t", hypothesis="not_inferior")  # a margin of 0: is it better?
    for effect, wanted in ((0.5, 0.8), (0.25, 0.9)):
        two = TTestIndPower().solve_power(effect, power=wanted, alpha=0.05)
        one = TTestIndPower().solve_power(effect, power=wanted, alpha=0.05, alternative="larger")
        assert stats.units_needed(mean_outcome(1), effect, STUDENT, power=wanted).n == pytest.approx(2 * two, rel=1e-7)
        assert stats.units_needed(mean_outcome(1), effect, better, power=wanted).n == pytest.approx(2 * one, rel=1e-7)


def test_unpooled_shares_equal_statsmodels() -> None:
    from statsmodels.stats.proportion import power_proportions_2indep

    for share, effect, n in ((0.1, 0.02, 3000), (0.5, -0.1, 300), (0.02, 0.01, 2500)):
        theirs = power_proportions_2indep(
            effect, share, n, alternative="larger" if effect > 0 else "smaller", alpha=0.025
        )
        ours = stats.power_of(share_outcome(share), 2 * n, effect)
        assert ours.method == "z, pooled null"
        assert ours.power == pytest.approx(theirs.power, abs=2e-4)  # theirs takes other shares for the null's error


# --- against simulation of the test itself ---


def simulated_rejections(
    rng: np.random.Generator, sizes: tuple[int, int], sds: tuple[float, float], effect: float
) -> Any:
    """Differences and their Welch standard errors and degrees of freedom, from sample means and variances."""
    means = [rng.normal(at, sd / math.sqrt(n), RUNS) for at, sd, n in zip((0, effect), sds, sizes, strict=True)]
    squares = [sd**2 * rng.chisquare(n - 1, RUNS) / (n - 1) / n for sd, n in zip(sds, sizes, strict=True)]
    se = np.sqrt(squares[0] + squares[1])
    df = se**4 / (squares[0] ** 2 / (sizes[0] - 1) + squares[1] ** 2 / (sizes[1] - 1))
    return means[1] - means[0], se, df


def near(share: float) -> Any:
    """Four standard errors of a simulated share."""
    return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / RUNS))


def test_unequal_variants_have_the_power_of_welchs_test() -> None:
    from scipy import stats as scipy_stats

    gap, se, df = simulated_rejections(np.random.default_rng(3), (12, 36), (1.0, 2.0), 1.2)
    found = float(np.mean(np.abs(gap / se) > scipy_stats.t.ppf(0.975, df)))
    planned = stats.power_of(mean_outcome(1, treatment_variance=4), 48, 1.2, STUDENT._replace(shares=(1, 3)))
    assert planned.power == pytest.approx(found, abs=0.012)
    assert planned.units == (12, 36)


def test_margins_have_the_power_of_their_tests() -> None:
    gap, se, _ = simulated_rejections(np.random.default_rng(4), (400, 400), (1.0, 1.0), -0.03)
    kept = float(np.mean((gap + 0.2) / se > 1.959964))
    assert stats.power_of(mean_outcome(1), 800, -0.03, NOT_WORSE).power == near(kept)
    gap, se, _ = simulated_rejections(np.random.default_rng(5), (300, 300), (1.0, 1.0), 0.05)
    same = float(np.mean((np.minimum(0.3 - gap, gap + 0.3) / se) > 1.644854))
    assert stats.power_of(mean_outcome(1), 600, 0.05, SAME).power == near(same)


def test_shares_have_the_power_of_the_pooled_test() -> None:
    rng, n = np.random.default_rng(6), 900
    x0, x1 = rng.binomial(n, 0.10, RUNS), rng.binomial(n, 0.145, RUNS)
    pooled = (x0 + x1) / (2 * n)
    found = float(np.mean((x1 - x0) / n / np.sqrt(pooled * (1 - pooled) * 2 / n) > 1.959964))
    assert stats.power_of(share_outcome(0.10), 2 * n, 0.045).power == pytest.approx(found, abs=0.012)


# --- each direction against the others ---


OUTCOMES = st.one_of(
    st.builds(mean_outcome, st.floats(1e-6, 1e6), treatment_variance=st.floats(1e-6, 1e6)),
    st.builds(share_outcome, st.floats(0.01, 0.6), pooled=st.booleans()),
)
SHARES = st.lists(st.floats(0.05, 1), min_size=2, max_size=4).map(tuple)
POWERS = st.floats(0.2, 0.99)


@given(OUTCOMES, SHARES, POWERS, st.floats(0.01, 0.35), st.floats(1, 1.3))
def test_units_effect_and_power_belong_together(
    outcome: stats.Outcome, shares: tuple[float, ...], power: float, size: float, inflation: float
) -> None:
    design = PowerDesign(shares=shares, inflation=inflation)
    effect = size if outcome.share is not None else size * math.sqrt(outcome.variance)
    found = stats.units_needed(outcome, effect, design, power=power)
    assume(found.n >= design.fewest)
    assert stats.power_of(outcome, found.n, effect, design).power == pytest.approx(power, abs=1e-9)
    assert stats.detectable_effect(outcome, found.n, design, power=power).effect == pytest.approx(effect, rel=1e-7)
    assert len(found.units) == len(shares)
    assert found.alpha == pytest.approx(0.05 / (len(shares) - 1))
    assert sum(found.units) >= found.n * (1 - 1e-9)


@given(OUTCOMES, POWERS, st.floats(0.01, 0.3), st.floats(-0.5, 0.5), st.booleans())
def test_units_margin_and_power_belong_together(
    outcome: stats.Outcome, power: float, size: float, part: float, increase: bool
) -> None:
    assume(power > 0.3)
    unit = 1.0 if outcome.share is not None else math.sqrt(outcome.variance)
    margin = size * unit
    effect = part * margin
    assume(outcome.share is None or 0 < outcome.share + effect < 1)
    for hypothesis in ("not_inferior", "equivalent"):
        design = PowerDesign(hypothesis=hypothesis, margin=margin, increase=increase)
        found = stats.units_needed(outcome, effect, design, power=power)
        assume(found.n >= design.fewest)
        assert found.method == "z, unpooled"
        assert stats.power_of(outcome, found.n, effect, design).power == pytest.approx(power, abs=1e-9)
        back = stats.detectable_margin(outcome, found.n, design, effect=effect, power=power)
        assert back.margin == pytest.approx(margin, rel=1e-7)


@given(OUTCOMES, POWERS, st.floats(0.01, 0.3), st.integers(100, 10**5), st.booleans())
def test_the_smallest_effect_shown_not_to_be_inferior_has_its_power(
    outcome: stats.Outcome, power: float, size: float, n: int, increase: bool
) -> None:
    margin = size if outcome.share is not None else size * math.sqrt(outcome.variance)
    design = PowerDesign(hypothesis="not_inferior", margin=margin, increase=increase)
    found = stats.detectable_effect(outcome, n, design, power=power)
    if found.effect is None:
        assert found.reason.startswith("no rise from" if increase else "no fall from")
        return
    at = stats.power_of(outcome, n, found.effect, design).power
    worst = outcome.share is not None and outcome.share + found.effect in {0.0, 1.0}
    # Where even the worst share is shown to keep the margin, it is the answer.
    assert at > power if worst else at == pytest.approx(power, abs=1e-7)


def test_a_margin_wider_than_all_shares_is_kept_by_the_worst() -> None:
    design = PowerDesign(hypothesis="not_inferior", margin=0.25)
    assert stats.detectable_effect(share_outcome(0.0625), 400, design).effect == -0.0625


@given(st.floats(0.1, 2), st.floats(0.3, 0.95))
def test_students_directions_belong_together(effect: float, power: float) -> None:
    for design in (STUDENT, STUDENT._replace(shares=(3, 1)), STUDENT._replace(hypothesis="not_inferior", margin=0.1)):
        found = stats.units_needed(mean_outcome(1, treatment_variance=2), effect, design, power=power)
        assume(found.n > design.fewest)
        at = stats.power_of(mean_outcome(1, treatment_variance=2), found.n, effect, design)
        assert at.power == pytest.approx(power, abs=1e-8)
        back = stats.detectable_effect(mean_outcome(1, treatment_variance=2), found.n, design, power=power)
        assert back.effect == pytest.approx(effect, rel=1e-6)


def test_a_fall_needs_its_own_units_where_it_is_a_share() -> None:
    rise = stats.detectable_effect(share_outcome(0.1), 10_000)
    fall = stats.detectable_effect(share_outcome(0.1), 10_000, PowerDesign(increase=False))
    assert rise.effect > -fall.effect > 0
    assert stats.power_of(share_outcome(0.1), 10_000, fall.effect).power == pytest.approx(0.8)


def test_the_weakest_of_several_treatments_decides() -> None:
    design = PowerDesign(shares=(0.5, 0.3, 0.2))
    found = stats.units_needed(mean_outcome(1), 0.1, design)
    alone = stats.units_needed(mean_outcome(1), 0.1, PowerDesign(shares=(0.5, 0.2), alpha=0.025))
    assert found.n * 0.7 == pytest.approx(alone.n)
    assert found.alpha == 0.025


def test_covariates_and_looks_scale_the_units() -> None:
    plain = stats.units_needed(mean_outcome(9), 0.1).n
    assert stats.units_needed(mean_outcome(9, gain=0.36), 0.1).n == pytest.approx(0.64 * plain)
    assert stats.units_needed(mean_outcome(9), 0.1, PowerDesign(inflation=1.03)).n == pytest.approx(1.03 * plain)


def test_any_metric_is_planned_from_its_error_in_history() -> None:
    rng = np.random.default_rng(8)
    requests = rng.poisson(5, 4000) + 1
    successes = rng.binomial(requests, 0.3)
    history = stats.ratio(successes, requests)
    outcome = stats.outcome_from_error(history.se, history.n)
    found = stats.units_needed(outcome, 0.02)
    # The planned error is that of a difference of two ratios of so many units each.
    planned = math.sqrt(outcome.variance * 2 / (found.n / 2))
    assert planned == pytest.approx(history.se * math.sqrt(2 * 4000 / (found.n / 2)))
    assert 0.02 / planned == pytest.approx(1.959964 + 0.841621, rel=1e-6)


# --- reasons and errors ---


STILL = "the observations do not vary: there is no error to plan for"
UNSOLVED = [
    (lambda: stats.units_needed(mean_outcome(1), 0), "no number of units is enough: the effect is 0"),
    (
        lambda: stats.units_needed(mean_outcome(1), -0.2, NOT_WORSE),
        "no number of units is enough: the true difference lies at or beyond the margin",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1), 0.3, SAME),
        "no number of units is enough: the true difference lies at or beyond the margin",
    ),
    (lambda: stats.units_needed(mean_outcome(0), 1), STILL),
    (lambda: stats.power_of(mean_outcome(0), 100, 1), STILL),
    (lambda: stats.detectable_effect(mean_outcome(0), 100), STILL),
    (lambda: stats.detectable_margin(mean_outcome(0), 100, NOT_WORSE), STILL),
    (lambda: stats.units_needed(share_outcome(0.98), 0.05), "a share of 0.98 cannot change by 0.05"),
    (
        lambda: stats.detectable_margin(share_outcome(0.1), 99, SAME, effect=-0.2),
        "a share of 0.1 cannot change by -0.2",
    ),
    (lambda: stats.detectable_effect(share_outcome(0.9), 30), "no rise from 0.9 can be found with power 0.8"),
    (
        lambda: stats.power_of(mean_outcome(1), 9, 1, PowerDesign(shares=(0.9, 0.1))),
        "too few units: 9 in all; each variant needs 2, which takes 20",
    ),
    (
        lambda: stats.detectable_effect(mean_outcome(1), 3),
        "too few units: 3 in all; each variant needs 2, which takes 4",
    ),
    (
        lambda: stats.detectable_margin(mean_outcome(1), 0, SAME),
        "too few units: 0 in all; each variant needs 2, which takes 4",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1e300), 1e-150),
        "the numbers are too large for floating point, or too small",
    ),
]


@pytest.mark.parametrize(("make", "reason"), UNSOLVED)
def test_what_cannot_be_solved_says_why(make: Callable[[], stats.Sizing], reason: str) -> None:
    found = make()
    assert (found.status, found.reason) == ("absent", reason)
    assert None in {found.n, found.effect, found.power, found.margin}
    assert all(part is None or math.isfinite(part) for part in (found.n, found.effect, found.power, found.margin))


WRONG = [
    (
        lambda: stats.units_needed(mean_outcome(1), 1, PowerDesign(alpha=2)),
        "alpha == 2, must be a number above 0 and below 1",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1), 1, power=0.04),
        "power == 0.04, must be a number above 0.05 and below 1",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1), 1, PowerDesign(shares=(1.0,))),
        "shares == (1.0,), must hold the control's and at least one treatment's",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1), 1, PowerDesign(shares=(1.0, 0.0))),
        "shares == 0.0, must be a number above 0 and below inf",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1), 1, PowerDesign(margin=0.1)),
        "margin == 0.1 with hypothesis 'different', which has none; leave it 0",
    ),
    (
        lambda: stats.units_needed(mean_outcome(1), 0, PowerDesign(hypothesis="equivalent")),
        "margin == 0.0, must be a number above 0 and below inf",
    ),
    (
        lambda: stats.units_needed(share_outcome(0.1), 0.1, STUDENT),
        "test 't' is for means that are different or not inferior; use 'z' for anything else",
    ),
    (
        lambda: stats.detectable_effect(mean_outcome(1), 100, SAME),
        "detectable_effect was asked for 'equivalent', which has none; ask for detectable_margin",
    ),
    (
        lambda: stats.detectable_margin(mean_outcome(1), 100, PowerDesign()),
        "detectable_margin was asked for 'different', which has none; ask for detectable_effect",
    ),
    (lambda: mean_outcome(1, gain=1), "gain == 1, must be a number of at least 0 and below 1"),
    (lambda: mean_outcome(-1), "variance == -1.0, must be a number of at least 0"),
    (lambda: share_outcome(1), "share == 1, must be a number above 0 and below 1"),
    (lambda: stats.outcome_from_error(0.1, 1), "n == 1, must be at least 2: one unit has no standard error"),
    (
        lambda: stats.units_needed(mean_outcome(1), 1, PowerDesign(inflation=0.9)),
        "inflation == 0.9, must be a number of at least 1",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_makes_no_sense_is_an_error(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown hypothesis 'not-inferior'.*Did you mean 'not_inferior'?"):
        stats.units_needed(mean_outcome(1), 1, PowerDesign(hypothesis="not-inferior"))
    with pytest.raises(UnknownNameError, match="unknown test 'T'; allowed: t, z. Did you mean 't'?"):
        stats.units_needed(mean_outcome(1), 1, PowerDesign(test="T"))
