from __future__ import annotations

from pathlib import Path

import pytest
from git_trial import Trial, make_trial


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return make_trial(tmp_path / "trial")
