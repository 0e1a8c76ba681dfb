"""Archives of any size without a kernel: files, manifests and ledger rows as runs would leave them, the same each time.

    workspace = make_archive(tmp_path / "tiny", subjects=3, versions=4)

The versions of a subject are a month apart in their data and an hour apart in their publication. Written without
fsync, and the ledger in one transaction: ten thousand versions take seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

from toolkit.archive.versions import MANIFEST, NOTEBOOK, PAGE, RESULTS, Reference, parameters_text
from toolkit.digests import digest_bytes, document_bytes
from toolkit.ledger import open_ledger
from toolkit.ledger.chain import Position, payload_bytes, seal
from toolkit.ledger.published import PUBLISHED
from toolkit.windows import format_instant
from toolkit.workspace import Workspace, open_workspace
from toolkit.workspace.environment import Actor

ADA = Actor("ada", "asserted")
START = datetime(2026, 1, 1, 8, tzinfo=UTC)
"""When the first version was published."""

FIRST_AS_OF = datetime(2013, 1, 1, tzinfo=UTC)
TRENDS = ("moves.period", "objectives.actual")
SETTINGS = 'schema_version = 2\nname = "synthetic"\n\n[tables]\n'
VERDICTS = ("worse", "unclear", "better")


def make_archive(
    root: Path,
    *,
    subjects: int = 3,
    versions: int = 4,
    templates: Sequence[str] = ("retrospective", "triage"),
    refused: int = 0,
    settings: str = SETTINGS,
) -> Workspace:
    """A workspace whose archive holds `subjects` subjects in all, shared out among the templates, `versions` each.

    Parameters
    ----------
    refused: so many refusals in the ledger, behind the publications.
    settings: the text of its `toolkit.toml`.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "toolkit.toml").write_text(settings, encoding="utf-8")
    workspace = open_workspace(root)
    series = [
        Reference(templates[number % len(templates)], f"model-{number // len(templates):03d}")
        for number in range(subjects)
    ]
    rows = [
        (reference, write_version(workspace, reference, hours=(version - 1) * subjects + number))
        for version in range(1, versions + 1)
        for number, reference in enumerate(each.at(version) for each in series)
    ]
    append_rows(workspace, [*publications(rows), *refusals(series, refused, after_hours=subjects * versions)])
    return workspace


def write_version(workspace: Workspace, reference: Reference, *, hours: int = 0, **more: Any) -> Mapping[str, Any]:
    """Lay one version's folder into the archive, not recorded; its manifest.

    Parameters
    ----------
    hours: so long after `START` it was published.
    more: keys of the manifest, instead of those it would have.
    """
    folder = workspace.reports / reference.template / reference.subject / reference.folder_name
    folder.mkdir(parents=True)
    files = make_files(reference)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = make_manifest(reference, files, finished_at=START + timedelta(hours=hours)) | more
    (folder / MANIFEST).write_bytes(document_bytes(manifest))
    return manifest


def make_files(reference: Reference) -> dict[str, bytes]:
    """Name to content of the files of a version, without its manifest."""
    version = reference.version or 0
    verdict = VERDICTS[version % 3]
    title = reference.template.capitalize()
    headline = f"{reference.subject} is {verdict} than the month before"
    rows = [
        _row("summary", "all", "headline", headline),
        *(
            row
            for key, unit in (("brier", ""), ("auc", ""), ("error_rate", "share"), ("latency", "ms"))
            for row in _move(reference, key, unit, verdict)
        ),
    ]
    text = [f"Of 4 metrics, 1 is {verdict}.\n", "The carrier segment explains most of it."]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {"id": "a", "cell_type": "markdown", "metadata": {}, "source": f"# {title}"},
            {
                "id": "b",
                "cell_type": "code",
                "metadata": {},
                "execution_count": 1,
                "source": "moves",
                "outputs": [
                    {
                        "output_type": "execute_result",
                        "execution_count": 1,
                        "metadata": {},
                        "data": {"text/plain": text},
                    }
                ],
            },
        ],
    }
    head = f"<head><title>{escape(title)}</title></head>"
    page = f"<!DOCTYPE html>\n<html lang='en'>{head}<body><p>{escape(headline)}</p></body></html>\n"
    return {
        NOTEBOOK: document_bytes(notebook),
        PAGE: page.encode(),
        RESULTS: document_bytes({"schema_version": 1, "rows": rows}),
    }


