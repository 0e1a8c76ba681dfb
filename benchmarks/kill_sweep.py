"""Does a killed batch leave anything half done, lost or running? SIGKILL at random moments, over and over.

A driver runs a batch of small reports, warm and cold in turn, on two workers, and is killed (it alone, not its kernels)
somewhere between its start and the end of the batch. After each kill, and without any repair: every version that can be
seen is whole, byte for byte as its manifest says; every version seen before is still there; and within a second (cold
kernels: three) no kernel and no zygote of the driver is left. Then the record is reconciled, as the next command would,
and the whole archive must verify. The next driver resumes the batch that was killed, and is killed in its turn, until
the batch is whole; the last ones are resumed in peace. Every item of every batch must be there exactly once.

    python benchmarks/kill_sweep.py [KILLS] [SEED]

Prints Markdown. Exits 1 when anything was truncated, half visible, lost, doubled or orphaned.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from any folder: the checkout's own

from toolkit.archive import list_reports, load_manifest, reconcile, report_folder, verify_all
from toolkit.digests import digest_file
from toolkit.ledger import open_ledger
from toolkit.reports.batch import list_batches, load_batch, open_crew, run_batch
from toolkit.workspace import Workspace, open_workspace

CHECKOUT = Path(__file__).resolve().parents[1]
KILLS = 300
LANES = 2
ITEMS = 6
GONE_WITHIN_S = {"warm": 1.0, "cold": 3.0}  # a cold kernel looks for its parent once a second, once it has started
WRONGS = ("truncated", "half visible", "lost", "unverified", "orphaned", "made twice", "never made", "not resumed")
CELLS = (
    "item: int = 0  # of the batch\nsize: int = 1000  # of the results",
    "import toolkit as tk\nfrom toolkit.records import ResultRow, Shown",
    (
        "class Made(Shown):\n    def to_rows(self):\n"
        "        return [ResultRow(key=str(item), statistic='number', value=number) for number in range(size)]"
    ),
    "tk.reports.save(made=Made())",
)


class Found(NamedTuple):
    """Of one sweep: what was wrong, when it killed, kernel and seconds until all was gone for each, the reports."""

    wrong: Counter[str]
    killed: Counter[str]
    gone: list[tuple[str, float]]
    reports: int


def make_workspace(root: Path) -> Workspace:
    (root / "templates").mkdir(parents=True)
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "killed"\n\n[tables]\n')
    notebook: Any = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["toolkit"] = {"subject": "all", "reads": []}
    (root / "templates" / "made.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    return open_workspace(root)


def start_driver(workspace: Workspace, kernel: str, batch: str | None, log: Path) -> subprocess.Popen[bytes]:
    """Resume a batch, or begin one."""
    items = ",".join(map(str, range(ITEMS)))
    command = ["run", "--resume", batch] if batch else ["run", "made", "--each", f"item={items}", "--kernel", kernel]
    command += ["--workers", "2"]
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "toolkit.cli", *command],
            cwd=workspace.root,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(log.parent / "t")},
            stdout=stream,
            stderr=stream,
        )


def find_left(mark: bytes, driver: int) -> list[int]:
    """Kernels and zygotes that the driver has started and that live: they have its folder for temporary files."""
    left = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) in (driver, os.getpid()):
            continue
        try:
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if state != "Z" and mark in (folder / "environ").read_bytes():
                left.append(int(folder.name))
        except OSError:
            continue
    return left


def wait_until_gone(mark: bytes, driver: int) -> float:
    """Seconds until nothing of the driver is left; infinity if something is after ten."""
    start = time.perf_counter()
    while find_left(mark, driver):
        if time.perf_counter() - start > 10:
            return float("inf")
        time.sleep(0.02)
    return time.perf_counter() - start


def look(workspace: Workspace, seen: set[str]) -> Counter[str]:
    """What is wrong with the archive as anybody would see it now."""
    wrong: Counter[str] = Counter()
    found = list_reports(workspace)
    wrong["lost"] += len(seen - {str(reference) for reference in found})
    for reference in found:
        if str(reference) in seen:
            continue
        folder = report_folder(workspace, reference)
        manifest = load_manifest(workspace, reference)
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        if files != {"manifest.json", *(entry["path"] for entry in manifest["files"])}:
            wrong["half visible"] += 1
        if any(digest_file(folder / entry["path"]) != entry["digest"] for entry in manifest["files"]):
            wrong["truncated"] += 1
        seen.add(str(reference))
    return wrong


def count_items(workspace: Workspace) -> Counter[tuple[str, int]]:
    """Reports of each item of each batch."""
    items = (load_manifest(workspace, reference)["batch"] for reference in list_reports(workspace))
    return Counter((item["batch"], item["item"]) for item in items)


def find_unfinished(workspace: Workspace) -> dict[str, str]:
    """The batch of each kernel that was planned and still lacks reports."""
    whole = Counter(name for name, _ in count_items(workspace))
    names = [name for name in list_batches(workspace) if whole[name] < ITEMS]
    return {load_batch(workspace, name).kernel: name for name in names}


def finish(workspace: Workspace) -> Counter[str]:
    """Resume the batches that are not whole; each item of every batch must be there exactly once."""
    wrong: Counter[str] = Counter()
    with open_crew(2) as crew:
        for name in find_unfinished(workspace).values():
            outcomes = run_batch(workspace, load_batch(workspace, name), crew)
            wrong["not resumed"] += sum(outcome.state not in ("published", "done") for outcome in outcomes.values())
    made = count_items(workspace)
    wrong["made twice"] += sum(count > 1 for count in made.values())
    wrong["never made"] += len(list_batches(workspace)) * ITEMS - len(made)
    return wrong


def sweep(kills: int, seed: int) -> Found:
    """Kill the drivers of one workspace, look after each, and resume what was planned in the end."""
    chance = random.Random(seed)
    wrong: Counter[str] = Counter(dict.fromkeys(WRONGS, 0))
    seen: set[str] = set()
    gone: list[tuple[str, float]] = []
    killed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as base:
        workspace = make_workspace(Path(base) / "w")
        log = Path(base) / "driver.log"
        (Path(base) / "t").mkdir()
        mark = f"TMPDIR={base}/t".encode()
        lengths = {}
        for kernel in ("warm", "cold"):
            begun = time.perf_counter()
            if start_driver(workspace, kernel, None, log).wait():
                raise RuntimeError(f"a driver that nobody killed failed:\n{log.read_text(errors='replace')[-4000:]}")
            lengths[kernel] = time.perf_counter() - begun
        wrong += look(workspace, seen)
        number = 0
        while number < kills:
            kernel = ("warm", "cold")[number % 2]
            batch = find_unfinished(workspace).get(kernel)
            before = len(list_reports(workspace))
            driver = start_driver(workspace, kernel, batch, log)
            time.sleep(chance.uniform(0, lengths[kernel]) * (1.0 if batch is None else 0.7))  # a rest takes less long
            if driver.poll() is not None:  # it was over before the signal: that is no kill
                wrong += look(workspace, seen)
                continue
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            gone.append((kernel, wait_until_gone(mark, driver.pid)))
            wrong["orphaned"] += gone[-1][1] > GONE_WITHIN_S[kernel]
            wrong += look(workspace, seen)
            made = len(list_reports(workspace)) - before
            killed["before its first report" if not made else "among its reports"] += 1
            with open_ledger(workspace.ledger) as ledger:
                reconcile(workspace, ledger)
            number += 1
            if number % 20 == 0 or number == kills:
                wrong["unverified"] += len(verify_all(workspace))
                print(f"==> {number} kills, {len(seen)} reports, {dict(wrong)}", file=sys.stderr, flush=True)
        wrong += finish(workspace)
        wrong["unverified"] += len(verify_all(workspace))
        reports = len(list_reports(workspace))
        if any(wrong.values()):
            print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
    return Found(wrong, killed, gone, reports)


def main() -> int:
    """Kill in two workspaces at a time, and print what was found."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with ThreadPoolExecutor(LANES) as lanes:
        found = list(lanes.map(sweep, [kills // LANES] * LANES, range(seed, seed + LANES)))
    wrong, killed = (sum((each[part] for each in found), Counter()) for part in (0, 1))
    gone = sorted(pair for each in found for pair in each.gone)
    reports = sum(each.reports for each in found)
    print(f"{len(gone)} kills, {json.dumps(dict(killed))}; {reports} reports in the end.\n")
    print("| what | how many |\n|---|---|")
    for what in WRONGS:
        print(f"| {what} | {wrong[what]} |")
    for kernel in GONE_WITHIN_S:
        own = [seconds for name, seconds in gone if name == kernel]
        median, longest = own[len(own) // 2], own[-1]
        print(f"| {kernel}: seconds until the last kernel was gone, median, longest | {median:.2f}, {longest:.2f} |")
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
