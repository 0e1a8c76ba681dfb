"""`toolkit due`: run what the schedule owes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.errors import ArgumentError, RunError

if TYPE_CHECKING:
    from datetime import datetime

    from toolkit.schedule import Outcome, Owed
    from toolkit.windows import Window

_OWED = "owed"
_COLUMNS = ("schedule", "slot", "state", "report", "reason")


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
    """Run what schedule.yml owes, each slot once.

    What is not ready yet stays owed. A range takes in what the schedule's start, end and catch_up leave out. Exit 1 if
    a run failed or was refused.
    """
    from toolkit.ledger import open_ledger
    from toolkit.schedule import find_done, find_next, find_owed, load_schedules, run_due
    from toolkit.windows import format_instant
    from toolkit.workspace import open_workspace

    moment, span = _read_moment(now), _read_span(from_, to)
    workspace = open_workspace()
    schedules = load_schedules(workspace)
    with open_ledger(workspace.ledger, create=False) as ledger:
        owed = find_owed(schedules, find_done(workspace, ledger), now=moment, span=span)
    outcomes: list[Outcome] = []
    if not dry_run:
        with progress() as tell:
            outcomes = run_due(workspace, owed, progress=tell)
    rows = [_describe(each) for each in owed] if dry_run else [_tell(outcome) for outcome in outcomes]
    coming = find_next(schedules, now=moment)
    if as_json:
        following = coming.to_dict() if coming else None
        print_document({"now": format_instant(moment), "dry_run": dry_run, "slots": rows, "next": following})
    elif rows:
        _print_rows(rows)
    else:
        nothing = "nothing is due" if schedules else "nothing is due: there is no schedule in schedule.yml"
        print_text(nothing + (f"; next: {coming}" if coming else ""), to_stderr=True)
    return RunError.exit_code if any(outcome.needs_a_person for outcome in outcomes) else 0


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


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per slot; without the columns that are empty in all."""
    lines = [
        {
            "schedule": row["schedule"],
            "slot": row["slot"],
            "state": row["state"],
            "report": row["reference"] or "",
            "reason": row["reason"] or "",
        }
        for row in rows
    ]
    shown = [column for column in _COLUMNS if any(line[column] for line in lines)]
    print_table(shown, [[line[column] for column in shown] for line in lines])
