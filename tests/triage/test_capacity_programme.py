"""The programme and its solver against brute force: every set of tasks, tried."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triage.exhausted_programmes import (
    BEYOND,
    all_plans,
    best_value,
    hard_programme,
    holds,
    one_resource,
    random_programme,
    task,
)

from toolkit.errors import ArgumentError
from toolkit.triage import mixed_integer
from toolkit.triage.capacity_programme import Floor, Programme
from toolkit.triage.mixed_integer import MixedInteger, quietly
from toolkit.triage.programme_solver import lower_floors, solve, solve_sampled


@pytest.mark.parametrize("seeds", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_plans_are_as_good_as_brute_force_on_random_programmes(seeds: int) -> None:
    infeasible = 0
    for seed in range(seeds):
        programme = random_programme(seed)
        best = best_value(programme)
        if best is None:
            infeasible += 1
            with pytest.raises(ArgumentError):
                solve(programme)
            continue
        choice = solve(programme)
        assert choice.value == pytest.approx(best, abs=1e-9), seed
        assert choice.optimal, seed
        assert holds(programme, choice.chosen), seed
    assert seeds / 10 < infeasible < seeds / 2


def test_the_message_of_an_infeasible_programme_is_true() -> None:
    told = {"must-do tasks cannot": 0, "must-do tasks do not fit": 0, "out of reach": 0, "cannot all be kept": 0}
    for seed in range(500):
        programme = random_programme(seed)
        if best_value(programme) is not None:
            continue
        with pytest.raises(ArgumentError) as caught:
            solve(programme)
        (kind,) = [each for each in told if each in str(caught.value)]
        told[kind] += 1
        without_floors = best_value(replace(programme, floors=()))
        assert (without_floors is None) == kind.startswith("must-do"), seed
    assert all(told.values()), told


def test_the_plan_does_not_depend_on_the_order_in_which_tasks_are_written() -> None:
    rng = np.random.default_rng(5)
    for seed in range(30):
        programme = random_programme(seed)
        tasks = tuple(replace(each, value=round(each.value / 4)) for each in programme.tasks)  # many plans are equal
        programme = replace(programme, tasks=tasks)
        if best_value(programme) is None:
            continue
        shuffled = tuple(tasks[index] for index in rng.permutation(len(tasks)))
        other = Programme(
            shuffled,
            dict(reversed(programme.capacity_days.items())),
            tuple(tuple(reversed(group)) for group in reversed(programme.exclusive)),
            tuple(reversed(programme.floors)),
        )
        assert solve(other) == solve(programme)


def test_a_task_worth_nothing_is_left_out_unless_a_constraint_needs_it() -> None:
    idle = task("idle", 0, kind="debt")
    assert solve(one_resource(idle)).chosen == ()
    assert solve(one_resource(idle, floors=(Floor(("debt",), 0.1),))).chosen == ("idle",)
    assert solve(one_resource(idle, task("b", 3, requires=("idle",)))).chosen == ("b", "idle")
    assert solve(one_resource(replace(idle, must=True))).chosen == ("idle",)
    assert solve(one_resource(idle, task("idle too", 0, requires=("idle",)))).chosen == ()


def test_a_task_of_negative_value_is_done_only_if_it_must() -> None:
    assert solve(one_resource(task("a", -5), task("b", 2))).value == 2
    forced = solve(one_resource(task("a", -5, must=True), task("b", 2)))
    assert (forced.chosen, forced.value, forced.bound, forced.gap) == (("a", "b"), -3, -3, 0)


def test_a_programme_of_no_tasks_has_an_empty_plan() -> None:
    choice = solve(Programme((), {"core": 3}))
    assert (choice.chosen, choice.value, choice.used_days, choice.optimal) == ((), 0, {"core": 0}, True)


@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0, 1e6, 1e12])
def test_the_unit_of_the_values_does_not_matter(size: float) -> None:
    values = [5.0, 4.000001, 3.0, 2.0, 2.5]
    tasks = [task(str(key), value * size, days=key + 1) for key, value in enumerate(values)]
    choice = solve(one_resource(*tasks, days=7))
    plainly = [replace(each, value=value) for each, value in zip(tasks, values, strict=True)]
    plain = solve(one_resource(*plainly, days=7))
    assert choice.chosen == plain.chosen
    assert choice.optimal


def test_a_plan_within_a_gap_says_how_far_it_may_be_from_the_best() -> None:
    choice = solve(hard_programme(), gap=0.2)
    assert not choice.optimal
    assert 1e-9 < choice.gap <= 0.2
    assert choice.bound == pytest.approx(choice.value / (1 - choice.gap))
    assert choice.reason == (
        f"not proven: the search ended within gap == 0.2; no plan is worth more than {choice.bound:g}"
    )


def test_a_plan_at_the_time_limit_says_how_far_it_may_be_from_the_best() -> None:
    choice = solve(hard_programme(200), time_limit_s=1.0)
    assert not choice.optimal
    assert choice.gap > 1e-9
    assert choice.reason.startswith("not proven: the search ended at time_limit_s == 1; no plan is worth more than ")
    assert holds(hard_programme(200), choice.chosen)


def test_mean_over_scenarios_is_the_plan_of_the_means() -> None:
    rng = np.random.default_rng(11)
    programme = random_programme(3)
    values = rng.normal(3, 4, (len(programme.tasks), 40))
    means = replace(
        programme,
        tasks=tuple(replace(each, value=float(row.mean())) for each, row in zip(programme.tasks, values, strict=True)),
    )
    sampled = solve_sampled(programme, values)
    assert sampled.value == pytest.approx(best_value(means))
    assert sampled.chosen == solve(means).chosen


def test_a_quantile_over_scenarios_is_as_good_as_brute_force() -> None:
    rng = np.random.default_rng(12)
    seen = 0
    for seed in range(60):
        programme = random_programme(seed)
        plans = all_plans(programme)
        scenarios = int(rng.integers(1, 9))
        quantile = float(rng.choice([0.1, 0.25, 0.5, 0.8]))
        values = np.round(rng.normal(2, 5, (len(programme.tasks), scenarios)), 2)
        if not len(plans):
            continue
        seen += 1
        best = np.quantile(plans @ values, quantile, axis=1, method="inverted_cdf").max()
        choice = solve_sampled(programme, values, quantile)
        assert choice.value == pytest.approx(best, abs=1e-6), seed
        assert choice.optimal, seed
        assert holds(programme, choice.chosen), seed
    assert seen > 30


def test_a_cautious_plan_avoids_what_may_go_wrong() -> None:
    programme = one_resource(task("bold", days=6), task("safe", days=6))
    values = [[30, 30, 30, -10], [12, 12, 12, 12]]
    assert solve_sampled(programme, values).chosen == ("bold",)
    cautious = solve_sampled(programme, values, 0.1)
    assert (cautious.chosen, cautious.value) == (("safe",), 12)


def test_a_floor_out_of_reach_is_lowered_to_what_there_is() -> None:
    programme = one_resource(
        task("old", 1, 2, kind="debt"),
        task("try", 1, 9, kind="experiment"),
        task("must", 9, 4, must=True),
        floors=(Floor(("debt",), 0.3), Floor(("experiment",), 0.1), Floor(("debt", "other"), 0.1)),
    )
    lowered = lower_floors(programme)
    assert lowered.floors == (Floor(("debt",), 0.2), Floor(("experiment",), 0), Floor(("debt", "other"), 0.1))
    assert solve(lowered).chosen == ("must", "old")
    assert lower_floors(lowered) == lowered


def test_lowered_floors_always_have_a_plan_and_never_rise() -> None:
    for seed in range(150):
        programme = random_programme(seed)
        if best_value(replace(programme, floors=())) is None:
            with pytest.raises(ArgumentError, match="must-do tasks"):
                lower_floors(programme)
            continue
        lowered = lower_floors(programme)
        assert best_value(lowered) is not None, seed
        assert all(new.share <= old.share for new, old in zip(lowered.floors, programme.floors, strict=True))
        if best_value(programme) is not None:
            assert lowered == programme, seed


efforts = st.integers(1, 8).map(lambda halves: halves / 2)
small_tasks = st.lists(
    st.tuples(st.integers(-3, 20), efforts, st.sampled_from(["debt", "model", "experiment"])), min_size=1, max_size=7
)


def made(drawn: list[tuple[int, float, str]], days: float, *floors: Floor) -> Programme:
    tasks = [task(f"t{index}", value, effort, kind=kind) for index, (value, effort, kind) in enumerate(drawn)]
    return one_resource(*tasks, days=days, floors=floors)


@settings(max_examples=40, deadline=None)
@given(small_tasks, efforts, efforts)
def test_more_capacity_is_never_worth_less(drawn: list[tuple[int, float, str]], days: float, more: float) -> None:
    assert solve(made(drawn, days + more)).value >= solve(made(drawn, days)).value


@settings(max_examples=40, deadline=None)
@given(small_tasks, st.integers(2, 12), st.floats(0, 1))
def test_a_floor_never_adds_value(drawn: list[tuple[int, float, str]], days: int, share: float) -> None:
    free = made(drawn, days)
    floored = lower_floors(made(drawn, days, Floor(("debt",), share)))
    assert solve(floored).value <= solve(free).value


ANSWER = """
import sys
sys.path.insert(0, "tests")
import numpy as np
from triage.quantile_programme import talkative
from toolkit.triage import mixed_integer
from toolkit.triage.programme_solver import solve_sampled
if sys.argv[1] == "held back":
    mixed_integer._own_descriptors = lambda: None
