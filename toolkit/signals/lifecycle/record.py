"""Rows of the ledger about signals: what a published report says of them, read from the report itself.

A command calls this after it has published; a notebook never does. So a report that is retried, reproduced or run again
on a cluster tells the ledger once, and what a process that died has left out, the next command adds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.ledger import published
from toolkit.ledger.published import template_of
from toolkit.signals.groups.harm import Level
from toolkit.signals.lifecycle.history import RECOVERED, SEEN, subject_of
from toolkit.windows import format_instant, parse_instant

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.signals.groups.groups import SignalGroups
    from toolkit.workspace import Actor, Workspace

READ = "signal.read"
"""Ledger kind: a report with signal groups was published, and which they are; one row for each report."""

_SHIPPED = frozenset({"model_health", "triage"})
"""Templates that give signal groups; others are known by their first report that did."""


class ReportedGroup(NamedTuple):
    """A signal group as a report published it: its facts as text, its severity in tolerances, its signals by key."""

    key: str
    rank: int
    title: str
    level: Level
    severity: float | None
    state: str
    began: str
    family: str
    harm: str
    why_merged: str
    hint: str
    signals: tuple[str, ...]


class ReportedSignals(NamedTuple):
    """What a report said of a model's signals.

    Attributes
    ----------
    report: its reference; "" before it is published.
    looked_at: the kinds of signal that it looked for, in windows of `window_days`.
    recovered: the keys of signals that it looked for and did not find any more.
    """

    report: str
    model: str
    as_of: datetime
    window_days: int
    looked_at: tuple[str, ...]
    groups: tuple[ReportedGroup, ...]
    recovered: tuple[str, ...]

    @classmethod
    def of(cls, groups: SignalGroups) -> ReportedSignals:
        """What a report with these groups will say."""
        found = read_report("", groups.as_of, {"rows": [row.to_dict() for row in groups.to_rows()]})
        assert found is not None
        return found

    def to_payload(self) -> dict[str, Any]:
        """JSON types without floats: a severity is decimal text."""
        groups = [
            group._asdict()
            | {
                "severity": None if group.severity is None else repr(group.severity),
                "signals": list(group.signals),
            }
            for group in self.groups
        ]
        return self._asdict() | {
            "as_of": format_instant(self.as_of),
            "looked_at": list(self.looked_at),
            "groups": groups,
            "recovered": list(self.recovered),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> ReportedSignals:
        """What `to_payload` wrote."""
        groups = tuple(
            ReportedGroup(
                **group
                | {
                    "severity": None if group["severity"] is None else float(group["severity"]),
                    "signals": tuple(group["signals"]),
                }
            )
            for group in payload["groups"]
        )
        return cls(
            payload["report"],
            payload["model"],
            parse_instant(payload["as_of"]),
            payload["window_days"],
            tuple(payload["looked_at"]),
            groups,
            tuple(payload["recovered"]),
        )


def read_report(reference: str, as_of: datetime, results: Mapping[str, Any]) -> ReportedSignals | None:
    """What a report's results say of signals; None for a report without signal groups."""
    rows: list[Mapping[str, Any]] = results["rows"]
    looked = next((row for row in rows if row["statistic"] == "signals_looked_at"), None)
    if looked is None:
        return None
    facts: dict[str, dict[str, Any]] = {}
    members: dict[str, list[str]] = {}
    for row in rows:
        if row["statistic"].startswith("group_"):
            facts.setdefault(row["key"], {}).setdefault(row["statistic"].removeprefix("group_"), row["value"])
        elif row["statistic"] == "signal_group":
            members.setdefault(row["value"], []).append(row["key"])
    days = next(row["value"] for row in rows if row["statistic"] == "signals_window_days")
    recovered = tuple(row["key"] for row in rows if row["statistic"] == "signal_recovered")
    kinds = tuple(kind for kind in looked["value"].split(", ") if kind)
    groups = tuple(_read_group(key, each, members[key]) for key, each in facts.items())
    return ReportedSignals(reference, looked["key"], as_of, days, kinds, groups, recovered)


def _read_group(key: str, facts: Mapping[str, Any], signals: list[str]) -> ReportedGroup:
    texts = {
        name: facts.get(name) or "" for name in ("title", "state", "began", "family", "harm", "why_merged", "hint")
    }
    return ReportedGroup(
        key=key,
        rank=facts["rank"],
        level=facts["level"],
        severity=facts["severity"],
        signals=tuple(signals),
        **texts,
    )


def list_unread(ledger: Ledger) -> list[str]:
    """The references of published reports that may have signal groups and have no row yet, oldest first."""
    return published.list_unread(ledger, READ, shipped=_SHIPPED)


def record_report(
    ledger: Ledger, reference: str, manifest: Mapping[str, Any], results: Mapping[str, Any], actor: Actor
) -> None:
    """Append what a published report says of signals, each row once whoever asks at the same moment.

    `signal.seen` for every signal, `signal.recovered` for those that it missed, and `signal.read`, last: where it is
    missing, the others are looked at again. A report without signal groups gets only that one, if it could have had
    some, so that it is not read again.
    """
    effective_at = parse_instant(manifest["as_of"] or manifest["started_at"])
    found = read_report(reference, effective_at, results)
    if found is None:
        if template_of(reference) in _SHIPPED:
            ledger.append(kind=READ, subject=reference, payload={}, actor=actor, effective_at=effective_at, once=True)
        return

    def append(kind: str, key: str, payload: dict[str, Any]) -> None:
        ledger.append(
            kind=kind,
            subject=subject_of(found.model, key),
            payload={"report": reference, "window_days": found.window_days, **payload},
            actor=actor,
            effective_at=effective_at,
            unless=lambda entry: entry.data["report"] == reference,
        )

    for group in found.groups:
        for key in group.signals:
            append(SEEN, key, {"group": group.key, "level": group.level, "title": group.title})
    for key in found.recovered:
        append(RECOVERED, key, {})
    payload = found.to_payload()
    ledger.append(kind=READ, subject=reference, payload=payload, actor=actor, effective_at=effective_at, once=True)


def load_reported(workspace: Workspace, model: str | None = None) -> list[ReportedSignals]:
    """What every published report said of signals, of one model or of all, by instant. Raises `LedgerError`."""
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger, create=False) as ledger:
        return read_reported(ledger, model)


def read_reported(ledger: Ledger, model: str | None = None) -> list[ReportedSignals]:
    """The same from an open ledger."""
    payloads = (json.loads(entry.payload) for entry in ledger.entries(kind=READ))
    found = [ReportedSignals.from_payload(payload) for payload in payloads if payload]
    return sorted((each for each in found if model in {None, each.model}), key=lambda each: each.as_of)
