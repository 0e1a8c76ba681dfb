"""What does a report cost, beside what its cells cost? The study's 8-cell notebook and every shipped template.

Each way runs each notebook ten times or more, in one run of this script: papermill's command line, papermill in one
driver, ploomber-engine (one process for all reports, no isolation), the toolkit cold and warm in one driver, its
command line, and the cells alone in a process that has run them once: the limit. Each way has one core; two notebooks
are measured at a time. CPU seconds are those of the whole process tree, zygote and kernels included; the first run of a
driver, which pays the imports, is left out everywhere and given once, below. Papermill writes its notebook; the toolkit
also checks parameters, renders HTML, scans, publishes with fsync and records in the ledger.

    python benchmarks/report_cost.py [RUNS]

Prints Markdown. Exits 1 when a promise is missed: warm at least 6 times less CPU than papermill in one driver and 10
times less than its command line; at most 0.45 CPU s over its cells for every shipped template; cold no slower than
papermill, by command line and in one driver.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

RUNS = 10
HERE = Path(__file__).resolve()
CHECKOUT = HERE.parent.parent
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TEMPLATES: dict[str, dict[str, str]] = {
    "eight_cells": {},
    "triage": {"model": "delay", "as_of": "2013-05-01T00:00:00Z"},
    "experiment_readout": {"experiment": "delay-v2", "as_of": "2013-12-31T00:00:00Z"},
    "retrospective": {"model": "delay", "period": "2013-10", "as_of": "2013-12-01T00:00:00Z"},
    "debt_review": {"as_of": "2013-12-31T00:00:00Z"},
}
WAYS = {
    "papermill": "papermill, one driver",
    "ploomber": "ploomber-engine, one process",
    "cold": "toolkit cold, one driver",
    "warm": "toolkit warm, one driver",
    "cells": "cells alone",
}
LEAST_VS_DRIVER, LEAST_VS_COMMAND, MOST_OVER_CELLS_S = 6.0, 10.0, 0.45

EIGHT_CELLS = """\
rows: int = 2000  # rows of the frame
seed: int = 7  # of its numbers
---
import duckdb
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import statsmodels.api as sm
from scipy import stats
---
rng = np.random.default_rng(seed)
frame = pd.DataFrame({"x": rng.normal(size=rows), "group": rng.choice(list("abcd"), rows)})
frame["y"] = 2 * frame.x + rng.normal(size=rows)
frame.describe()
---
duckdb.sql('select "group", count(*) as n, avg(y) as mean_y from frame group by all order by all').df()
---
model = sm.OLS(frame.y, sm.add_constant(frame.x)).fit()
model.summary()
---
test = stats.ttest_ind(frame.y[frame.group == "a"], frame.y[frame.group == "b"])
test
---
sns.scatterplot(frame, x="x", y="y", hue="group")
plt.show()
---
{"slope": float(model.params["x"]), "p_value": float(test.pvalue)}
"""


class Cost(NamedTuple):
    """Of one report."""

    wall_s: float
    cpu_s: float


# --- one driver, as a process of its own ----------------------------------------------------------------------------


def tree_cpu_s() -> float:
    """CPU seconds of this process and everything that it has started, dead or alive."""

    def walk(pid: int) -> float:
        try:
            spent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return 0.0
        return sum(map(int, spent[11:15])) / TICKS_A_SECOND + sum(walk(int(child)) for child in children)

    own = os.times()
    children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return sum(own[:4]) + sum(walk(int(child)) for child in children.split())


def measure(run: Callable[[], object]) -> Cost:
    before, start = tree_cpu_s(), time.perf_counter()
    run()
    wall = time.perf_counter() - start
    time.sleep(0.15)  # a kernel that was just told to end is reaped by now
    return Cost(wall, tree_cpu_s() - before)


def drive(way: str, notebook: Path, workspace: Path) -> Callable[[], object]:
    """What runs one report in this process."""
    parameters = TEMPLATES[notebook.stem]
    out = str(workspace / f"{notebook.stem}.out.ipynb")
    if way == "papermill":
        import papermill

        return lambda: papermill.execute_notebook(
            str(notebook),
            out,
            parameters,
            kernel_name="python3",
            progress_bar=False,
        )
    if way == "ploomber":
        from ploomber_engine import execute_notebook

        return lambda: execute_notebook(
            str(notebook),
            out,
            parameters=parameters,
            progress_bar=False,
            verbose=False,
        )
    if way == "cells":
        return lambda: run_cells(notebook, parameters)
    from toolkit.reports import RunRequest, run_report

    kernel: Any = way
    return lambda: run_report(RunRequest(workspace, notebook.stem, parameters, kernel=kernel))


def run_cells(notebook: Path, parameters: dict[str, str]) -> None:
    """The cells in a fresh namespace of this process, their output made and thrown away."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from toolkit.workspace import JOURNAL

    JOURNAL.definitions.clear()
    JOURNAL.reads.clear()
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOOLKIT_RUN"] = folder
        for cell in json.loads(notebook.read_text())["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] != "code":
                continue
            with capture_output():
                done = shell.run_cell(source)
                if "parameters" in cell["metadata"].get("tags", []):
                    shell.user_ns.update(parameters)
            done.raise_error()


def be_driver(way: str, notebook: str, workspace: str, runs: str) -> None:
    """The costs of each run as a line of JSON; the first is the one that pays the imports."""
    if way == "cells":
        import matplotlib as mpl

        mpl.use("agg")
    run = drive(way, Path(notebook), Path(workspace))
    for _ in range(int(runs) + 1):
        print(json.dumps(measure(run)), flush=True)


# --- the whole ------------------------------------------------------------------------------------------------------


def ask_driver(way: str, notebook: Path, workspace: Path, environment: dict[str, str], runs: int) -> list[Cost]:
    command = [sys.executable, str(HERE), "--drive", way, str(notebook), str(workspace), str(runs)]
    done = subprocess.run(command, cwd=workspace, env=environment, check=True, capture_output=True, text=True)
    return [Cost(*json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]


def run_command(arguments: list[str], workspace: Path, environment: dict[str, str]) -> Cost:
    start = time.perf_counter()
    quiet = subprocess.DEVNULL
    with subprocess.Popen(arguments, cwd=workspace, env=environment, stdout=quiet, stderr=quiet) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime)


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(part) for part in zip(*costs, strict=True)))


