"""What stopped a notebook, told and kept: its half-run notebook lies under `reports/failed/`, with the reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from toolkit import errors
from toolkit.archive import versions
from toolkit.archive.writing import explained
from toolkit.digests import document_bytes
from toolkit.errors import ArchiveError, Refused, RunError, RunStopped, ToolkitError, UsageError
from toolkit.privacy import Redactor
from toolkit.reports import engine, manifest
from toolkit.reports.gate import holds_personal_data
from toolkit.reports.kept import keep
from toolkit.reports.run import Run
from toolkit.windows import format_instant

KERNEL_LOG = "kernel.log"
"""What the kernel's process itself has printed."""


def raise_failure(
    run: Run, execution: engine.Execution, failure: engine.CellFailure, staging: Path, redactor: Redactor
) -> NoReturn:
    """Raise what stopped the notebook: an error that is not the notebook's own as such, anything else as a failure.

    Parameters
    ----------
    execution, failure: cleaned (`toolkit.reports.gate`).
    redactor: for what the kernel's process has printed.
    """
    if execution.stopped:
        raise RunStopped(f"{run.template.name} was stopped before it was finished: {failure.message}")
    own = _kernel_errors().get(failure.error)
    if own is not None:
        err = own(failure.message)
        if isinstance(err, Refused):
            run.refuse(err)
        raise err
    notebook = execution.notebook
    where = engine.describe_place(notebook, failure.cell_index)
    source = "" if failure.cell_index is None else notebook.cells[failure.cell_index].source
    cause = f"{failure.error}: {failure.message}"
    text = f"{run.template.name} failed {where}: {cause}"
    try:
        with explained(run.workspace.reports):
            shown = _keep_failure(run, execution, failure, staging, redactor, text=text, source=source)
    except ArchiveError as err:  # a disk that is full must not hide why the run failed
        run.record(versions.RUN_FAILED, {"reason": cause, "where": where, "kept": None})
        raise RunError(f"{text}. The half-run notebook could not be kept: {err}", transient=failure.transient) from None
    run.record(versions.RUN_FAILED, {"reason": cause, "where": where, "kept": shown})
    raise RunError(f"{text}. The half-run notebook is {shown}/{versions.NOTEBOOK}", transient=failure.transient)


def _keep_failure(
    run: Run,
    execution: engine.Execution,
    failure: engine.CellFailure,
    staging: Path,
    redactor: Redactor,
    *,
    text: str,
    source: str,
) -> str:
    from toolkit.reports.render import render_html

    kept = staging / "failure"
    kept.mkdir()
    (kept / versions.NOTEBOOK).write_bytes(manifest.notebook_bytes(execution.notebook))
    document = {
        "template": run.template.name,
        "parameters": run.parameters,
        "cell_index": failure.cell_index,
        "cell_source": source,
        "error": failure.error,
        "message": failure.message,
        "started_at": format_instant(run.started_at),
        "failed_at": format_instant(datetime.now(UTC)),
        "page": versions.PAGE,
    }
    try:
        page = render_html(
            execution.notebook,
            title=run.template.title,
            facts=[str(run.series), "failed"],
            failure=text,
            failed_cell=failure.cell_index,
        )
        (kept / versions.PAGE).write_text(page, encoding="utf-8")
    except Exception as err:  # noqa: BLE001 - a page that does not render must not hide why the run failed
        document["page"] = f"not rendered: {type(err).__name__}: {err}"
    if (log := staging / KERNEL_LOG).is_file() and log.stat().st_size:
        (kept / KERNEL_LOG).write_text(redactor.redact_text(log.read_text(errors="replace"))[0], encoding="utf-8")
    (kept / "failure.json").write_bytes(document_bytes(document))
    return keep(run, kept, versions.FAILED, private=holds_personal_data(execution))


def _kernel_errors() -> dict[str, type[ToolkitError]]:
    """Name to class of refusals, usage errors and an archive that cannot be written, as a kernel reports them."""
    found: dict[str, type[ToolkitError]] = {}
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, Refused | UsageError | ArchiveError):
            found[value.__name__] = value
    return found
