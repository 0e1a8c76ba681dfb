from __future__ import annotations

from pathlib import Path

import pytest
from experiment_trial import PLAN, Trial

from toolkit import experiments
from toolkit.digests import digest_file
from toolkit.errors import DefinitionError, UnknownNameError
from toolkit.records import Record


def test_a_plan_knows_its_file_its_metrics_and_when_it_can_be_read(trial: Trial, tmp_path: Path) -> None:
    plan = experiments.load(trial.write(tmp_path), "eta-v2")
    assert plan.digest == digest_file(tmp_path / "experiments" / "eta-v2.yml")
    assert plan.metrics == ("brier", "profit", "latency", "error_rate")
    assert [plan.role(metric) for metric in plan.metrics] == ["primary", "secondary", "guardrail", "guardrail"]
    assert plan.treatments == ("treatment",)
    assert plan.margin("latency") == 2
    assert plan.margin("brier") is None
    assert plan.ready_on.isoformat() == "2024-03-16T00:00:00+00:00"


def test_a_plan_is_a_record_with_every_promise_in_a_row(trial: Trial, tmp_path: Path) -> None:
    plan = experiments.load(trial.write(tmp_path), "eta-v2")
    assert isinstance(plan, Record)
    rows = {(row.key, row.statistic): row.value for row in plan.to_rows()}
    assert rows["treatment", "version"] == "2"
    assert rows["control", "weight"] == 50
    assert rows["latency", "margin"] == 2.0
    assert rows["brier", "role"] == "primary"
    assert rows["eta-v2", "digest"] == plan.digest
    assert rows["eta-v2", "alpha"] == 0.05
    assert {"what": "metric latency", "planned": "guardrail, margin 2"} in plan.to_table()
    assert "Guardrails may not get worse: latency by 2; error_rate by 0.05." in plan.text
    assert "metric latency" in plan._repr_html_()


def test_a_holdout_is_a_plan_whose_control_is_held_out(trial: Trial, tmp_path: Path) -> None:
    plans = [
        experiments.load(trial.planned({"kind: ab": f"kind: {kind}"}).write(tmp_path), "eta-v2")
        for kind in ("ab", "holdout")
    ]
    assert [plan.to_table()[0]["what"] for plan in plans] == ["variant control (control)", "variant control (held out)"]
    assert [row.value for plan in plans for row in plan.to_rows() if row.statistic == "kind"] == ["ab", "holdout"]
    test, holdout = (plan.text for plan in plans)
    assert test == (
        "Version 2 loses less. A/B test of model eta, 2024-03-01 … 2024-03-14. Variants by flagd-fractional 2 of "
        "unit_id with key 'eta-v2': control 50 : treatment 50. Primary metric: brier. Guardrails may not get worse: "
        "latency by 2; error_rate by 0.05. Rule superior_and_not_inferior: ship if the primary metric is better and no "
        "guardrail can be worse by its margin; 95 % intervals, plain analysis."
    )
    assert holdout == test.replace("A/B test", "Holdout").replace("treatment 50.", "treatment 50. Held out: control.")


