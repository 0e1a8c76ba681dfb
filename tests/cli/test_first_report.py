"""The README's way from own CSV files to the first report, walked as it is written there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_csv import write_own_csv

ROOT = Path(__file__).resolve().parents[2]
MOST_COMMANDS = 5


def commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## From your own CSV to the first report\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def test_the_first_report_takes_five_commands() -> None:
    assert len(commands()) <= MOST_COMMANDS
    assert commands()[0].startswith("toolkit init ")
    assert commands()[-1] == "toolkit reports verify --all"


@pytest.mark.slow
def test_own_csv_files_become_a_published_report_that_finds_what_is_in_them(tmp_path: Path) -> None:
    write_own_csv(tmp_path)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"PYTHONPATH": str(ROOT), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    environment.pop("TOOLKIT_WORKSPACE", None)
    script = "\n".join(commands())
    run = subprocess.run(
        ["/bin/sh", "-e", "-c", script], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "verified 1 report"
    (report,) = tmp_path.glob("*/reports/triage/*/v0001")
    assert (report / "report.html").is_file()
    rows = json.loads((report / "results.json").read_text(encoding="utf-8"))["rows"]
    titles = [row["value"] for row in rows if row["record"] == "backlog" and row["statistic"] == "title"]
    assert titles[0] == "Find why region=south loses more than elsewhere"
