"""`toolkit reports`: the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_facts, print_table, print_text
from toolkit.cli.run import read_parameters
from toolkit.errors import ArgumentError, VerificationError

if TYPE_CHECKING:
    from pathlib import Path

    from toolkit.archive import Indexed
    from toolkit.workspace import Workspace

AReference = Annotated[str, typer.Argument(metavar="REF", help="<template>/<subject>@<n>; without @<n>, the latest.")]
References = Annotated[
    list[str] | None,
    typer.Argument(metavar="REF", help="<template>/<subject>@<n>; without @<n>, the latest.", show_default=False),
]


def list_(
    *,
    template: Annotated[str | None, typer.Option("--template", help="Of this template.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="On this subject.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Published on this day or instant (UTC), or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Published before this day or instant (UTC).")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="KEY=VALUE", help="Run with this parameter; repeat for more."),
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", help="Of this batch.")] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="WORDS", help="With all these words, or the beginnings of them.")
    ] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="Of each template and subject, only the last that matches.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="At most so many, the last published.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List published versions, or those that match.

    Every option that is given must match.
    """
    from toolkit.archive import report_folder, search_reports
    from toolkit.windows import parse_instant
    from toolkit.workspace import open_workspace

    conditions: dict[str, dict[str, Any]] = {
        "--template": {"template": template},
        "--subject": {"subject": subject},
        "--since": {"since": parse_instant(since, name="--since") if since else None},
        "--until": {"until": parse_instant(until, name="--until") if until else None},
        "--batch": {"batch": batch},
        "--search": {"text": search},
    }
    given = {option: found for option, found in conditions.items() if next(iter(found.values())) is not None}
    parameters = read_parameters(parameter or [])
    workspace = open_workspace()
    options = {name: value for found in given.values() for name, value in found.items()}
    found = search_reports(workspace, **options, parameters=parameters, latest=latest, limit=limit)
    rows = [_summarise(each, report_folder(workspace, each.reference)) for each in found]
    if as_json:
        print_document({"reports": rows})
    elif rows:
        columns = ["reference", "as_of", "published", "headline", "problem"]
        shown = [column for column in columns if column != "problem" or any(row["problem"] for row in rows)]
        table = [row | {"published": _to_seconds(row["published"] or "")} for row in rows]
        print_table(shown, [[row[column] or "" for column in shown] for row in table])
    if not rows:
        _explain_nothing(workspace, given, parameters)


def _to_seconds(instant: str) -> str:
    """An ISO instant without its fraction."""
    whole, point, _ = instant.partition(".")
    return f"{whole}Z" if point else instant


def _summarise(indexed: Indexed, folder: Path) -> dict[str, Any]:
    return {
        "reference": str(indexed.reference),
        "title": indexed.title,
        "headline": indexed.headline,
        "as_of": indexed.as_of,
        "published": indexed.finished_at,
        "parameters": indexed.parameters,
        "slot": indexed.slot.to_dict() if indexed.slot else None,
        "batch": indexed.batch,
        "folder": str(folder),
        "problem": indexed.problem,
    }


def _explain_nothing(workspace: Workspace, given: dict[str, dict[str, Any]], parameters: dict[str, str]) -> None:
    """Say on stderr why no report was found, and which option to leave out; raises for a name that is not there."""
    from toolkit.archive import list_reports, search_reports
    from toolkit.archive.index import list_parameter_names
    from toolkit.checks import check_in
    from toolkit.reports import list_templates

    published = list_reports(workspace)
    if not published:
        print_text("nothing is published yet; run a template: 'toolkit templates', 'toolkit run NAME'", to_stderr=True)
        return
    options = {name: value for found in given.values() for name, value in found.items()}
    of_template = [each for each in published if each.template == options.get("template", each.template)]
    if not of_template:
        known = {each.template for each in published} | {each.name for each in list_templates(workspace)}
        check_in(options["template"], known, noun="template")
    elif "subject" in options:
        check_in(options["subject"], {each.subject for each in of_template}, noun="subject")
    for name in parameters:
        check_in(name, list_parameter_names(workspace), noun="parameter")
    helpful = []
    for option, found in given.items():
        others = {name: value for name, value in options.items() if name not in found}
        helpful.append((option, len(search_reports(workspace, **others, parameters=parameters))))
    for name, value in parameters.items():
        others = {other: each for other, each in parameters.items() if other != name}
        helpful.append((f"-p {name}={value}", len(search_reports(workspace, **options, parameters=others))))
    told = [f"without {option}, {count} would be" for option, count in helpful if count]
    hint = "; ".join(told) or "leaving out any one of the options does not help"
    print_text(f"no report is found; {hint}", to_stderr=True)


def show(
    ref: AReference,
    *,
    rows: Annotated[bool, typer.Option("--rows", help="Print every result row too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a report was made of, and where it lies."""
    from toolkit.archive import find_report, load_manifest, load_results, report_folder
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    reference = find_report(workspace, ref)
    folder = report_folder(workspace, reference)
    manifest = load_manifest(workspace, reference)
    results = load_results(workspace, reference)
    if as_json:
        print_document(
            {"reference": str(reference), "folder": str(folder), "manifest": manifest}
            | ({"results": results} if rows else {})
        )
        return
    print_facts({"reference": str(reference), "folder": str(folder), "result rows": len(results["rows"])})
    print_facts({name: value for name, value in manifest.items() if name != "reference"})
    if rows:
        _print_rows(results["rows"])


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    from toolkit.display import format_interval, format_number

    def interval(row: dict[str, Any]) -> str:
        bounds = (row["ci_lower"], row["ci_upper"])
        return "" if bounds == (None, None) else format_interval(row["statistic"], *bounds, unit=row["unit"])

    names = ("record", "key", "segment", "comparison", "statistic")
    print_table(
        [*names, "value", "interval"],
        [
            [
                *(str(row[name]) for name in names),
                format_number(row["statistic"], row["value"], unit=row["unit"])
                + (f" ({row['reason']})" if row["reason"] else ""),
                interval(row),
            ]
            for row in rows
        ],
    )


def verify(
    refs: References = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="The whole archive, also what is gone from it.")] = False,
    as_json: AsJson = False,
) -> int:
    """Check that reports are what was published.

    Every file byte for byte, against what the ledger recorded. Exit 4 if one was changed.
    """
    from toolkit.archive import find_report, list_reports, verify_all, verify_report
    from toolkit.workspace import open_workspace

    if bool(refs) == every:
        raise ArgumentError("name the reports to verify, or give --all for every one; not both")
    workspace = open_workspace()
    if every:
        checked = list_reports(workspace)
        problems = list(verify_all(workspace))
    else:
        checked = list(dict.fromkeys(find_report(workspace, ref) for ref in refs or []))
        problems = [problem for reference in checked for problem in verify_report(workspace, reference)]
    if as_json:
        print_document({"verified": [str(reference) for reference in checked], "problems": problems})
    elif not problems:
        print_text(f"verified {len(checked)} report{'' if len(checked) == 1 else 's'}")
    if not problems:
        return 0
    print_text("\n".join(["verification failed:", *problems]), to_stderr=True)
    return VerificationError.exit_code
