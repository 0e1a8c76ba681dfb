"""Sums of attributions by day and feature: what a model's answers rested on."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from toolkit.data import Source
from toolkit.data.instants import date_of, days_as_text
from toolkit.windows import Window


class AttributionDay(NamedTuple):
    """The attributions of one feature on one day.

    Attributes
    ----------
    requests: that have one. size_sum: Σ |value|. lowest, highest: of the values.
    """

    day: str
    feature: str
    requests: int
    size_sum: float
    lowest: float
    highest: float


def attribution_days(
    source: Source, *, model: str, version: str, window: Window, as_of: datetime
) -> tuple[AttributionDay, ...]:
    """By day and feature, for the answers of one version of a model in `window`; one query.

    Attributions name a request and a version but no model, so they are held against the predictions. Raises
    `ContractError`; a workspace without attributions gives none.
    """
    if "attributions" not in source.tables:
        return ()
    attributions = source.read("attributions", ["value"], as_of=as_of, start=window.start, end=window.end)
    attributions = attributions.filter(attributions.version == version)
    made = source.read("predictions", ["error"], as_of=as_of, start=window.start, end=window.end)
    made = made.filter(made.model == model, made.version == version, ~made.error)
    rows = attributions.semi_join(made, "request_id")
    size = rows.value.abs()
    sums = rows.group_by(day=date_of(rows.occurred_at), feature=rows.feature).aggregate(
        requests=rows.count(),
        size_sum=size.sum(),
        lowest=rows.value.min(),
        highest=rows.value.max(),
    )
    found = source.execute(days_as_text(sums).order_by("day", "feature"), reading="attributions and predictions")
    return tuple(
        AttributionDay(
            str(row["day"]),
            str(row["feature"]),
            int(row["requests"]),
            float(row["size_sum"]),
            float(row["lowest"]),
            float(row["highest"]),
        )
        for row in found.to_dict("records")
    )
