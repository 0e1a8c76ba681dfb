"""Own files, imported into an empty workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from file_imports import SETTINGS, Import, map_file

from toolkit.data.imports import Imported, import_file
from toolkit.data.wishes import Wishes
from toolkit.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    return open_workspace(tmp_path / "w")


@pytest.fixture
def bring(workspace: Workspace, tmp_path: Path) -> Import:
    """Write these lines to a file and import it."""

    def run(lines: list[str] | bytes, name: str = "own.csv", table: str = "predictions", **wishes: Any) -> Imported:
        content = lines if isinstance(lines, bytes) else ("\n".join(lines) + "\n").encode()
        (tmp_path / name).write_bytes(content)
        return import_file(workspace, map_file(tmp_path / name, table, wishes=Wishes(**wishes)))

    return run
