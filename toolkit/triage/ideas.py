"""`ideas/*.yml`: pieces of work that people propose, with what they know about value and effort."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from toolkit.checks import unknown_name_message
from toolkit.errors import DefinitionError
from toolkit.triage.dependencies import all_needed, find_circle
from toolkit.triage.ranges import Value
from toolkit.triage.teams import Effort, RoleShares, load_teams, reference_problems
from toolkit.workspace import Day, Definition, Problem, Workspace

IDEAS_FOLDER = "ideas"


class IdeaDefinition(Definition):
    """`ideas/<key>.yml`: a candidate piece of work. What nobody has estimated is left out, never invented."""

    key: str = Field(min_length=1, description="the file's name without .yml")
    kind: Literal["model", "data", "product", "operation", "experiment"] = Field(
        description="what is worked on: the model, its data, the product around it, its operation, or an experiment"
    )
    title: str = Field(min_length=1, description="the piece of work in a few words")
    owner: str = Field(min_length=1, description="who answers for it")
    team: str = Field(description="key of the team that would do it, in teams.yml")
    model: str = Field(description="key of the model that it improves, in models/")
    description: str = Field(min_length=1, description="what would be done, and why it should help")
    evidence: tuple[str, ...] = Field(default=(), description="references: reports, experiments, pages, tickets")
    signals: tuple[str, ...] = Field(
        default=(),
        description="keys of the signals that it would settle, as 'toolkit signal list' shows them",
    )
    value_per_week: Value | None = Field(default=None, description="what it is worth in a week, once it is done")
    risk_per_week: Value | None = Field(
        default=None, description="what the risk that it takes away costs in a week: its probability times the damage"
    )
    effort_days: Effort | None = Field(default=None, description="person-days of work")
    roles: RoleShares = Field(
        default_factory=dict, description="shares of the effort by role of the team; needed where the team has roles"
    )
    points: dict[str, float] = Field(
        default_factory=dict, description="points by criterion of the team's scoring in teams.yml, such as reach: 2000"
    )
    confidence: float | None = Field(
        default=None, ge=0, le=1, description="the owner's probability that it works at all, 0 to 1"
    )
    deadline: Day | None = Field(default=None, description="the day after which it is of no use, as 2030-01-31")
    must_do: bool = Field(default=False, description="it has to be done by its deadline, whatever it is worth")
    depends_on: tuple[str, ...] = Field(default=(), description="keys of the ideas that must be done before")
    excludes: tuple[str, ...] = Field(default=(), description="keys of the ideas of which only one is to be done")

    @model_validator(mode="after")
    def _has_its_day(self) -> Self:
        if self.must_do and self.deadline is None:
            raise ValueError("must_do is true, so deadline is needed: the day by which it has to be done")
        return self


def load_ideas(workspace: Workspace) -> dict[str, IdeaDefinition]:
    """The ideas of `ideas/*.yml` by key, sorted; {} when there are none.

    Each is held against `teams.yml`, the models and the other ideas. Raises `DefinitionError` with every problem of
    every file: an id that two files claim, a team, role, model or idea that is not there, a circle of dependencies.
    """
    ideas = workspace.load_folder(IDEAS_FOLDER, IdeaDefinition, noun="idea")
    if not ideas:
        return {}
    teams, models = load_teams(workspace), workspace.keys("models")
    errors: list[DefinitionError] = []
    for key, idea in ideas.items():
        problems = reference_problems(
            teams, models, team=idea.team, model=idea.model, roles=idea.roles, points=idea.points
        )
        for name, others in (("depends_on", idea.depends_on), ("excludes", idea.excludes)):
            for index, other in enumerate(others):
                if other not in ideas:
                    unknown = unknown_name_message(other, ideas, noun="idea")
                    problems.append(Problem([name, index], f"{name}: {unknown}"))
                elif name == "excludes" and other == key:
                    problems.append(Problem([name, index], f"{name}: an idea cannot exclude itself"))
        if problems:
            errors.append(workspace.error_in(f"{IDEAS_FOLDER}/{key}.yml", problems))
    if errors:
        raise DefinitionError.joined(errors)
    _check_order(workspace, ideas)
    _check_exclusions(workspace, ideas)
    return ideas


def _check_order(workspace: Workspace, ideas: dict[str, IdeaDefinition]) -> None:
    if circle := find_circle({key: idea.depends_on for key, idea in ideas.items()}):
        at: list[str | int] = ["depends_on", ideas[circle[0]].depends_on.index(circle[1])]
        text = f"depends_on: {' → '.join(circle)} is a circle; take out one of its steps"
        raise workspace.error_in(f"{IDEAS_FOLDER}/{circle[0]}.yml", [Problem(at, text)])


def _check_exclusions(workspace: Workspace, ideas: dict[str, IdeaDefinition]) -> None:
    """What excludes each other must not be needed by one idea, which could never be done."""
    needs = {key: idea.depends_on for key, idea in ideas.items()}
    needed = {key: all_needed(key, needs) for key in ideas}
    for key, idea in ideas.items():
        for index, other in enumerate(idea.excludes):
            if asking := next((each for each in ideas if {key, other} <= needed[each]), None):
                text = f"excludes: {asking} needs both {key} and {other}, and could never be done"
                if asking in (key, other):
                    text = f"excludes: {asking} depends on {other if asking == key else key}"
                raise workspace.error_in(f"{IDEAS_FOLDER}/{key}.yml", [Problem(["excludes", index], text)])
