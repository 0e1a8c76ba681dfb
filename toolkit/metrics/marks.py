"""What happened to a model while its metrics were taken: deployments and incidents, to stand beside them by their time.

They are marks beside a course, and never called its cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from toolkit.data import Source, window_incidents

if TYPE_CHECKING:
    from toolkit.windows import Window


@dataclass(frozen=True)
class Mark:
    """A deployment, or an incident from when it was opened until it was resolved; `until` is None while it is open.

    `severity` is an incident's, in the team's words.
    """

    kind: Literal["deployment", "incident"]
    at: datetime
    until: datetime | None
    name: str
    severity: str = ""

    @property
    def day(self) -> date:
        """The UTC day that it happened, or began."""
        return self.at.astimezone(UTC).date()

    @property
    def last_day(self) -> date:
        """The UTC day that it was over; the day that it began for a deployment, and while nobody knows."""
        return self.day if self.until is None else self.until.astimezone(UTC).date()

    @property
    def text(self) -> str:
        """Its name with its first day."""
        return f"{self.name}, {self.day}"


@dataclass(frozen=True)
class Marks:
    """The marks of a window, the oldest first; `absent` says which tables the workspace does not have."""

    marks: tuple[Mark, ...]
    absent: tuple[str, ...]

    def near(self, first: date, last: date) -> tuple[Mark, ...]:
        """The marks that happened, or lasted, on a day from `first` to `last`."""
        return tuple(mark for mark in self.marks if mark.day <= last and mark.last_day >= first)


def list_marks(source: Source, *, model: str, window: Window, as_of: datetime) -> Marks:
    """The deployments of a model in `window`, and its incidents that were open then, as known at `as_of`.

    Raises `ContractError`.
    """
    found = [
        *list_deployments(source, model=model, window=window, as_of=as_of),
        *_incidents(source, model, window, as_of),
    ]
    absent = tuple(table for table in ("deployments", "incidents") if table not in source.tables)
    return Marks(tuple(sorted(found, key=_by_time)), absent)


def list_deployments(source: Source, *, model: str, window: Window, as_of: datetime) -> tuple[Mark, ...]:
    """The deployments of a model in `window`, the oldest first; none where the workspace has no such table.

    Raises `ContractError`.
    """
    if "deployments" not in source.tables:
        return ()
    rows = source.read("deployments", (), as_of=as_of, start=window.start, end=window.end)
    rows = rows.filter(rows.model == model).select("occurred_at", "version", "kind")
    found = [
        Mark("deployment", _instant(row["occurred_at"]), None, f"{row['kind']} of version {row['version']}")
        for row in source.execute(rows, reading="deployments").to_dict("records")
    ]
    return tuple(sorted(found, key=_by_time))


def _incidents(source: Source, model: str, window: Window, as_of: datetime) -> list[Mark]:
    if "incidents" not in source.tables:
        return []
    rows = window_incidents(source, model=model, window=window, as_of=as_of)
    found = source.execute(rows, reading="incidents")
    resolved = found["resolved_at"].notna()
    return [
        Mark(
            "incident",
            _instant(row["opened_at"]),
            _instant(row["resolved_at"]) if over else None,
            f"incident {row['incident_id']}",
            row["severity"],
        )
        for row, over in zip(found.to_dict("records"), resolved, strict=True)
    ]


def _instant(value: Any) -> datetime:
    instant: datetime = value.to_pydatetime()
    return instant


def _by_time(mark: Mark) -> tuple[datetime, str, str]:
    return mark.at, mark.kind, mark.name
