from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from experiment_trial import START, Reading, Trial, make_trial

from toolkit import stats
from toolkit.errors import Skipped
from toolkit.experiments.effects import Effect
from toolkit.experiments.holdout import Holdout, LongRun, long_run

HOLDOUT = {"kind: ab": "kind: holdout"}
CLUSTERED = {"analysis: plain": "analysis: clustered\ncluster: cluster_id"}


def read_holdout(read: Callable[..., Reading], trial: Trial, changes: dict[str, str]) -> tuple[Reading, Holdout]:
    reading = read(trial.planned(HOLDOUT | changes))
    return reading, long_run(reading.plan, reading.units)


@pytest.fixture(scope="module")
def launch() -> Trial:
    """The same gain all the time."""
    return make_trial(units=1500, most_requests=3, seed=4)


def first_periods(trial: Trial) -> pd.DataFrame:
    """The requests that count, with the first day of the week in which their unit was first exposed."""
    rows = trial.counted
    weeks = (rows["exposed_at"] - START) // pd.Timedelta(days=7)
    return rows.assign(first=(START + weeks * pd.Timedelta(days=7)).dt.strftime("%Y-%m-%d"))


@pytest.mark.parametrize("changes", [{}, pytest.param(CLUSTERED, marks=pytest.mark.slow)], ids=["plain", "clustered"])
def test_a_period_has_the_effect_of_the_units_first_exposed_in_it(
    read: Callable[..., Reading], launch: Trial, changes: dict[str, str]
) -> None:
    _, found = read_holdout(read, launch, changes)
    [run] = found.found
    rows = first_periods(launch)
    assert found.period_days == 7
    assert [str(period.first) for period in run.periods] == sorted(rows["first"].unique())
    for period in run.periods:
        inside = rows[rows["first"] == str(period.first)]
        means = inside.groupby("variant")["brier"].mean()
        assert period.difference.value == pytest.approx(means["treatment"] - means["control"], abs=1e-12)


def test_totals_are_the_effect_times_the_requests_of_each_side(read: Callable[..., Reading], launch: Trial) -> None:
    reading, found = read_holdout(read, launch, {})
    [run] = found.found
    counts = launch.counted.dropna(subset=["brier"]).groupby("variant").size()
    difference = reading.readout.effects[0].difference
    assert run.launched_requests == counts["treatment"]
    assert run.gained.value == pytest.approx(difference.value * counts["treatment"])
    assert run.forgone.ci_lower == pytest.approx(difference.ci_lower * counts["control"])


def test_a_line_needs_three_whole_periods(read: Callable[..., Reading], launch: Trial) -> None:
    _, found = read_holdout(read, launch, {})
    [run] = found.found
    assert len(run.periods) == 2
    assert run.course == "unknown"
    assert "Whether it decays is unknown: 2 whole periods have an interval, a line needs 3." in found.text


def test_an_effect_that_fades_is_said_to_decay() -> None:
    """The words follow from the slope's sign and the effect's, at the plan's alpha."""
    fading = stats.trend([-0.05, -0.04, -0.03, -0.02], [0.002] * 4).slope
    growing = stats.trend([-0.02, -0.03, -0.04, -0.05], [0.002] * 4).slope
    steady = stats.trend([-0.05, -0.04, -0.05, -0.04], [0.02] * 4).slope
    base = _run(fading)
    assert [replace(base, slope=slope).course for slope in (fading, growing, steady)] == ["decays", "grows", "lasts"]


def test_what_it_shows_can_be_saved_and_seen(read: Callable[..., Reading], launch: Trial) -> None:
    _, found = read_holdout(read, launch, {})
    assert {row.statistic for row in found.to_rows()} >= {"gained", "forgone", "period_difference", "course"}
    assert len(found.to_table()) == 2
    [picture] = found.to_pictures()
    assert picture.alt.startswith("Brier score, treatment - control, by period with 95 % intervals: 2024-03-01")


def test_an_ab_test_has_no_launch_to_look_back_at(read: Callable[..., Reading], trial: Trial) -> None:
    reading = read(trial)
    with pytest.raises(Skipped, match="of kind ab, not a holdout; there is no launch to look back at"):
        long_run(reading.plan, reading.units)


def _run(slope: stats.Estimate) -> LongRun:
    difference = stats.from_standard_error(-0.04, 0.001, n=100, method="welch", null=0.0)
    nothing = stats.Estimate.absent("not asked", n=0, method="")
    effect = Effect(
        metric="brier",
        name="Brier score",
        role="primary",
        treatment="launched",
        control="held",
        unit="",
        direction="decrease",
        control_mean=0.2,
        treatment_mean=0.16,
        difference=difference,
        lift=nothing,
    )
    return LongRun(effect, (), slope, nothing, 10, 10, nothing, nothing, 0.05)
