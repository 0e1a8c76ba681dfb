"""A/A splits: one split by hand, many splits of data without an effect, and what a wrong test looks like."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_trial import Trial, make_trial

from toolkit import data, experiments, stats
from toolkit.errors import ArgumentError
from toolkit.experiments.bucket_sums import BUCKETS, bucket_sums
from toolkit.experiments.splits import _judged, allowed_band, deal
from toolkit.experiments.unit_table import read_past
from toolkit.metrics import load_metrics
from toolkit.records import Record

LATER = {'window: {start: "2024-03-01", end: "2024-03-15"}': 'window: {start: "2024-03-15", end: "2024-04-12"}'}
CLUSTERED = {"analysis: plain": "analysis: clustered\ncluster: cluster_id"}
AS_OF = "2024-03-18"


@pytest.fixture(scope="module")
def many() -> Trial:
    """Units enough to be split, with several requests each, in clusters that straddle them."""
    return make_trial(units=6000, most_requests=3, clusters=300, seed=21)


def _check(trial: Trial, root: Path, changes: dict[str, str] | None = None, **options: Any) -> Any:
    workspace = trial.planned(LATER).planned(changes or {}).write(root)
    plan = experiments.load(workspace, "eta-v2")
    return experiments.split_check(plan, data.open_source(workspace), **{"as_of": AS_OF, "weeks": 2, **options})


def _served(trial: Trial) -> pd.DataFrame:
    rows = trial.predictions[trial.predictions["served"] & (trial.predictions["version"] == "1")]
    rows = rows[rows["occurred_at"] < pd.Timestamp("2024-03-15", tz="UTC")]
    rows = rows.merge(trial.outcomes[["request_id", "label"]], on="request_id", how="left")
    digests = rows["unit_id"].map(lambda unit: hashlib.md5(unit.encode()).hexdigest())
    return rows.assign(
        brier=(rows["label"] - rows["score"]) ** 2, bucket=digests.str[:3].map(lambda text: int(text, 16))
    )


def _sums(trial: Trial, root: Path, changes: dict[str, str]) -> Any:
    workspace = trial.planned(LATER).planned(changes).write(root)
    plan = experiments.load(workspace, "eta-v2")
    past = read_past(plan, data.open_source(workspace), as_of=AS_OF, weeks=2)
    return bucket_sums(past.table)


@pytest.mark.parametrize(("metric", "column"), [("brier", "brier"), ("profit", "profit")])
def test_a_split_is_tested_as_the_readout_would_test_it(many: Trial, tmp_path: Path, metric: str, column: str) -> None:
    sums = _sums(many, tmp_path, {})[metric]
    ((control, treatment),) = deal(BUCKETS, 1, (0.5, 0.5), seed=3)
    difference, se, df = sums.differences(control, treatment)
    rows = _served(many)
    sides = [
        rows[rows["bucket"].map(dict(enumerate(dealt[0].tolist()))) == 1]
        .groupby("unit_id")[column]
        .agg(["sum", "count"])
        for dealt in (control, treatment)
    ]
    columns = [side[part] for side in sides for part in ("sum", "count")]
    by_hand = stats.difference_of_ratios(*columns)
    assert difference[0] == pytest.approx(by_hand.value, rel=1e-9)
    assert se[0] == pytest.approx(by_hand.se, rel=1e-3)  # n / (n - 1)
    assert df[0] == pytest.approx(by_hand.df, rel=0.02)
    assert sums.p_values(control, treatment)[0] == pytest.approx(by_hand.p_value, rel=2e-3)


def test_a_clustered_split_lets_clusters_straddle_it(many: Trial, tmp_path: Path) -> None:
    clusters = many.predictions["cluster_id"]
    lone = many.predictions.assign(cluster_id=clusters.mask(clusters < "c100"))  # these units stand for themselves
    trial = Trial(lone, many.outcomes, many.exposures)
    sums = _sums(trial, tmp_path, CLUSTERED)["profit"]
    ((control, treatment),) = deal(BUCKETS, 1, (0.5, 0.5), seed=3)
    difference, se, df = sums.differences(control, treatment)
    rows = _served(trial)
    clusters = rows["cluster_id"].fillna("alone " + rows["unit_id"])
    digests = clusters.map(lambda cluster: hashlib.md5(cluster.encode()).hexdigest())
    group = digests.str[0] + digests.str[1].map(lambda digit: str(int(digit, 16) // 4))
    side = rows["bucket"].map(dict(enumerate(treatment[0].tolist())))
    parts, levels = [], []
    for chosen in (0.0, 1.0):
        inside = rows[side == chosen]
        level = inside["profit"].mean()
        sums_by_group = inside.groupby(group)["profit"].agg(["sum", "count"])
        parts.append((sums_by_group["sum"] - level * sums_by_group["count"]) / len(inside))
        levels.append(level)
    psi = (parts[1] - parts[0]).fillna(0)
    groups = group.nunique()
    by_hand = levels[1] - levels[0], (groups / (groups - 1) * (psi**2).sum()) ** 0.5
    assert (difference[0], se[0]) == pytest.approx(by_hand, rel=1e-9)
    assert df[0] == groups - 1


@pytest.mark.parametrize("changes", [{}, pytest.param(CLUSTERED, marks=pytest.mark.slow)], ids=["plain", "clustered"])
def test_the_past_raises_as_many_false_alarms_as_alpha(many: Trial, tmp_path: Path, changes: dict[str, str]) -> None:
    check = _check(many, tmp_path, changes)
    assert isinstance(check, Record)
    assert check.passed
    assert (check.low, check.high) == allowed_band(2000, 0.05, BUCKETS)
    assert {each.status for each in check.metrics} == {"passed"}
    assert all(check.low <= each.false_share <= check.high for each in check.metrics)
    groups = "64 buckets of clusters" if changes else "units"
    assert f"50% against 50% of 4,096 buckets, and tested over {groups} at alpha 0.05" in check.text
    assert "No metric raised more." in check.text
    assert "It cannot show a wrong assignment" in check.text
    (picture,) = check.to_pictures()
    assert picture.alt.startswith("False alarms in 2,000 splits of the past, allowed 3.6% to 6.4%: Brier score ")


def test_the_same_plan_gives_the_same_splits(many: Trial, tmp_path: Path) -> None:
    first, again = (_check(many, tmp_path / name, splits=200) for name in ("a", "b"))
    other = _check(many, tmp_path / "c", {"alpha: 0.05": "alpha: 0.05\npower: 0.9"}, splits=200)
    assert first.to_rows() == again.to_rows()
    assert first.p_values["brier"].tolist() != other.p_values["brier"].tolist()


def test_shares_and_treatments_are_those_of_the_plan(many: Trial, tmp_path: Path) -> None:
    treatment = 'treatment: {version: "2", weight: 50}\n'
    three = {treatment: 'treatment: {version: "2", weight: 30}\n  other: {version: "2", weight: 20}\n'}
    check = _check(many, tmp_path, three, splits=400)
    assert check.alpha == 0.025  # split over two treatments
    assert check.shares == pytest.approx((50 / 70, 20 / 70))  # the smallest is tested
    assert check.passed


def test_a_test_that_is_too_sure_is_alarming(many: Trial, tmp_path: Path) -> None:
    metric = load_metrics(many.write(tmp_path))["brier"]
    rng = np.random.default_rng(1)
    right = rng.random(2000)
    from scipy import special

    z = special.ndtri(right / 2) * 1.25  # standard errors that are a fifth too small
    sure = 2 * special.ndtr(z)
    shy = 2 * special.ndtr(z / 1.25 / 1.4)
    band = allowed_band(2000, 0.05, BUCKETS)
    judged = [_judged("brier", metric, 3000, p_values, 0.05, band).status for p_values in (right, sure, shy)]
    assert judged == ["passed", "alarming", "cautious"]


def test_an_alarm_is_said_and_does_not_pass(many: Trial, tmp_path: Path) -> None:
    check = _check(many, tmp_path, splits=200)
    first, *rest = check.metrics
    alarmed = replace(check, metrics=(first._replace(status="alarming", false_share=0.2), *rest))
    assert not alarmed.passed
    assert "More false alarms than that: Brier score; intervals are too narrow there." in alarmed.text
    assert "Brier score 20.0%, alarming" in alarmed.plot().alt


def test_what_cannot_be_split_says_why(many: Trial, trial: Trial, tmp_path: Path) -> None:
    from experiment_trial import METRICS

    still = Trial(many.predictions.assign(profit=1.0), many.outcomes, many.exposures)
    workspace = (
        still.planned(LATER).planned({"- {metric: latency, margin: 2}": "- {metric: p90, margin: 2}"}).write(tmp_path)
    )
    text = METRICS + "  p90: {<<: *metric, name: P90, kind: quantile, column: latency_ms, q: 0.9, unit: ms}\n"
    (tmp_path / "metrics.yml").write_text(text)
    plan = experiments.load(workspace, "eta-v2")
    check = experiments.split_check(plan, data.open_source(workspace), as_of=AS_OF, weeks=2, splits=200)
    reasons = {each.metric: each.reason for each in check.metrics if each.status == "absent"}
    assert reasons == {
        "profit": "the observations do not vary: there is nothing to test",
        "p90": "quantile is no ratio of sums, and buckets of it do not add up",
    }
    small = _check(trial, tmp_path / "small")
    few = f"too few units: {_served(trial)['unit_id'].nunique()} have a value, splits need 2,000"
    assert {each.reason for each in small.metrics} == {few}
    assert not small.passed
    assert small.plot().alt == "there is no past to split"
    assert small.text == f"The past cannot be split: {few}."


def test_without_a_past_there_is_a_reason(many: Trial, tmp_path: Path) -> None:
    check = _check(many, tmp_path, {'start: "2024-03-15"': 'start: "2024-03-05"'})
    assert check.text == (
        "The past cannot be split: no history: version 1 served no whole week of requests that count in "
        "2024-02-20 … 2024-03-04."
    )
    rows = [row for row in check.to_rows() if row.statistic == "false_alarm_share"]
    assert {row.status for row in rows} == {"absent"}


def test_a_shadow_is_not_split(many: Trial, tmp_path: Path) -> None:
    check = _check(many, tmp_path, {"kind: ab": "kind: shadow"})
    assert check.text == "The past cannot be split: a shadow splits nobody: every version scores every request."


def test_too_few_splits_are_refused(many: Trial, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="splits == 10, must be a number of at least 100"):
        _check(many, tmp_path, splits=10)
