"""`toolkit run` and `toolkit reports`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_facts, print_table, print_text, progress
from toolkit.errors import ArchiveError, ArgumentError, ParameterError, VerificationError

if TYPE_CHECKING:
    from toolkit.reports import Reference
    from toolkit.workspace import Workspace

Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="KEY=VALUE", help="A parameter; repeat for more.")
]
Template = Annotated[str, typer.Argument(metavar="NAME", help="A template; see 'toolkit templates'.")]
AReference = Annotated[str, typer.Argument(metavar="REF", help="<template>/<subject>@<n>; without @<n>, the latest.")]
References = Annotated[
    list[str] | None,
    typer.Argument(metavar="REF", help="<template>/<subject>@<n>; without @<n>, the latest.", show_default=False),
]


def run(name: Template, *, parameter: Parameters = None, as_json: AsJson = False) -> None:
    """Run a template and publish the report.

    Reference and page are printed last. Exit 1 if the notebook failed, 3 if the report was refused.
    """
    given = read_parameters(parameter or [])

    from toolkit.reports import RunRequest, run_report
    from toolkit.workspace import open_workspace

    request = RunRequest(open_workspace().root, name, given)
    with progress() as tell:
        published = run_report(request, progress=tell)
    if as_json:
        print_document(
            {
                "reference": str(published.reference),
                "folder": str(published.folder),
                "page": str(published.page),
                "manifest": dict(published.manifest),
            }
        )
    else:
        print_text(str(published.reference))
        print_text(str(published.page))


def read_parameters(given: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a mapping; the template's declared types read the values.

    >>> read_parameters(["experiment=delay-v2", "note=a=b"])
    {'experiment': 'delay-v2', 'note': 'a=b'}

    Raises `ParameterError` for a text without `=` and for a key that is given twice.
    """
    parameters: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ParameterError(f"-p {text!r}, must be key=value, such as -p experiment=delay-v2")
        if key in parameters:
            raise ParameterError(f"parameter {key!r} is given twice: {parameters[key]!r} and {value!r}")
        parameters[key] = value
    return parameters


def list_(*, as_json: AsJson = False) -> None:
    """List every published version."""
    from toolkit.reports import list_reports
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    rows = [_summarise(workspace, reference) for reference in list_reports(workspace)]
    if as_json:
        print_document({"reports": rows})
    elif rows:
        columns = ["reference", "as_of", "published", "folder", "problem"]
        shown = [column for column in columns if column != "problem" or any(row["problem"] for row in rows)]
        print_table(shown, [[row[column] or "" for column in shown] for row in rows])
    else:
        print_text("nothing is published yet; run a template: 'toolkit templates', 'toolkit run NAME'", to_stderr=True)


def _summarise(workspace: Workspace, reference: Reference) -> dict[str, Any]:
    from toolkit.reports import load_manifest, report_folder

    row = {"reference": str(reference), "folder": str(report_folder(workspace, reference))}
    try:
        manifest = load_manifest(workspace, reference)
    except ArchiveError as err:  # one damaged report must not hide the others
        return row | {"as_of": None, "published": None, "problem": str(err)}
    return row | {"as_of": manifest.get("as_of"), "published": manifest.get("finished_at"), "problem": None}


def show(
    ref: AReference,
    *,
    rows: Annotated[bool, typer.Option("--rows", help="Print every result row too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a report was made of, and where it lies."""
    from toolkit.reports import find_report, load_manifest, load_results, report_folder
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
    from toolkit.reports import find_report, list_reports, verify_all, verify_report
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


def gallery(*, as_json: AsJson = False) -> None:
    """Write reports/index.html, one page that leads to every report.

    What was refused or failed is on it too, with the reason. It needs no server and no network.
    """
    from toolkit.reports import write_gallery
    from toolkit.workspace import open_workspace

    written = write_gallery(open_workspace())
    if as_json:
        print_document(
            {
                "page": str(written.page),
                "reports": written.reports,
                "refused": written.refused,
                "failed": written.failed,
            }
        )
    else:
        print_text(str(written.page))
