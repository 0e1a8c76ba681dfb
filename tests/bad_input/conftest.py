"""A small workspace with one published report, its command line, and a look at everything that must not change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.cli import main
from toolkit.ledger import open_ledger
from toolkit.workspace import open_workspace

LOOKS = {
    "subject": "{model}",
    "cells": [
        'model: str = ""  # key in models/\nas_of: str = ""  # ISO instant, UTC\nwindow_days: int = 28  # days',
        "import toolkit as tk\n\nws = tk.open_workspace()\ncard = tk.data.load_model(ws, model)\n"
        "source = tk.data.open_source(ws)\n"
        "observed = tk.signals.observe(ws, source, card, as_of=as_of, window_days=window_days)",
        "tk.reports.save(observed=observed)",
    ],
}
PLANS = {
    "subject": "{experiment}",
    "cells": [
        'experiment: str = ""  # key in experiments/',
        "import toolkit as tk\n\nplan = tk.experiments.load(tk.open_workspace(), experiment)",
        "tk.reports.save(plan=plan)",
    ],
}


class Call(NamedTuple):
    """What a call of the command line did; `said` is stderr without the progress."""

    code: int
    out: str
    said: str


class State(NamedTuple):
    """Everything that a refusal must leave alone: each file's bytes, and the ledger's entries."""

    files: dict[str, bytes]
    entries: list[dict[str, Any]]


@dataclass(frozen=True)
class World:
    """The workspace that a test stands in. Its data are the test's to break."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def call(self, *arguments: str) -> Call:
        self.capsys.readouterr()
        code = main(list(arguments))
        out, err = self.capsys.readouterr()
        return Call(code, out, without_progress(err))

    def state(self) -> State:
        return read_state(self.root)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a piece of a definition file."""
        text = (self.root / file).read_text(encoding="utf-8")
        assert old in text
        (self.root / file).write_text(text.replace(old, new), encoding="utf-8")

    def rewrite(self, table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        """Change a table's Parquet file; returns what it holds now."""
        file = self.root / "data" / f"{table}.parquet"
        frame = change(pd.read_parquet(file))
        frame.to_parquet(file, index=False)
        return frame

    def stopped(self, *arguments: str, code: int, said: str) -> None:
        """A call that must end with `code` and exactly these words, and change nothing at all."""
        before = self.state()
        assert self.call(*arguments) == Call(code, "", said + "\n")
        assert self.state() == before

    def refused(self, *arguments: str, subject: str, kind: str, reason: str) -> None:
        """A call that must be refused with these words; a row in the ledger says so, and nothing else changes."""
        before = self.state()
        assert self.call(*arguments) == Call(3, "", f"refused ({kind}): {reason}\n")
        after = self.state()
        assert after.files == before.files
        assert after.entries[:-1] == before.entries
        entry = after.entries[-1]
        assert (entry["kind"], entry["subject"]) == ("report.refused", subject)
        assert (entry["payload"]["type"], entry["payload"]["reason"]) == (kind, reason)
        assert self.call("reports", "verify", "--all").code == self.call("ledger", "verify").code == 0


def without_progress(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("==> "))


def read_state(root: Path) -> State:
    """The files of the workspace but the cache; the ledger's, of which SQLite keeps more, are read entry by entry."""
    files = {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in sorted(root.rglob("*"))
        if path.relative_to(root).parts[0] not in {"ledger", "cache"} and path != root / "reports" / ".staging"
    }
    with open_ledger(open_workspace(root).ledger, create=False) as ledger:
        return State(files, [entry.to_dict() for entry in ledger.entries()])


def make_notebook(subject: str, cells: list[str]) -> str:
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": kernel | {"toolkit": {"subject": subject, "reads": ["predictions", "outcomes"]}},
            "cells": [
                {
                    "id": f"c{number}",
                    "cell_type": "code",
                    "metadata": {"tags": ["parameters"]} if number == 0 else {},
                    "execution_count": None,
                    "outputs": [],
                    "source": cell,
                }
                for number, cell in enumerate(cells)
            ],
        }
    )


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose template `looks` was run once; to be copied."""
    root = tmp_path_factory.mktemp("bad-input") / "small"
    write_workspace(root, *make_events())
    (root / "templates").mkdir()
    for name, template in {"looks": LOOKS, "plans": PLANS}.items():
        text = make_notebook(str(template["subject"]), list(template["cells"]))
        (root / "templates" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOOLKIT_WORKSPACE", str(root))
        assert main(["run", "looks"]) == 0
    return root


@pytest.fixture
def world(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> World:
    """A copy of `published` that the test stands in."""
    root = tmp_path / "small"
    shutil.copytree(published, root)
    monkeypatch.delenv("TOOLKIT_WORKSPACE", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.chdir(root)
    return World(root, capsys)
