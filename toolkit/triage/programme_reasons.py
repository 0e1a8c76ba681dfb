"""Why a task is in a plan or out of it, what would change that, and what each constraint costs: all by solving again.

>>> from toolkit.triage.capacity_programme import Programme, Task
>>> from toolkit.triage.programme_solver import solve
>>> tasks = (Task("a", 9, {"core": 5}), Task("b", 6, {"core": 4}), Task("c", 5, {"core": 2}))
>>> programme = Programme(tasks, {"core": 6})
>>> choice = solve(programme)
>>> [(each.key, each.chosen, each.flip_value) for each in why(programme, choice)]
[('a', False, 11.0), ('b', True, 4.0), ('c', True, 3.0)]
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from toolkit.checks import check_at_least, check_in
from toolkit.errors import ArgumentError
from toolkit.triage.capacity_programme import Programme, Task
from toolkit.triage.mixed_integer import TOLERANCE, Limits, scale_of
from toolkit.triage.programme_solver import Choice, best_choice, clash_of_musts, lower_floors, written_down

Constraint = Literal["capacity", "exclusive", "floor", "must", "requires"]
CONSTRAINTS: tuple[Constraint, ...] = get_args(Constraint)


@dataclass(frozen=True)
class Why:
    """A task's place in the plan, and the value at which it would change, everything else as it is.

    Attributes
    ----------
    value: what it is worth now. chosen: whether it is done.
    flip_value: a chosen task leaves the plan below it, another one enters above it; None when no value would do.
    optimal: whether that is proven. reason: why there is no such value, or why it is not proven; else "".
    """

    key: str
    chosen: bool
    value: float
    flip_value: float | None
    optimal: bool
    reason: str


@dataclass(frozen=True)
class Threshold:
    """Where a task's place in the plan changes; None with a reason when nowhere."""

    value: float | None
    optimal: bool
    reason: str


@dataclass(frozen=True)
class Price:
    """What a plan's value would gain without a constraint, or by one more day of capacity.

    Attributes
    ----------
    name: such as `10 % for debt`, `a → b` (a requires b), `a | b` (exclusive), a task's key (must), a resource.
    value: the gain, in the unit of the values; below 0 where a floor that grows with the capacity costs more.
    optimal: whether it is proven. reason: why it is not proven, else "".
    """

    kind: Constraint
    name: str
    value: float
    optimal: bool
    reason: str


def why(
    programme: Programme, choice: Choice, keys: Iterable[str] | None = None, *, time_limit_s: float | None = None
) -> tuple[Why, ...]:
    """Why each task is in or out, sorted by key: one more solution per task, so ask for `keys` when there are many.

    A task that is in leaves when its value falls by what the best plan without it is worth less; one that is out enters
    when its value rises by what the best plan with it is worth less. `time_limit_s` is for each solution.
    """
    limits = Limits(time_limit_s).checked()
    wanted = sorted(programme.by_key if keys is None else {_known(programme, key) for key in keys})
    return tuple(_why(programme, choice, key, limits) for key in wanted)


def effort_to_flip(
    programme: Programme, choice: Choice, key: str, *, known: Why | None = None, time_limit_s: float | None = None
) -> Threshold:
    """The largest multiple of a task's effort (all resources alike) at which it is still worth having.

    For a task that is in it is at least 1: with more effort than this times the present one it leaves. For one that is
    out it is at most 1: it enters when it takes no more than that (1: it is level with the plan). Floors count the
    changed effort.

    Parameters
    ----------
    known: why it is in or out, where that is known: it saves a solution.
    """
    limits = Limits(time_limit_s).checked()
    chosen = _known(programme, key) in choice.chosen
    least, optimal = choice.value, choice.optimal
    if chosen:
        found = known or _why(programme, choice, key, limits)
        if found.flip_value is None:
            return Threshold(None, True, found.reason)
        least, optimal = choice.value - (found.value - found.flip_value), found.optimal
    problem, columns = written_down(programme, dict.fromkeys(programme.by_key, 0.0), {key: True}, stretched=key)
    if not chosen:
        # A floor may count the task, and then more effort could bring it in too; nobody asks for that.
        problem.add_row({len(columns): 1.0}, high=1.0)
    # In units of which the largest value is about a thousand, so that HiGHS' tolerance is a billionth of it.
    scale = scale_of(max(abs(each.value) for each in programme.tasks))
    cells = {columns[each.key]: each.value * scale for each in programme.tasks}
    problem.add_row(cells, low=least * scale - TOLERANCE)
    solution = problem.maximise(limits)
    if solution is None or (multiple := float(solution.columns[len(columns)])) <= TOLERANCE:
        return Threshold(None, optimal, "no effort, however small, would bring it in")
    optimal = optimal and solution.finished
    return Threshold(multiple, optimal, _unproven(optimal))


