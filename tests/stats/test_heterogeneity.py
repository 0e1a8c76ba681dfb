"""Heterogeneity of segments: against an ANOVA, statsmodels and simulated error rates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import stats


def effect(value: float, se: float, df: float | None = None) -> stats.Estimate:
    return stats.from_standard_error(value, se, n=100, df=df, method="welch", null=0, scale=0)


EFFECTS = st.lists(st.builds(effect, st.floats(-100, 100), st.floats(0.01, 100)), min_size=2, max_size=8)


def test_q_and_the_pooled_effect_equal_statsmodels() -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    rng = np.random.default_rng(1)
    values, errors = rng.normal(0.2, 0.3, 9), rng.uniform(0.05, 0.4, 9)
    theirs = combine_effects(values, np.square(errors))
    found = stats.heterogeneity([effect(v, se) for v, se in zip(values, errors, strict=True)])
    assert (found.q, found.df) == (pytest.approx(theirs.q, rel=1e-9), 8)
    assert (found.pooled.value, found.pooled.se) == pytest.approx((theirs.mean_effect_fe, theirs.sd_eff_w_fe), rel=1e-9)
    assert found.i_squared == pytest.approx(max(theirs.i2, 0), rel=1e-9)
    assert found.method == "cochran q, chi-square"


def test_estimated_errors_give_welchs_test_of_several_means() -> None:
    from statsmodels.stats.oneway import anova_oneway

    rng = np.random.default_rng(2)
    groups = [rng.normal(at, sd, n) for at, sd, n in ((0, 1, 9), (0.5, 2, 14), (1.2, 0.7, 6), (0.1, 3, 30))]
    theirs = anova_oneway(groups, use_var="unequal", welch_correction=True)
    found = stats.heterogeneity([stats.mean(*stats.moments(group)) for group in groups])
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.method == "cochran q, welch f"


def test_few_units_in_a_segment_call_differences_as_often_as_alpha_says() -> None:
    rng, runs = np.random.default_rng(3), 3000
    data = rng.normal(size=(runs, 6, 5)) * np.array([1, 2, 1, 3, 1, 2])[None, :, None]
    means, variances = data.mean(axis=2), data.var(axis=2, ddof=1)
    welch, chi_square = 0, 0
    for mean, variance in zip(means, variances, strict=True):
        estimates = [stats.mean(5, m, v) for m, v in zip(mean, variance, strict=True)]
        welch += stats.heterogeneity(estimates).p_value < 0.05
        chi_square += stats.heterogeneity([one._replace(df=None) for one in estimates]).p_value < 0.05
    assert 0.03 < welch / runs < 0.08
    assert chi_square / runs > 0.15  # the reason for the other


@given(EFFECTS, st.floats(-50, 50), st.floats(0.1, 10))
def test_a_shift_changes_nothing_and_a_unit_only_scales(estimates: list[Any], shift: float, unit: float) -> None:
    found = stats.heterogeneity(estimates)
    moved = stats.heterogeneity([effect(one.value * unit + shift, one.se * unit) for one in estimates])
    assert 0 <= found.i_squared <= 1
    assert found.q >= 0
    assert moved.q == pytest.approx(found.q, rel=1e-6, abs=1e-6)
    assert moved.p_value == pytest.approx(found.p_value, abs=1e-6)
    assert stats.heterogeneity(estimates[::-1]).q == pytest.approx(found.q, rel=1e-9, abs=1e-12)
    low, high = min(one.value for one in estimates), max(one.value for one in estimates)
    assert low - 1e-9 <= found.pooled.value <= high + 1e-9


@given(EFFECTS)
def test_two_segments_differ_as_each_differs_from_the_other(estimates: list[Any]) -> None:
    first, second = estimates[:2]
    contrast, other = stats.against_the_rest([first, second])
    assert contrast.value == pytest.approx(-other.value)
    assert contrast.p_value == pytest.approx(other.p_value)
    assert contrast.p_value == pytest.approx(stats.heterogeneity([first, second]).p_value, abs=1e-9)


def test_the_odd_one_out_is_named_by_its_contrast() -> None:
    contrasts = stats.against_the_rest([effect(0.1, 0.05), effect(0.12, 0.05), effect(0.3, 0.05), effect(0.09, 0.05)])
    adjusted = stats.adjust_p([one.p_value for one in contrasts], "holm")
    assert [p < 0.05 for p in adjusted] == [False, False, True, False]
    rest = [0.1, 0.12, 0.09]
    assert contrasts[2].value == pytest.approx(0.3 - np.mean(rest))
    assert contrasts[2].se == pytest.approx(0.05 * math.sqrt(1 + 1 / 3))


def test_segments_without_an_error_are_left_out_and_named() -> None:
    silent = stats.mean(1, 3.0, None)
    still = stats.from_standard_error(3.0, 0.0, n=9, method="mean")
    found = stats.heterogeneity([silent, effect(0.1, 0.1), still, effect(0.3, 0.1)])
    assert (found.segments, found.left_out, found.status) == (2, (0, 2), "ok")
    contrasts = stats.against_the_rest([silent, effect(0.1, 0.1), still, effect(0.3, 0.1)])
    assert [one.reason for one in contrasts] == [
        "no interval: too few observations: n == 1, a variance needs 2",
        "",
        "no interval: the observations do not vary",
        "",
    ]


def test_one_segment_is_nothing_to_compare() -> None:
    found = stats.heterogeneity([effect(0.1, 0.1), stats.mean(0, None, None)])
    assert (found.status, found.q, found.p_value, found.i_squared) == ("absent", None, None, None)
    assert found.reason == "1 of 2 segments with a standard error: a comparison needs 2"
    assert found.pooled.value == pytest.approx(0.1)
    nothing = stats.heterogeneity([])
    assert nothing.reason == "0 of 0 segments with a standard error: a comparison needs 2"
    assert nothing.pooled.reason == "no segment has a standard error"
    (alone,) = stats.against_the_rest([effect(0.1, 0.1)])
    assert alone.reason == "there is no other segment to compare with"


def test_equal_effects_have_no_heterogeneity() -> None:
    found = stats.heterogeneity([effect(0.2, 0.1)] * 3)
    assert (found.q, found.i_squared, found.p_value) == (pytest.approx(0, abs=1e-20), 0.0, pytest.approx(1.0))
