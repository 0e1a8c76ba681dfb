"""Do the readout's intervals hold what they promise? 200 re-hashed assignments of the example's A/B test.

Both versions scored every flight, so the outcome of each flight under either variant is known and with it the true
difference. Each run assigns the same flights by another key, shows the readout only what that assignment would have
served, and asks whether its interval covers the truth. A few runs go through the whole product, Parquet and SQL
included, and must give the same numbers.

    python benchmarks/experiment_coverage.py [FLIGHTS_WORKSPACE]

Prints Markdown. Exits 1 when the primary metric's coverage leaves 92-98 % or the two paths disagree.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mmh3
import numpy as np
import pandas as pd

from toolkit import data, experiments
from toolkit.examples import build_flights
from toolkit.experiments import Arrivals, ExperimentPlan, Pair, Side, Units
from toolkit.experiments.statement import SAMPLE_UNITS
from toolkit.workspace import Workspace, open_workspace

EXPERIMENT = "delay-v2"
ASSIGNMENTS = 200
PRODUCT_RUNS = 3
LOSS = 0.03
COVERAGE = (0.92, 0.98)
ANALYSES = ("plain", "clustered")


@dataclass(frozen=True)
class Flights:
    """What every flight of the test's window did under either version.

    values: metric to an array of flights × versions, NaN where the flight does not count. labelled, answered: the same
    for every version. clusters: each flight's cluster as a number. sample: the flights whose assignment is recomputed.
    """

    units: list[str]
    values: dict[str, np.ndarray]
    labelled: np.ndarray
    answered: np.ndarray
    clusters: np.ndarray
    sample: list[int]


def read_events(root: Path, plan: ExperimentPlan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions from the window's start until two days after its end, and all outcomes."""
    window = plan.window.window
    columns = ["request_id", "model", "version", "occurred_at", "unit_id", "cluster_id", "score", "latency_ms"]
    until = window.end + pd.Timedelta(days=2)
    predictions = pd.read_parquet(
        root / "data" / "predictions",
        columns=[*columns, "error", "served"],
        filters=[("occurred_at", ">=", window.start), ("occurred_at", "<", until)],
    )
    return predictions, pd.read_parquet(root / "data" / "outcomes")


def potential_outcomes(predictions: pd.DataFrame, outcomes: pd.DataFrame, plan: ExperimentPlan) -> Flights:
    """Each flight of the window under each variant, in the order of the plan's variants."""
    rows = predictions[predictions["occurred_at"] < plan.window.window.end]
    rows = rows.merge(outcomes[["request_id", "label"]], on="request_id", how="left")
    versions = [rows[rows["version"] == variant.version] for variant in plan.variants.values()]
    versions = [table.sort_values("request_id", ignore_index=True) for table in versions]
    first = versions[0]
    if not all(table["request_id"].equals(first["request_id"]) for table in versions):
        raise SystemExit("not every flight was scored by every version")
    label = first["label"].to_numpy(float)
    score = np.column_stack([table["score"].to_numpy(float) for table in versions])
    told = np.where(label[:, None] == 1, score, 1 - score)
    known = {
        "brier": (label[:, None] - score) ** 2,
        "log_loss": np.where(np.isnan(label)[:, None], np.nan, -np.log(told)),
        "latency": np.column_stack([table["latency_ms"].to_numpy(float) for table in versions]),
        "error_rate": np.column_stack([table["error"].to_numpy(float) for table in versions]),
    }
    units = first["unit_id"].tolist()
    return Flights(
        units=units,
        values={metric: known[metric] for metric in plan.metrics},
        labelled=~np.isnan(label) & ~first["error"].to_numpy(bool),
        answered=~first["error"].to_numpy(bool),
        clusters=pd.factorize(first["cluster_id"].where(first["cluster_id"].notna(), "unit " + first["unit_id"]))[0],
        sample=sorted(range(len(units)), key=lambda at: hashlib.md5(units[at].encode()).hexdigest())[:SAMPLE_UNITS],
    )


def assign(units: Sequence[str], plan: ExperimentPlan) -> np.ndarray:
    """Each unit's variant as a number: `toolkit.digests.assign_variant` on many units."""
    key, weights = plan.assignment.key, np.array(list(plan.weights.values()))
    hashes = np.array([mmh3.hash(key + unit, 0, signed=False) for unit in units], dtype=np.uint64)
    buckets = (hashes * np.uint64(weights.sum())) >> np.uint64(32)
    return np.searchsorted(np.cumsum(weights), buckets.astype(np.int64), side="right")


