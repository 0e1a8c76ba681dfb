"""The plan template's cells on the small experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from template_cells import run_cells

from toolkit.reports import find_template, lint_template
from toolkit.workspace import open_workspace

if TYPE_CHECKING:
    from experiment_trial import Trial

TEMPLATE = Path(__file__).parents[2] / "templates" / "experiment_plan.ipynb"
LATER = {'window: {start: "2024-03-01", end: "2024-03-15"}': 'window: {start: "2024-03-15", end: "2024-04-12"}'}


def test_the_cells_run_in_order_and_save_every_record(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.planned(LATER).write(tmp_path)
    monkeypatch.setenv("TOOLKIT_WORKSPACE", str(tmp_path))
    _, saved = run_cells("experiment_plan", "eta-v2")
    assert saved.records == ("plan", "design", "splits", "watch", "stops")
    assert saved.figures == 2  # no looks but the last, and too few units to split


def test_it_keeps_to_the_rules_and_says_what_it_reads(trial: Trial, tmp_path: Path) -> None:
    metadata = json.loads(TEMPLATE.read_text(encoding="utf-8"))["metadata"]
    assert metadata["toolkit"] == {"subject": "{experiment}", "reads": ["predictions", "outcomes"]}
    trial.write(tmp_path)
    assert lint_template(find_template(open_workspace(tmp_path), "experiment_plan")) == []


@pytest.mark.parametrize(
    "question",
    [
        "What is promised?",
        "What would be seen, and how long does it take?",
        "Do splits of the past raise false alarms?",
        "What is watched, and by whom?",
        "What would stop it?",
    ],
)
def test_each_question_has_its_heading(question: str) -> None:
    assert f"## {question}\\n" in TEMPLATE.read_text(encoding="utf-8")
