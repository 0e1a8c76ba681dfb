"""Notebooks for people run from top to bottom on the example, and are stored without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import papermill
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_there_is_a_tour():
    assert "01_tour" in {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(path):
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, flights_workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]))
    executed = papermill.execute_notebook(
        path,
        tmp_path / path.name,
        {"workspace": str(flights_workspace.root)},
        progress_bar=False,
        kernel_name="python3",
    )
    text = json.dumps(executed)
    assert "Recalibrate the scores" in text
    assert "Ship treatment" in text
