"""A small experiment whose every number can be recomputed with pandas, and ways to break it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit import data, experiments
from toolkit.digests import assign_variant
from toolkit.workspace import Workspace, open_workspace

START, END, LAST = (pd.Timestamp(day, tz="UTC") for day in ("2024-03-01", "2024-03-15", "2024-03-20"))
VERSIONS = {"control": "1", "treatment": "2"}

SETTINGS = """\
schema_version = 2
name = "trial"

[tables.predictions]
path = "data/predictions.parquet"

[tables.outcomes]
path = "data/outcomes.parquet"

[tables.exposures]
path = "data/exposures.parquet"
"""

MODEL = """\
key: eta
name: Arrival time
description: A model for tests.
owner: Ada
label: {name: late, description: It was late., maturity_days: 1}
decision_threshold: 0.5
loss: brier
versions:
  "1": &version
    description: A version.
    features: []
    trained: {start: "2024-01-01", end: "2024-02-01"}
    reference: {start: "2024-02-01", end: "2024-03-01"}
  "2": *version
"""

METRICS = """\
metrics:
  brier: &metric
    name: Brier score
    description: d
    owner: Ada
    kind: brier
    direction: decrease
    practical_threshold: 0.01
    role: loss
  log_loss: {<<: *metric, name: Log loss, kind: log_loss}
  auc: {<<: *metric, name: AUC, kind: auc, direction: increase}
  calibration: {<<: *metric, name: Calibration, kind: calibration, direction: toward_zero}
  latency: {<<: *metric, name: Latency, kind: mean, column: latency_ms, unit: ms}
  error_rate: {<<: *metric, name: Errors, kind: proportion, column: error, unit: share}
  profit: {<<: *metric, name: Profit, kind: mean, column: profit, unit: EUR, direction: increase}
  flagged: {<<: *metric, name: Flagged, kind: proportion, column: decision, unit: share, direction: none}
"""

PLAN = """\
key: eta-v2
hypothesis: Version 2 loses less.
owner: Ada
kind: ab
model: eta
window: {start: "2024-03-01", end: "2024-03-15"}
unit: unit_id
analysis: plain
assignment: {hash: flagd-fractional, version: 2, key: eta-v2}
variants:
  control: {version: "1", weight: 50}
  treatment: {version: "2", weight: 50}
control: control
primary: brier
secondary: [profit]
guardrails:
  - {metric: latency, margin: 2}
  - {metric: error_rate, margin: 0.05}
