"""The data contracts: for each table its key, its time, its columns and the rules they keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "boolean", "instant"]


@dataclass(frozen=True)
class Column:
    """A column of a contract: its kind, whether every row must have it, and the bounds of a number."""

    kind: Kind
    required: bool = False
    low: float | None = None
    high: float | None = None


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
                "score": Column("number", low=0.0, high=1.0),
                "prediction": Column("number"),
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
    )
}
"""The contracts known so far, by table name."""
