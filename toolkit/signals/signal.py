"""The signal: one shape for whatever deviated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date

    from toolkit.stats import Estimate

EVIDENCE_ALPHA = 0.05
"""A change is evident when its p-value, adjusted over all that was looked at with it, is at most this."""

Family = Literal["inputs", "model", "labels", "service", "users", "governance"]
"""Where a cause would lie: signals of one family may be one problem, those of two are shown apart."""

Kind = Literal[
    "absent_data",
    "attribution",
    "budget",
    "calibration",
    "change_point",
    "drift",
    "error",
    "estimate",
    "feedback",
    "governance",
    "harmful_shift",
    "metric_change",
    "missing",
    "mix",
    "performance",
    "schema",
    "segment",
    "unseen",
]


def kind_of(key: str) -> str:
    """The kind of the signal that has this key.

    >>> kind_of("drift:temp_f"), kind_of("calibration")
    ('drift', 'calibration')
    """
    return key.partition(":")[0]


@dataclass(frozen=True)
class Signal:
    """An observed, sized, dated deviation in one metric and segment.

    Attributes
    ----------
    kind: what kind of deviation it is. family: where its cause would lie.
    metric: the metric, column or definition that deviated.
    segment: `column=value`, several joined by `, `, or "" for everything.
    name: what deviated, as people call it.
    verdict: `worse`, or `changed` where no direction is the better one.
    change: current minus reference, in `unit`; None where nothing is estimated.
    times_threshold: the change's size in practical thresholds of its metric.
    excess_loss_per_week: how much more was lost than in the reference period, summed over a week's requests, in units
        of the model's loss; None when the signal's share in the loss was not measured, and `no_loss_reason` says why.
    text: the deviation in one sentence.
    columns: the columns of predictions that it is about.
    first_day, last_day: what it dates to: from its change point where one was found, else its window.
    dated: whether `first_day` was found, even where that is the window's first day or before; then `text` says it.
    p_adjusted: the evidence, adjusted over all that was looked at with it; None where it needs none.
    requests_per_week, units_per_week: who is touched; None where that was not counted.
    budget_share: of its error budget, what was spent in the window.
    """

    kind: Kind
    metric: str
    segment: str
    name: str
    window: str
    verdict: Literal["worse", "changed"]
    change: Estimate | None
    unit: str
    times_threshold: float
    excess_loss_per_week: Estimate | None
    no_loss_reason: str
    text: str
    family: Family = "model"
    columns: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    dated: bool = False
    p_adjusted: float | None = None
    requests_per_week: float | None = None
    units_per_week: float | None = None
    budget_share: float | None = None

    @property
    def key(self) -> str:
        """What identifies the signal from one report to the next: its kind and what deviated."""
        if self.kind == "segment":
            return f"segment:{self.segment}"
        if self.kind == "calibration" and not self.segment:
            return self.kind
        return f"{self.kind}:{self.metric}" + (f" in {self.segment}" if self.segment else "")
