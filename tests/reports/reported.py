"""A tiny workspace whose templates are the notebooks of this folder, and reports run in it once a session."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from toolkit.reports import Published, RunRequest, run_report, runner
from toolkit.workspace import Workspace, open_workspace

NOTEBOOKS = Path(__file__).parent / "notebooks"
SETTINGS = 'schema_version = 2\nname = "tiny"\n\n[tables]\n'
DAMAGED = ("not_json", "format_3", "damaged_cell", "bad_metadata", "python_2_parameters")


def make_workspace(root: Path) -> Workspace:
    root.mkdir(parents=True, exist_ok=True)
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    shutil.copytree(NOTEBOOKS, root / "templates")
    for name in DAMAGED:
        (root / "templates" / f"{name}.ipynb").unlink()
    return open_workspace(root)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace of this test's own, without reports."""
    return make_workspace(tmp_path / "tiny")


@pytest.fixture(scope="session")
def told() -> list[str]:
    """What the run behind `published` told about its progress."""
    return []


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, told: list[str]) -> Published:
    """`saves` really run, in a workspace that no test changes; its folder's fourth parent is the workspace."""
    workspace = make_workspace(tmp_path_factory.mktemp("published") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "find_as_of", lambda _: datetime(2013, 5, 1, tzinfo=UTC))
        request = RunRequest(workspace.root, "saves", {"city": "oslo", "levels": "[3, 4]"})
        return run_report(request, progress=told.append)


@pytest.fixture
def archive(published: Published, tmp_path: Path) -> Workspace:
    """A copy of the workspace with the published report, free to be changed."""
    shutil.copytree(published.folder.parents[3], tmp_path / "copy")
    return open_workspace(tmp_path / "copy")
