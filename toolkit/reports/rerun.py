"""Running a report again from its pins, in a folder of its own: what comes out is what would have been published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.archive.compare import Version
from toolkit.archive.versions import FIGURES, RESULTS
from toolkit.data.cache import FOLDER as CACHE
from toolkit.digests import digest_file, document_bytes
from toolkit.errors import ParameterError, TemplateError
from toolkit.records import to_document
from toolkit.reports import engine, manifest
from toolkit.reports.pins import (
    PinError,
    Pins,
    find_later_definitions,
    find_pinned_definitions,
    find_pinned_template,
    lay_workspace,
)
from toolkit.reports.request import choose_limits
from toolkit.reports.save import PROVENANCE
from toolkit.reports.templates import read_template
from toolkit.workspace import Workspace
from toolkit.workspace.secrets import Secret, is_secret_reference, read_secret, secret_name

if TYPE_CHECKING:
    from toolkit.privacy import Redactor
    from toolkit.reports.templates import Template

RERUN = "the re-run"
"""What the second side of a reproduction's comparison is called."""

_NO_PROVENANCE: dict[str, Any] = {"definitions": [], "sources": [], "quarantined": [], "repositories": []}


@dataclass(frozen=True)
class Rerun:
    """A report that was run again.

    Attributes
    ----------
    version: it as the second side of a comparison.
    same: whether its `results.json` is the published one to the byte.
    restored: pinned files that are no longer as they were, and where they were found.
    """

    version: Version
    same: bool
    restored: tuple[str, ...]


def run_pinned(
    workspace: Workspace,
    pins: Pins,
    published: Mapping[str, Any],
    results: bytes,
    *,
    staging: Path,
    tell: Callable[[str], None],
) -> Rerun:
    """Run a report again in `staging`.

    Parameters
    ----------
    published: the report's manifest.
    results: its `results.json`.

    Raises `PinError` when something pinned cannot be had, or the notebook no longer runs.
    """
    tell("finding what the manifest pins")
    notebook, found_at = find_pinned_template(workspace, pins)
    definitions = find_pinned_definitions(workspace, pins)
    later = find_later_definitions(workspace, pins)
    secrets = _find_secrets(pins)
    root = workspace.root
    # What is kept of the data would answer for them: whoever asks whether it comes out again wants it computed again.
    kept = {CACHE} if (root / CACHE).exists() else set()
    if definitions or later or kept:
        files = {path: content for path, (content, _) in definitions.items()}
        root = lay_workspace(workspace, staging / "workspace", files, later | kept)
    template = _restore_template(staging, pins, notebook)
    folder = staging / "report"
    folder.mkdir()
    redactor = _make_redactor(workspace, root, folder, secrets)
    tell("starting the kernel")
    execution = engine.execute(
        template,
        pins.parameters,
        kernel=_choose_kernel(template),
        workspace_root=root,
        run_folder=folder,
        log=staging / "kernel.log",
        tell=tell,
        ledger_sequence=pins.sequence,
        limits=choose_limits(None, workspace.settings),
        secrets={parameter: secret.name for parameter, secret in secrets.items()},
    )
    if execution.failure is not None:
        raise PinError(redactor.redact_text(_failure_text(template, execution, execution.failure))[0])
    own = _read_results(folder, results, redactor)
    return Rerun(
        Version(RERUN, _describe(published, template, folder), json.loads(own)),
        same=own == results,
        restored=(
            *([f"template {pins.template}, from {found_at}"] if found_at else []),
            *(f"{path}, from {where}" for path, (_, where) in definitions.items()),
            *(f"the workspace without {path}, which is newer" for path in sorted(later)),
        ),
    )


def _find_secrets(pins: Pins) -> dict[str, Secret]:
    """Parameter to its secret, read where it lies today: a manifest holds the names only. Raises `PinError`."""
    found = {}
    for name, value in pins.parameters.items():
        if is_secret_reference(value):
            try:
                found[name] = read_secret(secret_name(value))
            except ParameterError as err:
                raise PinError(f"parameter {name!r}: {err}") from None
    return found


def _restore_template(staging: Path, pins: Pins, notebook: bytes) -> Template:
    folder = staging / "templates"
    folder.mkdir()
    path = folder / f"{pins.template}.ipynb"
    path.write_bytes(notebook)
    try:
        return read_template(path, "shipped" if pins.origin == "shipped" else "workspace")
    except TemplateError as err:  # it ran once, under a toolkit with other rules
        raise PinError(f"this toolkit does not take the template any more: {err}") from None


def _choose_kernel(template: Template) -> str:
    try:
        return engine.choose_kernel(template)
    except TemplateError as err:
        raise PinError(str(err)) from None


def _make_redactor(workspace: Workspace, root: Path, folder: Path, secrets: Mapping[str, Secret]) -> Redactor:
    """What takes places and secrets out of the re-run's words; the workspace is `.`, wherever it was laid."""
    from toolkit.privacy import Redactor, machine_places

    places = [*machine_places(root, run_folder=folder), (".", workspace.root)]
    return Redactor(places, {secret.name: str(secret) for secret in secrets.values()})


def _failure_text(template: Template, execution: engine.Execution, failure: engine.CellFailure) -> str:
    where = engine.describe_place(execution.notebook, failure.cell_index)
    return f"{template.name} no longer runs: it stops {where}: {failure.error}: {failure.message}"


def _read_results(folder: Path, published: bytes, redactor: Redactor) -> bytes:
    """The re-run's `results.json`; where it is not as published, without what a published one never holds."""
    path = folder / RESULTS
    if not path.is_file():  # a plain notebook, which does not save
        return document_bytes(to_document({}))
    own = path.read_bytes()
    if own == published:
        return own
    redacted, found = redactor.redact_document(json.loads(own))
    return document_bytes(redacted) if found else own


def _describe(published: Mapping[str, Any], template: Template, folder: Path) -> dict[str, Any]:
    """The re-run's manifest: what was pinned is as published, what was opened and what ran it is its own."""
    path = folder / PROVENANCE
    provenance = json.loads(path.read_bytes()) if path.is_file() else _NO_PROVENANCE
    figures = sorted((folder / FIGURES).glob("*"))
    return {
        **published,
        **provenance,
        "toolkit": manifest.describe_toolkit(),
        "environment": manifest.describe_environment(),
        "kernel": {**published.get("kernel", {}), "name": _choose_kernel(template)},
        "files": [{"path": f"{FIGURES}/{figure.name}", "digest": digest_file(figure)} for figure in figures],
        "finished_at": "",
    }
