"""What an experiment measures, cell by cell, against pandas over its requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_trial import CLUSTERED, END, START, VERSIONS, Trial, make_trial

from toolkit import data, experiments
from toolkit.errors import ArgumentError, NotReady, UnknownNameError
from toolkit.stats import TwoSamples

DAY = pd.Timedelta(days=1)
PLANNED = """\
covariates: [{metric: profit, days: 10}, {column: distance}]
segments: [region]
caps: {profit: 0.9}
rule:"""
EVERYTHING = {"rule:": PLANNED}


@pytest.fixture(scope="module")
def rich() -> Trial:
    """A trial with a past of 40 days (for two thirds of the units), a region, a distance, and another experiment."""
    trial = make_trial(units=500, most_requests=4, clusters=40, seed=21)
    rng = np.random.default_rng(5)
    units = np.sort(trial.predictions["unit_id"].unique())
    region = pd.Series(rng.choice(["north", "south", "west"], len(units)), index=units)
    skill = pd.Series(rng.normal(0, 3, len(units)), index=units)
    rows = trial.predictions.assign(region=trial.predictions["unit_id"].map(region))
    moved = rng.random(len(rows)) < 0.1
    rows.loc[moved, "region"] = "south"  # a unit's requests are not always of one region
    rows.loc[rng.random(len(rows)) < 0.02, "region"] = None
    rows["profit"] += rows["unit_id"].map(skill)
    past = rows[rows["served"] & (rng.random(len(rows)) < 0.66)].copy()
    past["occurred_at"] -= pd.to_timedelta(rng.integers(15, 40, len(past)), unit="D")
    past["request_id"] = "p" + past["request_id"]
    past["version"] = "1"
    every = pd.concat([rows, past], ignore_index=True)
    every["distance"] = np.where(rng.random(len(every)) < 0.2, np.nan, rng.gamma(3, 100, len(every)))
    known = trial.exposures.sample(frac=0.4, random_state=1)
    other = known.assign(experiment="banner", variant=rng.choice(["on", "off"], len(known)))
    return replace(trial, predictions=every, exposures=pd.concat([trial.exposures, other], ignore_index=True)).planned(
        EVERYTHING
    )


@pytest.fixture(scope="module", params=[pytest.param("plain", marks=pytest.mark.slow), "clustered"])
def measured(request: pytest.FixtureRequest, rich: Trial, tmp_path_factory: pytest.TempPathFactory) -> Any:
    trial = rich.planned(CLUSTERED) if request.param == "clustered" else rich
    workspace = trial.write(tmp_path_factory.mktemp(request.param))
    units = experiments.measure(experiments.load(workspace, "eta-v2"), data.open_source(workspace))
    return units, _groups_of(trial), request.param


def _groups_of(trial: Trial) -> pd.DataFrame:
    """The requests that count, with their unit's first exposure, segment, past and covariates."""
    own = replace(trial, exposures=trial.exposures[trial.exposures["experiment"] == "eta-v2"])
    rows = own.counted.sort_values("occurred_at", kind="stable")
    rows = rows.assign(day=rows["exposed_at"].dt.floor("D"), since=_days(rows["occurred_at"], rows["exposed_at"]))
    first = rows.groupby("unit_id").first()
    rows["segment"] = (
        rows["unit_id"].map(rows.groupby("unit_id")["region"].agg(lambda each: each.iloc[0])).fillna("missing")
    )
    rows["exposed_on"] = rows["unit_id"].map(first["exposed_at"]).dt.floor("D")
    return rows


def _days(later: pd.Series, earlier: pd.Series) -> pd.Series:
    return (later.dt.floor("D") - earlier.dt.floor("D")).dt.days


