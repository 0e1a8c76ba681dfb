"""What came of a run: an outcome instead of an exception, so that one of many stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from toolkit.errors import Blocked, ContractError, NotReady, RunError, RunStopped, Skipped, ToolkitError
from toolkit.reports.request import RunRequest
from toolkit.reports.runner import Published, run_report

Run = Callable[..., Published]
"""`run_report`, or what stands in for it."""

State = Literal["published", "skipped", "done", "running", "waiting", "refused", "failed", "stopped"]

RETRIES = 2
"""How often a run is tried again when what failed can be transient."""

FIRST_PAUSE_S = 1.0
"""Seconds before the first of these; each further pause is twice as long."""


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Attributes
    ----------
    state: `published` now; `skipped`, as there is nothing to report; `done` by another process, or before; `running`
        in another process; `waiting` for data that are not complete; `refused` by a rule or for data that break their
        contract; `failed`; `stopped` before it was finished.
    reference: the report, when there is one.
    reason: why there is none.
    ready_on: from when on the data can be complete, if that is known.
    tries: how often it was tried.
    """

    state: State
    reference: str | None = None
    reason: str | None = None
    ready_on: datetime | None = None
    tries: int = 1

    @property
    def needs_a_person(self) -> bool:
        """Whether the next call will do no better by itself."""
        return self.state in ("refused", "failed")


def attempt(
    request: RunRequest,
    *,
    run: Run = run_report,
    retries: int = RETRIES,
    pause: Callable[[float], None] = time.sleep,
    **options: Any,
) -> Outcome:
    """Run one request, and say what came of it; `options` (progress, stop) go to `run`.

    Only what can be transient is tried again: a kernel that did not come to run a cell. A cell that failed would fail
    again, and what it did it would do twice.
    """
    for tries in range(1, retries + 2):
        try:
            published = run(request, **options)
        except RunError as err:
            if err.transient and tries <= retries:
                pause(FIRST_PAUSE_S * 2 ** (tries - 1))
                continue
            state: State = "stopped" if isinstance(err, RunStopped) else "failed"
            return Outcome(state, reason=str(err), tries=tries)
        except NotReady as err:
            return Outcome("waiting", reason=str(err), ready_on=err.ready_on, tries=tries)
        except Skipped as err:
            return Outcome("skipped", reason=str(err), tries=tries)
        except (Blocked, ContractError) as err:
            return Outcome("refused", reason=str(err), tries=tries)
        except ToolkitError as err:
            return Outcome("failed", reason=str(err), tries=tries)
        return Outcome("published", reference=str(published.reference), tries=tries)
    raise AssertionError("unreachable: the last try returns")
