"""Instants in columns: the day, hour and week that UTC shows, whatever zone they came in and however old they are."""

from __future__ import annotations

from datetime import UTC, datetime

import ibis
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.functions import clock_of
from toolkit.data.instants import date_of, day_of, days_as_text, seconds_between, week_of

TEXTS = [
    "1969-12-31T23:59:59.999999Z",
    "2026-03-28T23:59:59.999999Z",
    "2026-03-29T00:00:00Z",
    "2026-03-29T00:30:00+01:00",
    "2400-02-29T12:00:00-11:00",
    None,
]
INSTANTS = pd.to_datetime(pd.Series(TEXTS), utc=True, format="ISO8601").astype("datetime64[us, UTC]")


@pytest.fixture
def rows():
    backend = ibis.duckdb.connect()
    backend.raw_sql("SET TimeZone = 'Asia/Kolkata'")  # which must not matter
    return backend.create_table("rows", pd.DataFrame({"at": INSTANTS}))


def test_day_and_hour_are_those_of_utc(rows):
    found = rows.select(day=day_of(rows["at"]), hour=clock_of(rows["at"]).hour()).to_pandas()
    assert found["day"].tolist()[:5] == INSTANTS.dt.strftime("%Y-%m-%d").tolist()[:5]
    assert found["hour"].tolist()[:5] == INSTANTS.dt.hour.tolist()[:5]
    assert found.iloc[5].isna().all()


def test_dates_become_the_same_texts(rows):
    found = days_as_text(rows.select(day=date_of(rows["at"]), own=date_of(rows["at"])), "day", "own").to_pandas()
    assert found["day"].equals(rows.select(day=day_of(rows["at"])).to_pandas()["day"])
    assert found["own"].equals(found["day"].rename("own"))


def test_an_infinite_instant_has_no_day():
    rows = ibis.duckdb.connect().sql("SELECT 'infinity'::TIMESTAMPTZ AS at", schema={"at": "timestamp('UTC')"})
    assert rows.select(day=day_of(rows["at"])).to_pandas()["day"].isna().all()


MOMENTS = st.datetimes(
    datetime.fromisoformat("1950-01-01"), datetime.fromisoformat("2090-01-01"), timezones=st.just(UTC)
)


@given(MOMENTS, MOMENTS)
def test_weeks_and_seconds_are_those_of_the_calendar(first, second):
    rows = ibis.memtable(pd.DataFrame({"first": [pd.Timestamp(first)], "second": [pd.Timestamp(second)]}))
    found = rows.select(
        day=day_of(rows["first"]),
        week=week_of(rows["first"], second),
        gap_s=seconds_between(rows["first"], rows["second"]),
    ).to_pandas()
    assert found["day"].item() == first.date().isoformat()
    assert found["week"].item() == (first - second).days // 7
    assert found["gap_s"].item() == pytest.approx((second - first).total_seconds(), abs=1e-6)
