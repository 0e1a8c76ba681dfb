"""Pruning: a version that goes leaves its tombstone and its row, however the process ends."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kept_versions import DELAY, LAST_TWO, NOW, keeping
from synthetic_archive import write_version

from toolkit.archive import (
    Reference,
    find_report,
    list_reports,
    reconcile,
    report_folder,
    search_reports,
    verify_all,
)
from toolkit.archive import (
    retention as retention_module,
)
from toolkit.archive.retention import judge_retention, prune
from toolkit.archive.tombstones import PRUNED, list_tombstones, read_tombstone
from toolkit.archive.versions import last_recorded, open_staging, publish, sweep_staging, tombstone_path
from toolkit.digests import digest_file
from toolkit.errors import ArchiveError, UnknownNameError
from toolkit.ledger import open_ledger, verify
from toolkit.workspace import Workspace


def test_a_pruned_version_leaves_its_tombstone_and_its_row(five: Workspace) -> None:
    manifest_digest = digest_file(report_folder(five, DELAY.at(1)) / "manifest.json")
    results_digest = digest_file(report_folder(five, DELAY.at(1)) / "results.json")
    judged = prune(five, now=NOW)
    assert [(str(each.reference), each.reason) for each in judged.pruned] == [
        (f"triage/model-000@{n}", "kept by none of keep_last = 2") for n in (1, 2, 3)
    ]
    assert [each.version for each in list_reports(five)] == [4, 5]
    assert [each.reference.version for each in search_reports(five)] == [4, 5]
    tombstone = read_tombstone(five, DELAY.at(1))
    assert tombstone is not None
    assert (tombstone.manifest_digest, tombstone.results_digest) == (manifest_digest, results_digest)
    assert (tombstone.finished_at, tombstone.pruned_at) == ("2026-01-01T08:00:00Z", "2026-06-01T00:00:00Z")
    with open_ledger(five.ledger) as ledger:
        (row,) = ledger.entries(kind=PRUNED, subject="triage/model-000@1")
        assert verify(ledger).problems == ()
    assert row.data == {
        "reference": "triage/model-000@1",
        "manifest_digest": manifest_digest,
        "results_digest": results_digest,
        "tombstone_digest": digest_file(tombstone_path(five, DELAY.at(1))),
        "rule": "kept by none of keep_last = 2",
    }
    assert row.effective_at == NOW
    assert verify_all(five) == ()
    assert list((five.reports / ".staging").iterdir()) == []
    assert prune(five, now=NOW).pruned == []


def test_no_word_of_a_pruned_version_is_left(five: Workspace) -> None:
    page = report_folder(five, DELAY.at(1)) / "results.json"
    page.write_bytes(page.read_bytes().replace(b"carrier=AA", b"carrier=Zebra"))
    manifest = json.loads((page.parent / "manifest.json").read_bytes())
    manifest["files"] = [
        each | {"digest": digest_file(page)} if each["path"] == "results.json" else each for each in manifest["files"]
    ]
    (page.parent / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    shutil.rmtree(five.ledger.parent)
    assert len(search_reports(five, text="zebra")) == 1
    index = five.reports / ".index.sqlite"
    assert b"zebra" in index.read_bytes().lower()
    prune(five, now=NOW)
    assert search_reports(five, text="zebra") == []
    assert [path for path in five.root.rglob("*") if path.is_file() and b"zebra" in path.read_bytes().lower()] == []


def test_asking_for_a_pruned_version_says_when_and_why_it_went(five: Workspace) -> None:
    digest = digest_file(report_folder(five, DELAY.at(2)) / "manifest.json")
    prune(five, now=NOW)
    with pytest.raises(UnknownNameError) as raised:
        find_report(five, "triage/model-000@2")
    assert str(raised.value) == (
        "report 'triage/model-000@2' was pruned at 2026-06-01T00:00:00Z (kept by none of keep_last = 2); what is left "
        f"of it is its tombstone, and the ledger's record of it: its manifest was {digest}"
    )
    assert find_report(five, "triage/model-000") == DELAY.at(5)


def publish_next(workspace: Workspace, after: int) -> Reference:
    with open_staging(workspace) as staging:
        (staged := staging / "report").mkdir()
        return publish(workspace, staged, DELAY, after=after, finish=lambda _: None)


def test_a_number_is_never_used_again_even_without_the_ledger(five: Workspace) -> None:
    prune(five, now=NOW)
    for version in (4, 5):
        shutil.move(report_folder(five, DELAY.at(version)), five.root / f"away-{version}")
    with open_ledger(five.ledger) as ledger:
        assert last_recorded(ledger, DELAY) == 5
    assert publish_next(five, after=0) == DELAY.at(4)  # the tombstones alone hold 1 to 3
    shutil.rmtree(five.ledger.parent)
    assert publish_next(five, after=0) == DELAY.at(5)


class KilledError(Exception):
    """Stands for the end of the process: nothing behind it is done."""


@pytest.mark.parametrize("step", ["write_tombstone", "record_pruning", "_remove"])
@pytest.mark.parametrize("before", [True, False])
def test_a_pruning_that_died_anywhere_is_finished_by_the_next(
    five: Workspace, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    real: Callable[..., object] = getattr(retention_module, step)

    def die(*arguments: object) -> None:
        if not before:
            real(*arguments)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(retention_module, step, die)
        with pytest.raises(KilledError):
            prune(five, now=NOW)
    begun = not (step == "write_tombstone" and before)
    assert [each.version for each in list_tombstones(five)] == ([1] if begun else [])
    removed = step == "_remove" and not before
    unfinished = [DELAY.at(1)] if begun and not removed else []
    assert list(judge_retention(five, now=NOW).unfinished) == unfinished
    assert verify_all(five) == tuple(
        f"{each}: its pruning was cut short; 'toolkit reports prune' finishes it" for each in unfinished
    )
    prune(five, now=NOW + timedelta(days=1))
    assert [each.version for each in list_reports(five)] == [4, 5]
    assert [each.version for each in list_tombstones(five)] == [1, 2, 3]
    with open_ledger(five.ledger) as ledger:
        assert ledger.subjects(PRUNED) == {f"triage/model-000@{n}" for n in (1, 2, 3)}
        assert len(ledger.entries(kind=PRUNED)) == 3
    assert verify_all(five) == ()


PRUNE = """
import sys
from toolkit.archive.retention import prune
from toolkit.windows import parse_instant
from toolkit.workspace import open_workspace

