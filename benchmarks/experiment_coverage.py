"""Do the readout's intervals hold what they promise? 200 re-hashed assignments of the example's A/B test.

Both versions scored every flight, so the outcome of each flight under either variant is known and with it the true
difference. Each run assigns the same flights by another key, shows the readout only what that assignment would have
served, and asks whether its interval covers the truth, adjusted for the plan's covariates and unadjusted. The plan's
rule is applied as at its last look, with the earlier ones taken. A few runs go through the whole product, Parquet and
SQL included, and must give the same numbers.

    python benchmarks/experiment_coverage.py [FLIGHTS_WORKSPACE]

Prints Markdown. Exits 1 when the primary metric's coverage leaves 92-98 % or the two paths disagree.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mmh3
import numpy as np
import pandas as pd
from ways.tables import markdown

from toolkit import data, experiments, stats
from toolkit.examples import build_flights
from toolkit.experiments import Arrivals, Checks, ExperimentPlan, Looks, Units
from toolkit.experiments.collection import Layout
from toolkit.experiments.exposures import SAMPLE_UNITS
from toolkit.experiments.rules import suffices
from toolkit.experiments.samples import Part
from toolkit.experiments.taken_looks import place_look
from toolkit.stats.joint_moments import joint_moments
from toolkit.workspace import Workspace, open_workspace

EXPERIMENT = "delay-v2"
ASSIGNMENTS = 200
PRODUCT_RUNS = 3
LOSS = 0.03
COVERAGE = (0.92, 0.98)
MOST_APART = 1e-8
ANALYSES = ("plain", "clustered")
BASES = {"unadjusted": False, "adjusted": True}


@dataclass(frozen=True)
class Flights:
    """What every flight of the test's window did under either version.

    values: metric to an array of flights × versions, NaN where the flight does not count. covariates: one array each.
    segments: by name the value of each flight. labelled, answered: the same for every version. clusters: each flight's
    cluster as a number. sample: the flights whose assignment is recomputed.
    """

    units: list[str]
    values: dict[str, np.ndarray]
    covariates: list[np.ndarray]
    segments: dict[str, np.ndarray]
    labelled: np.ndarray
    answered: np.ndarray
    clusters: np.ndarray
    sample: list[int]


@dataclass(frozen=True)
class Assigned:
    """What `Units` reads its samples from, for one assignment: arrays in the place of tables of moments."""

    flights: Flights
    variant: np.ndarray
    plan: ExperimentPlan
    layout: Layout
    shares: frozenset[str]

    def of(
        self, metric: str, treatment: str, part: Part, *, covariates: bool = False, capped: bool = False
    ) -> stats.TwoSamples:
        """One metric in a treatment and the control, of everyone or of a segment."""
        if part.through or part.since is not None or capped:
            raise SystemExit("only everyone and segments are measured here")
        control, treated = (self._sums(metric, name, part, covariates) for name in (self.plan.control, treatment))
        there0, there1 = control[1] > 0, treated[1] > 0
        samples = stats.TwoSamples(
            joint_moments(*control[:, there0]),
            joint_moments(*treated[:, there1]),
            rows0=int(control[1].sum()),
            rows1=int(treated[1].sum()),
            share=metric in self.shares,
        )
        if not self.plan.cluster:
            return samples
        both = there0 & there1
        away0, away1 = (
            sums[:, both] - sums[:, there].mean(axis=1, keepdims=True)
            for sums, there in ((control, there0), (treated, there1))
        )
        crossed = tuple(map(tuple, (away0 @ away1.T).tolist()))
        return samples._replace(crossed=crossed, groups=int((there0 | there1).sum()))

    def past(self, metric: str, treatment: str) -> stats.TwoSamples:
        """A flight is decided once: nobody has a past."""
        nobody = joint_moments([], [])
        return stats.TwoSamples(nobody, nobody, 0, 0)

    def _sums(self, metric: str, name: str, part: Part, covariates: bool) -> np.ndarray:
        """Measures × groups: the sum and the number of the values that count, then of each covariate."""
        flights, at = self.flights, list(self.plan.variants).index(name)
        groups = flights.clusters if self.plan.cluster else np.arange(len(flights.units))
        here = self.variant == at
        if part.split:
            here = here & (flights.segments[part.split] == part.value)
        columns = [flights.values[metric][:, at], *(flights.covariates if covariates else ())]
        measures = []
        for column in columns:
            known = here & ~np.isnan(column)
            measures += [np.bincount(groups[known], each, groups.max() + 1) for each in (column[known], None)]
        return np.array(measures, dtype=float)


def read_events(root: Path, plan: ExperimentPlan) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions from the window's start until two days after its end, and all outcomes."""
    window = plan.window.window
    until = window.end + pd.Timedelta(days=2)
    predictions = pd.read_parquet(
        root / "data" / "predictions", filters=[("occurred_at", ">=", window.start), ("occurred_at", "<", until)]
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
        "late_share": np.column_stack([label for _ in versions]),
    }
    units = first["unit_id"].tolist()
    return Flights(
        units=units,
        values={metric: known[metric] for metric in plan.metrics},
        covariates=[first[each.column].to_numpy(float) for each in plan.covariates],
        segments={name: first[name].to_numpy() for name in plan.splits},
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
    """What `experiments.measure` would return for this assignment, computed with numpy instead of SQL.

    It has no counts by day or segment, and none of the logs: only the checks that need neither are made.
    """
    names, arrivals = list(plan.variants), {}
    for at, name in enumerate(names):
        here = variant == at
        n, answered, labelled = (int((here & which).sum()) for which in (True, flights.answered, flights.labelled))
        arrivals[name] = Arrivals(n, n, n, 0, 0, answered, labelled, 0)
    return replace(
        like,
        clustered=plan.cluster is not None,
        arrivals=arrivals,
        exposed_by_day={},
        exposed_by_segment={},
        sample=tuple((flights.units[at], names[variant[at]]) for at in flights.sample),
        read=Assigned(flights, variant, plan, like.read.layout, like.read.shares),
        health=None,
    )


def write_workspace(
    root: Path, target: Path, events: tuple[pd.DataFrame, pd.DataFrame], plan: ExperimentPlan
) -> Workspace:
    """The workspace as this assignment would have left it: served flags and exposures follow the plan's key."""
    target.mkdir()
    for name in ("toolkit.toml", "metrics.yml"):
        shutil.copy(root / name, target / name)
    shutil.copytree(root / "models", target / "models")
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
    shutil.copytree(root / "data", target / "data", ignore=shutil.ignore_patterns(*tables))
    for name, table in tables.items():
        (target / "data" / name).mkdir()
        table.to_parquet(target / "data" / name / "all.parquet", index=False)
    return open_workspace(target)


def planned(plan: ExperimentPlan, *, analysis: str, key: str) -> ExperimentPlan:
    """The plan with another analysis and assignment key."""
    cluster = "cluster_id" if analysis == "clustered" else None
    assignment = plan.assignment.model_copy(update={"key": key})
    return plan.model_copy(update={"analysis": analysis, "cluster": cluster, "assignment": assignment})


def last_look(plan: ExperimentPlan, units: Units) -> Looks:
    """The last planned look, with those before it taken when they were planned."""
    taken = [experiments.first_look(plan, replace(units, as_of=instant)).current for instant in plan.planned_looks[:-1]]
    return place_look(plan, units, taken, None)


def compared(plan: ExperimentPlan, units: Units, metric: str) -> dict[str, stats.Effects]:
    """The effect of the plan's treatment on a metric, by basis."""
    samples = units.samples(metric, plan.treatments[0], covariates=True)
    return {basis: stats.compare(samples, confidence=1 - plan.alpha, adjust=BASES[basis]) for basis in BASES}


def disagreement(plan: ExperimentPlan, one: Units, other: Units) -> float:
    """The largest relative difference between two measurements; infinite where a count differs."""
    if one.arrivals != other.arrivals or one.sample != other.sample:
        return math.inf
    worst = 0.0
    for metric in plan.metrics:
        mine, theirs = (numbers(compared(plan, units, metric)) for units in (one, other))
        scale = np.maximum(np.abs(mine), np.abs(theirs))
        worst = max(worst, float((np.abs(mine - theirs)[scale > 0] / scale[scale > 0]).max()))
    return worst


def numbers(effects: Mapping[str, stats.Effects]) -> np.ndarray:
    """Both means, the difference and the lift, each with its error, degrees of freedom, interval and n; 0 for none."""
    estimates = [each for found in effects.values() for each in found[:4]]
    return np.nan_to_num(np.array([[*each[:5], each.n] for each in estimates], dtype=float))


def loses(units: Units, variant: str) -> Units:
    """The same test with 3 % of one variant's units never exposed."""
    counts = units.arrivals[variant]
    left = counts.exposed - round(LOSS * counts.exposed)
    return replace(
        units, arrivals={**units.arrivals, variant: counts._replace(exposed=left, served=left, requests=left)}
    )


def called(checks: Checks) -> bool:
    """Whether the sample-ratio check failed."""
    return any(check.code == "sample_ratio" for check in checks.failed)


def rehash(plan: ExperimentPlan, flights: Flights, like: Units) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All assignments: one row per assignment × analysis × metric × basis, and one per assignment × analysis."""
    effects, runs = [], []
    truth = {metric: np.nanmean(values[:, 1]) - np.nanmean(values[:, 0]) for metric, values in flights.values.items()}
    for index, analysis in itertools.product(range(ASSIGNMENTS), ANALYSES):
        again = planned(plan, analysis=analysis, key=f"rehash-{index}")
        units = measured(flights, assign(flights.units, again), again, like)
        checks, readout = experiments.check(again, units), experiments.analyze(again, units, last_look(again, units))
        alarms = {f"{name}_lost": called(experiments.check(again, loses(units, name))) for name in plan.variants}
        decision = experiments.judge(again, checks, readout).decision
        failed = [check.name for check in checks.failed]
        lacking = [each.label for each in readout.effects if each.role != "secondary" and not suffices(again, each)]
        alarms["alarm"] = called(checks)
        runs.append({"analysis": analysis, "decision": decision, "failed": failed, "lacking": lacking, **alarms})
        effects += [
            {
                "metric": metric,
                "analysis": analysis,
                "basis": basis,
                "truth": truth[metric],
                "covered": found.difference.ci_lower <= truth[metric] <= found.difference.ci_upper,
                "width": found.difference.ci_upper - found.difference.ci_lower,
                "error": found.difference.value - truth[metric],
                "se": found.difference.se,
            }
            for metric in plan.metrics
            for basis, found in compared(again, units, metric).items()
        ]
    return pd.DataFrame(effects), pd.DataFrame(runs)


def worst_disagreement(
    root: Path, events: tuple[pd.DataFrame, pd.DataFrame], flights: Flights, plan: ExperimentPlan
) -> float:
    """A few re-hashed assignments through `experiments.measure` itself, against the numpy path."""
    worst = 0.0
    for index, analysis in itertools.product(range(PRODUCT_RUNS), ANALYSES):
        again = planned(plan, analysis=analysis, key=f"rehash-{index}")
        with tempfile.TemporaryDirectory() as folder:
            workspace = write_workspace(root, Path(folder) / "flights", events, again)
            product = experiments.measure(again, data.open_source(workspace))
        short = measured(flights, assign(flights.units, again), again, product)
        worst = max(worst, disagreement(again, product, short))
    return worst


def tally(names: pd.Series) -> str:
    """How often each name is on the runs' lists."""
    shares = names.explode().value_counts() / len(names)
    return ", ".join(f"{name} in {share:.1%}" for name, share in shares.items()) or "none"


def report(root: Path) -> bool:
    """Print everything; whether the promises hold."""
    workspace = open_workspace(root)
    plan = experiments.load(workspace, EXPERIMENT)
    units = experiments.measure(plan, data.open_source(workspace))
    events = read_events(root, plan)
    flights = potential_outcomes(*events, plan)
    effects, runs = rehash(plan, flights, units)

    print(f"# Coverage over {ASSIGNMENTS} re-hashed assignments of {len(flights.units):,} flights\n")
    rows = []
    for (metric, analysis, basis), found in effects.groupby(["metric", "analysis", "basis"], sort=False):
        error = found["error"].std(ddof=1)
        rows.append(
            {
                "metric": metric,
                "analysis": analysis,
                "basis": basis,
                "true difference": f"{found['truth'].iloc[0]:.6g}",
                "covered": f"{found['covered'].mean():.1%}",
                "mean width": f"{found['width'].mean():.4g}",
                "mean se / spread of the estimates": f"{found['se'].mean() / error:.3f}",
            }
        )
    print(markdown(rows))
    print(
        f"\nAdjusted is for {' and '.join(units.covariates)}. Where a flight's two outcomes have little to do with "
        "each other (scoring time), part of the spread that the standard error allows for is not there: Neyman's "
        "variance is an upper bound, and its interval covers more."
    )

    print(f"\n# Verdicts at the last look, and the sample-ratio check at {plan.sample_ratio_alpha:g}\n")
    rows = []
    for analysis, found in runs.groupby("analysis", sort=False):
        shares = found["decision"].value_counts(normalize=True)
        row = {"analysis": analysis, **{f"verdict {name}": f"{share:.1%}" for name, share in shares.items()}}
        row["called without loss"] = f"{found['alarm'].mean():.1%}"
        rows.append(
            row | {f"called, 3 % of {name} lost": f"{found[f'{name}_lost'].mean():.1%}" for name in plan.variants}
        )
    heads = dict.fromkeys(name for row in rows for name in row)
    print(markdown([{name: row.get(name, "0.0%") for name in heads} for row in rows]))

    print(f"\nChecks that failed: {tally(runs['failed'])}. Not shown as the rule asks: {tally(runs['lacking'])}.")

    print("\n# The real assignment\n")
    checks, readout = experiments.check(plan, units), experiments.analyze(plan, units, last_look(plan, units))
    print(checks.text, readout.text, experiments.judge(plan, checks, readout).text, sep="\n\n")
    for name in plan.variants:
        print(f"\nWith 3 % of {name}'s exposures lost: {experiments.check(plan, loses(units, name)).checks[0].text}")

    worst = worst_disagreement(root, events, flights, plan)
    print(f"\n# The product's path\n\n{PRODUCT_RUNS} assignments × {len(ANALYSES)} analyses through Parquet and SQL: ")
    same = worst <= MOST_APART
    print(
        f"all counts equal, numbers differ by at most {worst:.1e} of their size." if same else f"DIFFERENT: {worst:.1e}"
    )
    primary = effects[effects["metric"] == plan.primary].groupby(["analysis", "basis"])["covered"].mean()
    return bool(primary.between(*COVERAGE).all()) and same


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
