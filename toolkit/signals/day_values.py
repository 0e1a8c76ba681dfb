"""A metric day by day, from the cells: one value for each day of the calendar, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from toolkit.metrics import Cells, MetricDefinition, RankKind, RatioKind, TimeKind

NO_REQUEST = "no request"

THIN_SHARE = 0.2
"""A day with less than this share of the usual day's requests says little about a mean: shown, and not judged."""


@dataclass(frozen=True)
class DayValue:
    """A metric on one day.

    Attributes
    ----------
    value: None where it is absent, and `reason` says why.
    requests: how many count for it. thin: too few of them beside the other days'.
    """

    day: date
    value: float | None
    requests: int
    thin: bool = False
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether the day may be judged."""
        return self.value is not None and not self.thin


def day_values(cells: Cells, metric: str, population: str) -> tuple[DayValue, ...]:
    """Each day of a population's window. What ranks requests must have been measured with `auc_within="day"`."""
    days = cells.population(population).window.dates
    rows = cells.days(population)
    by_day = {str(row["day"]): row for row in rows.to_dict("records")}
    definition = cells.metrics[metric]
    if isinstance(definition, TimeKind):
        return tuple(_amounts(definition, metric, days, by_day))  # few requests are what it counts
    if isinstance(definition, RatioKind) and type(definition).estimate is RatioKind.estimate:
        found = [_quotient(definition, metric, day, by_day.get(day.isoformat())) for day in days]
    else:
        alone = {str(day): replace(cells, frame=of_day) for day, of_day in rows.groupby("day")}
        found = [_estimated(alone.get(day.isoformat()), definition, metric, population, day) for day in days]
    return _with_thin(found)


def _quotient(metric: MetricDefinition, key: str, day: date, row: Mapping[str, Any] | None) -> DayValue:
    """A ratio of the day's two sums."""
    if row is None:
        return DayValue(day, None, 0, reason=NO_REQUEST)
    requests = _count(row, f"{key}__rows" if f"{key}__rows" in row else f"{key}__n")
    if spoilt := _count(row, f"{key}__spoilt"):
        return DayValue(day, None, requests, reason=metric.spoilt_reason(spoilt))
    total, weight = row[f"{key}__sum"], row[f"{key}__n"]
    if not requests or not weight:
        return DayValue(day, None, requests, reason="no request has a value")
    return DayValue(day, float(total) / float(weight), requests)


def _amounts(
    metric: TimeKind, key: str, days: Sequence[date], by_day: Mapping[str, Mapping[str, Any]]
) -> list[DayValue]:
    """What counts against time: 0 on a day without a request, and absent before the first and after the last."""
    seen = sorted(by_day)
    found = []
    for day in days:
        row = by_day.get(day.isoformat())
        if row is not None and (spoilt := _count(row, f"{key}__spoilt")):
            found.append(DayValue(day, None, 0, reason=metric.spoilt_reason(spoilt)))
        elif not seen or not seen[0] <= day.isoformat() <= seen[-1]:
            found.append(DayValue(day, None, 0, reason=NO_REQUEST))
        else:
            total = 0.0 if row is None else float(row[f"{key}__sum"])
            found.append(DayValue(day, total / metric.units_per_day, 0 if row is None else _count(row, "requests")))
    return found


def _estimated(cells: Cells | None, metric: MetricDefinition, key: str, population: str, day: date) -> DayValue:
    """By the kind's own estimate, made of the cells of the one day."""
    if cells is None:
        return DayValue(day, None, 0, reason=NO_REQUEST)
    estimate = cells.estimate(key, population)
    requests = int(cells.total("requests", population)) if isinstance(metric, RankKind) else estimate.n
    return DayValue(day, estimate.value, requests, reason="" if estimate.value is not None else estimate.reason)


def _with_thin(found: Sequence[DayValue]) -> tuple[DayValue, ...]:
    """The values, those of too few requests marked."""
    import statistics

    sizes = [each.requests for each in found if each.value is not None and each.requests]
    least = THIN_SHARE * statistics.median(sizes) if sizes else 0.0
    return tuple(replace(each, thin=0 < each.requests < least) for each in found)


def _count(row: Mapping[str, Any], column: str) -> int:
    """A count of a row; 0 where the column is not there or says nothing."""
    given = row.get(column, 0)
    return 0 if given is None or given != given else int(given)  # noqa: PLR0124 - NaN
