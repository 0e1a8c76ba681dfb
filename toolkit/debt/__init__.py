"""Debt as a product: what is owed, by whom, until when, at what cost, and where in the code it is met most."""

from toolkit.debt.backlog import backlog_items, check_definitions
from toolkit.debt.hotspots import FileChanges, Hotspots, hotspots, mine
from toolkit.debt.items import DayRange, DebtItem, load_items
from toolkit.debt.ranges import BreakEven, Total
from toolkit.debt.register import Entry, Overdue, Register, Waiting, review

__all__ = [
    "BreakEven",
    "DayRange",
    "DebtItem",
    "Entry",
    "FileChanges",
    "Hotspots",
    "Overdue",
    "Register",
    "Total",
    "Waiting",
    "backlog_items",
    "check_definitions",
    "hotspots",
    "load_items",
    "mine",
    "review",
]
