"""A report as one HTML page: self-contained, nothing fetched, no script, code folded.

The page forbids itself scripts and requests (a content security policy), so whatever HTML a notebook puts out stays
still. One exporter is kept per process: making one costs more than rendering.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from toolkit.archive.styles import read_styles

_RENDERING = Lock()  # the exporter registers filters anew for every notebook
_LOG = logging.getLogger("toolkit.reports.render")
_LOG.addHandler(logging.NullHandler())


def render_html(
    notebook: Any,
    *,
    title: str,
    facts: Sequence[str],
    left_out: Sequence[str] = (),
    failure: str = "",
    failed_cell: int | None = None,
) -> str:
    """The page of an executed notebook; the same notebook and words give the same bytes.

    Parameters
    ----------
    notebook: an nbformat notebook.
    title: of the page.
    facts: short texts for the line at the top: reference, as-of, time of publication.
    left_out: a line on each rule of the data's contract that rows broke and were left out for.
    failure: what to say at the top when the run failed; `failed_cell` (index from 0) is then shown open.
    """
    report = {
        "style": read_styles(),
        "title": title,
        "facts": list(facts),
        "left_out": list(left_out),
        "failure": failure,
        "failed_cell": failed_cell,
    }
    with _RENDERING:
        page, _ = _exporter().from_notebook_node(notebook, resources={"report": report})
    return str(page)


def _find_lexer(notebook: Any) -> str:
    """The Pygments lexer of a notebook's code; plain text for a language that it does not know."""
    from pygments.lexers import find_lexer_class_by_name
    from pygments.util import ClassNotFound

    language = notebook.metadata.get("language_info", {})
    named = language.get("pygments_lexer", language.get("name", "ipython3"))
    try:
        find_lexer_class_by_name(named)
    except (ClassNotFound, AttributeError):  # a mapping: CodeMirror's own form
        return "text"
    return str(named)


@cache
def _exporter() -> Any:
    from nbconvert.exporters import HTMLExporter, TemplateExporter
    from nbconvert.filters.highlight import Highlight2HTML

    class PageExporter(HTMLExporter):
        """nbconvert's HTML exporter without what our template does itself.

        Its own last step parses the whole page again, for the words of images and the focus of cells, and between
        preprocessors it checks the notebook over and over: together most of what rendering costs.
        """

        def from_notebook_node(self, nb: Any, resources: Any = None, **options: Any) -> Any:
            self.register_filter("highlight_code", Highlight2HTML(pygments_lexer=_find_lexer(nb), parent=self))
            return TemplateExporter.from_notebook_node(self, nb, resources, **options)

    return PageExporter(
        template_name="html",
        extra_template_basedirs=[str(Path(__file__).resolve().parent)],
        exclude_anchor_links=True,
        default_preprocessors=[],
        log=_LOG,
    )
