"""Own files of every form: what they say is what is kept, and what cannot be read is refused in words."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from file_imports import GOOD, HEADER, SETTINGS, Import, map_file, reasons, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.data.imports import import_file
from toolkit.data.own_files import open_file
from toolkit.errors import ArgumentError
from toolkit.workspace import Workspace, open_workspace


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


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("America/New_York", marks=pytest.mark.slow),
        "Australia/Lord_Howe",  # its clocks are put on by half an hour
        pytest.param("Asia/Kolkata", marks=pytest.mark.slow),
    ],
)
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
