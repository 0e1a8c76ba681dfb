"""Own rows become the contract's, each once: what is kept, what is left out and why, and nothing by halves."""

from __future__ import annotations

import json
import multiprocessing
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from file_imports import GOOD, HEADER, SETTINGS, Import, import_and_die, map_file, reasons, rows

from toolkit.data import open_source
from toolkit.data.imports import RECORD, import_file
from toolkit.errors import ArgumentError, ContractError
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace, open_workspace


def test_rows_lie_by_utc_day_under_the_names_of_the_contract(bring: Import, workspace: Workspace) -> None:
    done = bring([HEADER, *GOOD])
    assert (done.rows, done.first, done.last, done.quarantined) == (40, "2026-01-01", "2026-01-10", ())
    folder = workspace.root / str(done.folder)
    days = [f"2026-01-{day:02d}.parquet" for day in range(1, 11)]
    assert sorted(path.name for path in folder.iterdir()) == [*days, RECORD]
    found = rows(workspace).sort_values("occurred_at", ignore_index=True)
    assert list(found.columns) == [
        *("request_id", "model", "version", "occurred_at", "unit_id", "score", "error", "served", "region"),
    ]
    assert found["request_id"].tolist() == [f"r{number}" for number in range(40)]
    assert str(found["occurred_at"].dtype) == "datetime64[us, UTC]"
    assert found["unit_id"].equals(found["request_id"])
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    assert (record["file"], record["rows"], record["columns"]["occurred_at"]) == ("own.csv", 40, "ts")


def test_the_source_reads_what_was_imported(bring: Import, workspace: Workspace) -> None:
    bring([HEADER, *GOOD])
    bring(["id,label,known_at", *(f"r{n},{n % 2},2026-01-20T00:00:00Z" for n in range(40))], "l.csv", "outcomes")
    source = open_source(workspace)
    as_of = parse_instant("2026-02-01")
    assert len(source.execute(source.read("predictions", ["score", "region"], as_of=as_of), reading="p")) == 40
    assert source.execute(source.read("outcomes", ["label"], as_of=as_of), reading="o")["label"].sum() == 20


def test_what_cannot_be_a_row_is_quarantined_with_its_reason_and_counted(bring: Import, workspace: Workspace) -> None:
    bad = [
        "b1,2026-01-01T00:00:00Z,abc,north",
        "b2,2026-01-01T00:00:00Z,-inf,north",
        "b3,2026-01-01T00:00:00Z,1.5,north",
        "b4,31st of May,0.5,north",
        ",2026-01-01T00:00:00Z,0.5,north",
        "b6,2026-01-01T00:00:00Z",
        "b7,2026-01-01T00:00:00Z,0.5,north,more",
    ]
    done = bring([HEADER, *GOOD, *bad])
    assert done.rows == 40
    assert reasons(done) == {
        "score is no number": 1,
        "score is infinite": 1,
        "score is not from 0 to 1": 1,
        "occurred_at is no instant": 1,
        "request_id is missing": 1,
        "the line has fewer values than the header": 1,
        "the line has more values than the header": 1,
    }
    kept = pd.read_parquet(workspace.root / str(done.quarantine)).set_index("reason")
    assert kept.loc["score is no number", "row"] == 41
    assert json.loads(kept.loc["score is no number", "given"])["score"] == "abc"
    assert kept.loc["the line has fewer values than the header", "row"] == 47
    assert kept.loc["the line has fewer values than the header", "given"] == bad[5]
    assert "1 × score is no number, such as row 41: score is 'abc'" in done.text
    assert "1 × the line has fewer values than the header, such as line 47: b6,2026-01-01T00:00:00Z" in done.text
    assert f"rows left out: 7, with their reasons in {done.quarantine}\n" in done.text


def test_missing_values_become_null_and_not_text(bring: Import, workspace: Workspace) -> None:
    given = ["", "NaN", "nan", "NULL", "n/a", "None"]
    lines = [f"m{number},2026-01-02T00:00:00Z,{text},{text}" for number, text in enumerate(given)]
    done = bring([HEADER, *GOOD, *lines])
    assert done.quarantined == ()
    found = rows(workspace).set_index("request_id").loc[[f"m{number}" for number in range(6)]]
    assert found["score"].isna().all()
    assert found["error"].all()
    assert found["region"].isna().tolist() == [True, True, True, True, False, False]


