"""A range as its owner gave it, of whatever is estimated; and how it is written down and read."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from toolkit.display import format_interval, format_number
from toolkit.records import ResultRow, number_row
from toolkit.stats import Spread
from toolkit.workspace import Definition

RANGE_METHOD = "a range of 80 %"
"""How rows say what low and high are."""


class Range(Definition):
    """A low, a likely and a high value, in this order; what is estimated says the unit and the bounds.

    Low and high are read as the 10 % and 90 % quantiles, likely as the median: `toolkit.stats.spreads` draws from that.
    """

    low: float
    likely: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"low {self.low} <= likely {self.likely} <= high {self.high} does not hold")
        return self


class Value(Range):
    """What something is worth, in a unit: of work in a week, as its owner gave it."""

    low: float = Field(description="it is hardly less than this; below 0 when it may do harm")
    likely: float = Field(description="it is as likely more as less")
    high: float = Field(description="it is hardly more than this")
    unit: str = Field(min_length=1, description="what is counted, such as EUR or hours of delay")


def range_row(
    key: str, statistic: str, given: Range | Spread | None, *, unit: str, method: str, reason: str = ""
) -> ResultRow:
    """A range as a row: the likely value, with low and high as its bounds; None is absent, for a reason."""
    if given is None:
        return number_row(None, reason, key=key, statistic=statistic, unit=unit)
    low, likely, high = given.low, given.likely, given.high
    return ResultRow(key, statistic, likely, ci_lower=low, ci_upper=high, unit=unit, method=method)


def range_text(given: Range | Spread | None, *, unit: str = "", reason: str = "") -> str:
    """A range as people read it.

    >>> range_text(Value(low=460.25, likely=2353, high=7539.4, unit="EUR"), unit="EUR"), range_text(None)
    ('2,353 EUR (460.2 to 7,539)', 'absent')
    """
    if given is None:
        return f"absent: {reason}" if reason else "absent"
    likely = format_number("likely", given.likely) + (f" {unit}" if unit else "")
    return f"{likely} ({format_interval('range', given.low, given.high)})"
