"""Mass cancellations as incidents: found in the flights themselves, by a rule that could have run at the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

ZONE = "America/New_York"
"""Days are New York's: a flight belongs to the day that its schedule names."""
MASS_SHARE = 0.15
"""At least this share of an origin's flights of a day is cancelled in an incident …"""
MASS_RATIO = 10
"""… and at least so many times the median share of the days before."""
TRAILING_DAYS = 28
"""How many days before are looked back upon; a day with fewer has no incident."""
MAJOR_SHARE = 0.25
"""From this share of the day's flights on, the incident is major."""


def origin_days(flights: pd.DataFrame) -> pd.DataFrame:
    """One row per origin and New York day, key `origin`, `day`, in this order.

    Columns: `flights` scheduled, `cancelled`, `share` of them, and `limit`, the share that makes the day an incident
    (NaN for an origin's first days).
    """
    table = flights.assign(day=flights["scheduled_at"].dt.tz_convert(ZONE).dt.normalize())
    days = table.groupby(["origin", "day"], as_index=False).agg(flights=("error", "size"), cancelled=("error", "sum"))
    days["share"] = days["cancelled"] / days["flights"]
    usual = days.groupby("origin")["share"].transform(
        lambda share: share.shift(1).rolling(TRAILING_DAYS, min_periods=TRAILING_DAYS).median()
    )
    return days.assign(limit=(MASS_RATIO * usual).clip(lower=MASS_SHARE))


def find_incidents(flights: pd.DataFrame) -> pd.DataFrame:
    """One row per incident, key `incident_id`, in the order of `opened_at`, `incident_id`.

    It opens at the scheduled departure of the cancelled flight that brings the day's cancellations to the limit, and
    is resolved at the end of the New York day. Columns: `incident_id`, `opened_at`, `resolved_at` (UTC), `severity`.
    """
    import pandas as pd

    days = origin_days(flights)
    days = days[days["share"] >= days["limit"]]
    cancelled = flights.assign(day=flights["scheduled_at"].dt.tz_convert(ZONE).dt.normalize())
    cancelled = cancelled[cancelled["error"]].merge(days, on=["origin", "day"])
    cancelled = cancelled.sort_values(["origin", "scheduled_at", "request_id"], ignore_index=True)
    so_far = (cancelled.groupby(["origin", "day"]).cumcount() + 1) / cancelled["flights"]
    first = cancelled[so_far >= cancelled["limit"]].drop_duplicates(["origin", "day"])
    midnight = first["day"] + pd.DateOffset(days=1)
    incidents = pd.DataFrame(
        {
            "incident_id": first["day"].dt.strftime("%Y-%m-%d-") + first["origin"],
            "opened_at": first["scheduled_at"],
            "resolved_at": midnight.dt.tz_convert("UTC"),
            "severity": (first["share"] >= MAJOR_SHARE).map({True: "major", False: "minor"}),
        }
    )
    return incidents.sort_values(["opened_at", "incident_id"], ignore_index=True)
