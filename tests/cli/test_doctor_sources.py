"""What `toolkit doctor` says about sources and the tables in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from toolkit.cli.findings import Finding, inspect_sources, inspect_tables
from toolkit.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    import pytest

TABLE = '[tables.predictions]\nsource = "own"\ntable = "ml.predictions"\n'


def workspace_with(root: Path, source: str, tables: str = TABLE) -> Workspace:
    (root / "toolkit.toml").write_text(f'schema_version = 2\nname = "w"\n[sources.own]\n{source}\n{tables}')
    return open_workspace(root)


def lay_database(root: Path, columns: str) -> None:
    with duckdb.connect(root / "own.duckdb") as own:
        own.execute(f"CREATE SCHEMA ml; CREATE TABLE ml.predictions AS SELECT {columns}")


def test_a_source_that_is_reached_and_only_read_is_ok(tmp_path: Path) -> None:
    lay_database(tmp_path, "'r' AS request_id")
    workspace = workspace_with(tmp_path, 'url = "duckdb://own.duckdb"')

    assert list(inspect_sources(workspace)) == [Finding("source own", "ok", "duckdb: only read")]


def test_a_source_that_is_not_reached_is_wrong_and_says_where_to_look(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path, 'url = "duckdb://own.duckdb"')

    (found,) = inspect_sources(workspace)

    assert found.state == "wrong"
    assert found.what.startswith("source 'own' (duckdb) cannot be reached: IO Error: Cannot open database")
    assert found.fix == "see that it is up and that [sources.own] in toolkit.toml says where and as whom"


def test_a_driver_that_is_missing_is_to_be_installed(tmp_path: Path) -> None:
    (found,) = inspect_sources(workspace_with(tmp_path, 'url = "mysql://host/db"'))

    assert (found.state, found.fix) == ("wrong", "pip install 'ibis-framework[mysql]'")


def test_a_secret_that_is_missing_is_to_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ABSENT_PASSWORD", raising=False)
    workspace = workspace_with(tmp_path, 'url = "duckdb://own.duckdb"\npassword = "secret:ABSENT_PASSWORD"')

    (found,) = inspect_sources(workspace)

    assert found.what.startswith("secret 'ABSENT_PASSWORD' is not there: ")
    assert found.fix == "put the secret into the environment or the keyring"


def test_a_table_of_a_source_is_looked_at_by_its_place(tmp_path: Path) -> None:
    columns = (
        "'r' AS request_id, 'm' AS model, '1' AS version, now() AS occurred_at, 'u' AS unit_id, false AS error, "
        "true AS served"
    )
    lay_database(tmp_path, columns)
    workspace = workspace_with(tmp_path, 'url = "duckdb://own.duckdb"')

    assert list(inspect_tables(workspace)) == [
        Finding("table predictions", "ok", "ml.predictions in source own, 7 columns")
    ]


def test_columns_that_a_table_of_a_source_lacks_are_to_be_added_to_it(tmp_path: Path) -> None:
    lay_database(tmp_path, "'r' AS request_id, 'm' AS model, '1' AS version, now() AS occurred_at, false AS error")
    workspace = workspace_with(tmp_path, 'url = "duckdb://own.duckdb"')

    (found,) = inspect_tables(workspace)

    assert found.what == "columns that the contract needs are absent: served, unit_id"
    assert found.fix == ("add them to the table, or map your own names in [tables.predictions.columns] of toolkit.toml")


def test_a_table_that_a_source_has_not_is_wrong_with_the_nearest(tmp_path: Path) -> None:
    lay_database(tmp_path, "'r' AS request_id")
    tables = TABLE.replace("ml.predictions", "ml.predictons")
    workspace = workspace_with(tmp_path, 'url = "duckdb://own.duckdb"', tables)

    (found,) = inspect_tables(workspace)

    assert found.state == "wrong"
    assert "Did you mean 'predictions'?" in found.what
    assert found.fix == "correct the table or [tables.predictions] in toolkit.toml"
