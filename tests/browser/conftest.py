"""One browser for all tests of this folder; they are skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from browser.chromium import Browser, open_browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("needs Debian's chromium (.ci/run installs it): a page is judged by a browser")
    with open_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found
