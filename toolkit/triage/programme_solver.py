"""The plan of the largest value within a programme's capacity, exact, with what is proven about it.

Of plans with the same value it is always the same one: tasks that are worth exactly 0 are left out unless a constraint
needs them; what is still equal is settled by HiGHS, which is deterministic and gets the tasks in the order of their
keys. So the plan depends on the programme, not on the order in which it is written down. (A time limit breaks this: how
far HiGHS comes in a second depends on the machine.)

>>> from toolkit.triage.capacity_programme import Programme, Task
>>> tasks = (Task("a", 9, {"core": 5}), Task("b", 6, {"core": 4}), Task("c", 5, {"core": 2}))
>>> choice = solve(Programme(tasks, {"core": 6}))
>>> choice.chosen, choice.value, choice.optimal
(('b', 'c'), 11.0, True)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from toolkit.errors import ArgumentError
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.mixed_integer import PROVEN_GAP, TOLERANCE, Limits, MixedInteger, Solution, relative_gap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from toolkit.stats.arrays import Numbers


@dataclass(frozen=True)
class Choice:
    """What is done, and how sure it is that nothing better could be.

    Attributes
    ----------
    chosen: keys of the tasks that are done, sorted. value: of them together, or what `solve_sampled` maximises.
    used_days: by resource, of every resource.
    optimal: whether it is proven that no plan has a larger value.
    bound: what no plan's value can exceed. gap: how far it lies above the value, as a share of the larger in size.
    reason: why it is not proven, else "".
    """

    chosen: tuple[str, ...]
    value: float
    used_days: Mapping[str, float]
    optimal: bool
    bound: float
    gap: float
    reason: str


def solve(programme: Programme, *, time_limit_s: float | None = None, gap: float = 0.0) -> Choice:
    """The plan of the largest value.

    Parameters
    ----------
    time_limit_s: when to stop with the best plan so far; None: when it is proven. gap: the relative gap that is close
        enough.

    Raises `ArgumentError` when no plan holds all constraints, with the tasks and days that make it so.
    """
    limits = Limits(time_limit_s, gap).checked()
    choice = best_choice(programme, limits)
    if choice is None:
        raise ArgumentError(why_infeasible(programme))
    return choice


def best_choice(programme: Programme, limits: Limits, fixed: Mapping[str, bool] | None = None) -> Choice | None:
    """The plan of the largest value in which some tasks are done or not, whatever it costs; None when there is none."""
    problem, _ = written_down(programme, {task.key: task.value for task in programme.tasks}, fixed or {})
    solution = problem.maximise(limits)
    if solution is None:
        return None
    if (missed := problem.missed_by(solution.columns)) > TOLERANCE * max(1.0, programme.total_days):
        raise ArgumentError(
            f"the efforts and capacities differ too much in size to be solved: the plan misses one by {missed:g} days"
        )
    chosen = _without_idle(programme, _done(programme, solution), fixed or {})
    value = math.fsum(programme.by_key[key].value for key in chosen)
    return _choice(programme, chosen, value, solution, limits)


def solve_sampled(
    programme: Programme,
    values: ArrayLike,
    aim: str | float = "mean",
    *,
    time_limit_s: float | None = None,
    gap: float = 0.0,
) -> Choice:
    """The plan with the largest mean, or the largest quantile, of its value over sampled scenarios.

    The mean of a plan is the sum of its tasks' means. A quantile is not: it is found with a variable per scenario that
    says whether the plan may fall short in it, exactly but for what HiGHS tolerates: plans whose quantiles differ by
    less than a millionth of what all tasks are worth count as equal. That is a matter of seconds for some dozens of
    tasks and scenarios; beyond, give a time limit, and read the gap.

    Parameters
    ----------
    values: a row per task, in the programme's order, and a column per scenario; the tasks' own values are not used.
    aim: "mean", or the quantile q between 0 and 1: the smallest value that at least a share q of the scenarios does not
        exceed. 0.1 is a cautious plan.

    Raises `ArgumentError` as `solve`, and for values of another shape.
    """
    import numpy as np

    limits = Limits(time_limit_s, gap).checked()
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != len(programme.tasks) or table.shape[1] == 0:
        raise ArgumentError(
            f"values has the shape {table.shape}, must have a row for each of the {len(programme.tasks)} tasks "
            "and at least one scenario"
        )
    if not np.isfinite(table).all():
        raise ArgumentError("values holds a number that is not finite")
    if aim == "mean":
        means = [math.fsum(row) / table.shape[1] for row in table]
        tasks = tuple(replace(task, value=mean) for task, mean in zip(programme.tasks, means, strict=True))
        return solve(replace(programme, tasks=tasks), time_limit_s=time_limit_s, gap=gap)
    if isinstance(aim, str) or not 0 < aim < 1:
        raise ArgumentError(f"aim == {aim!r}, must be 'mean' or a quantile above 0 and below 1")
    if not programme.tasks:
        return solve(programme)
    by_key = dict(zip((task.key for task in programme.tasks), table, strict=True))
    return _best_quantile(programme, by_key, aim, limits)


def _best_quantile(programme: Programme, values: Mapping[str, Numbers], aim: float, limits: Limits) -> Choice:
    import numpy as np

    problem, columns = written_down(programme, dict.fromkeys(values, 0.0), {})
    table = np.array([values[key] for key in columns])
    scenarios = table.shape[1]
    # As a fraction, so that 0.3 of 10 scenarios is 3: in floating point, 0.1 + 0.2 of them would be 4.
    rank = math.ceil(Fraction(aim).limit_denominator(10**9) * scenarios)
    least, most = np.minimum(table, 0).sum(axis=0), np.maximum(table, 0).sum(axis=0)
    floor, ceiling = float(np.sort(least)[rank - 1]), float(np.sort(most)[rank - 1])
    reached = problem.add_column(floor, ceiling, worth=1.0)
    short = [problem.add_column(0, 1, whole=True) for _ in range(scenarios)]
    for scenario in range(scenarios):
        slack = max(ceiling - float(least[scenario]), 0.0)
        cells = {column: -float(table[row, scenario]) for row, column in enumerate(columns.values())}
        problem.add_row(cells | {reached: 1.0, short[scenario]: -slack}, high=0.0)
    problem.add_row(dict.fromkeys(short, 1.0), high=rank - 1)
    solution = problem.maximise(limits)
    if solution is None:
        raise ArgumentError(why_infeasible(programme))
    chosen = _done(programme, solution)
    totals = [math.fsum(values[key][scenario] for key in chosen) for scenario in range(scenarios)]
    return _choice(programme, chosen, sorted(totals)[rank - 1], solution, limits)


def lower_floors(programme: Programme, *, time_limit_s: float | None = None) -> Programme:
    """The programme with each floor that is out of reach lowered to what can be reached, the first floor first.

    What the musts, the capacity and the other rules leave possible is found exactly; where `time_limit_s`, which is for
    each floor, ends the search, a floor may be lowered further than it had to be. Floors within reach stay as they are.
    Raises `ArgumentError` when there is no plan even without floors, or it was not told in time whether there is.
    """
    limits = Limits(time_limit_s).checked()
    if reason := clash_of_musts(programme):
        raise ArgumentError(reason)
    kept: list[Floor] = []
    for floor in programme.floors:
        # Whether it can be kept is found in no time as a rule; to prove the most possible days may take minutes.
        if _has_plan(replace(programme, floors=(*kept, floor)), limits):
            kept.append(floor)
        else:
            possible = _most_days(replace(programme, floors=tuple(kept)), floor, limits)
            kept.append(replace(floor, share=min(possible / programme.total_days, floor.share)))
    return replace(programme, floors=tuple(kept))


def why_infeasible(programme: Programme) -> str:
    """Why no plan holds all constraints: the must-do tasks, a floor that is out of reach, or floors together."""
    if reason := clash_of_musts(programme):
        return reason
    bare = replace(programme, floors=())
    for floor in programme.floors:
        needed, possible = floor.share * programme.total_days, _most_days(bare, floor, Limits())
        if possible < needed - TOLERANCE:
            return (
                f"the floor of {floor.text} is out of reach: it asks for {needed:g} of {programme.total_days:g} days, "
                f"and at most {possible:g} days of such tasks can be done ({programme.days_of(*floor.kinds):g} days "
                "are proposed); lower its share, add such tasks, or take what can be reached with lower_floors()"
            )
    floors = "; ".join(floor.text for floor in programme.floors)
    return (
        f"the floors cannot all be kept, though each alone can: {floors}, of {programme.total_days:g} days; lower one "
        "of them, or take what can be reached with lower_floors()"
    )


def written_down(
    programme: Programme, worths: Mapping[str, float], fixed: Mapping[str, bool], *, stretched: str | None = None
) -> tuple[MixedInteger, dict[str, int]]:
    """The programme in columns, one per task in the order of keys, and rows; some tasks done or not done anyway.

    With `stretched`, a task that is fixed as done, one more column is by how much its effort is multiplied: as large as
    it can be.
    """
    problem = MixedInteger()
    columns: dict[str, int] = {}
    for key, task in programme.by_key.items():
        low, high = float(task.must), 1.0
        if key in fixed:
            # Against a must there is no plan: the bounds stay in order, and the rows say so.
            low = high = float(fixed[key])
        columns[key] = problem.add_column(low, high, worth=worths[key], whole=True)
        if task.must and not fixed.get(key, True):
            problem.add_row({columns[key]: 1.0}, low=1.0)
    tasks, effort = programme.by_key.values(), dict(columns)
    if stretched is not None:
        days_of = programme.by_key[stretched].effort_days
        most = min(programme.capacity_days[resource] / days for resource, days in days_of.items())
        effort[stretched] = problem.add_column(0.0, most, worth=1.0)
    for resource, days in sorted(programme.capacity_days.items()):
        cells = {effort[task.key]: task.effort_days[resource] for task in tasks if resource in task.effort_days}
        problem.add_row(cells, high=days)
    for task in tasks:
        for other in sorted(set(task.requires)):
            problem.add_row({columns[task.key]: 1.0, columns[other]: -1.0}, high=0.0)
    for group in sorted(tuple(sorted(group)) for group in programme.exclusive):
        problem.add_row({columns[key]: 1.0 for key in group}, high=1.0)
    for floor in sorted(programme.floors, key=lambda floor: (floor.kinds, floor.share)):
        cells = {effort[task.key]: task.days for task in tasks if task.kind in floor.kinds}
        problem.add_row(cells, low=floor.share * programme.total_days)
    return problem, columns


def _choice(programme: Programme, chosen: Iterable[str], value: float, solution: Solution, limits: Limits) -> Choice:
    keys = tuple(sorted(chosen))
    tasks = [programme.by_key[key] for key in keys]
    used = {
        resource: math.fsum(task.effort_days.get(resource, 0.0) for task in tasks)
        for resource in sorted(programme.capacity_days)
    }
    bound = max(solution.bound, value)
    gap = relative_gap(value, bound)
    optimal = gap <= PROVEN_GAP or (solution.finished and limits.gap == 0)
    return Choice(keys, value, used, optimal, bound, gap, "" if optimal else _unproven(bound, solution, limits))


def _unproven(bound: float, solution: Solution, limits: Limits) -> str:
    why = f"within gap == {limits.gap:g}" if solution.finished else f"at time_limit_s == {limits.time_limit_s:g}"
    return f"not proven: the search ended {why}; no plan is worth more than {bound:g}"


def _done(programme: Programme, solution: Solution) -> set[str]:
    return {key for key, done in zip(programme.by_key, solution.columns, strict=False) if done > 0.5}


def _without_idle(programme: Programme, chosen: set[str], fixed: Mapping[str, bool]) -> set[str]:
    """The plan without tasks that are worth nothing and that no constraint needs."""
    tasks, kept = programme.by_key, set(chosen)
    idle = sorted((key for key in kept if tasks[key].value == 0), reverse=True)
    dropped = True
    while dropped:
        dropped = False
        for key in idle:
            needed = tasks[key].must or fixed.get(key, False) or any(key in tasks[other].requires for other in kept)
            if key in kept and not needed and _keeps_floors(programme, kept - {key}):
                kept.remove(key)
                dropped = True
    return kept


def _keeps_floors(programme: Programme, chosen: set[str]) -> bool:
    return all(
        math.fsum(programme.by_key[key].days for key in chosen if programme.by_key[key].kind in floor.kinds)
        >= floor.share * programme.total_days - TOLERANCE
        for floor in programme.floors
    )


def _has_plan(programme: Programme, limits: Limits) -> bool:
    problem, _ = written_down(programme, dict.fromkeys(programme.by_key, 0.0), {})
    return problem.maximise(limits) is not None


def _most_days(programme: Programme, floor: Floor, limits: Limits) -> float:
    """The most days that a plan can give to the kinds of a floor."""
    tasks = programme.by_key
    days = {key: task.days if task.kind in floor.kinds else 0.0 for key, task in tasks.items()}
    problem, _ = written_down(programme, days, {})
    solution = problem.maximise(limits)
    return math.fsum(days[key] for key in _done(programme, solution)) if solution else 0.0


def clash_of_musts(programme: Programme) -> str:
    """Why the must-do tasks, with all that they require, do not go together; "" when they do."""
    needed = programme.needed_by(key for key, task in programme.by_key.items() if task.must)
    for group in programme.exclusive:
        if len(clash := sorted(needed.keys() & set(group))) > 1:
            named = " and ".join(_named(key, needed) for key in clash)
            return f"the must-do tasks cannot all be done: {named} exclude each other; take one must, or the group, out"
    tasks = [programme.by_key[key] for key in sorted(needed)]
    for resource, capacity in sorted(programme.capacity_days.items()):
        asking = [task for task in tasks if resource in task.effort_days]
        days = math.fsum(task.effort_days[resource] for task in asking)
        if days > capacity + TOLERANCE:
            named = ", ".join(_named(task.key, needed, _days(task, resource)) for task in asking)
            return (
                f"the must-do tasks do not fit: {resource!r} has {capacity:g} days, and they take {days:g}: {named}; "
                "raise the capacity, move a deadline, or make a task smaller"
            )
    return ""


def _days(task: Task, resource: str) -> str:
    return f"{task.effort_days[resource]:g} days"


def _named(key: str, needed: Mapping[str, str], fact: str = "") -> str:
    """A task with what is to be said of it: `'a' (3 days, required by 'b')`."""
    facts = [fact, f"required by {needed[key]!r}" if needed[key] else ""]
    said = ", ".join(each for each in facts if each)
    return f"{key!r} ({said})" if said else repr(key)
