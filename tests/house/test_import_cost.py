from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "alembic",
    "duckdb",
    "ibis",
    "matplotlib",
    "nbconvert",
    "numpy",
    "pandas",
    "papermill",
    "pydantic",
    "sqlalchemy",
}
LOADED = """
import json, sys
{statement}
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
COMMAND = """
import contextlib, io
from toolkit.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main({arguments}) == 0
"""


def loaded_by(statement: str) -> set[str]:
    code = LOADED.format(statement=statement)
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(run.stdout))


def test_import_toolkit_loads_nothing_heavy() -> None:
    assert loaded_by("import toolkit") & HEAVY == set()


def test_the_check_would_see_a_heavy_import() -> None:
    assert "pydantic" in loaded_by("import toolkit.workspace")


def test_help_loads_nothing_heavy() -> None:
    assert loaded_by(COMMAND.format(arguments=["--help"])) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--version"], ["reports", "--help"], ["init", "--help"]], ids=" ".join)
def test_a_command_loads_nothing_heavy_of_ours(arguments: list[str]) -> None:
    typers_own = {"pydantic"}  # Typer reads every value of an option through it
    assert loaded_by(COMMAND.format(arguments=arguments)) & HEAVY <= typers_own


def test_init_loads_no_data_library(tmp_path: Path) -> None:
    arguments = ["init", str(tmp_path / "w")]
    assert loaded_by(COMMAND.format(arguments=arguments)) & HEAVY <= {"pydantic"}
