"""The index's database, `reports/.index.sqlite`: disposable, because the version folders are the truth.

Whatever is wrong with the file (gone, damaged, of another toolkit, no database at all) it is replaced and filled again,
and nobody needs to know. Removing a database that others have open would mix their journals with the new one's, so
every user holds a shared lock on `reports/.index.lock`, and whoever replaces the file an exclusive one. Where nothing
can be written, the index is made in memory.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from toolkit.errors import ToolkitError
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    import sqlite3

FILE = ".index.sqlite"
LOCK = ".index.lock"
SCHEMA_VERSION = 1
"""Of the tables below; another version's file is replaced."""

BUSY_TIMEOUT_SECONDS = 30.0

_TABLES = """
CREATE TABLE versions (
  id INTEGER PRIMARY KEY,
  template TEXT NOT NULL, subject TEXT NOT NULL, version INTEGER NOT NULL,
  seen TEXT NOT NULL,
  title TEXT NOT NULL, headline TEXT NOT NULL,
  as_of TEXT, as_of_us INTEGER, finished_at TEXT, finished_us INTEGER,
  template_digest TEXT, toolkit_version TEXT, parameters TEXT,
  schedule TEXT, slot_at TEXT, batch TEXT,
  rows INTEGER, trends TEXT NOT NULL, problem TEXT,
  UNIQUE (template, subject, version)
);
CREATE INDEX versions_finished ON versions (finished_us);
CREATE TABLE parameters (
  name TEXT NOT NULL, value TEXT NOT NULL, id INTEGER NOT NULL REFERENCES versions ON DELETE CASCADE,
  PRIMARY KEY (name, value, id)
) WITHOUT ROWID;
CREATE INDEX parameters_version ON parameters (id);
CREATE VIRTUAL TABLE texts USING fts5 (
  reference, title, headline, parameters, results, prose, tokenize = "unicode61 remove_diacritics 2"
);
"""

_UNWRITABLE = ("BUSY", "CANTOPEN", "FULL", "IOERR", "LOCKED", "PERM", "READONLY")
"""SQLite's codes for a file that is sound, as far as anybody knows, and cannot be written now."""

AnswerT = TypeVar("AnswerT")


def ask(
    workspace: Workspace,
    fill: Callable[[sqlite3.Connection], object],
    question: Callable[[sqlite3.Connection], AnswerT],
) -> AnswerT:
    """The answer to `question` from the index, after `fill` has brought it up to date.

    A file that fails either is replaced once; when that does not help either, the index is made in memory.
    """
    import sqlite3

    folder = workspace.reports
    for again in (False, True):
        failed = _identity(folder / FILE)
        try:
            with _locked(folder, fcntl.LOCK_SH), closing(_open(folder / FILE)) as connection:
                fill(connection)
                return question(connection)
        except ToolkitError:  # the question's own, though it is an OSError or a ValueError too
            raise
        except (sqlite3.DatabaseError, ValueError, OSError) as err:
            if again or _is_unwritable(err) or not _remove(folder, failed):
                break
    for held in (folder / FILE, None):
        try:
            with closing(_memory(held)) as connection:
                fill(connection)
                return question(connection)
        except sqlite3.DatabaseError:
            if held is None:
                raise
    raise AssertionError  # the last turn returned or raised


def discard(workspace: Workspace) -> None:
    """Remove the index: deleted rows may be read in the file until SQLite uses their space again."""
    _remove(workspace.reports, _identity(workspace.reports / FILE))


def _is_unwritable(err: Exception) -> bool:
    if isinstance(err, OSError):
        return True
    name = getattr(err, "sqlite_errorname", "").removeprefix("SQLITE_").split("_")[0]
    return name in _UNWRITABLE


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    """Hold the index's lock; raises `OSError` where there can be none."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)  # and the lock is gone


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(f"{path.absolute().as_uri()}?mode=rwc")
    try:
        if _version(connection) != SCHEMA_VERSION:
            _create(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    import sqlite3

    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _create(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, unless another process was first; raises when other tables are there."""
    from toolkit.ledger.sqlite import use_write_ahead_log

    use_write_ahead_log(path)
    with transaction(connection):
        if _version(connection) != SCHEMA_VERSION:
            _make_tables(connection)


def _make_tables(connection: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that takes the write lock first: all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself has rolled back after some errors
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _identity(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _remove(folder: Path, failed: int | None) -> bool:
    """Remove the file that failed, once nobody has it open, unless another process has; False when it cannot be."""
    try:
        with _locked(folder, fcntl.LOCK_EX):
            if _identity(folder / FILE) == failed:
                for suffix in ("", "-wal", "-shm", "-journal"):
                    (folder / f"{FILE}{suffix}").unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _memory(path: Path | None) -> sqlite3.Connection:
    """An index in memory; it begins with what the file holds, if that can be read."""
    connection = _connect("file::memory:")
    try:
        if path is not None and path.is_file():
            with closing(_connect(f"{path.absolute().as_uri()}?immutable=1")) as source:
                source.backup(connection)
        if _version(connection) != SCHEMA_VERSION:
            _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection
