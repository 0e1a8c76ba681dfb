"""Each kind of the ratio family against pandas, scikit-learn or a reference number, and its interval against OLS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn import metrics as sklearn

from toolkit import stats
from toolkit.data import open_source
from toolkit.errors import ContractError, DefinitionError
from toolkit.metrics import KINDS, Population, load_metrics
from toolkit.windows import Window


def _decided(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["label"].notna()].astype({"decision": bool, "label": int})


def _both(rows: pd.DataFrame, said: str) -> pd.DataFrame:
    return rows[rows[said].notna() & rows["label"].notna()]


def _skl(score: str) -> Callable[[pd.DataFrame], float]:
    def value(rows: pd.DataFrame) -> float:
        known = _decided(rows)
        return float(getattr(sklearn, score)(known["label"], known["decision"]))

    return value


def _cell(decided: bool, happened: int) -> Callable[[pd.DataFrame], float]:
    def value(rows: pd.DataFrame) -> float:
        known = _decided(rows)
        matrix = sklearn.confusion_matrix(known["label"], known["decision"], normalize="all")
        return float(matrix[happened, int(decided)])

    return value


def _regression(score: Callable[..., float], **options: float) -> Callable[[pd.DataFrame], float]:
    def value(rows: pd.DataFrame) -> float:
        known = _both(rows, "prediction")
        return float(score(known["label"], known["prediction"], **options))

    return value


CASES: dict[str, tuple[str, Callable[[pd.DataFrame], float]]] = {
    "proportion": ("kind: proportion, column: decision", lambda rows: rows["decision"].astype(float).mean()),
    "proportion_where": (
        "kind: proportion, column: latency_ms > 12 and carrier = 'A'",
        lambda rows: ((rows["latency_ms"] > 12) & (rows["carrier"] == "A")).mean(),
    ),
    "mean": ("kind: mean, column: cost", lambda rows: rows["cost"].mean()),
    "mean_of_expression": ("kind: mean, column: latency_ms / 1000", lambda rows: (rows["latency_ms"] / 1000).mean()),
    "mean_of_some": (
        "kind: mean, column: cost, filter: carrier = 'B'",
        lambda rows: rows.loc[rows["carrier"] == "B", "cost"].mean(),
    ),
    "ratio": (
        "kind: ratio, numerator: cost, denominator: items",
        lambda rows: rows["cost"].sum() / rows.loc[rows["cost"].notna(), "items"].sum(),
    ),
    "ratio_of_expressions": (
        "kind: ratio, numerator: cost * 100, denominator: items + 1, filter: not error",
        lambda rows: (
            100
            * rows.loc[~rows["error"], "cost"].sum()
            / (rows[~rows["error"] & rows["cost"].notna()]["items"] + 1).sum()
        ),
    ),
    "count": ("kind: count", lambda rows: len(rows) / 30),
    "count_per_week": (
        "kind: count, per: week, filter: carrier = 'C'",
        lambda rows: (rows["carrier"] == "C").sum() / 30 * 7,
    ),
    "rate": ("kind: rate, column: cost, per: hour", lambda rows: rows["cost"].sum() / 30 / 24),
    "throughput": ("kind: throughput, per: hour", lambda rows: (~rows["error"]).sum() / 30 / 24),
    "brier": ("kind: brier", lambda rows: sklearn.brier_score_loss(*_scored(rows))),
    "log_loss": ("kind: log_loss", lambda rows: sklearn.log_loss(*_scored(rows))),
    "calibration": ("kind: calibration", lambda rows: (_both(rows, "score")["label"] - rows["score"]).mean()),
    "accuracy": ("kind: accuracy", _skl("accuracy_score")),
    "precision": ("kind: precision", _skl("precision_score")),
    "recall": ("kind: recall", _skl("recall_score")),
    "f1": ("kind: f1", _skl("f1_score")),
    "specificity": ("kind: specificity", lambda rows: sklearn.recall_score(*_decided_no(rows))),
    "true_positive": ("kind: confusion, cell: true_positive", _cell(decided=True, happened=1)),
    "false_positive": ("kind: confusion, cell: false_positive", _cell(decided=True, happened=0)),
    "false_negative": ("kind: confusion, cell: false_negative", _cell(decided=False, happened=1)),
    "true_negative": ("kind: confusion, cell: true_negative", _cell(decided=False, happened=0)),
    "precision_if": (
        "kind: precision, decision: score >= 0.6",
        lambda rows: _both(rows, "score").query("score >= 0.6")["label"].mean(),
    ),
    "mae": ("kind: mae", _regression(sklearn.mean_absolute_error)),
    "rmse": ("kind: rmse", _regression(sklearn.root_mean_squared_error)),
    "pinball": ("kind: pinball, q: 0.8", _regression(sklearn.mean_pinball_loss, alpha=0.8)),
    "bias": ("kind: bias", lambda rows: (rows["prediction"] - rows["label"]).mean()),
    "error_rate": ("kind: error_rate", lambda rows: rows["error"].mean()),
    "share_over_budget": ("kind: share_over_budget, budget_ms: 20", lambda rows: (rows["latency_ms"] > 20).mean()),
    "coverage": ("kind: coverage", lambda rows: (~rows["error"] & rows["score"].notna()).mean()),
    "coverage_of": (
        "kind: coverage, column: cost",
        lambda rows: (~rows["error"] & rows["cost"].notna()).mean(),
    ),
    "null_share": ("kind: null_share, column: cost", lambda rows: rows["cost"].isna().mean()),
    "null_share_of_text": ("kind: null_share, column: note", lambda rows: rows["note"].isna().mean()),
    "near_threshold": (
        "kind: near_threshold_share, within: 0.055",
        lambda rows: ((rows["score"] - rows["threshold"]).abs() <= 0.055)[rows["score"].notna()].mean(),
    ),
    "near_number": (
        "kind: near_threshold_share, within: 0.055, threshold: 0.5",
        lambda rows: ((rows["score"] - 0.5).abs() <= 0.055)[rows["score"].notna()].mean(),
    ),
}


def _scored(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    known = _both(rows, "score")
    return known["label"].astype(int), known["score"]


def _decided_no(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    known = _decided(rows)
    return 1 - known["label"], ~known["decision"]


@pytest.fixture(scope="module")
def cells(wide) -> object:
    return wide.measure({key: own for key, (own, _) in CASES.items()}, segments=["carrier"])


@pytest.mark.parametrize("key", CASES)
def test_value_agrees_with_an_independent_computation(wide, cells, key: str) -> None:
    expected = CASES[key][1](wide.rows())
    assert np.isfinite(expected)
    assert cells.estimate(key, "current").value == pytest.approx(expected, rel=1e-11)


def test_segments_add_up_to_all(cells) -> None:
    sums = [name for name in cells.frame.columns if name.endswith(("__sum", "__n", "__rows"))]
    assert len(sums) > 2 * len(CASES)
    whole = cells.days("current")[sums].sum()
    parts = cells.frame[(cells.frame["segment"] == "carrier") & (cells.frame["population"] == "current")][sums].sum()
    np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_every_kind_of_the_family_is_among_the_cases() -> None:
    from toolkit.metrics import RatioKind, TimeKind

    family = {name for name, kind in KINDS.items() if issubclass(kind, RatioKind | TimeKind)}
    assert {own.split(",")[0].removeprefix("kind: ") for own, _ in CASES.values()} == family


def test_every_kind_says_what_its_number_is(wide) -> None:
    metrics = load_metrics(wide.workspace)
    estimands = {key: metric.estimand for key, metric in metrics.items()}
    assert estimands["ratio"] == "sum of cost over sum of items"
    assert estimands["near_number"] == "share of the scores within 0.055 of 0.5"
    assert estimands["coverage"] == "share of the requests that were answered without an error"
    assert all(estimands.values())


def _values(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """What each request adds to some metrics that are means, missing where it does not count."""
    known = rows["label"].notna()
    return {
        "mean": rows["cost"],
        "mean_of_some": rows["cost"].where(rows["carrier"] == "B"),
        "brier": (rows["label"] - rows["score"]) ** 2,
        "calibration": rows["label"] - rows["score"],
        "accuracy": (rows["decision"].astype(float) == rows["label"]).astype(float).where(known),
        "precision": rows["label"].where(rows["decision"].astype(bool)),
        "recall": rows["decision"].astype(float).where(rows["label"] == 1),
        "specificity": (1 - rows["decision"].astype(float)).where(rows["label"] == 0),
        "mae": (rows["prediction"] - rows["label"]).abs(),
        "error_rate": rows["error"].astype(float),
        "null_share": rows["cost"].isna().astype(float),
    }


def _cluster_se(values: pd.Series, days: pd.Series) -> tuple[float, int]:
    """The cluster-robust standard error of a mean, by statsmodels, and its degrees of freedom."""
    there = values.notna()
    fit = sm.OLS(values[there].astype(float), np.ones(int(there.sum()))).fit(
        cov_type="cluster",
        cov_kwds={"groups": days[there].astype("category").cat.codes, "use_correction": False},
    )
    clusters = days[there].nunique()
    return float(fit.bse.iloc[0] * np.sqrt(clusters / (clusters - 1))), clusters - 1


def test_interval_is_the_one_of_a_regression_with_days_as_clusters(wide, cells) -> None:
    rows = wide.rows()
    for key, values in _values(rows).items():
        se, df = _cluster_se(values, rows["occurred_at"].dt.date)
        estimate = cells.estimate(key, "current")
        assert estimate.value == pytest.approx(values.mean(), rel=1e-11), key
        assert estimate.se == pytest.approx(se, rel=1e-9), key
        assert (estimate.df, estimate.n) == (df, values.notna().sum()), key
        reach = stats.critical_value(df=df) * se
        assert estimate.ci_upper == pytest.approx(estimate.value + reach, rel=1e-9), key


def test_interval_of_a_ratio_is_the_linearised_one(wide, cells) -> None:
    rows = wide.rows()
    rows = rows[rows["cost"].notna()]
    by_day = rows.groupby(rows["occurred_at"].dt.date)
    top, bottom = by_day["cost"].sum(), by_day["items"].sum()
    expected = stats.ratio(top, bottom, n=len(rows))
    estimate = cells.estimate("ratio", "current")
    assert (estimate.se, estimate.n) == (pytest.approx(expected.se, rel=1e-9), len(rows))
    decided = _decided(wide.rows())
    day = decided["occurred_at"].dt.date
    hits = 2.0 * (decided["decision"] & (decided["label"] == 1)).groupby(day).sum()
    either = (decided["decision"].astype(int) + decided["label"]).groupby(day).sum()
    f1 = cells.estimate("f1", "current")
    assert (f1.se, f1.n) == (pytest.approx(stats.ratio(hits, either).se, rel=1e-9), len(decided))


def test_interval_of_the_root_is_near_that_of_a_bootstrap_over_days(wide, cells) -> None:
    rows = _both(wide.rows(), "prediction")
    square = (rows["prediction"] - rows["label"]) ** 2
    by_day = square.groupby(rows["occurred_at"].dt.date).agg(["sum", "count"])
    rng = np.random.default_rng(1)
    drawn = by_day.to_numpy()[rng.integers(0, len(by_day), (4000, len(by_day)))].sum(axis=1)
    spread = np.sqrt(drawn[:, 0] / drawn[:, 1]).std()
    assert cells.estimate("rmse", "current").se == pytest.approx(spread, rel=0.1)


def test_counts_are_per_day_of_the_whole_window_and_days_without_any_are_zero(write_wide) -> None:
    wide = write_wide(lambda p, o: (p[p["occurred_at"].dt.day % 2 == 0], o))
    cells = wide.measure({"requests": "kind: count", "a": "kind: count, filter: carrier = 'A'"}, segments=["carrier"])
    rows = wide.rows()
    by_day = rows.groupby(rows["occurred_at"].dt.day).size().reindex(range(1, 31), fill_value=0)
    estimate = cells.estimate("requests", "current")
    assert estimate.value == pytest.approx(by_day.mean(), rel=1e-12)
    assert estimate.se == pytest.approx(by_day.std(ddof=1) / np.sqrt(30), rel=1e-9)
    assert (estimate.n, estimate.method) == (len(rows), "sum over time, day clusters")
    segments = [cells.estimate("requests", "current", segment="carrier", value=value).value for value in "ABC"]
    assert sum(segments) == pytest.approx(estimate.value, rel=1e-12)
    assert cells.estimate("a", "current").value == pytest.approx(segments[0], rel=1e-12)


def test_a_window_that_begins_or_ends_inside_a_day_has_that_part_of_it(write_wide) -> None:
    wide = write_wide()
    window = Window.of("2013-04-10T12:00Z", "2013-04-13T06:00Z")
    population = Population("part", None, window, served_only=False)
    cells = wide.measure({"count": "kind: count", "hourly": "kind: count, per: hour"}, populations=(population,))
    at = wide.labelled["occurred_at"]
    requests = ((at >= window.start) & (at < window.end)).sum()
    assert cells.estimate("count", "part").value == pytest.approx(requests / 2.75, rel=1e-12)
    assert cells.estimate("hourly", "part").value == pytest.approx(requests / 66, rel=1e-12)


def test_what_the_decision_was_is_the_column_else_the_threshold_column_else_the_models(write_wide) -> None:
    metrics = {"recall": "kind: recall", "near": "kind: near_threshold_share, within: 0.05"}
    decided = {
        "column": (lambda p, o: (p, o), lambda rows: rows["decision"].astype(bool), "threshold"),
        "threshold": (
            lambda p, o: (p.drop(columns="decision"), o),
            lambda rows: rows["score"] >= rows["threshold"],
            "",
        ),
        "model": (lambda p, o: (p.drop(columns=["decision", "threshold"]), o), lambda rows: rows["score"] >= 0.5, ""),
    }
    for folder, (change, yes, _) in decided.items():
        wide = write_wide(change, folder=folder)
        rows = wide.rows()
        cells = wide.measure(metrics)
        happened = rows[rows["label"] == 1]
        assert cells.estimate("recall", "current").value == pytest.approx(yes(happened).mean(), rel=1e-12), folder
        threshold = rows.get("threshold", pd.Series(0.5, index=rows.index))
        near = ((rows["score"] - threshold).abs() <= 0.05)[rows["score"].notna()]
        assert cells.estimate("near", "current").value == pytest.approx(near.mean(), rel=1e-12), folder


@pytest.mark.parametrize(
    "case", json.loads((Path(__file__).parents[1] / "reference" / "metric_cases.json").read_text())["cases"]
)
def test_reference_numbers(case: dict, write_wide) -> None:
    def change(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        scores, labels = case["inputs"]["p"], case["inputs"]["y"]
        april = outcomes[outcomes["observed_at"] >= "2013-04-02"].head(len(scores)).assign(label=labels)
        rows = predictions.set_index("request_id").loc[april["request_id"]].reset_index()
        return rows.assign(score=scores), april

    estimate = write_wide(change).measure({"metric": f"kind: {case['kind']}"}).estimate("metric", "current")
    assert estimate.value == pytest.approx(case["expected"], abs=case["tolerance"])


def test_a_value_that_is_not_finite_makes_the_number_absent_with_a_count(write_wide) -> None:
    def spoil(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        temperature = predictions["temp_f"].copy()
        temperature.iloc[-2:] = np.inf, -np.inf
        return predictions.assign(temp_f=temperature), outcomes

    metrics = {
        "mean": "kind: mean, column: temp_f",
        "rate": "kind: rate, column: temp_f, per: day",
        "others": "kind: mean, column: temp_f, filter: temp_f < 1000 and temp_f > -1000",
        "ratio": "kind: ratio, numerator: cost, denominator: temp_f",
    }
    cells = write_wide(spoil).measure(metrics, segments=["carrier"])
    for key in ("mean", "rate", "ratio"):
        estimate = cells.estimate(key, "current")
        reason = "infinite: 2 requests have a value that is not finite"
        assert (estimate.status, estimate.reason) == ("absent", reason), key
    assert cells.estimate("mean", "reference").status == "ok"
    assert cells.estimate("others", "current").status == "ok"
    assert cells.against_rest("mean", "current", segment="carrier", value="A").status == "absent"


def test_a_share_of_numbers_that_are_neither_0_nor_1_is_absent_with_a_count(write_wide) -> None:
    wide = write_wide(lambda p, o: (p.assign(part=np.arange(len(p)) % 3 / 2, whole=np.arange(len(p)) % 2), o))
    metrics = {
        "part": "kind: proportion, column: part",
        "double": 'kind: proportion, column: "part * 2"',
        "sure": "kind: proportion, column: part, filter: part <> 0.5",
        "high": "kind: proportion, column: part > 0.2",
        "whole": "kind: proportion, column: whole",
        "label": "kind: proportion, column: label",
    }
    cells, rows = wide.measure(metrics), wide.rows()
    part, half = cells.estimate("part", "current"), int((rows["part"] == 0.5).sum())
    assert (part.status, part.n) == ("absent", len(rows))
    assert part.reason == (
        f"no share: {half} requests have a value of part that is neither 0 nor 1; for numbers there is kind mean, and "
        "a condition such as part > 0 has a share"
    )
    assert cells.estimate("double", "current").status == "absent"
    sure = rows.loc[rows["part"] != 0.5, "part"].mean()
    assert cells.estimate("sure", "current").value == pytest.approx(sure, rel=1e-12)
    assert cells.estimate("high", "current").value == pytest.approx((rows["part"] > 0.2).mean(), rel=1e-12)
    assert cells.estimate("whole", "current").value == pytest.approx(rows["whole"].mean(), rel=1e-12)
    assert cells.estimate("label", "current").value == pytest.approx(rows["label"].mean(), rel=1e-12)


def test_sums_that_overflow_are_a_contract_error_and_nothing_is_kept_of_them(write_wide) -> None:
    wide = write_wide(lambda p, o: (p.assign(cost=np.where(np.arange(len(p)) < len(p) - 9, 1.0, 1.5e308)), o))
    metrics = {"whole": "kind: mean, column: cost", "rate": "kind: rate, column: cost, per: day"}
    for _ in range(2):
        with pytest.raises(ContractError) as caught:
            wide.measure(metrics | {"usual": "kind: mean, column: cost, filter: cost < 2"})
        assert str(caught.value) == (
            "predictions: metrics whole, rate: some values are infinite or too large to be added up; correct them, or "
            "leave them out with a filter"
        )
    usual = wide.measure({"usual": "kind: mean, column: cost, filter: cost < 2"})
    assert usual.estimate("usual", "current").value == 1.0


def test_a_quantile_among_values_that_are_not_finite_has_a_reason(write_wide) -> None:
    def spoil(predictions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        rare = np.random.default_rng(1).random(len(predictions)) < 0.05
        return predictions.assign(temp_f=np.where(rare, np.inf, predictions["temp_f"])), outcomes

    wide = write_wide(spoil)
    metrics = {f"q{q}": f"kind: quantile, column: temp_f, q: 0.{q}" for q in (50, 94, 99)}
    middle, near, beyond = (wide.measure(metrics).estimate(key, "current") for key in metrics)
    assert middle.value == pytest.approx(np.quantile(wide.rows()["temp_f"], 0.5), rel=1e-12)
    assert middle.ci_upper is not None
    assert (near.status, near.reason) == ("ok", "no interval: it reaches values that are not finite")
    assert (beyond.status, beyond.reason) == ("absent", "infinite: values around it are not finite")


def test_nothing_to_count_gives_a_reason(wide) -> None:
    metrics = {key: f"{own}, filter: latency_ms < 0" for key, (own, _) in CASES.items() if "filter" not in own}
    cells = wide.measure(metrics)
    for key in metrics:
        estimate = cells.estimate(key, "current")
        if key in {"count", "rate", "throughput"}:
            assert (estimate.value, estimate.n) == (0.0, 0), key
        else:
            assert (estimate.status, estimate.reason) == ("absent", "no request has a value"), key


def test_a_denominator_of_zero_gives_a_reason(wide) -> None:
    cells = wide.measure({"ratio": "kind: ratio, numerator: cost, denominator: 0 * items"})
    assert cells.estimate("ratio", "current").reason == "the denominators sum to 0"


def test_what_adds_up_can_be_held_against_the_rest(wide, cells) -> None:
    rows = wide.rows()
    mine, rest = rows[rows["carrier"] == "A"], rows[rows["carrier"] != "A"]
    for key in ("ratio", "recall", "mean"):
        expected = CASES[key][1](mine) - CASES[key][1](rest)
        assert cells.against_rest(key, "current", segment="carrier", value="A").value == pytest.approx(
            expected, rel=1e-9
        )
    for key in ("rmse", "count", "throughput"):
        with pytest.raises(DefinitionError, match=f"metric '{key}' is of kind {key}, which is no mean of requests"):
            cells.against_rest(key, "current", segment="carrier", value="A")


def test_labels_that_are_numbers_are_for_predictions_not_for_scores(write_wide) -> None:
    wide = write_wide(lambda p, o: (p, o.assign(label=o["label"] * 30.0 - 5)))
    cells = wide.measure({"mae": "kind: mae", "rmse": "kind: rmse"})
    assert cells.estimate("mae", "current").value == pytest.approx(CASES["mae"][1](wide.rows()), rel=1e-11)
    for kind in ("brier", "log_loss", "recall"):
        with pytest.raises(ContractError) as caught:
            wide.measure({"a": f"kind: {kind}", "mae": "kind: mae"})
        labels = wide.labelled["label"].notna().sum()
        assert str(caught.value) == (
            f"outcomes.label: {labels:,} labels of model 'small' lie outside 0 to 1, and metrics of kind {kind} "
            "compare them with a probability or a decision; for labels that are numbers there are mae, rmse, bias and "
            "pinball"
        )


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("kind: mean, column: carrier", "metric 'Metric': carrier is of type string, must be a number or a boolean"),
        (
            "kind: precision, decision: score",
            "metric 'Metric': score is of type float64, must be a boolean, such as score > 0",
        ),
        (
            "kind: error_rate, filter: cost",
            "metric 'Metric': cost is of type float64, must be a boolean, such as cost > 0",
        ),
    ],
)
def test_a_column_of_the_wrong_type_names_the_metric(wide, own: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        wide.measure({"metric": own})
    assert str(caught.value) == message


def test_a_column_that_is_not_there_has_its_nearest_name(wide) -> None:
    with pytest.raises(ContractError, match="unknown column 'costs'.*Did you mean 'cost'"):
        wide.measure({"metric": "kind: mean, column: costs * 2"})


def test_metrics_without_labels_read_no_outcomes(write_wide) -> None:
    wide = write_wide()
    (wide.workspace.root / "data" / "outcomes.parquet").unlink()
    cells = wide.measure({"coverage": "kind: coverage", "count": "kind: count"})
    assert cells.estimate("coverage", "current").status == "ok"
    assert "labelled" not in cells.frame.columns
    assert open_source(wide.workspace).tables == ["outcomes", "predictions"]
