"""When it worked: the cumulative effect as units were exposed, and the effect by days since exposure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.display import Picture, notice
from toolkit.experiments.changes import format_change, format_change_interval, p_text, signed_change
from toolkit.experiments.effects import Effect
from toolkit.experiments.estimates import ONLY_WHOLE, Comparison
from toolkit.experiments.path import draw_ages, draw_path
from toolkit.records import ResultRow, Shown, Value, estimate_row, number_row

if TYPE_CHECKING:
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units

FEWEST_DAYS = 5
"""Days since exposure that a slope needs: through fewer points nearly any line fits."""


@dataclass(frozen=True)
class Step:
    """The effect over all units exposed up to a day, with an interval that holds on all days together."""

    day: date
    exposed: int
    difference: stats.Estimate


@dataclass(frozen=True)
class Barrier:
    """How far from zero the difference had to be at a planned look, or will have to be at one to come.

    Attributes
    ----------
    day: the last day whose exposures counted then. reach: in the metric's unit; None where no error is known yet.
    z: the same in standard errors. passed: whether the look has been taken.
    """

    number: int
    day: date
    fraction: float
    z: float
    reach: float | None
    passed: bool


@dataclass(frozen=True)
class Age:
    """The effect on requests of the `days`-th day after exposure, over the units that have some, by itself."""

    days: int
    difference: stats.Estimate


@dataclass(frozen=True)
class TreatmentCourse:
    """The course of one treatment's effect on the primary metric.

    Attributes
    ----------
    effect: as the readout has it. steps: by day of exposure, cumulative. barriers: by planned look.
    ages: by days since exposure. slope: of the effect per day since exposure (`stats.trend`).
    """

    effect: Effect
    steps: tuple[Step, ...]
    barriers: tuple[Barrier, ...]
    ages: tuple[Age, ...]
    slope: stats.Estimate
    alpha: float

    @property
    def first_apart(self) -> Step | None:
        """The first day from which on the interval for all days excluded zero until the end."""
        found = None
        for step in reversed(self.steps):
            if not step.difference.excludes_zero:
                break
            found = step
        return found

    @property
    def trend(self) -> str:
        """`fades` (novelty), `grows` (primacy: it has to be learnt), `steady` (no evidence of either), or `unknown`."""
        slope, value = self.slope, self.effect.difference.value
        if slope.p_value is None or slope.value is None or value is None:
            return "unknown"
        if slope.p_value >= self.alpha:
            return "steady"
        return "grows" if slope.value * value > 0 else "fades"

    @property
    def comes_back(self) -> bool:
        """Whether there are effects with an interval on more than one day since exposure."""
        return sum(age.difference.ci_lower is not None for age in self.ages) > 1

    @property
    def text(self) -> str:
        """When the effect could be seen, and whether it fades or grows."""
        return " ".join(part for part in (self._path_text, self._age_text) if part)

    @property
    def _path_text(self) -> str:
        name = self.effect.name
        if not self.steps:
            reason = ONLY_WHOLE if self.effect.groups is None else "no day of exposure has units enough"
            return f"{name}: there is no cumulative effect; {reason}."
        first, last = self.steps[0], self.steps[-1]
        apart = self.first_apart
        seen = f"its interval has excluded 0 since {apart.day}" if apart is not None else "its interval still holds 0"
        value = signed_change(last.difference.value or 0.0, self.effect.unit)
        days = f"{len(self.steps)} days of exposure ({first.day} to {last.day})"
        return (
            f"{name}: over {days} the cumulative difference has come to {value}, "
            f"{_interval(last.difference, self.effect.unit)}; {seen}."
        )

    @property
    def _age_text(self) -> str:
        if self.slope.value is None or self.slope.p_value is None:
            return f"Whether it fades or grows with the days since exposure cannot be said: {self.slope.reason}."
        slope = signed_change(self.slope.value, self.effect.unit)
        words = {
            "steady": "There is no evidence that it changes with the days since exposure",
            "fades": "It fades with the days since exposure, as a novelty does",
            "grows": "It grows with the days since exposure, as what has to be learnt does",
        }
        return f"{words[self.trend]} ({slope} per day since exposure, p {p_text(self.slope.p_value)})."


@dataclass(frozen=True)
class Course(Shown):
    """The course of the effect on the primary metric, by treatment."""

    experiment: str
    confidence: float
    courses: tuple[TreatmentCourse, ...]

    nothing_to_draw = "no day of exposure has units enough for an effect"

    @property
    def text(self) -> str:
        """When each effect could be seen, and whether it fades."""
        several = len(self.courses) > 1
        parts = [f"{each.effect.treatment}: {each.text}" if several else each.text for each in self.courses]
        parts.append(
            f"Intervals of the cumulative difference hold on all days together with {100 * self.confidence:g} % "
            "(a confidence sequence), so that the day on which one looks does not matter."
        )
        return " ".join(parts)

    def to_pictures(self) -> Sequence[Picture]:
        """For each treatment the cumulative path, and the effect by days since exposure where units come back."""
        found = []
        for each in self.courses:
            if each.steps:
                found.append(draw_path(each, confidence=self.confidence, name=self._named("path", each)))
            if each.comes_back:
                found.append(self._draw_ages(each))
        return tuple(found)

    def plot_ages(self) -> Picture:
        """The first effect by days since exposure; where units do not come back, words that say so."""
        drawn = next((each for each in self.courses if each.comes_back), None)
        if drawn is None:
            return notice(f"no effect by days since exposure: {self.courses[0].slope.reason}")
        return self._draw_ages(drawn)

    def _draw_ages(self, each: TreatmentCourse) -> Picture:
        return draw_ages(each, confidence=self.confidence, name=self._named("days-since-exposure", each))

    def _named(self, what: str, each: TreatmentCourse) -> str:
        return f"{what}-{each.effect.treatment}" if len(self.courses) > 1 else what

    def to_rows(self) -> Sequence[ResultRow]:
        """Per treatment the trend and its slope, the looks' bounds, then a row per day and per day since exposure."""
        return [row for each in self.courses for row in _rows(each)]

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per treatment and whole week of exposure, the last day too."""
        several = len(self.courses) > 1
        return [
            {
                **({"comparison": each.effect.comparison} if several else {}),
                "exposed_up_to": str(step.day),
                "exposed_units": step.exposed,
                "difference": format_change(step.difference.value, each.effect.unit),
                "interval": _interval(step.difference, each.effect.unit),
            }
            for each in self.courses
            for step in _weekly(each.steps)
        ]


def effects_over_time(plan: ExperimentPlan, units: Units, looks: Looks | None = None) -> Course:
    """The effect on the primary metric by day of exposure, cumulative, and by days since exposure.

    The cumulative intervals are a confidence sequence (`stats.always_valid_reach`): they hold on all days together,
    whatever the design. The bounds of planned looks are those of `looks`. The effect by days since exposure is a
    comparison of its own for each; its slope is a weighted line through them (novelty falls, primacy rises).

    Parameters
    ----------
    looks: what may be read now; None: the first look that the plan allows.
    """
    comparison = Comparison.of(plan, units, looks)
    return Course(plan.key, comparison.confidence, tuple(_course(comparison, each) for each in plan.treatments))


def _course(comparison: Comparison, treatment: str) -> TreatmentCourse:
    plan, units = comparison.plan, comparison.units
    effect = comparison.effect(plan.primary, treatment)
    steps: list[Step] = []
    ages: list[Age] = []
    if effect.groups is not None:
        adjust = effect.basis == "adjusted"
        for day in units.days:
            found = comparison.through_day(plan.primary, treatment, day, adjust=adjust)
            if found.se is not None or steps:
                steps.append(Step(day, comparison.exposed(treatment, through_day=day), found))
        ages = [Age(days, comparison.since_day(plan.primary, treatment, days)) for days in units.since_days]
    alpha = 1 - comparison.confidence
    barriers = _barriers(comparison, steps)
    slope = _slope(ages, confidence=comparison.confidence)
    return TreatmentCourse(effect, tuple(steps), barriers, tuple(ages), slope, alpha)


def _barriers(comparison: Comparison, steps: Sequence[Step]) -> tuple[Barrier, ...]:
    """The looks' bounds in the metric's unit: by that day's error, and ahead by that of the information to come."""
    maturity = timedelta(days=comparison.plan.label_maturity.days)
    now = comparison.looks.current.fraction
    found = []
    for bound in comparison.looks.bounds():
        day = _last_day(min(bound.as_of - maturity, comparison.plan.window.window.end))
        seen = [step for step in steps if step.day <= day and step.difference.se]
        se = seen[-1].difference.se if seen else None
        if se is not None and not bound.passed and now and bound.fraction:
            se *= (now / bound.fraction) ** 0.5  # information grows as 1 / se²
        found.append(Barrier(bound.number, day, bound.fraction, bound.z, bound.z * se if se else None, bound.passed))
    return tuple(found)


