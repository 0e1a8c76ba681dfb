"""Whether the period was good enough: each objective of the model against the interval of what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from toolkit.display import format_interval, format_number
from toolkit.metrics import MetricDefinition, ObjectiveDefinition
from toolkit.metrics.objectives import WATCHED, Watched
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.reviews.period import REVIEWED, PeriodReview
from toolkit.stats import Estimate

NOT_IN_FORCE = "not in force"


@dataclass(frozen=True)
class ObjectiveReading:
    """One objective and the period's estimate of what it is `about`: a metric, or what it watches of the channel.

    A target is not applied to days before it was set.
    """

    key: str
    objective: ObjectiveDefinition
    about: MetricDefinition | Watched
    estimate: Estimate
    verdict: Literal["met", "missed", "unclear", "not in force"]

    @property
    def evidence(self) -> str:
        """The estimate beside the target, in a sentence."""
        name, unit, estimate = self.about.name, self.about.unit, self.estimate
        if estimate.value is None:
            return f"{name} is absent: {estimate.reason}; target {self.objective.target.label}"
        interval = format_interval("value", estimate.ci_lower, estimate.ci_upper, unit=unit)
        value = format_number("value", estimate.value, unit=unit)
        return f"{name} {value} ({interval}), target {self.objective.target.label}"

    @property
    def outcome(self) -> str:
        """The verdict in words: for one that is not in force, since when it is."""
        if self.verdict != NOT_IN_FORCE:
            return self.verdict
        return f"{NOT_IN_FORCE} for the whole period: it holds since {self.objective.since}"


@dataclass(frozen=True)
class ObjectiveReadings(Shown):
    """Every objective of the model. None at all is a statement too: nobody has said what is good enough."""

    model: str
    window: str
    readings: tuple[ObjectiveReading, ...]

    @property
    def missed(self) -> tuple[ObjectiveReading, ...]:
        """The objectives whose whole interval lies off target."""
        return tuple(reading for reading in self.readings if reading.verdict == "missed")

    @property
    @override
    def text(self) -> str:
        if not self.readings:
            return f"Objectives are absent: objectives.yml states none for {self.model}."
        parts = []
        for verdict in ("missed", "met", "unclear", NOT_IN_FORCE):
            keys = [reading.key for reading in self.readings if reading.verdict == verdict]
            if keys:
                parts.append(f"{verdict}: {', '.join(keys)}")
        return f"Of {len(self.readings)} objectives, {'; '.join(parts)}."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [ResultRow(key="objectives", statistic="count", value=len(self.readings), window=self.window)]
        for reading in self.readings:
            objective, unit = reading.objective, reading.about.unit
            rows += [
                estimate_row(
                    reading.estimate, key=reading.key, statistic=objective.subject, window=self.window, unit=unit
                ),
                *(
                    ResultRow(key=reading.key, statistic=statistic, value=value, window=self.window)
                    for statistic, value in (
                        ("target", objective.target.label),
                        ("verdict", reading.verdict),
                        ("business_outcome", objective.business_outcome),
                        ("owner", objective.owner),
                    )
                ),
            ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "objective": reading.key,
                "business_outcome": reading.objective.business_outcome,
                "evidence": reading.evidence,
                "verdict": reading.outcome,
                "owner": reading.objective.owner,
            }
            for reading in self.readings
        ]


def judge_objectives(review: PeriodReview, objectives: Mapping[str, ObjectiveDefinition]) -> ObjectiveReadings:
    """Hold the period against the objectives of its model, each by the interval of its metric.

    What an objective watches of the channel is no metric: it is listed as unclear, and why.
    """
    readings = []
    for key, objective in objectives.items():
        if objective.model != review.model.key:
            continue
        estimate = _estimate(review, objective)
        in_force = objective.since is None or objective.since <= review.window.first_day
        verdict = objective.met_by(estimate) if in_force else "not in force"
        about = WATCHED[objective.watch] if objective.watch else review.metrics[objective.subject]
        readings.append(ObjectiveReading(key, objective, about, estimate, verdict))
    return ObjectiveReadings(review.model.name, review.window.label, tuple(readings))


def _estimate(review: PeriodReview, objective: ObjectiveDefinition) -> Estimate:
    """The period's number of what an objective is about."""
    if objective.metric:
        return review.estimate(objective.metric, REVIEWED)
    reason = "a retrospective reads metrics; what is watched of the channel stands with the error budgets"
    return Estimate.absent(reason, n=0, method=objective.subject)
