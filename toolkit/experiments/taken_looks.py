"""Looks that were taken, from the ledger, and where the one that is being taken stands among them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.experiments.edits import list_changes, plan_document
from toolkit.experiments.looks import Edit, Kind, Look, Looks
from toolkit.experiments.record import LOOKED, PLANNED
from toolkit.windows import parse_instant

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units
    from toolkit.workspace import Workspace


def load_looks(workspace: Workspace, plan: ExperimentPlan, units: Units) -> Looks:
    """The looks that the ledger has of an experiment, and the one that `units` is.

    Only what was recorded before this run began counts, and only looks at earlier instants: a report that is run again
    for the same instant is the same look. Raises `LedgerError`.
    """
    from toolkit.ledger import open_ledger
    from toolkit.workspace import ledger_sequence

    last = ledger_sequence()
    with open_ledger(workspace.ledger, create=False) as ledger:
        entries = [
            entry
            for kind in (LOOKED, PLANNED)
            for entry in ledger.entries(kind=kind, subject=plan.key)
            if last is None or entry.sequence <= last
        ]
    entries.sort(key=lambda entry: entry.sequence)
    taken = [read_look(entry.data) for entry in entries if entry.kind == LOOKED]
    first = entries[0].data if entries else None
    return place_look(plan, units, taken, first)


def first_look(plan: ExperimentPlan, units: Units) -> Looks:
    """The looks of an experiment of which none is recorded: for one's own notebook, without a ledger."""
    return place_look(plan, units, [], None)


def read_look(payload: Mapping[str, Any]) -> Look:
    """A look as its row in the ledger has it; its number is set when looks are put in order."""
    planned_for = payload["planned_for"]
    return Look(
        0,
        parse_instant(payload["as_of"]),
        payload["report"],
        payload["plan_digest"],
        payload["units"],
        float(payload["fraction"]),
        payload["kind"],
        parse_instant(planned_for) if planned_for else None,
        payload["final"],
        parse_instant(payload["window_end"]),
    )


def order_looks(looks: Iterable[Look]) -> tuple[Look, ...]:
    """One look for each instant, the oldest first and numbered; of several, the one with the most units."""
    kept: dict[datetime, Look] = {}
    for look in looks:
        if look.as_of not in kept or look.units >= kept[look.as_of].units:
            kept[look.as_of] = look
    return tuple(kept[as_of]._replace(number=number) for number, as_of in enumerate(sorted(kept), start=1))


def place_look(plan: ExperimentPlan, units: Units, taken: Sequence[Look], first: Mapping[str, Any] | None) -> Looks:
    """Put the look that is being taken behind those that were.

    Parameters
    ----------
    first: the row of the ledger that has the plan as it was recorded first.
    """
    as_of, planned = units.as_of, plan.planned_looks
    earlier = order_looks(look for look in taken if look.as_of < as_of)
    exposed = sum(counts.exposed for counts in units.arrivals.values())
    kind, planned_for, final = _judge_kind(plan, as_of, taken, first)
    current = Look(
        len(earlier) + 1,
        as_of,
        "",
        plan.digest,
        exposed,
        exposed / plan.design.units if plan.design.units else _share_of_window(plan, as_of),
        kind,
        planned_for,
        final,
        plan.window.window.end,
    )
    return Looks(
        plan.key,
        plan.design,
        plan.alpha,
        len(plan.treatments),
        planned,
        tuple(_share_of_window(plan, instant) for instant in planned),
        _share_of_window(plan, as_of),
        earlier,
        current,
        _find_edit(plan, first),
        units.digest,
    )


def _judge_kind(
    plan: ExperimentPlan, as_of: datetime, taken: Sequence[Look], first: Mapping[str, Any] | None
) -> tuple[Kind, datetime | None, bool]:
    """What this look is, the planned instant that it counts for, and whether it spends all of alpha.

    A look counts for the latest planned instant that has come, if none was taken for it before, at whatever instant:
    who reads on the 8th for the 6th cannot read on the 7th for it too. Behind the last one the window is closed, and
    the same data are read again. Where an earlier plan has spent all of its alpha at the end of
    its window, a longer window is an extension, if that plan allowed as many days.
    """
    if plan.design.kind == "always_valid":
        return "always_valid", None, False
    end = plan.window.window.end
    spent = next((look for look in taken if look.final and look.as_of < as_of and look.window_end < end), None)
    if spent is not None:
        # A second extension would be a third chance; one that is read again is the same.
        once = not any(look.kind == "extension" and look.window_end != end for look in taken)
        allowed = once and end <= spent.window_end + timedelta(days=_allowed_extension_days(plan, first))
        return ("extension" if allowed and as_of >= plan.planned_looks[-1] else "unscheduled"), None, False
    due = next((instant for instant in reversed(plan.planned_looks) if instant <= as_of), None)
    if due is None:
        return "unscheduled", None, False
    final = due == plan.planned_looks[-1]
    if not final and any(look.planned_for == due and look.as_of != as_of for look in taken):
        return "unscheduled", None, False
    return ("fixed" if plan.design.kind == "fixed" else "planned"), due, final


def _allowed_extension_days(plan: ExperimentPlan, first: Mapping[str, Any] | None) -> int:
    """The days that the plan that was recorded first allowed, whatever it says by now."""
    if first is None or not first.get("plan_document"):
        return plan.max_extension_days
    default = type(plan).model_fields["max_extension_days"].default
    return int(json.loads(first["plan_document"]).get("max_extension_days", default))


def _find_edit(plan: ExperimentPlan, first: Mapping[str, Any] | None) -> Edit | None:
    if first is None or first["plan_digest"] == plan.digest:
        return None
    before = first.get("plan_document")
    if not before:
        return Edit(first["report"], ("its text is not the same, and the earlier one is not at hand",))
    return Edit(first["report"], list_changes(before, plan_document(plan)))


def _share_of_window(plan: ExperimentPlan, as_of: datetime) -> float:
    """The share of the plan's window whose labels have matured by an instant."""
    window = plan.window.window
    gone = as_of - timedelta(days=plan.label_maturity.days) - window.start
    return min(max(gone / (window.end - window.start), 0.0), 1.0)
