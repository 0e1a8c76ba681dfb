from __future__ import annotations

import gzip
import json
import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from file_imports import import_and_die, map_file
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.data import open_source
from toolkit.data.imports import RECORD, Imported, import_file
from toolkit.data.mapping import Wishes
from toolkit.data.own_files import open_file
from toolkit.data.places import settings_for_import
from toolkit.errors import ArgumentError, ContractError
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace, open_workspace

Import = Callable[..., Imported]
SETTINGS = """\
schema_version = 2
name = "own"
[tables.predictions]
path = "data/predictions"
[tables.outcomes]
path = "data/outcomes"
"""
HEADER = "id,ts,score,region"
GOOD = [
    f"r{number},2026-01-{1 + number // 4:02d}T{number % 4:02d}:00:00Z,0.{1 + number % 9},north" for number in range(40)
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    return open_workspace(tmp_path / "w")


@pytest.fixture
def bring(workspace: Workspace, tmp_path: Path) -> Import:
    """Write these lines to a file and import it."""

    def run(lines: list[str] | bytes, name: str = "own.csv", table: str = "predictions", **wishes: Any) -> Imported:
        content = lines if isinstance(lines, bytes) else ("\n".join(lines) + "\n").encode()
        (tmp_path / name).write_bytes(content)
        return import_file(workspace, map_file(tmp_path / name, table, wishes=Wishes(**wishes)))

    return run


def rows(workspace: Workspace, table: str = "predictions") -> pd.DataFrame:
    files = sorted((workspace.root / "data" / table).rglob("*.parquet"))
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True) if files else pd.DataFrame()


def reasons(imported: Imported) -> dict[str, int]:
    return {each.reason: each.rows for each in imported.quarantined}


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


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (
            ["id;ts;score;region\r", "a;2026-01-01 00:00:00;0,25;north\r", 'b;2026-01-01 01:00:00;0,5;"a;b"\r'],
            "own.csv",
        ),
        (["\ufeffid\tts\tscore\tregion", "a\t2026-01-01\t0.25\tnorth", 'b\t2026-01-01 01:00\t0.5\t"a;b"'], "own.tsv"),
        (["id|ts|score|region", "a|2026-01-01 00:00:00|0.25|north", "b|2026-01-01 01:00:00|.5|a;b"], "own.txt"),
        (
            ['"id","ts","score","region"', '"a","2026-01-01","0.25","north"', '"b","2026-01-01T01:00Z","5e-1","a;b"'],
            "own.csv",
        ),
        (
            [
                '{"id": "a", "ts": "2026-01-01", "score": 0.25, "region": "north"}',
                '{"id": "b", "ts": "2026-01-01T01:00", "score": "0.5", "region": "a;b"}',
            ],
            "own.jsonl",
        ),
    ],
    ids=["semicolons and commas", "tabs and a BOM", "bars", "all quoted", "JSON lines"],
)
def test_the_forms_of_files_give_the_same_rows(
    bring: Import, workspace: Workspace, lines: list[str], name: str
) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    packed = gzip.compress(data, mtime=0)  # the same rows again: none is new
    for content, called in ((data, name), (packed, name + ".gz")):
        bring(content, called)
        found = rows(workspace)
        assert found["request_id"].tolist() == ["a", "b"]
        assert found["score"].tolist() == [0.25, 0.5]
        assert found["region"].tolist() == ["north", "a;b"]
        assert found["occurred_at"].astype(str).str[:16].tolist() == ["2026-01-01 00:00", "2026-01-01 01:00"]


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


def test_newlines_in_quotes_stay_in_their_value(bring: Import, workspace: Workspace) -> None:
    done = bring([HEADER, *GOOD, 'q,2026-01-02T00:00:00Z,0.5,"two\nlines, ""quoted"""'])
    assert done.quarantined == ()
    assert rows(workspace).set_index("request_id")["region"]["q"] == 'two\nlines, "quoted"'


def test_parquet_keeps_its_values(workspace: Workspace, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "id": [f"r{number}" for number in range(200)],
            "ts": pd.date_range("2026-01-01", periods=200, freq="37min", tz="UTC") + pd.Timedelta(microseconds=123456),
            "score": rng.random(200),
            "vip": rng.random(200) < 0.5,
        }
    )
    frame.loc[3, "score"] = float("nan")
    frame.to_parquet(tmp_path / "own.parquet", index=False)
    done = import_file(workspace, map_file(tmp_path / "own.parquet", "predictions"))
    found = rows(workspace).set_index("request_id").loc[frame["id"]].reset_index()
    assert done.rows == 200
    assert (found["occurred_at"] == frame["ts"]).all()
    assert found["score"].equals(frame["score"])
    assert found["vip"].tolist() == frame["vip"].tolist()