def test_a_mapping_that_leaves_too_much_out_imports_nothing(bring: Import, workspace: Workspace) -> None:
    with pytest.raises(ContractError) as refused:
        bring([HEADER, *GOOD[:3], *GOOD[:3], *GOOD[:3]])
    assert str(refused.value) == (
        "own.csv: 6 of 9 rows cannot be rows of predictions, and nothing was imported. Is the mapping right? Correct "
        "it with --map, --dates or --set\n  6 × the key (request_id × model × version) came before in the file; the "
        "first row is kept, such as row 4: r0 × model × 1"
    )
    assert sorted(path.name for path in (workspace.root / "data").iterdir()) == [".importing.lock"]


def test_the_same_file_imported_again_adds_nothing(bring: Import, workspace: Workspace) -> None:
    first = bring([HEADER, *GOOD])
    again = bring([HEADER, *GOOD], "renamed.csv")
    assert (again.already, again.rows, again.folder) == (True, 0, first.folder)
    assert again.text == (
        f"renamed.csv was imported already, as {first.folder}: nothing was added. To import it anew, remove that folder"
    )
    assert len(rows(workspace)) == 40


def test_rows_that_are_there_already_are_counted_and_quarantined(bring: Import, workspace: Workspace) -> None:
    bring([HEADER, *GOOD])
    done = bring([HEADER, *GOOD[10:], "new,2026-02-01T00:00:00Z,0.5,south"], "next.csv")
    assert done.rows == 1
    assert reasons(done) == {"the key (request_id × model × version) is there already": 30}
    assert sorted(rows(workspace)["request_id"]) == sorted([*(f"r{number}" for number in range(40)), "new"])
    only_old = bring([HEADER, *GOOD[20:]], "old.csv")
    assert (only_old.rows, only_old.folder) == (0, None)
    assert only_old.text.startswith(
        "old.csv: no new row for predictions\nrows left out: 20, with their reasons in data/"
    )


def test_a_label_is_not_known_before_its_prediction(bring: Import, workspace: Workspace) -> None:
    bring([HEADER, *GOOD])
    labels = [f"r{number},{number % 2},2026-01-20T00:00:00Z" for number in range(38)]
    labels += ["r38,1,2025-12-31T00:00:00Z", "stranger,1,2026-01-20T00:00:00Z"]
    done = bring(["id,label,known_at", *labels], "labels.csv", "outcomes")
    assert done.rows == 39
    assert reasons(done) == {"observed_at is before the prediction's occurred_at": 1}
    assert done.notes == ("labels of requests that are not among the predictions: 1 of 40",)


def test_labels_without_a_time_get_that_of_their_request(bring: Import, workspace: Workspace) -> None:
    bring([HEADER, *GOOD])
    labels = [f"r{number},{number % 2}" for number in range(40)]
    done = bring(["id,label", *labels, "stranger,1"], "labels.csv", "outcomes")
    assert done.rows == 40
    assert reasons(done) == {
        "no prediction has this request_id, so when its label was known cannot be said": 1,
    }
    both = rows(workspace).merge(rows(workspace, "outcomes"), on="request_id")
    assert (both["occurred_at"] == both["observed_at"]).all()


def test_labels_of_other_requests_are_refused_with_both_ids(bring: Import) -> None:
    bring([HEADER, *GOOD])
    with pytest.raises(ContractError) as refused:
        bring(["id,label", *(f"{number},1" for number in range(40))], "labels.csv", "outcomes")
    assert str(refused.value) == (
        "labels.csv: none of its 40 labels is of a request in the predictions. Labels have ids such as '0', "
        "predictions such as 'r0'; name the right column with --map outcomes.request_id=COLUMN"
    )


