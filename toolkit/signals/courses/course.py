"""One metric's course: what it was day by day, and what was found in it, in words and rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from toolkit import stats
from toolkit.display import format_number
from toolkit.metrics import MetricDefinition
from toolkit.metrics.marks import Mark
from toolkit.records import ResultRow, estimate_row, number_row
from toolkit.signals.changes import Verdict
from toolkit.signals.day_values import DayValue
from toolkit.signals.signal import EVIDENCE_ALPHA

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STEP_METHOD = "PELT, long-run variance, penalty of the largest step by chance"


@dataclass(frozen=True)
class Step:
    """A step in a metric's level.

    Attributes
    ----------
    day: the first day of the new level. first_day, last_day: between them it lies with 95 % confidence.
    before, after: the levels. change: after - before, see `stats.ChangePoint`. p_adjusted: over all metrics.
    gap_days: days without a value that can be judged just before it: it may have happened on any of them.
    near: deployments and incidents from the day before `first_day` to `last_day`.
    """

    day: date
    first_day: date
    last_day: date
    before: float
    after: float
    change: stats.Estimate
    p_adjusted: float | None
    verdict: Verdict
    gap_days: int
    near: tuple[Mark, ...]


@dataclass(frozen=True)
class Outlier:
    """A day that stands out: its value, the level about it, and the distance in robust standard deviations."""

    day: date
    value: float
    level: float
    z: float


@dataclass(frozen=True)
class MetricCourse:
    """One metric's course.

    Attributes
    ----------
    values: one for each day of the history, absent ones too. reference: the metric in the reference period.
    season: what each weekday adds. seasonal: whether it was evident, and taken out before the rest was looked for.
    steps: in order. outliers: by at least the practical threshold.
    level: over the days since the last step. slope: of those days, per week; `trend_p_adjusted` over all metrics.
    gradual: a straight line describes it better than steps. reason: why steps could not be looked for, or "".
    """

    key: str
    metric: MetricDefinition
    values: tuple[DayValue, ...]
    reference: stats.Estimate
    season: stats.WeeklySeason
    seasonal: bool
    steps: tuple[Step, ...]
    outliers: tuple[Outlier, ...]
    level: float | None
    level_since: date | None
    slope: stats.Estimate
    trend_p_adjusted: float | None
    gradual: bool
    reason: str

    @property
    def gaps(self) -> tuple[tuple[date, date], ...]:
        """First and last day of each run of days without a value, after the first day that has one."""
        runs: list[list[date]] = []
        seen = False
        for each in self.values:
            if each.value is not None:
                seen = True
            elif seen and runs and runs[-1][1] == each.day - timedelta(days=1):
                runs[-1][1] = each.day
            elif seen:
                runs.append([each.day, each.day])
        return tuple((first, last) for first, last in runs)

    @property
    def trending(self) -> bool:
        """Whether it rises or falls evidently, and by its practical threshold since `level_since`."""
        return (
            self.trend_p_adjusted is not None
            and self.trend_p_adjusted <= EVIDENCE_ALPHA
            and self.slope.value is not None
            and abs(self.slope.value) * self._weeks >= self.metric.practical_threshold
        )

    @property
    def _weeks(self) -> float:
        if self.level_since is None or not self.values:
            return 0.0
        return ((self.values[-1].day - self.level_since).days + 1) / 7

    @property
    def told(self) -> tuple[Step, ...]:
        """The steps that are evident and at least as large as the practical threshold."""
        return tuple(step for step in self.steps if step.verdict in {"worse", "better", "changed"})

    @property
    def standing_step(self) -> Step | None:
        """The latest of those whose change still stands: the level is beyond where it came from, by the threshold."""
        for step in reversed(self.told):
            moved = 0.0 if self.level is None else self.level - step.before
            if moved * (step.after - step.before) > 0 and abs(moved) >= self.metric.practical_threshold:
                return step
        return None

    @property
    def step_text(self) -> str:
        """The last such step in a few words, or why there is none."""
        if self.reason:
            return f"not looked for: {self.reason}"
        if not self.told:
            return "none; it drifts" if self.gradual else "none"
        step = self.told[-1]
        return f"{step.day}: {self.shown(step.before)} to {self.shown(step.after)}, {step.verdict}"

    @property
    def trend_text(self) -> str:
        """The trend per week, or why there is none."""
        if self.slope.value is None:
            return self.slope.reason
        sign = "+" if self.slope.value > 0 else ""
        return f"{sign}{self.shown(self.slope.value)} per week" if self.trending else "none"

    @property
    def season_text(self) -> str:
        """The weekdays that are furthest from their week's level, or that there is no season."""
        if not self.seasonal:
            return self.season.reason or "none"
        effects = self.season.effects
        low, high = min(range(7), key=effects.__getitem__), max(range(7), key=effects.__getitem__)
        return f"{_WEEKDAYS[low]} {self.shown(effects[low])}, {_WEEKDAYS[high]} +{self.shown(effects[high])}"

    def sentence(self, step: Step) -> str:
        """A step in one sentence, with what happened near it."""
        size = abs(step.after - step.before) / self.metric.practical_threshold
        gap = f", after {step.gap_days} days without a value" if step.gap_days else ""
        near = f", near {' and '.join(mark.text for mark in step.near[:2])}" if step.near else ""
        return (
            f"{self.metric.name} stepped on {step.day} from {self.shown(step.before)} to {self.shown(step.after)} "
            f"({step.verdict}, {size:.1f} practical thresholds{gap}{near})"
        )

    def shown(self, value: float | None) -> str:
        """A value of the metric as text."""
        return format_number("value", value, unit=self.metric.unit)

    def rows(self, window: str) -> list[ResultRow]:
        """Level, trend, season, steps and days that stand out; then the value of each day, absent ones too."""
        unit = self.metric.unit
        where: dict[str, Any] = {"key": self.key, "window": window}
        since = {**where, "window": f"since {self.level_since}"} if self.level_since else where
        rows = [
            number_row(self.level, "no day has a value", statistic="level", unit=unit, **since),
            estimate_row(self.slope, statistic="slope_per_week", unit=unit, **since),
            number_row(self.trend_p_adjusted, self.slope.reason, statistic="trend_adjusted_p_value", **since),
            number_row(
                self.season.p_value,
                self.season.reason,
                statistic="weekly_season_p_value",
                n=self.season.values,
                **where,
            ),
            number_row(
                None if self.reason else len(self.steps), self.reason, statistic="steps", method=_STEP_METHOD, **where
            ),
        ]
        if self.seasonal:
            rows += [
                ResultRow(statistic="weekday_effect", value=effect, segment=f"weekday={name}", unit=unit, **where)
                for name, effect in zip(_WEEKDAYS, self.season.effects, strict=True)
            ]
        rows += [row for step in self.steps for row in self._step_rows(step, unit)]
        rows += [
            ResultRow(
                key=self.key,
                window=str(outlier.day),
                statistic="stands_out",
                value=outlier.value - outlier.level,
                unit=unit,
                method=f"{outlier.z:+.1f} robust standard deviations from the level about it",
            )
            for outlier in self.outliers
        ]
        rows += [
            number_row(
                each.value, each.reason, key=self.key, window=str(each.day), statistic="day", n=each.requests, unit=unit
            )
            for each in self.values
        ]
        return rows

    def _step_rows(self, step: Step, unit: str) -> list[ResultRow]:
        where: dict[str, Any] = {"key": self.key, "window": str(step.day)}
        return [
            ResultRow(statistic="level_before", value=step.before, unit=unit, **where),
            ResultRow(statistic="level_after", value=step.after, unit=unit, **where),
            estimate_row(step.change, statistic="step", unit=unit, comparison="after - before", **where),
            ResultRow(statistic="step_between", value=f"{step.first_day} … {step.last_day}", **where),
            ResultRow(
                statistic="step_verdict",
                value=step.verdict,
                p_value=step.p_adjusted,
                method="Benjamini-Hochberg over the metrics; evident and beyond the practical threshold",
                **where,
            ),
            *(ResultRow(statistic="happened_near", value=mark.text, **where) for mark in step.near),
        ]
