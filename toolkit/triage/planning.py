"""Making a capacity plan: what can be planned, the best set of it, where everything stands, and why.

The plan is chosen by expected values; ranks and tiers come of draws from the ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from toolkit import stats
from toolkit.errors import ArgumentError
from toolkit.records import Correction
from toolkit.triage.backlog import Backlog
from toolkit.triage.capacity_plan import CapacityPlan, Place
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.corrections import Learned, learn_corrections
from toolkit.triage.item_reasons import ALL_EXPLAINED, explain
from toolkit.triage.lifecycle.closed import closed_estimates
from toolkit.triage.lifecycle.history import NOTHING_SAID, ItemStanding, PlanHistory
from toolkit.triage.lifecycle.movement import Footing, estimates_of_people, find_movements
from toolkit.triage.mixed_integer import Limits
from toolkit.triage.plan_stability import measure_stability
from toolkit.triage.plannable import Plannable, held_out, sort_out, spread_of, wish_text
from toolkit.triage.programme_reasons import CONSTRAINTS, Constraint, constraint_prices
from toolkit.triage.programme_solver import Choice, best_choice, lower_floors, solve
from toolkit.triage.scoring import cost_of_delay_divided_by_duration
from toolkit.triage.shrinkage import shrink_estimates
from toolkit.triage.teams import TeamDefinition, answering_teams, resources_of
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
    history: PlanHistory | None = None,
    corrections: Sequence[Correction] = (),
) -> CapacityPlan:
    """What of a model's backlog its teams do in the period that begins at `as_of`; every team counts by its own period.

    A team's capacity is for all of its models; what others take of it is not known here. The same arguments give the
    same plan. Raises `Skipped` when no team answers for the model, `ArgumentError` when what must be done does not fit,
    with the items and days.

    Parameters
    ----------
    history: earlier plans and what people said of items since, of which counts what was there by `as_of`: what is done
        or was dropped is not planned again, overrides hold, and the plan says what has moved.
    corrections: of the sources of estimates, instead of those that are learned from the history's closed items.
    """
    instant = parse_instant(as_of) if isinstance(as_of, str) else as_of
    teams = answering_teams(workspace, model)
    told = PlanHistory(model) if history is None else history
    standings = told.standings(instant)
    learned = Learned(tuple(corrections), ()) if corrections else _learn(told, instant)
    given = sort_out(
        backlog.items,
        teams,
        as_of=instant,
        corrections=learned.corrections,
        standings=standings,
    )
    plannable, shrunken = shrink_estimates(given)
    wished = _programme(plannable, teams)
    programme, choice = _best(wished, plannable)
    costs, scores = _draw(plannable, teams)
    places = rank_items(plannable, scores, first=len(choice.chosen))
    return CapacityPlan(
        model=model,
        as_of=instant,
        plannable=plannable,
        teams=teams,
        choice=choice,
        places=places,
        whys=explain(wished, programme, choice, {key: places[key].rank for key in programme.by_key}),
        stability=measure_stability(
            programme, choice, costs[[key in programme.by_key for key in plannable.items]], scores
        ),
        prices=constraint_prices(programme, choice, CONSTRAINTS if len(places) <= ALL_EXPLAINED else _FEW_CONSTRAINTS),
        lowered=_said_of_lowered(wished, programme),
        standings=standings,
        movements=find_movements(
            dict(_footings(plannable, choice, places, standings)),
            told,
            instant,
            stand_ins={f"signal/{signal}": item.key for item in backlog.items for signal in item.settles},
        ),
        learned=learned,
        override_prices=dict(_override_prices(plannable, teams, programme, choice)),
        is_first=history is not None and not told.plans_before(instant),
        shrunken=shrunken,
    )


def _learn(history: PlanHistory, as_of: datetime) -> Learned:
    closed = closed_estimates(history, as_of)
    learned = learn_corrections(closed.estimates)
    return Learned(learned.corrections, (*closed.left_out, *learned.left_out))


def _best(wished: Programme, plannable: Plannable) -> tuple[Programme, Choice]:
    """The programme with floors that can be reached, and its best plan; what does not fit names overrides too."""
    try:
        programme = lower_floors(wished)
        return programme, solve(programme)
    except ArgumentError as err:
        wishes = [wish_text(each.override, key) for key, each in plannable.items.items() if each.override and each.must]
        if not wishes:
            raise
        raise ArgumentError(f"{err}, or take an override back: {'; '.join(wishes)}") from err


def _footings(
    plannable: Plannable, choice: Choice, places: Mapping[str, Place], standings: Mapping[str, ItemStanding]
) -> Iterator[tuple[str, Footing]]:
    """What earlier plans are compared with, by item."""
    for key, item in plannable.backlog.items():
        each = plannable.items.get(key)
        out = "cannot be planned" if each is None else "not planned"
        yield (
            key,
            Footing(
                "planned" if key in choice.chosen else out,
                key in plannable.held or (each is not None and each.override is not None),
                places[key].tier if key in places else None,
                estimates_of_people(
                    spread_of(item.value_per_week), item.value_source, spread_of(item.effort_days), item.effort_source
                ),
                standings.get(key, NOTHING_SAID).closed is not None,
            ),
        )


def _override_prices(
    plannable: Plannable, teams: Mapping[str, TeamDefinition], programme: Programme, choice: Choice
) -> Iterator[tuple[str, float]]:
    """What a plan without it would be worth more, of each override that wants an item out."""
    for key in sorted(set(plannable.held.values())):
        freed = replace(_programme(plannable, teams, freed=key), floors=programme.floors)
        if (best := best_choice(freed, Limits())) is not None:
            yield key, best.value - choice.value


def rank_items(plannable: Plannable, scores: NDArray[np.float64], *, first: int) -> dict[str, Place]:
    """By item where it stands, by scores of items x draws.

    Parameters
    ----------
    first: how many count as the first ones; without any, nothing is among them.
    """
    if not plannable.items:
        return {}
    ranks, tiers = stats.rank_probabilities(scores), stats.tiers(scores)
    among = ranks.within(first) if first else [0.0] * len(plannable.items)
    return {
        key: Place(
            float(ranks.expected[at]), int(ranks.best[at]), int(ranks.worst[at]), int(tiers[at]), float(among[at])
        )
        for at, key in enumerate(plannable.items)
    }


def _draw(plannable: Plannable, teams: Mapping[str, TeamDefinition]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Items x draws: cost of delay, alone and divided by duration; the value is there with its confidence, or not."""
    import numpy as np

    if not plannable.items:
        return np.empty((0, 0)), np.empty((0, 0))
    keys, items = list(plannable.items), list(plannable.items.values())
    value = stats.draw_spreads([each.value for each in items], keys, of="value")
    risk = stats.draw_spreads([each.risk for each in items], keys, of="risk")
    effort = stats.draw_spreads([each.effort for each in items], keys, of="effort")
    there = stats.draw_shares(keys, of="confidence") <= np.array([[each.confidence] for each in items])
    days_per_week = np.array([[_days_per_week(teams[each.item.team])] for each in items])
    value = np.where(there, value, 0.0)
    return value + risk, cost_of_delay_divided_by_duration(value, risk, effort / days_per_week)


def _days_per_week(team: TeamDefinition) -> float:
    return team.capacity_days / team.period_days * _WEEK


def _programme(plannable: Plannable, teams: Mapping[str, TeamDefinition], *, freed: str = "") -> Programme:
    """The items as tasks of their teams; what excludes each other by pairs; the teams' floors added up.

    Parameters
    ----------
    freed: an item that somebody wants out, which counts as if nobody did.
    """
    held = held_out(plannable.items, without=freed) if freed else plannable.held
    items = {key: each for key, each in plannable.items.items() if key not in held}
    tasks = tuple(
        Task(
            key,
            each.cost_of_delay,
            {resource: share * each.days for resource, share in each.item.resources.items()},
            kind=each.item.kind,
            requires=each.item.depends_on,
            must=each.must,
        )
        for key, each in items.items()
    )
    pairs = {
        tuple(sorted((key, other))) for key, each in items.items() for other in each.item.excludes if other in items
    }
    capacity = {name: days for key, team in teams.items() for name, days in resources_of(key, team).items()}
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