def find_notebooks(workspace: Path) -> Iterator[Path]:
    import nbformat

    own: Any = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in EIGHT_CELLS.split("---\n")]
    )
    own.cells[0].metadata["tags"] = ["parameters"]
    own.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    (workspace / "templates").mkdir(exist_ok=True)
    (workspace / "templates" / "eight_cells.ipynb").write_text(nbformat.writes(own), encoding="utf-8")
    yield workspace / "templates" / "eight_cells.ipynb"
    yield from (CHECKOUT / "templates" / f"{name}.ipynb" for name in TEMPLATES if name != "eight_cells")


def compare_ways(notebook: Path, workspace: Path, environment: dict[str, str], runs: int) -> dict[str, Cost]:
    """Median cost of one report by each way, and (`first …`) of a driver's first one."""
    name, given = notebook.stem, TEMPLATES[notebook.stem]
    raw = [part for key, value in given.items() for part in ("-r", key, value)]
    flags = [part for key, value in given.items() for part in ("-p", f"{key}={value}")]
    commands = {
        "papermill command": ["papermill", str(notebook), str(workspace / f"{name}.out.ipynb"), "-k", "python3", *raw],
        "toolkit command": ["toolkit", "run", name, "--kernel", "cold", *flags],
    }
    found = {}
    for way, arguments in commands.items():
        arguments[0] = str(Path(sys.executable).parent / arguments[0])
        found[way] = median([run_command(arguments, workspace, environment) for _ in range(runs)])
    for way in WAYS:
        try:
            first, *costs = ask_driver(way, notebook, workspace, environment, runs)
        except subprocess.CalledProcessError:
            if way != "ploomber":
                raise
            continue  # it takes no picture that a result shows as bytes, as IPython does
        found[f"first {way}"], found[way] = first, median(costs)
    print(f"==> {notebook.stem} is measured", file=sys.stderr, flush=True)
    return found


