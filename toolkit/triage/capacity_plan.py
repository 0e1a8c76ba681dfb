"""The capacity plan: what of the backlog is done in the next period, why, and what would change that.

The plan has the largest expected cost of delay that fits: value per week times the probability that it is there, plus
the risk per week that it takes away. It is exact for these expectations; how far they are to be trusted is told apart:
ranks over draws from the ranges, tiers of what cannot be told apart, and the probability that an item belongs among the
first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.errors import Skipped
from toolkit.records import Correction, ResultRow, Shown, number_row
from toolkit.triage.backlog import Backlog
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.plannable import Estimated, Plannable, sort_out
from toolkit.triage.programme_reasons import CONSTRAINTS, Constraint, Price, Why, constraint_prices, why
from toolkit.triage.programme_solver import Choice, lower_floors, solve
from toolkit.triage.ranges import RANGE_METHOD, range_row
from toolkit.triage.scoring import cost_of_delay_divided_by_duration
from toolkit.triage.teams import TeamDefinition, load_teams
from toolkit.windows import parse_instant
from toolkit.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

ALL_TEAMS = "all"
"""The key of rows that speak of the whole plan."""

MOST_EXPLAINED = 60
"""Items of which it is said what would change their place: each takes a solution of its own."""

_FEW_CONSTRAINTS: tuple[Constraint, ...] = ("capacity", "floor", "must")
"""Of which there are few, however many items there are: each price takes a solution too."""

_WEEK = 7


class Place(NamedTuple):
    """Where an item stands among all that can be planned.

    Attributes
    ----------
    rank: expected, by cost of delay divided by duration. best, worst: it lies between them with 80 %.
    tier: items of one tier cannot be told apart. among_first: the probability to belong to as many first ones as are
        planned.
    """

    rank: float
    best: int
    worst: int
    tier: int
    among_first: float


@dataclass(frozen=True)
class CapacityPlan(Shown):
    """What is done in the next period, and what is not, each with its reason.

    Attributes
    ----------
    teams: those that work on the model. choice: the plan. places, whys: by item; a why only of the first
        `MOST_EXPLAINED`.
    prices: what each constraint costs. lowered: what was out of reach and had to be lowered.
    """

    plannable: Plannable
    teams: Mapping[str, TeamDefinition]
    choice: Choice
    places: Mapping[str, Place]
    whys: Mapping[str, Why]
    prices: tuple[Price, ...]
    lowered: str

    @property
    def ordered(self) -> list[Estimated]:
        """The items that can be planned: the planned ones first, each side by expected rank."""
        return sorted(
            self.plannable.items.values(),
            key=lambda each: (each.item.key not in self.choice.chosen, self.places[each.item.key].rank, each.item.key),
        )

    @property
    @override
    def text(self) -> str:
        said = [self._team_text(key, team) for key, team in self.teams.items()]
        if self.choice.chosen:
            worth = format_number("value", self.choice.value)
            said.append(f"Together they are worth {worth} {self.plannable.unit} a week of delay.")
        if self.choice.reason:
            said.append(f"Not proven to be the best: {self.choice.reason}.")
        if self.lowered:
            said.append(self.lowered)
        if self.plannable.reasons:
            said.append(f"{len(self.plannable.reasons)} of the backlog cannot be planned; the last lines say why.")
        return " ".join(said)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        unit = f"{self.plannable.unit} a week"
        rows = [
            ResultRow(
                ALL_TEAMS, "planned_value", self.choice.value, unit=unit, method="sum of expected costs of delay"
            ),
            ResultRow(ALL_TEAMS, "optimality_gap", self.choice.gap, reason=self.choice.reason),
        ]
        for key, team in self.teams.items():
            rows.append(ResultRow(key, "capacity_days", team.capacity_days, unit="days"))
            rows.append(ResultRow(key, "used_days", self.choice.used_days[key], unit="days"))
        for price in self.prices:
            named = f"price_of_{price.kind}"
            rows.append(number_row(price.value, price.reason, key=price.name, statistic=named, unit=unit))
        for each in self.ordered:
            rows += self._item_rows(each, unit)
        rows += [
            ResultRow(key, "place", "cannot be planned", reason=reason)
            for key, reason in self.plannable.reasons.items()
        ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        planned = [self._line(each) for each in self.ordered]
        nothing = dict.fromkeys(("tier", "rank", "among_first", "cost_of_delay_per_week", "effort_days"), "")
        return [
            *planned,
            *(
                {"item": key, "place": "cannot be planned", **nothing, "because": reason}
                for key, reason in self.plannable.reasons.items()
            ),
        ]

    def _line(self, each: Estimated) -> Mapping[str, object]:
        place = self.places[each.item.key]
        return {
            "item": each.item.key,
            "place": self._place(each),
            "tier": place.tier,
            "rank": f"{place.rank:.1f} ({place.best} to {place.worst})",
            "among_first": format_number("among_first_share", place.among_first),
            "cost_of_delay_per_week": f"{format_number('value', each.cost_of_delay)} {self.plannable.unit}",
            "effort_days": format_number("days", each.days),
            "because": self._because(each),
        }

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not self.plannable.items:
            return ()
        drawn = self.ordered
        alt = "Cost of delay per week against effort, with ranges of 80 %: " + "; ".join(
            f"{each.item.key} {format_number('value', each.cost_of_delay)} {self.plannable.unit} for "
            f"{format_number('days', each.days)} days, {self._place(each)}"
            for each in drawn
        )
        chosen, unit = set(self.choice.chosen), self.plannable.unit
        return (picture(lambda figure: _draw(figure, drawn, chosen, unit), name="value_against_effort", alt=alt),)

    def _team_text(self, key: str, team: TeamDefinition) -> str:
        taken = [each for each in self.ordered if each.item.team == key and each.item.key in self.choice.chosen]
        titles = ", ".join(f"{each.item.title} ({format_number('days', each.days)} days)" for each in taken)
        return (
            f"{team.name}, {format_number('days', self.choice.used_days[key])} of {team.capacity_days:g} days in "
            f"{team.period_days}: {titles or 'nothing that can be planned'}."
        )

    def _place(self, each: Estimated) -> str:
        if each.must:
            return f"planned: must be done by {each.item.deadline}"
        return "planned" if each.item.key in self.choice.chosen else "not planned"

    def _because(self, each: Estimated) -> str:
        """What would change an item's place."""
        found = self.whys.get(each.item.key)
        if found is None:
            return f"not looked into: it is not among the first {MOST_EXPLAINED}"
        if found.flip_value is None:
            return found.reason
        at = f"{format_number('value', found.flip_value)} {self.plannable.unit} a week"
        return f"out below {at}" if found.chosen else f"in from {at}"

    def _item_rows(self, each: Estimated, unit: str) -> list[ResultRow]:
        key, place, found = each.item.key, self.places[each.item.key], self.whys.get(each.item.key)
        flip = found.flip_value if found else None
        why_no_flip = found.reason if found else self._because(each)
        rows = [
            ResultRow(key, "place", self._place(each)),
            ResultRow(key, "rank", place.rank, ci_lower=place.best, ci_upper=place.worst, method="expected rank, 80 %"),
            ResultRow(key, "tier", place.tier),
            ResultRow(key, "among_first_share", place.among_first, unit="share"),
            ResultRow(key, "cost_of_delay_per_week", each.cost_of_delay, unit=unit),
            range_row(key, "value_per_week", each.value, unit=unit, method=RANGE_METHOD),
            range_row(key, "effort_days", each.effort, unit="days", method=RANGE_METHOD),
            number_row(flip, why_no_flip, key=key, statistic="flip_value", unit=unit),
        ]
        if each.value != each.raw_value:
            rows.append(range_row(key, "raw_value_per_week", each.raw_value, unit=unit, method=RANGE_METHOD))
        if each.effort != each.raw_effort:
            rows.append(range_row(key, "raw_effort_days", each.raw_effort, unit="days", method=RANGE_METHOD))
        return rows


