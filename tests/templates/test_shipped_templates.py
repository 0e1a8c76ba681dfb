"""Every shipped template: thin by rule, and run on the real example."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from dask_cluster import cluster

from conftest import copy_flights
from toolkit.archive import find_report, load_results, report_folder, verify_all
from toolkit.data import load_model, open_source
from toolkit.errors import ParameterError
from toolkit.ledger import open_ledger
from toolkit.reports import BatchItem, RunRequest, find_template, lint_template, list_templates, run_report
from toolkit.reports.cluster import open_cluster
from toolkit.signals import calibration, group_signals, metric_changes, observe, segment_losses
from toolkit.workspace import open_workspace

APRIL, DECEMBER = "2013-05-02", "2014-01-01"


ROOT = Path(__file__).resolve().parents[2]

REQUESTS = {
    "triage": {},
    "model_health": {},
    "experiment_plan": {"experiment": "delay-v2"},
    "shadow_readout": {"experiment": "delay-v2-shadow"},
    "experiment_readout": {"experiment": "delay-v2"},
    "holdout_readout": {"experiment": "delay-v2-holdout"},
    "debt_review": {},
    "retrospective": {"model": "delay", "period": "2013-08", "as_of": "2013-09-03"},
}
OFTEN = ("triage",)
"""The templates whose bytes every run of the tests compares; those of the others are compared with the slow ones."""


@pytest.fixture(scope="module")
def workspace(flights_root, tmp_path_factory):
    """The example; the repository that its debt review mines is this one."""
    folder = tmp_path_factory.mktemp("templates") / "flights"
    copy_flights(flights_root, folder)
    settings = folder / "toolkit.toml"
    (line,) = [line for line in settings.read_text().splitlines() if line.startswith('path = "..')]
    settings.write_text(settings.read_text().replace(line, f'path = "{os.path.relpath(ROOT, folder)}"'))
    return open_workspace(folder)


@pytest.fixture(scope="module")
def published(workspace):
    """By name and kernel runs of a template on the same inputs; made when asked for."""

    @cache
    def publish(name, kernel="cold"):
        return run_report(replace(RunRequest(workspace.root, name, REQUESTS[name]), kernel=kernel))

    return publish


@pytest.fixture(scope="module")
def triage(published):
    return published("triage")


@pytest.fixture(scope="module")
def readout(published):
    return published("experiment_readout", "warm")


def rows(workspace, published):
    return load_results(workspace, published.reference)["rows"]


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.name)
def test_templates_are_thin(template):
    assert lint_template(template) == []


def test_all_templates_are_run_here():
    assert {template.name for template in list_templates()} == set(REQUESTS)


@pytest.mark.parametrize(
    "name", [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in REQUESTS]
)
def test_same_inputs_same_bytes_warm_or_cold(published, name):
    first, second = published(name), published(name, "warm")
    assert [each.manifest["kernel"]["start"] for each in (first, second)] == ["cold", "warm"]
    assert second.reference.version == first.reference.version + 1
    figures = first.folder / "figures"
    assert sorted(item.name for item in figures.iterdir()) == sorted(
        item.name for item in (second.folder / "figures").iterdir()
    )
    for path in ("results.json", *(f"figures/{item.name}" for item in figures.iterdir())):
        assert (first.folder / path).read_bytes() == (second.folder / path).read_bytes(), path


def test_everything_verifies(workspace, published):
    assert verify_all(workspace) == ()


def test_triage_resolves_model_and_instant(workspace, triage):
    manifest = triage.manifest
    assert str(triage.reference) == "triage/delay@1"
    assert manifest["parameters"] == {"model": "delay", "as_of": "2014-01-01T00:00:00Z", "window_days": 28}
    read = {source["table"] for source in manifest["sources"]}
    assert read == {"predictions", "outcomes", "deployments", "incidents"}  # the last two for hints
    used = {definition["path"] for definition in manifest["definitions"]}
    work = {f"{folder}/{key}.yml" for folder in ("debt", "ideas") for key in workspace.keys(folder)}
    assert used == {"toolkit.toml", "metrics.yml", "models/delay.yml", "objectives.yml", "teams.yml"} | work
    assert manifest["privacy"]["outcome"] == "passed"


def test_readout_gives_the_right_verdict(workspace, readout):
    found = rows(workspace, readout)
    (decision,) = [row["value"] for row in found if row["record"] == "verdict" and row["statistic"] == "decision"]
    assert decision == "ship"


def test_readout_covers_the_true_difference(flights_root, workspace, readout):
    """Both versions scored every flight, so the difference of their Brier scores is known."""
    import pandas as pd

    scored = pd.read_parquet(flights_root / "data" / "predictions")
    start, end = (pd.Timestamp(day, tz="UTC") for day in ("2013-06-01", "2013-10-01"))
    scored = scored[(scored["occurred_at"] >= start) & (scored["occurred_at"] < end)]
    labelled = scored.merge(pd.read_parquet(flights_root / "data" / "outcomes"), on="request_id")
    loss = ((labelled["label"] - labelled["score"]) ** 2).groupby(labelled["version"]).mean()
    truth = loss["2"] - loss["1"]
    (row,) = [
        row
        for row in rows(workspace, readout)
        if row["record"] == "readout" and row["key"] == "brier" and row["statistic"] == "difference"
    ]
    assert row["ci_lower"] < truth < row["ci_upper"]
    standard_error = (row["ci_upper"] - row["ci_lower"]) / (2 * 1.96)
    assert abs(truth) > 4 * standard_error


@pytest.mark.slow
def test_the_holdout_is_read_when_the_data_end(workspace):
    published = run_report(RunRequest(workspace.root, "experiment_readout", {"experiment": "delay-v2-holdout"}))
    found = rows(workspace, published)
    (decision,) = [row["value"] for row in found if row["record"] == "verdict" and row["statistic"] == "decision"]
    assert decision == "ship"
    assert published.manifest["parameters"]["as_of"] == "2014-01-01T00:00:00Z"


def test_the_example_has_three_experiments_to_choose_from(workspace):
    with pytest.raises(ParameterError) as caught:
        run_report(RunRequest(workspace.root, "experiment_readout"))
    assert str(caught.value) == (
        "parameter 'experiment' is empty, which means the only one, but there are 3: delay-v2, "
        "delay-v2-holdout, delay-v2-shadow"
    )


@pytest.mark.parametrize(("as_of", "drifted"), [(APRIL, True), pytest.param(DECEMBER, False, marks=pytest.mark.slow)])
def test_calibration_comes_first_not_temperature(flights_workspace, as_of, drifted):
    """May's and April's temperatures differ from March's by far and harm nobody; December's hardly do, and it hurts."""
    source, model = open_source(flights_workspace), load_model(flights_workspace, "delay")
    observed = observe(flights_workspace, source, model, as_of=as_of, window_days=30)
    changes = metric_changes(observed)
    stages = changes, calibration(observed), segment_losses(observed)
    groups = group_signals(flights_workspace, source, observed, *stages).groups
    assert groups[0].key == "calibration"
    temperature = next(change for change in changes.changes if change.key == "temperature")
    assert (temperature.verdict == "changed") is drifted
    assert ("metric_change:temperature" in {signal.key for group in groups for signal in group.signals}) is drifted


def test_september_scores_too_high_but_loses_less(flights_workspace):
    source, model = open_source(flights_workspace), load_model(flights_workspace, "delay")
    observed = observe(flights_workspace, source, model, as_of="2013-10-02", window_days=30)
    assert calibration(observed).signals == ()


def test_a_plain_papermill_notebook_runs_unchanged(flights_workspace):
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": "p",
                "metadata": {"tags": ["parameters"]},
                "outputs": [],
                "source": "n = 1",
                "execution_count": None,
            },
            {
                "cell_type": "code",
                "id": "c",
                "metadata": {},
                "outputs": [],
                "source": "print(n * 2)",
                "execution_count": None,
            },
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    flights_workspace.templates.mkdir(exist_ok=True)
    (flights_workspace.templates / "plain.ipynb").write_text(json.dumps(notebook))
    assert find_template(flights_workspace, "plain").origin == "workspace"
    published = run_report(RunRequest(flights_workspace.root, "plain", {"n": "21"}))
    assert str(published.reference) == "plain/default@1"
    assert "42" in (published.folder / "report.ipynb").read_text()
    assert json.loads((published.folder / "results.json").read_bytes())["rows"] == []


@pytest.mark.slow
def test_ten_times_out_of_ten(flights_workspace):
    runs = [run_report(RunRequest(flights_workspace.root, "triage")) for _ in range(10)]
    assert len({(run.folder / "results.json").read_bytes() for run in runs}) == 1


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(workspace, published, tmp_path):
    requests = [
        RunRequest(workspace.root, name, parameters, item=BatchItem("all-templates", number), kernel="warm")
        for number, (name, parameters) in enumerate(REQUESTS.items(), start=1)
    ]
    with open_ledger(workspace.ledger) as ledger:
        after = ledger.position().sequence
    with cluster(tmp_path) as found, open_cluster(found.address, workspace) as crew:
        outcomes = [crew.submit(request, after).result(timeout=600) for request in requests]
    assert [outcome.state for outcome in outcomes] == ["published"] * len(REQUESTS)
    for name, outcome in zip(REQUESTS, outcomes, strict=True):
        made = report_folder(workspace, find_report(workspace, outcome.reference)) / "results.json"
        assert made.read_bytes() == (published(name).folder / "results.json").read_bytes(), name


@pytest.mark.slow
def test_a_warm_kernel_has_everything_imported_that_the_templates_use(workspace):
    """What is imported after the fork is paid for by every report."""
    looks = "import sys\nprint(*sorted(set(sys.modules) - before))"
    for name, parameters in REQUESTS.items():
        notebook = json.loads((ROOT / "templates" / f"{name}.ipynb").read_text())
        cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        first = cell | {"id": "before", "metadata": {}, "source": "import sys\nbefore = set(sys.modules)"}
        last = cell | {"id": "after", "metadata": {}, "source": looks}
        notebook["cells"] = [first, *notebook["cells"], last]
        workspace.templates.mkdir(exist_ok=True)
        (workspace.templates / f"watched_{name}.ipynb").write_text(json.dumps(notebook))
        done = run_report(RunRequest(workspace.root, f"watched_{name}", parameters, kernel="warm"))
        assert done.manifest["kernel"]["start"] == "warm"
        (said,) = json.loads((done.folder / "report.ipynb").read_bytes())["cells"][-1]["outputs"]
        assert "".join(said["text"]).split() == [], name
