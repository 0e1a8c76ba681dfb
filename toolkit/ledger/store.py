"""Opening a ledger, appending to it and reading it.

The statements are SQLAlchemy Core without a dialect. What is SQLite's own (one file, write-ahead logging where the file
system allows it, every commit on the disk before `append` returns, one writer at a time) is in `sqlite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from toolkit.checks import check_at_least
from toolkit.errors import LedgerError
from toolkit.ledger import sqlite
from toolkit.ledger.chain import GENESIS, Entry, Position, check_kind, payload_bytes, read_entry, seal, stamp

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from toolkit.workspace import Actor

_ROWS_AT_A_TIME = 1000  # reading a ledger of any length takes a few megabytes


class Ledger:
    """An open ledger; `open_ledger` makes one. Every method raises `LedgerError` when the file fails it.

    Several processes and threads may append at once: each append takes its turn.
    """

    def __init__(self, path: Path, engine: Engine, *, read_only: bool) -> None:
        self.path = path
        self._engine = engine
        self._read_only = read_only

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def append(
        self,
        *,
        kind: str,
        subject: str,
        payload: Mapping[str, Any],
        actor: Actor,
        effective_at: datetime,
        recorded_at: datetime | None = None,
        once: bool = False,
        unless: Callable[[Entry], bool] | None = None,
    ) -> Entry:
        """Add one entry behind the last one; when this returns, it is on the disk, and if it raises, nothing is.

        `recorded_at` is the clock unless given. A clock that was set back is recorded as it is, so that nothing is lost
        or made up: the order of events is `sequence`, and `verify` notes the step.

        Parameters
        ----------
        kind: dotted lower-case words, such as `report.published`.
        subject: what it happened to; one line.
        payload: an object of JSON values without floats (write a number as a decimal string).
        actor: who, with the assurance of it.
        effective_at: the time in the domain.
        once: append nothing, and return the first one, if there is an entry of this kind on this subject already;
            whoever asks at the same moment, one entry comes of it.
        unless: the same with a condition: append nothing if it holds for an entry of this kind on this subject.

        Raises `ArgumentError` for a value the ledger does not hold, and `LedgerError`.
        """
        if self._read_only:
            raise LedgerError(f"{self.path} is open for reading only; open it with create=True to append")
        from toolkit.ledger.schema import ENTRIES, ROWS

        data = payload_bytes(payload)
        with self._transaction(write=True) as connection:
            if once or unless is not None:
                same = ROWS.where(ENTRIES.c.kind == check_kind(kind)).where(ENTRIES.c.subject == subject)
                for row in connection.execute(same.order_by(ENTRIES.c.sequence)):
                    entry = read_entry(row._asdict())
                    if once or (unless is not None and unless(entry)):
                        return entry
            entry = seal(
                _last(connection),
                recorded_at=recorded_at or datetime.now(UTC),  # inside the lock: clock order is sequence order
                effective_at=effective_at,
                actor=actor,
                kind=kind,
                subject=subject,
                payload=data,
            )
            connection.execute(ENTRIES.insert().values(entry.to_row()))
        return entry

    def entries(
        self,
        *,
        as_of: datetime | None = None,
        kind: str | None = None,
        subject: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        holding: bytes = b"",
    ) -> list[Entry]:
        """The entries in order of sequence, or the newest first.

        Parameters
        ----------
        as_of: only those with `effective_at <= as_of`.
        kind, subject: only those of this kind, on this subject.
        after: only those behind this sequence.
        limit: at most so many, counted from the end that comes first.
        holding: of those, only the ones with these bytes in the payload; the others are not parsed, which is most of
            the time that a long ledger takes.

        Raises `ArgumentError`, and `LedgerError` for a row that is not in the ledger's format.
        """
        from toolkit.ledger.schema import ENTRIES, ROWS

        query = ROWS.order_by(ENTRIES.c.sequence.desc() if newest_first else ENTRIES.c.sequence)
        if as_of is not None:
            query = query.where(ENTRIES.c.effective_at <= stamp(as_of, name="as_of"))
        if kind is not None:
            query = query.where(ENTRIES.c.kind == check_kind(kind))
        if subject is not None:
            query = query.where(ENTRIES.c.subject == subject)
        if after is not None:
            query = query.where(ENTRIES.c.sequence > after)
        if limit is not None:
            query = query.limit(int(check_at_least("limit", limit, 1)))
        with self._transaction() as connection:
            rows = connection.execute(query)
            # What is no bytes was overwritten by someone: `read_entry` says so.
            return [
                read_entry(row._asdict())
                for row in rows
                if not isinstance(row.payload, bytes) or holding in row.payload
            ]

    def subjects(self, kind: str, *, prefix: str = "") -> set[str]:
        """What the entries of a kind are on, or those of it that begin with `prefix`; no payload is read."""
        from sqlalchemy import select

        from toolkit.ledger.schema import ENTRIES

        query = select(ENTRIES.c.subject).where(ENTRIES.c.kind == check_kind(kind))
        if prefix:
            query = query.where(ENTRIES.c.subject.startswith(prefix, autoescape=True))
        with self._transaction() as connection:
            found = connection.execute(query).scalars()
            return {subject for subject in found if subject.startswith(prefix)}  # SQLite's LIKE does not mind case

    def position(self) -> Position:
        """The last sequence and its hash: publish it elsewhere, and `verify` finds a tail that was cut off."""
        with self._transaction() as connection:
            return _last(connection)

    def stored_rows(self) -> Generator[dict[str, Any], None, None]:
        """Every row as it is stored, unchecked, in order of sequence: what `verify` reads."""
        from toolkit.ledger.schema import ENTRIES, ROWS

        with self._transaction() as connection:
            result = connection.execution_options(yield_per=_ROWS_AT_A_TIME).execute(ROWS.order_by(ENTRIES.c.sequence))
            for row in result:
                yield row._asdict()

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[Connection]:
        with sqlite.explained(self.path), sqlite.transaction(self._engine, write=write) as connection:
            yield connection


def open_ledger(path: Path, *, create: bool = True) -> Ledger:
    """Open the ledger at `path`; use it in a `with` statement.

    It is created or upgraded when that is needed. With `create=False` it is only read, nothing is written, and a ledger
    that is not there yet reads as an empty one: `ledger log` in a new workspace has nothing to show, and that is no
    error. (`verify` with an anchor tells a lost ledger from a new one.)

    Raises `LedgerError`, saying what to do: not a ledger, written by a newer toolkit, damaged, folder not writable,
    locked for more than 30 seconds.
    """
    with sqlite.explained(path):
        if not create and not path.exists():
            return Ledger(path, sqlite.empty_engine(), read_only=True)
        if create:
            _make_folder(path.parent)
        engine = sqlite.file_engine(path, read_only=not create)
        try:
            with sqlite.transaction(engine) as connection:
                revision = _revision(connection, path)
            if revision is None and not create:  # a file whose creation was cut short
                engine.dispose()
                engine = sqlite.empty_engine()
            elif _is_behind(revision, path):
                _upgrade(engine, path, create=create)
        except BaseException:
            engine.dispose()
            raise
        return Ledger(path, engine, read_only=not create)


def _last(connection: Connection) -> Position:
    from sqlalchemy import select

    from toolkit.ledger.schema import ENTRIES

    query = select(ENTRIES.c.sequence, ENTRIES.c.hash).order_by(ENTRIES.c.sequence.desc()).limit(1)
    row = connection.execute(query).first()
    return Position(row.sequence, row.hash) if row else Position(0, GENESIS)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise LedgerError(
            f"the ledger's folder {folder} cannot be made ({err.strerror}); make it, or see what stands in its way"
        ) from err


def _revision(connection: Connection, path: Path) -> str | None:
    """The schema revision in the database, asked in plain SQL; None if there is nothing in it."""
    from sqlalchemy import inspect, text

    tables = sorted(inspect(connection).get_table_names())
    if not tables:
        return None
    if not {"alembic_version", "entries"} <= set(tables):
        raise LedgerError(
            f"{path} is a database, but not a ledger: its tables are {', '.join(tables)}. Move it away, and a new "
            "ledger is made in its place"
        )
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _is_behind(revision: str | None, path: Path) -> bool:
    """Whether the schema must be upgraded; raises `LedgerError` if this toolkit does not know it."""
    from toolkit.ledger import schema

    if revision == schema.HEAD:
        return False
    if revision is None:
        return True
    from toolkit.ledger.migrations import known_revisions

    if revision not in known_revisions():
        raise LedgerError(
            f"{path} was written by a newer toolkit: its schema is {revision!r}, and this one knows up to "
            f"{schema.HEAD!r}. Upgrade the toolkit; nothing was changed"
        )
    return True


def _upgrade(engine: Engine, path: Path, *, create: bool) -> None:
    if not create:
        raise LedgerError(
            f"{path} was written by an older toolkit; it is upgraded by the next command that records something, such "
            "as 'toolkit run'"
        )
    from toolkit.ledger.migrations import migrate

    sqlite.use_write_ahead_log(path)
    with sqlite.transaction(engine, write=True) as connection:
        revision = _revision(connection, path)  # again, under the lock: another process may have been first
        if _is_behind(revision, path):
            migrate(connection, revision=revision)
