"""How each metric went, day by day: level, trend and weekly season, the days it stepped, and the days that stand out.

The days are those that the model served; of days in the reference period before it served, those that it scored. A step
is evident by its p-value, which knows that its date was searched for, adjusted over all metrics; it is worth acting on
when it is as large as the metric's practical threshold. Nothing is carried over a day without a value: it is a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal

from typing_extensions import override

from toolkit import stats
from toolkit.checks import check_at_least
from toolkit.data import Source
from toolkit.display import Picture, picture
from toolkit.metrics import Population, measure
from toolkit.metrics.marks import Marks, list_marks
from toolkit.records import ResultRow, Shown
from toolkit.signals.courses.course import MetricCourse, Step
from toolkit.signals.courses.pictures import draw_courses
from toolkit.signals.courses.search import find_courses
from toolkit.signals.day_values import DayValue, day_values
from toolkit.signals.families import metric_columns, metric_family
from toolkit.signals.observation import REFERENCE, Observation
from toolkit.signals.signal import Signal
from toolkit.windows import Window

HISTORY = "history"

SHORTEST_HISTORY_DAYS = 28

_TOLD = 6
"""So many steps are told in the text; every one is in the rows."""


@dataclass(frozen=True)
class MetricCourses(Shown):
    """The course of every metric over the history, with what happened meanwhile."""

    nothing_to_draw: ClassVar[str] = "no metric has a value on any day of the history"

    window: Window
    current: Window
    reference: Window
    courses: tuple[MetricCourse, ...]
    marks: Marks
    loss: str
    requests_per_week: float
    labelled_per_week: float

    @property
    def days_there(self) -> str:
        """The days of the window from the first that has a value on; its label where none has one."""
        first = min(
            (each.day for course in self.courses for each in course.values if each.value is not None),
            default=self.window.first_day,
        )
        if first == self.window.first_day:
            return self.window.label
        return f"{first} … {self.window.last_day} (there is nothing from {self.window.first_day} until then)"

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The steps that still stand, are worse or without a good direction, and date to the current window.

        Those of the week before it count too: a step is seen when a week has passed.
        """
        since = self.current.first_day - timedelta(days=7)
        found = []
        for course in self.courses:
            step = course.standing_step
            if step is None or step.last_day < since:
                continue
            if step.verdict in ("worse", "changed"):
                found.append(self._signal(course, step, step.verdict))
        return tuple(found)

    def _signal(self, course: MetricCourse, step: Step, verdict: Literal["worse", "changed"]) -> Signal:
        is_loss = course.key == self.loss
        return Signal(
            kind="change_point",
            metric=course.key,
            segment="",
            name=course.metric.name,
            window=self.current.label,
            verdict=verdict,
            change=step.change,
            unit=course.metric.unit,
            times_threshold=abs(step.after - step.before) / course.metric.practical_threshold,
            excess_loss_per_week=stats.scaled(step.change, self.labelled_per_week) if is_loss else None,
            no_loss_reason="" if is_loss else "its share in the loss was not measured",
            text=course.sentence(step),
            family=metric_family(course.metric),
            columns=metric_columns(course.metric),
            first_day=step.day,
            last_day=self.current.last_day,
            dated=True,
            p_adjusted=step.p_adjusted,
            requests_per_week=self.requests_per_week,
        )

    @property
    @override
    def text(self) -> str:
        stepped = [(course, step) for course in self.courses for step in course.told]
        stepped.sort(key=lambda each: each[1].day, reverse=True)
        told = "; ".join(course.sentence(step) for course, step in stepped[:_TOLD])
        more = f"; and {len(stepped) - _TOLD} earlier" if len(stepped) > _TOLD else ""
        parts = [
            f"{len(self.courses)} metrics by day over {self.days_there}.",
            f"Steps: {told}{more}." if stepped else "None stepped by its practical threshold.",
        ]
        if trending := [course for course in self.courses if course.trending]:
            named = ", ".join(f"{course.metric.name} {course.trend_text}" for course in trending)
            parts.append(f"Rising or falling since the last step: {named}.")
        if gaps := [(course, gap) for course in self.courses for gap in course.gaps if (gap[1] - gap[0]).days >= 6]:
            named = ", ".join(f"{course.metric.name} {first} … {last}" for course, (first, last) in gaps)
            parts.append(f"Absent for a week or more: {named}.")
        if silent := [course for course in self.courses if course.reason]:
            named = "; ".join(f"{course.metric.name} ({course.reason})" for course in silent)
            parts.append(f"Steps were not looked for in {named}.")
        if self.marks.absent:
            parts.append(f"Not marked, because the workspace has no such table: {', '.join(self.marks.absent)}.")
        return " ".join(parts)

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [row for course in self.courses for row in course.rows(self.window.label)]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "metric": course.metric.name,
                "level": course.shown(course.level),
                "last_step": course.step_text,
                "happened_near": _near(course),
                "trend": course.trend_text,
                "weekly_season": course.season_text,
                "days_absent": sum((last - first).days + 1 for first, last in course.gaps),
            }
            for course in self.courses
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [course for course in self.courses if any(each.value is not None for each in course.values)]
        if not drawn:
            return ()
        alt = f"Each metric by day, {self.days_there}. " + " ".join(
            f"{course.metric.name}: {course.step_text}." for course in drawn
        )
        return (
            picture(
                lambda figure: draw_courses(figure, drawn, marks=self.marks.marks, reference=self.reference),
                name="courses",
                alt=alt,
                width_inches=7.4,
                height_inches=0.7 + 1.15 * len(drawn),
            ),
        )


