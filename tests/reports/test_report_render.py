from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from toolkit.reports import Published
from toolkit.reports.render import render_html

PNG = "iVBORw0KGgo="


def make_notebook(*outputs: dict[str, Any], source: str = "value", prose: str = "# Title") -> Any:
    cells = [nbformat.v4.new_markdown_cell(prose), nbformat.v4.new_code_cell(source, outputs=list(outputs))]
    return nbformat.v4.new_notebook(cells=cells)


def shown(data: dict[str, Any], **metadata: Any) -> Any:
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)


def render(notebook: Any, **more: Any) -> str:
    return render_html(notebook, title="Title", facts=["triage/delay@1"], **more)


def test_a_published_page_asks_for_nothing_and_reads_on_a_phone(published: Published) -> None:
    page = published.page.read_text(encoding="utf-8")
    assert re.findall(r"""(?:src|href|action)\s*=\s*(?!["']?data:)[^>]*""", page) == []
    assert not re.search(r"@import|url\(|<script|<link", page)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert page.count('<details class="code">') == 6
    assert "<details open" not in page
    for rule in ("prefers-color-scheme: dark", "@media print", "overflow-x: auto", "max-width: 100%"):
        assert rule in page


def test_the_page_says_what_it_is(published: Published) -> None:
    page = published.page.read_text(encoding="utf-8")
    assert "<title>What a city saved</title>" in page
    assert "<span>saves/oslo@1</span><span>as of 2013-05-01T00:00:00Z</span><span>published " in page
    assert re.search(r'<img src="data:image/png;base64,[^"]*" alt="two bars">', page)


def test_rendering_twice_gives_the_same_bytes() -> None:
    first, second = (make_notebook(shown({"text/html": "<b>1</b>"}), shown({"image/png": PNG})) for _ in range(2))
    assert render(first) == render(second)  # new cell ids, same page


@pytest.mark.parametrize(
    ("data", "metadata", "expected"),
    [
        ({"text/plain": "<script>alert(1)</script>"}, {}, "<pre>&lt;script&gt;alert(1)&lt;/script&gt;</pre>"),
        ({"text/latex": "<script>"}, {}, "<pre>&lt;script&gt;</pre>"),
        ({"text/html": "<b>bold</b>", "text/plain": "plain"}, {}, "<b>bold</b>"),
        ({"text/markdown": "*slanted*"}, {}, "<p><em>slanted</em></p>"),
        (
            {"image/png": PNG, "text/plain": "p"},
            {"image/png": {"alt": 'a "b" <c>'}},
            f'<img src="data:image/png;base64,{PNG}" alt="a &quot;b&quot; &lt;c&gt;">',
        ),
        ({"image/jpeg": PNG}, {}, f'<img src="data:image/jpeg;base64,{PNG}" alt="Figure without a description">'),
        ({"image/svg+xml": "<svg/>"}, {}, 'src="data:image/svg+xml;base64,PHN2Zy8+" alt='),
        (
            {"application/javascript": "alert(1)"},
            {},
            "Output of type application/javascript is not shown here; it is in report.ipynb.",
        ),
        ({"application/vnd.jupyter.widget-view+json": {"model_id": "a"}, "text/plain": "w"}, {}, "<pre>w</pre>"),
    ],
)
def test_each_kind_of_output_is_shown_still(data: dict[str, Any], metadata: Any, expected: str) -> None:
    page = render(make_notebook(shown(data, **metadata)))
    assert expected in page
    assert "<script" not in page


def test_a_script_in_html_output_is_forbidden_by_the_page_itself() -> None:
    page = render(make_notebook(shown({"text/html": "<script>alert(1)</script>"})))
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none';")
    assert "script-src" not in policy[1]
    assert page.index("Content-Security-Policy") < page.index("<script>alert(1)")


def test_streams_and_tracebacks_are_escaped() -> None:
    page = render(
        make_notebook(
            nbformat.v4.new_output("stream", name="stderr", text="<i>"),
            nbformat.v4.new_output("error", ename="E", evalue="", traceback=["\x1b[31m<u>\x1b[0m"]),
        )
    )
    assert '<pre class="stderr">&lt;i&gt;</pre>' in page
    assert '<pre class="error"><span class="ansi-red-fg">&lt;u&gt;</span>' in page


def test_the_failing_cell_is_open_and_the_failure_on_top() -> None:
    page = render(make_notebook(source="1 / 0"), failure="it <failed>", failed_cell=1)
    assert '<p class="failure" role="alert">it &lt;failed&gt;</p>' in page
    assert '<details class="code" open>' in page


def test_names_in_title_and_facts_are_escaped() -> None:
    page = render_html(make_notebook(), title="<a>", facts=["<b>"])
    assert "<title>&lt;a&gt;</title>" in page
    assert "<span>&lt;b&gt;</span>" in page
