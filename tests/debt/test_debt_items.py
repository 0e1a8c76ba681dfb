from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from conftest import MODEL, TEAMS
from toolkit.debt import DayRange, DebtItem, check_definitions, load_items
from toolkit.errors import DefinitionError, Skipped
from toolkit.examples.flights import DEFINITIONS
from toolkit.workspace import JOURNAL, Workspace, open_workspace

ITEM = """\
key: old
title: Something old
kind: code
owner: Ada
team: flow
description: It is old.
opened_on: "2013-02-01"
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for folder in ("models", "debt"):
        (tmp_path / folder).mkdir()
    (tmp_path / "toolkit.toml").write_text('schema_version = 2\nname = "w"\n\n[tables]\n')
    (tmp_path / "models" / "small.yml").write_text(MODEL)
    (tmp_path / "teams.yml").write_text(TEAMS)
    return open_workspace(tmp_path)


def load(workspace: Workspace, text: str) -> DebtItem:
    (workspace.root / "debt" / "old.yml").write_text(text)
    return load_items(workspace)["old"]


def problem(workspace: Workspace, text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        load(workspace, text)
    assert caught.value.path == workspace.root / "debt" / "old.yml"
    return str(caught.value)


def test_no_item_is_no_debt(workspace: Workspace) -> None:
    assert load_items(workspace) == {}


def test_an_item_and_what_nobody_said(workspace: Workspace) -> None:
    item = load(workspace, ITEM)
    assert (item.opened_on, item.status) == (date(2013, 2, 1), "open")
    assert (item.due_on, item.principal_days, item.interest_days_per_month, item.closed_on) == (None,) * 4
    assert JOURNAL.definitions.keys() >= {"debt/old.yml", "teams.yml"}


def test_everything_that_can_be_said(workspace: Workspace) -> None:
    item = load(
        workspace,
        ITEM + "model: small\ndue_on: 2013-03-01\nprincipal_days: {low: 1, likely: 2, high: 5}\n"
        "interest_days_per_month: {low: 0, likely: 0, high: 1}\nevidence: [triage/small@1]\npaths: [src/**]\n"
        "status: paid\nclosed_on: 2013-02-20\n",
    )
    assert item.principal_days == DayRange(low=1, likely=2, high=5)
    assert item.closed_on == date(2013, 2, 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ITEM.replace("kind: code", "kind: cdoe"), "debt/old.yml:3: kind is 'cdoe'; allowed: "),
        (ITEM + "due: 2013-03-01\n", "debt/old.yml:8: unknown key 'due'; allowed: "),
        (ITEM + "due_on: 20130301\n", "debt/old.yml:8: due_on is 20130301: must be a day, such as 2030-01-31"),
        (ITEM + "due_on: 2013-01-31\n", "debt/old.yml: due_on 2013-01-31 is before opened_on 2013-02-01"),
        (
            ITEM + "status: paid\nclosed_on: 2013-01-31\n",
            "debt/old.yml: closed_on 2013-01-31 is before opened_on 2013-02-01",
        ),
        (
            ITEM + "status: paid\n",
            "debt/old.yml: status is 'paid', so closed_on is needed: the day on which it was paid off",
        ),
        (
            ITEM + "closed_on: 2013-02-20\n",
            "debt/old.yml: closed_on is 2013-02-20, so status must be 'paid'; it is 'open'",
        ),
        (
            ITEM + "principal_days: {low: 3, likely: 2, high: 5}\n",
            "debt/old.yml:8: principal_days is {'low': 3, 'likely': 2, 'high': 5}: "
            "low 3.0 <= likely 2.0 <= high 5.0 does not hold",
        ),
        (
            ITEM + "principal_days: {low: 0, likely: 0, high: 0}\n",
            "debt/old.yml:8: principal_days.high is 0: input should be greater than 0",
        ),
        (
            ITEM.replace("team: flow", "team: flwo"),
            "debt/old.yml:5: team: unknown team 'flwo'; allowed: flow. Did you mean 'flow'?",
        ),
        (
            ITEM + "model: smal\n",
            "debt/old.yml:8: model: unknown model 'smal'; allowed: small. Did you mean 'small'?",
        ),
        (
            ITEM.replace("key: old", "key: new"),
            "debt/old.yml:1: key is 'new', and the file's name says 'old'; make them agree",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(workspace: Workspace, text: str, message: str) -> None:
    assert problem(workspace, text).startswith(message)


def test_the_problems_of_all_files_at_once(workspace: Workspace) -> None:
    (workspace.root / "debt" / "other.yml").write_text(ITEM.replace("key: old", "key: other") + "model: nope\n")
    text = problem(workspace, ITEM.replace("team: flow", "team: nobody"))
    assert text.splitlines() == [
        "debt/old.yml:5: team: unknown team 'nobody'; allowed: flow.",
        "debt/other.yml:8: model: unknown model 'nope'; allowed: small.",
    ]


def test_what_triage_needs_is_held_at_once(workspace: Workspace) -> None:
    check_definitions(workspace, model="small")
    with pytest.raises(Skipped, match=r"^no team in teams\.yml answers for model 'other'; add it to a team's models$"):
        check_definitions(workspace, model="other")
    (workspace.root / "debt" / "old.yml").write_text(ITEM.replace("team: flow", "team: nobody"))
    with pytest.raises(DefinitionError, match=r"^debt/old\.yml:5: team: unknown team 'nobody'; allowed: flow\.$"):
        check_definitions(workspace, model="small")
    (workspace.root / "teams.yml").unlink()
    with pytest.raises(DefinitionError) as caught:
        check_definitions(workspace, model="small")
    assert str(caught.value) == "teams.yml: there is no such file; write it, or take it from 'toolkit init'"


def test_the_example_owes_what_its_readme_says(tmp_path: Path) -> None:
    (tmp_path / "toolkit.toml").write_text('schema_version = 2\nname = "w"\n\n[tables]\n')
    for name in ("debt", "models", "teams.yml"):
        (tmp_path / name).symlink_to(DEFINITIONS / name)
    items = load_items(open_workspace(tmp_path))
    assert {key for key, item in items.items() if item.status == "open"} == {
        "never-recalibrated", "threshold-of-version-1", "weather-ends-early",
    }  # fmt: skip  # its lines group what belongs together
    assert [key for key, item in items.items() if item.principal_days] == ["never-recalibrated"]
