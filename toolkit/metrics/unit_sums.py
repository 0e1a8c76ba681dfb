"""What each unit adds to every metric on each day: summed from the requests once, kept by day.

An experiment, a power analysis or a holdout then reads unit-days, and joins no request with its label a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toolkit.data.unit_days import DayOfEvents, UnitDays
from toolkit.digests import digest_value
from toolkit.metrics.daily import Wanted
from toolkit.metrics.kinds import RatioKind
from toolkit.metrics.needs import addends
from toolkit.metrics.query import Population, Question

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.data import ModelDefinition, Source
    from toolkit.metrics.kinds import MetricDefinition
    from toolkit.windows import Window

KEYS = ("version", "served")
"""Kept apart within a unit's day: who answered, and whether that is what the unit got."""

_COLUMNS = ("unit_id", "occurred_at", *KEYS)


def unit_days(
    source: Source,
    model: ModelDefinition,
    metrics: Mapping[str, MetricDefinition],
    *,
    window: Window,
    as_of: datetime,
    also: Sequence[str] = (),
) -> ir.Table:
    """The unit-days of a model in `window`, with the labels known at `as_of`; one day more costs that day.

    Returns a lazy table of the embedded engine, one row per unit × day × version × served that has a request. Columns:
    unit_id, day (a date in UTC), version, served, events (how many requests), and for each metric that is a ratio of
    sums `<key>__sum` and `<key>__n`, what the requests add to its numerator and its denominator, and `<key>__spoilt`
    where a request can make it infinite. Other kinds of metric are left out. `also` names further columns of
    predictions that are kept apart, such as the cluster.

    Raises `ContractError`, and `ArgumentError` when the window has no request.
    """
    adding = {key: metric for key, metric in metrics.items() if isinstance(metric, RatioKind)}
    everything = Population("all", None, window, served_only=False)
    question = Question.of(source, model, adding, [everything], as_of=as_of, also=[*_COLUMNS, *also])
    rows = question.requests()
    measures = {
        name: value
        for key, metric in question.metrics.items()
        if isinstance(metric, RatioKind)
        for name, value in _measures(key, metric, rows).items()
    }
    events = rows.select(*_COLUMNS, *also, **measures)
    wanted = {place.partition(" ")[0]: key for place, key in Wanted.of(question).days.items()}
    facts = source.facts("predictions", question.prediction_columns, as_of=as_of, start=window.start, end=window.end)
    days = {day.day: DayOfEvents(day.rows, digest_value(wanted[day.day])) for day in facts.days if day.day}
    table = UnitDays(tuple(measures), definition="metrics.unit_sums", keys=(*KEYS, *also), in_order=True)
    return table.read(table.build(events, days, source.cache), source.embedded)


def _measures(key: str, metric: RatioKind, rows: ir.Table) -> dict[str, Any]:
    """What each request adds, under the names that cells have for the sums."""
    parts = addends(key, metric, rows)
    numerator = parts[f"{key}__numerator"]
    measures = {
        f"{key}__sum": numerator,
        f"{key}__n": parts.get(f"{key}__denominator", numerator.notnull().cast("int32")),
    }
    if f"{key}__spoilt" in parts:
        measures[f"{key}__spoilt"] = parts[f"{key}__spoilt"].cast("int32")
    return measures
