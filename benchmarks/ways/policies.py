"""How the work of a simulated programme is planned: by the textbook, by hindsight, and by the toolkit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ways.simulated_programmes import SOURCES, Closed, Entry, Policy, Programme, View

from toolkit.stats.spreads import Spread
from toolkit.triage.capacity_programme import Floor, Task
from toolkit.triage.capacity_programme import Programme as Choices
from toolkit.triage.corrections import ClosedEstimate, correct, learn_corrections
from toolkit.triage.programme_solver import lower_floors, solve
from toolkit.triage.shrinkage import shrink_quantity

if TYPE_CHECKING:
    from ways.hindsight import Hindsight

CONFIDENCE = {"detector": 1.0, "person A": 0.8, "person B": 0.8}
"""RICE's confidence, as its authors grade it: 100 % where there are data, 80 % for what a person estimates."""

EXPERIMENT_CONFIDENCE = 0.5
"""And 50 % for a long shot."""

GAP = 0.001
"""How far a plan's expected value may lie below the best, as a share."""


def by_score(score: Callable[[Entry], float]) -> Policy:
    """The highest first; what came first of those with the same."""
    return lambda view: [entry.key for entry in sorted(view.entries, key=lambda entry: -score(entry))]


def first_come(view: View) -> list[int]:
    return [entry.key for entry in view.entries]


def at_random(seed: int) -> Policy:
    rng = np.random.default_rng(seed)
    return lambda view: [int(key) for key in rng.permutation([entry.key for entry in view.entries])]


def value(entry: Entry) -> float:
    return entry.value.likely


def delay_cost(entry: Entry) -> float:
    """Cost of delay divided by duration, which is WSJF with its parts in money and days: from the likely values."""
    return entry.value.likely / entry.effort.likely


def rice(entry: Entry) -> float:
    """Reach and impact are together the value."""
    confidence = EXPERIMENT_CONFIDENCE if entry.kind == "experiment" else CONFIDENCE[entry.source]
    return entry.value.likely * confidence / entry.effort.likely


def with_enabled(view: View) -> list[int]:
    """WSJF, where an item counts at least as much as together with one that waits for it alone."""
    scores = {entry.key: delay_cost(entry) for entry in view.entries}
    by_key = {entry.key: entry for entry in view.entries}
    for entry in view.entries:
        for key in entry.requires:
            if needed := by_key.get(key):
                both = (entry.value.likely + needed.value.likely) / (entry.effort.likely + needed.effort.likely)
                scores[key] = max(scores[key], both)
    return sorted(scores, key=lambda key: -scores[key])


def without_bias(programme: Programme) -> Policy:
    """WSJF by someone who knows what each source multiplies its estimates with: as much as there is to learn of it."""

    def score(entry: Entry) -> float:
        source = SOURCES[entry.source]
        known = source.effort_bias / source.value_bias if programme.setting.biased else 1.0
        return delay_cost(entry) * known

    return by_score(score)


def by_truth(programme: Programme) -> Policy:
    """WSJF by true values and efforts."""
    return by_score(lambda entry: programme.items[entry.key].value / programme.items[entry.key].effort)


def listed(hindsight: Hindsight) -> Policy:
    """In the order that hindsight has found."""

    def plan(view: View) -> list[int]:
        shown = {entry.key for entry in view.entries}
        return [key for key in hindsight.order if key in shown]

    return plan


class Expected(NamedTuple):
    """What the toolkit expects of an item: its value per week and its days."""

    value: float
    days: float


def by_toolkit(*, learning: bool) -> Policy:
    """The toolkit's plan: ranges corrected by what was closed and shrunken, the best set until the end, in order."""

    def plan(view: View) -> list[int]:
        expected = expect(view.entries, view.closed if learning else ())
        chosen = choose(view, expected)
        return by_enabled_delay_cost(view.entries, expected, chosen)

    return plan


def expect(entries: Sequence[Entry], closed: Sequence[Closed]) -> dict[int, Expected]:
    """Means of the items' ranges, as their sources' history and the whole backlog suggest."""
    corrections = learn_corrections(
        ClosedEstimate(str(each.entry.key), each.entry.source, quantity, Spread(*stated), realised)
        for each in closed
        for quantity, stated, realised in (
            ("value", each.entry.value, each.realised_value),
            ("effort", each.entry.effort, each.realised_effort),
        )
    ).corrections
    values = [correct(Spread(*entry.value), entry.source, "value", corrections) for entry in entries]
    efforts = [correct(Spread(*entry.effort), entry.source, "effort", corrections) for entry in entries]
    pairs = zip(shrink_quantity(values, "value")[0], shrink_quantity(efforts, "effort")[0], strict=True)
    return {entry.key: Expected(worth.mean, days.mean) for entry, (worth, days) in zip(entries, pairs, strict=True)}


def choose(view: View, expected: Mapping[int, Expected]) -> set[int]:
    """The best set until the end of the programme."""
    tasks = tuple(
        Task(
            str(entry.key),
            expected[entry.key].value,
            {str(entry.team): expected[entry.key].days},
            entry.kind,
            tuple(str(key) for key in entry.requires if key not in view.done),
        )
        for entry in view.entries
    )
    capacity = {str(team): days * view.weeks_left for team, days in enumerate(view.capacity_days)}
    floors = (Floor(("debt",), view.debt_floor),) if view.debt_floor else ()
    return {int(key) for key in solve(lower_floors(Choices(tasks, capacity, floors=floors)), gap=GAP).chosen}


def by_enabled_delay_cost(
    entries: Sequence[Entry], expected: Mapping[int, Expected], chosen: Collection[int]
) -> list[int]:
    """The chosen first. An item comes as early as the best item with all that it still requires deserves."""
    by_key = {entry.key: entry for entry in entries}
    scores = {key: worth.value / worth.days for key, worth in expected.items()}
    for entry in entries:
        needed, waiting = {entry.key}, [entry.key]
        while waiting:
            more = {key for key in by_key[waiting.pop()].requires if key in by_key} - needed
            needed |= more
            waiting += more
        together = sum(expected[key].value for key in needed) / sum(expected[key].days for key in needed)
        for key in needed:
            scores[key] = max(scores[key], together)
    return sorted(by_key, key=lambda key: (key not in chosen, -scores[key]))
