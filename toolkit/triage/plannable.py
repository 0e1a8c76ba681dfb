"""What of a backlog can be planned: items with a value, an effort and a team, in one unit; of the rest, why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from toolkit.errors import ArgumentError
from toolkit.records import Correction
from toolkit.stats import Spread
from toolkit.triage.backlog import BacklogItem
from toolkit.triage.corrections import correct
from toolkit.triage.lifecycle.history import ItemEvent, ItemStanding
from toolkit.triage.lifecycle.movement import closing_text
from toolkit.triage.ranges import Range
from toolkit.triage.teams import TeamDefinition

_NOTHING = Spread(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Estimated:
    """An item that can be planned, with its estimates as they count.

    Attributes
    ----------
    value: per week, in the plan's unit; effort: person-days: as the history of their sources suggests, as given where
        there is none.
    risk: per week, in the plan's unit, as given.
    due: it has to be done within this period. override: where somebody wants it, until a day; None where nobody does.
    """

    item: BacklogItem
    value: Spread
    risk: Spread
    effort: Spread
    due: bool
    override: ItemEvent | None = None

    @property
    def must(self) -> bool:
        """Whether it is done whatever it is worth: it is due, or somebody wants it."""
        return self.due or (self.override is not None and self.override.place == "planned")

    @property
    def raw_value(self) -> Spread:
        """The value as given."""
        return _spread(self.item.value_per_week)

    @property
    def raw_effort(self) -> Spread:
        """The effort as given."""
        return _spread(self.item.effort_days)

    @property
    def confidence(self) -> float:
        """The probability that the value is there at all; 1 where nobody said."""
        return 1.0 if self.item.confidence is None else self.item.confidence

    @property
    def cost_of_delay(self) -> float:
        """What a week of waiting is expected to cost, in the plan's unit."""
        return self.value.mean * self.confidence + self.risk.mean

    @property
    def raw_cost_of_delay(self) -> float:
        """The same with the value as given."""
        return self.raw_value.mean * self.confidence + self.risk.mean

    @property
    def days(self) -> float:
        """The expected person-days."""
        return self.effort.mean


class Plannable(NamedTuple):
    """What of a backlog can be planned.

    Attributes
    ----------
    items: those that can, by key, sorted. unit: of their values. reasons: of the others, why not, by key.
    backlog: every item by key, in its order. held: those of `items` that somebody wants out, as in `held_out`.
    """

    items: Mapping[str, Estimated]
    unit: str
    reasons: Mapping[str, str]
    backlog: Mapping[str, BacklogItem]
    held: Mapping[str, str]


def sort_out(
    backlog: Sequence[BacklogItem],
    teams: Mapping[str, TeamDefinition],
    *,
    as_of: datetime,
    corrections: Sequence[Correction],
    standings: Mapping[str, ItemStanding],
) -> Plannable:
    """Tell the items that can be planned from those that cannot.

    One unit counts: that of most items, of two the first by name. What is needed first must be plannable too, or done.
    Of items that exclude each other none can once one is done.

    Parameters
    ----------
    as_of: its day is the first of the period. corrections: of the sources of estimates, applied where they are given.
    standings: what people said of items by then: what is done or was dropped is not planned again, and overrides hold.
    """
    today = as_of.date()
    overrides = {key: wish for key, each in standings.items() if (wish := each.override_at(as_of)) is not None}
    closed = {key: text for key, standing in standings.items() if (text := closing_text(standing))}
    done = {key for key in closed if standings[key].state == "done"}
    backlog = [_without_needs(item, done) for item in backlog]
    unit = _unit_of([item for item in backlog if item.key not in closed])
    reasons = {item.key: _closed_reason(item, closed[item.key], done) for item in backlog if item.key in closed}
    for item in backlog:
        if item.key not in closed and (reason := _hindrance(item, teams, unit, today)):
            reasons[item.key] = reason
    reasons |= _outdone(backlog, reasons, closed, done)
    reasons |= _waiting(backlog, reasons, closed)
    ready = sorted((item for item in backlog if item.key not in reasons), key=lambda item: item.key)
    items = {
        item.key: _estimated(item, teams[item.team], today, corrections, overrides.get(item.key)) for item in ready
    }
    return Plannable(
        items,
        unit,
        {item.key: _with_wish(reasons[item.key], overrides.get(item.key)) for item in backlog if item.key in reasons},
        {item.key: item for item in backlog},
        held_out(items),
    )


def held_out(items: Mapping[str, Estimated], *, without: str = "") -> dict[str, str]:
    """The items that are out because somebody wants them out, or one that they need, each with the key of that one.

    Parameters
    ----------
    without: an item whose own override does not count.

    Raises `ArgumentError` when one of them must be done.
    """
    held = {
        key: key
        for key, each in items.items()
        if key != without and each.override is not None and each.override.place == "not planned"
    }
    while waiting := {
        key: held[other]
        for key, each in items.items()
        if key not in held
        for other in each.item.depends_on
        if other in held
    }:
        held |= waiting
    for key, root in sorted(held.items()):
        if items[key].must:
            raise ArgumentError(_contradiction(items[key], items[root]))
    return held


