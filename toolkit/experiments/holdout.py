"""A holdout read over time: what a launch has brought so far, whether it lasts, and what holding out costs.

After a launch the control is the small group that went without it. Each period of exposure is compared with the same
period of the control, so that seasons cancel; a line through the periods says whether the effect decays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_number, picture
from toolkit.errors import Skipped
from toolkit.experiments.changes import change_axis, format_change, format_change_interval, signed_change
from toolkit.experiments.estimates import Comparison
from toolkit.metrics.kinds import MISSING
from toolkit.records import ResultRow, Shown, Value, estimate_row
from toolkit.windows import Window

if TYPE_CHECKING:
    from toolkit.experiments.effects import Effect
    from toolkit.experiments.looks import Looks
    from toolkit.experiments.plans import ExperimentPlan
    from toolkit.experiments.units import Units
    from toolkit.stats.joint_moments import JointMoments

PERIOD_DAYS = (7, 14, 28, 91)
"""Lengths of a period: the shortest that makes at most `MOST_PERIODS` of them; whole weeks, so that weekdays cancel."""

EXPOSED_IN = "exposed_in"
"""The segmentation of a holdout's units by the period of their first exposure; values are its first day."""

MOST_PERIODS = 26
FEWEST_PERIODS = 3
"""Periods that a decay needs: through two points every line fits."""


@dataclass(frozen=True)
class PeriodEffect:
    """The effect on units exposed in a period, both days included, by itself; `short`: it is cut by the end."""

    first: date
    last: date
    difference: stats.Estimate
    short: bool

    @property
    def label(self) -> str:
        """Both days."""
        return f"{self.first} … {self.last}"


@dataclass(frozen=True)
class LongRun:
    """One treatment's effect on the primary metric over the time since its launch.

    Attributes
    ----------
    effect: over all of it. periods: by period of exposure. slope: its change from one period to the next.
    recent: over the last third of the periods: what the effect is now, rather than on average.
    launched_requests, held_requests: those that count for the metric in the treatment and in the control.
    gained, forgone: the effect times these: what the launch has brought, and what holding out has cost, as sums of the
        metric over requests.
    """

    effect: Effect
    periods: tuple[PeriodEffect, ...]
    slope: stats.Estimate
    recent: stats.Estimate
    launched_requests: int
    held_requests: int
    gained: stats.Estimate
    forgone: stats.Estimate
    alpha: float

    @property
    def course(self) -> str:
        """`decays`, `grows`, `lasts` (no evidence of either), or `unknown`."""
        slope, value = self.slope, self.effect.difference.value
        if slope.p_value is None or slope.value is None or value is None:
            return "unknown"
        if slope.p_value >= self.alpha:
            return "lasts"
        return "grows" if slope.value * value > 0 else "decays"

    @property
    def text(self) -> str:
        """Cumulative effect, its course, and the price of the holdout."""
        effect, unit = self.effect, self.effect.unit
        if effect.difference.value is None:
            return f"{effect.name} of {effect.treatment} is absent: {effect.difference.reason}."
        brought = (
            f"{effect.name}: over {self.launched_requests:,} requests of {effect.treatment} the launch has changed the "
            f"sum by {_total(self.gained, unit)}; over the {self.held_requests:,} that were held out the same is "
            f"forgone: {_total(self.forgone, unit)}."
        )
        parts = [brought]
        if self.slope.value is None:
            parts.append(f"Whether it decays is unknown: {self.slope.reason}.")
        else:
            per = format_change_interval(self.slope.ci_lower, self.slope.ci_upper, unit)
            said = {
                "decays": "The effect decays",
                "grows": "The effect grows",
                "lasts": "There is no evidence that the effect changes",
            }[self.course]
            parts.append(f"{said}: {signed_change(self.slope.value, unit)} from one period to the next ({per}).")
        if self.recent.value is not None:
            ends = format_change_interval(self.recent.ci_lower, self.recent.ci_upper, unit)
            parts.append(f"In the last third of the periods it is {signed_change(self.recent.value, unit)} ({ends}).")
        return " ".join(parts)


