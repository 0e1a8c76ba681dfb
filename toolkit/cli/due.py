"""`toolkit due`: run what the schedule owes, then tell people what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.errors import ArgumentError, RunError

if TYPE_CHECKING:
    from datetime import datetime

    from toolkit.schedule import Delivery, Outcome, Owed
    from toolkit.windows import Window

_OWED = "owed"
_COLUMNS = ("schedule", "slot", "state", "report", "reason")
_ALERT_COLUMNS = ("route", "state", "alert", "reason")


def due(
    *,
    now: Annotated[
        str | None, typer.Option(metavar="ISO", help="The moment to stand at; the clock's by default.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="ISO", help="Fill a range: every slot from here on.")
    ] = None,
    to: Annotated[str | None, typer.Option(metavar="ISO", help="The range's end: every slot before it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what is owed and run nothing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Run what schedule.yml owes, each slot once, then send the alerts of alerts.yml.

    What is not ready yet stays owed. A range takes in what the schedule's start, end and catch_up leave out. Exit 1 if
    a run failed or was refused, or an alert could not be delivered; it is tried again by the next call.
    """
    from toolkit.ledger import open_ledger
    from toolkit.schedule import find_done, find_next, find_owed, load_alerts, load_schedules, run_due, send_alerts
    from toolkit.windows import format_instant
    from toolkit.workspace import open_workspace

    moment, span = _read_moment(now), _read_span(from_, to)
    workspace = open_workspace()
    schedules = load_schedules(workspace)
    load_alerts(workspace)  # what is wrong in it is said before anything runs
    with open_ledger(workspace.ledger, create=False) as ledger:
        owed = find_owed(schedules, find_done(workspace, ledger), now=moment, span=span)
    outcomes: list[Outcome] = []
    with progress() as tell:
        if not dry_run:
            outcomes = run_due(workspace, owed, progress=tell)
        told = send_alerts(workspace, now=moment, dry_run=dry_run, progress=tell)
    rows = [_describe(each) for each in owed] if dry_run else [_tell(outcome) for outcome in outcomes]
    coming = find_next(schedules, now=moment)
    if as_json:
        following = coming.to_dict() if coming else None
        alerts = [asdict(each) for each in told]
        document = {"now": format_instant(moment), "dry_run": dry_run, "slots": rows, "alerts": alerts}
        print_document(document | {"next": following})
        return _exit_code(outcomes, told)
    if rows:
        _print_rows(rows, _COLUMNS)
    if told:
        _print_rows([{"alert": each.title, **asdict(each)} for each in told], _ALERT_COLUMNS)
    if not rows and not told:
        nothing = "nothing is due" if schedules else "nothing is due: there is no schedule in schedule.yml"
        print_text(nothing + (f"; next: {coming}" if coming else ""), to_stderr=True)
    return _exit_code(outcomes, told)


def _exit_code(outcomes: Sequence[Outcome], told: Sequence[Delivery]) -> int:
    troubled = any(each.needs_a_person for each in outcomes) or any(each.needs_a_person for each in told)
    return RunError.exit_code if troubled else 0


def _read_moment(text: str | None) -> datetime:
    """The moment that is now: the one place where `due` looks at the clock."""
    from datetime import UTC, datetime

    from toolkit.windows import parse_instant

    return datetime.now(UTC) if text is None else parse_instant(text, name="--now")


def _read_span(start: str | None, end: str | None) -> Window | None:
    from toolkit.windows import Window, parse_instant

    if start is None and end is None:
        return None
    if start is None or end is None:
        raise ArgumentError("a range needs both --from and --to")
    return Window(parse_instant(start, name="--from"), parse_instant(end, name="--to"))


def _describe(owed: Owed, **more: object) -> dict[str, Any]:
    known = {"schedule": owed.slot.schedule, "slot": owed.slot.at, "template": owed.template}
    nothing = {"state": _OWED, "reference": None, "reason": None, "ready_on": None}
    return known | {"parameters": dict(owed.parameters)} | nothing | more


def _tell(outcome: Outcome) -> dict[str, Any]:
    from toolkit.windows import format_instant

    ready_on = format_instant(outcome.ready_on) if outcome.ready_on else None
    return _describe(
        outcome.owed, state=outcome.state, reference=outcome.reference, reason=outcome.reason, ready_on=ready_on
    )


def _print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """One line per slot or alert; without the columns that are empty in all."""
    lines = [{"report": row.get("reference"), **row} for row in rows]
    shown = [column for column in columns if any(line[column] for line in lines)]
    print_table(shown, [[line[column] or "" for column in shown] for line in lines])
