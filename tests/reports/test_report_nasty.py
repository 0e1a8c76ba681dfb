"""Notebooks that misbehave end as they should: with a report, or a reason that can be read, and nothing left over."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from toolkit.errors import RunError
from toolkit.reports import Published, RunRequest, run_report
from toolkit.reports.limits import Limits
from toolkit.reports.request import Kernel
from toolkit.workspace import Workspace, open_workspace

PATIENCE_S = 30
Nasty = Callable[..., Published]

ECHO = """
from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel


class Echo(Kernel):
    implementation = implementation_version = banner = "echo"
    language_info = {"name": "echo", "mimetype": "text/plain", "file_extension": ".txt"}

    async def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **_):
        self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": code.upper()})
        return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}


IPKernelApp.launch_instance(kernel_class=Echo)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Workspace:
    (tmp_path / "templates").mkdir()
    (tmp_path / "toolkit.toml").write_text('schema_version = 2\nname = "nasty"\n\n[tables]\n')
    return open_workspace(tmp_path)


EITHER = pytest.mark.parametrize("nasty", ["cold", "warm"], indirect=True)
"""Of what a kernel that was forked could do otherwise; the rest is tried in a cold one by the slow tests."""


@pytest.fixture(params=[pytest.param("cold", marks=pytest.mark.slow), "warm"])
def nasty(request: pytest.FixtureRequest, tiny: Workspace) -> Nasty:
    """Runs cells as a report, in a kernel started either way."""
    kernel: Kernel = request.param

    def run(*cells: str, metadata: dict[str, Any] | None = None, **limits: float) -> Published:
        notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.update(metadata or {})
        (tiny.templates / "nasty.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
        return run_report(RunRequest(tiny.root, "nasty", kernel=kernel, limits=Limits(**limits)))

    return run


def outputs(published: Published) -> list[Any]:
    notebook = json.loads((published.folder / "report.ipynb").read_bytes())
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def text(published: Published) -> str:
    return "".join("".join(output["text"]) for output in outputs(published) if output["output_type"] == "stream")


def reason(caught: pytest.ExceptionInfo[RunError]) -> str:
    return str(caught.value).split(". The half-run notebook is ")[0]


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while is_alive(pid):
        assert time.monotonic() < until, f"process {pid} outlives its report"
        time.sleep(0.05)


# --- too much -------------------------------------------------------------------------------------------------------


def test_50_megabytes_of_output(nasty: Nasty) -> None:
    with pytest.raises(RunError) as caught:
        nasty("for _ in range(50):\n    print('x' * 1_000_000)")
    assert reason(caught) == (
        "nasty failed in code cell 1 of 1 (for _ in range(50):): LimitExceeded: the cells put out more than 32 MiB, "
        "their limit; show a summary instead, or raise output_mib in [limits] of toolkit.toml"
    )


def test_an_endless_print_ends_although_no_cell_does(nasty: Nasty) -> None:
    with pytest.raises(RunError, match="the cells put out more than 1 MiB"):
        nasty("while True:\n    print('x' * 10_000)", output_mib=1)


def test_10000_prints_are_one_output(nasty: Nasty) -> None:
    published = nasty("for number in range(10_000):\n    print(number, flush=True)")
    assert text(published).split() == [str(number) for number in range(10_000)]
    assert len(outputs(published)) == 1


def test_an_endless_loop_meets_the_limit_of_one_cell(nasty: Nasty) -> None:
    with pytest.raises(RunError) as caught:
        nasty("1 + 1", "while True:\n    pass", cell_s=1.5)
    assert reason(caught) == (
        "nasty failed in code cell 2 of 2 (while True:): LimitExceeded: the cell took longer than 1.5 s, the limit of "
        "one cell; raise it with --cell-limit-s, or cell_s in [limits] of toolkit.toml"
    )


def test_cells_that_are_slow_together_meet_the_limit_of_the_run(nasty: Nasty) -> None:
    with pytest.raises(RunError) as caught:
        nasty(*["import time\ntime.sleep(1)"] * 30, cell_s=5, run_s=4)
    assert reason(caught).endswith(
        "LimitExceeded: the run took longer than 4 s, its limit; raise it with --run-limit-s, or run_s in [limits] of "
        "toolkit.toml"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA of another process is Linux's prlimit")
def test_memory_meets_its_limit_as_an_error_of_the_cell(nasty: Nasty) -> None:
    with pytest.raises(RunError) as caught:
        nasty("held = bytearray(8_000_000_000)", memory_mib=2000)
    assert reason(caught) == (
        "nasty failed in code cell 1 of 1 (held = bytearray(8_000_000_000)): MemoryError: the kernel may allocate 2000 "
        "MiB, its limit; raise it with --memory-limit-mib, or memory_mib in [limits] of toolkit.toml"
    )


# --- sudden ends ----------------------------------------------------------------------------------------------------


@EITHER
def test_a_kernel_that_exits(nasty: Nasty) -> None:
    with pytest.raises(RunError) as caught:
        nasty("import os\nos._exit(7)")
    assert reason(caught) == (
        "nasty failed in code cell 1 of 1 (import os): KernelDied: the kernel ended itself with exit code 7"
    )


@EITHER
def test_a_kernel_that_crashes(nasty: Nasty) -> None:
    with pytest.raises(RunError) as caught:
        nasty("import ctypes\nctypes.string_at(0)")
    assert reason(caught) == (
        "nasty failed in code cell 1 of 1 (import ctypes): KernelDied: the kernel was ended by SIGSEGV: compiled code "
        "crashed"
    )


@EITHER
def test_a_kernel_that_is_killed(nasty: Nasty) -> None:
    with pytest.raises(RunError, match="ended by SIGKILL: by somebody, or by the system because memory ran out"):
        nasty("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")


def test_results_that_were_cut_off_hide_no_failure(nasty: Nasty) -> None:
    cut_off = "open(os.environ['TOOLKIT_RUN'] + '/results.json', 'w').write('{\"rows\": [')"
    with pytest.raises(RunError, match="KernelDied: the kernel ended itself with exit code 7"):
        nasty(f"import os\nfile = {cut_off}\nos._exit(7)")


def test_sys_exit_ends_the_notebook_and_its_code_decides(nasty: Nasty) -> None:
    said = text(nasty("print('before')", "import sys\nsys.exit(0)", "print('after')"))
    assert said.startswith("before\n")
    assert "after" not in said
    with pytest.raises(RunError, match=r"^nasty failed in code cell 1 of 1 \(import sys\): SystemExit: 3"):
        nasty("import sys\nsys.exit(3)")


# --- what a notebook leaves behind ----------------------------------------------------------------------------------


@EITHER
def test_what_a_notebook_has_started_does_not_outlive_it(nasty: Nasty) -> None:
    published = nasty(
        "import os, subprocess, sys, time\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    time.sleep(600)\n"
        "    os._exit(0)\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child, other.pid)"
    )
    for pid in map(int, text(published).split()):
        wait_until_gone(pid)


@EITHER
def test_nor_does_it_outlive_a_kernel_that_dies(nasty: Nasty, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="KernelDied"):
        nasty(
            "import os, subprocess\n"
            "other = subprocess.Popen(['sleep', '600'])\n"
            f"open({str(tmp_path / 'pid')!r}, 'w').write(str(other.pid))\n"
            "os._exit(1)"
        )
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_thousand_files_stay_in_the_workspace_and_out_of_the_report(nasty: Nasty, tiny: Workspace) -> None:
    published = nasty("for number in range(1000):\n    open(f'file-{number}.txt', 'w').close()")
    assert len(list(tiny.root.glob("file-*.txt"))) == 1000
    assert {path.name for path in published.folder.iterdir()} == {
        "manifest.json", "report.html", "report.ipynb", "results.json",
    }  # fmt: skip  # its lines group what belongs together


# --- what it says and asks ------------------------------------------------------------------------------------------


def test_a_question_finds_nobody_to_answer(nasty: Nasty) -> None:
    with pytest.raises(RunError, match=r"\(name = input\(\)\): StdinNotImplementedError: "):
        nasty("name = input()")


def test_top_level_await(nasty: Nasty) -> None:
    assert text(nasty("import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')")) == "awaited\n"


def test_bytes_that_are_no_text(nasty: Nasty) -> None:
    published = nasty("import os\nos.write(1, bytes(range(256)))\nos.write(2, bytes(range(128, 256)))", "print('on')")
    assert text(published).endswith("on\n")
    assert (published.folder / "report.html").stat().st_size > 0


def test_colours_and_names_in_any_script(nasty: Nasty) -> None:
    page = nasty("größe_米 = '\\x1b[31mrot\\x1b[0m'\nprint(größe_米)").page.read_text(encoding="utf-8")
    assert '<span class="ansi-red-fg">rot</span>' in page
    assert "größe_米" in page


# --- kernels --------------------------------------------------------------------------------------------------------


def test_a_notebook_that_names_no_kernel_runs_in_this_python(nasty: Nasty) -> None:
    published = nasty("import sys\nprint(sys.executable)")
    assert text(published) == "<python>/bin/python\n"  # as it is shown: no path of this machine


def test_a_kernel_of_another_language_runs_cold(nasty: Nasty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "echo"
    folder.mkdir(parents=True)
    (folder / "echo_kernel.py").write_text(ECHO)
    argv = [sys.executable, str(folder / "echo_kernel.py"), "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Echo", "language": "echo"}))
    monkeypatch.setenv("JUPYTER_PATH", os.pathsep.join([str(tmp_path / "jupyter"), os.environ.get("JUPYTER_PATH", "")]))
    spec = {"kernelspec": {"name": "echo", "language": "echo", "display_name": "Echo"}}
    published = nasty("hello", metadata=spec)
    assert text(published) == "HELLO"
    assert published.manifest["kernel"]["start"] == "cold"
    assert published.manifest["kernel"]["name"] == "echo"


def test_a_kernel_that_cannot_start_says_so(tiny: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "jupyter" / "kernels" / "gone"
    folder.mkdir(parents=True)
    spec = {"argv": [str(tmp_path / "no-such-program")], "display_name": "Gone", "language": "gone"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("hello")])
    notebook.metadata["kernelspec"] = {"name": "gone", "language": "gone", "display_name": "Gone"}
    (tiny.templates / "nasty.ipynb").write_text(nbformat.writes(notebook))
    with pytest.raises(RunError, match=r"^nasty failed before its first cell: .*no-such-program") as caught:
        run_report(RunRequest(tiny.root, "nasty"))
    assert not caught.value.transient  # another try would not find the program either
