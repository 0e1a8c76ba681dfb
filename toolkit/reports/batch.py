"""Many runs of one template as a batch: planned and checked as a whole, remembered, run on several workers, resumed.

A batch's file says what was asked for; what became of each item is in the ledger and in the manifests, nowhere else. So
a batch can be killed at any moment and resumed: an item is done when a published report names it, or a refusal of the
kind `Skipped` does.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice, product
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

from toolkit.archive import versions
from toolkit.archive.writing import explained
from toolkit.checks import check_at_least, check_in
from toolkit.digests import document_bytes
from toolkit.errors import ArchiveError, ParameterError, Skipped, UnknownNameError
from toolkit.ledger.published import PUBLISHED
from toolkit.reports.claims import claim
from toolkit.reports.limits import Limits
from toolkit.reports.outcomes import Outcome, Run, attempt
from toolkit.reports.parameters import check_parameters
from toolkit.reports.request import BatchItem, Kernel, RunRequest, choose_start
from toolkit.reports.runner import run_report
from toolkit.reports.stops import Stop
from toolkit.reports.templates import Template, find_template
from toolkit.windows import format_instant
from toolkit.workspace import Workspace, open_workspace

ALL = "all"
"""Instead of keys: every definition file of the parameter's folder."""

MOST_ITEMS = 10_000
"""More runs than anybody asks for at once: a batch of more is taken for a mistake."""

_LOG = logging.getLogger("toolkit.reports.batch")
_ASK_S = 0.2  # how often the main thread looks up, so that Ctrl-C reaches it


@dataclass(frozen=True)
class Batch:
    """What was asked for.

    Attributes
    ----------
    name: of the batch, such as `20130501T060000-1f3a`.
    items: the parameters of each run, numbered from 1.
    after: the ledger's last sequence when it was planned; what became of its items stands behind it.
    """

    name: str
    template: str
    items: tuple[Mapping[str, Any], ...]
    after: int
    kernel: Kernel = "auto"
    limits: Limits | None = None

    def request(self, workspace: Workspace, number: int) -> RunRequest:
        """The run of one item."""
        return RunRequest(
            workspace.root,
            self.template,
            self.items[number - 1],
            item=BatchItem(self.name, number),
            kernel=choose_start(self.kernel, workspace.settings, many=len(self.items) > 1),
            limits=self.limits,
        )


Watch = Callable[[int, str, str], None]
"""Called with an item's number, its state (`running`, then the outcome's) and one line on it; from any thread."""


class Crew(NamedTuple):
    """Who runs the items: how many at a time, and how to hand one to them (`run_item`'s first two arguments)."""

    workers: int
    submit: Callable[[RunRequest, int], Future[Outcome]]


@contextmanager
def open_crew(
    workers: int, *, watch: Watch | None = None, stop: Stop | None = None, run: Run = run_report
) -> Iterator[Crew]:
    """So many threads of this process; each run has a kernel of its own, which is where the work is done.

    Parameters
    ----------
    run: runs one request and publishes.
    """
    tell = watch or _look_away

    check_at_least("workers", workers, 1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="report")

    def submit(request: RunRequest, after: int) -> Future[Outcome]:
        assert request.item is not None
        progress = partial(tell, request.item.item, "running")
        future: Future[Outcome] = pool.submit(run_item, request, after, progress=progress, stop=stop, run=run)
        return future

    try:
        yield Crew(workers, submit)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def expand_parameters(
    workspace: Workspace, template: Template, given: Mapping[str, object], each: Mapping[str, Sequence[str]]
) -> list[dict[str, object]]:
    """The parameters of every combination, in the order they were named; the last one varies fastest.

    Parameters
    ----------
    given: what all runs share.
    each: parameter to its values; `["all"]` means every key of the definitions that the parameter names.

    Raises `ParameterError` for a parameter given twice, for no value, for `all` where there is nothing to name, and
    with every problem of every combination, as one run would.
    """
    columns: dict[str, list[str]] = {}
    for name, values in each.items():
        if name in given:
            raise ParameterError(f"parameter {name!r} is given by -p and by --each; give it once")
        columns[name] = _list_values(workspace, name, values)
    combinations = [{**given, **dict(zip(columns, values, strict=True))} for values in product(*columns.values())]
    if len(combinations) > MOST_ITEMS:
        raise ParameterError(f"{len(combinations):,} runs were asked for, and a batch has at most {MOST_ITEMS:,}")
    problems: dict[str, None] = {}
    for combination in combinations:
        try:
            check_parameters(workspace, template, combination)
        except (ParameterError, UnknownNameError) as err:
            problems |= dict.fromkeys(str(err).splitlines())
    if problems:
        raise ParameterError("\n".join(problems))
    return combinations


