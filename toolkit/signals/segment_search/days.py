"""Which days the search sees, and which are kept to confirm what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.windows import Window

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
        reference, current = (days_of(observation.cells.population(name).window) for name in (REFERENCE, CURRENT))
        return cls(reference[::2], reference[1::2], current[:-CONFIRM_DAYS], current[-CONFIRM_DAYS:])

    @property
    def searched(self) -> tuple[str, ...]:
        """The days that the search sees, of both periods."""
        return (*self.reference_searched, *self.current_searched)


def days_of(window: Window) -> tuple[str, ...]:
    """The days of a window.

    >>> days_of(Window.of("2030-02-27", "2030-03-02"))
    ('2030-02-27', '2030-02-28', '2030-03-01')
    """
    first, last = window.start.date(), (window.end - timedelta(microseconds=1)).date()
    return tuple((first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1))


def name_days(days: Sequence[str]) -> str:
    """Days in a row in words."""
    return f"{days[0]} … {days[-1]}"
