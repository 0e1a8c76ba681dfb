from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from experiment_trial import CLUSTERED, END, START, Reading, Trial, make_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from toolkit import data, experiments, stats
from toolkit.data import Source
from toolkit.digests import assign_variant
from toolkit.errors import NotReady, Skipped
from toolkit.workspace import JOURNAL

METRICS = {"brier": "brier", "profit": "profit", "latency": "latency_ms", "error_rate": "error"}
NUMBERS = {metric: column for metric, column in METRICS.items() if metric != "error_rate"}
"""Those that are no shares: of few errors an interval of shares is shown."""


def _by_variant(rows: pd.DataFrame, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    counted = rows[rows[column].notna()]
    control, treatment = (counted[counted["variant"] == name] for name in ("control", "treatment"))
    return control, treatment


def test_plain_with_one_request_per_unit_is_welch_on_the_units(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial)
    for metric, column in NUMBERS.items():
        control, treatment = _by_variant(trial.counted, column)
        effect = reading.effect(metric)
        expected = scipy_stats.ttest_ind(treatment[column], control[column], equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert effect.control_mean == pytest.approx(control[column].mean(), rel=1e-12)
        assert effect.difference.value == pytest.approx(treatment[column].mean() - control[column].mean(), rel=1e-9)
        assert effect.difference.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert effect.difference.ci_lower == pytest.approx(interval.low, rel=1e-9)
        assert effect.difference.ci_upper == pytest.approx(interval.high, rel=1e-9)
        assert effect.difference.n == len(control) + len(treatment)


def test_plain_with_many_requests_per_unit_is_the_ratio_of_sums_over_units(
    repeated_trial: Trial, read: Callable[..., Reading]
) -> None:
    reading = read(repeated_trial)
    for metric, column in METRICS.items():
        means, variances, sizes = [], [], []
        for rows in _by_variant(repeated_trial.counted, column):
            units = rows.groupby("unit_id")[column].agg(["sum", "count"])
            mean = units["sum"].sum() / units["count"].sum()
            linear = (units["sum"] - mean * units["count"]) / units["count"].mean()
            means.append(mean)
            variances.append(linear.var(ddof=1) / len(units))
            sizes.append(len(units))
        effect = reading.effect(metric)
        assert effect.difference.value == pytest.approx(means[1] - means[0], rel=1e-9)
        assert effect.difference.se == pytest.approx(math.sqrt(sum(variances)), rel=1e-9)
        assert effect.difference.n == sum(sizes)


def test_clustered_is_the_cluster_covariance_of_a_regression_on_the_variant(
    repeated_trial: Trial, read: Callable[..., Reading]
) -> None:
    reading = read(repeated_trial.planned(CLUSTERED))
    for metric, column in METRICS.items():
        rows = pd.concat(_by_variant(repeated_trial.counted, column))
        treated = (rows["variant"] == "treatment").astype(float)
        clusters = rows["cluster_id"].nunique()
        assert rows.groupby("cluster_id")["variant"].nunique().max() == 2  # they do straddle the variants
        fit = sm.OLS(rows[column].astype(float), sm.add_constant(treated)).fit(
            cov_type="cluster",
            cov_kwds={"groups": rows["cluster_id"].astype("category").cat.codes, "use_correction": False},
        )
        effect = reading.effect(metric)
        factor = math.sqrt(clusters / (clusters - 1))
        assert effect.difference.value == pytest.approx(fit.params["variant"], rel=1e-9)
        assert effect.difference.se == pytest.approx(fit.bse["variant"] * factor, rel=1e-9)
        assert effect.difference.df == clusters - 1
        assert effect.lift.p_value == pytest.approx(effect.difference.p_value, rel=1e-6)


@pytest.mark.slow
def test_clusters_of_single_requests_say_what_the_plain_analysis_says(
    trial: Trial, read: Callable[..., Reading]
) -> None:
    own = trial.predictions.assign(cluster_id=trial.predictions["request_id"])
    plain = read(trial).effect("brier").difference
    clustered = read(replace(trial, predictions=own).planned(CLUSTERED)).effect("brier").difference
    # Welch divides by n - 1 in each variant, the sandwich by G - 1 over both.
    assert clustered.value == pytest.approx(plain.value, rel=1e-12)
    assert clustered.se == pytest.approx(plain.se, rel=5e-3)


def test_a_request_without_cluster_stands_for_itself(trial: Trial, read: Callable[..., Reading]) -> None:
    lone = replace(
        trial,
        predictions=trial.predictions.assign(cluster_id=pd.Series(None, index=trial.predictions.index, dtype="str")),
    ).planned(CLUSTERED)
    reading = read(lone)
    assert reading.effect("brier").difference.df == reading.units.samples("brier", "treatment").total - 1
    assert reading.units.samples("latency", "treatment").total == len(trial.counted)
    assert reading.outcomes()["unclustered"] == "for information"
    found = next(check for check in reading.checks.checks if check.code == "unclustered")
    assert found.observed == 1.0


def test_only_small_results_come_back_and_the_second_time_none(
    repeated_trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = repeated_trial.planned(CLUSTERED).write(tmp_path)
    executed = []
    execute = Source.execute

    def count(self: Source, expression: object, *, reading: str) -> object:
        result = execute(self, expression, reading=reading)
        executed.append(len(result))
        return result

    monkeypatch.setattr(Source, "execute", count)
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)  # files that were written just now are known, too
    plan = experiments.load(workspace, "eta-v2")
    first = experiments.measure(plan, data.open_source(workspace))
    assert max(executed) == first.exposed  # the sample of units; the events are more than twice as many
    assert sorted(executed)[-3] <= 200
    assert {entry.table for entry in JOURNAL.reads} == {"predictions", "outcomes", "exposures"}
    executed.clear()
    assert experiments.measure(plan, data.open_source(workspace)) == first
    assert executed == []


def test_the_same_data_give_the_same_numbers_to_the_last_bit(repeated_trial: Trial, tmp_path: Path) -> None:
    workspace = repeated_trial.planned(CLUSTERED).write(tmp_path)
    plan = experiments.load(workspace, "eta-v2")
    first = experiments.measure(plan, data.open_source(workspace))
    shutil.rmtree(tmp_path / "cache")
    second = experiments.measure(plan, data.open_source(workspace))
    assert first == second
    assert {name: table.to_bytes() for name, table in first.read.tables.items()} == {
        name: table.to_bytes() for name, table in second.read.tables.items()
    }


def test_only_what_was_exposed_served_and_known_counts(trial: Trial, read: Callable[..., Reading]) -> None:
    reading = read(trial)
    counted = trial.counted
    for variant, counts in reading.units.arrivals.items():
        rows = counted[counted["variant"] == variant]
        assert counts.exposed == counts.served == counts.requests == len(rows)
        assert counts.answered == int((rows["error"] == 0).sum())
        assert counts.labelled == int(rows["label"].notna().sum())
    assert len(counted) < trial.predictions["served"].sum()  # requests after the window exist and do not count


def test_labels_that_arrive_after_as_of_do_not_exist(trial: Trial, read: Callable[..., Reading]) -> None:
    late = trial.outcomes.copy()
    hidden = late.index[:150]
    late.loc[hidden, "observed_at"] = pd.Timestamp("2024-03-18", tz="UTC")
    before = read(replace(trial, outcomes=late), as_of="2024-03-17")
    after = read(replace(trial, outcomes=late), as_of="2024-03-19")
    known = sum(counts.labelled for counts in before.units.arrivals.values())
    everything = sum(counts.labelled for counts in after.units.arrivals.values())
    gone = trial.counted["request_id"].isin(late.loc[hidden, "request_id"]).sum()
    assert gone > 0
    assert everything - known == gone


def test_a_corrected_label_replaces_the_first(trial: Trial, read: Callable[..., Reading]) -> None:
    flipped = trial.outcomes.assign(
        observed_at=trial.outcomes["observed_at"] + pd.Timedelta(hours=1), label=1 - trial.outcomes["label"]
    )
    reading = read(replace(trial, outcomes=pd.concat([trial.outcomes, flipped], ignore_index=True)))
    rows = trial.counted
    control = rows[(rows["variant"] == "control") & rows["label"].notna()]
    assert reading.effect("brier").control_mean == pytest.approx(
        ((1 - control["label"] - control["score"]) ** 2).mean()
    )


def test_as_of_may_be_an_instant_or_text_or_the_last_complete_day(trial: Trial, tmp_path: Path) -> None:
    workspace = trial.write(tmp_path)
    plan, source = experiments.load(workspace, "eta-v2"), data.open_source(workspace)
    last = datetime(2024, 3, 20, tzinfo=UTC)
    assert experiments.measure(plan, source).as_of == last
    assert experiments.measure(plan, source, as_of="") == experiments.measure(plan, source, as_of=last)
    assert experiments.measure(plan, source, as_of="2024-03-20") == experiments.measure(plan, source, as_of=last)


def test_too_early_names_the_day_to_come_back(trial: Trial, tmp_path: Path) -> None:
    workspace = trial.write(tmp_path)
    plan, source = experiments.load(workspace, "eta-v2"), data.open_source(workspace)
    with pytest.raises(NotReady) as caught:
        experiments.measure(plan, source, as_of="2024-03-15")
    assert str(caught.value) == (
        "experiment 'eta-v2' needs data up to 2024-03-16T00:00:00Z (its window ends at 2024-03-15T00:00:00Z and labels "
        "take 1 day), and it was asked for as of 2024-03-15T00:00:00Z; it is ready on 2024-03-16"
    )
    assert caught.value.ready_on == datetime(2024, 3, 16, tzinfo=UTC)


def test_data_that_stop_inside_the_window_are_not_ready_whatever_is_asked(trial: Trial, tmp_path: Path) -> None:
    cut = pd.Timestamp("2024-03-10", tz="UTC")
    short = replace(trial, predictions=trial.predictions[trial.predictions["occurred_at"] < cut])
    workspace = short.write(tmp_path)
    plan, source = experiments.load(workspace, "eta-v2"), data.open_source(workspace)
    with pytest.raises(NotReady) as caught:
        experiments.measure(plan, source, as_of="2024-03-19")
    assert str(caught.value) == (
        "experiment 'eta-v2' needs data up to 2024-03-15T00:00:00Z, and they are complete only up to "
        "2024-03-09T00:00:00Z; it is ready on 2024-03-15 once that day's data have arrived"
    )


def test_an_experiment_nobody_was_exposed_to_is_skipped(trial: Trial, tmp_path: Path) -> None:
    workspace = replace(trial, exposures=trial.exposures.assign(experiment="other")).write(tmp_path)
    plan, source = experiments.load(workspace, "eta-v2"), data.open_source(workspace)
    with pytest.raises(Skipped) as caught:
        experiments.measure(plan, source)
    assert str(caught.value) == "experiment 'eta-v2': no unit was exposed in 2024-03-01 … 2024-03-14"


@pytest.mark.slow
def test_large_means_lose_no_digits(trial: Trial, read: Callable[..., Reading]) -> None:
    lifted = trial.predictions.assign(profit=trial.predictions["profit"].round() + 1e9)
    shifted = read(replace(trial, predictions=lifted)).effect("profit").difference
    base = read(replace(trial, predictions=lifted.assign(profit=lifted["profit"] - 1e9))).effect("profit").difference
    assert shifted.se == pytest.approx(base.se, rel=1e-6)
    assert shifted.value == pytest.approx(base.value, rel=1e-6)


def test_an_infinite_log_loss_is_absent_with_its_reason(trial: Trial, read: Callable[..., Reading]) -> None:
    planned = trial.planned({"secondary: [profit]": "secondary: [log_loss]"})
    rows = trial.counted
    one = rows.loc[rows["label"].eq(1) & rows["variant"].eq("treatment"), "request_id"].iloc[0]
    certain = trial.predictions.copy()
    certain.loc[(certain["request_id"] == one) & (certain["version"] == "2"), "score"] = 0.0
    effect = read(replace(planned, predictions=certain)).effect("log_loss")
    assert effect.difference.value is None
    assert effect.difference.reason == "infinite: 1 requests were scored 0 or 1 and were wrong"
    assert effect.lift.status == "absent"
    assert read(planned).effect("log_loss").outcome == "better"


def _split_treatment(trial: Trial, weights: dict[str, int]) -> Trial:
    """The treatment's units shared out between it and a third variant with the same version."""
    variant = [assign_variant(unit, weights, key="eta-v2") for unit in trial.exposures["unit_id"]]
    lines = "".join(f'\n  {name}: {{version: "2", weight: {weight}}}' for name, weight in list(weights.items())[1:])
    exposures = trial.exposures.assign(variant=variant)
    return replace(trial, exposures=exposures).planned({'\n  treatment: {version: "2", weight: 50}': lines})


def test_three_variants_are_each_compared_with_the_control(read: Callable[..., Reading]) -> None:
    trial = _split_treatment(make_trial(units=2500), {"control": 50, "treatment": 30, "third": 20})
    reading = read(trial)
    assert [effect.treatment for effect in reading.readout.effects] == ["treatment"] * 4 + ["third"] * 4
    rows = trial.counted
    third = trial.exposures.loc[trial.exposures["variant"] == "third", "unit_id"]
    served = trial.predictions[trial.predictions["served"] & trial.predictions["unit_id"].isin(third)]
    served = served[served["occurred_at"] < END]
    assert reading.units.samples("profit", "third").rows1 == len(served)
    expected = served["profit"].mean() - rows.loc[rows["variant"] == "control", "profit"].mean()
    assert reading.readout.of("third")[1].difference.value == pytest.approx(expected, rel=1e-9)
    assert [judgement.decision for judgement in reading.verdict.judgements] == ["ship", "ship"]
    assert reading.verdict.decision == "ship"


def test_a_variant_without_weight_is_not_compared_and_may_hold_no_unit(
    trial: Trial, read: Callable[..., Reading]
) -> None:
    idle = _split_treatment(trial, {"control": 50, "treatment": 50, "idle": 0})
    reading = read(idle)
    assert reading.plan.treatments == ("treatment",)
    assert not reading.checks.failed
    strays = idle.exposures.copy()
    strays.loc[strays.index[:3], "variant"] = "idle"
    assert "sample_ratio" in [check.code for check in read(replace(idle, exposures=strays)).checks.failed]


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.integers(1, 4), clusters=st.integers(1, 30), units=st.integers(2, 60))
def test_any_small_experiment_agrees_with_pandas(
    tmp_path_factory: pytest.TempPathFactory, seed: int, most: int, clusters: int, units: int
) -> None:
    trial = make_trial(units=units, most_requests=most, clusters=clusters, seed=seed).planned(CLUSTERED)
    if trial.exposures.empty:
        return
    workspace = trial.write(tmp_path_factory.mktemp("any"))
    plan = experiments.load(workspace, "eta-v2")
    complete = trial.predictions["occurred_at"].max().floor("D")
    if complete < pd.Timestamp(plan.ready_on):
        return
    measured = experiments.measure(plan, data.open_source(workspace))
    control, treatment = _by_variant(trial.counted, "profit")
    samples = measured.samples("profit", "treatment")
    both = pd.concat([control, treatment])
    assert samples.total == both["cluster_id"].nunique()
    if len(control) and len(treatment):
        weight = np.where(both["variant"] == "treatment", 1 / len(treatment), -1 / len(control))
        mean = both["variant"].map(both.groupby("variant")["profit"].mean())
        psi = (weight * (both["profit"] - mean)).groupby(both["cluster_id"]).sum()
        difference, clusters = stats.compare(samples).difference, samples.total
        if difference.se:
            square_sum = difference.se**2 * (clusters - 1) / clusters
            assert square_sum == pytest.approx(float((psi**2).sum()), rel=1e-8, abs=1e-18)
    readout = experiments.analyze(plan, measured)
    for row in readout.to_rows():
        for number in (row.value, row.ci_lower, row.ci_upper, row.p_value):
            assert not isinstance(number, float) or math.isfinite(number)
        assert row.status == "ok" or row.reason


def test_the_window_is_half_open(trial: Trial) -> None:
    inside = trial.counted["occurred_at"]
    assert inside.min() >= START
    assert inside.max() < END