alpha: 0.05
sample_ratio_alpha: 0.001
label_maturity: {days: 1, minimum_share: 0.9}
rule: superior_and_not_inferior
"""
CLUSTERED = {"analysis: plain": "analysis: clustered\ncluster: cluster_id"}


@dataclass(frozen=True)
class Trial:
    """The frames of an experiment, and the text of its plan."""

    predictions: pd.DataFrame
    outcomes: pd.DataFrame
    exposures: pd.DataFrame
    plan: str = PLAN

    def planned(self, changes: dict[str, str]) -> Trial:
        """The same events under another plan: pieces of its text replaced."""
        text = self.plan
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        return replace(self, plan=text)

    def write(self, root: Path) -> Workspace:
        """Lay the workspace into `root`."""
        for folder in ("data", "models", "experiments"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("predictions", "outcomes", "exposures"):
            getattr(self, name).to_parquet(root / "data" / f"{name}.parquet", index=False)
        files = {
            "toolkit.toml": SETTINGS,
            "metrics.yml": METRICS,
            "models/eta.yml": MODEL,
            "experiments/eta-v2.yml": self.plan,
        }
        for path, text in files.items():
            (root / path).write_text(text)
        return open_workspace(root)

    @property
    def counted(self) -> pd.DataFrame:
        """One row per request that counts, computed the plain way: with its variant and its label."""
        events = self.exposures[(self.exposures["exposed_at"] >= START) & (self.exposures["exposed_at"] < END)]
        units = events.groupby("unit_id").agg(
            variant=("variant", "first"), variants=("variant", "nunique"), exposed_at=("exposed_at", "min")
        )
        rows = self.predictions[self.predictions["served"]].merge(units[units["variants"] == 1], on="unit_id")
        rows = rows[(rows["occurred_at"] >= rows["exposed_at"]) & (rows["occurred_at"] < END)]
        rows = rows[rows["version"] == rows["variant"].map(VERSIONS)]
        rows = rows.merge(self.outcomes[["request_id", "label"]], on="request_id", how="left")
        rows["error"] = rows["error"].astype(float)
        return rows.assign(brier=(rows["label"] - rows["score"]) ** 2)


def make_trial(
    *, units: int = 900, most_requests: int = 1, clusters: int = 90, gain: float = 0.6, seed: int = 11
) -> Trial:
    """Units that arrive over the window and after it; version 2 is nearer to the truth by `gain` of the noise.

    Each unit makes 1 to `most_requests` requests, in a cluster of its own choice each time; both versions score each
    request, and the assigned one serves it.
    """
    rng = np.random.default_rng(seed)
    names = np.array([f"u{index:05d}" for index in range(units)])
    unit = np.repeat(names, rng.integers(1, most_requests + 1, units))
    requests = len(unit)
    minutes = int((LAST - START).total_seconds() // 60) + 600
    occurred_at = pd.Series(START + pd.to_timedelta(rng.integers(0, minutes, requests), unit="m"))
    occurred_at = occurred_at.astype("datetime64[us, UTC]")
    cluster = rng.integers(0, clusters, requests)
    truth = np.clip(rng.beta(2, 4, requests) + rng.normal(0, 0.15, clusters)[cluster], 0.02, 0.98)
    variant = pd.Series(unit).map(
        {name: assign_variant(name, {"control": 50, "treatment": 50}, key="eta-v2") for name in names}
    )
    error = rng.random(requests) < 0.03
    base = pd.DataFrame(
        {
            "request_id": [f"r{index:05d}" for index in range(requests)],
            "model": "eta",
            "occurred_at": occurred_at,
            "unit_id": unit,
            "cluster_id": [f"c{index:03d}" for index in cluster],
            "error": error,
        }
    )
    tables = []
    for name, version in VERSIONS.items():
        noise = rng.normal(0, 0.35 * (1 - gain * (name == "treatment")), requests)
        score = np.clip(truth + noise, 0.01, 0.99)
        tables.append(
            base.assign(
                version=version,
                score=score,
                decision=score > 0.5,
                latency_ms=rng.gamma(4, 3, requests) + (name == "treatment") * 0.5,
                profit=rng.normal(-10 + 4 * (name == "treatment"), 3, requests),
                served=(variant == name).to_numpy(),
            )
        )
    outcomes = pd.DataFrame(
        {
            "request_id": base["request_id"],
            "observed_at": occurred_at + pd.Timedelta(hours=3),
            "label": (rng.random(requests) < truth).astype("int8"),
        }
    )[~error].reset_index(drop=True)
    inside = (occurred_at >= START) & (occurred_at < END)
    first = base[inside].sort_values("occurred_at").groupby("unit_id", as_index=False)["occurred_at"].first()
    exposures = pd.DataFrame(
        {
            "experiment": "eta-v2",
            "unit_id": first["unit_id"],
            "variant": first["unit_id"].map(dict(zip(unit, variant, strict=True))),
            "exposed_at": first["occurred_at"],
        }
    )
    return Trial(pd.concat(tables, ignore_index=True), outcomes, exposures)


@dataclass(frozen=True)
class Reading:
    """A trial taken through all four steps."""

    plan: experiments.ExperimentPlan
    units: experiments.Units
    checks: experiments.Checks
    readout: experiments.Readout
    verdict: experiments.Verdict

    def effect(self, metric: str) -> experiments.Effect:
        return next(effect for effect in self.readout.effects if effect.metric == metric)

    def outcomes(self) -> dict[str, str]:
        """The worst outcome of each check, by code."""
        order = ("passed", "for information", "absent", "warning", "failed")
        found: dict[str, str] = {}
        for check in self.checks.checks:
            found[check.code] = max(found.get(check.code, "passed"), check.outcome, key=order.index)
        return found


def read_trial(trial: Trial, root: Path, **arguments: Any) -> Reading:
    """Lay a trial's workspace into `root` and read it."""
    workspace = trial.write(root)
    plan = experiments.load(workspace, "eta-v2")
    units = experiments.measure(plan, data.open_source(workspace), **arguments)
    checks = experiments.check(plan, units)
    readout = experiments.analyze(plan, units)
    return Reading(plan, units, checks, readout, experiments.judge(plan, checks, readout))
