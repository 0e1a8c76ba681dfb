"""One report from request to published version: find, check, execute, publish, record.

Nothing that was published before is ever touched. What cannot be reported for a good reason is refused and the refusal
recorded; what fails keeps its half-run notebook under `reports/failed/`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from toolkit import errors
from toolkit.digests import document_bytes
from toolkit.errors import ArchiveError, Refused, RunError, ToolkitError, UsageError
from toolkit.records import to_document
from toolkit.reports import archive, engine, manifest
from toolkit.reports.archive import Reference, Slot
from toolkit.reports.parameters import (
    AS_OF,
    name_definitions,
    name_subject,
    read_instant,
    resolve_parameters,
    safe_component,
)
from toolkit.reports.save import PROVENANCE, RESULTS
from toolkit.reports.templates import Template, find_template
from toolkit.reports.writing import explained
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import Workspace, current_actor, open_workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger, Position

REFUSED = "report.refused"
FAILED = "report.failed"

_KERNEL_LOG = "kernel.log"


@dataclass(frozen=True)
class RunRequest:
    """What to run; plain values, so that it can be sent to another process.

    Attributes
    ----------
    workspace_root: the workspace's folder.
    template: a template's name.
    parameters: name to JSON value, or to text that is read by the declared type.
    slot: the slot of a schedule that the run fills; manifest and ledger remember it.
    """

    workspace_root: Path
    template: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    slot: Slot | None = None


@dataclass(frozen=True)
class Published:
    """A published report: its reference, folder, HTML page and manifest."""

    reference: Reference
    folder: Path
    page: Path
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class _Run:
    """What is known of a run before its kernel starts.

    Attributes
    ----------
    parameters: every value, defaults included; `given` is the part that is injected.
    as_of: the resolved instant; None when the template takes none, or before it is resolved.
    """

    workspace: Workspace
    ledger: Ledger
    template: Template
    parameters: dict[str, Any]
    given: dict[str, Any]
    as_of: str | None
    series: Reference
    kernel: str
    position: Position
    started_at: datetime
    tell: Callable[[str], None]
    slot: Slot | None

    def record(self, kind: str, detail: dict[str, Any]) -> None:
        """Append a ledger row on this run's series."""
        payload = {
            "template_digest": self.template.digest,
            "parameters": archive.parameters_text(self.parameters),
            **({"slot": self.slot.to_dict()} if self.slot else {}),
            **detail,
        }
        effective_at = parse_instant(self.as_of) if self.as_of else self.started_at
        self.ledger.append(
            kind=kind, subject=self.series.series, payload=payload, actor=current_actor(), effective_at=effective_at
        )

    def refuse(self, err: Refused) -> None:
        """Record a refusal."""
        self.record(REFUSED, {"type": type(err).__name__, "reason": str(err)})


