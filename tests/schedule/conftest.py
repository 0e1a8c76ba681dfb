from __future__ import annotations

from pathlib import Path

import pytest
from schedule_trial import make_workspace

from toolkit.workspace import Workspace


@pytest.fixture
def trial(tmp_path: Path) -> Workspace:
    """A workspace with nine monthly slots, none of them done."""
    return make_workspace(tmp_path / "trial")
