"""Who is touched: how many requests a segment has in a week, and of how many units.

One query for all segments that are asked for: nothing but counts comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, NamedTuple

from toolkit.data import ModelDefinition, Source, labelled_predictions
from toolkit.metrics.definitions import load_segments
from toolkit.metrics.needs import columns_needed, with_scalars
from toolkit.metrics.segments import SegmentDefinition
from toolkit.windows import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

_MISSING = "missing"
_WEEK_S = 7 * 24 * 60 * 60


class Touched(NamedTuple):
    """The requests of a segment in a week, and the units (users) that they came from."""

    requests_per_week: float
    units_per_week: float


def count_touched(
    source: Source,
    model: ModelDefinition,
    segments: Collection[Mapping[str, str]],
    *,
    window: Window,
    as_of: datetime,
) -> tuple[Touched | None, ...]:
    """For each segment the served requests and the units of an average week of `window`.

    A unit counts once in each week that it was there, the weeks counted from the window's start.

    Parameters
    ----------
    segments: conditions, each a column of predictions or a segment of metrics.yml with its value; {} is everything.

    Returns one for each segment, None for one whose columns the table does not have. Raises `ContractError`.
    """
    if not segments:
        return ()
    available = source.columns("predictions")
    names = {name for segment in segments for name in segment}
    named = {} if names <= set(available) else load_segments(source.workspace)
    known = [all(name in available or name in named for name in segment) for segment in segments]
    asked = [segment for segment, is_known in zip(segments, known, strict=True) if is_known]
    counted = iter(_count(source, model, asked, named, window=window, as_of=as_of) if asked else ())
    return tuple(next(counted) if is_known else None for is_known in known)


def _count(
    source: Source,
    model: ModelDefinition,
    segments: Sequence[Mapping[str, str]],
    named: Mapping[str, SegmentDefinition],
    *,
    window: Window,
    as_of: datetime,
) -> list[Touched]:
    used = {name: named[name] for segment in segments for name in segment if name in named}
    scalars = [scalar for segment in used.values() for scalar in segment.scalars]
    plain = {name for segment in segments for name in segment if name not in used}
    columns = sorted({*columns_needed(scalars), *plain, "served", "unit_id"})
    rows = labelled_predictions(source, columns, model=model.key, window=window, as_of=as_of)
    rows = with_scalars(rows.filter(rows.served), scalars)
    week = ((rows.occurred_at.epoch_seconds() - int(window.start.timestamp())) / _WEEK_S).floor().cast("int64")
    rows = rows.mutate(unit_week=week.cast("string") + " " + rows.unit_id)
    values = {name: segment.value(rows) for name, segment in used.items()}
    counts: dict[str, Any] = {}
    for number, segment in enumerate(segments):
        conditions = [_holds(rows, values, name, value) for name, value in segment.items()]
        where = reduce(and_, conditions) if conditions else None
        counts[f"requests_{number}"] = rows.count(where=where)
        counts[f"units_{number}"] = rows.unit_week.nunique(where=where)
    found = source.execute(rows.aggregate(**counts), reading="predictions").iloc[0]
    weeks = window.days / 7
    return [
        Touched(float(found[f"requests_{number}"]) / weeks, float(found[f"units_{number}"]) / weeks)
        for number in range(len(segments))
    ]


def _holds(rows: ir.Table, values: Mapping[str, Any], name: str, value: str) -> Any:
    given = values[name] if name in values else rows[name]
    return given.cast("string").fill_null(_MISSING) == value
