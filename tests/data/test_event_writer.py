"""The event writer: what a service offers is in a file or counted, and no fault reaches the service."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from conftest import SETTINGS
from toolkit.data import arrow_schema, open_source
from toolkit.data.event_files import EventFile, left_behind
from toolkit.data.writer import EventWriter
from toolkit.errors import ArgumentError, MissingExtraError
from toolkit.workspace import open_workspace

SCENARIO = Path(__file__).with_name("event_scenario.py")
AT = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2031, 1, 1, tzinfo=UTC)
LIGHT = """
import json, sys
from datetime import UTC, datetime
from toolkit.data.writer import EventWriter
with EventWriter(sys.argv[1]) as events:
    events.outcomes(request_id="r", observed_at=datetime.now(UTC), label=1)
print(json.dumps([events.counts.written, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def prediction(number: int = 0, **changes: object) -> dict[str, object]:
    event: dict[str, object] = {
        "request_id": f"r{number:06d}", "model": "eta", "version": "2", "occurred_at": AT, "unit_id": "u",
        "score": 0.25, "error": False, "served": True,
    }  # fmt: skip
    return event | changes


def start(folder: Path, **options: Any) -> EventWriter:
    """A writer that has time at its end, however busy the machine is."""
    return EventWriter(folder, **{"exit_s": 60, **options})


def lines(folder: Path, table: str = "predictions") -> list[dict[str, Any]]:
    """The rows that a reader finds."""
    files = sorted((folder / table).rglob("day=*/[!.]*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def ids(folder: Path) -> list[str]:
    return sorted(row["request_id"] for row in lines(folder))


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*"))


def accounts(folder: Path) -> dict[tuple[str, str], int]:
    """What the writers said about themselves."""
    found: dict[tuple[str, str], int] = {}
    for row in lines(folder, "deliveries"):
        key = (row["table"], row["outcome"])
        found[key] = found.get(key, 0) + row["events"]
    return found


def play(scenario: str, folder: Path, *, before: tuple[str, ...] = (), code: int = 0) -> list[Any]:
    command = [*before, sys.executable, str(SCENARIO), scenario, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (code, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@cache
def namespace() -> tuple[str, ...]:
    """The command that gives a process mounts of its own; skips where this machine does not allow it."""
    command = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")
    try:
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "disk", "/tmp"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed, so no disk can be made full or read-only")
    if tried.returncode:
        pytest.skip(f"this machine lets no process mount a disk of its own: {tried.stderr.decode().strip()}")
    return command


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventWriter]:
    with start(tmp_path / "events") as writer:
        yield writer


def test_a_service_imports_nothing_but_the_standard_library(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, str(tmp_path)], check=True, capture_output=True, text=True)
    written, loaded = json.loads(done.stdout)
    assert written == 1
    ours = {name for name in loaded if "toolkit" in name and not name.startswith("__editable")}
    foreign = {"pandas", "numpy", "ibis", "duckdb", "pydantic", "pyarrow", "sqlalchemy", "sqlglot"}
    assert ours == {"toolkit"}
    assert set(loaded) & foreign == set()


def test_events_are_found_by_table_and_day_once_they_are_flushed(events: EventWriter) -> None:
    for number in range(5):
        assert events.predictions(**prediction(number))
    assert events.write("predictions", prediction(5, occurred_at=datetime(2030, 2, 1, tzinfo=UTC)))
    assert events.outcomes(request_id="r1", observed_at=AT, label=1)
    assert events.exposures(experiment="e", unit_id="u", variant="a", exposed_at=AT)
    assert events.flush(60)
    assert ids(events.folder) == [f"r{number:06d}" for number in range(6)]
    folders = sorted(path.relative_to(events.folder).as_posix() for path in events.folder.glob("*/*"))
    assert folders[1:] == [
        "exposures/day=2030-01-31",
        "outcomes/day=2030-01-31",
        "predictions/day=2030-01-31",
        "predictions/day=2030-02-01",
    ]
    counts = events.counts
    assert (counts.offered, counts.written, counts.dropped, counts.waiting) == (8, 8, 0, 0)
    assert accounts(events.folder) == {
        ("predictions", "written"): 6,
        ("outcomes", "written"): 1,
        ("exposures", "written"): 1,
    }


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_toolkit_reads_what_a_service_wrote(tmp_path: Path, form: Any) -> None:
    with start(tmp_path / "events", form=form, max_bytes=2000) as events:
        for number in range(50):
            events.predictions(**prediction(number, hour=number % 24 if number % 2 else None, carrier="AA"))
        events.outcomes(request_id="r000001", observed_at=AT, label=True)
    settings = SETTINGS.replace("data/predictions.parquet", "events/predictions").replace(
        "data/outcomes.parquet", f"events/outcomes/*/*.{form}"
    )
    (tmp_path / "toolkit.toml").write_text(settings + '[tables.deliveries]\npath = "events/deliveries"\n')
    source = open_source(open_workspace(tmp_path))
    rows = source.read("predictions", ["score", "hour", "carrier"], as_of=LATER).execute().sort_values("request_id")
    assert list(rows["request_id"]) == [f"r{number:06d}" for number in range(50)]
    assert list(rows["hour"].dropna()) == [number % 24 for number in range(50) if number % 2]
    assert set(rows["carrier"]) == {"AA"}
    assert set(rows["occurred_at"]) == {AT}
    assert source.read("outcomes", ["label"], as_of=LATER).execute()["label"].tolist() == [1.0]
    deliveries = source.read("deliveries", ["events"], as_of=datetime(2100, 1, 1, tzinfo=UTC)).execute()
    assert deliveries.groupby("table")["events"].sum().to_dict() == {"predictions": 50, "outcomes": 1}


def test_parquet_has_the_types_of_the_contract_whatever_a_file_holds(tmp_path: Path) -> None:
    features: Any = {"hour": "number", "since": "instant"}
    with start(tmp_path, form="parquet", features=features) as events:
        events.predictions(**prediction(1, hour=7, since=AT, day_text="2030-01-01", late=False))
    (file,) = (tmp_path / "predictions").rglob("*.parquet")
    expected = arrow_schema("predictions", features=features | {"day_text": "text", "late": "boolean"})
    assert pq.read_schema(file).equals(expected, check_metadata=True)
    assert hidden(tmp_path) == []


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    writer = start(tmp_path, max_bytes=3000, queue_events=1_000_000)
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            for file in (tmp_path / "predictions").rglob("day=*/[!.]*"):
                content = file.read_bytes()
                assert content.endswith(b"}\n")
                seen.add((file.name, len(content)))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(3000):
        writer.predictions(**prediction(number))
    counts = writer.close(60)
    stop.set()
    for reader in readers:
        reader.join()
    assert counts.written == 3000
    assert len({name for name, _ in seen}) == len(seen), "a file under its own name has changed"
    sizes = [file.stat().st_size for file in (tmp_path / "predictions").rglob("*.jsonl")]
    assert len(sizes) > 10
    assert ids(tmp_path) == [f"r{number:06d}" for number in range(3000)]


def test_many_threads_and_writers_share_a_folder(tmp_path: Path) -> None:
    writers = [start(tmp_path, max_bytes=5000) for _ in range(2)]

    def offer(first: int) -> None:
        for number in range(first, first + 500):
            writers[number % 2].predictions(**prediction(number))

    threads = [threading.Thread(target=offer, args=(500 * place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = [writer.close(60) for writer in writers]
    assert [each.written for each in counts] == [1500, 1500]
    assert ids(tmp_path) == [f"r{number:06d}" for number in range(3000)]
    assert accounts(tmp_path) == {("predictions", "written"): 3000}


def test_an_event_is_what_it_was_when_it_was_offered(events: EventWriter) -> None:
    event = prediction(1)
    events.write("predictions", event)
    event["request_id"] = "changed"
    events.flush(60)
    assert ids(events.folder) == ["r000001"]


class Spiteful(dict[str, object]):
    """A mapping that cannot be read."""

    def keys(self) -> Any:
        raise RuntimeError("no")

    def __iter__(self) -> Any:
        raise RuntimeError("no")


class MuteError(Exception):
    """An exception that cannot even be told."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Sore:
    """A value that raises when it is looked at."""

    def __ne__(self, other: object) -> bool:
        raise MuteError

    def __eq__(self, other: object) -> bool:
        raise MuteError

    __hash__ = None  # type: ignore[assignment]  # that is the point


def test_whatever_is_offered_the_call_returns_and_it_is_counted(events: EventWriter) -> None:
    events.predictions(**prediction(1))
    odd: list[tuple[Any, Any]] = [
        ("predictions", prediction(2, score=7)),
        ("predictions", prediction(2, feature=object())),
        ("predictions", prediction(2, feature=Sore())),
        ("predictions", prediction(2, carrier="\ud800")),
        ("predictions", {}),
        ("predictoins", prediction(3)),
        ([], prediction(3)),
        ("predictions", None),
        ("predictions", 3),
        ("predictions", Spiteful(a=1)),
        ("outcomes", {1: 2}),
    ]
    for table, event in odd:
        events.write(table, event)
    events.flush(60)
    counts = events.counts
    assert (counts.offered, counts.written, counts.dropped, counts.waiting) == (12, 1, 11, 0)
    assert counts.by_reason == {"invalid": 5, "unserialisable": 6}
    assert "toolkit" not in counts.examples["unserialisable"]
    assert ids(events.folder) == ["r000001"]
    assert accounts(events.folder) == {
        ("predictions", "written"): 1,
        ("predictions", "invalid"): 2,
        ("predictions", "unserialisable"): 3,
        ("outcomes", "invalid"): 1,
        ("", "invalid"): 2,
        ("", "unserialisable"): 3,
    }


def test_an_invalid_event_leaves_an_example(events: EventWriter) -> None:
    events.predictions(**prediction(2, score="high"))
    events.flush(60)
    assert events.counts.examples == {"invalid": "predictions: score is 'high' (str), must be a number"}


def test_a_full_queue_drops_and_never_waits(tmp_path: Path) -> None:
    writer = start(tmp_path, queue_events=100)
    with writer._lock:  # the thread waits for it: nothing is written meanwhile
        taken = [writer.predictions(**prediction(number)) for number in range(250)]
    assert taken == [True] * 100 + [False] * 150
    counts = writer.close(60)
    assert (counts.offered, counts.written, counts.by_reason) == (250, 100, {"queue_full": 150})
    assert ids(tmp_path) == [f"r{number:06d}" for number in range(100)]
    assert accounts(tmp_path) == {("predictions", "written"): 100, ("predictions", "queue_full"): 150}


def test_after_the_end_events_are_counted_as_such(tmp_path: Path) -> None:
    with start(tmp_path) as writer:
        writer.predictions(**prediction(1))
    assert writer.predictions(**prediction(2)) is False
    assert writer.close() == writer.counts
    assert (writer.counts.written, writer.counts.by_reason) == (1, {"closed": 1})


def test_a_writer_that_was_never_used_touches_nothing(tmp_path: Path) -> None:
    with start(tmp_path / "events"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_old_files_are_finished_without_being_asked(tmp_path: Path) -> None:
    with start(tmp_path, max_age_s=0) as writer:
        writer.predictions(**prediction(1))
        waiter = threading.Event()
        for _ in range(600):
            if (tmp_path / "deliveries").is_dir() and lines(tmp_path) and lines(tmp_path, "deliveries"):
                break
            waiter.wait(0.1)
        assert ids(tmp_path) == ["r000001"]
        assert accounts(tmp_path) == {("predictions", "written"): 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "parqet"}, "unknown form 'parqet'; allowed: jsonl, parquet. Did you mean 'parquet'?"),
        ({"queue_events": 0}, "queue_events == 0, must be a number of at least 1"),
        ({"max_age_s": -1}, "max_age_s == -1, must be a number of at least 0"),
        ({"features": {"score": "number"}}, "features: 'score' is a column of the contract of predictions"),
    ],
)
def test_a_writer_that_cannot_be_is_refused(tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        start(tmp_path, **options)
    assert str(caught.value) == message


def test_parquet_without_pyarrow_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.data.writer.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError) as caught:
        start(tmp_path, form="parquet")
    assert str(caught.value) == "form == 'parquet' needs pyarrow: pip install pyarrow, or write form='jsonl'"


# --- faults ---


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


def check_sums(told: dict[str, Any], *, offered: int) -> None:
    assert told["offered"] == offered
    assert told["written"] + sum(told["dropped"].values()) + told["waiting"] == offered


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


@pytest.mark.parametrize(("scenario", "code"), [("exits", 0), ("fails", 3)])
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
