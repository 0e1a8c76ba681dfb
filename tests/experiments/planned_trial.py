"""The small experiment as history: what version 1 served in its two weeks, before an experiment that is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiment_trial import END, START, Trial

if TYPE_CHECKING:
    import pandas as pd

LATER = {'window: {start: "2024-03-01", end: "2024-03-15"}': 'window: {start: "2024-03-15", end: "2024-04-12"}'}
"""The experiment comes after the trial's own two weeks, which are its history."""
RULE = "rule: superior_and_not_inferior\n"
AS_OF = "2024-03-18"


def served_rows(trial: Trial) -> pd.DataFrame:
    """What version 1 served in the two weeks, with its labels."""
    rows = trial.predictions
    rows = rows[rows["served"] & (rows["version"] == "1")]
    rows = rows[(rows["occurred_at"] >= START) & (rows["occurred_at"] < END)]
    rows = rows.merge(trial.outcomes[["request_id", "label"]], on="request_id", how="left")
    return rows.assign(brier=(rows["label"] - rows["score"]) ** 2)


def sums_by(rows: pd.DataFrame, by: str, column: str) -> pd.DataFrame:
    return rows.groupby(by)[column].agg(["sum", "count"])


def linearised(sums: pd.DataFrame) -> pd.Series:
    ratio = sums["sum"].sum() / sums["count"].sum()
    return (sums["sum"] - ratio * sums["count"]) / sums["count"].mean()
