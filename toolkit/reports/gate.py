"""The privacy gate: a run's output, cleaned of what is this machine's; held back if it holds what is nobody's business.

Paths and the values of secrets are taken out of everything that is kept, of a report and of a failure alike. A report
that printed a secret, or that holds patterned personal data without an exception, is not published: it lies in
quarantine, readable by the user who ran it, and the refusal says where, what and how to go on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from toolkit.archive import versions
from toolkit.archive.versions import RESULTS
from toolkit.digests import document_bytes
from toolkit.privacy import (
    Judgement,
    Redacted,
    Redactor,
    judge,
    machine_places,
    refuse_personal_data,
    refuse_secrets,
    scan_outputs,
)
from toolkit.reports import manifest
from toolkit.reports.engine import Execution
from toolkit.reports.kept import keep
from toolkit.reports.run import Run
from toolkit.workspace.secrets import is_secret_reference, read_secret, secret_name


@dataclass(frozen=True)
class Cleaned:
    """What a run has put out, without what is this machine's or secret; and what was taken out.

    `saved`: the results as the bytes of their file.
    """

    execution: Execution
    results: dict[str, Any]
    saved: bytes
    redacted: Redacted


def name_secrets(parameters: dict[str, Any]) -> dict[str, str]:
    """The parameters that name a secret, and its name. Raises `ParameterError`."""
    return {key: secret_name(value) for key, value in parameters.items() if is_secret_reference(value)}


def make_redactor(run: Run, run_folder: Path) -> Redactor:
    """What takes this machine's places and the run's secrets out of a text. Raises `ParameterError`."""
    secrets = {name: str(read_secret(name)) for name in set(run.secrets.values())}
    return Redactor(machine_places(run.workspace.root, run_folder=run_folder), secrets)


def clean(execution: Execution, saved: bytes, redactor: Redactor) -> Cleaned:
    """Take out of a run's notebook, failure and results what must not be kept; the notebook is changed in place.

    `saved`: `results.json` as the notebook wrote it.
    """
    redacted = redactor.redact_notebook(execution.notebook)
    failure = execution.failure
    if failure is not None:
        message, found = redactor.redact_text(failure.message)
        execution = replace(execution, failure=replace(failure, message=message))
        redacted += found
    results: dict[str, Any] = json.loads(saved)
    if redactor.redact_text(saved.decode())[1]:  # one pass over the text, as nearly always there is nothing
        results, found = redactor.redact_document(results)
        saved, redacted = document_bytes(results), redacted + found
    return Cleaned(execution, results, saved, redacted)


def pass_gate(run: Run, cleaned: Cleaned, staging: Path) -> dict[str, Any]:
    """What the manifest says of a report that may be published.

    Raises `Blocked`, recorded, when it may not: then it lies in quarantine.
    """
    template, today = run.template.name, run.started_at.astimezone(UTC).date()
    judgement = judge(
        scan_outputs(cleaned.execution.notebook, cleaned.results), run.exceptions, template=template, on=today
    )
    if cleaned.redacted.secrets:
        kept = _quarantine(run, cleaned, judgement, staging)
        err = refuse_secrets(cleaned.redacted.secrets, kept=kept)
    elif not judgement.passed:
        kept = _quarantine(run, cleaned, judgement, staging)
        err = refuse_personal_data(judgement, template=template, kept=kept, on=today)
    else:
        return {"outcome": "passed", "redacted_places": cleaned.redacted.places, **judgement.to_document()}
    run.refuse(err, kept=kept)
    raise err


def _quarantine(run: Run, cleaned: Cleaned, judgement: Judgement, staging: Path) -> str:
    """Keep what is not published for the user who ran it; where it lies."""
    held = staging / "held"
    held.mkdir(mode=0o700)
    found = [{"kind": hit.kind, "where": hit.where, "count": hit.count} for hit in judgement.standing]
    known = {"secrets": dict(cleaned.redacted.secrets), "personal_data": found}
    (held / versions.NOTEBOOK).write_bytes(manifest.notebook_bytes(cleaned.execution.notebook))
    (held / RESULTS).write_bytes(cleaned.saved)
    (held / "found.json").write_bytes(document_bytes(known))
    return keep(run, held, versions.QUARANTINE, private=True)


def holds_personal_data(execution: Execution) -> bool:
    """Whether a half-run notebook holds what only the user who ran it should read."""
    return bool(scan_outputs(execution.notebook, {"rows": []}))
