"""Making a capacity plan: what can be planned, the best set of it, where everything stands, and why.

The plan is chosen by expected values; ranks and tiers come of draws from the ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from toolkit import stats
from toolkit.errors import Skipped
from toolkit.records import Correction
from toolkit.triage.backlog import Backlog
from toolkit.triage.capacity_plan import MOST_EXPLAINED, CapacityPlan, Place
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.plannable import Plannable, sort_out
from toolkit.triage.programme_reasons import CONSTRAINTS, Constraint, constraint_prices, why
from toolkit.triage.programme_solver import lower_floors, solve
from toolkit.triage.scoring import cost_of_delay_divided_by_duration
from toolkit.triage.teams import TeamDefinition, load_teams
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEW_CONSTRAINTS: tuple[Constraint, ...] = ("capacity", "floor", "must")
"""Of which there are few, however many items there are: each price takes a solution too."""

_WEEK = 7


def plan_capacity(
    workspace: Workspace,
    backlog: Backlog,
    *,
    model: str,
    as_of: datetime | str,
    corrections: Sequence[Correction] = (),
) -> CapacityPlan:
    """What of a model's backlog its teams do in the period that begins at `as_of`; every team counts by its own period.

    A team's capacity is for all of its models; what others take of it is not known here. The same arguments give the
    same plan. Raises `Skipped` when no team answers for the model, `ArgumentError` when what must be done does not fit,
    with the items and days.
    """
    instant = parse_instant(as_of) if isinstance(as_of, str) else as_of
    teams = {key: team for key, team in load_teams(workspace).items() if model in team.models}
    if not teams:
        raise Skipped(f"no team in teams.yml answers for model {model!r}; add it to a team's models")
    plannable = sort_out(backlog.items, teams, today=instant.date(), corrections=corrections)
    wished = _programme(plannable, teams)
    programme = lower_floors(wished)
    choice = solve(programme)
    places = rank_items(plannable, teams, first=len(choice.chosen))
    explained = sorted(places, key=lambda key: (places[key].rank, key))[:MOST_EXPLAINED]
    return CapacityPlan(
        plannable,
        teams,
        choice,
        places,
        {each.key: each for each in why(programme, choice, explained)},
        constraint_prices(programme, choice, CONSTRAINTS if len(places) <= MOST_EXPLAINED else _FEW_CONSTRAINTS),
        _said_of_lowered(wished, programme),
    )


def rank_items(plannable: Plannable, teams: Mapping[str, TeamDefinition], *, first: int) -> dict[str, Place]:
    """By item where it stands, by cost of delay divided by duration over draws from the ranges.

    Parameters
    ----------
    first: how many count as the first ones; without any, nothing is among them.
    """
    if not plannable.items:
        return {}
    scores = _draw_scores(plannable, teams)
    ranks, tiers = stats.rank_probabilities(scores), stats.tiers(scores)
    among = ranks.within(first) if first else [0.0] * len(plannable.items)
    return {
        key: Place(
            float(ranks.expected[at]), int(ranks.best[at]), int(ranks.worst[at]), int(tiers[at]), float(among[at])
        )
        for at, key in enumerate(plannable.items)
    }


def _draw_scores(plannable: Plannable, teams: Mapping[str, TeamDefinition]) -> NDArray[np.float64]:
    """Items x draws: cost of delay divided by duration; the value is there with its confidence, or not at all."""
    import numpy as np

    keys, items = list(plannable.items), list(plannable.items.values())
    value = stats.draw_spreads([each.value for each in items], keys, of="value")
    risk = stats.draw_spreads([each.risk for each in items], keys, of="risk")
    effort = stats.draw_spreads([each.effort for each in items], keys, of="effort")
    there = stats.draw_shares(keys, of="confidence") <= np.array([[each.confidence] for each in items])
    days_per_week = np.array([[_days_per_week(teams[each.item.team])] for each in items])
    return cost_of_delay_divided_by_duration(np.where(there, value, 0.0), risk, effort / days_per_week)


def _days_per_week(team: TeamDefinition) -> float:
    return team.capacity_days / team.period_days * _WEEK


def _programme(plannable: Plannable, teams: Mapping[str, TeamDefinition]) -> Programme:
    """The items as tasks of their teams; what excludes each other by pairs; the teams' floors added up."""
    tasks = tuple(
        Task(
            key,
            each.cost_of_delay,
            {each.item.team: each.days},
            kind=each.item.kind,
            requires=each.item.depends_on,
            must=each.must,
        )
        for key, each in plannable.items.items()
    )
    pairs = {
        tuple(sorted((key, other)))
        for key, each in plannable.items.items()
        for other in each.item.excludes
        if other in plannable.items
    }
    capacity = {key: team.capacity_days for key, team in teams.items()}
    owed: dict[str, float] = {}
    for team in teams.values():
        for kind, share in team.floors.items():
            owed[kind] = owed.get(kind, 0.0) + share * team.capacity_days
    whole = sum(capacity.values())
    floors = tuple(Floor((kind,), days / whole) for kind, days in sorted(owed.items()))
    return Programme(tasks, capacity, tuple(sorted(pairs)), floors)


def _said_of_lowered(wished: Programme, reached: Programme) -> str:
    lowered = [
        f"{before.text} was out of reach: {after.text}"
        for before, after in zip(wished.floors, reached.floors, strict=True)
        if before != after
    ]
    return f"Of the least shares, {'; '.join(lowered)}." if lowered else ""
