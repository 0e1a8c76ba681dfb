"""Signals: observed, sized, dated deviations of one metric in one segment, with their evidence."""

from toolkit.signals.calibration import Calibration, calibration
from toolkit.signals.changes import MetricChanges, metric_changes
from toolkit.signals.observation import CURRENT, REFERENCE, Observation, observe
from toolkit.signals.segments import SegmentLosses, segment_losses
from toolkit.signals.signal import Signal

__all__ = [
    "CURRENT",
    "REFERENCE",
    "Calibration",
    "MetricChanges",
    "Observation",
    "SegmentLosses",
    "Signal",
    "calibration",
    "metric_changes",
    "observe",
    "segment_losses",
]
