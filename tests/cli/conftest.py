"""The command line called in this process, and workspaces to call it in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from triage.written_ideas import make_workspace as make_planned

from toolkit.cli import main
from toolkit.workspace import Workspace

SETTINGS = 'schema_version = 2\nname = "tiny"\n\n[tables]\n'
NOTEBOOKS = {
    "greets": {
        "subject": "{city}",
        "cells": ['city: str = "oslo"  # where\nlevels: int = 3  # how many', "print(city, levels)"],
    },
    "fails": {"subject": "all", "cells": ["word: str = ''  # any", "1 / 0"]},
    "waits": {
        "subject": "all",
        "cells": ["word: str = ''  # any", "import toolkit as tk\nraise tk.errors.NotReady('ready on 2013-05-01')"],
    },
}


class Call(NamedTuple):
    """What a call of the command line did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Call]:
    def run(*arguments: str | Path) -> Call:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Call(code, *capsys.readouterr())

    return run


def make_notebook(subject: str, cells: list[str]) -> str:
    tags: list[dict[str, Any]] = [{"tags": ["parameters"]}, *({} for _ in cells[1:])]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": kernel | {"toolkit": {"subject": subject, "reads": []}},
        "cells": [
            {
                "id": f"c{number}",
                "cell_type": "code",
                "metadata": metadata,
                "execution_count": None,
                "outputs": [],
                "source": cell,
            }
            for number, (cell, metadata) in enumerate(zip(cells, tags, strict=True))
        ],
    }
    return json.dumps(notebook)


def make_workspace(root: Path) -> Path:
    (root / "templates").mkdir(parents=True)
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    for name, notebook in NOTEBOOKS.items():
        text = make_notebook(str(notebook["subject"]), list(notebook["cells"]))
        (root / "templates" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with no workspace anywhere above."""
    monkeypatch.delenv("TOOLKIT_WORKSPACE", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tiny(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without data that the test stands in."""
    root = make_workspace(here / "tiny")
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def _published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_workspace(tmp_path_factory.mktemp("cli") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TOOLKIT_WORKSPACE", raising=False)
        patch.chdir(root)
        for level in ("3", "4"):
            assert main(["run", "greets", "-p", f"levels={level}"]) == 0
    return root


@pytest.fixture
def published(_published_once: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a workspace with two published reports, that the test stands in."""
    root = here / "tiny"
    shutil.copytree(_published_once, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def bare(here: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace without a report that the test stands in."""
    workspace = make_planned(here)
    monkeypatch.setenv("TOOLKIT_ACTOR", "Ada")
    return workspace
