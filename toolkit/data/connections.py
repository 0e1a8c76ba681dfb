"""Connections to where tables lie: DuckDB over files, and by URL PostgreSQL, Spark and what else Ibis knows.

What differs between engines is here and nowhere else: how a session is opened that reads only, counts time in UTC and
gives the same sums in every run; what a row's hash is; and which errors mean that the data could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

from toolkit.checks import unknown_name_message
from toolkit.errors import ContractError, DefinitionError, MissingExtraError
from toolkit.workspace import SETTINGS_FILE, SourceSettings, Workspace
from toolkit.workspace.secrets import is_secret_reference, read_secret, secret_name

if TYPE_CHECKING:
    import ibis.expr.types as ir

ResultT = TypeVar("ResultT")

EMBEDDED = "duckdb"
"""The engine that reads files, those beside the workspace without any source."""

_IN_FILES = (EMBEDDED, "sqlite")
"""Engines whose URL names a file and no server."""

_CONNECT_TIMEOUT_S = 10
_CSV_PROBLEMS = ("Error when converting column", "Expected Number of Columns", "Value with unterminated quote")
_MOST_SAID = 240
"""Characters of a problem with a value, which may be long."""

_EXTRAS = {"postgres": ("psycopg", "postgres"), "pyspark": ("pyspark", "spark")}
"""Engine: the module that its driver is, and the toolkit's extra that installs it."""


@dataclass(frozen=True)
class Connection:
    """An open connection to one engine.

    Attributes
    ----------
    source: its name in [sources] of the settings; None for the embedded engine over files beside the workspace.
    engine: what Ibis calls the engine, such as duckdb, postgres or pyspark.
    backend: the Ibis backend.
    base: what paths of files are relative to.
    place: what messages call it; no user and no password.
    read_only: whether the engine itself refuses to write.
    errors: the exceptions that mean that the engine could not answer, a dropped connection included.
    object_store: the fsspec file system that files are read from; None for files of this machine.
    """

    source: str | None
    engine: str
    backend: Any
    base: str
    place: str
    read_only: bool
    errors: tuple[type[Exception], ...]
    object_store: Any = None

    @property
    def hash_method(self) -> str:
        """What fingerprints are made with, for the manifest: rows, and the exact sum of each row's 64-bit hash."""
        return f"{self.engine}-row-hash-sum/1"

    def row_hash(self, table: ir.Table, columns: Sequence[str]) -> Any:
        """A 64-bit hash of each row's `columns`, in this order, as a decimal that sums without overflow.

        A missing value is a value like others. A row has the same hash in every session of one engine, and another one
        in another engine.
        """
        hashed = _ROW_HASHES.get(self.engine, _hash_text)(table, columns)
        return hashed.cast("decimal(38, 0)")

    def list_tables(self, database: Any = None) -> list[str]:
        """The tables and views of a schema (None: the one that the connection begins in)."""
        if self.engine != EMBEDDED:
            return sorted(self.backend.list_tables(database=database))
        # Ibis 12 asks DuckDB 2 for its answer by a name that is gone.
        *catalog, schema = database if isinstance(database, tuple) else (database or "main",)
        found = self.backend.con.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = ? AND table_catalog = coalesce(?, current_database())",
            [schema, *(catalog or [None])],
        )
        return sorted(name for (name,) in found.fetchall())

    def run(self, reading: str, query: Callable[[], ResultT]) -> ResultT:
        """What `query` returns; `reading` names the tables for the `ContractError` raised if the engine cannot say."""
        try:
            return query()
        except self.errors as err:
            where = "" if self.source is None else f" from {self.place}"
            said = _first_line(err, self.base)
            raise ContractError(f"{reading}: the data could not be read{where}: {said}") from err


class Opening(NamedTuple):
    """What an engine's opener is told: the URL, whole and in parts, the options, and where relative paths begin."""

    text: str
    url: SplitResult
    options: Mapping[str, Any]
    root: str


