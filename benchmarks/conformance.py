"""Is a warm kernel a kernel like any other? Papermill's, nbclient's and Voilà's own tests and notebooks, cold and warm.

Their tests run unchanged twice, with Jupyter's own provisioner and with JUPYTER_DEFAULT_PROVISIONER_NAME=toolkit-warm:
those of the installed Papermill, storage services left out, and those of nbclient's and Voilà's source distributions.
Then each of their notebooks is executed by nbclient both ways, and what it puts out is compared without times,
addresses and random ids. At last a Voilà server is closed in each way, and its processes are counted until none is
left. What their tests need besides is installed beside this environment, not into it.

Prints Markdown. Exits 1 when a test passes cold and not warm, or outputs differ.
"""

from __future__ import annotations

import collections
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MODES = {"cold": "local-provisioner", "warm": "toolkit-warm"}
STORAGE = ("abs", "adl", "gcs", "hdfs", "s3")  # of Papermill: handlers of services, no kernels
TOGETHER = {
    "Parallel Execute A.ipynb",
    "Parallel Execute B.ipynb",
}  # each waits for the other: nbclient's tests run them
# Older pytest-asyncio wants its scope said; pytest-tornasync, which only Voila's tests need, warns where warnings are
# errors.
NBCLIENT_TESTS = ("-p", "no:tornado", "-o", "asyncio_default_fixture_loop_scope=function", "tests")
# Left out: tests that take a fixed time for the time that a kernel needs, and fail now and then with any kernel.
VOILA_TESTS = (
    *("-p", "no:asyncio", "tests/app", "tests/server", "tests/execute_output_test.py"),
    "--ignore=tests/app/preheat_with_query_string_test.py",
    "--timeout=120",
)
REQUEST_S = 60.0
END_S = 10.0
VOILA = "voila==0.5.13"
TEST_NEEDS = ("flaky", "pytest-asyncio", "pytest-timeout", "pytest-tornasync", "testpath", "xmltodict")
COUNT_VARIABLE = "CONFORMANCE_COUNT"
HERE = Path(__file__).resolve()
_RANDOM = re.compile(
    r"0x[0-9a-f]{6,}|[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,\d]*|ipykernel_\d+/\d+|[\d.]+ [mµn]?s\b"
)


# --- as a plugin of pytest: how many kernels were warm ---


def pytest_configure() -> None:
    """Count how each kernel of this process is started, and give Voilà's tests time on a busy machine."""
    from tornado.httpclient import HTTPRequest

    from toolkit.kernels.provisioner import WarmProvisioner

    HTTPRequest._DEFAULTS |= {"connect_timeout": REQUEST_S, "request_timeout": REQUEST_S}  # noqa: SLF001 - tornado has no other place

    launch = WarmProvisioner.launch_kernel

    async def counted(self: WarmProvisioner, cmd: list[str], **popen: Any) -> Any:
        result = await launch(self, cmd, **popen)
        started[self.cold_reason or "forked"] += 1
        return result

    WarmProvisioner.launch_kernel = counted


def pytest_sessionfinish() -> None:
    """After the last test."""
    write_count()


def write_count() -> None:
    """Write down how kernels were started."""
    Path(os.environ[COUNT_VARIABLE]).write_text(json.dumps(started), encoding="utf-8")


started: collections.Counter[str] = collections.Counter()


# --- executing notebooks, in a process of its own for each mode ---


def execute_all(notebooks: list[Path]) -> dict[str, Any]:
    """What each notebook put out, and how it ended."""
    return {path.name: execute(path) for path in notebooks if path.name not in TOGETHER}


