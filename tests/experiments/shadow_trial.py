"""A small shadow deployment whose every number can be recomputed with pandas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from experiment_trial import MODEL, SETTINGS

from toolkit.workspace import Workspace, open_workspace

START, END = (pd.Timestamp(day, tz="UTC") for day in ("2024-03-01", "2024-03-15"))

METRICS = """\
metrics:
  brier: &metric
    name: Brier score
    description: d
    owner: Ada
    kind: brier
    direction: decrease
    practical_threshold: 0.001
    role: loss
  log_loss: {<<: *metric, name: Log loss, kind: log_loss}
  auc: {<<: *metric, name: AUC, kind: auc, direction: increase}
  latency: {<<: *metric, name: Latency, kind: mean, column: latency_ms, unit: ms}
  flagged: {<<: *metric, name: Flagged, kind: proportion, column: decision, unit: share, direction: none}
"""

PLAN = """\
key: eta-shadow
hypothesis: Version 2 would lose less on the same requests.
owner: Ada
kind: shadow
model: eta
window: {start: "2024-03-01", end: "2024-03-15"}
unit: unit_id
analysis: plain
variants:
  old: {version: "1"}
  new: {version: "2"}
control: old
primary: brier
secondary: [flagged]
guardrails: [{metric: latency, margin: 2}]
segments: [region]
alpha: 0.05
label_maturity: {days: 1, minimum_share: 0.9}
rule: superior_and_not_inferior
"""


@dataclass(frozen=True)
class ShadowTrial:
    """The frames of a shadow deployment, and the text of its plan."""

    predictions: pd.DataFrame
    outcomes: pd.DataFrame
    plan: str = PLAN

    def planned(self, changes: dict[str, str]) -> ShadowTrial:
        """The same events under another plan: pieces of its text replaced."""
        text = self.plan
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        return replace(self, plan=text)

    def without_rows(self, keep: pd.Series[bool]) -> ShadowTrial:
        """The trial without some rows of predictions."""
        return replace(self, predictions=self.predictions[keep].reset_index(drop=True))

    def write(self, root: Path) -> Workspace:
        """Lay the workspace into `root`."""
        for folder in ("data", "models", "experiments"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.predictions.to_parquet(root / "data" / "predictions.parquet", index=False)
        self.outcomes.to_parquet(root / "data" / "outcomes.parquet", index=False)
        settings = SETTINGS.partition("[tables.exposures]")[0]
        files = {
            "toolkit.toml": settings,
            "metrics.yml": METRICS,
            "models/eta.yml": MODEL,
            "experiments/eta-shadow.yml": self.plan,
        }
        for path, text in files.items():
            (root / path).write_text(text)
        return open_workspace(root)

    @property
    def pairs(self) -> pd.DataFrame:
        """One row per pair, computed the plain way: `_a` of the served version, `_b` of the one beside it."""
        rows = self.predictions[(self.predictions["occurred_at"] >= START) & (self.predictions["occurred_at"] < END)]
        served = rows[rows["served"] & (rows["version"] == "1")]
        beside = rows[~rows["served"] & (rows["version"] == "2")]
        both = served.merge(beside, on="request_id", suffixes=("_a", "_b"))
        both = both.merge(self.outcomes[["request_id", "label"]], on="request_id", how="left")
        for side in ("a", "b"):
            both[f"brier_{side}"] = (both["label"] - both[f"score_{side}"]) ** 2
        return both


def make_shadow(
    *, units: int = 400, most_requests: int = 4, clusters: int = 60, gain: float = 0.6, seed: int = 3
) -> ShadowTrial:
    """Version 1 serves every request, version 2 scores each beside it and is nearer to the truth by `gain`."""
    rng = np.random.default_rng(seed)
    unit = np.repeat([f"u{index:04d}" for index in range(units)], rng.integers(1, most_requests + 1, units))
    requests = len(unit)
    minutes = int((END - START).total_seconds() // 60) + 2000  # some come after the window
    occurred_at = pd.Series(START + pd.to_timedelta(rng.integers(0, minutes, requests), unit="m"))
    occurred_at = occurred_at.astype("datetime64[us, UTC]")
    cluster = rng.integers(0, clusters, requests)
    truth = np.clip(rng.beta(2, 4, requests) + rng.normal(0, 0.1, clusters)[cluster], 0.02, 0.98)
    base = pd.DataFrame(
        {
            "request_id": [f"r{index:05d}" for index in range(requests)],
            "model": "eta",
            "occurred_at": occurred_at,
            "unit_id": unit,
            "cluster_id": [f"c{index:03d}" for index in cluster],
            "region": np.array(["north", "south", "west"])[cluster % 3],
            "error": False,
        }
    )
    tables = []
    for version, served in (("1", True), ("2", False)):
        score = np.clip(truth + rng.normal(0, 0.3 * (1 - gain * (version == "2")), requests), 0.01, 0.99)
        tables.append(
            base.assign(
                version=version,
                score=score,
                decision=score > 0.5,
                latency_ms=rng.gamma(4, 3, requests) + (0.4 if version == "2" else 0.0),
                served=served,
            )
        )
    outcomes = pd.DataFrame(
        {
            "request_id": base["request_id"],
            "observed_at": occurred_at + pd.Timedelta(hours=3),
            "label": (rng.random(requests) < truth).astype("int8"),
        }
    )
    return ShadowTrial(pd.concat(tables, ignore_index=True), outcomes)
