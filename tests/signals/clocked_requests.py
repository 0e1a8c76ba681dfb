"""Requests by the clock, made by hand: what the engine would have counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from toolkit.metrics.hourly import HourlyCounts, Share, Slot
from toolkit.windows import Window

END = datetime(2030, 3, 1, tzinfo=UTC)
SLOT = timedelta(minutes=5)
DAYS = 40


def clocked(share_of: Callable[[datetime], tuple[int, int]], *, days: int = DAYS) -> HourlyCounts:
    """Slots of five minutes up to `END`: `share_of` says of the start of each how many requests were bad, and came."""
    start = END - timedelta(days=days)
    slots = []
    for place in range(int((END - start) / SLOT)):
        at = start + place * SLOT
        bad, n = share_of(at)
        if n:
            slots.append(Slot(at, at + SLOT, n, at, at + SLOT - timedelta(seconds=1), {"errors": Share(bad, n)}))
    return HourlyCounts(Window(start, END), start, tuple(slots))
