"""Acts: what follows from a published report, done by the command that published it and never by a notebook.

What a report says of an experiment, a look above all, goes into the ledger, and so does what it says of signals: which
it saw, and which have recovered; and its plan, of every item of the backlog. Each act is done once for a report,
whoever runs it and however often; what a process that died has left undone, `settle` does. Runs go through `run_report`
here, so that they act alike alone, in a batch, on a schedule, on a cluster and from a form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.archive import reconcile
from toolkit.archive.versions import load_manifest, load_results
from toolkit.errors import ArchiveError, UnknownNameError
from toolkit.experiments import record as experiments
from toolkit.reports import Published, RunRequest
from toolkit.reports import run_report as publish_report
from toolkit.signals.lifecycle import record as signals
from toolkit.triage.lifecycle import record as plans
from toolkit.workspace import Workspace, current_actor, open_workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger
    from toolkit.reports.stops import Stop
    from toolkit.workspace import Actor


class Act(NamedTuple):
    """One kind of thing that follows from published reports.

    Attributes
    ----------
    list_unread: the references of published reports for which it has not been done, oldest first.
    record: does it for one report, if that is one for it: its reference, manifest and results, and who.
    """

    list_unread: Callable[[Ledger], list[str]]
    record: Callable[[Ledger, str, Mapping[str, Any], Mapping[str, Any], Actor], None]


def _record_experiment(
    ledger: Ledger, reference: str, manifest: Mapping[str, Any], results: Mapping[str, Any], actor: Actor
) -> None:
    if manifest["parameters"].get(experiments.EXPERIMENT):
        experiments.record_report(ledger, experiments.Report(reference, manifest, results), actor)


_ACTS = (
    Act(experiments.list_unread, _record_experiment),
    Act(signals.list_unread, signals.record_report),
    Act(plans.list_unread, plans.record_report),
)
"""Every kind, in the order in which they are done."""


def run_report(
    request: RunRequest, *, progress: Callable[[str], None] | None = None, stop: Stop | None = None
) -> Published:
    """Run a template, publish its report, and do what follows from it; see `toolkit.reports.run_report`."""
    from toolkit.ledger import open_ledger

    published = publish_report(request, progress=progress, stop=stop)
    workspace = open_workspace(request.workspace_root)
    with open_ledger(workspace.ledger) as ledger:
        _do(_ACTS, workspace, ledger, str(published.reference))
    return published


def settle(workspace: Workspace) -> None:
    """Do what follows from reports that were published before and has not been done.

    A command asks for it before it runs anything: a look that was taken counts for the next one, also when the process
    that took it died between publishing and recording. Raises `LedgerError`.
    """
    from toolkit.ledger import open_ledger

    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
        for act in _ACTS:
            for reference in act.list_unread(ledger):
                _do([act], workspace, ledger, reference)


def _do(acts: Iterable[Act], workspace: Workspace, ledger: Ledger, reference: str) -> None:
    try:
        manifest, results = load_manifest(workspace, reference), load_results(workspace, reference)
    except (ArchiveError, UnknownNameError):  # damaged, which `reports verify` tells, or pruned
        return
    for act in acts:
        act.record(ledger, reference, manifest, results, current_actor())
