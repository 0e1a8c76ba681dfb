"""What the best-known tools get wrong, row by row, and what ours says; then sizes that break others."""

from __future__ import annotations

import numpy as np
import pytest
from column_samples import compare, judge

from toolkit.metrics.profiles.edges import BINS, ColumnEdges
from toolkit.metrics.profiles.profile import ColumnCounts
from toolkit.metrics.profiles.scale import shares_needed
from toolkit.signals.drift import DRIFT_FLOOR, ColumnDrift, adjusted, judge_column
from toolkit.signals.drift.pictures import draw_distributions


def normal(n: int, *, seed: int, mean: float = 0.0, deviation: float = 1.0) -> list[float]:
    return (mean + deviation * np.random.default_rng(seed).standard_normal(n)).tolist()


def verdicts(column: ColumnDrift) -> dict[str, str]:
    return {found.aspect: found.verdict for found in column.findings}


def scores(column: ColumnDrift) -> dict[str, float]:
    shift = column.shift
    assert shift is not None
    assert shift.psi.value is not None
    found = {"psi": shift.psi.value, "js": shift.js, "hellinger": shift.hellinger}
    found["cramers_v"] = shift.homogeneity.cramers_v
    if shift.ks is not None:
        found["ks"] = shift.ks.lower
    if shift.wasserstein is not None:
        found["wasserstein"] = shift.wasserstein
    return found


def test_one_outlier_in_the_window_hides_no_shift_of_two_deviations() -> None:
    reference, current = normal(2000, seed=1), normal(1000, seed=2, mean=2.0)
    clean, dirty = judge(reference, current), judge(reference, [*current, 1e6])
    assert verdicts(clean) == verdicts(dirty) == {"missing": "no evidence", "drift": "changed"}
    assert scores(dirty) == pytest.approx(scores(clean), rel=0.05)
    assert scores(clean)["psi"] > 2


def test_one_outlier_in_the_reference_hides_no_shift_of_one_deviation() -> None:
    reference, current = normal(2000, seed=1), normal(1000, seed=2, mean=1.0)
    clean, dirty = judge(reference, current), judge([*reference, 1e6], current)
    assert verdicts(clean) == verdicts(dirty) == {"missing": "no evidence", "drift": "changed"}
    assert scores(dirty) == pytest.approx(scores(clean), rel=0.05)


def test_a_tiny_unit_hides_no_shift_of_five_deviations() -> None:
    small = judge(normal(1000, seed=1, deviation=1e-5), normal(1000, seed=2, mean=5e-5, deviation=1e-5))
    plain = judge(normal(1000, seed=1), normal(1000, seed=2, mean=5.0))
    assert verdicts(small) == {"missing": "no evidence", "drift": "changed"}
    assert scores(small) == pytest.approx(scores(plain), rel=1e-6)


def test_a_new_category_on_one_row_is_an_unseen_value_with_its_interval_and_no_drift() -> None:
    found = judge(["a"] * 500 + ["b"] * 400, ["a"] * 500 + ["b"] * 400 + ["c"])
    assert verdicts(found) == {"missing": "no evidence", "unseen": "changed", "drift": "no evidence"}
    unseen = found.finding("unseen")
    assert unseen.size.value == pytest.approx(1 / 901)
    assert (unseen.size.ci_lower, unseen.size.ci_upper) == pytest.approx((0.000196, 0.006260), abs=1e-6)
    assert unseen.size.method == "wilson"
    assert unseen.text == "1 of 901 values (0.111 %) were never seen before"


def test_numbers_of_which_the_reference_period_has_none_are_not_compared_with_the_weeks_before() -> None:
    """There is a single cell, in which any two distributions are the same, and no edge to draw it by."""
    edges = ColumnEdges.of_quantiles("x", dict.fromkeys(shares_needed(BINS)), n=0)
    then, now = (ColumnCounts.of(edges, normal(1000, seed=seed, mean=seed)) for seed in (1, 5))
    found = adjusted([judge_column(then, now, against="weekdays")])[0]
    drift = found.finding("drift")
    assert (drift.verdict, drift.text) == ("absent", "the reference period has no value to make cells of")
    assert found.shift is None
    assert draw_distributions([found]) is None


def test_numbers_that_became_texts_are_a_changed_schema_and_no_drift_is_computed() -> None:
    found = compare({"x": [1, 2] * 500}, {"x": ["1", "2"] * 500})["x"]
    assert verdicts(found) == {"schema": "changed"}
    assert found.words == "the type is text, in the reference number"
    assert found.shift is None


def test_whole_numbers_that_became_floats_are_no_changed_schema() -> None:
    found = compare({"x": [1, 2] * 500}, {"x": [1.0, 2.0] * 500})["x"]
    assert verdicts(found) == {"missing": "no evidence", "unseen": "no evidence", "drift": "no evidence"}


def test_a_constant_that_is_another_one_is_said_with_the_difference() -> None:
    found = judge([1.0] * 1000, [1.0005] * 1000)
    assert verdicts(found) == {"missing": "no evidence", "constant": "changed"}
    assert found.words == "constant changed"
    assert found.finding("constant").text == ("it was 1 throughout and is another value in 100 %: 1.0005, +0.0005")


def test_a_constant_that_stays_is_nothing() -> None:
    assert verdicts(judge([1.0] * 1000, [1.0] * 500)) == {"missing": "no evidence", "constant": "no evidence"}


