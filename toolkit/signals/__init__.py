"""Signals: observed, sized, dated deviations of one metric in one segment, with their evidence."""

from toolkit.signals.attributions import AttributionShift, attribution_shift
from toolkit.signals.budgets import BudgetReading, ChannelReading, ErrorBudgets, error_budgets
from toolkit.signals.calibration import Calibration, calibration
from toolkit.signals.changes import (
    MetricChange,
    MetricChanges,
    draw_changes,
    judge_change,
    metric_changes,
    name_changed,
)
from toolkit.signals.courses import MetricCourse, MetricCourses, Step, metric_courses
from toolkit.signals.drift import Drift, drift
from toolkit.signals.errors.errors import RecurringErrors, recurring_errors
from toolkit.signals.feedback.feedback import UserFeedback, user_feedback
from toolkit.signals.governance import Governance, governance
from toolkit.signals.groups.arranging import group_signals
from toolkit.signals.groups.groups import SignalGroups
from toolkit.signals.groups.harm import Harm
from toolkit.signals.groups.signal_group import SignalGroup
from toolkit.signals.harmful_shift import HarmfulShift, harmful_shift
from toolkit.signals.label_free import LabelFree, estimate_errors, estimate_performance
from toolkit.signals.lifecycle.alert_rules import AlertRule
from toolkit.signals.lifecycle.backtest import BackTest, PlantedFault, backtest
from toolkit.signals.lifecycle.record import ReportedSignals, load_reported
from toolkit.signals.mix import Mix, MixShift, mix_shift
from toolkit.signals.observation import CURRENT, REFERENCE, Observation, check_loss, observe
from toolkit.signals.performance import Performance, performance
from toolkit.signals.segment_search import SegmentSearch, find_segments
from toolkit.signals.segments import SegmentLosses, segment_losses
from toolkit.signals.signal import Signal
from toolkit.signals.versions import Versions, compare_versions

__all__ = [
    "CURRENT",
    "REFERENCE",
    "AlertRule",
    "AttributionShift",
    "BackTest",
    "BudgetReading",
    "Calibration",
    "ChannelReading",
    "Drift",
    "ErrorBudgets",
    "Governance",
    "Harm",
    "HarmfulShift",
    "LabelFree",
    "MetricChange",
    "MetricChanges",
    "MetricCourse",
    "MetricCourses",
    "Mix",
    "MixShift",
    "Observation",
    "Performance",
    "PlantedFault",
    "RecurringErrors",
    "ReportedSignals",
    "SegmentLosses",
    "SegmentSearch",
    "Signal",
    "SignalGroup",
    "SignalGroups",
    "Step",
    "UserFeedback",
    "Versions",
    "attribution_shift",
    "backtest",
    "calibration",
    "check_loss",
    "compare_versions",
    "draw_changes",
    "drift",
    "error_budgets",
    "estimate_errors",
    "estimate_performance",
    "find_segments",
    "governance",
    "group_signals",
    "harmful_shift",
    "judge_change",
    "load_reported",
    "metric_changes",
    "metric_courses",
    "mix_shift",
    "name_changed",
    "observe",
    "performance",
    "recurring_errors",
    "segment_losses",
    "user_feedback",
]
