"""A signal group: signals that are one problem, with what it costs, where it stands, and what was there at the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from toolkit.signals.groups.grouping import split_segment
from toolkit.signals.groups.harm import Harm, Level, add_harm
from toolkit.signals.groups.hints import Beginning, Hint
from toolkit.signals.lifecycle.history import Standing, State
from toolkit.signals.signal import Signal

_MOST_OF_LOSS = 0.5
"""A segment that carries at least this part of its group's loss is where the loss is."""
_NAMED = 3
"""Other signals that a title names; it counts the rest."""


@dataclass(frozen=True)
class SignalGroup:
    """Signals that are one problem.

    Attributes
    ----------
    signals: the most severe first. harms, standings: of each, by its key.
    why_merged: why they are one line; "" for one signal.
    beginning: its days. hints: what was there when it began.
    """

    signals: tuple[Signal, ...]
    harms: Mapping[str, Harm]
    standings: Mapping[str, Standing]
    why_merged: str
    beginning: Beginning
    hints: tuple[Hint, ...]
    as_of: datetime

    @property
    def key(self) -> str:
        """The key of its most severe signal."""
        return self.signals[0].key

    @cached_property
    def harm(self) -> Harm:
        """What it costs in a week."""
        return add_harm(self.harms)

    @property
    def severity(self) -> float:
        """Harm times confidence, in tolerances."""
        return self.harm.severity

    @property
    def level(self) -> Level:
        """How severe it is, in a word."""
        return self.harm.level

    @property
    def times_threshold(self) -> float:
        """How far it moved, in practical thresholds: as its signal that moved farthest."""
        return max(signal.times_threshold for signal in self.signals)

    @cached_property
    def states(self) -> dict[str, State]:
        """What each signal is in this report, by its key."""
        return {key: standing.state_found(self.as_of) for key, standing in self.standings.items()}

    @property
    def state(self) -> State:
        """What the group is: as its signals are where they agree, else the one of these that says more."""
        states = set(self.states.values())
        if len(states) == 1:
            return states.pop()
        if states == {"new", "returned"}:
            return "returned"
        return "acknowledged" if states == {"muted", "acknowledged"} else "ongoing"

    @property
    def where(self) -> str:
        """The narrowest segment that carries most of the group's loss; "" for everything."""
        whole, lost = self.harm.newly_lost, {key: harm.newly_lost for key, harm in self.harms.items()}
        carriers = [
            signal
            for signal in self.signals
            if signal.segment and whole > 0 and lost[signal.key] >= _MOST_OF_LOSS * whole
        ]
        if not carriers:
            return self.signals[0].segment
        return max(carriers, key=lambda each: (len(split_segment(each.segment)), lost[each.key])).segment

    @property
    def title(self) -> str:
        """Its first signal in a sentence, where most of the loss is, and what else deviated."""
        first, *others = self.signals
        where = f"; most of it in {self.where}" if self.where not in {"", first.segment} else ""
        names = dict.fromkeys(each.name for each in others if each.name not in {first.name, self.where})
        named = ", ".join(list(names)[:_NAMED])
        rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"{first.text}{where}{f'; also {named}{rest}' if names else ''}"

    @property
    def began(self) -> str:
        """The day on which it began, where a change point or an alarm dated it."""
        return f"{self.beginning.first_day:%Y-%m-%d}" if self.beginning.dated else "not dated"

    @property
    def said_of_it(self) -> str:
        """Its state, with who said so and until when."""
        fresh = sum(state == "new" for state in self.states.values())
        if self.state == "ongoing" and fresh:
            return f"ongoing, {fresh} of {len(self.signals)} signals new"
        first = self.standings[self.key]
        if self.state == "muted" and first.muted is not None:
            return f"muted until {first.muted.until} by {first.muted.by}"
        if self.state == "acknowledged" and first.acknowledged is not None:
            return f"acknowledged by {first.acknowledged.by}"
        if self.state == "returned":
            times = max(standing.episode for standing in self.standings.values()) + 1
            return f"returned, for the {_ordinal(times)} time"
        return self.state


def _ordinal(number: int) -> str:
    """A number of times, from the second on.

    >>> [_ordinal(number) for number in (2, 3, 4, 12, 22)]
    ['2nd', '3rd', '4th', '12th', '22nd']
    """
    last = 0 if number % 100 in {11, 12, 13} else number % 10
    return f"{number}" + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
