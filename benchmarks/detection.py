"""Is a planted fault found, how soon, where it is, and with the right first hint?

A made-up service of 1,500 requests a day, whose model is calibrated, runs for four weeks as its reference period and
three more. Then one fault begins, and what triage's stages say is read every second day for two weeks, over the last
fourteen days: is there a signal of the kind that the fault should show as, about the right column or segment; is it in
the first line; and, for faults that came with a deployment, does the first hint name it. A service without a fault is
read as often, and its lines are false ones.

    python benchmarks/detection.py [SEEDS]

Prints Markdown. Exits 1 when fewer than nine in ten faults are found, or healthy services have more than one line in
ten readings.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import toolkit as tk

SEEDS = 3
A_DAY, REFERENCE_DAYS, HEALTHY_DAYS, FAULTY_DAYS = 1500, 28, 21, 15
START = datetime(2030, 1, 1, tzinfo=UTC)
FAULT = START + timedelta(days=REFERENCE_DAYS + HEALTHY_DAYS)
READ_AFTER_DAYS = range(3, FAULTY_DAYS + 1, 2)
LEAST_FOUND, MOST_FALSE = 0.9, 0.1

SETTINGS = """\
schema_version = 2
name = "planted"

[tables.predictions]
path = "data/predictions.parquet"

[tables.outcomes]
path = "data/outcomes.parquet"

[tables.deployments]
path = "data/deployments.parquet"
"""
MODEL = """\
key: risk
name: Risk
description: A model whose scores are right.
owner: team
label: {name: bad, description: It went wrong., maturity_days: 1}
decision_threshold: 0.5
loss: brier
segments: [region, channel, device]
features:
  - {name: amount, description: Amount., owner: data, freshness: at the request}
  - {name: age, description: Age., owner: data, freshness: at the request}
  - {name: region, description: Region., owner: data, freshness: at the request}
  - {name: channel, description: Channel., owner: data, freshness: at the request}
  - {name: device, description: Device., owner: data, freshness: at the request}
versions:
  "1":
    description: The only version.
    features: [amount, age, region, channel, device]
    trained: {start: "2029-11-01", end: "2030-01-01"}
    reference: {start: "2030-01-01", end: "2030-01-29"}
"""
METRICS = """\
metrics:
  brier: {name: Brier, description: Loss., owner: team, kind: brier, unit: "", direction: decrease,
    practical_threshold: 0.01, role: loss}
  calibration: {name: Calibration gap, description: Gap., owner: team, kind: calibration, unit: share,
    direction: toward_zero, practical_threshold: 0.02, role: quality}
  error_rate: {name: Errors, description: Failed., owner: team, kind: proportion, column: error, unit: share,
    direction: decrease, practical_threshold: 0.01, role: operation}
  latency: {name: Latency, description: Time., owner: team, kind: mean, column: latency_ms, unit: ms,
    direction: decrease, practical_threshold: 5, role: operation}
"""
OBJECTIVES = """\
objectives:
  answered: {metric: error_rate, model: risk, business_outcome: Requests are answered., target: {at_most: 0.03},
    owner: team, since: "2030-01-01", budget: {period_days: 28}}
  labels: {watch: label_arrival, model: risk, business_outcome: Labels come., target: {at_least: 0.9},
    owner: team, since: "2030-01-01"}
