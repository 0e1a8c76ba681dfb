"""The same events laid into each engine, with the workspace that says where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyarrow import parquet

from toolkit.data import Source, open_source
from toolkit.data.connections import Connection, connect
from toolkit.data.files import list_files, read_files
from toolkit.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from postgres_server import Server

READER_PASSWORD = "reader-s-password"
PASSWORD_VARIABLE = "ENGINES_READER_PASSWORD"

TABLES = """
[tables.predictions]
{predictions}
columns = {{ occurred_at = "created" }}
expressions = {{ latency_ms = "latency_s * 1000", prediction = "score * 1.5" }}

[tables.outcomes]
{outcomes}
"""

POSTGRES_TABLES = """
CREATE SCHEMA ml;
CREATE TABLE ml.predictions (
    request_id text, model text, version text, created timestamptz, unit_id text, score double precision,
    latency_s double precision, error boolean, served boolean, region text, stops integer, cost numeric
);
CREATE TABLE ml.outcomes (request_id text, observed_at timestamptz, label integer);
"""


@dataclass(frozen=True)
class Engine:
    """The events in one engine: the workspace that says so, and an open connection to it."""

    name: str
    workspace: Workspace
    connection: Connection

    def source(self) -> Source:
        """The data as the toolkit reads them, through this connection: what lies in memory lies in it alone."""
        source = open_source(self.workspace)
        source._connections[self.connection.source] = self.connection
        return source

    def table(self, name: str) -> Any:
        """A table as the toolkit sees it, by the contract's names."""
        return self.source().opened(name).table

    def raw(self, name: str) -> Any:
        """A table as the engine has it, by its own names."""
        settings = self.workspace.settings.tables[name]
        if settings.path is not None:
            return read_files(self.connection, list_files(self.connection, settings.path), kinds={})
        schema, _, table = str(settings.table).rpartition(".")
        return self.connection.backend.table(table, database=schema or None)


def write_workspace(root: Path, source: str, *, place: str, predictions: str, outcomes: str) -> Workspace:
    """A workspace with both tables in one source (TOML; "" for files beside it), each at its path or table."""
    within = f'source = "{source.partition("]")[0].rpartition(".")[2]}"\n' if source else ""
    tables = TABLES.format(predictions=f'{within}{place} = "{predictions}"', outcomes=f'{within}{place} = "{outcomes}"')
    text = f'schema_version = 2\nname = "engines"\n{source}\n{tables}'
    (root / "toolkit.toml").write_text(text, encoding="utf-8")
    return open_workspace(root)


def in_parquet(root: Path, predictions: pa.Table, outcomes: pa.Table) -> Engine:
    """Files beside the workspace."""
    parquet.write_table(predictions, root / "predictions.parquet")
    parquet.write_table(outcomes, root / "outcomes.parquet")
    workspace = write_workspace(root, "", place="path", predictions="predictions.parquet", outcomes="outcomes.parquet")
    return Engine("parquet", workspace, connect(workspace))


def in_memory(root: Path, predictions: pa.Table, outcomes: pa.Table) -> Engine:
    """Tables of a DuckDB that has no file."""
    source = '[sources.memory]\nurl = "duckdb://"'
    workspace = write_workspace(root, source, place="table", predictions="predictions", outcomes="outcomes")
    connection = connect(workspace, "memory")
    _fill_duckdb(connection.backend.con, predictions, outcomes)
    return Engine("memory", workspace, connection)


def in_file(root: Path, predictions: pa.Table, outcomes: pa.Table) -> Engine:
    """Tables of a DuckDB file."""
    import duckdb

    with duckdb.connect(root / "warehouse.duckdb") as own:
        own.execute("CREATE SCHEMA ml; USE ml")
        _fill_duckdb(own, predictions, outcomes)
    source = '[sources.warehouse]\nurl = "duckdb://warehouse.duckdb"'
    workspace = write_workspace(root, source, place="table", predictions="ml.predictions", outcomes="ml.outcomes")
    return Engine("file", workspace, connect(workspace, "warehouse"))


def _fill_duckdb(own: Any, predictions: pa.Table, outcomes: pa.Table) -> None:
    for name, table in (("predictions", predictions), ("outcomes", outcomes)):
        own.register("given", table)
        own.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
        own.unregister("given")


def fill_postgres(server: Server, predictions: pa.Table, outcomes: pa.Table) -> None:
    """Tables of a PostgreSQL server, and a role `reader`, which may even write."""
    with server.connect() as own:
        own.execute(POSTGRES_TABLES)
        for name, table in (("predictions", predictions), ("outcomes", outcomes)):
            columns = ", ".join(table.column_names)
            with own.cursor().copy(f"COPY ml.{name} ({columns}) FROM STDIN") as copy:
                for row in table.to_pylist():
                    copy.write_row(list(row.values()))
        own.execute(f"CREATE ROLE reader LOGIN PASSWORD '{READER_PASSWORD}'")
        own.execute("GRANT USAGE, CREATE ON SCHEMA ml TO reader; GRANT ALL ON ALL TABLES IN SCHEMA ml TO reader")


def postgres_source(port: int, *, user: str = "reader") -> str:
    """The settings of a source on the server."""
    return (
        f'[sources.warehouse]\nurl = "postgres://{user}@127.0.0.1:{port}/postgres"\n'
        f'password = "secret:{PASSWORD_VARIABLE}"'
    )


def in_postgres(root: Path, server: Server) -> Engine:
    """The tables of the server, for `reader`."""
    source = postgres_source(server.port)
    workspace = write_workspace(root, source, place="table", predictions="ml.predictions", outcomes="ml.outcomes")
    return Engine("postgres", workspace, connect(workspace, "warehouse"))


def in_spark(root: Path, session: Any, predictions: pa.Table, outcomes: pa.Table) -> Engine:
    """Tables of the session's catalogue."""
    session.sql("CREATE DATABASE ml")
    for name, table in (("predictions", predictions), ("outcomes", outcomes)):
        parquet.write_table(table, root / f"{name}.parquet")
        session.read.parquet(f"file://{root / name}.parquet").write.saveAsTable(f"ml.{name}")
    source = '[sources.lake]\nurl = "pyspark://"'
    workspace = write_workspace(root, source, place="table", predictions="ml.predictions", outcomes="ml.outcomes")
    return Engine("spark", workspace, connect(workspace, "lake"))