print("ready", flush=True)
prune(open_workspace(sys.argv[1]), now=parse_instant("2026-06-01"))
"""


@pytest.mark.parametrize(("kills", "versions"), [(3, 60), pytest.param(40, 300, marks=pytest.mark.slow)])
def test_a_killed_pruning_loses_nothing_that_is_kept(tmp_path: Path, kills: int, versions: int) -> None:
    workspace = keeping(tmp_path, LAST_TWO, subjects=2, versions=versions)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    moments = random.Random(11)
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", PRUNE, str(workspace.root)], env=environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0.2, 1.2))
            process.send_signal(signal.SIGKILL)
        there = {str(each) for each in list_reports(workspace)}
        buried = {str(each) for each in list_tombstones(workspace)}
        everything = {f"triage/model-00{n}@{v}" for n in (0, 1) for v in range(1, versions + 1)}
        assert there | buried == everything
        assert {f"triage/model-00{n}@{v}" for n in (0, 1) for v in (versions - 1, versions)} <= there - buried
    prune(workspace, now=NOW)
    assert len(list_reports(workspace)) == 4
    assert verify_all(workspace) == ()
    sweep_staging(workspace, now=datetime.now(UTC))
    assert list((workspace.reports / ".staging").iterdir()) == []


def test_two_prunings_at_once_remove_each_version_once(tmp_path: Path) -> None:
    workspace = keeping(tmp_path, LAST_TWO, subjects=2, versions=8)
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(prune, workspace, now=NOW + timedelta(hours=number)) for number in range(3)]:
            done.result()
    assert len(list_reports(workspace)) == 4
    with open_ledger(workspace.ledger) as ledger:
        assert len(ledger.entries(kind=PRUNED)) == len(list_tombstones(workspace)) == 12
    assert verify_all(workspace) == ()


def test_a_version_that_the_ledger_lacks_is_recorded_before_it_goes(five: Workspace) -> None:
    shutil.rmtree(five.ledger.parent)
    assert [each.reference.version for each in judge_retention(five, now=NOW).pruned] == []
    assert [each.reference.version for each in prune(five, now=NOW).pruned] == [1, 2, 3]
    assert verify_all(five) == ()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            lambda text: text.replace("keep_last = 2", "keep_last = 3"),
            "was changed: its digest is not the one in the ledger",
        ),
        (lambda _: "{", "cannot be read"),
        (lambda _: None, "the ledger records it, and its folder is gone"),
    ],
)
def test_a_tombstone_is_verified_against_the_ledger(
    five: Workspace, damage: Callable[[str], str | None], problem: str
) -> None:
    prune(five, now=NOW)
    path = tombstone_path(five, DELAY.at(2))
    changed = damage(path.read_text(encoding="utf-8"))
    if changed is None:
        path.unlink()
    else:
        path.write_text(changed, encoding="utf-8")
    named = "" if changed is None else "v0002.tombstone.json "
    assert verify_all(five) == (f"triage/model-000@2: {named}{problem}",)
    if changed == "{":
        with pytest.raises(ArchiveError, match="v0002.tombstone.json cannot be read .*; restore it from a backup"):
            find_report(five, "triage/model-000@2")


def test_a_damaged_tombstone_that_the_ledger_lacks_stops_pruning_with_its_name(five: Workspace) -> None:
    tombstone_path(five, DELAY.at(1)).write_bytes(b"{")
    with pytest.raises(ArchiveError) as raised:
        prune(five, now=NOW)
    assert str(raised.value).startswith("triage/model-000@1: v0001.tombstone.json cannot be read (")
    assert len(list_reports(five)) == 5


def test_a_forged_tombstone_explains_no_folder_that_is_gone(five: Workspace) -> None:
    prune(five, now=NOW)
    forged = json.loads(tombstone_path(five, DELAY.at(3)).read_bytes()) | {"manifest_digest": "sha256:00"}
    tombstone_path(five, DELAY.at(4)).write_text(json.dumps(forged), encoding="utf-8")
    shutil.rmtree(report_folder(five, DELAY.at(4)))
    assert verify_all(five) == (
        "triage/model-000@4: the ledger has no row of its pruning; 'toolkit reports prune' adds what a crash left out",
        "triage/model-000@4: v0004.tombstone.json speaks of triage/model-000@3",
        "triage/model-000@4: v0004.tombstone.json speaks of another manifest or other results than the ledger's "
        "publication",
    )


def test_a_tombstone_beside_a_version_that_is_another_stops_everything(five: Workspace) -> None:
    prune(five, now=NOW)
    manifest = write_version(five, DELAY.at(3), hours=99)
    with open_ledger(five.ledger) as ledger:
        reconcile(five, ledger)
    digest = digest_file(report_folder(five, DELAY.at(3)) / "manifest.json")
    assert manifest["reference"] == "triage/model-000@3"
    with pytest.raises(ArchiveError) as raised:
        prune(five, now=NOW)
    assert f"and the one that is there is {digest}; nothing was removed. Find out which of the two" in str(raised.value)
    assert [each.version for each in list_reports(five)] == [3, 4, 5]


def test_pruning_tells_each_step(five: Workspace) -> None:
    told: list[str] = []
    prune(five, now=NOW, progress=told.append)
    assert told == [f"removing triage/model-000@{n}" for n in (1, 2, 3)]
