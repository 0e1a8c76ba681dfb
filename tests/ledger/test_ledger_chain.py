"""The row and the rule of its hash, recomputed here without the toolkit."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ArgumentError, LedgerError
from toolkit.ledger import GENESIS, Entry, Ledger, Position
from toolkit.ledger.chain import ASSURANCES, COLUMNS, hash_row, malformed_columns, payload_bytes, read_entry, seal
from toolkit.windows import parse_instant
from toolkit.workspace import Actor

AT = parse_instant("2013-05-01")


START = Position(0, GENESIS)


def seal_one(last: Position = START, **given_values: Any) -> Entry:
    values: dict[str, Any] = {
        "recorded_at": parse_instant("2026-01-02T03:04:05.678Z"),
        "effective_at": AT,
        "actor": Actor("ana", "asserted"),
        "kind": "report.published",
        "subject": "triage/eta@1",
        "payload": b"{}",
    }
    return seal(last, **(values | given_values))


def test_one_row_has_the_hash_of_the_written_rule(ledger: Ledger, append: Callable[..., Entry], path: Path) -> None:
    append()
    entry = append(subject="triage/été@2", payload={"b": [1, None, True], "a": "naïve\n"})
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM entries WHERE sequence = 2").fetchone())
    assert tuple(row) == COLUMNS
    payload, own_hash = row.pop("payload"), row.pop("hash")
    assert payload == '{"a":"naïve\\n","b":[1,null,true]}'.encode()
    header = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert own_hash == "sha256:" + hashlib.sha256(header + b"\n" + payload).hexdigest() == entry.hash


def test_the_row_format_is_final() -> None:
    # printf '%s\n%s' "$header" '{"n":1}' | sha256sum, where header is the line below: a ledger written today is
    # verified by every later toolkit, so this number never changes.
    header = (
        '{"actor":"ana","assurance":"asserted","effective_at":"2013-05-01T00:00:00.000000Z","kind":"report.published",'
        '"previous_hash":"sha256:0000000000000000000000000000000000000000000000000000000000000000",'
        '"recorded_at":"2026-01-02T03:04:05.678000Z","sequence":1,"subject":"triage/eta@1"}'
    )
    entry = seal_one(payload=b'{"n":1}')
    assert entry.hash == "sha256:eb0b68ab2e83a79c4527a7147350bf9b69c9d6a6217c888f2c95ea3969549474"
    assert entry.hash == "sha256:" + hashlib.sha256(header.encode() + b'\n{"n":1}').hexdigest()


def test_what_moves_between_columns_changes_the_hash() -> None:
    hashes = {
        seal_one(subject="ab", actor=Actor("c", "asserted")).hash,
        seal_one(subject="a", actor=Actor("bc", "asserted")).hash,
        seal_one(subject='a","x":"', actor=Actor("bc", "asserted")).hash,
    }
    assert len(hashes) == 3


def test_instants_are_read_back_from_what_was_hashed() -> None:
    zone = timezone(timedelta(hours=2))
    entry = seal_one(effective_at=datetime(2013, 5, 1, 2, 0, 0, 7, tzinfo=zone))
    assert entry.to_row()["effective_at"] == "2013-05-01T00:00:00.000007Z"
    assert entry.effective_at == datetime(2013, 5, 1, 2, 0, 0, 7, tzinfo=zone)
    assert entry.effective_at.utcoffset() == timedelta(0)


def test_to_dict_is_json() -> None:
    entry = seal_one(payload=b'{"n":1}')
    shown = json.loads(json.dumps(entry.to_dict()))
    assert tuple(shown) == COLUMNS
    assert shown["payload"] == {"n": 1} == entry.data
    assert shown["recorded_at"] == "2026-01-02T03:04:05.678000Z"


def test_assurances_are_those_of_an_actor() -> None:
    assert get_args(get_type_hints(Actor)["assurance"]) == ASSURANCES


@pytest.mark.parametrize(
    "kind", ["report", "Report.published", "report.", ".published", "report published", "report.1"]
)
def test_a_kind_is_lower_case_words_joined_by_dots(kind: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        seal_one(kind=kind)
    assert str(raised.value) == (
        f"kind == {kind!r}, must be lower-case words joined by dots, such as 'report.published'"
    )


@pytest.mark.parametrize("text", ["", "two\nlines", "nul\x00", "half \ud800"])
@pytest.mark.parametrize("name", ["actor", "subject"])
def test_actor_and_subject_are_one_line(name: str, text: str) -> None:
    values: dict[str, Any] = {"subject": text} if name == "subject" else {"actor": Actor(text, "asserted")}
    with pytest.raises(ArgumentError) as raised:
        seal_one(**values)
    assert str(raised.value) == f"{name} == {text!r}, must be one line of text, not empty"


def test_an_unknown_assurance_is_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        seal_one(actor=Actor("ana", "sined"))
    assert str(raised.value) == (
        "unknown assurance 'sined'; allowed: asserted, operating_system_user, signed. Did you mean 'signed'?"
    )


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ArgumentError) as raised:
        seal_one(effective_at=datetime(2013, 5, 1))  # noqa: DTZ001 - the point of the test
    assert str(raised.value) == "effective_at == 2013-05-01T00:00:00 has no time zone; give an instant in UTC"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (
            {"lift": {"mean": 0.1}},
            "value.lift.mean == 0.1: floats have no one canonical text; write the number as a decimal string",
        ),
        ({"at": AT}, "Object of type datetime is not JSON serializable"),
        (
            {"text": "half \ud800"},
            "'utf-8' codec can't encode character '\\ud800' in position 14: surrogates not allowed",
        ),
    ],
)
def test_a_payload_without_canonical_json_is_refused(payload: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        payload_bytes(payload)
    assert str(raised.value) == f"the payload cannot be recorded: {said}"


def test_nothing_follows_a_damaged_hash() -> None:
    with pytest.raises(LedgerError) as raised:
        seal_one(Position(7, "rubbish"))
    assert str(raised.value) == (
        "entry 7, the last of the ledger, was damaged, so none can follow it; 'toolkit ledger verify' checks every "
        "entry. Restore the ledger from a backup"
    )


def test_a_row_out_of_format_is_not_read() -> None:
    row = seal_one().to_row() | {"actor": "", "payload": b'{"a": 1}'}
    with pytest.raises(LedgerError) as raised:
        read_entry(row)
    assert str(raised.value) == (
        "entry 1 of the ledger is not in its format (actor, payload), so it was changed after it was written; "
        "'toolkit ledger verify' checks every entry"
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sequence", 0),
        ("sequence", "1"),
        ("recorded_at", "2013-05-01T00:00:00Z"),
        ("recorded_at", "2013-02-30T00:00:00.000000Z"),
        ("effective_at", "2013-05-01T00:00:00.000000+00:00"),
        ("actor", b"ana"),
        ("assurance", "sure"),
        ("kind", "published"),
        ("subject", None),
        ("payload", "{}"),
        ("payload", b"[]"),
        ("payload", b"{"),
        ("payload", b"\xff"),
        ("payload", b'{"a":0.5}'),
        ("payload", b'{"a":NaN}'),
        ("payload", b'{"a":1,"a":1}'),
        ("payload", b'{"a":"\\u00e9"}'),
        ("payload", b'{"a":"\\ud800"}'),
        ("payload", b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
        ("previous_hash", "sha256:0"),
        ("hash", "SHA256:" + "0" * 64),
    ],
)
def test_a_value_the_ledger_never_writes_is_malformed(column: str, value: object) -> None:
    row = seal_one().to_row()
    assert malformed_columns(row) == []
    assert malformed_columns(row | {column: value}) == [column]


LINES = st.text(min_size=1).filter(lambda text: text.isprintable())


@given(
    actor=LINES,
    subject=LINES,
    assurance=st.sampled_from(ASSURANCES),
    instants=st.tuples(*[st.datetimes(timezones=st.just(AT.tzinfo))] * 2),
)
def test_a_sealed_row_is_in_format_and_reads_back(
    actor: str, subject: str, assurance: Any, instants: tuple[datetime, datetime]
) -> None:
    entry = seal_one(actor=Actor(actor, assurance), subject=subject, recorded_at=instants[0], effective_at=instants[1])
    assert malformed_columns(entry.to_row()) == []
    assert read_entry(entry.to_row()) == entry
    assert hash_row(entry.to_row()) == entry.hash
    assert (entry.recorded_at, entry.effective_at) == instants
