from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from arranged_units import ArrangedUnits, days_after
from arranged_units import metric as a_metric
from looks_of import make_plan

from toolkit import data, experiments, stats
from toolkit.experiments.course import Course, TreatmentCourse

if TYPE_CHECKING:
    from experiment_trial import Trial

FIXED = {"secondary: [profit]": "secondary: []"}
SEQUENTIAL = FIXED | {
    "alpha: 0.05\n": "alpha: 0.05\ndesign: {kind: group_sequential, looks: ['2024-03-06', '2024-03-11']}\n"
}


def _units(
    *, units: int = 4000, days: int = 14, since: int = 8, gain: Any = lambda _: 0.3, seed: int = 5, returns: bool = True
) -> ArrangedUnits:
    """Units that are exposed evenly over the days and come back on each of the `since` days after it.

    gain: by how much the treatment's requests are larger, from the days since exposure.
    """
    rng = np.random.default_rng(seed)
    unit = np.arange(units)
    ages = np.arange(since if returns else 1)
    frame = pd.DataFrame(
        {
            "unit": np.repeat(unit, len(ages)),
            "since": np.tile(ages, units),
            "variant": np.repeat(np.where(unit % 2, "treatment", "control"), len(ages)),
            "exposed_on": np.repeat([days_after(int(day)) for day in rng.integers(0, days, units)], len(ages)),
        }
    )
    own = np.repeat(rng.normal(0, 1, units), len(ages))
    more = np.array([gain(int(age)) for age in frame["since"]]) * (frame["variant"] == "treatment")
    for key in make_plan(**FIXED).metrics:
        frame[key] = 10 + own + rng.normal(0, 1, len(frame)) + more
    return ArrangedUnits(frame, dict.fromkeys(make_plan(**FIXED).metrics, a_metric()))


def _course(units: Any, changes: dict[str, str] | None = None) -> TreatmentCourse:
    (course,) = _whole(units, changes).courses
    return course


def _whole(units: Any, changes: dict[str, str] | None = None) -> Course:
    return experiments.effects_over_time(make_plan(**(changes or FIXED)), units)


def test_the_last_step_is_the_effect_of_the_readout_with_a_wider_interval() -> None:
    units = _units()
    course = _course(units)
    last = course.steps[-1]
    assert last.difference.value == pytest.approx(course.effect.difference.value)
    assert last.difference.se == pytest.approx(course.effect.difference.se)
    assert last.exposed == 4000
    reach = stats.always_valid_reach(4000, alpha=0.05)
    assert last.difference.ci_upper == pytest.approx(last.difference.value + reach * last.difference.se)
    assert course.effect.difference.ci_upper is not None
    assert last.difference.ci_upper > course.effect.difference.ci_upper


def test_steps_are_the_effect_over_units_exposed_up_to_a_day() -> None:
    units = _units(units=600)
    for step in _course(units).steps[::4]:
        rows = units.requests[units.requests["exposed_on"] <= step.day]
        means = rows.groupby("variant")["brier"].mean()
        assert step.difference.value == pytest.approx(means["treatment"] - means["control"])
        assert step.exposed == rows["unit"].nunique()


def test_a_steady_effect_is_steady() -> None:
    course = _course(_units())
    assert course.trend == "steady"
    assert "There is no evidence that it changes with the days since exposure (" in course.text
    assert [age.days for age in course.ages] == list(range(8))


@pytest.mark.parametrize(
    ("gain", "trend", "words"),
    [
        (lambda age: 1.0 - 0.12 * age, "fades", "It fades with the days since exposure, as a novelty does ("),
        (lambda age: 0.12 * age, "grows", "It grows with the days since exposure, as what has to be learnt does ("),
        (lambda age: -1.0 + 0.12 * age, "fades", "It fades with the days since exposure, as a novelty does ("),
    ],
)
def test_an_effect_that_fades_or_grows_is_called_so(gain: Any, trend: str, words: str) -> None:
    course = _course(_units(gain=gain))
    assert course.trend == trend
    assert words in course.text
    assert abs(course.slope.value or 0.0) == pytest.approx(0.12, abs=0.03)


def test_units_that_do_not_come_back_have_no_trend_and_the_reason_is_said() -> None:
    whole = _whole(_units(returns=False))
    (course,) = whole.courses
    assert course.trend == "unknown"
    reason = "every request that counts came on the day of its unit's exposure"
    assert course.slope.reason == reason
    assert f"Whether it fades or grows with the days since exposure cannot be said: {reason}." in whole.text
    assert [picture.name for picture in whole.to_pictures()] == ["path"]
    assert whole.plot_ages().alt == f"no effect by days since exposure: {reason}"


