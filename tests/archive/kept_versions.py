"""Archives with rules of retention."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from synthetic_archive import SETTINGS, make_archive

from toolkit.archive import Reference
from toolkit.archive.retention import Pruning
from toolkit.workspace import Workspace

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DELAY = Reference("triage", "model-000")
LAST_TWO = "[retention]\nkeep_last = 2\n"


def keeping(tmp_path: Path, rules: str, *, subjects: int = 1, versions: int = 5) -> Workspace:
    """An archive with these rules; of one subject, unless told otherwise, all of template `triage`."""
    return make_archive(
        tmp_path / "kept", subjects=subjects, versions=versions, templates=["triage"], settings=SETTINGS + rules
    )


def kept(judged: Pruning) -> dict[int, str]:
    """Why each version that stays does, by its number."""
    return {each.reference.version or 0: each.reason for each in judged.judgements if each.kept}


@pytest.fixture
def five(tmp_path: Path) -> Workspace:
    """Five versions of one report, of which the last two are kept."""
    return keeping(tmp_path, LAST_TWO)
