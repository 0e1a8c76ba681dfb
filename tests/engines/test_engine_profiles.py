"""Profiles of the same events in every engine: the same edges, and on them the same counts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from engine_events import AS_OF, FIRST, MODEL, make_predictions

from toolkit.metrics.profiles import ColumnCounts, ColumnEdges, collect_profiles, reference_edges
from toolkit.metrics.profiles.scale import SHARES
from toolkit.metrics.query import Population
from toolkit.windows import Window

COLUMNS = ("score", "latency_ms", "region", "stops", "cost", "served", "label")
REFERENCE = Population(
    "reference", "1", Window(FIRST.to_pydatetime(), FIRST.to_pydatetime() + pd.Timedelta("1D")), False
)
EVERY = Population("every", None, Window(FIRST.to_pydatetime(), AS_OF.to_pydatetime()), False)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    frame = make_predictions().rename(columns={"created": "occurred_at"})
    frame["latency_ms"] = frame["latency_s"] * 1000
    return frame


def test_edges_and_profiles_agree(engine: Any, frame: pd.DataFrame) -> None:
    source = engine.source()
    edges = reference_edges(source, MODEL, REFERENCE, COLUMNS, as_of=AS_OF.to_pydatetime(), bins=10)
    assert list(edges) == sorted(COLUMNS)
    first = frame[(frame["occurred_at"] < REFERENCE.window.end) & (frame["version"] == "1")]
    for name in ("score", "latency_ms", "region", "stops", "cost", "served"):
        own = ColumnEdges.of(name, first[name].tolist(), bins=10)
        assert (edges[name].kind, edges[name].type, edges[name].values) == (own.kind, own.type, own.values)
        assert edges[name].edges == pytest.approx(own.edges, rel=1e-12)
        assert (edges[name].n, edges[name].tail, edges[name].novelty) == (own.n, own.tail, own.novelty)
    as_of = AS_OF.to_pydatetime()
    profiles = collect_profiles(source, MODEL, [REFERENCE, EVERY], edges, as_of=as_of, segments=["region"])
    every = profiles.population("every")
    assert every.total.rows == len(frame)
    assert set(every.total.types) == set(COLUMNS)
    for day, rows in frame.groupby(frame["occurred_at"].dt.date):
        for name, counts in every.by_day[day].columns.items():
            if name != "label":
                assert counts == ColumnCounts.of(edges[name], rows[name].tolist()), name
    for value, rows in frame.groupby(frame["region"].fillna("missing")):
        assert every.segment("region", value).total.columns["cost"] == ColumnCounts.of(edges["cost"], rows["cost"])
    assert profiles.population("reference").total.columns["score"].n == int(first["score"].notna().sum())
    again = collect_profiles(engine.source(), MODEL, [REFERENCE, EVERY], edges, as_of=as_of, segments=["region"])
    assert again.cells == profiles.cells


def test_a_spike_is_told_from_its_neighbours(engine: Any) -> None:
    """The literal of an edge is the very number, in every engine."""
    values = sorted(make_predictions()["latency_s"] * 1000)
    spikes = [value for value in values[::60] for _ in range(2)]
    quantiles = dict(zip([number / 21 for number in range(1, 21)], spikes, strict=True)) | dict.fromkeys(SHARES, 0.0)
    edges = ColumnEdges.of_quantiles("latency_ms", quantiles, n=1, bins=21)
    assert len(edges.point_masses) == 10
    found = collect_profiles(engine.source(), MODEL, [EVERY], {"latency_ms": edges}, as_of=AS_OF.to_pydatetime())
    assert found.population("every").total.columns["latency_ms"] == ColumnCounts.of(edges, values)


def test_a_tail_is_told_from_what_is_new(engine: Any, frame: pd.DataFrame) -> None:
    edges = ColumnEdges("region", "category", "text", 9, values=("Nord",), tail=("", "it's"), tail_size=2)
    found = collect_profiles(engine.source(), MODEL, [EVERY], {"region": edges}, as_of=AS_OF.to_pydatetime())
    counts = found.population("every").total.columns["region"]
    assert counts == ColumnCounts.of(edges, frame["region"].tolist())
    assert counts.unseen == int(frame["region"].isin(["Süd", "東京"]).sum())
