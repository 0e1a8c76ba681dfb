"""A range as its owner gave it, of whatever is estimated."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from toolkit.workspace import Definition


class Range(Definition):
    """A low, a likely and a high value, in this order; what is estimated says the unit and the bounds."""

    low: float
    likely: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"low {self.low} <= likely {self.likely} <= high {self.high} does not hold")
        return self
