"""When an experiment may be read, and how much of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from toolkit.errors import NotReady
from toolkit.windows import Window, format_instant

if TYPE_CHECKING:
    from toolkit.experiments.plans import ExperimentPlan


def require_ready(plan: ExperimentPlan, *, as_of: datetime, complete_through: datetime) -> None:
    """Raise `NotReady`, with the date to come back, unless the window has ended and its labels had time to mature."""
    window = plan.window.window
    if as_of < plan.ready_on:
        raise NotReady(
            f"experiment {plan.key!r} needs data up to {format_instant(plan.ready_on)} (its window ends at "
            f"{format_instant(window.end)} and {_labels(plan)}), and it was asked for as of {format_instant(as_of)}; "
            f"it is ready on {plan.ready_on:%Y-%m-%d}",
            ready_on=plan.ready_on,
        )
    window.require_complete(complete_through, what=f"experiment {plan.key!r}")


def readable_window(plan: ExperimentPlan, *, as_of: datetime, complete_through: datetime) -> Window:
    """What may be read: the plan's window, or with a design that has looks the part of it that has matured.

    Raises `NotReady` before that.
    """
    window = plan.window.window
    if plan.design.kind == "fixed" or as_of >= plan.ready_on:
        require_ready(plan, as_of=as_of, complete_through=complete_through)
        return window
    maturity = timedelta(days=plan.label_maturity.days)
    end = min(window.end, as_of - maturity, complete_through)
    if end <= window.start:
        first = window.start + maturity + timedelta(days=1)
        raise NotReady(
            f"experiment {plan.key!r} began at {format_instant(window.start)} and {_labels(plan)}, and it was asked "
            f"for as of {format_instant(as_of)}; its first day is ready on {first:%Y-%m-%d}",
            ready_on=first,
        )
    return Window(window.start, end)


def _labels(plan: ExperimentPlan) -> str:
    days = plan.label_maturity.days
    return f"labels take {days} day{'' if days == 1 else 's'}"
