"""The remote archive, on a real S3-compatible server, in a folder and in memory."""

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
from pathlib import Path
from typing import Any

import pytest
from remote_archives import in_memory, make
from synthetic_archive import write_version

from toolkit.archive import Reference, list_reports, reconcile, report_folder, search_reports, verify_all
from toolkit.archive.remote import pull_reports, push_reports
from toolkit.archive.remote_store import Store, open_store
from toolkit.archive.retention import prune
from toolkit.archive.tombstones import PRUNED, list_tombstones, read_tombstone
from toolkit.archive.versions import tombstone_path
from toolkit.digests import digest_file, document_bytes
from toolkit.errors import UnknownNameError
from toolkit.ledger import open_ledger
from toolkit.ledger.published import PUBLISHED
from toolkit.workspace import Workspace, open_workspace

DELAY = Reference("triage", "model-000")


@pytest.fixture(params=["file", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """`[archive]` of an empty remote archive of each kind."""
    if request.param == "s3":
        settings: str = request.getfixturevalue("bucket")
        return settings
    return in_memory() if request.param == "memory" else f'[archive]\nremote = "file://{tmp_path / "remote"}"\n'


def files_of(workspace: Workspace) -> dict[str, bytes]:
    """Every file of every version, and every tombstone."""
    found = {}
    for reference in list_reports(workspace):
        for path in sorted(report_folder(workspace, reference).rglob("*")):
            if path.is_file():
                found[path.relative_to(workspace.reports).as_posix()] = path.read_bytes()
    for reference in list_tombstones(workspace):
        path = tombstone_path(workspace, reference)
        found[path.relative_to(workspace.reports).as_posix()] = path.read_bytes()
    return found


@pytest.mark.parametrize("remote", ["s3", "file", "memory"], indirect=True)
def test_what_was_pushed_comes_back_byte_for_byte(remote: str, tmp_path: Path) -> None:
    ours = make(tmp_path / "ours", remote, subjects=2, versions=3)
    (figures := report_folder(ours, DELAY.at(4)) / "figures").mkdir(parents=True)
    figures.rmdir()
    report_folder(ours, DELAY.at(4)).rmdir()
    done = push_reports(ours)
    assert (done.moved, done.present, done.problems) == (list_reports(ours), [], [])
    again = push_reports(ours)
    assert (again.moved, again.present, again.problems) == ([], list_reports(ours), [])
    theirs = make(tmp_path / "theirs", remote, subjects=0)
    done = pull_reports(theirs)
    assert (done.moved, done.present, done.problems) == (list_reports(ours), [], [])
    assert files_of(theirs) == files_of(ours)
    assert verify_all(theirs) == ()
    assert search_reports(theirs) == search_reports(ours)
    with open_ledger(theirs.ledger) as ledger:
        assert [entry.data["recovered"] for entry in ledger.entries(kind=PUBLISHED)] == [True] * 6
    assert pull_reports(theirs).present == list_reports(ours)
    assert list((theirs.reports / ".staging").iterdir()) == []


def test_one_version_is_pushed_and_the_latest_is_pulled(remote: str, tmp_path: Path) -> None:
    ours = make(tmp_path / "ours", remote, subjects=2, versions=3)
    assert push_reports(ours, [DELAY.at(2), DELAY.at(1), DELAY.at(2)]).moved == [DELAY.at(1), DELAY.at(2)]
    theirs = make(tmp_path / "theirs", remote, subjects=0)
    told: list[str] = []
    assert pull_reports(theirs, ["triage/model-000"], progress=told.append).moved == [DELAY.at(2)]
    assert told == ["pulling triage/model-000@2"]
    assert pull_reports(theirs, ["triage/model-000@1"]).moved == [DELAY.at(1)]
    with pytest.raises(UnknownNameError) as raised:
        pull_reports(theirs, ["triage/model-000@3"])
    assert str(raised.value) == (
        "unknown remote report 'triage/model-000@3'; allowed: triage/model-000@1, triage/model-000@2. "
        "Did you mean 'triage/model-000@2'?"
    )
    with pytest.raises(
        UnknownNameError, match="unknown remote report 'triage/mdel-000'; allowed: triage/model-000. Did"
    ):
        pull_reports(theirs, ["triage/mdel-000"])


def test_figures_and_equal_files_are_stored_once(bucket: str, tmp_path: Path) -> None:
    ours = make(tmp_path / "ours", bucket, subjects=1, versions=0)
    for version in (1, 2):
        write_version(ours, DELAY.at(version))
        folder = report_folder(ours, DELAY.at(version))
        (folder / "figures").mkdir()
        (folder / "figures" / "a-b.png").write_bytes(b"the same picture")
        manifest = json.loads((folder / "manifest.json").read_bytes())
        digest = digest_file(folder / "figures" / "a-b.png")
        manifest["files"].append({"path": "figures/a-b.png", "digest": digest, "bytes": 16})
        (folder / "manifest.json").write_bytes(document_bytes(manifest))
    assert push_reports(ours).moved == [DELAY.at(1), DELAY.at(2)]
    with open_store(ours) as store:
        assert len(store.list_keys("objects")) == len(
            {
                digest_file(path)
                for path in ours.reports.rglob("*.*")
                if path.name not in ("manifest.json", ".index.sqlite") and path.is_file()
            }
        )
        assert store.list_keys("reports") == [
            "reports/triage/model-000/v0001.json",
            "reports/triage/model-000/v0002.json",
        ]
    theirs = make(tmp_path / "theirs", bucket, subjects=0)
    pull_reports(theirs)
    assert (report_folder(theirs, DELAY.at(2)) / "figures" / "a-b.png").read_bytes() == b"the same picture"


def test_a_number_that_another_report_has_is_a_problem_on_both_ways(remote: str, tmp_path: Path) -> None:
    ours = make(tmp_path / "ours", remote, subjects=1, versions=1)
    theirs = make(tmp_path / "theirs", remote, subjects=1, versions=0)
    write_version(theirs, DELAY.at(1), hours=7)
    write_version(theirs, DELAY.at(2), hours=8)
    digests = [digest_file(report_folder(each, DELAY.at(1)) / "manifest.json") for each in (ours, theirs)]
    push_reports(ours)
    before = files_of(ours)
    url = ours.settings.archive.remote if ours.settings.archive else ""
    done = push_reports(theirs)
    assert done.moved == [DELAY.at(2)]
    rest = (
        f"{url} has another report under this number. There its manifest is {digests[0]}, here {digests[1]}. Nothing "
        "was overwritten; run yours again, so that it has a number of its own, and push that"
    )
    assert done.problems == [f"triage/model-000@1 was not pushed: {rest}"]
    done = pull_reports(theirs)
    assert (done.moved, done.problems) == ([], [f"triage/model-000@1 was not pulled: {rest}"])
    fresh = make(tmp_path / "fresh", remote, subjects=0)
    pull_reports(fresh, ["triage/model-000@1"])
    assert files_of(fresh) == before


def test_tombstones_travel_and_what_was_removed_stays_removed(remote: str, tmp_path: Path) -> None:
    keep_two = "[retention]\nkeep_last = 2\n"
    ours = make(tmp_path / "ours", keep_two + remote, subjects=1, versions=5)
    copy = tmp_path / "copy"
    shutil.copytree(ours.root, copy)
    push_reports(ours, [DELAY.at(1), DELAY.at(5)])
    prune(ours)
    done = push_reports(ours)
    assert (done.moved, done.tombstones) == ([DELAY.at(4)], [DELAY.at(1), DELAY.at(2), DELAY.at(3)])
    assert push_reports(ours).tombstones == []
    theirs = make(tmp_path / "theirs", remote, subjects=0)
    done = pull_reports(theirs)
    assert (done.moved, done.tombstones) == ([DELAY.at(4), DELAY.at(5)], [DELAY.at(n) for n in (1, 2, 3)])
    assert files_of(theirs) == files_of(ours)
    assert verify_all(theirs) == ()
    with open_ledger(theirs.ledger) as ledger:
        assert len(ledger.subjects(PRUNED)) == 3
    assert pull_reports(theirs).tombstones == []
    other = open_workspace(copy)  # it has them all still, and keeps them
    done = push_reports(other)
    assert (done.moved, done.present, done.problems) == ([], [DELAY.at(n) for n in range(1, 6)], [])
    assert pull_reports(other).present == [DELAY.at(n) for n in range(1, 6)]
    assert list_tombstones(other) == []
    assert pull_reports(ours).present == [DELAY.at(n) for n in range(1, 6)]
    assert [each.version for each in list_reports(ours)] == [4, 5]


def test_a_number_that_was_removed_here_and_is_another_report_there_is_a_problem(bucket: str, tmp_path: Path) -> None:
    ours = make(tmp_path / "ours", "[retention]\nkeep_last = 1\n" + bucket, subjects=1, versions=2)
    theirs = make(tmp_path / "theirs", bucket, subjects=1, versions=0)
    write_version(theirs, DELAY.at(1), hours=7)
    prune(ours)
    push_reports(theirs)
    assert "triage/model-000@1 was not pushed: s3://" in push_reports(ours).problems[0]
    assert "triage/model-000@1 was not pulled: s3://" in pull_reports(ours).problems[0]
    push_first = make(tmp_path / "third", bucket, subjects=1, versions=0)
    write_version(push_first, DELAY.at(2), hours=9)
    assert "has another report under this number" in push_reports(push_first).problems[0]


def test_a_version_that_was_changed_is_not_pushed(bucket: str, tmp_path: Path) -> None:
    ours = make(tmp_path / "ours", bucket, subjects=1, versions=2)
    (report_folder(ours, DELAY.at(1)) / "report.html").write_bytes(b"changed")
    done = push_reports(ours)
    assert done.moved == [DELAY.at(2)]
    assert done.problems == [
        "triage/model-000@1 was not pushed, it is not what was published: triage/model-000@1: report.html was changed"
    ]


def spoil_object(store: Store, manifest: dict[str, Any]) -> None:
    store.files.pipe_file(next(iter(store.files.find(store.path("objects")))), b"changed")


def lose_object(store: Store, manifest: dict[str, Any]) -> None:
    store.files.rm_file(next(iter(store.files.find(store.path("objects")))))


def rewrite(**more: Any) -> Callable[[Store, dict[str, Any]], None]:
    def change(store: Store, manifest: dict[str, Any]) -> None:
        store.files.pipe_file(store.path("reports/triage/model-000/v0001.json"), json.dumps(manifest | more).encode())

    return change


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (spoil_object, "has another object under sha256:"),
        (lose_object, "lacks the object sha256:"),
        (rewrite(reference="triage/model-000@2"), "its manifest there speaks of triage/model-000@2"),
        (rewrite(files=3), "its manifest there cannot be read (TypeError"),
        (
            rewrite(files=[{"path": "../../x", "digest": DIGEST}]),
            f"names the file '../../x' with the digest '{DIGEST}'",
        ),
        (rewrite(files=[{"path": "/x", "digest": DIGEST}]), "names the file '/x'"),
        (rewrite(files=[{"path": "", "digest": DIGEST}]), "names the file ''"),
        (rewrite(files=[{"path": "./manifest.json", "digest": DIGEST}]), "names the file './manifest.json'"),
        (rewrite(files=[{"path": "a", "digest": "sha256:../x"}]), "with the digest 'sha256:../x', which no report has"),
        (rewrite(files=[]), "its manifest there cannot be read (FileNotFoundError"),
        (rewrite(as_of="yesterday"), "its manifest there cannot be read (ArgumentError"),
        (rewrite(template={}), "its manifest there cannot be read (KeyError"),
        (
            lambda store, _: store.files.pipe_file(store.path("reports/triage/model-000/v0001.json"), b"{"),
            "(JSONDecodeError",
        ),
    ],
)
def test_nothing_that_is_not_whole_is_pulled(
    tmp_path: Path, damage: Callable[[Store, dict[str, Any]], None], told: str
) -> None:
    remote = in_memory()
    ours = make(tmp_path / "ours", remote, subjects=1, versions=1)
    push_reports(ours)
    with open_store(ours) as store:
        damage(store, json.loads((report_folder(ours, DELAY.at(1)) / "manifest.json").read_bytes()))
    theirs = make(tmp_path / "theirs", remote, subjects=0)
    done = pull_reports(theirs)
    assert done.moved == []
    (problem,) = done.problems
    assert problem.startswith("triage/model-000@1 was not pulled: ")
    assert told in problem
    assert list_reports(theirs) == []
    assert not list(tmp_path.glob("**/x"))


