"""`teams.yml`: who works on which models, how much they can take on, and what work has cost them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from toolkit.checks import unknown_name_message
from toolkit.errors import Skipped
from toolkit.signals.signal import Kind
from toolkit.triage.ranges import Range
from toolkit.triage.team_scores import Scoring, point_problems
from toolkit.workspace import Definition, Problem, Workspace

TEAMS_FILE = "teams.yml"

_ROUNDING = 1e-9


def _whole(shares: dict[str, float]) -> dict[str, float]:
    if shares and abs(math.fsum(shares.values()) - 1) > _ROUNDING:
        raise ValueError(f"the shares add up to {math.fsum(shares.values()):g}, must add up to 1")
    return shares


RoleShares = Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], AfterValidator(_whole)]
"""How an effort divides between the roles of a team; they add up to 1."""


class Effort(Range):
    """An effort in person-days, as its owner gave it: a range and the likely value."""

    low: float = Field(gt=0, description="it hardly takes less than these person-days")
    likely: float = Field(gt=0, description="the most likely person-days")
    high: float = Field(gt=0, description="it hardly takes more than these person-days")


class DayCost(Range):
    """What a person-day of a team costs."""

    low: float = Field(gt=0, description="it hardly costs less than this")
    likely: float = Field(gt=0, description="it is as likely more as less")
    high: float = Field(gt=0, description="it hardly costs more than this")
    unit: str = Field(min_length=1, description="the currency, such as EUR")


class Estimate(Definition):
    """What a team estimates for one kind of candidate."""

    effort_days: Effort = Field(description="person-days that such work has cost")
    roles: RoleShares = Field(
        default_factory=dict, description="shares of the effort by role of the team; needed where the team has roles"
    )


class TeamDefinition(Definition):
    """A team: its capacity in person-days per period, its models, and its own estimates by candidate kind."""

    name: str = Field(description="what people call the team")
    owner: str = Field(description="who answers for it")
    capacity_days: float = Field(gt=0, description="person-days that are free for improvements in one period")
    roles: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="the capacity by role, such as data scientist: 3 and engineer: 2; adds up to capacity_days",
    )
    period_days: int = Field(gt=0, description="the length of a period in days")
    models: tuple[str, ...] = Field(description="keys of the models that the team works on")
    day_cost: DayCost | None = Field(
        default=None, description="what a person-day of the team costs, so that days of interest stand beside values"
    )
    floors: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="the least share of the capacity by kind of item, such as debt: 0.2 and experiment: 0.1",
    )
    scoring: Scoring | None = Field(
        default=None, description="a score of points that is shown beside the plan, which goes by cost of delay"
    )
    estimates: dict[Kind, Estimate] = Field(
        default_factory=dict, description="the team's own estimates, by kind of work; what nobody estimated is left out"
    )


class TeamsFile(Definition):
    """`teams.yml`: who works on which models."""

    teams: dict[str, TeamDefinition] = Field(min_length=1, description="teams by key")


def load_teams(workspace: Workspace) -> dict[str, TeamDefinition]:
    """The teams of `teams.yml` by key.

    Raises `DefinitionError`, also for roles that do not add up to the capacity, and for estimates in roles that the
    team does not have.
    """
    teams = workspace.load(TEAMS_FILE, TeamsFile).teams
    if problems := [problem for key, team in teams.items() for problem in _role_problems(key, team)]:
        raise workspace.error_in(TEAMS_FILE, problems)
    return teams


def answering_teams(workspace: Workspace, model: str) -> dict[str, TeamDefinition]:
    """The teams that work on a model, by key.

    Raises `Skipped` when there is none, and what `load_teams` raises.
    """
    teams = {key: team for key, team in load_teams(workspace).items() if model in team.models}
    if not teams:
        raise Skipped(f"no team in {TEAMS_FILE} answers for model {model!r}; add it to a team's models")
    return teams


def resources_of(key: str, team: TeamDefinition) -> dict[str, float]:
    """A team's capacity by resource of a plan: of each of its roles, `team/role`, or of the team as a whole."""
    return {f"{key}/{role}": days for role, days in team.roles.items()} or {key: team.capacity_days}


def reference_problems(
    teams: Mapping[str, TeamDefinition],
    models: Collection[str],
    *,
    team: str,
    model: str | None,
    roles: Mapping[str, float],
    points: Mapping[str, float],
) -> list[Problem]:
    """What is wrong with what a written item says of its team, the team's roles and scoring, and its model, if any."""
    problems = []
    if team not in teams:
        problems.append(Problem(["team"], f"team: {unknown_name_message(team, teams, noun='team')}"))
    else:
        problems += _unknown_roles(team, teams[team], roles)
        problems += point_problems(team, teams[team], points)
    if model is not None and model not in models:
        problems.append(Problem(["model"], f"model: {unknown_name_message(model, models, noun='model')}"))
    return problems


def missing_roles(team: TeamDefinition, roles: Mapping[str, float], asked: str) -> str:
    """`asked`, where a team has roles and an effort is not said in them; else ""."""
    return asked if team.roles and not roles else ""


def _unknown_roles(key: str, team: TeamDefinition, roles: Mapping[str, float], *at: str) -> list[Problem]:
    """What is wrong with roles in which an effort is said, at some place of its file: the team does not have them."""
    if roles and not team.roles:
        days = f"{team.capacity_days:g} days"
        return [Problem([*at, "roles"], f"roles: team {key} has none; take them out, or divide its {days} into roles")]
    return [
        Problem([*at, "roles", role], f"roles: {unknown_name_message(role, team.roles, noun='role')}")
        for role in roles
        if role not in team.roles
    ]


def _role_problems(key: str, team: TeamDefinition) -> list[Problem]:
    at, problems = ["teams", key], []
    if "/" in key:
        problems.append(Problem(at, f"team {key}: a key has no slash, which stands between a team and its role"))
    together = math.fsum(team.roles.values())
    if team.roles and abs(together - team.capacity_days) > _ROUNDING * team.capacity_days:
        text = f"roles: they add up to {together:g} days, and capacity_days is {team.capacity_days:g}; make them agree"
        problems.append(Problem([*at, "roles"], text))
    for kind, estimate in team.estimates.items():
        problems += _unknown_roles(key, team, estimate.roles, *at, "estimates", kind)
    return problems