def run_report(request: RunRequest, *, progress: Callable[[str], None] | None = None) -> Published:
    """Run a template and publish its report as the next version.

    Parameters
    ----------
    progress: called with one line at each step and before each code cell.

    Raises `UsageError` (nothing was run, or a definition is wrong), `Refused` (`NotReady`, `Blocked`, `Skipped`,
    `ContractError`; recorded in the ledger), `RunError`, which names the failing cell and where its notebook is, and
    `ArchiveError` when the archive cannot be written: then nothing was published, and nothing is recorded.
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
    given = {name: parameters[name] for name in request.parameters} | named
    wanted = parameters.get(AS_OF) if template.declared else None
    as_of = read_instant(wanted) if isinstance(wanted, str) and wanted else None
    series = _name_series(template, parameters, as_of or "latest")
    kernel = engine.choose_kernel(template)

    archive.sweep_staging(workspace, now=started_at)
    with open_ledger(workspace.ledger) as ledger:
        archive.reconcile(workspace, ledger)
        position = ledger.position()
        slot = request.slot
        run = _Run(
            workspace, ledger, template, parameters, given, as_of, series, kernel, position, started_at, tell, slot
        )
        if wanted == "":
            tell("finding the last day complete in the data")
            as_of = _find_as_of(run)
        return _execute(run if as_of is None else _settle(run, as_of))


def _find_as_of(run: _Run) -> str:
    try:
        return format_instant(find_as_of(run.workspace))
    except Refused as err:
        run.refuse(err)
        raise


def _settle(run: _Run, as_of: str) -> _Run:
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


def _execute(run: _Run) -> Published:
    with explained(run.workspace.reports), archive.open_staging(run.workspace) as staging:
        staged = staging / "report"
        staged.mkdir()
        run.tell("starting the kernel")
        execution = engine.execute(
            run.template,
            run.given,
            kernel=run.kernel,
            workspace_root=run.workspace.root,
            run_folder=staged,
            log=staging / _KERNEL_LOG,
            tell=run.tell,
            ledger_sequence=run.position.sequence,
        )
        _scrub(execution.notebook, run.template)
        if execution.failure is not None:
            _stop(run, execution, execution.failure, staging)
        (staged / archive.NOTEBOOK).write_bytes(_notebook_bytes(execution.notebook))
        return _publish(run, execution.notebook, staged)


def _publish(run: _Run, notebook: Any, staged: Path) -> Published:
    from toolkit.reports.render import render_html

    if not (staged / RESULTS).is_file():  # a plain notebook, which does not save
        (staged / RESULTS).write_bytes(document_bytes(to_document({})))
    run.tell("rendering the page")
    known = _describe(run, _take_provenance(staged), json.loads((staged / RESULTS).read_bytes()))
    finished = known["finished_at"]

    def finish(reference: Reference) -> None:
        facts = [str(reference), f"as of {run.as_of}" if run.as_of else "", f"published {finished[:16]}Z"]
        page = render_html(notebook, title=run.template.title, facts=[fact for fact in facts if fact])
        (staged / archive.PAGE).write_text(page, encoding="utf-8")
        files = manifest.list_files(staged, but=archive.MANIFEST)
        (staged / archive.MANIFEST).write_bytes(document_bytes(known | {"reference": str(reference), "files": files}))

    after = archive.last_recorded(run.ledger, run.series)
    reference = archive.publish(run.workspace, staged, run.series, after=after, finish=finish)
    archive.record_publication(run.workspace, run.ledger, reference)
    run.tell(f"published {reference}")
    folder = archive.report_folder(run.workspace, reference)
    return Published(reference, folder, folder / archive.PAGE, archive.load_manifest(run.workspace, reference))


def _describe(run: _Run, provenance: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Everything in the manifest that does not depend on the version's number."""
    template, actor = run.template, current_actor()
    return {
        "schema_version": manifest.SCHEMA_VERSION,
        "template": {"name": template.name, "origin": template.origin, "digest": template.digest},
        "subject": run.series.subject,
        "parameters": run.parameters,
        "as_of": run.as_of,
        "slot": run.slot.to_dict() if run.slot else None,
        "windows": manifest.find_windows(results),
        "toolkit": manifest.describe_toolkit(),
        "workspace": manifest.find_commit(run.workspace.root),
        "definitions": provenance["definitions"],
        "sources": provenance["sources"],
        "repositories": provenance["repositories"],
        "environment": manifest.describe_environment(),
        "kernel": {"name": run.kernel, "interpreter": "runner" if run.kernel == engine.RUNNER_KERNEL else "kernelspec"},
        "ledger": {"sequence": run.position.sequence, "hash": run.position.hash},
        "started_at": format_instant(run.started_at),
        "finished_at": format_instant(datetime.now(UTC)),
        "actor": {"name": actor.name, "assurance": actor.assurance},
        "privacy": "not checked",
    }


