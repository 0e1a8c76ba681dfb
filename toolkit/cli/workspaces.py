"""`toolkit init` and `toolkit doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.errors import UsageError


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.", show_default=False)],
    *,
    example: Annotated[
        str | None, typer.Option(help="Fill it with an example: flights.", metavar="NAME", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a workspace.

    It is the folder of a team's definitions and notebooks; a git repository, unless it lies in one.
    """
    from toolkit.workspace.creation import create_workspace, lay_skeleton, start_repository

    with progress() as tell:
        if example is None:
            root = create_workspace(folder, lay_skeleton)
        else:
            from toolkit.checks import check_in
            from toolkit.examples import EXAMPLES, build_flights

            check_in(example, EXAMPLES, noun="example")
            root = create_workspace(folder, lambda staging: build_flights(staging, progress=tell))
        repository = start_repository(root)
    print_text(repository, to_stderr=True)
    if as_json:
        print_document({"workspace": str(root), "example": example, "repository": repository})
    else:
        print_text(f"made the workspace {root}")
        print_text("next: cd into it, then 'toolkit doctor'")


def doctor(*, as_json: AsJson = False) -> int:
    """Check installation and workspace.

    Each problem comes with its fix. Exit 2 if something needed is missing or wrong.
    """
    from toolkit.cli.findings import inspect

    findings = inspect()
    passed = not any(finding.needed and finding.state != "ok" for finding in findings)
    if as_json:
        print_document({"findings": [finding._asdict() for finding in findings], "passed": passed})
    else:
        print_table(
            ["check", "state", "what", "fix"],
            [[finding.name, finding.state, finding.what, finding.fix] for finding in findings],
        )
        print_text("all is well" if passed else "something is wrong: see the column fix", to_stderr=True)
    return 0 if passed else UsageError.exit_code
