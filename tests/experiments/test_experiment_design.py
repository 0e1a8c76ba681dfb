"""Designs on the small experiment, whose weeks before are known: every number once more with pandas or a formula."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_trial import CLUSTERED, END, METRICS, Trial
from planned_trial import AS_OF, LATER, RULE, served_rows, sums_by

from toolkit import data, experiments
from toolkit.records import Record
from toolkit.stats.boundaries import boundary
from toolkit.stats.crossings import inflation
from toolkit.stats.estimate import critical_value
from toolkit.stats.power import PowerDesign, mean_outcome
from toolkit.stats.sample_sizes import units_needed


def _design(trial: Trial, root: Path, changes: dict[str, str] | None = None, **options: Any) -> Any:
    workspace = trial.planned(LATER).planned(changes or {}).write(root)
    plan = experiments.load(workspace, "eta-v2")
    return experiments.design_experiment(plan, data.open_source(workspace), **{"as_of": AS_OF, "weeks": 2, **options})


EFFECT = {"alpha: 0.05": "alpha: 0.05\nplanned_effect: 0.03"}


@pytest.fixture(scope="module")
def usual(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The design of the plan as it is."""
    return _design(trial, tmp_path_factory.mktemp("usual"))


@pytest.fixture(scope="module")
def design(trial: Trial, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The design of the plan with the effect that is expected."""
    return _design(trial, tmp_path_factory.mktemp("effect"), EFFECT)


def test_units_and_power_are_those_of_the_formula(trial: Trial, design: Any) -> None:
    primary, _, latency, errors = design.metrics
    variance = served_rows(trial)["brier"].dropna().var()
    wanted = 1 - 0.2 / 3  # two guardrails beside it
    assert primary.aim.power == pytest.approx(wanted)
    z = critical_value(0.95) + float(PowerDesign().reach(wanted) - PowerDesign().reach(0.5))
    by_formula = 4 * primary.variance * z**2 / 0.03**2
    assert sum(primary.needed_units) == pytest.approx(by_formula, abs=2)
    assert primary.variance == pytest.approx(variance / (1 - 0.03), rel=0.05)  # 3 % of the requests have no label
    assert primary.power == pytest.approx(
        _normal(0.03 / (4 * primary.variance / design.planned_units) ** 0.5 - critical_value(0.95)), rel=1e-6
    )
    assert primary.detectable == pytest.approx(0.03 * (by_formula / design.planned_units) ** 0.5, rel=1e-6)
    assert latency.aim[:4] == ("not_inferior", 2.0, "margin", 0.0)
    one_sided = units_needed(
        mean_outcome(latency.variance),
        0.0,
        PowerDesign(alpha=0.025, hypothesis="not_inferior", margin=2.0),
        power=wanted,
    )
    assert latency.needed_units == one_sided.units
    assert errors.reason == ""


def test_power_is_the_share_of_experiments_that_find_the_effect(design: Any) -> None:
    primary = design.primary
    rng, runs = np.random.default_rng(4), 4000
    half = int(design.planned_units // 2)
    se = (primary.variance / half) ** 0.5
    differences = -0.03 + rng.normal(0, se, runs) - rng.normal(0, se, runs)
    found = (differences < -critical_value(0.95) * se * 2**0.5).mean()
    assert found == pytest.approx(primary.power, abs=3 * (0.25 / runs) ** 0.5)


def test_unequal_shares_and_more_treatments_need_more(trial: Trial, usual: Any, tmp_path: Path) -> None:
    shares = {
        'version: "1", weight: 50': 'version: "1", weight: 90',
        'version: "2", weight: 50': 'version: "2", weight: 10',
    }
    treatment = 'treatment: {version: "2", weight: 50}\n'
    several = {treatment: treatment + '  other: {version: "2", weight: 50}\n'}
    uneven, three = (
        _design(trial, tmp_path / name, changes).primary for name, changes in (("uneven", shares), ("three", several))
    )
    total = sum(usual.primary.needed_units)
    assert sum(uneven.needed_units) == pytest.approx(total * (1 / 0.9 + 1 / 0.1) / 4, rel=0.001)
    assert uneven.needed_units[0] == pytest.approx(9 * uneven.needed_units[1], rel=0.001)
    assert len(three.needed_units) == 3
    assert sum(three.needed_units) > 1.5 * total  # a third each, and half of alpha


def test_planned_looks_cost_what_their_boundary_does(trial: Trial, usual: Any, tmp_path: Path) -> None:
    looks = 'design: {kind: group_sequential, spending: pocock, looks: ["2024-03-22", "2024-03-29"]}\n'
    fixed, sequential = usual, _design(trial, tmp_path, {RULE: RULE + looks})
    history = sequential.history
    expected = tuple(history.units_after(days) / history.units_after(28) for days in (7, 14, 28))
    assert sequential.fractions == pytest.approx(expected)
    assert sequential.bounds == boundary(sequential.fractions, alpha=0.05, spending="pocock")
    factor = inflation(sequential.fractions, alpha=0.05, power=sequential.primary.aim.power, spending="pocock")
    assert sequential.inflation == pytest.approx(factor)
    assert sum(sequential.primary.needed_units) == pytest.approx(factor * sum(fixed.primary.needed_units), rel=1e-3)
    assert fixed.inflation == 1
    assert fixed.bounds is None
    assert [picture.name for picture in sequential.to_pictures()] == ["power", "durations", "looks"]
    assert "2024-03-22 with" in sequential.plot_looks().alt
    assert fixed.plot_looks().alt == "there is one look, at the end, and its bound is that of a single test"


def test_looks_before_any_unit_and_after_the_last_are_planned_too(trial: Trial, tmp_path: Path) -> None:
    looks = 'looks: ["2024-03-15T06:00Z", "2024-03-29", "2024-04-12T06:00Z"]'
    changes = {RULE: f"{RULE}design: {{kind: group_sequential, units: 1000, {looks}}}\n"}
    design = _design(trial, tmp_path, changes)
    assert design.fractions == tuple(design.history.units_after(days) / 1000 for days in (0, 14, 28, 28))
    assert design.fractions[0] == 0
    assert design.bounds.z[0] == 8
    assert design.bounds.z[2] == design.bounds.z[3]
    assert design.inflation >= 1
    assert design.plot_looks().alt.count("2024-") == 4


def test_reading_at_any_time_costs_more_than_planned_looks(trial: Trial, tmp_path: Path) -> None:
    anytime = _design(trial, tmp_path, {RULE: RULE + "design: {kind: always_valid, tune_units: 500}\n"})
    assert 1.3 < anytime.inflation < 3
    assert anytime.fractions == ()
    assert "A look at any time costs" in anytime.text


def test_a_metric_that_must_not_be_worse_is_sized_for_its_margin(trial: Trial, tmp_path: Path) -> None:
    design = _design(trial, tmp_path, {RULE: "rule: not_inferior\nprimary_margin: 0.05\n"})
    assert design.primary.aim[:4] == ("not_inferior", 0.05, "margin", -0.0)
    assert "Brier score is to be seen not to be worse by 0.05 (margin)" in design.text
    quality = _design(trial, tmp_path / "q", {RULE: RULE + "data_quality: [{metric: flagged, margin: 0.1}]\n"}).metrics[
        -1
    ]
    assert quality.aim[:4] == ("equivalent", 0.1, "margin", 0.0)
    assert quality.power is not None


def test_a_group_that_could_be_harmed_is_sized_by_its_own_requests(repeated_trial: Trial, tmp_path: Path) -> None:
    group = "{segment: cluster_id, value: c007, why: They are few., metrics: [latency]}"
    dear = "{segment: profit_band, value: below -10, why: They pay most.}"
    workspace = repeated_trial.planned(LATER).planned({RULE: f"{RULE}vulnerable: [{group}, {dear}]\n"}).write(tmp_path)
    (tmp_path / "metrics.yml").write_text(
        f"segments:\n  profit_band: {{column: profit, edges: [-10]}}\n{METRICS}", encoding="utf-8"
    )
    plan = experiments.load(workspace, "eta-v2")
    design = experiments.design_experiment(plan, data.open_source(workspace), as_of=AS_OF, weeks=2)
    assert [(each.metric, each.group) for each in design.groups] == [
        ("latency", "cluster_id=c007"),
        ("latency", "profit_band=below -10"),
        ("error_rate", "profit_band=below -10"),
    ]
    rows = served_rows(repeated_trial)
    everyone = pd.Series(0.0, index=rows["unit_id"].unique())
    for design_of_group, inside in zip(
        design.groups, (rows["cluster_id"] == "c007", rows["profit"] < -10), strict=False
    ):
        sums = sums_by(rows[inside], "unit_id", "latency_ms")
        level = rows.loc[inside, "latency_ms"].mean()
        linear = everyone.add(sums["sum"] - level * sums["count"], fill_value=0) / (inside.sum() / len(everyone))
        assert design_of_group.level == pytest.approx(level, rel=1e-9)
        assert design_of_group.variance == pytest.approx(linear.var(), rel=1e-9)
    latency = design.metrics[2]
    assert design.groups[0].power < latency.power
    assert sum(design.groups[0].needed_units) > 10 * sum(latency.needed_units)  # of everybody
    assert "Latency, cluster_id=c007" in design.text
    assert "Latency, cluster_id=c007 (guardrail)" in [line["metric"] for line in design.to_table()]
    assert {row.segment for row in design.to_rows() if row.key == "error_rate"} == {"", "profit_band=below -10"}


@pytest.mark.parametrize("analysis", [pytest.param({}, marks=pytest.mark.slow), CLUSTERED])
def test_a_shadow_is_sized_by_the_differences_of_its_pairs(
    repeated_trial: Trial, tmp_path: Path, analysis: dict[str, str]
) -> None:
    changes = {"kind: ab": "kind: shadow"} | EFFECT | analysis
    design = _design(repeated_trial, tmp_path, changes)
    rows = repeated_trial.predictions[repeated_trial.predictions["occurred_at"] < END]
    rows = rows.merge(repeated_trial.outcomes[["request_id", "label"]], on="request_id", how="left")
    rows = rows.assign(brier=(rows["label"] - rows["score"]) ** 2)
    old, new = (rows[rows["version"] == version] for version in "12")

    def spread(by: str) -> tuple[float, int]:
        sides = [sums_by(side, by, "brier") for side in (old, new)]
        own = [
            (sums["sum"] - side["brier"].mean() * sums["count"]) / side["brier"].count()
            for sums, side in zip(sides, (old, new), strict=True)
        ]
        return float(((own[1] - own[0]) ** 2).sum()), len(own[0])

    square, groups = spread("cluster_id" if analysis else "unit_id")
    error = (square * groups / (groups - 1)) ** 0.5
    units = design.history.units
    assert units == design.history.control_units == rows["unit_id"].nunique()
    assert 2 * (design.primary.variance / units) ** 0.5 == pytest.approx(error, rel=1e-9)
    apart = _design(repeated_trial, tmp_path / "apart", EFFECT | analysis)
    assert sum(design.primary.needed_units) < sum(apart.primary.needed_units)
    if analysis:
        alone, many = spread("unit_id")
        assert design.primary.effect_of_design == pytest.approx(
            (square * groups / (groups - 1)) / (alone * many / (many - 1)), rel=1e-9
        )


def test_a_shadow_whose_version_scored_nothing_yet_has_no_pairs(trial: Trial, tmp_path: Path) -> None:
    alone = Trial(trial.predictions[trial.predictions["version"] == "1"], trial.outcomes, trial.exposures)
    design = _design(alone, tmp_path, {"kind: ab": "kind: shadow"})
    assert design.primary.reason == ("no history: the treatment's version scored nothing in 2024-03-01 … 2024-03-14")


def test_a_quantile_is_sized_by_its_error_over_days(trial: Trial, tmp_path: Path) -> None:
    workspace = (
        trial.planned(LATER).planned({"- {metric: latency, margin: 2}": "- {metric: p90, margin: 2}"}).write(tmp_path)
    )
    text = METRICS + "  p90: {<<: *metric, name: P90, kind: quantile, column: latency_ms, q: 0.9, unit: ms}\n"
    (tmp_path / "metrics.yml").write_text(text)
    plan = experiments.load(workspace, "eta-v2")
    design = experiments.design_experiment(plan, data.open_source(workspace), as_of=AS_OF, weeks=2)
    p90 = next(each for each in design.metrics if each.metric == "p90")
    estimate = design.history.quantiles["p90"]
    assert p90.level == pytest.approx(served_rows(trial)["latency_ms"].quantile(0.9), rel=1e-12)
    assert p90.variance == pytest.approx(estimate.se**2 * design.history.control_units, rel=1e-9)
    assert p90.needed_days in range(7, 729, 7)


def test_a_duration_is_whole_weeks_and_the_first_that_is_enough(trial: Trial, design: Any, tmp_path: Path) -> None:
    days = design.primary.needed_days
    assert days % 7 == 0
    reached = {after: design.powers("brier", [0.03], days=after)[0] for after in (days - 7, days)}
    assert reached[days - 7] < design.primary.aim.power <= reached[days]
    tiny = _design(
        trial, tmp_path / "tiny", {"alpha: 0.05": "alpha: 0.05\nplanned_effect: 0.0001\nsmallest_effect: 0.0001"}
    )
    assert tiny.primary.needed_days is None
    assert "more than 104 weeks" in tiny.text
    (row,) = [row for row in tiny.to_rows() if (row.key, row.statistic) == ("brier", "needed_days")]
    assert (row.status, row.reason) == ("absent", "more than 104 weeks")


def test_without_history_nothing_is_said_but_why(trial: Trial, tmp_path: Path) -> None:
    design = _design(
        trial, tmp_path, {'end: "2024-04-12"': 'end: "2024-03-22"', 'start: "2024-03-15"': 'start: "2024-03-05"'}
    )
    reason = "no history: version 1 served no whole week of requests that count in 2024-02-20 … 2024-03-04"
    assert design.text == f"Nothing can be said about power: {reason}."
    assert {each.reason for each in design.metrics} == {reason}
    assert design.to_pictures() == []
    assert design.plot().alt == "there is no history to draw power from"
    absent = {row.statistic for row in design.to_rows() if row.status == "absent"}
    assert {"planned_units", "history_units", "needed_units", "power", "detectable", "level"} <= absent
    assert all(row.reason == reason for row in design.to_rows() if row.status == "absent")


def test_a_version_that_never_served_has_no_history(trial: Trial, tmp_path: Path) -> None:
    rows = trial.predictions.assign(served=trial.predictions["version"] == "2")
    design = _design(Trial(rows, trial.outcomes, trial.exposures), tmp_path)
    assert design.text.startswith("Nothing can be said about power: no history: version 1 served no whole week")
    shadow = {"kind: ab": "kind: shadow"}
    assert _design(Trial(rows, trial.outcomes, trial.exposures), tmp_path / "s", shadow).history.units > 0


def test_a_metric_that_does_not_vary_has_a_reason(trial: Trial, tmp_path: Path) -> None:
    still = Trial(trial.predictions.assign(latency_ms=5.0), trial.outcomes, trial.exposures)
    latency = _design(still, tmp_path).metrics[2]
    assert latency.reason == "the observations do not vary: there is no error to plan for"
    assert (latency.needed_units, latency.power, latency.detectable) == ((), None, None)


def test_a_design_is_a_record_that_is_the_same_when_it_is_made_again(repeated_trial: Trial, tmp_path: Path) -> None:
    first = _design(repeated_trial, tmp_path / "cold")
    again = _design(repeated_trial, tmp_path / "cold")
    assert isinstance(first, Record)
    assert first.to_rows() == again.to_rows() == _design(repeated_trial, tmp_path / "other").to_rows()
    assert [picture.png for picture in first.to_pictures()] == [picture.png for picture in again.to_pictures()]
    assert "Brier score (primary)" in first._repr_html_()


def test_what_is_watched_and_what_would_stop_it(trial: Trial, tmp_path: Path) -> None:
    more = (
        'design: {kind: group_sequential, looks: ["2024-03-22"], futility: true}\n'
        "conditions: [{name: compliance, text: Nobody is refused by it., met: false}]\n"
        "budgets: [{metric: latency, at_most: 20}]\n"
        "vulnerable: [{segment: cluster_id, value: c001, why: They are few., metrics: [error_rate]}]\n"
    )
    design = _design(trial, tmp_path, {RULE: RULE + more})
    watch, stops = experiments.list_watched(design), experiments.list_stops(design)
    assert watch.text == "5 things are watched, by Ada; Ada answers for the experiment."
    assert {
        "watched": "Errors",
        "where": "cluster_id=c001",
        "limit": "not worse by 5 pp: They are few.",
        "by": "Ada",
    } in (watch.to_table())
    assert [line["if"] for line in stops.to_table()] == [
        "the sample ratio has p below 0.001",
        "fewer than 90% of the answered requests have a label",
        "condition compliance is not met",
        "a treatment's latency is not at most 20",
        f"the difference is {design.bounds.z[0]:.2f} standard errors or more from zero",
        f"the difference is {design.bounds.z[1]:.2f} standard errors or more from zero",
        "the primary or a guardrail is shown to be worse",
        "a win has become unlikely",
        "the window has ended and its labels are there",
        "the rule cannot decide yet",
    ]
    assert all(row.statistic == "stops" for row in stops.to_rows())
    assert {row.segment for row in watch.to_rows()} == {"", "cluster_id=c001"}


def _normal(z: float) -> float:
    from scipy import special

    return float(special.ndtr(z))
