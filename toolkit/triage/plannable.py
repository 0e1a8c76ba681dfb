"""What of a backlog can be planned: items with a value, an effort and a team, in one unit; of the rest, why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from toolkit.records import Correction
from toolkit.stats import Spread
from toolkit.triage.backlog import BacklogItem
from toolkit.triage.corrections import correct
from toolkit.triage.ranges import Range
from toolkit.triage.teams import TeamDefinition

_NOTHING = Spread(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Estimated:
    """An item that can be planned, with its estimates as they count.

    Attributes
    ----------
    value: per week, in the plan's unit; effort: person-days: as the history of their sources suggests, as given where
        there is none.
    risk: per week, in the plan's unit, as given.
    must: it has to be done within this period.
    """

    item: BacklogItem
    value: Spread
    risk: Spread
    effort: Spread
    must: bool

    @property
    def raw_value(self) -> Spread:
        """The value as given."""
        return _spread(self.item.value_per_week)

    @property
    def raw_effort(self) -> Spread:
        """The effort as given."""
        return _spread(self.item.effort_days)

    @property
    def confidence(self) -> float:
        """The probability that the value is there at all; 1 where nobody said."""
        return 1.0 if self.item.confidence is None else self.item.confidence

    @property
    def cost_of_delay(self) -> float:
        """What a week of waiting is expected to cost, in the plan's unit."""
        return self.value.mean * self.confidence + self.risk.mean

    @property
    def days(self) -> float:
        """The expected person-days."""
        return self.effort.mean


class Plannable(NamedTuple):
    """The items that can be planned, by key, sorted; the unit of their values; and of the rest, why not, by key."""

    items: Mapping[str, Estimated]
    unit: str
    reasons: Mapping[str, str]


def sort_out(
    backlog: Sequence[BacklogItem],
    teams: Mapping[str, TeamDefinition],
    *,
    today: date,
    corrections: Sequence[Correction] = (),
) -> Plannable:
    """Tell the items that can be planned from those that cannot.

    One unit counts: that of most items, of two the first by name. What is needed first must be plannable too.

    Parameters
    ----------
    today: the first day of the period. corrections: of the sources of estimates, applied where they are given.
    """
    unit = _unit_of(backlog)
    reasons = {item.key: reason for item in backlog if (reason := _hindrance(item, teams, unit, today))}
    known = {item.key for item in backlog}
    while waiting := {
        item.key: f"it depends on {other}, which {'cannot be planned' if other in known else 'is not in this backlog'}"
        for item in backlog
        if item.key not in reasons
        for other in item.depends_on
        if other in reasons or other not in known
    }:
        reasons |= waiting
    ready = sorted((item for item in backlog if item.key not in reasons), key=lambda item: item.key)
    return Plannable(
        {item.key: _estimated(item, teams[item.team], today, corrections) for item in ready},
        unit,
        {item.key: reasons[item.key] for item in backlog if item.key in reasons},
    )


def _unit_of(backlog: Sequence[BacklogItem]) -> str:
    counted = Counter(
        value.unit for item in backlog for value in (item.value_per_week, item.risk_per_week) if value is not None
    )
    return min(counted, key=lambda unit: (-counted[unit], unit)) if counted else ""


def _hindrance(item: BacklogItem, teams: Mapping[str, TeamDefinition], unit: str, today: date) -> str:
    """Why an item by itself cannot be planned; "" when it can."""
    if item.lacks:
        return f"it lacks an estimate of {' and '.join(item.lacks)}"
    if item.team not in teams:
        return f"team {item.team} does not answer for the model; add it to the team's models in teams.yml"
    for value in (item.value_per_week, item.risk_per_week):
        if value is not None and value.unit != unit:
            return f"its value is in {value.unit}, the plan's in {unit}"
    if item.deadline is not None and item.deadline < today:
        return f"its deadline was {item.deadline}"
    return ""


def _estimated(item: BacklogItem, team: TeamDefinition, today: date, corrections: Sequence[Correction]) -> Estimated:
    last_day = today + timedelta(days=team.period_days - 1)
    return Estimated(
        item,
        correct(_spread(item.value_per_week), item.value_source, "value", corrections),
        _spread(item.risk_per_week),
        correct(_spread(item.effort_days), item.effort_source, "effort", corrections),
        item.must_do and item.deadline is not None and item.deadline <= last_day,
    )


def _spread(given: Range | None) -> Spread:
    return _NOTHING if given is None else Spread(given.low, given.likely, given.high)
