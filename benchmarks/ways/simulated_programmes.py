"""Simulated programmes: half a year of a team's work, where the truth is known and only estimates are seen.

A programme has a backlog that begins with about 40 items and gets new ones every week, far more than the team can do.
Each item has a value per week once it is done, and an effort in days; a plan sees estimates of both, with their 80 %
range, and what closed items turned out to be. Plans are made every fortnight: an order in which to start. What is
started is finished; where the estimates were too high, the team goes on with the next in the order. Delivered is the
value per week times the weeks in use before the horizon; what comes after its deadline is worth nothing.

Debt has no value of its own: until it is paid it takes days from its team every week, and what is stated as its value
is these days at their price. With constraints, a share of each team's time is for debt alone as long as there is any,
and some items cannot start before another is done.

What is drawn does not depend on the setting's biases and constraints, nor on what is planned: scenarios and policies
share their programmes. Written before any method was tuned on it, and not changed since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

WEEKS, PERIOD_WEEKS = 26, 2
VALUE_NOISE, EFFORT_NOISE = 0.8, 0.4
"""Standard deviations of the logarithms of estimate / truth: of values and of efforts."""

OBSERVATION_NOISE = 0.2
"""Of the logarithm of a closed item's value as it is measured; its effort is known exactly."""

EFFORT_SIGMA = 0.6
TAIL = 1.2815515655446004
"""Standard normal quantile of 90 %: a stated range is from 10 % to 90 %."""

INTEREST = (0.03, 0.75)
"""Days a week that a debt takes per day of its effort: median, and standard deviation of the logarithm. 5 hours a month
on 40 hours are 0.029."""

MOST_INTEREST = 0.5
"""Of a team's capacity: if all debt of a programme takes more, each takes less in proportion."""

DEPENDENT, DEADLINES = 0.4, 0.4
"""Shares: of the items without debt that require another one, of the operations that have a deadline."""

DEADLINE_WEEKS = (4.0, 16.0)
REACH = 40
"""What an item may require lies so many items back at most."""


class Kind(NamedTuple):
    """A kind of work: its share, the median and log standard deviation of its value per week, its median effort."""

    share: float
    value: float
    value_sigma: float
    effort_days: float


KINDS = {
    "model": Kind(0.45, 10.0, 0.75, 5.0),
    "experiment": Kind(0.20, 8.0, 1.10, 3.0),
    "operation": Kind(0.20, 8.0, 0.75, 3.0),
    "debt": Kind(0.15, 0.0, 0.0, 5.0),
}
DAY_PRICE = KINDS["model"].value / KINDS["model"].effort_days * WEEKS / 2
"""What a day is worth: the value that the median piece of model work returns for it, done at half-time."""


class Source(NamedTuple):
    """Who estimates: the share of items, and what a biased one multiplies value and effort with."""

    share: float
    value_bias: float
    effort_bias: float


SOURCES = {
    "person A": Source(0.3, 0.5, 1.5),
    "person B": Source(0.3, 1.0, 1.0),
    "detector": Source(0.4, 2.5, 0.6),
}
"""Chosen so that knowing these biases is worth about two fifths of what point estimates leave to the oracle."""


class Setting(NamedTuple):
    """What a scenario varies. Numbers of items and days are per team."""

    constraints: bool = False
    biased: bool = False
    teams: int = 1
    weeks: int = WEEKS
    capacity_days: float = 8.0
    first_items: int = 40
    new_per_week: float = 2.0
    past_items: int = 40
    debt_floor: float = 0.2


class Stated(NamedTuple):
    """An estimate: its median, and the ends of its 80 % range."""

    low: float
    likely: float
    high: float


class Entry(NamedTuple):
    """An item as a plan sees it. Values are per week, efforts in days, weeks are counted from the programme's start."""

    key: int
    kind: str
    source: str
    team: int
    since_week: int
    value: Stated
    effort: Stated
    requires: tuple[int, ...]
    deadline_week: float | None
    started: bool = False


class Closed(NamedTuple):
    """What a done item turned out to be, a fortnight later."""

    entry: Entry
    realised_value: float
    realised_effort: float


class View(NamedTuple):
    """All that a plan may know.

    done: keys, also of what is not yet in `closed`. closed: also what was before the programme. capacity_days: a week,
    by team, after the interest on open debt. debt_floor: the share of it that is for debt.
    """

    week: int
    weeks_left: int
    entries: tuple[Entry, ...]
    done: frozenset[int]
    closed: tuple[Closed, ...]
    capacity_days: tuple[float, ...]
    debt_floor: float


Policy = Callable[[View], Sequence[int]]
"""Makes a plan: keys of entries in the order in which to start them. What it leaves out is not started."""


@dataclass(frozen=True)
class Item:
    """The truth behind an entry. interest_days: a week, of debt."""

    entry: Entry
    value: float
    effort: float
    interest_days: float
    realised_value: float

    @property
    def closed(self) -> Closed:
        """What the item is known as once it is closed."""
        return Closed(self.entry, self.realised_value, self.effort)


