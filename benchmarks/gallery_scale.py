"""Does the gallery of 10,000 reports open in a browser before anybody waits? Written, opened five times, and searched.

The archive is laid down without running anything: 200 subjects of 50 versions each. Needs Debian's chromium and the
development requirements. Exits 1 when the page takes 2 seconds or more to open, or to show its first search result.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from archive.synthetic_archive import make_archive
from browser.chromium import Browser, open_browser

from toolkit.archive import write_gallery
from toolkit.workspace import Workspace

SUBJECTS, VERSIONS, REFUSED = 200, 50, 300
RUNS = 5
MOST_OPEN_S = 2.0
QUERIES = (
    "m",
    "model-04",
    "model-042",
    "better",
    "retrospective worse",
    "window_days=28",
    "day 17",
    "nothing has this",
)

ASK_AT_ONCE = """
addEventListener("load", () => {
  const query = document.getElementById("query");
  query.value = "model-042";
  query.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => { globalThis.firstResult = performance.now(); }));
});
"""
"""Searches as soon as the page has loaded; the moment after the frame with its results is kept."""

SEARCH = """
new Promise((resolve) => {
  const query = document.getElementById("query"), start = performance.now();
  query.value = %r;
  query.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
})
"""


def wait(browser: Browser, expression: str) -> Any:
    """What an expression gives, once it or the promise it makes is there."""
    answer = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    return answer["result"]["value"]


def measure(page: Path) -> tuple[list[float], list[float], list[float]]:
    """Seconds until the page has loaded and until its first result is shown, and those of each query."""
    loads, firsts, searches = [], [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, open_browser(Path(profile)) as browser:
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=ASK_AT_ONCE)
        for _ in range(RUNS):
            browser.open(page.as_uri(), width=1280)
            while wait(browser, "globalThis.firstResult ?? 0") == 0:
                time.sleep(0.02)
            loads.append(wait(browser, "performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
            firsts.append(wait(browser, "firstResult") / 1000)
            searches += [wait(browser, SEARCH % query) / 1000 for query in QUERIES]
    return loads, firsts, searches


def write(workspace: Workspace) -> float:
    """Seconds that writing the gallery takes."""
    start = time.perf_counter()
    write_gallery(workspace)
    return time.perf_counter() - start


def main() -> int:
    """Print one line per step."""
    with tempfile.TemporaryDirectory() as base:
        workspace = make_archive(Path(base) / "archive", subjects=SUBJECTS, versions=VERSIONS, refused=REFUSED)
        page = workspace.reports / "index.html"
        first, again = write(workspace), write(workspace)
        loads, firsts, searches = measure(page)
        size_mb = page.stat().st_size / 1e6
    load, shown = statistics.median(loads), statistics.median(firsts)
    print(f"{SUBJECTS * VERSIONS:,} reports on {SUBJECTS} subjects; the page has {size_mb:.1f} MB\n")
    print("| step | times | median s | longest s |\n|---|---|---|---|")
    print(f"| write it, with the index and {SUBJECTS} comparisons | 1 | {first:.2f} | {first:.2f} |")
    print(f"| write it again | 1 | {again:.2f} | {again:.2f} |")
    print(f"| open it, until it has loaded | {RUNS} | {load:.2f} | {max(loads):.2f} |")
    print(f"| open it, until the first search result is shown | {RUNS} | {shown:.2f} | {max(firsts):.2f} |")
    print(f"| search | {len(searches)} | {statistics.median(searches):.3f} | {max(searches):.3f} |")
    return int(max(load, shown) >= MOST_OPEN_S)


if __name__ == "__main__":
    sys.exit(main())
