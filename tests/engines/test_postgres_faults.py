"""What a PostgreSQL server can do to a report: each is one clear error."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_places import PASSWORD_VARIABLE, Engine, in_postgres, postgres_source, write_workspace

from toolkit.data import open_source
from toolkit.data.connections import connect
from toolkit.errors import ContractError
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from postgres_server import Server

AS_OF = parse_instant("2026-04-01")


@pytest.fixture
def place(postgres: Server, tmp_path: Path) -> Engine:
    return in_postgres(tmp_path, postgres)


def workspace_at(root: Path, source: str, *, predictions: str = "ml.predictions") -> Workspace:
    return write_workspace(root, source, place="table", predictions=predictions, outcomes="ml.outcomes")


def test_a_connection_that_is_dropped_in_the_middle_of_a_query_is_said(postgres: Server, place: Engine) -> None:
    backend = place.connection.backend
    slow = backend.sql("SELECT 1 AS one", schema={"one": "int32"})

    def terminate() -> None:
        with postgres.connect() as own:
            patience = time.monotonic() + 30
            while not own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> "
                "pg_backend_pid()"
            ).fetchall():
                assert time.monotonic() < patience
                time.sleep(0.02)

    killer = threading.Thread(target=terminate)
    killer.start()
    with pytest.raises(ContractError) as dropped:
        place.connection.run("predictions", lambda: backend.con.execute("SELECT 1 FROM (SELECT pg_sleep(60)) AS s"))
    killer.join()

    where = f"from source 'warehouse' (postgres at 127.0.0.1:{postgres.port})"
    assert str(dropped.value) == (
        f"predictions: the data could not be read {where}: terminating connection due to administrator command"
    )
    with pytest.raises(ContractError) as gone:
        place.connection.run("predictions", slow.execute)
    assert str(gone.value) == f"predictions: the data could not be read {where}: the connection is closed"
    assert "Error" not in str(gone.value)


def test_a_wrong_password_is_said_and_not_shown(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "not-the-password")
    workspace = workspace_at(tmp_path, postgres_source(postgres.port))

    with pytest.raises(ContractError) as refused:
        connect(workspace, "warehouse")

    where = f"127.0.0.1:{postgres.port}"
    assert str(refused.value) == (
        f"source 'warehouse' (postgres at {where}) cannot be reached: connection failed: connection to server at "
        f'"127.0.0.1", port {postgres.port} failed: FATAL:  password authentication failed for user "reader"'
    )
    assert "not-the-password" not in repr(refused.value.__cause__)


def test_a_port_where_nobody_listens_is_said(postgres: Server, tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path, postgres_source(9))

    reason = "source 'warehouse' \\(postgres at 127.0.0.1:9\\) cannot be reached: .*Connection refused"
    with pytest.raises(ContractError, match=reason):
        connect(workspace, "warehouse")


def test_a_host_that_nobody_knows_is_said(postgres: Server, tmp_path: Path) -> None:
    source = postgres_source(5432).replace("127.0.0.1", "warehouse.invalid")
    workspace = workspace_at(tmp_path, source)

    with pytest.raises(ContractError, match="postgres at warehouse.invalid:5432\\) cannot be reached: "):
        connect(workspace, "warehouse")


def test_a_table_that_is_not_there_is_named_with_the_nearest(postgres: Server, tmp_path: Path) -> None:
    workspace = workspace_at(tmp_path, postgres_source(postgres.port), predictions="ml.predictons")

    with pytest.raises(ContractError, match="predictions: .*predictons.* Did you mean '(ml.)?predictions'?"):
        open_source(workspace).read("predictions", [], as_of=AS_OF)


@pytest.mark.parametrize(
    "write",
    [
        "INSERT INTO ml.outcomes VALUES ('r', now(), 1)",
        "UPDATE ml.outcomes SET label = 0",
        "DELETE FROM ml.outcomes",
        "CREATE TABLE ml.own (a integer)",
        "DROP TABLE ml.outcomes",
    ],
)
def test_nothing_can_be_written_even_by_whom_the_server_lets(postgres: Server, place: Engine, write: str) -> None:
    assert place.connection.read_only

    with pytest.raises(ContractError, match="in a read-only transaction"):
        place.connection.run("outcomes", lambda: place.connection.backend.con.execute(write))


def test_a_table_that_may_not_be_read_is_said(postgres: Server, tmp_path: Path) -> None:
    with postgres.connect() as own:
        own.execute("CREATE TABLE IF NOT EXISTS ml.secrets AS SELECT * FROM ml.predictions")
    workspace = workspace_at(tmp_path, postgres_source(postgres.port), predictions="ml.secrets")

    with pytest.raises(ContractError) as refused:
        open_source(workspace).read("predictions", [], as_of=AS_OF)

    assert "secrets" in str(refused.value)


def test_a_report_s_sums_do_not_depend_on_how_the_server_shares_out_its_work(place: Engine) -> None:
    settings = ("max_parallel_workers_per_gather", "synchronize_seqscans", "TimeZone", "application_name")
    with place.connection.backend.begin() as cursor:
        found = {name: cursor.execute(f"SHOW {name}").fetchone()[0] for name in settings}

    assert found == {
        "max_parallel_workers_per_gather": "0",
        "synchronize_seqscans": "off",
        "TimeZone": "UTC",
        "application_name": "improvement-toolkit",
    }


def test_whole_numbers_keep_all_their_digits(place: Engine) -> None:
    table = place.raw("outcomes").limit(2)
    large = table.mutate(large=table.label.cast("int64") * 0 + (2**53 + 1))

    assert int(large.aggregate(total=large.large.sum()).execute()["total"].iloc[0]) == 2 * (2**53 + 1)
