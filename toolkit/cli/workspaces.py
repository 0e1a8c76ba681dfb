"""`toolkit init`, `toolkit upgrade` and `toolkit doctor`."""

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
    from toolkit.cli.schemas import wire_editors
    from toolkit.workspace.creation import create_workspace, lay_skeleton, start_repository
    from toolkit.workspace.edits import write_files

    with progress() as tell:

        def fill(staging: Path) -> None:
            if example is None:
                lay_skeleton(staging)
            else:
                from toolkit.examples import build_flights

                build_flights(staging, progress=tell)
            write_files(wire_editors(staging))

        if example is not None:
            from toolkit.checks import check_in
            from toolkit.examples import EXAMPLES

            check_in(example, EXAMPLES, noun="example")
        root = create_workspace(folder, fill)
        repository = start_repository(root)
    print_text(repository, to_stderr=True)
    if as_json:
        print_document({"workspace": str(root), "example": example, "repository": repository})
    else:
        print_text(f"made the workspace {root}")
        print_text("next: cd into it, then 'toolkit doctor'")


def upgrade(*, as_json: AsJson = False) -> None:
    """Bring the workspace to the version that this toolkit reads.

    What people wrote is kept, comments too; when a step fails nothing is changed. It may be called again.
    """
    from toolkit.cli.schemas import EDITOR_SETTINGS, SCHEMAS_FOLDER, editor_settings, wire_editors
    from toolkit.workspace.documents import read_toml
    from toolkit.workspace.edits import write_files
    from toolkit.workspace.folder import SETTINGS_FILE, find_workspace
    from toolkit.workspace.upgrade import upgrade_settings

    root = find_workspace()
    file = root / SETTINGS_FILE
    text, done = upgrade_settings(read_toml(file), file.read_bytes().decode("utf-8"))
    changed = {path.relative_to(root) for path in write_files({**wire_editors(root), file: text.encode("utf-8")})}
    written = sum(path.parent == SCHEMAS_FOLDER for path in changed)
    if written:
        done.append(f"{SCHEMAS_FOLDER}/: {written} schemas are new or changed")
    if EDITOR_SETTINGS in changed:
        done.append(f"{EDITOR_SETTINGS}: names the schema of each kind of definition file")
    if editor_settings(root / EDITOR_SETTINGS) is None:
        print_text(
            f"{EDITOR_SETTINGS} is not plain JSON and was left as it is; 'yaml.schemas' in it would name the schemas",
            to_stderr=True,
        )
    if as_json:
        print_document({"workspace": str(root), "done": done})
    else:
        print_text("\n".join(done) or f"{root} is up to date")


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