def _last_day(instant: datetime) -> date:
    """The last day that was whole, or had begun, just before an instant."""
    return (instant - timedelta(microseconds=1)).date()


def _slope(ages: Sequence[Age], *, confidence: float) -> stats.Estimate:
    method = "line over days since exposure"
    if len(ages) < 2:
        reason = "every request that counts came on the day of its unit's exposure" if ages else "no request counts"
        return stats.Estimate.absent(reason, n=len(ages), method=method)
    known = [age for age in ages if age.difference.se]
    if len(known) < FEWEST_DAYS:
        reason = f"only {len(known)} days since exposure have an effect with an error, a slope needs {FEWEST_DAYS}"
        return stats.Estimate.absent(reason, n=len(known), method=method)
    # Days of the same units are not independent of each other; what they share is the same on all days, and no slope.
    found = stats.trend(
        [age.difference.value or 0.0 for age in known],
        [age.difference.se or 0.0 for age in known],
        at=[age.days for age in known],
        confidence=confidence,
    )
    return found.slope._replace(method=f"{method}, {found.slope.method}")


def _weekly(steps: Sequence[Step]) -> list[Step]:
    """Every seventh step, counted back from the last."""
    return [step for place, step in enumerate(steps) if (len(steps) - 1 - place) % 7 == 0]


