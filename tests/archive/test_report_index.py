"""The index of published versions: what it finds, and that nothing can make it wrong for long."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from synthetic_archive import START, make_archive, write_version

from toolkit.archive import KeyResult, Reference, Slot, list_reports, report_folder, search_reports, verify_all
from toolkit.archive.headline import find_headline
from toolkit.archive.index import Refreshed, list_parameter_names, refresh
from toolkit.archive.indexed import read_version
from toolkit.digests import document_bytes
from toolkit.errors import ArgumentError
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace, open_workspace

INDEX = ".index.sqlite"
TABLES = {
    "versions": "*",
    "parameters": "(SELECT template || subject || version FROM versions v WHERE v.id = parameters.id), name, value",
    "texts": "reference, title, headline, parameters, results, prose",
}


@pytest.fixture
def few(tmp_path: Path) -> Workspace:
    """Three subjects of two templates, four versions each."""
    return make_archive(tmp_path / "few", subjects=3, versions=4)


def find(workspace: Workspace, **conditions: Any) -> list[str]:
    return [str(each.reference) for each in search_reports(workspace, **conditions)]


def dump(workspace: Workspace) -> dict[str, list[Any]]:
    """What the index's file holds, without the numbers of its rows."""
    refresh(workspace)
    with closing(sqlite3.connect(workspace.reports / INDEX)) as connection:
        held = {
            table: connection.execute(f"SELECT {columns} FROM {table}").fetchall() for table, columns in TABLES.items()
        }
    return {table: sorted(row[1:] if table == "versions" else row for row in rows) for table, rows in held.items()}


def rebuild(workspace: Workspace) -> dict[str, list[Any]]:
    remove_index(workspace)
    return dump(workspace)


def remove_index(workspace: Workspace) -> None:
    for path in workspace.reports.glob(f"{INDEX}*"):
        path.unlink()


def test_a_version_is_described_from_its_own_files(few: Workspace) -> None:
    (found,) = search_reports(few, template="retrospective", subject="model-000", latest=True)
    assert found.reference == Reference("retrospective", "model-000", 4)
    assert (found.title, found.headline) == ("Retrospective", "model-000 is unclear than the month before")
    assert (found.as_of, found.finished_at) == ("2013-04-01T00:00:00Z", "2026-01-01T17:00:00Z")
    assert found.parameters == {"as_of": "2013-04-01T00:00:00Z", "model": "model-000", "window_days": 28}
    assert found.slot == Slot("monthly", "2013-04-01T00:00:00Z")
    assert (found.batch, found.rows, found.problem, found.toolkit_version) == (None, 13, None, "0.1.0")
    assert (found.subject, found.template_digest) == (
        "model-000",
        read_manifest(few, found.reference)["template"]["digest"],
    )
    assert [each[:3] for each in found.trends] == [
        ("moves", key, "period") for key in ("brier", "auc", "error_rate", "latency")
    ]  # fmt: skip  # its lines group what belongs together
    assert found.trends[2].unit == "share"
    assert found.trends[0].ci_lower == pytest.approx(found.trends[0].value - 0.01)


def read_manifest(workspace: Workspace, reference: Reference) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((report_folder(workspace, reference) / "manifest.json").read_bytes())
    return manifest


def test_only_whole_populations_with_a_number_are_trends(few: Workspace) -> None:
    folder = report_folder(few, Reference("triage", "model-000", 1))
    row = {"record": "moves", "key": "auc", "statistic": "period", "segment": "", "value": 0.5, "unit": ""}
    rows = [
        row | {"ci_lower": None, "ci_upper": 0.6},
        row | {"value": "better"},
        row | {"value": None},
        row | {"value": True},
        row | {"segment": "carrier=AA"},
        row | {"statistic": "change"},
        row | {"value": 10**400},
    ]
    (folder / "results.json").write_text(json.dumps({"schema_version": 1, "rows": rows}), encoding="utf-8")
    indexed, _ = read_version(folder, Reference("triage", "model-000", 1))
    assert indexed.trends == (KeyResult("moves", "auc", "period", 0.5, "", None, 0.6),)


DECISION = {"record": "verdict", "statistic": "decision", "value": "ship"}
REASON = {"record": "verdict", "statistic": "reason", "value": "primary brier is better."}


@pytest.mark.parametrize(
    ("rows", "headline"),
    [
        ([], "0 result rows"),
        ([{"record": "a", "statistic": "mean", "value": 1.5}], "1 result row"),
        ([REASON, DECISION], "ship: primary brier is better."),
        ([DECISION], "ship"),
        ([{**REASON, "record": "other"}, DECISION], "ship"),
        ([DECISION, {"record": "a", "statistic": "headline", "value": "All is well"}], "All is well"),
        ([{"record": "a", "statistic": "text", "value": None}], "1 result row"),
    ],
)
def test_the_headline_is_the_first_row_that_says_what_was_found(rows: list[dict[str, Any]], headline: str) -> None:
    assert find_headline({"rows": rows}) == headline


