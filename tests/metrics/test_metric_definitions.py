from __future__ import annotations

import pytest

from conftest import METRICS, write_workspace
from toolkit.errors import DefinitionError
from toolkit.metrics import KINDS, load_metrics
from toolkit.metrics.definitions import MetricsFile

ALLOWED = (
    "count, proportion, mean, ratio, rate, quantile, brier, log_loss, calibration, auc, ece, calibration_slope, "
    "calibration_intercept, brier_decomposition, lift, ndcg, accuracy, precision, recall, f1, specificity, confusion, "
    "near_threshold_share, mae, rmse, bias, pinball, error_rate, share_over_budget, throughput, coverage, null_share"
)


@pytest.fixture
def workspace(tmp_path, events):
    predictions, outcomes = events
    return write_workspace(tmp_path, predictions.head(1), outcomes.head(1)).workspace


def error(workspace, old, new) -> str:
    (workspace.root / "metrics.yml").write_text(METRICS.replace(old, new, 1))
    with pytest.raises(DefinitionError) as caught:
        load_metrics(workspace)
    return str(caught.value)


def test_load_keeps_the_order(workspace):
    assert list(load_metrics(workspace))[:3] == ["brier", "log_loss", "auc"]


def test_wrong_kind(workspace):
    assert error(workspace, "kind: brier", "kind: brire") == (
        f"metrics.yml:2: metrics.brier.kind is 'brire'; allowed: {ALLOWED}. Did you mean 'brier'?"
    )


def test_missing_kind(workspace):
    assert error(workspace, "kind: brier, ", "") == "metrics.yml:2: key 'metrics.brier.kind' is missing"


def test_unknown_parameter_of_a_kind(workspace):
    assert error(workspace, "kind: mean, column: latency_ms", "kind: mean, colum: latency_ms") == (
        "metrics.yml:6: key 'metrics.latency.column' is missing\n"
        "metrics.yml:6: unknown key 'metrics.latency.colum'; allowed: business_outcome, column, description, "
        "direction, filter, kind, maturity_days, name, owner, practical_threshold, role, unit. Did you mean 'column'?"
    )


def test_a_kind_has_its_own_parameters_only(workspace):
    assert error(workspace, "kind: mean, column: latency_ms", "kind: mean") == (
        "metrics.yml:6: key 'metrics.latency.column' is missing"
    )
    assert error(workspace, "kind: brier", "kind: brier, column: score").startswith(
        "metrics.yml:2: unknown key 'metrics.brier.column'; allowed: business_outcome, description, direction, filter, "
    )
    assert error(workspace, "kind: mean, column: latency_ms", "kind: confusion, cell: true_positives") == (
        "metrics.yml:6: metrics.latency.cell is 'true_positives'; "
        "allowed: true_positive, false_positive, false_negative, true_negative. Did you mean 'true_positive'?"
    )
    assert error(workspace, "kind: mean, column: latency_ms", "kind: share_over_budget, budget_ms: -3") == (
        "metrics.yml:6: metrics.latency.budget_ms is -3: input should be greater than 0"
    )


def test_expressions_are_checked_where_they_stand(workspace):
    found = error(workspace, "kind: brier", "kind: brier, filter: sum(latency_ms) > 3")
    assert found == (
        "metrics.yml:2: metrics.brier.filter is 'sum(latency_ms) > 3': 'sum(latency_ms) > 3': SUM(latency_ms) takes "
        "many rows; an expression is about one row"
    )


def test_keys_fit_into_names_of_columns(workspace):
    text = "a metric's key has 1 to 40 characters and no '__'; the name may say more"
    assert (
        error(workspace, "  brier:", "  brier__score:")
        == f"metrics.yml:2: metrics.brier__score.[key] is 'brier__score': {text}"
    )
    assert text in error(workspace, "  brier:", f"  {'brier' * 9}:")


def test_a_number_is_an_expression_too(workspace):
    (workspace.root / "metrics.yml").write_text(
        METRICS.replace("kind: brier", "kind: near_threshold_share, within: 0.1, threshold: 0.5")
    )
    assert load_metrics(workspace)["brier"].threshold == "0.5"


def test_its_identity_is_what_is_measured_and_no_word(workspace):
    path = workspace.root / "metrics.yml"
    path.write_text(METRICS)
    before = load_metrics(workspace)["latency"]
    assert before.identity == '{"kind":"mean","filter":null,"column":"latency_ms"}'
    for old, new, same in (
        ("practical_threshold: 1,", "practical_threshold: 2, business_outcome: patience,", True),
        ("name: Latency", "name: Time", True),
        ("column: latency_ms", "column: latency_ms * 2", False),
        ("column: latency_ms", "column: latency_ms, filter: served", False),
        ("kind: mean, column: latency_ms", "kind: quantile, column: latency_ms, q: 0.5", False),
    ):
        path.write_text(METRICS.replace(old, new))
        after = load_metrics(workspace)["latency"]
        assert (after.identity == before.identity) is same, new


def test_what_is_said_about_a_metric_is_kept(workspace):
    (workspace.root / "metrics.yml").write_text(
        METRICS.replace("kind: brier", "kind: brier, maturity_days: 7, business_outcome: fewer alarms, filter: served")
    )
    brier = load_metrics(workspace)["brier"]
    assert (brier.maturity_days, brier.business_outcome, brier.filter) == (7, "fewer alarms", "served")


def test_the_schema_knows_each_kind_with_its_parameters():
    schema = MetricsFile.model_json_schema()
    metric = schema["properties"]["metrics"]["additionalProperties"]
    assert metric["properties"]["kind"]["enum"] == list(KINDS)
    assert set(metric["required"]) == {
        "name",
        "description",
        "owner",
        "kind",
        "direction",
        "practical_threshold",
        "role",
    }
    found = {
        branch["if"]["properties"]["kind"]["const"]: schema["$defs"][branch["then"]["$ref"].rsplit("/", 1)[1]]
        for branch in metric["allOf"]
    }
    assert {kind: each["properties"]["kind"]["const"] for kind, each in found.items()} == {kind: kind for kind in KINDS}
    assert "q" in found["pinball"]["required"]
    assert found["pinball"]["additionalProperties"] is False


def test_an_editor_says_what_is_wrong_where_it_is():
    jsonschema = pytest.importorskip("jsonschema", reason="a schema is held against JSON Schema's own validator")
    validator = jsonschema.Draft7Validator(MetricsFile.model_json_schema())
    words = {
        "name": "M",
        "description": "d",
        "owner": "Ada",
        "direction": "none",
        "practical_threshold": 1,
        "role": "loss",
    }

    def said(**own: object) -> list[str]:
        return [
            f"{error.json_path}: {error.message}" for error in validator.iter_errors({"metrics": {"m": words | own}})
        ]

    assert said(kind="pinball", q=0.5) == []
    assert said(kind="near_threshold_share", within=0.1, threshold=0.5) == []
    assert said(kind="pinball") == ["$.metrics.m: 'q' is a required property"]
    assert said(kind="pinball", q=2) == ["$.metrics.m.q: 2 is greater than or equal to the maximum of 1"]
    assert said(kind="brier", q=0.5) == ["$.metrics.m: Additional properties are not allowed ('q' was unexpected)"]
    assert said(kind="brire")[0].startswith("$.metrics.m.kind: 'brire' is not one of ['count', ")
