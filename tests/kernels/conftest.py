"""Kernels to look into: started by an unchanged kernel manager, warm or cold."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from toolkit.kernels import PRELOAD, WARM_PROVISIONER, close_zygotes

BARE = ("ipykernel.kernelapp", "ipykernel.debugger")
"""A zygote that starts in half a second."""
REPEATABLE = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PATIENCE_S = 120


class Manager(KernelManager):
    """For this interpreter; `preload=None`: the provisioner of Jupyter itself."""

    preload: Sequence[str] | None = BARE

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--HistoryManager.hist_file=:memory:",
        ]
        spec = KernelSpec(argv=argv, display_name="Python 3", language="python")
        if self.preload is not None:
            config = {"preload": list(self.preload)}
            spec.metadata = {"kernel_provisioner": {"provisioner_name": WARM_PROVISIONER, "config": config}}
        return spec


class Kernel:
    """A kernel that answers with what a cell prints."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_S)
        self.messages: list[dict[str, Any]] = []

    @property
    def provisioner(self) -> Any:
        return self.manager.provisioner

    @property
    def pid(self) -> int:
        number: int = self.provisioner.pid
        return number

    @property
    def zygote(self) -> int:
        assert self.provisioner.cold_reason is None
        return parent_of(self.pid)

    def start(self, code: str) -> None:
        self.client.execute(code, stop_on_error=False)  # else what comes soon after an error is not run

    def run(self, code: str) -> str:
        """What the cell printed; an error is one here."""
        self.messages = []
        try:
            reply = self.client.execute_interactive(
                code, output_hook=self.messages.append, timeout=PATIENCE_S, store_history=False
            )
        except TimeoutError:
            raise AssertionError(f"nothing came for {PATIENCE_S} s; {describe_threads(self.pid)}") from None
        content = reply["content"]
        assert content["status"] == "ok", (content["ename"], content["evalue"])
        return "".join(m["content"]["text"] for m in self.messages if m["msg_type"] == "stream")

    def shown(self) -> list[dict[str, Any]]:
        """The data of what the last cell displayed."""
        kinds = {"display_data", "execute_result"}
        return [m["content"]["data"] for m in self.messages if m["msg_type"] in kinds]


@contextmanager
def running(
    preload: Sequence[str] | None = BARE,
    *,
    env: dict[str, str] | None = None,
    transport: str = "ipc",
    manager: type[KernelManager] = Manager,
    **popen: Any,
) -> Iterator[Kernel]:
    # Short: the name of a socket has 107 bytes. Of its own: from the file's name Jupyter makes those of the sockets.
    folder = Path(tempfile.mkdtemp(prefix="k"))
    km = manager(transport=transport, connection_file=str(folder / "kernel.json"))
    km.preload = preload
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    km.start_kernel(env=own | (env or {}), **popen)
    kernel = None
    try:
        kernel = Kernel(km)
        yield kernel
    finally:
        if kernel is not None:
            kernel.client.stop_channels()
        if km.has_kernel:
            km.shutdown_kernel(now=True)
        km.cleanup_resources()
        shutil.rmtree(folder)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def describe_threads(pid: int) -> str:
    """What each thread of a process that does not answer waits for in the system."""
    tasks = sorted(Path(f"/proc/{pid}/task").glob("*"))
    waits = [f"{(task / 'comm').read_text().strip()} in {(task / 'wchan').read_text()}" for task in tasks]
    got = "; ".join(waits) or "it is gone"
    return f"its threads: {got}"


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true; the bound is there for a test that fails."""
    end = time.monotonic() + PATIENCE_S
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return holds


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel of the default zygote, which takes seconds to start; its folder is its own.

    Not of the whole session: other files close zygotes, and this kernel would be gone in whichever file came next.
    """
    with running(PRELOAD, env=REPEATABLE, cwd=str(tmp_path_factory.mktemp("warm"))) as kernel:
        yield kernel


@pytest.fixture(autouse=True, scope="session")
def _no_zygote_is_left() -> Iterator[None]:
    yield
    close_zygotes()