class Opened(NamedTuple):
    """What an opener gives; the fields are those of `Connection`."""

    backend: Any
    read_only: bool
    base: str
    object_store: Any = None


def connect(workspace: Workspace, source: str | None = None) -> Connection:
    """Open a source of the settings, or (None) the embedded DuckDB over files beside the workspace. Nothing is read.

    Raises `DefinitionError` for a URL of no engine, `MissingExtraError` when the engine's driver is not installed,
    `ParameterError` when a secret is not there, `ContractError` when the source cannot be reached.
    """
    root = str(workspace.root)
    if source is None:
        backend = _duckdb(":memory:", {})
        return Connection(None, EMBEDDED, backend, root, "files of the workspace", False, _errors(EMBEDDED, backend))
    settings = workspace.settings.sources[source]
    url = urlsplit(settings.url)
    engine = _engine(source, url)
    place = f"source {source!r} ({_where(source, engine, url)})"
    opening = Opening(settings.url, url, _options(settings), root)
    opener = _open_files if url.scheme in _OBJECT_STORES else _OPENERS.get(engine, _open_any)
    try:
        opened = opener(opening)
    except _errors(engine) as err:
        raise ContractError(f"{place} cannot be reached: {_first_line(err, root)}") from err
    errors = _errors(engine, opened.backend, store=url.scheme if opened.object_store is not None else None)
    return Connection(source, engine, opened.backend, opened.base, place, opened.read_only, errors, opened.object_store)


def _where(source: str, engine: str, url: SplitResult) -> str:
    """The engine and its server, without user and password."""
    try:
        port = "" if url.port is None else f":{url.port}"
    except ValueError as err:
        raise DefinitionError(f"{SETTINGS_FILE}: sources.{source}.url: {err}") from None
    return engine if engine in _IN_FILES or not url.hostname else f"{engine} at {url.hostname}{port}"


def _first_line(error: Exception, base: str) -> str:
    """What an error says, in one line, without paths of this machine."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    said = lines[0].strip() if lines else type(error).__name__
    if said.startswith("Traceback"):  # DuckDB's answer when it is Python that reads for it
        said = next((line for line in lines[1:] if not line.startswith(" ")), said)
    if "CSV Error on Line" in said:
        said = _of_csv(said, lines)
    return said.replace(f"{base}/", "").replace(base, ".")


def _of_csv(said: str, lines: Sequence[str]) -> str:
    """Where and what: DuckDB says the column, the value and the file after the row's own text, which is left out."""
    file = next((f" of {line.partition(' = ')[2]}" for line in lines if line.startswith("  file = ")), "")
    problem = next((f": {line}" for line in lines if line.startswith(_CSV_PROBLEMS)), "")
    return said + file + (f"{problem[:_MOST_SAID]}..." if len(problem) > _MOST_SAID else problem)


def _options(settings: SourceSettings) -> dict[str, Any]:
    given = settings.options | ({} if settings.password is None else {"password": settings.password})
    return {
        name: read_secret(secret_name(str(value))) if is_secret_reference(value) else value
        for name, value in given.items()
    }


# --- engines ---

_OBJECT_STORES = ("s3", "gs", "abfs", "abfss")
_SAME_ENGINE = {"postgresql": "postgres", "spark": "pyspark", **dict.fromkeys(_OBJECT_STORES, EMBEDDED)}