def metric_courses(source: Source, observed: Observation, *, history_days: int = 182) -> MetricCourses:
    """Look at each metric of an observation day by day, over the `history_days` that end with its current window.

    Of one query, whose days are kept. Raises `ArgumentError` for fewer than 28 days, `ContractError`.
    """
    check_at_least("history_days", history_days, SHORTEST_HISTORY_DAYS)
    window = Window.last_days(history_days, before=observed.window.end)
    values = _measure(source, observed, window)
    marks = list_marks(source, model=observed.model.key, window=window, as_of=observed.as_of)
    cells = observed.cells
    references = {key: cells.estimate(key, REFERENCE) for key in observed.metrics}
    return MetricCourses(
        window,
        observed.window,
        cells.population(REFERENCE).window,
        find_courses(observed.metrics, values, references, marks),
        marks,
        observed.model.loss,
        observed.requests_per_week,
        observed.labelled_per_week,
    )


def _measure(source: Source, observed: Observation, window: Window) -> dict[str, tuple[DayValue, ...]]:
    """Each metric's days: what was served; before that, what was scored in the reference period."""
    history = Population(HISTORY, None, window, served_only=True)
    scored = observed.cells.population(REFERENCE)
    start, end = max(window.start, scored.window.start), min(window.end, scored.window.end)
    populations = [history]
    if start < end:
        populations.append(Population(REFERENCE, scored.version, Window(start, end), served_only=False))
    cells = measure(source, observed.model, observed.metrics, populations, as_of=observed.as_of, auc_within="day")
    found = {}
    for key in observed.metrics:
        before = {}
        if len(populations) > 1:
            before = {each.day: each for each in day_values(cells, key, REFERENCE) if each.value is not None}
        served = day_values(cells, key, HISTORY)
        found[key] = tuple(each if each.value is not None else before.get(each.day, each) for each in served)
    return found


def _near(course: MetricCourse) -> str:
    """What happened nearest to the last step; how much else there was is in the rows."""
    marks = [mark.text for step in course.told[-1:] for mark in step.near]
    return f"{marks[0]}{f'; {len(marks) - 1} more' if len(marks) > 1 else ''}" if marks else ""
