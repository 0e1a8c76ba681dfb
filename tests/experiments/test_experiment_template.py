"""The template's cells, run here in one process on the small experiment; papermill runs it in the templates' tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest
    from experiment_trial import Trial

TEMPLATE = Path(__file__).parents[2] / "templates" / "experiment_readout.ipynb"


def _code() -> list[str]:
    cells = json.loads(TEMPLATE.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_the_cells_run_in_order_and_save_every_record(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.write(tmp_path)
    monkeypatch.setenv("TOOLKIT_WORKSPACE", str(tmp_path))
    names: dict[str, object] = {}
    parameters, *cells = _code()
    exec(parameters, names)
    assert (names["experiment"], names["as_of"]) == ("", "")
    names["experiment"] = "eta-v2"
    for cell in cells[:-1]:
        exec(cell, names)
    *before, save = cells[-1].splitlines()
    exec("\n".join(before), names)
    saved = eval(save, names)
    assert str(saved).startswith("Not saved, this is not a report's run. It would hold ")
    effects = ("readout", "shift", "segments", "course")
    assert saved.records == ("plan", "checks", *effects, "looks", "context", "verdict")
    assert saved.figures == 3
    assert names["verdict"].decision == "ship"


def test_it_reads_what_it_says_and_is_named_by_the_experiment() -> None:
    metadata = json.loads(TEMPLATE.read_text(encoding="utf-8"))["metadata"]
    assert metadata["toolkit"] == {
        "subject": "{experiment}",
        "reads": ["predictions", "outcomes", "exposures", "deployments", "incidents", "feedback"],
        "trends": ["readout.difference"],
    }
