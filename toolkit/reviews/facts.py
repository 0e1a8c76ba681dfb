"""What happened in the period: deployments and incidents, as the workspace's tables have them at the instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from typing_extensions import override

from toolkit.data import Source, window_incidents
from toolkit.display import format_instant_day
from toolkit.records import ResultRow, Shown, number_row
from toolkit.reviews.period import PeriodReview
from toolkit.windows import format_instant

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Deployment:
    """One deploy or rollback."""

    occurred_at: datetime
    version: str
    kind: str
    commit: str | None


@dataclass(frozen=True)
class Deployments(Shown):
    """The deployments of the model in the period; `absent` says why they are not known, or is ""."""

    window: str
    deployments: tuple[Deployment, ...]
    absent: str = ""

    @property
    @override
    def text(self) -> str:
        if self.absent:
            return f"Deployments are absent: {self.absent}."
        listed = [f"{each.kind} of version {each.version}, {_day(each.occurred_at)}" for each in self.deployments]
        return f"{len(listed)} in the period: {'; '.join(listed)}." if listed else "No deployment in the period."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [_count("deployments", len(self.deployments), self.absent, self.window)]
        for each in self.deployments:
            where: dict[str, Any] = {
                "key": f"{each.kind} of version {each.version}, {format_instant(each.occurred_at)}",
                "window": self.window,
            }
            rows += [
                ResultRow(statistic="occurred_at", value=format_instant(each.occurred_at), **where),
                ResultRow(statistic="version", value=each.version, **where),
                ResultRow(statistic="kind", value=each.kind, **where),
                number_row(each.commit, NOT_RECORDED, statistic="commit", **where),
            ]
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "occurred_at": each.occurred_at,
                "kind": each.kind,
                "version": each.version,
                "commit": each.commit or NOT_RECORDED,
            }
            for each in self.deployments
        ]


def list_deployments(review: PeriodReview, source: Source) -> Deployments:
    """The deployments of the model in the period, the oldest first. Raises `ContractError`."""
    if absent := _not_configured(source, "deployments"):
        return Deployments(review.window.label, (), absent)
    optional = [name for name in ("commit",) if name in source.columns("deployments")]
    table = source.read("deployments", optional, as_of=review.as_of, start=review.window.start, end=review.window.end)
    table = table.filter(table.model == review.model.key).order_by("occurred_at", "version", "kind")
    found = source.execute(table, reading="deployments").to_dict("records")
    return Deployments(
        review.window.label,
        tuple(
            Deployment(_instant(row["occurred_at"]), row["version"], row["kind"], _text(row.get("commit")))
            for row in found
        ),
    )


@dataclass(frozen=True)
class Incident:
    """One incident that was open in the period; `resolved_at` is None while it is open."""

    key: str
    opened_at: datetime
    resolved_at: datetime | None
    severity: str
    caused_by: str | None


@dataclass(frozen=True)
class Incidents(Shown):
    """The incidents of the model that were open in the period, as known at `as_of`; `absent` says why none is known."""

    window: str
    as_of: datetime
    incidents: tuple[Incident, ...]
    absent: str = ""

    @property
    def unresolved(self) -> tuple[Incident, ...]:
        """The incidents that are still open at `as_of`."""
        return tuple(incident for incident in self.incidents if incident.resolved_at is None)

    @property
    @override
    def text(self) -> str:
        if self.absent:
            return f"Incidents are absent: {self.absent}."
        if not self.incidents:
            return "No incident was open in the period."
        severities = Counter(incident.severity for incident in self.incidents)
        counted = ", ".join(f"{count} {severity}" for severity, count in sorted(severities.items()))
        still = f"{len(self.unresolved)} of them still" if self.unresolved else "none of them"
        verb = "incident was" if len(self.incidents) == 1 else "incidents were"
        return f"{len(self.incidents)} {verb} open in the period ({counted}), {still} on {_day(self.as_of)}."

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [_count("incidents", len(self.incidents), self.absent, self.window)]
        for each in self.incidents:
            where: dict[str, Any] = {"key": each.key, "window": self.window}
            resolved_at = format_instant(each.resolved_at) if each.resolved_at else None
            rows += [
                ResultRow(statistic="opened_at", value=format_instant(each.opened_at), **where),
                number_row(resolved_at, self.open_reason, statistic="resolved_at", **where),
                ResultRow(statistic="severity", value=each.severity, **where),
                number_row(each.caused_by, NOT_RECORDED, statistic="caused_by", **where),
            ]
        return rows

    @property
    def open_reason(self) -> str:
        """What an incident without an end is."""
        return f"not resolved as of {format_instant(self.as_of)}"

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "incident": each.key,
                "severity": each.severity,
                "opened_at": each.opened_at,
                "resolved_at": each.resolved_at or self.open_reason,
                "caused_by": each.caused_by or NOT_RECORDED,
            }
            for each in self.incidents
        ]


def list_incidents(review: PeriodReview, source: Source) -> Incidents:
    """The incidents of the model that were open in the period, the oldest first. Raises `ContractError`."""
    if absent := _not_configured(source, "incidents"):
        return Incidents(review.window.label, review.as_of, (), absent)
    table = window_incidents(source, model=review.model.key, window=review.window, as_of=review.as_of)
    found = source.execute(table, reading="incidents").to_dict("records")
    return Incidents(
        review.window.label,
        review.as_of,
        tuple(
            Incident(
                row["incident_id"],
                _instant(row["opened_at"]),
                _instant_or_none(row["resolved_at"]),
                row["severity"],
                _text(row["caused_by"]),
            )
            for row in found
        ),
    )


def _not_configured(source: Source, table: str) -> str:
    return "" if table in source.tables else f"the workspace has no table {table} ([tables.{table}] in toolkit.toml)"


def _count(key: str, count: int, absent: str, window: str) -> ResultRow:
    return number_row(None if absent else count, absent, key=key, statistic="count", window=window)


def _instant(value: Any) -> datetime:
    instant: datetime = value.to_pydatetime()
    return instant


def _instant_or_none(value: Any) -> datetime | None:
    import pandas as pd

    return None if pd.isna(value) else _instant(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _day(instant: datetime) -> str:
    return format_instant_day(instant)