def _rows(each: TreatmentCourse) -> list[ResultRow]:
    effect = each.effect
    on: dict[str, Any] = {"key": effect.metric, "comparison": effect.comparison}
    unit = effect.unit
    apart = each.first_apart
    rows = [
        ResultRow(statistic="trend", value=each.trend, reason=each.slope.reason, **on),
        estimate_row(each.slope, statistic="slope_per_day", unit=unit, **on),
        number_row(
            None if apart is None else str(apart.day), "the interval holds 0", statistic="excludes_zero_since", **on
        ),
    ]
    for barrier in each.barriers:
        where = {**on, "segment": f"look={barrier.number}", "window": str(barrier.day)}
        rows += [
            ResultRow(statistic="bound_z", value=barrier.z, **where),
            number_row(barrier.reach, "no error is known yet", statistic="bound_difference", unit=unit, **where),
        ]
    for step in each.steps:
        where = {**on, "window": f"up to {step.day}"}
        rows += [
            ResultRow(statistic="exposed_units", value=step.exposed, **where),
            estimate_row(step.difference, statistic="cumulative_difference", unit=unit, **where),
        ]
    for age in each.ages:
        segment = f"days_since_exposure={age.days}"
        rows.append(estimate_row(age.difference, statistic="difference", unit=unit, segment=segment, **on))
    return rows


def _interval(estimate: stats.Estimate, unit: str) -> str:
    if estimate.ci_lower is None or estimate.ci_upper is None:
        return estimate.reason
    return format_change_interval(estimate.ci_lower, estimate.ci_upper, unit)
