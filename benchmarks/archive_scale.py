"""What does an archive of 10,000 versions cost? Publishing, verifying, finding, and looking for what a crash left.

    python benchmarks/archive_scale.py [VERSIONS]

The archive is made by the tests' own generator: real files of a small report, 50 versions of each subject. Each figure
is the median of its runs, in this process, files mostly in the system's cache. Prints Markdown. Exits 1 when verifying
one report takes more than 50 ms.
"""

from __future__ import annotations

import itertools
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "archive"))

from synthetic_archive import START, make_archive, make_files, make_manifest

from toolkit.archive import (
    Reference,
    list_reports,
    reconcile,
    search_reports,
    verify_all,
    verify_report,
)
from toolkit.archive.index import refresh
from toolkit.archive.versions import last_recorded, open_staging, publish, record_publication
from toolkit.digests import document_bytes
from toolkit.ledger import Ledger, open_ledger
from toolkit.workspace import Workspace

VERSIONS = 10_000
VERSIONS_OF_A_SUBJECT = 50
MOST_MS_TO_VERIFY = 50
SERIES = Reference("triage", "model-003")


def measure(name: str, act: Callable[[], object], *, runs: int) -> float:
    """Run `act` so many times, print a row, and return the median of its wall time in ms."""
    walls, before = [], resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(runs):
        start = time.perf_counter()
        act()
        walls.append((time.perf_counter() - start) * 1000)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / runs
    median = statistics.median(walls)
    print(f"| {name} | {runs} | {median:,.1f} | {max(walls):,.1f} | {cpu:,.1f} |", flush=True)
    return median


def publish_one(workspace: Workspace, ledger: Ledger, *, record: bool = True) -> None:
    """Stage, bring to disk, number and record the next version of a report, as a run does."""
    with open_staging(workspace) as staging:
        (staged := staging / "report").mkdir()

        def finish(reference: Reference) -> None:
            files = make_files(reference)
            for name, content in files.items():
                (staged / name).write_bytes(content)
            manifest = make_manifest(reference, files, finished_at=START)
            (staged / "manifest.json").write_bytes(document_bytes(manifest))

        reference = publish(workspace, staged, SERIES, after=last_recorded(ledger, SERIES), finish=finish)
    if record:
        record_publication(workspace, ledger, reference)


def remove_index(workspace: Workspace) -> None:
    """As a person would who does not trust it."""
    for path in workspace.reports.glob(".index.sqlite*"):
        path.unlink()


def main() -> int:
    """Make the archive, print one row per step."""
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else VERSIONS
    subjects = max(8, versions // VERSIONS_OF_A_SUBJECT)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_archive(Path(folder) / "large", subjects=subjects, versions=versions // subjects)
        published = list_reports(workspace)
        some = itertools.cycle(published[:: max(1, len(published) // 100)])
        print(f"{len(published):,} versions of {subjects} subjects\n")
        print("| step | runs | ms, median | ms, worst | CPU ms, mean |\n|---|---|---|---|---|")
        with open_ledger(workspace.ledger) as ledger:
            measure("publish and record one more (fsync)", lambda: publish_one(workspace, ledger), runs=30)
            measure("find what a crash left (`reconcile`), nothing", lambda: reconcile(workspace, ledger), runs=20)
            publish_one(workspace, ledger, record=False)
            measure("`reconcile` that records one", lambda: reconcile(workspace, ledger), runs=1)
        each = measure("verify one report", lambda: verify_report(workspace, next(some)), runs=100)
        wall = measure("verify all", lambda: verify_all(workspace), runs=1)
        print(f"| … for each | | {wall / len(published):,.2f} | | |")
        measure("index: built from nothing", lambda: refresh(workspace), runs=1)
        measure("index: brought up to date, nothing new", lambda: refresh(workspace), runs=20)
        for name, conditions in (
            ("latest of every subject", {"latest": True}),
            ("latest of one template, ten of them", {"template": "triage", "latest": True, "limit": 10}),
            ("by parameter", {"parameters": {"model": "model-003", "window_days": "28"}}),
            ("full text", {"text": "model-007 better"}),
            ("all", {}),
        ):
            found = len(search_reports(workspace, **conditions))
            measure(f"find {name}: {found:,}", lambda given=conditions: search_reports(workspace, **given), runs=10)
            with patch("toolkit.archive.index._fill"):
                measure("… the query alone", lambda given=conditions: search_reports(workspace, **given), runs=10)
        size = (workspace.reports / ".index.sqlite").stat().st_size
        print(f"\nThe index takes {size / 2**20:,.1f} MiB. Finding includes bringing the index up to date.")
    return int(each > MOST_MS_TO_VERIFY)


if __name__ == "__main__":
    raise SystemExit(main())
