"""A range as its owner gave it, of whatever is estimated."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from toolkit.workspace import Definition


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
