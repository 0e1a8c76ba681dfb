"""One report from request to published version: find, check, execute, publish, record.

Nothing that was published before is ever touched. What cannot be reported for a good reason is refused and the refusal
recorded; what fails keeps its half-run notebook under `reports/failed/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from toolkit.archive import versions
from toolkit.archive.versions import AS_OF, RESULTS, Reference
from toolkit.archive.writing import explained
from toolkit.digests import document_bytes
from toolkit.errors import Refused
from toolkit.privacy import load_exceptions
from toolkit.records import to_document
from toolkit.reports import engine, manifest
from toolkit.reports.failure import KERNEL_LOG, raise_failure
from toolkit.reports.gate import Cleaned, clean, make_redactor, name_secrets, pass_gate
from toolkit.reports.parameters import (
    name_definitions,
    name_subject,
    read_instant,
    resolve_parameters,
    safe_component,
)
from toolkit.reports.quarantined import describe_quarantines, read_quarantines
from toolkit.reports.request import RunRequest, choose_limits, choose_start
from toolkit.reports.run import Run
from toolkit.reports.save import PROVENANCE
from toolkit.reports.stops import Stop
from toolkit.reports.templates import Template, find_template
from toolkit.windows import format_instant
from toolkit.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class Published:
    """A published report: its reference, folder, HTML page and manifest."""

    reference: Reference
    folder: Path
    page: Path
    manifest: Mapping[str, Any]


def run_report(
    request: RunRequest, *, progress: Callable[[str], None] | None = None, stop: Stop | None = None
) -> Published:
    """Run a template and publish its report as the next version.

    Parameters
    ----------
    progress: called with one line at each step and before each code cell.
    stop: ends the run from outside.

    Raises `UsageError` (nothing was run, or a definition is wrong), `Refused` (`NotReady`, `Blocked`, `Skipped`,
    `ContractError`; recorded in the ledger), `RunError`, which names the failing cell and where its notebook is,
    `RunStopped`, and `ArchiveError` when the archive cannot be written: then nothing was published or recorded.
    """
    from toolkit.ledger import open_ledger

    started_at = datetime.now(UTC)
    tell = progress or _stay_silent
    workspace = open_workspace(request.workspace_root)
    template = find_template(workspace, request.template)
    tell(f"checking the parameters of {template.name}")
    parameters = resolve_parameters(template, request.parameters)
    named = name_definitions(workspace, template, parameters)
    parameters |= named
    secrets = name_secrets(parameters)
    given = {name: parameters[name] for name in (*request.parameters, *secrets)} | named
    wanted = parameters.get(AS_OF) if template.declared else None
    as_of = read_instant(wanted) if isinstance(wanted, str) and wanted else None
    series = _name_series(template, parameters, as_of or "latest")
    kernel = engine.choose_kernel(template)

    versions.sweep_staging(workspace, now=started_at)
    with open_ledger(workspace.ledger) as ledger:
        versions.reconcile(workspace, ledger)
        run = Run(
            request,
            workspace,
            ledger,
            template,
            parameters,
            given,
            secrets,
            load_exceptions(workspace),
            as_of,
            series,
            kernel,
            choose_start(request.kernel, workspace.settings),
            choose_limits(request.limits, workspace.settings),
            ledger.position(),
            started_at,
            tell,
            stop or Stop(),
        )
        if wanted == "":
            tell("finding the last day complete in the data")
            as_of = _find_as_of(run)
        return _execute(run if as_of is None else _settle(run, as_of))


def _find_as_of(run: Run) -> str:
    try:
        return format_instant(find_as_of(run.workspace))
    except Refused as err:
        run.refuse(err)
        raise


def _settle(run: Run, as_of: str) -> Run:
    """The run at its instant, which is injected whether it was given or found."""
    parameters = run.parameters | {AS_OF: as_of}
    series = _name_series(run.template, parameters, as_of)
    return replace(run, parameters=parameters, given=run.given | {AS_OF: as_of}, as_of=as_of, series=series)


def find_as_of(workspace: Workspace) -> datetime:
    """The last day complete in the workspace's data: what an empty `as_of` means.

    Raises `ContractError` and `NotReady`.
    """
    from toolkit.data import open_source

    complete: datetime = open_source(workspace).complete_through()
    return complete


def _execute(run: Run) -> Published:
    with explained(run.workspace.reports), versions.open_staging(run.workspace) as staging:
        staged = staging / "report"
        staged.mkdir()
        redactor = make_redactor(run, staging)
        run.tell("starting the kernel")
        execution = engine.execute(
            run.template,
            run.given,
            kernel=run.kernel,
            workspace_root=run.workspace.root,
            run_folder=staged,
            log=staging / KERNEL_LOG,
            tell=lambda text: run.tell(redactor.redact_text(text)[0]),
            ledger_sequence=run.position.sequence,
            start=run.start,
            limits=run.limits,
            secrets=run.secrets,
            stop=run.stop,
        )
        _scrub(execution.notebook, run.template)
        # What a kernel that was ended has left of its results may be cut off anywhere; nobody asks for it.
        saved = document_bytes(to_document({})) if execution.failure else _read_results(staged)
        cleaned = clean(execution, saved, redactor)
        execution = cleaned.execution
        if execution.failure is not None:
            raise_failure(run, execution, execution.failure, staging, redactor)
        run.tell("looking for what must not be published")
        privacy = pass_gate(run, cleaned, staging)
        (staged / versions.NOTEBOOK).write_bytes(manifest.notebook_bytes(execution.notebook))
        (staged / RESULTS).write_bytes(cleaned.saved)
        return _publish(run, cleaned, staged, privacy)


def _publish(run: Run, cleaned: Cleaned, staged: Path, privacy: dict[str, Any]) -> Published:
    from toolkit.reports.render import render_html

    run.tell("rendering the page")
    provenance = _take_provenance(staged)
    quarantines = read_quarantines(provenance["quarantined"])
    for quarantine in quarantines:
        run.tell(f"left out: {quarantine.text}")
    provenance["quarantined"] = describe_quarantines(quarantines)
    known = manifest.describe_run(run, cleaned.execution, provenance, cleaned.results) | {"privacy": privacy}
    finished = known["finished_at"]

    def finish(reference: Reference) -> None:
        facts = [str(reference), f"as of {run.as_of}" if run.as_of else "", f"published {finished[:16]}Z"]
        page = render_html(
            cleaned.execution.notebook,
            title=run.template.title,
            facts=[fact for fact in facts if fact],
            left_out=[quarantine.text for quarantine in quarantines],
        )
        (staged / versions.PAGE).write_text(page, encoding="utf-8")
        files = manifest.list_files(staged, but=versions.MANIFEST)
        (staged / versions.MANIFEST).write_bytes(document_bytes(known | {"reference": str(reference), "files": files}))

    after = versions.last_recorded(run.ledger, run.series)
    reference = versions.publish(run.workspace, staged, run.series, after=after, finish=finish)
    versions.record_publication(run.workspace, run.ledger, reference)
    run.tell(f"published {reference}")
    folder = versions.report_folder(run.workspace, reference)
    return Published(reference, folder, folder / versions.PAGE, versions.load_manifest(run.workspace, reference))


def _read_results(staged: Path) -> bytes:
    """What the notebook saved; nothing for a plain one."""
    path = staged / RESULTS
    return path.read_bytes() if path.is_file() else document_bytes(to_document({}))


def _take_provenance(staged: Path) -> dict[str, Any]:
    """What the kernel really opened: it goes into the manifest, and its own file away."""
    path = staged / PROVENANCE
    if not path.is_file():
        return {"definitions": [], "sources": [], "quarantined": [], "repositories": []}
    provenance: dict[str, Any] = json.loads(path.read_bytes())
    path.unlink()
    return provenance


def _name_series(template: Template, parameters: dict[str, Any], as_of: str) -> Reference:
    known = parameters | {AS_OF: as_of} if template.declared and AS_OF in parameters else parameters
    return Reference(safe_component(template.name), name_subject(template, known))


def _scrub(notebook: Any, template: Template) -> None:
    """Take out of an executed notebook what is this machine's or this moment's: paths and random cell ids."""
    if "papermill" in notebook.metadata:
        notebook.metadata.papermill.pop("output_path", None)
        notebook.metadata.papermill["input_path"] = f"templates/{template.path.name}"
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []) and "id" in cell:
            cell["id"] = "injected-parameters"


def _stay_silent(_: str) -> None:
    """Nobody asked for progress."""
