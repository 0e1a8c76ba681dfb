"""Two months of requests whose labels take days, the positive ones fewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conftest import SmallWorkspace, make_events, write_workspace
from toolkit.data import ModelDefinition, Source, load_model, open_source
from toolkit.metrics import Population
from toolkit.windows import Window

REFERENCE = Population("reference", "1", Window.of("2013-03-01", "2013-04-01"), served_only=False)
CURRENT = Population("current", "1", Window.of("2013-04-01", "2013-05-01"), served_only=True)


def make_delayed(
    *, requests: int = 4000, positive_days: int = 2, negative_days: int = 10, seed: int = 11
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each label comes after any of so many hours, whole days times 24."""
    predictions, outcomes = make_events(requests=requests, seed=seed)
    rng = np.random.default_rng(seed)
    hours = np.where(outcomes["label"] == 1, positive_days * 24, negative_days * 24)
    minutes = rng.integers(1, hours * 60)
    made = predictions.set_index("request_id").loc[outcomes["request_id"], "occurred_at"].to_numpy()
    at = pd.Series(made).dt.tz_localize("UTC") if pd.Series(made).dt.tz is None else pd.Series(made)
    return predictions, outcomes.assign(observed_at=at + pd.to_timedelta(minutes, unit="m") + pd.Timedelta("30s"))


def lay(
    root: Path, predictions: pd.DataFrame, outcomes: pd.DataFrame
) -> tuple[SmallWorkspace, Source, ModelDefinition]:
    small = write_workspace(root, predictions, outcomes)
    return small, open_source(small.workspace), load_model(small.workspace, "small")


def counted(predictions: pd.DataFrame, outcomes: pd.DataFrame, window: Window, until: pd.Timestamp) -> dict[Any, int]:
    """By request day, delay in days (-1: none yet) and label (-1), how many answered requests: with pandas alone."""
    rows = predictions[~predictions["error"]]
    rows = rows[(rows["occurred_at"] >= window.start) & (rows["occurred_at"] < window.end)]
    known = outcomes[outcomes["observed_at"] < until].sort_values("observed_at")
    first = known.groupby("request_id")["observed_at"].first().rename("arrived_at")
    last = known.groupby("request_id")["label"].last()
    rows = rows.set_index("request_id").join(first).join(last)
    day, arrival = rows["occurred_at"].dt.normalize(), rows["arrived_at"].dt.normalize()
    return dict(
        rows.assign(
            day=day.dt.strftime("%Y-%m-%d"),
            delay=(arrival - day).dt.days.fillna(-1).astype(int),
            label=rows["label"].fillna(-1).astype(float),
        )
        .groupby(["day", "delay", "label"])
        .size()
    )
