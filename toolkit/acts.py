"""Acts: what follows from a published report, done by the command that published it and never by a notebook.

So far there is one: what a report says of an experiment, a look above all, goes into the ledger. Each act is done once
for a report, whoever runs it and however often; what a process that died has left undone, `settle` does. Runs go
through `run_report` here, so that they act alike alone, in a batch, on a schedule, on a cluster and from a form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from toolkit.archive import reconcile
from toolkit.archive.versions import load_manifest, load_results
from toolkit.errors import ArchiveError, UnknownNameError
from toolkit.experiments.record import EXPERIMENT, Report, list_unread, record_report
from toolkit.reports import Published, RunRequest
from toolkit.reports import run_report as publish_report
from toolkit.workspace import Workspace, current_actor, open_workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.reports.stops import Stop


def run_report(
    request: RunRequest, *, progress: Callable[[str], None] | None = None, stop: Stop | None = None
) -> Published:
    """Run a template, publish its report, and do what follows from it; see `toolkit.reports.run_report`."""
    from toolkit.ledger import open_ledger

    published = publish_report(request, progress=progress, stop=stop)
    if published.manifest["parameters"].get(EXPERIMENT):
        workspace = open_workspace(request.workspace_root)
        with open_ledger(workspace.ledger) as ledger:
            _record(workspace, ledger, [str(published.reference)])
    return published


def settle(workspace: Workspace) -> None:
    """Do what follows from reports that were published before and has not been done.

    A command asks for it before it runs anything: a look that was taken counts for the next one, also when the process
    that took it died between publishing and recording. Raises `LedgerError`.
    """
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
        _record(workspace, ledger, list_unread(ledger))


def _record(workspace: Workspace, ledger: Ledger, references: Iterable[str]) -> None:
    for reference in references:
        try:
            manifest, results = load_manifest(workspace, reference), load_results(workspace, reference)
        except (ArchiveError, UnknownNameError):  # damaged, which `reports verify` tells, or pruned
            continue
        record_report(ledger, Report(reference, manifest, results), current_actor())