def capacities_to_flip(
    programme: Programme,
    choice: Choice,
    keys: Iterable[str] | None = None,
    *,
    step_days: float = 1.0,
    most_steps: int = 10,
    time_limit_s: float | None = None,
) -> dict[str, Threshold]:
    """By task, the smallest change of the capacity, in steps, at which its place in the plan changes; in days.

    Above 0 for a task that is out: the best plan has it when each resource that it takes has so many days more. Below 0
    for one that is in. Every step is a plan of its own, which all tasks that take the same resources share; floors stay
    shares, and are lowered where that capacity leaves them out of reach. A task may change its place again with a
    larger step.
    """
    limits = Limits(time_limit_s).checked()
    if not (math.isfinite(step_days) and step_days > 0):
        raise ArgumentError(f"step_days == {step_days}, must be a number of days above 0")
    check_at_least("most_steps", most_steps, 1)
    alike: dict[tuple[frozenset[str], bool], list[str]] = {}
    for key in programme.by_key if keys is None else {_known(programme, key) for key in keys}:
        alike.setdefault((frozenset(programme.by_key[key].effort_days), key in choice.chosen), []).append(key)
    found: dict[str, Threshold] = {}
    for (resources, chosen), group in alike.items():
        steps = [step_days * step * (-1 if chosen else 1) for step in range(1, most_steps + 1)]
        found |= _at_first_change(programme, choice, resources, dict.fromkeys(group, chosen), steps, limits)
    return dict(sorted(found.items()))


def constraint_prices(
    programme: Programme,
    choice: Choice,
    kinds: Collection[Constraint] = CONSTRAINTS,
    *,
    time_limit_s: float | None = None,
) -> tuple[Price, ...]:
    """What each constraint costs: how much more the best plan without it is worth; one more solution per constraint.

    Of capacity it is what one more day of the resource brings. Floors stay shares, so that they grow with that day, and
    are lowered where it leaves them out of reach.
    """
    limits = Limits(time_limit_s).checked()
    for kind in kinds:
        check_in(kind, CONSTRAINTS, noun="constraint")
    prices = []
    for kind, name, relaxed in _relaxations(programme, kinds):
        reached = lower_floors(relaxed, time_limit_s=time_limit_s) if kind == "capacity" else relaxed
        freed = best_choice(reached, limits)
        assert freed is not None  # the plan itself holds to what is left
        optimal = choice.optimal and freed.optimal
        prices.append(Price(kind, name, freed.value - choice.value, optimal, _unproven(optimal)))
    return tuple(prices)


def _why(programme: Programme, choice: Choice, key: str, limits: Limits) -> Why:
    chosen, value = key in choice.chosen, programme.by_key[key].value
    other = best_choice(programme, limits, {key: not chosen})
    if other is None:
        reason = _indispensable(programme, key) if chosen else _impossible(programme, key)
        return Why(key, chosen, value, None, True, reason)
    optimal = choice.optimal and other.optimal
    worse_by = choice.value - other.value
    return Why(key, chosen, value, value - worse_by if chosen else value + worse_by, optimal, _unproven(optimal))


