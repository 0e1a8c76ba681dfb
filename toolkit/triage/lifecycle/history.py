"""The life of a backlog item from plan to plan: open, started, done, dropped, wanted or not wanted until a day.

What people said of an item and what published plans said of it are rows of the ledger, and where it stands at an
instant is a fold over them. A report counts what people had said by its instant, that one included, and the plans of
earlier instants. So a report that is filled in afterwards says what it would have said then, whenever it is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolkit.stats.spreads import Spread
from toolkit.windows import format_instant, parse_instant

if TYPE_CHECKING:
    from toolkit.ledger import Entry, Ledger
    from toolkit.workspace import Workspace

STARTED = "item.started"
"""Ledger kind: somebody works on the item."""

DONE = "item.done"
"""Ledger kind: the item is done, with what it took and what it was worth where somebody measured it."""

DROPPED = "item.dropped"
"""Ledger kind: nobody will do the item, and why."""

REOPENED = "item.reopened"
"""Ledger kind: the item is open again."""

OVERRIDDEN = "item.overridden"
"""Ledger kind: somebody wants the item planned or not planned before a day, whatever it is worth, and why."""

OVERRIDE_ENDED = "item.override_ended"
"""Ledger kind: nobody wants that any more."""

READ = "plan.read"
"""Ledger kind: a report with a plan was published, and what it says of each item; one row for each report."""

ItemState = Literal["open", "started", "done", "dropped"]
CLOSED: frozenset[ItemState] = frozenset({"done", "dropped"})

EVER = datetime.max.replace(tzinfo=UTC)
"""An instant by which everything has been said."""

STATES: Mapping[str, ItemState] = {STARTED: "started", DONE: "done", DROPPED: "dropped", REOPENED: "open"}
"""By the ledger's kinds that change the state of an item, what it is then."""

_BY_PEOPLE = (*STATES, OVERRIDDEN, OVERRIDE_ENDED)


class ItemEvent(NamedTuple):
    """One thing that somebody said of an item.

    Attributes
    ----------
    at: the instant from which on it holds. kind: one of the ledger's six kinds.
    key: the item's. by, reason: who said so, and why.
    place, until: of an override the place that is wanted, and the first day after it.
    effort_days, value_per_week: of an item that is done what was realised, the value in `unit`; None where nobody said.
    """

    at: datetime
    kind: str
    key: str
    by: str = ""
    reason: str = ""
    until: date | None = None
    place: str = ""
    effort_days: float | None = None
    value_per_week: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class ItemStanding:
    """Where an item stands, by what people said of it.

    Attributes
    ----------
    since, by, reason: of the state; None and "" where nobody ever said anything.
    override: the last one that was not taken back; it may be over. closed: what ended it; None unless done or dropped.
    """

    state: ItemState = "open"
    since: datetime | None = None
    by: str = ""
    reason: str = ""
    override: ItemEvent | None = None
    closed: ItemEvent | None = None

    def override_at(self, as_of: datetime) -> ItemEvent | None:
        """The override that holds on that day, UTC; none on an item that is done or was dropped."""
        wish = None if self.closed else self.override
        return wish if wish is not None and wish.until is not None and as_of.date() < wish.until else None


NOTHING_SAID = ItemStanding()


