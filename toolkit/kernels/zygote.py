"""The zygote: a process that has imported what notebooks import, and forks into a kernel when asked.

A program, run by its path and not with `-m`: `toolkit` is imported only if the list of modules names it. Its one
thread imports, waits for its owner and for its kernels; it never makes an event loop or a zmq context. It listens
nowhere: the only way to it is the socket that it inherits from its owner, so nothing in the file system has to be
guarded or tidied up. What a kernel is given (arguments, environment) is read in the forked child, never here: no
secret of one kernel can reach another through this process.

    python zygote.py CONTROL IDLE_S [MODULE ...]

`CONTROL` is the number of an inherited SOCK_SEQPACKET socket. The zygote says on it what it loaded. Each `LAUNCH` on it
carries `REQUEST_FDS`: one end of a pair of sockets, a file with the request, and the kernel's standard streams. That
connection is the kernel's leash and its exit channel: it first carries the kernel's process id or why there is none,
then that the kernel can be connected to, signals from the client, and at last the exit code and what the kernel used;
when the client's end is closed, the kernel and everything that it started are killed. When the owner's end of `CONTROL`
is closed, every kernel is.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import importlib.util
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
import types
from typing import Any, NamedTuple

LAUNCH, RETIRE = b"launch", b"retire"
REQUEST_FDS = 5
"""A connection, a request and three standard streams."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_INLINE_BACKEND = "module://matplotlib_inline.backend_inline"
_LIBC = ctypes.CDLL(None, use_errno=True)
_loaded: list[str] = []
_added: dict[str, str] = {}
_changed: dict[str, str] = {}


class Request(NamedTuple):
    """In the forked child: its connection, where to read what kind of kernel it is, its streams and its zygote."""

    client: socket.socket
    file: int
    streams: tuple[int, int, int]
    zygote: int


def main() -> None:
    """Import, serve, and in each forked child return from serving as a kernel."""
    atexit.register(spare_loaded)  # the first one runs last
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    if not sys.flags.safe_path:
        del sys.path[0]  # this file's own folder
    given = dict(os.environ)
    failed = load(sys.argv[3:], control)
    _added.update((name, value) for name, value in os.environ.items() if name not in given)
    _changed.update((name, value) for name, value in os.environ.items() if given.get(name, value) != value)
    prepare_figures()
    _loaded.extend(sys.modules.keys() - {"__main__", "builtins", "sys"})
    gc.collect()
    gc.freeze()
    zygote = Zygote(control, idle_s=float(sys.argv[2]))
    control.send(json.dumps({"failed": failed}).encode())
    request = zygote.serve()
    if request is None:
        os._exit(0)
    # The rest is what `python -m ipykernel_launcher` does, up to how the interpreter ends.
    become_kernel(request)
    from ipykernel.kernelapp import IPKernelApp

    class LosslessApp(IPKernelApp):
        """Holds all output until it is read; by default what is not read in time is dropped (`lossless.py`)."""

        def init_iopub(self, context: Any) -> None:
            context.sndhwm = 0
            super().init_iopub(context)  # type: ignore[no-untyped-call]  # it has no types

    kernel = LosslessApp.instance(parent_handle=request.zygote)
    kernel.initialize()  # type: ignore[no-untyped-call]  # it has no types
    send(request.client, {"ready": True})
    request.client.close()
    kernel.start()  # type: ignore[no-untyped-call]  # it has no types


def load(modules: list[str], control: socket.socket) -> dict[str, str]:
    """Import each module; why each one that could not be was not. Ends with the owner, who may not live to see it."""
    failed = {}
    for name in modules:
        if _is_closed(control):
            os._exit(0)
        try:
            importlib.import_module(name)
        except Exception as err:  # noqa: BLE001  # the notebook that imports it will see the same error
            failed[name] = f"{type(err).__name__}: {err}"
    return failed


def _is_closed(control: socket.socket) -> bool:
    try:
        return not control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def prepare_figures() -> None:
    """Find the fonts and draw once, without pyplot: nothing of it stays but caches."""
    if "matplotlib.backends.backend_agg" not in sys.modules:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.add_subplot(title="0")
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]  # it has no types


