from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_reports_gallery_prints_the_page(call: Run, published: Path) -> None:
    page = published / "reports" / "index.html"
    assert call("reports", "gallery") == (0, f"{page}\n", "")
    html = page.read_text(encoding="utf-8")
    assert html.index("greets/oslo/v0002/report.html") < html.index("greets/oslo/v0001/report.html")
    assert call("reports", "gallery", "--json").document == {
        "page": str(page), "reports": 2, "refused": 0, "failed": 0,
    }  # fmt: skip
    assert call("reports", "verify", "--all") == (0, "verified 2 reports\n", "")
    assert len(call("reports", "list", "--json").document["reports"]) == 2


def test_reports_gallery_of_an_empty_archive(call: Run, tiny: Path) -> None:
    assert call("reports", "gallery", "--json").document["reports"] == 0
    assert "Nothing is published yet." in (tiny / "reports" / "index.html").read_text(encoding="utf-8")
    assert not (tiny / "ledger").exists()
