"""What was tried, decided and reported: experiment plans that overlap the period, and what the ledger holds about it.

The ledger is read as it was when the run began and as it speaks of the time up to `as_of`, leaving out what an earlier
run of this very report (same template, model, period and as-of) wrote: a report does not list itself, and running it
again does not change it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from typing_extensions import override

from toolkit.display import format_instant_day
from toolkit.experiments import ExperimentPlan, load
from toolkit.ledger import Entry, open_ledger
from toolkit.ledger.published import PUBLISHED
from toolkit.records import ResultRow, Shown, number_row
from toolkit.reviews.period import PeriodReview
from toolkit.windows import Window, format_instant
from toolkit.workspace import Workspace, ledger_sequence

DECIDED = "experiment.decided"
NO_DECISION = "no decision is recorded"


@dataclass(frozen=True)
class Decision:
    """A decision on an experiment as the ledger has it."""

    experiment: str
    effective_at: datetime
    decision: str
    actor: str


@dataclass(frozen=True)
class ExperimentReading:
    """An experiment whose window overlaps the period, and what was decided on it up to the instant."""

    plan: ExperimentPlan
    period: Window
    decisions: tuple[Decision, ...]

    @property
    def ended(self) -> bool:
        """Whether its window ended in the period."""
        return self.plan.window.window.end <= self.period.end

    @property
    def state(self) -> str:
        """What of it lay in the period."""
        began = self.plan.window.window.start >= self.period.start
        return f"{'began' if began else 'went on'} and ended" if self.ended else "began" if began else "went on"

    @property
    def decided(self) -> str | None:
        """The last decision in words; None when there is none."""
        if not self.decisions:
            return None
        last = self.decisions[-1]
        return f"{last.decision}, {format_instant_day(last.effective_at)}, by {last.actor}"


@dataclass(frozen=True)
class Experiments(Shown):
    """The experiments of the model that overlap the period, and the decisions that took effect in it."""

    window: str
    as_of: datetime
    readings: tuple[ExperimentReading, ...]
    decisions: tuple[Decision, ...]

    @property
    def undecided(self) -> tuple[ExperimentReading, ...]:
        """The experiments that ended in the period and have no decision at `as_of`."""
        return tuple(reading for reading in self.readings if reading.ended and not reading.decisions)

    @property
    @override
    def text(self) -> str:
        tried = "; ".join(f"{reading.plan.key} ({reading.state})" for reading in self.readings)
        decided = "; ".join(f"{each.experiment}: {each.decision}" for each in self.decisions)
        return (
            f"{f'Experiments in the period: {tried}' if tried else 'No experiment overlaps the period'}. "
            f"{f'Decisions that took effect in it: {decided}' if decided else 'No decision took effect in it'}."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [
            ResultRow(key="experiments", statistic="count", value=len(self.readings), window=self.window),
            ResultRow(key="decisions", statistic="count", value=len(self.decisions), window=self.window),
        ]
        for reading in self.readings:
            where: dict[str, Any] = {"key": reading.plan.key, "window": self.window}
            rows += [
                ResultRow(statistic="hypothesis", value=reading.plan.hypothesis, **where),
                ResultRow(statistic="state", value=reading.state, **where),
                number_row(reading.decided, NO_DECISION, statistic="last_decision", **where),
            ]
        rows += [
            ResultRow(key=each.experiment, statistic=statistic, value=value, window=self.window)
            for each in self.decisions
            for statistic, value in (
                ("decision", each.decision),
                ("decision_effective_at", format_instant(each.effective_at)),
                ("decision_actor", each.actor),
            )
        ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "experiment": reading.plan.key,
                "hypothesis": reading.plan.hypothesis,
                "window": reading.plan.window.window.label,
                "in_the_period": reading.state,
                "decision": reading.decided or f"absent: {NO_DECISION}",
            }
            for reading in self.readings
        ]


def list_experiments(review: PeriodReview, workspace: Workspace) -> Experiments:
    """The experiments of the model whose window overlaps the period, in the order of their keys, and decisions in it.

    Raises `DefinitionError` for a plan that is not valid, and `LedgerError`.
    """
    plans = _plans(workspace, review)
    decisions = [
        Decision(
            entry.subject,
            entry.effective_at,
            str(entry.data.get("decision", "")) or "the entry does not say what",
            entry.actor,
        )
        for entry in _entries(workspace, review, DECIDED)
        if entry.subject in plans
    ]
    readings = [
        ExperimentReading(plan, review.window, tuple(each for each in decisions if each.experiment == key))
        for key, plan in plans.items()
        if plan.window.window.overlaps(review.window)
    ]
    return Experiments(
        review.window.label,
        review.as_of,
        tuple(readings),
        tuple(each for each in decisions if each.effective_at in review.window),
    )


@dataclass(frozen=True)
class Publication:
    """A published report: the newest of those versions of it that have the same as-of, and how many they are."""

    reference: str
    as_of: datetime
    versions: int


@dataclass(frozen=True)
class Publications(Shown):
    """The reports about the model that were published about the period."""

    window: str
    reports: tuple[Publication, ...]

    @property
    @override
    def text(self) -> str:
        if not self.reports:
            return "No other report about the period is in the ledger."
        listed = ", ".join(each.reference for each in self.reports)
        return f"{len(self.reports)} reports about the period: {listed}."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [ResultRow(key="reports", statistic="count", value=len(self.reports), window=self.window)]
        for each in self.reports:
            where: dict[str, Any] = {"key": each.reference, "window": self.window}
            rows += [
                ResultRow(statistic="as_of", value=format_instant(each.as_of), **where),
                ResultRow(statistic="versions", value=each.versions, **where),
            ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {"report": each.reference, "as_of": each.as_of, "versions_with_this_as_of": each.versions}
            for each in self.reports
        ]


def list_reports(review: PeriodReview, workspace: Workspace, *, template: str = "retrospective") -> Publications:
    """The published reports about the model and the period, in the order of their as-of.

    A report is about the model when one of its parameters names the model or an experiment of it. It is about the
    period when that is its own parameter, or when the last day whose labels were mature at its as-of lies in it: the
    triage of 2 May, with labels a day old, is about April.

    Parameters
    ----------
    template: whose earlier runs with the same model, period and as-of are left out: the template that asks.

    Raises `DefinitionError` for an experiment's plan that is not valid, and `LedgerError`.
    """
    plans = _plans(workspace, review)
    maturity = timedelta(days=review.model.label.maturity_days)
    newest: dict[tuple[datetime, str], tuple[int, int]] = {}
    for entry in _entries(workspace, review, PUBLISHED):
        series, _, version = entry.subject.rpartition("@")
        parameters = json.loads(entry.data["parameters"])
        is_of_model = parameters.get("model") == review.model.key or parameters.get("experiment") in plans
        is_same_period = parameters.get("period") == review.period.text
        is_in_period = review.window.start < entry.effective_at - maturity <= review.window.end
        is_own = series.startswith(f"{template}/") and is_same_period and entry.effective_at == review.as_of
        if is_of_model and (is_same_period or is_in_period) and not is_own:
            highest, versions = newest.get((entry.effective_at, series), (0, 0))
            newest[entry.effective_at, series] = (max(highest, int(version)), versions + 1)
    return Publications(
        review.window.label,
        tuple(
            Publication(f"{series}@{highest}", as_of, versions)
            for (as_of, series), (highest, versions) in sorted(newest.items())
        ),
    )


def _plans(workspace: Workspace, review: PeriodReview) -> dict[str, ExperimentPlan]:
    """The experiment plans of the model by key."""
    plans = {key: load(workspace, key) for key in workspace.keys("experiments")}
    return {key: plan for key, plan in plans.items() if plan.model == review.model.key}


def _entries(workspace: Workspace, review: PeriodReview, kind: str) -> list[Entry]:
    """The ledger's entries of a kind up to the run's position, effective up to the instant, in that order."""
    last = ledger_sequence()
    with open_ledger(workspace.ledger, create=False) as ledger:
        entries = ledger.entries(as_of=review.as_of, kind=kind)
    known = [entry for entry in entries if last is None or entry.sequence <= last]
    return sorted(known, key=lambda entry: (entry.effective_at, entry.sequence))
