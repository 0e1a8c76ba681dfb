"""The archive without a kernel: publishing, its crashes and races, references, the ledger's missing rows."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from toolkit.archive import (
    Reference,
    find_report,
    list_reports,
    load_manifest,
    load_results,
    reconcile,
    verify_all,
    verify_report,
)
from toolkit.archive.versions import last_recorded, open_staging, publish, record_publication, sweep_staging
from toolkit.digests import document_bytes
from toolkit.errors import ArchiveError, ArgumentError, UnknownNameError
from toolkit.ledger import open_ledger
from toolkit.reports.manifest import list_files
from toolkit.workspace import Workspace

SERIES = Reference("triage", "delay")


def publish_small(workspace: Workspace, *, after: int = 0, wait: Barrier | None = None) -> Reference:
    """Publish a version of two files and a manifest, all naming the version."""
    with open_staging(workspace) as staging:
        staged = staging / "report"
        (staged / "figures").mkdir(parents=True)

        def finish(reference: Reference) -> None:
            if wait is not None and reference.version == 1:
                wait.wait()  # both have chosen the same number
            (staged / "results.json").write_bytes(document_bytes({"schema_version": 1, "rows": []}))
            (staged / "figures" / "a-b.png").write_bytes(str(reference).encode() * 5000)
            manifest = {
                "reference": str(reference),
                "files": list_files(staged, but="manifest.json"),
                "template": {"digest": "sha256:00"},
                "parameters": {"alpha": 0.05},
                "as_of": "2013-05-01T00:00:00Z",
                "started_at": "2026-01-01T00:00:00Z",
            }
            (staged / "manifest.json").write_bytes(document_bytes(manifest))

        return publish(workspace, staged, SERIES, after=after, finish=finish)


def test_versions_count_from_one(workspace: Workspace) -> None:
    assert [str(publish_small(workspace)) for _ in range(3)] == ["triage/delay@1", "triage/delay@2", "triage/delay@3"]
    assert [str(each) for each in list_reports(workspace)] == ["triage/delay@1", "triage/delay@2", "triage/delay@3"]
    assert list_reports(workspace, "triage", "other") == []
    assert list((workspace.reports / ".staging").iterdir()) == []


def test_a_number_that_the_ledger_knows_is_never_used_again(workspace: Workspace) -> None:
    assert publish_small(workspace, after=7) == SERIES.at(8)


def test_a_name_that_leads_elsewhere_is_no_report(workspace: Workspace) -> None:
    publish_small(workspace)
    (workspace.root / "other" / "delay" / "v0001").mkdir(parents=True)
    (workspace.reports / "failed" / "delay" / "v0001").mkdir(parents=True)
    for text in ("../other@1", "other/..@1", "./triage@1", "failed/delay@1", "failed/delay"):
        with pytest.raises(UnknownNameError, match="unknown report"):
            find_report(workspace, text)


def test_publishing_and_finding_enter_no_other_report(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        publish_small(workspace)
    for name in ("others/many", "triage/many"):
        (workspace.reports / name / "v0001").mkdir(parents=True)
    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
        entered: list[str] = []
        real = os.scandir

        def note(path: Any) -> Any:
            entered.append(str(path))
            return real(path)

        monkeypatch.setattr("os.scandir", note)
        reference = publish_small(workspace, after=last_recorded(ledger, SERIES))
        record_publication(workspace, ledger, reference)
        assert find_report(workspace, "triage/delay") == reference
    assert verify_report(workspace, reference) == ()
    series = str(workspace.reports / "triage" / "delay")
    archive = [path for path in entered if path.startswith(str(workspace.reports)) and ".staging" not in path]
    assert {path for path in archive if not path.startswith(series)} == set()


def test_two_publishers_of_one_number_get_two_versions(workspace: Workspace) -> None:
    wait = Barrier(2, timeout=30)
    with ThreadPoolExecutor(2) as pool:
        references = list(pool.map(lambda _: publish_small(workspace, wait=wait), range(2)))
    assert sorted(references) == [SERIES.at(1), SERIES.at(2)]
    for reference in references:
        assert load_manifest(workspace, reference)["reference"] == str(reference)


def test_a_reference_is_read_and_written() -> None:
    assert Reference.parse("triage/delay@3") == Reference("triage", "delay", 3)
    assert Reference.parse("triage/delay@latest") == Reference.parse("triage/delay") == SERIES
    assert str(Reference.parse("triage/delay@3")) == "triage/delay@3"
    for text in ("triage", "triage/delay@", "triage/delay@v3", "a/b/c", "/delay"):
        with pytest.raises(ArgumentError) as caught:
            Reference.parse(text)
        assert str(caught.value) == (
            f"report reference == {text!r}, must be like 'triage/delay@3', or 'triage/delay' for the latest"
        )


def test_a_reference_without_number_is_the_latest(workspace: Workspace) -> None:
    for _ in range(11):
        publish_small(workspace)
    assert find_report(workspace, "triage/delay") == SERIES.at(11)
    assert load_results(workspace, "triage/delay@latest") == {"schema_version": 1, "rows": []}


def test_an_unknown_report_names_the_nearest(workspace: Workspace) -> None:
    publish_small(workspace)
    with pytest.raises(UnknownNameError) as caught:
        find_report(workspace, "triage/delay@2")
    assert str(caught.value) == (
        "unknown report 'triage/delay@2'; allowed: triage/delay@1. Did you mean 'triage/delay@1'?"
    )
    with pytest.raises(UnknownNameError) as caught:
        find_report(workspace, "triage/dely")
    assert str(caught.value) == "unknown report 'triage/dely'; allowed: triage/delay. Did you mean 'triage/delay'?"


def test_an_unreadable_manifest_is_an_archive_error(workspace: Workspace) -> None:
    publish_small(workspace)
    (workspace.reports / "triage/delay/v0001/manifest.json").write_text("{")
    with pytest.raises(
        ArchiveError, match=r"^triage/delay@1: manifest.json cannot be read \(.*\); 'toolkit reports ve"
    ):
        load_manifest(workspace, "triage/delay")


def test_what_a_crash_left_out_of_the_ledger_is_recorded_once(workspace: Workspace) -> None:
    publish_small(workspace)
    publish_small(workspace)  # the process dies here, twice: the ledger knows neither
    assert verify_all(workspace) == tuple(
        f"triage/delay@{n}: the ledger has no row of its publication; any 'toolkit run' adds what a crash left out"
        for n in (1, 2)
    )
    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
        reconcile(workspace, ledger)
        entries = ledger.entries(kind="report.published")
        assert last_recorded(ledger, SERIES) == 2
    assert [(entry.subject, entry.data["supersedes"], entry.data["recovered"]) for entry in entries] == [
        ("triage/delay@1", None, True),
        ("triage/delay@2", "triage/delay@1", True),
    ]
    assert entries[0].effective_at == datetime(2013, 5, 1, tzinfo=UTC)
    assert entries[0].data["parameters"] == '{"alpha":0.05}'
    assert verify_all(workspace) == ()


def test_a_version_is_recorded_once_however_many_record_it(workspace: Workspace) -> None:
    reference = publish_small(workspace)

    def record(recovered: bool) -> None:
        with open_ledger(workspace.ledger) as ledger:
            record_publication(workspace, ledger, reference, recovered=recovered)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, [True, False] * 4))
    with open_ledger(workspace.ledger) as ledger:
        assert [entry.subject for entry in ledger.entries()] == ["triage/delay@1"]


def test_reports_can_be_listed_while_others_stage_and_clear_away(workspace: Workspace) -> None:
    publish_small(workspace)

    def come_and_go() -> None:
        for _ in range(400):
            with open_staging(workspace):
                pass

    with ThreadPoolExecutor() as pool:
        others = [pool.submit(come_and_go) for _ in range(3)]
        while not all(other.done() for other in others):
            assert len(list_reports(workspace)) == 1
        assert [other.result() for other in others] == [None] * 3


def test_staging_of_dead_runs_is_swept_and_of_live_ones_kept(workspace: Workspace) -> None:
    finished = subprocess.Popen([sys.executable, "-c", ""])
    finished.wait()
    now = datetime.now(UTC)
    with open_staging(workspace) as alive:
        folder = alive.parent
        host = alive.name.split("~")[0]
        for name in (f"{host}~{finished.pid}~aa", "elsewhere~1~bb", "elsewhere~1~cc"):
            (folder / name).mkdir()
        day_ago = (now - timedelta(days=1, seconds=1)).timestamp()
        os.utime(folder / "elsewhere~1~bb", (day_ago, day_ago))
        sweep_staging(workspace, now=now)
        assert {path.name for path in folder.iterdir()} == {alive.name, "elsewhere~1~cc"}


def test_a_killed_publisher_leaves_nothing_or_a_whole_version(workspace: Workspace, tmp_path: Path) -> None:
    script = tmp_path / "publish_forever.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_report_archive import publish_small\n"
        "from toolkit.workspace import open_workspace\n"
        "workspace = open_workspace(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    publish_small(workspace)\n"
    )
    checkout = str(Path(__file__).parents[2])
    moments = random.Random(7)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, str(script), str(workspace.root)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": checkout},
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
    with open_ledger(workspace.ledger) as ledger:
        reconcile(workspace, ledger)
    published = list_reports(workspace)
    assert [each.version for each in published] == list(range(1, len(published) + 1))
    assert verify_all(workspace) == ()
    sweep_staging(workspace, now=datetime.now(UTC))
    assert list((workspace.reports / ".staging").iterdir()) == []
