from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kernels.conftest import BARE, Manager, running

from toolkit.kernels import PRELOAD, close_zygotes, why_cold
from toolkit.kernels.launches import Launch, read_launch

PLAIN = [sys.executable, "-m", "ipykernel_launcher", "-f", "kernel.json"]


def read(command: list[str] = PLAIN, env: dict[str, str] | None = None, **popen: Any) -> Launch | str:
    return read_launch(command, {"env": env or {}, **popen})


def test_a_plain_launch_can_be_forked(tmp_path: Path) -> None:
    command = [sys.executable, "-Xfrozen_modules=off", "-I", "-m", "ipykernel_launcher", "-f", "~/k.json", "--debug"]
    launch = read(command, {"A": "b"}, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    assert isinstance(launch, Launch)
    assert launch.arguments == ("-f", str(Path.home() / "k.json"), "--debug")
    assert launch.command == [*command[:6], str(Path.home() / "k.json"), "--debug"]
    assert (launch.options, launch.folder) == (("-Xfrozen_modules=off", "-I"), str(tmp_path))
    assert launch.streams == (None, subprocess.DEVNULL, subprocess.DEVNULL)
    assert "A" not in repr(launch)  # an environment has secrets


def test_the_interpreter_may_be_found_on_the_path_but_its_links_are_not_followed(tmp_path: Path) -> None:
    python = Path(sys.executable)
    assert isinstance(read([python.name, *PLAIN[1:]], {"PATH": str(python.parent)}), Launch)
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert read([str(link), *PLAIN[1:]]) == f"the kernel's interpreter is {link}, this is {sys.executable}"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["R", "-e", "IRkernel::main()"], "the kernel is not `python -m ipykernel_launcher`"),
        ([sys.executable, "-m", "xeus"], "the kernel is not `python -m ipykernel_launcher`"),
        (
            ["/usr/bin/other", "-m", "ipykernel_launcher"],
            f"the kernel's interpreter is /usr/bin/other, this is {sys.executable}",
        ),
        (
            [sys.executable, "--check-hash-based-pycs", "-m", "ipykernel_launcher"],
            "the interpreter's option --check-hash-based-pycs is not one that forked kernels can have",
        ),
    ],
)
def test_another_launcher_starts_cold(command: list[str], reason: str) -> None:
    assert read(command) == reason
    assert why_cold(command, env={}) == reason


@pytest.mark.parametrize(
    ("popen", "reason"),
    [
        ({"independent": True}, "the kernel is to outlive this process"),
        ({"preexec_fn": print}, "preexec_fn=: an argument of Popen that forked kernels cannot have"),
        ({"stdout": subprocess.PIPE}, "a standard stream is a pipe to this process"),
        ({"stdin": subprocess.PIPE}, "a standard stream is a pipe to this process"),
        ({"cwd": "/not/there"}, "/not/there is no folder"),
    ],
)
def test_an_unusual_process_starts_cold(popen: dict[str, Any], reason: str) -> None:
    assert read(**popen) == reason


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"TOOLKIT_KERNEL": "cold"}, "TOOLKIT_KERNEL=cold"),
        ({"PYTHONPATH": f"/a{os.pathsep}b"}, "PYTHONPATH has a relative entry"),
        ({"MPLBACKEND": "qtagg"}, "MPLBACKEND=qtagg: a backend that matplotlib has to start with"),
    ],
)
def test_an_unusual_environment_starts_cold(env: dict[str, str], reason: str) -> None:
    assert read(env=env) == reason
    assert why_cold(env=env) == reason


def test_settings_that_matplotlib_reads_in_the_kernels_folder_start_it_cold(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\n", encoding="utf-8")
    expected = "there is a matplotlibrc in the kernel's folder, which matplotlib reads at import"
    assert read(cwd=str(tmp_path)) == expected
    with running((*BARE, "matplotlib"), cwd=str(tmp_path)) as kernel:
        assert kernel.provisioner.cold_reason == expected
        assert kernel.run("import matplotlib; print(matplotlib.rcParams['lines.linewidth'])") == "9.0\n"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_another_system_starts_cold(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert why_cold() == f"kernels are forked on Linux only, this is {system}"


def test_the_room_is_there_without_what_only_linux_has() -> None:
    code = (
        "import sys\nfor name in ('resource', 'fcntl'): sys.modules[name] = None\n"
        "import toolkit.kernels, toolkit.kernels.provisioner as p\nsys.platform = 'win32'\n"
        "print(toolkit.kernels.why_cold()); toolkit.kernels.close_zygotes()"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "kernels are forked on Linux only, this is win32\n"


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, toolkit.kernels; print(sorted({'jupyter_client', 'zmq', 'ctypes', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_cold_kernel_is_jupyters_own(tmp_path: Path) -> None:
    log = io.StringIO()
    import logging

    logger = logging.getLogger("cold kernels")
    logger.addHandler(logging.StreamHandler(log))
    logger.setLevel(logging.DEBUG)
    manager = Manager(log=logger, connection_file=str(tmp_path / "k.json"))
    manager.start_kernel(env={**os.environ, "TOOLKIT_KERNEL": "cold"})
    try:
        provisioner = manager.provisioner
        assert isinstance(provisioner.process, subprocess.Popen)
        assert provisioner.cold_reason == "TOOLKIT_KERNEL=cold"
        assert "kernel started cold: TOOLKIT_KERNEL=cold\n" in log.getvalue()
        assert manager.is_alive()
    finally:
        manager.shutdown_kernel(now=True)
    assert not manager.has_kernel


def test_a_missing_folder_is_the_error_it_always_was(tmp_path: Path) -> None:
    manager = Manager(connection_file=str(tmp_path / "k.json"))
    with pytest.raises(FileNotFoundError):
        manager.start_kernel(cwd=str(tmp_path / "none"))
    manager.cleanup_resources()


def test_closing_without_a_zygote_does_nothing() -> None:
    close_zygotes()
    close_zygotes()
    assert PRELOAD[0] == "ipykernel.kernelapp"
