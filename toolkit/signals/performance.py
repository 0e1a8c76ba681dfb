"""Performance on matured labels, week by week, against the reference period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.data import LABEL
from toolkit.display import PALETTE, Picture, format_interval, picture
from toolkit.metrics import MetricDefinition, RatioKind
from toolkit.metrics.needs import columns_needed, scalars_needed
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.signals.changes import MetricChange, compare_metrics
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import Signal
from toolkit.windows import Window

_WEEK = timedelta(days=7)


class Week(NamedTuple):
    """A metric in some of the window's days: whole weeks, counted back from its end, the oldest cut short."""

    window: Window
    value: stats.Estimate


class MetricPerformance(NamedTuple):
    """A metric that reads labels: its change against the reference, and its weeks, the oldest first."""

    change: MetricChange
    weeks: tuple[Week, ...]

    @property
    def metric(self) -> MetricDefinition:
        """Its definition."""
        return self.change.metric


@dataclass(frozen=True)
class Performance(Shown):
    """How good the model is, by labels that are mature.

    Attributes
    ----------
    loss: key of the metric that measures the model's loss.
    loss_per_week: how much more of it was lost a week than in the reference period.
    requests_per_week: labelled requests.
    provisional: in what way labels are not all there, or "".
    """

    nothing_to_draw: ClassVar[str] = "no metric that reads labels has a value"

    window: Window
    loss: str
    metrics: tuple[MetricPerformance, ...]
    loss_per_week: stats.Estimate
    requests_per_week: float
    provisional: str

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The loss, when it rose evidently and by its practical threshold; other metrics are among the changes."""
        return tuple(
            Signal(
                kind="performance",
                family="model",
                metric=change.key,
                segment="",
                name=change.metric.name,
                window=self.window.label,
                verdict="worse",
                change=change.change,
                unit=change.metric.unit,
                times_threshold=change.times_threshold,
                excess_loss_per_week=self.loss_per_week,
                no_loss_reason="",
                text=change.text,
                first_day=self.window.first_day,
                last_day=self.window.last_day,
                p_adjusted=change.p_adjusted,
                requests_per_week=self.requests_per_week,
            )
            for change in (each.change for each in self.metrics)
            if change.key == self.loss and change.verdict == "worse"
        )

    @property
    @override
    def text(self) -> str:
        if not self.metrics:
            return "No metric of metrics.yml reads labels, so that nothing is said about performance."
        said = "; ".join(self._sentence(each.change) for each in self.metrics)
        late = f" {self.provisional[0].upper()}{self.provisional[1:]}." if self.provisional else ""
        return f"By mature labels of {self.window.label}, against the reference period: {said}.{late}"

    def _sentence(self, change: MetricChange) -> str:
        if change.current.value is None:
            return f"{change.metric.name} is absent ({change.current.reason})"
        interval = format_interval("value", change.current.ci_lower, change.current.ci_upper, unit=change.metric.unit)
        return (
            f"{change.metric.name} {change.shown(change.current.value)} (95 % interval {interval}) after "
            f"{change.shown(change.reference.value)}, {change.verdict}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for each in self.metrics:
            rows += each.change.rows(self.window.label, then=REFERENCE, now=CURRENT)
            where: dict[str, Any] = {"key": each.change.key, "statistic": "week", "unit": each.metric.unit}
            rows += [estimate_row(week.value, window=week.window.label, **where) for week in each.weeks]
        rows.append(estimate_row(self.loss_per_week, key=self.loss, statistic="per_week", window=self.window.label))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "metric": each.metric.name,
                "reference": each.change.shown(each.change.reference.value),
                "current": each.change.shown(each.change.current.value),
                "interval_95": format_interval(
                    "value", each.change.current.ci_lower, each.change.current.ci_upper, unit=each.metric.unit
                ),
                "weeks": " · ".join(each.change.shown(week.value.value) for week in each.weeks) or "one window",
                "verdict": each.change.verdict,
            }
            for each in self.metrics
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        drawn = [each for each in self.metrics if each.change.current.value is not None]
        if not drawn:
            return ()
        alt = "Metrics that read labels, by week, with the reference period as a band: " + "; ".join(
            f"{each.metric.name} {each.change.shown(each.change.current.value)} ({each.change.verdict})"
            for each in drawn
        )
        return (
            picture(
                lambda figure: _draw(figure, drawn, self.window),
                name="performance",
                alt=alt,
                height_inches=0.6 + 1.3 * len(drawn),
            ),
        )


def performance(observed: Observation) -> Performance:
    """Each metric that reads labels, over the current window and by its weeks, against the reference period.

    Intervals have days as clusters. Metrics that need the order of a whole window (AUC) have no weeks.
    """
    keys = [key for key, metric in observed.metrics.items() if _reads_labels(metric)]
    changes = {change.key: change for change in compare_metrics(observed, keys)}
    weeks = list(_weeks_of(observed.window))
    found = [MetricPerformance(change, tuple(_by_week(observed, change, weeks))) for change in changes.values()]
    per_week = observed.labelled_per_week if keys else 0.0
    loss = observed.model.loss
    risen = (
        changes[loss].change if loss in changes else stats.Estimate.absent("the loss reads no label", n=0, method="")
    )
    return Performance(
        observed.window, loss, tuple(found), stats.scaled(risen, per_week), per_week, observed.labels.provisional
    )


def _reads_labels(metric: MetricDefinition) -> bool:
    return metric.role in {"loss", "quality"} and LABEL in columns_needed(scalars_needed([metric]))


def _weeks_of(window: Window) -> Iterator[Window]:
    """Whole weeks, counted back from the end, the oldest first and cut short."""
    started = -((window.start - window.end) // _WEEK)
    for back in range(started, 0, -1):
        yield Window(max(window.start, window.end - back * _WEEK), window.end - (back - 1) * _WEEK)


def _by_week(observed: Observation, change: MetricChange, weeks: Sequence[Window]) -> Iterator[Week]:
    if not isinstance(change.metric, RatioKind):
        return
    cells = observed.cells
    day = cells.frame["day"]
    for week in weeks:
        inside = cells.frame[(day >= week.first_day.isoformat()) & (day <= week.last_day.isoformat())]
        yield Week(week, replace(cells, frame=inside).estimate(change.key, CURRENT))


def _draw(figure: Any, metrics: Sequence[MetricPerformance], window: Window) -> None:
    rows = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)
    for (axes,), each in zip(rows, metrics, strict=True):
        _draw_one(axes, each, window)
    rows[0][0].set_title("How good the model is, by mature labels (band: reference period)")
    figure.autofmt_xdate()


def _draw_one(axes: Any, each: MetricPerformance, window: Window) -> None:
    reference, colour = each.change.reference, PALETTE[3] if each.change.verdict == "worse" else PALETTE[0]
    if reference.ci_lower is not None:
        axes.axhspan(reference.ci_lower, reference.ci_upper, color="#e3e8ee", zorder=0)
    if reference.value is not None:
        axes.axhline(reference.value, color=PALETTE[5], linewidth=1, linestyle="--")
    for days, value in each.weeks or (Week(window, each.change.current),):
        if value.value is None:
            continue
        axes.plot([days.first_day, days.last_day], [value.value] * 2, color=colour, linewidth=2)
        if value.ci_lower is not None:
            middle = days.first_day + (days.last_day - days.first_day) / 2
            axes.plot([middle, middle], [value.ci_lower, value.ci_upper], color=colour, linewidth=1)
    axes.set_ylabel(each.metric.name)
