"""A workspace with a schedule and a cheap template, and a run that publishes through the real archive, kernel apart.

As a script, it runs what is owed in the workspace given, as `toolkit due` does, and says when it begins.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from toolkit.archive import Reference, list_reports, load_manifest, report_folder
from toolkit.archive.versions import last_recorded, open_staging, publish, record_publication
from toolkit.digests import document_bytes
from toolkit.ledger import open_ledger
from toolkit.reports import Published, RunRequest
from toolkit.reports.manifest import list_files
from toolkit.schedule import Outcome, find_done, find_owed, load_schedules, run_due
from toolkit.windows import Window, parse_instant
from toolkit.workspace import Workspace, open_workspace

SETTINGS = 'schema_version = 2\nname = "trial"\n\n[tables]\n'
SCHEDULE = """\
schedules:
  monthly:
    template: review
    parameters: {period: "{month}", as_of: "{slot}"}
    calendar: {every: month, on: 3, at: "06:00"}
    zone: America/New_York
    catch_up: all
    start: 2013-05-01
    end: 2014-02-01
    owner: Ada
"""
MONTHS = [f"2013-{month:02d}" for month in range(4, 13)]
PARAMETERS = 'period: str = None  # the month\nlevels: list[int] = [1, 2]  # which\nas_of: str = ""  # ISO instant'
END = parse_instant("2014-03-01")


def make_notebook(*cells: str, reads: tuple[str, ...] = (), subject: str = "{period}") -> str:
    tags: list[dict[str, Any]] = [{"tags": ["parameters"]}, *({} for _ in cells[1:])]
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {
                "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
                "toolkit": {"subject": subject, "reads": list(reads)},
            },
            "cells": [
                {
                    "id": f"c{number}",
                    "cell_type": "code",
                    "metadata": metadata,
                    "execution_count": None,
                    "outputs": [],
                    "source": cell,
                }
                for number, (cell, metadata) in enumerate(zip(cells, tags, strict=True))
            ],
        }
    )


def make_workspace(root: Path, *, schedule: str = SCHEDULE, reads: tuple[str, ...] = ()) -> Workspace:
    (root / "templates").mkdir(parents=True)
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    (root / "schedule.yml").write_text(schedule, encoding="utf-8")
    notebook = make_notebook(PARAMETERS, "print(period, levels)", reads=reads)
    (root / "templates" / "review.ipynb").write_text(notebook, encoding="utf-8")
    return open_workspace(root)


def write_report(request: RunRequest) -> Reference:
    """Publish a report of one file for a request; the ledger is not told."""
    workspace = open_workspace(request.workspace_root)
    with open_staging(workspace) as staging, open_ledger(workspace.ledger) as ledger:
        staged = staging / "report"
        staged.mkdir()

        def finish(reference: Reference) -> None:
            (staged / "results.json").write_bytes(document_bytes({"schema_version": 1, "rows": []}))
            manifest = {
                "reference": str(reference),
                "files": list_files(staged, but="manifest.json"),
                "template": {"digest": "sha256:00"},
                "parameters": dict(request.parameters),
                "as_of": request.parameters.get("as_of"),
                "slot": request.slot.to_dict() if request.slot else None,
                "started_at": "2026-01-01T00:00:00Z",
            }
            (staged / "manifest.json").write_bytes(document_bytes(manifest))

        series = Reference(request.template, str(request.parameters["period"]))
        return publish(workspace, staged, series, after=last_recorded(ledger, series), finish=finish)


def cheap_run(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
    """What `run_report` does after its kernel: publish, then tell the ledger."""
    workspace = open_workspace(request.workspace_root)
    progress("starting the kernel")
    reference = write_report(request)
    with open_ledger(workspace.ledger) as ledger:
        record_publication(workspace, ledger, reference)
    folder = report_folder(workspace, reference)
    return Published(reference, folder, folder / "report.html", load_manifest(workspace, reference))


def dawdle(request: RunRequest, *, progress: Callable[[str], None]) -> Published:
    """A `cheap_run` with pauses in which it can be killed, before it publishes and before it records."""
    moments = random.Random()
    workspace = open_workspace(request.workspace_root)
    time.sleep(moments.uniform(0, 0.02))
    reference = write_report(request)
    time.sleep(moments.uniform(0, 0.02))
    with open_ledger(workspace.ledger) as ledger:
        record_publication(workspace, ledger, reference)
    folder = report_folder(workspace, reference)
    return Published(reference, folder, folder / "report.html", load_manifest(workspace, reference))


def say(word: str) -> None:
    """Tell the test that watches this process."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def hang(_: RunRequest, *, progress: Callable[[str], None]) -> Published:
    """A run that only ends when it is killed."""
    say("running")
    time.sleep(600)
    raise AssertionError


def fill(
    workspace: Workspace,
    *,
    now: datetime = END,
    span: Window | None = None,
    run: Callable[..., Published] = cheap_run,
    progress: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """One call of `toolkit due`."""
    schedules = load_schedules(workspace)
    with open_ledger(workspace.ledger, create=False) as ledger:
        owed = find_owed(schedules, find_done(workspace, ledger), now=now, span=span)
    return run_due(workspace, owed, run=run, progress=progress)


def slots_published(workspace: Workspace) -> list[str]:
    """The slots of every report there is, as often as they are there."""
    manifests = [load_manifest(workspace, reference) for reference in list_reports(workspace)]
    return sorted(manifest["slot"]["at"] for manifest in manifests)


if __name__ == "__main__":
    say("ready")
    for outcome in fill(open_workspace(sys.argv[1]), run={"dawdle": dawdle, "hang": hang}[sys.argv[2]]):
        say(outcome.state)
