"""The data contracts: for each table its key, its time, its columns and the rules they keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "boolean", "instant"]


@dataclass(frozen=True)
class Column:
    """A column of a contract: its kind, whether every row must have it, and the bounds of a number.

    NaN is no number. In a required column it breaks the contract like a missing value; elsewhere it is read as missing
    and counted in the manifest. `nan_only_if` names a boolean column that must be true wherever this one is NaN: a
    request that was answered without error and scored NaN is a model that failed without saying so.
    `not_before` names an instant that this one may not come before; `required_unless` names a column that may stand
    in for this one: a row that lacks both breaks the contract.
    """

    kind: Kind
    required: bool = False
    low: float | None = None
    high: float | None = None
    nan_only_if: str | None = None
    not_before: str | None = None
    required_unless: str | None = None


@dataclass(frozen=True)
class Table:
    """A table of the contracts. `open`: it may carry further columns (features and segments)."""

    name: str
    grain: str
    key: tuple[str, ...]
    time: str
    columns: dict[str, Column]
    open: bool = False


_TEXT = Column("text", required=True)
_INSTANT = Column("instant", required=True)

CONTRACTS = {
    table.name: table
    for table in (
        Table(
            "predictions",
            grain="one row per request and model version",
            key=("request_id", "model", "version"),
            time="occurred_at",
            columns={
                "request_id": _TEXT,
                "model": _TEXT,
                "version": _TEXT,
                "occurred_at": _INSTANT,
                "unit_id": _TEXT,
                "cluster_id": Column("text"),
                "score": Column("number", low=0.0, high=1.0, nan_only_if="error"),
                "prediction": Column("number", nan_only_if="error"),
                "decision": Column("boolean"),
                "threshold": Column("number"),
                "latency_ms": Column("number", low=0.0),
                "error": Column("boolean", required=True),
                "cost": Column("number"),
                "served": Column("boolean", required=True),
            },
            open=True,
        ),
        Table(
            "outcomes",
            grain="one row per label arrival",
            key=("request_id", "observed_at"),
            time="observed_at",
            columns={
                "request_id": _TEXT,
                "observed_at": _INSTANT,
                "label": Column("number", required=True, low=0.0, high=1.0),
            },
        ),
        Table(
            "exposures",
            grain="one row per exposure event",
            key=("experiment", "unit_id", "variant", "exposed_at"),
            time="exposed_at",
            columns={"experiment": _TEXT, "unit_id": _TEXT, "variant": _TEXT, "exposed_at": _INSTANT},
        ),
        Table(
            "deployments",
            grain="one row per deploy or rollback",
            key=("occurred_at", "model", "version", "kind"),
            time="occurred_at",
            columns={
                "occurred_at": _INSTANT,
                "model": _TEXT,
                "version": _TEXT,
                "kind": _TEXT,
                "commit": Column("text"),
                "committed_at": Column("instant"),
            },
        ),
        Table(
            "feedback",
            grain="one row per user report",
            key=("feedback_id",),
            time="occurred_at",
            columns={
                "feedback_id": _TEXT,
                "occurred_at": _INSTANT,
                "request_id": Column("text"),
                "unit_id": Column("text", required_unless="request_id"),
                "rating": Column("number"),
                "category": Column("text"),
                "text": Column("text"),
            },
        ),
        # On the model's own scale (log odds of a logistic regression). What the model adds for every request alike is
        # a row too, so that the rows of a request and version add up to what the model said.
        Table(
            "attributions",
            grain="one row per request, version and feature",
            key=("request_id", "version", "feature"),
            time="occurred_at",
            columns={
                "request_id": _TEXT,
                "version": _TEXT,
                "feature": _TEXT,
                "occurred_at": _INSTANT,
                "value": Column("number", required=True),
            },
        ),
        Table(
            "incidents",
            grain="one row per incident",
            key=("incident_id",),
            time="opened_at",
            columns={
                "incident_id": _TEXT,
                "opened_at": _INSTANT,
                "resolved_at": Column("instant", not_before="opened_at"),
                "model": _TEXT,
                "severity": _TEXT,
                "caused_by": Column("text"),
            },
        ),
        Table(
            "business",
            grain="one row per unit, time and measure",
            key=("unit_id", "occurred_at", "measure"),
            time="occurred_at",
            columns={
                "unit_id": _TEXT,
                "occurred_at": _INSTANT,
                "measure": _TEXT,
                "value": Column("number", required=True),
            },
        ),
    )
}
"""The contracts, by table name."""
