"""Finding reports among thousands: by template, subject, time, parameter, slot, batch and words.

The answer comes from the index (`toolkit.archive.index_file`), which is first brought up to date with the version
folders: those that are new are read, those that are gone are dropped, and so is the index itself when it is no use.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.archive import index_file
from toolkit.archive.indexed import Indexed, KeyResult, Texts, microseconds, read_version
from toolkit.archive.versions import MANIFEST, Reference, Slot, report_folder, scan_folders
from toolkit.checks import check_at_least
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    import sqlite3

_COLUMNS = (
    "template", "subject", "version", "seen", "title", "headline", "as_of", "as_of_us", "finished_at", "finished_us",
    "template_digest", "toolkit_version", "parameters", "schedule", "slot_at", "batch", "rows", "trends", "problem",
)  # fmt: skip  # its lines group what belongs together
_AT_A_TIME = 500  # versions read between two commits: memory stays small, and what was read is not lost
_WORD = re.compile(r"\w+")


class Refreshed(NamedTuple):
    """What bringing the index up to date took: versions that were read, and that were dropped."""

    read: int
    dropped: int


def refresh(workspace: Workspace) -> Refreshed:
    """Bring the index up to date with the version folders; cheap when nothing has changed.

    `search_reports` does it by itself. It never fails for the index's sake: a file that is no use is replaced.
    """
    counted: list[Refreshed] = []
    index_file.ask(workspace, lambda connection: counted.append(_fill(workspace, connection)), lambda _: None)
    return counted[-1]


def search_reports(
    workspace: Workspace,
    *,
    template: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    as_of_from: datetime | None = None,
    as_of_to: datetime | None = None,
    parameters: Mapping[str, object] | None = None,
    text: str | None = None,
    slot: Slot | None = None,
    schedule: str | None = None,
    batch: str | None = None,
    latest: bool = False,
    limit: int | None = None,
) -> list[Indexed]:
    """The published versions that meet every condition, by template, subject and number.

    Parameters
    ----------
    since, until: published at or after the one, and before the other.
    as_of_from, as_of_to: the same of the report's as-of.
    parameters: name to value; text stands for the value that reads like it, so that '28' finds 28.
    text: words, all of which the version has in its reference, title, headline, parameters, results or prose; a word
        finds those that begin with it, whatever its case and accents.
    slot, schedule, batch: what the run was part of.
    latest: of each template and subject, only the last version that meets the other conditions.
    limit: at most so many, the last published.

    Raises `ArgumentError` for a limit below 1.
    """
    if limit is not None:
        check_at_least("limit", limit, 1)
    ranges = {
        "finished_us >= ?": microseconds(since),
        "finished_us < ?": microseconds(until),
        "as_of_us >= ?": microseconds(as_of_from),
        "as_of_us < ?": microseconds(as_of_to),
        "template = ?": template,
        "subject = ?": subject,
        "schedule = ?": slot.schedule if slot else schedule,
        "slot_at = ?": slot.at if slot else None,
        "batch = ?": batch,
    }
    conditions = [(condition, [value]) for condition, value in ranges.items() if value is not None]
    for name, value in (parameters or {}).items():
        spelled = _spellings(value)
        marks = ", ".join("?" * len(spelled))
        found = f"id IN (SELECT id FROM parameters WHERE name = ? AND value IN ({marks}))"  # noqa: S608 - marks only
        conditions.append((found, [name, *spelled]))
    if text is not None:
        conditions.append(("id IN (SELECT rowid FROM texts WHERE texts MATCH ?)", [_phrase(text)]))
    query = _query(conditions, latest=latest, limit=limit)
    return index_file.ask(
        workspace,
        lambda connection: _fill(workspace, connection),
        lambda connection: [_read_row(row) for row in connection.execute(*query)],
    )


def list_parameter_names(workspace: Workspace) -> list[str]:
    """The names of the parameters that published reports were run with."""
    return index_file.ask(
        workspace,
        lambda connection: _fill(workspace, connection),
        lambda connection: [row[0] for row in connection.execute("SELECT DISTINCT name FROM parameters ORDER BY name")],
    )


def _query(conditions: Sequence[tuple[str, list[Any]]], *, latest: bool, limit: int | None) -> tuple[str, list[Any]]:
    where = " AND ".join(condition for condition, _ in conditions)
    values = [value for _, given in conditions for value in given]
    chosen = ", ".join(_COLUMNS)
    if latest:  # SQLite takes the other columns from the row that has the maximum
        chosen = chosen.replace("version", "max(version) AS version", 1)
    query = f"SELECT {chosen} FROM versions"  # noqa: S608 - names of ours; what is given is bound
    if where:
        query += f" WHERE {where}"
    if latest:
        query += " GROUP BY template, subject"
    if limit is not None:
        query = f"SELECT * FROM ({query} ORDER BY finished_us DESC, template, subject, version DESC LIMIT ?)"  # noqa: S608 - as above
        values.append(int(limit))
    return f"{query} ORDER BY template, subject, version", values


def _phrase(text: str) -> str:
    """`text` in the language of SQLite's full-text search: every word, each as the beginning of one."""
    return " ".join(f'"{word}"*' for word in _WORD.findall(text)) or '""'


