"""Signals: observed, sized, dated deviations of one metric in one segment, with their evidence."""

from toolkit.signals.calibration import Calibration, calibration
from toolkit.signals.changes import (
    MetricChange,
    MetricChanges,
    draw_changes,
    judge_change,
    metric_changes,
    name_changed,
)
from toolkit.signals.observation import CURRENT, REFERENCE, Observation, check_loss, observe
from toolkit.signals.segments import SegmentLosses, segment_losses
from toolkit.signals.signal import Signal

__all__ = [
    "CURRENT",
    "REFERENCE",
    "Calibration",
    "MetricChange",
    "MetricChanges",
    "Observation",
    "SegmentLosses",
    "Signal",
    "calibration",
    "check_loss",
    "draw_changes",
    "judge_change",
    "metric_changes",
    "name_changed",
    "observe",
    "segment_losses",
]
