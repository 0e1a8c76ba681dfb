"""Requests with every column that a metric may read, ways to measure metrics written in YAML, and units of moments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from conftest import MODEL, make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.metrics import Cells, Population, load_metrics, measure
from toolkit.windows import Window
from toolkit.workspace import Workspace

LATER = datetime(2014, 1, 1, tzinfo=UTC)
POPULATIONS = (
    Population("reference", "1", Window.of("2013-03-01", "2013-04-01"), served_only=False),
    Population("current", "1", Window.of("2013-04-01", "2013-05-01"), served_only=True),
)
WORDS = "name: Metric, description: d, owner: Ada, direction: none, practical_threshold: 1, role: operation"


def metrics_text(metrics: Mapping[str, str], *, head: str = "") -> str:
    """A metrics.yml of metrics whose own parameters are given as YAML, such as `kind: mean, column: cost`."""
    lines = [f"  {key}: {{{WORDS}, {own}}}\n" for key, own in metrics.items()]
    return head + "metrics:\n" + "".join(lines)


@dataclass(frozen=True)
class Wide:
    """The workspace and its events; `labelled` has one row per prediction, label NaN where there is none."""

    workspace: Workspace
    labelled: pd.DataFrame

    def rows(self, population: str = "current") -> pd.DataFrame:
        """The requests of a population."""
        window = next(each.window for each in POPULATIONS if each.name == population)
        at = self.labelled["occurred_at"]
        return self.labelled[(at >= window.start) & (at < window.end)]

    def measure(
        self,
        metrics: Mapping[str, str],
        *,
        head: str = "",
        populations: Sequence[Population] = POPULATIONS,
        **options: Any,
    ) -> Cells:
        """The cells of metrics given as YAML."""
        (self.workspace.root / "metrics.yml").write_text(metrics_text(metrics, head=head))
        return measure(
            open_source(self.workspace),
            load_model(self.workspace, "small"),
            load_metrics(self.workspace),
            populations,
            **{"as_of": LATER} | options,
        )


def widen(predictions: pd.DataFrame, *, seed: int = 3) -> pd.DataFrame:
    """The columns that the small workspace does not have."""
    rng = np.random.default_rng(seed)
    count = len(predictions)
    cost = np.round(rng.gamma(2.0, 0.5, count), 4)
    return predictions.assign(
        decision=pd.array(predictions["score"] >= rng.normal(0.4, 0.05, count), dtype="boolean"),
        threshold=np.where(np.arange(count) % 2 == 0, 0.3, 0.45),
        prediction=np.where(predictions["error"], np.nan, predictions["score"] * 4.0 + rng.normal(0, 0.3, count)),
        cost=np.where(rng.random(count) < 0.05, np.nan, cost),
        items=rng.integers(0, 4, count),
        note=pd.Series(np.where(rng.random(count) < 0.1, None, "seen"), dtype="str"),
        score=np.where(predictions["error"], np.nan, predictions["score"]),
    )


@pytest.fixture
def write_wide(tmp_path: Path) -> Callable[..., Wide]:
    """Lay a wide workspace of changed events."""

    def write(
        change: Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, pd.DataFrame]] = lambda *events: events,
        *,
        model: str = MODEL,
        folder: str = "wide",
    ) -> Wide:
        predictions, outcomes = make_events()
        predictions, outcomes = change(widen(predictions), outcomes)
        small = write_workspace(tmp_path / folder, predictions, outcomes)
        (small.workspace.root / "models" / "small.yml").write_text(model)
        return Wide(small.workspace, predictions.merge(outcomes, on="request_id", how="left"))

    return write


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Wide:
    """The wide workspace, for tests that change nothing but its metrics.yml."""
    predictions, outcomes = make_events()
    predictions = widen(predictions)
    small = write_workspace(tmp_path_factory.mktemp("wide"), predictions, outcomes)
    return Wide(small.workspace, predictions.merge(outcomes, on="request_id", how="left"))


@pytest.fixture(scope="module")
def connection() -> Any:
    return ibis.duckdb.connect(threads=1)


@pytest.fixture(scope="module")
def units() -> pd.DataFrame:
    """4,000 units: a proportion, a mean and a ratio with what they were before; new units have no before."""
    rng = np.random.default_rng(5)
    n = 4000
    frame = pd.DataFrame(
        {
            "variant": rng.choice(["a", "b"], n),
            "country": rng.choice(["DK", "NO", "SE", None], n),
            "size": rng.integers(0, 3, n),
            "day": pd.to_datetime("2025-03-01") + pd.to_timedelta(rng.integers(0, 4, n), unit="D"),
            "sessions": rng.poisson(3, n) + 1,
            "sessions_before": rng.poisson(3, n) + 1.0,
        }
    )
    frame["day"] = frame["day"].dt.date
    frame["orders"] = rng.binomial(frame["sessions"], 0.4)
    frame["orders_before"] = rng.binomial(frame["sessions_before"].astype(int), 0.4).astype(float)
    frame["converted"] = frame["orders"] > 1
    frame["revenue"] = frame["orders"] * rng.lognormal(3, 1, n)
    frame["revenue_before"] = frame["orders_before"] * rng.lognormal(3, 1, n)
    new = rng.random(n) < 0.2
    frame.loc[new, ["sessions_before", "orders_before", "revenue_before"]] = None
    frame.loc[rng.random(n) < 0.01, "revenue"] = None
    return frame
