from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_reports_gallery_prints_the_page(call: Run, published: Path) -> None:
    page = published / "reports" / "index.html"
    assert call("reports", "gallery") == (0, f"{page}\n", "")
    html = page.read_text(encoding="utf-8")
    assert 'href="greets/oslo/v0002/report.html"' in html
    assert 'href="compare/greets/oslo/v0001-v0002.html"' in html
    assert call("reports", "gallery", "--json").document == {
        "page": str(page), "reports": 2, "refused": 0, "failed": 0,
    }  # fmt: skip  # its lines group what belongs together
    assert call("reports", "verify", "--all") == (0, "verified 2 reports\n", "")
    assert len(call("reports", "list", "--json").document["reports"]) == 2


def test_reports_gallery_tells_of_what_failed_and_was_refused(call: Run, tiny: Path) -> None:
    assert call("run", "fails").code == 1
    assert call("run", "waits").code == 3
    assert call("reports", "gallery", "--json").document == {
        "page": str(tiny / "reports" / "index.html"), "reports": 0, "refused": 1, "failed": 1,
    }  # fmt: skip  # its lines group what belongs together
    html = (tiny / "reports" / "index.html").read_text(encoding="utf-8")
    assert "ready on 2013-05-01" in html
    assert "ZeroDivisionError: division by zero" in html
    assert ">The half-run notebook</a>" in html


def test_reports_gallery_of_an_empty_archive(call: Run, tiny: Path) -> None:
    assert call("reports", "gallery", "--json").document["reports"] == 0
    assert "Nothing is published yet." in (tiny / "reports" / "index.html").read_text(encoding="utf-8")
    assert not (tiny / "ledger").exists()
