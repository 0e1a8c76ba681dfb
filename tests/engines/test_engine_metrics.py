"""Every kind of metric on every engine: the same numbers, and those of pandas, scikit-learn and statsmodels."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn import metrics as sklearn

from toolkit import stats
from toolkit.data import load_model
from toolkit.metrics import Cells, Population, load_metrics, measure
from toolkit.metrics.definitions import KINDS
from toolkit.windows import Window, parse_instant
from toolkit.workspace import open_workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

AS_OF = parse_instant("2026-03-31T18:00:00Z")
DAYS = 3
SEGMENTS = ("region", "part_of_day")
POPULATIONS = (
    Population("every", None, Window.of("2026-03-28", "2026-03-31"), served_only=False),
    Population("served", "1", Window.of("2026-03-28T06:00:00Z", "2026-03-31"), served_only=True),
)

Rows = pd.DataFrame


class Case(NamedTuple):
    """A metric's kind with its parameters, what it is of rows, and how near its own arithmetic comes to that."""

    definition: str
    expected: Callable[[Rows], float]
    rel: float = 1e-9


def scored(rows: Rows) -> Rows:
    return rows.dropna(subset=["score", "label"])


def of(score: Callable[..., float], said: str) -> Callable[[Rows], float]:
    """A measure of scikit-learn: of what happened, and what was said."""
    return lambda rows: float(score(scored(rows)["label"], scored(rows)[said]))


def cell(decided: int, happened: int) -> Callable[[Rows], float]:
    return lambda rows: ((scored(rows)["decided"] == decided) & (scored(rows)["label"] == happened)).mean()


def recalibrated(coefficient: int) -> Callable[[Rows], float]:
    def value(rows: Rows) -> float:
        known = scored(rows)
        logit = np.log(known["score"] / (1 - known["score"]))
        fitted = sm.Logit(known["label"], sm.add_constant(logit)).fit(disp=False, tol=1e-12)
        return float(fitted.params.iloc[coefficient])

    return value


def binned(rows: Rows, bins: int = 15) -> Rows:
    known = scored(rows)
    midrank = known["score"].rank(method="average") - 0.5
    return known.assign(bin=np.minimum(np.floor(bins * midrank / len(known)), bins - 1).astype(int))


def calibration_error(rows: Rows) -> float:
    cells = (
        binned(rows).groupby(["day", "bin"]).agg(n=("score", "size"), score=("score", "sum"), label=("label", "sum"))
    )
    day, place = cells.index.codes
    return stats.debiased_calibration_error(day, place, cells["n"], cells["score"], cells["label"]).value


def brier_part(part: str) -> Callable[[Rows], float]:
    def value(rows: Rows) -> float:
        known = binned(rows)
        by_bin = known.groupby("bin").agg(n=("score", "size"), score=("score", "mean"), label=("label", "mean"))
        share, rate = by_bin["n"] / len(known), known["label"].mean()
        parts = {
            "reliability": float((share * (by_bin["score"] - by_bin["label"]) ** 2).sum()),
            "resolution": float((share * (by_bin["label"] - rate) ** 2).sum()),
            "uncertainty": float(rate * (1 - rate)),
        }
        whole = float(((known["score"] - known["label"]) ** 2).mean())
        parts["within"] = whole - parts["reliability"] + parts["resolution"] - parts["uncertainty"]
        return parts[part]

    return value


def lift(rows: Rows) -> float:
    """Of the highest tenth, requests of one score taken in part."""
    known, left, found = scored(rows), 0.1 * len(scored(rows)), 0.0
    for _, same in sorted(known.groupby("score"), reverse=True):
        taken = min(left, len(same))
        found, left = found + taken * same["label"].mean(), left - taken
    return found / (0.1 * len(known)) / known["label"].mean()


def ndcg(rows: Rows) -> float:
    found = []
    for _, group in scored(rows).groupby("unit_id"):
        if group["label"].sum() > 0:
            discounts = np.where(np.arange(len(group)) < 2, 1 / np.log2(np.arange(len(group)) + 2), 0.0)
            best = (np.sort(group["label"])[::-1] * discounts).sum()
            order = group.sort_values("score", ascending=False)
            shared = pd.Series(discounts, index=order.index).groupby(order["score"]).transform("mean")
            found.append((order["label"] * shared).sum() / best)
    return float(np.mean(found))


def pinball(rows: Rows) -> float:
    return float(sklearn.mean_pinball_loss(scored(rows)["label"], scored(rows)["prediction"], alpha=0.8))


