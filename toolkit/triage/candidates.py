"""Candidates: signals as work that could be done, the most harmful first, each with its evidence.

Signal groups are in their own order, harm times confidence. Single signals are ordered by newly excess loss per week
where it was measured. Those whose share in the loss was not measured come after: first what is worse, then what merely
changed, each by how many practical thresholds it moved. A feature may drift hugely and do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from typing_extensions import override

from toolkit.display import format_interval, format_number
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals import Signal, SignalGroups
from toolkit.signals.signal import Kind

NOT_ESTIMATED = "nobody has estimated it"

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


class Stage(Protocol):
    """A result of a stage: it has signals."""

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What deviated."""


@dataclass(frozen=True)
class Candidate:
    """A piece of work that a signal asks for. Its value is absent until somebody estimates it."""

    rank: int
    title: str
    signal: Signal

    @property
    def key(self) -> str:
        """The signal's key."""
        return self.signal.key

    @property
    def evidence(self) -> str:
        """The signal in a sentence, with the interval of its change where something was estimated."""
        change = self.signal.change
        if change is None:
            return f"{self.signal.text} ({self.signal.window})"
        interval = format_interval("change", change.ci_lower, change.ci_upper, unit=self.signal.unit)
        return f"{self.signal.text} (change {interval}, {self.signal.window})"


@dataclass(frozen=True)
class Candidates(Shown):
    """What the signals ask for, the most harmful first."""

    ranked: tuple[Candidate, ...]

    @property
    @override
    def text(self) -> str:
        if not self.ranked:
            return "No signal asks for work: nothing changed beyond its practical threshold."
        first = self.ranked[0]
        lead = f"{len(self.ranked)} candidates. First: {first.title.lower()} ({first.signal.text})."
        unmeasured = [c.signal.name for c in self.ranked if c.signal.excess_loss_per_week is None]
        absent = f" The share in the loss was not measured of {', '.join(unmeasured)}." if unmeasured else ""
        return f"{lead}{absent} What they are worth to the business is absent: nobody has estimated it."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for candidate in self.ranked:
            signal = candidate.signal
            where: dict[str, Any] = {"key": candidate.key, "segment": signal.segment, "window": signal.window}
            loss = signal.excess_loss_per_week
            rows += [
                ResultRow(statistic="rank", value=candidate.rank, **where),
                ResultRow(statistic="title", value=candidate.title, **where),
                ResultRow(statistic="evidence", value=candidate.evidence, **where),
                number_row(None, signal.no_loss_reason, statistic="newly_excess_per_week", **where)
                if loss is None
                else estimate_row(loss, statistic="newly_excess_per_week", **where),
                number_row(None, NOT_ESTIMATED, statistic="value_per_week", **where),
            ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "rank": candidate.rank,
                "candidate": candidate.title,
                "newly_excess_loss_per_week": _loss(candidate.signal),
                "evidence": candidate.evidence,
                "value_per_week": f"absent: {NOT_ESTIMATED}",
            }
            for candidate in self.ranked
        ]


def candidates(*stages: Stage) -> Candidates:
    """Every signal of the stages as a candidate, in the stated order; of signal groups the first of each, in theirs."""
    grouped = [group.signals[0] for stage in stages if isinstance(stage, SignalGroups) for group in stage.groups]
    single = (signal for stage in stages if not isinstance(stage, SignalGroups) for signal in stage.signals)
    signals = [*grouped, *sorted(single, key=_order)]
    return Candidates(tuple(Candidate(rank, title_of(signal), signal) for rank, signal in enumerate(signals, start=1)))


def title_of(signal: Signal) -> str:
    """What a signal asks for, in a few words."""
    return _TITLES[signal.kind].format(name=signal.name)


def _order(signal: Signal) -> tuple[float, bool, float, str]:
    loss = signal.excess_loss_per_week
    measured = loss.value if loss is not None and loss.value is not None else float("-inf")
    return -measured, signal.verdict == "changed", -signal.times_threshold, signal.key


def _loss(signal: Signal) -> str:
    loss = signal.excess_loss_per_week
    if loss is None or loss.value is None:
        return f"absent: {signal.no_loss_reason}"
    return f"{format_number('value', loss.value)} ({format_interval('value', loss.ci_lower, loss.ci_upper)})"
