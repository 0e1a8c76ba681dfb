"""What a plan is chosen from: tasks with values and efforts, the capacity of each resource, and what plans hold to.

A programme is checked when it is made: a task, resource or requirement that is not there, a circle of requirements, or
a task that could never be done is an error, whatever the capacity.

>>> programme = Programme(
...     tasks=(Task("new model", 9, {"core": 5}), Task("old pipeline", 4, {"core": 3}, kind="debt")),
...     capacity_days={"core": 6},
... )
>>> programme.days_of("debt")
3.0
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from toolkit.checks import unknown_name_message
from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.triage.dependencies import find_circle


@dataclass(frozen=True)
class Task:
    """A piece of work that is done in the period as a whole, or not at all.

    Attributes
    ----------
    value: what the plan's sum gains by it, in the unit of all values of the programme; may be below 0.
    effort_days: person-days by resource, which is a team or one of its roles (`team/role`).
    kind: what floors count, such as "debt", "experiment" or "model".
    requires: keys of the tasks without which it cannot be done.
    must: it is done, whatever it is worth: a deadline of the law falls into the period.
    """

    key: str
    value: float
    effort_days: Mapping[str, float]
    kind: str = ""
    requires: tuple[str, ...] = ()
    must: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ArgumentError(f"task {self.key!r}: value == {self.value}, must be a finite number")
        if not self.effort_days:
            raise ArgumentError(f"task {self.key!r}: effort_days is empty, must name at least one resource")
        for resource, days in self.effort_days.items():
            if not (math.isfinite(days) and days > 0):
                raise ArgumentError(
                    f"task {self.key!r}: effort_days[{resource!r}] == {days}, must be a number of days above 0"
                )

    @property
    def days(self) -> float:
        """Its person-days, of all resources together."""
        return math.fsum(self.effort_days.values())


@dataclass(frozen=True)
class Floor:
    """The least share of the whole capacity, all resources together, that goes to tasks of these kinds.

    It is a share of the capacity, not of what is used: a plan that leaves days free owes as much to it.
    """

    kinds: tuple[str, ...]
    share: float

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ArgumentError("floor: kinds is empty, must name at least one kind of task")
        if not 0 <= self.share <= 1:
            raise ArgumentError(
                f"floor for {', '.join(self.kinds)}: share == {self.share}, must be a number from 0 to 1"
            )

    @property
    def text(self) -> str:
        """What it asks for, such as `40 % for debt`."""
        return f"{100 * self.share:.4g} % for {', '.join(self.kinds)}"


@dataclass(frozen=True)
class Programme:
    """The tasks of one period, and what a plan must hold to.

    Attributes
    ----------
    capacity_days: person-days of the period by resource.
    exclusive: groups of keys; of each group at most one task is done.
    floors: the least shares of the capacity by kind of task.

    Raises `ArgumentError` for two tasks with one key, a circle of requirements, a group of fewer than two tasks, a
    task that requires what is excluded; `UnknownNameError` for a task or resource that is not there.
    """

    tasks: tuple[Task, ...]
    capacity_days: Mapping[str, float]
    exclusive: tuple[tuple[str, ...], ...] = ()
    floors: tuple[Floor, ...] = ()

    def __post_init__(self) -> None:
        for resource, days in self.capacity_days.items():
            if not (math.isfinite(days) and days >= 0):
                raise ArgumentError(f"capacity_days[{resource!r}] == {days}, must be a number of days of at least 0")
        seen = set()
        for task in self.tasks:
            if task.key in seen:
                raise ArgumentError(f"two tasks have the key {task.key!r}; give one of them another")
            seen.add(task.key)
        for task in self.tasks:
            for resource in task.effort_days:
                _check_name(f"task {task.key!r}", resource, self.capacity_days, "resource")
            for other in task.requires:
                _check_name(f"task {task.key!r}", other, seen, "task")
        for group in self.exclusive:
            for key in group:
                _check_name("exclusive", key, seen, "task")
            if len(set(group)) < max(2, len(group)):
                raise ArgumentError(f"exclusive: {list(group)} must name at least two tasks, each once")
        self._check_order()
        self._check_exclusive()

    @cached_property
    def by_key(self) -> dict[str, Task]:
        """The tasks by key, sorted."""
        return {task.key: task for task in sorted(self.tasks, key=lambda task: task.key)}

    @property
    def total_days(self) -> float:
        """The capacity of all resources together."""
        return math.fsum(self.capacity_days.values())

    def days_of(self, *kinds: str) -> float:
        """Person-days of all tasks of these kinds, whether they fit or not."""
        return math.fsum(task.days for task in self.tasks if task.kind in kinds)

    def needed_by(self, keys: Iterable[str]) -> dict[str, str]:
        """These tasks and all that they require, each with the task that asked for it; "" for those asked for."""
        tasks, needed = self.by_key, dict.fromkeys(keys, "")
        waiting = list(needed)
        while waiting:
            key = waiting.pop(0)
            for other in tasks[key].requires:
                if other not in needed:
                    needed[other] = key
                    waiting.append(other)
        return needed

    def _check_order(self) -> None:
        if circle := find_circle({task.key: task.requires for task in self.tasks}):
            raise ArgumentError(f"tasks require each other in a circle: {' → '.join(circle)}; take one step out")

    def _check_exclusive(self) -> None:
        groups_of: dict[str, list[set[str]]] = {}
        for group in self.exclusive:
            for key in group:
                groups_of.setdefault(key, []).append(set(group))
        if not groups_of:
            return
        for key, task in self.by_key.items():
            if not task.requires:
                continue
            needed = self.needed_by([key])
            for other in needed:
                for keys in groups_of.get(other, ()):
                    if len(clash := sorted(keys & needed.keys())) > 1:
                        raise ArgumentError(
                            f"task {key!r} can never be done: it needs {_listed(clash)}, of which at most one is done; "
                            "change what it requires, or the exclusive group"
                        )


def _check_name(where: str, given: str, allowed: Collection[str], noun: str) -> None:
    if given not in allowed:
        raise UnknownNameError(f"{where}: {unknown_name_message(given, allowed, noun=noun)}")


def _listed(keys: Iterable[str]) -> str:
    return " and ".join(repr(key) for key in keys)
