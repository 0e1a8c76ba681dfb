"""Running what is owed, each slot once.

Any number of processes may do so at once and may be killed at any moment. Each slot is claimed, looked up once more
behind its claim, and run; what comes of it is in the ledger and the archive, where the next call finds it. Nothing is
tried twice within one call: a slot that failed, or whose data are not complete, stays owed and has its turn at the
next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from toolkit.acts import run_report, settle
from toolkit.archive.versions import AS_OF
from toolkit.errors import NotReady
from toolkit.reports import Published, RunRequest, check_parameters, find_template
from toolkit.reports.engine import Start
from toolkit.reports.outcomes import Outcome as RunOutcome
from toolkit.reports.outcomes import Run, attempt
from toolkit.reports.request import choose_start
from toolkit.reports.runner import find_as_of
from toolkit.schedule.claims import claim, sweep
from toolkit.schedule.owed import Owed, find_done
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger


@dataclass(frozen=True)
class Outcome(RunOutcome):
    """What came of one slot: the outcome of its run, with the slot."""

    owed: Owed = field(kw_only=True)


def run_due(
    workspace: Workspace,
    owed: Sequence[Owed],
    *,
    run: Run = run_report,
    progress: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """Run the slots that are owed, in their order; see `find_owed`. One that does not work out stops no other.

    Parameters
    ----------
    run: runs one request, publishes, and does what follows from the report.
    progress: called with one line at each step.

    Raises `LedgerError` and `ArchiveError` when the record itself cannot be read or written.
    """
    from toolkit.ledger import open_ledger

    tell = progress or (lambda _: None)
    start = choose_start("auto", workspace.settings, many=len(owed) > 1)
    complete_through = cache(lambda: find_as_of(workspace))
    outcomes = []
    settle(workspace)
    with open_ledger(workspace.ledger) as ledger:
        for number, each in enumerate(owed, start=1):
            tell_of_it = _tell_about(f"{each.slot} ({number} of {len(owed)})", tell)
            outcome = _settle(
                workspace,
                ledger,
                each,
                start=start,
                run=run,
                complete_through=complete_through,
                tell=tell_of_it,
            )
            if outcome.state != "published":  # which the run has told itself
                tell_of_it(": ".join(filter(None, [outcome.state, outcome.reference or outcome.reason])))
            outcomes.append(outcome)
        sweep(workspace, find_done(workspace, ledger))
    return outcomes


def _tell_about(what: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: tell(f"{what}: {text}")


def _settle(
    workspace: Workspace,
    ledger: Ledger,
    owed: Owed,
    *,
    start: Start,
    run: Run,
    complete_through: Callable[[], datetime],
    tell: Callable[[str], None],
) -> Outcome:
    def run_when_complete(request: RunRequest, **options: Any) -> Published:
        _require_complete(workspace, owed, complete_through)
        return run(request, **options)

    with claim(workspace, owed.slot) as ours:
        if not ours:
            return Outcome("running", reason="another process is running it", owed=owed)
        found = find_done(workspace, ledger).get(owed.slot)
        if found is not None:
            return Outcome("done", found.reference, found.reason, owed=owed)
        request = RunRequest(workspace.root, owed.template, owed.parameters, owed.slot, kernel=start)
        return Outcome(**vars(attempt(request, run=run_when_complete, progress=tell)), owed=owed)


def _require_complete(workspace: Workspace, owed: Owed, complete_through: Callable[[], datetime]) -> None:
    """Raise `NotReady` when the slot's report would speak of a moment that the data have not reached.

    Asked before the run, so that a slot that waits costs no kernel and leaves no row in the ledger, however often it
    is asked for.
    """
    template = find_template(workspace, owed.template)
    as_of = check_parameters(workspace, template, owed.parameters).get(AS_OF) if template.declared else None
    if not as_of or "predictions" not in template.reads:
        return
    complete, wanted = complete_through(), parse_instant(as_of)
    if wanted > complete:
        raise NotReady(
            f"as_of {as_of} is later than the data, which are complete up to {format_instant(complete)}",
            ready_on=wanted,
        )
