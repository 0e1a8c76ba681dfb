"""Opening, appending and reading; what goes wrong is said in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.digests import canonical_bytes
from toolkit.errors import ArgumentError, LedgerError
from toolkit.ledger import GENESIS, Entry, Ledger, Position, open_ledger, sqlite, verify
from toolkit.windows import parse_instant
from toolkit.workspace import Actor

Append = Callable[..., Entry]


def test_an_entry_comes_back_as_it_was_written(ledger: Ledger, append: Append, path: Path) -> None:
    before = datetime.now(UTC)
    entry = append(payload={"z": 1, "a": ["é", None]}, actor=Actor("ana", "operating_system_user"))
    assert entry.sequence == 1
    assert entry.previous_hash == GENESIS
    assert entry.payload == '{"a":["é",null],"z":1}'.encode()
    assert before <= entry.recorded_at <= datetime.now(UTC)
    assert (entry.actor, entry.assurance) == ("ana", "operating_system_user")
    assert ledger.entries() == [entry]
    with open_ledger(path, create=False) as reading:
        assert reading.entries() == [entry]
        assert reading.position() == Position(1, entry.hash)


def test_each_entry_is_chained_to_the_one_before(ledger: Ledger, five: list[Entry]) -> None:
    assert ledger.entries() == five
    assert [entry.sequence for entry in five] == [1, 2, 3, 4, 5]
    assert [entry.previous_hash for entry in five] == [GENESIS, *(entry.hash for entry in five[:-1])]
    assert ledger.position() == (5, five[-1].hash)


def test_entries_are_chosen_by_kind_subject_limit_and_order(ledger: Ledger, five: list[Entry]) -> None:
    assert ledger.entries(kind="report.kind_2") == [five[1]]
    assert ledger.entries(subject="triage/eta@4") == [five[3]]
    assert ledger.entries(kind="report.kind_2", subject="triage/eta@4") == []
    assert ledger.entries(limit=2) == five[:2]
    assert ledger.entries(limit=2, newest_first=True) == [five[4], five[3]]


def test_subjects_of_a_kind_are_told_without_their_payloads(ledger: Ledger, append: Append) -> None:
    for subject in ("triage/eta@1", "triage/eta@2", "Triage/eta@3", "triage/eta_2@1", "triage/eta%@1", "triage/eta@1"):
        append(subject=subject)
    append(kind="report.refused", subject="triage/eta@9")
    assert ledger.subjects("report.published", prefix="triage/eta@") == {"triage/eta@1", "triage/eta@2"}
    assert ledger.subjects("report.published", prefix="triage/eta_") == {"triage/eta_2@1"}
    assert ledger.subjects("report.published", prefix="triage/eta%") == {"triage/eta%@1"}
    assert len(ledger.subjects("report.published")) == 5
    assert ledger.subjects("report.pruned") == set()
    with pytest.raises(ArgumentError, match="kind == 'published', must be lower-case words"):
        ledger.subjects("published")


def test_entries_are_chosen_by_what_their_payload_holds(
    ledger: Ledger, append: Append, tamper: Callable[..., None]
) -> None:
    looked = append(payload={"parameters": '{"experiment":"eta-v2"}'})
    append(payload={"parameters": '{"model":"eta"}'})
    assert ledger.entries(holding=b"experiment") == [looked]
    assert ledger.entries(holding=b"experiments") == []
    tamper("UPDATE entries SET payload = 'eta' WHERE sequence = 2")
    with pytest.raises(LedgerError, match=r"^entry 2 of the ledger is not in its format \(payload\)"):
        ledger.entries(holding=b"experiment")


def test_as_of_folds_by_the_time_in_the_domain(ledger: Ledger, append: Append) -> None:
    later = append(effective_at=parse_instant("2013-06-01"))
    earlier = append(effective_at=parse_instant("2013-05-01T00:00:00.000001Z"))
    assert ledger.entries(as_of=parse_instant("2013-05-01")) == []
    assert ledger.entries(as_of=parse_instant("2013-05-01T02:00:00.000001+02:00")) == [earlier]
    assert ledger.entries(as_of=parse_instant("2013-06-01")) == [later, earlier]


@pytest.mark.parametrize(
    ("given_values", "said"),
    [
        ({"limit": 0}, "limit == 0, must be a number of at least 1"),
        (
            {"kind": "published"},
            "kind == 'published', must be lower-case words joined by dots, such as 'report.published'",
        ),
        (
            {"as_of": datetime(2013, 5, 1)},  # noqa: DTZ001 - the point of the test
            "as_of == 2013-05-01T00:00:00 has no time zone; give an instant in UTC",
        ),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(ledger: Ledger, given_values: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        ledger.entries(**given_values)
    assert str(raised.value) == said


def test_an_entry_that_is_there_once_is_not_appended_again(ledger: Ledger, append: Append) -> None:
    first = append(payload={"by": "the run"}, once=True)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda number: append(payload={"by": number}, once=True), range(8)))
    assert again == [first] * 8
    other = append(subject="another", once=True)
    assert ledger.entries() == [first, other]
    assert append(payload={"by": "the run"}).sequence == 3  # without `once`, it is


def test_an_entry_is_appended_unless_one_like_it_is_there(ledger: Ledger, append: Append) -> None:
    def append_look(number: int) -> int:
        day = number % 3
        return append(payload={"day": day}, unless=lambda entry: entry.data["day"] == day).sequence

    with ThreadPoolExecutor(4) as pool:
        sequences = list(pool.map(append_look, range(12)))
    assert sorted(entry.data["day"] for entry in ledger.entries()) == [0, 1, 2]
    assert set(sequences) == {1, 2, 3}
    assert append(subject="another", payload={"day": 0}, unless=lambda entry: entry.data["day"] == 0).sequence == 4


def test_a_refused_append_leaves_nothing(ledger: Ledger, append: Append) -> None:
    append()
    position = ledger.position()
    with pytest.raises(ArgumentError):
        append(payload={"lift": 0.5})
    with pytest.raises(ArgumentError):
        append(kind="published")
    assert ledger.position() == position
    assert append().sequence == 2


def test_a_commit_that_fails_leaves_nothing(ledger: Ledger, append: Append, path: Path) -> None:
    append()
    pages = "PRAGMA max_page_count"
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_count").fetchone()[0]
    with sqlite.transaction(ledger._engine) as connection:  # this connection now has a full disk
        connection.exec_driver_sql(f"{pages} = {size}")
    with pytest.raises(LedgerError) as raised:
        append(payload={"text": "x" * 100_000})
    assert str(raised.value) == (
        f"{path} could not be written or read (database or disk is full); see whether the disk is full or failing. "
        "An entry that was not acknowledged is not in the ledger"
    )
    with sqlite.transaction(ledger._engine) as connection:
        connection.exec_driver_sql(f"{pages} = {1_000_000}")
    assert append().sequence == 2
    assert verify(ledger).problems == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with open_ledger(tmp_path_factory.mktemp("shared") / "ledger.sqlite") as opened:
        yield opened


@settings(deadline=None, max_examples=50)  # an append waits for the disk
@given(payload=st.dictionaries(st.text(), JSON))
def test_any_json_without_floats_comes_back_as_the_same_bytes(shared: Ledger, payload: dict[str, Any]) -> None:
    entry = shared.append(
        kind="report.published",
        subject="any",
        payload=payload,
        actor=Actor("ana", "asserted"),
        effective_at=parse_instant("2013-05-01"),
    )
    (stored,) = shared.entries(limit=1, newest_first=True)
    assert stored == entry
    assert stored.payload == canonical_bytes(payload)
    assert stored.data == payload


def test_sqlite_keeps_its_promises(ledger: Ledger, path: Path) -> None:
    with sqlite.transaction(ledger._engine) as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}  # 2: FULL
    ledger.close()
    assert [file.name for file in path.parent.iterdir()] == ["ledger.sqlite"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entries SET actor = 'eve'", "no entry can be changed"),
        ("DELETE FROM entries WHERE sequence = 5", "no entry can be deleted"),
        (
            "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE sequence = 5",
            "an entry can only follow the last one",
        ),
        (  # the first one would go: its previous_hash is unique
            "REPLACE INTO entries SELECT 6, '', '', '', '', '', '', '', previous_hash, '' FROM entries LIMIT 1",
            "an entry can only follow the last one",
        ),
        (
            "INSERT INTO entries SELECT 7, '', '', '', '', '', '', x'', hash, '' FROM entries WHERE sequence = 5",
            "an entry can only follow the last one",
        ),
    ],
)
def test_triggers_guard_against_accidents(five: list[Entry], path: Path, statement: str, said: str) -> None:
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError) as raised:
        connection.execute(statement)
    assert str(raised.value) == f"the ledger is append-only: {said}"
    with open_ledger(path, create=False) as ledger:
        assert ledger.entries() == five


@pytest.mark.parametrize("name", ["a b", "100%", "what?#", "é", "file:x"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "ledger.sqlite"
    with open_ledger(path):
        assert path.is_file()


def test_a_relative_path_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_ledger(Path("ledger.sqlite")) as ledger:
        assert ledger.position() == (0, GENESIS)
    assert (tmp_path / "ledger.sqlite").is_file()


def test_a_ledger_that_is_not_there_reads_as_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "ledger.sqlite"
    with open_ledger(path, create=False) as ledger:
        assert ledger.entries() == []
        assert ledger.position() == (0, GENESIS)
        assert verify(ledger).entries == 0
    assert list(tmp_path.iterdir()) == []


def test_a_creation_that_was_cut_short_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    sqlite.use_write_ahead_log(path)  # the first step of a creation, and the process dies
    with open_ledger(path, create=False) as ledger:
        assert ledger.position() == (0, GENESIS)
    with open_ledger(path) as ledger:
        assert ledger.position() == (0, GENESIS)
    with open_ledger(path, create=False) as ledger:
        assert ledger.entries() == []


def test_reading_writes_nothing(five: list[Entry], ledger: Ledger, path: Path, append: Append) -> None:
    ledger.close()
    before = path.read_bytes()
    with open_ledger(path, create=False) as reading:
        assert verify(reading).entries == 5
        with pytest.raises(LedgerError) as raised:
            reading.append(
                kind="report.published",
                subject="x",
                payload={},
                actor=Actor("ana", "asserted"),
                effective_at=parse_instant("2013-05-01"),
            )
    assert str(raised.value) == f"{path} is open for reading only; open it with create=True to append"
    assert [file.name for file in path.parent.iterdir()] == ["ledger.sqlite"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"these are not the bytes of a database " * 20)
    with pytest.raises(LedgerError) as raised:
        open_ledger(path, create=create)
    assert str(raised.value) == (
        f"{path} is not a ledger: it is no SQLite database. Move it away and restore the ledger from a backup; without "
        "one, a new ledger is made in its place"
    )
    assert path.read_bytes() == b"these are not the bytes of a database " * 20


@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_something_else_is_left_alone(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE plants (name)")
    before = path.read_bytes()
    with pytest.raises(LedgerError) as raised:
        open_ledger(path, create=create)
    assert str(raised.value) == (
        f"{path} is a database, but not a ledger: its tables are plants. Move it away, and a new ledger is made in its "
        "place"
    )
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file stands where the folder should be")
    with pytest.raises(LedgerError) as raised:
        open_ledger(tmp_path / "ledger" / "ledger.sqlite")
    assert str(raised.value) == (
        f"the ledger's folder {tmp_path / 'ledger'} cannot be made (File exists); make it, or see what stands in its "
        "way"
    )


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.mkdir()
    with pytest.raises(LedgerError) as raised:
        open_ledger(path)
    assert str(raised.value) == (
        f"{path} cannot be opened (unable to open database file): the file and its folder must be writable, also to "
        "read it. Change their permissions, or copy the ledger to a folder of your own"
    )


def test_a_file_system_that_is_read_only_is_said(ledger: Ledger, append: Append, path: Path) -> None:
    with sqlite.transaction(ledger._engine) as connection:  # SQLite gives the same answer as for a read-only disk
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match=r"cannot be opened \(attempt to write a readonly database\): the file and"):
        append()
    with sqlite.transaction(ledger._engine) as connection:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
    assert append().sequence == 1


def test_a_lock_held_for_too_long_is_said(path: Path, append: Append, monkeypatch: pytest.MonkeyPatch) -> None:
    append()
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    with open_ledger(path) as waiting, closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError) as raised:
            waiting.append(
                kind="report.published",
                subject="x",
                payload={},
                actor=Actor("ana", "asserted"),
                effective_at=parse_instant("2013-05-01"),
            )
        assert waiting.position().sequence == 1  # reading goes on
    assert str(raised.value) == (
        f"{path} was locked by another program or thread for more than 0.05 s, and nothing was written. Close what "
        "holds it open (a database browser, a backup), then run the command again"
    )


def test_a_thread_that_keeps_the_connection_is_said_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    said = r"was locked by another program or thread for more than 0\.05 s"
    with (
        open_ledger(path) as ledger,
        sqlite.transaction(ledger._engine),
        pytest.raises(LedgerError, match=said),
    ):
        ledger.position()


def test_the_switch_to_write_ahead_logging_waits_its_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            sqlite.use_write_ahead_log(path)
        holder.execute("ROLLBACK")
        sqlite.use_write_ahead_log(path)
        assert holder.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_damaged_file_is_said(path: Path, ledger: Ledger, five: list[Entry]) -> None:
    ledger.close()
    data = bytearray(path.read_bytes())
    at = data.index(b"CREATE TABLE entries")
    data[at : at + 6] = b"\xff" * 6
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite is damaged \(.*\); restore it from a backup"):
        open_ledger(path)


def test_importing_the_room_is_light(path: Path, ledger: Ledger, start_python: Callable[..., Any]) -> None:
    """SQLAlchemy only when a ledger is opened, Alembic only when its schema is not the newest."""
    ledger.close()
    code = (
        "import sys, pathlib, toolkit.ledger as room\n"
        "heavy = lambda: sorted({'sqlalchemy', 'alembic', 'pydantic'} & set(sys.modules))\n"
        "print(heavy())\n"
        "room.open_ledger(pathlib.Path(sys.argv[1])).close()\n"
        "print(heavy())\n"
    )
    printed, _ = start_python(code, path).communicate()
    assert printed.splitlines() == ["[]", "['sqlalchemy']"]
