"""Running what is owed, each slot once.

Any number of processes may do so at once and may be killed at any moment. Each slot is claimed, looked up once more
behind its claim, and run; what comes of it is in the ledger and the archive, where the next call finds it. Nothing is
tried twice within one call: a slot that failed, or whose data are not complete, stays owed and has its turn at the
next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Literal

from toolkit.errors import Blocked, ContractError, NotReady, Skipped, ToolkitError
from toolkit.reports import Published, RunRequest, check_parameters, find_template, reconcile, run_report
from toolkit.reports.parameters import AS_OF
from toolkit.reports.runner import find_as_of
from toolkit.schedule.claims import claim, sweep
from toolkit.schedule.owed import Owed, find_done
from toolkit.windows import format_instant, parse_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

Run = Callable[..., Published]
"""`run_report`, or what stands in for it."""

State = Literal["published", "skipped", "done", "running", "waiting", "refused", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What came of one slot.

    Attributes
    ----------
    state: `published` now; `skipped`, as there is nothing to report; `done` by another process in the meantime;
        `running` in another process; `waiting` for data that are not complete; `refused` by a rule or for data that
        break their contract; `failed`.
    reference: the report, when there is one.
    reason: why there is none.
    ready_on: from when on the data can be complete, if that is known.
    """

    owed: Owed
    state: State
    reference: str | None = None
    reason: str | None = None
    ready_on: datetime | None = None

    @property
    def needs_a_person(self) -> bool:
        """Whether the next call will do no better by itself."""
        return self.state in ("refused", "failed")


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
    run: runs one request and publishes.
    progress: called with one line at each step.

    Raises `LedgerError` and `ArchiveError` when the record itself cannot be read or written.
    """
    from toolkit.ledger import open_ledger

    tell = progress or (lambda _: None)
    complete_through = cache(lambda: find_as_of(workspace))
    outcomes = []
    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
        for number, each in enumerate(owed, start=1):
            tell_of_it = _tell_about(f"{each.slot} ({number} of {len(owed)})", tell)
            outcome = _settle(workspace, ledger, each, run, complete_through, tell_of_it)
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
    run: Run,
    complete_through: Callable[[], datetime],
    tell: Callable[[str], None],
) -> Outcome:
    with claim(workspace, owed.slot) as ours:
        if not ours:
            return Outcome(owed, "running", reason="another process is running it")
        return _look_up(workspace, ledger, owed) or _run(workspace, owed, run, complete_through, tell)


def _look_up(workspace: Workspace, ledger: Ledger, owed: Owed) -> Outcome | None:
    found = find_done(workspace, ledger).get(owed.slot)
    return None if found is None else Outcome(owed, "done", found.reference, found.reason)


def _run(
    workspace: Workspace,
    owed: Owed,
    run: Run,
    complete_through: Callable[[], datetime],
    tell: Callable[[str], None],
) -> Outcome:
    try:
        _require_complete(workspace, owed, complete_through)
        published = run(RunRequest(workspace.root, owed.template, owed.parameters, owed.slot), progress=tell)
    except NotReady as err:
        return Outcome(owed, "waiting", reason=str(err), ready_on=err.ready_on)
    except Skipped as err:
        return Outcome(owed, "skipped", reason=str(err))
    except (Blocked, ContractError) as err:
        return Outcome(owed, "refused", reason=str(err))
    except ToolkitError as err:
        return Outcome(owed, "failed", reason=str(err))
    return Outcome(owed, "published", reference=str(published.reference))


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