def _list_values(workspace: Workspace, name: str, values: Sequence[str]) -> list[str]:
    if list(values) == [ALL]:
        folder = f"{name}s"
        keys = workspace.keys(folder) if (workspace.root / folder).is_dir() else []
        if not keys:
            raise ParameterError(f"--each {name}=all means every definition in {folder}/, and there is none")
        return keys
    found = list(dict.fromkeys(value for value in values if value))
    if not found:
        raise ParameterError(f"--each {name}= names no value; write --each {name}=a,b,c, or --each {name}=all")
    return found


def plan_batch(
    workspace: Workspace,
    template_name: str,
    given: Mapping[str, object],
    each: Mapping[str, Sequence[str]],
    *,
    kernel: Kernel = "auto",
    limits: Limits | None = None,
) -> Batch:
    """Check a batch as a whole and write its file; nothing is run.

    Raises `UsageError` as `expand_parameters` does, `UnknownNameError`, `TemplateError`, and `ArchiveError`.
    """
    from toolkit.ledger import open_ledger

    template = find_template(workspace, template_name)
    items = expand_parameters(workspace, template, given, each)
    with open_ledger(workspace.ledger) as ledger:
        after = ledger.position().sequence
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{token_hex(2)}"
    batch = Batch(name, template.name, tuple(items), after, kernel, limits)
    _write(workspace, batch)
    return batch


def _folder(workspace: Workspace) -> Path:
    return workspace.ledger.parent / "batches"


def _write(workspace: Workspace, batch: Batch) -> None:
    document = {
        "name": batch.name,
        "template": batch.template,
        "items": list(batch.items),
        "after": batch.after,
        "kernel": batch.kernel,
        "limits": batch.limits.to_dict() if batch.limits else None,
        "planned_at": format_instant(datetime.now(UTC)),
    }
    folder = _folder(workspace)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        staged = folder / f".{batch.name}.{os.getpid()}"
        staged.write_bytes(document_bytes(document))
        staged.rename(folder / f"{batch.name}.json")


def list_batches(workspace: Workspace) -> list[str]:
    """The names of the batches that are remembered, the oldest first."""
    return sorted(path.stem for path in _folder(workspace).glob("*.json"))


def load_batch(workspace: Workspace, name: str) -> Batch:
    """A batch that was planned before.

    Raises `UnknownNameError` with the nearest name, `ArchiveError` for a file that cannot be read.
    """
    check_in(name, list_batches(workspace), noun="batch")
    path = _folder(workspace) / f"{name}.json"
    try:
        held = json.loads(path.read_bytes())
        limits = Limits(**held["limits"]) if held["limits"] else None
        return Batch(name, held["template"], tuple(held["items"]), held["after"], held["kernel"], limits)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ArchiveError(
            f"the batch {name} cannot be read ({type(err).__name__}: {err}); plan it again: toolkit run NAME --each …"
        ) from None