if sys.argv[1] == "aloud":
    mixed_integer.quietly = lambda work: work()
print("before", flush=True)
for programme, values in talkative():
    solve_sampled(programme, values, 0.25)
print("after", flush=True)
"""


@pytest.mark.parametrize(("way", "silent"), [("own descriptors", True), ("held back", True), ("aloud", False)], ids=str)
def test_the_solver_writes_nothing(way: str, silent: bool) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", ANSWER, way], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert (done.stdout == "before\nafter\n") == silent, done.stdout


@pytest.mark.parametrize("shared", [False, True], ids=["own descriptors", "held back"])
def test_other_threads_go_on_writing_while_it_is_silent(
    shared: bool, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if shared:
        monkeypatch.setattr(mixed_integer, "_own_descriptors", lambda: None)
    silent, written = threading.Event(), threading.Event()

    def solver() -> int:
        os.write(1, b"Highs says so\n")
        silent.set()
        assert written.wait(30)
        return 7

    def other() -> None:
        assert silent.wait(30)
        os.write(1, b"another thread\n")
        written.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert quietly(solver) == 7
    thread.join()
    os.write(1, b"afterwards\n")
    assert capfd.readouterr() == ("another thread\nafterwards\n", "")


def test_an_error_in_silence_is_heard() -> None:
    with pytest.raises(ZeroDivisionError):
        quietly(lambda: 1 // 0)


def test_a_programme_without_columns_is_feasible_if_its_rows_hold() -> None:
    empty = MixedInteger()
    empty.add_row({}, high=3)
    assert empty.maximise() == (pytest.approx(np.zeros(0)), 0, 0, True)
    empty.add_row({}, low=1)
    assert empty.maximise() is None


def test_brute_force_and_programme_speak_of_the_same_plans() -> None:
    programme = one_resource(task("a", 3, 6), task("b", 2, 4, requires=("a",)), days=7)
    assert all_plans(programme).tolist() == [[0, 0], [1, 0]]
    assert best_value(programme) == 3
    assert BEYOND < 0.01