CASES: dict[str, Case] = {
    "proportion": Case("kind: proportion, column: stops > 2", lambda rows: (rows["stops"].dropna() > 2).mean()),
    "mean": Case("kind: mean, column: cost", lambda rows: rows["cost"].mean()),
    "mean_of_some": Case(
        "kind: mean, column: cost * 2, filter: region = 'Süd' and hour(occurred_at) < 12",
        lambda rows: 2 * rows.loc[(rows["region"] == "Süd") & (rows["occurred_at"].dt.hour < 12), "cost"].mean(),
    ),
    "ratio": Case(
        "kind: ratio, numerator: cost, denominator: latency_ms",
        lambda rows: rows["cost"].sum() / rows.loc[rows["cost"].notna(), "latency_ms"].sum(),
    ),
    "count": Case("kind: count", lambda rows: len(rows) / DAYS),
    "rate": Case("kind: rate, column: cost, per: hour", lambda rows: rows["cost"].sum() / DAYS / 24),
    "throughput": Case("kind: throughput, per: hour", lambda rows: (~rows["error"]).sum() / DAYS / 24),
    "quantile": Case("kind: quantile, column: latency_ms, q: 0.9", lambda rows: rows["latency_ms"].quantile(0.9)),
    "brier": Case("kind: brier", of(sklearn.brier_score_loss, "score")),
    "log_loss": Case("kind: log_loss", of(sklearn.log_loss, "score")),
    "calibration": Case("kind: calibration", lambda rows: (rows["label"] - rows["score"]).mean()),
    "auc": Case("kind: auc", of(sklearn.roc_auc_score, "score")),
    "ece": Case("kind: ece", calibration_error),
    "calibration_slope": Case("kind: calibration_slope", recalibrated(1), rel=1e-6),
    "calibration_intercept": Case("kind: calibration_intercept", recalibrated(0), rel=1e-6),
    "reliability": Case("kind: brier_decomposition, part: reliability", brier_part("reliability")),
    "resolution": Case("kind: brier_decomposition, part: resolution", brier_part("resolution")),
    "uncertainty": Case("kind: brier_decomposition, part: uncertainty", brier_part("uncertainty")),
    "within": Case("kind: brier_decomposition, part: within", brier_part("within")),
    "lift": Case("kind: lift, share: 0.1", lift),
    "ndcg": Case("kind: ndcg, group: unit_id, k: 2", ndcg),
    "accuracy": Case("kind: accuracy", of(sklearn.accuracy_score, "decided")),
    "precision": Case("kind: precision", of(sklearn.precision_score, "decided")),
    "recall": Case("kind: recall", of(sklearn.recall_score, "decided")),
    "f1": Case("kind: f1", of(sklearn.f1_score, "decided")),
    "specificity": Case("kind: specificity", lambda rows: 1 - rows.loc[rows["label"] == 0, "decided"].mean()),
    "true_positive": Case("kind: confusion, cell: true_positive", cell(1, 1)),
    "false_positive": Case("kind: confusion, cell: false_positive", cell(1, 0)),
    "near_threshold": Case(
        "kind: near_threshold_share, within: 0.1",
        lambda rows: ((rows["score"].dropna() - 0.4).abs() <= 0.1).mean(),
    ),
    "mae": Case("kind: mae", of(sklearn.mean_absolute_error, "prediction")),
    "rmse": Case("kind: rmse", of(sklearn.root_mean_squared_error, "prediction")),
    "bias": Case("kind: bias", lambda rows: (rows["prediction"] - rows["label"]).mean()),
    "pinball": Case("kind: pinball, q: 0.8", pinball),
    "error_rate": Case("kind: error_rate", lambda rows: rows["error"].mean()),
    "over_budget": Case("kind: share_over_budget, budget_ms: 12", lambda rows: (rows["latency_ms"] > 12).mean()),
    "coverage": Case("kind: coverage", lambda rows: (~rows["error"] & rows["score"].notna()).mean()),
    "null_share": Case("kind: null_share, column: region", lambda rows: rows["region"].isna().mean()),
}

METRICS = """\
segments:
  part_of_day: {column: "extract(hour from occurred_at)", edges: [6, 18]}
metrics:
""" + "".join(
    f"  {key}: {{name: {key}, description: d, owner: Ada, {case.definition}, direction: none, "
    "practical_threshold: 1, role: quality}\n"
    for key, case in CASES.items()
)

MODEL = """\
key: delay
name: Delay
description: d
owner: Ada
label: {name: late, description: d, maturity_days: 1}
decision_threshold: 0.4
loss: brier
versions:
  "1":
    description: d
    features: []
    trained: {start: "2026-01-01", end: "2026-03-01"}
    reference: {start: "2026-03-01", end: "2026-03-28"}
"""


def measure_all(engine: Engine) -> Cells:
    root = engine.workspace.root
    (root / "models").mkdir(exist_ok=True)
    (root / "models" / "delay.yml").write_text(MODEL)
    (root / "metrics.yml").write_text(METRICS, encoding="utf-8")
    workspace = open_workspace(root)
    metrics, model = load_metrics(workspace), load_model(workspace, "delay")
    return measure(engine.source(), model, metrics, POPULATIONS, as_of=AS_OF, segments=SEGMENTS)


@pytest.fixture(scope="module")
def cells(engine: Engine) -> Cells:
    return measure_all(engine)


