"""Debt items as items of the backlog, so that they compete with everything else in one currency."""

from __future__ import annotations

from toolkit.debt.items import DEBT_FOLDER, DebtItem, load_items
from toolkit.debt.register import Register
from toolkit.triage import BacklogItem, Range, TeamDefinition, Value, answering_teams, load_ideas, load_teams
from toolkit.triage.teams import missing_roles
from toolkit.workspace import Workspace

WEEKS_PER_MONTH = 365.25 / 12 / 7


def check_definitions(workspace: Workspace, *, model: str) -> None:
    """Raise at once what triage would after all data are read: of `teams.yml`, `ideas/` and `debt/`.

    Raises `Skipped` when no team answers for the model, `DefinitionError`.
    """
    answering_teams(workspace, model)
    load_ideas(workspace)
    load_items(workspace)


def backlog_items(workspace: Workspace, register: Register, *, model: str) -> tuple[BacklogItem, ...]:
    """The open debt items of a model, and those of none, which concern every model of the team.

    Paying debt off saves its interest: person-days per month at what a person-day of the team costs (`day_cost` in
    `teams.yml`). Without an interest or a cost the value is absent. Raises `DefinitionError`.
    """
    teams = load_teams(workspace)
    return tuple(
        _of_item(entry.item, teams[entry.item.team])
        for entry in register.open
        if entry.item.model == model or (entry.item.model is None and model in teams[entry.item.team].models)
    )


def _of_item(item: DebtItem, team: TeamDefinition) -> BacklogItem:
    source = f"{DEBT_FOLDER}/{item.key}.yml"
    value, no_value_reason = _interest_value(item, team, source)
    effort, no_effort_reason = _principal(item, source)
    return BacklogItem(
        key=f"debt/{item.key}",
        origin="debt",
        kind="debt",
        title=item.title,
        owner=item.owner,
        team=item.team,
        source=source,
        evidence=item.evidence,
        value_per_week=value,
        no_value_reason=no_value_reason,
        value_source=f"person/{item.owner}",
        effort_days=effort,
        no_effort_reason=no_effort_reason,
        effort_source=f"person/{item.owner}",
        roles=item.roles,
        no_roles_reason=missing_roles(team, item.roles, f"ask {item.owner}: roles in {source}"),
        points=item.points,
        settles=item.signals,
    )


def _interest_value(item: DebtItem, team: TeamDefinition, source: str) -> tuple[Value | None, str]:
    """Interest times what a day costs, each end paired so that the range holds both doubts."""
    interest, cost = item.interest_days_per_month, team.day_cost
    if interest is None:
        return None, f"ask {item.owner}: interest_days_per_month in {source}"
    if cost is None:
        return None, f"ask {team.owner}: day_cost of team {item.team} in teams.yml"
    low, likely, high = (
        getattr(interest, end) / WEEKS_PER_MONTH * getattr(cost, end) for end in ("low", "likely", "high")
    )
    return Value(low=low, likely=likely, high=high, unit=cost.unit), ""


def _principal(item: DebtItem, source: str) -> tuple[Range | None, str]:
    principal = item.principal_days
    if principal is None:
        return None, f"ask {item.owner}: principal_days in {source}"
    if principal.low == 0:
        return None, f"ask {item.owner}: principal_days in {source} begins at 0, and work takes some time"
    return principal, ""