def _move(reference: Reference, key: str, unit: str, verdict: str) -> Iterator[dict[str, Any]]:
    """A metric's value with its interval, that of one segment, and its verdict."""
    version = reference.version or 0
    phase = int(digest_bytes(f"{reference.series} {key}".encode())[7:11], 16)
    value = round(0.2 + 0.05 * math.sin(phase + version / 4), 6)
    bounds = {"ci_lower": round(value - 0.01, 6), "ci_upper": round(value + 0.01, 6), "unit": unit}
    yield _row("moves", key, "period", value, **bounds)
    yield _row("moves", key, "period", round(value * 1.1, 6), segment="carrier=AA", **bounds)
    yield _row("moves", key, "verdict", verdict)


def _row(record: str, key: str, statistic: str, value: Any, **more: Any) -> dict[str, Any]:
    row = {
        "record": record, "key": key, "segment": "", "comparison": "", "statistic": statistic, "value": value,
        "unit": "", "ci_lower": None, "ci_upper": None, "n": None, "p_value": None, "method": "", "reason": "",
        "status": "ok", "window": "",
    }  # fmt: skip  # its lines group what belongs together
    return row | more


def make_manifest(reference: Reference, files: Mapping[str, bytes], *, finished_at: datetime) -> dict[str, Any]:
    """The manifest of a version with these files, published at `finished_at`."""
    months = (reference.version or 1) - 1
    as_of = FIRST_AS_OF.replace(year=FIRST_AS_OF.year + months // 12, month=months % 12 + 1)
    return {
        "schema_version": 1,
        "reference": str(reference),
        "template": {"name": reference.template, "origin": "shipped", "digest": digest_bytes(b"template")},
        "subject": reference.subject,
        "parameters": {"as_of": format_instant(as_of), "model": reference.subject, "window_days": 28},
        "as_of": format_instant(as_of),
        "slot": {"schedule": "monthly", "at": format_instant(as_of)} if reference.template == "retrospective" else None,
        "batch": None,
        "trends": list(TRENDS),
        "windows": [],
        "toolkit": {"version": "0.1.0", "commit": None, "reason": "synthetic"},
        "workspace": {"commit": None, "reason": "synthetic"},
        "definitions": [{"path": "metrics.yml", "digest": digest_bytes(b"metrics")}],
        "sources": [],
        "repositories": [],
        "environment": {"python": "3.11.7", "implementation": "CPython", "platform": "Linux", "packages_digest": "x"},
        "kernel": {"name": "python3", "interpreter": "runner"},
        "ledger": {"sequence": 0, "hash": "sha256:" + "0" * 64},
        "started_at": format_instant(finished_at - timedelta(seconds=3)),
        "finished_at": format_instant(finished_at),
        "actor": {"name": ADA.name, "assurance": ADA.assurance},
        "privacy": "not checked",
        "files": [
            {"path": name, "digest": digest_bytes(content), "bytes": len(content)}
            for name, content in sorted(files.items())
        ],
    }


def publications(versions: Sequence[tuple[Reference, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The ledger rows of published versions, as `record_publication` writes them."""
    for reference, manifest in versions:
        results = next(file["digest"] for file in manifest["files"] if file["path"] == RESULTS)
        version = reference.version or 0
        payload = {
            "reference": str(reference),
            "manifest_digest": digest_bytes(document_bytes(manifest)),
            "results_digest": results,
            "template_digest": manifest["template"]["digest"],
            "parameters": parameters_text(manifest["parameters"]),
            "supersedes": str(reference.at(version - 1)) if version > 1 else None,
        }
        if manifest["slot"]:
            payload["slot"] = manifest["slot"]
        yield {
            "kind": PUBLISHED,
            "subject": str(reference),
            "payload": payload,
            "effective_at": datetime.fromisoformat(manifest["as_of"]),
            "recorded_at": datetime.fromisoformat(manifest["finished_at"]),
        }


def refusals(series: Sequence[Reference], count: int, *, after_hours: int) -> Iterator[dict[str, Any]]:
    """So many ledger rows of reports that were refused."""
    for number in range(count):
        at = START + timedelta(hours=after_hours + number)
        yield {
            "kind": "report.refused",
            "subject": series[number % len(series)].series,
            "payload": {
                "type": "NotReady",
                "reason": f"the data are complete only up to day {number}",
                "template_digest": digest_bytes(b"template"),
                "parameters": "{}",
            },
            "effective_at": at,
            "recorded_at": at,
        }


def append_rows(workspace: Workspace, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append many rows to the workspace's ledger at once."""
    from toolkit.ledger.schema import ENTRIES

    with open_ledger(workspace.ledger) as ledger:
        last = ledger.position()
        sealed = []
        for row in rows:
            entry = seal(last, actor=ADA, **{**row, "payload": payload_bytes(row["payload"])})
            last = Position(entry.sequence, entry.hash)
            sealed.append(entry.to_row())
        if sealed:
            with ledger._transaction(write=True) as connection:
                connection.execute(ENTRIES.insert(), sealed)