def test_conditions_are_met_together(few: Workspace) -> None:
    assert find(few) == [str(each) for each in list_reports(few)]
    assert len(find(few, template="triage")) == 4
    assert len(find(few, subject="model-000")) == 8
    assert find(few, subject="model-000", latest=True) == ["retrospective/model-000@4", "triage/model-000@4"]
    assert find(few, template="nothing") == []
    noon = parse_instant("2026-01-01T12:00Z")
    assert find(few, since=noon, until=parse_instant("2026-01-01T14:00Z")) == [
        "retrospective/model-001@2",
        "triage/model-000@2",
    ]
    assert find(few, until=noon, latest=True) == [
        "retrospective/model-000@2",
        "retrospective/model-001@1",
        "triage/model-000@1",
    ]
    march, april = parse_instant("2013-03-01"), parse_instant("2013-04-01")
    assert find(few, as_of_from=march, as_of_to=april, template="triage") == ["triage/model-000@3"]
    assert find(few, schedule="monthly", subject="model-001", limit=1) == ["retrospective/model-001@4"]
    assert find(few, slot=Slot("monthly", "2013-02-01T00:00:00Z")) == [
        "retrospective/model-000@2",
        "retrospective/model-001@2",
    ]


def test_a_limit_keeps_the_last_published_in_order_of_reference(few: Workspace) -> None:
    assert find(few, limit=3) == ["retrospective/model-000@4", "retrospective/model-001@4", "triage/model-000@4"]
    assert find(few, limit=2, latest=True) == ["retrospective/model-001@4", "triage/model-000@4"]
    with pytest.raises(ArgumentError, match="limit == 0, must be a number of at least 1"):
        search_reports(few, limit=0)


def test_parameters_are_found_by_value_and_by_what_somebody_would_write(few: Workspace) -> None:
    given = {"city": "øst", "levels": [3, 4], "alpha": 0.05, "whole": 2.0, "flag": True, "none": None, "number": "7"}
    write_version(few, Reference("plain", "x", 1), parameters=given, as_of=None)
    for name, value in given.items():
        assert find(few, parameters={name: value}) == ["plain/x@1"], name
    for name, text in [("levels", "[3,4]"), ("alpha", "0.050"), ("whole", "2"), ("flag", "true"), ("number", "7")]:
        assert find(few, parameters={name: text}) == ["plain/x@1"], name
    assert find(few, parameters={"as_of": "2013-02-01", "model": "model-000"}) == [
        "retrospective/model-000@2",
        "triage/model-000@2",
    ]
    assert find(few, parameters={"city": "øst", "levels": [3]}) == []
    assert list_parameter_names(few) == sorted({*given, "as_of", "model", "window_days"})


def test_a_batch_is_found(few: Workspace) -> None:
    write_version(few, Reference("triage", "model-000", 5), batch="b1")
    assert find(few, batch="b1") == ["triage/model-000@5"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("model-001", 4),
        ("MODEL 001 bett", 1),  # the headline of version 2
        ("carrier AA", 12),  # a segment in the results
        ("explains most", 12),  # what a result says about itself, in the notebook
        ("window_days 28", 12),
        ("retrospective@", 8),
        ("2013-02", 3),
        ("nowhere", 0),
        ('better" OR "worse', 0),
        ("better NOT worse", 0),
        ("better* (", 3),
        ("?!", 0),
        ("", 0),
    ],
)
def test_words_are_found_in_whatever_a_version_says(few: Workspace, text: str, found: int) -> None:
    assert len(find(few, text=text)) == found


def test_refreshing_reads_what_is_new_and_drops_what_is_gone(few: Workspace) -> None:
    assert refresh(few) == Refreshed(read=12, dropped=0)
    assert refresh(few) == Refreshed(read=0, dropped=0)
    write_version(few, Reference("triage", "model-000", 5))
    shutil.rmtree(report_folder(few, Reference("triage", "model-000", 1)))
    assert refresh(few) == Refreshed(read=1, dropped=1)
    assert find(few, template="triage") == [f"triage/model-000@{n}" for n in (2, 3, 4, 5)]
    assert dump(few) == rebuild(few)


