from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from shadow_trial import END, ShadowTrial, make_shadow
from statsmodels.stats.contingency_tables import mcnemar

from toolkit import data, experiments, stats
from toolkit.errors import ArgumentError, NotReady, Skipped
from toolkit.experiments.shadow import (
    ShadowPairs,
    check_shadow,
    compare_versions,
    decisions_agree,
    judge_shadow,
    list_blind_spots,
    measure_shadow,
    predict_online,
)
from toolkit.experiments.shadow.outlook import range_of_test

CLUSTERED = {"analysis: plain": "analysis: clustered\ncluster: cluster_id"}

Pair = Callable[..., tuple[Any, data.Source, ShadowPairs]]


@pytest.fixture(scope="module")
def shadow() -> ShadowTrial:
    return make_shadow()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Writes a trial and measures it; the same frames under the same plan are measured once for all tests."""
    kept: dict[tuple[Any, ...], tuple[ShadowTrial, Any]] = {}

    def go(trial: ShadowTrial, **arguments: Any) -> tuple[Any, data.Source, ShadowPairs]:
        key = (id(trial.predictions), id(trial.outcomes), trial.plan, *sorted(arguments.items()))
        if key not in kept:  # with the trial, that no other frame has the place of one of its own
            workspace = trial.write(tmp_path_factory.mktemp("shadow"))
            plan = experiments.load(workspace, "eta-shadow")
            source = data.open_source(workspace)
            kept[key] = trial, (plan, source, measure_shadow(plan, source, **arguments))
        found: tuple[Any, data.Source, ShadowPairs] = kept[key][1]
        return found

    return go


def clustered_by_statsmodels(pairs: pd.DataFrame, metric: str, group: str) -> tuple[float, float]:
    """The paired difference and its cluster-robust error, by regression on the two stacked sides."""
    sides = [
        pd.DataFrame({"y": pairs[f"{metric}_{side}"].astype(float), "treated": treated, "group": pairs[group]})
        for side, treated in (("a", 0), ("b", 1))
    ]
    rows = pd.concat(sides).dropna()
    codes = rows["group"].astype("category").cat.codes
    fit = smf.ols("y ~ treated", rows).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False})
    groups = codes.nunique()
    return fit.params["treated"], fit.bse["treated"] * np.sqrt(groups / (groups - 1))


@pytest.mark.parametrize("changes", [{}, CLUSTERED], ids=["plain", "clustered"])
@pytest.mark.parametrize("metric", ["brier", "latency"])
def test_a_paired_effect_is_the_regression_of_stacked_rows_with_clustered_errors(
    shadow: ShadowTrial, pair: Pair, changes: dict[str, str], metric: str
) -> None:
    _, _, pairs = pair(shadow.planned(changes))
    found = stats.compare(pairs.samples(metric, "new")).difference
    columns = shadow.pairs.rename(columns={"latency_ms_a": "latency_a", "latency_ms_b": "latency_b"})
    value, se = clustered_by_statsmodels(columns, metric, "cluster_id_a" if changes else "unit_id_a")
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.se == pytest.approx(se, rel=1e-9)


def test_segments_are_those_of_the_served_row_and_add_up(shadow: ShadowTrial, pair: Pair) -> None:
    _, _, pairs = pair(shadow)
    assert pairs.segment_values("region") == ("north", "south", "west")
    for value, rows in shadow.pairs.groupby("region_a"):
        found = stats.compare(pairs.samples("brier", "new", segment="region", value=str(value))).difference
        assert found.value == pytest.approx((rows["brier_b"] - rows["brier_a"]).mean(), abs=1e-12)
    whole = sum(
        pairs.requests("brier", "new", segment="region", value=value) for value in pairs.segment_values("region")
    )
    assert whole == pairs.requests("brier", "new") == len(shadow.pairs)


def test_decisions_are_counted_and_the_versions_that_were_right(shadow: ShadowTrial, pair: Pair) -> None:
    plan, _, pairs = pair(shadow)
    rows = shadow.pairs
    right_a, right_b = (rows[f"decision_{side}"] == (rows["label"] == 1) for side in ("a", "b"))
    found = decisions_agree(plan, pairs).of("new")
    assert found.counts["agreed"] == (rows["decision_a"] == rows["decision_b"]).sum()
    assert found.counts["only_treatment_right"] == (right_b & ~right_a).sum()
    assert found.gain.value == pytest.approx(right_b.mean() - right_a.mean(), abs=1e-12)
    table = pd.crosstab(right_a, right_b)
    assert found.mcnemar.p_exact == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
    by_unit = stats.ratio(
        *rows.assign(same=rows["decision_a"] == rows["decision_b"], one=1)
        .groupby("unit_id_a")[["same", "one"]]
        .sum()
        .T.to_numpy()
    )
    assert found.agreement.value == pytest.approx(by_unit.value, abs=1e-12)
    assert found.agreement.se == pytest.approx(by_unit.se, rel=1e-9)


def test_a_decision_that_no_column_holds_is_the_score_at_the_models_threshold(shadow: ShadowTrial, pair: Pair) -> None:
    table = replace(shadow, predictions=shadow.predictions.drop(columns="decision"))
    plan, _, pairs = pair(table.planned({"secondary: [flagged]": "secondary: []"}))
    rows = shadow.pairs
    assert (
        decisions_agree(plan, pairs).of("new").counts["agreed"]
        == ((rows["score_a"] >= 0.5) == (rows["score_b"] >= 0.5)).sum()
    )


def test_requests_that_the_shadow_skipped_are_counted_and_withhold_the_verdict(shadow: ShadowTrial, pair: Pair) -> None:
    number = shadow.predictions["request_id"].str[1:].astype(int)
    kept = ~((shadow.predictions["version"] == "2") & (number % 20 == 0))
    trial = shadow.without_rows(kept)
    plan, _, pairs = pair(trial)
    counts = pairs.coverage["new"]
    assert (counts.served, counts.paired) == (len(shadow.pairs), len(trial.pairs))
    checks = check_shadow(plan, pairs)
    assert [check.code for check in checks.failed] == ["unpaired"]
    readout = experiments.analyze(plan, pairs)
    verdict = judge_shadow(plan, checks, readout, predict_online(plan, pairs, readout))
    assert verdict.decision == "withheld"
    missing = counts.served - counts.paired
    assert (
        f"{missing} of {counts.served:,} served requests were not scored by new" in list_blind_spots(plan, pairs).text
    )


def test_answers_of_one_version_alone_are_counted_and_out_of_the_comparison(shadow: ShadowTrial, pair: Pair) -> None:
    failing = (shadow.predictions["version"] == "2") & (shadow.predictions["request_id"].str[1:].astype(int) % 10 == 0)
    broken = shadow.predictions.assign(
        error=shadow.predictions["error"] | failing, score=shadow.predictions["score"].mask(failing)
    )
    trial = replace(shadow, predictions=broken)
    plan, _, pairs = pair(trial)
    assert [check.code for check in check_shadow(plan, pairs).failed] == ["one_sided_answers"]
    assert pairs.requests("brier", "new") == trial.pairs["brier_b"].notna().sum()
    assert pairs.requests("latency", "new") == len(trial.pairs)


def test_a_unit_none_of_whose_requests_count_is_none_of_the_metrics(shadow: ShadowTrial, pair: Pair) -> None:
    unit = shadow.predictions["unit_id"].str[1:].astype(int)
    failing = (shadow.predictions["version"] == "2") & (unit % 5 == 0)
    trial = replace(
        shadow, predictions=shadow.predictions.assign(error=failing, score=shadow.predictions["score"].mask(failing))
    )
    _, _, pairs = pair(trial)
    counted = trial.pairs.dropna(subset=["brier_a", "brier_b"])
    samples = pairs.samples("brier", "new")
    found = stats.compare(samples).difference
    value, se = clustered_by_statsmodels(counted, "brier", "unit_id_a")
    assert (samples.total, found.df) == (counted["unit_id_a"].nunique(), counted["unit_id_a"].nunique() - 1)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.se == pytest.approx(se, rel=1e-9)


def test_the_threshold_that_a_request_was_held_against_decides_where_no_decision_was_kept(
    shadow: ShadowTrial, pair: Pair
) -> None:
    table = shadow.predictions.drop(columns="decision")
    trial = replace(shadow, predictions=table.assign(threshold=np.where(table["version"] == "2", 0.3, 0.6)))
    plan, _, pairs = pair(trial.planned({"secondary: [flagged]": "secondary: []"}))
    rows = shadow.pairs
    same = (rows["score_a"] >= 0.6) == (rows["score_b"] >= 0.3)
    assert decisions_agree(plan, pairs).of("new").counts["agreed"] == same.sum()


def test_a_segmentation_of_metrics_yml_is_one_too(shadow: ShadowTrial, pair: Pair, tmp_path: Path) -> None:
    trial = shadow.planned({"segments: [region]": "segments: [speed]"})
    workspace = trial.write(tmp_path / "named")
    file = workspace.root / "metrics.yml"
    file.write_text(
        file.read_text() + "segments:\n  speed: {description: How fast it was., column: latency_ms, edges: [10]}\n"
    )
    plan = experiments.load(workspace, "eta-shadow")
    pairs = measure_shadow(plan, data.open_source(workspace))
    totals = [pairs.requests("brier", "new", segment="speed", value=value) for value in pairs.segment_values("speed")]
    assert len(totals) == 2
    assert sum(totals) == len(trial.pairs)


def test_a_loss_that_is_infinite_for_one_version_is_absent_with_its_reason(shadow: ShadowTrial, pair: Pair) -> None:
    first = shadow.pairs["request_id"].iloc[0]
    label = shadow.pairs["label"].iloc[0]
    hit = (shadow.predictions["request_id"] == first) & (shadow.predictions["version"] == "2")
    wrong = replace(
        shadow, predictions=shadow.predictions.assign(score=shadow.predictions["score"].mask(hit, 1.0 - float(label)))
    )
    _, _, pairs = pair(wrong.planned({"secondary: [flagged]": "secondary: [log_loss]"}))
    found = stats.compare(pairs.samples("log_loss", "new")).difference
    assert found.value is None
    assert found.reason == "infinite: 1 requests were scored 0 or 1 and were wrong"


def test_what_meets_the_rule_is_worth_an_ab_test_and_is_not_launched(shadow: ShadowTrial, pair: Pair) -> None:
    plan, source, pairs = pair(shadow)
    readout = experiments.analyze(plan, pairs)
    outlook = predict_online(plan, pairs, readout)
    verdict = judge_shadow(plan, check_shadow(plan, pairs), readout, outlook, experiments.segment_effects(plan, pairs))
    assert verdict.decision == "test"
    needed = outlook.of("brier", "new").units
    assert needed is not None
    assert f"an A/B test would need about {needed:,} units" in verdict.text
    versions = compare_versions(plan, source, pairs)
    rates = versions.reading("error_rate", "old"), versions.reading("latency_p95_ms", "new")
    assert all(rate is not None and rate.value is not None for rate in rates)
    for record in (pairs, outlook, versions, list_blind_spots(plan, pairs), decisions_agree(plan, pairs)):
        assert record.to_rows()
        assert record.to_table()
        assert record.text
    assert [each.name for each in versions.to_pictures()] == ["reliability"]


def test_no_effect_is_not_worth_an_ab_test(pair: Pair) -> None:
    plan, _, pairs = pair(make_shadow(gain=0.0, seed=9).planned({"alpha: 0.05": "alpha: 0.01"}))
    readout = experiments.analyze(plan, pairs)
    verdict = judge_shadow(plan, check_shadow(plan, pairs), readout, predict_online(plan, pairs, readout))
    assert verdict.decision in {"hold", "extend", "stop"}


def test_the_range_of_an_ab_tests_estimate_is_where_ab_tests_land() -> None:
    """500 shadows of 400 pairs, and the A/B test on as many other units that follows each."""
    rng = np.random.default_rng(20)
    hits, draws, n = 0, 500, 400
    for _ in range(draws):
        hard = rng.normal(0, 1, n)
        old, new = hard + rng.normal(0, 0.3, n), hard - 0.1 + rng.normal(0, 0.3, n)
        paired = stats.mean(n, (new - old).mean(), (new - old).var(ddof=1))
        apart = stats.welch(n, old.mean(), old.var(ddof=1), n, new.mean(), new.var(ddof=1))
        lower, upper = range_of_test(paired, apart, confidence=0.95)
        later = rng.normal(0, 1, n) + rng.normal(0, 0.3, n)
        hits += lower < (later[: n // 2] - 0.1).mean() - later[n // 2 :].mean() < upper
    assert 0.92 < hits / draws < 0.98


def test_a_shadow_without_pairs_is_skipped(shadow: ShadowTrial, pair: Pair) -> None:
    with pytest.raises(Skipped) as caught:
        pair(shadow.without_rows(shadow.predictions["version"] == "1"))
    assert str(caught.value) == (
        "experiment 'eta-shadow': no request that version 1 served in 2024-03-01 … 2024-03-14 was scored by version 2 "
        "beside it"
    )


def test_a_shadow_is_read_when_its_labels_are_there(shadow: ShadowTrial, pair: Pair) -> None:
    with pytest.raises(NotReady, match="it is ready on 2024-03-16"):
        pair(shadow, as_of=END.to_pydatetime())


def test_eligibility_leaves_requests_out(shadow: ShadowTrial, pair: Pair) -> None:
    _, _, pairs = pair(shadow.planned({"analysis: plain": "analysis: plain\neligible: region <> 'west'"}))
    assert pairs.coverage["new"].paired == (shadow.pairs["region_a"] != "west").sum()


def test_what_only_an_experiment_with_exposures_has_is_refused(shadow: ShadowTrial, pair: Pair) -> None:
    _, _, pairs = pair(shadow)
    with pytest.raises(ArgumentError) as caught:
        pairs.samples("brier", "new", covariates=True)
    assert str(caught.value) == "a shadow deployment has no covariates: it has no exposures and no past"


def test_another_kind_of_experiment_is_no_shadow(trial: Any, tmp_path: Path) -> None:
    workspace = trial.write(tmp_path)
    plan = experiments.load(workspace, "eta-v2")
    with pytest.raises(Skipped, match="of kind ab, not a shadow deployment"):
        measure_shadow(plan, data.open_source(workspace))
