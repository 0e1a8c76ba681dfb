from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import METRICS, MODEL
from toolkit.errors import DefinitionError
from toolkit.metrics import ObjectiveDefinition, Target, load_objectives
from toolkit.stats import Estimate
from toolkit.workspace import JOURNAL, Workspace, open_workspace

OBJECTIVES = """\
objectives:
  close:
    metric: brier
    model: small
    business_outcome: People can rely on it.
    target: {at_most: 0.2}
    owner: Ada
    since: 2013-04-01
  honest:
    metric: calibration
    model: small
    business_outcome: A score means what it says.
    target:
      within: 0.02
    owner: Ada
  warm:
    metric: temperature
    model: small
    business_outcome: Any side will do where none is better.
    target: {at_least: 10}
    owner: Ada
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "models").mkdir()
    (tmp_path / "toolkit.toml").write_text('schema_version = 2\nname = "w"\n[tables]\n')
    (tmp_path / "models" / "small.yml").write_text(MODEL)
    (tmp_path / "metrics.yml").write_text(METRICS)
    return open_workspace(tmp_path)


def objective(**target: float) -> ObjectiveDefinition:
    return ObjectiveDefinition(
        metric="brier", model="small", business_outcome="o", target=Target(**target), owner="Ada"
    )


def interval(lower: float | None, upper: float | None) -> Estimate:
    return Estimate(0.0, None, None, lower, upper, None, 10, "example", "ok", "")


def test_without_a_file_there_are_none(workspace: Workspace) -> None:
    assert load_objectives(workspace) == {}


def test_objectives_by_key_in_the_order_of_the_file(workspace: Workspace) -> None:
    (workspace.root / "objectives.yml").write_text(OBJECTIVES)
    found = load_objectives(workspace)
    assert list(found) == ["close", "honest", "warm"]
    assert (found["close"].since, found["honest"].since) == (date(2013, 4, 1), None)
    labels = [each.target.label for each in found.values()]
    assert labels == ["at most 0.2", "within 0.02 of 0", "at least 10"]
    assert "objectives.yml" in JOURNAL.definitions


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "metric: brier",
            "metric: brire",
            "objectives.yml:3: objectives.close.metric: unknown metric 'brire'; allowed: auc, brier, calibration, "
            "error_rate, latency, log_loss, temperature. Did you mean 'brier'?",
        ),
        (
            "model: small\n    business_outcome: A ",
            "model: smal\n    business_outcome: A ",
            "objectives.yml:11: objectives.honest.model: unknown model 'smal'; allowed: small. Did you mean 'small'?",
        ),
        (
            "within: 0.02",
            "at_least: 0.02",
            "objectives.yml:14: objectives.honest.target is at_least, and calibration has direction 'toward_zero': "
            "only within asks for what is better",
        ),
        (
            "{at_most: 0.2}",
            "{at_least: 0.2}",
            "objectives.yml:6: objectives.close.target is at_least, and brier has direction 'decrease': "
            "only at_most asks for what is better",
        ),
        (
            "{at_most: 0.2}",
            "{at_most: 0.2, at_least: 0.1}",
            "objectives.yml:6: objectives.close.target is {'at_most': 0.2, 'at_least': 0.1}: a target is exactly one "
            "of at_most, at_least and within, such as {at_most: 0.1}",
        ),
        (
            "{at_most: 0.2}",
            "{at_most: }",
            "objectives.yml:6: objectives.close.target is {'at_most': None}: a target is exactly one of at_most, "
            "at_least and within, such as {at_most: 0.1}",
        ),
        (
            "within: 0.02",
            "within: -0.02",
            "objectives.yml:14: objectives.honest.target.within is -0.02: input should be greater than or equal to 0",
        ),
        (
            "{at_most: 0.2}",
            "{atmost: 0.2}",
            "objectives.yml:6: unknown key 'objectives.close.target.atmost'; allowed: at_least, at_most, within. "
            "Did you mean 'at_most'?",
        ),
    ],
)
def test_a_wrong_objective_says_what_is_wrong(workspace: Workspace, old: str, new: str, message: str) -> None:
    assert OBJECTIVES.count(old) == 1
    (workspace.root / "objectives.yml").write_text(OBJECTIVES.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        load_objectives(workspace)
    assert str(caught.value) == message
    assert caught.value.path == workspace.root / "objectives.yml"


def test_every_problem_at_once(workspace: Workspace) -> None:
    text = OBJECTIVES.replace("metric: brier", "metric: brire").replace("model: small", "model: smal")
    (workspace.root / "objectives.yml").write_text(text)
    with pytest.raises(DefinitionError) as caught:
        load_objectives(workspace)
    places = [line.split(":")[1] for line in str(caught.value).splitlines()]
    assert places == ["3", "4", "11", "18"]


@pytest.mark.parametrize(
    ("target", "lower", "upper", "expected"),
    [
        ({"at_most": 1}, 0.2, 1, "met"),
        ({"at_most": 1}, 0.2, 1.1, "unclear"),
        ({"at_most": 1}, 1.1, 1.2, "missed"),
        ({"at_most": 1}, None, 0.9, "met"),
        ({"at_most": 1}, 0.9, None, "unclear"),
        ({"at_most": 1}, 1.1, None, "missed"),
        ({"at_least": 1}, 1, 2, "met"),
        ({"at_least": 1}, 0.9, 2, "unclear"),
        ({"at_least": 1}, 0.2, 0.9, "missed"),
        ({"at_least": 1}, 1, None, "met"),
        ({"within": 1}, -1, 1, "met"),
        ({"within": 1}, -1.1, 0.5, "unclear"),
        ({"within": 1}, -2, 2, "unclear"),
        ({"within": 1}, 1.1, 2, "missed"),
        ({"within": 1}, -2, -1.1, "missed"),
        ({"within": 1}, None, 0, "unclear"),
        ({"within": 1}, None, None, "unclear"),
    ],
)
def test_the_interval_decides(
    target: dict[str, float], lower: float | None, upper: float | None, expected: str
) -> None:
    assert objective(**target).met_by(interval(lower, upper)) == expected


def test_what_is_absent_is_unclear() -> None:
    assert objective(at_most=1).met_by(Estimate.absent("no observations", n=0, method="welch")) == "unclear"
    assert objective(at_most=1).met_by(Estimate.alone(0.5, n=1, method="mean", reason="one observation")) == "unclear"


@given(st.floats(-9, 9), st.floats(0, 9), st.floats(0, 9), st.sampled_from(["at_most", "at_least", "within"]))
def test_a_verdict_holds_for_every_value_of_the_interval(lower: float, width: float, bound: float, kind: str) -> None:
    upper = lower + width
    on_target = {
        "at_most": lambda value: value <= bound,
        "at_least": lambda value: value >= bound,
        "within": lambda value: abs(value) <= bound,
    }[kind]
    values = [lower, upper, *(value for value in (0.0, bound, -bound) if lower <= value <= upper)]
    held = {on_target(value) for value in values}
    verdict = objective(**{kind: bound}).met_by(interval(lower, upper))
    assert verdict == {(True,): "met", (False,): "missed"}.get(tuple(held), "unclear")
