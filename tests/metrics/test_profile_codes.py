"""Coded days give the profiles that the table gives, for other versions, windows and segments too."""

from __future__ import annotations

from math import prod

import numpy as np
import pandas as pd
import pytest
from metrics.conftest import LATER, POPULATIONS

from conftest import make_events, write_workspace
from toolkit.data import ModelDefinition, Source, load_model, open_source
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.metrics.profiles import CodedDays, ColumnEdges, collect_profiles, reference_edges, write_codes
from toolkit.metrics.profiles.coded import WORD, pack
from toolkit.metrics.query import Population
from toolkit.windows import Window
from toolkit.workspace import Workspace

WHOLE = Window.of("2013-03-01", "2013-05-01")
REFERENCE = POPULATIONS[0]
ASKED = (
    REFERENCE,
    Population("served", None, Window.of("2013-03-20", "2013-04-20"), served_only=True),
    Population("other", "2", WHOLE, served_only=False),
    Population("nobody", "3", WHOLE, served_only=False),
)
COLUMNS = ("temp_f", "rain", "stops", "gate", "carrier", "late_model", "seen_at", "same", "label", "nothing")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    predictions, outcomes = make_events(requests=900)
    rng = np.random.default_rng(6)
    count = len(predictions)
    current = np.asarray(predictions["occurred_at"] >= REFERENCE.window.end)
    predictions = predictions.assign(
        version=np.where(np.arange(count) % 4 == 0, "2", "1"),
        served=np.arange(count) % 3 > 0,
        rain=np.where(rng.random(count) < 0.5, 0.0, rng.exponential(size=count)),
        stops=pd.array(np.where(rng.random(count) < 0.1, None, rng.integers(0, 3 + current)), dtype="Int16"),
        gate=[f"g{number}" for number in rng.zipf(1.2, count) % 400],
        late_model=pd.array(np.where(rng.random(count) < 0.1, None, rng.random(count) < 0.3), dtype="boolean"),
        seen_at=predictions["occurred_at"],
        same=np.where(current, 1.0 + rng.random(count), 1.0),
        nothing=np.nan,
    )
    predictions.loc[::9, "temp_f"] = np.nan
    predictions.loc[::11, "carrier"] = None
    return write_workspace(tmp_path_factory.mktemp("codes"), predictions, outcomes).workspace


@pytest.fixture
def opened(workspace: Workspace) -> tuple[Source, ModelDefinition, dict[str, ColumnEdges]]:
    source, model = open_source(workspace), load_model(workspace, "small")
    return source, model, reference_edges(source, model, REFERENCE, COLUMNS, as_of=LATER)


@pytest.mark.slow
def test_coded_days_give_the_same_profiles_as_the_table(opened) -> None:
    source, model, edges = opened
    codes = write_codes(source, model, WHOLE, edges, as_of=LATER, segments=["carrier", "gate"])
    coded = codes.profiles(ASKED, segments=["carrier", "gate"])
    counted = collect_profiles(source, model, ASKED, edges, as_of=LATER, segments=["carrier", "gate"])
    assert coded.cells == counted.cells
    assert coded.population("served").total.columns["same"].most > 1
    assert codes.profiles([REFERENCE]).total == counted.population("reference").total


def test_days_that_are_there_are_not_written_again(opened, monkeypatch) -> None:
    source, model, edges = opened
    week = Window.of("2013-04-01", "2013-04-08")
    first = write_codes(source, model, week, edges, as_of=LATER)
    assert len(first.paths) == 7
    assert all(path.is_file() for path in first.paths.values())
    monkeypatch.setattr("toolkit.metrics.profiles.coded._write", None)
    again = write_codes(source, model, week, edges, as_of=LATER)
    assert again.paths == first.paths


def test_a_day_whose_rows_were_all_left_out_has_a_file_without_rows(tmp_path) -> None:
    predictions, outcomes = make_events(requests=900)
    predictions.loc[predictions["occurred_at"].dt.strftime("%Y-%m-%d") == "2013-04-10", "version"] = None
    workspace = write_workspace(tmp_path, predictions, outcomes, max_quarantined_share=0.1).workspace
    source, model, april = open_source(workspace), load_model(workspace, "small"), POPULATIONS[1]
    edges = reference_edges(source, model, april, ["temp_f", "carrier"], as_of=LATER)
    codes = write_codes(source, model, april.window, edges, as_of=LATER, segments=["carrier"])
    assert "2013-04-10" in codes.paths
    counted = collect_profiles(source, model, [april], edges, as_of=LATER, segments=["carrier"])
    assert codes.profiles([april], segments=["carrier"]).cells == counted.cells


def test_columns_are_packed_into_words_that_hold_each_of_their_codes() -> None:
    edges = [ColumnEdges.of(f"n{number:02d}", np.random.default_rng(number).normal(size=99)) for number in range(20)]
    edges += [ColumnEdges.of_texts("c", {f"v{number}": 10 for number in range(90)}, dtype="text")]
    words = pack(edges)
    assert len(words) == 7
    assert sorted(each.column for word in words for each in word.edges) == sorted(each.column for each in edges)
    for word in words:
        assert prod(word.codes) <= WORD
        assert word.steps == tuple(prod(word.codes[:at]) for at in range(len(word.codes)))


def test_a_window_of_other_than_whole_coded_days_is_refused(opened) -> None:
    source, model, edges = opened
    april = Window.of("2013-04-01", "2013-05-01")
    codes = write_codes(source, model, april, edges, as_of=LATER)
    message = (
        "^population 'reference' is of 2013-03-01 … 2013-03-31, and coded days hold whole days of "
        "2013-04-01 … 2013-04-30; ask collect_profiles$"
    )
    with pytest.raises(ArgumentError, match=message):
        codes.profiles([REFERENCE])
    noon = Population("noon", None, Window.of("2013-04-02T12:00Z", "2013-04-04"), served_only=False)
    with pytest.raises(
        ArgumentError, match="^population 'noon' is of 2013-04-02T12:00:00Z … 2013-04-04T00:00:00Z, and"
    ):
        codes.profiles([noon])
    with pytest.raises(UnknownNameError, match="segment of the coded days 'carrier'"):
        codes.profiles([], segments=["carrier"])


def test_another_engine_s_table_is_not_coded(opened, monkeypatch) -> None:
    source, model, edges = opened
    connection = source.opened("predictions").connection
    monkeypatch.setitem(connection.__dict__, "engine", "postgres")
    monkeypatch.setitem(connection.__dict__, "place", "source 'warehouse' (postgres at db:5432)")
    message = (
        r"^coded days are written by the embedded engine, and predictions lie in source 'warehouse' "
        r"\(postgres at db:5432\); count them there, with collect_profiles$"
    )
    with pytest.raises(ArgumentError, match=message):
        write_codes(source, model, WHOLE, edges, as_of=LATER)


@pytest.mark.slow
def test_a_file_of_a_coded_day_holds_small_integers(opened) -> None:
    from pyarrow import parquet

    source, model, edges = opened
    codes: CodedDays = write_codes(source, model, WHOLE, edges, as_of=LATER, segments=["carrier"])
    schema = parquet.read_schema(next(iter(codes.paths.values())))
    words = {name: str(schema.field(name).type) for name in schema.names if name.startswith("word_")}
    assert set(words.values()) == {"uint16"}
    assert set(schema.names) == {"version", "served", "by_0", "x_same", *words}
