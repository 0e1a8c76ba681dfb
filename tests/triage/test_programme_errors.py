"""What a programme and its solver say when something cannot be, word for word."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from triage.exhausted_programmes import hard_programme, one_resource, task

from toolkit.errors import ArgumentError, UnknownNameError
from toolkit.triage import mixed_integer
from toolkit.triage.capacity_programme import Floor, Programme, Task
from toolkit.triage.mixed_integer import MixedInteger
from toolkit.triage.programme_solver import solve, solve_sampled


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: task("a", math.nan),
            ArgumentError,
            "task 'a': value == nan, must be a finite number",
        ),
        (
            lambda: Task("a", 1, {}),
            ArgumentError,
            "task 'a': effort_days is empty, must name at least one resource",
        ),
        (
            lambda: task("a", days=-2),
            ArgumentError,
            "task 'a': effort_days['core'] == -2, must be a number of days above 0",
        ),
        (
            lambda: task("a", days=0),
            ArgumentError,
            "task 'a': effort_days['core'] == 0, must be a number of days above 0",
        ),
        (
            lambda: Floor((), 0.1),
            ArgumentError,
            "floor: kinds is empty, must name at least one kind of task",
        ),
        (
            lambda: Floor(("debt", "model"), 20),
            ArgumentError,
            "floor for debt, model: share == 20, must be a number from 0 to 1",
        ),
        (
            lambda: one_resource(task("a"), days=-1),
            ArgumentError,
            "capacity_days['core'] == -1, must be a number of days of at least 0",
        ),
        (
            lambda: one_resource(task("a"), task("b"), task("a")),
            ArgumentError,
            "two tasks have the key 'a'; give one of them another",
        ),
        (
            lambda: Programme((Task("a", 1, {"core/analst": 1}),), {"core/analyst": 3, "core": 2}),
            UnknownNameError,
            "task 'a': unknown resource 'core/analst'; allowed: core, core/analyst. Did you mean 'core/analyst'?",
        ),
        (
            lambda: one_resource(task("labels"), task("b", requires=("label",))),
            UnknownNameError,
            "task 'b': unknown task 'label'; allowed: b, labels. Did you mean 'labels'?",
        ),
        (
            lambda: one_resource(task("labels"), task("b"), exclusive=(("b", "lables"),)),
            UnknownNameError,
            "exclusive: unknown task 'lables'; allowed: b, labels. Did you mean 'labels'?",
        ),
        (
            lambda: one_resource(task("a"), exclusive=(("a",),)),
            ArgumentError,
            "exclusive: ['a'] must name at least two tasks, each once",
        ),
        (
            lambda: one_resource(task("a"), task("b"), exclusive=(("a", "b", "a"),)),
            ArgumentError,
            "exclusive: ['a', 'b', 'a'] must name at least two tasks, each once",
        ),
        (
            lambda: one_resource(task("c", requires=("b",)), task("b", requires=("a",)), task("a", requires=("c",))),
            ArgumentError,
            "tasks require each other in a circle: a → c → b → a; take one step out",
        ),
        (
            lambda: one_resource(task("a", requires=("a",))),
            ArgumentError,
            "tasks require each other in a circle: a → a; take one step out",
        ),
        (
            lambda: one_resource(
                task("a"), task("b", requires=("a",)), task("c", requires=("b",)), exclusive=(("c", "a"),)
            ),
            ArgumentError,
            "task 'c' can never be done: it needs 'a' and 'c', of which at most one is done; "
            "change what it requires, or the exclusive group",
        ),
        (
            lambda: solve(
                one_resource(
                    task("a", must=True),
                    task("b"),
                    task("c", requires=("b",), must=True),
                    exclusive=(("a", "b"),),
                )
            ),
            ArgumentError,
            "the must-do tasks cannot all be done: 'a' and 'b' (required by 'c') exclude each other; "
            "take one must, or the group, out",
        ),
        (
            lambda: solve(
                one_resource(
                    task("audit", days=6, must=True, requires=("logs",)),
                    task("logs", days=2.5),
                    task("gdpr", days=3, must=True),
                    task("other", days=3),
                )
            ),
            ArgumentError,
            "the must-do tasks do not fit: 'core' has 10 days, and they take 11.5: 'audit' (6 days), 'gdpr' (3 days), "
            "'logs' (2.5 days, required by 'audit'); raise the capacity, move a deadline, or make a task smaller",
        ),
        (
            lambda: solve(
                one_resource(
                    task("a", days=6, must=True),
                    task("b", days=2, kind="debt"),
                    task("c", days=3, kind="debt"),
                    floors=(Floor(("debt",), 0.5),),
                )
            ),
            ArgumentError,
            "the floor of 50 % for debt is out of reach: it asks for 5 of 10 days, and at most 3 days of such tasks "
            "can be done (5 days are proposed); lower its share, add such tasks, or take what can be reached with "
            "lower_floors()",
        ),
        (
            lambda: solve(
                one_resource(
                    task("a", days=6, kind="debt"),
                    task("b", days=6, kind="experiment"),
                    floors=(Floor(("debt",), 0.5), Floor(("experiment",), 0.5)),
                )
            ),
            ArgumentError,
            "the floors cannot all be kept, though each alone can: 50 % for debt; 50 % for experiment, of 10 days; "
            "lower one of them, or take what can be reached with lower_floors()",
        ),
        (
            lambda: solve(one_resource(task("a")), time_limit_s=0),
            ArgumentError,
            "time_limit_s == 0, must be a number of seconds above 0, or None",
        ),
        (
            lambda: solve(one_resource(task("a")), gap=1.5),
            ArgumentError,
            "gap == 1.5, must be a number of at least 0 and below 1",
        ),
        (
            lambda: solve_sampled(one_resource(task("a")), [[1.0], [2.0]]),
            ArgumentError,
            "values has the shape (2, 1), must have a row for each of the 1 tasks and at least one scenario",
        ),
        (
            lambda: solve_sampled(one_resource(task("a")), [[1.0, math.inf]]),
            ArgumentError,
            "values holds a number that is not finite",
        ),
        (
            lambda: solve_sampled(one_resource(task("a")), [[1.0]], "median"),
            ArgumentError,
            "aim == 'median', must be 'mean' or a quantile above 0 and below 1",
        ),
        (
            lambda: solve_sampled(one_resource(task("a")), [[1.0]], 1.0),
            ArgumentError,
            "aim == 1.0, must be 'mean' or a quantile above 0 and below 1",
        ),
        (
            lambda: solve_sampled(one_resource(task("a", days=12, must=True)), [[1.0]], 0.5),
            ArgumentError,
            "the must-do tasks do not fit: 'core' has 10 days, and they take 12: 'a' (12 days); "
            "raise the capacity, move a deadline, or make a task smaller",
        ),
    ],
)
def test_what_cannot_be_is_said(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == text


def test_a_time_limit_without_any_plan_is_said() -> None:
    programme = replace(hard_programme(300), floors=(Floor(("",), 0.999999),))
    with pytest.raises(ArgumentError) as caught:
        solve(programme, time_limit_s=1e-6)
    assert str(caught.value) == "time_limit_s == 1e-06 was too short to find any plan; give more"


def test_a_solver_that_gives_up_is_no_proof_that_there_is_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    gave_up = SimpleNamespace(x=None, status=4, message="(HiGHS Status 4: model_status is Solve error)")
    monkeypatch.setattr(mixed_integer, "quietly", lambda _: gave_up)
    with pytest.raises(ArgumentError) as caught:
        solve(one_resource(task("a")))
    assert str(caught.value) == (
        "HiGHS could not solve it, as with numbers of too different sizes: "
        "(HiGHS Status 4: model_status is Solve error)"
    )


def test_efforts_of_too_different_sizes_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MixedInteger, "missed_by", lambda *_: 0.5)
    with pytest.raises(ArgumentError) as caught:
        solve(one_resource(task("a")))
    assert str(caught.value) == (
        "the efforts and capacities differ too much in size to be solved: the plan misses one by 0.5 days"
    )
