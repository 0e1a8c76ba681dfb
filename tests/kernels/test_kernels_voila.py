"""Voilà, unchanged, with forked kernels: its pages, its widgets in a browser, and what is left when it has gone."""

from __future__ import annotations

import importlib.util
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser.chromium import open_browser
from kernels.conftest import eventually, is_running
from kernels.voila_server import kernel_in, outputs_in, serving, write_notebook

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("voila") is None, reason="needs voila, which requirements-dev.lock brings"
    ),
]
READOUT = "document.querySelector('.widget-readout')?.textContent ?? ''"
TEXT = "document.body.innerText"
PRESS = "document.querySelector('.jupyter-button').click() ?? 'pressed'"


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "page.ipynb"
    write_notebook(path)
    return path


def test_a_page_has_what_its_forked_kernel_put_out(notebook: Path) -> None:
    with serving(notebook) as server:
        page = server.get()
        pid, how = kernel_in(page)
        assert how == "forked"
        assert is_running(pid)
        view, figure = outputs_in(page)
    assert "application/vnd.jupyter.widget-view+json" in view["data"]
    assert "image/png" in figure["data"]


def test_warm_and_cold_pages_differ_in_the_kernel_only(notebook: Path) -> None:
    kinds = {}
    for warm in (False, True):
        with serving(notebook, warm=warm) as server:
            page = server.get()
        kinds[kernel_in(page)[1]] = [sorted(output["data"]) for output in outputs_in(page)]
    assert sorted(kinds) == ["cold", "forked"]
    assert kinds["cold"] == kinds["forked"]


def test_readers_at_once_have_kernels_of_their_own(notebook: Path) -> None:
    with serving(notebook) as server, ThreadPoolExecutor(4) as readers:
        kernels = [kernel_in(page) for page in readers.map(lambda _: server.get(), range(4))]
        assert len({pid for pid, _ in kernels}) == 4
        assert {how for _, how in kernels} == {"forked"}
        assert all(is_running(pid) for pid, _ in kernels)


def test_kernels_that_wait_for_readers_are_forked_too(notebook: Path) -> None:
    with serving(notebook, "--preheat_kernel=True", "--pool_size=2") as server:
        kernels = [kernel_in(server.get()) for _ in range(3)]
    assert len({pid for pid, _ in kernels}) == 3
    assert {how for _, how in kernels} == {"forked"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.usefixtures("hearing_ctrl_c")
def test_nothing_is_left_when_the_server_has_gone(notebook: Path, number: signal.Signals) -> None:
    with serving(notebook) as server:
        kernels = {kernel_in(server.get())[0] for _ in range(2)}
        family = server.family()
        assert kernels < family
        server.close(number)
        assert not any(is_running(pid) for pid in family)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium: widgets live in a browser")
def test_widgets_talk_with_their_forked_kernel(notebook: Path, tmp_path: Path) -> None:
    with serving(notebook) as server, open_browser(tmp_path / "profile") as browser:
        browser.open(server.url, width=1000)
        assert eventually(lambda: browser.ask(READOUT) == "37")
        text = str(browser.ask(TEXT))
        assert kernel_in(text)[1] == "forked"
        assert "twice is 74" in text
        browser.ask(PRESS)
        assert eventually(lambda: "twice is 82" in str(browser.ask(TEXT)))
