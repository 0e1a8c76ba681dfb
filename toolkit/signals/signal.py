"""The signal: one shape for whatever deviated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.stats import Estimate

EVIDENCE_ALPHA = 0.05
"""A change is evident when its p-value, adjusted over all that was looked at with it, is at most this."""


@dataclass(frozen=True)
class Signal:
    """An observed, sized, dated deviation in one metric and segment.

    Attributes
    ----------
    kind: `calibration`, `segment` or `metric_change`.
    segment: `column=value`, or "" for everything.
    name: what deviated, as people call it.
    verdict: `worse`, or `changed` where no direction is the better one.
    change: current minus reference, in `unit`.
    times_threshold: the change's size in practical thresholds of its metric.
    excess_loss_per_week: how much more was lost than in the reference period, summed over a week's requests, in units
        of the model's loss; None when the signal's share in the loss was not measured, and `no_loss_reason` says why.
    text: the deviation in one sentence.
    """

    kind: Literal["calibration", "segment", "metric_change"]
    metric: str
    segment: str
    name: str
    window: str
    verdict: Literal["worse", "changed"]
    change: Estimate
    unit: str
    times_threshold: float
    excess_loss_per_week: Estimate | None
    no_loss_reason: str
    text: str

    @property
    def key(self) -> str:
        """What identifies the signal in a report: kind and what deviated."""
        return self.kind if self.kind == "calibration" else f"{self.kind}:{self.segment or self.metric}"