def _expected(rows: pd.DataFrame, column: str, group: str, *, cap: float | None = None) -> dict[str, Any]:
    """Means, covariances and what straddles, of the groups' sums and counts."""
    counted = rows[rows[column].notna()].assign(value=rows[column].astype(float))
    sums = counted.groupby([group, "variant"])["value"].agg(["sum", "count"]).astype(float).reset_index()
    if cap is not None:
        sums["sum"] = sums["sum"].clip(upper=cap)
    sides = {name: sums[sums["variant"] == name].set_index(group)[["sum", "count"]] for name in VERSIONS}
    both = sides["control"].index.intersection(sides["treatment"].index)
    away = [sides[name].loc[both].to_numpy() - sides[name].mean().to_numpy() for name in VERSIONS]
    return {
        "sides": sides,
        "crossed": away[0].T @ away[1],
        "groups": len(sides["control"].index.union(sides["treatment"].index)),
        "rows": [int((counted["variant"] == name).sum()) for name in VERSIONS],
    }


def _agree(samples: TwoSamples, expected: dict[str, Any], *, clustered: bool) -> None:
    for moments, name in ((samples.control, "control"), (samples.treatment, "treatment")):
        side = expected["sides"][name].assign(sum=lambda each: each["sum"] - samples.shift * each["count"])
        assert moments.n == len(side)
        if not len(side):
            continue
        means = [moments.mean(0), moments.mean(1)]
        assert means == pytest.approx(side.mean().to_numpy(), rel=1e-9, abs=1e-9)
        centred = side - side.mean()
        products = np.array(moments.products)[:2, :2]
        assert products == pytest.approx((centred.T @ centred).to_numpy(), rel=1e-9, abs=1e-8)
    assert [samples.rows0, samples.rows1] == expected["rows"]
    if clustered:
        about = np.array([[1.0, -samples.shift], [0.0, 1.0]])
        assert samples.groups == expected["groups"]
        assert samples.crossed is not None
        assert np.array(samples.crossed)[:2, :2] == pytest.approx(about @ expected["crossed"] @ about.T, abs=1e-7)
    else:
        assert samples.crossed is None


def _group(kind: str) -> str:
    return "cluster_id" if kind == "clustered" else "unit_id"


METRICS = {"brier": "brier", "profit": "profit", "latency": "latency_ms", "error_rate": "error"}


def test_every_metric_has_the_moments_of_its_groups(measured: Any) -> None:
    units, rows, kind = measured
    for metric, column in METRICS.items():
        expected = _expected(rows, column, _group(kind))
        _agree(units.samples(metric, "treatment"), expected, clustered=kind == "clustered")


def test_a_segment_has_the_units_whose_first_counted_request_was_in_it(measured: Any) -> None:
    units, rows, kind = measured
    assert units.segments == ("region", "experiment:banner")
    assert set(units.segment_values("region")) == set(rows["segment"])
    for value in units.segment_values("region"):
        expected = _expected(rows[rows["segment"] == value], "profit", _group(kind))
        found = units.samples("profit", "treatment", segment="region", value=value)
        _agree(found, expected, clustered=kind == "clustered")
    by_unit = rows.groupby("unit_id").agg(segment=("segment", "first"), variant=("variant", "first"))
    for (segment, variant), count in by_unit.groupby(["segment", "variant"]).size().items():
        assert units.exposed_by_segment["region", segment, variant] >= count


def test_up_to_a_day_of_exposure(measured: Any) -> None:
    units, rows, kind = measured
    days = [day.date() for day in sorted(rows["exposed_on"].unique())]
    assert set(days) <= set(units.days)
    for day in [days[0], days[3], days[-1]]:
        until = rows[rows["exposed_on"] <= pd.Timestamp(day, tz="UTC")]
        for metric in ("profit", "brier"):
            expected = _expected(until, METRICS[metric], _group(kind))
            found = units.samples(metric, "treatment", through_day=day)
            _agree(found, expected, clustered=kind == "clustered")


def test_by_day_since_exposure(measured: Any) -> None:
    units, rows, kind = measured
    assert set(units.since_days) == set(rows["since"])
    for since in (0, 1, 5):
        expected = _expected(rows[rows["since"] == since], "profit", _group(kind))
        _agree(units.samples("profit", "treatment", since_day=since), expected, clustered=kind == "clustered")


