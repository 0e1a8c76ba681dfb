"""The styles that all pages share, and those of one kind of page."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

FILES = Path(__file__).resolve().parent / "html"
REPORT = "report.css"
"""What every page begins with: type, colours in light and dark, tables, print."""


@cache
def read_styles(*more: str) -> str:
    """The text of a page's style element: the shared style, then each file named."""
    return "\n".join((FILES / sheet).read_text(encoding="utf-8") for sheet in (REPORT, *more))


def page_head(title: str, *, style: str, script: str) -> list[str]:
    """The lines of a self-contained page up to its body, with the policy by which `script` alone may run.

    `title` is HTML already; `style` and `script` are the texts of their elements.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<title>{title}</title>",
        f"<style>\n{style}</style>",
        "</head>",
    ]
