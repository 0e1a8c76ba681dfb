"""`teams.yml`: who works on which models, how much they can take on, and what work has cost them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from toolkit.workspace import Definition, Workspace

TEAMS_FILE = "teams.yml"


class Effort(Definition):
    """An effort in person-days, as its owner gave it: a range and the likely value."""

    low: float = Field(gt=0)
    likely: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"low {self.low} <= likely {self.likely} <= high {self.high} does not hold")
        return self


class Estimate(Definition):
    """What a team estimates for one kind of candidate."""

    effort_days: Effort


class TeamDefinition(Definition):
    """A team: its capacity in person-days per period, its models, and its own estimates by candidate kind."""

    name: str
    owner: str
    capacity_days: float = Field(gt=0)
    period_days: int = Field(gt=0)
    models: tuple[str, ...]
    estimates: dict[Literal["calibration", "segment", "metric_change"], Estimate] = Field(default_factory=dict)


class _TeamsFile(Definition):
    teams: dict[str, TeamDefinition] = Field(min_length=1)


def load_teams(workspace: Workspace) -> dict[str, TeamDefinition]:
    """The teams of `teams.yml` by key. Raises `DefinitionError`."""
    return workspace.load(TEAMS_FILE, _TeamsFile).teams
