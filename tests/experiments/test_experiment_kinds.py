"""Metrics of every kind that adds up, compared by unit: ratios of sums as well as means of requests."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from experiment_trial import CLUSTERED, METRICS, Trial

from toolkit import data, experiments, stats
from toolkit.errors import ContractError, DefinitionError

OWN = {
    "f1": "kind: f1, direction: increase",
    "per_ms": "kind: ratio, numerator: profit, denominator: latency_ms + 1, direction: increase",
    "recall": "kind: recall, direction: increase",
    "slow": "kind: share_over_budget, budget_ms: 12",
    "early": "kind: mean, column: latency_ms, filter: cluster_id < 'c050'",
    "constant": "kind: ratio, numerator: 2 * latency_ms, denominator: latency_ms",
    "never": "kind: share_over_budget, budget_ms: 1000000",
}


def measured(trial: Trial, root: Path, own: dict[str, str] = OWN) -> tuple[experiments.Units, experiments.Readout]:
    secondary = {"secondary: [profit]": f"secondary: [{', '.join(own)}]"}
    workspace = trial.planned(secondary).write(root)
    more = "".join(f"  {key}: {{<<: *metric, name: {key}, {text}}}\n" for key, text in own.items())
    (workspace.root / "metrics.yml").write_text(METRICS + more)
    plan = experiments.load(workspace, "eta-v2")
    units = experiments.measure(plan, data.open_source(workspace))
    return units, experiments.analyze(plan, units)


def parts(rows: pd.DataFrame) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Numerator and denominator of each request, missing where it does not count."""
    known = rows["label"].notna()
    yes, happened = rows["decision"].astype(float).where(known), rows["label"].astype(float)
    one = pd.Series(1.0, index=rows.index)
    early = rows["cluster_id"] < "c050"
    return {
        "f1": (2 * yes * happened, yes + happened),
        "per_ms": (rows["profit"], rows["latency_ms"] + 1),
        "recall": (yes.where(happened == 1), one.where(happened == 1)),
        "slow": ((rows["latency_ms"] > 12).astype(float), one),
        "early": (rows["latency_ms"].where(early), one.where(early)),
    }


def effect(readout: experiments.Readout, metric: str) -> experiments.Effect:
    return next(each for each in readout.effects if each.metric == metric)


@pytest.fixture(scope="module")
def plain(
    repeated_trial: Trial, tmp_path_factory: pytest.TempPathFactory
) -> tuple[experiments.Units, experiments.Readout]:
    return measured(repeated_trial, tmp_path_factory.mktemp("plain"))


def test_plain_is_the_delta_method_over_units(
    repeated_trial: Trial, plain: tuple[experiments.Units, experiments.Readout]
) -> None:
    units, readout = plain
    for metric, (numerator, denominator) in parts(repeated_trial.counted).items():
        rows = repeated_trial.counted.assign(top=numerator, bottom=denominator)
        ratios, variances, requests = [], [], []
        for variant in ("control", "treatment"):
            mine = rows[(rows["variant"] == variant) & rows["top"].notna() & rows["bottom"].notna()]
            by_unit = mine.groupby("unit_id")[["top", "bottom"]].sum()
            ratio = by_unit["top"].sum() / by_unit["bottom"].sum()
            linear = (by_unit["top"] - ratio * by_unit["bottom"]) / by_unit["bottom"].mean()
            ratios.append(ratio)
            variances.append(linear.var(ddof=1) / len(by_unit))
            requests.append(len(mine))
            samples = units.samples(metric, "treatment")
            assert (samples.rows0 if variant == "control" else samples.rows1) == len(mine), metric
        found = effect(readout, metric)
        assert found.control_mean == pytest.approx(ratios[0], rel=1e-11), metric
        assert found.difference.value == pytest.approx(ratios[1] - ratios[0], rel=1e-8), metric
        assert found.difference.se == pytest.approx(math.sqrt(sum(variances)), rel=1e-9), metric


