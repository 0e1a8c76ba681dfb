"""Ideas and debt as they are written down, in a workspace of one model and one team."""

from __future__ import annotations

from pathlib import Path

from conftest import MODEL, TEAMS
from toolkit.workspace import Workspace, open_workspace

_IDEA = """\
key: {key}
kind: {kind}
title: {title}
owner: Ada
team: flow
model: small
description: It should help.
"""
_ESTIMATES = """\
value_per_week: {{low: {low}, likely: {value}, high: {high}, unit: {unit}}}
effort_days: {{low: {days}, likely: {days}, high: {days}}}
"""
_DEBT = """\
key: old
title: Something old
kind: code
owner: Bea
team: flow
description: It is old.
opened_on: "2013-02-01"
"""


def make_workspace(root: Path) -> Workspace:
    """The model small and the team flow, which has 5 days in 14; nothing is written down to do."""
    (root / "models").mkdir()
    (root / "toolkit.toml").write_text('schema_version = 2\nname = "w"\n[tables]\n')
    (root / "models" / "small.yml").write_text(MODEL)
    (root / "teams.yml").write_text(TEAMS)
    return open_workspace(root)


def idea_text(key: str, *, kind: str = "model", title: str = "Something better") -> str:
    """An idea of seven lines that nobody has estimated."""
    return _IDEA.format(key=key, kind=kind, title=title)


def write_idea(
    workspace: Workspace, key: str, more: str = "", *, kind: str = "model", title: str = "Something better"
) -> None:
    """Write an idea down, with lines added."""
    (workspace.root / "ideas").mkdir(exist_ok=True)
    (workspace.root / "ideas" / f"{key}.yml").write_text(idea_text(key, kind=kind, title=title) + more)


def write_estimated(
    workspace: Workspace,
    key: str,
    value: float,
    days: float,
    more: str = "",
    *,
    kind: str = "model",
    unit: str = "EUR",
    times: float = 1,
) -> None:
    """Write an idea down whose effort is certain, and whose value may be so many times smaller or larger."""
    estimates = _ESTIMATES.format(low=value / times, value=value, high=value * times, days=days, unit=unit)
    write_idea(workspace, key, estimates + more, kind=kind, title=f"Do {key}")


def write_debt(workspace: Workspace, more: str = "") -> None:
    """Write the debt item old down, of seven lines that nobody has estimated, with lines added."""
    (workspace.root / "debt").mkdir(exist_ok=True)
    (workspace.root / "debt" / "old.yml").write_text(_DEBT + more)
