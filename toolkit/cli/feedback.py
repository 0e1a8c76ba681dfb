"""`toolkit feedback add`: what users said, into the workspace's own feedback table."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_text
from toolkit.errors import ArgumentError


def add(
    *,
    feedback_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its id; made from its content if left out.")
    ] = None,
    occurred_at: Annotated[
        str | None, typer.Option("--at", metavar="ISO", help="When the user said it; now if left out.")
    ] = None,
    request_id: Annotated[str | None, typer.Option("--request", metavar="ID", help="The request it is about.")] = None,
    unit_id: Annotated[
        str | None, typer.Option("--unit", metavar="ID", help="The unit it is about; needed without --request.")
    ] = None,
    rating: Annotated[float | None, typer.Option(metavar="NUMBER", help="The user's rating.")] = None,
    category: Annotated[str | None, typer.Option(metavar="WORD", help="The kind of report, such as wrong.")] = None,
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What the user wrote, without personal data.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Many reports, as lines of JSON; - is standard input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add user reports to the workspace's feedback.

    All of them or none: each is held against the contract and looked through for personal data. One that is there
    already is not added again.
    """
    from toolkit.data.feedback import add_feedback
    from toolkit.workspace import open_workspace

    columns = {
        "feedback_id": feedback_id,
        "occurred_at": occurred_at,
        "request_id": request_id,
        "unit_id": unit_id,
        "rating": rating,
        "category": category,
        "text": text,
    }
    one = {name: value for name, value in columns.items() if value is not None}
    if (file is None) == (not one):
        raise ArgumentError(
            "describe one report by options such as --request and --text, or give --from FILE; not both"
        )
    given = [("the report", one)] if file is None else _read(file)
    done = add_feedback(open_workspace(), given, now=datetime.now(UTC))
    if as_json:
        print_document(
            {
                "added": list(done.added),
                "present": list(done.present),
                "file": done.file,
                "to_configure": done.to_configure,
            }
        )
    else:
        where = f" in {done.file}" if done.file else ""
        print_text(f"added: {_count(len(done.added))}{where}; there already: {_count(len(done.present))}")
    if done.to_configure:
        print_text(f"no report reads it until toolkit.toml has\n\n{done.to_configure}\n", to_stderr=True)


def _read(file: str) -> list[tuple[str, dict[str, Any]]]:
    """The reports of a file, one object a line, each with its line."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise ArgumentError(f"--from {file} cannot be read: {getattr(err, 'strerror', None) or err}") from None
    reports = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            report = json.loads(line)
        except ValueError as err:
            raise ArgumentError(f"line {number} is no JSON: {err}. Nothing was added.") from None
        if not isinstance(report, dict):
            raise ArgumentError(f'line {number} is no object; write {{"request_id": …}}. Nothing was added.')
        reports.append((f"line {number}", report))
    if not reports:
        raise ArgumentError(f"--from {file} holds no report; write one JSON object a line")
    return reports


def _count(number: int) -> str:
    return f"{number} report{'' if number == 1 else 's'}"