def test_labels_in_words_are_one_and_zero(bring: Import, workspace: Workspace) -> None:
    words = ["yes", "no", "TRUE", "False", "1", "0.0"]
    bring(
        ["id,label,known_at", *(f"w{n},{word},2026-01-20T00:00:00Z" for n, word in enumerate(words))],
        "l.csv",
        "outcomes",
    )
    assert rows(workspace, "outcomes")["label"].tolist() == [1, 0, 1, 0, 1, 0]
    bring(
        ["id,label,known_at", "a,won,2026-01-20T00:00:00Z", "b,lost,2026-01-20T00:00:00Z"],
        "m.csv",
        "outcomes",
        positive="won",
    )
    assert rows(workspace, "outcomes").set_index("request_id")["label"][["a", "b"]].tolist() == [1, 0]


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    lines = [f"r{n},2026-01-{1 + n % 28:02d}T00:00:00Z,0.5,{n % 7}" for n in range(3000)]
    (tmp_path / "own.csv").write_text("\n".join([HEADER, *lines, *lines[:9]]) + "\n", encoding="utf-8")
    held = []
    for name in ("a", "b"):
        root = tmp_path / name
        root.mkdir()
        (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
        import_file(open_workspace(root), map_file(tmp_path / "own.csv", "predictions"))
        files = sorted(path for path in root.rglob("*") if path.is_file())
        held.append({path.relative_to(root).as_posix(): path.read_bytes() for path in files})
    assert held[0] == held[1]
    assert len(held[0]) == 28 + len(["toolkit.toml", ".importing.lock", RECORD, "quarantine"])


def test_an_import_keeps_the_kinds_and_columns_that_are_there(bring: Import, workspace: Workspace) -> None:
    bring(["id,ts,score,code,amount", *(f"r{n},2026-01-01T00:00:00Z,0.5,x{n},{n}" for n in range(20))])
    done = bring(["id,ts,score,code,fresh", *(f"s{n},2026-01-02T00:00:00Z,0.5,{n},{n}" for n in range(20))], "next.csv")
    assert done.notes == ("columns that rows imported before do not have: fresh",)
    found = rows(workspace).set_index("request_id")
    assert found.loc["s3", "code"] == "3"
    assert np.isnan(found.loc["s3", "amount"])
    done = bring(
        ["id,ts,score,amount", *(f"t{n},2026-01-03T00:00:00Z,0.5,{n}" for n in range(20)), "t,2026-01-03,0.5,much"],
        "more.csv",
    )
    assert reasons(done) == {"amount is no number": 1}


@pytest.mark.parametrize("step", ["find_repeated", "_record"])
def test_an_import_that_dies_leaves_nothing_and_can_be_made_again(
    workspace: Workspace, tmp_path: Path, step: str
) -> None:
    (tmp_path / "own.csv").write_text("\n".join([HEADER, *GOOD, "bad,2026-01-01T00:00:00Z,abc,x"]) + "\n", "utf-8")
    arguments = (workspace.root, tmp_path / "own.csv", step)
    child = multiprocessing.get_context("spawn").Process(target=import_and_die, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (workspace.root / "data" / "predictions").exists()
    assert rows(workspace).empty
    done = import_file(workspace, map_file(tmp_path / "own.csv", "predictions"))
    assert (done.rows, len(rows(workspace))) == (40, 40)
    assert not (workspace.root / "data" / ".importing").exists()


def test_two_imports_at_a_time_are_refused(bring: Import, workspace: Workspace) -> None:
    import fcntl

    (workspace.root / "data").mkdir()
    with (workspace.root / "data" / ".importing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ArgumentError) as refused:
            bring([HEADER, *GOOD])
    assert str(refused.value) == "another import is running in this workspace; try again when it is done"


@pytest.mark.slow
def test_an_import_stays_within_its_memory(workspace: Workspace, tmp_path: Path) -> None:
    lines = (
        f"request-{number:012d},2026-{1 + number % 12:02d}-{1 + number % 28:02d}T00:00:00Z,0.5,{number * 7919 % 100003}"
        for number in range(1_000_000)
    )
    with (tmp_path / "own.csv").open("w", encoding="utf-8") as stream:
        stream.write(HEADER + "\n")
        stream.writelines(line + "\n" for line in lines)
    done = import_file(workspace, map_file(tmp_path / "own.csv", "predictions"), memory_mib=128)
    assert done.rows == 1_000_000