@dataclass(frozen=True)
class Holdout(Shown):
    """The long run of every treatment; `period_days` is how long a period is."""

    experiment: str
    period_days: int
    confidence: float
    found: tuple[LongRun, ...]

    @property
    def text(self) -> str:
        """Each treatment's long run."""
        said = " ".join(each.text for each in self.found)
        return f"{said} Periods are {self.period_days} days of first exposure; intervals {100 * self.confidence:g} %."

    def to_rows(self) -> Sequence[ResultRow]:
        """Per treatment the totals, slope and recent effect, and a row per period."""
        rows = []
        for each in self.found:
            unit = each.effect.unit
            where: dict[str, Any] = {"key": each.effect.metric, "comparison": each.effect.comparison}
            rows += [
                estimate_row(each.gained, statistic="gained", unit=unit, **where),
                estimate_row(each.forgone, statistic="forgone", unit=unit, **where),
                estimate_row(each.slope, statistic="slope_per_period", unit=unit, **where),
                estimate_row(each.recent, statistic="recent_difference", unit=unit, **where),
                ResultRow(statistic="course", value=each.course, **where),
                *(
                    estimate_row(
                        period.difference, statistic="period_difference", window=period.label, unit=unit, **where
                    )
                    for period in each.periods
                ),
            ]
        return rows

    def to_table(self) -> Sequence[Mapping[str, Value]]:
        """One line per period."""
        return [
            {
                "metric": each.effect.name,
                "comparison": each.effect.comparison,
                "first exposed": period.label,
                "difference": format_change(period.difference.value, each.effect.unit),
                "interval": format_change_interval(
                    period.difference.ci_lower, period.difference.ci_upper, each.effect.unit
                ),
                "note": period.difference.reason or ("shorter than the others" if period.short else ""),
            }
            for each in self.found
            for period in each.periods
        ]

    def to_pictures(self) -> Sequence[Picture]:
        """The effect by period, with the line through it, for each treatment that has any."""
        return tuple(
            _draw(each, self.confidence)
            for each in self.found
            if any(period.difference.ci_lower is not None for period in each.periods)
        )


def long_run(plan: ExperimentPlan, units: Units, looks: Looks | None = None) -> Holdout:
    """Read a holdout over time: totals so far, the effect by period of exposure, its decay, and what it is now.

    The estimand of a period is the difference over units first exposed in it, with all their requests so far. Intervals
    of periods stand each for itself; the slope is weighted least squares through them with their known errors, and as
    approximate as periods are independent (a cluster may have units in several).

    Raises `Skipped` for a plan of another kind.
    """
    if plan.kind != "holdout":
        raise Skipped(
            f"experiment {plan.key!r} is of kind {plan.kind}, not a holdout; there is no launch to look back at"
        )
    comparison = Comparison.of(plan, units, looks)
    length = period_days(plan.window.window)
    found = tuple(_long_run(comparison, treatment, length) for treatment in plan.treatments)
    return Holdout(plan.key, length, plan.confidence_of_a_comparison, found)


def period_days(window: Window) -> int:
    """The length of a period: the shortest that makes at most `MOST_PERIODS` of the window.

    >>> from toolkit.windows import parse_instant
    >>> period_days(Window(parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-04-01T00:00:00Z")))
    7
    """
    return next((each for each in PERIOD_DAYS if window.days <= each * MOST_PERIODS), PERIOD_DAYS[-1])


