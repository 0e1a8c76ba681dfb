"""What fits a team's capacity: candidates in their order, each taken if its likely effort still fits.

A candidate without an effort estimate cannot be placed; it is asked for, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from toolkit.display import format_number
from toolkit.errors import Skipped
from toolkit.records import ResultRow, Shown
from toolkit.triage.candidates import Candidate, Candidates
from toolkit.triage.teams import Effort, TeamDefinition

Place = Literal["fits", "does not fit", "effort not estimated"]


@dataclass(frozen=True)
class Placement:
    """One candidate against what is left of the capacity."""

    candidate: Candidate
    effort: Effort | None
    place: Place


@dataclass(frozen=True)
class TeamFit:
    """One team's candidates in order."""

    key: str
    team: TeamDefinition
    placements: tuple[Placement, ...]

    @property
    def used_days(self) -> float:
        """The likely effort of what fits."""
        return sum(item.effort.likely for item in self.placements if item.effort and item.place == "fits")


@dataclass(frozen=True)
class CapacityFit(Shown):
    """What fits each team that answers for the model."""

    fits: tuple[TeamFit, ...]

    @property
    @override
    def text(self) -> str:
        sentences = []
        for fit in self.fits:
            taken = [item.candidate.title.lower() for item in fit.placements if item.place == "fits"]
            unknown = sum(item.place == "effort not estimated" for item in fit.placements)
            sentences.append(
                f"{fit.team.name} can take on {fit.team.capacity_days:g} days in {fit.team.period_days}: "
                f"{', '.join(taken) if taken else 'nothing that has an estimate'} "
                f"({fit.used_days:g} days). {unknown} of {len(fit.placements)} candidates wait for an effort estimate "
                f"from {fit.team.owner}."
            )
        return " ".join(sentences)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for fit in self.fits:
            rows.append(ResultRow(key=fit.key, statistic="capacity_days", value=fit.team.capacity_days, unit="days"))
            rows.append(ResultRow(key=fit.key, statistic="used_days", value=fit.used_days, unit="days"))
            for item in fit.placements:
                rows.append(ResultRow(key=item.candidate.key, statistic="place", value=item.place))
                rows.append(
                    ResultRow(
                        key=item.candidate.key,
                        statistic="effort_days",
                        value=item.effort.likely if item.effort else None,
                        ci_lower=item.effort.low if item.effort else None,
                        ci_upper=item.effort.high if item.effort else None,
                        unit="days",
                        method="the team's own range" if item.effort else "",
                        status="ok" if item.effort else "absent",
                        reason="" if item.effort else f"ask {fit.team.owner} for an estimate",
                    )
                )
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "team": fit.team.name,
                "rank": item.candidate.rank,
                "candidate": item.candidate.title,
                "effort": _range(item.effort),
                "place": item.place,
            }
            for fit in self.fits
            for item in fit.placements
        ]


def fit_capacity(ranked: Candidates, teams: Mapping[str, TeamDefinition], *, model: str) -> CapacityFit:
    """Place the candidates of `model` into the capacity of each team that answers for it.

    Raises `Skipped` when no team does.
    """
    responsible = {key: team for key, team in teams.items() if model in team.models}
    if not responsible:
        raise Skipped(f"no team in teams.yml answers for model {model!r}; add it to a team's models")
    return CapacityFit(tuple(TeamFit(key, team, _place(ranked, team)) for key, team in responsible.items()))


def _place(ranked: Candidates, team: TeamDefinition) -> tuple[Placement, ...]:
    left, placements = team.capacity_days, []
    for candidate in ranked.ranked:
        estimate = team.estimates.get(candidate.signal.kind)
        if estimate is None:
            placements.append(Placement(candidate, None, "effort not estimated"))
        elif estimate.effort_days.likely <= left:
            left -= estimate.effort_days.likely
            placements.append(Placement(candidate, estimate.effort_days, "fits"))
        else:
            placements.append(Placement(candidate, estimate.effort_days, "does not fit"))
    return tuple(placements)


def _range(effort: Effort | None) -> str:
    if effort is None:
        return "absent"
    return f"{format_number('effort_days', effort.likely)} ({effort.low:g} to {effort.high:g})"
