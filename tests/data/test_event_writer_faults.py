"""The event writer on disks and machines that fail: every event is in a file or counted, and the caller goes on."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from event_writing import AT, accounts, check_sums, hidden, ids, lines, namespace, play, prediction, start

from toolkit.data.event_files import EventFile


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("no folder")
    writer = start(tmp_path / "events")
    for number in range(100):
        assert writer.predictions(**prediction(number))
    counts = writer.close(60)
    assert (counts.offered, counts.by_reason, counts.waiting) == (100, {"unwritable": 100}, 0)
    assert "Not a directory" in counts.examples["unwritable"]


def test_a_folder_that_is_taken_away_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    with start(folder) as writer:
        writer.predictions(**prediction(1))
        writer.flush(60)
        folder.rename(tmp_path / "elsewhere")
        writer.predictions(**prediction(2))
        writer.flush(60)
    assert ids(tmp_path / "elsewhere") == ["r000001"]
    assert ids(folder) == ["r000002"]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_events_whose_open_file_is_taken_away_are_dropped(tmp_path: Path, form: Any) -> None:
    with start(tmp_path, form=form) as writer:
        for number in range(10):
            writer.predictions(**prediction(number))
        while writer.counts.written < 10:
            threading.Event().wait(0.01)
        shutil.rmtree(tmp_path / "predictions")
    counts = writer.counts
    assert (counts.offered, counts.written, counts.by_reason, counts.unfinished) == (10, 0, {"unwritable": 10}, 0)
    assert counts.examples["unwritable"].endswith(".jsonl.part was taken away before it was finished")
    if form == "jsonl":
        assert accounts(tmp_path) == {("predictions", "unwritable"): 10}


def test_events_after_an_open_file_was_taken_away_get_another(tmp_path: Path) -> None:
    with start(tmp_path) as writer:
        for numbers in (range(10), range(10, 15)):
            for number in numbers:
                writer.predictions(**prediction(number))
            while writer.counts.waiting:
                threading.Event().wait(0.01)
            if numbers.start == 0:
                writer._account()  # the next one says less
                shutil.rmtree(tmp_path / "predictions")
        for number in range(15, 25):
            writer.predictions(**prediction(number))
    assert (writer.counts.written, writer.counts.by_reason) == (15, {"unwritable": 10})
    assert ids(tmp_path) == [f"r{number:06d}" for number in range(10, 25)]
    assert accounts(tmp_path) == {("predictions", "written"): 15, ("predictions", "unwritable"): 10}


def test_a_file_that_cannot_get_its_name_is_finished_later(tmp_path: Path) -> None:
    with start(tmp_path) as writer:
        writer.predictions(**prediction(1))
        while writer.counts.written < 1:
            threading.Event().wait(0.01)
        (part,) = (tmp_path / "predictions").rglob(".*.part")
        obstacle = part.with_name(part.name.removeprefix(".").removesuffix(".part"))
        obstacle.mkdir()
        assert writer.flush(60)
        assert (writer.counts.written, writer.counts.unfinished) == (1, 1)
        assert "Is a directory" in writer.counts.examples["unfinished"]
        obstacle.rmdir()
        assert writer.flush(60)
        assert (writer.counts.unfinished, writer.counts.recovered) == (0, 0)
    assert ids(tmp_path) == ["r000001"]
    assert hidden(tmp_path) == []


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    (told,) = play("limited_files", tmp_path)
    check_sums(told, offered=5000)
    assert set(told["dropped"]) == {"no_space"}
    assert "File too large" in told["examples"]["no_space"]
    assert 0 < told["written"] == len(ids(tmp_path))
    assert ids(tmp_path) == [f"r{number:06d}" for number in range(told["written"])]
    assert accounts(tmp_path) == {
        ("predictions", "written"): told["written"],
        ("predictions", "no_space"): told["dropped"]["no_space"],
    }


def test_a_full_disk(tmp_path: Path) -> None:
    full, end, found = play("full_disk", tmp_path, before=namespace())
    check_sums(full, offered=5000)
    check_sums(end, offered=6000)
    assert full["dropped"]["no_space"] > 1000
    assert end["dropped"] == full["dropped"]
    assert "No space left on device" in end["examples"]["no_space"]
    assert end["written"] == full["written"] + 1000
    expected = [f"r{number:06d}" for number in [*range(full["written"]), *range(5000, 6000)]]
    assert sorted(found["ids"]) == expected
    said: dict[str, int] = {}
    for row in found["accounts"]:
        said[row["outcome"]] = said.get(row["outcome"], 0) + row["events"]
    assert said == {"written": end["written"], **end["dropped"]}


def test_a_disk_that_may_not_be_written(tmp_path: Path) -> None:
    (told,) = play("read_only", tmp_path, before=namespace())
    check_sums(told, offered=100)
    assert told["dropped"] == {"not_permitted": 100}
    assert "Read-only file system" in told["examples"]["not_permitted"]


def test_a_disk_that_hangs_fills_the_queue_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    (told,) = play("hangs", tmp_path)
    check_sums(told, offered=5000)
    assert told["written"] == told["waiting"] == 0
    assert set(told["dropped"]) == {"queue_full", "not_in_time"}


def tear_writes(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The first long write ends after 500 bytes, and the next one fails."""
    real, calls = os.write, iter(["short", "fails"])

    def tear(descriptor: int, data: Any) -> int:
        call = next(calls, "whole") if descriptor > 2 and len(data) > 1000 else "whole"
        if call == "fails":
            raise OSError(code, os.strerror(code))
        return real(descriptor, data[:500] if call == "short" else data)

    monkeypatch.setattr(os, "write", tear)


