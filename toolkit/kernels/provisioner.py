"""The provisioner that Jupyter finds under the name `toolkit-warm`: kernels forked from a zygote, cold ones otherwise.

For every notebook of a machine's user, without changing one: `JUPYTER_DEFAULT_PROVISIONER_NAME=toolkit-warm`. For one
kernelspec: `metadata.kernel_provisioner = {"provisioner_name": "toolkit-warm", "config": {"preload": [...]}}`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Float, List, Unicode

from toolkit.kernels.launches import Launch, read_launch
from toolkit.kernels.preload import PRELOAD

if TYPE_CHECKING:
    from toolkit.kernels.forked import ForkedKernel, Usage

_FATAL = {signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)}
_END_S = 1.0


class WarmProvisioner(LocalProvisioner):
    """Forks the kernel if it can be forked, else starts it as Jupyter always has.

    Attributes
    ----------
    cold_reason: why the last kernel was started cold; None: it was forked, or none was started yet.
    usage: what the last forked kernel used, once it has ended.
    """

    preload = List(Unicode(), default_value=list(PRELOAD), help="What a zygote imports.").tag(config=True)
    idle_s = Float(900.0, help="Seconds after which a zygote without a kernel ends.").tag(config=True)

    cold_reason: str | None = None
    usage: Usage | None = None
    _forked: ForkedKernel | None = None
    _ending = False

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel, or start one."""
        self._ending = False
        launch = read_launch(cmd, {"env": os.environ, **kwargs})
        started = launch if isinstance(launch, str) else await _fork(launch, list(self.preload), self.idle_s)
        if isinstance(started, str):
            self.cold_reason, self._forked = started, None
            self.log.debug("kernel started cold: %s", started)
            return await super().launch_kernel(cmd, **kwargs)
        self.cold_reason, self.usage = None, None
        self._forked = started
        self.process = cast("Any", started)  # it is what Popen is for whom it is for
        self.pid = self.pgid = started.pid
        self.cwd = kwargs.get("cwd") or os.getcwd()  # noqa: PTH109  # text, as it came
        return self.connection_info

    async def poll(self) -> int | None:
        """The exit code of a kernel that has ended; one that was told to end is given a moment to do so."""
        if self._forked is None or self.process is None:
            return await super().poll()
        if self._ending:
            # Its caller would sleep and ask again.
            try:
                return await asyncio.wait_for(self._forked.ended(), _END_S)
            except TimeoutError:
                return None
        return self._forked.poll()

    async def wait(self) -> int | None:
        """Wait for the kernel's end."""
        if self._forked is None or self.process is None:
            return await super().wait()
        forked = self._forked
        code = await forked.ended()
        self.usage = forked.usage
        self.process = self._forked = None
        forked.close()
        return code

    async def send_signal(self, signum: int) -> None:
        """Signal the kernel's process group, by way of its zygote."""
        if self._forked is None or self.process is None:
            await super().send_signal(signum)
        else:
            self._ending = self._ending or signum in _FATAL
            self._forked.send_signal(signum)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """The kernel was asked to end."""
        self._ending = True


async def _fork(launch: Launch, preload: list[str], idle_s: float) -> ForkedKernel | str:
    """Fork a kernel without stopping the event loop: a zygote may have to start first.

    Not with the loop's own threads: Jupyter's synchronous managers keep their loop, and in a forked copy of their
    process (a pool of workers) it would wait for threads that have not been copied.
    """
    from toolkit.kernels.forked import readable  # what only Linux has
    from toolkit.kernels.zygotes import fork_kernel

    made: Future[ForkedKernel | str] = Future()
    done, forking = socket.socketpair()

    def run() -> None:
        with forking:
            try:
                made.set_result(fork_kernel(launch, preload, idle_s=idle_s))
            except BaseException as err:  # noqa: BLE001  # raised where it is waited for
                made.set_exception(err)

    with done:
        Thread(target=run, name="kernel launch", daemon=True).start()
        await readable(done)
    return made.result()
