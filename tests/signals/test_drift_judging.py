from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from column_samples import judge
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.signals.drift import Finding, adjusted, judge_column
from toolkit.stats import Estimate

seeds = st.integers(0, 10_000)
shifts = st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0])


def scores(found):
    shift = found.shift
    return {
        "psi": shift.psi.value,
        "js": shift.js,
        "hellinger": shift.hellinger,
        "ks_lower": shift.ks.lower,
        "ks_upper": shift.ks.upper,
        "wasserstein": shift.wasserstein,
        "cramers_v": shift.homogeneity.cramers_v,
    }


def samples(seed, shift, n=2_000):
    random = np.random.default_rng(seed)
    return random.standard_normal(n), shift + random.standard_normal(n)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, shift=st.sampled_from([0.5, 1.0, 2.0, 4.0]), side=st.sampled_from(["reference", "current"]))
def test_one_outlier_on_either_side_changes_no_score_by_five_percent_and_no_verdict(seed, shift, side):
    reference, current = samples(seed, shift)
    clean = judge(reference, current)
    for outlier in (1e6, -1e6):
        sides = {"reference": reference, "current": current}
        sides[side] = np.append(sides[side], outlier)
        dirty = judge(sides["reference"], sides["current"])
        assert [found.verdict for found in dirty.findings] == [found.verdict for found in clean.findings]
        assert scores(dirty) == pytest.approx(scores(clean), rel=0.05)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, shift=shifts, power=st.integers(-6, 6), offset=st.sampled_from([0.0, -3.0, 1e3]))
def test_another_unit_and_another_zero_change_nothing(seed, shift, power, offset):
    reference, current = samples(seed, shift)
    factor = 10.0**power
    plain = judge(reference, current)
    moved = judge(factor * reference + offset * factor, factor * current + offset * factor)
    assert [found.verdict for found in moved.findings] == [found.verdict for found in plain.findings]
    assert scores(moved) == pytest.approx(scores(plain), rel=0.05, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, shift=shifts)
def test_kolmogorov_and_smirnovs_distance_lies_within_its_bounds(seed, shift):
    from scipy import stats as scipy_stats

    reference, current = samples(seed, shift, n=500)
    bounds = judge(reference, current).shift.ks
    assert bounds.lower - 1e-12 <= scipy_stats.ks_2samp(reference, current).statistic <= bounds.upper + 1e-12


def test_days_that_differ_among_themselves_make_rows_count_less():
    """Every day has a level of its own in both periods: thirty days against seven say little, whatever their rows."""
    random = np.random.default_rng(5)
    days = [random.normal(random.normal(), 0.3, 2_000) for _ in range(37)]
    edges = ColumnEdges.of("x", np.concatenate(days[:30]).tolist())
    counted = [ColumnCounts.of(edges, day.tolist()) for day in days]
    then, now = (sum(side[1:], side[0]) for side in (counted[:30], counted[30:]))
    (by_rows,) = adjusted([judge_column(then, now)])
    (by_days,) = adjusted([judge_column(then, now, reference_days=counted[:30], current_days=counted[30:])])
    assert by_rows.finding("drift").p_adjusted < 1e-50
    assert by_days.finding("drift").p_adjusted > 0.01
    assert by_days.shift.design_effect > 100
    assert by_rows.shift.psi.value == by_days.shift.psi.value


def test_what_is_missing_on_one_day_only_is_less_evidence_than_what_is_missing_on_all():
    edges = ColumnEdges.of("x", ["a", "b"] * 500)
    full = ColumnCounts(edges, (500, 500))
    spread = [replace(full, counts=(480, 480), missing=40) for _ in range(7)]
    burst = [full] * 6 + [replace(full, counts=(360, 360), missing=280)]
    reference = [full] * 28
    p_values = []
    for days in (spread, burst):
        total = sum(days[1:], days[0])
        found = judge_column(
            sum(reference[1:], reference[0]), total, reference_days=reference, current_days=days
        ).finding("missing")
        assert found.size.value == pytest.approx(0.04)
        p_values.append(found.p_value)
    assert p_values[0] < p_values[1] / 1e6


def test_p_values_are_adjusted_over_all_columns_together():
    reference, shifted = samples(1, 0.09, n=4_000)
    random = np.random.default_rng(9)
    edges = ColumnEdges.of("x", reference.tolist())
    then, now = (ColumnCounts.of(edges, side.tolist()) for side in (reference, shifted))
    noise = [judge_column(then, ColumnCounts.of(edges, random.standard_normal(4_000).tolist())) for _ in range(200)]
    alone = adjusted([judge_column(then, now)])[0].finding("drift")
    among = adjusted([judge_column(then, now), *noise])[0].finding("drift")
    assert alone.p_value == among.p_value
    assert alone.p_adjusted < among.p_adjusted


def finding(**changes):
    size = Estimate(0.2, None, None, 0.1, 0.3, None, 100, "", "ok", "")
    given = {"aspect": "drift", "size": size, "unit": "PSI", "floor": 0.1, "p_value": 0.01, "text": "t"}
    return Finding(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"p_adjusted": 0.05}, "changed"),
        ({"p_adjusted": 0.051}, "no evidence"),
        ({}, "no evidence"),
        ({"p_adjusted": 0.001, "floor": 0.3}, "within threshold"),
        ({"p_value": None}, "changed"),
        ({"size": None, "p_value": None}, "changed"),
        ({"size": Estimate.absent("why", n=0, method=""), "p_value": None}, "absent"),
    ],
)
def test_an_alarm_needs_evidence_and_a_practical_effect(changes, verdict):
    assert finding(**changes).verdict == verdict
