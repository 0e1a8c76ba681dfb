"""The kernel of one report and the client that drives it: Papermill's own client, with limits and a way to stop it.

Imported only when something is run: this module brings Papermill, nbclient and jupyter_client with it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from errno import EAGAIN, EMFILE, ENFILE, ENOMEM
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient
from traitlets import Bool

from toolkit import ROOMS
from toolkit.kernels import LOSSLESS, PRELOAD, WARM_PROVISIONER
from toolkit.reports.limits import Deadline, Limits
from toolkit.reports.stops import Stop

RUNNER_KERNEL = "python3"
"""The kernel that is this very interpreter, whatever kernelspec of that name the machine has."""

INJECTED = "injected-parameters"
"""The tag of the cell that Papermill adds with the parameters given."""

_ALSO_PRELOADED = (
    "lizard",
    "mmh3",
    "pandas.core.methods.to_dict",
    "pandas.core.reshape.reshape",
    "PIL.BmpImagePlugin",
    "PIL.GifImagePlugin",
    "PIL.JpegImagePlugin",
    "PIL.PpmImagePlugin",
    "pygments.lexers",
    "ruamel.yaml.mergevalue",
    "sqlalchemy.dialects.sqlite",
    "toolkit.ledger.schema",
    "zmq.utils.garbage",
)
"""What the toolkit imports where it uses it. The toolkit itself is preloaded too: its source is in the zygote's key."""

_PASSING = {EAGAIN, EMFILE, ENFILE, ENOMEM}  # what the next try may not meet
_MIB = 1024 * 1024
_OUTPUT_S = 120  # a cell is done, and its output is still being read: ten thousand prints take a busy machine a while
_OUTPUTS = ("stream", "display_data", "execute_result", "update_display_data", "error")
_READING = "__import__('toolkit.workspace.secrets', fromlist=['read_secret']).read_secret({name!r})"


def _parts_of(room: str) -> list[str]:
    """The modules of a room that imports its parts when they are used; by their files, nothing is imported here."""
    top = Path(__file__).parent.parent
    files = sorted((top / room).rglob("*.py"))
    return [
        ".".join(("toolkit", *file.relative_to(top).with_suffix("").parts)) for file in files if file.stem[0] != "_"
    ]


