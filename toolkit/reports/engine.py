"""Executing a notebook: Papermill with an engine that gives the kernel its own folder, environment and limits.

Papermill's `cwd` moves the whole process, and its files are written at every cell. This engine starts the kernel where
it should run, leaves this process where it is, and keeps the notebook in memory: who called decides what is written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from toolkit.display import shortened
from toolkit.errors import TemplateError
from toolkit.reports.jupyter import import_jupyter
from toolkit.reports.limits import Limits
from toolkit.reports.stops import Stop
from toolkit.reports.templates import Template
from toolkit.workspace.environment import LEDGER_SEQUENCE_VARIABLE, RUN_VARIABLE, WORKSPACE_VARIABLE

if TYPE_CHECKING:
    from toolkit.reports.client import ReportClient

ENGINE = "toolkit"
RUNNER_KERNEL = "python3"
"""The kernel that is this very interpreter, whatever kernelspec of that name the machine has."""

Start = Literal["warm", "cold"]
"""How a kernel comes to be: forked from a process that has imported what reports need, or from nothing."""

_LOG = logging.getLogger("toolkit.reports.engine")  # what nbclient logs; the failure says it once, to the caller
_LOG.addHandler(logging.NullHandler())
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class CellFailure:
    """Where and why an execution stopped; `cell_index` counts the notebook's cells from 0, None: before any.

    `transient`: whether another try may do better, as the kernel never came to run a cell.
    """

    cell_index: int | None
    error: str
    message: str
    transient: bool = False


@dataclass
class Execution:
    """An executed notebook, whole or up to the cell that failed.

    Attributes
    ----------
    current: index of the cell that is, or was last, executed.
    start: how the kernel came to be; `cold_reason` says why it was not forked though it should have been.
    stopped: whether it was ended because `Stop` asked for it.
    """

    notebook: Any
    current: int | None = None
    failure: CellFailure | None = None
    start: Start = "cold"
    cold_reason: str | None = None
    stopped: bool = False


@dataclass(frozen=True)
class _Order:
    """What the engine hands to the client, beside the notebook."""

    execution: Execution
    folder: Path
    environment: Mapping[str, str]
    connection_folder: Path
    log: Path
    tell: Callable[[str], None]
    limits: Limits
    secrets: Mapping[str, str]
    stop: Stop
    clients: list[ReportClient] = field(default_factory=list)


def choose_kernel(template: Template) -> str:
    """The installed kernel that runs a template: the one it names, else this interpreter for Python notebooks.

    Raises `TemplateError` naming the installed kernels.
    """
    if template.kernel in ("", RUNNER_KERNEL) and template.language == "python":
        return RUNNER_KERNEL
    from jupyter_client.kernelspec import KernelSpecManager

    installed = KernelSpecManager().find_kernel_specs()
    if template.kernel in installed:
        return template.kernel
    if template.language == "python":
        return RUNNER_KERNEL
    raise TemplateError(
        f"templates/{template.path.name}: needs the kernel {template.kernel or 'of ' + template.language!r}, "
        f"which is not installed; installed: {', '.join(sorted(installed))}"
    )


def execute(
    template: Template,
    parameters: Mapping[str, Any],
    *,
    kernel: str,
    workspace_root: Path,
    run_folder: Path,
    log: Path,
    tell: Callable[[str], None],
    ledger_sequence: int = 0,
    start: Start = "cold",
    limits: Limits | None = None,
    secrets: Mapping[str, str] | None = None,
    stop: Stop | None = None,
) -> Execution:
    """Run a template in a kernel of its own. Safe in threads: this process keeps its folder and environment.

    Parameters
    ----------
    parameters: what to inject after the parameters cell; nothing is injected when empty.
    workspace_root: the kernel's folder and its TOOLKIT_WORKSPACE.
    run_folder: where `reports.save` writes.
    log: the file that takes what the kernel process itself prints (a crash, a debugger's hint).
    tell: called with one line before each code cell.
    ledger_sequence: the last ledger entry that the report reads.
    start: `warm` forks the kernel where that can be done.
    secrets: parameter to the name of the secret that the kernel reads into it.
    stop: ends the run from outside.
    """
    import_jupyter()
    import nbformat

    notebook: Any = nbformat.reads(template.path.read_text(encoding="utf-8"), as_version=4)
    execution = Execution(notebook)
    cold_reason = None
    if start == "warm":
        cold_reason = _why_cold(kernel)
        execution.start, execution.cold_reason = ("cold", cold_reason) if cold_reason else ("warm", None)
    with _connection_folder() as connection_folder:
        order = _Order(
            execution,
            folder=workspace_root,
            environment=kernel_environment(workspace_root, run_folder, ledger_sequence),
            connection_folder=connection_folder,
            log=log,
            tell=tell,
            limits=limits or Limits(),
            secrets=secrets or {},
            stop=stop or Stop(),
        )
        _execute(order, notebook, parameters, kernel=kernel, language=template.language)
    return execution


def _execute(order: _Order, notebook: Any, parameters: Mapping[str, Any], *, kernel: str, language: str) -> None:
    import papermill
    from nbclient.exceptions import CellExecutionError
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    execution = order.execution
    _register()
    try:
        papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name=kernel,
            language=language,
            progress_bar=False,
            order=order,
        )
    except PapermillExecutionError as err:
        remove_error_markers(execution.notebook)  # cells that Papermill adds; the page says it better
        execution.failure = CellFailure(err.cell_index, err.ename, err.evalue or _say_nothing(order, err.ename))
    except CellExecutionError as err:  # a secret that the kernel could not read
        execution.failure = CellFailure(execution.current, err.ename, err.evalue)
    except (RuntimeError, TimeoutError) as err:
        execution.failure = _explain(order, err)
    for client in order.clients:
        execution.cold_reason = execution.cold_reason or client.cold_reason
        execution.start = "cold" if execution.cold_reason else execution.start


def _say_nothing(order: _Order, error: str) -> str:
    """A message for an error without one."""
    if error == MemoryError.__name__ and order.limits.memory_mib is not None:
        return (
            f"the kernel may allocate {order.limits.memory_mib:g} MiB, its limit; raise it with --memory-limit-mib, or "
            "memory_mib in [limits] of toolkit.toml"
        )
    return "it says nothing more"


def _explain(order: _Order, err: Exception) -> CellFailure:
    """What ended a kernel that can no longer say it itself."""
    execution = order.execution
    where = execution.current
    if order.stop.reason is not None:
        execution.stopped = True
        return CellFailure(where, "Stopped", order.stop.reason)
    if where is None or not order.clients:
        transient = getattr(err, "transient", True)
        return CellFailure(None, type(err).__name__, str(err) or "the kernel did not start", transient)
    (client,) = order.clients
    if client.put_out_too_much:
        most = f"{order.limits.most_output_mib:g} MiB"
        return CellFailure(
            where,
            "LimitExceeded",
            f"the cells put out more than {most}, their limit; show a summary instead, or raise output_mib in [limits] "
            "of toolkit.toml",
        )
    if isinstance(err, TimeoutError):
        return CellFailure(where, "LimitExceeded", client.deadline.describe())
    return CellFailure(where, "KernelDied", describe_exit(client.exit_code))


def describe_exit(code: int | None) -> str:
    """How a kernel ended, in words.

    >>> describe_exit(7), describe_exit(-11)
    ('the kernel ended itself with exit code 7', 'the kernel was ended by SIGSEGV: compiled code crashed')
    """
    if code is None:
        return "the kernel died and left no exit code"
    if code >= 0:
        return f"the kernel ended itself with exit code {code}"
    number = -code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    why = {
        "SIGSEGV": "compiled code crashed",
        "SIGBUS": "compiled code crashed",
        "SIGABRT": "compiled code gave up",
        "SIGFPE": "compiled code crashed",
        "SIGKILL": "by somebody, or by the system because memory ran out",
    }.get(name)
    return f"the kernel was ended by {name}" + (f": {why}" if why else "")


def _why_cold(kernel: str) -> str | None:
    """Why a kernel cannot be forked here; None when it can."""
    from toolkit.kernels import why_cold
    from toolkit.reports.client import is_registered

    if kernel != RUNNER_KERNEL:
        return f"the kernel {kernel!r} is not this interpreter"
    if not is_registered():
        return "the toolkit is not installed as a package, so Jupyter does not find its provisioner"
    return why_cold()


@contextmanager
def _connection_folder() -> Iterator[Path]:
    """A private folder with a short path: a socket's may have 107 characters, and an archive's folder has more."""
    folder = Path(tempfile.mkdtemp(prefix="tk-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kernel_environment(workspace_root: Path, run_folder: Path, ledger_sequence: int = 0) -> dict[str, str]:
    """The environment of a report's kernel: this process's, with what makes a run repeatable."""
    environment = {
        **os.environ,
        WORKSPACE_VARIABLE: str(workspace_root),
        RUN_VARIABLE: str(run_folder),
        LEDGER_SEQUENCE_VARIABLE: str(ledger_sequence),
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        # Sums over several threads differ in their last digits from run to run; parallelism is across reports.
        **dict.fromkeys(_ONE_THREAD, "1"),
    }
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "pyproject.toml").is_file():  # the kernel must import the toolkit that started it
        earlier = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        environment["PYTHONPATH"] = os.pathsep.join([str(checkout), *earlier])
    return environment


@cache
def _register() -> None:
    from papermill.engines import NBClientEngine, papermill_engines

    class ToolkitEngine(NBClientEngine):  # type: ignore[misc, unused-ignore]  # its base has no types
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *, order: _Order, **_: Any) -> None:
            _drive(nb_man, kernel_name, order)

    papermill_engines.register(ENGINE, ToolkitEngine)
    # Papermill's line reader takes an equals sign in a comment for a parameter it does not know; ours has checked them.
    for name in ("papermill", "papermill.translators"):
        logging.getLogger(name).addFilter(_is_news)


def _drive(nb_man: Any, kernel_name: str, order: _Order) -> None:
    from toolkit.reports.client import ReportClient

    execution = order.execution
    execution.notebook = nb_man.nb
    total = count_code_cells(nb_man.nb, len(nb_man.nb.cells))

    def on_cell(index: int, cell: Any) -> None:
        execution.current = index
        if cell.cell_type == "code":
            order.tell(f"cell {count_code_cells(nb_man.nb, index)} of {total}: {first_line(cell.source)}")

    client = ReportClient(
        nb_man,
        kernel_name=kernel_name,
        folder=order.connection_folder,
        warm=execution.start == "warm",
        limits=order.limits,
        secrets=order.secrets,
        stop=order.stop,
        on_cell=on_cell,
        startup_timeout=60,
        log=_LOG,
    )
    order.clients.append(client)
    with order.log.open("wb") as stream, _closed_loop():
        client.execute(cwd=str(order.folder), env=dict(order.environment), stdout=stream, stderr=stream)


@contextmanager
def _closed_loop() -> Iterator[None]:
    """Close the event loop that nbclient makes for a thread: nobody else would, and its sockets would stay open."""
    try:
        yield
    finally:
        # The main thread has one, which lives as long as the process.
        if threading.current_thread() is not threading.main_thread():
            _close_loop()


def _close_loop() -> None:
    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop()
    if loop.is_running():  # it is the application's
        return
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(("Unable to parse line", "Passed unknown parameter"))


def describe_place(notebook: Any, cell_index: int | None) -> str:
    """Where a notebook stopped, as people count its cells."""
    if cell_index is None:
        return "before its first cell"
    number, total = count_code_cells(notebook, cell_index), count_code_cells(notebook, len(notebook.cells))
    return f"in code cell {number} of {total} ({first_line(notebook.cells[cell_index].source)})"


def count_code_cells(notebook: Any, index: int) -> int:
    """How many code cells there are up to and including the cell at `index`: the number people know it by."""
    return sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])


def first_line(source: str, most: int = 60) -> str:
    """The first line of a cell that says something, cut to `most` characters."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    told = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    return shortened(told, most)
