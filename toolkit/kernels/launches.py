"""One launch of a kernel as Jupyter asks for it, and whether it is plain enough to be forked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KERNEL_VARIABLE = "TOOLKIT_KERNEL"
"""`cold` in a kernel's environment forbids to fork it."""

INLINE_BACKEND = "module://matplotlib_inline.backend_inline"
_BACKENDS = {"", "agg", "inline", INLINE_BACKEND}
_LAUNCHER = ("-m", "ipykernel_launcher")
# Of the interpreter, without a value of their own: what they change, the zygote is started with too.
_OPTION = re.compile(r"-([bBdEIOPqsSuv]+|[XW].+)")
# Of Popen: what a forked kernel can have, and what says nothing about the process.
_KNOWN = {"cwd", "env", "extra_arguments", "independent", "kernel_id", "stderr", "stdin", "stdout"}


@dataclass(frozen=True)
class Launch:
    """A kernel to be forked.

    Attributes
    ----------
    python: the interpreter's absolute path, links not followed (that of a virtual environment is one).
    options: the interpreter's own options.
    arguments: what follows `-m ipykernel_launcher`.
    environment, folder: of the kernel process.
    streams: what becomes its standard input, output and error; None: nothing to read, this process's own two.
    """

    python: str
    options: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: str
    streams: tuple[int | None, int | None, int | None] = (None, None, None)

    @property
    def command(self) -> list[str]:
        """The command line of the cold kernel."""
        return [self.python, *self.options, *_LAUNCHER, *self.arguments]


def why_cold(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> str | None:
    """Why a kernel of this command line and environment starts cold; None: it can be forked.

    Parameters
    ----------
    argv: the command line; None: `python -m ipykernel_launcher` of this interpreter.
    env: the kernel's environment; None: that of this process.

    >>> why_cold(["R", "--slave", "-e", "IRkernel::main()"], env={})
    'the kernel is not `python -m ipykernel_launcher`'
    """
    command = [sys.executable, *_LAUNCHER] if argv is None else list(argv)
    launch = read_launch(command, {"env": os.environ if env is None else env})
    return launch if isinstance(launch, str) else None


def read_launch(command: list[str], popen: Mapping[str, Any]) -> Launch | str:
    """A launch from a command line and the arguments that Popen would get, or why it has to be cold."""
    environment = popen["env"]
    if not sys.platform.startswith("linux"):
        return f"kernels are forked on Linux only, this is {sys.platform}"
    if environment.get(KERNEL_VARIABLE) == "cold":
        return f"{KERNEL_VARIABLE}=cold"
    command = [os.path.expanduser(part) for part in command]  # noqa: PTH111  # as Jupyter's launcher does
    python = shutil.which(command[0], path=environment.get("PATH", os.defpath)) or command[0]
    if "-m" not in command or tuple(command[command.index("-m") :][:2]) != _LAUNCHER:
        return "the kernel is not `python -m ipykernel_launcher`"
    if os.path.abspath(python) != os.path.abspath(sys.executable):  # noqa: PTH100  # links are kept
        return f"the kernel's interpreter is {python}, this is {sys.executable}"
    module = command.index("-m")
    if odd := [option for option in command[1:module] if not _OPTION.fullmatch(option)]:
        return f"the interpreter's option {odd[0]} is not one that forked kernels can have"
    folder = os.fspath(popen.get("cwd") or os.getcwd())  # noqa: PTH109  # text, as it came
    streams = [_descriptor(popen.get(name)) for name in ("stdin", "stdout", "stderr")]
    if streams[2] == subprocess.STDOUT:
        streams[2] = 1 if streams[1] is None else streams[1]
    reason = _odd_argument(popen) or _odd_environment(environment, folder)
    if reason is not None or subprocess.PIPE in streams:
        return reason or "a standard stream is a pipe to this process"
    return Launch(
        os.path.abspath(python),  # noqa: PTH100  # text, as it came
        tuple(command[1:module]),
        tuple(command[module + 2 :]),
        dict(environment),
        os.path.abspath(folder),  # noqa: PTH100  # text, as it came
        (streams[0], streams[1], streams[2]),
    )


def _odd_argument(popen: Mapping[str, Any]) -> str | None:
    if popen.get("independent"):
        return "the kernel is to outlive this process"
    odd = sorted(name for name, value in popen.items() if name not in _KNOWN and value is not None)
    return f"{odd[0]}=: an argument of Popen that forked kernels cannot have" if odd else None


def _odd_environment(environment: Mapping[str, str], folder: str) -> str | None:
    if not os.path.isdir(folder):  # noqa: PTH112  # text, as it came
        return f"{folder} is no folder"  # Popen says it as its callers expect
    paths = environment.get("PYTHONPATH", "")
    if paths and not all(map(os.path.isabs, paths.split(os.pathsep))):
        return "PYTHONPATH has a relative entry"
    if os.path.lexists(os.path.join(folder, "matplotlibrc")):  # noqa: PTH118  # text, as it came
        return "there is a matplotlibrc in the kernel's folder, which matplotlib reads at import"
    if environment.get("MPLBACKEND", "") not in _BACKENDS:
        return f"MPLBACKEND={environment['MPLBACKEND']}: a backend that matplotlib has to start with"
    return None


def _descriptor(stream: Any) -> int | None:
    """A number of Popen's kind, also its negative ones, of what Popen takes for a stream."""
    if stream is None or isinstance(stream, int):
        return stream
    number: int = stream.fileno()
    return number