def test_lines_that_are_no_json_are_quarantined(bring: Import) -> None:
    lines = [json.dumps({"id": f"r{n}", "ts": "2026-01-01T00:00:00Z", "score": 0.5, "x": {"y": 1}}) for n in range(20)]
    done = bring([*lines, '{"id": "broken', "[1, 2]"], "own.jsonl")
    assert (done.rows, reasons(done)) == (20, {"the line is no JSON object": 2})


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "own.csv", "own.csv: holds nothing"),
        (b"id,ts,score\n", "own.csv", "own.csv: holds a header and no rows"),
        (
            b"a,2026-01-01,0.5\nb,2026-01-02,0.6\n",
            "own.csv",
            "own.csv: has no header: its first line looks like data (a,2026-01-01,0.5); write the names of the columns "
            "above it",
        ),
        (
            "id,ts,score,who\n1,2026-01-01,0.5,Jürgen\n".encode("latin-1"),
            "own.csv",
            "own.csv: is not UTF-8 text (line 2); save it as CSV UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 "
            "own.csv > utf8-own.csv",
        ),
        (
            "id,ts\n1,2\n".encode("utf-16"),
            "own.csv",
            "own.csv: is not UTF-8 text (it is UTF-16); save it as CSV UTF-8, or convert it: iconv -f WINDOWS-1252 -t "
            "UTF-8 own.csv > utf8-own.csv",
        ),
        (b"PK\x03\x04rest", "own.xlsx", "own.xlsx: is a spreadsheet or an archive; save it as CSV (UTF-8) first"),
        (b"PK\x03\x04rest", "own.csv", "own.csv: is a spreadsheet or an archive; save it as CSV (UTF-8) first"),
        (
            b"id,ts\n",
            "own.dat",
            "own.dat: its form is not known; a name ends in .csv, .tsv, .txt, .jsonl, .ndjson, .json, .parquet, or in "
            ".gz behind one of these",
        ),
        (
            b"no parquet",
            "own.parquet",
            "own.parquet: is no Parquet file, whatever its name says; a name ends in .csv, .tsv, .txt, .jsonl, "
            ".ndjson, .json, .parquet, or in .gz behind one of these",
        ),
        (
            b'[{"id": 1}]',
            "own.json",
            "own.json: is one JSON list; one object a line is needed: jq -c '.[]' own.json > rows.jsonl",
        ),
        (b"not json\n", "own.jsonl", "own.jsonl: its first line is no JSON object: not json"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(bring: Import, content: bytes, name: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        bring(content, name)
    assert str(refused.value) == message


def test_a_wrong_encoding_far_down_is_found_too(bring: Import) -> None:
    lines = [f"r{number},2026-01-01T00:00:00Z,0.5,{'x' * 40}" for number in range(20_000)]
    content = "\n".join([HEADER, *lines, "late,2026-01-01T00:00:00Z,0.5,"]).encode() + b"J\xfcrgen\n"
    with pytest.raises(ArgumentError, match=r"^own\.csv: is not UTF-8 text \(line 20002\); save it as CSV UTF-8"):
        bring(content)


def test_a_file_that_is_not_there_names_the_nearest(bring: Import, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").touch()
    with pytest.raises(ArgumentError, match=r"there is no such file\. Did you mean 'predictions\.csv'\?$"):
        open_file(tmp_path / "predictoins.csv")


def test_columns_are_told_apart_whatever_they_are_called(bring: Import, workspace: Workspace) -> None:
    lines = [f"{number},r{number},2026-01-01T00:00:00Z,0.5,1,2,3" for number in range(20)]
    bring([',id,ts,score,a "b" c,A,a', *lines])
    assert [*rows(workspace).columns][-4:] == ["unnamed", 'a "b" c', "A", "a_2"]


def test_clock_times_are_those_of_their_zone_and_changes_of_the_clock_are_counted(
    bring: Import, workspace: Workspace
) -> None:
    times = ["2026-03-29 01:59:59", "2026-03-29 02:30:00", "2026-10-25 02:30:00", "2026-07-01 12:00:00"]
    times += ["2026-10-25T02:30:00+02:00"]
    done = bring([HEADER, *(f"r{n},{time},0.5,x" for n, time in enumerate(times))], timezone="Europe/Paris")
    assert rows(workspace).set_index("request_id")["occurred_at"].astype(str).str[:19].sort_index().tolist() == [
        "2026-03-29 00:59:59",
        "2026-03-29 01:30:00",
        "2026-10-25 01:30:00",
        "2026-07-01 10:00:00",
        "2026-10-25 00:30:00",
    ]
    assert done.notes == (
        "rows with a time that the clocks of Europe/Paris skipped: 1, taken as if they had not been put on",
        "rows with a time that the clocks of Europe/Paris showed twice: 1, taken as the later",
    )


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_zones_agree_with_pandas(bring: Import, workspace: Workspace, zone: str) -> None:
    local = pd.date_range("2026-01-01 00:10", "2026-12-31", freq="61min")
    expected = local.tz_localize(zone, ambiguous=np.zeros(len(local), bool), nonexistent="NaT")
    lines = [f"r{number},{time},0.5,x" for number, time in enumerate(local)]
    done = bring([HEADER, *lines], timezone=zone)
    found = rows(workspace).set_index("request_id")["occurred_at"]
    known = ~expected.isna()
    ids = [f"r{number}" for number in range(len(local))]
    assert (found.loc[ids].to_numpy()[known] == expected.tz_convert("UTC")[known].to_numpy()).all()
    twice = local.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna().sum()
    counted = {"skipped": int((~known).sum()), "twice": int(twice)}
    said = {
        word: sum(int(note.split(": ")[1].split(",")[0]) for note in done.notes if word in note) for word in counted
    }
    assert said == counted


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2090-01-01")),
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12),
        ),
        min_size=3,
        max_size=30,
    )
)
def test_what_a_csv_says_is_what_is_kept(tmp_path_factory: pytest.TempPathFactory, rows_given: list[Any]) -> None:
    root = tmp_path_factory.mktemp("own")
    (root / "toolkit.toml").write_text(SETTINGS, encoding="utf-8")
    frame = pd.DataFrame(rows_given, columns=["score", "ts", "note"])
    frame.insert(0, "id", [f"r{number}" for number in range(len(frame))])
    frame["note"] = "(" + frame["note"] + ")"
    frame.to_csv(root / "own.csv", index=False)
    done = import_file(open_workspace(root), map_file(root / "own.csv", "predictions"))
    found = rows(open_workspace(root)).set_index("request_id").loc[frame["id"]]
    assert done.rows == len(frame)
    assert found["score"].tolist() == frame["score"].tolist()
    assert (found["occurred_at"].dt.tz_localize(None).to_numpy() == frame["ts"].to_numpy()).all()
    assert found["note"].tolist() == frame["note"].tolist()


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


