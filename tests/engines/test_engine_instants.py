"""What a clock in UTC shows of each instant, asked of every engine: what pandas says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine_events import FIRST

from toolkit.data.functions import clock_of
from toolkit.data.instants import day_of, seconds_between, week_of

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine


def test_every_engine_says_the_same_of_an_instant(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    rows = engine.table("predictions")
    at = rows.occurred_at
    asked = rows.select(
        "request_id",
        day=day_of(at),
        hour=clock_of(at).hour().cast("int64"),
        minute=clock_of(at).minute().cast("int64"),
        week=week_of(at, FIRST.to_pydatetime()),
        since_s=seconds_between(rows.occurred_at.min().over(), at),
    )
    found = engine.source().execute(asked, reading="predictions").set_index("request_id").sort_index()
    told = event_tables[0].to_pandas().drop_duplicates("request_id").set_index("request_id").sort_index()["created"]
    found = found[~found.index.duplicated()]
    assert found["day"].tolist() == told.dt.strftime("%Y-%m-%d").tolist()
    assert found["hour"].tolist() == told.dt.hour.tolist()
    assert found["minute"].tolist() == told.dt.minute.tolist()
    assert set(found["week"]) == {0}
    assert ((found["since_s"] - (told - told.min()).dt.total_seconds()).abs() < 1e-6).all()
    assert len(set(found["day"])) == 3
