from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from triage.written_ideas import idea_text, make_workspace

from toolkit.errors import DefinitionError
from toolkit.triage import load_ideas
from toolkit.workspace import JOURNAL, Workspace


def waiting(key: str, after: str = "") -> str:
    return idea_text(key) + f"depends_on: [{after}]\n"


def lay(workspace: Workspace, **ideas: str) -> None:
    (workspace.root / "ideas").mkdir(exist_ok=True)
    for path in (workspace.root / "ideas").iterdir():
        path.unlink()
    for key, text in ideas.items():
        (workspace.root / "ideas" / f"{key}.yml").write_text(text)


def chain(workspace: Workspace, **after: str) -> None:
    lay(workspace, **{key: waiting(key, others) for key, others in after.items()})


def ideas_error(workspace: Workspace) -> str:
    with pytest.raises(DefinitionError) as caught:
        load_ideas(workspace)
    assert caught.value.path is not None
    assert caught.value.path.parent == workspace.root / "ideas"
    return str(caught.value)


def test_without_ideas_there_are_none_and_no_team_is_needed(workspace: Workspace) -> None:
    (workspace.root / "teams.yml").unlink()
    assert load_ideas(workspace) == {}


def test_ideas_by_key_with_all_that_was_estimated_and_nothing_else(workspace: Workspace) -> None:
    estimated = waiting("b", "a") + (
        "evidence: [triage/small@1]\n"
        "value_per_week: {low: -1, likely: 2, high: 3.5, unit: EUR}\n"
        "effort_days: {low: 1, likely: 2, high: 5}\n"
        "confidence: 0.5\n"
        "deadline: 2014-01-31\n"
    )
    lay(workspace, b=estimated, a=waiting("a"))
    first, second = load_ideas(workspace).values()
    assert (first.key, second.key, second.depends_on) == ("a", "b", ("a",))
    assert (first.value_per_week, first.effort_days, first.confidence, first.deadline) == (None, None, None, None)
    assert second.value_per_week is not None
    assert second.effort_days is not None
    assert second.value_per_week.model_dump() == {"low": -1, "likely": 2, "high": 3.5, "unit": "EUR"}
    assert (second.effort_days.likely, second.confidence, second.deadline) == (2, 0.5, date(2014, 1, 31))
    assert {"ideas/a.yml", "ideas/b.yml", "teams.yml"} <= set(JOURNAL.definitions)


def test_what_an_idea_names_must_be_there(workspace: Workspace) -> None:
    chain(workspace, calibrate="", after="calibrat, cal")
    wrong = waiting("other").replace("flow", "flwo").replace("small", "smal")
    (workspace.root / "ideas" / "other.yml").write_text(wrong)
    assert ideas_error(workspace).splitlines() == [
        "ideas/after.yml:8: depends_on: unknown idea 'calibrat'; allowed: after, calibrate, other. "
        "Did you mean 'calibrate'?",
        "ideas/after.yml:8: depends_on: unknown idea 'cal'; allowed: after, calibrate, other.",
        "ideas/other.yml:5: team: unknown team 'flwo'; allowed: flow. Did you mean 'flow'?",
        "ideas/other.yml:6: model: unknown model 'smal'; allowed: small. Did you mean 'small'?",
    ]


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("confidence: 1.5\n", "confidence is 1.5: input should be less than or equal to 1"),
        ("deadline: soon\n", "deadline is 'soon': must be a day, such as 2030-01-31"),
        ("deadline: 20300131\n", "deadline is 20300131: must be a day, such as 2030-01-31"),
        ("deadline: 2030-01-32\n", "deadline is '2030-01-32': must be a day, such as 2030-01-31"),
        (
            "value_per_week: {low: 3, likely: 2, high: 4, unit: EUR}\n",
            "value_per_week is {'low': 3, 'likely': 2, 'high': 4, 'unit': 'EUR'}: "
            "low 3.0 <= likely 2.0 <= high 4.0 does not hold",
        ),
        ("value_per_week: {low: 1, likely: 2, high: 4}\n", "key 'value_per_week.unit' is missing"),
        (
            "effort_days: {low: 0, likely: 2, high: 4}\n",
            "effort_days.low is 0: input should be greater than 0",
        ),
        (
            "effort: 2\n",
            "unknown key 'effort'; allowed: confidence, deadline, depends_on, description, effort_days, evidence, "
            "excludes, key, kind, model, must_do, owner, points, risk_per_week, roles, signals, team, title, "
            "value_per_week. Did you mean 'effort_days'?",
        ),
    ],
)
def test_a_wrong_estimate(workspace: Workspace, added: str, message: str) -> None:
    lay(workspace, a=waiting("a") + added)
    assert ideas_error(workspace) == f"ideas/a.yml:9: {message}"


def test_two_ideas_with_one_id(workspace: Workspace) -> None:
    lay(workspace, a=waiting("a"), b=waiting("a"))
    assert ideas_error(workspace) == (
        "ideas/b.yml:1: key is 'a', and the file's name says 'b'; ideas/a.yml has that key already; make them agree"
    )


def test_a_circle_is_told_with_every_step(workspace: Workspace) -> None:
    chain(workspace, d="c", c="a", b="c", a="b")
    assert ideas_error(workspace) == "ideas/a.yml:8: depends_on: a → b → c → a is a circle; take out one of its steps"
    chain(workspace, a="", b="a, b")
    assert ideas_error(workspace) == "ideas/b.yml:8: depends_on: b → b is a circle; take out one of its steps"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=7))
def test_ideas_load_just_when_there_is_an_order_to_do_them_in(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    workspace = make_workspace(tmp_path_factory.mktemp("ideas"))
    after = {f"k{n}": ", ".join(f"k{b}" for a, b in sorted(set(steps)) if a == n) for n in range(5)}
    chain(workspace, **after)
    reached = set(steps)
    for _ in range(5):
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
    if any(a == b for a, b in reached):
        message = ideas_error(workspace)
        circle = message.split("depends_on: ")[1].split(" is a circle")[0].split(" → ")
        assert circle[0] == circle[-1]
        assert all((int(a[1]), int(b[1])) in steps for a, b in pairwise(circle))
    else:
        assert list(load_ideas(workspace)) == sorted(after)