def test_a_cap_is_the_quantile_of_all_totals_and_cuts_them(measured: Any) -> None:
    units, rows, kind = measured
    totals = rows.groupby([_group(kind), "variant"])["profit"].sum()
    cap = float(np.quantile(totals, 0.9))
    assert units.caps == {"profit": pytest.approx(cap, rel=1e-12)}
    expected = _expected(rows, "profit", _group(kind), cap=cap)
    _agree(units.samples("profit", "treatment", capped=True), expected, clustered=kind == "clustered")


def test_covariates_are_the_past_before_exposure_and_columns_of_requests(measured: Any, rich: Trial) -> None:
    units, rows, kind = measured
    group = _group(kind)
    assert units.covariates == ("profit over 10 days before", "distance")
    exposed = rows.groupby("unit_id").agg(exposed_on=("exposed_on", "first"), variant=("variant", "first"))
    past = rich.predictions[rich.predictions["served"]].merge(exposed, on="unit_id")
    on = past["occurred_at"].dt.floor("D")
    past = past[(on < past["exposed_on"]) & (on >= past["exposed_on"] - 10 * DAY)]
    before = past.groupby([group, "variant"])["profit"].agg(["sum", "count"])
    distance = rows[rows["distance"].notna()].groupby([group, "variant"])["distance"].agg(["sum", "count"])
    found = units.samples("profit", "treatment", covariates=True)
    for moments, name in ((found.control, "control"), (found.treatment, "treatment")):
        groups = rows[rows["variant"] == name].groupby(group)["profit"].agg(["sum", "count"])
        places = pd.MultiIndex.from_arrays([groups.index, [name] * len(groups)])
        frame = np.column_stack(
            [groups, *(each.reindex(places, fill_value=0).to_numpy(dtype=float) for each in (before, distance))]
        )
        assert len(moments.origins) == 6
        # What is subtracted from every value of a covariate, so that large ones keep their digits, changes no spread
        # about its ratio.
        for at in (0, 2, 4):
            ratio = frame[:, at].sum() / frame[:, at + 1].sum()
            spread = ((frame[:, at] - ratio * frame[:, at + 1]) ** 2).sum()
            mean = (moments.mean(at) or 0.0) / (moments.mean(at + 1) or 1.0)
            (ss, sn), nn = moments.products[at][at : at + 2], moments.products[at + 1][at + 1]
            assert ss - 2 * mean * sn + mean * mean * nn == pytest.approx(spread, rel=1e-9)
        lacking = int((frame[:, 3] == 0).sum())
        assert lacking > 0
        assert units.missing_covariates["profit over 10 days before", name] == lacking


def test_the_past_of_a_metric_is_that_of_its_covariate(measured: Any, rich: Trial) -> None:
    units, rows, kind = measured
    if kind == "clustered":
        return
    exposed = rows.groupby("unit_id").agg(exposed_on=("exposed_on", "first"), variant=("variant", "first"))
    past = rich.predictions[rich.predictions["served"]].merge(exposed, on="unit_id")
    on = past["occurred_at"].dt.floor("D")
    for metric, days in (("profit", 10), ("latency", 28)):
        mine = past[(on < past["exposed_on"]) & (on >= past["exposed_on"] - days * DAY)]
        _agree(units.past(metric, "treatment"), _expected(mine, METRICS[metric], "unit_id"), clustered=False)


def test_units_of_another_experiment_are_a_segment(measured: Any, rich: Trial) -> None:
    units, rows, kind = measured
    other = rich.exposures[rich.exposures["experiment"] == "banner"]
    seen = other.groupby("unit_id")["variant"].first()
    rows = rows.assign(other=rows["unit_id"].map(seen).fillna("missing"))
    assert set(units.segment_values("experiment:banner")) == {"on", "off", "missing"}
    for value in ("on", "missing"):
        expected = _expected(rows[rows["other"] == value], "brier", _group(kind))
        found = units.samples("brier", "treatment", segment="experiment:banner", value=value)
        _agree(found, expected, clustered=kind == "clustered")


