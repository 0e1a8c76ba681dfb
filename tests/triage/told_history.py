"""What people said of items and earlier plans, as a history has them."""

from __future__ import annotations

from typing import Any

from toolkit.stats import Spread
from toolkit.triage.lifecycle.history import ItemEvent, PlanHistory, PlannedItem, ReviewedPlan
from toolkit.windows import parse_instant


def word(kind: str, key: str, at: str, **said: Any) -> ItemEvent:
    """What Ada said of an item."""
    return ItemEvent(at=parse_instant(at), kind=f"item.{kind}", key=key, by="Ada", **said)


def wish(key: str, place: str, *, until: str, at: str = "2013-05-01") -> ItemEvent:
    """What Ada wants."""
    return word("overridden", key, at, place=place, until=parse_instant(until).date(), reason="promised")


def planned(key: str, place: str = "planned", **facts: Any) -> PlannedItem:
    """An item of an earlier plan, worth 50 EUR a week and of 3 days unless told otherwise."""
    given: dict[str, Any] = {
        "title": key,
        "origin": "idea",
        "team": "flow",
        "tier": None if place == "cannot be planned" else 1,
        "value_per_week": Spread(25, 50, 100),
        "effort_days": Spread(3, 3, 3),
        "value_source": "person/Ada",
        "effort_source": "person/Ada",
        "unit": "EUR",
    }
    return PlannedItem(key=key, place=place, **{**given, **facts})


def review(as_of: str, *items: PlannedItem) -> ReviewedPlan:
    """An earlier plan of the model small, in EUR."""
    return ReviewedPlan(report="triage/small/v0001", model="small", as_of=parse_instant(as_of), unit="EUR", items=items)


def history(*told: ItemEvent | ReviewedPlan) -> PlanHistory:
    """All of it together."""
    events = tuple(sorted((each for each in told if isinstance(each, ItemEvent)), key=lambda each: each.at))
    return PlanHistory("small", events, tuple(each for each in told if isinstance(each, ReviewedPlan)))
