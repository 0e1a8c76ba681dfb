"""What a window is compared with: a fixed period, the same weekdays of recent weeks, the same week a year before.

A fixed reference says whether the model still meets what it was made for; a seasonal one whether that is any news. All
references keep the window's weekdays, so that a weekend is not compared with a week.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, get_args

from toolkit.checks import check_in
from toolkit.errors import ArgumentError
from toolkit.metrics import Population
from toolkit.signals.observation import REFERENCE
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.signals.observation import Observation

ReferenceName = Literal["fixed", "weekdays", "last_year"]

REFERENCE_WORDS: dict[str, str] = {
    "fixed": "the reference period",
    "weekdays": "the same weekdays of the weeks before",
    "last_year": "the same week a year before",
}

RECENT_WEEKS = 8
"""How far back the same weekdays are looked for."""

_YEAR_DAYS = 364
"""52 weeks: the same weekdays nearly a year before."""


@dataclass(frozen=True)
class Reference:
    """A reference by name: the population that its days are counted in, and which of its days count."""

    name: str
    population: Population
    windows: tuple[Window, ...]

    @property
    def text(self) -> str:
        """What it is, in words, with its days."""
        return f"{REFERENCE_WORDS[self.name]} ({self.population.window.label})"

    def text_of(self, days: Sequence[date]) -> str:
        """The same, from the first of the `days` that have requests on; as it is where there are none."""
        window = self.population.window
        first = min(days, default=window.first_day)
        if first == window.first_day:
            return self.text
        return f"{REFERENCE_WORDS[self.name]} ({first} … {window.last_day})"

    def has_day(self, day: date) -> bool:
        """Whether a day counts."""
        return any(window.first_day <= day <= window.last_day for window in self.windows)


def references_of(observation: Observation, window: Window, names: Sequence[str]) -> tuple[Reference, ...]:
    """The references by name, the first of which decides.

    Raises `UnknownNameError` for a name that is none and `ArgumentError` for none or a repeated one.
    """
    for name in names:
        check_in(name, get_args(ReferenceName), noun="reference")
    if not names or len(set(names)) != len(names):
        raise ArgumentError(f"references == {tuple(names)}, must be one or more different names")
    return tuple(_reference(name, observation, window) for name in names)


def _reference(name: str, observation: Observation, window: Window) -> Reference:
    if name == "fixed":
        fixed = observation.cells.population(REFERENCE)
        return Reference(name, fixed, (fixed.window,))
    windows = _same_weekdays(window) if name == "weekdays" else (_earlier(window, _YEAR_DAYS),)
    span = Window(min(each.start for each in windows), max(each.end for each in windows))
    # Whatever version served them: what requests look like does not depend on who answers them.
    return Reference(name, Population(name, None, span, served_only=True), windows)


def _same_weekdays(window: Window) -> tuple[Window, ...]:
    """The window moved back by whole weeks, as often as it fits into the recent ones, and once at least."""
    step_days = 7 * math.ceil(window.days / 7)
    times = max(RECENT_WEEKS * 7 // step_days, 1)
    return tuple(_earlier(window, step_days * number) for number in range(times, 0, -1))


def _earlier(window: Window, by_days: int) -> Window:
    return Window(window.start - timedelta(days=by_days), window.end - timedelta(days=by_days))