def test_keys_that_lead_elsewhere_are_not_looked_at(tmp_path: Path) -> None:
    remote = in_memory()
    ours = make(tmp_path / "ours", remote, subjects=1, versions=1)
    manifest = (report_folder(ours, DELAY.at(1)) / "manifest.json").read_bytes()
    with open_store(ours) as store:
        for key in (
            "reports/../x/v0001.json",
            "reports/.staging/x/v0001.json",
            "reports/failed/x/v0001.json",
            "reports/a/v0001.json",
        ):
            store.files.pipe_file(f"{store.root}/{key}", manifest)
    assert pull_reports(ours).problems == []


PUSH = "import sys\nfrom toolkit.workspace import open_workspace\nfrom toolkit.archive.remote import push_reports\n"
PUSH += "print('ready', flush=True)\nprint(len(push_reports(open_workspace(sys.argv[1])).moved))\n"


def start_push(workspace: Workspace) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", PUSH, str(workspace.root)], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("turns", "versions"), [(1, 3), pytest.param(12, 50, marks=pytest.mark.slow)])
def test_a_killed_push_leaves_only_whole_versions_and_is_resumed(
    bucket: str, tmp_path: Path, turns: int, versions: int
) -> None:
    ours = make(tmp_path / "ours", bucket, subjects=4, versions=versions)
    moments = random.Random(5)
    seen: set[Reference] = set()
    for turn in range(turns):
        with start_push(ours) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0.5, 1.5))
            process.send_signal(signal.SIGKILL)
        theirs = make(tmp_path / f"theirs-{turn}", bucket, subjects=0)
        done = pull_reports(theirs)
        assert done.problems == []
        assert set(done.moved) >= seen
        seen = set(done.moved)
        assert verify_all(theirs) == ()
    done = push_reports(ours)
    assert (sorted([*done.moved, *done.present]), done.problems) == (list_reports(ours), [])
    theirs = make(tmp_path / "theirs", bucket, subjects=0)
    pull_reports(theirs)
    assert files_of(theirs) == files_of(ours)


