"""Hints: what happened about when a signal group began. Each has its evidence; none is called a cause.

The order is where one would look first: an incident or a deployment at the very time, data that broke, labels that
stayed away, what happened some days before, and then inputs that moved, by how far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

from toolkit.display import format_number
from toolkit.metrics.marks import Mark
from toolkit.signals.groups.grouping import FAULTS, share_days, share_rows
from toolkit.signals.signal import Signal

BEFORE_DAYS = 7
"""How long before a signal group's first day something may have happened that is still worth a look."""

_AFTER_DAYS = 1
"""How long after a dated beginning: days are days of UTC, and a change point may be a day off."""


class Hint(NamedTuple):
    """Something that was there when the group began.

    Attributes
    ----------
    kind: `deployment`, `incident`, `data` (that broke), `labels`, or `input` (that moved).
    text: what it was, and when. evidence: what speaks for it.
    """

    kind: Literal["deployment", "incident", "data", "labels", "input"]
    text: str
    evidence: str

    @property
    def sentence(self) -> str:
        """The hint with its evidence."""
        return f"{self.text} ({self.evidence})" if self.evidence else self.text


class Beginning(NamedTuple):
    """When a signal group began: its first day, and whether a change point dated it or it is only the window's."""

    first_day: date
    last_day: date
    dated: bool


def find_beginning(signals: Sequence[Signal], first_day: date, last_day: date) -> Beginning:
    """When signals that are one problem began: the earliest day that was found, else the window's own.

    A day after the window's first was found, whoever says it; the first day or one before only where the signal says
    so, as many signals date to a window of their own.

    Parameters
    ----------
    first_day, last_day: of the window.
    """
    days = [(signal.first_day, signal.dated) for signal in signals]
    found = [day for day, dated in days if day is not None and (dated or day > first_day)]
    last = max((signal.last_day for signal in signals if signal.last_day is not None), default=last_day)
    return Beginning(min(found, default=first_day), last, bool(found))


def find_hints(
    signals: Sequence[Signal], beginning: Beginning, *, marks: Iterable[Mark], others: Sequence[Signal]
) -> tuple[Hint, ...]:
    """What was there when a signal group began, in the order in which one would look.

    Parameters
    ----------
    signals: the group's.
    others: the report's other signals: those about inputs and labels may have gone before.
    """
    found = [*_from_marks(beginning, marks), *_from_signals(signals, beginning, others)]
    return tuple(hint for _, hint in sorted(found, key=lambda each: (each[0], each[1])))


_Order = tuple[int, float]


def _from_marks(beginning: Beginning, marks: Iterable[Mark]) -> list[tuple[_Order, Hint]]:
    found = []
    for each in marks:
        began, ended = each.day, each.last_day
        if each.kind == "incident" and each.until is None:
            ended = max(began, beginning.last_day)
        latest = beginning.first_day + timedelta(days=_AFTER_DAYS) if beginning.dated else beginning.last_day
        if began > latest or ended < beginning.first_day - timedelta(days=BEFORE_DAYS):
            continue
        away = max((began - beginning.first_day).days, (beginning.first_day - ended).days, 0)
        order = (0 if beginning.dated and away <= _AFTER_DAYS else 2, float(away))
        found.append((order, Hint(each.kind, f"{_say_what(each)}, {_say_days(each)}", _say_distance(began, beginning))))
    return found


def _say_what(mark: Mark) -> str:
    return f"{mark.name} ({mark.severity})" if mark.severity else mark.name


def _say_days(each: Mark) -> str:
    if each.kind == "deployment":
        return f"{each.day}"
    return f"{each.day} … {'still open' if each.until is None else each.last_day}"


def _say_distance(day: date, beginning: Beginning) -> str:
    if not beginning.dated:
        before = day < beginning.first_day
        return "before the window" if before else "in the window; when it began is not dated"
    away = (beginning.first_day - day).days
    days = f"{abs(away)} day{'' if abs(away) == 1 else 's'}"
    return "on the day it began" if away == 0 else f"{days} {'before' if away > 0 else 'after'} it began"


def _from_signals(
    signals: Sequence[Signal], beginning: Beginning, others: Sequence[Signal]
) -> list[tuple[_Order, Hint]]:
    """Signals about inputs and labels, not of the group's own family, that share its rows and did not come after it."""
    families = {signal.family for signal in signals}
    found = []
    for other in others:
        if other.family not in {"inputs", "labels"} - families or not _goes_before(other, signals, beginning):
            continue
        if other.times_threshold < 1 and other.family == "inputs":  # a fact, and too small to explain anything
            continue
        if other.family == "labels":
            found.append(((1, 1.0), Hint("labels", other.text, _say_evidence(other))))
        elif other.kind in FAULTS:
            found.append(((1, 0.0), Hint("data", other.text, _say_evidence(other))))
        else:
            found.append(((3, -other.times_threshold), Hint("input", other.text, _say_evidence(other))))
    return found


def _goes_before(other: Signal, signals: Sequence[Signal], beginning: Beginning) -> bool:
    shared = any(share_rows(other, signal) and share_days(other, signal) for signal in signals)
    late = (
        beginning.dated
        and other.first_day is not None
        and other.first_day > beginning.first_day + timedelta(days=_AFTER_DAYS)
    )
    return shared and not late


def _say_evidence(signal: Signal) -> str:
    size = f"{signal.times_threshold:.1f} practical thresholds"
    evidence = [] if size in signal.text else [size]
    if signal.p_adjusted is not None:
        shown = format_number("p_value", signal.p_adjusted)
        evidence.append(f"adjusted p {shown if shown.startswith('<') else f'= {shown}'}")
    return ", ".join(evidence)