"""

World = dict[str, Any]


def _gone_missing(world: World, late: np.ndarray) -> None:
    hit = late & (world["region"] == "north") & (world["rng"].random(late.size) < 0.6)
    world["amount"] = np.where(hit, np.nan, world["amount"])


def _other_unit(world: World, late: np.ndarray) -> None:
    world["amount"] = np.where(late, world["amount"] * 100, world["amount"])


def _calibration(world: World, late: np.ndarray) -> None:
    world["shift"] = world["shift"] + 0.7 * late


def _segment(world: World, late: np.ndarray) -> None:
    world["shift"] = world["shift"] + 1.6 * (late & (world["region"] == "south") & (world["channel"] == "web"))


def _slow(world: World, late: np.ndarray) -> None:
    world["latency_ms"] = np.where(late, world["latency_ms"] * 1.6, world["latency_ms"])


def _errors(world: World, late: np.ndarray) -> None:
    world["error"] = world["error"] | (late & (world["rng"].random(late.size) < 0.08))


def _labels_stop(world: World, late: np.ndarray) -> None:
    world["label_lost"] = late & (world["rng"].random(late.size) < 0.6)


def _new_category(world: World, late: np.ndarray) -> None:
    world["device"] = np.where(late & (world["rng"].random(late.size) < 0.1), "glasses", world["device"])


@dataclass(frozen=True)
class Fault:
    """A fault: what it does to the service, and which signal should tell of it."""

    name: str
    plant: Callable[[World, np.ndarray], None] | None
    kinds: tuple[str, ...]
    about: tuple[str, ...]
    deployed: bool = False

    def shows_in(self, signal: Any) -> bool:
        """Whether a signal is of the right kind and about the right thing."""
        said = f"{signal.metric} {signal.segment}"
        return signal.kind in self.kinds and all(part in said for part in self.about)


FAULTS = (
    Fault("feature missing in one region", _gone_missing, ("missing",), ("amount",)),
    Fault("feature in another unit", _other_unit, ("drift",), ("amount",)),
    Fault("scores too low everywhere", _calibration, ("calibration",), ()),
    Fault("loss in region and channel", _segment, ("segment",), ("region=south", "channel=web")),
    Fault("slower after a deployment", _slow, ("metric_change", "change_point"), ("latency",), deployed=True),
    Fault("errors after a deployment", _errors, ("budget", "metric_change"), ("",), deployed=True),
    Fault("labels do not come", _labels_stop, ("budget", "absent_data"), ("label",)),
    Fault("a category that is new", _new_category, ("unseen",), ("device",)),
)
HEALTHY = Fault("none", None, (), ())


def make_world(seed: int, fault: Fault) -> dict[str, pd.DataFrame]:
    """The service's tables, with a fault from FAULT on."""
    rng = np.random.default_rng(seed)
    days = REFERENCE_DAYS + HEALTHY_DAYS + FAULTY_DAYS
    n = days * A_DAY
    seconds = np.sort(rng.uniform(0, days * 86_400, n))
    at = pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s").floor("ms")
    late = np.asarray(at >= pd.Timestamp(FAULT))
    world: World = {
        "rng": rng,
        "amount": rng.lognormal(3, 1, n),
        "age": rng.normal(45, 12, n),
        "region": rng.choice(["north", "south", "east", "west"], n),
        "channel": rng.choice(["web", "app", "shop"], n),
        "device": rng.choice(["phone", "tablet", "desktop"], n, p=[0.6, 0.1, 0.3]),
        "latency_ms": rng.lognormal(3.5, 0.4, n),
        "error": rng.random(n) < 0.01,
        "shift": np.zeros(n),
        "label_lost": np.zeros(n, dtype=bool),
    }
    true_amount = world["amount"]
    if fault.plant is not None:
        fault.plant(world, late)

    def logit(amount: Any) -> Any:
        spread = (np.log(np.maximum(amount, 1e-6)) - 3) * 0.9 + (world["age"] - 45) / 12 * 0.4
        return -1.2 + spread + 0.3 * (world["region"] == "north")

    read = np.nan_to_num(world["amount"], nan=np.exp(3.0))
    score = 1 / (1 + np.exp(-logit(read)))
    label = rng.random(n) < 1 / (1 + np.exp(-(logit(true_amount) + world["shift"])))
    ids = np.array([f"r{number:07d}" for number in range(n)])
    error = world["error"]
    predictions = pd.DataFrame(
        {
            "request_id": ids,
            "model": "risk",
            "version": "1",
            "occurred_at": at,
            "unit_id": [f"u{number}" for number in rng.integers(0, 20_000, n)],
            "score": np.where(error, np.nan, np.round(score, 6)),
            "decision": score >= 0.5,
            "latency_ms": world["latency_ms"],
            "error": error,
            "served": True,
            **{name: world[name] for name in ("amount", "age", "region", "channel", "device")},
        }
    )
    known = ~error & ~world["label_lost"]
    outcomes = pd.DataFrame(
        {"request_id": ids, "observed_at": at + pd.Timedelta(hours=6), "label": label.astype(float)}
    )[known]
    deployments = pd.DataFrame(
        {
            "occurred_at": [pd.Timestamp(START) - pd.Timedelta(days=1)]
            + ([pd.Timestamp(FAULT) - pd.Timedelta(hours=2)] if fault.deployed else []),
            "model": "risk",
            "version": "1",
            "kind": "deploy",
        }
    )
    return {"predictions": predictions, "outcomes": outcomes, "deployments": deployments}


