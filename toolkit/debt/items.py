"""`debt/*.yml`: what a team owes its product, each piece with an owner, and what it costs as its owner estimates it.

What nobody has estimated is absent: principal and interest are never guessed and never zero by default.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from toolkit.errors import DefinitionError
from toolkit.triage import Range, load_teams
from toolkit.triage.teams import RoleShares, reference_problems
from toolkit.workspace import Day, Definition, Workspace

DEBT_FOLDER = "debt"


class DayRange(Range):
    """Person-days as their owner gave them: a range and the likely value."""

    low: float = Field(ge=0, description="it hardly takes less than these person-days")
    likely: float = Field(ge=0, description="the most likely person-days")
    high: float = Field(gt=0, description="it hardly takes more than these person-days")


class DebtItem(Definition):
    """`debt/<key>.yml`: one piece of debt. What nobody has estimated is left out, never invented.

    An `accepted` item is decided to be lived with, so it is never overdue; a `paid` one has its day in `closed_on`.
    """

    key: str = Field(min_length=1, description="the file's name without .yml")
    title: str = Field(min_length=1, description="the debt in a few words")
    kind: Literal["data", "model", "code", "test", "configuration", "documentation", "infrastructure", "process"] = (
        Field(description="what it lies in")
    )
    owner: str = Field(min_length=1, description="who answers for it")
    team: str = Field(description="key of the team that would pay it off, in teams.yml")
    model: str | None = Field(default=None, description="key of the model that it concerns, in models/")
    description: str = Field(min_length=1, description="what is owed, how it came about, and what it does")
    opened_on: Day = Field(description="the day it was written down, as 2030-01-31")
    due_on: Day | None = Field(default=None, description="the last day on which it is to be paid off, if promised")
    principal_days: DayRange | None = Field(default=None, description="person-days to pay it off")
    roles: RoleShares = Field(
        default_factory=dict,
        description="shares of principal_days by role of the team; needed where the team has roles",
    )
    interest_days_per_month: DayRange | None = Field(
        default=None, description="person-days that it costs in each month in which it stays"
    )
    points: dict[str, float] = Field(
        default_factory=dict, description="points by criterion of the team's scoring in teams.yml, such as size: 3"
    )
    evidence: tuple[str, ...] = Field(default=(), description="references: reports, experiments, pages, tickets")
    signals: tuple[str, ...] = Field(
        default=(), description="keys of the signals that it causes, as reports and 'toolkit signal list' show them"
    )
    paths: tuple[str, ...] = Field(
        default=(), description="globs of the files it lies in, from the top of the repository; ** crosses folders"
    )
    status: Literal["open", "accepted", "paid"] = Field(
        default="open", description="accepted: decided to be lived with; paid: paid off on closed_on"
    )
    closed_on: Day | None = Field(default=None, description="the day on which it was paid off")

    @model_validator(mode="after")
    def _is_coherent(self) -> Self:
        for name, day in (("due_on", self.due_on), ("closed_on", self.closed_on)):
            if day is not None and day < self.opened_on:
                raise ValueError(f"{name} {day} is before opened_on {self.opened_on}")
        if self.status == "paid" and self.closed_on is None:
            raise ValueError("status is 'paid', so closed_on is needed: the day on which it was paid off")
        if self.status != "paid" and self.closed_on is not None:
            raise ValueError(f"closed_on is {self.closed_on}, so status must be 'paid'; it is {self.status!r}")
        return self


def load_items(workspace: Workspace) -> dict[str, DebtItem]:
    """The debt items of `debt/*.yml` by key, sorted; {} when there are none.

    Each is held against `teams.yml` and the models. Raises `DefinitionError` with every problem of every file (file,
    line, given, allowed, nearest match).
    """
    items = workspace.load_folder(DEBT_FOLDER, DebtItem, noun="debt item")
    if not items:
        return {}
    teams, models = load_teams(workspace), workspace.keys("models")
    errors: list[DefinitionError] = []
    for key, item in items.items():
        if problems := reference_problems(
            teams, models, team=item.team, model=item.model, roles=item.roles, points=item.points
        ):
            errors.append(workspace.error_in(f"{DEBT_FOLDER}/{key}.yml", problems))
    if errors:
        raise DefinitionError.joined(errors)
    return items
