from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as a stranger would: nothing of this repository or of this Python leaks in."""
    leaks = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "JUPYTER_PATH", "TOOLKIT_WORKSPACE", "TOOLKIT_RUN")
    environment = {name: value for name, value in os.environ.items() if name not in leaks}
    parts = [str(part) for part in command]
    done = subprocess.run(parts, cwd=cwd, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(parts)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def clean_toolkit(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `toolkit` command of a new virtual environment: the run lock and the wheel, nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input"]
    run(*pip, "--require-hashes", "--requirement", ROOT / "requirements.lock", cwd=folder)
    run(*pip, "--no-deps", wheel, cwd=folder)
    return folder / "venv" / "bin" / "toolkit"


def test_the_wheel_carries_templates_migrations_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {f"toolkit/templates/{path.name}" for path in (ROOT / "templates").glob("*.ipynb")}
    assert templates
    assert templates | {"toolkit/py.typed", "toolkit/cli/__init__.py"} <= names
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "toolkit").rglob("*") if path.is_file()}
    assert {name for name in tracked if "__pycache__" not in name} <= names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"toolkit"}


def test_the_wheel_works_without_the_repository(clean_toolkit: Path, tmp_path: Path) -> None:
    run(clean_toolkit, "init", "w", "--example", "flights", cwd=tmp_path)
    workspace = tmp_path / "w"
    first = json.loads(run(clean_toolkit, "run", "triage", "--json", cwd=workspace))
    again = json.loads(run(clean_toolkit, "run", "triage", "--json", cwd=workspace))
    assert first["reference"].endswith("@1")
    assert again["reference"].endswith("@2")
    assert Path(first["folder"]).name == "v0001"
    results = [(Path(published["folder"]) / "results.json").read_bytes() for published in (first, again)]
    assert results[0] == results[1]
    assert len(json.loads(results[0])["rows"]) > 0
    run(clean_toolkit, "reports", "verify", "--all", cwd=workspace)
    shutil.rmtree(workspace)