def write(root: Path, tables: dict[str, pd.DataFrame]) -> None:
    """The service as a workspace."""
    (root / "data").mkdir(parents=True)
    (root / "models").mkdir()
    for name, table in tables.items():
        table.to_parquet(root / "data" / f"{name}.parquet", index=False)
    texts = {"toolkit.toml": SETTINGS, "models/risk.yml": MODEL, "metrics.yml": METRICS, "objectives.yml": OBJECTIVES}
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8")


def read(root: Path, as_of: datetime) -> Any:
    """What triage's stages say as of an instant: the signal groups."""
    workspace = tk.open_workspace(root)
    card, source = tk.data.load_model(workspace, "risk"), tk.data.open_source(workspace)
    when = f"{as_of:%Y-%m-%dT%H:%M:%SZ}"
    observed = tk.signals.observe(workspace, source, card, as_of=when, window_days=14)
    stages = (
        tk.signals.calibration(observed),
        tk.signals.find_segments(source, observed),
        tk.signals.error_budgets(source, card, as_of=when),
        tk.signals.harmful_shift(source, observed),
        tk.signals.metric_changes(observed),
        tk.signals.drift(source, observed),
    )
    return tk.signals.group_signals(workspace, source, observed, *stages)


class Reading(NamedTuple):
    """Of one fault in one service: days until it was found (None: it was not), and what came with it."""

    delay_days: int | None
    first_line: bool
    hinted: bool


def replay(seed: int, fault: Fault, base: Path) -> tuple[Reading, int, int]:
    """Plant a fault and read on; the reading, and how many lines there were in how many looks."""
    root = base / f"{seed}-{fault.name.replace(' ', '-')}"
    write(root, make_world(seed, fault))
    lines = looks = 0
    found: Reading | None = None
    for days in READ_AFTER_DAYS:
        groups = read(root, FAULT + timedelta(days=days)).groups
        lines, looks = lines + len(groups), looks + 1
        for rank, group in enumerate(groups):
            if found is None and any(fault.shows_in(signal) for signal in group.signals):
                first = group.hints[0].sentence if group.hints else ""
                found = Reading(days, rank == 0, "deploy" in first)
        if found is not None:
            break
    return found or Reading(None, False, False), lines, looks


def main() -> int:
    """Print one line per fault."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    print("| fault | found | days until then, median | in the first line | first hint right |\n|---|---|---|---|---|")
    all_found: list[bool] = []
    with tempfile.TemporaryDirectory() as base:
        for fault in FAULTS:
            readings = [replay(seed, fault, Path(base))[0] for seed in range(seeds)]
            delays = [each.delay_days for each in readings if each.delay_days is not None]
            all_found += [each.delay_days is not None for each in readings]
            hinted = f"{sum(each.hinted for each in readings)} of {seeds}" if fault.deployed else "none was planted"
            print(
                f"| {fault.name} | {len(delays)} of {seeds} | {np.median(delays) if delays else 'never'} | "
                f"{sum(each.first_line for each in readings)} of {seeds} | {hinted} |",
                flush=True,
            )
        healthy = [replay(100 + seed, HEALTHY, Path(base)) for seed in range(seeds)]
    lines, looks = (sum(each[part] for each in healthy) for part in (1, 2))
    print(f"\n{np.mean(all_found):.0%} of the faults were found. Without a fault: {lines} lines in {looks} readings.")
    return int(np.mean(all_found) < LEAST_FOUND or lines > MOST_FALSE * looks)


if __name__ == "__main__":
    sys.exit(main())
