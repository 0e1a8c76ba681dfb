"""Small programmes at random, and every plan of them: what the solver is held against."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.triage.capacity_programme import Floor, Programme, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("debt", "experiment", "model")
BEYOND = 1e-6
"""Sums of hundredths that differ by less are equal."""


def one_resource(*tasks: Task, days: float = 10, **more: Any) -> Programme:
    """These tasks in the capacity of one team."""
    return Programme(tasks, {"core": days}, **more)


def task(key: str, value: float = 1, days: float = 1, **more: Any) -> Task:
    """A task of that team."""
    return Task(key, value, {"core": days}, **more)


def hard_programme(tasks: int = 60) -> Programme:
    """Values that equal efforts up to a little: nothing can be ruled out early."""
    rng = np.random.default_rng(3)
    days = rng.integers(1000, 3000, (tasks, 4)) / 100
    made = tuple(
        Task(
            f"t{index:03}",
            float(row.sum() + rng.integers(0, 9) / 10),
            dict(zip("abcd", row.tolist(), strict=True)),
        )
        for index, row in enumerate(days)
    )
    return Programme(made, dict(zip("abcd", (days.sum(axis=0) / 3).tolist(), strict=True)))


def all_plans(programme: Programme) -> NDArray[np.float64]:
    """Every plan that holds all constraints, a row each, a column per task in the programme's order."""
    tasks = programme.tasks
    plans = ((np.arange(2 ** len(tasks))[:, None] >> np.arange(len(tasks))) & 1).astype(float)
    ok = np.ones(len(plans), dtype=bool)
    at = {task.key: index for index, task in enumerate(tasks)}
    for resource, capacity in programme.capacity_days.items():
        ok &= plans @ np.array([task.effort_days.get(resource, 0.0) for task in tasks]) <= capacity + BEYOND
    for task in tasks:
        if task.must:
            ok &= plans[:, at[task.key]] == 1
        for other in task.requires:
            ok &= plans[:, at[task.key]] <= plans[:, at[other]]
    for group in programme.exclusive:
        ok &= plans[:, [at[key] for key in group]].sum(axis=1) <= 1
    for floor in programme.floors:
        days = np.array([sum(task.effort_days.values()) * (task.kind in floor.kinds) for task in tasks])
        ok &= plans @ days >= floor.share * sum(programme.capacity_days.values()) - BEYOND
    return plans[ok]


def best_value(programme: Programme, *, inside: Collection[str] = (), outside: Collection[str] = ()) -> float | None:
    """The largest value of a plan with some tasks and without others; None when there is no such plan."""
    plans = all_plans(programme)
    for index, task in enumerate(programme.tasks):
        if task.key in inside:
            plans = plans[plans[:, index] == 1]
        if task.key in outside:
            plans = plans[plans[:, index] == 0]
    values = plans @ np.array([task.value for task in programme.tasks])
    return float(values.max()) if len(values) else None


def holds(programme: Programme, chosen: Sequence[str]) -> bool:
    """Whether these tasks are one of its plans; also of more tasks than can be tried."""
    done = set(chosen)
    tasks = {task.key: task for task in programme.tasks}
    for resource, capacity in programme.capacity_days.items():
        if sum(tasks[key].effort_days.get(resource, 0.0) for key in done) > capacity + BEYOND:
            return False
    for floor in programme.floors:
        days = sum(tasks[key].days for key in done if tasks[key].kind in floor.kinds)
        if days < floor.share * sum(programme.capacity_days.values()) - BEYOND:
            return False
    kept = all(set(tasks[key].requires) <= done for key in done)
    musts = all(task.key in done for task in programme.tasks if task.must)
    return kept and musts and all(len(done & set(group)) <= 1 for group in programme.exclusive)


def random_programme(seed: int) -> Programme:
    """Two to ten tasks, one to three resources, and some of every constraint."""
    rng = np.random.default_rng(seed)
    size, resources = int(rng.integers(2, 11)), [f"team/{index}" for index in range(int(rng.integers(1, 4)))]
    tasks: list[Task] = []
    for index in range(size):
        used = [resource for resource in resources if rng.random() < 0.6] or [str(rng.choice(resources))]
        tasks.append(
            Task(
                f"t{index}",
                round(float(rng.normal(6, 6)), 2),
                {resource: round(float(rng.lognormal(0.8, 0.7)) + 0.01, 2) for resource in used},
                kind=str(rng.choice(KINDS)),
                requires=tuple(f"t{other}" for other in range(index) if rng.random() < 0.08),
                must=bool(rng.random() < 0.08),
            )
        )
    asked = {r: sum(task.effort_days.get(r, 0.0) for task in tasks) for r in resources}
    capacity = {resource: round(days * float(rng.uniform(0.2, 0.8)), 2) for resource, days in asked.items()}
    floors = tuple(Floor((kind,), round(float(rng.uniform(0, 0.5)), 2)) for kind in KINDS[:2] if rng.random() < 0.35)
    free = Programme(tuple(tasks), capacity, floors=floors)
    return Programme(tuple(tasks), capacity, _groups(free, rng), floors)


def _groups(programme: Programme, rng: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Up to two exclusive groups that leave every task possible for itself."""
    groups: list[tuple[str, ...]] = []
    keys = [task.key for task in programme.tasks]
    for _ in range(2):
        group = tuple(sorted(rng.choice(keys, size=min(len(keys), int(rng.integers(2, 4))), replace=False).tolist()))
        possible = all(len(programme.needed_by([key]).keys() & set(group)) < 2 for key in keys)
        if possible and rng.random() < 0.5:
            groups.append(group)
    return tuple(groups)