def test_the_parts_of_an_experiment_add_up_to_it(measured: Any) -> None:
    units, _, kind = measured
    whole = units.samples("profit", "treatment")
    values = units.segment_values("region")
    parts = [units.samples("profit", "treatment", segment="region", value=value) for value in values]
    assert sum(part.rows0 for part in parts) == whole.rows0
    last = units.samples("profit", "treatment", through_day=units.days[-1])
    assert last.control.n == whole.control.n
    assert np.array(last.control.products) == pytest.approx(np.array(whole.control.products), rel=1e-9)
    if kind == "clustered":
        assert np.array(last.crossed) == pytest.approx(np.array(whole.crossed), rel=1e-7, abs=1e-9)
    assert sum(units.exposed_by_day.values()) == sum(counts.exposed for counts in units.arrivals.values())


def test_what_cannot_be_asked_for_is_said(measured: Any) -> None:
    units, _, _ = measured
    asked: Sequence[tuple[dict[str, Any], str]] = [
        (
            {"segment": "region", "value": "north", "since_day": 1},
            "segment, through_day and since_day exclude each other; give one of them",
        ),
        (
            {"since_day": 1, "covariates": True},
            "a day since exposure has neither covariates nor caps; leave covariates and capped out",
        ),
    ]
    for given, text in asked:
        with pytest.raises(ArgumentError) as caught:
            units.samples("profit", "treatment", **given)
        assert str(caught.value) == text
    with pytest.raises(ArgumentError) as caught:
        units.samples("brier", "treatment", capped=True)
    assert str(caught.value) == "metric 'brier' has no cap in the plan; caps are planned for profit"
    with pytest.raises(UnknownNameError, match="Did you mean 'region'"):
        units.samples("brier", "treatment", segment="regio", value="north")
    with pytest.raises(UnknownNameError, match="treatment"):
        units.samples("brier", "control")
    with pytest.raises(ArgumentError, match=r"metric 'brier' is of kind brier, must be a quantile; see samples\(\)"):
        units.quantiles("brier", "treatment")


@pytest.mark.parametrize("changes", [pytest.param({}, marks=pytest.mark.slow), CLUSTERED])
def test_a_quantile_has_the_ends_of_its_share_over_groups(
    repeated_trial: Trial, tmp_path: Path, changes: dict[str, str]
) -> None:
    trial = repeated_trial.planned({"secondary: [profit]": "secondary: [profit, slowest]", **changes})
    workspace = trial.write(tmp_path)
    with (workspace.root / "metrics.yml").open("a") as metrics:
        metrics.write("  slowest: {<<: *metric, name: Slow, kind: quantile, q: 0.9, column: latency_ms, unit: ms}\n")
    units = experiments.measure(experiments.load(workspace, "eta-v2"), data.open_source(workspace))
    found = units.quantiles("slowest", "treatment")
    group = "cluster_id" if changes else "unit_id"
    gaps = {}
    for sample, name in ((found.control, "control"), (found.treatment, "treatment")):
        rows = trial.counted[trial.counted["variant"] == name]
        point = float(np.quantile(rows["latency_ms"], 0.9))
        below = (rows["latency_ms"] <= point).astype(float)
        by_group = pd.DataFrame({"below": below, "n": 1.0, "group": rows[group]}).groupby("group").sum()
        size = len(by_group)
        square = ((by_group["below"] - below.mean() * by_group["n"]) ** 2).sum()
        error = np.sqrt(size / (size - 1) * square) / len(rows)
        assert (sample.value, sample.rows, sample.groups) == (pytest.approx(point, rel=1e-12), len(rows), size)
        assert sample.share_se == pytest.approx(error, rel=1e-3)
        ends = np.quantile(rows["latency_ms"], [0.9 - 1.96 * sample.share_se, 0.9 + 1.96 * sample.share_se])
        assert [sample.lower, sample.upper] == pytest.approx(ends.tolist(), rel=1e-9)
        gaps[name] = (by_group["below"] - below.mean() * by_group["n"]) / len(rows)
    if changes:
        both = pd.concat(gaps, axis=1).fillna(0.0)
        groups = len(both)
        product = (both["control"] * both["treatment"]).sum() * groups / (groups - 1)
        assert found.groups == groups
        assert found.share_covariance == pytest.approx(product, rel=1e-9)
    else:
        assert (found.groups, found.share_covariance) == (None, 0.0)


