"""What a readout says of where it comes from, and what else went on in its window."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from experiment_trial import Trial

from toolkit import data, experiments
from toolkit.workspace import Workspace, open_workspace

TABLES = """
[tables.deployments]
path = "data/deployments.parquet"

[tables.incidents]
path = "data/incidents.parquet"
"""


def _trace(workspace: Workspace, *, measure: bool = False) -> experiments.Trace:
    """Of the experiment at its end; its units stand in unless they are to be measured."""
    plan = experiments.load(workspace, "eta-v2")
    arrivals = {name: SimpleNamespace(exposed=300) for name in plan.variants}
    window, as_of = plan.window.window, plan.ready_on
    units: Any = SimpleNamespace(window=window, as_of=as_of, arrivals=arrivals, digest="sha256:data")
    if measure:
        units = experiments.measure(plan, data.open_source(workspace))
    return experiments.trace(workspace, plan, units, experiments.load_looks(workspace, plan, units))


def _at(day: str) -> pd.Timestamp:
    return pd.Timestamp(day, tz="UTC")


@pytest.fixture
def workspace(trial: Trial, tmp_path: Path) -> Workspace:
    return trial.write(tmp_path)


@pytest.fixture
def eventful(workspace: Workspace) -> Workspace:
    """With deployments and incidents, of this model and another, in the window and outside."""
    root = workspace.root
    deployed = [("2024-02-20", "1"), ("2024-03-05", "2"), ("2024-03-06", "9")]
    pd.DataFrame(
        {
            "occurred_at": [_at(day) for day, _ in deployed],
            "model": ["eta", "eta", "other"],
            "version": [version for _, version in deployed],
            "kind": ["deploy", "rollback", "deploy"],
        }
    ).to_parquet(root / "data" / "deployments.parquet")
    pd.DataFrame(
        {
            "incident_id": ["i1", "i2", "i3"],
            "opened_at": [_at("2024-02-28"), _at("2024-03-10"), _at("2024-03-16")],
            "resolved_at": [_at("2024-03-02"), pd.NaT, pd.NaT],
            "model": "eta",
            "severity": ["high", "low", "low"],
        }
    ).to_parquet(root / "data" / "incidents.parquet")
    (root / "toolkit.toml").write_text((root / "toolkit.toml").read_text() + TABLES)
    return open_workspace(root)


def test_it_names_the_plan_the_instant_and_the_fingerprint_of_every_table(workspace: Workspace) -> None:
    found = _trace(workspace, measure=True)
    plan = experiments.load(workspace, "eta-v2")
    rows = {(row.key, row.statistic): row.value for row in found.to_rows()}
    assert rows["eta-v2", "plan_digest"] == plan.digest
    assert rows["eta-v2", "as_of"] == "2024-03-20T00:00:00Z"
    for table in ("predictions", "outcomes", "exposures"):
        assert str(rows[table, "fingerprint"]).startswith("sha256:")
        assert int(str(rows[table, "rows"])) > 0
    assert found.text.startswith(
        f"Plan {plan.digest[:19]}, read as of 2024-03-20T00:00:00Z from exposures, outcomes, predictions. control ran "
        "version 1; treatment ran version 2."
    )


def test_what_is_kept_in_the_cache_changes_nothing(workspace: Workspace) -> None:
    first = _trace(workspace, measure=True)
    assert _trace(workspace, measure=True).to_rows() == first.to_rows()
    shutil.rmtree(workspace.root / "cache")
    assert _trace(open_workspace(workspace.root), measure=True).to_rows() == first.to_rows()


def test_other_data_have_another_fingerprint(workspace: Workspace, trial: Trial, tmp_path: Path) -> None:
    """In one process, as in a notebook that stays open."""

    def fingerprints(of: Workspace) -> dict[str, str]:
        return {read.table: read.fingerprint for read in _trace(of, measure=True).reads}

    before = fingerprints(workspace)
    root = tmp_path / "other"
    changed = trial.outcomes.assign(label=1 - trial.outcomes["label"])
    other = fingerprints(Trial(trial.predictions, changed, trial.exposures).write(root))
    assert before["predictions"] == other["predictions"]
    assert before["outcomes"] != other["outcomes"]


def test_it_names_versions_and_configuration_by_variant(trial: Trial, tmp_path: Path) -> None:
    planned = trial.planned({'{version: "2", weight: 50}': '{version: "2", weight: 50, configuration: {hours: 3}}'})
    found = _trace(planned.write(tmp_path))
    assert [tuple(each) for each in found.variants] == [
        ("control", "1", 50, ""),
        ("treatment", "2", 50, '{"hours": 3}'),
    ]
    assert 'treatment ran version 2, configuration {"hours": 3}.' in found.text
    rows = {(row.key, row.statistic): row for row in found.to_rows()}
    assert rows["control", "configuration"].reason == "the plan names none"


def test_what_is_not_configured_is_said(workspace: Workspace) -> None:
    found = _trace(workspace)
    assert (found.deployments, found.incidents) == (None, None)
    assert (
        "Deployments are not known: the workspace has no table deployments ([tables.deployments] in toolkit.toml). "
        "Incidents are not known: the workspace has no table incidents ([tables.incidents] in toolkit.toml)."
    ) in found.text
    counts = [row for row in found.to_rows() if row.statistic == "count"]
    assert [(row.key, row.status) for row in counts] == [("deployments", "absent"), ("incidents", "absent")]


def test_deployments_and_incidents_of_the_model_in_the_window_are_named(eventful: Workspace) -> None:
    found = _trace(eventful)
    assert (
        "Deployments in the window: rollback of version 2, 2024-03-05. Incidents in the window: i1 (high), opened "
        "2024-02-28, resolved 2024-03-02; i2 (low), opened 2024-03-10, not resolved."
    ) in found.text
    assert not {read.table for read in found.reads} & {"deployments", "incidents"}
    table = [line["is"] for line in found.to_table() if line["what"] in {"deployment", "incident"}]
    assert table[0] == "rollback of version 2, 2024-03-05"
    assert len(table) == 3


def test_other_experiments_on_the_model_are_named_with_what_they_share(workspace: Workspace) -> None:
    text = (workspace.root / "experiments" / "eta-v2.yml").read_text()
    for key, start, end in (("eta-copy", "2024-03-10", "2024-04-01"), ("eta-later", "2024-05-01", "2024-06-01")):
        changed = text.replace("eta-v2", key).replace("2024-03-01", start).replace("2024-03-15", end)
        (workspace.root / "experiments" / f"{key}.yml").write_text(changed)
    (workspace.root / "experiments" / "broken.yml").write_text("key: broken\n")
    found = _trace(workspace)
    assert [each.experiment for each in found.overlaps] == ["eta-copy"]
    assert "brier" in found.overlaps[0].shared_metrics
    assert "Overlaps on the same model: eta-copy (2024-03-10 … 2024-03-31; also on brier, " in found.text


def test_a_trace_without_anything_else_says_so(eventful: Workspace) -> None:
    root = eventful.root
    for name, table in (("deployments", "occurred_at"), ("incidents", "opened_at")):
        frame = pd.read_parquet(root / "data" / f"{name}.parquet")
        frame[frame[table] > _at("2025-01-01")].to_parquet(root / "data" / f"{name}.parquet")
    text = _trace(open_workspace(root)).text
    assert (
        "No deployment in the window. No incident in the window. No other experiment on the model overlaps it." in text
    )
    assert text.endswith("It is the first look.")
