"""Profiles by population, day and segment: every window, weekday and group of them is a sum of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import NamedTuple

from toolkit.checks import check_in
from toolkit.errors import ArgumentError
from toolkit.metrics.kinds import ALL
from toolkit.metrics.profiles.edges import ColumnEdges
from toolkit.metrics.profiles.profile import Profile


class ProfileKey(NamedTuple):
    """What a profile is of; segment and value are "" for all requests of the population's day."""

    population: str
    day: date
    segment: str
    value: str


@dataclass(frozen=True, eq=False)
class Profiles:
    """One profile per population, day with requests, segment and value of it; narrowed down, then added up.

    Attributes
    ----------
    edges: by column, those of every profile here.
    cells: the profiles.
    within: the segment and its value that `days` and `total` are of.

    >>> edges = {"delay": ColumnEdges.of("delay", [1.0, 2.0])}
    >>> days = [date(2026, 1, 5), date(2026, 1, 6)]
    >>> cells = {ProfileKey("current", day, "", ""): Profile.of(edges, {"delay": [1.0]}) for day in days}
    >>> profiles = Profiles(edges, cells)
    >>> profiles.total.rows, profiles.weekdays(0).total.rows
    (2, 1)
    """

    edges: Mapping[str, ColumnEdges]
    cells: Mapping[ProfileKey, Profile]
    within: tuple[str, str] = (ALL, "")

    def population(self, name: str) -> Profiles:
        """Those of one population. Raises `UnknownNameError` when it has no request at all."""
        check_in(name, self._populations, noun="population")
        return self._where(lambda key: key.population == name)

    def window(self, first: date, last: date) -> Profiles:
        """Those of the days from `first` to `last`, both included."""
        return self._where(lambda key: first <= key.day <= last)

    def weekdays(self, *numbers: int) -> Profiles:
        """Those of some days of the week: 0 is Monday, 6 Sunday."""
        for number in numbers:
            if not 0 <= number <= 6:
                raise ArgumentError(f"day of the week == {number}, must be from 0 (Monday) to 6 (Sunday)")
        return self._where(lambda key: key.day.weekday() in numbers)

    def segment(self, segment: str, value: str) -> Profiles:
        """Those of one value of a segment: `days` and `total` are of its requests from then on."""
        return replace(self, within=(segment, value))

    def values(self, segment: str) -> tuple[str, ...]:
        """The values that a segment has here, sorted."""
        return tuple(sorted({key.value for key in self.cells if key.segment == segment}))

    @property
    def days(self) -> tuple[date, ...]:
        """The days that have a request, in order."""
        return tuple(self.by_day)

    @cached_property
    def by_day(self) -> dict[date, Profile]:
        """The profile of each day that has a request. Raises `ArgumentError` while there are several populations."""
        if len(self._populations) > 1:
            named = ", ".join(self._populations)
            raise ArgumentError(
                f"these profiles are of several populations ({named}); choose one with population(name)"
            )
        own = {key.day: profile for key, profile in self.cells.items() if (key.segment, key.value) == self.within}
        return dict(sorted(own.items()))

    @cached_property
    def total(self) -> Profile:
        """The sum over the days: the profile of no requests when there are none."""
        return Profile.sum(self.by_day.values())

    @property
    def _populations(self) -> list[str]:
        return sorted({key.population for key in self.cells})

    def _where(self, holds: Callable[[ProfileKey], bool]) -> Profiles:
        return replace(self, cells={key: profile for key, profile in self.cells.items() if holds(key)})