def measured(flights: Flights, variant: np.ndarray, plan: ExperimentPlan, like: Units) -> Units:
    """What `experiments.measure` would return for this assignment, computed with numpy instead of SQL."""
    groups = flights.clusters if plan.cluster else np.arange(len(flights.units))
    names = list(plan.variants)
    arrivals, parts, sides, pairs = {}, {}, {}, {}
    for v, name in enumerate(names):
        here = variant == v
        n = int(here.sum())
        labelled, answered = int((here & flights.labelled).sum()), int((here & flights.answered).sum())
        arrivals[name] = Arrivals(n, n, n, 0, 0, answered, labelled, 0)
        for metric, values in flights.values.items():
            counted = here & ~np.isnan(values[:, v])
            sums = np.bincount(groups[counted], values[counted, v], groups.max() + 1)
            counts = np.bincount(groups[counted], minlength=groups.max() + 1)
            requests, mean = int(counts.sum()), sums.sum() / counts.sum()
            part = (sums - mean * counts) / requests
            parts[metric, name] = part, counts > 0
            sides[metric, name] = Side(requests, int((counts > 0).sum()), float(mean), float(part @ part))
    for metric in flights.values:
        base, in_control = parts[metric, plan.control]
        for treatment in plan.treatments:
            part, in_treatment = parts[metric, treatment]
            pairs[metric, treatment] = Pair(
                int((in_control | in_treatment).sum()), float((part - base) @ (part - base)), float(part @ base)
            )
    sample = tuple((flights.units[at], names[variant[at]]) for at in flights.sample if variant[at] < len(names))
    return replace(like, arrivals=arrivals, sides=sides, pairs=pairs, sample=sample)


def write_workspace(
    root: Path, target: Path, events: tuple[pd.DataFrame, pd.DataFrame], plan: ExperimentPlan
) -> Workspace:
    """The workspace as this assignment would have left it: served flags and exposures follow the plan's key."""
    target.mkdir()
    for name in ("toolkit.toml", "metrics.yml", "models", "experiments"):
        source = root / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target / name)
    file = target / "experiments" / f"{EXPERIMENT}.yml"
    own = open_plan(root)
    pieces = f"key: {own.assignment.key}}}", f"key: {plan.assignment.key}}}"
    text = file.read_text()
    if text.count(pieces[0]) != 1:
        raise SystemExit(f"{file.name} names its assignment key in another form than {pieces[0]!r}")
    file.write_text(text.replace(*pieces))
    predictions, outcomes = events
    inside = predictions["occurred_at"] < plan.window.window.end
    names, versions = list(plan.variants), [variant.version for variant in plan.variants.values()]
    chosen = assign(predictions.loc[inside, "unit_id"].tolist(), plan)
    served = predictions["served"].copy()
    served[inside] = predictions.loc[inside, "version"].to_numpy() == np.array(versions)[chosen]
    shown = predictions.loc[inside].assign(variant=np.array(names)[chosen], experiment=EXPERIMENT)
    shown = shown.drop_duplicates("unit_id").rename(columns={"occurred_at": "exposed_at"})
    tables = {
        "predictions": predictions.assign(served=served),
        "outcomes": outcomes,
        "exposures": shown[["experiment", "unit_id", "variant", "exposed_at"]],
    }
    for name, table in tables.items():
        (target / "data" / name).mkdir(parents=True)
        table.to_parquet(target / "data" / name / "all.parquet", index=False)
    return open_workspace(target)


def open_plan(root: Path) -> ExperimentPlan:
    """The example's plan."""
    return experiments.load(open_workspace(root), EXPERIMENT)


def planned(plan: ExperimentPlan, *, analysis: str, key: str) -> ExperimentPlan:
    """The plan with another analysis and assignment key."""
    cluster = "cluster_id" if analysis == "clustered" else None
    assignment = plan.assignment.model_copy(update={"key": key})
    return plan.model_copy(update={"analysis": analysis, "cluster": cluster, "assignment": assignment})


def disagreement(one: Units, other: Units) -> float:
    """The largest relative difference between two measurements; infinite where a count differs."""
    if one.arrivals != other.arrivals or one.sample != other.sample:
        return math.inf
    worst = 0.0
    for mine, theirs in ((one.sides, other.sides), (one.pairs, other.pairs)):
        for key, values in mine.items():
            for a, b in zip(values, theirs[key], strict=True):
                scale = max(abs(a), abs(b))
                # A sum of products is 0 but for rounding where groups do not straddle the variants.
                worst = max(worst, abs(a - b) / scale if scale > 1e-18 else 0.0)
    return worst


def loses(units: Units, variant: str) -> Units:
    """The same test with 3 % of one variant's units never exposed."""
    counts = units.arrivals[variant]
    left = counts.exposed - round(LOSS * counts.exposed)
    return replace(
        units, arrivals={**units.arrivals, variant: counts._replace(exposed=left, served=left, requests=left)}
    )


def called(plan: ExperimentPlan, units: Units) -> bool:
    """Whether the sample-ratio check failed."""
    return any(check.name == "sample_ratio" for check in experiments.check(plan, units).failed)


