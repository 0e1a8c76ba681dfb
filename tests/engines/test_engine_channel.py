"""The health of the channel, counted by each engine: the same numbers as pandas has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from engine_events import FIRST, MODEL

from toolkit.metrics import channel_health

if TYPE_CHECKING:
    import pyarrow as pa
    from engine_places import Engine

RECEIVED = """\
case when stops = 4 then created + interval 3 hour when stops = 3 then created - interval 1 second
else date_trunc('hour', created) + interval 1 hour end"""


def with_received_at(engine: Engine) -> Engine:
    """The engine, with a workspace that says when each row was received."""
    tables = dict(engine.workspace.settings.tables)
    settings = tables["predictions"]
    expressions = {**settings.expressions, "received_at": RECEIVED}
    tables["predictions"] = settings.model_copy(update={"expressions": expressions})
    changed = engine.workspace.settings.model_copy(update={"tables": tables})
    return replace(engine, workspace=replace(engine.workspace, settings=changed))


def test_every_engine_counts_what_pandas_counts(engine: Engine, event_tables: tuple[pa.Table, pa.Table]) -> None:
    health = channel_health(with_received_at(engine).source(), MODEL, as_of="2026-04-01", window_days=4, within=0.1)

    rows, outcomes = (table.to_pandas() for table in event_tables)
    stops = rows["stops"].fillna(0)
    received = rows["created"].dt.floor("h") + pd.Timedelta("1h")
    received = received.mask(stops == 4, rows["created"] + pd.Timedelta("3h"))
    received = received.mask(stops == 3, rows["created"] - pd.Timedelta("1s"))
    delays_s = (received - rows["created"]).dt.total_seconds()
    newest = rows["created"].groupby(received).max()
    newest = newest.groupby(newest.index.floor("D")).transform(lambda day: day.cummax().shift())
    seen = outcomes.merge(rows[["request_id", "created"]], on="request_id")
    found = {each.statistic: each.value for each in health.numbers if each.value is not None}
    assert found == {
        "rows": len(rows),
        "days_without_rows": 1,
        "repeated_rows": 0,
        "repeated_share": 0.0,
        "late_rows": (stops == 4).sum(),
        "late_share": pytest.approx((stops == 4).mean()),
        "skewed_rows": (stops == 3).sum(),
        "skewed_share": pytest.approx((stops == 3).mean()),
        "out_of_order_rows": (rows["created"] < received.map(newest)).sum(),
        "out_of_order_share": pytest.approx((rows["created"] < received.map(newest)).mean()),
        "delay_median_s": pytest.approx(delays_s.median(), abs=0.001),
        "delay_p95_s": pytest.approx(delays_s.quantile(0.95), abs=0.001),
        "delay_longest_s": 10_800.0,
        "near_threshold_share": pytest.approx(((rows["score"].dropna() - 0.4).abs() <= 0.1).mean()),
        "repeated_outcomes": 0,
        "early_outcomes": (seen["observed_at"] < seen["created"]).sum(),
    }
    by_day = rows["created"].dt.strftime("%Y-%m-%d").value_counts()
    assert {day.counts.day: day.counts.rows for day in health.days if day.counts.rows} == by_day.to_dict()
    first = outcomes.groupby("request_id")["observed_at"].min()
    made = rows[~rows["error"]].set_index("request_id")["created"]
    for each in health.labels:
        then = made + pd.Timedelta(days=each.age_days)
        old = then <= FIRST + pd.Timedelta(days=4)
        known = old & (first.reindex(made.index) <= then)
        assert (each.requests, each.labelled) == (old.sum(), known.sum())
