"""What is a plan worth? Value delivered by the toolkit's plans, the textbook's, and by someone who knows the truth.

    python benchmarks/triage_value.py [PROGRAMMES]

First one choice out of 40 items, as in the study behind the issue, whose table the simulation must give again. Then
half-years of a team's work (`benchmarks/ways/simulated_programmes.py`), planned every fortnight by each policy: the
share of the oracle's value, and the difference from WSJF, with 95 % t intervals over the same programmes. The oracle of
the first part is the best set, exactly. That of the second knows all values, efforts and what is to come: the better of
two schedules, hindsight's by a linear programme and WSJF by the truth; what the linear programme says nobody can exceed
is printed beside it. "WSJF, biases known" is as much as there is to learn of sources' biases.

PROGRAMMES of each scenario are 200 unless given. Prints Markdown. Exits 1 when the first table is not the study's, when
the toolkit delivers less than 84 % of the oracle's value there, less than WSJF without constraints (by more than a
point), no more than WSJF with a debt floor and dependencies; when learning brings less than a third of what is left to
the oracle where sources are biased, or loses a hundredth where they are not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from ways import policies
from ways.hindsight import look_back
from ways.simulated_programmes import (
    EFFORT_NOISE,
    TAIL,
    VALUE_NOISE,
    Policy,
    Programme,
    Setting,
    draw_programme,
    run_programme,
)
from ways.tables import markdown

from toolkit.records import Quantity
from toolkit.stats.estimate import Estimate, from_standard_error
from toolkit.stats.spreads import Spread
from toolkit.triage.capacity_programme import Programme as Choices
from toolkit.triage.capacity_programme import Task
from toolkit.triage.mixed_integer import quietly
from toolkit.triage.programme_solver import solve
from toolkit.triage.shrinkage import shrink_quantity

SEED, PROGRAMMES = 20250301, 200
BACKLOGS_PER_PROGRAMME = 5
"""The first part is that much cheaper."""

ITEMS, VALUE_SIGMA, EFFORT_SIGMA, CAPACITY = 40, 0.75, 0.6, 0.25
"""Of the first part. The study does not say how its backlogs were drawn: these round numbers give its table."""

STUDY = {"random": 0.44, "rank by value": 0.74, "WSJF": 0.84, "knapsack": 0.84, "shrunken": 0.85}
LIKE_THE_STUDY = 0.02
SHARE, NO_LESS, LEARNED, LOST = 0.84, 0.01, 1 / 3, 0.01

FLOOR = Setting(constraints=True)
SCENARIOS = {
    "no constraints": Setting(),
    "no constraints, biased sources": Setting(biased=True),
    "debt floor and dependencies": FLOOR,
    "debt floor and dependencies, biased sources": FLOOR._replace(biased=True),
    "three teams, debt floor and dependencies, biased sources": FLOOR._replace(biased=True, teams=3),
}
FEWER_OF_SEVERAL_TEAMS = 8
"""A programme of three teams takes as long as ten of one: an eighth of them is drawn."""

WSJF, PLAN, LEARNING = "WSJF", "toolkit, no learning", "toolkit, with learning"
POLICIES: Mapping[str, Callable[[Programme, int], Policy]] = {
    "random": lambda _, number: policies.at_random(number),
    "first come": lambda *_: policies.first_come,
    "rank by value": lambda *_: policies.by_score(policies.value),
    "RICE": lambda *_: policies.by_score(policies.rice),
    WSJF: lambda *_: policies.by_score(policies.delay_cost),
    "WSJF, with what it enables": lambda *_: policies.with_enabled,
    "WSJF, biases known": lambda programme, _: policies.without_bias(programme),
    PLAN: lambda *_: policies.by_toolkit(learning=False),
    LEARNING: lambda *_: policies.by_toolkit(learning=True),
}


class Promise(NamedTuple):
    """Something that the plans must hold, what was measured, and whether it does."""

    text: str
    measured: str
    kept: bool


def mean_of(numbers: Any) -> Estimate:
    """Their mean with its t interval."""
    values = np.asarray(numbers, dtype=float)
    se = float(values.std(ddof=1)) / len(values) ** 0.5
    return from_standard_error(float(values.mean()), se, n=len(values), df=len(values) - 1, method="mean")


def in_percent(estimate: Estimate, *, sign: str = "") -> str:
    number = f"{100 * float(estimate.value or 0):{sign}.1f}"
    if estimate.ci_lower is None or estimate.ci_upper is None:
        return number
    return f"{number} ({100 * estimate.ci_lower:{sign}.1f} to {100 * estimate.ci_upper:{sign}.1f})"


class Backlog(NamedTuple):
    """One choice: true and stated values and efforts of its items, and the days there are."""

    values: Any
    efforts: Any
    stated_values: Any
    stated_efforts: Any
    days: float


def draw_backlog(number: int) -> Backlog:
    rng = np.random.default_rng((SEED, number))
    values, efforts = np.exp(np.array([[VALUE_SIGMA], [EFFORT_SIGMA]]) * rng.normal(size=(2, ITEMS)))
    noise = np.exp(np.array([[VALUE_NOISE], [EFFORT_NOISE]]) * rng.normal(size=(2, ITEMS)))
    return Backlog(values, efforts, values * noise[0], efforts * noise[1], CAPACITY * float(efforts.sum()))


def best_set(values: Any, efforts: Any, days: float) -> set[int]:
    """The items of the largest value that fit, exactly."""
    from scipy import optimize

    limits = optimize.LinearConstraint(np.asarray(efforts)[None, :], -np.inf, days)
    worth, bounds = -np.asarray(values), optimize.Bounds(0, 1)
    found = quietly(lambda: optimize.milp(worth, constraints=limits, bounds=bounds, integrality=1))
    return {int(item) for item in np.flatnonzero(found.x > 0.5)}


def chosen_by_toolkit(values: Any, efforts: Any, days: float) -> tuple[set[int], Any]:
    """The toolkit's choice from stated ranges, and its ratios, by which time that is left is filled."""
    means = []
    stated_with_noise: tuple[tuple[Quantity, Any, float], ...] = (
        ("value", values, VALUE_NOISE),
        ("effort", efforts, EFFORT_NOISE),
    )
    for quantity, stated, noise in stated_with_noise:
        reach = float(np.exp(TAIL * noise))
        spreads = [Spread(likely / reach, likely, likely * reach) for likely in map(float, stated)]
        means.append([spread.mean for spread in shrink_quantity(spreads, quantity)[0]])
    tasks = [Task(str(item), value, {"team": effort}) for item, (value, effort) in enumerate(zip(*means, strict=True))]
    found = solve(Choices(tuple(tasks), {"team": days}))
    return {int(key) for key in found.chosen}, np.asarray(means[0]) / np.asarray(means[1])


