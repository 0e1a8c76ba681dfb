from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.metrics import KINDS

Run = Callable[..., Any]


@pytest.fixture
def team(small: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small workspace that the test stands in."""
    root = here / "small"
    shutil.copytree(small.workspace.root, root, ignore=shutil.ignore_patterns("reports", "ledger", "data"))
    monkeypatch.chdir(root)
    return root


def squeezed(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_templates_lists_shipped_and_own(call: Run, tiny: Path) -> None:
    listed = {each["name"]: each for each in call("templates", "--json").document["templates"]}
    assert {"triage", "greets"} <= set(listed)
    assert (listed["triage"]["origin"], listed["greets"]["origin"]) == ("shipped", "workspace")
    lines = squeezed(call("templates").out)
    assert lines[0] == "template origin parameters title"
    assert "greets workspace city, levels greets" in lines


def test_templates_outside_a_workspace_are_the_shipped_ones(call: Run, here: Path) -> None:
    done = call("templates", "--json")
    assert done.code == 0
    assert {each["origin"] for each in done.document["templates"]} == {"shipped"}


def test_one_template_in_full_with_advice(call: Run, tiny: Path) -> None:
    lines = squeezed(call("templates", "greets").out)
    assert "subject: {city}" in lines
    assert any(line.startswith("advice: ") and "the last code cell does not save" in line for line in lines)
    assert lines[-3:] == ["parameter type default help", "city str 'oslo' where", "levels int 3 how many"]
    template = call("templates", "greets", "--json").document["template"]
    assert [each["name"] for each in template["parameters"]] == ["city", "levels"]
    assert template["advice"]


def test_a_template_with_a_typo_comes_with_the_nearest(call: Run, here: Path) -> None:
    done = call("templates", "traige")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("Did you mean 'triage'?\n")


def test_templates_in_a_workspace_that_is_wrong_say_so(call: Run, tiny: Path) -> None:
    (tiny / "toolkit.toml").write_text("name = 3\n", encoding="utf-8")
    assert call("templates").code == 2


def test_metrics_and_one_in_full(call: Run, team: Path) -> None:
    lines = squeezed(call("metrics").out)
    assert lines[:2] == [
        "metric name kind direction role owner measures",
        "brier Brier score brier decrease loss Ada mean of (label - score)²",
    ]
    assert len(call("metrics", "--json").document["metrics"]) == len(lines) - 1
    shown = squeezed(call("metrics", "latency").out)
    assert {"column: latency_ms", "measures: mean of latency_ms over the requests that have it"} <= set(shown)
    assert "practical_threshold: 0.005" in squeezed(call("metrics", "brier").out)
    metric = call("metrics", "latency", "--json").document["metric"]
    assert (metric["key"], metric["column"], metric["unit"]) == ("latency", "latency_ms", "ms")


def test_kinds_of_metric_with_their_parameters(call: Run, team: Path) -> None:
    lines = squeezed(call("metrics", "--kinds").out)
    assert lines[0] == "kind parameters what it is"
    assert "share_over_budget budget_ms Share of the timed requests that took longer than the latency budget." in lines
    assert squeezed(call("metrics", "pinball", "--kinds").out)[2:] == [
        "parameters:",
        "q: the quantile that is predicted, such as 0.9",
    ]
    document = call("metrics", "--kinds", "--json").document["kinds"]
    assert [each["kind"] for each in document] == list(KINDS)
    assert next(each for each in document if each["kind"] == "ratio")["required"] == ["numerator", "denominator"]
    expected = "unknown kind 'pinbal'; allowed: accuracy, auc, bias, brier, brier_decomposition, calibration"
    assert call("metrics", "pinbal", "--kinds").err.startswith(f"error: {expected}")


def test_a_metric_with_a_typo_comes_with_the_nearest(call: Run, team: Path) -> None:
    expected = (
        "unknown metric 'brire'; allowed: auc, brier, calibration, error_rate, latency, log_loss, temperature. "
        "Did you mean 'brier'?"
    )
    assert call("metrics", "brire") == (2, "", f"error: {expected}\n")


def test_models_and_one_in_full(call: Run, team: Path) -> None:
    assert squeezed(call("models").out) == ["model name owner loss versions", "small Small model Ada brier 1"]
    assert [model["key"] for model in call("models", "--json").document["models"]] == ["small"]
    shown = call("models", "small").out
    assert "label:\n  name: late\n" in shown
    assert "versions:\n  1:\n    description: The only version.\n" in shown
    assert call("models", "small", "--json").document["model"]["label"]["maturity_days"] == 1


def test_a_model_with_a_typo_comes_with_the_nearest(call: Run, team: Path) -> None:
    expected = "unknown model 'smal'; allowed: small. Did you mean 'small'?"
    assert call("models", "smal") == (2, "", f"error: {expected}\n")