def _at_first_change(
    programme: Programme,
    choice: Choice,
    resources: Collection[str],
    places: Mapping[str, bool],
    steps: Sequence[float],
    limits: Limits,
) -> dict[str, Threshold]:
    """By task the first of some changes of the capacity with which its place in the best plan is another."""
    left, found, optimal = set(places), dict[str, Threshold](), choice.optimal
    end = f"not with {_days_text(steps[-1])}: further was not looked"
    for days in steps:
        if not left:
            break
        changed = _with_capacity(programme, resources, days)
        if changed is None:
            end = f"with {_days_text(days)} the capacity would be below 0"
            break
        if clash_of_musts(changed):
            if days < 0:
                end = f"there is no plan at all with {_days_text(days)}"
                break
            continue
        best = best_choice(lower_floors(changed, time_limit_s=limits.time_limit_s), limits)
        if best is None:
            continue
        optimal = optimal and best.optimal
        moved = {key for key in left if (key in best.chosen) != places[key]}
        found |= dict.fromkeys(moved, Threshold(days, optimal, _unproven(optimal)))
        left -= moved
    return found | dict.fromkeys(left, Threshold(None, optimal, end))


def _relaxations(programme: Programme, kinds: Collection[Constraint]) -> Iterator[tuple[Constraint, str, Programme]]:
    """Each constraint of these kinds with the programme that lacks it, or has a day more.

    Others are not made: a programme is checked as a whole, and of requirements there are as many as of tasks.
    """
    if "capacity" in kinds:
        for resource in sorted(programme.capacity_days):
            more = _with_capacity(programme, [resource], 1.0)
            assert more is not None
            yield "capacity", resource, more
    if "exclusive" in kinds:
        groups = programme.exclusive
        for index, group in enumerate(groups):
            rest = groups[:index] + groups[index + 1 :]
            yield "exclusive", " | ".join(sorted(group)), replace(programme, exclusive=rest)
    if "floor" in kinds:
        floors = programme.floors
        for index, floor in enumerate(floors):
            yield "floor", floor.text, replace(programme, floors=floors[:index] + floors[index + 1 :])
    for key, task in programme.by_key.items():
        if task.must and "must" in kinds:
            yield "must", key, _with_task(programme, replace(task, must=False))
        for needed in sorted(set(task.requires)) if "requires" in kinds else ():
            left = tuple(each for each in task.requires if each != needed)
            yield "requires", f"{key} → {needed}", _with_task(programme, replace(task, requires=left))


def _with_task(programme: Programme, task: Task) -> Programme:
    """The programme with another form of one of its tasks."""
    return replace(programme, tasks=tuple({**programme.by_key, task.key: task}.values()))


def _with_capacity(programme: Programme, resources: Iterable[str], change_days: float) -> Programme | None:
    """The programme with another capacity of these resources; None when one would be below 0."""
    days = {resource: programme.capacity_days[resource] + change_days for resource in resources}
    if min(days.values()) < 0:
        return None
    return replace(programme, capacity_days={**programme.capacity_days, **days})


def _days_text(change_days: float) -> str:
    days = abs(change_days)
    return f"{days:g} {'day' if days == 1 else 'days'} {'fewer' if change_days < 0 else 'more'}"


def _known(programme: Programme, key: str) -> str:
    return check_in(key, programme.by_key, noun="task")


def _indispensable(programme: Programme, key: str) -> str:
    """Why there is no plan without a task."""
    musts = [other for other, task in programme.by_key.items() if task.must]
    if key in musts:
        return "it must be done"
    if asking := next((must for must in musts if key in programme.needed_by([must])), None):
        return f"{asking!r} must be done and needs it"
    return "without it a floor is out of reach"


def _impossible(programme: Programme, key: str) -> str:
    """Why there is no plan with a task."""
    task, capacity = programme.by_key[key], programme.capacity_days
    if large := next(
        (name for name, days in sorted(task.effort_days.items()) if days > capacity[name] + TOLERANCE), ""
    ):
        return f"it takes {task.effort_days[large]:g} days of {large!r}, which has {capacity[large]:g}"
    return "beside what must be done, what it requires and the floors there is no room for it"


def _unproven(optimal: bool) -> str:
    return "" if optimal else "not proven: a solution ended at a limit"
