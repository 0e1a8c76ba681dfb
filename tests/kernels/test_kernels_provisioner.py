"""The provisioner under managers and drivers as they are: jupyter_client, nbclient, Papermill, nbconvert."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager, MultiKernelManager
from kernels.conftest import BARE, PATIENCE_S, Manager, eventually, is_running, parent_of, running


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_kernel_is_interrupted_and_goes_on(transport: str) -> None:
    with running(transport=transport) as kernel:
        assert kernel.provisioner.cold_reason is None
        kernel.start("import time; print('begun', flush=True); time.sleep(600)")
        while kernel.client.get_iopub_msg(timeout=PATIENCE_S)["msg_type"] != "stream":
            pass
        kernel.manager.interrupt_kernel()
        reply = kernel.client.get_shell_msg(timeout=PATIENCE_S)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        assert kernel.run("print('on')") == "on\n"


@pytest.mark.parametrize("now", [True, False], ids=["at once", "when asked"])
def test_a_kernel_is_restarted_as_a_new_one(now: bool) -> None:
    with running() as kernel:
        first, zygote = kernel.pid, kernel.zygote
        kernel.run("here = 1")
        kernel.manager.restart_kernel(now=now)
        kernel.client.wait_for_ready(timeout=PATIENCE_S)
        assert (kernel.zygote, is_running(first)) == (zygote, False)
        assert kernel.pid != first
        assert kernel.run("print('here' in globals())") == "False\n"


@pytest.mark.parametrize(
    ("end", "code"),
    [("os._exit(7)", 7), ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV), ("ctypes.string_at(0)", -11)],
)
def test_the_end_of_a_kernel_is_seen_with_its_code(end: str, code: int) -> None:
    with running() as kernel:
        process, provisioner = kernel.provisioner.process, kernel.provisioner
        kernel.start(f"import ctypes, os, signal; {end}")
        assert process.wait(PATIENCE_S) == code
        assert asyncio.run(provisioner.poll()) == code
        assert not kernel.manager.is_alive()
        assert asyncio.run(provisioner.wait()) == code
        assert provisioner.usage.peak_bytes > 10_000_000
        assert provisioner.usage.user_s + provisioner.usage.system_s > 0
        assert not provisioner.has_process


def test_waiting_ends_at_the_time_limit() -> None:
    with running() as kernel:
        with pytest.raises(subprocess.TimeoutExpired):
            kernel.provisioner.process.wait(0.01)
        assert kernel.provisioner.process.poll() is None


def test_asking_a_kernel_to_end_shuts_it_down_with_0() -> None:
    with running() as kernel:
        process = kernel.provisioner.process
        kernel.manager.shutdown_kernel()
        assert (process.returncode, is_running(process.pid), kernel.manager.has_kernel) == (0, False, False)


def test_closing_the_zygotes_ends_their_kernels_and_the_next_one_starts_anew() -> None:
    from toolkit.kernels import close_zygotes

    with running() as kernel:
        zygote = kernel.zygote
        close_zygotes()
        assert kernel.provisioner.process.wait() == -signal.SIGKILL
        assert not is_running(zygote)
    with running() as kernel:
        assert kernel.zygote != zygote


def test_a_zygote_that_was_killed_takes_its_kernels_along_and_is_replaced() -> None:
    with running() as kernel:
        zygote, pid = kernel.zygote, kernel.pid
        os.kill(zygote, signal.SIGKILL)
        assert kernel.provisioner.process.wait() == -signal.SIGKILL
        assert eventually(lambda: not is_running(pid))
    with running() as kernel:
        assert kernel.zygote != zygote


FORKED_OWNER = """
import os, sys
sys.path[:0] = [{root!r}, {tests!r}]
from kernels.conftest import running
with running() as kernel:
    print(kernel.zygote, kernel.run("print(1)"), end="", flush=True)
if os.fork() == 0:
    with running() as kernel:
        print(kernel.zygote, kernel.run("print(2)"), end="", flush=True)
else:
    assert os.wait()[1] == 0
    with running() as kernel:
        print(kernel.zygote, kernel.run("print(3)"), end="", flush=True)
