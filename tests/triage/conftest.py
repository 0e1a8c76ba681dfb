from __future__ import annotations

from pathlib import Path

import pytest
from triage.written_ideas import make_workspace

from toolkit.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)