ERRORS = {
    "kind": (
        {"kind: ab": "kind: holdut"},
        "experiments/eta-v2.yml:4: kind is 'holdut'; allowed: ab, holdout, shadow. Did you mean 'holdout'?",
    ),
    "control": (
        {"control: control\n": "control: contrl\n"},
        "experiments/eta-v2.yml:13: control is 'contrl': unknown variant 'contrl'; allowed: control, treatment. "
        "Did you mean 'control'?",
    ),
    "hash": (
        {"hash: flagd-fractional": "hash: flagd-fractionl"},
        "experiments/eta-v2.yml:9: assignment.hash is 'flagd-fractionl': unknown assignment hash 'flagd-fractionl'; "
        "allowed: flagd-fractional. Did you mean 'flagd-fractional'?",
    ),
    "hash version": (
        {"version: 2, key": "version: 3, key"},
        "experiments/eta-v2.yml:9: assignment.version is 3: flagd-fractional has versions 2",
    ),
    "cluster missing": (
        {"analysis: plain": "analysis: clustered"},
        "experiments/eta-v2.yml: a clustered analysis needs cluster: cluster_id",
    ),
    "cluster unused": (
        {"analysis: plain": "analysis: plain\ncluster: cluster_id"},
        "experiments/eta-v2.yml: a plain analysis takes no cluster; write analysis: clustered or leave cluster out",
    ),
    "metric twice": (
        {"secondary: [profit]": "secondary: [profit, brier]"},
        "experiments/eta-v2.yml: metric 'brier' is named twice among primary, secondary, guardrails and data_quality",
    ),
    "no weight": (
        {'version: "2", weight: 50': 'version: "2", weight: 0'},
        "experiments/eta-v2.yml:10: variants is {'control': {'version': '1', 'weight': 50}, 'treatment': ...: "
        "at least two variants need a weight above 0",
    ),
    "control without weight": (
        {
            'control: {version: "1", weight: 50}': 'control: {version: "1", weight: 0}',
            "treatment: {": 'third: {version: "2", weight: 1}\n  treatment: {',
        },
        "experiments/eta-v2.yml:14: control is 'control': the control needs a weight above 0",
    ),
    "margin": (
        {"margin: 2": "margin: 0"},
        "experiments/eta-v2.yml:17: guardrails.0.margin is 0: input should be greater than 0",
    ),
    "unknown key": (
        {"alpha: 0.05": "alhpa: 0.05"},
        "experiments/eta-v2.yml: key 'alpha' is missing\n"
        "experiments/eta-v2.yml:19: unknown key 'alhpa'; allowed: alpha, analysis, assignment, budgets, caps, cluster, "
        "conditions, control, covariates, data_quality, design, eligible, flag, guardrails, hypothesis, key, kind, "
        "label_maturity, max_extension_days, model, origin, owner, planned_effect, power, primary, primary_margin, "
        "privacy_class, rule, sample_ratio_alpha, secondary, segments, smallest_effect, unit, variants, vulnerable, "
        "window. Did you mean 'alpha'?",
    ),
    "rule": (
        {"rule: superior_and_not_inferior": "rule: superior_and_not_inferor"},
        "experiments/eta-v2.yml:22: rule is 'superior_and_not_inferor'; allowed: superior_and_not_inferior, "
        "not_inferior. Did you mean 'superior_and_not_inferior'?",
    ),
    "window": (
        {'end: "2024-03-15"': 'end: "2024-02-15"'},
        "experiments/eta-v2.yml:6: window is {'start': '2024-03-01', 'end': '2024-02-15'}: empty window: start "
        "2024-03-01T00:00:00Z is not before end 2024-02-15T00:00:00Z",
    ),
    "metric": (
        {"primary: brier": "primary: brire"},
        "experiments/eta-v2.yml:14: primary: unknown metric 'brire'; allowed: auc, brier, calibration, error_rate, "
        "flagged, latency, log_loss, profit. Did you mean 'brier'?",
    ),
    "auc": (
        {"secondary: [profit]": "secondary: [auc]"},
        "experiments/eta-v2.yml:15: secondary: auc is of kind auc, which is no mean of requests; "
        "an experiment cannot compare it",
    ),
    "direction": (
        {"primary: brier": "primary: calibration"},
        "experiments/eta-v2.yml:14: primary: calibration has direction 'toward_zero', so no side of it is worse; "
        "a primary metric needs direction increase or decrease",
    ),
    "guardrail direction": (
        {"metric: latency": "metric: flagged"},
        "experiments/eta-v2.yml:17: guardrail: flagged has direction 'none', so no side of it is worse; "
        "a guardrail metric needs direction increase or decrease",
    ),
    "model and version": (
        {"model: eta\n": "model: etta\n"},
        "experiments/eta-v2.yml:5: model: unknown model 'etta'; allowed: eta. Did you mean 'eta'?",
    ),
    "version": (
        {'treatment: {version: "2"': 'treatment: {version: "22"'},
        "experiments/eta-v2.yml:12: variants.treatment.version: unknown version of model eta '22'; allowed: 1, 2. "
        "Did you mean '2'?",
    ),
}


@pytest.mark.parametrize(("changes", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_a_wrong_plan_says_what_is_wrong(trial: Trial, tmp_path: Path, changes: dict[str, str], message: str) -> None:
    workspace = trial.planned(changes).write(tmp_path)
    with pytest.raises(DefinitionError) as caught:
        experiments.load(workspace, "eta-v2")
    assert str(caught.value) == message
    assert caught.value.path == tmp_path / "experiments" / "eta-v2.yml"


def test_an_unknown_experiment_is_answered_with_the_nearest(trial: Trial, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        experiments.load(trial.write(tmp_path), "eta-v3")
    assert str(caught.value) == "unknown experiment 'eta-v3'; allowed: eta-v2. Did you mean 'eta-v2'?"


def test_every_problem_of_a_plan_is_told_at_once(trial: Trial, tmp_path: Path) -> None:
    changes = {"primary: brier": "primary: brire", "metric: latency": "metric: latncy"}
    with pytest.raises(DefinitionError) as caught:
        experiments.load(trial.planned(changes).write(tmp_path), "eta-v2")
    places = [line.partition(": unknown metric ")[0] for line in str(caught.value).splitlines()]
    assert places == ["experiments/eta-v2.yml:14: primary", "experiments/eta-v2.yml:17: guardrail"]


def test_a_plan_made_in_memory_has_no_digest() -> None:
    from ruamel.yaml import YAML

    plan = experiments.ExperimentPlan.model_validate(YAML(typ="safe").load(PLAN))
    assert plan.digest == ""
    assert "digest" not in {row.statistic for row in plan.to_rows()}
