"""Steps: found where they are, with their size and date; and not found where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from day_series import noise
from hypothesis import given
from hypothesis import strategies as st
from ruptures import Pelt

from toolkit import stats
from toolkit.errors import ArgumentError

DAYS = 182


def stepped(*, step: float, at: int = 120, days: int = DAYS, seed: int = 1, alike: float = 0.0) -> np.ndarray:
    values = noise(days, np.random.default_rng(seed), alike=alike)
    values[at:] += step
    return values


@given(st.lists(st.integers(-20, 20), min_size=6, max_size=30), st.floats(1, 400))
def test_the_segmentation_is_no_worse_than_that_of_the_textbook_algorithm(values, penalty):
    def cost(ends: list[int]) -> float:
        parts = np.split(np.array(values, dtype=float), ends[:-1])
        return sum(float(np.square(part - part.mean()).sum()) for part in parts) + penalty * (len(ends) - 1)

    ours = list(stats.segment_ends(values, penalty=penalty))
    theirs = Pelt(model="l2", min_size=2, jump=1).fit(np.array(values, dtype=float)).predict(pen=penalty)
    assert cost(ours) <= cost(theirs) + 1e-6


@given(st.lists(st.integers(-50, 50), min_size=4, max_size=30))
def test_the_best_split_is_the_best_of_all(values):
    array = np.array(values, dtype=float)
    whole = float(np.square(array - array.mean()).sum())
    gains = [
        whole - sum(float(np.square(part - part.mean()).sum()) for part in np.split(array, [place]))
        for place in range(2, len(values) - 1)
    ]
    assert stats.best_split(values).gain == pytest.approx(max(gains), abs=1e-6)


@pytest.mark.parametrize("step", [3.0, -3.0])
def test_a_step_is_found_where_it_is_and_as_large_as_it_is(step):
    (point,) = stats.change_points(stepped(step=step)).points
    assert point.first_place <= 120 <= point.last_place
    assert abs(point.place - 120) <= 3
    assert point.change.ci_lower < step < point.change.ci_upper
    assert point.change.value == pytest.approx(point.after - point.before)
    assert point.change.p_value < 1e-6


def test_several_steps_are_found_in_order():
    values = stepped(step=4.0, at=60)
    values[130:] -= 6
    assert [abs(point.place - at) <= 2 for point, at in zip(stats.change_points(values).points, (60, 130), strict=True)]


def test_an_outlier_of_a_million_is_no_step_and_hides_none():
    values = stepped(step=3.0)
    before = stats.change_points(values)
    values[30] = 1e6
    values[150] = -1e6
    after = stats.change_points(values)
    assert [point.place for point in after.points] == [point.place for point in before.points]
    assert after.points[0].change.value == pytest.approx(before.points[0].change.value, rel=0.05)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_changes_nothing_but_the_numbers(scale):
    plain, scaled = (
        stats.change_points(values) for values in (stepped(step=2.0), 7 * scale + scale * stepped(step=2.0))
    )
    assert [point.place for point in scaled.points] == [point.place for point in plain.points]
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-3)
    assert scaled.points[0].change.value == pytest.approx(scale * plain.points[0].change.value, rel=1e-6)


def test_a_slow_rise_is_gradual_and_no_stair():
    values = np.linspace(0, 12, DAYS) + noise(DAYS, np.random.default_rng(2))
    found = stats.change_points(values)
    assert found.gradual
    assert found.points == ()
    assert found.p_value < 1e-6


def test_the_date_lies_in_its_interval():
    """95 % of the intervals should hold the true place; of steps of two standard deviations, in 200 series."""
    held = 0
    for seed in range(200):
        points = stats.change_points(stepped(step=2.0, seed=seed)).points
        held += any(point.first_place <= 120 <= point.last_place for point in points)
    assert held >= 184


def test_what_cannot_be_searched_is_absent_with_its_reason():
    short = stats.change_points([1.0, 2.0] * 10)
    assert (short.status, short.reason) == ("absent", "a search for steps needs 28 values, given: 20")
    assert stats.change_points([]).reason == "a search for steps needs 28 values, given: 0"
    flat = stats.change_points([3.0] * 40)
    assert (flat.status, flat.reason, flat.points) == ("absent", "the values do not vary", ())


def test_one_constant_after_another_is_a_step():
    (point,) = stats.change_points([1.0] * 30 + [2.0] * 30).points
    assert (point.place, point.before, point.after) == (30, 1.0, 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.best_split([1.0, 2.0, 3.0]), "values has 3 entries, a step between parts of 2 needs 4"),
        (lambda: stats.segment_ends([1.0] * 9, penalty=0), "penalty == 0, must be a number above 0"),
        (lambda: stats.segment_ends([1.0] * 9, penalty=1, min_size=0), "min_size == 0, must be at least 1"),
        (lambda: stats.largest_step_p(-1, 9, min_size=2), "gain == -1, must be a number of at least 0"),
    ],
)
def test_what_is_asked_wrongly_is_said(call, message):
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value) == message


def test_the_penalty_is_where_the_chance_is_alpha():
    for alpha in (0.2, 0.05, 0.001):
        penalty = stats.step_penalty(alpha, DAYS, min_size=7)
        assert stats.largest_step_p(penalty, DAYS, min_size=7) == pytest.approx(alpha, rel=1e-6)
    assert stats.largest_step_p(0.5, DAYS, min_size=7) == 1.0


def test_the_chance_of_the_largest_step_is_not_below_that_of_trials():
    """Of independent values of known variance: Miller and Siegmund's formula is an upper bound, and a near one."""
    rng = np.random.default_rng(5)
    runs = 4000
    after = np.arange(7, DAYS - 6)
    values = rng.normal(size=(runs, DAYS))
    sums = np.cumsum(values - values.mean(axis=1, keepdims=True), axis=1)[:, after - 1]
    largest = (np.square(sums) * (DAYS / (after * (DAYS - after)))).max(axis=1)
    for alpha in (0.1, 0.05, 0.01):
        share = float((largest > stats.step_penalty(alpha, DAYS, min_size=7)).mean())
        assert alpha / 3 - 4 * math.sqrt(alpha / runs) <= share <= alpha + 4 * math.sqrt(alpha / runs)


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.6])
def test_a_series_without_a_step_shows_none_in_95_of_100(alike):
    rng = np.random.default_rng(10)
    runs = 400
    false = sum(bool(stats.change_points(noise(DAYS, rng, alike=alike)).points) for _ in range(runs))
    assert false <= 0.05 * runs


@pytest.mark.slow
@pytest.mark.parametrize("days", [28, 60, 182, 365])
@pytest.mark.parametrize("shape", ["normal", "alike", "heavy", "shares"])
def test_false_steps_stay_below_five_in_a_hundred_whatever_the_noise(days, shape):
    rng = np.random.default_rng(days)
    runs = 1000
    false = 0
    for _ in range(runs):
        if shape == "heavy":
            values = rng.standard_t(3, size=days)
        elif shape == "shares":
            values = rng.binomial(200, 0.02, size=days) / 200
        else:
            values = noise(days, rng, alike=0.5 if shape == "alike" else 0.0)
        false += bool(stats.change_points(values).points)
    assert false <= 0.05 * runs