def delivered(backlog: Backlog, scores: Any, first: Any = ()) -> float:
    """The value of what is done in the order of scores, those in `first` before all others, until the days are over.

    An item takes its true effort, and is left out if that does not fit any more.
    """
    left, value = backlog.days, 0.0
    for item in sorted(range(ITEMS), key=lambda item: (item not in first, -scores[item])):
        if backlog.efforts[item] <= left:
            left -= backlog.efforts[item]
            value += backlog.values[item]
    return value


def choose_once(number: int) -> dict[str, float]:
    """Each way's share of what the best set is worth, in one backlog."""
    backlog = draw_backlog(number)
    values, efforts, stated_values, stated_efforts, days = backlog
    kept = [
        sigma**2 / (sigma**2 + noise**2) for sigma, noise in ((VALUE_SIGMA, VALUE_NOISE), (EFFORT_SIGMA, EFFORT_NOISE))
    ]
    shrunken = stated_values ** kept[0], stated_efforts ** kept[1]
    ratio = stated_values / stated_efforts
    chosen, expected = chosen_by_toolkit(stated_values, stated_efforts, days)
    found = {
        "random": delivered(backlog, np.random.default_rng(number).random(ITEMS)),
        "rank by value": delivered(backlog, stated_values),
        "WSJF": delivered(backlog, ratio),
        "knapsack": delivered(backlog, ratio, best_set(stated_values, stated_efforts, days)),
        "shrunken": delivered(backlog, shrunken[0] / shrunken[1]),
        PLAN: delivered(backlog, expected, chosen),
    }
    best = sum(values[item] for item in best_set(values, efforts, days))
    return {way: value / best for way, value in found.items()}


