"""Objectives with a budget, and objectives that watch the channel: what is read, what is refused, and what is old."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import METRICS, MODEL
from toolkit.errors import DefinitionError
from toolkit.metrics import load_objectives
from toolkit.metrics.glossary import glossary
from toolkit.metrics.objectives import WATCHED
from toolkit.workspace import Workspace, open_workspace

OBJECTIVES = """\
objectives:
  answered:
    metric: error_rate
    model: small
    business_outcome: People get an answer.
    target: {at_most: 0.01}
    budget: {period_days: 30}
    owner: Ada
  close:
    metric: brier
    model: small
    business_outcome: People can rely on it.
    target: {at_most: 0.2}
    owner: Ada
  awake:
    watch: freshness
    model: small
    business_outcome: Somebody is served at all times.
    target: {at_most: 6}
    owner: Bo
  labelled:
    watch: label_arrival
    model: small
    business_outcome: What it is measured by comes.
    target: {at_least: 0.98}
    owner: Bo
"""
EXTRA = (
    "  right: {name: Right, description: d, owner: Ada, kind: proportion, column: label, direction: increase, "
    "practical_threshold: 0.1, role: quality}\n"
    "  answers: {name: Answers, description: d, owner: Ada, kind: coverage, direction: increase, "
    "practical_threshold: 0.1, role: operation}\n"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "models").mkdir()
    (tmp_path / "toolkit.toml").write_text('schema_version = 2\nname = "w"\n[tables]\n')
    (tmp_path / "models" / "small.yml").write_text(MODEL)
    (tmp_path / "metrics.yml").write_text(METRICS + EXTRA)
    (tmp_path / "objectives.yml").write_text(OBJECTIVES)
    return open_workspace(tmp_path)


def test_each_is_about_a_metric_or_about_what_it_watches(workspace: Workspace) -> None:
    found = load_objectives(workspace)
    assert [each.subject for each in found.values()] == ["error_rate", "brier", "freshness", "label_arrival"]
    assert [each.budget is not None for each in found.values()] == [True, False, False, False]
    assert found["answered"].budget.period_days == 30
    assert {each.watch for each in found.values()} == {None, *WATCHED}


def test_a_budget_lasts_four_weeks_unless_it_says_otherwise(workspace: Workspace) -> None:
    (workspace.root / "objectives.yml").write_text(OBJECTIVES.replace("{period_days: 30}", "{}"))
    assert load_objectives(workspace)["answered"].budget.period_days == 28


@pytest.mark.parametrize(
    ("metric", "target", "allowed"),
    [("error_rate", "{at_most: 0.03}", 0.03), ("answers", "{at_least: 0.97}", 0.03)],
)
def test_what_may_be_bad_is_what_the_target_leaves(
    workspace: Workspace, metric: str, target: str, allowed: float
) -> None:
    text = OBJECTIVES.replace("metric: error_rate", f"metric: {metric}").replace("{at_most: 0.01}", target)
    (workspace.root / "objectives.yml").write_text(text)
    assert load_objectives(workspace)["answered"].allowed_share == pytest.approx(allowed)


def test_the_glossary_lists_a_metrics_objectives_and_no_watch(workspace: Workspace) -> None:
    goals = {entry.key: [goal.key for goal in entry.goals] for entry in glossary(workspace)}
    assert {key: found for key, found in goals.items() if found} == {"error_rate": ["answered"], "brier": ["close"]}


NO_SHARE = "leave out budget to hold the metric against its target alone"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    metric: error_rate\n",
            "",
            "objectives.yml:2: objectives.answered is {'model': 'small', 'business_outcome': 'People get an ans...: "
            "an objective is about a metric or about what it watches: exactly one of the keys metric and watch",
        ),
        (
            "    watch: freshness\n",
            "    watch: freshness\n    metric: brier\n",
            "objectives.yml:15: objectives.awake is {'watch': 'freshness', 'metric': 'brier', 'model': 'small...: "
            "an objective is about a metric or about what it watches: exactly one of the keys metric and watch",
        ),
        (
            "watch: freshness",
            "watch: freshnes",
            "objectives.yml:16: objectives.awake.watch is 'freshnes'; allowed: freshness, label_arrival. Did you mean "
            "'freshness'?",
        ),
        (
            "    target: {at_most: 6}\n",
            "    target: {at_most: 6}\n    budget: {period_days: 28}\n",
            "objectives.yml:15: objectives.awake is {'watch': 'freshness', 'model': 'small', 'business_outcom...: "
            "a budget is of requests, and freshness counts none: leave out budget",
        ),
        (
            "{at_most: 6}",
            "{at_least: 6}",
            "objectives.yml:15: objectives.awake is {'watch': 'freshness', 'model': 'small', 'business_outcom...: "
            "the target of freshness is at_most from 1 to 8760 (h), such as {at_most: 6}",
        ),
        (
            "{at_least: 0.98}",
            "{at_least: 98}",
            "objectives.yml:21: objectives.labelled is {'watch': 'label_arrival', 'model': 'small', 'business_ou...: "
            "the target of label_arrival is at_least from 0.5 to 1 (share), such as {at_least: 0.98}",
        ),
        (
            "{period_days: 30}",
            "{period_days: 3}",
            "objectives.yml:7: objectives.answered.budget.period_days is 3: input should be greater than or equal to 7",
        ),
        (
            "{period_days: 30}",
            "{period: 30}",
            "objectives.yml:7: unknown key 'objectives.answered.budget.period'; allowed: period_days. Did you mean "
            "'period_days'?",
        ),
        (
            "    target: {at_most: 0.2}\n",
            "    target: {at_most: 0.2}\n    budget: {}\n",
            "objectives.yml:14: objectives.close.budget: brier is of kind brier, which is no share of requests "
            f"that are bad; {NO_SHARE}",
        ),
        (
            "metric: error_rate",
            "metric: right",
            "objectives.yml:6: objectives.answered.target is at_most, and right has direction 'increase': only "
            "at_least asks for what is better\n"
            "objectives.yml:7: objectives.answered.budget: right needs labels, and of the last hours there are none; "
            f"{NO_SHARE}",
        ),
        (
            "{at_most: 0.01}",
            "{at_most: 1}",
            "objectives.yml:7: objectives.answered.budget: a share of requests has a target at_most or at_least a "
            f"number above 0 and below 1, not at most 1; {NO_SHARE}",
        ),
    ],
)
def test_a_wrong_budget_or_watch_says_what_is_wrong(workspace: Workspace, old: str, new: str, message: str) -> None:
    assert OBJECTIVES.count(old) == 1
    (workspace.root / "objectives.yml").write_text(OBJECTIVES.replace(old, new))
    with pytest.raises(DefinitionError) as caught:
        load_objectives(workspace)
    assert str(caught.value) == message
