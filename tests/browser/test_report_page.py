"""A published report in a real browser: nothing is fetched, nothing runs, and a phone can show it."""

from __future__ import annotations

import pytest
from browser.chromium import PHONE_PX

from conftest import copy_flights
from toolkit.reports import RunRequest, run_report


@pytest.fixture(scope="module")
def page(flights_root, tmp_path_factory):
    workspace = copy_flights(flights_root, tmp_path_factory.mktemp("browser") / "flights")
    return run_report(RunRequest(workspace.root, "experiment_readout", {"experiment": "delay-v2"})).page


def test_the_page_is_one_file_and_quiet(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert {url for url in browser.requested() if not url.startswith("data:image/png;base64")} == {page.as_uri()}
    assert browser.noise() == []
    assert browser.ask("document.title") == "Experiment readout"


def test_a_phone_needs_no_sideways_scrolling(browser, page):
    browser.open(page.as_uri(), width=PHONE_PX)
    assert browser.ask("document.documentElement.scrollWidth") <= PHONE_PX
    assert browser.ask("Math.max(...[...document.images].map(i => i.getBoundingClientRect().right))") <= PHONE_PX


def test_code_is_folded_and_figures_have_words(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert browser.ask("document.querySelectorAll('details').length") >= 5
    assert browser.ask("document.querySelectorAll('details[open]').length") == 0
    assert browser.ask("[...document.images].length") >= 1
    assert browser.ask("[...document.images].every(i => i.naturalWidth > 0 && i.alt.length > 40)")
