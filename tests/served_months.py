"""Seven months of a model's requests in the small workspace, in which something may happen on a day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from conftest import write_workspace
from toolkit.data import Source, load_model, open_source
from toolkit.signals import Observation, observe
from toolkit.workspace import Workspace, open_workspace

START, SERVED_FROM, END = (pd.Timestamp(day, tz="UTC") for day in ("2013-03-01", "2013-04-01", "2013-10-01"))
PER_DAY = 60

Change = Callable[[pd.DataFrame], pd.DataFrame]

_MORE_TABLES = """
[tables.deployments]
path = "data/deployments.parquet"

[tables.incidents]
path = "data/incidents.parquet"
"""


def make_requests(change: Change | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and outcomes. `change` gets one row per request (`day` from START, `chance` of a positive label)."""
    rng = np.random.default_rng(5)
    days = (END - START).days
    day = np.repeat(np.arange(days), PER_DAY)
    n = day.size
    minute = np.tile(np.arange(PER_DAY) * 23 + 5, days)
    occurred_at = START + pd.to_timedelta(day * 1440 + minute, unit="m")
    score = np.round(rng.beta(2, 5, n), 3).clip(0.01, 0.99)
    requests = pd.DataFrame(
        {
            "request_id": [f"r{index:06d}" for index in range(n)],
            "model": "small",
            "version": "1",
            "occurred_at": occurred_at.astype("datetime64[us, UTC]"),
            "unit_id": [f"u{index:06d}" for index in range(n)],
            "score": score,
            "latency_ms": rng.gamma(4, 3, n),
            "error": rng.random(n) < 0.03,
            "served": occurred_at >= SERVED_FROM,
            "carrier": rng.choice(["A", "B", "C"], n),
            "temp_f": rng.normal(50, 5, n),
            "day": day,
            "chance": score,
        }
    )
    if change is not None:
        requests = change(requests)
    label = (rng.random(len(requests)) < requests["chance"]).astype("int8")
    outcomes = pd.DataFrame(
        {
            "request_id": requests["request_id"],
            "observed_at": requests["occurred_at"] + pd.Timedelta(hours=3),
            "label": label,
        }
    )[~requests["error"]].reset_index(drop=True)
    return requests.drop(columns=["day", "chance"]).reset_index(drop=True), outcomes


class Looked(NamedTuple):
    """An observation and what it was made of."""

    source: Source
    observed: Observation
    predictions: pd.DataFrame
    outcomes: pd.DataFrame


def look_at(root: Path, change: Change | None = None, *, marks: bool = False) -> Looked:
    """Lay a workspace of such requests, and observe its last days; `marks`: with deployments and incidents."""
    predictions, outcomes = make_requests(change)
    workspace = write_workspace(root, predictions, outcomes).workspace
    if marks:
        workspace = _with_marks(root)
    source, model = open_source(workspace), load_model(workspace, "small")
    observed = observe(workspace, source, model, as_of="2013-10-01", window_days=28)
    return Looked(source, observed, predictions, outcomes)


def _with_marks(root: Path) -> Workspace:
    """A deployment on 1 July and a rollback of another model's; an incident of two days, one open, one of another."""
    with (root / "toolkit.toml").open("a") as settings:
        settings.write(_MORE_TABLES)
    days = ["2013-07-01", "2013-07-02"]
    pd.DataFrame(
        {
            "occurred_at": pd.to_datetime(days, utc=True).astype("datetime64[us, UTC]"),
            "model": ["small", "other"],
            "version": ["1", "9"],
            "kind": ["deploy", "rollback"],
        }
    ).to_parquet(root / "data" / "deployments.parquet", index=False)
    pd.DataFrame(
        {
            "incident_id": ["slow", "other", "open"],
            "opened_at": pd.to_datetime(["2013-06-30 12:00", "2013-07-01 00:00", "2013-07-02 00:00"], utc=True).astype(
                "datetime64[us, UTC]"
            ),
            "resolved_at": pd.to_datetime(["2013-07-02 06:00", None, None], utc=True).astype("datetime64[us, UTC]"),
            "model": ["small", "other", "small"],
            "severity": "bad",
        }
    ).to_parquet(root / "data" / "incidents.parquet", index=False)
    return open_workspace(root)
