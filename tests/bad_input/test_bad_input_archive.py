"""What the machine can do to the archive: disks, clocks, crashes and two runs at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = str(Path(__file__).parents[2])
SCENARIO = str(Path(__file__).parent / "disk_scenario.py")
FULL = (
    "error: reports/ has no room left (No space left on device), and nothing in it was changed. "
    "Free some space, then run the command again"
)
READ_ONLY = (
    "error: reports/ cannot be written (Read-only file system), and nothing in it was changed. "
    "Make it writable for this user, then run the command again"
)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": CHECKOUT}


@cache
def namespace() -> tuple[str, ...]:
    """The command that gives a process mounts of its own; skips where this machine does not allow it."""
    command = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
    try:
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "disk", "/tmp"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed, so no disk can be made full or read-only")
    if tried.returncode:
        pytest.skip(f"this machine lets no process mount a disk of its own: {tried.stderr.decode().strip()}")
    return command


def play(scenario: str, root: Path) -> dict[str, Any]:
    command = [*namespace(), sys.executable, SCENARIO, scenario, str(root)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "toolkit.cli", *arguments]
    return subprocess.Popen(
        command, cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_read_only_reports_folder(world):
    before = world.state()
    seen = play("read-only", world.root)
    for command in ("run", "gallery"):
        assert (seen[command]["code"], seen[command]["out"], seen[command]["said"]) == (1, "", READ_ONLY)
        assert seen[command]["tree"] == seen["before"]
    assert not any("kernel" in line for line in seen["run"]["told"])
    assert world.state() == before


def test_a_reports_folder_that_is_a_file(world):
    for path in sorted((world.root / "reports").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (world.root / "reports").rmdir()
    (world.root / "reports").write_text("in the way", encoding="utf-8")
    said = READ_ONLY.replace("Read-only file system", "Not a directory")
    world.stopped("run", "looks", code=1, said=said)


@pytest.mark.slow
def test_full_disk(world):
    seen = play("full", world.root)
    for command in ("in the kernel", "gallery", "at the page"):
        assert (seen[command]["code"], seen[command]["out"], seen[command]["said"]) == (1, "", FULL)
        assert seen[command]["tree"] == seen["before"], command
    assert "tk.reports.save" in seen["in the kernel"]["told"][-1]
    assert seen["at the page"]["told"][-1] == "==> rendering the page"
    assert (seen["verify"]["code"], seen["verify"]["out"]) == (0, "verified 1 report\n")
    published = {"looks/small@1": "report.published"}
    assert subjects(seen["ledger"]["out"]) == published
    assert (seen["again"]["code"], seen["again"]["out"].splitlines()[0]) == (0, "looks/small@2")
    assert (seen["verify again"]["code"], seen["verify again"]["out"]) == (0, "verified 2 reports\n")
    assert subjects(seen["ledger again"]["out"]) == published | {"looks/small@2": "report.published"}


def subjects(log: str) -> dict[str, str]:
    return {entry["subject"]: entry["kind"] for entry in json.loads(log)["entries"]}


def test_clock_set_back(world, monkeypatch):
    class SlowClock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(days=400)

    before = world.state()
    for module in ("toolkit.ledger.store", "toolkit.reports.runner"):
        monkeypatch.setattr(f"{module}.datetime", SlowClock)
    assert world.call("run", "looks").out.startswith("looks/small@2\n")
    earlier, entry = world.state().entries
    assert [earlier] == before.entries
    assert entry["recorded_at"] < earlier["recorded_at"]
    note = (
        f"entry 2: recorded_at {entry['recorded_at']} is before that of the entry before it "
        f"({earlier['recorded_at']}): the clock was set back\n"
    )
    assert world.call("ledger", "verify") == (0, "verified 2 entries\n", note)
    assert world.call("reports", "verify", "--all") == (0, "verified 2 reports\n", "")
    assert world.call("reports", "show", "looks/small").out.startswith("reference: looks/small@2\n")


KILLED = """
import os, signal, sys
from types import SimpleNamespace
import nbformat
from toolkit.cli import main
from toolkit.archive import versions
from toolkit.reports import engine

def execute(template, *_, **__):
    return engine.Execution(nbformat.reads(template.path.read_text(), as_version=4))

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

engine.execute = execute
setattr({"archive": versions, "Path": versions.Path}[sys.argv[1]], sys.argv[2], die)
sys.exit(main(["run", "looks"]))
"""


@pytest.mark.parametrize(
    ("place", "function", "is_published"),
    [
        pytest.param("archive", "move_folder", False, marks=pytest.mark.slow),  # staged, not on disk
        ("Path", "rename", False),  # on disk, not renamed
        ("archive", "record_publication", True),  # renamed, not recorded
    ],
)
def test_killed_during_publish(world, place, function, is_published):
    before = world.state()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, place, function], cwd=world.root, env=environment(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    versions = [path.name for path in sorted((world.root / "reports" / "looks" / "small").iterdir())]
    assert versions == (["v0001", "v0002"] if is_published else ["v0001"])
    assert world.state().entries == before.entries
    earlier = {name: data for name, data in world.state().files.items() if "v0002" not in name and ".st" not in name}
    assert earlier == before.files
    unrecorded = (
        "verification failed:\nlooks/small@2: the ledger has no row of its publication; "
        "any 'toolkit run' adds what a crash left out\n"
    )
    verified = world.call("reports", "verify", "--all")
    assert verified == ((4, "", unrecorded) if is_published else (0, "verified 1 report\n", ""))

    (world.root / "data" / "predictions.parquet").unlink()
    assert world.call("run", "looks").code == 3  # any run tidies up, also one that is refused
    assert list((world.root / "reports" / ".staging").iterdir()) == []
    rows = [
        (entry["subject"], entry["payload"].get("recovered"))
        for entry in world.state().entries
        if entry["kind"] == "report.published"
    ]
    assert rows == [("looks/small@1", None), *([("looks/small@2", True)] if is_published else [])]
    assert world.call("reports", "verify", "--all").code == 0


def test_two_runs_at_once(world):
    before = world.state()
    runs = [start(world.root, "run", "looks") for _ in range(2)]
    told = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert sorted(out.splitlines()[0] for out, _ in told) == ["looks/small@2", "looks/small@3"]
    after = world.state()
    assert before.files.items() <= after.files.items()
    folder = "reports/looks/small/"
    assert after.files[f"{folder}v0002/results.json"] == after.files[f"{folder}v0003/results.json"]
    assert [entry["subject"] for entry in after.entries] == ["looks/small@1", "looks/small@2", "looks/small@3"]
    assert after.files.keys() - before.files.keys() == {
        f"{folder}{version}{file}"
        for version in ("v0002", "v0003")
        for file in ("", "/manifest.json", "/report.html", "/report.ipynb", "/results.json")
    }
    assert world.call("reports", "verify", "--all") == (0, "verified 3 reports\n", "")
    assert world.call("ledger", "verify").code == 0
