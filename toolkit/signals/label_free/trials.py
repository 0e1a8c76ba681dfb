"""The label-free estimate tried where it can be: on earlier windows, whose labels are there now.

An earlier window is treated as the present one is: what is expected of its answers by the labels of the days before it
is held against what its own labels say. How far apart these are is the error of the estimate, as far as anybody can
know it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from toolkit.signals.label_free.basis import FEWEST_LABELLED, Basis
from toolkit.windows import Window

MOST_TRIALS = 26
"""Earlier windows that an estimate is tried on at most, the last ones."""


@dataclass(frozen=True)
class Plan:
    """How the present window is estimated, so that earlier ones may be in the same way.

    Attributes
    ----------
    length, gap, calibration: of the window; from the last mature label to it; of the days before that calibrate.
    """

    length: timedelta
    gap: timedelta
    calibration: timedelta

    def calibrating(self, window: Window) -> Window:
        """The days whose labels say what answers of `window` mean."""
        end = window.start - self.gap
        return Window(end - self.calibration, end)


@dataclass(frozen=True)
class Trial:
    """An earlier window: what was expected of it, and what its labels say.

    Attributes
    ----------
    expected, realised, least: performance, and the errors of it by chance alone; one field per quantity.
    beyond_reference: the level that its labels have, minus what the reference period lets expect of its answers.
    """

    window: Window
    labels: int
    expected: Any
    realised: Any
    least: Any
    beyond_reference: float

    def miss(self, key: str) -> float | None:
        """Realised minus expected; None where either is absent."""
        expected, realised = getattr(self.expected, key), getattr(self.realised, key)
        return None if expected is None or realised is None else realised - expected


def within(cells: Any, window: Window) -> Any:
    """The cells of a window of whole days."""
    return cells.between(window.start.date(), window.end.date())


def try_earlier(
    basis: Basis, cells: Any, window: Window, plan: Plan, *, reference: Any, known_from: Window
) -> list[Trial]:
    """The estimate tried on windows before `window`, one beside the other, the oldest first.

    Parameters
    ----------
    cells: of the days before `window` whose labels are mature. reference: what answers meant in the reference period.
    known_from: the days that cells are of; no window, nor what calibrates it, reaches out of them.
    """
    found = []
    for earlier in _earlier(window, plan, known_from):
        calibrating = within(cells, plan.calibrating(earlier))
        curve, own = basis.calibrate(calibrating), within(cells, earlier).labelled_only()
        if curve is None or own.requests < FEWEST_LABELLED:
            continue
        realised = basis.realise(own)
        level, by_reference = (getattr(each, basis.level) for each in (realised, basis.expect(own, reference)))
        found.append(
            Trial(
                earlier,
                own.requests,
                basis.expect(own, curve),
                realised,
                basis.chance(own, curve),
                (level or 0.0) - (by_reference or 0.0),
            )
        )
    return found[::-1]


def _earlier(window: Window, plan: Plan, known_from: Window) -> Iterator[Window]:
    """From the last window whose labels are mature backwards."""
    end = min(window.start - plan.gap, known_from.end)
    for _ in range(MOST_TRIALS):
        earlier = Window(end - plan.length, end)
        if plan.calibrating(earlier).start < known_from.start:
            return
        yield earlier
        end = earlier.start
