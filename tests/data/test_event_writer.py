"""The event writer: what a service offers is in a file or counted, and no fault reaches the service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from event_writing import AT, LATER, accounts, hidden, ids, lines, prediction, start

from conftest import SETTINGS
from toolkit.data import arrow_schema, open_source
from toolkit.data.writer import EventWriter
from toolkit.errors import ArgumentError, MissingExtraError
from toolkit.workspace import open_workspace

LIGHT = """
import json, sys
from datetime import UTC, datetime
from toolkit.data.writer import EventWriter
with EventWriter(sys.argv[1]) as events:
    events.outcomes(request_id="r", observed_at=datetime.now(UTC), label=1)
print(json.dumps([events.counts.written, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


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
