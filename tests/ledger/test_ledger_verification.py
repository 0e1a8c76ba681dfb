"""Every way to change a ledger behind its back is found, and named as far as it can be."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from toolkit.errors import LedgerError
from toolkit.ledger import GENESIS, Entry, Ledger, Position, Verification, open_ledger, verify
from toolkit.ledger.chain import COLUMNS, hash_row
from toolkit.ledger.sqlite import DamagedLedgerError
from toolkit.windows import parse_instant
from toolkit.workspace import Actor

Append = Callable[..., Entry]
Tamper = Callable[..., None]

OTHER_HASH = "sha256:" + "ab" * 32
CONTENTS = "recorded_at, effective_at, actor, assurance, kind, subject or payload"


def test_a_good_ledger_has_no_problem(ledger: Ledger, five: list[Entry]) -> None:
    found = verify(ledger)
    assert found == Verification(5)
    assert found.passed
    for entry in five:
        assert verify(ledger, expected=Position(entry.sequence, entry.hash)).passed
    assert verify(ledger, expected=Position(0, GENESIS)).passed


def test_an_empty_ledger_has_no_problem(ledger: Ledger) -> None:
    assert verify(ledger) == Verification(0)


WELL_FORMED = {
    "recorded_at": "2026-01-03T00:00:00.000001Z",
    "effective_at": "2013-05-03T00:00:00.000001Z",
    "actor": "eve",
    "assurance": "signed",
    "kind": "report.refused",
    "subject": "triage/eta@33",
    "payload": b'{"number":4}',
}
MALFORMED = {
    "recorded_at": "2026-01-03T00:00:00Z",
    "effective_at": "yesterday",
    "actor": "",
    "assurance": "sworn",
    "kind": "Report",
    "subject": b"triage/eta@3",
    "payload": '{"number":3}',  # the same characters, as text: what an UPDATE by hand stores
    "previous_hash": "",
    "hash": "sha256:ab",
}


@pytest.mark.parametrize("column", WELL_FORMED)
@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_a_changed_value_is_found(
    ledger: Ledger, five: list[Entry], tamper: Tamper, column: str, sequence: int
) -> None:
    tamper(f"UPDATE entries SET {column} = ? WHERE sequence = ?", WELL_FORMED[column], sequence)
    or_hash = ", or the hash itself," if sequence == 5 else ""
    assert verify(ledger).problems == (f"entry {sequence}: the hash does not fit: {CONTENTS}{or_hash} was changed",)


@pytest.mark.parametrize("column", MALFORMED)
def test_a_value_that_is_never_written_is_named(ledger: Ledger, five: list[Entry], tamper: Tamper, column: str) -> None:
    tamper(f"UPDATE entries SET {column} = ? WHERE sequence = 3", MALFORMED[column])
    assert verify(ledger).problems == (f"entry 3: {column}: not a value that the ledger writes",)


def test_bytes_that_are_no_text_are_named(ledger: Ledger, five: list[Entry], tamper: Tamper) -> None:
    tamper("UPDATE entries SET actor = CAST(x'ff' AS TEXT) WHERE sequence = 3")
    assert verify(ledger).problems == ("entry 3: actor: not a value that the ledger writes",)


@pytest.mark.parametrize("sequence", [1, 3, 5])
def test_a_changed_previous_hash_is_named(ledger: Ledger, five: list[Entry], tamper: Tamper, sequence: int) -> None:
    tamper("UPDATE entries SET previous_hash = ? WHERE sequence = ?", OTHER_HASH, sequence)
    assert verify(ledger).problems == (
        f"entry {sequence}: previous_hash was changed; the other columns are as they were written",
    )


@pytest.mark.parametrize("sequence", [1, 3])
def test_a_changed_hash_is_named(ledger: Ledger, five: list[Entry], tamper: Tamper, sequence: int) -> None:
    tamper("UPDATE entries SET hash = ? WHERE sequence = ?", OTHER_HASH, sequence)
    assert verify(ledger, expected=Position(5, five[4].hash)).problems == (
        f"entry {sequence}: hash was changed; the other columns are as they were written",
    )


def test_a_changed_last_hash_is_found(ledger: Ledger, five: list[Entry], tamper: Tamper) -> None:
    tamper("UPDATE entries SET hash = ? WHERE sequence = 5", OTHER_HASH)
    assert verify(ledger).problems == (f"entry 5: the hash does not fit: {CONTENTS}, or the hash itself, was changed",)


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        (5, 9, ["entries 5 to 8 are missing", "entry 9: sequence was changed; it was written as entry 5"]),
        (
            3,
            9,
            [
                "entry 3 is missing",
                "entries 6 to 8 are missing",
                "entry 9: sequence was changed; it was written as entry 3",
            ],
        ),
        (1, 0, ["entry 0: sequence was changed; the numbers are 1, 2, 3 …", "entry 1 is missing"]),
    ],
)
def test_a_changed_sequence_is_named(
    ledger: Ledger, five: list[Entry], tamper: Tamper, old: int, new: int, problems: list[str]
) -> None:
    tamper("UPDATE entries SET sequence = ? WHERE sequence = ?", new, old)
    assert verify(ledger).problems == tuple(problems)


def test_every_column_is_tampered_with_above() -> None:
    assert set(COLUMNS) == set(WELL_FORMED) | {"sequence", "previous_hash", "hash"}


@pytest.mark.parametrize(
    ("where", "problem"), [("sequence = 3", "entry 3 is missing"), ("sequence IN (1, 2)", "entries 1 to 2 are missing")]
)
def test_deleted_rows_are_found(ledger: Ledger, five: list[Entry], tamper: Tamper, where: str, problem: str) -> None:
    tamper(f"DELETE FROM entries WHERE {where}")
    assert verify(ledger).problems == (problem,)


def test_a_deletion_closed_up_is_found(ledger: Ledger, five: list[Entry], tamper: Tamper) -> None:
    tamper("DELETE FROM entries WHERE sequence = 3")
    tamper("UPDATE entries SET sequence = 3 WHERE sequence = 4")
    tamper("UPDATE entries SET sequence = 4 WHERE sequence = 5")
    moved = "the row was changed or moved; its hash does not fit its other columns"
    assert verify(ledger).problems == (
        f"entry 3: {moved}",
        f"entry 4: the hash does not fit: {CONTENTS}, or the hash itself, was changed",
    )


def test_swapped_rows_are_found(ledger: Ledger, five: list[Entry], tamper: Tamper) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        tamper("UPDATE entries SET sequence = ? WHERE sequence = ?", new, old)
    moved = "the row was changed or moved; its hash does not fit its other columns"
    assert verify(ledger).problems == (
        f"entry 2: {moved}",
        f"entry 3: {moved}",
        "entry 4: previous_hash is not the hash of entry 3; one of them was rewritten",
    )


def test_a_cut_tail_is_found_with_an_anchor_only(ledger: Ledger, five: list[Entry], tamper: Tamper) -> None:
    anchor = ledger.position()
    tamper("DELETE FROM entries WHERE sequence > 3")
    assert verify(ledger).problems == ()  # a chain cannot see it: the docstring says so
    assert verify(ledger, expected=anchor).problems == (
        (
            "the ledger ends at entry 3, and the anchor names entry 5: its tail was cut off, or the file was replaced "
            "by an older one"
        ),
    )


def rewrite(path: Path, sequence: int, **changed: Any) -> None:
    """Change one row and give it a hash that fits, as a forger who knows the rule would."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM entries WHERE sequence = ?", [sequence]).fetchone()) | changed
        row["hash"] = hash_row(row)
        columns = ", ".join(f"{name} = :{name}" for name in row)
        connection.execute(f"UPDATE entries SET {columns} WHERE sequence = :sequence", row)
        connection.commit()


