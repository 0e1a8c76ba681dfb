"""Requests by the clock, made by hand: what the engine would have counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from toolkit.metrics import HourlyCounts, ObjectiveDefinition
from toolkit.metrics.hourly import Share, Slot
from toolkit.windows import Window

END = datetime(2030, 3, 1, tzinfo=UTC)
SLOT = timedelta(minutes=5)
DAYS = 40


def clocked(
    share_of: Callable[[datetime], tuple[int, int]], *, days: int = DAYS, end: datetime = END, metric: str = "errors"
) -> HourlyCounts:
    """Slots of five minutes up to `end`: `share_of` says of the start of each how many requests were bad, and came."""
    start = end - timedelta(days=days)
    slots = []
    for place in range(int((end - start) / SLOT)):
        at = start + place * SLOT
        bad, n = share_of(at)
        if n:
            slots.append(Slot(at, at + SLOT, n, at, at + SLOT - timedelta(seconds=1), {metric: Share(bad, n)}))
    return HourlyCounts(Window(start, end), start, tuple(slots))


def objective(*, at_most: float = 0.01, period_days: int | None = 28, **other: object) -> ObjectiveDefinition:
    """An objective of the share of errors, with a budget."""
    budget = {} if period_days is None else {"budget": {"period_days": period_days}}
    given = {"metric": "errors", "target": {"at_most": at_most}} | budget | other
    return ObjectiveDefinition.model_validate(
        {"model": "small", "business_outcome": "People get an answer.", "owner": "Ada"} | given
    )
