"""Repeated keys are counted from what the engine hashes, whether it hands the hashes over or counts them itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from conftest import make_events, write_workspace
from toolkit.data import open_source
from toolkit.data.batches import read_batches
from toolkit.data.repeats import count_repeats

KEY = ["request_id", "model", "version"]
LATER = datetime(2014, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("first", "repeats"), [(0, 0), (1, 1), (3, 3)])
@pytest.mark.parametrize("engine", ["duckdb", "another"])
def test_rows_beyond_the_first_of_a_key_are_counted(tmp_path, engine, first, repeats) -> None:
    predictions, outcomes = make_events(requests=300)
    events = pd.concat([predictions, predictions.head(first)])
    opened = open_source(write_workspace(tmp_path, events, outcomes).workspace).opened("predictions")
    connection = replace(opened.connection, engine=engine)
    assert count_repeats(connection, opened.table, KEY, most_rows=len(events)) == repeats


def test_no_row_repeats_nothing(tmp_path) -> None:
    predictions, outcomes = make_events(requests=300)
    opened = open_source(write_workspace(tmp_path, predictions, outcomes).workspace).opened("predictions")
    none = opened.table.filter(opened.table.request_id == "nobody")
    assert count_repeats(opened.connection, none, KEY, most_rows=0) == 0


def test_a_table_that_has_grown_meanwhile_is_counted_exactly(tmp_path) -> None:
    predictions, outcomes = make_events(requests=300)
    events = pd.concat([predictions, predictions.head(2)])
    opened = open_source(write_workspace(tmp_path, events, outcomes).workspace).opened("predictions")
    assert count_repeats(opened.connection, opened.table, KEY, most_rows=len(events) - 1) == 2


def test_batches_are_of_so_many_rows(tmp_path) -> None:
    predictions, outcomes = make_events(requests=300)
    backend = open_source(write_workspace(tmp_path, predictions, outcomes).workspace).embedded
    batches = list(read_batches(backend, "SELECT i FROM range(5000) AS t(i)", rows=2048))
    assert [batch.num_rows for batch in batches] == [2048, 2048, 904]


@pytest.mark.parametrize("bad", [False, True])
def test_other_columns_are_read_without_counting_the_same_rows_again(tmp_path, monkeypatch, bad) -> None:
    predictions, outcomes = make_events(requests=300)
    predictions.loc[7, "latency_ms"] = -1.0 if bad else 1.0
    repeated = pd.concat([predictions, predictions.tail(1)])
    workspace = write_workspace(tmp_path, repeated, outcomes, max_quarantined_share=0.1).workspace
    monkeypatch.setattr("toolkit.data.cache._RACY_NS", 0)  # what was just written is not known for sure
    counted = []

    def count(*asked, **named):
        counted.append(asked)
        return count_repeats(*asked, **named)

    monkeypatch.setattr("toolkit.data.source.count_repeats", count)
    for columns in (["score"], ["score", "latency_ms"], ["score", "latency_ms", "carrier"]):
        rows = open_source(workspace).read("predictions", columns, as_of=LATER)
        assert rows.count().to_pandas() == 300 - (bad and "latency_ms" in columns)
    assert len(counted) == (3 if bad else 1)
    pd.concat([repeated, repeated.tail(2)]).to_parquet(tmp_path / "data" / "predictions.parquet", index=False)
    assert open_source(workspace).read("predictions", ["score"], as_of=LATER).count().to_pandas() == 300
    assert len(counted) == (4 if bad else 2)
