"""What is SQLite's own: connections, the write lock, and what its errors mean to a person.

A ledger for a team on PostgreSQL needs another module with these functions; the rest of the room stays as it is.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import LedgerError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_TIMEOUT_SECONDS = 30.0
_RETRY_SECONDS = 0.01


class DamagedLedgerError(LedgerError):
    """The file can be opened, and what it holds is not a ledger, or not any more."""


def file_engine(path: Path, *, read_only: bool) -> Engine:
    """An engine with one connection to the file at `path`, opened when it is first used."""
    return _engine(partial(_connect, path, read_only=read_only))


def empty_engine() -> Engine:
    """An engine on an empty ledger in memory: how a ledger that is not there reads."""
    from toolkit.ledger.schema import METADATA

    engine = _engine(partial(sqlite3.connect, ":memory:", isolation_level=None, check_same_thread=False))
    with transaction(engine, write=True) as connection:
        METADATA.create_all(connection)
    return engine


@contextmanager
def transaction(engine: Engine, *, write: bool = False) -> Iterator[Connection]:
    """A transaction: all or nothing. With `write`, the write lock is taken before anything is read.

    Without that lock, two writers could read the same last entry, and the chain would fork.
    """
    with engine.connect() as connection:
        connection.execution_options(toolkit_begin="BEGIN IMMEDIATE" if write else "BEGIN")
        with connection.begin():
            yield connection


def use_write_ahead_log(path: Path) -> None:
    """Switch the file to write-ahead logging, for good; a file system that cannot do it keeps SQLite's own journal.

    SQLite answers "locked" at once, without its usual waiting, while another process switches; so wait here.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    with closing(_connect(path, read_only=False)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as err:
                if err.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and SQLAlchemy into a `LedgerError` that says what to do."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (sqlite3.Error, SQLAlchemyError) as err:
        raise _explain(path, err) from err
    except UnicodeDecodeError as err:  # the driver cannot spell SQLite's message about the damaged bytes it quotes
        raise _damaged(path, err) from err


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rw' if read_only else 'rwc'}",
        uri=True,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,  # transactions begin where `transaction` says, not where the driver guesses
        check_same_thread=False,  # the pool gives it to one thread at a time
    )
    try:
        # SQLite's own read-only mode would leave its two side files behind.
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    # Bytes that are not UTF-8 must reach `verify` as a wrong value, not stop it.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    return connection


def _engine(connect: partial[sqlite3.Connection]) -> Engine:
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import QueuePool

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options()["toolkit_begin"])

    return engine


def _explain(path: Path, err: Exception) -> LedgerError:
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    cause = getattr(err, "orig", None) or err
    if isinstance(err, PoolTimeoutError):  # another thread kept this process's one connection
        code = "BUSY"
    else:
        code = getattr(cause, "sqlite_errorname", "").removeprefix("SQLITE_").partition("_")[0]
    match code:
        case "BUSY" | "LOCKED":
            return LedgerError(
                f"{path} was locked by another program or thread for more than {BUSY_TIMEOUT_SECONDS:g} s, and "
                "nothing was written. Close what holds it open (a database browser, a backup), then run the command "
                "again"
            )
        case "CANTOPEN" | "READONLY" | "PERM":
            return LedgerError(
                f"{path} cannot be opened ({cause}): the file and its folder must be writable, also to read it. "
                "Change their permissions, or copy the ledger to a folder of your own"
            )
        case "FULL" | "IOERR":
            return LedgerError(
                f"{path} could not be written or read ({cause}); see whether the disk is full or failing. An entry "
                "that was not acknowledged is not in the ledger"
            )
        case "NOTADB":
            return DamagedLedgerError(
                f"{path} is not a ledger: it is no SQLite database. Move it away and restore the ledger from a backup; "
                "without one, a new ledger is made in its place"
            )
        case "CORRUPT" | "ERROR" | "SCHEMA" | "MISMATCH" | "FORMAT":
            return _damaged(path, cause)
    return LedgerError(f"{path}: {cause}")


def _damaged(path: Path, cause: object) -> DamagedLedgerError:
    return DamagedLedgerError(f"{path} is damaged ({cause}); restore it from a backup")
