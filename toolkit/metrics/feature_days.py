"""What a model's features were by day: whether they were there, and whether they were one and the same value.

An input that stands still is not seen by what watches means; here its days say so. Two queries, of a few aggregates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.data import Source
from toolkit.data.instants import date_of, days_as_text

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.windows import Window

_FEWEST = 10
"""Requests of a day without which it says nothing about whether an input stands still."""


class FeatureDay(NamedTuple):
    """One feature on one day: requests, those that have it, and its value as text if all of these have the same."""

    day: date
    requests: int
    present: int
    constant: str | None

    @property
    def state(self) -> tuple[str, str]:
        """What the day was: `missing`, `constant` with its value, or `alive`; two days in one state are one run."""
        if not self.present:
            return "missing", ""
        return ("alive", "") if self.constant is None else ("constant", self.constant)


class Standstill(NamedTuple):
    """The run of days at the end on which a feature was missing, or constant; `before_days`: the longest one before."""

    state: Literal["missing", "constant"]
    since: date
    days: int
    before_days: int


@dataclass(frozen=True)
class FeatureDays:
    """The features of the requests that a model served in a window, by day.

    Attributes
    ----------
    versions: served requests by version, the most first.
    days: by feature every day with at least ten requests, in order.
    """

    versions: Mapping[str, int]
    days: Mapping[str, tuple[FeatureDay, ...]]

    def standstill(self, feature: str) -> Standstill | None:
        """How the feature stands still at the end of the window; None where it does not."""
        runs = [(state, tuple(days)) for state, days in groupby(self.days[feature], key=lambda day: day.state)]
        if not runs or runs[-1][0][0] == "alive":
            return None
        (state, _), last = runs[-1]
        before = max((len(days) for (kind, _), days in runs[:-1] if kind == state), default=0)
        return Standstill("missing" if state == "missing" else "constant", last[0].day, len(last), before)


def collect_feature_days(
    source: Source, model: str, features: Sequence[str], *, window: Window, as_of: datetime
) -> FeatureDays:
    """Look at some features, columns of predictions, day by day. Raises `ContractError`."""
    rows = source.read("predictions", ["served", *features], as_of=as_of, start=window.start, end=window.end)
    rows = rows.filter(rows.model == model, rows.served)
    counts = source.execute(rows.group_by("version").aggregate(requests=rows.count()), reading="predictions")
    versions = {str(row.version): int(row.requests) for row in counts.itertuples(index=False)}
    versions = dict(sorted(versions.items(), key=lambda item: (-item[1], item[0])))
    if not features:
        return FeatureDays(versions, {})
    by_day = rows.group_by(day=date_of(rows.occurred_at)).aggregate(
        requests=rows.count(),
        **{
            name: aggregate
            for place, feature in enumerate(features)
            for name, aggregate in _aggregates(place, _ordered(rows[feature])).items()
        },
    )
    frame = source.execute(
        days_as_text(by_day.filter(by_day.requests >= _FEWEST)).order_by("day"), reading="predictions"
    )
    days: dict[str, tuple[FeatureDay, ...]] = {
        feature: tuple(_read_day(row, place) for row in frame.itertuples(index=False))
        for place, feature in enumerate(features)
    }
    return FeatureDays(versions, days)


def _ordered(column: Any) -> Any:
    """What every engine has a smallest one of."""
    dtype = column.type()
    if dtype.is_boolean():
        return column.cast("int32")
    return column if dtype.is_numeric() or dtype.is_string() or dtype.is_temporal() else column.cast("string")


def _aggregates(place: int, column: ir.Column) -> dict[str, Any]:
    return {
        f"present_{place}": column.count(),
        f"one_{place}": (column.min() == column.max()).cast("int32"),
        f"value_{place}": column.min().cast("string"),
    }


def _read_day(row: Any, place: int) -> FeatureDay:
    present, one = int(getattr(row, f"present_{place}")), getattr(row, f"one_{place}")
    is_one = present > 1 and bool(one == 1)
    value = str(getattr(row, f"value_{place}")) if is_one else None
    return FeatureDay(date.fromisoformat(str(row.day)), int(row.requests), present, value)