def _long_run(comparison: Comparison, treatment: str, length: int) -> LongRun:
    plan, units = comparison.plan, comparison.units
    effect = comparison.effect(plan.primary, treatment)
    found = []
    for value in units.segment_values(EXPOSED_IN):
        if value == MISSING:
            continue
        samples = units.samples(plan.primary, treatment, segment=EXPOSED_IN, value=value)
        first = date.fromisoformat(value)
        last = min(first + timedelta(days=length - 1), units.days[-1])
        difference = stats.compare(samples, confidence=comparison.confidence).difference
        found.append(PeriodEffect(first, last, difference, (last - first).days < length - 1))
    samples = units.samples(plan.primary, treatment)
    return LongRun(
        effect=effect,
        periods=tuple(found),
        slope=_slope(found, comparison.confidence),
        recent=_recent(found, comparison.confidence),
        launched_requests=samples.rows1,
        held_requests=samples.rows0,
        gained=stats.scaled(effect.difference, _denominator(samples.treatment)),
        forgone=stats.scaled(effect.difference, _denominator(samples.control)),
        alpha=1 - comparison.confidence,
    )


def _denominator(moments: JointMoments) -> float:
    """What a difference of means is multiplied with to be one of sums: the requests, for a mean over requests."""
    return moments.n * (moments.mean(1) or 0.0)


def _slope(found: Sequence[PeriodEffect], confidence: float) -> stats.Estimate:
    """Through the whole periods; a cut one lies elsewhere in its week."""
    known = [
        (place, each.difference.value, each.difference.se)
        for place, each in enumerate(found)
        if each.difference.value is not None and each.difference.se and not each.short
    ]
    if len(known) < FEWEST_PERIODS:
        reason = f"{len(known)} whole periods have an interval, a line needs {FEWEST_PERIODS}"
        return stats.Estimate.absent(reason, n=len(known), method="weighted least squares over periods")
    places, values, errors = zip(*known, strict=True)
    return stats.trend(values, errors, at=places, confidence=confidence).slope


def _recent(found: Sequence[PeriodEffect], confidence: float) -> stats.Estimate:
    """The periods of the last third, weighted by how well each is known."""
    known = [each.difference for each in found if each.difference.value is not None and each.difference.se]
    if len(known) < FEWEST_PERIODS:
        reason = f"{len(known)} periods have an interval, a last third needs {FEWEST_PERIODS}"
        return stats.Estimate.absent(reason, n=len(known), method="pooled over periods")
    last = known[-max(len(known) // 3, 1) :]
    return stats.heterogeneity(last, confidence=confidence).pooled


def _total(total: stats.Estimate, unit: str) -> str:
    if total.value is None:
        return f"an unknown amount ({total.reason})"
    ends = [None if end is None else format_number("total", end) for end in (total.ci_lower, total.ci_upper)]
    interval = total.reason if None in ends else f"{ends[0]} to {ends[1]}"
    named = f" {unit}" if unit and unit != "share" else ""
    return f"{format_number('total', total.value)}{named} ({interval})"


def _draw(each: LongRun, confidence: float) -> Picture:
    shown = [period for period in each.periods if period.difference.ci_lower is not None]
    effect = each.effect
    scale, unit = change_axis(effect.unit)

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=PALETTE[4], linewidth=1)
        if effect.difference.ci_lower is not None and effect.difference.ci_upper is not None:
            ends = scale * effect.difference.ci_lower, scale * effect.difference.ci_upper
            axes.axhspan(*ends, color=PALETTE[2], alpha=0.15, linewidth=0, label="over all periods")
        for period in shown:
            low, high = period.difference.ci_lower or 0.0, period.difference.ci_upper or 0.0
            axes.plot([period.first, period.first], [scale * low, scale * high], color=PALETTE[5], linewidth=1.6)
        values = [scale * (period.difference.value or 0.0) for period in shown]
        axes.plot([period.first for period in shown], values, "o", color=PALETTE[0], markersize=5, label="one period")
        axes.set_ylabel(f"{effect.comparison}{unit}")
        axes.set_title(f"{effect.name}: the difference by period of first exposure")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=8)
        figure.autofmt_xdate(rotation=0, ha="center")

    said = ", ".join(f"{period.first} {signed_change(period.difference.value or 0.0, effect.unit)}" for period in shown)
    return picture(
        draw,
        name=f"long-run-{effect.treatment}",
        alt=f"{effect.name}, {effect.comparison}, by period with {100 * confidence:g} % intervals: {said}.",
        height_inches=3.8,
    )
