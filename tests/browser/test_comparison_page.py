"""A comparison in a real browser: nothing is fetched, nothing runs, and a phone can show it."""

from __future__ import annotations

import pytest
from browser.chromium import PHONE_PX
from compared_reports import make_two_versions, row, write_report

from toolkit.archive import compare_reports, comparison_html
from toolkit.archive.comparison_page import MOST_OPEN

CONTRAST = """
    const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = c => (([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b)(c.match(/\\d+/g).map(Number).map(part));
    const paper = light(getComputedStyle(document.body).backgroundColor);
    const ratio = ink => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return Math.min(...[...document.querySelectorAll('main *')].map(e => ratio(light(getComputedStyle(e).color))));
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = make_two_versions(tmp_path_factory.mktemp("compared"))
    for version, value in ((1, 1.0), (2, 2.0)):
        rows = [row(f"k{key}", "mean", value * (key + 1)) for key in range(MOST_OPEN + 5)]
        write_report(workspace, f"triage/many@{version}", rows)
    return workspace


def write_page(workspace, series):
    path = workspace.root / f"{series.replace('/', '-')}.html"
    comparison = compare_reports(workspace, f"{series}@1", f"{series}@2")
    path.write_text(comparison_html(comparison, workspace), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def page(workspace):
    return write_page(workspace, "triage/delay")


def test_the_page_is_one_file_and_no_value_of_the_data_runs(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert {url for url in browser.requested() if not url.startswith("data:image/png;base64")} == {page.as_uri()}
    assert browser.noise() == []
    assert browser.ask("document.title") == "triage/delay@1 and triage/delay@2"
    assert browser.ask("document.scripts.length") == 0


def test_figures_are_seen_beside_each_other_and_have_words(browser, page):
    browser.open(page.as_uri(), width=1200)
    assert browser.ask("[...document.images].every(i => i.naturalWidth > 0 && i.alt.length > 5)")
    pair = "[...document.querySelector('.pair').children].map(f => f.getBoundingClientRect())"
    assert browser.ask(f"(([a, b]) => a.top === b.top && a.right <= b.left)({pair})")


def test_a_phone_scrolls_tables_and_not_the_page(browser, page):
    browser.open(page.as_uri(), width=PHONE_PX)
    assert browser.ask("document.documentElement.scrollWidth") <= PHONE_PX
    assert browser.ask("Math.max(...[...document.images].map(i => i.getBoundingClientRect().right))") <= PHONE_PX
    wide = "[...document.querySelectorAll('.output')].filter(e => e.scrollWidth > e.clientWidth)"
    assert browser.ask(f"{wide}.length") >= 1
    assert browser.ask(f"{wide}.every(e => e.tabIndex === 0 && getComputedStyle(e).overflowX === 'auto')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_page(browser, page, scheme):
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page.as_uri(), width=1200)
    assert browser.ask(f"(() => {{{CONTRAST}}})()") >= 4.5  # WCAG 2.2, 1.4.3
    browser.call("Emulation.setEmulatedMedia", features=[])


def test_print_shows_what_is_folded_on_the_screen(browser, workspace):
    browser.open(write_page(workspace, "triage/many").as_uri(), width=1200)
    shown = "document.querySelector('details table').checkVisibility()"
    assert not browser.ask(shown)
    browser.call("Emulation.setEmulatedMedia", media="print")
    assert browser.ask(shown)
    browser.call("Emulation.setEmulatedMedia", media="")
