"""What a search makes of sums by day: errors with days as clusters, and the cover of overlapping candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from toolkit import stats
from toolkit.signals.segment_search.cover import Overlaps, cover
from toolkit.signals.segment_search.evidence import DayPatterns, one_sided, rise, widen_by_day


def patterns(rows: list[tuple[int, str, int, int, float]]) -> pd.DataFrame:
    """Population, day, pattern, requests and mean loss of each line, of losses 0 and 1."""
    frame = pd.DataFrame(rows, columns=["population", "day", "pattern", "n", "mean"])
    return frame.assign(total=frame["n"] * frame["mean"], square=frame["n"] * frame["mean"])


def days_of(population: int, inside: list[tuple[int, float]], outside: list[tuple[int, float]]) -> list[Any]:
    """One segment (bit 0) and all others on as many days as there are."""
    lines = []
    for day, (own, other) in enumerate(zip(inside, outside, strict=True), start=1):
        lines += [(population, f"2030-01-{day:02d}", 1, *own), (population, f"2030-01-{day:02d}", 0, *other)]
    return lines


EVEN = days_of(1, [(100, 0.4), (100, 0.5), (100, 0.3), (100, 0.6)], [(300, 0.2), (300, 0.3), (300, 0.1), (300, 0.3)])


def test_even_days_are_the_clusters_of_the_contrast() -> None:
    found = DayPatterns.of(patterns(EVEN), 1).against_rest(0)
    own, rest = np.array([0.4, 0.5, 0.3, 0.6]), np.array([0.2, 0.3, 0.1, 0.3])
    influences = ((own - own.mean()) - (rest - rest.mean())) / 4
    expected = stats.from_influence(own.mean() - rest.mean(), influences, 1600, "by hand", null=0.0)
    assert found.value == pytest.approx(expected.value)
    assert (found.se, found.df, found.p_value) == pytest.approx((expected.se, expected.df, expected.p_value))


def test_a_mean_by_even_days_is_the_ratio_by_days() -> None:
    found = DayPatterns.of(patterns(EVEN), 1).mean(0)
    expected = stats.ratio([40, 50, 30, 60], [100] * 4, n=400)
    assert (found.value, found.se, found.ci_lower) == pytest.approx((expected.value, expected.se, expected.ci_lower))


def test_a_segment_that_lives_on_one_day_has_a_reason_and_no_error() -> None:
    """It does not depart from its own mean on that day: taken at its word, it would be certain."""
    frame = patterns(days_of(1, [(0, 0.0), (400, 0.9), (0, 0.0), (0, 0.0)], [(300, 0.2)] * 4))
    found = DayPatterns.of(frame, 1).against_rest(0)
    assert found.value == pytest.approx(0.7)
    assert (found.se, found.p_value, one_sided(found)) == (None, None, None)
    assert found.reason == (
        "no interval and no test: its requests lie on too few days, about 1.0, and an error needs 2"
    )


def test_requests_piled_on_one_of_many_days_have_fewer_degrees_of_freedom() -> None:
    frame = patterns(days_of(1, [(300, 0.4), (60, 0.5), (90, 0.3), (150, 0.6), (80, 0.2)], [(300, 0.2)] * 5))
    found = DayPatterns.of(frame, 1).against_rest(0)
    n = np.array([300, 60, 90, 150, 80])
    assert found.df == pytest.approx(n.sum() ** 2 / np.square(n).sum() - 1)
    assert found.df < 3


def test_what_is_left_out_counts_on_neither_side() -> None:
    lines = [(1, f"2030-01-0{day}", pattern, 100, loss) for day in range(1, 5) for pattern, loss in
             ((0, 0.1), (1, 0.3), (2, 0.9), (3, 0.7))]  # fmt: skip  # its lines group what belongs together
    days = DayPatterns.of(patterns(lines), 1)
    assert days.against_rest(0).value == pytest.approx(0.5 - 0.5)
    assert days.against_rest(0, leaving_out=[1]).value == pytest.approx(0.3 - 0.1)


def test_a_rise_is_the_contrast_now_less_the_contrast_then() -> None:
    then = days_of(0, [(100, 0.3), (100, 0.2), (100, 0.4), (100, 0.3)], [(300, 0.2)] * 4)
    frame = patterns([*then, *EVEN])
    found = rise(DayPatterns.of(frame, 0), DayPatterns.of(frame, 1), 0)
    assert found.value == pytest.approx((0.45 - 0.225) - (0.3 - 0.2))


def test_errors_are_widened_and_never_narrowed() -> None:
    wide = DayPatterns.of(patterns(EVEN), 1).against_rest(0)
    lonely = stats.Estimate.alone(0.1, n=5, method="m", reason="too few days")
    found = widen_by_day([wide, wide, lonely], np.array([wide.se / 2, wide.se * 2, 0.1]))
    assert found.tolist() == pytest.approx([2.0, 1.0, np.inf])


def test_one_friday_is_judged_by_how_fridays_differ() -> None:
    frame = patterns(EVEN)
    whole, last = DayPatterns.of(frame, 1), DayPatterns.of(frame, 1, days=["2030-01-04"])
    assert last.against_rest(0).se is None
    found, all_days = last.against_rest(0, spread=whole), whole.against_rest(0)
    assert found.value == pytest.approx(0.6 - 0.3)
    assert found.se == pytest.approx(all_days.se * 2)
    assert found.df == all_days.df


def overlapping() -> Overlaps:
    """Candidate 0 is truly bad; 1 holds it and as much again; 2 is half of it; 3 is bad elsewhere. 4 is as before."""
    lines = []
    for population, losses in ((0, (0.2,) * 6), (1, (0.2, 0.6, 0.6, 0.2, 0.5, 0.2))):
        masks = (0, 0b00011, 0b00111, 0b00010, 0b01000, 0b10000)
        lines += [
            (population, "2030-01-01", mask, 9000 if mask == 0 else 500, loss)
            for mask, loss in zip(masks, losses, strict=True)
        ]
    return Overlaps.of(patterns(lines), 5)


def test_one_cause_is_listed_once_and_by_its_own_name() -> None:
    picks = cover(overlapping(), range(5), stats.rise_beyond_rest, largest_p=0.001, smallest_value=0.005, most=10)
    assert picks == [0, 3]


def test_the_list_ends_where_it_is_told_to() -> None:
    picks = cover(overlapping(), range(5), stats.rise_beyond_rest, largest_p=0.001, smallest_value=0.005, most=1)
    assert picks == [0]


def test_overlap_is_of_current_requests() -> None:
    overlaps = overlapping()
    assert overlaps.shared(0, 1) == pytest.approx(1000 / 1500)
    assert overlaps.shared(0, 2) == pytest.approx(0.5)
    assert overlaps.shared(0, 3) == 0
