"""A workspace in git with reports of its own templates, of which one reads a folder beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from toolkit.ledger import open_ledger
from toolkit.reports import RunRequest, run_report
from toolkit.workspace import git_environment, open_workspace
from toolkit.workspace.environment import Actor

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

ADA = Actor("ada", "asserted")
SETTINGS = """\
schema_version = 2
name = "pinned"

[tables.predictions]
path = "../outside/*.parquet"
"""
SUMMING = """\
from toolkit.digests import digest_file
from toolkit.display import notice
from toolkit.records import ResultRow, Shown
from toolkit.workspace import JOURNAL, Definition, Read, ledger_sequence


class Scale(Definition):
    scale: int


class Sum(Shown):
    def to_rows(self):
        total = factor * sum(numbers) * sum(each.scale for each in scales.values())
        return (
            ResultRow(key="all", statistic="total", value=total),
            ResultRow(key="ledger", statistic="entries", value=ledger_sequence()),
        )

    def to_pictures(self):
        return (notice("a sum"),)
"""
READING = """\
path = ws.root / ".." / "outside" / "values.txt"
numbers = [float(number) for number in path.read_text().split()]
JOURNAL.note_read(Read("values", ("value",), None, None, as_of, len(numbers), digest_file(path), "test/1"))
scales = ws.load_folder("scales", Scale, noun="scale")
"""
TEMPLATES = {
    "sums": [
        'factor: int = 2  # times\nas_of: str = ""  # ISO instant, UTC',
        "import toolkit as tk\n\nws = tk.open_workspace()",
        SUMMING,
        READING,
        "tk.reports.save(sum=Sum())",
    ],
    "dices": [
        "sides: int = 6  # of a dice",
        "import secrets\nimport toolkit as tk\nfrom toolkit.records import ResultRow, Shown",
        "class Dice(Shown):\n    def to_rows(self):\n        number = secrets.randbelow(10**12)\n"
        '        return (ResultRow(key="dice", statistic="number", value=number),)',
        "tk.reports.save(dice=Dice())",
    ],
    "silent": ["word: str = 'a'  # any", "len(word)"],
}


def make_notebook(cells):
    tags = [{"tags": ["parameters"]}, *({} for _ in cells[1:])]
    fresh = {"execution_count": None, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": kernel | {"toolkit": {"subject": "all", "reads": []}},
        "cells": [
            {"id": f"c{number}", "cell_type": "code", "metadata": tag, "source": cell} | fresh
            for number, (cell, tag) in enumerate(zip(cells, tags, strict=True))
        ],
    }


def git(root, *arguments):
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=git_environment()).stdout.strip()


def append(ledger, subject):
    moment = datetime(2013, 5, 1, tzinfo=UTC)
    ledger.append(kind="test.noted", subject=subject, payload={}, actor=ADA, effective_at=moment, recorded_at=moment)


def lay_original(root):
    """The workspace, beside a folder that its settings name, with one report of each template."""
    (root / "templates").mkdir(parents=True)
    (root / "scales").mkdir()
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "values.txt").write_text("1 2 3")
    (root / "toolkit.toml").write_text(SETTINGS)
    (root / "scales" / "one.yml").write_text("scale: 3\n")
    (root / ".gitignore").write_text("reports/\nledger/\n")
    for name, cells in TEMPLATES.items():
        (root / "templates" / f"{name}.ipynb").write_text(json.dumps(make_notebook(cells)))
    if shutil.which("git"):
        git(root, "init", "--quiet")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", "as it was")
    workspace = open_workspace(root)
    with open_ledger(workspace.ledger) as ledger:
        for subject in ("first", "second"):
            append(ledger, subject)
    run_report(RunRequest(root, "sums", {"as_of": "2013-05-01T00:00:00Z"}))
    run_report(RunRequest(root, "dices"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINNED_WORD", "a secret word")
        run_report(RunRequest(root, "silent", {"word": "secret:PINNED_WORD"}))
