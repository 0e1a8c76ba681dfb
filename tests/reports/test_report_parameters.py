from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as st

from toolkit.errors import ParameterError, TemplateError
from toolkit.reports import find_template, resolve_parameters
from toolkit.reports.parameters import name_subject, safe_component
from toolkit.workspace import Workspace


def test_defaults_fill_what_was_not_given(workspace: Workspace) -> None:
    template = find_template(workspace, "every_type")
    assert resolve_parameters(template, {"name": "a", "free": 1}) == {
        "name": "a",
        "count": 3,
        "rate": 0.5,
        "flag": False,
        "keys": [],
        "map": {},
        "note": None,
        "bare": 7,
        "free": 1,
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", "5", "5"),
        ("count", "5", 5),
        ("rate", "5", 5.0),
        ("rate", "1e-3", 0.001),
        ("flag", "true", True),
        ("flag", "False", False),
        ("keys", '["a", "b"]', ["a", "b"]),
        ("map", '{"a": 1}', {"a": 1}),
        ("note", "null", "null"),
        ("bare", "8", 8),
        ("bare", "eight", "eight"),
    ],
)
def test_text_is_read_by_the_declared_type(workspace: Workspace, name: str, text: str, value: Any) -> None:
    found = resolve_parameters(find_template(workspace, "every_type"), {"name": "a", "free": "", name: text})
    assert found[name] == value
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"cout": 3},
            (
                "unknown parameter 'cout'; allowed: bare, count, flag, free, keys, made, map, name, note, rate. "
                "Did you mean 'count'?"
            ),
        ),
        ({"count": "x"}, "count == 'x', must be a whole number (int)"),
        ({"count": 2.5}, "count == 2.5, must be a whole number (int)"),
        ({"count": True}, "count == True, must be a whole number (int)"),
        ({"rate": "fast"}, "rate == 'fast', must be a number (float)"),
        ({"flag": "yes"}, "flag == 'yes', must be true or false (bool)"),
        ({"flag": 1}, "flag == 1, must be true or false (bool)"),
        ({"keys": "a,b"}, 'keys == \'a,b\', must be a JSON list such as ["a", "b"] (list[str])'),
        ({"map": "[1]"}, 'map == [1], must be a JSON mapping such as {"a": 1} (dict)'),
        ({"note": 1}, "note == 1, must be text (str | None)"),
        (
            {"bare": date(2013, 5, 1)},
            (
                "bare == datetime.date(2013, 5, 1) (date) has no JSON form; give text, a finite number, true or false, "
                "a list or a mapping, and an instant as ISO text"
            ),
        ),
        (
            {"rate": float("nan")},
            (
                "rate == nan (float) has no JSON form; give text, a finite number, true or false, "
                "a list or a mapping, and an instant as ISO text"
            ),
        ),
        (
            {"keys": {"a"}},
            (
                "keys == {'a'} (set) has no JSON form; give text, a finite number, true or false, "
                "a list or a mapping, and an instant as ISO text"
            ),
        ),
    ],
)
def test_a_bad_parameter_is_refused_in_full_words(workspace: Workspace, given: dict[str, object], message: str) -> None:
    template = find_template(workspace, "every_type")
    with pytest.raises(ParameterError, match=f"^{re.escape(message)}$"):
        resolve_parameters(template, {"name": "a", "free": 0} | given)


def test_every_problem_is_told_at_once(workspace: Workspace) -> None:
    template = find_template(workspace, "every_type")
    with pytest.raises(ParameterError) as caught:
        resolve_parameters(template, {"count": "x"})
    assert str(caught.value).splitlines() == [
        "parameter 'name' is missing: str (text; a = sign inside)",
        "count == 'x', must be a whole number (int)",
        "parameter 'free' is missing: a value (no type)",
    ]


def test_parameters_without_a_tagged_cell_are_refused(workspace: Workspace) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve_parameters(find_template(workspace, "lost_tag"), {"alpha": 0.01})
    assert str(caught.value) == (
        "parameter 'alpha' would have no effect: templates/lost_tag.ipynb has no cell tagged 'parameters'. "
        "Tag the cell that sets them (in JupyterLab: Property Inspector, Cell Tags)"
    )
    assert resolve_parameters(find_template(workspace, "lost_tag"), {}) == {}


def test_parameters_of_another_language_are_refused(workspace: Workspace) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve_parameters(find_template(workspace, "other_language"), {"a": 1})
    assert str(caught.value) == (
        "parameter 'a' cannot be checked: templates/other_language.ipynb is written in r, "
        "and only the parameters of Python notebooks can be read"
    )


def test_the_subject_is_filled_from_the_parameters(workspace: Workspace) -> None:
    template = find_template(workspace, "saves")
    assert name_subject(template, {"city": "oslo"}) == "oslo"
    assert name_subject(find_template(workspace, "plain"), {}) == "default"
    with pytest.raises(
        ParameterError, match=r"^city == ''; it names the subject of the report, so it cannot be empty$"
    ):
        name_subject(template, {"city": ""})


def test_a_subject_pattern_that_names_no_parameter_is_a_template_error(workspace: Workspace) -> None:
    with pytest.raises(TemplateError) as caught:
        name_subject(find_template(workspace, "bad_subject"), {"city": "a"})
    assert str(caught.value) == (
        "templates/bad_subject.ipynb: the subject '{citty}' names unknown parameter 'citty'; allowed: city. "
        "Did you mean 'city'?"
    )


@any_of(st.text(), st.text())
def test_a_safe_component_is_one_path_part_and_never_shared(one: str, other: str) -> None:
    named = []
    for text in (one, other):
        try:
            named.append(safe_component(text))
        except ParameterError:
            named.append(f"refused {text}")
            continue
        assert re.fullmatch(r"[\w.-]+", named[-1])
        assert named[-1] not in (".", "..")
        assert len(named[-1]) <= 89
    assert (named[0] == named[1]) == (one == other)
