"""A forked kernel as its client sees it: what `subprocess.Popen` is for a cold one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import weakref
from typing import NamedTuple

_OPEN: weakref.WeakSet[ForkedKernel] = weakref.WeakSet()


class Usage(NamedTuple):
    """What a kernel and those it waited for used: CPU seconds, and the largest resident set."""

    user_s: float
    system_s: float
    peak_bytes: int


class ForkedKernel:
    """A kernel process whose parent is a zygote; waiting and signals go over its connection, which is its leash.

    Its number is never used to signal it from here: the zygote knows whether it is still this process's.

    Attributes
    ----------
    args, pid, returncode, stdin, stdout, stderr: as `subprocess.Popen` has them.
    ready: whether a client can connect to it.
    usage: what it used, once it has ended.
    """

    stdin = stdout = stderr = None

    def __init__(self, args: list[str], pid: int, connection: socket.socket) -> None:
        self.args = args
        self.pid = pid
        self.returncode: int | None = None
        self.ready = False
        self.usage: Usage | None = None
        self._connection = connection
        self._lock = threading.Lock()
        _OPEN.add(self)

    def poll(self) -> int | None:
        """The exit code, negative for a signal, if it has ended."""
        with self._lock:
            while self.returncode is None:
                try:
                    message = self._connection.recv(4096, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break
                except OSError:  # the zygote died and left messages unread, or the connection was closed here
                    message = b""
                self._take(message)
            return self.returncode

    def _take(self, message: bytes) -> None:
        told = json.loads(message or '{"returncode": -9}')  # without a word: the zygote was killed, and so was this
        if "ready" in told:
            self.ready = True
        else:
            self.returncode = told.pop("returncode")
            self.usage = Usage(**told) if told else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, `timeout` seconds at most; raises `subprocess.TimeoutExpired`."""
        while (code := self.poll()) is None:
            if not self._told_more(timeout):
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until its sockets are bound, or it has ended, `timeout` seconds at most."""
        while self.poll() is None and not self.ready and self._told_more(timeout):
            pass

    def _told_more(self, timeout: float | None) -> bool:
        with self._copy() as connection:
            waiting = select.poll()
            waiting.register(connection, select.POLLIN)
            return bool(waiting.poll(None if timeout is None else timeout * 1000))

    async def ended(self) -> int:
        """Wait for its end without a thread and without asking again and again."""
        while (code := self.poll()) is None:
            with self._copy() as connection:
                await readable(connection)
        return code

    def send_signal(self, number: int) -> None:
        """Signal its process group; nothing happens when it has ended."""
        with self._lock:
            if self.returncode is None:
                with contextlib.suppress(OSError):  # it has ended, which `poll` will see
                    self._connection.send(str(int(number)).encode())

    def terminate(self) -> None:
        """Ask it to end: SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything that it started."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of the connection: if it has not ended yet, it is killed."""
        self._connection.close()

    def _copy(self) -> socket.socket:
        """Another number for the connection: an event loop watches each number once only, and it may be closed."""
        with self._lock:
            return self._connection.dup()

    def __del__(self) -> None:
        self.close()


async def readable(connection: socket.socket) -> None:
    """Wait until there is something to be read, or the other end is closed."""
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()
    loop.add_reader(connection, _resolve, waiting)
    try:
        await waiting
    finally:
        loop.remove_reader(connection)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _let_go_in_child() -> None:
    """A forked copy of this process must not hold the leashes of its parent's kernels."""
    for kernel in list(_OPEN):
        kernel.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
