"""Who is touched in a week, counted by each engine: as pandas counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from engine_events import AS_OF, FIRST, MODEL

from toolkit.metrics.touched import count_touched
from toolkit.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

START = FIRST - pd.Timedelta(days=6)  # so that a week ends among the requests


def test_every_engine_counts_the_same_people(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    window = Window(START.to_pydatetime(), AS_OF.to_pydatetime())
    segments = [{}, {"region": "Süd"}, {"region": "missing"}, {"region": "東京", "stops": "3"}, {"error": "true"}]
    found = count_touched(engine.source(), MODEL, segments, window=window, as_of=AS_OF.to_pydatetime())
    rows = event_tables[0].to_pandas()
    rows = rows[rows["served"]]
    inside = [
        rows,
        rows[rows["region"] == "Süd"],
        rows[rows["region"].isna()],
        rows[(rows["region"] == "東京") & (rows["stops"] == 3)],
        rows[rows["error"]],
    ]
    weeks = window.days / 7
    for counted, expected in zip(found, inside, strict=True):
        week = (expected["created"] - START) // pd.Timedelta(days=7)
        pairs = pd.DataFrame({"unit": expected["unit_id"], "week": week}).drop_duplicates()
        assert counted is not None
        assert round(counted.requests_per_week * weeks, 6) == len(expected) > 0
        assert round(counted.units_per_week * weeks, 6) == len(pairs)
