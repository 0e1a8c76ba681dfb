"""The page of a comparison: one file, quiet, readable without eyes, and whatever the data say is only text."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from compared_reports import NEW_BARS, OLD_BARS, SAME_BARS, SCRIPT, make_two_versions, row, write_report

from toolkit.archive import compare_reports, comparison_html
from toolkit.archive.changes import Tolerance
from toolkit.archive.compare import compare_versions, load_version
from toolkit.archive.comparison_page import MOST_OPEN

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements with their attributes and text, and whether every one that was opened was closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements = [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self.open:
            text.append(data)

    def all(self, tag, **attributes):
        found = (each for each in self.elements if each[0] == tag)
        return [each for each in found if all(each[1].get(name) == value for name, value in attributes.items())]

    def text(self, tag, **attributes):
        return [" ".join("".join(each[2]).split()) for each in self.all(tag, **attributes)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return make_two_versions(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def html(workspace):
    return comparison_html(compare_reports(workspace, "triage/delay@1", "triage/delay@2"), workspace)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_is_one_file_that_forbids_itself_scripts_and_requests(html, page):
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert [meta["content"] for _, meta, _ in policy] == [
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    ]
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert "http:" not in html
    assert "https:" not in html
    addresses = [value for _, meta, _ in page.elements for name, value in meta.items() if name in ("href", "src")]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)
    assert not any(name.startswith("on") for _, meta, _ in page.elements for name in meta)


def test_what_the_data_say_is_only_text(html, page):
    assert "<script" not in html
    cells = page.text("td") + page.text("th")
    assert SCRIPT in cells
    assert f"new, carrier={SCRIPT} notes, no window" in cells
    assert any(meta["alt"] == f"Bars of May {SCRIPT}" for _, meta, _ in page.all("img"))


def test_every_table_says_what_it_is_and_every_heading_what_it_heads(page):
    tables, captions = page.all("table"), page.text("caption")
    assert len(tables) == len(captions) == len(page.all("thead"))
    assert captions == [
        "Inputs that differ",
        "Rows that crossed a threshold",
        "Rows that flipped sign",
        "Rows that became absent",
        "Rows that became known",
        "Rows that appeared",
        "Rows that vanished",
        "Rows that moved",
        "Rows that changed text",
    ]
    assert all(meta.get("scope") in ("col", "row") for _, meta, _ in page.all("th"))
    bodies = len(page.all("tr")) - len(tables)
    assert len(page.all("th", scope="row")) == bodies
    assert all(meta["tabindex"] == "0" and meta["aria-label"] for _, meta, _ in page.all("div", role="group"))


def test_the_counts_lead_to_their_tables(page):
    counts = dict(zip(page.text("a"), [meta["href"] for _, meta, _ in page.all("a")], strict=True))
    assert counts["3 crossed a threshold"] == "#crossed"
    ids = {meta.get("id") for _, meta, _ in page.all("section")}
    assert {href.removeprefix("#") for href in counts.values()} <= ids
    assert "3 same" in page.text("li")


def test_the_first_thing_told_is_a_verdict(page):
    start = page.text("td").index("verdict")
    assert page.text("th", scope="row").count("brier moves") == 2
    assert page.text("td")[start : start + 5] == ["verdict", "no evidence", "worse", "", "the verdict changed"]
    assert page.text("td").index("change") > start
    (usual,) = [text for text in page.text("p") if text.startswith("Where nothing else")]
    assert usual == ("Where nothing else is said, rows speak of 2013-04-01 … 2013-04-30 → 2013-05-01 … 2013-05-31.")


def test_figures_stand_side_by_side_and_equal_ones_once(page):
    sources = [meta["src"].removeprefix("data:image/png;base64,") for _, meta, _ in page.all("img")]
    pictures = (OLD_BARS, NEW_BARS, NEW_BARS, SAME_BARS)
    assert sources == [b64encode(picture.png).decode() for picture in pictures]
    assert [meta["alt"] for _, meta, _ in page.all("img")] == [picture.alt for picture in pictures]
    assert page.text("figcaption") == [
        "triage/delay@1",
        "triage/delay@2",
        "triage/delay@2",
        "triage/delay@1 and triage/delay@2",
    ]
    states = [text for text in page.text("p") if text[0] in "=≠+−"]
    assert states == ["≠ different", "+ only in the second report", "= the same bytes in both"]


def test_the_same_comparison_gives_the_same_bytes(workspace, html):
    assert comparison_html(compare_reports(workspace, "triage/delay@1", "triage/delay@2"), workspace) == html


def test_links_lead_to_the_reports_where_the_caller_says_they_lie(workspace):
    comparison = compare_reports(workspace, "triage/delay@1", "triage/delay@2")
    page = Page(comparison_html(comparison, workspace, links=("v0001/report.html", 'v0002/"report".html')))
    links = {text: meta["href"] for text, (_, meta, _) in zip(page.text("a"), page.all("a"), strict=True)}
    assert links["triage/delay@1"] == "v0001/report.html"
    assert links["triage/delay@2"] == 'v0002/"report".html'


def test_a_report_beside_itself_needs_no_table(workspace):
    page = Page(comparison_html(compare_reports(workspace, "triage/delay@2", "triage/delay@2"), workspace))
    assert page.all("table") == []
    assert "All 13 result rows are the same." in page.text("p")
    assert "It is one report, compared with itself." in page.text("p")


def test_many_rows_are_folded_behind_the_first(tmp_path):
    workspace = make_two_versions(tmp_path)
    for number, value in (("1", 1.0), ("2", 2.0)):
        rows = [row(f"k{key}", "mean", value * (key + 1)) for key in range(MOST_OPEN + 5)]
        write_report(workspace, f"triage/many@{number}", rows)
    page = Page(comparison_html(compare_reports(workspace, "triage/many@1", "triage/many@2"), workspace))
    assert page.text("summary") == ["5 more that moved"]
    assert len(page.all("th", scope="row")) == MOST_OPEN + 5


def test_reports_without_rows_say_so(tmp_path):
    workspace = make_two_versions(tmp_path)
    write_report(workspace, "triage/none@1", [])
    write_report(workspace, "triage/none@2", [])
    page = Page(comparison_html(compare_reports(workspace, "triage/none@1", "triage/none@2"), workspace))
    assert page.text("li") == ["no result rows in either report"]
    assert "Neither report has result rows." in page.text("p")


def test_a_figure_that_cannot_be_read_is_named(tmp_path):
    workspace = make_two_versions(tmp_path)
    folder = workspace.reports / "triage/delay"
    (folder / "v0001/figures/bars.png").unlink()
    (folder / "v0002/report.ipynb").write_text("{")
    page = Page(comparison_html(compare_reports(workspace, "triage/delay@1", "triage/delay@2"), workspace))
    assert "figures/bars.png cannot be read (No such file or directory)" in page.text("p")
    assert [meta["alt"] for _, meta, _ in page.all("img")] == ["bars.png", "new.png", SAME_BARS.alt]


def test_a_re_run_is_shown_without_its_figures(workspace):
    published = load_version(workspace, "triage/delay@1")
    rerun = load_version(workspace, "triage/delay@2")
    comparison = compare_versions(published, replace(rerun, name="the re-run"), Tolerance())
    page = Page(comparison_html(comparison, workspace))
    assert page.text("p").count("figures/bars.png was not kept") == 1
    assert [meta["alt"] for _, meta, _ in page.all("img")] == [OLD_BARS.alt, SAME_BARS.alt]


def test_notebooks_that_split_their_pictures_into_lines_have_their_words_too(tmp_path):
    workspace = make_two_versions(tmp_path)
    notebook = workspace.reports / "triage/delay/v0001/report.ipynb"
    text = notebook.read_text()
    (data,) = re.findall(r'"image/png": "([^"]{20,})"', text)[:1]
    notebook.write_text(text.replace(data, f"{data[:10]}\\n{data[10:]}"))
    page = Page(comparison_html(compare_reports(workspace, "triage/delay@1", "triage/delay@2"), workspace))
    assert page.all("img")[0][1]["alt"] == OLD_BARS.alt
