"""Which days the search sees, and which are kept to confirm what it finds."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.signals.observation import CURRENT, REFERENCE, Observation

CONFIRM_DAYS = 7
"""The last days of the current window, on which what the search listed must hold."""


@dataclass(frozen=True)
class SearchDays:
    """Days as ISO dates.

    The reference period is split, too: a segment that was easy by chance then would look newly bad twice.
    """

    reference_searched: tuple[str, ...]
    reference_kept: tuple[str, ...]
    current_searched: tuple[str, ...]
    current_kept: tuple[str, ...]

    @classmethod
    def of(cls, observation: Observation) -> SearchDays:
        """Every second day of the reference, so that both halves have the same weekdays and the same trend."""
        reference, current = (
            tuple(day.isoformat() for day in observation.cells.population(name).window.dates)
            for name in (REFERENCE, CURRENT)
        )
        return cls(reference[::2], reference[1::2], current[:-CONFIRM_DAYS], current[-CONFIRM_DAYS:])

    @property
    def searched(self) -> tuple[str, ...]:
        """The days that the search sees, of both periods."""
        return (*self.reference_searched, *self.current_searched)
