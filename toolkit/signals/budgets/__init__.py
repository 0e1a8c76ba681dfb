"""Objectives and error budgets: what of them is spent, how fast, since when, and whether requests come at all."""

from toolkit.signals.budgets.absence import Silence
from toolkit.signals.budgets.budgets import ErrorBudgets, error_budgets
from toolkit.signals.budgets.burns import Alarm, BurnWindow
from toolkit.signals.budgets.channel import ChannelReading
from toolkit.signals.budgets.readings import BudgetReading

__all__ = [
    "Alarm",
    "BudgetReading",
    "BurnWindow",
    "ChannelReading",
    "ErrorBudgets",
    "Silence",
    "error_budgets",
]