def test_what_cannot_be_read_is_named_and_tried_again(few: Workspace) -> None:
    refresh(few)
    reference = Reference("triage", "model-000", 2)
    for name in ("manifest.json", "results.json", "report.ipynb", "report.html"):
        path = report_folder(few, reference) / name
        kept = path.read_bytes()
        path.unlink()
        (report_folder(few, reference) / "manifest.json").touch()  # of the other files, only this one is watched
        if name == "manifest.json":
            path.unlink()
        (found,) = [each for each in search_reports(few) if each.reference == reference]
        problem = f"{name} cannot be read; 'toolkit reports verify triage/model-000@2' says what was changed"
        assert found.problem == f"triage/model-000@2: {problem}"
        assert (found.as_of is None) == (name == "manifest.json")
        path.write_bytes(kept)
        assert [each.problem for each in search_reports(few)] == [None] * 12
    assert dump(few) == rebuild(few)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", '{"files": []}', '{"template": 3}', '{"slot": 3}', '{"as_of": 3, "parameters": [], "trends": 3}',
     '{"as_of": "\\ud800", "finished_at": "yesterday", "parameters": {"\\ud800": "\\ud800"}}', "[" * 100_000],
)  # fmt: skip  # its lines group what belongs together
def test_no_manifest_stops_the_index(few: Workspace, text: str) -> None:
    reference = Reference("triage", "model-000", 2)
    (report_folder(few, reference) / "manifest.json").write_text(text, encoding="utf-8")
    assert len(search_reports(few)) == 12
    assert dump(few) == rebuild(few)


@pytest.mark.parametrize("text", ["", "[]", '{"rows": 3}', '{"rows": [3]}', '{"rows": [{}]}', '{"rows": null}'])
def test_no_results_stop_the_index(few: Workspace, text: str) -> None:
    reference = Reference("triage", "model-000", 2)
    (report_folder(few, reference) / "results.json").write_text(text, encoding="utf-8")
    (found,) = [each for each in search_reports(few) if each.problem]
    assert (found.reference, found.as_of, found.rows) == (reference, "2013-02-01T00:00:00Z", None)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scribble(path: Path) -> None:
    noise = random.Random(3)
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = noise.randbytes(64)
    path.write_bytes(data)


