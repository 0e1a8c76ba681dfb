"""Connections by URL, what they refuse, and files in every form; PostgreSQL and Spark are in tests/engines."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis
import pandas as pd
import pytest

from toolkit.data.connections import EMBEDDED, Connection, connect
from toolkit.data.contracts import CONTRACTS
from toolkit.data.files import list_files, read_files
from toolkit.errors import ContractError, DefinitionError, MissingExtraError, ParameterError
from toolkit.workspace import Workspace, open_workspace

KINDS = CONTRACTS["predictions"].columns


def workspace_with(root: Path, source: str = "") -> Workspace:
    (root / "toolkit.toml").write_text(f'schema_version = 2\nname = "w"\n{source}\n[tables]\n', encoding="utf-8")
    return open_workspace(root)


def files_of(root: Path) -> Connection:
    return connect(workspace_with(root))


def rows(table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.to_pyarrow().to_pylist()
    return found


def test_the_embedded_engine_sums_in_one_thread_and_counts_days_in_utc(tmp_path: Path) -> None:
    connection = files_of(tmp_path)

    settings = "SELECT current_setting('threads'), current_setting('TimeZone')"

    assert connection.backend.raw_sql(settings).fetchone() == (1, "UTC")
    assert (connection.source, connection.engine, connection.hash_method) == (None, EMBEDDED, "duckdb-row-hash-sum/1")


def test_a_database_file_is_found_from_the_workspace_and_is_not_written_to(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "own.duckdb") as own:
        own.execute("CREATE SCHEMA ml; CREATE TABLE ml.predictions AS SELECT 'r1' AS request_id")

    connection = connect(workspace_with(tmp_path, '[sources.own]\nurl = "duckdb://own.duckdb"'), "own")

    assert connection.list_tables("ml") == ["predictions"]
    assert rows(connection.backend.table("predictions", database="ml")) == [{"request_id": "r1"}]
    assert connection.read_only
    reason = (
        "predictions: the data could not be read from source 'own' (duckdb): Invalid Input Error: Cannot execute "
        'statement of type "INSERT" on database "own" which is attached in read-only mode!'
    )
    with pytest.raises(ContractError) as refused:
        connection.run("predictions", lambda: connection.backend.raw_sql("INSERT INTO ml.predictions VALUES ('r2')"))
    assert str(refused.value) == reason


def test_options_reach_the_driver(tmp_path: Path) -> None:
    source = '[sources.big]\nurl = "duckdb://"\noptions = { memory_limit = "200MB" }'

    connection = connect(workspace_with(tmp_path, source), "big")

    assert connection.backend.raw_sql("SELECT current_setting('memory_limit')").fetchone() == ("190.7 MiB",)


def test_a_database_file_that_is_not_there_is_said_without_this_machine_s_path(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, '[sources.own]\nurl = "duckdb://absent.duckdb"')

    with pytest.raises(ContractError) as refused:
        connect(workspace, "own")

    assert str(refused.value) == (
        "source 'own' (duckdb) cannot be reached: IO Error: Cannot open database \"absent.duckdb\" in read-only mode: "
        "database does not exist"
    )


def test_a_sqlite_file_is_found_from_the_workspace_and_none_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    workspace = workspace_with(tmp_path / "w", '[sources.own]\nurl = "sqlite://data/Own.sqlite"')

    with pytest.raises(ContractError) as refused:
        connect(workspace, "own")

    assert str(refused.value) == (
        "source 'own' (sqlite) cannot be reached: there is no database file data/Own.sqlite; after sqlite:// comes its "
        "path from the folder of toolkit.toml, or from the root: sqlite:///folder/own.sqlite"
    )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "toolkit.toml", "w"]
    (tmp_path / "w" / "data").mkdir()
    with sqlite3.connect(tmp_path / "w" / "data" / "Own.sqlite") as own:
        own.execute("CREATE TABLE events (a TEXT)")
    own.close()
    connection = connect(workspace, "own")
    assert connection.list_tables() == ["events"]
    connection.backend.disconnect()


def test_a_url_of_no_engine_names_the_nearest(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, '[sources.own]\nurl = "postgras://host/db"')

    with pytest.raises(DefinitionError) as refused:
        connect(workspace, "own")

    assert str(refused.value).startswith("toolkit.toml: sources.own.url: unknown engine 'postgras'; allowed: abfs, ")
    assert str(refused.value).endswith("Did you mean 'postgres'?")


def test_a_port_that_is_none_is_said(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, '[sources.own]\nurl = "postgres://host:5432x/db"')

    reason = "toolkit.toml: sources.own.url: Port could not be cast to integer value as '5432x'"
    with pytest.raises(DefinitionError, match=reason):
        connect(workspace, "own")


def test_a_driver_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = '[sources.own]\nurl = "postgres://host/db"\n[sources.other]\nurl = "mysql://host/db"'
    workspace = workspace_with(tmp_path, source)
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed

    reason = "source 'own' needs psycopg, which is not installed: pip install 'improvement-toolkit\\[postgres\\]'"
    with pytest.raises(MissingExtraError, match=reason):
        connect(workspace, "own")
    reason = "source 'other' needs MySQLdb, which is not installed: pip install 'ibis-framework\\[mysql\\]'"
    with pytest.raises(MissingExtraError, match=reason):
        connect(workspace, "other")


def test_a_password_that_is_nowhere_is_asked_for_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg", reason="without the extra [postgres] another error comes first")
    monkeypatch.delenv("ABSENT_PASSWORD", raising=False)
    source = '[sources.own]\nurl = "postgres://reader@host/db"\npassword = "secret:ABSENT_PASSWORD"'

    with pytest.raises(ParameterError, match="secret 'ABSENT_PASSWORD' is not there: no environment variable"):
        connect(workspace_with(tmp_path, source), "own")


def test_another_engine_of_ibis_answers_too_and_one_without_a_hash_says_so(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "own.sqlite") as own:
        own.execute("CREATE TABLE events (a TEXT, b TEXT, n INTEGER)")
        own.executemany("INSERT INTO events VALUES (?, ?, ?)", [("ab", "c", 1), ("a", "bc", 1), (None, "c", 1)])
    own.close()
    source = f'[sources.own]\nurl = "sqlite://{tmp_path}/own.sqlite"'

    connection = connect(workspace_with(tmp_path, source), "own")

    table = connection.backend.table("events")
    assert connection.list_tables() == ["events"]
    with pytest.raises(
        ContractError, match="events: the data could not be read from source 'own' \\(sqlite\\): no such"
    ):
        connection.run("events", lambda: connection.backend.raw_sql("SELECT * FROM evnets"))
    assert table.count().execute() == 3
    reason = "events: the data could not be read from source 'own' \\(sqlite\\): .*'Hash' operation is not defined"
    with pytest.raises(ContractError, match=reason):
        connection.run("events", lambda: connection.row_hash(table, ["a", "b", "n"]).sum().execute())
    connection.backend.disconnect()


def test_rows_of_an_engine_without_a_hash_of_rows_are_hashed_as_text_in_which_nothing_runs_together() -> None:
    table = ibis.memtable({"a": ["ab", "a", None, "", "1:a"], "b": ["c", "bc", "c", "c", None], "n": [1] * 5})
    other = Connection(None, "other", None, "", "", read_only=False, errors=())

    hashes = table.aggregate(distinct=other.row_hash(table, ["a", "b", "n"]).nunique())

    assert other.hash_method == "other-row-hash-sum/1"
    assert hashes.execute().iloc[0, 0] == 5


# --- files ---


def test_texts_that_look_like_numbers_stay_texts_and_empty_columns_have_their_contract_s_type(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "request_id,version,occurred_at,score,error,cost,mood\n"
        "001,1,2026-01-01T00:30:00+01:00,0.5,true,,\n"
        "002,2,2026-01-01T12:00:00Z,nan,false,,\n"
    )
    connection = files_of(tmp_path)

    table = read_files(connection, list_files(connection, "p.csv"), kinds=KINDS)

    assert dict(table.schema()) == {
        "request_id": ibis.dtype("string"),
        "version": ibis.dtype("string"),
        "occurred_at": ibis.dtype("timestamp('UTC', 6)"),
        "score": ibis.dtype("float64"),
        "error": ibis.dtype("boolean"),
        "cost": ibis.dtype("float64"),
        "mood": ibis.dtype("string"),
    }
    assert [row["request_id"] for row in rows(table)] == ["001", "002"]
    assert [row["occurred_at"].isoformat() for row in rows(table)] == [
        "2025-12-31T23:30:00+00:00",
        "2026-01-01T12:00:00+00:00",
    ]


def test_json_lines_are_read_with_the_types_that_the_contract_gives_them(tmp_path: Path) -> None:
    lines = [
        {"request_id": 1, "occurred_at": "2026-01-01T00:00:00Z", "score": None, "mood": None, "tag": {"x": 1}},
        {"request_id": 2, "occurred_at": "2026-01-01T01:00:00+01:00", "score": None, "mood": None, "tag": {"x": 2}},
    ]
    (tmp_path / "p.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    connection = files_of(tmp_path)

    table = read_files(connection, list_files(connection, "p.jsonl"), kinds=KINDS, file_column="file")

    assert {name: str(dtype) for name, dtype in table.schema().items()} == {
        "request_id": "string",
        "occurred_at": "timestamp('UTC', 6)",
        "score": "float64",
        "mood": "string",
        "tag": "struct<x: int64>",
        "file": "string",
    }
    assert [row["request_id"] for row in rows(table)] == ["1", "2"]
    assert {row["file"] for row in rows(table)} == {str(tmp_path / "p.jsonl")}


def test_a_folder_gives_its_files_of_one_format_with_the_values_in_their_path(tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    for version in ("01", "02"):
        (folder / "model=delay" / f"version={version}").mkdir(parents=True)
        pd.DataFrame({"request_id": ["a"]}).to_parquet(folder / "model=delay" / f"version={version}" / "1.parquet")
    (folder / "README.md").write_text("about")
    (folder / "SHA256SUMS").write_text("file,sum\n")
    connection = files_of(tmp_path)

    files = list_files(connection, "predictions")
    table = read_files(connection, files, kinds=KINDS)

    assert [Path(file).relative_to(folder).as_posix() for file in files] == [
        "model=delay/version=01/1.parquet",
        "model=delay/version=02/1.parquet",
    ]
    assert rows(table.order_by("version")) == [
        {"request_id": "a", "model": "delay", "version": "01"},
        {"request_id": "a", "model": "delay", "version": "02"},
    ]


def test_what_a_dot_or_an_underscore_begins_is_no_data_unless_the_path_says_so(tmp_path: Path) -> None:
    names = ["a.csv", "_year=2030/b.csv", ".ipynb_checkpoints/a-checkpoint.csv", "_temporary/0/c.csv", "_SUCCESS.csv"]
    for name in names:
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_text("request_id\n")
    connection = files_of(tmp_path)

    def listed(path: str) -> list[str]:
        return [Path(file).relative_to(tmp_path / "p").as_posix() for file in list_files(connection, path)]

    assert listed("p") == listed("p/**/*.csv") == ["_year=2030/b.csv", "a.csv"]
    assert listed("p/_temporary") == listed("p/_temp*/**/*.csv") == ["_temporary/0/c.csv"]
    assert listed("p/_SUCCESS.csv") == listed("p/_*.csv") == ["_SUCCESS.csv"]


def test_a_pattern_gives_the_files_that_match_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    connection = files_of(tmp_path)

    assert [Path(file).name for file in list_files(connection, "*.parquet")] == ["a.parquet", "b.parquet"]
    assert [Path(file).name for file in list_files(connection, f"{tmp_path}/*.parquet")] == ["a.parquet", "b.parquet"]
    assert list_files(connection, "*.pq") == []
    assert list_files(connection, "absent.parquet") == []


def test_a_file_of_another_format_is_refused_with_the_formats_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").write_bytes(b"")
    connection = files_of(tmp_path)

    with pytest.raises(ContractError) as refused:
        read_files(connection, list_files(connection, "p.xlsx"), kinds=KINDS)

    assert str(refused.value) == (
        "p.xlsx is of no format that is read; the names of files end in .parquet, .pq, .csv, .tsv, .csv.gz, .tsv.gz, "
        ".jsonl, .ndjson, .json, .jsonl.gz, .ndjson.gz, .json.gz"
    )


def test_nan_in_parquet_is_seen(tmp_path: Path) -> None:
    """Parquet's statistics leave it out, and DuckDB believes them unless told."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"score": pa.array([0.5, float("nan")])}), tmp_path / "p.parquet")
    connection = files_of(tmp_path)

    table = read_files(connection, list_files(connection, "p.parquet"), kinds=KINDS)

    assert table.score.isnan().sum().execute() == 1