class Zygote:
    """Serves one owner: forks, passes signals on, and reports and cleans up after each kernel."""

    def __init__(self, control: socket.socket, idle_s: float) -> None:
        self.control = control
        self.idle_s = idle_s
        self.retiring = False
        self.kernels: dict[int, socket.socket] = {}
        # A process that lost its parent is ours now: the kernels that may have started it.
        self.strays: dict[int, set[int]] = {}
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wake_reader, self.wake_writer = socket.socketpair()
        self.wake_reader.setblocking(False)
        self.wake_writer.setblocking(False)
        signal.set_wakeup_fd(self.wake_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)  # a handler in Python: the wakeup is what counts
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.control, selectors.EVENT_READ)
        self.selector.register(self.wake_reader, selectors.EVENT_READ)

    def serve(self) -> Request | None:
        """Until the owner is gone or nothing is left to do; in a forked child, what it was asked to be."""
        idle_from = time.monotonic()
        while True:
            if self.kernels:
                idle_from = time.monotonic()
            elif self.retiring:
                return None
            left_s = None if self.kernels else idle_from + self.idle_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return None
            # The owner last: a kernel that has ended makes room before another is asked for.
            ready = [key.fileobj for key, _ in self.selector.select(left_s)]
            if self.wake_reader in ready:
                self.wake_reader.recv(4096)
                self.reap()
            for pid, connection in list(self.kernels.items()):
                if connection in ready:
                    self.pass_on(pid, connection)
            if self.control in ready:
                message, fds, _, _ = socket.recv_fds(self.control, 64, REQUEST_FDS)
                if not message:
                    self.kill_all()
                    return None
                if message == RETIRE:
                    self.retiring = True
                elif request := self.launch(fds):
                    return request

    def launch(self, fds: list[int]) -> Request | None:
        """Fork a kernel, or say why not; in the child, its request."""
        if len(fds) != REQUEST_FDS:  # too many files are open; that all ends are closed tells the client
            for fd in fds:
                os.close(fd)
            return None
        connection, request, *streams = fds
        client = socket.socket(fileno=connection)
        zygote, reason, pid = os.getpid(), why_not_fork(), 0
        if reason is None:
            try:
                pid = fork()
            except OSError as err:
                reason = f"the zygote cannot fork: {err}"
        if reason is None and pid == 0:
            self.let_go()
            return Request(client, request, (streams[0], streams[1], streams[2]), zygote)
        for fd in (request, *streams):
            os.close(fd)
        if reason is not None:
            send(client, {"refused": reason})
            client.close()
        else:
            self.kernels[pid] = client
            self.selector.register(client, selectors.EVENT_READ)
            send(client, {"pid": pid})
        return None

    def let_go(self) -> None:
        """In the child: nothing of the zygote stays open, and no signal of it is handled."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.selector.close()
        for inherited in (self.control, self.wake_reader, self.wake_writer, *self.kernels.values()):
            inherited.close()
        self.kernels.clear()

    def pass_on(self, pid: int, connection: socket.socket) -> None:
        """A signal of the client to its kernel's process group; the end of the client is the kernel's."""
        try:
            message = connection.recv(64)
        except ConnectionResetError:
            message = b""
        number = int(message or signal.SIGKILL)
        if number == signal.SIGKILL:
            kill_tree(pid)
        else:
            signal_group(pid, number)
        if not message:
            self.selector.unregister(connection)  # it stays readable; the kernel is still to be waited for

    def reap(self) -> None:
        """Whoever has ended: a kernel takes what it left behind along."""
        for pid in list(self.kernels):
            # Not waited for yet: until then nobody else can be given its number.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            signal_group(pid, signal.SIGKILL, alone=False)
            self.kill_strays(pid)
            _, status, used = os.wait4(pid, 0)
            self.bury(pid, status, used)
        for pid in self.orphans():
            if os.waitpid(pid, os.WNOHANG)[0]:
                self.strays.pop(pid, None)

    def bury(self, pid: int, status: int, used: resource.struct_rusage) -> None:
        """Tell the client how its kernel ended and what it used."""
        connection = self.kernels.pop(pid)
        send(
            connection,
            {
                "returncode": os.waitstatus_to_exitcode(status),
                "user_s": used.ru_utime,
                "system_s": used.ru_stime,
                "peak_bytes": used.ru_maxrss * 1024,
            },
        )
        if connection in self.selector.get_map():
            self.selector.unregister(connection)
        connection.close()

    def orphans(self) -> list[int]:
        """The children of this process that are no kernels: their parents have ended."""
        return [pid for pid in children_of(os.getpid()) if pid not in self.kernels]

    def kill_strays(self, ended: int) -> None:
        """Kill what a kernel left behind in a session of its own.

        Whose it is, is known if only one kernel was there when it was left behind. Else it goes with the last of those
        that may have started it: too late rather than with the wrong one.
        """
        for pid in self.orphans():
            session = _session_of(pid)
            suspects = {session} if session in self.kernels else set(self.kernels)
            self.strays.setdefault(pid, suspects).discard(ended)
            if not self.strays[pid]:
                kill_tree(pid)

    def kill_all(self) -> None:
        """Every kernel, and whatever else is below this process."""
        for pid in children_of(os.getpid()):
            kill_tree(pid)


def why_not_fork() -> str | None:
    """A thread may hold a lock, which the child would wait for without end."""
    threads = len(sys._current_frames())  # noqa: SLF001  # also those that `threading` was never told of
    return None if threads == 1 else f"the zygote has {threads} Python threads: a preloaded module started one"


def fork() -> int:
    """`os.fork`; the warning of Python 3.12 is about any thread, also those of BLAS, which know of forks."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def become_kernel(request: Request) -> None:
    """Turn the forked child into what a fresh interpreter would be for `python -m ipykernel_launcher`."""
    os.setsid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != request.zygote:  # it died in between
        os._exit(1)
    for number, stream in enumerate(request.streams):
        os.dup2(stream, number)
        os.close(stream)
    with open(request.file, "rb") as file:  # noqa: PTH123  # a number, not a path
        file.seek(0)
        asked = json.loads(file.read())
    own = {"JPY_PARENT_PID": str(request.zygote)}
    os.environ.clear()
    os.environ.update(_added | asked["environment"] | _changed | own)  # as imports have set them
    os.chdir(asked["folder"])
    sys.orig_argv[:] = asked["command"]
    launcher = importlib.util.find_spec("ipykernel_launcher")
    assert launcher is not None
    sys.argv[:] = [str(launcher.origin), *asked["arguments"]]
    if sys.flags.safe_path and sys.path and sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109  # as the launcher does
        del sys.path[0]
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())  # type: ignore[union-attr]  # it is a TextIOWrapper
    importlib.invalidate_caches()
    renew_state()


