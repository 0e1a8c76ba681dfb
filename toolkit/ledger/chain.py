"""The row of the ledger and the rule that chains one row to the next.

The hash of a row is SHA-256 over three parts, written one after the other:

1. the header: the canonical JSON (`toolkit.digests.canonical_bytes`) of an object with the columns `sequence`,
   `recorded_at`, `effective_at`, `actor`, `assurance`, `kind`, `subject`, `previous_hash`, exactly as they are stored;
2. one line feed (JSON text holds no raw line feed, so the header's end is never in doubt);
3. the payload: its stored bytes, to the end.

It is written `sha256:` and 64 hexadecimal digits. `previous_hash` of entry 1 is `GENESIS`. Instants are stored as text
in UTC with six decimals (`2013-05-01T00:00:00.000000Z`): what is stored is what is hashed, and text order is time
order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.checks import check_in
from toolkit.digests import canonical_bytes, digest_bytes
from toolkit.errors import ArgumentError, LedgerError

if TYPE_CHECKING:  # the workspace brings pydantic, and `import toolkit.ledger` stays light
    from toolkit.workspace import Actor

GENESIS = "sha256:" + "0" * 64
"""`previous_hash` of the first entry: no bytes are known that hash to it."""

ASSURANCES = ("asserted", "operating_system_user", "signed")
HEADER = ("sequence", "recorded_at", "effective_at", "actor", "assurance", "kind", "subject", "previous_hash")
COLUMNS = (*HEADER[:-1], "payload", "previous_hash", "hash")

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
# One line of text that every database can store: no control characters, line separators or lone surrogates.
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Position(NamedTuple):
    """How far a ledger has come: the last sequence and its hash; `(0, GENESIS)` for an empty one."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class Entry:
    """One row of the ledger.

    Attributes
    ----------
    sequence: 1, 2, 3 … without gaps.
    recorded_at: the clock when it was written, UTC.
    effective_at: the time in the domain that it speaks of, UTC.
    actor, assurance: who, and how sure that is: `asserted`, `operating_system_user` or `signed`.
    kind, subject: what happened, to what.
    payload: the very bytes that were hashed, canonical JSON of an object.
    previous_hash, hash: the links of the chain.
    """

    sequence: int
    recorded_at: datetime
    effective_at: datetime
    actor: str
    assurance: str
    kind: str
    subject: str
    payload: bytes
    previous_hash: str
    hash: str

    @property
    def data(self) -> dict[str, Any]:
        """The payload, parsed."""
        parsed: dict[str, Any] = json.loads(self.payload)
        return parsed

    def to_row(self) -> dict[str, Any]:
        """The columns as they are stored."""
        return asdict(self) | {
            "recorded_at": stamp(self.recorded_at, name="recorded_at"),
            "effective_at": stamp(self.effective_at, name="effective_at"),
        }

    def to_dict(self) -> dict[str, Any]:
        """The columns as JSON types, the payload parsed."""
        return self.to_row() | {"payload": self.data}


def stamp(instant: datetime, *, name: str) -> str:
    """An instant as the ledger stores it: UTC, six decimals, `Z`.

    >>> stamp(datetime(2013, 5, 1, tzinfo=UTC), name="effective_at")
    '2013-05-01T00:00:00.000000Z'
    """
    if instant.tzinfo is None:
        raise ArgumentError(f"{name} == {instant.isoformat()} has no time zone; give an instant in UTC")
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def check_kind(kind: str) -> str:
    """Return `kind` if it is two or more lower-case words joined by dots."""
    if not _KIND.fullmatch(kind):
        raise ArgumentError(f"kind == {kind!r}, must be lower-case words joined by dots, such as 'report.published'")
    return kind


def payload_bytes(payload: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed and stored; raises `ArgumentError` for what has no canonical JSON, floats above all."""
    try:
        return canonical_bytes(dict(payload))
    except (ArgumentError, TypeError, UnicodeEncodeError, RecursionError) as err:
        raise ArgumentError(f"the payload cannot be recorded: {err}") from None


def seal(
    last: Position,
    *,
    recorded_at: datetime,
    effective_at: datetime,
    actor: Actor,
    kind: str,
    subject: str,
    payload: bytes,
) -> Entry:
    """The entry that follows `last`, hashed.

    Raises `ArgumentError` for a value the ledger does not hold, `LedgerError` when nothing can follow `last`.
    """
    if last.sequence < 0 or not _IS_SOUND["hash"](last.hash):
        raise LedgerError(
            f"entry {last.sequence}, the last of the ledger, was damaged, so none can follow it; "
            "'toolkit ledger verify' checks every entry. Restore the ledger from a backup"
        )
    check_in(actor.assurance, ASSURANCES, noun="assurance", error=ArgumentError)
    for name, text in (("actor", actor.name), ("subject", subject)):
        if not _LINE.fullmatch(text):
            raise ArgumentError(f"{name} == {text!r}, must be one line of text, not empty")
    row = {
        "sequence": last.sequence + 1,
        "recorded_at": stamp(recorded_at, name="recorded_at"),
        "effective_at": stamp(effective_at, name="effective_at"),
        "actor": actor.name,
        "assurance": actor.assurance,
        "kind": check_kind(kind),
        "subject": subject,
        "payload": payload,
        "previous_hash": last.hash,
    }
    return read_entry(row | {"hash": hash_row(row)})


def hash_row(row: Mapping[str, Any]) -> str:
    """The hash of a row as it is stored, by the rule at the top of this module."""
    header = canonical_bytes({name: row[name] for name in HEADER})
    return digest_bytes(header + b"\n" + row["payload"])


def read_entry(row: Mapping[str, Any]) -> Entry:
    """The entry in a stored row. Raises `LedgerError` naming the columns that are not in the ledger's format."""
    wrong = malformed_columns(row)
    if wrong:
        raise LedgerError(
            f"entry {row['sequence']} of the ledger is not in its format ({', '.join(wrong)}), so it was changed after "
            "it was written; 'toolkit ledger verify' checks every entry"
        )
    instants = {name: datetime.fromisoformat(row[name]) for name in ("recorded_at", "effective_at")}
    return Entry(**(dict(row) | instants))


def malformed_columns(row: Mapping[str, Any]) -> list[str]:
    """The columns whose stored value is not one that the ledger ever writes."""
    return [name for name in COLUMNS if not _IS_SOUND[name](row[name])]


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_instant(value: Any) -> bool:
    if not isinstance(value, str) or not _STAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:  # the shape of an instant, but no such day or hour
        return False
    return True


def _is_canonical_object(value: Any) -> bool:
    if not isinstance(value, bytes):
        return False
    try:
        data = json.loads(value)
        return isinstance(data, dict) and canonical_bytes(data) == value
    except (ValueError, RecursionError):  # not JSON or UTF-8, floats in it, nested beyond what is ever written
        return False


_IS_SOUND: dict[str, Callable[[Any], bool]] = {
    "sequence": lambda value: isinstance(value, int) and value >= 1,
    "recorded_at": _is_instant,
    "effective_at": _is_instant,
    "actor": _matches(_LINE),
    "assurance": lambda value: value in ASSURANCES,
    "kind": _matches(_KIND),
    "subject": _matches(_LINE),
    "payload": _is_canonical_object,
    "previous_hash": _matches(_HASH),
    "hash": _matches(_HASH),
}