def find_done(workspace: Workspace, batch: str, after: int) -> dict[int, Outcome]:
    """The items of a batch that are done, by number.

    Asks the archive too: a report whose process died before it was recorded counts, and is recorded now.
    """
    from toolkit.ledger import open_ledger

    found: dict[int, Outcome] = {}
    with open_ledger(workspace.ledger) as ledger:
        versions.reconcile(workspace, ledger)
        for entry in ledger.entries(kind=PUBLISHED, after=after):
            item = entry.data.get("batch") or {}
            if item.get("batch") == batch:
                found[int(item["item"])] = Outcome("done", reference=entry.subject)
        for entry in ledger.entries(kind=versions.REFUSED, after=after):
            item = entry.data.get("batch") or {}
            if item.get("batch") == batch and entry.data.get("type") == Skipped.__name__:
                found[int(item["item"])] = Outcome("done", reason=str(entry.data["reason"]))
    return found


def run_item(request: RunRequest, after: int, **options: Any) -> Outcome:
    """Run one item of a batch unless it is done or somebody runs it; what a worker executes, here or on a cluster.

    Parameters
    ----------
    after: the ledger's last sequence when the batch was planned.
    options: `progress` and `stop`, as `run_report` takes them, and `run`, which stands in for it.
    """
    assert request.item is not None
    workspace = open_workspace(request.workspace_root)
    name, number = request.item
    with claim(_folder(workspace) / name / f"{number}.claim") as hold:
        if not hold:
            return Outcome("running", reason="another process is running it")
        found = find_done(workspace, name, after).get(number) if hold == "again" else None
        return found or attempt(request, **options)


def run_batch(
    workspace: Workspace, batch: Batch, crew: Crew, *, watch: Watch | None = None, stop: Stop | None = None
) -> dict[int, Outcome]:
    """Run the items that are not done yet; the outcome of every one that ended, by number.

    At most twice as many items as workers are handed out at a time, so memory does not grow with the batch. Ctrl-C asks
    for `stop`: nothing new is begun, what runs here is ended, and the rest is missing from the answer.

    Parameters
    ----------
    crew: runs `run_item`, here or on a cluster.
    watch: told of each item as it is handed out and ends.
    stop: looked at before anything new is begun.
    """
    tell, stop = watch or _look_away, stop or Stop()
    outcomes = find_done(workspace, batch.name, batch.after)
    for number, outcome in sorted(outcomes.items()):
        tell(number, outcome.state, outcome.reference or outcome.reason or "")
    open_items = iter([number for number in range(1, len(batch.items) + 1) if number not in outcomes])
    running: dict[Future[Outcome], int] = {}
    while True:
        try:
            if stop.reason is None:
                for number in islice(open_items, max(2 * crew.workers - len(running), 0)):
                    running[crew.submit(batch.request(workspace, number), batch.after)] = number
            if not running:
                break
            for future in wait(running, timeout=_ASK_S, return_when=FIRST_COMPLETED).done:
                number = running.pop(future)
                if not future.cancelled():
                    outcomes[number] = outcome = _take(future)
                    tell(number, outcome.state, outcome.reference or outcome.reason or "")
        except KeyboardInterrupt:
            if stop.reason is not None:  # asked for twice: somebody does not want to wait
                raise
            stop.ask("interrupted")
            for future in running:
                future.cancel()  # what has not begun; what runs here is ended by `stop`
    _sweep(workspace, batch, outcomes)
    return outcomes


def _take(future: Future[Outcome]) -> Outcome:
    """What came of an item. A defect, or a cluster that lost it again and again, is its failure and nobody else's."""
    try:
        return future.result()
    except Exception as err:  # noqa: BLE001 - it is told in full, and no failure may stop the rest
        _LOG.exception("a run ended in a way that nobody foresaw")
        return Outcome("failed", reason=f"{type(err).__name__}: {err}")


def _sweep(workspace: Workspace, batch: Batch, outcomes: Mapping[int, Outcome]) -> None:
    """Remove the claims of a batch that is done."""
    folder = _folder(workspace) / batch.name
    if len(outcomes) == len(batch.items) and all(each.state != "running" for each in outcomes.values()):
        for path in folder.glob("*.claim"):
            path.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _look_away(_number: int, _state: str, _text: str) -> None:
    """Nobody watches."""