def execute(path: Path) -> Any:
    """One notebook's outputs, cell by cell, or why it is none."""
    import nbformat
    from jupyter_client.kernelspec import find_kernel_specs
    from nbclient import NotebookClient

    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as err:  # noqa: BLE001  # some are broken on purpose
        return f"not read: {type(err).__name__}"
    name = notebook.metadata.get("kernelspec", {}).get("name", "python3")
    if name not in find_kernel_specs():
        name = "python3"
    ended = "ended"
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, kernel_name=name, timeout=20, allow_errors=True, resources={"metadata": {"path": folder}}
        )
        try:
            client.execute()
        except Exception as err:  # noqa: BLE001  # how it ends is what is compared
            ended = type(err).__name__
    outputs = [merged(cell.get("outputs", [])) for cell in notebook.cells if cell.cell_type == "code"]
    widgets = notebook.metadata.get("widgets", {}).values()
    models = sorted(masked(model, folder) for widget in widgets for model in widget["state"].values())
    return [ended, masked(outputs, folder), models]


def masked(value: Any, folder: str) -> str:
    """JSON without what differs from run to run."""
    return _RANDOM.sub("*", json.dumps(value, sort_keys=True).replace(folder, "FOLDER"))


def merged(outputs: list[Any]) -> list[Any]:
    """Outputs with neighbouring pieces of one stream as one: where they are cut is chance."""
    result: list[Any] = []
    for output in outputs:
        if result and output.output_type == "stream" and output.get("name") == result[-1].get("name"):
            result[-1]["text"] += output.text
        else:
            result.append(dict(output))
    return result


# --- both ways ---


def pip(*arguments: str) -> None:
    """Run it; where the index cannot be reached there is nothing to compare, and the last line says so."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"not measured: pip could not fetch what the tests need: {done.stderr.strip()[-500:]}")


def fetch(wanted: str, folder: Path) -> Path:
    """The source distribution of a package, unpacked."""
    name = wanted.partition("==")[0]
    pip("download", "--no-deps", "--no-binary", name, wanted, "--dest", str(folder))
    (archive,) = folder.glob(f"{name}-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.name.startswith(f"{name}-") and path.is_dir())
    return source


def install_needs(folder: Path) -> None:
    """Voilà and what else the tests need, beside this environment."""
    missing = [name for name in TEST_NEEDS if importlib.util.find_spec(name.replace("-", "_")) is None]
    pip("install", "--no-deps", "--target", str(folder / "needs"), VOILA, *missing)


def environment(mode: str, folder: Path) -> dict[str, str]:
    """The environment of this process with the mode and what tests need; kernels name their cells alike."""
    return {
        **os.environ,
        "JUPYTER_DEFAULT_PROVISIONER_NAME": MODES[mode],
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent), str(folder / "needs")]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        # Voilà's templates and its server extension, and the templates of its tests.
        "JUPYTER_PATH": os.pathsep.join(
            map(str, [folder / "needs/share/jupyter", *folder.glob("voila-*/tests/*_template/share/jupyter")])
        ),
        "JUPYTER_CONFIG_PATH": str(folder / "needs/etc/jupyter"),
        "IPYKERNEL_CELL_NAME": "CELL",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        COUNT_VARIABLE: str(folder / "started.json"),
    }


def test(mode: str, folder: Path, tests: list[str], at: Path) -> tuple[dict[str, str], float]:
    """How each test ended, and the seconds that took."""
    report = folder / "report.xml"
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", HERE.stem, f"--junitxml={report}"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, *tests], cwd=at, env=environment(mode, folder), stdout=said, stderr=subprocess.STDOUT
        )
        while process.poll() is None and not report.exists():
            time.sleep(0.1)
        wall_s = time.perf_counter() - start
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:  # with servers that Voilà's tests never stop, Python does not end
            process.kill()
            process.wait()
        if not report.exists():
            said.seek(0)
            raise SystemExit(said.read().decode(errors="replace"))
    ends = {}
    for case in ET.parse(report).iter("testcase"):
        parts = {part.tag for part in case} & {"failure", "error", "skipped"}
        ends[f"{case.get('classname')}::{case.get('name')}"] = next(iter(parts), "passed")
    report.unlink()
    return ends, wall_s


def started_as(folder: Path) -> str:
    """What the last process wrote about its kernels."""
    counted = json.loads((folder / "started.json").read_text(encoding="utf-8"))
    return ", ".join(f"{number} {how}" for how, number in sorted(counted.items(), key=lambda item: -item[1])) or "-"


def compare_tests(name: str, folder: Path, tests: list[str], at: Path) -> list[str]:
    """Print one line per mode; the tests that pass cold and not warm."""
    ends = {}
    for mode in MODES:
        ends[mode], wall_s = test(mode, folder, tests, at)
        counted = collections.Counter(ends[mode].values())
        failed = counted["failure"] + counted["error"]
        kernels = started_as(folder) if mode == "warm" else "all cold"
        print(
            f"| {name} | {mode} | {counted['passed']} | {failed} | {counted['skipped']} | {wall_s:.0f} | {kernels} |",
            flush=True,
        )
    return [test for test, end in ends["cold"].items() if end == "passed" and ends["warm"].get(test) != "passed"]


def compare_notebooks(folder: Path, notebooks: list[Path]) -> list[str]:
    """Print one line per mode; the notebooks that put out something else."""
    outputs: dict[str, dict[str, Any]] = {}
    for mode in MODES:
        start = time.perf_counter()
        found = folder / "outputs.json"
        command = [sys.executable, str(HERE), str(found), *map(str, notebooks)]
        subprocess.run(command, check=True, cwd=folder, env=environment(mode, folder), stderr=subprocess.DEVNULL)
        outputs[mode] = json.loads(found.read_text(encoding="utf-8"))
        kernels = started_as(folder) if mode == "warm" else "all cold"
        wall_s = time.perf_counter() - start
        print(f"| notebooks | {mode} | {len(outputs[mode])} executed | | | {wall_s:.0f} | {kernels} |", flush=True)
    return [name for name, put_out in outputs["cold"].items() if outputs["warm"][name] != put_out]


def close_servers(folder: Path) -> None:
    """Print how long after its end a Voilà server's kernels are gone, for each way to end."""
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    from kernels.voila_server import kernel_in, serving, write_notebook

    notebook = folder / "page.ipynb"
    write_notebook(notebook)
    print("\n| a served page | kernels | closed by | kernels it had | s until all had ended |\n|---|---|---|---|---|")
    for mode in MODES:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with serving(notebook, env=environment(mode, folder), warm=mode == "warm") as server:
                with ThreadPoolExecutor(2) as readers:
                    kernels = [kernel_in(page) for page in readers.map(lambda _: server.get(), range(2))]
                kinds = ", ".join(how for _, how in kernels)
                print(f"| two readers | {mode} | {number.name} | {kinds} | {server.close(number):.2f} |", flush=True)


