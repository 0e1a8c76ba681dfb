"""Is a capacity plan proven before anybody waits, and what does explaining it cost? Backlogs of a quarter, at random.

Values and efforts are lognormal (value per week 20 to 1,000 within 80 %, effort 2 to 12 days), every third task
requires one or two that stand before it, one in five tasks takes two teams, one in fifty excludes another, a fifth are
debt and a tenth experiments; capacity is for about a third of the work, with floors of 20 % for debt and 10 % for
experiments. Each size is drawn several times, and solved with nothing but the programme given.

Prints Markdown. Exits 1 when a promise is missed: 500 tasks of one team with floors and requirements proven optimal, at
the median in at most 1 s; 2,000 tasks of 20 teams within 1 % of the bound, each in less than 10 s; nothing written by
the solver. How long a proof takes grows with the teams that share tasks, and is shown.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
from ways.tables import markdown

from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.programme_reasons import constraint_prices, why
from toolkit.triage.programme_solver import Choice, lower_floors, solve, solve_sampled

DRAWS = 9
MOST_PROVEN_S, MOST_WITHIN_S, WITHIN = 1.0, 10.0, 0.01
FLOORS = (Floor(("debt",), 0.2), Floor(("experiment",), 0.1))


class Size(NamedTuple):
    """A size of backlog, and how close to the best is close enough."""

    tasks: int
    teams: int
    gap: float


SIZES = (
    Size(50, 3, 0),
    Size(500, 1, 0),
    Size(500, 2, 0),
    Size(500, 5, 0),
    Size(500, 20, 0.001),
    Size(2000, 20, WITHIN),
)
PROVEN, WITHIN_GAP = SIZES[1], SIZES[-1]


def draw(size: Size, seed: int) -> Programme:
    """A backlog at random."""
    rng = np.random.default_rng(seed)
    teams = [f"team-{index:02}" for index in range(size.teams)]
    tasks: list[Task] = []
    for index in range(size.tasks):
        days = round(float(rng.lognormal(np.log(5), 0.7)), 1) + 0.1
        mine = [
            str(name) for name in rng.choice(teams, 2 if size.teams > 1 and rng.random() < 0.2 else 1, replace=False)
        ]
        before = (
            rng.integers(max(index - 40, 0), index, int(rng.integers(1, 3))) if index and rng.random() < 0.33 else []
        )
        tasks.append(
            Task(
                f"item-{index:04}",
                round(float(rng.lognormal(np.log(140), 1.5)), 2),
                dict.fromkeys(mine, round(days / len(mine), 2)),
                kind=str(rng.choice(["debt", "experiment", "model"], p=[0.2, 0.1, 0.7])),
                requires=tuple(sorted({f"item-{other:04}" for other in before})),
            )
        )
    asked = {team: sum(task.effort_days.get(team, 0.0) for task in tasks) for team in teams}
    capacity = {team: round(days / 3, 1) for team, days in asked.items()}
    plain = Programme(tuple(tasks), capacity, floors=FLOORS)
    # A small backlog may hold too few experiments for its floor.
    return lower_floors(Programme(tuple(tasks), capacity, _exclusive(plain, rng), FLOORS))


def _exclusive(programme: Programme, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Pairs of tasks of which neither is needed by what needs the other: tasks that nothing requires."""
    needed = {other for task in programme.tasks for other in task.requires}
    ends = [task.key for task in programme.tasks if task.key not in needed and not task.requires]
    pairs = rng.permutation(ends)[: 2 * (len(programme.tasks) // 100)].reshape(-1, 2)
    return tuple(tuple(sorted(map(str, pair))) for pair in pairs)


def measure(size: Size) -> tuple[list[float], list[float], list[Choice]]:
    """Seconds, processor seconds and plan of each draw."""
    seconds, processor, choices = [], [], []
    for seed in range(DRAWS):
        programme = draw(size, seed)
        start, started = time.perf_counter(), time.process_time()
        choices.append(solve(programme, gap=size.gap, time_limit_s=60))
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - started)
    return seconds, processor, choices


def explain() -> list[dict[str, Any]]:
    """What explaining costs, of the first draws."""
    rows = []
    for size, asked in ((SIZES[0], 50), (PROVEN, 10)):
        programme = draw(size, 0)
        choice = solve(programme)
        start = time.perf_counter()
        told = why(programme, choice, sorted(task.key for task in programme.tasks)[:asked])
        per_task = (time.perf_counter() - start) / len(told)
        start = time.perf_counter()
        prices = constraint_prices(programme, choice, ["capacity", "floor"])
        per_price = (time.perf_counter() - start) / len(prices)
        proven = sum(each.optimal for each in (*told, *prices))
        rows.append(
            {
                "tasks": size.tasks,
                "teams": size.teams,
                "s per task": f"{per_task:.3f}",
                "s per price": f"{per_price:.3f}",
                "proven": f"{proven} of {len(told) + len(prices)}",
            }
        )
    return rows


def sample() -> list[dict[str, Any]]:
    """What the best lower quintile costs, by tasks and scenarios, with ten seconds at most."""
    rows = []
    for tasks, scenarios in ((20, 20), (50, 20), (50, 50), (50, 200)):
        programme = draw(Size(tasks, 3, 0), 0)
        rng = np.random.default_rng(1)
        values = np.array([task.value for task in programme.tasks])[:, None] * rng.lognormal(0, 0.8, (tasks, scenarios))
        start = time.perf_counter()
        choice = solve_sampled(programme, values, 0.2, time_limit_s=10)
        seconds = time.perf_counter() - start
        rows.append({"tasks": tasks, "scenarios": scenarios, "s": f"{seconds:.2f}", "gap": in_percent(choice.gap)})
    return rows


def in_percent(gap: float) -> str:
    return f"{100 * round(gap, 9):.3g} %"


def main() -> int:
    """Print what was measured; whether a promise was missed."""
    missed = 0
    with tempfile.TemporaryFile() as written:
        # What comes out of file descriptor 1 while plans are made is the solver's own.
        sys.stdout.flush()
        led_to = os.dup(1)
        os.dup2(written.fileno(), 1)
        measured = [(size, *measure(size)) for size in SIZES]
        told, sampled = explain(), sample()
        os.dup2(led_to, 1)
        own_bytes = os.fstat(written.fileno()).st_size
    print(f"{DRAWS} draws of each size.\n")
    rows = []
    for size, seconds, processor, choices in measured:
        proven, gap = sum(choice.optimal for choice in choices), max(choice.gap for choice in choices)
        median, longest = statistics.median(seconds), max(seconds)
        rows.append(
            {
                "tasks": f"{size.tasks:,}",
                "teams": size.teams,
                "asked": f"within {100 * size.gap:g} %" if size.gap else "optimal",
                "proven optimal": proven,
                "largest gap": in_percent(gap),
                "median s": f"{median:.2f}",
                "longest s": f"{longest:.2f}",
                "median CPU s": f"{statistics.median(processor):.2f}",
            }
        )
        if size == PROVEN:
            missed |= proven < DRAWS or median > MOST_PROVEN_S
        if size == WITHIN_GAP:
            missed |= gap > WITHIN or longest >= MOST_WITHIN_S
    print(markdown(rows))
    print("\nExplaining a proven plan, each by a further solution:\n")
    print(markdown(told))
    print("\nThe plan with the best lower quintile over sampled values, stopped after 10 s:\n")
    print(markdown(sampled))
    print(f"\nThe solver itself wrote {own_bytes} bytes.")
    return int(bool(missed or own_bytes))


if __name__ == "__main__":
    sys.exit(main())
