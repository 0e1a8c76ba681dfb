"""`toolkit init`, `toolkit upgrade` and `toolkit doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.importing import (
    DatesOption,
    MapOption,
    PositiveOption,
    SetOption,
    TimezoneOption,
    YesOption,
    chooser,
    confirm,
    describe,
    print_mapping,
    read_said,
)
from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.errors import ArgumentError, UsageError

if TYPE_CHECKING:
    from toolkit.cli.findings import Finding


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.", show_default=False)],
    *,
    example: Annotated[
        str | None, typer.Option(help="Fill it with an example: flights.", metavar="NAME", show_default=False)
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Own predictions (CSV, JSON lines, Parquet), labels too.", show_default=False
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Their labels, where these are in a file of their own.", show_default=False),
    ] = None,
    mapped: MapOption = None,
    constant: SetOption = None,
    timezone: TimezoneOption = None,
    dates: DatesOption = None,
    positive: PositiveOption = None,
    yes: YesOption = False,
    as_json: AsJson = False,
) -> None:
    """Make a workspace.

    It is the folder of a team's definitions and notebooks; a git repository, unless it lies in one. With --from its
    tables are made from own files and its definitions proposed; what was assumed is said, here and in the files.
    """
    if predictions is not None:
        if example is not None:
            raise ArgumentError("--example and --from both fill the workspace; give one of them")
        said = (mapped or [], constant or [], timezone, dates, positive)
        _init_from(folder, predictions, labels, said, yes=yes, as_json=as_json)
        return
    if labels is not None or mapped or constant or timezone or dates or positive or yes:
        raise ArgumentError(
            "--labels, --map, --set, --timezone, --dates, --positive and --yes are about own files; give --from FILE"
        )

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


def _init_from(
    folder: Path,
    predictions: Path,
    labels: Path | None,
    said: tuple[list[str], list[str], str | None, str | None, str | None],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Map own files, ask where somebody is there to be asked, and make the workspace with all of it or not at all."""
    from toolkit.cli.beginnings import Begun, begin, map_files
    from toolkit.cli.schemas import wire_editors
    from toolkit.workspace.creation import check_free, create_workspace, start_repository
    from toolkit.workspace.edits import write_files

    check_free(folder)
    wishes = read_said(*said, tables=["predictions", "outcomes"])
    name = folder.resolve().name
    with progress() as tell:
        mappings = map_files(predictions, labels, wishes, chooser(yes=yes, as_json=as_json), name=name, tell=tell)
    if not as_json:
        for mapping in mappings:
            print_mapping(mapping)
    confirm(yes=yes, as_json=as_json)
    begun: list[Begun] = []
    with progress() as tell:

        def fill(staging: Path) -> None:
            begun.append(begin(staging, mappings, name=name, tell=tell))
            write_files(wire_editors(staging))

        root = create_workspace(folder, fill)
        repository = start_repository(root)
    print_text(repository, to_stderr=True)
    proposal = begun[0].proposal
    if as_json:
        print_document(
            {
                "workspace": str(root),
                "example": None,
                "repository": repository,
                "imports": [describe(mapping, imported) for mapping, imported in begun[0].imports],
                "definitions": sorted(proposal.files),
                "assumptions": list(proposal.assumptions),
                "command": proposal.command,
                "waiting": proposal.waiting,
            }
        )
        return
    print_text("\n".join(imported.text for _, imported in begun[0].imports))
    print_text(f"proposed {', '.join(proposal.files)}, assuming:")
    print_text("\n".join(f"  - {each}" for each in proposal.assumptions))
    print_text(f"made the workspace {root}")
    if proposal.waiting:
        print_text(proposal.waiting)
    print_text(
        f"next: cd {folder}, then 'toolkit doctor'" + (f", then '{proposal.command}'" if proposal.command else "")
    )


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
    written = sum(path.is_relative_to(SCHEMAS_FOLDER) for path in changed)
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
        print_text(_verdict(findings, passed=passed), to_stderr=True)
    return 0 if passed else UsageError.exit_code


def _verdict(findings: Sequence[Finding], *, passed: bool) -> str:
    if not passed:
        return "something is wrong: see the column fix"
    if any(finding.state == "wrong" for finding in findings):
        return "what is needed is well, and something else is wrong: see the column fix"
    return "all is well"
