"""Counting rows as they stream by gives what asking the engine for sums gives, whatever their order and values."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from metrics.conftest import LATER, POPULATIONS

from conftest import make_events, write_workspace
from toolkit.data import load_model, open_source
from toolkit.errors import ContractError
from toolkit.metrics.profiles import ColumnCounts, ColumnEdges, collect_profiles, counting
from toolkit.metrics.profiles.counting import Counting
from toolkit.metrics.profiles.requests import profile_question, requests_of
from toolkit.metrics.profiles.streaming import Streaming, codes, codes_of
from toolkit.metrics.query import Population
from toolkit.windows import Window
from toolkit.workspace import Workspace

REFERENCE, CURRENT = POPULATIONS
EVERY = Population("every", None, Window(REFERENCE.window.start, CURRENT.window.end), served_only=False)
DAYS = [
    (EVERY.window.start + timedelta(days=day)).date().isoformat()
    for day in range((EVERY.window.end - EVERY.window.start).days)
]
EDGES = {
    "rain": ColumnEdges.of("rain", [0.0] * 30 + [float(each) for each in range(1, 60)]),
    "stops": ColumnEdges.of("stops", [0, 1, 2] * 9),
    "always": ColumnEdges.of("always", [1.5] * 9),
    "never": ColumnEdges("never", "number"),
    "carrier": ColumnEdges("carrier", "category", "text", 9, values=("AA", "it's"), tail=("", "UA"), tail_size=2),
    "tail_number": ColumnEdges("tail_number", "category", "text", 9, values=("N1",), tail_size=10**6),
    "wet": ColumnEdges.of("wet", [True, False]),
    "seen_at": ColumnEdges("seen_at", "presence", "instant"),
    "label": ColumnEdges.of("label", [0, 1] * 9),
}


def widen(predictions: pd.DataFrame) -> pd.DataFrame:
    """Spikes, NaN and infinities, whole numbers, a nearly constant one, texts that need quotes, truths, instants."""
    rng, count = np.random.default_rng(5), len(predictions)
    rain = rng.choice([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, 2.5, 7.0, 1e300], count)
    texts = np.array(["AA", "UA", "it's", "", "new", "東京"], dtype=object)[rng.integers(0, 6, count)]
    texts[rng.random(count) < 0.1] = None
    return predictions.assign(
        rain=rain,
        stops=pd.Series(rng.choice([0, 1, 2, 3], count), dtype="Int32").mask(pd.Series(rng.random(count) < 0.2)),
        always=np.where(rng.random(count) < 0.02, rng.normal(size=count), 1.5),
        never=np.full(count, np.nan),
        carrier=texts,
        tail_number=[f"N{number}" for number in rng.integers(0, 900, count)],
        wet=pd.array(rng.choice([True, False, None], count), dtype="boolean"),
        seen_at=predictions["occurred_at"].mask(pd.Series(rng.random(count) < 0.3)),
        version=np.where(np.arange(count) % 7 == 0, "2", "1"),
    )


@pytest.fixture(scope="module")
def events() -> tuple[pd.DataFrame, pd.DataFrame]:
    predictions, outcomes = make_events(requests=3_000)
    return widen(predictions), outcomes


@pytest.mark.parametrize("order", [pytest.param("as they came", marks=pytest.mark.slow), "shuffled"])
def test_streaming_gives_what_asking_for_sums_gives(tmp_path, events, monkeypatch, order) -> None:
    predictions, outcomes = events
    shuffled = predictions.sample(frac=1, random_state=1) if order == "shuffled" else predictions
    workspace = write_workspace(tmp_path, shuffled, outcomes).workspace
    source = open_source(workspace)
    segments = ["carrier", "version"]
    question = profile_question(source, load_model(workspace, "small"), EVERY, EDGES, as_of=LATER, segments=segments)
    requests, edges = requests_of(question), list(EDGES.values())
    streamed = Streaming.of(requests, DAYS, edges, segments).run(source.opened("predictions").connection, "predictions")
    monkeypatch.setattr(counting, "MOST_SUMS", 30)
    summed = Counting.of(requests, DAYS, edges, segments).run(
        lambda query: source.execute(query, reading="predictions")
    )
    assert len({place.day for place in summed}) > 10
    assert {place.value for place in summed if place.segment == "carrier"} >= {"", "it's", "東京"}
    assert streamed == summed
    assert any(profile.columns["always"].least not in {None, 1.5} for profile in streamed.values())


@pytest.mark.parametrize("name", ["rain", "stops", "always", "never"])
def test_codes_are_the_cells_that_counting_in_python_finds(name) -> None:
    edges = EDGES[name]
    values = np.array([0.0, -0.0, 1.5, 2.0, 7.0, np.nan, np.inf, -np.inf, -1e300, 5e-324])
    own = ColumnCounts.of(edges, values.tolist())
    assert np.bincount(codes(values, edges), minlength=codes_of(edges)).tolist() == [
        *own.counts,
        own.unseen,
        own.missing,
    ]


def test_more_cells_than_a_byte_holds_have_codes() -> None:
    edges = ColumnEdges("x", "number", edges=tuple(float(edge) for edge in range(300)))
    assert codes(np.array([-1.0, 299.0, 1e9, np.nan]), edges).tolist() == [0, 299, 300, 302]


def test_data_that_break_off_while_they_are_read_are_a_contract_error(tmp_path, events) -> None:
    workspace = write_workspace(tmp_path, *events).workspace
    source, model = open_source(workspace), load_model(workspace, "small")
    edges = {"rain": EDGES["rain"]}
    profile_question(source, model, EVERY, edges, as_of=LATER)
    source.facts("predictions", ["rain"], as_of=LATER)
    damage(workspace)
    with pytest.raises(ContractError) as caught:
        collect_profiles(source, model, [EVERY], edges, as_of=LATER)
    assert str(caught.value).startswith("predictions: the data could not be read: ")


def test_what_the_engine_says_halfway_is_a_contract_error(tmp_path, events) -> None:
    connection = open_source(write_workspace(tmp_path, *events).workspace).opened("predictions").connection
    rows = connection.backend.sql(
        "SELECT TIMESTAMP '2025-01-01' AS occurred_at, "
        "CASE WHEN i > 200000 THEN error('torn') ELSE 1.5::DOUBLE END AS always FROM range(300000) AS t(i)",
        schema={"occurred_at": "timestamp", "always": "float64"},
    )
    with pytest.raises(ContractError) as caught:
        Streaming.of(rows, DAYS[:1], [EDGES["always"]], []).run(connection, "predictions")
    assert str(caught.value) == "predictions: the data could not be read: Invalid Input Error: torn"


def test_what_was_broken_off_while_it_was_counted_is_counted_again_on_the_same_connection(
    tmp_path, events, monkeypatch
) -> None:
    workspace = write_workspace(tmp_path, *events).workspace
    source, edges = open_source(workspace), {"carrier": EDGES["carrier"]}
    question = profile_question(source, load_model(workspace, "small"), EVERY, edges, as_of=LATER)
    streaming = Streaming.of(requests_of(question), DAYS, edges.values(), [])
    connection = source.opened("predictions").connection

    def break_off(*_) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Streaming, "_pieces", break_off)
        with pytest.raises(KeyboardInterrupt):
            streaming.run(connection, "predictions")
    assert streaming.run(connection, "predictions")


def test_texts_that_the_engine_refuses_leave_nothing_behind_in_it(tmp_path, events) -> None:
    workspace = write_workspace(tmp_path, *events).workspace
    source = open_source(workspace)
    edges = [EDGES["carrier"], ColumnEdges("tail_number", "category", "text", 9, values=("\ud800",))]
    question = profile_question(
        source, load_model(workspace, "small"), EVERY, {each.column: each for each in edges}, as_of=LATER
    )
    requests, connection = requests_of(question), source.opened("predictions").connection
    with pytest.raises(UnicodeEncodeError):
        Streaming.of(requests, DAYS, edges, []).run(connection, "predictions")
    assert Streaming.of(requests, DAYS, edges[:1], []).run(connection, "predictions")


def damage(workspace: Workspace) -> None:
    """Zeros over what the tables' files hold, their ends but for; nothing tells from outside."""
    for path in sorted(Path(workspace.root, "data").rglob("*predictions*.parquet")):
        state = path.stat()
        held = path.read_bytes()
        path.write_bytes(held[:4] + bytes(len(held) // 2) + held[4 + len(held) // 2 :])
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
