"""Rows of the ledger about experiments: what a published report says of one, read from the report itself.

A command calls this after it has published; a notebook never does. So a report that is retried, reproduced, resumed or
run again on a cluster counts as one look, and whatever a process that died has left out, the next command adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.ledger.published import PUBLISHED
from toolkit.windows import format_instant, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from toolkit.ledger import Entry, Ledger
    from toolkit.workspace import Actor

LOOKED = "experiment.looked"
"""Ledger kind: data of an experiment were read and published; one row for each look."""

PLANNED = "experiment.planned"
"""Ledger kind: an experiment's plan was published."""

READ = "experiment.read"
"""Ledger kind: a report about an experiment was published, and what it found; one row for each report."""

EXPERIMENT = "experiment"
"""The parameter by which a report says which experiment it is about."""


class Report(NamedTuple):
    """What the ledger is told of a published report: its reference, manifest and results."""

    reference: str
    manifest: Mapping[str, Any]
    results: Mapping[str, Any]


def list_unread(ledger: Ledger) -> list[str]:
    """The references of published reports about an experiment that have no row of their own yet, oldest first."""
    known = {entry.data["report"] for entry in ledger.entries(kind=READ)}
    return [
        entry.subject
        for entry in ledger.entries(kind=PUBLISHED, holding=EXPERIMENT.encode())
        if entry.subject not in known and json.loads(entry.data["parameters"]).get(EXPERIMENT)
    ]


def record_report(ledger: Ledger, report: Report, actor: Actor) -> None:
    """Append what a published report says of its experiment, each row once whoever asks at the same moment.

    `experiment.looked` where it took a look: the same experiment, plan, instant and data are one look, however many
    reports show it. `experiment.planned` where it holds the plan alone. `experiment.read` for every report, last: where
    it is missing, the others are looked at again.
    """
    experiment = str(report.manifest["parameters"][EXPERIMENT])
    effective_at = parse_instant(report.manifest["as_of"] or report.manifest["started_at"])
    facts = _read_facts(report.results)

    def append(kind: str, payload: dict[str, Any], same: Iterable[str]) -> None:
        names = tuple(same)
        ledger.append(
            kind=kind,
            subject=experiment,
            payload=payload,
            actor=actor,
            effective_at=effective_at,
            unless=lambda entry: all(entry.data.get(name) == payload[name] for name in names),
        )

    if "look_as_of" in facts:
        append(LOOKED, _look(report, facts), ("plan_digest", "as_of", "data_digest"))
    elif "plan_document" in facts:
        append(PLANNED, _plan(report, facts), ("report",))
    append(READ, _reading(report, facts, effective_at), ("report",))


def _look(report: Report, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "report": report.reference,
        "as_of": facts["look_as_of"],
        "kind": facts["look_kind"],
        "units": facts["look_units"],
        "fraction": repr(facts["look_information_share"]),
        "planned_for": facts["look_planned_for"],
        "final": facts["look_final"],
        "window_end": facts["look_window_end"],
        "plan_digest": facts["look_plan_digest"],
        "plan_document": facts.get("plan_document", ""),
        "data_digest": facts["look_data_digest"],
        **_found(facts),
    }


def _plan(report: Report, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "report": report.reference,
        "plan_digest": facts.get("digest", ""),
        "plan_document": facts["plan_document"],
    }


def _reading(report: Report, facts: Mapping[str, Any], effective_at: datetime) -> dict[str, Any]:
    template = report.manifest["template"]["name"]
    return {"report": report.reference, "template": template, "as_of": format_instant(effective_at), **_found(facts)}


def _found(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The decision, its reasons and the primary effect, where the report has them; numbers as decimal text."""
    return {name: facts[name] for name in ("decision", "reasons", "effects") if name in facts}


def _read_facts(results: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that the ledger is told of: `look_*`, the plan as text, decision, reasons, and the primary's effects.

    A report says them in rows of `Looks`, of the plan and of `Verdict`, under whatever names its template saves them.
    """
    facts: dict[str, Any] = {}
    effects: list[dict[str, Any]] = []
    reasons: list[str] = []
    for row in results["rows"]:
        name, value = row["statistic"], row["value"]
        if name.startswith("look_") or name in {"plan_document", "digest"}:
            facts.setdefault(name, value)
        elif name == "decision":  # that of the whole stands before those of its treatments
            facts.setdefault(name, value)
        elif name == "reason":
            reasons.append(f"{row['comparison']}: {value}")
        elif name == "primary_difference":
            effects.append(_effect(row))
    lists = {"reasons": reasons, "effects": effects}
    return facts | {key: found for key, found in lists.items() if found}


def _effect(row: Mapping[str, Any]) -> dict[str, Any]:
    numbers = ("value", "ci_lower", "ci_upper")
    return {
        "metric": row["key"],
        "comparison": row["comparison"],
        "unit": row["unit"],
        **{name: None if row[name] is None else repr(float(row[name])) for name in numbers},
        "reason": row["reason"],
    }


def last_of(entries: Iterable[Entry]) -> Entry | None:
    """The entry that speaks of the latest instant; of several the one recorded last."""
    return max(entries, key=lambda entry: (entry.effective_at, entry.sequence), default=None)