def _take_provenance(staged: Path) -> dict[str, Any]:
    """What the kernel really opened: it goes into the manifest, and its own file away."""
    path = staged / PROVENANCE
    if not path.is_file():
        return {"definitions": [], "sources": [], "repositories": []}
    provenance: dict[str, Any] = json.loads(path.read_bytes())
    path.unlink()
    return provenance


def _stop(run: _Run, execution: engine.Execution, failure: engine.CellFailure, staging: Path) -> NoReturn:
    """Raise what stopped the notebook: an error that is not the notebook's own as such, anything else as a failure."""
    own = _kernel_errors().get(failure.error)
    if own is not None:
        err = own(failure.message)
        if isinstance(err, Refused):
            run.refuse(err)
        raise err
    notebook = execution.notebook
    where, source = "before its first cell", ""
    if failure.cell_index is not None:
        source = notebook.cells[failure.cell_index].source
        number = engine.count_code_cells(notebook, failure.cell_index)
        total = engine.count_code_cells(notebook, len(notebook.cells))
        where = f"in code cell {number} of {total} ({engine.first_line(source)})"
    cause = f"{failure.error}: {failure.message}"
    text = f"{run.template.name} failed {where}: {cause}"
    try:
        with explained(run.workspace.reports):
            kept = _keep_failure(run, execution, failure, staging, text, source)
    except ArchiveError as err:  # a disk that is full must not hide why the run failed
        run.record(FAILED, {"reason": cause, "where": where, "kept": None})
        raise RunError(f"{text}. The half-run notebook could not be kept: {err}") from None
    shown = kept.relative_to(run.workspace.root).as_posix()
    run.record(FAILED, {"reason": cause, "where": where, "kept": shown})
    raise RunError(f"{text}. The half-run notebook is {shown}/{archive.NOTEBOOK}")


def _keep_failure(
    run: _Run,
    execution: engine.Execution,
    failure: engine.CellFailure,
    staging: Path,
    text: str,
    source: str,
) -> Path:
    from toolkit.reports.render import render_html

    kept = staging / "failure"
    kept.mkdir()
    (kept / archive.NOTEBOOK).write_bytes(_notebook_bytes(execution.notebook))
    document = {
        "template": run.template.name,
        "parameters": run.parameters,
        "cell_index": failure.cell_index,
        "cell_source": source,
        "error": failure.error,
        "message": failure.message,
        "started_at": format_instant(run.started_at),
        "failed_at": format_instant(datetime.now(UTC)),
        "page": archive.PAGE,
    }
    try:
        page = render_html(
            execution.notebook,
            title=run.template.title,
            facts=[str(run.series), "failed"],
            failure=text,
            failed_cell=failure.cell_index,
        )
        (kept / archive.PAGE).write_text(page, encoding="utf-8")
    except Exception as err:  # noqa: BLE001 - a page that does not render must not hide why the run failed
        document["page"] = f"not rendered: {type(err).__name__}: {err}"
    if (log := staging / _KERNEL_LOG).is_file() and log.stat().st_size:
        shutil.copy(log, kept / _KERNEL_LOG)
    (kept / "failure.json").write_bytes(document_bytes(document))
    folder = run.workspace.reports / archive.FAILED / run.series.template / run.series.subject
    folder.mkdir(parents=True, exist_ok=True)
    first = archive.stamp(run.started_at)
    names = chain([first], (f"{first}-{number}" for number in count(2)))
    return folder / next(name for name in names if archive.move_folder(kept, folder / name))


def _kernel_errors() -> dict[str, type[ToolkitError]]:
    """Name to class of refusals, usage errors and an archive that cannot be written, as a kernel reports them."""
    found: dict[str, type[ToolkitError]] = {}
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, Refused | UsageError | ArchiveError):
            found[value.__name__] = value
    return found


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


def _notebook_bytes(notebook: Any) -> bytes:
    import nbformat

    text: str = nbformat.writes(notebook)
    return (text + "\n").encode()


def _stay_silent(_: str) -> None:
    """Nobody asked for progress."""
