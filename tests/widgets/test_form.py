from __future__ import annotations

import json

import pytest

import toolkit as tk
from conftest import make_events, write_workspace
from toolkit.errors import UnknownNameError

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Square\n\nSquares a number."},
        {
            "cell_type": "code",
            "id": "p",
            "metadata": {"tags": ["parameters"]},
            "outputs": [],
            "source": 'side: int = 3  # metres\nmodel: str = ""  # key in models/\nloud: bool = False  # shout\n'
            'as_of: str = ""  # ISO instant',
            "execution_count": None,
        },
        {
            "cell_type": "code",
            "id": "c",
            "metadata": {},
            "outputs": [],
            "source": "print(side**2, model)",
            "execution_count": None,
        },
        {
            "cell_type": "code",
            "id": "f",
            "metadata": {},
            "outputs": [],
            "source": "assert side > 0, 'no such square'",
            "execution_count": None,
        },
    ],
    "metadata": {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "toolkit": {"subject": "{model}", "reads": []},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def workspace(tmp_path):
    workspace = write_workspace(tmp_path, *make_events(requests=10)).workspace
    workspace.templates.mkdir()
    (workspace.templates / "square.ipynb").write_text(json.dumps(NOTEBOOK))
    return workspace


def test_fields_are_the_templates_own_parameters(workspace):
    form = tk.form("square", workspace)
    assert {name: type(field).__name__ for name, field in form.fields.items()} == {
        "side": "Text",
        "model": "Dropdown",
        "loud": "Checkbox",
        "as_of": "Text",
    }
    assert form.fields["model"].options == ("", "small")
    assert form.fields["side"].value == "3"
    assert form.parameters == {}
    assert not form.button.disabled


def test_wrong_input_is_said_in_the_command_lines_words(workspace):
    form = tk.form("square", workspace)
    form.fields["side"].value = "three"
    assert "error: side == &#x27;three&#x27;, must be a whole number (int)" in form.message.value
    assert form.button.disabled
    assert form.run() is None
    form.fields["side"].value = "4"
    assert form.message.value == ""
    assert not form.button.disabled
    assert form.parameters == {"side": "4"}


def test_an_instant_is_checked_while_one_types(workspace):
    form = tk.form("square", workspace)
    form.fields["as_of"].value = "2013-13-01"
    assert "error: as_of == &#x27;2013-13-01&#x27;, must be an ISO date or instant in UTC" in form.message.value
    form.fields["as_of"].value = "2013-12-01"
    assert form.message.value == ""


def test_unknown_template(workspace):
    with pytest.raises(UnknownNameError, match="unknown template 'sqare'.*Did you mean 'square'"):
        tk.form("sqare", workspace)


def test_run_publishes_and_shows_the_report(workspace):
    form = tk.form("square", workspace)
    form.fields["side"].value = "7"
    form.button.click()
    assert str(form.published.reference) == "square/small@1"
    assert form.bar.value == form.bar.max
    assert form.bar.bar_style == "success"
    assert "49 small" in form.report.value
    assert "<iframe sandbox" in form.report.value


def test_a_failed_run_says_why_and_can_be_tried_again(workspace):
    form = tk.form("square", workspace)
    form.fields["side"].value = "-1"
    form.button.click()
    assert form.published is None
    assert "no such square" in form.message.value
    assert form.bar.bar_style == "danger"
    assert not form.button.disabled
