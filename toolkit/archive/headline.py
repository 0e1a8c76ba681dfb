"""What a report is called and what it found, each in one line: for whatever lists reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

HEADLINES = ("headline", "decision", "title", "text")
"""Statistics whose row says what a report found; the first of these that `results.json` has is shown."""

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_HEAD_BYTES = 16_384


def find_headline(results: Mapping[str, Any]) -> str:
    """What a report found, in one line: its headline or decision with its first reason, or how many rows it has.

    >>> find_headline({"rows": [{"record": "verdict", "statistic": "decision", "value": "ship"}]})
    'ship'
    """
    rows = results["rows"]
    for statistic in HEADLINES:
        row = next((row for row in rows if row["statistic"] == statistic and isinstance(row["value"], str)), None)
        if row is None:
            continue
        reasons = (each["value"] for each in rows if (each["record"], each["statistic"]) == (row["record"], "reason"))
        reason = next(reasons, None) if statistic == "decision" else None
        return f"{row['value']}: {reason}" if reason else str(row["value"])
    return f"{len(rows)} result row{'' if len(rows) == 1 else 's'}"


def read_title(page: Path) -> str:
    """The title of a report's page; empty when its head has none. Raises `OSError`."""
    with page.open("rb") as stream:
        match = _TITLE.search(stream.read(_HEAD_BYTES).decode("utf-8", errors="replace"))
    return unescape(match[1]).strip() if match else ""
