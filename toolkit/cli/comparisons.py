"""`toolkit reports compare` and `toolkit reports reproduce`: a report beside another one, and beside its own re-run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.errors import Refused, VerificationError

if TYPE_CHECKING:
    from toolkit.archive import Comparison
    from toolkit.reports import Reproduction

MOST_ROWS = 15
"""Rows that are printed unless --all is given; they are ordered by what one must see first."""

First = Annotated[str, typer.Argument(metavar="A", help="<template>/<subject>@<n>; without @<n>, the latest.")]
Second = Annotated[
    str | None,
    typer.Argument(metavar="B", help="The second report; without it, A is compared with the version before it."),
]
Report = Annotated[str, typer.Argument(metavar="REF", help="<template>/<subject>@<n>; without @<n>, the latest.")]
Every = Annotated[bool, typer.Option("--all", help="Print every row that differs.")]
_EXIT_CODES = {"reproduced": 0, "drifted": VerificationError.exit_code, "not reproducible": Refused.exit_code}


def compare(
    a: First,
    b: Second = None,
    *,
    rel_tolerance: Annotated[
        float, typer.Option(metavar="X", help="Relative difference up to which two numbers are the same.")
    ] = 1e-9,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the comparison as a page.")] = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """Compare two reports: what went in, what came out.

    Results row by row: crossed a threshold, flipped sign, appeared, vanished, moved. Exit 0 also when they differ: a
    difference is an answer.
    """
    from toolkit.archive import compare_reports, comparison_html, previous_report
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    before, after = (previous_report(workspace, a), a) if b is None else (a, b)
    comparison = compare_reports(workspace, before, after, rel_tolerance=rel_tolerance)
    if html is not None:
        write_page(html, comparison_html(comparison, workspace))
    if as_json:
        print_document(comparison.to_dict())
    else:
        _print_comparison(comparison, every=every)


def write_page(path: Path, page: str) -> None:
    """Write a page where --html says. Raises `ArgumentError` when it cannot be written."""
    from toolkit.errors import ArgumentError

    try:
        path.write_text(page, encoding="utf-8")
    except OSError as err:
        raise ArgumentError(
            f"--html {path} cannot be written ({err.strerror}); name a file in a folder that is there"
        ) from err
    print_text(f"wrote {path}", to_stderr=True)


def _print_comparison(comparison: Comparison, *, every: bool) -> None:
    from toolkit.archive.wording import ARROW, counts_text, figures_text, input_lines

    print_text(f"{comparison.before.name} {ARROW} {comparison.after.name}")
    for note in comparison.notes:
        print_text(note)
    lines = [
        *input_lines(comparison),
        ("figures", figures_text(comparison)),
        ("rows", counts_text(comparison)),
    ]
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        print_text(f"{name:<{width}}  {text}")
    _print_rows(comparison, every=every)


def _print_rows(comparison: Comparison, *, every: bool) -> None:
    from toolkit.archive.changes import KINDS
    from toolkit.archive.wording import distance, row_name, values

    shown = comparison.changed if every else comparison.changed[:MOST_ROWS]
    if shown:
        print_text("")
        print_table(
            ["", "record", "of", "statistic", "before", "after", "change", "remarks"],
            [
                [
                    KINDS[change.kind],
                    str(change.row.get("record", "")),
                    row_name(change.row),
                    str(change.row.get("statistic", "")),
                    *values(change),
                    distance(change),
                    "; ".join(change.why),
                ]
                for change in shown
            ],
        )
    if more := len(comparison.changed) - len(shown):
        print_text(f"and {more:,} more; --all prints them, --html FILE writes a page")


def reproduce(ref: Report, *, every: Every = False, as_json: AsJson = False) -> int:
    """Make a report again from what its manifest pins; publish nothing.

    The answer is one of three. Exit 0: reproduced, the same results to the byte. Exit 4: drifted, with what differs.
    Exit 3: not reproducible, with the reason.
    """
    from toolkit.reports import reproduce_report
    from toolkit.workspace import open_workspace

    with progress() as tell:
        reproduction = reproduce_report(open_workspace(), ref, progress=tell)
    if as_json:
        print_document(reproduction.to_dict())
    else:
        _print_reproduction(reproduction, every=every)
    return _EXIT_CODES[reproduction.answer]


def _print_reproduction(reproduction: Reproduction, *, every: bool) -> None:
    print_text(f"{reproduction.reference}: {reproduction.answer}")
    told = {"": reproduction.why, "restored: ": reproduction.restored, "note: ": reproduction.notes}
    for name, lines in told.items():
        for line in lines:
            print_text(f"  {name}{line}")
    if reproduction.answer == "drifted" and reproduction.comparison is not None:
        _print_rows(reproduction.comparison, every=every)
