"""The event writer and the life of processes: ends, forks, kills, and what they leave behind."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from event_writing import AT, SCENARIO, check_sums, hidden, ids, play, prediction, start

from toolkit.data.event_files import EventFile, left_behind


@pytest.mark.parametrize(("scenario", "code"), [("exits", 0), ("fails", 3), ("last_words", 0)])
def test_what_waits_is_written_when_the_process_ends(tmp_path: Path, scenario: str, code: int) -> None:
    play(scenario, tmp_path, code=code)
    assert len(ids(tmp_path)) == 1000
    assert hidden(tmp_path) == []


def test_a_fork_has_a_thread_and_files_of_its_own(tmp_path: Path) -> None:
    child, parent = play("forks", tmp_path)
    check_sums(child, offered=300)
    check_sums(parent, offered=650)
    assert (child["written"], parent["written"]) == (300, 650)
    expected = [f"r{number:06d}" for number in [*range(650), *range(10_000, 10_300)]]
    assert ids(tmp_path) == expected
    assert hidden(tmp_path) == []


def test_children_of_multiprocessing_write_what_waits(tmp_path: Path) -> None:
    play("multiprocesses", tmp_path)
    assert len(ids(tmp_path)) == 601
    assert hidden(tmp_path) == []


def test_what_a_killed_process_left_is_finished_by_the_next(tmp_path: Path) -> None:
    (told,) = play("is_killed", tmp_path, code=-9)
    assert told["written"] == 1000
    assert ids(tmp_path) == []
    (part,) = hidden(tmp_path)
    with next(tmp_path.rglob(part)).open("ab") as stream:
        stream.write(b'{"request_id":"r0')  # as a kill in the middle of a line leaves it
    with start(tmp_path) as writer:
        writer.predictions(**prediction(99_999))
        writer.flush(60)
        assert (writer.counts.offered, writer.counts.written) == (1, 1)
        assert 1000 <= writer.counts.recovered <= 1100
    found = ids(tmp_path)
    assert found[:1000] == [f"r{number:06d}" for number in range(1000)]
    assert len(found) == writer.counts.recovered + 1
    assert hidden(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_killed_at_any_moment_nothing_is_lost_but_the_end_and_nothing_is_there_twice(tmp_path: Path, form: Any) -> None:
    rng = random.Random(7)
    for number in range(25):
        folder = tmp_path / str(number) / form
        command = [sys.executable, str(SCENARIO), "streams", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            threading.Event().wait(rng.uniform(0.2, 2.0))
            process.kill()
        with start(folder, form=form) as writer:
            writer.outcomes(request_id="r", observed_at=AT, label=1)
        files = [file for file in (folder / "predictions").rglob(f"*.{form}") if not file.name.startswith(".")]
        if form == "jsonl":
            found = ids(folder)
        else:
            found = sorted(each for file in files for each in pq.ParquetFile(file).read()["request_id"].to_pylist())
        assert found == [f"r{each:06d}" for each in range(len(found))]
        assert hidden(folder) == []


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_left_behind_lines_are_cut_to_the_last_whole_one(tmp_path: Path, form: Any) -> None:
    whole = b"".join(
        json.dumps(prediction(number, occurred_at="2030-01-31T12:00:00Z", hour=number, late=True)).encode() + b"\n"
        for number in range(3)
    )
    folder = tmp_path / "predictions" / "day=2030-01-31"
    folder.mkdir(parents=True)
    elsewhere = tmp_path / "other" / "day=2030-01-31" / ".mine.jsonl.part"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes(whole)
    for name, content in {
        "torn": whole + b'{"req',
        "lost": whole + b"\0" * 5000,
        "none": b'{"req',
        "empty": b"",
    }.items():
        (folder / f".{name}.jsonl.part").write_bytes(content)
    with start(tmp_path, form=form) as writer:
        writer.outcomes(request_id="r", observed_at=AT, label=1)
    assert writer.counts.recovered == 6
    assert elsewhere.is_file(), "what is no table of the contracts is not ours"
    assert sorted(path.name for path in folder.iterdir()) == [f"lost.{form}", f"torn.{form}"]
    if form == "jsonl":
        assert (folder / "torn.jsonl").read_bytes() == (folder / "lost.jsonl").read_bytes() == whole
    else:
        table = pq.ParquetFile(folder / "torn.parquet").read()
        assert table["hour"].to_pylist() == [0.0, 1.0, 2.0]
        assert table["late"].to_pylist() == [True] * 3


def test_the_file_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "predictions" / "day=2030-01-31"
    file = EventFile.create(folder, "alive")
    file.append(b'{"a":1}\n')
    assert list(left_behind(tmp_path)) == []
    file.abandon()
    (found,) = left_behind(tmp_path)
    assert (found.path, found.lines, found.size_bytes) == (file.path, 1, 8)
    found.abandon()