def settings_text(root: Path, table: str, text: str) -> str | None:
    root.mkdir(exist_ok=True)
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "own"\n' + text, encoding="utf-8")
    return settings_for_import(open_workspace(root), table)


def test_the_settings_are_made_to_cover_what_is_imported(tmp_path: Path) -> None:
    covered = ['"data/predictions"', '"data/**/*.parquet"', '"data/predictions/*/*.parquet"', '"data"']
    for path in covered:
        assert settings_text(tmp_path / "w", "predictions", f"[tables.predictions]\npath = {path}\n") is None
    laid = '[tables.predictions]\n# mine\npath = "data/predictions/*.parquet"    # here\n'
    changed = settings_text(tmp_path / "w", "predictions", laid)
    assert str(changed).endswith('[tables.predictions]\n# mine\npath = "data/predictions"    # here\n')
    added = settings_text(tmp_path / "w", "outcomes", laid)
    assert str(added).endswith('# here\n\n[tables.outcomes]\npath = "data/outcomes"\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[tables.predictions]\npath = "elsewhere/*.parquet"\n',
            "[tables.predictions] in toolkit.toml has path 'elsewhere/*.parquet', which does not cover "
            "data/predictions/; make it 'data/predictions'",
        ),
        (
            '[sources.db]\nurl = "duckdb://x.duckdb"\n[tables.predictions]\nsource = "db"\ntable = "p"\n',
            "predictions lies in p in source db ([tables.predictions] in toolkit.toml), where what is imported would "
            "not be seen",
        ),
        (
            '[tables.predictions]\npath = "data/predictions"\ncolumns = { score = "p" }\n',
            "[tables.predictions] in toolkit.toml maps own names of columns, and what is imported has the contract's "
            "names; put its mapping into --map and take it out there, or import into another workspace",
        ),
    ],
)
def test_a_table_where_imported_rows_would_not_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        settings_text(tmp_path / "w", "predictions", text)
    assert str(refused.value) == message


def test_imported_rows_do_not_hide_files_that_are_read_where_they_lie(tmp_path: Path) -> None:
    folder = tmp_path / "w" / "data" / "predictions"
    folder.mkdir(parents=True)
    (folder / "old.csv").touch()
    with pytest.raises(ArgumentError) as refused:
        settings_text(tmp_path / "w", "predictions", '[tables.predictions]\npath = "data/predictions"\n')
    assert str(refused.value) == (
        "data/predictions/ holds files that are read where they lie (old.csv), and beside imported ones they would not "
        "be; move them out of the workspace and import them too"
    )
