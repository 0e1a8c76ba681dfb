"""`toolkit run --each`: a table of what came of each, exit codes, resuming, and what is refused at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.board import Board

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "a template is missing: toolkit run NAME; 'toolkit templates' lists them"),
        (
            ["run", "greets", "--workers", "2"],
            "--workers and --dask are for many reports; say which with --each KEY=A,B,… or KEY=all",
        ),
        (
            ["run", "greets", "--each", "city"],
            "--each 'city', must be key=value, such as --each experiment=delay-v2,eta-v3",
        ),
        (["run", "greets", "--each", "city=a", "--each", "city=b"], "parameter 'city' is given twice: 'a' and 'b'"),
        (
            ["run", "greets", "--each", "ctiy=a,b"],
            "unknown parameter 'ctiy'; allowed: city, levels. Did you mean 'city'?",
        ),
        (["run", "greet", "--each", "city=a,b"], "unknown template 'greet'; allowed: "),
        (
            ["run", "greets", "--resume", "x"],
            "--resume BATCH knows its template and parameters; leave NAME, -p and --each out",
        ),
        (
            ["run", "--resume", "20130501T000000-0000"],
            "unknown batch '20130501T000000-0000'; allowed: none are defined.",
        ),
        (
            ["run", "greets", "--each", "city=a,b", "--workers", "2", "--dask", "tcp://127.0.0.1:1"],
            "--workers counts threads of this process, and --dask has its own; give one of them",
        ),
        (["run", "greets", "--cell-limit-s", "0"], "cell_s == 0.0, must be a number of at least 0.01"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    call: Callable[..., Any], tiny: Path, arguments: list[str], message: str
) -> None:
    called = call(*arguments)
    assert (called.code, called.out) == (2, "")
    assert f"error: {message}" in called.err
    assert not (tiny / "reports").exists()


def test_many_reports_end_in_a_table_and_can_be_resumed(call: Callable[..., Any], tiny: Path) -> None:
    called = call("run", "greets", "--each", "city=oslo,rome", "--workers", "2", "-p", "levels=5")
    assert called.code == 0
    assert re.sub(r" +", " ", called.out) == (
        "item parameters state reference\n1 city=oslo published greets/oslo@1\n2 city=rome published greets/rome@1\n"
    )
    (name,) = re.findall(r"^batch (\S+): 2 reports of greets$", called.err, re.MULTILINE)
    assert re.search(r"^==> \d of 2 city=rome: published: greets/rome@1$", called.err, re.MULTILINE)
    again = call("run", "--resume", name, "--json")
    assert again.code == 0
    assert [(item["state"], item["reference"]) for item in again.document["items"]] == [
        ("done", "greets/oslo@1"),
        ("done", "greets/rome@1"),
    ]
    assert (again.document["batch"], again.document["left"], again.document["interrupted"]) == (name, 0, False)


def test_one_failure_is_exit_code_1_and_the_others_are_there(call: Callable[..., Any], tiny: Path) -> None:
    notebook = json.loads((tiny / "templates" / "greets.ipynb").read_text())
    notebook["cells"][1]["source"] = "1 / levels"
    (tiny / "templates" / "greets.ipynb").write_text(json.dumps(notebook))
    called = call("run", "greets", "--each", "levels=0,1", "--json")
    assert called.code == 1
    failed, published = called.document["items"]
    assert (failed["state"], published["state"]) == ("failed", "published")
    assert "ZeroDivisionError: division by zero" in failed["reason"]


@pytest.mark.usefixtures("hearing_ctrl_c")
def test_ctrl_c_ends_what_runs_and_says_how_to_go_on(tiny: Path) -> None:
    notebook = json.loads((tiny / "templates" / "greets.ipynb").read_text())
    notebook["cells"][1]["source"] = (
        "import os, time\nfrom pathlib import Path\nPath(f'{city}.pid').write_text(str(os.getpid()))\n"
        "time.sleep(0 if city == 'oslo' else 600)"
    )
    (tiny / "templates" / "greets.ipynb").write_text(json.dumps(notebook))
    process = subprocess.Popen(
        [sys.executable, "-m", "toolkit.cli", "run", "greets", "--each", "city=oslo,rome,kiel", "--kernel", "cold"],
        cwd=tiny,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + PATIENCE_S
    while not (tiny / "rome.pid").is_file() or not (tiny / "rome.pid").read_text():
        assert time.monotonic() < until, "the second run did not begin"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    lines = [re.sub(r" +", " ", line).strip() for line in out.splitlines()]
    assert lines[1] == "1 city=oslo published greets/oslo@1"
    assert lines[2].startswith("2 city=rome stopped")
    assert lines[3] == "3 city=kiel left"
    assert re.search(r"^2 of 3 are not done; go on with: toolkit run --resume \S+$", err, re.MULTILINE)
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(int((tiny / "rome.pid").read_text()), 0)
    assert not (tiny / "reports" / "failed").exists()  # it did not fail


def test_the_live_table_shows_what_runs_before_what_is_done() -> None:
    from rich.console import Console

    redrawn: list[int] = []
    board = Board(["city=oslo", "city=rome", "city=kiel"], lambda: redrawn.append(1))
    board.tell(1, "running", "cell 1 of 2: city")
    board.tell(1, "published", "greets/oslo@1")
    board.tell(2, "running", "cell 2 of 2: print(city)")
    console = Console(width=100)
    with console.capture() as captured:
        console.print(board.draw())
    lines = [re.sub(r" +", " ", line).strip() for line in captured.get().splitlines() if line.strip()]
    assert lines == [
        "1 of 3 done, 1 published, 1 running",
        "item state step s",
        "city=rome running cell 2 of 2: print(city) 0",
        "city=oslo published greets/oslo@1",
    ]
    assert len(redrawn) == 3
