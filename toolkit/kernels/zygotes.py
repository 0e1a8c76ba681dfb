"""The zygotes of this process: started when first needed, kept by key, a few at a time, ended with it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from toolkit.kernels.forked import ForkedKernel
from toolkit.kernels.keys import variables_at_import, zygote_key
from toolkit.kernels.launches import Launch
from toolkit.kernels.zygote import LAUNCH, RETIRE

IDLE_S = 900.0
"""A zygote without a kernel ends after this time."""

MOST_ZYGOTES = 3
"""How many zygotes are kept for the next kernel; each holds some hundred MB. What is retired ends after its kernels."""

_START_S = 120.0
_READY_S = 5.0
"""So long a client waits; one that connects earlier than it can would try again only after a while."""
_END_S = 10.0
_PROGRAM = Path(__file__).with_name("zygote.py")


class Zygote:
    """A zygote of this process, as its owner sees it."""

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self.used = time.monotonic()
        self.failure: str | None = None
        self.missing: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def serving(self) -> bool:
        """Whether it can be asked for a kernel; False while it starts, too."""
        return self._control is not None and self.process is not None and self.process.poll() is None

    @property
    def ended(self) -> bool:
        """Whether it has served, and does no more."""
        return self._control is not None and not self.serving

    def start(self, launch: Launch, preload: Sequence[str], idle_s: float) -> None:
        """Start it and wait until it has imported; `failure` says why it has not."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as log:
            command = [launch.python, *launch.options, str(_PROGRAM), str(theirs.fileno()), str(idle_s), *preload]
            try:
                self.process = subprocess.Popen(
                    command,
                    env=variables_at_import(launch.environment),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
                theirs.close()
                ours.settimeout(_START_S)
                answer = ours.recv(1 << 16)
                ours.settimeout(None)
            except OSError as err:
                answer = str(err).encode()
            if answer.startswith(b"{"):
                self.missing = json.loads(answer)["failed"]
                self._control = ours
            else:
                ours.close()
                self.close()
                self.failure = f"the zygote did not start: {_last_line(log) or answer.decode() or 'it said nothing'}"

    def fork(self, launch: Launch) -> ForkedKernel | str:
        """A kernel, or why not."""
        assert self._control is not None
        self.used = time.monotonic()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        streams: list[int] = []
        try:
            with theirs, _written(launch) as request:
                streams += [_opened(stream, number) for number, stream in enumerate(launch.streams)]
                fds = [theirs.fileno(), request.fileno(), *streams]
                socket.send_fds(self._control, [LAUNCH], fds)
            answer: dict[str, Any] = {}
            while not answer.keys() & {"pid", "refused"}:  # a kernel may be ready before the zygote says who it is
                answer |= json.loads(ours.recv(4096) or b'{"refused": "the zygote has ended"}')
        except OSError as err:
            ours.close()
            return f"the zygote cannot be reached: {err}"
        finally:
            for stream in streams:
                os.close(stream)
        if "refused" in answer:
            ours.close()
            return str(answer["refused"])
        kernel = ForkedKernel(launch.command, answer["pid"], ours)
        kernel.ready = "ready" in answer
        kernel.wait_until_ready(_READY_S)
        return kernel

    def retire(self) -> None:
        """Let it end after its last kernel."""
        if self._control is not None and self.serving:
            with contextlib.suppress(OSError):  # it has just ended by itself
                self._control.send(RETIRE)

    def close(self) -> None:
        """End it and its kernels, and wait for that."""
        if self._control is not None:
            self._control.close()
        if self.process is not None:
            try:
                self.process.wait(_END_S if self._control is not None else 0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def disown(self) -> None:
        """In a forked copy of its owner: it is not ours, and does not live as long as we do."""
        if self._control is not None:
            self._control.close()
        if self.process is not None:
            self.process.returncode = 0  # nothing to wait for


_zygotes: dict[str, Zygote] = {}
_retired: list[Zygote] = []
_lock = threading.Lock()


def fork_kernel(launch: Launch, preload: Sequence[str], *, idle_s: float = IDLE_S) -> ForkedKernel | str:
    """Fork a kernel from a zygote that fits it, or say why it has to start cold.

    Starting a zygote takes some seconds; others that need the same one wait for it.
    """
    reason = ""
    for _ in range(2):
        key = zygote_key(launch, preload)
        zygote = _zygote_for(key)
        with zygote.starting:
            if zygote.process is None and zygote.failure is None:
                zygote.start(launch, preload, idle_s)
                if zygote.serving and zygote_key(launch, preload) != key:
                    zygote.close()
                    reason = "what the zygote imports was changed meanwhile, twice"
                    continue
        if zygote.failure is not None:
            return zygote.failure
        kernel = zygote.fork(launch)
        if isinstance(kernel, ForkedKernel) or zygote.serving:
            return kernel
        reason = f"{kernel}, twice"  # one that had idled too long at this very moment, or was killed
    return reason


def _zygote_for(key: str) -> Zygote:
    with _lock:
        for retired in [zygote for zygote in _retired if zygote.ended]:
            retired.close()
            _retired.remove(retired)
        zygote = _zygotes.get(key)
        if zygote is not None and zygote.ended:
            zygote.close()
            zygote = None
        if zygote is None:
            zygote = _zygotes[key] = Zygote()
        zygote.used = time.monotonic()
        others = [(other.used, name) for name, other in _zygotes.items() if other.serving and other is not zygote]
        for _, name in sorted(others)[: -MOST_ZYGOTES + 1]:
            _retired.append(_zygotes.pop(name))
            _retired[-1].retire()
    return zygote


def close_zygotes() -> None:
    """End every zygote of this process and the kernels forked from it; the next kernel starts a new one."""
    with _lock:
        closing = [*_zygotes.values(), *_retired]
        _zygotes.clear()
        _retired.clear()
    for zygote in closing:
        zygote.close()


def _written(launch: Launch) -> IO[bytes]:
    """The request, in a file that has no name."""
    request: Mapping[str, object] = {
        "command": launch.command,
        "arguments": launch.arguments,
        "environment": dict(launch.environment),
        "folder": launch.folder,
    }
    file = os.fdopen(os.memfd_create("launch"), "w+b")
    file.write(json.dumps(request).encode())
    file.flush()
    return file


def _opened(stream: int | None, number: int) -> int:
    """A number of our own for a standard stream: `stream` as Popen takes it, `number` the one that it will have."""
    if stream == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_RDWR)
    if stream is None and number == 0:  # as Jupyter's launcher does: a pipe, with nothing to come
        reader, writer = os.pipe()
        os.close(writer)
        return reader
    return os.dup(number if stream is None else stream)


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def _disown_in_child() -> None:
    global _lock  # noqa: PLW0603  # whoever held it is not here
    _lock = threading.Lock()
    for zygote in (*_zygotes.values(), *_retired):
        zygote.disown()
    _zygotes.clear()
    _retired.clear()


atexit.register(close_zygotes)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_in_child)
