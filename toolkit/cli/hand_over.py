"""`toolkit backlog export` and `toolkit backlog import`: the plan for a tracker, and the states that come back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.backlog import read_histories
from toolkit.cli.output import AsJson, print_document, print_text
from toolkit.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.triage import PlanHistory, ReviewedPlan
    from toolkit.triage.hand_over import Format
    from toolkit.workspace import Workspace

Model = Annotated[str | None, typer.Option(metavar="MODEL", help="The plan of this model.")]
FormatName = Annotated[
    str | None,
    typer.Option("--format", metavar="FORMAT", help="csv, json or markdown; by default as the file's name ends."),
]


def export(
    *,
    model: Model = None,
    report: Annotated[
        str | None, typer.Option(metavar="REF", help="The plan of this report; the last by default.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="ISO", help="The last plan as of this instant or earlier.")
    ] = None,
    form: FormatName = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the last plan for a tracker: each item with its id, state, place, value, effort and reason.

    As CSV, JSON or a Markdown checklist. 'toolkit backlog import' reads the states again.
    """
    from toolkit.ledger import open_ledger
    from toolkit.triage.hand_over import HandedPlan
    from toolkit.workspace import open_workspace

    chosen = _find_format("json" if as_json and form is None else form, out, option="--out")
    workspace = open_workspace()
    with open_ledger(workspace.ledger, create=False) as ledger:
        history, plan = _find_plan(workspace, ledger, model, report, as_of)
    text = HandedPlan.of(history, plan).to_text(chosen)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_bytes(text.encode())
    except OSError as err:
        raise ArgumentError(f"--out {out} cannot be written: {err.strerror}") from None
    print_text(f"{out}: {len(plan.items)} items of {plan.report}")


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What 'backlog export' wrote; - is standard input.")],
    *,
    form: FormatName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be recorded, and record nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the states of items back by id: open, started, done with what it took and brings, or dropped.

    All of the file or none of it. What says nothing new is not recorded again.
    """
    from toolkit.ledger import open_ledger
    from toolkit.triage.handed_back import find_changes, read_states, record_changes
    from toolkit.workspace import current_actor, open_workspace

    shown = "standard input" if file == "-" else file
    chosen = _find_format(form, None if file == "-" else Path(file), option="FILE")
    given = read_states(_read(file), chosen, shown=shown)
    workspace = open_workspace()
    with open_ledger(workspace.ledger, create=not dry_run) as ledger:
        changes = find_changes(given, read_histories(workspace, ledger, None))
        if not dry_run:
            record_changes(ledger, changes, current_actor())
    if as_json:
        changed = [each.to_dict() for each in changes]
        print_document({"read": len(given), "recorded": not dry_run, "changes": changed})
        return
    for each in changes:
        print_text(each.text)
    would = "would be recorded" if dry_run else "recorded"
    print_text(f"{len(given)} items read; {len(changes)} {would}, {len(given) - len(changes)} say nothing new")


def _find_plan(
    workspace: Workspace, ledger: Ledger, model: str | None, report: str | None, as_of: str | None
) -> tuple[PlanHistory, ReviewedPlan]:
    """The plan that was asked for, with the history of its model."""
    from toolkit.checks import check_in
    from toolkit.windows import parse_instant

    if report is not None and as_of is not None:
        raise ArgumentError("--report and --as-of both say which plan; give one of them")
    histories = read_histories(workspace, ledger, model)
    found = [(history, plan) for history in histories for plan in history.plans]
    if report is not None:
        check_in(report, [plan.report for _, plan in found], noun="report with a plan")
        found = [each for each in found if each[1].report == report]
    if as_of is not None:
        instant = parse_instant(as_of, name="--as-of")
        first = min(plan.as_of for _, plan in found)
        found = [each for each in found if each[1].as_of <= instant]
        if not found:
            raise ArgumentError(f"--as-of {as_of} is before the first plan, as of {first:%Y-%m-%d}")
    named = sorted({history.model for history, _ in found})
    if len(named) > 1:
        raise UnknownNameError(f"there are plans of several models: {', '.join(named)}; say which with --model")
    return found[-1]


def _find_format(given: str | None, file: Path | None, *, option: str) -> Format:
    from toolkit.checks import check_in
    from toolkit.triage.hand_over import FORMATS, SUFFIXES

    if given is not None:
        check_in(given, FORMATS, noun="format")
        return next(each for each in FORMATS if each == given)
    if file is not None and file.suffix.lower() in SUFFIXES:
        return SUFFIXES[file.suffix.lower()]
    ends = ", ".join(SUFFIXES)
    raise ArgumentError(
        f"--format is missing: csv, json or markdown. A name for {option} that ends in {ends} says it too"
    )


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise ArgumentError(f"{file} cannot be read: {getattr(err, 'strerror', None) or err}") from None
