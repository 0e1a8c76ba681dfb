"""What is owed at a moment: the slots that are due, less those that are done.

The ledger and the archive are the memory, nothing else: a slot is done when a published report names it, or a refusal
of the kind `Skipped` does. So there is no second record that could disagree, and a process that died between
publishing and recording is found out too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.archive import Slot
from toolkit.archive.versions import REFUSED, list_unrecorded, load_manifest
from toolkit.errors import ArgumentError, DefinitionError, Skipped
from toolkit.ledger.published import PUBLISHED
from toolkit.schedule.definitions import ScheduleDefinition
from toolkit.windows import Window, format_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    from toolkit.ledger import Ledger

MOST_OWED = 10_000
"""More slots than anybody waits for: a schedule that owes more is taken for a mistake."""

_GRACE = timedelta(days=1)  # how long a slot of `catch_up: none` is still run
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Owed:
    """One slot to be run: its template, and its parameters with every placeholder filled."""

    slot: Slot
    template: str
    parameters: Mapping[str, Any]


class Done(NamedTuple):
    """How a slot was done: the report that was published for it, or the reason why there is nothing to report."""

    reference: str | None = None
    reason: str | None = None


def find_owed(
    schedules: Mapping[str, ScheduleDefinition],
    done: Mapping[Slot, Done],
    *,
    now: datetime,
    span: Window | None = None,
) -> list[Owed]:
    """The slots to run, by instant, then by schedule.

    Parameters
    ----------
    done: what `find_done` found.
    now: nothing is due after it; a slot at this very instant is.
    span: every slot in it, whatever `start`, `end` and `catch_up` say.

    Raises `ArgumentError` for a span that reaches beyond `now`, and `DefinitionError` for a schedule that owes more
    slots than anybody waits for.
    """
    if span is not None and span.end > now:
        raise ArgumentError(
            f"the slots up to {format_instant(span.end)} are not all due: it is {format_instant(now)}; end the range "
            "there or before"
        )
    owed = []
    for key, schedule in schedules.items():
        missing = []
        for at in _due(schedule, now, span):
            slot = Slot(key, format_instant(at))
            if slot not in done:
                missing.append(Owed(slot, schedule.template, schedule.fill(at)))
            if len(missing) > MOST_OWED:
                raise DefinitionError(
                    f"schedule {key!r} owes more than {MOST_OWED} slots, the first {missing[0].slot.at}; give it a "
                    "later start, or catch_up: latest"
                )
        owed += missing
    return sorted(owed, key=lambda each: (each.slot.at, each.slot.schedule))


def _due(schedule: ScheduleDefinition, now: datetime, span: Window | None) -> Iterator[datetime]:
    """The slots that are due, done or not."""
    if span is not None:
        yield from schedule.list_slots(span.start, span.end)
        return
    first, end = schedule.span
    stop = min(now + _TICK, end)
    if schedule.catch_up == "all":
        yield from schedule.list_slots(first, stop)
        return
    newest = _find_newest(schedule, first, stop)
    if newest is not None and (schedule.catch_up == "latest" or now - newest < _GRACE):
        yield newest


def _find_newest(schedule: ScheduleDefinition, first: datetime, stop: datetime) -> datetime | None:
    """The last slot before `stop`, looked for in steps backwards that grow: a rule may come by the minute for years."""
    back = timedelta(hours=1)
    while stop > first:
        start = max(first, stop - back)
        if found := list(schedule.list_slots(start, stop)):
            return found[-1]
        stop, back = start, back * 2
    return None


def find_next(schedules: Mapping[str, ScheduleDefinition], *, now: datetime) -> Slot | None:
    """The first slot after `now`, of any schedule; None when every schedule has ended."""
    coming = []
    for key, schedule in schedules.items():
        first, end = schedule.span
        at = next(schedule.list_slots(max(first, now + _TICK), end), None)
        if at is not None:
            coming.append((at, key))
    if not coming:
        return None
    at, key = min(coming)
    return Slot(key, format_instant(at))


def find_done(workspace: Workspace, ledger: Ledger) -> dict[Slot, Done]:
    """The slots that are done; nothing is written, also when the ledger lacks a report that was published."""
    done: dict[Slot, Done] = {}
    for entry in ledger.entries(kind=REFUSED):
        if entry.data["type"] == Skipped.__name__ and "slot" in entry.data:
            done[Slot(**entry.data["slot"])] = Done(reason=entry.data["reason"])
    recorded = {entry.subject: entry.data for entry in ledger.entries(kind=PUBLISHED)}
    unrecorded = {str(each): load_manifest(workspace, each) for each in list_unrecorded(workspace, recorded)}
    for reference, known in (recorded | unrecorded).items():
        if known.get("slot"):
            done[Slot(**known["slot"])] = Done(reference)
    return done
