"""A batch on an existing Dask cluster: its workers run the very function that threads run here.

Scheduling, transport and the loss of workers are Dask's. What it needs of us is that a run can be done over: a run that
was lost with its worker is handed to another, which asks the record first whether it was finished after all.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.errors import MissingExtraError, UsageError
from toolkit.reports.batch import Crew, run_item
from toolkit.reports.outcomes import Outcome, Run
from toolkit.reports.request import RunRequest
from toolkit.reports.runner import run_report
from toolkit.workspace import Workspace

_CONNECT_S = 10


@contextmanager
def open_cluster(address: str, workspace: Workspace, *, run: Run = run_report) -> Iterator[Crew]:
    """The workers of the Dask scheduler at `address`, such as `tcp://127.0.0.1:8786`.

    Parameters
    ----------
    run: runs one request and publishes; a function that a worker can import.

    Raises `MissingExtraError` without distributed, and `UsageError` when nothing answers, there is no worker, or one
    has another toolkit or does not see the workspace.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError(
            "--dask needs Dask's distributed, which is not installed: pip install 'improvement-toolkit[dask]'"
        ) from None
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as err:
        raise UsageError(
            f"--dask {address}: no scheduler answers ({type(err).__name__}: {err}); start one with 'dask scheduler', "
            "or name one that runs, such as tcp://127.0.0.1:8786"
        ) from None
    with client:
        workers = _check_workers(address, client.run(_describe, workspace.root))
        with client.get_executor(pure=False) as executor:

            def submit(request: RunRequest, after: int) -> Future[Outcome]:
                future: Future[Outcome] = executor.submit(run_item, request, after, run=run)
                return future

            yield Crew(workers, submit)


def _describe(root: Path) -> dict[str, Any]:
    """What a worker is, seen from itself; runs on it."""
    from toolkit import __version__
    from toolkit.reports.manifest import describe_toolkit

    return {"toolkit": describe_toolkit(), "version": __version__, "sees": (root / "toolkit.toml").is_file()}


def _check_workers(address: str, found: dict[str, dict[str, Any]]) -> int:
    own = _describe(Path("/"))["toolkit"]
    problems = []
    for worker, seen in sorted(found.items()):
        if not seen["sees"]:
            problems.append(f"{worker} does not see the workspace; it must lie on a file system that all workers share")
        if seen["toolkit"] != own:
            problems.append(f"{worker} has toolkit {_name(seen['toolkit'])}, and this is {_name(own)}")
    if not found:
        problems.append("the scheduler has no worker; start one with 'dask worker'")
    if problems:
        raise UsageError("\n".join(f"--dask {address}: {problem}" for problem in problems))
    return len(found)


def _name(toolkit: dict[str, Any]) -> str:
    commit = toolkit.get("commit")
    return f"{toolkit['version']} at {commit[:12]}" if commit else str(toolkit["version"])
