"""The search in each metric's days, and what it is worth beside the searches in the other metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import NamedTuple

from toolkit import stats
from toolkit.metrics import MetricDefinition
from toolkit.metrics.marks import Marks
from toolkit.signals.changes import judge_change
from toolkit.signals.courses.course import MetricCourse, Outlier, Step
from toolkit.signals.day_values import DayValue

SEASON_ALPHA = 0.01
"""A weekly season is taken out of a metric when its weekdays differ at this level."""

_FEWEST_FOR_TREND = 14


class _Search(NamedTuple):
    """What was found in one metric, before it is held against the others.

    `course` is without its steps and the evidence of its trend; `days` are those that may be judged.
    """

    course: MetricCourse
    days: tuple[date, ...]
    points: stats.ChangePoints

    @property
    def p_values(self) -> list[float | None]:
        """Of each step; of the best that there was, where none was found."""
        return [point.change.p_value for point in self.points.points] or [self.points.p_value]


def find_courses(
    metrics: Mapping[str, MetricDefinition],
    values: Mapping[str, tuple[DayValue, ...]],
    references: Mapping[str, stats.Estimate],
    marks: Marks,
) -> tuple[MetricCourse, ...]:
    """The course of each metric, the evidence adjusted over all of them (Benjamini & Hochberg 1995)."""
    found = [_search(key, metrics[key], days, references[key]) for key, days in values.items()]
    adjusted = iter(stats.adjust_p([p for search in found for p in search.p_values], "benjamini-hochberg"))
    trends = stats.adjust_p([search.course.slope.p_value for search in found], "benjamini-hochberg")
    courses = []
    for search, trend_p in zip(found, trends, strict=True):
        of_search = [next(adjusted) for _ in search.p_values]
        steps = [_step(search, point, p, marks) for point, p in zip(search.points.points, of_search, strict=False)]
        courses.append(replace(search.course, steps=tuple(steps), trend_p_adjusted=trend_p))
    return tuple(courses)


def _search(key: str, metric: MetricDefinition, values: tuple[DayValue, ...], reference: stats.Estimate) -> _Search:
    usable = [each for each in values if each.usable]
    days = tuple(each.day for each in usable)
    ordinals = [day.toordinal() for day in days]
    plain = [each.value for each in usable if each.value is not None]
    season = stats.weekly_season(plain, ordinals)
    seasonal = season.p_value is not None and season.p_value <= SEASON_ALPHA
    level_values = [
        value - season.effects[day.weekday()] if seasonal else value for value, day in zip(plain, days, strict=True)
    ]
    points = stats.change_points(level_values)
    start = points.points[-1].place if points.points else 0
    since = level_values[start:]
    course = MetricCourse(
        key=key,
        metric=metric,
        values=values,
        reference=reference,
        season=season,
        seasonal=seasonal,
        steps=(),
        outliers=_outliers(metric, days, plain, level_values),
        level=points.points[-1].after if points.points else _median(since),
        level_since=days[start] if days else None,
        slope=_slope(since, ordinals[start:], points),
        trend_p_adjusted=None,
        gradual=points.gradual,
        reason=points.reason,
    )
    return _Search(course, days, points)


def _outliers(
    metric: MetricDefinition, days: Sequence[date], values: Sequence[float], calm: Sequence[float]
) -> tuple[Outlier, ...]:
    """The days far from the level about them, and by as much as matters; `calm` is without the weekly season."""
    distances, levels = stats.outlier_z(calm), stats.running_median(calm)
    return tuple(
        Outlier(day, value, value - away, z)
        for day, value, away, z in zip(
            days, values, (c - v for c, v in zip(calm, levels, strict=True)), distances, strict=False
        )
        if abs(z) > stats.OUTLYING and abs(away) >= metric.practical_threshold
    )


def _slope(values: Sequence[float], ordinals: Sequence[int], points: stats.ChangePoints) -> stats.Estimate:
    """The trend since the last step, per week."""
    if len(values) < _FEWEST_FOR_TREND or points.noise is None:
        reason = points.reason or f"a trend needs {_FEWEST_FOR_TREND} days since the last step, there are {len(values)}"
        return stats.Estimate.absent(reason, n=len(values), method="trend per week")
    return stats.scaled(stats.sen_slope(values, at=ordinals, inflation=points.noise.inflation), 7)


def _step(search: _Search, point: stats.ChangePoint, p_adjusted: float | None, marks: Marks) -> Step:
    days, day = search.days, search.days[point.place]
    first, last = days[point.first_place], days[point.last_place]
    before, after = (
        stats.Estimate.alone(level, n=point.change.n, method="level", reason="")
        for level in (point.before, point.after)
    )
    return Step(
        day,
        first,
        last,
        point.before,
        point.after,
        point.change,
        p_adjusted,
        judge_change(search.course.metric, before, after, point.change, p_adjusted),
        (day - days[point.place - 1]).days - 1,
        marks.near(first - timedelta(days=1), last),
    )


def _median(values: Sequence[float]) -> float | None:
    import statistics

    return statistics.median(values) if values else None