@pytest.mark.parametrize("changes", [{}, pytest.param(CLUSTERED, marks=pytest.mark.slow)])
def test_the_units_of_a_holdout_are_told_apart_by_the_period_of_their_exposure(
    repeated_trial: Trial, tmp_path: Path, changes: dict[str, str]
) -> None:
    trial = repeated_trial.planned({"kind: ab": "kind: holdout", **changes})
    workspace = trial.write(tmp_path)
    units = experiments.measure(experiments.load(workspace, "eta-v2"), data.open_source(workspace))
    assert units.segments == ("exposed_in",)
    assert units.segment_values("exposed_in") == ("2024-03-01", "2024-03-08")
    rows = trial.counted
    late = rows[rows["exposed_at"] >= pd.Timestamp("2024-03-08", tz="UTC")]
    found = units.samples("profit", "treatment", segment="exposed_in", value="2024-03-08")
    group = "cluster_id" if changes else "unit_id"
    _agree(found, _expected(late, "profit", group), clustered=bool(changes))


def test_units_that_are_not_eligible_are_in_no_count(repeated_trial: Trial, tmp_path: Path) -> None:
    rows = repeated_trial.predictions.assign(distance=np.arange(len(repeated_trial.predictions)) % 7)
    trial = replace(repeated_trial, predictions=rows).planned({"rule:": 'eligible: "distance > 1"\nrule:'})
    workspace = trial.write(tmp_path)
    units = experiments.measure(experiments.load(workspace, "eta-v2"), data.open_source(workspace))
    counted = trial.counted.sort_values("occurred_at", kind="stable")
    first = counted.groupby("unit_id")["distance"].first()
    kept = counted[counted["unit_id"].map(first) > 1]
    for variant in VERSIONS:
        mine = counted[counted["variant"] == variant]["unit_id"].unique()
        out = int((first[mine] <= 1).sum())
        assert out > 0
        assert units.ineligible[variant] == out
        assert units.arrivals[variant].exposed == len(mine) - out
        assert units.arrivals[variant].requests == int((kept["variant"] == variant).sum())
    _agree(units.samples("profit", "treatment"), _expected(kept, "profit", "unit_id"), clustered=False)


def test_a_design_with_looks_is_measured_as_far_as_its_labels_have_matured(
    repeated_trial: Trial, tmp_path: Path
) -> None:
    looks = "design: {kind: group_sequential, looks: ['2024-03-09']}\nrule:"
    trial = repeated_trial.planned({"rule:": looks})
    workspace = trial.write(tmp_path)
    plan, source = experiments.load(workspace, "eta-v2"), data.open_source(workspace)
    units = experiments.measure(plan, source, as_of="2024-03-09")
    assert (units.window.label, units.planned_window.label) == ("2024-03-01 … 2024-03-07", "2024-03-01 … 2024-03-14")
    cut = pd.Timestamp("2024-03-08", tz="UTC")
    rows = trial.counted[(trial.counted["occurred_at"] < cut) & (trial.counted["exposed_at"] < cut)]
    _agree(units.samples("profit", "treatment"), _expected(rows, "profit", "unit_id"), clustered=False)
    assert units.days[-1] == date(2024, 3, 7)
    with pytest.raises(NotReady) as caught:
        experiments.measure(plan, source, as_of="2024-03-02")
    assert str(caught.value) == (
        "experiment 'eta-v2' began at 2024-03-01T00:00:00Z and labels take 1 day, and it was asked for as of "
        "2024-03-02T00:00:00Z; its first day is ready on 2024-03-03"
    )
    assert experiments.measure(plan, source).window.end == END.to_pydatetime()
    assert START.to_pydatetime() == plan.window.window.start
