"""Files of rows that people bring (CSV, JSON lines, Parquet), opened so that every value is still a text.

DuckDB reads them piece by piece: what a file takes in memory does not grow with its rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolkit.checks import nearest
from toolkit.data.values import named, quoted
from toolkit.errors import ArgumentError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

Form = Literal["csv", "json", "parquet"]

SUFFIXES: dict[str, Form] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""What a file's ending says; CSV and JSON lines may be compressed, with .gz behind it."""

MEMORY_MIB = 1024
"""What the engine of an import may keep in memory; beyond it, it writes to disk."""

_SEPARATORS = ",;\t|"
_HEAD_BYTES = 1 << 20
_LOOKS_LIKE_DATA = re.compile(r"[-+]?\d[\d.,]*([eE][-+]?\d+)?|\d{4}-\d{2}-\d{2}.*|\d{1,2}[/.]\d{1,2}[/.]\d{4}.*")
_UNNAMED = "unnamed"


@dataclass(frozen=True)
class OwnFile:
    """A file of rows and the names of its columns, each once; `separator` is a CSV's."""

    path: Path
    form: Form
    names: tuple[str, ...]
    separator: str = ""
    notes: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def rows(self, connection: DuckDBPyConnection) -> DuckDBPyRelation:
        """One row per row of the file: `row` (from 1 on), whether it is `broken`, its columns as texts: `c0`, `c1` …

        Lines of a CSV that do not have the header's columns are not among them: see `bad_lines`.
        """
        broken = "false"
        if self.form == "csv":
            texts = _read_csv(connection, self.path, self.separator, len(self.names))
        elif self.form == "json":
            lines = _read_json_lines(connection, self.path)
            broken = "coalesce(kind, '') <> 'OBJECT'"
            values = [f"json ->> {quoted(_json_path(name))} AS c{index}" for index, name in enumerate(self.names)]
            texts = lines.project(", ".join(["json_type(json) AS kind", *values]))
        else:
            rows = connection.read_parquet(str(self.path))
            texts = rows.project(
                ", ".join(f"{named(own)}::VARCHAR AS c{index}" for index, own in enumerate(rows.columns))
            )
        columns = ", ".join(f"c{index}" for index in range(len(self.names)))
        return texts.project(f"row_number() OVER () AS row, {broken} AS broken, {columns}")


@contextmanager
def open_engine(scratch: Path, *, memory_mib: int = MEMORY_MIB) -> Iterator[DuckDBPyConnection]:
    """A DuckDB of its own with bounded memory, which spills into `scratch`; times are shown in UTC.

    One thread, so that the same file gives the same bytes.
    """
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": f"{memory_mib}MiB",
        "temp_directory": str(scratch),
        "autoinstall_known_extensions": False,
    }
    connection = duckdb.connect(config=settings)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


