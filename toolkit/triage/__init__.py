"""Triage: from signals, ideas and debt to one backlog, and what of it fits a team's capacity."""

from toolkit.triage.backlog import Backlog, BacklogItem, backlog
from toolkit.triage.capacity_plan import CapacityPlan, Place
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.corrections import ClosedEstimate, Learned, correct, learn_corrections
from toolkit.triage.ideas import IdeaDefinition, load_ideas
from toolkit.triage.lifecycle.history import (
    ItemStanding,
    PlanHistory,
    PlannedItem,
    ReviewedPlan,
    load_history,
)
from toolkit.triage.planning import plan_capacity
from toolkit.triage.programme_reasons import capacities_to_flip, constraint_prices, effort_to_flip, why
from toolkit.triage.programme_solver import Choice, lower_floors, solve, solve_sampled
from toolkit.triage.ranges import Range, Value
from toolkit.triage.scoring import (
    DEFAULT_METHOD,
    METHODS,
    Horizons,
    ScoringMethod,
    cost_of_delay,
    cost_of_delay_divided_by_duration,
    delay_cost,
    order,
    order_regret,
    rice,
    weigh_horizons,
    weighted,
    wsjf,
)
from toolkit.triage.teams import Effort, TeamDefinition, answering_teams, load_teams

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Backlog",
    "BacklogItem",
    "CapacityPlan",
    "Choice",
    "ClosedEstimate",
    "Effort",
    "Floor",
    "Horizons",
    "IdeaDefinition",
    "ItemStanding",
    "Learned",
    "Place",
    "PlanHistory",
    "PlannedItem",
    "Programme",
    "Range",
    "ReviewedPlan",
    "ScoringMethod",
    "Task",
    "TeamDefinition",
    "Value",
    "answering_teams",
    "backlog",
    "capacities_to_flip",
    "constraint_prices",
    "correct",
    "cost_of_delay",
    "cost_of_delay_divided_by_duration",
    "delay_cost",
    "effort_to_flip",
    "learn_corrections",
    "load_history",
    "load_ideas",
    "load_teams",
    "lower_floors",
    "order",
    "order_regret",
    "plan_capacity",
    "rice",
    "solve",
    "solve_sampled",
    "weigh_horizons",
    "weighted",
    "why",
    "wsjf",
]