def renew_state() -> None:
    """What a fresh interpreter draws or reads anew, if it was imported before the fork: seeds, keys and settings."""
    modules: dict[str, Any] = dict(sys.modules)  # `random` reseeds itself
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "multiprocessing.process" in modules:
        modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    if "tempfile" in modules:
        modules["tempfile"].tempdir = None
    if "matplotlib" in modules:
        # Matplotlib takes it at import, and IPython's kernel sets the variable if nobody has.
        modules["matplotlib"].rcParams["backend"] = os.environ.get("MPLBACKEND") or _INLINE_BACKEND


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Tell the client, if it is still there."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its kernel is killed when that is read
        connection.send(json.dumps(message).encode())


def signal_group(pid: int, number: int, *, alone: bool = True) -> None:
    """Signal a process group; `alone`: the process itself, if it has not made its group yet."""
    with contextlib.suppress(PermissionError):  # it has become somebody else's
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            if alone:
                os.kill(pid, number)


def spare_loaded() -> None:
    """At a kernel's end, keep what was loaded before the fork: taking it apart would copy its memory page by page.

    What the notebook made ends as ever: exit functions have run, objects are finalised, files flushed. Only what C
    libraries would say about objects of theirs that are still there (nanobind counts them) is not passed on.
    """
    with contextlib.suppress(OSError):  # its standard error may be closed
        stderr = os.dup(2)
        sys.stderr = sys.__stderr__ = os.fdopen(stderr, "w", buffering=1, errors="backslashreplace")  # type: ignore[misc]  # "final"
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
    spared = [sys.modules.pop(name) for name in _loaded if name in sys.modules]
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(spared))


def kill_tree(root: int) -> None:
    """Kill a process and its descendants: stopped from the top first, so that none can start or wait for another."""
    waiting, stopped = [root], []
    while waiting:
        pid = waiting.pop()
        try:
            os.kill(pid, signal.SIGSTOP)
        except (ProcessLookupError, PermissionError):
            continue
        stopped.append(pid)
        waiting += children_of(pid)
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """The process ids of a process's children, of all of its threads; none where the system does not list them."""
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # a name is enough
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:  # noqa: PTH123  # text, as it came
                children += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended
    return children


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _ignore(number: int, frame: types.FrameType | None) -> None:
    """Be woken up, do nothing else."""


if __name__ == "__main__":
    main()
