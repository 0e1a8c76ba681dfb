from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from reviewed_model import look, write_review

if TYPE_CHECKING:
    from toolkit.reviews import PeriodReview
    from toolkit.workspace import Workspace


@pytest.fixture(scope="session")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """To be read only."""
    return write_review(tmp_path_factory.mktemp("reviewed"))


@pytest.fixture(scope="session")
def review(reviewed: Workspace) -> PeriodReview:
    return look(reviewed)