@pytest.mark.slow
def test_clustered_is_the_sandwich_of_a_weighted_regression(repeated_trial: Trial, tmp_path: Path) -> None:
    _, readout = measured(repeated_trial.planned(CLUSTERED), tmp_path)
    for metric, (numerator, denominator) in parts(repeated_trial.counted).items():
        rows = repeated_trial.counted.assign(top=numerator, bottom=denominator)
        rows = rows[rows["bottom"].fillna(0) > 0]
        treated = (rows["variant"] == "treatment").astype(float)
        clusters = rows["cluster_id"].nunique()
        fit = sm.WLS(rows["top"] / rows["bottom"], sm.add_constant(treated), weights=rows["bottom"]).fit(
            cov_type="cluster",
            cov_kwds={"groups": rows["cluster_id"].astype("category").cat.codes, "use_correction": False},
        )
        found = effect(readout, metric)
        assert found.difference.value == pytest.approx(fit.params["variant"], rel=1e-8), metric
        factor = math.sqrt(found.difference.df / (found.difference.df + 1))
        assert found.difference.se * factor == pytest.approx(fit.bse["variant"], rel=1e-8), metric
        assert found.difference.df + 1 >= clusters


def test_a_ratio_that_every_request_has_is_known_exactly(
    plain: tuple[experiments.Units, experiments.Readout],
) -> None:
    units, readout = plain
    samples = units.samples("constant", "treatment")
    assert samples.shift + (samples.control.mean(0) or 0.0) / samples.control.mean(1) == 2.0
    assert effect(readout, "constant").difference.reason == "no interval and no test: the observations do not vary"


def test_a_share_that_nothing_has_gets_the_interval_of_a_share(trial: Trial, tmp_path: Path) -> None:
    units, readout = measured(trial, tmp_path)
    found = effect(readout, "never").difference
    samples = units.samples("never", "treatment")
    sizes = [samples.control.n, samples.treatment.n]
    expected = stats.compare_proportions(0, sizes[0], 0, sizes[1])[0]
    assert (found.value, found.ci_lower, found.ci_upper) == (0.0, expected.ci_lower, expected.ci_upper)


def test_denominators_of_zero_count_for_nothing(trial: Trial, tmp_path: Path) -> None:
    units, readout = measured(trial, tmp_path, {"none": "kind: ratio, numerator: profit, denominator: 0 * latency_ms"})
    samples = units.samples("none", "treatment")
    assert (samples.control.n, samples.rows0) == (0, 0)
    assert effect(readout, "none").outcome == "absent"


def test_what_a_metric_is_decided_by_comes_from_the_model(repeated_trial: Trial, tmp_path: Path) -> None:
    rows = repeated_trial.counted
    lone = Trial(repeated_trial.predictions.drop(columns="decision"), repeated_trial.outcomes, repeated_trial.exposures)
    _, readout = measured(lone, tmp_path, {"recall": OWN["recall"]})
    happened = rows[(rows["label"] == 1) & (rows["variant"] == "control")]
    assert effect(readout, "recall").control_mean == pytest.approx((happened["score"] >= 0.5).mean(), rel=1e-12)


@pytest.mark.parametrize("own", ["kind: count", "kind: rmse", "kind: auc"])
def test_what_does_not_add_up_cannot_be_compared_by_unit(trial: Trial, tmp_path: Path, own: str) -> None:
    kind = own.removeprefix("kind: ")
    with pytest.raises(DefinitionError) as caught:
        measured(trial, tmp_path, {"other": own})
    assert str(caught.value) == (
        f"experiments/eta-v2.yml:15: secondary: other is of kind {kind}, which is no mean of requests; "
        "an experiment cannot compare it"
    )
    workspace = trial.write(tmp_path)
    plan = experiments.load(workspace, "eta-v2").model_copy(update={"primary": "auc"})
    with pytest.raises(DefinitionError, match="metric 'auc' is of kind auc, which is no mean of requests"):
        experiments.measure(plan, data.open_source(workspace))


def test_labels_that_are_numbers_are_not_compared_with_scores(trial: Trial, tmp_path: Path) -> None:
    numbers = Trial(trial.predictions, trial.outcomes.assign(label=trial.outcomes["label"] * 7.5), trial.exposures)
    with pytest.raises(ContractError, match=r"labels of model 'eta' lie outside 0 to 1, and metrics of kind brier, f1"):
        measured(numbers, tmp_path, {"f1": OWN["f1"]})
    assert np.isfinite(trial.outcomes["label"]).all()
