"""Reports laid into an archive and its ledger as a run would, with the rows that a test wants, and their gallery."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from toolkit.archive import Reference
from toolkit.archive.versions import open_staging, publish, record_publication
from toolkit.digests import document_bytes
from toolkit.ledger import open_ledger
from toolkit.reports.manifest import list_files
from toolkit.workspace import Workspace
from toolkit.workspace.environment import Actor

START = datetime(2026, 1, 1, 8, tzinfo=UTC)
ADA = Actor("ada", "asserted")
DECISION = {"record": "verdict", "statistic": "decision", "value": "ship"}
REASON = {"record": "verdict", "statistic": "reason", "value": "primary brier is better."}
NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


def headline(text: str) -> dict[str, Any]:
    return {"record": "summary", "statistic": "headline", "value": text}


def number(key: str, value: float, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    bounds = {"ci_lower": lower, "ci_upper": upper}
    return {"record": "moves", "key": key, "statistic": "period", "unit": "", "segment": "", "value": value, **bounds}


def lay(
    workspace: Workspace,
    series: str,
    *rows: dict[str, Any],
    title: str = "Triage",
    hours: int = 0,
    recorded: bool = True,
    **more: Any,
) -> Reference:
    """Publish the next version of a report that was finished `hours` after the start; `more` is for the manifest."""
    finished = (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
    with open_staging(workspace) as staging:
        staged = staging / "report"
        staged.mkdir()

        def finish(reference: Reference) -> None:
            (staged / "results.json").write_bytes(document_bytes({"schema_version": 1, "rows": list(rows)}))
            (staged / "report.ipynb").write_bytes(document_bytes(NOTEBOOK))
            (staged / "report.html").write_text(f"<!DOCTYPE html><title>{title}</title>", encoding="utf-8")
            manifest = {
                "reference": str(reference),
                "files": list_files(staged, but="manifest.json"),
                "template": {"digest": "sha256:00"},
                "parameters": {},
                "trends": ["moves.period"],
                "as_of": "2013-05-01T00:00:00Z",
                "started_at": finished,
                "finished_at": finished,
            }
            (staged / "manifest.json").write_bytes(document_bytes(manifest | more))

        reference = publish(workspace, staged, Reference.parse(series), after=0, finish=finish)
    if recorded:
        with open_ledger(workspace.ledger) as ledger:
            record_publication(workspace, ledger, reference)
    return reference


def stop(workspace: Workspace, kind: str, subject: str, *, hours: int = 0, **detail: str) -> None:
    at = START + timedelta(hours=hours)
    with open_ledger(workspace.ledger) as ledger:
        ledger.append(
            kind=f"report.{kind}", subject=subject, payload=detail, actor=ADA, effective_at=at, recorded_at=at
        )


class Page(HTMLParser):
    """The text of a page by its parts, its links, and every tag it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action", "data"}]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.tags[-1:] != ["style"] and data.strip():
            self.words.append(data.strip())

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])

    def part(self, first: str, last: str | None = None) -> list[str]:
        """The words from a heading on, up to another one."""
        start = self.words.index(first)
        return self.words[start : self.words.index(last, start) if last else None]


def read(workspace: Workspace) -> Page:
    return Page((workspace.reports / "index.html").read_text(encoding="utf-8"))


def found(page: Page) -> list[list[str]]:
    """What the script finds: state, series, version or link, what is said, as-of, when, and what else."""
    data = page.data
    words = data["texts"]
    return [
        [data["states"][state], words[series], own, words[said], as_of, when, words[more]]
        for state, series, own, said, as_of, when, more in data["rows"]
    ]
