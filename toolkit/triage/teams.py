"""`teams.yml`: who works on which models, how much they can take on, and what work has cost them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from toolkit.signals.signal import Kind
from toolkit.triage.ranges import Range
from toolkit.workspace import Definition, Workspace

TEAMS_FILE = "teams.yml"


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


class TeamDefinition(Definition):
    """A team: its capacity in person-days per period, its models, and its own estimates by candidate kind."""

    name: str = Field(description="what people call the team")
    owner: str = Field(description="who answers for it")
    capacity_days: float = Field(gt=0, description="person-days that are free for improvements in one period")
    period_days: int = Field(gt=0, description="the length of a period in days")
    models: tuple[str, ...] = Field(description="keys of the models that the team works on")
    day_cost: DayCost | None = Field(
        default=None, description="what a person-day of the team costs, so that days of interest stand beside values"
    )
    floors: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="the least share of the capacity by kind of item, such as debt: 0.2 and experiment: 0.1",
    )
    estimates: dict[Kind, Estimate] = Field(
        default_factory=dict, description="the team's own estimates, by kind of work; what nobody estimated is left out"
    )


class TeamsFile(Definition):
    """`teams.yml`: who works on which models."""

    teams: dict[str, TeamDefinition] = Field(min_length=1, description="teams by key")


def load_teams(workspace: Workspace) -> dict[str, TeamDefinition]:
    """The teams of `teams.yml` by key. Raises `DefinitionError`."""
    return workspace.load(TEAMS_FILE, TeamsFile).teams