def wish_text(override: ItemEvent, item: str = "it") -> str:
    """Who wants an item planned or out, until when and why."""
    out = "" if override.place == "planned" else " out"
    return f"{override.by} wants {item}{out} until {override.until}: {override.reason}"


def _contradiction(needed: Estimated, out: Estimated) -> str:
    """Why an item that must be done cannot be, as somebody wants it, or one that it needs, out."""
    assert out.override is not None
    key, root = needed.item.key, out.item.key
    must = f"{key} must be done by {needed.item.deadline}"
    if not needed.due and needed.override is not None:
        must = wish_text(needed.override, key)
    needs = "" if key == root else f", it needs {root}"
    return f"{must}{needs}, and {wish_text(out.override, root)}; take one of the two back"


def _outdone(
    backlog: Sequence[BacklogItem], reasons: Mapping[str, str], closed: Mapping[str, str], done: Collection[str]
) -> dict[str, str]:
    """Items that exclude one that is done, with the reason; not those for a signal that is seen in spite of it."""
    finished = [item for item in backlog if item.key in done]
    return {
        item.key: f"{other.key} was {closed[other.key]}, and of the two only one is to be done"
        for item in backlog
        if item.key not in reasons
        for other in finished
        if (other.key in item.excludes or item.key in other.excludes) and not {*item.settles} & {*other.settles}
    }


def _waiting(backlog: Sequence[BacklogItem], reasons: Mapping[str, str], closed: Mapping[str, str]) -> dict[str, str]:
    """Items that can be planned but for what they depend on, with the reason."""
    known, found = {item.key for item in backlog}, dict[str, str]()
    while waiting := {
        item.key: f"it depends on {other}, which {_why_not_there(other, known, closed)}"
        for item in backlog
        if item.key not in reasons and item.key not in found
        for other in item.depends_on
        if other in reasons or other in found or other not in known
    }:
        found |= waiting
    return found


def _why_not_there(key: str, known: Collection[str], closed: Mapping[str, str]) -> str:
    if key in closed:
        return f"was {closed[key]}"
    return "cannot be planned" if key in known else "is not in this backlog"


def _without_needs(item: BacklogItem, done: Collection[str]) -> BacklogItem:
    """The item without the needs that are fulfilled."""
    return replace(item, depends_on=tuple(key for key in item.depends_on if key not in done))


def _closed_reason(item: BacklogItem, closing: str, done: Collection[str]) -> str:
    if item.key in done:
        return f"{closing}, and still seen" if item.origin == "signal" or item.settles else closing
    return f"{closing}; still seen: {', '.join(item.settles)}" if item.settles else closing


def _with_wish(reason: str, override: ItemEvent | None) -> str:
    return reason if override is None or override.place != "planned" else f"{reason}; {wish_text(override)}"


def _unit_of(backlog: Sequence[BacklogItem]) -> str:
    counted = Counter(
        value.unit for item in backlog for value in (item.value_per_week, item.risk_per_week) if value is not None
    )
    return min(counted, key=lambda unit: (-counted[unit], unit)) if counted else ""


def _hindrance(item: BacklogItem, teams: Mapping[str, TeamDefinition], unit: str, today: date) -> str:
    """Why an item by itself cannot be planned; "" when it can."""
    if item.lacks:
        *others, last = item.lacks
        return f"it lacks an estimate of {', '.join(others)}{' and ' if others else ''}{last}"
    if item.team not in teams:
        return f"team {item.team} does not answer for the model; add it to the team's models in teams.yml"
    for value in (item.value_per_week, item.risk_per_week):
        if value is not None and value.unit != unit:
            return f"its value is in {value.unit}, the plan's in {unit}"
    if item.deadline is not None and item.deadline < today:
        return f"its deadline was {item.deadline}"
    return ""


def _estimated(
    item: BacklogItem,
    team: TeamDefinition,
    today: date,
    corrections: Sequence[Correction],
    override: ItemEvent | None,
) -> Estimated:
    last_day = today + timedelta(days=team.period_days - 1)
    return Estimated(
        item,
        correct(_spread(item.value_per_week), item.value_source, "value", corrections),
        _spread(item.risk_per_week),
        correct(_spread(item.effort_days), item.effort_source, "effort", corrections),
        item.must_do and item.deadline is not None and item.deadline <= last_day,
        override,
    )


def spread_of(given: Range | None) -> Spread | None:
    """A range that its owner gave, as the numbers that are drawn from."""
    return None if given is None else Spread(given.low, given.likely, given.high)


def _spread(given: Range | None) -> Spread:
    return spread_of(given) or _NOTHING
