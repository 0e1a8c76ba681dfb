"""Executing a notebook: Papermill with an engine that gives the kernel its own folder and environment.

Papermill's `cwd` moves the whole process, and its files are written at every cell. This engine starts the kernel where
it should run, leaves this process where it is, and keeps the notebook in memory: who called decides what is written.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.errors import TemplateError
from toolkit.reports.templates import Template
from toolkit.workspace.environment import LEDGER_SEQUENCE_VARIABLE, RUN_VARIABLE, WORKSPACE_VARIABLE

ENGINE = "toolkit"
RUNNER_KERNEL = "python3"
"""The kernel that is this very interpreter, whatever kernelspec of that name the machine has."""

_LOG = logging.getLogger("toolkit.reports.engine")  # what nbclient logs; the failure says it once, to the caller
_LOG.addHandler(logging.NullHandler())
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class CellFailure:
    """Where and why an execution stopped; `cell_index` counts the notebook's cells from 0, None: before any."""

    cell_index: int | None
    error: str
    message: str


@dataclass
class Execution:
    """An executed notebook, whole or up to the cell that failed."""

    notebook: Any
    current: int | None = None
    failure: CellFailure | None = None


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
) -> Execution:
    """Run a template in a kernel of its own.

    Parameters
    ----------
    parameters: what to inject after the parameters cell; nothing is injected when empty.
    workspace_root: the kernel's folder and its TOOLKIT_WORKSPACE.
    run_folder: where `reports.save` writes.
    log: the file that takes what the kernel process itself prints (a crash, a debugger's hint).
    tell: called with one line before each code cell.
    ledger_sequence: the last ledger entry that the report reads.
    """
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    _register()
    notebook: Any = nbformat.reads(template.path.read_text(encoding="utf-8"), as_version=4)
    execution = Execution(notebook)
    try:
        papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name=kernel,
            language=template.language,
            progress_bar=False,
            execution=execution,
            tell=tell,
            log_file=log,
            kernel_folder=workspace_root,
            kernel_environment=kernel_environment(workspace_root, run_folder, ledger_sequence),
        )
    except PapermillExecutionError as err:
        remove_error_markers(execution.notebook)  # cells that Papermill adds; the page says it better
        execution.failure = CellFailure(err.cell_index, err.ename, err.evalue)
    except (RuntimeError, TimeoutError) as err:
        # The kernel did not start, died or did not answer: there is no output that says so.
        execution.failure = CellFailure(execution.current, type(err).__name__, str(err) or "the kernel died")
    return execution


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
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines

    class OwnKernelManager(AsyncKernelManager):  # type: ignore[misc, unused-ignore]  # its base has no types
        @property
        def kernel_spec(self) -> Any:
            if self.kernel_name != RUNNER_KERNEL:
                return super().kernel_spec
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    class ToolkitEngine(NBClientEngine):  # type: ignore[misc, unused-ignore]  # its base has no types
        @classmethod
        def execute_managed_notebook(
            cls,
            nb_man: Any,
            kernel_name: str,
            *,
            execution: Execution,
            tell: Callable[[str], None],
            log_file: Path,
            kernel_folder: Path,
            kernel_environment: dict[str, str],
            start_timeout: int = 60,
            **_: Any,
        ) -> None:
            execution.notebook = nb_man.nb
            total = sum(cell.cell_type == "code" for cell in nb_man.nb.cells)

            def on_cell_start(cell: Any, cell_index: int) -> None:
                execution.current = cell_index
                if cell.cell_type == "code":
                    tell(f"cell {count_code_cells(nb_man.nb, cell_index)} of {total}: {first_line(cell.source)}")

            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                kernel_manager_class=OwnKernelManager,
                startup_timeout=start_timeout,
                timeout=None,
                log=_LOG,
                on_cell_start=on_cell_start,
            )
            with log_file.open("wb") as stream:
                client.execute(cwd=str(kernel_folder), env=kernel_environment, stdout=stream, stderr=stream)

    papermill_engines.register(ENGINE, ToolkitEngine)
    # Papermill's line reader takes an equals sign in a comment for a parameter it does not know; ours has checked them.
    for name in ("papermill", "papermill.translators"):
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(("Unable to parse line", "Passed unknown parameter"))


def count_code_cells(notebook: Any, index: int) -> int:
    """How many code cells there are up to and including the cell at `index`: the number people know it by."""
    return sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])


def first_line(source: str, most: int = 60) -> str:
    """The first line of a cell that says something, cut to `most` characters."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    told = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    return told if len(told) <= most else told[: most - 1] + "…"
