"""What a report looked at: only what was looked for, and could be judged, can be said to have recovered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toolkit.signals.calibration import Calibration
from toolkit.signals.changes import MetricChanges
from toolkit.signals.observation import CURRENT, Observation
from toolkit.signals.signal import Kind
from toolkit.windows import Window

KINDS_OF_STAGE: Mapping[str, frozenset[Kind]] = {
    "AttributionShift": frozenset(),
    "Calibration": frozenset({"calibration"}),
    "Drift": frozenset({"drift", "missing", "schema", "unseen"}),
    "ErrorBudgets": frozenset({"absent_data", "budget"}),
    "Governance": frozenset({"governance"}),
    "HarmfulShift": frozenset({"harmful_shift"}),
    "LabelFree": frozenset({"estimate"}),
    "MetricChanges": frozenset({"metric_change"}),
    "MetricCourses": frozenset({"change_point"}),
    "MixShift": frozenset({"mix"}),
    "Performance": frozenset({"performance"}),
    "RecurringErrors": frozenset({"error"}),
    "SegmentLosses": frozenset({"segment"}),
    "SegmentSearch": frozenset({"segment"}),
    "UserFeedback": frozenset({"feedback"}),
    "Versions": frozenset(),
}
"""The kinds of signal that each stage looks for, by its class; a stage of one's own says so with `kinds`."""

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True)
class Looked:
    """What was looked at: whose signals, in which window, as of when, and which kinds of them.

    Attributes
    ----------
    kinds: those that were looked for and could be judged.
    refused: the stages that did not judge, each with its reason.
    unjudged: keys of single signals that could not be judged, such as a metric that is absent.
    """

    model: str
    window: Window
    as_of: datetime
    kinds: frozenset[Kind]
    refused: tuple[str, ...] = ()
    unjudged: frozenset[str] = frozenset()

    @classmethod
    def at(cls, observed: Observation, stages: Iterable[Any]) -> Looked:
        """What an observation and the stages on it looked at. A stage that has a `reason` refused to judge."""
        kinds: set[Kind] = set()
        withheld: set[Kind] = set()
        refused: list[str] = []
        unjudged: set[str] = set()
        for stage in stages:
            name = type(stage).__name__
            of_stage = {*getattr(stage, "kinds", KINDS_OF_STAGE.get(name, ())), *(each.kind for each in stage.signals)}
            unjudged |= _find_unjudged(stage)
            if reason := getattr(stage, "reason", ""):
                refused.append(f"{_WORD.sub(' ', name).lower()} ({reason})")
                withheld |= of_stage
            else:
                kinds |= of_stage
        return cls(
            observed.model.key,
            observed.window,
            observed.as_of,
            frozenset(kinds - withheld),
            tuple(refused),
            frozenset(unjudged),
        )


def _find_unjudged(stage: Any) -> set[str]:
    """The keys of signals that a stage could not judge, while it judged others; its own `unjudged` says so."""
    if isinstance(stage, MetricChanges):
        return {f"metric_change:{change.key}" for change in stage.changes if change.verdict == "absent"}
    if isinstance(stage, Calibration):
        return {"calibration"} if stage.gap[CURRENT].value is None else set()
    return set(getattr(stage, "unjudged", ()))
