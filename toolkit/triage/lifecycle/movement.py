"""What moved since the previous plan, and what has stood still for several: by comparing plans as they were published.

A report counts the plans of earlier instants and what people had said by its own, so one that is filled in afterwards
says what it would have said then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from toolkit.display import format_instant_day
from toolkit.stats import Spread
from toolkit.triage.lifecycle.history import CLOSED, NOTHING_SAID, ItemStanding, PlanHistory, PlannedItem

Movement = Literal["new", "moved", "done", "dropped", "gone", "starved", "stagnant"]

REVIEWS = 3
"""So many plans in a row, the present one among them, make an item starved or stagnant."""

_ORDER: tuple[Movement, ...] = ("new", "moved", "done", "dropped", "gone", "starved", "stagnant")
_MOST_NAMED = 5
_NO_STAND_INS: Mapping[str, str] = {}


class Footing(NamedTuple):
    """What two plans are compared by, of an item.

    Attributes
    ----------
    place: `planned`, `not planned` or `cannot be planned`. held: somebody wants it there, or what it needs.
    tier: among the items that can be planned; None for the others.
    estimates: what people gave, value and effort. A detector measures anew for each report: that is no movement.
    closed: it is done or was dropped.
    """

    place: str
    held: bool
    tier: int | None
    estimates: tuple[Spread | None, Spread | None]
    closed: bool


@dataclass(frozen=True)
class Movements:
    """What moved since the previous plan.

    Attributes
    ----------
    since: the instant of the previous plan; None when there is none, and then nothing has moved.
    by_item: only of items that moved, or that should have. absent: of those, why they are not in the backlog any more.
    """

    since: datetime | None
    by_item: Mapping[str, Movement]
    absent: Mapping[str, str]

    @property
    def text(self) -> str:
        """One sentence; "" without a previous plan."""
        if self.since is None:
            return ""
        found = {kind: [key for key, each in self.by_item.items() if each == kind] for kind in _ORDER}
        said = ", ".join(f"{len(keys)} {kind} ({_named(keys)})" for kind, keys in found.items() if keys)
        return f"Since the plan as of {format_instant_day(self.since)}: {said or 'nothing moved'}."


NO_MOVEMENTS = Movements(None, {}, {})


def estimates_of_people(
    value: Spread | None, value_source: str, effort: Spread | None, effort_source: str
) -> tuple[Spread | None, Spread | None]:
    """The estimates, without those that a detector measured."""
    return (
        None if value_source.startswith("detector/") else value,
        None if effort_source.startswith("detector/") else effort,
    )


def find_movements(
    now: Mapping[str, Footing],
    history: PlanHistory,
    as_of: datetime,
    *,
    stand_ins: Mapping[str, str] = _NO_STAND_INS,
) -> Movements:
    """What the items of a plan as of an instant are to the plans before it.

    - new: the previous plan did not have it.
    - moved: its place is another, or its tier among what both plans could plan; a rank within a tier is noise.
    - done, dropped: somebody said so, and the previous plan did not know.
    - gone: the previous plan had it, the backlog does not, and no word on it says why.
    - starved: it could be planned in the last three plans, and was in none, though nobody wanted it out.
    - stagnant: it was planned in the last three plans, and nobody began; or it could not be in any, and what people
      estimate has not changed.

    Parameters
    ----------
    stand_ins: by item that is not in the backlog the one that is there in its stead.
    """
    plans = history.plans_before(as_of)
    if not plans:
        return NO_MOVEMENTS
    since, standings = plans[-1].as_of, history.standings(as_of)
    past = [{item.key: _footing(item) for item in plan.items} for plan in plans[-(REVIEWS - 1) :]]
    before = past[-1]
    moved = _moved(before, now)
    found: dict[str, Movement] = {}
    for key, footing in now.items():
        standing = standings.get(key, NOTHING_SAID)
        stands = _standstill(standing, [*(each.get(key) for each in past), footing])
        if closing := _closing(standing, before.get(key), since):
            found[key] = closing
        elif key not in before:
            found[key] = "new"
        elif key in moved and stands != "starved":
            found[key] = "moved"
        elif stands:
            found[key] = stands
    absent = {}
    for item in plans[-1].items:
        key, footing, standing = item.key, before[item.key], standings.get(item.key, NOTHING_SAID)
        if key not in now and not footing.closed:
            found[key] = _closing(standing, footing, since) or "gone"
            absent[key] = closing_text(standing) or _absence(item, stand_ins.get(key))
    return Movements(since, found, absent)


def closing_text(standing: ItemStanding) -> str:
    """When an item was done or dropped, and why it was dropped; "" when it is neither."""
    if standing.closed is None:
        return ""
    said = f"{standing.state} on {standing.closed.at:%Y-%m-%d}"
    if standing.state == "done":
        return said
    return f"{said} by {standing.closed.by}" + (f": {standing.closed.reason}" if standing.closed.reason else "")


def _absence(item: PlannedItem, stand_in: str | None) -> str:
    """Why an item is not in the backlog any more, when nobody closed it."""
    if stand_in is not None:
        return f"{stand_in} stands for it now"
    if item.origin == "debt":
        return f"it is no open debt any more; {item.key}.yml says why, if it is still there"
    seen = "no group of signals goes by it" if item.origin == "signal" else "it is not in the backlog"
    return f"{seen} any more, and nobody said why"


def _footing(item: PlannedItem) -> Footing:
    given = estimates_of_people(item.value_per_week, item.value_source, item.effort_days, item.effort_source)
    return Footing(item.place, bool(item.override), item.tier, given, item.state in CLOSED)


def _closing(standing: ItemStanding, before: Footing | None, since: datetime) -> Movement | None:
    """Done or dropped, where the previous plan did not know it yet."""
    if standing.closed is None:
        return None
    known = standing.closed.at < since if before is None else before.closed
    return None if known else "done" if standing.state == "done" else "dropped"


def _standstill(standing: ItemStanding, seen: Sequence[Footing | None]) -> Movement | None:
    """Starved or stagnant, by the last plans; None for one in which it was not."""
    there = [each for each in seen if each is not None and not each.closed]
    if standing.state != "open" or len(there) < REVIEWS or len({each.place for each in there}) > 1:
        return None
    if there[-1].place == "not planned":
        return None if any(each.held for each in there) else "starved"
    unchanged = there[-1].place == "planned" or len({each.estimates for each in there}) == 1
    return "stagnant" if unchanged else None


def _moved(before: Mapping[str, Footing], now: Mapping[str, Footing]) -> set[str]:
    """Items of both plans that have another place or another tier."""
    was, is_now = _common_tiers(before, now), _common_tiers(now, before)
    return {
        key
        for key in before.keys() & now.keys()
        if before[key].place != now[key].place or was.get(key) != is_now.get(key)
    }


def _common_tiers(one: Mapping[str, Footing], other: Mapping[str, Footing]) -> dict[str, int]:
    """The tiers of one plan's items that both could plan, counted among these: what leaves shifts no others."""
    tiers = {key: each.tier for key, each in one.items() if each.tier is not None}
    common = {key: tier for key, tier in tiers.items() if key in other and other[key].tier is not None}
    order = {tier: at for at, tier in enumerate(sorted(set(common.values())), start=1)}
    return {key: order[tier] for key, tier in common.items()}


def _named(keys: Sequence[str]) -> str:
    if len(keys) <= _MOST_NAMED:
        return ", ".join(keys)
    return f"{', '.join(keys[: _MOST_NAMED - 1])} and {len(keys) - _MOST_NAMED + 1} more"
