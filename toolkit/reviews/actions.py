"""What follows from the period: only what a recorded fact asks for, each with its owner and that fact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from toolkit.records import ResultRow, Shown
from toolkit.reviews.facts import Incidents
from toolkit.reviews.period import PeriodReview
from toolkit.reviews.record import NO_DECISION, Experiments
from toolkit.reviews.targets import ObjectiveReadings
from toolkit.windows import format_instant


@dataclass(frozen=True)
class Action:
    """Something that a recorded fact asks for: who answers for it, and the fact."""

    key: str
    title: str
    owner: str
    evidence: str


@dataclass(frozen=True)
class Actions(Shown):
    """Objectives that were missed, incidents that are open, experiments that ended without a decision, in this order.

    `unknown`: what could not ask for anything, because the workspace does not record it.
    """

    window: str
    actions: tuple[Action, ...]
    unknown: tuple[str, ...]

    @property
    @override
    def text(self) -> str:
        unknown = f" Not asked, because the workspace has none: {', '.join(self.unknown)}." if self.unknown else ""
        if not self.actions:
            return f"Nothing on record asks for an action.{unknown}"
        listed = "; ".join(f"{action.title} ({action.owner})" for action in self.actions)
        return f"{len(self.actions)} on record: {listed}.{unknown} Further work is what triage ranks."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [
            ResultRow(key="actions", statistic="count", value=len(self.actions), window=self.window),
            *(
                ResultRow(key=action.key, statistic=statistic, value=value, window=self.window)
                for action in self.actions
                for statistic, value in (
                    ("title", action.title),
                    ("owner", action.owner),
                    ("evidence", action.evidence),
                )
            ),
        ]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [{"action": action.title, "owner": action.owner, "evidence": action.evidence} for action in self.actions]


def list_actions(
    review: PeriodReview, objectives: ObjectiveReadings, incidents: Incidents, experiments: Experiments
) -> Actions:
    """What the records of a period ask for. An incident has no owner of its own; the model's answers for it."""
    actions = [
        Action(
            f"objective:{reading.key}",
            f"Bring {reading.about.name} back to its target",
            reading.objective.owner,
            f"objectives.yml, {reading.key}: {reading.evidence}",
        )
        for reading in objectives.missed
    ]
    actions += [
        Action(
            f"incident:{incident.key}",
            f"Resolve incident {incident.key}",
            review.model.owner,
            f"incidents, {incident.key}: {incident.severity}, opened {format_instant(incident.opened_at)}, "
            f"{incidents.open_reason}",
        )
        for incident in incidents.unresolved
    ]
    for reading in experiments.undecided:
        plan = reading.plan
        waits = "" if plan.ready_on <= review.as_of else f"; it can be read from {format_instant(plan.ready_on)} on"
        actions.append(
            Action(
                f"experiment:{plan.key}",
                f"Decide on experiment {plan.key}",
                plan.owner,
                f"experiments/{plan.key}.yml: its window ended {format_instant(plan.window.window.end)}, and "
                f"{NO_DECISION} as of {format_instant(review.as_of)}{waits}",
            )
        )
    unknown = [
        name
        for name, is_absent in (("objectives", not objectives.readings), ("incidents", bool(incidents.absent)))
        if is_absent
    ]
    return Actions(review.window.label, tuple(actions), tuple(unknown))
