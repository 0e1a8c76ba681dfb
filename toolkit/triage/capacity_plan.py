"""The capacity plan: what of the backlog is done in the next period, why, and what would change that.

The plan has the largest expected cost of delay that fits: value per week times the probability that it is there, plus
the risk per week that it takes away. It is exact for these expectations; how far they are to be trusted is told apart:
ranks over draws from the ranges, tiers of what cannot be told apart, and the probability that an item belongs among the
first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, get_args

from typing_extensions import override

from toolkit.display import Picture, format_number
from toolkit.records import ResultRow, Shown
from toolkit.triage.backlog import BacklogItem, Horizon
from toolkit.triage.corrections import Learned
from toolkit.triage.item_reasons import ItemReason, flip_rows, not_explained
from toolkit.triage.lifecycle.history import NOTHING_SAID, ItemStanding
from toolkit.triage.lifecycle.movement import Movements
from toolkit.triage.plan_figures import draw_capacity_plan
from toolkit.triage.plan_stability import Stability
from toolkit.triage.plan_text import learned_sentences, price_sentences
from toolkit.triage.plannable import Estimated, Plannable, wish_text
from toolkit.triage.programme_reasons import Price
from toolkit.triage.programme_solver import Choice
from toolkit.triage.ranges import RANGE_METHOD, range_row
from toolkit.triage.shrinkage import ShrunkenQuantity
from toolkit.triage.team_scores import TeamScore, score_items
from toolkit.triage.teams import TeamDefinition, resources_of
from toolkit.windows import format_instant

ALL_TEAMS = "all"
"""The key of rows that speak of the whole plan."""

_WORDS = ("item", "place", "since_last", "because")
_NUMBERS = ("tier", "rank", "among_first", "cost_of_delay_per_week", "effort_days")
"""The columns of the table; of what cannot be planned, those of numbers are empty."""


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
    teams: those that work on the model. choice: the plan. places, whys: by item; of many items, a why only of those
        nearest to the line. stability: how far it would be another if everything were drawn again.
    prices: what each constraint costs. lowered: what was out of reach and had to be lowered.
    standings: what people said of items by then. movements: since the previous plan.
    learned: by what the estimates are corrected. override_prices: what each override that wants an item out costs.
    is_first: there is a history, and no plan in it before this one. shrunken: by how much estimates were.
    """

    model: str
    as_of: datetime
    plannable: Plannable
    teams: Mapping[str, TeamDefinition]
    choice: Choice
    places: Mapping[str, Place]
    whys: Mapping[str, ItemReason]
    stability: Stability
    prices: tuple[Price, ...]
    lowered: str
    standings: Mapping[str, ItemStanding]
    movements: Movements
    learned: Learned
    override_prices: Mapping[str, float]
    is_first: bool
    shrunken: tuple[ShrunkenQuantity, ...]

    @cached_property
    def scores(self) -> Mapping[str, TeamScore]:
        """By item its team's own score, of teams that have one."""
        return score_items(self.plannable.backlog.values(), self.teams)

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
            said.append(f"Together they are worth {worth} {self.plannable.unit} a week of delay{self._horizons_text}.")
        if self.choice.reason:
            said.append(f"Not proven to be the best: {self.choice.reason}.")
        if self.lowered:
            said.append(self.lowered)
        something_waits = len(self.choice.chosen) < len(self.plannable.items)
        if something_waits and (stable := self.stability.text(self.plannable.unit)):
            said.append(stable)
        said += price_sentences(self.plannable, self.teams, self.prices, self.override_prices, worth=self.choice.value)
        said += learned_sentences(self.learned)
        said += [each.text for each in self.shrunken]
        said += [
            f"{wish_text(wish, key)}; it is not in this backlog."
            for key, standing in self.standings.items()
            if key not in self.plannable.backlog and (wish := standing.override_at(self.as_of)) is not None
        ]
        if self.is_first:
            said.append("This is the first plan.")
        if self.movements.text:
            said.append(self.movements.text)
        if left := len(self.plannable.reasons) - len(self._closed):
            said.append(f"{left} of the backlog cannot be planned; the last lines say why.")
        return " ".join(said)

    @property
    def _by_horizon(self) -> Mapping[Horizon, float]:
        """What is planned is worth a week, apart by when it comes."""
        chosen = [self.plannable.items[key] for key in self.choice.chosen]
        return {
            horizon: math.fsum(each.cost_of_delay for each in chosen if each.item.horizon == horizon)
            for horizon in get_args(Horizon)
        }

    @property
    def _horizons_text(self) -> str:
        """How much of it comes later on, where any of it does."""
        later = self._by_horizon["long_term"]
        return f", {format_number('value', later)} of it in the long term (debt, experiments)" if later else ""

    @property
    def _closed(self) -> list[str]:
        """The items of the backlog that are done or were dropped."""
        return [key for key in self.plannable.reasons if key in self.standings and self.standings[key].closed]

    @property
    def _left(self) -> list[str]:
        """The items that cannot be planned, the closed ones last."""
        closed = self._closed
        return [*(key for key in self.plannable.reasons if key not in closed), *closed]

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        unit = f"{self.plannable.unit} a week"
        rows = [
            ResultRow(
                ALL_TEAMS, "planned_value", self.choice.value, unit=unit, method="sum of expected costs of delay"
            ),
            *(
                ResultRow(ALL_TEAMS, f"planned_{horizon}_value", worth, unit=unit)
                for horizon, worth in self._by_horizon.items()
            ),
            ResultRow(ALL_TEAMS, "optimality_gap", self.choice.gap, reason=self.choice.reason),
            *self.stability.to_rows(ALL_TEAMS, self.plannable.unit),
            ResultRow(ALL_TEAMS, "plan_model", self.model),
            ResultRow(ALL_TEAMS, "plan_as_of", format_instant(self.as_of)),
            ResultRow(ALL_TEAMS, "plan_unit", self.plannable.unit),
        ]
        for key, team in self.teams.items():
            rows.append(ResultRow(key, "capacity_days", team.capacity_days, unit="days"))
            rows.append(ResultRow(key, "used_days", self._used_days(key, team), unit="days"))
            for role, days in resources_of(key, team).items() if team.roles else ():
                rows.append(ResultRow(role, "capacity_days", days, unit="days"))
                rows.append(ResultRow(role, "used_days", self.choice.used_days[role], unit="days"))
        rows += [
            ResultRow(price.name, f"price_of_{price.kind}", price.value, unit=unit, reason=price.reason)
            for price in self.prices
        ]
        for key, cost in self.override_prices.items():
            rows.append(ResultRow(key, "price_of_override", cost, unit=unit))
        for learned in self.learned.corrections:
            source, quantity = learned.source, learned.quantity
            rows.append(ResultRow(source, f"{quantity}_bias", learned.bias, n=learned.n))
            rows.append(ResultRow(source, f"{quantity}_spread", learned.spread, n=learned.n))
        for shrunken in self.shrunken:
            rows += shrunken.to_rows(ALL_TEAMS)
        for each in self.ordered:
            rows += self._item_rows(each, unit)
        for key in self._left:
            rows.append(ResultRow(key, "place", "cannot be planned", reason=self.plannable.reasons[key]))
            rows += self._given_rows(self.plannable.backlog[key], self.plannable.reasons[key])
        for key, reason in self.movements.absent.items():
            rows.append(ResultRow(key, "movement", self.movements.by_item[key], reason=reason))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        lines = [self._line(each) for each in self.ordered]
        nothing = dict.fromkeys((name for name in (lines[0] if lines else _NUMBERS) if name not in _WORDS), "")
        others = [(key, "cannot be planned", self.plannable.reasons[key]) for key in self._left]
        others += [(key, "", reason) for key, reason in self.movements.absent.items()]
        return [
            *lines,
            *(
                {
                    "item": key,
                    "place": place,
                    **self._since_last(key),
                    "because": because,
                    **nothing,
                    **self._score(key),
                }
                for key, place, because in others
            ),
        ]

    def _line(self, each: Estimated) -> Mapping[str, object]:
        place, unit = self.places[each.item.key], self.plannable.unit
        return {
            "item": each.item.key,
            "place": self._place(each),
            **self._since_last(each.item.key),
            "because": self._because(each),
            "tier": place.tier,
            "rank": f"{place.rank:.1f} ({place.best} to {place.worst})",
            "among_first": format_number("among_first_share", place.among_first),
            "cost_of_delay_per_week": _with_raw("value", each.cost_of_delay, each.raw_cost_of_delay, unit),
            "effort_days": _with_raw("effort_days", each.days, each.raw_effort.mean),
            **self._score(each.item.key),
        }

    def _score(self, key: str) -> Mapping[str, object]:
        """The column of the teams' own scores, where any has one: the score, and the rank by it."""
        if not self.scores:
            return {}
        found = self.scores.get(key)
        if found is None or found.value is None:
            return {"score": "absent" if found else ""}
        return {"score": f"{format_number('score', found.value)} ({found.method}, {found.rank}.)"}

    def _since_last(self, key: str) -> Mapping[str, object]:
        """The column of what has moved, where there is a plan before this one."""
        if self.movements.since is None:
            return {}
        state = self.standings.get(key, NOTHING_SAID).state
        return {"since_last": self.movements.by_item.get(key) or ("started" if state == "started" else "")}

    @override
    def to_pictures(self) -> Sequence[Picture]:
        if not self.plannable.items:
            return ()
        return (draw_capacity_plan(self),)

    def _team_text(self, key: str, team: TeamDefinition) -> str:
        taken = [each for each in self.ordered if each.item.team == key and each.item.key in self.choice.chosen]
        titles = ", ".join(f"{each.item.title} ({format_number('days', each.days)} days)" for each in taken)
        return (
            f"{team.name}, {format_number('days', self._used_days(key, team))} of {team.capacity_days:g} days in "
            f"{team.period_days}{self._roles_text(key, team)}: {titles or self._nothing(key)}."
        )

    def _nothing(self, team: str) -> str:
        able = any(each.item.team == team for each in self.plannable.items.values())
        return "nothing" if able else "nothing that can be planned"

    def _used_days(self, key: str, team: TeamDefinition) -> float:
        return sum(self.choice.used_days[resource] for resource in resources_of(key, team))

    def _roles_text(self, key: str, team: TeamDefinition) -> str:
        said = [
            f"{role} {format_number('days', self.choice.used_days[f'{key}/{role}'])} of {days:g}"
            for role, days in team.roles.items()
        ]
        return f" ({', '.join(said)})" if said else ""

    def _place(self, each: Estimated) -> str:
        if each.due:
            return f"planned: must be done by {each.item.deadline}"
        return "planned" if each.item.key in self.choice.chosen else "not planned"

    def _because(self, each: Estimated) -> str:
        """What would change an item's place."""
        if (root := self.plannable.held.get(each.item.key)) is not None:
            wish = self.plannable.items[root].override
            assert wish is not None
            return wish_text(wish) if root == each.item.key else f"it needs {root}, and {wish_text(wish, root)}"
        if each.override is not None:
            return wish_text(each.override)
        found = self.whys.get(each.item.key)
        if found is None:
            return not_explained(len(self.whys))
        return found.text(self.plannable.unit)

    def _item_rows(self, each: Estimated, unit: str) -> list[ResultRow]:
        key, place, found = each.item.key, self.places[each.item.key], self.whys.get(each.item.key)
        rows = [
            ResultRow(key, "place", self._place(each)),
            ResultRow(key, "rank", place.rank, ci_lower=place.best, ci_upper=place.worst, method="expected rank, 80 %"),
            ResultRow(key, "tier", place.tier),
            ResultRow(key, "among_first_share", place.among_first, unit="share"),
            ResultRow(key, "cost_of_delay_per_week", each.cost_of_delay, unit=unit),
            range_row(key, "value_per_week", each.value, unit=unit, method=RANGE_METHOD),
            range_row(key, "effort_days", each.effort, unit="days", method=RANGE_METHOD),
        ]
        rows += flip_rows(key, found, self.plannable.unit, reason=self._because(each))
        return rows + self._given_rows(each.item, self._because(each))

    def _given_rows(self, item: BacklogItem, because: str) -> list[ResultRow]:
        """What is known of an item whether it can be planned or not: why, what people said of it, the raw estimates."""
        standing = self.standings.get(item.key, NOTHING_SAID)
        wish = standing.override_at(self.as_of)
        facts = {
            "because": because,
            "movement": self.movements.by_item.get(item.key, ""),
            "state": "" if standing.state == "open" else standing.state,
            "override": "" if wish is None else f"{wish.place}: {wish_text(wish)}",
            "deadline": "" if item.deadline is None else item.deadline.isoformat(),
            "value_source": item.value_source,
            "effort_source": item.effort_source,
        }
        rows = [ResultRow(item.key, statistic, text) for statistic, text in facts.items() if text]
        if item.key in self.scores:
            rows += self.scores[item.key].to_rows(item.key)
        value, effort = item.value_per_week, item.effort_days
        if value is not None:
            unit = f"{value.unit} a week"
            rows.append(range_row(item.key, "raw_value_per_week", value, unit=unit, method=RANGE_METHOD))
        if effort is not None:
            rows.append(range_row(item.key, "raw_effort_days", effort, unit="days", method=RANGE_METHOD))
        return rows


def _with_raw(name: str, value: float, raw: float, unit: str = "") -> str:
    """A number as it counts, and as it was given where that is another."""
    shown, given = (f"{format_number(name, each)} {unit}".strip() for each in (value, raw))
    return shown if value == raw else f"{shown} ({given} as given)"