def test_a_rewritten_row_breaks_the_next_link(ledger: Ledger, five: list[Entry], tamper: Tamper, path: Path) -> None:
    tamper("SELECT 1")
    rewrite(path, 3, actor="eve")
    assert verify(ledger).problems == ("entry 4: previous_hash is not the hash of entry 3; one of them was rewritten",)


def test_a_rewritten_end_is_found_with_an_anchor_only(
    ledger: Ledger, five: list[Entry], tamper: Tamper, path: Path
) -> None:
    anchor = ledger.position()
    tamper("SELECT 1")
    rewrite(path, 5, actor="eve")
    assert verify(ledger).problems == ()
    assert verify(ledger, expected=anchor).problems == (
        "entry 5: its hash is not the one of the anchor: the ledger was rewritten at or before it",
    )


def test_an_anchor_that_no_ledger_can_have_is_said(ledger: Ledger) -> None:
    assert verify(ledger, expected=Position(0, OTHER_HASH)).problems == (
        f"the anchor names entry 0 with hash {OTHER_HASH}, which no ledger has",
    )


def test_a_clock_that_was_set_back_is_a_note(ledger: Ledger, append: Append) -> None:
    append(recorded_at=parse_instant("2026-01-02"))
    entry = append(recorded_at=parse_instant("2026-01-01"))
    append(recorded_at=parse_instant("2026-01-01"))
    assert entry.recorded_at == parse_instant("2026-01-01")  # nothing is lost, and nothing made up
    assert verify(ledger) == Verification(
        3,
        (),
        (
            (
                "entry 2: recorded_at 2026-01-01T00:00:00.000000Z is before that of the entry before it "
                "(2026-01-02T00:00:00.000000Z): the clock was set back"
            ),
        ),
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Entry], Path]:
    """The bytes of a ledger of twelve entries, the entries, and a folder to put copies in."""
    folder = tmp_path_factory.mktemp("good")
    with open_ledger(folder / "ledger.sqlite") as ledger:
        for number in range(12):
            ledger.append(
                kind="report.published",
                subject=f"triage/été@{number}",
                payload={"number": number, "text": "ü" * 20},
                actor=Actor("ana", "asserted"),
                effective_at=parse_instant("2013-05-01"),
            )
        entries = ledger.entries()
    return (folder / "ledger.sqlite").read_bytes(), entries, folder