"""


def test_a_forked_copy_of_an_owner_has_a_zygote_of_its_own() -> None:
    tests = Path(__file__).resolve().parents[1]
    code = FORKED_OWNER.format(root=str(tests.parent), tests=str(tests))
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in lines] == ["1", "2", "3"]
    assert lines[0][0] == lines[2][0] != lines[1][0]


class Quick(Manager):
    """Of a zygote that ends when it has idled for a moment."""

    @property
    def kernel_spec(self) -> Any:
        spec = super().kernel_spec
        spec.metadata["kernel_provisioner"]["config"] = {"preload": [*BARE, "colorsys"], "idle_s": 0.1}
        return spec


def test_a_zygote_ends_when_it_has_idled_and_is_replaced() -> None:
    with running(manager=Quick) as kernel:
        zygote = kernel.zygote
        assert kernel.run("print('alive')") == "alive\n"
    assert eventually(lambda: not is_running(zygote))
    with running(manager=Quick) as kernel:
        assert kernel.zygote != zygote


def test_only_a_few_zygotes_are_kept_and_a_retired_one_ends_after_its_kernel() -> None:
    with running((*BARE, "this_is_not_there")) as first:
        oldest = first.zygote
        for preload in ("colorsys", "chunk", "sndhdr"):
            with running((*BARE, preload)) as other:
                assert other.zygote != oldest
        assert first.run("print('alive')") == "alive\n"
    assert eventually(lambda: not is_running(oldest))


def test_a_zygote_that_cannot_start_makes_kernels_cold(tmp_path: Path) -> None:
    (tmp_path / "fatal.py").write_text("raise SystemExit('this module leaves')\n", encoding="utf-8")
    with running((*BARE, "fatal"), env={"PYTHONPATH": str(tmp_path)}) as kernel:
        assert kernel.provisioner.cold_reason == "the zygote did not start: this module leaves"
        assert kernel.run("print('cold')") == "cold\n"


class Asynchronous(AsyncKernelManager):
    @property
    def kernel_spec(self) -> Any:
        return Manager().kernel_spec


def test_many_kernels_at_once_from_several_threads(tmp_path: Path) -> None:
    async def one(number: int) -> tuple[int, str]:
        manager = Asynchronous(transport="ipc", connection_file=str(tmp_path / f"{number}.json"))
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=PATIENCE_S)
        said: list[str] = []
        await client.execute_interactive(
            f"print({number} ** 2)", output_hook=lambda m: said.append(m["content"].get("text", ""))
        )
        zygote = parent_of(manager.provisioner.pid)
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
        return zygote, "".join(said)

    async def two(number: int) -> list[tuple[int, str]]:
        return list(await asyncio.gather(one(number), one(number + 1)))

    with ThreadPoolExecutor(4) as threads:
        pairs = list(threads.map(lambda number: asyncio.run(two(number)), range(0, 8, 2)))
    found = [item for pair in pairs for item in pair]
    assert [text for _, text in found] == [f"{number**2}\n" for number in range(8)]
    assert len({zygote for zygote, _ in found}) == 1


def test_managers_of_many_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = MultiKernelManager(kernel_manager_class="kernels.conftest.Manager")
    monkeypatch.setattr(Manager, "preload", BARE)
    first, second = manager.start_kernel(), manager.start_kernel()
    assert [manager.get_kernel(key).provisioner.cold_reason for key in (first, second)] == [None, None]
    manager.restart_kernel(first)
    manager.interrupt_kernel(second)
    assert [manager.is_alive(key) for key in (first, second)] == [True, True]
    pids = [manager.get_kernel(key).provisioner.pid for key in (first, second)]
    manager.shutdown_all()
    assert [is_running(pid) for pid in pids] == [False, False]

    async def asynchronously() -> list[bool]:
        manager = AsyncMultiKernelManager(kernel_manager_class=f"{__name__}.Asynchronous")
        sys.modules[__name__].Asynchronous = Asynchronous  # type: ignore[attr-defined]  # looked up by name
        key = await manager.start_kernel()
        pid = manager.get_kernel(key).provisioner.pid
        there = is_running(pid)
        await manager.restart_kernel(key, now=True)
        await manager.shutdown_all(now=True)
        return [there, is_running(pid)]

    assert asyncio.run(asynchronously()) == [True, False]


DRIVERS = """
import json, sys
import nbformat, papermill
from nbclient import NotebookClient
from nbconvert.preprocessors import ExecutePreprocessor

def notebook():
    parent = "import os; print('zygote.py' in open(f'/proc/{os.getppid()}/cmdline').read())"
    figure = "import matplotlib.pyplot as plt\\nplt.plot([1])"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in (parent, figure)])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nb

def outputs(nb):
    return [[o.get("text") or sorted(o.data) for o in cell.outputs] for cell in nb.cells]

folder = sys.argv[1]
nbformat.write(notebook(), folder + "/in.ipynb")
print(json.dumps([
    outputs(NotebookClient(notebook()).execute()),
    outputs(papermill.execute_notebook(folder + "/in.ipynb", folder + "/out.ipynb", progress_bar=False)),
    outputs(ExecutePreprocessor().preprocess(notebook())[0]),
]))
"""


def test_drivers_need_no_change_but_a_variable(tmp_path: Path) -> None:
    env = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": "toolkit-warm"}
    command = [sys.executable, "-c", DRIVERS, str(tmp_path)]
    done = subprocess.run(command, check=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found = json.loads(done.stdout)
    assert len(found) == 3
    for first, second in found:
        assert first == ["True\n"]
        assert ["image/png", "text/plain"] in second
