"""Who is touched: how many requests a segment has in a week, and of how many units.

One query for all segments that are asked for: nothing but counts comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any, NamedTuple

from toolkit.data import ModelDefinition, Source
from toolkit.data.instants import week_of
from toolkit.metrics.definitions import load_segments
from toolkit.metrics.kinds import OURS, segment_value
from toolkit.metrics.query import Population, Question
from toolkit.windows import Window

_UNIT_WEEK = f"{OURS}unit_week"


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
    defined = {} if names <= set(available) else load_segments(source.workspace)
    known = [all(name in available or name in defined for name in segment) for segment in segments]
    asked = [segment for segment, is_known in zip(segments, known, strict=True) if is_known]
    counted = iter(_count(source, model, asked, window=window, as_of=as_of) if asked else ())
    return tuple(next(counted) if is_known else None for is_known in known)


def _count(
    source: Source,
    model: ModelDefinition,
    segments: Sequence[Mapping[str, str]],
    *,
    window: Window,
    as_of: datetime,
) -> list[Touched]:
    names = sorted({name for segment in segments for name in segment})
    served = Population("served", None, window, served_only=True)
    also = ["occurred_at", "unit_id"]
    question = Question.of(source, model, {}, [served], as_of=as_of, segments=names, also=also)
    rows = question.requests()
    week = week_of(rows.occurred_at, window.start)
    rows = rows.mutate(**{_UNIT_WEEK: week.cast("string") + " " + rows.unit_id})
    counts: dict[str, Any] = {}
    for at, segment in enumerate(segments):
        conditions = [segment_value(rows[name]) == value for name, value in segment.items()]
        where = reduce(and_, conditions) if conditions else None
        counts[f"requests_{at}"] = rows.count(where=where)
        counts[f"units_{at}"] = rows[_UNIT_WEEK].nunique(where=where)
    found = source.execute(rows.aggregate(**counts), reading=question.reading).iloc[0]
    weeks = window.days / 7
    return [
        Touched(float(found[f"requests_{at}"]) / weeks, float(found[f"units_{at}"]) / weeks)
        for at in range(len(segments))
    ]
