"""A team's own score beside the plan: WSJF, RICE or weights of its own, of points that people give in the files.

The plan is chosen by cost of delay; a team that orders its work by points sees both, and where they disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from toolkit.checks import unknown_name_message
from toolkit.errors import ArgumentError
from toolkit.records import ResultRow, number_row
from toolkit.triage.scoring import METHODS, order, weighted
from toolkit.workspace import Definition, Problem

if TYPE_CHECKING:
    from toolkit.triage.backlog import BacklogItem
    from toolkit.triage.teams import TeamDefinition


class Scoring(Definition):
    """By which score a team orders its items, beside the plan."""

    method: Literal["rice", "weighted", "wsjf"] = Field(description="how points make a score")
    weights: dict[str, float] = Field(
        default_factory=dict,
        description="of method weighted, by the team's own criteria; below 0 for what speaks against an item",
    )

    @model_validator(mode="after")
    def _has_its_weights(self) -> Self:
        if self.method == "weighted" and not self.weights:
            raise ValueError("method is weighted, so weights is needed: a weight for each of the team's criteria")
        if self.method != "weighted" and self.weights:
            raise ValueError(f"weights go with method weighted; method is {self.method}")
        return self

    @property
    def criteria(self) -> tuple[str, ...]:
        """The points that it is made of."""
        return tuple(self.weights) if self.method == "weighted" else tuple(METHODS[self.method].inputs)

    def score(self, points: Mapping[str, float]) -> float:
        """The score of an item that has all of its points. Raises `ArgumentError` for points that cannot be.

        >>> Scoring(method="rice").score({"reach": 2000.0, "impact": 1.0, "confidence": 0.8, "effort": 2.0})
        800.0
        """
        if self.method == "weighted":
            return weighted(points, self.weights)
        return float(METHODS[self.method].score(**points))


class TeamScore(NamedTuple):
    """An item's score by its team's method; None with a reason where nobody gave the points.

    Attributes
    ----------
    rank: among the items of the team that have a score, from 1; None without one.
    """

    method: str
    value: float | None
    rank: int | None
    reason: str

    def to_rows(self, key: str) -> list[ResultRow]:
        """The score, and the rank by it."""
        return [
            number_row(self.value, self.reason, key=key, statistic="score", unit="points", method=self.method),
            number_row(self.rank, self.reason, key=key, statistic="score_rank", method=self.method),
        ]


def point_problems(key: str, team: TeamDefinition, points: Mapping[str, float]) -> list[Problem]:
    """What is wrong with points in a file: the team's score does not ask for them, or they cannot be."""
    if team.scoring is None:
        return [Problem(["points"], f"points: team {key} has no scoring in teams.yml")] if points else []
    criteria = team.scoring.criteria
    unknown = [
        Problem(["points", name], f"points: {unknown_name_message(name, criteria, noun='criterion')}")
        for name in points
        if name not in criteria
    ]
    if unknown or len(points) < len(criteria):
        return unknown
    try:
        team.scoring.score(points)
    except ArgumentError as err:
        return [Problem(["points"], f"points: {err}")]
    return []


def score_items(items: Iterable[BacklogItem], teams: Mapping[str, TeamDefinition]) -> dict[str, TeamScore]:
    """By item its score, of the teams that have one; whether it can be planned or not."""
    found: dict[str, TeamScore] = {}
    by_team: dict[str, dict[str, float]] = {}
    for item in items:
        scoring = teams[item.team].scoring if item.team in teams else None
        if scoring is None:
            continue
        missing = [name for name in scoring.criteria if name not in item.points]
        if missing:
            asked = "a signal has no points; write an idea that names it" if item.origin == "signal" else ""
            reason = asked or f"ask {item.owner}: points {', '.join(missing)} in {item.source}"
            found[item.key] = TeamScore(scoring.method, None, None, reason)
        else:
            by_team.setdefault(item.team, {})[item.key] = scoring.score(item.points)
    for team, scores in by_team.items():
        scoring = teams[team].scoring
        assert scoring is not None
        for rank, key in enumerate(order(scores), start=1):
            found[key] = TeamScore(scoring.method, scores[key], rank, "")
    return found
