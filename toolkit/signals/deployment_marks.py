"""Deployments as marks beside what was observed: hints, never causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from toolkit.data import Source
from toolkit.windows import Window

_NEAR = timedelta(days=3)
"""How long after a deployment something may begin and still have it named beside it."""


@dataclass(frozen=True, order=True)
class DeploymentMark:
    """One deployment of a model: when, of which version, and whether it was a deploy or a rollback."""

    occurred_at: datetime
    version: str
    kind: str


def find_deployments(source: Source, model: str, *, window: Window, as_of: datetime) -> tuple[DeploymentMark, ...]:
    """The deployments of a model in a window, the oldest first; () where the workspace has no such table.

    Raises `ContractError`.
    """
    if "deployments" not in source.tables:
        return ()
    rows = source.read("deployments", (), as_of=as_of, start=window.start, end=window.end)
    frame = source.execute(rows.filter(rows.model == model), reading="deployments")
    marks = (
        DeploymentMark(row.occurred_at.to_pydatetime(), str(row.version), str(row.kind))
        for row in frame.itertuples(index=False)
    )
    return tuple(sorted(marks))


def name_latest(deployments: Sequence[DeploymentMark], *, before: datetime, since: date | None = None) -> str:
    """The latest deployment in the three days before an instant, and after the day `since`, in words; "" without one.

    >>> from toolkit.windows import parse_instant
    >>> mark = DeploymentMark(parse_instant("2030-01-02T10:00Z"), "2", "deploy")
    >>> name_latest([mark], before=parse_instant("2030-01-02T13:00Z"))
    '3 h after deploy of version 2'
    """
    near = [
        mark
        for mark in deployments
        if before - _NEAR <= mark.occurred_at <= before and (since is None or mark.occurred_at.date() >= since)
    ]
    if not near:
        return ""
    latest = max(near)
    return f"{_in_words(before - latest.occurred_at)} after {latest.kind} of version {latest.version}"


def _in_words(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 60 / 24:.0f} days"


def find_commits(source: Source, model: str, *, until: datetime, as_of: datetime) -> dict[str, str]:
    """The commit that each version of a model was last deployed from before `until`, as far as deployments say it.

    Raises `ContractError`.
    """
    if "deployments" not in source.tables or "commit" not in source.columns("deployments"):
        return {}
    rows = source.read("deployments", ["commit"], as_of=as_of, end=until)
    rows = rows.filter(rows.model == model, rows.commit.notnull())
    frame = source.execute(rows.order_by("occurred_at", "version", "kind"), reading="deployments")
    return {str(row.version): str(row.commit) for row in frame.itertuples(index=False)}