def test_two_archives_that_push_the_same_numbers_at_once_never_mix(bucket: str, tmp_path: Path) -> None:
    one = make(tmp_path / "one", bucket, subjects=1, versions=0)
    two = make(tmp_path / "two", bucket, subjects=1, versions=0)
    for version in range(1, 13):
        write_version(one, DELAY.at(version), hours=version)
        write_version(two, DELAY.at(version), hours=100 + version)
        for workspace in (one, two):  # files of the same name and another content
            folder = report_folder(workspace, DELAY.at(version))
            manifest = json.loads((folder / "manifest.json").read_bytes())
            (folder / "report.html").write_text(f"<title>{workspace.root.name}</title>", encoding="utf-8")
            digest = digest_file(folder / "report.html")
            manifest["files"] = [
                each | {"digest": digest} if each["path"] == "report.html" else each for each in manifest["files"]
            ]
            (folder / "manifest.json").write_bytes(document_bytes(manifest))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(push_reports, [one, two]))
    assert sorted(reference for each in done for reference in each.moved) == [DELAY.at(n) for n in range(1, 13)]
    assert len(done[0].problems) + len(done[1].problems) == 12
    third = make(tmp_path / "third", bucket, subjects=0)
    assert len(pull_reports(third).moved) == 12
    assert verify_all(third) == ()
    for workspace, each in zip((one, two), done, strict=True):
        for reference in each.moved:
            page = (report_folder(third, reference) / "report.html").read_text(encoding="utf-8")
            assert page == f"<title>{workspace.root.name}</title>"


def test_a_pull_that_died_before_the_ledger_was_told_is_finished_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = in_memory()
    push_reports(make(tmp_path / "ours", remote, subjects=1, versions=2))
    theirs = make(tmp_path / "theirs", remote, subjects=0)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("toolkit.archive.remote.record_publication", die)
        with pytest.raises(KeyboardInterrupt):
            pull_reports(theirs)
    assert list_reports(theirs) == [DELAY.at(1)]
    with open_ledger(theirs.ledger) as ledger:
        reconcile(theirs, ledger)
    assert verify_all(theirs) == ()
    assert pull_reports(theirs).moved == [DELAY.at(2)]
    assert read_tombstone(theirs, DELAY.at(1)) is None
