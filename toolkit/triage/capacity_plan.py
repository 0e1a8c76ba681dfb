"""The capacity plan: what of the backlog is done in the next period, why, and what would change that.

The plan has the largest expected cost of delay that fits: value per week times the probability that it is there, plus
the risk per week that it takes away. It is exact for these expectations; how far they are to be trusted is told apart:
ranks over draws from the ranges, tiers of what cannot be told apart, and the probability that an item belongs among the
first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from typing_extensions import override

from toolkit.display import Picture, format_number, picture
from toolkit.records import ResultRow, Shown, number_row
from toolkit.triage.plan_figures import draw_value_against_effort
from toolkit.triage.plannable import Estimated, Plannable
from toolkit.triage.programme_reasons import Price, Why
from toolkit.triage.programme_solver import Choice
from toolkit.triage.ranges import RANGE_METHOD, range_row
from toolkit.triage.teams import TeamDefinition

ALL_TEAMS = "all"
"""The key of rows that speak of the whole plan."""

MOST_EXPLAINED = 60
"""Items of which it is said what would change their place: each takes a solution of its own."""


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
        return (
            picture(
                lambda figure: draw_value_against_effort(figure, drawn, chosen, unit),
                name="value_against_effort",
                alt=alt,
            ),
        )

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