class PlannedItem(NamedTuple):
    """What a published plan said of an item.

    Attributes
    ----------
    place: `planned`, `not planned` or `cannot be planned`. because: why, or what would change it.
    tier, rank: None where it cannot be planned.
    value_per_week, effort_days: as given, before any correction; None where nobody estimated them.
    value_source, effort_source: whom these come from. unit: of the value.
    state: what people had said of it by then. override: where somebody wanted it, until when and why; "" if nobody.
    """

    key: str
    title: str
    origin: str
    team: str
    place: str
    because: str = ""
    tier: int | None = None
    rank: float | None = None
    value_per_week: Spread | None = None
    effort_days: Spread | None = None
    value_source: str = ""
    effort_source: str = ""
    unit: str = ""
    deadline: date | None = None
    movement: str = ""
    state: ItemState = "open"
    override: str = ""

    def to_payload(self) -> dict[str, Any]:
        """JSON types without floats: numbers are decimal text."""
        return self._asdict() | {
            "rank": None if self.rank is None else repr(self.rank),
            "value_per_week": _spread_text(self.value_per_week),
            "effort_days": _spread_text(self.effort_days),
            "deadline": None if self.deadline is None else self.deadline.isoformat(),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> PlannedItem:
        """What `to_payload` wrote."""
        return cls(
            **dict(payload)
            | {
                "rank": None if payload["rank"] is None else float(payload["rank"]),
                "value_per_week": _read_spread(payload["value_per_week"]),
                "effort_days": _read_spread(payload["effort_days"]),
                "deadline": None if payload["deadline"] is None else date.fromisoformat(payload["deadline"]),
            }
        )


class ReviewedPlan(NamedTuple):
    """A capacity plan as a report published it.

    Attributes
    ----------
    report: its reference. unit: in which values count in the plan.
    items: every one of the backlog, in the plan's order.
    """

    report: str
    model: str
    as_of: datetime
    unit: str
    items: tuple[PlannedItem, ...]

    def to_payload(self) -> dict[str, Any]:
        """JSON types without floats."""
        items = [item.to_payload() for item in self.items]
        return self._asdict() | {"as_of": format_instant(self.as_of), "items": items}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> ReviewedPlan:
        """What `to_payload` wrote."""
        items = tuple(PlannedItem.from_payload(item) for item in payload["items"])
        return cls(**dict(payload) | {"as_of": parse_instant(payload["as_of"]), "items": items})


@dataclass(frozen=True)
class PlanHistory:
    """What people said of a model's items, as it was recorded, and its published plans, by instant."""

    model: str
    events: tuple[ItemEvent, ...] = ()
    plans: tuple[ReviewedPlan, ...] = ()

    def standings(self, as_of: datetime) -> dict[str, ItemStanding]:
        """Where each item stands of which anybody had said anything by `as_of`.

        >>> started = ItemEvent(parse_instant("2013-10-01"), STARTED, "idea/recalibrate", by="Ada")
        >>> history = PlanHistory("delay", (started,))
        >>> history.standings(parse_instant("2013-09-30")), history.standings(started.at)["idea/recalibrate"].state
        ({}, 'started')
        """
        found: dict[str, ItemStanding] = {}
        for event in sorted(self.events, key=lambda each: each.at):
            if event.at <= as_of:
                found[event.key] = _after(found.get(event.key, NOTHING_SAID), event)
        return found

    def holds_from(self, key: str) -> datetime:
        """From when on a word on an item holds, unless it says so itself: the last plan, or what was last said of it.

        There has to be a plan.
        """
        return max([self.plans[-1].as_of, *(event.at for event in self.events if event.key == key)])

    def plans_before(self, as_of: datetime) -> tuple[ReviewedPlan, ...]:
        """The plans of instants before `as_of`, oldest first; of several of one instant the last that was published."""
        return tuple({plan.as_of: plan for plan in self.plans if plan.as_of < as_of}.values())


def _after(before: ItemStanding, event: ItemEvent) -> ItemStanding:
    if event.kind == OVERRIDDEN:
        return replace(before, override=event)
    if event.kind == OVERRIDE_ENDED:
        return replace(before, override=None)
    closed = event if event.kind in {DONE, DROPPED} else None
    return ItemStanding(STATES[event.kind], event.at, event.by, event.reason, before.override, closed)


def load_history(workspace: Workspace, *, model: str) -> PlanHistory:
    """What the ledger has of a model's backlog; inside a report only what was recorded before its run began.

    Raises `LedgerError`.
    """
    from toolkit.ledger import open_ledger
    from toolkit.workspace import ledger_sequence

    with open_ledger(workspace.ledger, create=False) as ledger:
        return read_history(ledger, model, last=ledger_sequence())


def read_history(ledger: Ledger, model: str, *, last: int | None = None) -> PlanHistory:
    """The same from an open ledger, up to the entry `last`. Raises `LedgerError`."""

    def read(*kinds: str) -> list[Entry]:
        found = [entry for kind in kinds for entry in ledger.entries(kind=kind)]
        return sorted((each for each in found if last is None or each.sequence <= last), key=lambda each: each.sequence)

    prefix = subject_of(model, "")
    said = tuple(_read_event(entry, prefix) for entry in read(*_BY_PEOPLE) if entry.subject.startswith(prefix))
    payloads = [entry.data for entry in read(READ)]
    plans = [ReviewedPlan.from_payload(each) for each in payloads if each and each["model"] == model]
    return PlanHistory(model, said, tuple(sorted(plans, key=lambda each: each.as_of)))


def planned_models(ledger: Ledger) -> list[str]:
    """The models of which a published report had a plan, sorted. Raises `LedgerError`."""
    return sorted({entry.data["model"] for entry in ledger.entries(kind=READ) if entry.data})


def subject_of(model: str, key: str) -> str:
    """What the ledger's rows about an item are on, and what it is known by outside.

    >>> subject_of("delay", "idea/recalibrate-monthly")
    'delay/idea/recalibrate-monthly'
    """
    return f"{model}/{key}"


def _read_event(entry: Entry, prefix: str) -> ItemEvent:
    data: Mapping[str, Any] = entry.data
    return ItemEvent(
        entry.effective_at,
        entry.kind,
        entry.subject.removeprefix(prefix),
        by=entry.actor,
        reason=data.get("reason", ""),
        until=date.fromisoformat(data["until"]) if "until" in data else None,
        place=data.get("place", ""),
        effort_days=float(data["effort_days"]) if "effort_days" in data else None,
        value_per_week=float(data["value_per_week"]) if "value_per_week" in data else None,
        unit=data.get("unit", ""),
    )


def _spread_text(spread: Spread | None) -> dict[str, str] | None:
    return None if spread is None else {name: repr(float(value)) for name, value in spread._asdict().items()}


def _read_spread(payload: Mapping[str, str] | None) -> Spread | None:
    return None if payload is None else Spread(**{name: float(value) for name, value in payload.items()})
