"""A backlog item as a drafted experiment."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiment_trial import METRICS, Trial

from toolkit import data, experiments
from toolkit.errors import ArgumentError, DefinitionError
from toolkit.experiments.draft import draft_experiment
from toolkit.triage import PlannedItem, ReviewedPlan
from toolkit.triage.drafts import Draft, write_draft
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace

ITEM = PlannedItem(key="idea/refit", title='Refit\nthe "scores": #now', origin="idea", team="", place="planned")
WATCHED = METRICS.replace("column: latency_ms", "role: operation, column: latency_ms")


def plan_as_of(day: str) -> ReviewedPlan:
    return ReviewedPlan("triage/eta@1", "eta", parse_instant(day), "EUR", (ITEM,))


def drafted(workspace: Workspace, *, as_of: str = "2024-03-16", owner: str = "Ada", key: str | None = None) -> Draft:
    return draft_experiment(workspace, plan_as_of(as_of), ITEM, owner=owner, key=key)


@pytest.fixture
def workspace(trial: Trial, tmp_path: Path) -> Workspace:
    workspace = trial.write(tmp_path)
    (workspace.root / "metrics.yml").write_text(WATCHED)
    return workspace


def test_a_draft_loads_and_has_the_length_that_the_sizing_wants(workspace: Workspace) -> None:
    draft = drafted(workspace)
    write_draft(workspace, draft)
    plan = experiments.load(workspace, "refit")
    assert plan.origin == "idea/refit"
    assert plan.hypothesis == 'Refit the "scores": #now: Brier score will be lower than without it.'
    assert (plan.owner, plan.kind, plan.primary, plan.analysis, plan.assignment.key) == (
        "Ada",
        "ab",
        "brier",
        "clustered",
        "refit",
    )
    assert [(each.metric, each.margin) for each in plan.guardrails] == [("latency", 0.01)]
    assert len({variant.version for variant in plan.variants.values()}) == 1  # nobody has built the other one yet
    assert plan.window.start == "2024-03-17"
    design = experiments.design_experiment(plan, data.open_source(workspace), as_of="2024-03-16")
    longest = max(metric.needed_days or 0 for metric in design.metrics)
    assert design.planned_days == longest != 28


def test_every_assumption_is_asked_for(workspace: Workspace, trial: Trial) -> None:
    asked = drafted(workspace, owner="").to_decide
    starts = [each.partition(";")[0] for each in asked]
    assert starts == [
        "what will be better, and why",
        "who answers for it",
        "when it can begin",
        "whether requests of one cluster depend on each other",
        "the version without it",
        "the version or configuration with it",
        "the metric that the hypothesis is about",
        "planned_effect, the improvement to be powered for, and smallest_effect, the one worth shipping",
        "what may not get worse, and by how much",
        "the share of false alarms that is allowed",
        "the share of answered requests that must have a label",
        "the rule of the verdict",
    ]
    rows = trial.predictions
    versions = rows[rows["served"] & (rows["occurred_at"] < "2024-03-16")]["version"]
    most, share = versions.mode()[0], 100 * versions.value_counts(normalize=True).max()
    assert asked[4] == (
        f"the version without it; version {most} served most of 2024-02-17 … 2024-03-15, {share:.1f} % of the requests"
    )
    assert asked[5] == (
        "the version or configuration with it; until models/eta.yml has one, this is the control's, and both variants "
        "are the same"
    )


def test_without_history_the_length_and_the_version_are_assumed_and_it_says_so(workspace: Workspace) -> None:
    draft = drafted(workspace, as_of="2024-02-01")
    asked = {each.partition(";")[0]: each for each in draft.to_decide}
    assert asked["the version without it"] == (
        "the version without it; the last in the model's file is proposed, because model 'eta' served no request in "
        "2024-01-04 … 2024-01-31"
    )
    assert "Its length of 28 days is assumed: it could not be sized, because " in asked["when it can begin"]
    assert 'window: {start: "2024-02-02", end: "2024-03-01"}' in draft.text


def test_no_metric_to_watch_is_said(workspace: Workspace) -> None:
    (workspace.root / "metrics.yml").write_text(METRICS)
    assert (
        "guardrails, the metrics that may not get worse; metrics.yml has none of role operation"
        in drafted(workspace).to_decide
    )


def test_without_a_metric_that_has_a_worse_side_there_is_no_plan(workspace: Workspace) -> None:
    no_side = METRICS.replace("direction: decrease", "direction: none").replace(
        "direction: increase", "direction: none"
    )
    (workspace.root / "metrics.yml").write_text(no_side)
    with pytest.raises(DefinitionError) as caught:
        drafted(workspace)
    assert str(caught.value) == (
        "metrics.yml: no metric that an experiment can be about; it needs one with direction increase or decrease that "
        "is a mean of requests or a quantile"
    )


def test_a_plan_that_is_there_stays(workspace: Workspace) -> None:
    with pytest.raises(ArgumentError) as caught:
        drafted(workspace, key="eta-v2")
    assert str(caught.value) == (
        "experiments/eta-v2.yml is there already, and a draft is never written over it; give another --key"
    )


def test_an_effect_that_takes_years_leaves_the_length_open(workspace: Workspace) -> None:
    (workspace.root / "metrics.yml").write_text(
        WATCHED.replace("practical_threshold: 0.01", "practical_threshold: 1e-5")
    )
    asked = drafted(workspace).to_decide[1]
    assert asked == (
        "when it can begin; proposed is the day after the plan's. Its length of 28 days is assumed: Brier score takes "
        "more than 104 weeks"
    )