def plan_capacity(
    workspace: Workspace,
    backlog: Backlog,
    *,
    model: str,
    as_of: datetime | str,
    corrections: Sequence[Correction] = (),
) -> CapacityPlan:
    """What of a model's backlog its teams do in the period that begins at `as_of`; every team counts by its own period.

    A team's capacity is for all of its models; what others take of it is not known here. The same arguments give the
    same plan. Raises `Skipped` when no team answers for the model, `ArgumentError` when what must be done does not fit,
    with the items and days.
    """
    instant = parse_instant(as_of) if isinstance(as_of, str) else as_of
    teams = {key: team for key, team in load_teams(workspace).items() if model in team.models}
    if not teams:
        raise Skipped(f"no team in teams.yml answers for model {model!r}; add it to a team's models")
    plannable = sort_out(backlog.items, teams, today=instant.date(), corrections=corrections)
    wished = _programme(plannable, teams)
    programme = lower_floors(wished)
    choice = solve(programme)
    places = rank_items(plannable, teams, first=len(choice.chosen))
    explained = sorted(places, key=lambda key: (places[key].rank, key))[:MOST_EXPLAINED]
    return CapacityPlan(
        plannable,
        teams,
        choice,
        places,
        {each.key: each for each in why(programme, choice, explained)},
        constraint_prices(programme, choice, CONSTRAINTS if len(places) <= MOST_EXPLAINED else _FEW_CONSTRAINTS),
        _said_of_lowered(wished, programme),
    )


