"""What a signal asks for, by its kind."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.signals import Signal
from toolkit.signals.signal import Kind

_TITLES: Mapping[Kind, str] = {
    "absent_data": "Bring back the data: {name}",
    "attribution": "Find why explanations shifted: {name}",
    "budget": "Stop what spends the error budget: {name}",
    "calibration": "Recalibrate the scores",
    "change_point": "Find what changed this: {name}",
    "drift": "Find why this input moved: {name}",
    "error": "Fix the recurring error: {name}",
    "estimate": "Check the estimated loss: {name}",
    "feedback": "Find what users complain of: {name}",
    "governance": "Settle what is owed to the rules: {name}",
    "harmful_shift": "Stop the loss from rising further: {name}",
    "metric_change": "Find why this changed: {name}",
    "missing": "Repair the missing values: {name}",
    "mix": "Decide what the changed mix asks for: {name}",
    "performance": "Win back the performance: {name}",
    "schema": "Repair the schema: {name}",
    "segment": "Find why {name} loses more than elsewhere",
    "unseen": "Decide how to handle unseen values: {name}",
}


def title_of(signal: Signal) -> str:
    """What a signal asks for, in a few words."""
    return _TITLES[signal.kind].format(name=signal.name)
