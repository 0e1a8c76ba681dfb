"""The styles that all pages share, and those of one kind of page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILES = Path(__file__).resolve().parent / "html"
REPORT = "report.css"
"""What every page begins with: type, colours in light and dark, tables, print."""


@cache
def read_styles(*more: str) -> str:
    """The text of a page's style element: the shared style, then each file named."""
    return "\n".join((FILES / sheet).read_text(encoding="utf-8") for sheet in (REPORT, *more))
