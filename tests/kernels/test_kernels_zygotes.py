from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kernels.conftest import BARE, eventually, is_running, parent_of

from toolkit.kernels import close_zygotes, zygotes
from toolkit.kernels.forked import ForkedKernel, Usage
from toolkit.kernels.launches import Launch
from toolkit.kernels.zygotes import Zygote, fork_kernel

# A kernel that is asked for a file that is not there writes it, and waits for clients.
PROGRAM = Path(zygotes.__file__).with_name("zygote.py")
ENV = {name: os.environ[name] for name in ("HOME", "PATH")}


def launch(folder: Path, python: str = sys.executable, **streams: int | None) -> Launch:
    three = (None, streams.get("stdout", subprocess.DEVNULL), streams.get("stderr", subprocess.DEVNULL))
    return Launch(python, (), ("-f", str(folder / "k.json")), ENV, str(folder), three)


def test_a_kernel_is_forked_tells_that_it_is_ready_and_what_it_used(tmp_path: Path) -> None:
    kernel = fork_kernel(launch(tmp_path), BARE)
    assert isinstance(kernel, ForkedKernel)
    assert kernel.ready
    assert (tmp_path / "k.json").is_file()
    assert kernel.args == [sys.executable, "-m", "ipykernel_launcher", "-f", str(tmp_path / "k.json")]
    assert (kernel.poll(), kernel.usage, is_running(kernel.pid)) == (None, None, True)
    kernel.terminate()
    assert kernel.wait() == -signal.SIGTERM
    assert isinstance(kernel.usage, Usage)
    kernel.close()


def test_closing_the_connection_ends_the_kernel(tmp_path: Path) -> None:
    kernel = fork_kernel(launch(tmp_path), BARE)
    assert isinstance(kernel, ForkedKernel)
    pid, zygote = kernel.pid, parent_of(kernel.pid)
    kernel.close()
    assert eventually(lambda: not is_running(pid))
    assert is_running(zygote)
    assert kernel.wait() == -signal.SIGKILL
    kernel.kill()  # nothing is left to be signalled


def test_an_interpreter_that_is_not_there_starts_no_zygote(tmp_path: Path) -> None:
    expected = "the zygote did not start: [Errno 2] No such file or directory: '/no/python'"
    assert fork_kernel(launch(tmp_path, "/no/python"), BARE) == expected
    assert fork_kernel(launch(tmp_path, "/no/python"), BARE) == expected  # not tried again


def test_an_interpreter_that_says_nothing_starts_no_zygote(tmp_path: Path) -> None:
    quiet = tmp_path / "python"
    quiet.write_text("#!/bin/sh\n", encoding="utf-8")
    quiet.chmod(0o700)
    assert fork_kernel(launch(tmp_path, str(quiet)), BARE) == "the zygote did not start: it said nothing"


def test_a_stream_that_is_not_open_is_a_reason(tmp_path: Path) -> None:
    reason = fork_kernel(launch(tmp_path, stdout=999_999), BARE)
    assert reason == "the zygote cannot be reached: [Errno 9] Bad file descriptor"


def test_code_that_changes_while_a_zygote_imports_it_starts_no_kernel(tmp_path: Path) -> None:
    source = (
        "from pathlib import Path\nPath(__file__).with_name('b.py').write_text(str(__import__('time').time_ns()))\n"
    )
    (tmp_path / "restless").mkdir()
    (tmp_path / "restless" / "__init__.py").write_text(source, encoding="utf-8")
    restless = Launch(sys.executable, (), (), ENV | {"PYTHONPATH": str(tmp_path)}, str(tmp_path))
    assert fork_kernel(restless, (*BARE, "restless")) == "what the zygote imports was changed meanwhile, twice"


def test_a_module_that_is_missing_or_broken_is_left_to_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text("1 / 0\n", encoding="utf-8")
    zygote = Zygote()
    asked = Launch(sys.executable, (), (), ENV | {"PYTHONPATH": str(tmp_path)}, str(tmp_path))
    zygote.start(asked, ["no_such_module", "broken_module", "json"], 60)
    assert zygote.failure is None
    assert zygote.missing == {
        "broken_module": "ZeroDivisionError: division by zero",
        "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    }
    zygote.retire()
    assert eventually(lambda: zygote.ended)  # there is no kernel to wait for
    assert isinstance(zygote.fork(asked), str)
    zygote.retire()  # it has ended already
    zygote.close()


def test_a_client_whose_zygote_was_killed_hears_it() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kernel = ForkedKernel(["python"], 1, ours)
    assert kernel.poll() is None
    theirs.close()
    assert (kernel.wait(), kernel.usage) == (-signal.SIGKILL, None)
    kernel.close()


@pytest.mark.parametrize("times", [1, 2])
def test_zygotes_are_closed_as_often_as_asked(times: int, tmp_path: Path) -> None:
    kernel = fork_kernel(launch(tmp_path), BARE)
    assert isinstance(kernel, ForkedKernel)
    zygote = parent_of(kernel.pid)
    for _ in range(times):
        close_zygotes()
    assert not is_running(zygote)
    assert kernel.wait() == -signal.SIGKILL
    kernel.close()


def test_a_zygote_whose_owner_is_gone_imports_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "first_module.py").write_text(
        "import os, pathlib, time\nhere = pathlib.Path(__file__).parent\n(here / 'begun').touch()\n"
        "while not (here / 'go').exists():\n    time.sleep(0.01)\n"
    )
    (tmp_path / "second_module.py").write_text("import pathlib\npathlib.Path(__file__).with_name('too_far').touch()\n")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, str(PROGRAM), str(theirs.fileno()), "60", "first_module", "second_module"]
        process = subprocess.Popen(command, env=ENV | {"PYTHONPATH": str(tmp_path)}, pass_fds=[theirs.fileno()])
        theirs.close()
        assert eventually((tmp_path / "begun").exists)
        ours.close()
        (tmp_path / "go").touch()
        assert process.wait(60) == 0
    assert not (tmp_path / "too_far").exists()


def test_a_kernel_may_be_ready_before_the_zygote_says_who_it_is(tmp_path, monkeypatch):
    """On a busy machine the parent goes on later than its child."""

    def answer(_control, _buffers, fds):
        with socket.socket(fileno=os.dup(fds[0])) as client:
            client.send(b'{"ready": true}')
            client.send(b'{"pid": 4242}')

    monkeypatch.setattr(socket, "send_fds", answer)
    zygote, (control, other) = Zygote(), socket.socketpair()
    with control, other:
        zygote._control = control
        kernel = zygote.fork(Launch(sys.executable, (), (), ENV, str(tmp_path)))
        assert (kernel.pid, kernel.ready) == (4242, True)
        kernel._connection.close()
