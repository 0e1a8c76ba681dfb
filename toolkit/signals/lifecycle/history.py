"""The life of a signal from report to report: new, ongoing, recovered, returned, acknowledged, muted until a day.

What happened to a signal is rows of the ledger, and where it stands at an instant is a fold over them. A report at an
instant counts what earlier instants showed: not what came later, and not what another run for the same instant wrote.
So a report that is filled in afterwards says what it would have said then, whenever it is run and however often. What
people said, that they know of it or want no more of it, counts from the instant that they said it for, that one
included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.windows import parse_instant

if TYPE_CHECKING:
    from toolkit.ledger import Entry, Ledger
    from toolkit.workspace import Workspace

SEEN = "signal.seen"
"""Ledger kind: a published report found the signal; one row for each report that did."""

RECOVERED = "signal.recovered"
"""Ledger kind: a published report looked for the signal and did not find it any more."""

ACKNOWLEDGED = "signal.acknowledged"
"""Ledger kind: somebody knows of the signal; it holds until the signal has recovered."""

MUTED = "signal.muted"
"""Ledger kind: somebody wants no more of the signal before a day."""

State = Literal["new", "returned", "ongoing", "acknowledged", "muted", "recovered"]

_BY_PEOPLE = (ACKNOWLEDGED, MUTED)


class SignalEvent(NamedTuple):
    """One thing that happened to a signal.

    Attributes
    ----------
    at: the instant that it speaks of.
    kind: one of the ledger's four kinds.
    key: the signal's.
    report: the report that showed it; "" for what people said.
    by, reason, until: who said so, why, and of a mute the first day after it.
    window_days: the length of the window in which a report looked for the signal.
    """

    at: datetime
    kind: str
    key: str
    report: str = ""
    by: str = ""
    reason: str = ""
    until: date | None = None
    window_days: int | None = None


@dataclass(frozen=True)
class Standing:
    """Where a signal stands at an instant.

    Attributes
    ----------
    active: whether it was seen, and not found to have recovered since.
    since: the instant at which it was first seen, this time; None before it ever was.
    last_seen: the last instant at which it was seen. episode: which time it is, from 1.
    acknowledged, muted: what somebody said of it, last; None where nobody did.
    looked_in: the lengths in days of the windows in which it was found, this time.
    """

    active: bool = False
    since: datetime | None = None
    last_seen: datetime | None = None
    episode: int = 0
    acknowledged: SignalEvent | None = None
    muted: SignalEvent | None = None
    looked_in: frozenset[int] = frozenset()

    def state_found(self, as_of: datetime) -> State:
        """What the signal is in a report as of an instant that finds it; this is where it stood before."""
        if self.is_muted(as_of):
            return "muted"
        if not self.active:
            return "returned" if self.episode else "new"
        return "ongoing" if self.acknowledged is None else "acknowledged"

    def state_known(self, as_of: datetime) -> State:
        """What the signal is at an instant, by all that was reported until then."""
        if not self.active:
            return "recovered"
        if self.is_muted(as_of):
            return "muted"
        if self.acknowledged is not None:
            return "acknowledged"
        if self.since != self.last_seen:
            return "ongoing"
        return "new" if self.episode == 1 else "returned"

    def is_muted(self, as_of: datetime) -> bool:
        """Whether somebody wants no more of it at an instant."""
        return self.muted is not None and self.muted.until is not None and as_of.date() < self.muted.until

    def is_quiet(self, as_of: datetime) -> bool:
        """Whether nobody needs to be told of it: it is muted, or somebody knows of it already."""
        return self.is_muted(as_of) or self.acknowledged is not None


NEVER_SEEN = Standing()


@dataclass(frozen=True)
class SignalHistory:
    """Everything that happened to the signals of a model."""

    model: str
    events: tuple[SignalEvent, ...]

    def before(self, as_of: datetime) -> dict[str, Standing]:
        """Where each signal stands for a report at `as_of`: what was seen earlier, and what people had said by then.

        >>> from toolkit.windows import parse_instant
        >>> seen = SignalEvent(parse_instant("2013-05-01"), SEEN, "calibration")
        >>> history = SignalHistory("delay", (seen,))
        >>> sorted(history.before(parse_instant("2013-05-01"))), sorted(history.before(parse_instant("2013-05-02")))
        ([], ['calibration'])
        """
        return fold_events(
            event for event in self.events if event.at < as_of or (event.at == as_of and _is_of_people(event))
        )

    def at(self, as_of: datetime) -> dict[str, Standing]:
        """Where each signal stands at `as_of`, with all that was seen and said by then."""
        return fold_events(event for event in self.events if event.at <= as_of)


def fold_events(events: Iterable[SignalEvent]) -> dict[str, Standing]:
    """Where each signal stands after what happened to it, in the order of the instants."""
    standings: dict[str, Standing] = {}
    for event in sorted(events, key=lambda each: (each.at, _is_of_people(each))):
        standings[event.key] = _after(standings.get(event.key, NEVER_SEEN), event)
    return standings


def _after(before: Standing, event: SignalEvent) -> Standing:
    if event.kind == SEEN:
        windows = frozenset() if event.window_days is None else frozenset({event.window_days})
        if before.active:
            return replace(before, last_seen=event.at, looked_in=before.looked_in | windows)
        return Standing(True, event.at, event.at, before.episode + 1, None, before.muted, windows)
    if event.kind == RECOVERED:
        return replace(before, active=False, acknowledged=None)
    if event.kind == ACKNOWLEDGED:
        return replace(before, acknowledged=event)
    return replace(before, muted=event)


def _is_of_people(event: SignalEvent) -> bool:
    return event.kind in _BY_PEOPLE


def load_history(workspace: Workspace, model: str) -> SignalHistory:
    """What the ledger has of a model's signals; inside a report only what was recorded before its run began.

    Raises `LedgerError`.
    """
    from toolkit.ledger import open_ledger
    from toolkit.workspace import ledger_sequence

    with open_ledger(workspace.ledger, create=False) as ledger:
        return read_history(ledger, model, last=ledger_sequence())


def read_history(ledger: Ledger, model: str, *, last: int | None = None) -> SignalHistory:
    """The same from an open ledger, up to the entry `last`. Raises `LedgerError`."""
    prefix = subject_of(model, "")
    entries = [
        entry
        for kind in (SEEN, RECOVERED, ACKNOWLEDGED, MUTED)
        for entry in ledger.entries(kind=kind)
        if entry.subject.startswith(prefix) and (last is None or entry.sequence <= last)
    ]
    entries.sort(key=lambda entry: entry.sequence)
    return SignalHistory(model, tuple(_read_event(entry, prefix) for entry in entries))


def subject_of(model: str, key: str) -> str:
    """What the ledger's rows about a signal are on."""
    return f"{model}/{key}"


def _read_event(entry: Entry, prefix: str) -> SignalEvent:
    data: Mapping[str, Any] = entry.data
    people = entry.kind in _BY_PEOPLE
    return SignalEvent(
        entry.effective_at,
        entry.kind,
        entry.subject.removeprefix(prefix),
        report=data.get("report", ""),
        by=entry.actor if people else "",
        reason=data.get("reason", ""),
        until=parse_instant(data["until"], name="until").date() if "until" in data else None,
        window_days=data.get("window_days"),
    )
