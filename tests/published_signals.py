"""Published reports with made-up signal groups or other records: the real archive and ledger, without a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolkit.acts import settle
from toolkit.archive import Reference, Slot
from toolkit.archive.versions import last_recorded, open_staging, publish, record_publication
from toolkit.digests import document_bytes
from toolkit.ledger import open_ledger
from toolkit.records import Record, to_document
from toolkit.reports.manifest import list_files
from toolkit.signals.groups.groups import SignalGroups
from toolkit.workspace import Workspace, open_workspace

SETTINGS = 'schema_version = 2\nname = "trial"\n\n[tables]\n'


def make_trial(root: Path) -> Workspace:
    """A workspace with a model's key and nothing to read."""
    (root / "models").mkdir(parents=True)
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    (root / "models" / "delay.yml").write_text("key: delay\n", encoding="utf-8")
    return open_workspace(root)


def publish_groups(
    workspace: Workspace,
    groups: SignalGroups | None,
    *,
    template: str = "triage",
    subject: str = "delay",
    as_of: str = "2013-05-01T00:00:00Z",
    act: bool = True,
    slot: Slot | None = None,
) -> str:
    """Publish a report of signal groups and do what follows from it; its reference. None: a report without any."""
    records: dict[str, Record] = {} if groups is None else {"groups": groups}
    instant = as_of if groups is None else groups.as_of.isoformat().replace("+00:00", "Z")
    return publish_records(workspace, records, template=template, subject=subject, as_of=instant, act=act, slot=slot)


def publish_records(
    workspace: Workspace,
    records: Mapping[str, Record],
    *,
    template: str,
    subject: str,
    as_of: str,
    act: bool = True,
    slot: Slot | None = None,
) -> str:
    """Publish a report of records and do what follows from it; its reference."""
    with open_staging(workspace) as staging, open_ledger(workspace.ledger) as ledger:
        staged = staging / "report"
        staged.mkdir()
        rows = to_document(records)

        def finish(reference: Reference) -> None:
            (staged / "results.json").write_bytes(document_bytes(rows))
            manifest = {
                "reference": str(reference),
                "files": list_files(staged, but="manifest.json"),
                "template": {"name": template, "digest": "sha256:00"},
                "parameters": {"model": subject, "as_of": as_of},
                "as_of": as_of,
                "slot": slot.to_dict() if slot else None,
                "started_at": "2026-01-01T00:00:00Z",
            }
            (staged / "manifest.json").write_bytes(document_bytes(manifest))

        series = Reference(template, subject)
        reference = publish(workspace, staged, series, after=last_recorded(ledger, series), finish=finish)
        record_publication(workspace, ledger, reference)
    if act:
        settle(workspace)
    return str(reference)
