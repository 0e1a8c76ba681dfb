"""Mass cancellations: the rule, recomputed day by day in plain Python, and what it finds."""

from __future__ import annotations

from statistics import median

import pandas as pd
import pytest
from built_flights import Built, at

from toolkit.examples.flights_incidents import find_incidents


def test_the_incidents_are_those_that_the_rule_finds_day_by_day(built: Built, flights: pd.DataFrame) -> None:
    found = {}
    for origin, here in flights.assign(day=flights["request_id"].str[:10]).groupby("origin"):
        shares: list[float] = []
        for day, due in here.groupby("day"):
            limit = max(0.15, 10 * median(shares[-28:])) if len(shares) >= 28 else 2
            shares.append(due["error"].sum() / len(due))
            if shares[-1] >= limit:
                gone = due.loc[due["error"], "scheduled_at"].sort_values().tolist()
                opened_at = next(when for n, when in enumerate(gone, start=1) if n / len(due) >= limit)
                found[f"{day}-{origin}"] = (opened_at, "major" if shares[-1] >= 0.25 else "minor")
    expected = {key: value for key, value in found.items() if value[0] >= at("2013-03-01")}
    table = built.incidents.set_index("incident_id")
    assert dict(zip(table.index, zip(table["opened_at"], table["severity"], strict=True), strict=True)) == expected
    # The storm of 8 February is found, and lies before the service.
    assert {key for key in found if key < "2013-03"} == {
        f"2013-02-0{day}-{origin}" for day in (8, 9) for origin in ("EWR", "JFK", "LGA")
    }


def test_there_are_fourteen_on_nine_days_and_those_of_the_snow_in_december_are_major(built: Built) -> None:
    table = built.incidents
    assert table["incident_id"].is_unique
    assert len(table) == 14
    assert table["incident_id"].str[:10].nunique() == 9
    assert table.loc[table["severity"] == "major", "incident_id"].tolist() == [
        "2013-05-23-EWR", "2013-12-05-LGA", "2013-12-10-EWR", "2013-12-10-LGA", "2013-12-14-EWR",
    ]  # fmt: skip  # its lines group what belongs together
    assert set(table["model"]) == {"delay"}
    assert table["caused_by"].isna().all()


def test_an_incident_ends_with_its_new_york_day(built: Built) -> None:
    table = built.incidents
    opened, resolved = (table[name].dt.tz_convert("America/New_York") for name in ("opened_at", "resolved_at"))
    assert (opened.dt.strftime("%Y-%m-%d") == table["incident_id"].str[:10]).all()
    assert (resolved == opened.dt.normalize() + pd.DateOffset(days=1)).all()


def _days(cancelled: list[int], *, flights: int = 100) -> pd.DataFrame:
    """A flight each five minutes from 6 in the morning, the first so many of each day cancelled."""
    starts = pd.date_range("2013-03-01 06:00", periods=len(cancelled), tz="America/New_York")
    rows = [
        (f"{start:%Y-%m-%d}-{n:03}", (start + pd.Timedelta(minutes=5 * n)).tz_convert("UTC"), "EWR", n < gone)
        for start, gone in zip(starts, cancelled, strict=True)
        for n in range(flights)
    ]
    return pd.DataFrame(rows, columns=["request_id", "scheduled_at", "origin", "error"])


@pytest.mark.parametrize(
    ("before", "cancelled", "opens"),
    [
        ([0] * 28, 14, None),  # less than 15 %
        ([0] * 28, 15, "07:10"),
        ([0] * 27, 100, None),  # too few days to know what is usual
        ([3] * 28, 29, None),  # less than ten times the usual
        ([3] * 28, 30, "08:25"),
        ([1] * 15 + [90] * 13, 15, "07:10"),  # the median: earlier storms do not make this one usual
        ([90] * 15 + [1] * 13, 100, None),
    ],
)
def test_the_rule_at_its_limits(before: list[int], cancelled: int, opens: str | None) -> None:
    found = find_incidents(_days([*before, cancelled])).tail(1)
    day = pd.Timestamp("2013-03-01") + pd.DateOffset(days=len(before))
    today = found[found["incident_id"] == f"{day:%Y-%m-%d}-EWR"]
    assert today["opened_at"].dt.tz_convert("America/New_York").dt.strftime("%H:%M").tolist() == (
        [opens] if opens else []
    )
