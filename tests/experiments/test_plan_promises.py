"""What a plan promises beyond its metrics: looks, effects, limits, groups, covariates; and what is wrong with each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolkit import data, experiments
from toolkit.errors import DefinitionError
from toolkit.experiments.plans import check_columns

if TYPE_CHECKING:
    from experiment_trial import Trial

FILE = "experiments/eta-v2.yml"
RULE = "rule: superior_and_not_inferior\n"
PROMISES = {
    "look outside": (
        {RULE: RULE + 'design: {kind: group_sequential, looks: ["2024-03-08", "2024-03-16"]}\n'},
        "@:23: design is {'kind': 'group_sequential', 'looks': ['2024-03-08', '202...: look "
        "2024-03-16 lies outside the experiment; allowed: after 2024-03-01T00:00:00Z and before 2024-03-16T00:00:00Z, "
        "when the last look is due",
    ),
    "looks that fall": (
        {RULE: RULE + 'design: {kind: group_sequential, looks: ["2024-03-08", "2024-03-08"]}\n'},
        "@:23: design.looks is ['2024-03-08', '2024-03-08']: looks must increase, and 2024-03-08 "
        "does not lie after the one before it",
    ),
    "a look that is no day": (
        {RULE: RULE + "design: {kind: group_sequential, looks: [monday]}\n"},
        "@:23: design.looks is ['monday']: look == 'monday', must be an ISO date or instant in "
        "UTC, such as '2013-05-01' or '2013-05-01T06:00Z'",
    ),
    "no looks": (
        {RULE: RULE + "design: {kind: group_sequential}\n"},
        "@:23: design is {'kind': 'group_sequential'}: a group sequential design needs looks "
        "before the end, such as [2030-02-01]; without any it is fixed",
    ),
    "looks of a fixed design": (
        {RULE: RULE + 'design: {looks: ["2024-03-08"]}\n'},
        "@:23: design is {'looks': ['2024-03-08']}: a fixed design is read once, at the end; write "
        "kind: group_sequential or leave looks out",
    ),
    "looks at any time": (
        {RULE: RULE + 'design: {kind: always_valid, looks: ["2024-03-08"]}\n'},
        "@:23: design is {'kind': 'always_valid', 'looks': ['2024-03-08']}: an always-valid design "
        "may be read at any time; leave looks out",
    ),
    "futility without looks": (
        {RULE: RULE + "design: {futility: true}\n"},
        "@:23: design is {'futility': True}: a fixed design is read once, at the end; futility needs looks before it",
    ),
    "rho": (
        {RULE: RULE + 'design: {kind: group_sequential, looks: ["2024-03-08"], rho: 2}\n'},
        "@:23: design is {'kind': 'group_sequential', 'looks': ['2024-03-08'], 'rh...: rho belongs "
        "to spending: power, and spending is obrien_fleming",
    ),
    "spending": (
        {RULE: RULE + 'design: {kind: group_sequential, looks: ["2024-03-08"], spending: pocok}\n'},
        "@:23: design.spending is 'pocok'; allowed: obrien_fleming, pocock, power. Did you mean 'pocock'?",
    ),
    "one weight": (
        {'version: "2", weight: 50': 'version: "2"'},
        "@:10: variants is {'control': {'version': '1', 'weight': 50}, 'treatment': ...: "
        "treatment has no weight and others have; give each one its weight, or none",
    ),
    "smallest beyond planned": (
        {"alpha: 0.05": "alpha: 0.05\nplanned_effect: 0.01\nsmallest_effect: 0.02"},
        "@:21: smallest_effect is 0.02: the planned effect (0.01) would not be worth shipping; plan for at least 0.02",
    ),
    "margin missing": (
        {RULE: "rule: not_inferior\n"},
        "@: primary_margin is None: rule not_inferior needs it: by how much the primary metric may not be worse",
    ),
    "margin unused": (
        {RULE: RULE + "primary_margin: 0.01\n"},
        "@:23: primary_margin is 0.01: it belongs to rule not_inferior; with "
        "superior_and_not_inferior the primary must be better",
    ),
    "eligible by the outcome": (
        {RULE: RULE + "eligible: label = 1\n"},
        "@:23: eligible is 'label = 1': column 'label' becomes known after the request; eligibility "
        "must be known when a unit is assigned",
    ),
    "eligible in no SQL": (
        {RULE: RULE + "eligible: sum(profit) > 0\n"},
        "@:23: eligible is 'sum(profit) > 0': 'sum(profit) > 0': SUM(profit) takes many rows; an "
        "expression is about one row",
    ),
    "covariate of the answer": (
        {RULE: RULE + "covariates: [{column: score}]\n"},
        "@:23: covariates is [{'column': 'score'}]: column 'score' is what the variant's own version "
        "answers; a covariate must be known when a unit is assigned",
    ),
    "covariate of both": (
        {RULE: RULE + "covariates: [{column: profit, metric: brier}]\n"},
        "@:23: covariates.0 is {'column': 'profit', 'metric': 'brier'}: a covariate is either a "
        "metric (over days before) or a column",
    ),
    "days of a column": (
        {RULE: RULE + "covariates: [{column: profit, days: 7}]\n"},
        "@:23: covariates.0 is {'column': 'profit', 'days': 7}: days belong to a metric's past; a column takes none",
    ),
    "covariate twice": (
        {RULE: RULE + "covariates: [{metric: brier}, {metric: brier, days: 28}]\n"},
        "@:23: covariates is [{'metric': 'brier'}, {'metric': 'brier', 'days': 28}]: covariate "
        "brier over 28 days before is there twice",
    ),
    "covariate of no mean": (
        {RULE: RULE + "covariates: [{metric: auc}, {metric: brire}]\n"},
        "@:23: covariate: auc is of kind auc, which is no mean of requests; a unit has no value of "
        "it\n"
        "@:23: covariate: unknown metric 'brire'; allowed: auc, brier, calibration, error_rate, "
        "flagged, latency, log_loss, profit. Did you mean 'brier'?",
    ),
    "segment of the answer": (
        {RULE: RULE + "segments: [decision]\n"},
        "@:23: segments is ['decision']: column 'decision' is what the variant's own version "
        "answers; the variants' segments would not be comparable",
    ),
    "segment twice": (
        {RULE: RULE + "segments: [cluster_id, cluster_id]\n"},
        "@:23: segments is ['cluster_id', 'cluster_id']: segment 'cluster_id' is there twice",
    ),
    "group that nothing watches": (
        {RULE: RULE + "vulnerable: [{segment: cluster_id, value: c1, why: They are few., metrics: [latncy]}]\n"},
        "@:23: vulnerable is [{'segment': 'cluster_id', 'value': 'c1', 'why': 'They ar...: unknown "
        "guardrail 'latncy'; allowed: error_rate, latency. Did you mean 'latency'?",
    ),
    "group by the answer": (
        {RULE: RULE + "vulnerable: [{segment: decision, value: yes, why: They are few.}]\n"},
        "@:23: vulnerable.0.segment: decision: column 'decision' is what the variant's own version "
        "answers; the variants' segments would not be comparable",
    ),
    "group without guardrails": (
        {
            "guardrails:\n  - {metric: latency, margin: 2}\n  - {metric: error_rate, margin: 0.05}\n": "",
            RULE: RULE + "vulnerable: [{segment: cluster_id, value: c1, why: They are few.}]\n",
        },
        "@:20: vulnerable is [{'segment': 'cluster_id', 'value': 'c1', 'why': 'They ar...: nothing "
        "watches cluster_id=c1: the plan has no guardrails",
    ),
    "budget without limit": (
        {RULE: RULE + "budgets: [{metric: latency}]\n"},
        "@:23: budgets.0 is {'metric': 'latency'}: a budget needs at_most or at_least",
    ),
    "budget upside down": (
        {RULE: RULE + "budgets: [{metric: latency, at_most: 1, at_least: 2}]\n"},
        "@:23: budgets.0 is {'metric': 'latency', 'at_most': 1, 'at_least': 2}: at_least (2) must be below at_most (1)",
    ),
    "budget and quality of no metric": (
        {RULE: RULE + "budgets: [{metric: latncy, at_most: 1}]\ndata_quality: [{metric: flaged, margin: 1}]\n"},
        "@:24: data_quality: unknown metric 'flaged'; allowed: auc, brier, calibration, error_rate, "
        "flagged, latency, log_loss, profit. Did you mean 'flagged'?\n"
        "@:23: budget: unknown metric 'latncy'; allowed: auc, brier, calibration, error_rate, "
        "flagged, latency, log_loss, profit. Did you mean 'latency'?",
    ),
    "cap of another metric": (
        {RULE: RULE + "caps: {proft: 0.99, error_rate: 0.99}\n"},
        "@:23: caps: unknown metric of this plan 'proft'; allowed: brier, error_rate, latency, "
        "profit. Did you mean 'profit'?\n"
        "@:23: caps: error_rate is of kind proportion, which no single unit can pull far; leave its "
        "cap out",
    ),
    "cap at the bottom": (
        {RULE: RULE + "caps: {profit: 0.2}\n"},
        "@:23: caps is {'profit': 0.2}: the cap of profit is 0.2, must be a quantile above 0.5 and below 1",
    ),
    "assignment missing": (
        {"assignment: {hash: flagd-fractional, version: 2, key: eta-v2}\n": ""},
        "@: key 'assignment' is missing",
    ),
}


@pytest.mark.parametrize(("changes", "message"), PROMISES.values(), ids=PROMISES.keys())
def test_a_wrong_promise_says_what_is_wrong(
    trial: Trial, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        experiments.load(trial.planned(changes).write(tmp_path), "eta-v2")
    assert str(caught.value) == message.replace("@", FILE)


MORE = """\
origin: calibrate
privacy_class: confidential
flag: eta
eligible: profit > -20
planned_effect: 0.02
power: 0.9
covariates: [{metric: profit, days: 7}, {column: length(unit_id)}]
segments: [cluster_id]
caps: {profit: 0.99}
data_quality: [{metric: flagged, margin: 0.1}]
budgets: [{metric: latency, at_most: 20}, {metric: log_loss, at_most: 2}]
conditions: [{name: compliance, text: Nobody is refused by it., met: false}]
vulnerable: [{segment: decision_hour, value: night, why: Nobody is there to help., metrics: [error_rate]}]
design: {kind: group_sequential, spending: power, rho: 2, looks: ["2024-03-06", "2024-03-11T12:00Z"], units: 800}
max_extension_days: 14
"""


def test_a_plan_promises_looks_effects_limits_and_groups(trial: Trial, tmp_path: Path) -> None:
    plan = experiments.load(trial.planned({RULE: RULE + MORE}).write(tmp_path), "eta-v2")
    assert [instant.isoformat() for instant in plan.planned_looks] == [
        "2024-03-06T00:00:00+00:00",
        "2024-03-11T12:00:00+00:00",
        "2024-03-16T00:00:00+00:00",
    ]
    assert plan.planned_looks[-1] == plan.ready_on
    assert plan.metrics == ("brier", "profit", "latency", "error_rate", "flagged", "log_loss")
    assert [plan.role(key) for key in plan.metrics[2:]] == ["guardrail", "guardrail", "data_quality", "budget"]
    assert (plan.margin("flagged"), plan.margin("log_loss")) == (0.1, None)
    assert (plan.planned_effect, plan.threshold, plan.flag) == (0.02, 0.01, "eta")
    assert plan.splits == ("cluster_id", "decision_hour")
    assert [each.metric for each in plan.watched(plan.vulnerable[0])] == ["error_rate"]
    assert [(each.label, each.past_days) for each in plan.covariates] == [
        ("profit over 7 days before", 7),
        ("length(unit_id)", 0),
    ]
    planned = {line["what"]: line["planned"] for line in plan.to_table()}
    assert planned["metric brier"] == "primary, planned effect 0.02, worth shipping from 0.01"
    assert planned["metric latency"] == "guardrail, margin 2, budget at most 20"
    assert planned["metric log_loss"] == "budget, at most 2"
    assert planned["metric profit"] == "secondary, also capped at its 0.99 quantile"
    assert planned["look 2"] == "2024-03-11 12:00"
    assert planned["condition compliance"] == "NOT met: Nobody is refused by it."
    assert planned["group decision_hour=night"] == "Nobody is there to help; watched: error_rate by 0.05"
    for sentence in (
        "Only requests where profit > -20 count.",
        "Primary metric: brier, powered at 90% for an improvement of 0.02.",
        "Must be the same in all variants: flagged within 0.1.",
        "Budgets of a treatment: latency at most 20; log_loss at most 2.",
        "Conditions that are not met yet: compliance.",
        "Adjusted for profit over 7 days before, length(unit_id).",
        "3 planned looks, alpha spent by the power 2 function; a look before the last may stop for harm.",
    ):
        assert sentence in plan.text
    rows = [(row.key, row.statistic, row.value) for row in plan.to_rows()]
    assert ("eta-v2", "planned_look", "2024-03-06T00:00:00Z") in rows
    assert ("error_rate", "watched_margin", 0.05) in rows
    assert ("log_loss", "budget", "at most 2") in rows
    assert ("eta-v2", "smallest_effect", 0.01) in rows


def test_what_a_plan_leaves_open_has_a_default(trial: Trial, tmp_path: Path) -> None:
    plan = experiments.load(trial.write(tmp_path), "eta-v2")
    assert (plan.design.kind, plan.power, plan.privacy_class, plan.max_extension_days) == ("fixed", 0.8, "internal", 28)
    assert plan.planned_looks == (plan.ready_on,)
    assert plan.planned_effect is None
    assert (plan.smallest_effect, plan.threshold) == (None, 0.01)  # the practical threshold of metrics.yml
    assert (plan.flag, plan.assignment.key) == ("", "eta-v2")


def test_alpha_is_split_over_treatments(trial: Trial, tmp_path: Path) -> None:
    treatment = 'treatment: {version: "2", weight: 50}\n'
    two = {treatment: treatment + '  other: {version: "2", weight: 50}\n'}
    plan = experiments.load(trial.planned(two).write(tmp_path), "eta-v2")
    assert plan.treatments == ("treatment", "other")
    assert (plan.alpha_of_a_comparison, plan.confidence_of_a_comparison) == (0.025, 0.975)
    assert plan.confidence == 0.95
    assert "Alpha is split over 2 treatments." in plan.text
    assert "97.5 % intervals" in plan.text


def test_a_shadow_needs_no_assignment_and_no_weights(trial: Trial, tmp_path: Path) -> None:
    changes = {
        "kind: ab": "kind: shadow",
        "assignment: {hash: flagd-fractional, version: 2, key: eta-v2}\n": "",
        'version: "1", weight: 50': 'version: "1"',
        'version: "2", weight: 50': 'version: "2"',
        RULE: RULE + "segments: [decision]\n",  # every version answers every request
    }
    plan = experiments.load(trial.planned(changes).write(tmp_path), "eta-v2")
    assert plan.weights == {"control": 1, "treatment": 1}
    assert "Shadow deployment of model eta, 2024-03-01 … 2024-03-14. Every version scores every request; control" in (
        plan.text
    )
    assert next(line["what"] for line in plan.to_table()) == "variant control (serves)"


def test_a_plan_in_other_words_has_the_same_content(trial: Trial, tmp_path: Path) -> None:
    plans = [
        experiments.load(trial.planned(changes).write(tmp_path), "eta-v2")
        for changes in ({}, {RULE: RULE + "power: 0.8    # its default\n"}, {RULE: RULE + "power: 0.9\n"})
    ]
    assert len({plan.digest for plan in plans}) == 3
    assert plans[0].content_digest == plans[1].content_digest != plans[2].content_digest


def test_columns_are_held_against_the_data(trial: Trial, tmp_path: Path) -> None:
    more = {
        RULE: RULE + "segments: [cluster]\neligible: profi > 0\n"
        "covariates: [{column: profit}, {column: latncy + 1}]\n"
        "vulnerable: [{segment: cluster_idd, value: c1, why: They are few.}]\n"
    }
    workspace = trial.planned(more).write(tmp_path)
    plan = experiments.load(workspace, "eta-v2")
    columns = ", ".join(sorted(trial.predictions.columns))
    with pytest.raises(DefinitionError) as caught:
        check_columns(plan, data.open_source(workspace))
    assert str(caught.value).splitlines() == [
        f"{FILE}:23: segments.0: unknown segment 'cluster'; allowed: {columns}. Did you mean 'cluster_id'?",
        f"{FILE}:26: vulnerable.0.segment: unknown segment 'cluster_idd'; allowed: {columns}. Did you "
        "mean 'cluster_id'?",
        f"{FILE}:24: eligible: unknown column of predictions 'profi'; allowed: {columns}. Did you mean 'profit'?",
        f"{FILE}:25: covariates.1.column: unknown column of predictions 'latncy'; allowed: {columns}. Did "
        "you mean 'latency_ms'?",
    ]


def test_a_group_of_bins_is_one_of_them(trial: Trial, tmp_path: Path) -> None:
    group = "vulnerable: [{segment: band, value: belw 5, why: They pay most.}]\n"
    workspace = trial.planned({RULE: RULE + group}).write(tmp_path)
    metrics = (tmp_path / "metrics.yml").read_text(encoding="utf-8")
    (tmp_path / "metrics.yml").write_text(f"segments:\n  band: {{column: profit, edges: [5]}}\n{metrics}")
    with pytest.raises(DefinitionError) as caught:
        experiments.load(workspace, "eta-v2")
    assert str(caught.value) == (
        f"{FILE}:23: vulnerable.0.value: unknown bin of segment 'band' 'belw 5'; allowed: 5 and above, below 5. "
        "Did you mean 'below 5'?"
    )


def test_the_schema_demands_an_assignment_of_all_but_a_shadow() -> None:
    schema = experiments.ExperimentPlan.model_json_schema()
    assert "assignment" not in schema["required"]
    assert (schema["if"], schema["else"]) == (
        {"properties": {"kind": {"const": "shadow"}}},
        {"required": ["assignment"]},
    )
    undescribed = [name for name, field in schema["properties"].items() if "description" not in field]
    assert undescribed == []