@contextmanager
def explained(shown: str) -> Iterator[None]:
    """Say what the engine says about a file as an `ArgumentError` that names it."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as err:
        raise ArgumentError(f"{shown}: needs more memory or disk than an import may take: {_first_line(err)}") from err
    except duckdb.Error as err:
        raise ArgumentError(f"{shown}: cannot be read: {_first_line(err)}") from err


def open_file(path: Path) -> OwnFile:
    """Look at the beginning of a file: its form, its columns, and for CSV its separator.

    Raises `ArgumentError` for what is missing, empty, of another form, not UTF-8, or without a header.
    """
    head = _read_head(path)
    form = _form_of(path, head)
    if any(mark in str(path) for mark in "*?["):
        raise ArgumentError(f"{path}: a path with *, ? or [ in it would be taken for a pattern; rename it")
    if form == "parquet":
        return _open_parquet(path)
    text = _decoded(head, path)
    if not text.strip():
        raise ArgumentError(f"{path.name}: holds nothing")
    return _open_csv(path, text) if form == "csv" else _open_json_lines(path, text)


def bad_lines(file: OwnFile, connection: DuckDBPyConnection) -> DuckDBPyRelation | None:
    """What the readings of a CSV could not cut into its columns: row (the line), reason, given; None for other forms.

    Raises `ArgumentError` when it is the encoding that is wrong.
    """
    if file.form != "csv":
        return None
    errors = connection.table("reject_errors")
    ((first,),) = errors.filter("error_type = 'INVALID ENCODING'").aggregate("min(line)").fetchall()
    if first is not None:
        raise ArgumentError(_not_utf8(file.shown, f"line {first}"))
    one = errors.aggregate(
        "line, max(error_type) AS kind, max(csv_line) AS given, max(error_message) AS message", "line"
    )
    kinds = {
        "MISSING COLUMNS": "the line has fewer values than the header",
        "TOO MANY COLUMNS": "the line has more values than the header",
        "UNQUOTED VALUE": "the line has a quote that is not closed",
    }
    cases = " ".join(f"WHEN {quoted(kind)} THEN {quoted(words)}" for kind, words in kinds.items())
    said = f"CASE kind::VARCHAR {cases} ELSE 'the line cannot be read: ' || split_part(message, chr(10), 1) END"
    return one.project(f"line::BIGINT AS row, {said} AS reason, trim(given, chr(10) || chr(13)) AS given")


def _read_head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ArgumentError(f"{path}: is a folder; name the file in it")
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    except FileNotFoundError:
        near = [other.name for other in path.parent.iterdir() if other.is_file()] if path.parent.is_dir() else []
        close = nearest(path.name, near)
        hint = f" Did you mean {close!r}?" if close else ""
        raise ArgumentError(f"{path}: there is no such file.{hint}") from None
    except (OSError, EOFError) as err:
        raise ArgumentError(f"{path}: cannot be read: {getattr(err, 'strerror', None) or err}") from err


def _form_of(path: Path, head: bytes) -> Form:
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        raise ArgumentError(f"{path.name}: is a spreadsheet or an archive; save it as CSV (UTF-8) first")
    form = SUFFIXES.get(Path(path.name.removesuffix(".gz").lower()).suffix)
    if form is None or form == "parquet":
        known = ", ".join(suffix for suffix in SUFFIXES if suffix != ".pq")
        wrong = "is no Parquet file, whatever its name says" if form == "parquet" else "its form is not known"
        raise ArgumentError(f"{path.name}: {wrong}; a name ends in {known}, or in .gz behind one of these")
    return form


def _decoded(head: bytes, path: Path) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ArgumentError(_not_utf8(path.name, "it is UTF-16"))
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        if len(head) == _HEAD_BYTES and err.start > len(head) - 4:  # the head ends inside a character
            return head[: err.start].decode("utf-8-sig")
        line = head.count(b"\n", 0, err.start) + 1
        raise ArgumentError(_not_utf8(path.name, f"line {line}")) from None


def _not_utf8(shown: str, where: str) -> str:
    return (
        f"{shown}: is not UTF-8 text ({where}); save it as CSV UTF-8, or convert it: "
        f"iconv -f WINDOWS-1252 -t UTF-8 {shown} > utf8-{shown}"
    )


def _open_csv(path: Path, text: str) -> OwnFile:
    name = path.name.removesuffix(".gz").lower()
    separator = "\t" if name.endswith(".tsv") else max(_SEPARATORS, key=lambda each: _agreement(text, each))
    header, first = (*_records(text, separator, 2), [], [])[:2]
    if any(_LOOKS_LIKE_DATA.fullmatch(cell.strip()) for cell in header):
        shown = separator.join(header[:6]) + (" …" if len(header) > 6 else "")
        raise ArgumentError(
            f"{path.name}: has no header: its first line looks like data ({shown}); "
            "write the names of the columns above it"
        )
    if not first:
        raise ArgumentError(f"{path.name}: holds a header and no rows")
    names, notes = _unique(header)
    return OwnFile(path, "csv", names, separator, notes)


def _agreement(text: str, separator: str) -> tuple[bool, int]:
    """Whether the first lines agree in their number of values, and that number."""
    widths = [len(record) for record in _records(text, separator, 20)]
    return widths[0] > 1 and widths.count(widths[0]) * 2 > len(widths), widths[0]


def _records(text: str, separator: str, most: int) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    found: list[list[str]] = []
    try:
        for record in reader:
            if record:
                found.append(record)
            if len(found) == most:
                break
    except csv.Error:  # such as a value longer than the module takes: what came before it tells enough
        return found or [[""]]
    return found or [[""]]


def _unique(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names, each once where case does not count, and what was said otherwise."""
    found: list[str] = []
    notes = []
    for place, given in enumerate(names, start=1):
        name = given.strip() or _UNNAMED
        taken = {other.casefold() for other in found}
        own, number = name, 2
        while own.casefold() in taken:
            own, number = f"{name}_{number}", number + 1
        if name == _UNNAMED:
            notes.append(f"column {place} has no name: it is called {own}")
        elif own != name:
            notes.append(f"two columns are called {name}: the one at place {place} is called {own}")
        found.append(own)
    return tuple(found), tuple(notes)


def _open_json_lines(path: Path, text: str) -> OwnFile:
    if text.lstrip().startswith("["):
        raise ArgumentError(
            f"{path.name}: is one JSON list; one object a line is needed: jq -c '.[]' {path.name} > rows.jsonl"
        )
    first = text.lstrip().partition("\n")[0]
    try:
        leading = list(json.loads(first))
    except (ValueError, TypeError):
        leading = []
    with open_engine(path.parent) as connection, explained(path.name):
        keys = _read_json_lines(connection, path).project("unnest(json_keys(json)) AS name").distinct().fetchall()
    others = sorted({str(name) for (name,) in keys} - set(leading))
    if not leading and not others:
        raise ArgumentError(f"{path.name}: its first line is no JSON object: {first[:60]}")
    return OwnFile(path, "json", (*leading, *others))


def _open_parquet(path: Path) -> OwnFile:
    with open_engine(path.parent) as connection, explained(path.name):
        rows = connection.read_parquet(str(path))
        ((count,),) = rows.aggregate("count(*)").fetchall()
        if not count:
            raise ArgumentError(f"{path.name}: holds no rows")
        return OwnFile(path, "parquet", tuple(rows.columns))


def _read_csv(connection: DuckDBPyConnection, path: Path, separator: str, columns: int) -> DuckDBPyRelation:
    for table in ("reject_errors", "reject_scans"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    return connection.read_csv(
        str(path),
        columns={f"c{index}": "VARCHAR" for index in range(columns)},
        auto_detect=False,
        header=True,
        sep=separator,
        quotechar='"',
        escapechar='"',
        store_rejects=True,
        compression="gzip" if path.suffix == ".gz" else None,
    )


def _read_json_lines(connection: DuckDBPyConnection, path: Path) -> DuckDBPyRelation:
    return connection.sql(f"FROM read_ndjson_objects({quoted(str(path))}, ignore_errors = true)")


def _json_path(name: str) -> str:
    return '$."' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _first_line(err: Exception) -> str:
    return str(err).splitlines()[0]