@settings(deadline=None)
@given(
    column=st.sampled_from([name for name in COLUMNS if name != "sequence"]),
    sequence=st.integers(1, 12),
    value=st.text() | st.binary() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
)
def test_any_other_value_in_any_row_is_found(
    good: tuple[bytes, list[Entry], Path], column: str, sequence: int, value: object
) -> None:
    data, _, folder = good
    copy = folder / "tampered.sqlite"
    copy.write_bytes(data)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DROP TRIGGER entries_refuse_update")
        try:
            connection.execute(f"UPDATE entries SET {column} = ? WHERE sequence = ?", [value, sequence])
        except UnicodeEncodeError:  # SQLite takes no lone surrogates
            assume(False)
        connection.commit()
    with open_ledger(copy, create=False) as ledger:
        (problem, *_) = verify(ledger).problems
    assert problem.startswith(f"entry {sequence}: ")
    assert column in problem


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_flipped_byte_is_found_or_changes_no_entry(good: tuple[bytes, list[Entry], Path], seed: int) -> None:
    data, entries, folder = good
    draw = random.Random(seed)
    flipped = bytearray(data)
    flipped[draw.choice([at for at, byte in enumerate(data) if byte])] ^= draw.randrange(1, 256)
    copy = folder / "flipped.sqlite"
    copy.write_bytes(flipped)
    try:
        with open_ledger(copy, create=False) as ledger:
            passed = verify(ledger, expected=Position(12, entries[-1].hash)).passed
            read = ledger.entries() if passed else None
    except LedgerError:
        return  # found, and said so
    assert read in (None, entries)


def test_damage_while_reading_is_a_problem(
    good: tuple[bytes, list[Entry], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, entries, folder = good
    copy = folder / "damaged.sqlite"
    copy.write_bytes(data)
    with open_ledger(copy, create=False) as ledger:
        rows = [entry.to_row() for entry in entries[:3]]

        def stored_rows() -> Any:
            yield from rows
            raise DamagedLedgerError("the file is damaged")

        monkeypatch.setattr(ledger, "stored_rows", stored_rows)
        found = verify(ledger)
    assert found.problems == ("after entry 2: the file is damaged",)


def test_a_lock_is_an_error_and_no_problem(ledger: Ledger, five: list[Entry], monkeypatch: pytest.MonkeyPatch) -> None:
    def stored_rows() -> Any:
        yield five[0].to_row()
        raise LedgerError("the file was locked")

    monkeypatch.setattr(ledger, "stored_rows", stored_rows)
    with pytest.raises(LedgerError, match="the file was locked"):
        verify(ledger)