def rehash(plan: ExperimentPlan, flights: Flights, like: Units) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All assignments: one row per assignment × analysis × metric, and one per assignment × analysis."""
    effects, runs = [], []
    truth = {metric: np.nanmean(values[:, 1]) - np.nanmean(values[:, 0]) for metric, values in flights.values.items()}
    for index in range(ASSIGNMENTS):
        for analysis in ANALYSES:
            again = planned(plan, analysis=analysis, key=f"rehash-{index}")
            units = measured(flights, assign(flights.units, again), again, like)
            checks, readout = experiments.check(again, units), experiments.analyze(again, units)
            decision = experiments.judge(again, checks, readout).decision
            losses = {f"{name}_lost": called(again, loses(units, name)) for name in plan.variants}
            runs.append({"analysis": analysis, "decision": decision, "alarm": called(again, units), **losses})
            effects += [
                {
                    "metric": effect.metric,
                    "analysis": analysis,
                    "truth": truth[effect.metric],
                    "covered": effect.difference.ci_lower <= truth[effect.metric] <= effect.difference.ci_upper,
                    "width": effect.difference.ci_upper - effect.difference.ci_lower,
                    "error": effect.difference.value - truth[effect.metric],
                    "se": effect.difference.se,
                }
                for effect in readout.effects
            ]
    return pd.DataFrame(effects), pd.DataFrame(runs)


def worst_disagreement(
    root: Path, events: tuple[pd.DataFrame, pd.DataFrame], flights: Flights, plan: ExperimentPlan
) -> float:
    """A few re-hashed assignments through `experiments.measure` itself, against the numpy path."""
    worst = 0.0
    for index in range(PRODUCT_RUNS):
        for analysis in ANALYSES:
            again = planned(plan, analysis=analysis, key=f"rehash-{index}")
            with tempfile.TemporaryDirectory() as folder:
                workspace = write_workspace(root, Path(folder) / "flights", events, again)
                product = experiments.measure(again, data.open_source(workspace))
            short = measured(flights, assign(flights.units, again), again, product)
            worst = max(worst, disagreement(product, short))
    return worst


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[name]) for name in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(root: Path) -> bool:
    """Print everything; whether the promises hold."""
    plan = open_plan(root)
    units = experiments.measure(plan, data.open_source(open_workspace(root)))
    events = read_events(root, plan)
    flights = potential_outcomes(*events, plan)
    effects, runs = rehash(plan, flights, units)

    print(f"# Coverage over {ASSIGNMENTS} re-hashed assignments of {len(flights.units):,} flights\n")
    rows = []
    for (metric, analysis), found in effects.groupby(["metric", "analysis"], sort=False):
        error = found["error"].std(ddof=1)
        rows.append(
            {
                "metric": metric,
                "analysis": analysis,
                "true difference": f"{found['truth'].iloc[0]:.6g}",
                "covered": f"{found['covered'].mean():.1%}",
                "mean width": f"{found['width'].mean():.4g}",
                "mean se / spread of the estimates": f"{found['se'].mean() / error:.3f}",
            }
        )
    print(table(rows))
    print(
        "\nWhere a flight's two outcomes have little to do with each other (scoring time), part of the spread that the "
        "standard error allows for is not there: Neyman's variance is an upper bound, and its interval covers more."
    )

    print(f"\n# Verdicts, and the sample-ratio check at {plan.sample_ratio_alpha:g}\n")
    rows = []
    for analysis, found in runs.groupby("analysis", sort=False):
        shares = found["decision"].value_counts(normalize=True)
        row = {"analysis": analysis, **{f"verdict {name}": f"{share:.1%}" for name, share in shares.items()}}
        row["called without loss"] = f"{found['alarm'].mean():.1%}"
        rows.append(
            row | {f"called, 3 % of {name} lost": f"{found[f'{name}_lost'].mean():.1%}" for name in plan.variants}
        )
    heads = dict.fromkeys(name for row in rows for name in row)
    print(table([{name: row.get(name, "0.0%") for name in heads} for row in rows]))

    print("\n# The real assignment\n")
    checks, readout = experiments.check(plan, units), experiments.analyze(plan, units)
    print(checks.text, readout.text, experiments.judge(plan, checks, readout).text, sep="\n\n")
    for name in plan.variants:
        print(f"\nWith 3 % of {name}'s exposures lost: {experiments.check(plan, loses(units, name)).checks[0].text}")

    worst = worst_disagreement(root, events, flights, plan)
    print(f"\n# The product's path\n\n{PRODUCT_RUNS} assignments × {len(ANALYSES)} analyses through Parquet and SQL: ")
    print(f"all counts equal, numbers differ by at most {worst:.1e} of their size." if worst < 1e-8 else "DIFFERENT")
    primary = effects[effects["metric"] == plan.primary].groupby("analysis")["covered"].mean()
    return bool(primary.between(*COVERAGE).all()) and worst < 1e-8


def main() -> int:
    """Run on the workspace given, or on one built for the purpose."""
    if len(sys.argv) > 1:
        return 0 if report(Path(sys.argv[1])) else 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        build_flights(root, progress=lambda line: print(line, file=sys.stderr))
        return 0 if report(root) else 1


if __name__ == "__main__":
    sys.exit(main())
