"""Moments and unit-days of the same events in every engine, against NumPy and pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from engine_events import make_predictions

from toolkit.data.cache import Cache
from toolkit.data.unit_days import DayOfEvents, UnitDays
from toolkit.metrics.moment_table import Needs
from toolkit.metrics.moments import collect_moments
from toolkit.stats.joint_moments import joint_moments

MEASURES = ("latency_ms", "cost", "stops")
KEYS = {"version": "version", "region": "region", "stops": "stops"}
NEEDS = Needs.of(*MEASURES) | Needs.of("error") | Needs.of("far")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """The events as numbers, missing ones as NaN, and a measure near 1e9."""
    frame = make_predictions().rename(columns={"created": "occurred_at"})
    frame["latency_ms"] = frame["latency_s"] * 1000
    frame["far"] = frame["latency_ms"] + 1e9
    for name in ("cost", "stops"):
        frame[name] = frame[name].astype("float64")
    return frame


def assert_same(found: Any, rows: pd.DataFrame, measures: tuple[str, ...]) -> None:
    expected = joint_moments(*(rows[list(measures)].astype("float64").dropna()[name] for name in measures))
    assert found.n == expected.n
    for i in range(len(measures)):
        assert found.mean(i) == pytest.approx(expected.mean(i), rel=1e-9)
        for j in range(len(measures)):
            size = (expected.products[i][i] * expected.products[j][j]) ** 0.5
            assert found.products[i][j] == pytest.approx(expected.products[i][j], rel=0, abs=1e-9 * size)


@pytest.mark.parametrize("splits", [(), ("region",), ("region", "error")])
def test_moments_agree(engine: Any, frame: pd.DataFrame, splits: tuple[str, ...]) -> None:
    table = engine.table("predictions")
    table = table.mutate(far=table.latency_ms + 1e9)
    moments = collect_moments(table, NEEDS, by=["version"], splits=splits)
    assert moments.values("version") == ["1", "2"]
    for version, of_version in frame.groupby("version"):
        where = {"version": str(version)}
        assert moments.rows(where) == len(of_version)
        for measures in (("error",), ("latency_ms",), ("far",), ("cost", "stops"), MEASURES):
            assert_same(moments.moments(measures, where), of_version, measures)
            for split in splits:
                text = of_version[split].map(lambda value: str(value).lower(), na_action="ignore").fillna("missing")
                if split == "region":
                    text = of_version[split].fillna("missing")
                assert moments.values(split) == sorted(frame[split].map(str).str.lower().unique()) or split == "region"
                for value, rows in of_version.groupby(text):
                    assert_same(moments.moments(measures, where, split=split, value=value), rows, measures)


def test_unit_days_agree(engine: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    rows = frame.assign(day=frame["occurred_at"].dt.strftime("%Y-%m-%d"), events=1)
    table = UnitDays(("latency_ms", "cost", "error"), "sha256:the events", keys=("version",))
    days = {str(day): DayOfEvents(len(part), f"sha256:{day}") for day, part in rows.groupby("day")}
    paths = table.build(engine.table("predictions"), days, Cache(tmp_path), run_rows=450)
    keys = ["unit_id", "day", "version"]
    found = table.read(paths, ibis.duckdb.connect()).execute()
    found["day"] = found["day"].astype(str)
    measures = ["events", "latency_ms", "cost", "error"]
    expected = rows.groupby(keys)[measures].sum().astype("float64").reset_index()
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True)[expected.columns], expected, check_dtype=False, rtol=1e-12
    )
