"""The data contracts: for each table its key, its time, its columns and the rules they keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "boolean", "instant"]


@dataclass(frozen=True)
class Column:
    """A column of a contract: its kind, what it says (with its unit), whether every row must have it, and its bounds.

    NaN is no number. In a required column it breaks the contract like a missing value; elsewhere it is read as missing
    and counted in the manifest. `nan_only_if` names a boolean column that must be true wherever this one is NaN: a
    request that was answered without error and scored NaN is a model that failed without saying so.
    `not_before` names an instant that this one may not come before; `required_unless` names a column that may stand
    in for this one: a row that lacks both breaks the contract.
    """

    kind: Kind
    description: str = ""
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


def _text(description: str) -> Column:
    return Column("text", description, required=True)


def _instant(description: str) -> Column:
    return Column("instant", description, required=True)


CONTRACTS = {
    table.name: table
    for table in (
        Table(
            "predictions",
            grain="one row per request and model version",
            key=("request_id", "model", "version"),
            time="occurred_at",
            columns={
                "request_id": _text("the request; its outcomes name it"),
                "model": _text("key of the model, as in models/<key>.yml"),
                "version": _text("the model's version"),
                "occurred_at": _instant("when the model answered"),
                "unit_id": _text("the unit that experiments assign, such as a user"),
                "cluster_id": Column("text", "what requests share that makes them alike, such as an account"),
                "score": Column(
                    "number", "the probability that the model gave to a yes", low=0.0, high=1.0, nan_only_if="error"
                ),
                "prediction": Column(
                    "number",
                    "what the model predicted, where that is no probability, in the unit of the label",
                    nan_only_if="error",
                ),
                "decision": Column("boolean", "what was decided for the request: true is a yes"),
                "threshold": Column("number", "the score from which on the decision was a yes"),
                "latency_ms": Column("number", "how long the answer took, in ms", low=0.0),
                "error": Column("boolean", "the request failed and has no answer", required=True),
                "error_text": Column(
                    "text", "what the service said when the request failed; no personal data where that can be avoided"
                ),
                "cost": Column("number", "what the request cost, in the currency of the workspace"),
                "served": Column("boolean", "the answer was used; false: it was made beside (shadow)", required=True),
                "received_at": Column("instant", "when the row arrived where it is read"),
            },
            open=True,
        ),
        Table(
            "outcomes",
            grain="one row per label arrival",
            key=("request_id", "observed_at"),
            time="observed_at",
            columns={
                "request_id": _text("the request"),
                "observed_at": _instant("when the label became known"),
                "label": Column(
                    "number", "what really happened: 1 is a yes, 0 a no; or a number, as predicted", required=True
                ),
            },
        ),
        Table(
            "exposures",
            grain="one row per exposure event",
            key=("experiment", "unit_id", "variant", "exposed_at"),
            time="exposed_at",
            columns={
                "experiment": _text("key of the experiment, as in experiments/<key>.yml"),
                "unit_id": _text("the unit that was assigned"),
                "variant": _text("the variant that it was given"),
                "exposed_at": _instant("when it met the variant"),
            },
        ),
        Table(
            "deployments",
            grain="one row per deploy or rollback",
            key=("occurred_at", "model", "version", "kind"),
            time="occurred_at",
            columns={
                "occurred_at": _instant("when it went live"),
                "model": _text("key of the model"),
                "version": _text("the version that went live"),
                "kind": _text("what was done: deploy or rollback"),
                "commit": Column("text", "the commit that the version was built from"),
                "committed_at": Column("instant", "when that commit was made"),
            },
        ),
        Table(
            "feedback",
            grain="one row per user report",
            key=("feedback_id",),
            time="occurred_at",
            columns={
                "feedback_id": _text("the report"),
                "occurred_at": _instant("when the user said it"),
                "request_id": Column("text", "the request that it is about"),
                "unit_id": Column(
                    "text", "the unit that it is about, where no request is named", required_unless="request_id"
                ),
                "rating": Column("number", "the user's rating, on the scale of the workspace"),
                "category": Column("text", "the kind of report, such as wrong"),
                "text": Column("text", "what the user wrote; no personal data"),
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
                "request_id": _text("the request"),
                "version": _text("the model's version"),
                "feature": _text("name of the feature"),
                "occurred_at": _instant("when the model answered"),
                "value": Column("number", "what the feature added, on the model's own scale", required=True),
            },
        ),
        Table(
            "incidents",
            grain="one row per incident",
            key=("incident_id",),
            time="opened_at",
            columns={
                "incident_id": _text("the incident"),
                "opened_at": _instant("when it began"),
                "resolved_at": Column("instant", "when it was over; missing while it is open", not_before="opened_at"),
                "model": _text("key of the model"),
                "severity": _text("how bad it was, in the team's words"),
                "caused_by": Column("text", "what caused it, such as deploy"),
            },
        ),
        Table(
            "business",
            grain="one row per unit, time and measure",
            key=("unit_id", "occurred_at", "measure"),
            time="occurred_at",
            columns={
                "unit_id": _text("the unit"),
                "occurred_at": _instant("when it was measured"),
                "measure": _text("name of the measure"),
                "value": Column("number", "its value, in the unit of the measure", required=True),
            },
        ),
        # What `toolkit.data.writer` says about itself. No report is made of it but the one on the channel.
        Table(
            "deliveries",
            grain="one row per writer, time of its account, table and outcome",
            key=("writer_id", "reported_at", "table", "outcome"),
            time="reported_at",
            columns={
                "writer_id": _text("the process that writes events"),
                "reported_at": _instant("when it gave account"),
                "table": _text("the table that the events are of"),
                "outcome": _text("written, or why they were dropped"),
                "events": Column("number", "how many since its last account", required=True, low=0.0),
            },
        ),
    )
}
"""The contracts, by table name."""