def test_newly_missing_values_come_first() -> None:
    values = normal(1000, seed=1)
    found = judge(values, [*values[:400], *[None] * 600])
    assert verdicts(found) == {"missing": "changed", "drift": "no evidence"}
    assert found.worst.aspect == "missing"
    assert found.worst.text == "60 % of its values are missing, in the reference 0 %"
    assert found.missing[1].ci_lower == pytest.approx(0.569, abs=1e-3)


def test_a_column_without_any_value_is_missing_and_the_others_are_still_compared() -> None:
    values = normal(1000, seed=1)
    shifted = normal(1000, seed=2, mean=2.0)
    found = compare({"x": values, "y": values}, {"x": [None] * 1000, "y": shifted}, types={"x": "number"})
    assert verdicts(found["x"]) == {"missing": "changed", "drift": "absent"}
    assert found["x"].finding("drift").size.reason == "every value is missing now"
    assert verdicts(found["y"])["drift"] == "changed"


def test_a_column_that_is_absent_is_a_changed_schema_and_the_others_are_still_compared() -> None:
    values = normal(1000, seed=1)
    found = compare({"x": values, "y": values}, {"y": values})
    assert found["x"].words == "the column is absent"
    assert verdicts(found["x"]) == {"schema": "changed"}
    assert verdicts(found["y"])["drift"] == "no evidence"


def test_a_column_more_is_a_changed_schema_and_the_others_are_still_compared() -> None:
    values = normal(1000, seed=1)
    found = compare({"y": values}, {"x": values, "y": values})
    assert found["x"].words == "the column is new: the reference has no value of it"
    assert verdicts(found["y"])["drift"] == "no evidence"


def test_one_row_is_not_enough_data() -> None:
    found = judge(normal(1000, seed=1), [3.0])
    assert verdicts(found) == {"missing": "absent", "drift": "absent"}
    assert found.words == "absent: not enough data: 1,000 rows in the reference and 1 now, 50 are needed"


def test_three_rows_are_not_enough_data() -> None:
    assert verdicts(judge(normal(1000, seed=1), [1.0, 2.0, None])) == {"missing": "absent", "drift": "absent"}


def test_one_category_that_stays_is_nothing_and_one_that_changes_was_never_seen() -> None:
    same, other = judge(["a"] * 300, ["a"] * 200), judge(["a"] * 300, ["b"] * 200)
    assert verdicts(same) == {"missing": "no evidence", "unseen": "no evidence", "drift": "absent"}
    assert same.finding("drift").size.reason == "all observations lie in one cell"
    assert verdicts(other) == {"missing": "no evidence", "unseen": "changed", "drift": "changed"}


@pytest.mark.parametrize("rows", [2_000, 100_000])
def test_a_hundred_thousand_categories_of_pure_noise_are_no_drift(rows: int) -> None:
    """Others' scores grow with the number of categories: 0.68 and 2.24 for 5,000 of them."""
    random = np.random.default_rng(7)
    reference, current = (random.integers(0, 100_000, rows).astype(str).tolist() for _ in range(2))
    found = judge(reference, current)
    assert found.changes == ()


def test_a_category_that_takes_over_among_a_hundred_thousand_is_found() -> None:
    random = np.random.default_rng(7)
    reference = random.integers(0, 100_000, 20_000).astype(str).tolist()
    current = random.integers(0, 100_000, 20_000).astype(str).tolist()
    found = judge([*reference, *["big"] * 2_000], [*current[:14_000], *["big"] * 8_000])
    assert "drift" in [change.aspect for change in found.changes]


def test_a_hundred_million_rows_are_counts_and_tiny_evident_changes_stay_within_the_threshold() -> None:
    edges = ColumnEdges.of("x", np.linspace(0, 1, 2001).tolist())
    size = 10**8 // edges.size
    even = ColumnCounts(edges, (size,) * edges.size)
    tilted = ColumnCounts(edges, tuple(int(size * (1 + 0.01 * (-1) ** place)) for place in range(edges.size)))
    (found,) = adjusted([judge_column(even, tilted)])
    drift = found.finding("drift")
    assert drift.p_value < 1e-300
    assert drift.verdict == "within threshold"
    assert drift.size.value == pytest.approx(1e-4, rel=0.01)


def test_a_hundred_million_rows_with_one_unseen_value_are_judged_exactly() -> None:
    edges = ColumnEdges.of("x", ["a"] * 50 + ["b"] * 50)
    then = ColumnCounts(edges, (5 * 10**7, 5 * 10**7))
    now = ColumnCounts(edges, (5 * 10**7, 5 * 10**7 - 1), unseen=1)
    (found,) = adjusted([judge_column(then, now)])
    assert verdicts(found) == {"missing": "no evidence", "unseen": "changed", "drift": "no evidence"}
    assert found.finding("unseen").times_floor == pytest.approx(1e-6)


def test_a_shift_within_the_threshold_is_evident_and_not_worth_acting_on() -> None:
    found = judge(normal(100_000, seed=1), normal(100_000, seed=2, mean=0.1))
    drift = found.finding("drift")
    assert drift.verdict == "within threshold"
    assert drift.size.value < DRIFT_FLOOR
    assert drift.p_adjusted < 1e-20


def test_values_of_a_long_tail_are_expected_to_be_new_as_often_as_they_were() -> None:
    random = np.random.default_rng(3)
    reference = [f"u{number}" for number in random.zipf(1.3, 5_000)]
    current = [f"u{number}" for number in random.zipf(1.3, 5_000)]
    assert verdicts(judge(reference, current))["unseen"] == "no evidence"
    assert verdicts(judge(reference, [*current[:2_500], *[f"new{n}" for n in range(2_500)]]))["unseen"] == "changed"
