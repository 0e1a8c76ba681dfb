from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIND_PYTHON = ROOT / "scripts" / "find_python"
HOW = "Install it, or name one: make PYTHON=/path/to/python3\n"
MISSING = f"error: Python 3.11 or newer, with venv and ensurepip, is missing. {HOW}"


def find_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    command = ["/bin/sh", str(FIND_PYTHON), *arguments]
    return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)


def fake_python(folder: Path, name: str, *, starts: bool) -> None:
    """A `python` that fits, or a shim with nothing behind it."""
    (folder / name).write_text(f"#!/bin/sh\nexit {0 if starts else 127}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def test_a_python_is_the_first_that_really_starts(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.13", starts=False)
    fake_python(tmp_path, "python3.12", starts=True)
    fake_python(tmp_path, "python3.11", starts=True)
    assert find_python(tmp_path).stdout == "python3.12\n"


def test_a_named_python_is_taken_or_refused_and_never_replaced(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.12", starts=True)
    fake_python(tmp_path, "python3.13", starts=False)
    assert find_python(tmp_path, "python3.12").stdout == "python3.12\n"
    refused = find_python(tmp_path, "python3.13")
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", "error: PYTHON=python3.13 does not start\n")


def test_what_is_missing_is_said_plainly(tmp_path: Path) -> None:
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        fake_python(tmp_path, name, starts=False)
    missing = find_python(tmp_path)
    assert (missing.returncode, missing.stdout, missing.stderr) == (2, "", MISSING)


def test_make_without_a_target_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    listed = re.findall(r'^\t@echo "make (\w+) ', makefile, flags=re.MULTILINE)
    assert set(listed) == set(targets.split()) - {"help"}


def test_nothing_that_installs_names_a_package_index() -> None:
    files = [ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "environment.yml", ROOT / "pyproject.toml"]
    files += [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    pattern = re.compile(r"--(?:extra-)?index-url|--index\b|--find-links|--trusted-host|pypi\.org|/simple\b")
    assert [path.name for path in files if pattern.search(path.read_text(encoding="utf-8"))] == []


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/demo.py in a folder of its own, where commands are noted and their effect is faked."""
    spec = importlib.util.spec_from_file_location("demo_script", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name in ("toolkit/examples", "templates"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("toolkit/examples/a.py", "toolkit/b.py", "templates/t.ipynb", "requirements.lock"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    commands: list[list[str]] = []

    def run(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        arguments = list(command[len(script.TOOLKIT) :])
        commands.append(arguments)
        page = tmp_path / "demo" / f"{arguments[1]}.html"
        if arguments[0] == "init":
            Path(arguments[1]).mkdir()
        elif arguments[0] == "due" or "--each" in arguments:
            return subprocess.CompletedProcess(command, 0, json.dumps({"slots": []}))
        else:
            page.touch()
        return subprocess.CompletedProcess(command, 0, json.dumps({"page": str(page)}))

    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "DEMO", tmp_path / "demo")
    monkeypatch.setattr(script, "DONE", tmp_path / "build" / "demo.json")
    monkeypatch.setattr(script.subprocess, "run", run)
    script.commands = commands
    return script


def ran(demo: ModuleType) -> list[str]:
    """What the script has run since the last look."""
    names = [" ".join(command[:2]) for command in demo.commands]
    demo.commands.clear()
    return [name.replace(str(demo.DEMO), "demo") for name in names]


EXPERIMENTS = ["run shadow_readout", "run experiment_plan", *["run experiment_readout"] * 2, "run holdout_readout"]
STEPS = [*["run triage"] * 2, "run model_health", *EXPERIMENTS, "run debt_review", "due --now", "reports gallery"]


def test_make_demo_builds_runs_and_prints_the_paths_last(demo: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    assert ran(demo) == ["init demo", *STEPS]
    names = [step.split()[1] for step in STEPS if not step.startswith("due")]
    for template in ("triage", "experiment_readout"):
        names.remove(template)  # of the two steps one is a batch, which names no page
    pages = [str(demo.DEMO / f"{name}.html") for name in names]
    assert capsys.readouterr().out.splitlines()[-len(names) - 1 :] == ["==> open in a browser:", *pages]


def test_make_demo_again_does_only_what_has_changed(demo: ModuleType) -> None:
    demo.main()
    ran(demo)
    assert demo.main() == 0
    assert ran(demo) == []
    (demo.ROOT / "templates" / "t.ipynb").write_text("changed", encoding="utf-8")
    demo.main()
    assert ran(demo) == STEPS
    (demo.ROOT / "toolkit" / "examples" / "a.py").write_text("changed", encoding="utf-8")
    demo.main()
    assert ran(demo) == ["init demo", *STEPS]
    (demo.DEMO / "triage.html").unlink()
    demo.main()
    assert ran(demo) == STEPS


def test_make_demo_leaves_a_demo_alone_that_it_did_not_make(demo: ModuleType) -> None:
    demo.DEMO.mkdir()
    message = f"error: {demo.DEMO} was not made by `make demo`; move it away, or remove it with `make clean`"
    with pytest.raises(SystemExit) as refused:
        demo.main()
    assert refused.value.code == message
    assert demo.DEMO.is_dir()


def test_make_demo_exits_with_the_code_of_the_step_that_failed(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: Sequence[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(3, command)

    monkeypatch.setattr(demo.subprocess, "run", fail)
    assert demo.main() == 3
