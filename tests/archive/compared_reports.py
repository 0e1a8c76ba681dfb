"""Two versions of a report that differ in every way that a comparison tells, written without a kernel."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.archive import Reference, report_folder
from toolkit.archive.changes import Tolerance
from toolkit.digests import digest_bytes, document_bytes
from toolkit.display import Picture, notice
from toolkit.records import ResultRow
from toolkit.workspace import Workspace, open_workspace

SETTINGS = 'schema_version = 2\nname = "compared"\n\n[tables]\n'
EXACT = Tolerance(0, 0)
APRIL, MAY = "2013-04-01 … 2013-04-30", "2013-05-01 … 2013-05-31"
SCRIPT = "<script>document.title = 'ran'</script>"


def row(key: str, statistic: str, value: Any, **more: Any) -> dict[str, Any]:
    return ResultRow(key=key, statistic=statistic, value=value, **{"record": "moves", **more}).to_dict()


def absent(key: str, statistic: str, reason: str, **more: Any) -> dict[str, Any]:
    return row(key, statistic, None, status="absent", reason=reason, **more)


BEFORE = [
    row("brier", "change", 0.01, window=APRIL, ci_lower=-0.01, ci_upper=0.03, p_value=0.3, n=100, unit="loss"),
    row("brier", "verdict", "no evidence", window=APRIL),
    row("auc", "change", 0.02, window=APRIL),
    row("wind", "change", 1.5, window=APRIL, unit="knots"),
    row("late_share", "period", 0.20, window=APRIL, unit="share"),
    row("latency", "period", 12.0, window=APRIL, unit="ms"),
    row("latency", "bound", 4.0, window=APRIL, unit="ms"),
    row("latency", "margin", 5.0, window=APRIL, unit="ms"),
    absent("error_rate", "change", "no errors", window=APRIL),
    row("drift", "score", 3, window=APRIL),
    row("note", "title", "April", record="notes"),
    row("gone", "period", 1.0, record="notes"),
    row("steady", "period", 7, record="notes", window=APRIL),
]
AFTER = [
    row("brier", "change", 0.05, window=MAY, ci_lower=0.02, ci_upper=0.08, p_value=0.001, n=120, unit="loss"),
    row("brier", "verdict", "worse", window=MAY),
    row("auc", "change", -0.02, window=MAY),
    row("wind", "change", 1.5, window=MAY, unit="knots"),
    row("late_share", "period", 0.5, window=MAY, unit="share"),
    row("latency", "period", 15.0, window=MAY, unit="ms"),
    row("latency", "bound", 6.0, window=MAY, unit="ms"),
    row("latency", "margin", 5.0, window=MAY, unit="ms"),
    row("error_rate", "change", 0.001, window=MAY, unit="share"),
    absent("drift", "score", "too few rows", window=MAY),
    row("note", "title", SCRIPT, record="notes"),
    row("new", "period", 1.0, record="notes", segment=f"carrier={SCRIPT}"),
    row("steady", "period", 7, record="notes", window=MAY),
]
OLD_BARS, NEW_BARS, SAME_BARS = (notice(text) for text in ("Bars of April", f"Bars of May {SCRIPT}", "Bars of always"))


def source(table: str, rows: int, **more: Any) -> dict[str, Any]:
    """A table as a manifest has it; the same rows give the same fingerprint."""
    known: dict[str, Any] = {
        "table": table,
        "columns": ["request_id"],
        "start": None,
        "end": None,
        "as_of": None,
        "rows": rows,
        "fingerprint": digest_bytes(f"{table} {rows}".encode()),
        "method": "test/1",
        "nan_as_missing": {},
    }
    return known | more


def make_manifest(reference: Reference, **more: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "reference": str(reference),
        "template": {"name": reference.template, "origin": "shipped", "digest": digest_bytes(b"template")},
        "subject": reference.subject,
        "parameters": {"as_of": "2013-05-02T00:00:00Z", "top": 3},
        "as_of": "2013-05-02T00:00:00Z",
        "toolkit": {"version": "0.1.0", "commit": "a" * 40, "modified": False},
        "workspace": {"commit": None, "reason": "not in a git repository"},
        "definitions": [{"path": "metrics.yml", "digest": digest_bytes(b"metrics")}],
        "sources": [source("predictions", 10), source("outcomes", 9)],
        "repositories": [],
        "environment": {"python": "3.11.7", "packages_digest": digest_bytes(b"packages"), "platform": "Linux"},
        "kernel": {"name": "python3", "interpreter": "runner"},
        "ledger": {"sequence": 1, "hash": digest_bytes(b"1")},
        "finished_at": "2013-05-02T08:00:00Z",
        **more,
    }


def write_report(
    workspace: Workspace,
    reference: str,
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, Picture] | None = None,
    **more: Any,
) -> None:
    """One version, not recorded in the ledger: comparing asks nobody else."""
    found = Reference.parse(reference)
    folder = report_folder(workspace, found)
    (folder / "figures").mkdir(parents=True)
    outputs, files = [], []
    for name, picture in (pictures or {}).items():
        (folder / "figures" / name).write_bytes(picture.png)
        files.append({"path": f"figures/{name}", "digest": digest_bytes(picture.png), "bytes": len(picture.png)})
        data, words = {"image/png": b64encode(picture.png).decode()}, {"image/png": {"alt": picture.alt}}
        outputs.append({"output_type": "display_data", "data": data, "metadata": words})
    (folder / "report.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "outputs": outputs}]}))
    (folder / "results.json").write_bytes(document_bytes({"schema_version": 1, "rows": list(rows)}))
    manifest = make_manifest(found, **{"files": files, **more})
    (folder / "manifest.json").write_bytes(document_bytes(manifest))


def make_two_versions(root: Path) -> Workspace:
    """`triage/delay` in two versions."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    workspace = open_workspace(root)
    write_report(workspace, "triage/delay@1", BEFORE, {"bars.png": OLD_BARS, "same.png": SAME_BARS})
    write_report(
        workspace,
        "triage/delay@2",
        AFTER,
        {"bars.png": NEW_BARS, "same.png": SAME_BARS, "new.png": NEW_BARS},
        parameters={"as_of": "2013-06-02T00:00:00Z", "top": 5, "word": SCRIPT},
        as_of="2013-06-02T00:00:00Z",
        sources=[source("predictions", 12), source("outcomes", 9), source("business", 1)],
        definitions=[{"path": "metrics.yml", "digest": digest_bytes(b"other metrics")}],
        ledger={"sequence": 2, "hash": digest_bytes(b"2")},
        finished_at="2013-06-02T08:00:00Z",
    )
    return workspace
