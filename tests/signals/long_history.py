"""Months of requests whose labels take ten days, so that there are earlier windows to try an estimate on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from conftest import METRICS, MODEL, SmallWorkspace, write_workspace
from toolkit.data import ModelDefinition, Source, load_model, open_source
from toolkit.signals import Observation, observe

START = pd.Timestamp("2013-03-01", tz="UTC")
AS_OF = "2013-07-20"
DAYS = 141
PER_DAY = 80
LABEL_DAYS = 10
MATURITY_DAYS = 14
WINDOW_FIRST, LAST_MATURE = 127, 126
"""The window of the days whose labels are not mature begins on 6 July; windows of its length end there."""

Events = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Laid:
    """A workspace, its source and model, and the labels of every request, known or not."""

    small: SmallWorkspace
    source: Source
    model: ModelDefinition
    truth: pd.DataFrame

    def observe(self, *, as_of: str = AS_OF, window_days: int = 28) -> Observation:
        return observe(self.small.workspace, self.source, self.model, as_of=as_of, window_days=window_days)

    def window(self) -> pd.DataFrame:
        """The requests of the window with what their labels will say."""
        first = START + pd.Timedelta(days=WINDOW_FIRST)
        end = pd.Timestamp(AS_OF, tz="UTC")
        return self.truth[(self.truth["occurred_at"] >= first) & (self.truth["occurred_at"] < end)]


def make_long(*, seed: int = 5, gap: Callable[[np.ndarray], np.ndarray] | None = None) -> Events:
    """Scores that mean what they say; `gap`: how much more often it happened, by number of the day."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(DAYS), PER_DAY)
    count = day.size
    occurred_at = START + pd.to_timedelta(
        day * 1440 + np.sort(rng.integers(0, 1440, (DAYS, PER_DAY))).ravel(), unit="m"
    )
    score = np.round(rng.beta(2, 3, count), 3).clip(0.01, 0.99)
    chance = score if gap is None else np.clip(score + gap(day), 0, 1)
    predictions = pd.DataFrame(
        {
            "request_id": [f"r{index:06d}" for index in range(count)],
            "model": "small",
            "version": "1",
            "occurred_at": occurred_at.astype("datetime64[us, UTC]"),
            "unit_id": [f"u{index:06d}" for index in range(count)],
            "score": score,
            "latency_ms": 5.0,
            "error": False,
            "served": day >= 31,
            "carrier": rng.choice(["A", "B"], count),
            "temp_f": 50.0,
        }
    )
    outcomes = pd.DataFrame(
        {
            "request_id": predictions["request_id"],
            "observed_at": predictions["occurred_at"] + pd.Timedelta(days=LABEL_DAYS),
            "label": (rng.random(count) < chance).astype("int8"),
        }
    )
    return predictions, outcomes


def lay(
    root: Path,
    events: Events,
    *,
    change: Callable[[pd.DataFrame, pd.DataFrame], Events] = lambda *events: events,
    maturity_days: int = MATURITY_DAYS,
    model: str = MODEL,
) -> Laid:
    """Lay the events, changed by `change`, into `root`."""
    predictions, outcomes = change(*events)
    small = write_workspace(root, predictions, outcomes)
    text = model.replace("maturity_days: 1", f"maturity_days: {maturity_days}")
    (root / "models" / "small.yml").write_text(text)
    brier = next(line for line in METRICS.splitlines() if line.startswith("  brier:"))
    (root / "metrics.yml").write_text(f"metrics:\n{brier}\n")
    truth = events[0].merge(events[1], on="request_id")
    return Laid(small, open_source(small.workspace), load_model(small.workspace, "small"), truth)


def audited(number: int) -> Any:
    """A change that makes the labels of `number` requests of the window, drawn at random, known at once."""

    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> Events:
        first, end = START + pd.Timedelta(days=WINDOW_FIRST), pd.Timestamp(AS_OF, tz="UTC")
        rows = predictions[(predictions["occurred_at"] >= first) & (predictions["occurred_at"] < end)]
        drawn = rows.sample(number, random_state=1).index
        early = outcomes.index.isin(drawn)
        observed_at = outcomes["observed_at"].where(~early, predictions["occurred_at"] + pd.Timedelta(minutes=1))
        observed_at = observed_at.where(observed_at < end, outcomes["observed_at"])
        return predictions, outcomes.assign(observed_at=observed_at)

    return change