def print_choices(backlogs: int) -> list[Promise]:
    """The first part."""
    found = [choose_once(number) for number in range(backlogs)]
    shares = {way: mean_of([each[way] for each in found]) for way in found[0]}
    print(f"# One choice out of {ITEMS} items, log-noise {VALUE_NOISE} of values: {backlogs:,} backlogs\n")
    print(
        markdown(
            [
                {
                    "ranked by": way,
                    "share of the best set's value, %": in_percent(share),
                    "the study's, %": f"{100 * STUDY[way]:.0f}" if way in STUDY else "",
                }
                for way, share in shares.items()
            ]
        )
    )
    furthest = max(STUDY, key=lambda way: abs(float(shares[way].value or 0) - STUDY[way]))
    gap = float(shares[furthest].value or 0) - STUDY[furthest]
    plan = shares[PLAN]
    return [
        Promise("the study's table within 2 points", f"{furthest} {100 * gap:+.1f}", abs(gap) <= LIKE_THE_STUDY),
        Promise("84 % of the oracle's value at log-noise 0.8", in_percent(plan), float(plan.value or 0) >= SHARE),
    ]


def plan_programme(setting: Setting, number: int) -> dict[str, float]:
    """Each policy's share of the oracle's value in one programme. Raises `RuntimeError` if one exceeds the bound."""
    programme = draw_programme(setting, SEED, number)
    hindsight = look_back(programme)
    found = {name: run_programme(programme, make(programme, number)).value for name, make in POLICIES.items()}
    perfect = (policies.listed(hindsight), policies.by_truth(programme))
    oracle = max(run_programme(programme, policy).value for policy in perfect)
    if (most := max(oracle, *found.values())) > hindsight.bound * (1 + 1e-9):
        raise RuntimeError(f"programme {number} of {setting}: {most} delivered, more than the bound {hindsight.bound}")
    return {name: value / oracle for name, value in (found | {"oracle": oracle, "bound": hindsight.bound}).items()}


def print_programmes(scenario: str, number_of: int) -> dict[str, Any]:
    """One scenario of the second part: by policy its share in each programme."""
    found = [plan_programme(SCENARIOS[scenario], number) for number in range(number_of)]
    shares = {name: np.array([each[name] for each in found]) for name in found[0]}
    print(f"\n# Half a year, {scenario}: {number_of} programmes\n")
    rows = []
    for name, share in shares.items():
        apart = "" if name in {WSJF, "oracle", "bound"} else in_percent(mean_of(share - shares[WSJF]), sign="+")
        rows.append(
            {
                "policy": name,
                "share of the oracle's value, %": in_percent(mean_of(share)),
                "against WSJF, points": apart,
            }
        )
    print(markdown(rows), flush=True)
    return shares


def promises_of(scenario: str, shares: Mapping[str, Any]) -> list[Promise]:
    """What the plans must hold in a scenario."""
    setting = SCENARIOS[scenario]
    gain = mean_of(shares[PLAN] - shares[WSJF])
    lower = float(gain.value or 0) if gain.ci_lower is None else gain.ci_lower
    least, wanted = (0.0, "more than WSJF") if setting.constraints else (-NO_LESS, "no less than WSJF, within a point")
    learned = shares[LEARNING] - shares[PLAN]
    found = [Promise(f"{scenario}: {wanted}", in_percent(gain, sign="+") + " points", lower > least)]
    if setting.biased:
        # A ratio of means: of single programmes the distance to the oracle may be next to nothing.
        brought = float(learned.mean() / (1 - shares[PLAN]).mean())
        text = f"{scenario}: learning brings a third of what is left to the oracle"
        return [*found, Promise(text, f"{100 * brought:.0f} %", brought >= LEARNED)]
    lost = mean_of(-learned / shares[PLAN])
    text = f"{scenario}: learning loses under 1 %"
    return [*found, Promise(text, in_percent(lost) + " %", float(lost.value or 0) < LOST)]


def main() -> int:
    """Print all tables, and what is kept; 1 if a promise is missed."""
    number_of = int(sys.argv[1]) if len(sys.argv) > 1 else PROGRAMMES
    promises = print_choices(BACKLOGS_PER_PROGRAMME * number_of)
    for scenario, setting in SCENARIOS.items():
        several = setting.teams > 1
        count = max(2, number_of // FEWER_OF_SEVERAL_TEAMS) if several else number_of
        promises += promises_of(scenario, print_programmes(scenario, count))
    print("\n# Promises\n")
    print(
        markdown(
            [
                {"promise": each.text, "measured": each.measured, "kept": "yes" if each.kept else "**no**"}
                for each in promises
            ]
        )
    )
    return 0 if all(each.kept for each in promises) else 1


if __name__ == "__main__":
    sys.exit(main())