def _spellings(value: object) -> list[str]:
    """How a parameter's value, or the text that somebody wrote for it, may stand in the index."""
    if not isinstance(value, str):
        return [_spell(value)]
    spelled = [value]
    with suppress(ValueError, RecursionError):  # plain text
        spelled.append(_spell(json.loads(value)))
    if (instant := _instant(value)) is not None:
        spelled.append(instant)
    return list(dict.fromkeys(spelled))


def _instant(text: str) -> str | None:
    """A day or an instant as manifests have it."""
    from toolkit.errors import ArgumentError
    from toolkit.windows import format_instant, parse_instant

    try:
        return format_instant(parse_instant(text))
    except ArgumentError:
        return None


def _spell(value: object) -> str:
    """One text for a value: text as it is, 3.0 as 3, anything else as JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True)


def _read_row(row: tuple[Any, ...]) -> Indexed:
    held = dict(zip(_COLUMNS, row, strict=True))
    return Indexed(
        reference=Reference(held["template"], held["subject"], held["version"]),
        title=held["title"],
        headline=held["headline"],
        as_of=held["as_of"],
        finished_at=held["finished_at"],
        template_digest=held["template_digest"],
        toolkit_version=held["toolkit_version"],
        parameters=None if held["parameters"] is None else json.loads(held["parameters"]),
        slot=None if held["schedule"] is None else Slot(held["schedule"], held["slot_at"]),
        batch=held["batch"],
        rows=held["rows"],
        trends=tuple(KeyResult(*each) for each in json.loads(held["trends"])),
        problem=held["problem"],
    )


def _fill(workspace: Workspace, connection: sqlite3.Connection) -> Refreshed:
    """Make the tables agree with the version folders.

    What is on disk is looked at after what the index holds: a version that another process adds in between is read
    twice, and never dropped.
    """
    # What cannot be read is tried again each time: it may have been restored.
    query = "SELECT template, subject, version, iif(problem IS NULL, seen, 'broken') FROM versions"
    held = {row[:3]: row[3] for row in connection.execute(query)}
    there = {found[:3]: _seen(found[3]) for found in scan_folders(workspace)}
    gone = [Reference(*key) for key in held.keys() - there.keys()]
    if gone:
        with index_file.transaction(connection):
            _drop(connection, gone)
    changed = (key for key, seen in there.items() if held.get(key) != seen)
    read = 0
    while keys := list(islice(changed, _AT_A_TIME)):
        batch = {Reference(*key): there[key] for key in keys}
        versions = [(seen, *read_version(report_folder(workspace, each), each)) for each, seen in batch.items()]
        with index_file.transaction(connection):
            _drop(connection, batch)
            _add(connection, versions)
        read += len(batch)
    return Refreshed(read, len(gone))


def _seen(path: str) -> str:
    """What tells a manifest that was touched from one that was not; the other files are for `verify` to judge."""
    try:
        status = os.stat(f"{path}/{MANIFEST}")  # noqa: PTH116 - for ten thousand paths, Path takes twice as long
    except OSError:
        return ""
    return f"{status.st_ctime_ns} {status.st_size} {status.st_ino}"


def _add(connection: sqlite3.Connection, versions: Sequence[tuple[str, Indexed, Texts]]) -> None:
    for seen, indexed, texts in versions:
        row = _row(seen, indexed)
        marks = ", ".join("?" * len(row))
        cursor = connection.execute(f"INSERT INTO versions ({', '.join(_COLUMNS)}) VALUES ({marks})", row)  # noqa: S608 - names of ours
        names = [
            (name.encode("utf-8", "replace").decode(), value) for name, value in (indexed.parameters or {}).items()
        ]
        connection.executemany(
            "INSERT OR IGNORE INTO parameters VALUES (?, ?, ?)",
            [(name, _spell(value), cursor.lastrowid) for name, value in names],
        )
        words = " ".join(f"{name} {_spell(value)}" for name, value in names)
        connection.execute(
            "INSERT INTO texts (rowid, reference, title, headline, parameters, results, prose) VALUES (?,?,?,?,?,?,?)",
            (cursor.lastrowid, str(indexed.reference), indexed.title, indexed.headline, words, *texts),
        )


def _drop(connection: sqlite3.Connection, references: Iterable[Reference]) -> None:
    same = "SELECT id FROM versions WHERE (template, subject, version) = (?, ?, ?)"
    for reference in references:
        key = (reference.template, reference.subject, reference.version)
        for number in connection.execute(same, key).fetchall():
            connection.execute("DELETE FROM texts WHERE rowid = ?", number)
            connection.execute("DELETE FROM versions WHERE id = ?", number)  # its parameters go with it


def _row(seen: str, indexed: Indexed) -> tuple[Any, ...]:
    reference, slot = indexed.reference, indexed.slot
    parameters = None if indexed.parameters is None else json.dumps(indexed.parameters, sort_keys=True)
    return (
        reference.template,
        reference.subject,
        reference.version,
        seen,
        indexed.title,
        indexed.headline,
        indexed.as_of,
        microseconds(indexed.as_of),
        indexed.finished_at,
        microseconds(indexed.finished_at),
        indexed.template_digest,
        indexed.toolkit_version,
        parameters,
        slot.schedule if slot else None,
        slot.at if slot else None,
        indexed.batch,
        indexed.rows,
        json.dumps(indexed.trends),
        indexed.problem,
    )