def main() -> int:
    """Print one line per suite and mode, then what differs."""
    if len(sys.argv) > 1:
        pytest_configure()
        found, *notebooks = map(Path, sys.argv[1:])
        found.write_text(json.dumps(execute_all(notebooks)), encoding="utf-8")
        write_count()
        return 0
    (papermill,) = map(Path, importlib.util.find_spec("papermill.tests").submodule_search_locations)
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        install_needs(folder)
        nbclient = fetch(f"nbclient=={importlib.metadata.version('nbclient')}", folder)
        voila = fetch(VOILA, folder)
        ours = [path for path in sorted(papermill.glob("test_*.py")) if path.stem.removeprefix("test_") not in STORAGE]
        print("| what | kernels | passed | failed | skipped | wall s | how kernels were started |")
        print("|---|---|---|---|---|---|---|", flush=True)
        lost = compare_tests(
            "papermill's tests", folder, ["--pyargs", *(f"papermill.tests.{p.stem}" for p in ours)], folder
        )
        lost += compare_tests("nbclient's tests", folder, [*NBCLIENT_TESTS], nbclient)
        lost += compare_tests("Voilà's tests", folder, [*VOILA_TESTS], voila)
        notebooks = [*sorted(papermill.glob("notebooks/*.ipynb")), *sorted(nbclient.glob("tests/files/*.ipynb"))]
        differ = compare_notebooks(folder, notebooks)
        close_servers(folder)
    print(f"\nPass cold and not warm: {', '.join(lost) or 'none'}. Other outputs: {', '.join(differ) or 'none'}.")
    return int(bool(lost or differ))


if __name__ == "__main__":
    sys.exit(main())