def test_a_column_of_parquet_without_values_has_the_type_of_its_contract_and_otherwise_is_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"request_id": ["a"], "occurred_at": None, "cost": None, "error": None, "mood": None})
    frame.to_parquet(tmp_path / "p.parquet")
    connection = files_of(tmp_path)

    table = read_files(connection, list_files(connection, "p.parquet"), kinds=KINDS)

    assert {name: str(dtype) for name, dtype in table.schema().items()} == {
        "request_id": "string",
        "occurred_at": "timestamp('UTC', 6)",
        "cost": "float64",
        "error": "boolean",
        "mood": "string",
    }
    assert rows(table) == [{"request_id": "a", "occurred_at": None, "cost": None, "error": None, "mood": None}]


# --- object stores ---


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a local server that speaks S3, with a bucket `lake`; credentials are in the environment."""
    fsspec = pytest.importorskip("fsspec", reason="an object store is read through the extra [s3]")
    pytest.importorskip("s3fs", reason="an object store is read through the extra [s3]")
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}" if host == "0.0.0.0" else f"http://{host}:{port}"
    fsspec.filesystem("s3", endpoint_url=address).makedirs("lake", exist_ok=True)
    yield address
    server.stop()


def s3_source(address: str) -> str:
    return f'[sources.lake]\nurl = "s3://lake/events"\noptions = {{ endpoint_url = "{address}" }}'


def test_files_in_a_bucket_are_read_with_the_credentials_of_the_environment(tmp_path: Path, bucket: str) -> None:
    import fsspec

    frame = pd.DataFrame({"request_id": ["a", "b"], "score": [0.25, 0.5]})
    frame.to_parquet(tmp_path / "1.parquet")
    fsspec.filesystem("s3", endpoint_url=bucket).put(
        str(tmp_path / "1.parquet"), "lake/events/predictions/version=1/1.parquet"
    )
    connection = connect(workspace_with(tmp_path, s3_source(bucket)), "lake")

    for path in ("predictions", "predictions/*/*.parquet"):
        files = list_files(connection, path)
        assert files == ["s3a://lake/events/predictions/version=1/1.parquet"]
        assert rows(read_files(connection, files, kinds=KINDS)) == [
            {"request_id": "a", "score": 0.25, "version": "1"},
            {"request_id": "b", "score": 0.5, "version": "1"},
        ]
    assert connection.place == "source 'lake' (duckdb)"


def test_a_bucket_that_is_not_there_is_said(tmp_path: Path, bucket: str) -> None:
    source = s3_source(bucket).replace("s3://lake", "s3://absent")
    connection = connect(workspace_with(tmp_path, source), "lake")

    assert list_files(connection, "*.parquet") == []
    with pytest.raises(ContractError) as refused:
        connection.run("predictions", lambda: read_files(connection, ["s3a://absent/x.parquet"], kinds=KINDS))
    assert str(refused.value) == (
        "predictions: the data could not be read from source 'lake' (duckdb): FileNotFoundError: The specified bucket "
        "does not exist"
    )
