"""Real engines: a PostgreSQL server started for the tests, Spark in this process, DuckDB in files and memory.

Where one cannot be started the tests that need it are skipped and say why; `.ci/run` installs what they need.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from engine_events import make_outcomes, make_predictions, to_arrow
from engine_places import (
    PASSWORD_VARIABLE,
    READER_PASSWORD,
    Engine,
    fill_postgres,
    in_file,
    in_memory,
    in_parquet,
    in_postgres,
    in_spark,
)
from postgres_server import Server, run_postgres

if TYPE_CHECKING:
    import pyarrow as pa

ON_SPARK = (
    pytest.mark.slow,  # its session alone takes longer than all other engines together
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # Py4J leaves its sockets to the garbage collector
)


@pytest.fixture(scope="session")
def event_tables() -> tuple[pa.Table, pa.Table]:
    """Predictions and outcomes."""
    predictions = make_predictions()
    return to_arrow(predictions), to_arrow(make_outcomes(predictions))


@pytest.fixture(
    scope="session", params=["parquet", "memory", "file", "postgres", pytest.param("spark", marks=ON_SPARK)]
)
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    event_tables: tuple[pa.Table, pa.Table],
) -> Engine:
    """The same events in each engine."""
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "postgres":
        return in_postgres(root, request.getfixturevalue("postgres"))
    if request.param == "spark":
        return in_spark(root, request.getfixturevalue("spark"), *event_tables)
    return {"parquet": in_parquet, "memory": in_memory, "file": in_file}[request.param](root, *event_tables)


@pytest.fixture(scope="session")
def postgres(event_tables: tuple[pa.Table, pa.Table]) -> Iterator[Server]:
    """A PostgreSQL server with the events, and the password of its reader in the environment."""
    with run_postgres() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv(PASSWORD_VARIABLE, READER_PASSWORD)
        fill_postgres(server, *event_tables)
        yield server


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The one Spark session of this process, on a local cluster of two threads."""
    if find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed (pip install 'improvement-toolkit[spark]')")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("no Java on this machine (Debian: apt-get install default-jre-headless)")
    from pyspark.sql import SparkSession

    options = {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "Asia/Tokyo",  # the toolkit's own is UTC
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    session = SparkSession.builder.config(map=options).getOrCreate()
    yield session
    session.stop()
    gc.collect()
