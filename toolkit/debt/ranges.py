"""The owners' ranges, added up and held against each other; never filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.debt.items import DayRange
from toolkit.display import format_count
from toolkit.records import ResultRow

ALL_ITEMS = "all"
"""The key of rows that speak of all items together."""

NOT_ESTIMATED = "nobody has estimated it"


@dataclass(frozen=True)
class BreakEven:
    """After how many months of waiting the interest has cost more than paying off now would have.

    `likely` is likely principal over likely interest; `low` is low principal over high interest; `high` the reverse,
    None where the interest may be nothing, so that waiting might never cost more.
    """

    low: float
    likely: float | None
    high: float | None


@dataclass(frozen=True)
class Total:
    """A sum of ranges over the items that have one: lows, likely values and highs, each added up."""

    name: str
    unit: str
    low: float
    likely: float
    high: float
    given: int
    missing: int

    @classmethod
    def of(cls, name: str, unit: str, ranges: Sequence[DayRange | None]) -> Total:
        """Add up the ranges that there are, and count those that there are not."""
        given = [each for each in ranges if each is not None]
        low, likely, high = (sum(getattr(each, end) for each in given) for end in ("low", "likely", "high"))
        return cls(name, unit, low, likely, high, len(given), len(ranges) - len(given))

    @property
    def text(self) -> str:
        """The sum in one sentence."""
        known = "no item has an estimate"
        if self.given:
            spread = f"{self.likely:g} ({self.low:g} to {self.high:g}) {self.unit}"
            known = f"{spread} over the {format_count(self.given, 'item')} with an estimate"
        return f"{self.name.capitalize()}: {known}; {format_count(self.missing, 'item')} without."

    def row(self, statistic: str) -> ResultRow:
        """The sum as a row; absent when no item has an estimate."""
        there = self.given > 0
        return ResultRow(
            key=ALL_ITEMS,
            statistic=statistic,
            value=self.likely if there else None,
            ci_lower=self.low if there else None,
            ci_upper=self.high if there else None,
            n=self.given,
            unit=self.unit,
            method=f"sum of the owners' ranges of open items; {self.missing} without one" if there else "",
            status="ok" if there else "absent",
            reason="" if there else NOT_ESTIMATED,
        )