def on_a_core_of_its_own(core: int, notebook: Path, *more: Any) -> dict[str, Cost]:
    """Affinity is a thread's, and what it starts inherits it."""
    os.sched_setaffinity(0, {core})
    return compare_ways(notebook, *more)


def main() -> int:
    """Measure and print; 1 when a promise is missed."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1"), "PLOOMBER_STATS_ENABLED": "false"}
    environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        workspace = Path(base) / "flights"
        toolkit = str(Path(sys.executable).parent / "toolkit")
        subprocess.run(
            [toolkit, "init", str(workspace), "--example", "flights"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip  # its lines group what belongs together
        settings = workspace / "toolkit.toml"
        settings.write_text(settings.read_text().replace('path = ".."', f'path = "{CHECKOUT}"'))
        environment["TOOLKIT_WORKSPACE"] = str(workspace)
        notebooks, cores = list(find_notebooks(workspace)), sorted(os.sched_getaffinity(0))
        cells, *shipped = notebooks
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            running = {
                notebook.stem: pool.submit(on_a_core_of_its_own, core, notebook, workspace, environment, runs)
                for pool, core, own in (
                    (first, cores[0], [cells, *shipped[:1]]),
                    (second, cores[-1], shipped[1:]),
                )
                for notebook in own
            }
            by_notebook = {notebook.stem: running[notebook.stem].result() for notebook in notebooks}
    print_costs(by_notebook, runs, missed)
    print("\nMissed: " + "; ".join(missed) if missed else "\nEvery promise is kept.")
    return int(bool(missed))


def show(cost: Cost | None, part: int) -> str:
    return "fails" if cost is None else f"{cost[part]:.2f}"


def print_costs(by_notebook: dict[str, dict[str, Cost]], runs: int, missed: list[str]) -> None:
    names = ["papermill command", "toolkit command", *WAYS]
    shown = ["papermill command line", "toolkit command line, cold", *WAYS.values()]
    for title, part in (("CPU", 1), ("Wall", 0)):
        print(f"# {title} seconds a report, median of {runs}\n\n| way | {' | '.join(by_notebook)} |")
        print("|---" * (len(by_notebook) + 1) + "|")
        for name, words in zip(names, shown, strict=True):
            print(f"| {words} | " + " | ".join(show(costs.get(name), part) for costs in by_notebook.values()) + " |")
        firsts = [f"{costs['first warm'][part]:.1f}" for costs in by_notebook.values()]
        print(f"| first warm report of a driver: imports, zygote | {' | '.join(firsts)} |\n")
    print(
        "# Promises\n\n"
        "| notebook | warm vs one driver | vs command line | over its cells, CPU s | cold / papermill, CPU |"
    )
    print("|---|---|---|---|---|")
    for notebook, costs in by_notebook.items():
        warm, cells = costs["warm"].cpu_s, costs["cells"].cpu_s
        driver, command = costs["papermill"].cpu_s / warm, costs["papermill command"].cpu_s / warm
        lone = costs["toolkit command"].cpu_s / costs["papermill command"].cpu_s
        cold = costs["cold"].cpu_s / costs["papermill"].cpu_s
        print(
            f"| {notebook} | {driver:.1f}× less | {command:.1f}× less | {warm - cells:.2f} | "
            f"command line {lone:.2f}, one driver {cold:.2f} |"
        )
        if notebook == "eight_cells" and driver < LEAST_VS_DRIVER:
            missed.append(f"warm is {driver:.1f} times cheaper than papermill in one driver")
        if notebook == "eight_cells" and command < LEAST_VS_COMMAND:
            missed.append(f"warm is {command:.1f} times cheaper than papermill's command line")
        if notebook != "eight_cells" and warm - cells > MOST_OVER_CELLS_S:
            missed.append(f"{notebook} costs {warm - cells:.2f} CPU s over its cells")
        if lone > 1 or cold > 1:
            missed.append(f"{notebook} cold is slower than papermill: {max(lone, cold):.2f} of its CPU")
    print()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:
        be_driver(*sys.argv[2:])
    else:
        sys.exit(main())
