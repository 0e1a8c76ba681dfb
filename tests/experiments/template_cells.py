"""The cells of a shipped template, run here in one process; papermill runs them in the templates' tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_TEMPLATES = Path(__file__).parents[2] / "templates"


def run_cells(template: str, experiment: str) -> tuple[dict[str, Any], Any]:
    """What the cells leave behind, by name, and what the last line, which saves, returned."""
    cells = json.loads((_TEMPLATES / f"{template}.ipynb").read_text(encoding="utf-8"))["cells"]
    parameters, *code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    exec(parameters, names)
    assert (names["experiment"], names["as_of"]) == ("", "")
    names["experiment"] = experiment
    *before, save = "\n".join(code).splitlines()
    exec("\n".join(before), names)
    return names, eval(save, names)