def _engine(source: str, url: SplitResult) -> str:
    """What Ibis calls the engine of a URL, once its driver is known to be installed."""
    from ibis.util import backend_entry_points

    engine = _SAME_ENGINE.get(url.scheme, url.scheme)
    engines = {point.name for point in backend_entry_points()}
    if engine not in engines:
        known = sorted({*engines, *_SAME_ENGINE} - {"spark"})
        message = unknown_name_message(url.scheme, known, noun="engine", most=len(known))
        raise DefinitionError(f"{SETTINGS_FILE}: sources.{source}.url: {message}")
    if engine in _EXTRAS and find_spec(_EXTRAS[engine][0]) is None:
        driver, extra = _EXTRAS[engine]
        raise MissingExtraError(
            f"source {source!r} needs {driver}, which is not installed: pip install 'improvement-toolkit[{extra}]'"
        )
    try:
        import_module(f"ibis.backends.{engine}")
    except ImportError as err:
        raise MissingExtraError(
            f"source {source!r} needs {err.name}, which is not installed: pip install 'ibis-framework[{engine}]'"
        ) from err
    return engine


def _errors(engine: str, backend: Any = None, *, store: str | None = None) -> tuple[type[Exception], ...]:
    """The exceptions of an engine's driver, and those by which Ibis says that the engine has no such operation."""
    from ibis.common import exceptions

    lacking = (exceptions.OperationNotDefinedError, exceptions.UnsupportedOperationError)
    if engine == EMBEDDED:
        import duckdb

        if store == "s3":
            from botocore.exceptions import BotoCoreError

            return (duckdb.Error, OSError, BotoCoreError)
        return (duckdb.Error,) if store is None else (duckdb.Error, OSError)
    if engine == "postgres":
        import psycopg

        return (psycopg.Error, *lacking)
    if engine == "pyspark":
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        return (PySparkException, Py4JError, OSError, *lacking)
    module = import_module(type(getattr(backend, "con", backend)).__module__.partition(".")[0])
    driver = getattr(module, "Error", OSError)
    return (driver, OSError, ValueError, *lacking)


def _duckdb(database: str, options: Mapping[str, Any], *, read_only: bool = False) -> Any:
    """Sums in one order, whatever else is read; days in UTC.

    Floating-point sums depend on the order of rows: parallel ones differ from run to run, and a join whose sides are
    swapped for their sizes gives a day another sum when other days are read beside it.
    """
    import ibis

    backend = ibis.duckdb.connect(database, read_only=read_only, **{"threads": 1, **options})
    backend.raw_sql("SET TimeZone = 'UTC'")
    backend.raw_sql("SET enable_progress_bar = false")
    backend.raw_sql("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    return backend


def _open_duckdb(opening: Opening) -> Opened:
    """A database file, which is not changed; `duckdb://` alone is another engine over files, with its own options."""
    from pathlib import Path

    file = opening.url.netloc + opening.url.path
    if not file:
        return Opened(_duckdb(":memory:", opening.options), read_only=False, base=opening.root)
    path = str(Path(opening.root, file))
    return Opened(_duckdb(path, opening.options, read_only=True), read_only=True, base=opening.root)


def _open_files(opening: Opening) -> Opened:
    """Files in an object store, which DuckDB reads through fsspec, with the credentials that fsspec finds."""
    import fsspec

    backend = _duckdb(":memory:", {})
    try:
        files = fsspec.filesystem(opening.url.scheme, **opening.options)
    except ImportError as err:
        extra = "'improvement-toolkit[s3]'" if opening.url.scheme == "s3" else "what fsspec asks for"
        raise MissingExtraError(f"{opening.url.scheme}:// cannot be read ({err}): pip install {extra}") from err
    backend.register_filesystem(files)
    return Opened(backend, read_only=False, base=opening.text.rstrip("/"), object_store=files)


def _open_postgres(opening: Opening) -> Opened:
    """One worker and every scan from the table's beginning, so that sums of floats are the same in every run."""
    from toolkit.data.postgres import ExactBackend

    default = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "improvement-toolkit"}
    options = {**default, **dict(parse_qsl(opening.url.query)), **opening.options}
    backend = ExactBackend().open(opening.text, options)
    with backend.begin() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SET synchronize_seqscans = off")
    return Opened(backend, read_only=True, base=opening.root)


