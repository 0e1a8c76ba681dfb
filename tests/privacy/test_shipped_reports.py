"""The shipped templates on the real example put out nothing personal, and nothing of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import copy_flights
from toolkit.privacy import Redactor, machine_places, scan_outputs, scan_text
from toolkit.reports import RunRequest, run_report
from toolkit.workspace import open_workspace

ROOT = Path(__file__).resolve().parents[2]
REQUESTS: dict[str, dict[str, object]] = {
    "triage": {},
    "experiment_plan": {"experiment": "delay-v2"},
    "shadow_readout": {"experiment": "delay-v2-shadow"},
    "experiment_readout": {"experiment": "delay-v2"},
    "holdout_readout": {"experiment": "delay-v2-holdout"},
    "debt_review": {},
    "retrospective": {"model": "delay", "period": "2013-08", "as_of": "2013-09-03"},
}


@pytest.fixture(scope="module")
def published(flights_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Template to the folder of its report; the repository that the debt review mines is this one."""
    root = tmp_path_factory.mktemp("privacy") / "flights"
    copy_flights(flights_root, root)
    settings = (root / "toolkit.toml").read_text(encoding="utf-8")
    (line,) = [line for line in settings.splitlines() if line.startswith('path = "..')]
    (root / "code").symlink_to(ROOT)
    (root / "toolkit.toml").write_text(settings.replace(line, 'path = "code"'), encoding="utf-8")
    workspace = open_workspace(root)
    return {name: run_report(RunRequest(workspace.root, name, given)).folder for name, given in REQUESTS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_a_shipped_report_gives_no_false_alarm(published: dict[str, Path], name: str) -> None:
    folder = published[name]
    notebook, results = (json.loads((folder / file).read_bytes()) for file in ("report.ipynb", "results.json"))
    assert sum(len(cell.get("outputs", [])) for cell in notebook["cells"]) > 0
    assert len(results["rows"]) > 0
    assert scan_outputs(notebook, results) == ()
    assert scan_text((folder / "report.html").read_text(encoding="utf-8")) == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
def test_a_shipped_report_names_no_place_of_this_machine(published: dict[str, Path], name: str) -> None:
    redactor = Redactor(machine_places(published[name].parents[3]))
    for path in sorted(published[name].glob("*.*")):
        assert redactor.redact_text(path.read_text(encoding="utf-8"))[1].places == 0, path.name
