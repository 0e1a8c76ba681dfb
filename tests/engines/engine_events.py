"""One small set of events with everything in it that engines disagree about."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.data import ModelDefinition

MODEL = ModelDefinition.model_validate(
    {
        "key": "delay",
        "name": "Delay",
        "description": "d",
        "owner": "Ada",
        "label": {"name": "late", "description": "d", "maturity_days": 1},
        "decision_threshold": 0.4,
        "loss": "brier",
        "versions": {
            "1": {
                "description": "d",
                "features": [],
                "trained": {"start": "2026-01-01", "end": "2026-02-01"},
                "reference": {"start": "2026-02-01", "end": "2026-03-01"},
            }
        },
    }
)

FIRST = pd.Timestamp("2026-03-28T00:00:00Z")
"""The day before Central Europe puts its clocks on: nothing here may depend on where the machine is."""

AS_OF = pd.Timestamp("2026-04-01T00:00:00Z")
REQUESTS = 600


def make_predictions() -> pd.DataFrame:
    """Requests of three days: NaN scores on errors, missing values, names in other scripts, times about midnight."""
    rng = np.random.default_rng(11)
    seconds = np.sort(rng.integers(0, 3 * 86_400, REQUESTS))
    occurred_at = (
        FIRST + pd.to_timedelta(seconds, unit="s") + pd.to_timedelta(rng.integers(0, 10**6, REQUESTS), unit="us")
    )
    occurred_at = occurred_at.to_series(index=range(REQUESTS))
    midnight = FIRST + pd.Timedelta(days=1)
    occurred_at[200], occurred_at[201], occurred_at[202] = midnight - pd.Timedelta("1us"), midnight, midnight
    error = rng.random(REQUESTS) < 0.05
    score = np.where(error, np.nan, np.round(rng.beta(2, 5, REQUESTS), 3).clip(0.01, 0.99))
    region = rng.choice(np.array(["Nord", "Süd", "東京", "", "it's"], dtype=object), REQUESTS)
    region[rng.random(REQUESTS) < 0.1] = None
    latency_s = rng.gamma(4, 0.003, REQUESTS)
    frame = pd.DataFrame(
        {
            "request_id": [f"r{index:04d}" for index in range(REQUESTS)],
            "model": "delay",
            "version": np.where(np.arange(REQUESTS) % 3 == 0, "2", "1"),
            "created": occurred_at.astype("datetime64[us, UTC]"),
            "unit_id": [f"u{index:03d}" for index in rng.integers(0, 200, REQUESTS)],
            "score": score,
            "latency_s": latency_s,
            "error": error,
            "served": np.arange(REQUESTS) % 3 != 0,
            "region": region,
            "stops": pd.array(rng.integers(0, 5, REQUESTS), dtype="Int64"),
            "cost": pd.array(np.round(rng.random(REQUESTS), 4), dtype="Float64"),
        }
    )
    frame.loc[rng.random(REQUESTS) < 0.1, "stops"] = pd.NA
    frame.loc[5, "created"] = frame.loc[4, "created"]
    frame.loc[rng.random(REQUESTS) < 0.1, "cost"] = pd.NA
    return frame


def make_outcomes(predictions: pd.DataFrame) -> pd.DataFrame:
    """Labels of the requests that were answered; some arrive twice, the second time with another value."""
    rng = np.random.default_rng(12)
    answered = predictions[~predictions["error"]]
    outcomes = pd.DataFrame(
        {
            "request_id": answered["request_id"],
            "observed_at": answered["created"] + pd.to_timedelta(rng.integers(60, 86_400, len(answered)), unit="s"),
            "label": (rng.random(len(answered)) < answered["score"]).astype("int32"),
        }
    )
    again = outcomes.iloc[::20].copy()
    again["observed_at"] += pd.Timedelta(hours=2)
    again["label"] = 1 - again["label"]
    late = pd.concat([outcomes, again], ignore_index=True)
    late["observed_at"] = late["observed_at"].astype("datetime64[us, UTC]")
    return late


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """The frame with NaN and missing told apart: pyarrow takes pandas' NaN for missing unless told not to."""
    return pa.table(
        {
            name: pa.array(frame[name].to_numpy(), from_pandas=False)
            if frame[name].dtype == np.float64
            else pa.array(frame[name])
            for name in frame
        }
    )
