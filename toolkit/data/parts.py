"""A part of a table in time: from a start, before an end, and known at an instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit.windows import format_instant, start_of_day

if TYPE_CHECKING:
    import ibis.expr.types as ir

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Part:
    """The rows with `start <= t`, `t < end` and `t <= as_of`; None for no bound.

    >>> from toolkit.windows import parse_instant
    >>> part = Part(parse_instant("2013-03-01"), None, parse_instant("2013-03-31"))
    >>> part.has_day("2013-02-28"), part.has_day("2013-03-30"), part.has_day("2013-03-31")
    (False, True, False)
    """

    start: datetime | None
    end: datetime | None
    as_of: datetime

    def of(self, table: ir.Table, time: str) -> ir.Table:
        """The part's rows of a table. Rows without a time are in no part."""
        return table.filter(self.mask(table[time]))

    def mask(self, instants: Any) -> Any:
        """Whether each instant of a column is in the part."""
        inside = instants <= self.as_of
        if self.start is not None:
            inside = inside & (instants >= self.start)
        if self.end is not None:
            inside = inside & (instants < self.end)
        return inside

    def has_day(self, day: str) -> bool:
        """Whether all of a day (ISO date) is in the part; "", the day of rows without a time, is looked at always."""
        if not day:
            return True
        first = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        return (self.start is None or first >= self.start) and first + _DAY <= self._upper

    def ragged(self) -> tuple[Part, ...]:
        """The ends of the part that are no whole days: at most two, and always one where `as_of` is the bound."""
        last = start_of_day(self._upper)
        ends = []
        if self.start is not None and self.start != start_of_day(self.start):
            first = start_of_day(self.start) + _DAY
            if first > last:
                return (self,)
            ends.append(Part(self.start, first, self.as_of))
        if self.end is None or self.end > self.as_of or self.end != last:
            start = last if self.start is None else max(last, self.start)
            ends.append(Part(start, self.end, self.as_of))
        return tuple(ends)

    def to_dict(self) -> dict[str, Any]:
        """The bounds as ISO text."""
        bounds = {"start": self.start, "end": self.end, "as_of": self.as_of}
        return {name: bound and format_instant(bound) for name, bound in bounds.items()}

    @property
    def _upper(self) -> datetime:
        return self.as_of if self.end is None else min(self.end, self.as_of)
