"""The readout template's cells on the small experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from template_cells import run_cells

if TYPE_CHECKING:
    import pytest
    from experiment_trial import Trial

TEMPLATE = Path(__file__).parents[2] / "templates" / "experiment_readout.ipynb"


def test_the_cells_run_in_order_and_save_every_record(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.write(tmp_path)
    monkeypatch.setenv("TOOLKIT_WORKSPACE", str(tmp_path))
    names, saved = run_cells("experiment_readout", "eta-v2")
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
