"""A small experiment on every engine: the same numbers as on files, whatever lays its unit-days down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_places import postgres_source
from experiment_trial import CLUSTERED, Trial, make_trial

from toolkit import data, experiments
from toolkit.experiments import Units
from toolkit.workspace import Workspace, open_workspace

CHANGES = {
    "secondary: [profit]": "secondary: [profit, slowest]",
    "rule:": "segments: [region]\ncovariates: [{metric: profit, days: 3}]\neligible: \"region <> 'west'\"\nrule:",
}
QUANTILE = "  slowest: {<<: *metric, name: Slow, kind: quantile, q: 0.9, column: latency_ms, unit: ms}\n"
TABLES = ("predictions", "outcomes", "exposures")
ON_SPARK = (pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
"""As in conftest.py."""


@pytest.fixture(scope="module")
def trial() -> Trial:
    made = make_trial(units=260, most_requests=4, clusters=25, seed=9)
    rng = np.random.default_rng(2)
    rows = made.predictions
    return replace(made, predictions=rows.assign(region=rng.choice(["north", "south", "west"], len(rows))))


def _settings(workspace: Workspace, source: str, name: str) -> Workspace:
    """The same workspace with its tables in a source."""
    tables = "".join(f'\n[tables.{table}]\nsource = "{name}"\ntable = "trial.{table}"\n' for table in TABLES)
    (workspace.root / "toolkit.toml").write_text(f'schema_version = 2\nname = "trial"\n\n{source}\n{tables}')
    return open_workspace(workspace.root)


def _in_postgres(trial: Trial, workspace: Workspace, request: pytest.FixtureRequest) -> Workspace:
    server = request.getfixturevalue("postgres")
    types = {"bool": "boolean", "float64": "double precision", "int8": "smallint"}
    with server.connect() as own:
        own.execute("DROP SCHEMA IF EXISTS trial CASCADE; CREATE SCHEMA trial")
        for name in TABLES:
            frame = getattr(trial, name)
            columns = {
                column: "timestamptz" if "datetime" in str(dtype) else types.get(str(dtype), "text")
                for column, dtype in frame.dtypes.items()
            }
            declared = ", ".join(f"{column} {dtype}" for column, dtype in columns.items())
            own.execute(f"CREATE TABLE trial.{name} ({declared})")
            with own.cursor().copy(f"COPY trial.{name} FROM STDIN") as copy:
                for row in frame.astype("object").where(frame.notna(), None).itertuples(index=False):
                    copy.write_row(list(row))
        own.execute("GRANT USAGE ON SCHEMA trial TO reader; GRANT ALL ON ALL TABLES IN SCHEMA trial TO reader")
    return _settings(workspace, postgres_source(server.port), "warehouse")


def _in_spark(trial: Trial, workspace: Workspace, request: pytest.FixtureRequest) -> Workspace:
    session = request.getfixturevalue("spark")
    session.sql("DROP DATABASE IF EXISTS trial CASCADE")
    session.sql("CREATE DATABASE trial")
    for name in TABLES:
        session.read.parquet(f"file://{workspace.root}/data/{name}.parquet").write.saveAsTable(f"trial.{name}")
    del trial
    return _settings(workspace, '[sources.lake]\nurl = "pyspark://"', "lake")


def _measured(workspace: Workspace) -> Units:
    return experiments.measure(experiments.load(workspace, "eta-v2"), data.open_source(workspace))


@pytest.mark.parametrize("changes", [{}, pytest.param(CLUSTERED, marks=pytest.mark.slow)], ids=["plain", "clustered"])
@pytest.mark.parametrize("place", [_in_postgres, pytest.param(_in_spark, marks=ON_SPARK)], ids=["postgres", "spark"])
def test_an_experiment_is_the_same_on_every_engine(
    trial: Trial, tmp_path: Path, request: pytest.FixtureRequest, place: Any, changes: dict[str, str]
) -> None:
    def write(root: Path) -> Workspace:
        workspace = trial.planned(CHANGES | changes).write(root)
        with (root / "metrics.yml").open("a") as metrics:
            metrics.write(QUANTILE)
        return workspace

    expected = _measured(write(tmp_path / "files"))
    found = _measured(place(trial, write(tmp_path / "engine"), request))
    assert found.arrivals == expected.arrivals
    assert (found.ineligible, found.missing_covariates) == (expected.ineligible, expected.missing_covariates)
    assert (found.exposed_by_day, found.exposed_by_segment) == (expected.exposed_by_day, expected.exposed_by_segment)
    asked: list[dict[str, Any]] = [
        {"covariates": True},
        {"since_day": 1},
        {"through_day": expected.days[5]},
        {"segment": "region", "value": "north", "covariates": True},
    ]
    for metric in ("brier", "profit", "error_rate"):
        for part in asked:
            one, other = (units.samples(metric, "treatment", **part) for units in (found, expected))
            assert (one.rows0, one.rows1, one.groups, one.shift) == (
                other.rows0,
                other.rows1,
                other.groups,
                other.shift,
            )
            for mine, theirs in ((one.control, other.control), (one.treatment, other.treatment)):
                assert mine.n == theirs.n
                assert np.array(mine.products) == pytest.approx(np.array(theirs.products), rel=1e-9, abs=1e-9)
    mine, theirs = (units.quantiles("slowest", "treatment") for units in (found, expected))
    assert mine.control == pytest.approx(theirs.control, rel=1e-9)
    assert mine.treatment == pytest.approx(theirs.treatment, rel=1e-9)