@dataclass(frozen=True)
class Programme:
    """Half a year: its items by key, which is the order in which they came, and what was closed before it."""

    setting: Setting
    items: Mapping[int, Item]
    past: tuple[Closed, ...]


class Outcome(NamedTuple):
    """What a policy did: the week in which each item was done, and the value delivered."""

    done: dict[int, float]
    value: float


def draw_programme(setting: Setting, seed: int, number: int) -> Programme:
    """The programme of this seed and number."""
    rng = np.random.default_rng((seed, number))
    arrivals = rng.poisson(setting.new_per_week * setting.teams, setting.weeks)
    weeks = [0] * (setting.first_items * setting.teams)
    # What comes between two plans is first seen by the second of them.
    weeks += [
        PERIOD_WEEKS * math.ceil((week + 1) / PERIOD_WEEKS) for week, new in enumerate(arrivals) for _ in range(new)
    ]
    drawn = [_draw(rng, setting, key, since) for key, since in enumerate(weeks) if since < setting.weeks]
    items = {item.entry.key: item for item in _require(rng, setting, _bounded(setting, drawn))}
    past = [_draw(rng, setting, -1 - key, 0) for key in range(2 * setting.past_items * setting.teams)]
    # What was closed had been chosen, by its estimates.
    past.sort(key=lambda item: -item.entry.value.likely / item.entry.effort.likely)
    return Programme(setting, items, tuple(item.closed for item in past[: len(past) // 2]))


def _draw(rng: np.random.Generator, setting: Setting, key: int, since: int) -> Item:
    which, who, late, when, where = rng.random(5)
    z_value, z_effort, z_stated_value, z_stated_effort, z_realised = rng.normal(size=5)
    kind_key, source_key = _pick(which, KINDS), _pick(who, SOURCES)
    kind, source = KINDS[kind_key], SOURCES[source_key]
    effort = kind.effort_days * math.exp(EFFORT_SIGMA * z_effort)
    interest = 0.0
    if kind_key == "debt":
        interest = effort * INTEREST[0] * math.exp(INTEREST[1] * z_value)
        value = interest * DAY_PRICE
    else:
        value = kind.value * math.exp(kind.value_sigma * z_value)
    value_bias, effort_bias = (source.value_bias, source.effort_bias) if setting.biased else (1.0, 1.0)
    closes = since + DEADLINE_WEEKS[0] + when * (DEADLINE_WEEKS[1] - DEADLINE_WEEKS[0])
    entry = Entry(
        key,
        kind_key,
        source_key,
        int(where * setting.teams),
        since,
        _state(value * value_bias * math.exp(VALUE_NOISE * z_stated_value), VALUE_NOISE),
        _state(effort * effort_bias * math.exp(EFFORT_NOISE * z_stated_effort), EFFORT_NOISE),
        (),
        closes if kind_key == "operation" and late < DEADLINES else None,
    )
    return Item(entry, value, effort, interest, value * math.exp(OBSERVATION_NOISE * z_realised))


def _pick(chance: float, shares: Mapping[str, Kind] | Mapping[str, Source]) -> str:
    ends = np.cumsum([each.share for each in shares.values()])
    return list(shares)[min(int(np.searchsorted(ends, chance, side="right")), len(shares) - 1)]


def _state(likely: float, noise: float) -> Stated:
    """A source states the noise that its estimates have; of its bias it does not know."""
    return Stated(likely * math.exp(-TAIL * noise), likely, likely * math.exp(TAIL * noise))


def _bounded(setting: Setting, items: list[Item]) -> list[Item]:
    """Debt that takes at most half of its team's capacity, all of it together; its value with it."""
    factors = []
    for team in range(setting.teams):
        total = sum(item.interest_days for item in items if item.entry.team == team)
        factors.append(min(1.0, MOST_INTEREST * setting.capacity_days / total) if total else 1.0)
    bounded = []
    for item in items:
        share = factors[item.entry.team] if item.interest_days else 1.0
        value = Stated(*(end * share for end in item.entry.value))
        entry, interest = item.entry._replace(value=value), item.interest_days * share
        bounded.append(Item(entry, item.value * share, item.effort, interest, item.realised_value * share))
    return bounded


def _require(rng: np.random.Generator, setting: Setting, items: list[Item]) -> Iterator[Item]:
    """Some items require one before them, of any kind and team, that cannot expire."""
    for place, item in enumerate(items):
        chance, which = rng.random(2)
        able = [other.entry.key for other in items[max(0, place - REACH) : place] if other.entry.deadline_week is None]
        if setting.constraints and able and item.entry.kind != "debt" and chance < DEPENDENT:
            entry = item.entry._replace(requires=(able[int(which * len(able))],))
            yield Item(entry, item.value, item.effort, item.interest_days, item.realised_value)
        else:
            yield item


def run_programme(programme: Programme, policy: Policy) -> Outcome:
    """What a policy delivers. Raises `ValueError` when it plans what it was not shown."""
    work = _Work(programme)
    for week in range(0, programme.setting.weeks, PERIOD_WEEKS):
        work.drop_expired(week)
        shown = work.view(week)
        order = list(dict.fromkeys(policy(shown)))
        if strange := set(order) - {entry.key for entry in shown.entries}:
            raise ValueError(f"the plan of week {week} has {sorted(strange)}, which the view does not")
        work.go_on(week, week + PERIOD_WEEKS, order)
    return Outcome(work.done, sum(_worth(programme, key, week) for key, week in work.done.items()))


def _worth(programme: Programme, key: int, week: float) -> float:
    """What an item delivers that is done in this week."""
    item = programme.items[key]
    late = item.entry.deadline_week is not None and week > item.entry.deadline_week
    return 0.0 if late or item.entry.kind == "debt" else item.value * max(0.0, programme.setting.weeks - week)


class _Work:
    """The state of the work: at most two lanes a team, one of them for debt alone, each with one item at a time."""

    def __init__(self, programme: Programme) -> None:
        self.items, self.setting, self.past = programme.items, programme.setting, programme.past
        self.left = {key: item.effort for key, item in programme.items.items()}
        self.done: dict[int, float] = {}
        self.lost: set[int] = set()
        self.lanes: dict[tuple[int, bool], int | None] = {}
        for team in range(self.setting.teams):
            if self.setting.constraints:
                self.lanes[team, True] = None
            self.lanes[team, False] = None

    def open(self, week: float) -> list[Item]:
        gone = self.done.keys() | self.lost
        return [item for key, item in self.items.items() if item.entry.since_week <= week and key not in gone]

    def rates(self, week: float) -> list[float]:
        """Days a week that each team has after the interest on its open debt."""
        rates = [self.setting.capacity_days] * self.setting.teams
        for item in self.open(week):
            rates[item.entry.team] -= item.interest_days
        return rates

    def view(self, week: int) -> View:
        busy = set(self.lanes.values())
        entries = tuple(item.entry._replace(started=item.entry.key in busy) for item in self.open(week))
        seen = tuple(self.items[key].closed for key, when in self.done.items() if when <= week - PERIOD_WEEKS)
        floor = self.setting.debt_floor if self.setting.constraints else 0.0
        return View(
            week,
            self.setting.weeks - week,
            entries,
            frozenset(self.done),
            self.past + seen,
            tuple(self.rates(week)),
            floor,
        )

    def drop_expired(self, week: float) -> None:
        """What has passed its deadline leaves the backlog, also from under someone's hands."""
        for item in self.open(week):
            if item.entry.deadline_week is not None and item.entry.deadline_week <= week:
                self.lost.add(item.entry.key)
        self.lanes = {lane: None if key in self.lost else key for lane, key in self.lanes.items()}

    def go_on(self, now: float, end: float, order: Sequence[int]) -> None:
        """Work until the next plan: from one item that gets done to the next."""
        while now < end - 1e-9:
            self._start(now, order)
            rates = self._lane_rates(now)
            if not rates:
                return
            step = min(end - now, *(self.left[key] / rate for key, rate in rates.items()))
            now += step
            for key, rate in rates.items():
                self.left[key] -= step * rate
                if self.left[key] <= 1e-9:
                    self.done[key] = now
                    self.lanes = {lane: None if held == key else held for lane, held in self.lanes.items()}

    def _start(self, now: float, order: Iterable[int]) -> None:
        planned = dict.fromkeys(order)
        waiting = [self.items[key].entry for key in planned if key not in self.done]
        # The share that is for debt cannot be had by planning none: then it is paid as it came.
        debt = [item.entry for item in self.open(now) if item.entry.kind == "debt" and item.entry.key not in planned]
        for (team, debt_only), held in self.lanes.items():
            if held is not None:
                continue
            busy = set(self.lanes.values())
            for entry in waiting + debt if debt_only else waiting:
                fits = entry.team == team and (entry.kind == "debt" or not debt_only) and entry.key not in busy
                in_time = entry.deadline_week is None or entry.deadline_week > now
                if fits and in_time and all(key in self.done for key in entry.requires):
                    self.lanes[team, debt_only] = entry.key
                    break

    def _lane_rates(self, now: float) -> dict[int, float]:
        """Days a week that go into each item in work: a lane that has nothing leaves its share to the other."""
        found = {}
        for team, rate in enumerate(self.rates(now)):
            debt, main = self.lanes.get((team, True)), self.lanes[team, False]
            floor = self.setting.debt_floor
            if debt is not None:
                found[debt] = rate * (1.0 if main is None else floor)
            if main is not None:
                found[main] = rate * (1.0 if debt is None else 1.0 - floor)
        return found
