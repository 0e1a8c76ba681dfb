"""The expressions behind `telemetry`: rows by unit and day, then by exposed unit, and what is counted of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import Source
from toolkit.data.functions import clock_of
from toolkit.data.instants import day_of, seconds_between
from toolkit.data.labels import latest_labels
from toolkit.metrics.kinds import segment_value, truth
from toolkit.metrics.needs import with_scalars
from toolkit.metrics.segments import SegmentDefinition
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from toolkit.experiments.plans import ExperimentPlan

SAME_INSTANT_S = 1
"""Exposures to two variants that are no further apart were logged by one event."""

_WHOLE_HOUR_S = 60
"""A lag that is this near to a whole number of hours may be a clock in another zone; by chance one in 30 is."""

_ACTIVITY = ((0, "0"), (1, "1"), (3, "2 to 3"), (7, "4 to 7"), (15, "8 to 15"), (31, "16 to 31"))
_MOST_ACTIVE = "32 and more"


class Asked(NamedTuple):
    """What is counted: the plan, where its data lie, and the columns that are read of predictions."""

    plan: ExperimentPlan
    source: Source
    columns: tuple[str, ...]
    segments: tuple[str, ...]
    named: Mapping[str, SegmentDefinition]
    read: tuple[str, ...]
    window: Window
    as_of: datetime


def exposed_units(asked: Asked) -> ir.Table:
    """One row per exposed unit: its variants (how many), the one seen first, the one seen next, and when."""
    window = asked.window
    events = asked.source.read("exposures", [], as_of=asked.as_of, start=window.start, end=window.end)
    events = events.filter(events.experiment == asked.plan.key)
    seen = events.group_by("unit_id", "variant").aggregate(
        first_at=events.exposed_at.min(), last_at=events.exposed_at.max(), events=events.count()
    )
    units = seen.group_by("unit_id").aggregate(
        variants=seen.count(),
        low=seen.variant.min(),
        high=seen.variant.max(),
        exposed_at=seen.first_at.min(),
        switched_at=seen.first_at.max(),
        events=seen.events.sum(),
        low_at=seen.first_at.argmin(seen.variant),
        low_last_at=seen.last_at.argmin(seen.variant),
        high_last_at=seen.last_at.argmax(seen.variant),
    )
    low_first = units.low_at == units.exposed_at
    return units.select(
        "unit_id",
        "variants",
        "exposed_at",
        "switched_at",
        "events",
        variant=low_first.ifelse(units.low, units.high),
        other_variant=low_first.ifelse(units.high, units.low),
        back=low_first.ifelse(units.low_last_at, units.high_last_at) > units.switched_at,
    )


def served_requests(asked: Asked) -> ir.Table:
    """One row per served request of the model in the window, with its label and when it became known."""
    import ibis

    window = asked.window
    rows = asked.source.read("predictions", asked.read, as_of=asked.as_of, start=window.start, end=window.end)
    rows = rows.filter((rows.model == asked.plan.model) & rows.served)
    eligible = [asked.plan.eligible] if asked.plan.eligible else []
    scalars = [scalar for segment in asked.named.values() for scalar in segment.scalars]
    rows = with_scalars(rows, list(dict.fromkeys([*scalars, *eligible])))
    values: dict[str, Any] = {"eligible": truth(rows, eligible[0])} if eligible else {}
    for index, name in enumerate(asked.segments):
        value = asked.named[name].value(rows) if name in asked.named else rows[name].cast("string")
        values[f"segment_{index}"] = value
    values |= {f"null_{index}": rows[name].isnull() for index, name in enumerate(asked.columns)}
    rows = rows.select("request_id", "unit_id", "version", "occurred_at", "error", **values)
    if "outcomes" not in asked.source.tables:
        return rows.mutate(label=ibis.null("float64"), observed_at=ibis.null(rows.occurred_at.type()))
    labels = latest_labels(asked.source, as_of=asked.as_of, since=window.start)
    return rows.left_join(labels, "request_id").drop("request_id_right")


def unit_days(asked: Asked, units: ir.Table, requests: ir.Table) -> ir.Table:
    """One row per unit × day × version that has a served request, units without exposure too, with all that adds up.

    `own` is a request by the version of the unit's variant, `after` one at or after its exposure.
    """
    import ibis

    rows = requests.left_join(units.select("unit_id", "variant", "exposed_at"), "unit_id").drop("unit_id_right")
    own = rows.version == ibis.cases(*((rows.variant == k, v.version) for k, v in asked.plan.variants.items()))
    lag_s = seconds_between(rows.exposed_at, rows.occurred_at)
    after = (rows.occurred_at >= rows.exposed_at).fill_null(False)
    rows = rows.mutate(own=own.fill_null(False), after=after, lag_s=lag_s, day=day_of(rows.occurred_at))
    own, after, labelled = rows.own, rows.after, rows.label.notnull()
    counts = own & after
    answered = counts & ~rows.error
    sums: dict[str, Any] = {
        "active": rows.count(),
        "served": _count(after),
        "requests": _count(counts),
        "own": _count(own),
        "early": _count(own & ~after),
        "other": _count(after & ~own),
        "all_errors": _count(rows.error),
        "errors": _count(counts & rows.error),
        "answered": _count(answered),
        "labelled": _count(answered & labelled),
        "after_outcome": _count(own & ~after & (rows.observed_at <= rows.exposed_at)),
        "with_label": _count(labelled),
        "label_sum": rows.label.sum().fill_null(0.0),
        "lag_after_s": rows.lag_s.min(where=own & (rows.lag_s >= 0)),
        "lag_before_s": rows.lag_s.max(where=own & (rows.lag_s < 0)),
    }
    sums |= {f"null_{index}": _count(answered & rows[f"null_{index}"]) for index in range(len(asked.columns))}
    # The smallest, where a unit has several: the first would hang on the order of requests of one instant.
    sums |= {f"segment_{index}": rows[f"segment_{index}"].min() for index in range(len(asked.segments))}
    if asked.plan.eligible:
        sums |= {
            "eligible": rows.eligible.argmin(rows.occurred_at, where=after),
            "first_after": rows.occurred_at.min(where=after),
            "some_eligible": _count(rows.eligible),
        }
    return rows.group_by("unit_id", "day", "version").aggregate(**sums)


def repeated_units(asked: Asked, units: ir.Table, requests: ir.Table) -> ir.Table:
    """By variant the units with several own requests of one instant: the same event under several ids."""
    import ibis

    rows = requests.select("unit_id", "version", "occurred_at").join(
        units.filter(units.variants == 1).select("unit_id", "variant", "exposed_at"), "unit_id"
    )
    own = rows.version == ibis.cases(*((rows.variant == k, v.version) for k, v in asked.plan.variants.items()))
    rows = rows.filter(own & (rows.occurred_at >= rows.exposed_at))
    instants = rows.group_by("unit_id", "variant", "occurred_at").aggregate(requests=rows.count())
    instants = instants.filter(instants.requests > 1)
    return instants.group_by("variant").aggregate(units=instants.unit_id.nunique())


def unit_rows(asked: Asked, units: ir.Table, days: ir.Table) -> ir.Table:
    """One row per exposed unit with what it did; 0 for a unit without requests. Those left out are not in it."""
    import ibis

    whole = days.group_by("unit_id")
    numbers = [name for name in days.columns if name not in {"unit_id", "day", "version", "eligible", "first_after"}]
    numbers = [name for name in numbers if not name.startswith(("lag_", "segment_"))]
    # Of the version of the unit's variant alone: only rows with own requests are of it.
    theirs = days.own > 0
    sums: dict[str, Any] = {name: days[name].sum() for name in numbers}
    sums |= {
        "own_labelled": days.with_label.sum(where=theirs),
        "own_label_sum": days.label_sum.sum(where=theirs),
        "lag_after_s": days.lag_after_s.min(),
        "lag_before_s": days.lag_before_s.max(),
    }
    sums |= {f"segment_{index}": days[f"segment_{index}"].min() for index in range(len(asked.segments))}
    if asked.plan.eligible:
        sums["eligible"] = days.eligible.argmin(days.first_after)
    did = whole.aggregate(**sums)
    rows = units.left_join(did, "unit_id").drop("unit_id_right")
    if asked.plan.eligible:
        rows = rows.filter(rows.eligible.fill_null(True))
    rows = rows.mutate(**{name: rows[name].fill_null(0) for name in [*numbers, "own_labelled", "own_label_sum"]})
    nearest = (rows.lag_before_s.isnull() | (rows.lag_after_s <= -rows.lag_before_s)).ifelse(
        rows.lag_after_s, rows.lag_before_s
    )
    hours = (nearest.cast("float64") / 3600).round().cast("int64")
    exact = (nearest - hours * 3600).abs() <= _WHOLE_HOUR_S
    bins = [(rows.active <= most, name) for most, name in _ACTIVITY]
    return rows.mutate(
        planned=rows.variant.isin(list(asked.plan.variants)),
        lag=ibis.cases((nearest.isnull(), "none"), (exact, hours.cast("string")), else_="other"),
        activity=ibis.cases(*bins, else_=_MOST_ACTIVE),
    )


def tallies(asked: Asked, rows: ir.Table, days: ir.Table, exposed: ir.Table) -> ir.Table:
    """Every tally of units and requests as one table: kind, value, variant, and the counts.

    Parameters
    ----------
    rows: of `unit_rows`. days: of `unit_days`. exposed: all exposed units, those that are left out too.
    """
    import ibis

    parts = [
        *_single_tallies(asked, rows.filter((rows.variants == 1) & rows.planned)),
        *_switch_tallies(rows.filter(rows.variants > 1)),
        _unplanned(rows.filter((rows.variants == 1) & ~rows.planned)),
        _request_days(asked, rows, days),
        _unexposed(asked, days.anti_join(exposed, "unit_id")),
    ]
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    keys = {"kind", "value", "variant"}
    whole = []
    for part in parts:
        added: dict[str, Any] = {name: ibis.literal(0.0) for name in names if name not in part.columns}
        added |= {name: part[name].cast("float64") for name in part.columns if name not in keys}
        whole.append(part.mutate(**added).select(names))
    return ibis.union(*whole)


def _single_tallies(asked: Asked, rows: ir.Table) -> list[ir.Table]:
    """Units in one variant of the plan, counted by everything that may tell a cause."""
    import ibis

    kinds: dict[str, Any] = {
        "day": day_of(rows.exposed_at),
        "hour": clock_of(rows.exposed_at).hour().cast("string"),
        "activity": rows.activity,
        "lag": rows.lag,
    }
    kinds |= {f"segment:{name}": rows[f"segment_{index}"] for index, name in enumerate(asked.segments)}
    everything = _tallied(rows, "all", ibis.literal(""), _unit_counts(asked, rows))
    return [everything, *(_tallied(rows, kind, value, {"units": rows.count()}) for kind, value in kinds.items())]


def _unit_counts(asked: Asked, rows: ir.Table) -> dict[str, Any]:
    some = ("early", "other", "errors", "after_outcome")
    summed = ("requests", "answered", "labelled", "own_labelled", "own_label_sum", "events")
    counts: dict[str, Any] = {
        "units": rows.count(),
        "unserved": _count(rows.served == 0),
        "unlabelled": _count(rows.answered > rows.labelled),
        "request_squares": (rows.requests.cast("float64") * rows.requests.cast("float64")).sum(),
        "failed_requests": rows.errors.sum(),
    }
    counts |= {name: _count(rows[name] > 0) for name in some}
    counts |= {name: rows[name].sum() for name in summed}
    return counts | {f"null_{index}": _count(rows[f"null_{index}"] > 0) for index in range(len(asked.columns))}


def _switch_tallies(rows: ir.Table) -> list[ir.Table]:
    """Units seen in more than one variant, by the variant seen first."""
    import ibis

    gap_s = seconds_between(rows.exposed_at, rows.switched_at)
    kinds: dict[str, Any] = {
        "switch": rows.other_variant,
        "switch_gap": ibis.cases((gap_s <= SAME_INSTANT_S, "at once"), (gap_s < 3600, "within an hour"), else_="later"),
        "switch_day": day_of(rows.switched_at),
        "switch_served": ((rows.requests > 0) & (rows.other > 0)).ifelse("by both", "by one"),
        "switch_back": rows.back.ifelse("back again", "for good"),
    }
    return [_tallied(rows, kind, value, {"units": rows.count()}) for kind, value in kinds.items()]


def _unplanned(rows: ir.Table) -> ir.Table:
    return _tallied(rows, "unplanned", rows.variant, {"units": rows.count()})


def _request_days(asked: Asked, rows: ir.Table, days: ir.Table) -> ir.Table:
    """The requests of units in one variant, by the day on which they were made."""
    single = rows.filter((rows.variants == 1) & rows.planned).select("unit_id", "variant")
    made = days.join(single, "unit_id")
    names = ("requests", "early", "other", "answered", "labelled", *(f"null_{i}" for i in range(len(asked.columns))))
    sums = {name: made[name].sum() for name in names}
    counts = {"active": made.unit_id.nunique(where=made.own > 0), "failed_requests": made.errors.sum(), **sums}
    return _tallied(made, "request_day", made.day, counts)


def _unexposed(asked: Asked, days: ir.Table) -> ir.Table:
    """Units that were served and have no exposure, by version and the day of the first such request."""
    if asked.plan.eligible:
        days = days.filter(days.some_eligible > 0)
    alone = days.group_by("unit_id", variant=days.version).aggregate(
        first_day=days.day.min(),
        requests=days.active.sum(),
        errors=days.all_errors.sum(),
        own_labelled=days.with_label.sum(),
        own_label_sum=days.label_sum.sum(),
    )
    counts = {
        "units": alone.count(),
        "errors": _count(alone.errors > 0),
        **{name: alone[name].sum() for name in ("requests", "own_labelled", "own_label_sum")},
    }
    return _tallied(alone, "unexposed", alone.first_day, counts)


def _tallied(rows: ir.Table, kind: str, value: Any, counts: Mapping[str, Any]) -> ir.Table:
    import ibis

    found = rows.group_by(value=segment_value(value), variant=rows.variant).aggregate(**counts)
    return found.mutate(kind=ibis.literal(kind))


def _count(condition: Any) -> Any:
    return condition.fill_null(False).ifelse(1, 0).sum()
