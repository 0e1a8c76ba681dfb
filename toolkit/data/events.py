"""What the other tables of the contracts hold, as it was known at an instant.

Lazy Ibis tables: nothing is executed but the contract checks.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from toolkit.checks import check_in
from toolkit.data.labels import labelled_predictions
from toolkit.data.source import Source
from toolkit.errors import Skipped
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir


def serving_version(source: Source, *, model: str, window: Window, as_of: datetime) -> tuple[str, float]:
    """The version that served most of the model's requests in `window`, and its share of them.

    Raises `Skipped` when the model served nothing then.
    """
    served = labelled_predictions(source, ["served"], model=model, window=window, as_of=as_of)
    served = served.filter(served.served)
    counts = source.execute(
        served.group_by("version").aggregate(requests=served.count()), reading="predictions"
    ).sort_values(["requests", "version"], ascending=False)
    if counts.empty:
        raise Skipped(f"model {model!r} served no request in {window.label}")
    return str(counts["version"].iloc[0]), float(counts["requests"].iloc[0] / counts["requests"].sum())


def window_incidents(source: Source, *, model: str, window: Window, as_of: datetime) -> ir.Table:
    """One row per incident of `model` that was open at some time in `window`, as known at `as_of`, the oldest first.

    Columns: incident_id, opened_at, resolved_at (missing while it is open: at `as_of`, too, when it was resolved
    later), severity, caused_by (missing where the workspace's table has no such column).

    Raises `ContractError`.
    """
    import ibis

    optional = [name for name in ("resolved_at", "caused_by") if name in source.columns("incidents")]
    # From the beginning: an incident that was opened before the window may have been open in it.
    incidents = source.read("incidents", ["model", "severity", *optional], as_of=as_of, end=window.end)
    if "resolved_at" in optional:
        resolved_at = (incidents.resolved_at <= as_of).ifelse(incidents.resolved_at, None)
    else:
        resolved_at = ibis.null("timestamp('UTC', 6)")
    caused_by = incidents.caused_by if "caused_by" in optional else ibis.null("string")
    incidents = incidents.mutate(resolved_at=resolved_at, caused_by=caused_by)
    was_open = incidents.resolved_at.isnull() | (incidents.resolved_at > window.start)
    return (
        incidents.filter((incidents.model == model) & was_open)
        .select("incident_id", "opened_at", "resolved_at", "severity", "caused_by")
        .order_by("opened_at", "incident_id")
    )


def business_values(source: Source, measure: str, *, window: Window, as_of: datetime) -> ir.Table:
    """One row per unit and time of one business measure in `window`: unit_id, occurred_at, value, as known at `as_of`.

    Raises `UnknownNameError` (nearest) when the window's rows are all of other measures, `ContractError`.
    """
    rows = source.read("business", ["value"], as_of=as_of, start=window.start, end=window.end)
    measures = source.execute(rows.select("measure").distinct(), reading="business")["measure"].tolist()
    if measures:
        check_in(measure, sorted(measures), noun="business measure")
    return rows.filter(rows.measure == measure).select("unit_id", "occurred_at", "value")
