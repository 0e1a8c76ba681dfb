"""Requests by the clock, counted by each engine: the same slots as pandas has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from engine_events import AS_OF, FIRST, MODEL

from toolkit.metrics import KINDS, count_by_hour
from toolkit.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

METRIC = KINDS["error_rate"].model_validate(
    {
        **dict.fromkeys(("name", "description", "owner"), "Errors"),
        "kind": "error_rate",
        "direction": "decrease",
        "practical_threshold": 0.01,
        "role": "operation",
    }
)


def test_every_engine_counts_the_same_slots(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    """Also about midnight, to the microsecond, and on the night that the clocks are put on."""
    fine_from = FIRST + pd.Timedelta(days=1)
    counts = count_by_hour(
        engine.source(),
        MODEL,
        {"errors": METRIC},
        window=Window(FIRST.to_pydatetime(), AS_OF.to_pydatetime()),
        fine_from=fine_from.to_pydatetime(),
        as_of=AS_OF.to_pydatetime(),
    )
    rows = event_tables[0].to_pandas()
    rows = rows[rows["served"]]
    at = rows["created"]
    start = at.dt.floor("h").where(at < fine_from, at.dt.floor("5min"))
    expected = (
        rows.assign(second=at.dt.floor("s"))
        .groupby(start)
        .agg(n=("error", "size"), bad=("error", "sum"), first=("second", "min"), last=("second", "max"))
    )
    found = [
        [slot.requests, slot.shares["errors"].bad, pd.Timestamp(slot.first_at), pd.Timestamp(slot.last_at)]
        for slot in counts.slots
    ]
    assert [pd.Timestamp(slot.start) for slot in counts.slots] == list(expected.index)
    assert found == [[row.n, row.bad, row.first, row.last] for row in expected.itertuples()]
