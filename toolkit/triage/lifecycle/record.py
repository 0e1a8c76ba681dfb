"""Rows of the ledger about plans: what a published report says of each item of its backlog, read from the report.

A command calls this after it has published; a notebook never does. So a report that is retried, reproduced or run again
on a cluster tells the ledger once, and what a process that died has left out, the next command adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from toolkit.ledger import published
from toolkit.ledger.published import template_of
from toolkit.stats.spreads import Spread
from toolkit.triage.lifecycle.history import READ, PlannedItem, ReviewedPlan
from toolkit.windows import parse_instant

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.workspace import Actor

_SHIPPED = frozenset({"triage"})
"""Templates that give a plan; others are known by their first report that did."""

_OF_PLAN = frozenset({"plan_model", "plan_as_of", "plan_unit"})
"""Statistics that a plan has once; a report with the first has a plan."""

_Row = Mapping[str, Any]


def read_report(reference: str, results: Mapping[str, Any]) -> ReviewedPlan | None:
    """The plan in a report's results; None for a report without one."""
    rows: list[_Row] = results["rows"]
    whole = {row["statistic"]: row["value"] for row in rows if row["statistic"] in _OF_PLAN}
    if "plan_model" not in whole:
        return None
    facts: dict[str, dict[str, _Row]] = {}
    for row in rows:
        facts.setdefault(row["key"], {})[row["statistic"]] = row
    return ReviewedPlan(
        report=reference,
        model=whole["plan_model"],
        as_of=parse_instant(whole["plan_as_of"]),
        unit=whole["plan_unit"],
        items=tuple(_read_item(row["key"], facts[row["key"]]) for row in rows if row["statistic"] == "place"),
    )


def _read_item(key: str, facts: Mapping[str, _Row]) -> PlannedItem:
    def said(statistic: str) -> Any:
        return facts[statistic]["value"] if statistic in facts else None

    place, _, why = said("place").partition(": ")
    value, rank, deadline = facts.get("raw_value_per_week"), said("rank"), said("deadline")
    return PlannedItem(
        key=key,
        title=said("title") or key,
        origin=said("origin") or key.partition("/")[0],
        team=said("team") or "",
        place=place,
        because=why or said("because") or "",
        tier=said("tier"),
        rank=None if rank is None else float(rank),
        value_per_week=_spread(value),
        effort_days=_spread(facts.get("raw_effort_days")),
        value_source=said("value_source") or "",
        effort_source=said("effort_source") or "",
        unit="" if value is None else value["unit"].removesuffix(" a week"),
        deadline=None if deadline is None else date.fromisoformat(deadline),
        movement=said("movement") or "",
        state=said("state") or "open",
        override=said("override") or "",
    )


def _spread(row: _Row | None) -> Spread | None:
    return None if row is None or row["value"] is None else Spread(row["ci_lower"], row["value"], row["ci_upper"])


def list_unread(ledger: Ledger) -> list[str]:
    """The references of published reports that may have a plan and have no row yet, oldest first."""
    return published.list_unread(ledger, READ, shipped=_SHIPPED)


def record_report(
    ledger: Ledger, reference: str, manifest: Mapping[str, Any], results: Mapping[str, Any], actor: Actor
) -> None:
    """Append what a published report says of a plan, once whoever asks at the same moment.

    A report without a plan gets an empty row, if it could have had one, so that it is not read again.
    """
    plan = read_report(reference, results)
    if plan is None and template_of(reference) not in _SHIPPED:
        return
    ledger.append(
        kind=READ,
        subject=reference,
        payload={} if plan is None else plan.to_payload(),
        actor=actor,
        effective_at=parse_instant(manifest["as_of"] or manifest["started_at"]) if plan is None else plan.as_of,
        once=True,
    )