def test_few_days_since_exposure_give_no_slope() -> None:
    course = _course(_units(since=3))
    assert course.slope.reason == "only 3 days since exposure have an effect with an error, a slope needs 5"


def test_planned_looks_have_bounds_in_the_metrics_unit_and_those_to_come_are_told_apart() -> None:
    units = _units()
    seen = units.requests[units.requests["exposed_on"] < date(2024, 3, 10)]
    early = replace(units, requests=seen, as_of=datetime(2024, 3, 11, tzinfo=UTC))
    course = _course(early, SEQUENTIAL)
    assert [barrier.passed for barrier in course.barriers] == [True, False]
    taken = next(barrier for barrier in course.barriers if barrier.passed)
    step = next(step for step in reversed(course.steps) if step.day <= taken.day)
    assert taken.reach == pytest.approx(taken.z * step.difference.se)
    ahead = course.barriers[-1]
    assert not ahead.passed
    assert ahead.reach is not None
    assert ahead.reach < taken.reach
    picture = _whole(early, SEQUENTIAL).plot()
    assert "(to come, 2024-03-14)" in picture.alt


def test_a_fixed_plan_has_no_bounds_on_the_way() -> None:
    assert _course(_units()).barriers == ()


def test_the_day_since_which_the_interval_excludes_zero_is_the_first_of_the_last_run() -> None:
    course = _course(_units(gain=lambda _: 0.5))
    assert course.first_apart is not None
    place = course.steps.index(course.first_apart)
    assert all(step.difference.excludes_zero for step in course.steps[place:])
    assert place == 0 or not course.steps[place - 1].difference.excludes_zero
    nothing = _course(_units(gain=lambda _: 0.0))
    assert nothing.first_apart is None
    assert "its interval still holds 0" in nothing.text


@pytest.mark.slow
def test_looking_every_day_at_nothing_seldom_finds_something() -> None:
    """The cumulative intervals hold on all days together: over experiments without effect few ever exclude zero."""
    found = 0
    for seed in range(40):
        course = _course(_units(units=400, since=1, gain=lambda _: 0.0, seed=seed))
        found += any(step.difference.excludes_zero for step in course.steps if step.exposed >= 100)
    assert found <= 4


def test_rows_and_table_say_what_the_text_says() -> None:
    whole = _whole(_units())
    rows = whole.to_rows()
    by = {(row.statistic, row.window, row.segment): row for row in rows}
    assert by["trend", "", ""].value == "steady"
    last = whole.courses[0].steps[-1]
    row = by["cumulative_difference", f"up to {last.day}", ""]
    assert (row.value, row.ci_lower, row.ci_upper) == (
        last.difference.value,
        last.difference.ci_lower,
        last.difference.ci_upper,
    )
    assert by["difference", "", "days_since_exposure=3"].value == whole.courses[0].ages[3].difference.value
    table = whole.to_table()
    assert table[-1]["exposed_up_to"] == str(last.day)
    assert len(table) == 2  # 14 days


def test_figures_are_the_same_every_time_and_described() -> None:
    whole = _whole(_units())
    pictures = whole.to_pictures()
    assert pictures == whole.to_pictures()
    assert [picture.name for picture in pictures] == ["path", "days-since-exposure"]
    assert pictures[0].alt.startswith("Metric, treatment - control: the difference over all units exposed up to each ")
    assert "day 0 +0." in pictures[1].alt
    assert whole.plot() == pictures[0]
    assert whole.plot_ages() == pictures[1]


def test_a_real_experiment_has_a_course(repeated_trial: Trial, tmp_path: Path) -> None:
    workspace = repeated_trial.write(tmp_path)
    plan = experiments.load(workspace, "eta-v2")
    units = experiments.measure(plan, data.open_source(workspace))
    whole = experiments.effects_over_time(plan, units)
    (course,) = whole.courses
    readout = experiments.analyze(plan, units)
    assert course.steps[-1].difference.value == pytest.approx(readout.effects[0].difference.value, abs=1e-12)
    assert course.steps[-1].difference.se == pytest.approx(readout.effects[0].difference.se, abs=1e-12)
    assert whole.text.startswith("Brier score: over 14 days of exposure (2024-03-01 to 2024-03-14) ")