def _open_pyspark(opening: Opening) -> Opened:
    """A session with the options as its configuration; what cannot be cast is an error, as on the other engines."""
    from pyspark.sql import SparkSession

    from toolkit.data.spark import ArrowBackend

    quiet = {"spark.ui.showConsoleProgress": "false"}
    options = {**quiet, **dict(parse_qsl(opening.url.query)), **opening.options}
    session = SparkSession.builder.config(map={name: str(value) for name, value in options.items()}).getOrCreate()
    session.conf.set("spark.sql.ansi.enabled", "true")
    session.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    ArrowBackend.register_options()
    return Opened(ArrowBackend().connect(session), read_only=False, base=opening.root)


def _open_sqlite(opening: Opening) -> Opened:
    """A database file, as for DuckDB. SQLite itself would look in the working directory, and make what is absent."""
    from pathlib import Path

    import ibis

    path = Path(opening.root, opening.url.netloc + opening.url.path)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no database file {path}; after sqlite:// comes its path from the folder of {SETTINGS_FILE}, or "
            "from the root: sqlite:///folder/own.sqlite"
        )
    options = {**dict(parse_qsl(opening.url.query)), **opening.options}
    return Opened(ibis.sqlite.connect(str(path), **options), read_only=False, base=opening.root)


def _open_any(opening: Opening) -> Opened:
    import ibis

    return Opened(ibis.connect(opening.text, **opening.options), read_only=False, base=opening.root)


_OPENERS: dict[str, Callable[[Opening], Opened]] = {
    "duckdb": _open_duckdb,
    "postgres": _open_postgres,
    "pyspark": _open_pyspark,
    "sqlite": _open_sqlite,
}


# --- the hash of a row ---


def _hash_struct(table: ir.Table, columns: Sequence[str]) -> Any:
    import ibis

    return ibis.struct({name: table[name] for name in columns}).hash()


def _hash_record(table: ir.Table, columns: Sequence[str]) -> Any:
    """PostgreSQL's own hash of a row; it knows none of JSON, which is hashed as text."""
    import ibis

    row = ibis.struct({n: table[n].cast("string") if table[n].type().is_json() else table[n] for n in columns})
    return call_builtin("hash_record_extended", row, ibis.literal(0, "int64"), returns="int64")


def _hash_each(table: ir.Table, columns: Sequence[str]) -> Any:
    """Spark's hash passes over NULL, so whether a value is missing is hashed beside it."""
    values = [part for name in columns for part in (table[name].isnull(), table[name])]
    return call_builtin("xxhash64", *values, returns="int64")


def _hash_text(table: ir.Table, columns: Sequence[str]) -> Any:
    """For engines without a hash of rows: the hash of a text in which every value has its length before it."""
    import ibis

    texts = [table[name].cast("string") for name in columns]
    parts = [(text.length().cast("string") + ":" + text).fill_null("-") for text in texts]
    return ibis.literal("").join(parts).hash()


_ROW_HASHES: dict[str, Callable[[ir.Table, Sequence[str]], Any]] = {
    "duckdb": _hash_struct,
    "postgres": _hash_record,
    "pyspark": _hash_each,
}


def call_builtin(name: str, *values: Any, returns: str) -> Any:
    """A call of a function that the engine has and Ibis does not know."""
    return _declare(name, tuple(value.type() for value in values), returns)(*values)


@cache
def _declare(name: str, types: tuple[Any, ...], returns: str) -> Any:
    import ibis

    def declared() -> Any: ...

    places = [(f"value_{index}", dtype) for index, dtype in enumerate(types)]
    kind = Parameter.POSITIONAL_OR_KEYWORD
    declared.__signature__ = Signature(  # type: ignore[attr-defined] # read by Ibis
        [Parameter(place, kind, annotation=dtype) for place, dtype in places], return_annotation=ibis.dtype(returns)
    )
    declared.__annotations__ = {"return": ibis.dtype(returns), **dict(places)}
    return ibis.udf.scalar.builtin(declared, name=name)
