"""The glossary of metrics in a real browser: nothing is fetched, words are found, a phone can show it."""

from __future__ import annotations

import pytest
from browser.chromium import PHONE_PX

from toolkit.cli.glossary_page import glossary_html
from toolkit.metrics.glossary import glossary

SHOWN = "[...document.querySelectorAll('article')].filter(a => a.offsetParent !== null).map(a => a.id).join(' ')"
SEARCH = """
(() => {
    const field = document.getElementById('query');
    field.value = %r;
    field.dispatchEvent(new Event('input'));
    return document.getElementById('count').textContent;
})()
"""


@pytest.fixture(scope="module")
def page(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "metrics.html"
    path.write_text(glossary_html("small", glossary(small.workspace), links={}), encoding="utf-8")
    return path


def test_the_page_is_one_file_and_its_script_is_the_one_that_runs(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert set(browser.requested()) == {page.as_uri()}
    assert browser.noise() == []
    assert browser.ask("document.title") == "Metrics of small"


def test_words_are_found_whatever_their_case_and_sections_without_any_are_hidden(browser, page):
    browser.open(page.as_uri(), width=1200)
    every = browser.ask(SHOWN)
    assert browser.ask(SEARCH % "LATENCY_MS mean") == "1 of 7"
    assert browser.ask(SHOWN) == "latency"
    assert browser.ask("[...document.querySelectorAll('section.role:not([hidden])')].length") == 1
    assert browser.ask(SEARCH % "") == ""
    assert browser.ask(SHOWN) == every


def test_a_phone_does_not_scroll_sideways(browser, page):
    browser.open(page.as_uri(), width=PHONE_PX)
    assert browser.ask("document.documentElement.scrollWidth") <= PHONE_PX
