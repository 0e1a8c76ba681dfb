"""`toolkit reports prune`, `push` and `pull`: what the archive keeps, and its remote copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.output import AsJson, print_document, print_table, print_text, progress
from toolkit.cli.reports import References
from toolkit.errors import ArchiveError, ArgumentError

if TYPE_CHECKING:
    from toolkit.archive.remote import Transfer
    from toolkit.archive.retention import Pruning


def prune(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; say what would go, and what keeps the others.")
    ] = False,
    now: Annotated[
        str | None, typer.Option("--now", metavar="ISO", help="Judge as of this instant; the clock's without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove versions that no retention rule keeps.

    The rules are [retention] in toolkit.toml. Each version leaves its tombstone: its number is never used again, and
    'verify' knows where it went.
    """
    from toolkit.archive.retention import judge_retention
    from toolkit.archive.retention import prune as prune_archive
    from toolkit.reports import list_templates
    from toolkit.windows import parse_instant
    from toolkit.workspace import open_workspace

    workspace = open_workspace()
    at = parse_instant(now, name="--now") if now else None
    templates = [template.name for template in list_templates(workspace)]
    if dry_run:
        judged = judge_retention(workspace, now=at, templates=templates)
    else:
        with progress() as tell:
            judged = prune_archive(workspace, now=at, templates=templates, progress=tell)
    if as_json:
        print_document({"dry_run": dry_run} | _describe(judged))
        return
    if dry_run and judged.judgements:
        rows = [[str(each.reference), "keep" if each.kept else "prune", each.reason] for each in judged.judgements]
        print_table(["reference", "", "because"], rows)
    for reference in judged.unfinished if dry_run else ():
        print_text(f"{reference}: its removal was cut short and would be finished")
    for folder in judged.failures if dry_run else ():
        print_text(f"{folder}: would be removed")
    gone, failures, kept = len(judged.pruned), len(judged.failures), len(judged.kept)
    verb = "would be pruned" if dry_run else "pruned"
    print_text(f"{verb}: {_count(gone, 'version')}, {_count(failures, 'failure')}; kept: {_count(kept, 'version')}")
    if (gone or failures) and not dry_run and (workspace.reports / "index.html").is_file():
        print_text("the gallery shows them until it is written again: 'toolkit reports gallery'", to_stderr=True)


def push(
    refs: References = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="The whole archive, and the tombstones of what was pruned.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Copy versions to the remote archive.

    It is named by [archive] in toolkit.toml. What is there already is not sent again, and nothing there is overwritten.
    Exit 1 if a version could not be pushed.
    """
    from toolkit.archive import find_report
    from toolkit.archive.remote import push_reports
    from toolkit.workspace import open_workspace

    _check_choice(refs, every=every, verb="push")
    workspace = open_workspace()
    chosen = None if every else [find_report(workspace, ref) for ref in refs or []]
    with progress() as tell:
        done = push_reports(workspace, chosen, progress=tell)
    return _report(done, "pushed", as_json=as_json)


def pull(
    refs: References = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="The whole remote archive.")] = False,
    as_json: AsJson = False,
) -> int:
    """Bring versions from the remote archive.

    Every digest is checked before a version is kept, and nothing here is overwritten. Exit 1 if a version could not be
    pulled.
    """
    from toolkit.archive.remote import pull_reports
    from toolkit.workspace import open_workspace

    _check_choice(refs, every=every, verb="pull")
    with progress() as tell:
        done = pull_reports(open_workspace(), None if every else refs, progress=tell)
    return _report(done, "pulled", as_json=as_json)


def _check_choice(refs: list[str] | None, *, every: bool, verb: str) -> None:
    if bool(refs) == every:
        raise ArgumentError(f"name the reports to {verb}, or give --all for every one; not both")


def _report(done: Transfer, verb: str, *, as_json: bool) -> int:
    if as_json:
        lists = {name: [str(each) for each in getattr(done, name)] for name in ("moved", "present", "tombstones")}
        print_document(lists | {"problems": done.problems})
    else:
        moved = f"{_count(len(done.moved), 'version')}, {_count(len(done.tombstones), 'tombstone')}"
        print_text(f"{verb}: {moved}; there already: {_count(len(done.present), 'version')}")
    if not done.problems:
        return 0
    print_text("\n".join(done.problems), to_stderr=True)
    return ArchiveError.exit_code


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _describe(judged: Pruning) -> dict[str, Any]:
    from toolkit.windows import format_instant

    return {
        "now": format_instant(judged.now),
        "pruned": [{"reference": str(each.reference), "rule": each.reason} for each in judged.pruned],
        "kept": [{"reference": str(each.reference), "reason": each.reason} for each in judged.kept],
        "failures": list(judged.failures),
        "unfinished": [str(each) for each in judged.unfinished],
    }