@pytest.mark.parametrize("can_cut", [True, False])
def test_what_was_torn_is_counted_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_cut: bool) -> None:
    def fail(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = start(tmp_path)
    with monkeypatch.context() as patch:
        with writer._lock:
            tear_writes(patch, errno.EDQUOT)
            if not can_cut:
                patch.setattr(os, "ftruncate", fail)
            for number in range(20):
                writer.predictions(**prediction(number))
        while writer.counts.waiting:
            threading.Event().wait(0.01)
    assert writer.counts.unfinished == (0 if can_cut else writer.counts.written)
    counts = writer.close(60)
    assert counts.written == 500 // (len(json.dumps(lines(tmp_path)[0], separators=(",", ":"))) + 1) > 0
    assert counts.by_reason == {"no_space": 20 - counts.written}
    assert (counts.unfinished, counts.recovered) == (0, 0)
    assert ids(tmp_path) == [f"r{number:06d}" for number in range(counts.written)]
    assert hidden(tmp_path) == []


def test_an_account_that_cannot_be_given_is_given_later(tmp_path: Path) -> None:
    obstacle = tmp_path / "deliveries"
    obstacle.write_text("no folder")
    with start(tmp_path) as writer:
        for number in (1, 2):
            writer.predictions(**prediction(number))
            writer.flush(60)
        assert ids(tmp_path) == ["r000001", "r000002"]
        obstacle.unlink()
        writer.predictions(**prediction(3))
    assert accounts(tmp_path) == {("predictions", "written"): 3}


def test_an_account_is_never_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if "deliveries" in self.parts:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    with start(tmp_path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", fail)
            writer.predictions(**prediction(1))
            assert writer.flush(60)
        assert hidden(tmp_path) == []
        writer.predictions(**prediction(2))
    assert accounts(tmp_path) == {("predictions", "written"): 2}


def test_events_of_many_days_do_not_open_many_files(tmp_path: Path) -> None:
    with start(tmp_path) as writer:
        for number in range(100):
            writer.predictions(**prediction(number, occurred_at=AT - timedelta(days=number)))
        while writer.counts.written < 100:
            threading.Event().wait(0.01)
        assert len(hidden(tmp_path)) == 16
    assert len(ids(tmp_path)) == 100
    assert len(list((tmp_path / "predictions").iterdir())) == 100


def test_without_a_thread_events_wait_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer = start(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        assert writer.predictions(**prediction(1))
    assert (writer.counts.waiting, writer.counts.dropped) == (1, 0)
    assert writer.counts.examples == {"unexpected": "RuntimeError: can't start new thread"}
    assert writer.flush(0) is False
    assert writer.predictions(**prediction(2))  # now there is one
    assert writer.close(60).written == 2
    idle = start(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        idle.predictions(**prediction(3))
    assert idle.close().by_reason == {"not_in_time": 1}


def test_at_an_end_that_lets_no_thread_start_events_are_refused_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    writer = start(tmp_path)
    monkeypatch.setattr(threading.Thread, "start", fail)
    assert [writer.predictions(**prediction(number)) for number in range(3)] == [False] * 3
    assert (writer.counts.offered, writer.counts.by_reason) == (3, {"closed": 2, "not_in_time": 1})


def test_a_thread_that_runs_out_of_memory_goes_on_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(tmp_path) as writer:
        with writer._lock, monkeypatch.context() as patch:
            failing = threading.Event()

            def fail(events: Any) -> Any:
                failing.set()
                raise MemoryError

            patch.setattr(writer._store, "put", fail)
            for number in range(10):
                writer.predictions(**prediction(number))
            writer._lock.release()
            assert failing.wait(60)
            writer._lock.acquire()
        while writer.counts.waiting:
            threading.Event().wait(0.01)
        writer.predictions(**prediction(99))
        writer.flush(60)
        assert (writer.counts.offered, writer.counts.written) == (11, 1)
        assert writer.counts.by_reason == {"unexpected": 10}


def test_where_files_cannot_be_locked_none_is_taken_for_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    folder = tmp_path / "predictions" / "day=2030-01-31"
    file = EventFile.create(folder, "alive")
    file.append(b"{}\n")
    file.abandon()
    with start(tmp_path) as writer:
        writer.predictions(**prediction(1))
    assert (writer.counts.written, writer.counts.recovered) == (1, 0)
    assert hidden(tmp_path) == [".alive.jsonl.part"]


@pytest.mark.parametrize("times", [3, 5])
def test_a_new_file_that_is_taken_for_left_behind_gets_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """As when another writer starts and looks around just between the creation of the file and its lock."""
    real, taken = fcntl.flock, iter(range(times))

    def flock(descriptor: int, operation: int) -> None:
        if next(taken, None) is not None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        real(descriptor, operation)

    writer = start(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", flock)
        for number in range(10):
            writer.predictions(**prediction(number))
        while writer.counts.waiting:
            threading.Event().wait(0.01)
    counts = writer.close(60)
    if times < 5:
        assert (counts.written, counts.dropped) == (10, 0)
        assert len(ids(tmp_path)) == 10
    else:
        assert counts.by_reason == {"unwritable": 10}
        assert counts.examples["unwritable"].endswith(
            "lets no file be kept: 5 of them were taken away before they were written"
        )