def take_for_something_else(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE versions (own INTEGER)")


def age(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE versions DROP COLUMN batch")
        connection.execute("PRAGMA user_version = 99")


def lose_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE texts")


def spoil_a_row(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE versions SET trends = '['")


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        cut,
        scribble,
        take_for_something_else,
        age,
        lose_a_table,
        spoil_a_row,
        lambda path: path.write_bytes(b"no database, and long enough to be read as one" * 100),
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_useless_index_is_replaced_and_nobody_is_told(few: Workspace, damage: Callable[[Path], None]) -> None:
    whole = rebuild(few)
    answer = search_reports(few, text="model")
    damage(few.reports / INDEX)
    assert search_reports(few, text="model") == answer
    assert search_reports(few) == search_reports(few, text="model")
    assert dump(few) == whole


def test_the_index_is_no_part_of_the_archive(few: Workspace) -> None:
    refresh(few)
    assert verify_all(few) == ()
    assert len(list_reports(few)) == 12


def test_an_index_that_cannot_be_written_is_made_in_memory(few: Workspace) -> None:
    expected = search_reports(few)
    remove_index(few)
    (few.reports / INDEX).mkdir()
    assert search_reports(few) == expected
    assert find(few, text="001", latest=True) == ["retrospective/model-001@4"]
    (few.reports / INDEX).rmdir()
    (few.reports / ".index.lock").unlink()
    (few.reports / ".index.lock").mkdir()
    assert search_reports(few) == expected
    assert not (few.reports / INDEX).exists()


def test_a_folder_that_is_for_reading_only_is_searched_with_what_its_index_has(
    few: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh(few)
    write_version(few, Reference("triage", "model-000", 5))
    before = (few.reports / INDEX).read_bytes()
    read: list[Reference] = []

    def refuse(*_: object) -> int:
        raise PermissionError(30, "Read-only file system")

    def note(folder: Path, reference: Reference) -> Any:
        read.append(reference)
        return read_version(folder, reference)

    monkeypatch.setattr("toolkit.archive.index_file.os.open", refuse)
    monkeypatch.setattr("toolkit.archive.index.read_version", note)
    assert len(search_reports(few)) == 13
    assert read == [Reference("triage", "model-000", 5)]
    assert (few.reports / INDEX).read_bytes() == before
    for damage in (cut, lambda path: path.write_bytes(b"no database, and long enough to be read as one" * 100)):
        damage(few.reports / INDEX)
        assert len(search_reports(few)) == 13


def test_an_archive_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    workspace = make_archive(tmp_path / "none", subjects=0)
    assert search_reports(workspace) == []
    assert not workspace.reports.exists()


WRITER = """
import sys
sys.path[:0] = [{here!r}]
from synthetic_archive import START, make_files, make_manifest
from toolkit.digests import document_bytes
from toolkit.ledger import open_ledger
from toolkit.archive import Reference, search_reports
from toolkit.archive.versions import last_recorded, open_staging, publish, record_publication
from toolkit.workspace import open_workspace

workspace, series = open_workspace(sys.argv[1]), Reference("triage", "delay")
for number in range(int(sys.argv[2])):
    with open_ledger(workspace.ledger) as ledger, open_staging(workspace) as staging:
        staged = staging / "report"
        staged.mkdir()

        def finish(reference):
            files = make_files(reference)
            for name, content in files.items():
                (staged / name).write_bytes(content)
            manifest = make_manifest(reference.at(1), files, finished_at=START) | {{"reference": str(reference)}}
            (staged / "manifest.json").write_bytes(document_bytes(manifest))

        reference = publish(workspace, staged, series, after=last_recorded(ledger, series), finish=finish)
        record_publication(workspace, ledger, reference)
    found = [each.reference for each in search_reports(workspace, subject="delay")]
    assert reference in found, (reference, found)
"""


def run_together(arguments: list[list[str]]) -> None:
    """Run Python with these arguments, all at once; every process must end well."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    processes = [
        subprocess.Popen([sys.executable, *each], env=environment, stderr=subprocess.PIPE, text=True)
        for each in arguments
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), errors


@pytest.mark.parametrize(("writers", "versions"), [(3, 8), pytest.param(8, 200, marks=pytest.mark.slow)])
def test_many_writers_get_numbers_without_gaps_and_the_index_is_as_if_rebuilt(
    tmp_path: Path, writers: int, versions: int
) -> None:
    workspace = make_archive(tmp_path / "busy", subjects=0)
    script = tmp_path / "write.py"
    script.write_text(WRITER.format(here=str(Path(__file__).parent)), encoding="utf-8")
    run_together([[str(script), str(workspace.root), str(versions)]] * writers)
    published = list_reports(workspace)
    assert [each.version for each in published] == list(range(1, writers * versions + 1))
    assert [each.reference for each in search_reports(workspace)] == published
    assert dump(workspace) == rebuild(workspace)
    assert verify_all(workspace) == ()


def test_a_process_that_replaces_the_index_waits_for_those_that_use_it(few: Workspace) -> None:
    """Many processes find a damaged file at once, while others use it: each gets the right answer."""
    expected = len(list_reports(few))
    script = (
        "import contextlib, sys\n"
        "from toolkit.archive import search_reports\n"
        "from toolkit.workspace import open_workspace\n"
        "workspace = open_workspace(sys.argv[1])\n"
        "for turn in range(15):\n"
        "    if turn % 3 == int(sys.argv[2]) % 3:\n"
        "        with contextlib.suppress(FileNotFoundError):\n"
        "            with open(workspace.reports / '.index.sqlite', 'r+b') as out:\n"
        "                out.write(b'damaged ' * 600)\n"
        "    assert len(search_reports(workspace, text='model')) == int(sys.argv[3])\n"
    )
    run_together([["-c", script, str(few.root), str(number), str(expected)] for number in range(4)])
    assert dump(few) == rebuild(few)


def test_the_clock_of_a_version_orders_as_time_does(few: Workspace) -> None:
    for number, finished in enumerate(["2026-02-01T00:00:00.5Z", "2026-02-01T00:00:00Z", "2026-02-01T01:30:00+02:00"]):
        write_version(few, Reference("plain", "x", number + 1), finished_at=finished)
    assert find(few, limit=1) == ["plain/x@1"]
    assert find(few, since=parse_instant("2026-02-01")) == ["plain/x@1", "plain/x@2"]
    assert parse_instant("2026-02-01") > START


def test_folders_that_are_no_versions_are_not_taken_for_some(few: Workspace) -> None:
    for name in ("v5", "v00005", "v0005x", "v9999999999999999999", "failed"):
        (few.reports / "triage" / "model-000" / name).mkdir()
    (few.reports / "failed" / "model-000" / "v0001").mkdir(parents=True)
    (few.reports / "triage" / "model-000" / "v0006").write_bytes(document_bytes({}))
    assert len(search_reports(few)) == len(list_reports(few)) == 12
    (few.reports / "triage" / "model-000" / "v12345").mkdir()
    assert find(few, template="triage", latest=True) == ["triage/model-000@12345"]
    assert open_workspace(few.root).reports == few.reports
