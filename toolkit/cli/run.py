"""`toolkit run`: one report, or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from toolkit.cli.board import board
from toolkit.cli.output import INTERRUPTED, AsJson, print_document, print_table, print_text, progress
from toolkit.errors import ArgumentError, ParameterError, RunError

if TYPE_CHECKING:
    from toolkit.reports.batch import Batch, Crew, Watch
    from toolkit.reports.limits import Limits
    from toolkit.reports.outcomes import Outcome
    from toolkit.reports.stops import Stop
    from toolkit.workspace import Workspace

Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="KEY=VALUE", help="A parameter, or KEY=secret:NAME; repeat for more."),
]
Each = Annotated[
    list[str] | None,
    typer.Option(
        "--each",
        metavar="KEY=A,B,…",
        help="One for each value, or KEY=all for each definition; repeat to combine.",
    ),
]
Template = Annotated[
    str | None, typer.Argument(metavar="NAME", help="A template; see 'toolkit templates'.", show_default=False)
]
Workers = Annotated[int | None, typer.Option(metavar="N", help="Reports at a time, each in a kernel; 1 by default.")]
Dask = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Run them on this Dask cluster.")]
Resume = Annotated[str | None, typer.Option(metavar="BATCH", help="Go on with a batch: run what is not done.")]
Kernel = Annotated[
    Literal["auto", "warm", "cold"],
    typer.Option(help="How kernels start: forked from a warm process, or from nothing; auto: warm for many."),
]
Seconds = Annotated[float | None, typer.Option("--cell-limit-s", metavar="S", help="Seconds that a cell may run.")]
RunSeconds = Annotated[float | None, typer.Option("--run-limit-s", metavar="S", help="Seconds that a run may take.")]
Memory = Annotated[float | None, typer.Option("--memory-limit-mib", metavar="M", help="MiB a kernel may allocate.")]


def run(
    name: Template = None,
    *,
    parameter: Parameters = None,
    each: Each = None,
    workers: Workers = None,
    dask: Dask = None,
    resume: Resume = None,
    kernel: Kernel = "auto",
    cell_limit_s: Seconds = None,
    run_limit_s: RunSeconds = None,
    memory_limit_mib: Memory = None,
    as_json: AsJson = False,
) -> int:
    """Run a template and publish the report, or many with --each.

    References and pages are printed last. Exit 1 if a notebook failed (of many, also if one was refused), 3 if the
    one report was refused. Ctrl-C ends what runs; --resume goes on with the rest.
    """
    from toolkit.reports.limits import Limits
    from toolkit.workspace import open_workspace

    if workers is not None and dask is not None:
        raise ArgumentError("--workers counts threads of this process, and --dask has its own; give one of them")
    given, varied = read_parameters(parameter or []), read_each(each or [])
    limits = Limits(cell_limit_s, run_limit_s, memory_limit_mib)
    if resume is not None:
        _refuse_beside_resume(name, given, varied)
    elif name is None:
        raise ArgumentError("a template is missing: toolkit run NAME; 'toolkit templates' lists them")
    elif not varied:
        if workers is not None or dask is not None:
            raise ArgumentError("--workers and --dask are for many reports; say which with --each KEY=A,B,… or KEY=all")
        _run_one(open_workspace(), name, given, kernel=kernel, limits=limits, as_json=as_json)
        return 0

    from toolkit.reports.batch import load_batch, plan_batch
    from toolkit.reports.stops import Stop

    workspace = open_workspace()
    if resume is not None:
        batch = load_batch(workspace, resume)
    else:
        assert name is not None
        batch = plan_batch(workspace, name, given, varied, kernel=kernel, limits=limits)
    stop = Stop()
    outcomes = _run_many(workspace, batch, stop, workers=workers, dask=dask)
    return _report(batch, outcomes, interrupted=stop.reason is not None, as_json=as_json)


def _refuse_beside_resume(name: str | None, given: Mapping[str, str], varied: Mapping[str, Sequence[str]]) -> None:
    if name is not None or given or varied:
        raise ArgumentError("--resume BATCH knows its template and parameters; leave NAME, -p and --each out")


def _run_one(
    workspace: Workspace,
    name: str,
    given: Mapping[str, str],
    *,
    kernel: Literal["auto", "warm", "cold"],
    limits: Limits,
    as_json: bool,
) -> None:
    from toolkit.acts import run_report, settle
    from toolkit.reports import RunRequest

    request = RunRequest(workspace.root, name, given, kernel=kernel, limits=limits)
    with progress() as tell:
        settle(workspace)
        published = run_report(request, progress=tell)
    if as_json:
        print_document(
            {
                "reference": str(published.reference),
                "folder": str(published.folder),
                "page": str(published.page),
                "manifest": dict(published.manifest),
            }
        )
    else:
        print_text(str(published.reference))
        print_text(str(published.page))


def _run_many(
    workspace: Workspace, batch: Batch, stop: Stop, *, workers: int | None, dask: str | None
) -> dict[int, Outcome]:
    from toolkit.acts import settle
    from toolkit.reports.batch import run_batch

    settle(workspace)
    print_text(f"batch {batch.name}: {len(batch.items)} reports of {batch.template}", to_stderr=True)
    with (
        board(_labels(batch)) as watch,
        _crew(workspace, workers, dask, watch, stop) as crew,
    ):
        outcomes = run_batch(workspace, batch, crew, watch=watch, stop=stop)
    settle(workspace)  # of a worker that was lost between publishing and recording
    return outcomes


def _crew(
    workspace: Workspace, workers: int | None, dask: str | None, watch: Watch, stop: Stop
) -> AbstractContextManager[Crew]:
    from toolkit.acts import run_report

    if dask is not None:
        from toolkit.reports.cluster import open_cluster

        return open_cluster(dask, workspace, run=run_report)
    from toolkit.reports.batch import open_crew

    return open_crew(1 if workers is None else workers, watch=watch, stop=stop, run=run_report)


def _report(batch: Batch, outcomes: Mapping[int, Outcome], *, interrupted: bool, as_json: bool) -> int:
    """Say what came of a batch; the exit code."""
    left = len(batch.items) - sum(outcome.state not in ("running", "stopped") for outcome in outcomes.values())
    rows = [_describe(batch, number, outcomes.get(number)) for number in range(1, len(batch.items) + 1)]
    if as_json:
        print_document(
            {"batch": batch.name, "template": batch.template, "interrupted": interrupted, "left": left, "items": rows}
        )
    else:
        shown = ["item", "parameters", "state", "reference", "reason"]
        told = [row | {"parameters": label} for row, label in zip(rows, _labels(batch), strict=True)]
        lines = [[str(row[name] or "") for name in shown] for row in told]
        used = [index for index in range(len(shown)) if any(line[index] for line in lines)]
        print_table([shown[index] for index in used], [[line[index] for index in used] for line in lines])
    if left:
        print_text(f"{left} of {len(rows)} are not done; go on with: toolkit run --resume {batch.name}", to_stderr=True)
    if interrupted:
        return INTERRUPTED
    return RunError.exit_code if any(outcome.needs_a_person for outcome in outcomes.values()) else 0


def _describe(batch: Batch, number: int, outcome: Outcome | None) -> dict[str, Any]:
    from toolkit.windows import format_instant

    known: dict[str, Any] = {"item": number, "parameters": dict(batch.items[number - 1])}
    if outcome is None:
        return known | {"state": "left", "reference": None, "reason": None, "ready_on": None, "tries": 0}
    return known | {
        "state": outcome.state,
        "reference": outcome.reference,
        "reason": outcome.reason,
        "ready_on": format_instant(outcome.ready_on) if outcome.ready_on else None,
        "tries": outcome.tries,
    }


def _labels(batch: Batch) -> list[str]:
    """What sets each item apart: the parameters that are not the same in all."""
    first = batch.items[0]
    varied = [name for name in first if any(item.get(name) != first[name] for item in batch.items)]
    return [" ".join(f"{name}={item[name]}" for name in varied or item) for item in batch.items]


def read_parameters(given: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a mapping; the template's declared types read the values.

    >>> read_parameters(["experiment=delay-v2", "note=a=b"])
    {'experiment': 'delay-v2', 'note': 'a=b'}

    Raises `ParameterError` for a text without `=` and for a key that is given twice.
    """
    return _read_pairs(given, option="-p", example="-p experiment=delay-v2")


def read_each(given: Sequence[str]) -> dict[str, list[str]]:
    """`key=a,b,c` texts as a mapping from key to values.

    >>> read_each(["experiment=all", "model=delay,eta"])
    {'experiment': ['all'], 'model': ['delay', 'eta']}

    Raises `ParameterError` for a text without `=` and for a key that is given twice.
    """
    pairs = _read_pairs(given, option="--each", example="--each experiment=delay-v2,eta-v3")
    return {key: [part.strip() for part in value.split(",")] for key, value in pairs.items()}


def _read_pairs(given: Sequence[str], *, option: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ParameterError(f"{option} {text!r}, must be key=value, such as {example}")
        if key in pairs:
            raise ParameterError(f"parameter {key!r} is given twice: {pairs[key]!r} and {value!r}")
        pairs[key] = value
    return pairs
