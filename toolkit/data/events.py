"""The contract tables joined as they were known at an instant.

Lazy Ibis tables: nothing is executed but the contract checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from toolkit.data.source import Source
from toolkit.errors import Skipped
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

LABEL = "label"


def latest_labels(source: Source, *, as_of: datetime, since: datetime | None = None) -> ir.Table:
    """One row per labelled request: request_id, label and observed_at of the latest label known at `as_of`.

    Labels that arrived before `since` (the start of the requests' window) are not looked for.
    """
    outcomes = source.read("outcomes", [LABEL], as_of=as_of, start=since)
    return outcomes.aggregate(
        by="request_id",
        label=outcomes.label.cast("float64").argmax(outcomes.observed_at),
        observed_at=outcomes.observed_at.max(),
    )


def labelled_predictions(
    source: Source, columns: Iterable[str], *, model: str, window: Window, as_of: datetime
) -> ir.Table:
    """One row per request and version of `model` in `window`, with `columns`.

    When `columns` holds `label`, it is the latest label known at `as_of`, or missing.
    """
    wanted = list(dict.fromkeys(columns))
    own = [name for name in wanted if name != LABEL]
    predictions = source.read("predictions", own, as_of=as_of, start=window.start, end=window.end)
    predictions = predictions.filter(predictions.model == model)
    if LABEL not in wanted:
        return predictions
    labels = latest_labels(source, as_of=as_of, since=window.start).select("request_id", LABEL)
    return predictions.left_join(labels, "request_id").drop("request_id_right")


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