@pytest.fixture(scope="session")
def frame(event_tables: tuple[pa.Table, pa.Table]) -> Rows:
    """The requests with the label that was known, without any of the toolkit's code."""
    predictions, outcomes = (table.to_pandas() for table in event_tables)
    known = outcomes[outcomes["observed_at"] <= AS_OF].sort_values("observed_at").groupby("request_id").last()
    rows = predictions.rename(columns={"created": "occurred_at"}).merge(known["label"], on="request_id", how="left")
    rows["latency_ms"] = rows["latency_s"] * 1000
    rows["prediction"] = rows["score"] * 1.5
    rows["decided"] = (rows["score"] >= 0.4).astype(int)
    rows["day"] = rows["occurred_at"].dt.strftime("%Y-%m-%d")
    hour = rows["occurred_at"].dt.hour
    rows["part_of_day"] = np.select([hour < 6, hour < 18], ["below 6", "6 to 18"], "18 and above")
    rows["region"] = rows["region"].astype(object).where(rows["region"].notna(), None)
    return rows.astype({"label": "float64", "cost": "float64", "stops": "float64"})


def rows_of(frame: Rows, population: Population) -> Rows:
    rows = frame[(frame["occurred_at"] >= population.window.start) & (frame["occurred_at"] < population.window.end)]
    rows = rows if population.version is None else rows[rows["version"] == population.version]
    return rows[rows["served"]] if population.served_only else rows


def test_there_is_a_case_of_every_kind() -> None:
    kinds = {case.definition.removeprefix("kind: ").partition(",")[0] for case in CASES.values()}

    assert kinds == set(KINDS)


@pytest.mark.parametrize("metric", CASES)
def test_a_metric_is_what_pandas_has(cells: Cells, frame: Rows, metric: str) -> None:
    case, rows = CASES[metric], rows_of(frame, POPULATIONS[0])

    assert cells.estimate(metric, "every").value == pytest.approx(case.expected(rows), rel=case.rel)
    for segment in SEGMENTS:
        column = rows[segment].fillna("missing")
        assert cells.values(segment) == sorted(column.unique())
        for value in sorted(column.unique()):
            found = cells.estimate(metric, "every", segment=segment, value=value).value
            expected = case.expected(rows[column == value])
            assert (math.nan if found is None else found) == pytest.approx(
                expected, rel=case.rel, abs=1e-12, nan_ok=True
            ), (segment, value)


@pytest.mark.parametrize("metric", [key for key in CASES if key not in {"count", "rate", "throughput"}])
def test_a_metric_of_one_version_s_served_requests_is_what_pandas_has(cells: Cells, frame: Rows, metric: str) -> None:
    """Those that count against time do so against the whole window, which is cut here."""
    case, rows = CASES[metric], rows_of(frame, POPULATIONS[1])

    assert cells.estimate(metric, "served").value == pytest.approx(case.expected(rows), rel=case.rel)


def test_every_engine_brings_back_the_same_cells(cells: Cells, embedded: Cells) -> None:
    """But for what is counted of floating numbers alone: cost is a decimal in PostgreSQL, and is never infinite."""
    found, expected = cells.frame, embedded.frame
    assert {name for name in expected if name not in found} <= {
        "mean_of_some__spoilt",
        "mean__spoilt",
        "ratio__spoilt",
        "rate__spoilt",
    }
    assert len(found) == len(expected)
    for column in found.columns:
        for one, other in zip(found[column], expected[column], strict=True):
            assert _same(one, other), f"{column}: {one!r} and {other!r}"


def test_every_engine_gives_the_same_intervals(cells: Cells, embedded: Cells) -> None:
    for metric in CASES:
        for population in POPULATIONS:
            found, expected = (each.estimate(metric, population.name) for each in (cells, embedded))
            assert (found.n, found.method, found.status, found.reason) == (
                expected.n,
                expected.method,
                expected.status,
                expected.reason,
            )
            for name in ("value", "se", "ci_lower", "ci_upper"):
                assert _same(getattr(found, name), getattr(expected, name)), (metric, name)


@pytest.mark.slow
def test_an_engine_gives_the_same_bytes_every_time(engine: Engine, cells: Cells) -> None:
    for _ in range(1 if engine.name == "spark" else 3):  # minutes there
        shutil.rmtree(engine.workspace.root / "cache", ignore_errors=True)
        again = measure_all(engine)
        for metric in CASES:
            for population in POPULATIONS:
                assert again.estimate(metric, population.name) == cells.estimate(metric, population.name)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, event_tables: tuple[pa.Table, pa.Table]) -> Cells:
    from engine_places import in_parquet

    return measure_all(in_parquet(tmp_path_factory.mktemp("embedded"), *event_tables))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    if isinstance(one, list | np.ndarray) and isinstance(other, list | np.ndarray):  # in the order of the engine
        return len(one) == len(other) and all(map(_same, sorted(one), sorted(other)))
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-12)
