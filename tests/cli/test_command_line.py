from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.main import get_command

import toolkit.archive
from toolkit import __version__
from toolkit.cli import app, main

ROOT = Path(__file__).resolve().parents[2]
NOT_AN_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
Run = Callable[..., Any]


def test_version(call: Run) -> None:
    assert call("--version") == (0, f"toolkit {__version__}\n", "")
    assert call("--version", "--json").document == {"version": __version__}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["reports", "lits"], "No such command 'lits'. Did you mean 'list'?"),
        (["run", "triage", "--jsn"], "No such option: --jsn (Possible options: --json)"),
        (
            ["run", "triage", "--window-days", "14"],
            "No such option: --window-days; a template's parameter is written -p window_days=VALUE",
        ),
        (
            ["run", "triage", "window_days=14"],
            "Got unexpected extra argument(s) (window_days=14); a template's parameter is written -p KEY=VALUE",
        ),
        (["ledger", "log", "--nothing"], "No such option: --nothing"),
        (["ledger", "log", "--limit", "few"], "Invalid value for '--limit': " + NOT_AN_INTEGER),
        (["run"], "a template is missing: toolkit run NAME; 'toolkit templates' lists them"),
    ],
)
def test_wrong_usage_is_named_with_a_suggestion_and_exits_2(call: Run, arguments: list[str], message: str) -> None:
    assert call(*arguments) == (2, "", f"error: {message}\n")


def test_wrong_usage_with_json_is_one_document_on_stdout(call: Run) -> None:
    done = call("rnu", "--json")
    message = "No such command 'rnu'. Did you mean 'run'?"
    assert done.document == {"error": {"type": "UsageError", "message": message, "exit_code": 2}}
    assert done.err == f"error: {message}\n"


@pytest.mark.parametrize("arguments", [[], ["reports"], ["ledger"]])
def test_a_missing_command_shows_the_help_and_exits_2(call: Run, arguments: list[str]) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: toolkit ")
    assert "Commands:" in done.err


def test_json_stands_behind_the_command(call: Run) -> None:
    expected = "error: write --json behind the command: toolkit doctor … --json\n"
    assert call("--json", "doctor").err == expected
    assert call("--json").err == "error: a command is missing; 'toolkit --help' lists them\n"


def test_a_workspace_that_is_missing_is_said_once_and_exits_2(call: Run, here: Path) -> None:
    message = (
        f"no workspace here: neither {here} nor a folder above it has a toolkit.toml. "
        "Make one with 'toolkit init DIR', or name one with TOOLKIT_WORKSPACE"
    )
    assert call("reports", "list") == (2, "", f"error: {message}\n")
    error = {"type": "WorkspaceError", "message": message, "exit_code": 2}
    assert call("reports", "list", "--json").document == {"error": error}


def test_an_invalid_definition_names_its_file_in_the_document(call: Run, tiny: Path) -> None:
    (tiny / "metrics.yml").write_text("metrics: 3\n", encoding="utf-8")
    done = call("metrics", "--json")
    assert done.code == 2
    assert done.document["error"]["type"] == "DefinitionError"
    assert done.document["error"]["path"] == str(tiny / "metrics.yml")


def test_a_defect_is_not_swallowed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(toolkit.archive, "search_reports", fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        main(["reports", "list"])


def test_an_interrupt_exits_130_without_a_traceback(call: Run, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolkit.archive, "search_reports", interrupt)
    done = call("reports", "list")
    assert (done.code, done.out, done.err.strip()) == (130, "", "interrupted")


def commands() -> dict[str, set[str]]:
    """Every command with its options."""
    found = {}
    for name, command in get_command(app).commands.items():
        for below, leaf in getattr(command, "commands", {"": command}).items():
            options = {option for parameter in leaf.params for option in parameter.opts}
            found[f"{name} {below}".strip()] = options
    return found


def test_every_command_takes_json() -> None:
    assert {name for name, options in commands().items() if "--json" not in options} == set()


def test_the_readme_lists_every_command_and_none_that_is_absent() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("| command | does |")[1].split("\n\n")[0]
    named: set[str] = set()
    for row in table.splitlines()[2:]:
        texts = row.split("|")[1].split("`")[1::2]
        words = [text.removeprefix("toolkit ").split()[0] for text in texts]
        group = texts[0].removeprefix("toolkit ").split()[:2]
        if words[0] in {"backlog", "debt", "experiment", "feedback", "ledger", "reports", "signal"}:
            named |= {f"{words[0]} {word}" for word in [group[1], *words[1:]]}
        else:
            named |= set(words)
    assert named == set(commands())


def test_stdout_of_a_real_process_is_the_document_alone(here: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "toolkit.cli", "init", "w", "--json"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert json.loads(done.stdout)["workspace"] == str(here / "w")
    again = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert json.loads(again.stdout)["error"]["type"] == "WorkspaceExistsError"
