"""The weeks before a planned experiment: how its units vary, once more with pandas."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_trial import END, START, Trial, make_trial
from planned_trial import AS_OF, LATER, RULE, linearised, served_rows, sums_by

from toolkit import data, experiments
from toolkit.experiments.history import UnitVariance, design_effect, read_history, unit_variance


def _history(trial: Trial, root: Path, changes: dict[str, str] | None = None, **options: Any) -> Any:
    workspace = trial.planned(LATER).planned(changes or {}).write(root)
    plan = experiments.load(workspace, "eta-v2")
    return read_history(plan, data.open_source(workspace), as_of=AS_OF, **{"weeks": 2, **options})


@pytest.mark.parametrize(("metric", "column"), [("brier", "brier"), ("profit", "profit"), ("latency", "latency_ms")])
def test_the_variance_of_a_unit_is_that_of_its_linearised_sums(
    repeated_trial: Trial, tmp_path: Path, metric: str, column: str
) -> None:
    found = unit_variance(_history(repeated_trial, tmp_path), metric, days=14)
    rows = served_rows(repeated_trial)
    assert isinstance(found, UnitVariance)
    assert found.units == rows["unit_id"].nunique()
    assert found.level == pytest.approx(rows[column].mean(), rel=1e-12)
    assert found.variance == pytest.approx(linearised(sums_by(rows, "unit_id", column)).var(), rel=1e-9)
    assert not found.single


def test_a_level_of_a_billion_keeps_its_variance(repeated_trial: Trial, tmp_path: Path) -> None:
    far = repeated_trial.predictions.assign(profit=repeated_trial.predictions["profit"] + 1e9)
    shifted = Trial(far, repeated_trial.outcomes, repeated_trial.exposures)
    near = unit_variance(_history(repeated_trial, tmp_path / "near"), "profit", days=14)
    found = unit_variance(_history(shifted, tmp_path / "far"), "profit", days=14)
    assert found.variance == pytest.approx(near.variance, rel=1e-6)  # the numbers themselves have 1e-7 of a unit left


def test_units_are_counted_on_the_first_day_they_come(repeated_trial: Trial, tmp_path: Path) -> None:
    history = _history(repeated_trial, tmp_path)
    rows = repeated_trial.predictions
    rows = rows[rows["served"] & (rows["occurred_at"] < END)]
    first = rows.groupby("unit_id")["occurred_at"].min().dt.date.value_counts()
    assert dict(history.new_units) == {day.date(): first.get(day.date(), 0) for day in pd.date_range(START, periods=14)}
    week, units = sum(first[first.index >= date(2024, 3, 8)]), first.sum()
    assert history.units_after(14) == history.units == units
    assert history.units_after(28) == units + 2 * week  # the last week again and again
    assert history.units_after(15) == units + history.new_units[7][1]
    # Everybody will be in the experiment; how they vary is known of those who met version 1.
    assert history.control_units == served_rows(repeated_trial)["unit_id"].nunique() < units


def test_covariates_explain_what_a_regression_says(repeated_trial: Trial, tmp_path: Path) -> None:
    changes = {RULE: RULE + "covariates: [{column: score_before}, {column: latency_before}]\n"}
    rng = np.random.default_rng(3)
    rows = repeated_trial.predictions
    known = rows.assign(
        score_before=rows["profit"] + rng.normal(0, 2, len(rows)),
        latency_before=np.where(rng.random(len(rows)) < 0.2, np.nan, rng.normal(0, 1, len(rows))),
    )
    trial = Trial(known, repeated_trial.outcomes, repeated_trial.exposures)
    found = unit_variance(_history(trial, tmp_path, changes), "profit", days=14)
    served = served_rows(trial)
    units = served.groupby("unit_id").agg(x=("score_before", "mean"), z=("latency_before", "mean"))
    complete = units.dropna()
    design = np.column_stack([np.ones(len(complete)), complete["x"], complete["z"]])
    sums = sums_by(served, "unit_id", "profit").loc[complete.index]
    linear = sums["sum"] - served["profit"].mean() * sums["count"]
    fitted = design @ np.linalg.lstsq(design, linear, rcond=None)[0]
    assert found.covered == pytest.approx(len(complete) / len(units))
    assert found.explained == pytest.approx(found.covered * np.var(fitted) / np.var(linear), rel=1e-9)
    assert found.explained > 0.3


def test_a_units_own_past_is_a_covariate(tmp_path: Path) -> None:
    trial = make_trial(units=300, most_requests=12, seed=2)
    rng = np.random.default_rng(8)
    habit = {unit: rng.normal(0, 9) for unit in trial.predictions["unit_id"].unique()}
    rows = trial.predictions.assign(profit=trial.predictions["profit"] + trial.predictions["unit_id"].map(habit))
    changes = {RULE: RULE + "covariates: [{metric: profit, days: 7}]\n"}
    history = _history(Trial(rows, trial.outcomes, trial.exposures), tmp_path, changes, weeks=1)
    found = unit_variance(history, "profit", days=7)
    served = served_rows(Trial(rows, trial.outcomes, trial.exposures))
    middle = pd.Timestamp("2024-03-08", tz="UTC")
    past, now = (served[served["occurred_at"] < middle], served[served["occurred_at"] >= middle])
    own = past.groupby("unit_id")["profit"].mean()
    sums = sums_by(now, "unit_id", "profit")
    linear = sums["sum"] - now["profit"].mean() * sums["count"]
    both = pd.concat([linear.rename("e"), own.rename("x")], axis=1, join="inner")
    assert found.covered == pytest.approx(len(both) / len(sums))
    assert found.explained == pytest.approx(found.covered * both.corr().loc["e", "x"] ** 2, rel=1e-9)
    assert found.explained > 0.3


def test_clusters_widen_a_level_by_the_design_effect(repeated_trial: Trial, tmp_path: Path) -> None:
    history = _history(repeated_trial, tmp_path, {"analysis: plain": "analysis: clustered\ncluster: cluster_id"})
    rows = served_rows(repeated_trial)
    by_cluster, by_unit = (linearised(sums_by(rows, by, "brier")) for by in ("cluster_id", "unit_id"))
    expected = (by_cluster.var() / len(by_cluster)) / (by_unit.var() / len(by_unit))
    assert design_effect(history, "brier") == pytest.approx(expected, rel=1e-9)
    assert design_effect(_history(repeated_trial, tmp_path / "plain"), "brier") is None


def test_a_unit_without_a_cluster_stands_for_itself(repeated_trial: Trial, tmp_path: Path) -> None:
    rows = repeated_trial.predictions
    lone = rows["cluster_id"] < "c010"
    called_like_a_unit = {"c020": rows.loc[lone, "unit_id"].iloc[0]}
    clusters = rows["cluster_id"].mask(lone).replace(called_like_a_unit)
    trial = Trial(rows.assign(cluster_id=clusters), repeated_trial.outcomes, repeated_trial.exposures)
    history = _history(trial, tmp_path, {"analysis: plain": "analysis: clustered\ncluster: cluster_id"})
    served = served_rows(trial)
    served = served.assign(group=served["cluster_id"].fillna("alone " + served["unit_id"]))
    by_group, by_unit = (linearised(sums_by(served, by, "brier")) for by in ("group", "unit_id"))
    assert design_effect(history, "brier") == pytest.approx(
        (by_group.var() / len(by_group)) / (by_unit.var() / len(by_unit)), rel=1e-9
    )


def test_only_eligible_requests_make_history(repeated_trial: Trial, tmp_path: Path) -> None:
    history = _history(repeated_trial, tmp_path, {RULE: RULE + "eligible: profit > -10\n"})
    rows = served_rows(repeated_trial)
    rows = rows[rows["profit"] > -10]
    found = unit_variance(history, "latency", days=14)
    assert history.control_units == found.units == rows["unit_id"].nunique()
    assert found.level == pytest.approx(rows["latency_ms"].mean(), rel=1e-12)


def test_history_ends_where_labels_are_mature_and_weeks_are_whole(trial: Trial, tmp_path: Path) -> None:
    workspace = trial.planned(LATER).write(tmp_path)
    plan = experiments.load(workspace, "eta-v2")
    history = read_history(plan, data.open_source(workspace), as_of="2024-03-12T06:00Z", weeks=4)
    # Friday to Thursday, as the experiment; labels take a day, and the data begin on Friday the 1st.
    assert history.window.label == "2024-03-01 … 2024-03-07"
