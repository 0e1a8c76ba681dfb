"""Drift of inputs: every column of a window beside a reference, from counts that the engine made once."""

from toolkit.signals.drift.collecting import drift
from toolkit.signals.drift.comparing import Period, compare_columns
from toolkit.signals.drift.comparison import Drift
from toolkit.signals.drift.findings import DRIFT_FLOOR, Finding
from toolkit.signals.drift.judging import ColumnDrift, adjusted, judge_column

__all__ = [
    "DRIFT_FLOOR",
    "ColumnDrift",
    "Drift",
    "Finding",
    "Period",
    "adjusted",
    "compare_columns",
    "drift",
    "judge_column",
]