def rank_items(plannable: Plannable, teams: Mapping[str, TeamDefinition], *, first: int) -> dict[str, Place]:
    """By item where it stands, by cost of delay divided by duration over draws from the ranges.

    Parameters
    ----------
    first: how many count as the first ones; without any, nothing is among them.
    """
    if not plannable.items:
        return {}
    scores = _draw_scores(plannable, teams)
    ranks, tiers = stats.rank_probabilities(scores), stats.tiers(scores)
    among = ranks.within(first) if first else [0.0] * len(plannable.items)
    return {
        key: Place(
            float(ranks.expected[at]), int(ranks.best[at]), int(ranks.worst[at]), int(tiers[at]), float(among[at])
        )
        for at, key in enumerate(plannable.items)
    }


def _draw_scores(plannable: Plannable, teams: Mapping[str, TeamDefinition]) -> NDArray[np.float64]:
    """Items x draws: cost of delay divided by duration; the value is there with its confidence, or not at all."""
    import numpy as np

    keys, items = list(plannable.items), list(plannable.items.values())
    value = stats.draw_spreads([each.value for each in items], keys, of="value")
    risk = stats.draw_spreads([each.risk for each in items], keys, of="risk")
    effort = stats.draw_spreads([each.effort for each in items], keys, of="effort")
    there = stats.draw_shares(keys, of="confidence") <= np.array([[each.confidence] for each in items])
    days_per_week = np.array([[_days_per_week(teams[each.item.team])] for each in items])
    return cost_of_delay_divided_by_duration(np.where(there, value, 0.0), risk, effort / days_per_week)


def _days_per_week(team: TeamDefinition) -> float:
    return team.capacity_days / team.period_days * _WEEK


def _programme(plannable: Plannable, teams: Mapping[str, TeamDefinition]) -> Programme:
    """The items as tasks of their teams; what excludes each other by pairs; the teams' floors added up."""
    tasks = tuple(
        Task(
            key,
            each.cost_of_delay,
            {each.item.team: each.days},
            kind=each.item.kind,
            requires=each.item.depends_on,
            must=each.must,
        )
        for key, each in plannable.items.items()
    )
    pairs = {
        tuple(sorted((key, other)))
        for key, each in plannable.items.items()
        for other in each.item.excludes
        if other in plannable.items
    }
    capacity = {key: team.capacity_days for key, team in teams.items()}
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


def _draw(figure: Figure, drawn: Sequence[Estimated], chosen: set[str], unit: str) -> None:
    axes = figure.subplots()
    for planned, colour, label in ((True, PALETTE[0], "planned"), (False, PALETTE[1], "not planned")):
        some = [each for each in drawn if (each.item.key in chosen) is planned]
        if not some:
            continue
        days, worth = [each.effort.likely for each in some], [each.value.likely + each.risk.likely for each in some]
        sideways, upwards = _reach([each.effort for each in some]), _reach([each.value for each in some])
        axes.errorbar(days, worth, yerr=upwards, xerr=sideways, fmt="o", color=colour, label=label, elinewidth=1)
        for each, x, y in zip(some, days, worth, strict=True):
            axes.annotate(each.item.key, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="effort, person-days", ylabel=f"value and risk, {unit} a week")
    axes.legend(loc="upper left")


def _reach(spreads: Sequence[stats.Spread]) -> list[list[float]]:
    """How far each reaches below and above what is likely."""
    return [[each.likely - each.low for each in spreads], [each.high - each.likely for each in spreads]]