class StartError(RuntimeError):
    """The operating system did not start the kernel; `transient`: it may the next time."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class OwnKernelManager(AsyncKernelManager):  # type: ignore[misc, unused-ignore]  # its base has no types
    """Starts this interpreter for Python notebooks, forked from a warm process if asked to, over a private folder.

    No port is claimed, so none can be taken by another in the meantime, and nothing listens on the network.
    """

    warm = Bool(False, help="Fork the kernel from a process that has imported what reports need.")

    @property
    def kernel_spec(self) -> Any:
        """Of this interpreter, or the installed one of another name."""
        if self.kernel_name != RUNNER_KERNEL:
            return super().kernel_spec
        launcher = ["-m", "ipykernel_launcher"] if self.warm else [LOSSLESS]
        argv = [sys.executable, *launcher, "-f", "{connection_file}"]
        spec = KernelSpec(argv=argv, display_name="Python 3", language="python")
        if self.warm:
            rooms = [*(f"toolkit.{room}" for room in ROOMS), *_parts_of("experiments")]
            config = {"preload": [*PRELOAD, *_ALSO_PRELOADED, *rooms]}
            spec.metadata = {"kernel_provisioner": {"provisioner_name": WARM_PROVISIONER, "config": config}}
        return spec

    def client(self, **options: Any) -> Any:
        """A client that takes everything the kernel sends, at once: by default ZeroMQ drops what is not read in time.

        A cell that prints ten thousand times would lose lines. Memory stays bounded by the limit of what may be put
        out.
        """
        client = super().client(**options)
        client.context.rcvhwm = 0
        return client


def is_registered() -> bool:
    """Whether Jupyter finds our provisioner: not where the package was never installed, only put on the path."""
    return WARM_PROVISIONER in KernelProvisionerFactory.instance().provisioners


class ReportClient(PapermillNotebookClient):  # type: ignore[misc]  # its base has no types
    """Papermill's client in a kernel of its own.

    Attributes
    ----------
    exit_code: of the kernel when it ended by itself; negative: the signal. None while it lives, or if we ended it.
    cold_reason: why the kernel was not forked, though it should have been.
    put_out_too_much: whether the kernel was ended because its cells put out more than their limit.
    deadline: of the cells.
    """

    def __init__(
        self,
        nb_man: Any,
        *,
        folder: Path,
        warm: bool,
        limits: Limits,
        secrets: Mapping[str, str],
        stop: Stop,
        on_cell: Callable[[int, Any], None],
        **options: Any,
    ) -> None:
        deadline = Deadline(limits)
        super().__init__(
            nb_man,
            timeout_func=lambda _: deadline.remaining_s(),
            on_cell_start=lambda cell, cell_index: on_cell(cell_index, cell),
            on_cell_executed=self._read_secrets,
            coalesce_streams=True,
            iopub_timeout=_OUTPUT_S,
            shutdown_kernel="immediate",
            **options,
        )
        self.exit_code: int | None = None
        self.cold_reason: str | None = None
        self.put_out_too_much = False
        self.deadline = deadline
        self._folder, self._warm, self._limits = folder, warm, limits
        self._secrets, self._stop = secrets, stop
        self._put_out_bytes = 0

    def create_kernel_manager(self) -> Any:
        """A manager whose connection file and sockets lie in a private folder, with a path short enough for sockets."""
        self.km = OwnKernelManager(
            kernel_name=self.kernel_name,
            transport="ipc",
            connection_file=str(self._folder / "kernel.json"),
            warm=self._warm,
        )
        return self.km

    async def _start(self, **options: Any) -> None:
        try:
            await self.async_start_new_kernel(**options)
        except OSError as err:
            raise StartError(f"the kernel did not start: {err}", transient=err.errno in _PASSING) from err
        self.cold_reason = getattr(self._provisioner, "cold_reason", None)
        if self._limits.memory_mib is not None and hasattr(resource, "prlimit"):
            most = int(self._limits.memory_mib * _MIB)
            resource.prlimit(self._provisioner.pid, resource.RLIMIT_DATA, (most, most))
        self._stop.watch(self.end_kernel)

    start_new_kernel = run_sync(_start)

    async def _clean_up(self) -> None:
        self._stop.forget(self.end_kernel)
        self.exit_code = await self._provisioner.poll() if self._provisioner.has_process else None
        if self.exit_code is not None:
            if not self._is_forked:  # a zygote has seen to it
                self.end_kernel()  # what it has started may outlive it
            await self._provisioner.wait()
        await self._async_cleanup_kernel()

    _cleanup_kernel = run_sync(_clean_up)

    @property
    def _provisioner(self) -> Any:
        return self.km.provisioner

    def end_kernel(self) -> None:
        """Kill the kernel and what it has started, from any thread; nbclient then finds it dead."""
        process = self._provisioner.process
        if process is None:
            return
        if self._is_forked:
            process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(self._provisioner.pgid, signal.SIGKILL)

    @property
    def _is_forked(self) -> bool:
        return self._warm and self.cold_reason is None

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take one message of the kernel, unless the cells have put out too much: then the kernel is ended."""
        if msg["msg_type"] in _OUTPUTS:
            self._put_out_bytes += _count_bytes(msg["content"])
            if self._put_out_bytes > self._limits.most_output_mib * _MIB:
                self.put_out_too_much = True
                self.end_kernel()
                return None
        return super().process_message(msg, cell, cell_index)

    async def _read_secrets(self, cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        """Set the parameters that name a secret, once the cell that holds the names has run.

        In the kernel's memory only: the request is silent, so neither the notebook nor the history has a trace of it.
        """
        if not self._secrets or INJECTED not in cell.metadata.get("tags", []):
            return
        code = "\n".join(f"{name} = {_READING.format(name=secret)}" for name, secret in self._secrets.items())
        request = self.kc.execute(code, silent=True, store_history=False, allow_stdin=False)
        reply = await self.async_wait_for_reply(request, cell)
        content = reply["content"] if reply else {"status": "error", "ename": "TimeoutError", "evalue": "no answer"}
        if content["status"] != "ok":
            raise CellExecutionError("", content["ename"], content["evalue"])


def _count_bytes(value: Any) -> int:
    """About how much an output holds: the length of its texts."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_count_bytes, value.values()))
    return sum(map(_count_bytes, value)) if isinstance(value, list | tuple) else 8
