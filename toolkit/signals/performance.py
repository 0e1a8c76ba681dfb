"""Performance on matured labels, week by week, against the reference period."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, ClassVar, NamedTuple

from typing_extensions import override

from toolkit import stats
from toolkit.data import LABEL
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import Cells, MetricDefinition, RankKind, RatioKind
from toolkit.metrics.needs import columns_needed
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.signals.changes import MetricChange, judge_change
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import Signal
from toolkit.windows import Window

_WEEK_DAYS = 7


class Week(NamedTuple):
    """A metric in some of the window's days: whole weeks, counted back from its end, the oldest cut short."""

    first: date
    last: date
    value: stats.Estimate

    @property
    def label(self) -> str:
        """First and last day."""
        return f"{self.first:%Y-%m-%d} … {self.last:%Y-%m-%d}"


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
                text=(
                    f"{change.metric.name} went from {_shown(change.metric, change.reference.value)} to "
                    f"{_shown(change.metric, change.current.value)}, {change.times_threshold:.1f} practical thresholds"
                ),
                first_day=self.window.start.date(),
                last_day=(self.window.end - timedelta(days=1)).date(),
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
            f"{change.metric.name} {_shown(change.metric, change.current.value)} (95 % interval {interval}) after "
            f"{_shown(change.metric, change.reference.value)}, {change.verdict}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = []
        for each in self.metrics:
            rows += each.change.rows(self.window.label, then=REFERENCE, now=CURRENT)
            where: dict[str, Any] = {"key": each.change.key, "statistic": "week", "unit": each.metric.unit}
            rows += [estimate_row(week.value, window=week.label, **where) for week in each.weeks]
        rows.append(estimate_row(self.loss_per_week, key=self.loss, statistic="per_week", window=self.window.label))
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "metric": each.metric.name,
                "reference": _shown(each.metric, each.change.reference.value),
                "current": _shown(each.metric, each.change.current.value),
                "interval_95": format_interval(
                    "value", each.change.current.ci_lower, each.change.current.ci_upper, unit=each.metric.unit
                ),
                "weeks": " · ".join(_shown(each.metric, week.value.value) for week in each.weeks) or "one window",
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
            f"{each.metric.name} {_shown(each.metric, each.change.current.value)} ({each.change.verdict})"
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
    estimates = {key: [observed.cells.estimate(key, name) for name in (REFERENCE, CURRENT)] for key in keys}
    changes = {key: stats.difference(*pair) for key, pair in estimates.items()}
    adjusted = stats.adjust_p([change.p_value for change in changes.values()], "benjamini-hochberg")
    found = []
    for key, p in zip(keys, adjusted, strict=True):
        metric, (then, now), change = observed.metrics[key], estimates[key], changes[key]
        verdict = judge_change(metric, then, now, change, p)
        found.append(
            MetricPerformance(
                MetricChange(key, metric, then, now, change, p, verdict), tuple(_weeks(observed, key, metric))
            )
        )
    per_week = observed.cells.total("labelled", CURRENT) / observed.weeks if keys else 0.0
    loss = observed.model.loss
    risen = changes.get(loss) or stats.Estimate.absent("the loss reads no label", n=0, method="")
    return Performance(
        observed.window, loss, tuple(found), stats.scaled(risen, per_week), per_week, observed.labels.provisional
    )


def _reads_labels(metric: MetricDefinition) -> bool:
    scalars = [scalar for scalar in (*metric.columns(), metric.filter) if scalar]
    return metric.role in {"loss", "quality"} and LABEL in columns_needed(scalars)


def _weeks(observed: Observation, key: str, metric: MetricDefinition) -> Iterator[Week]:
    if isinstance(metric, RankKind) or not isinstance(metric, RatioKind):
        return
    cells, first, end = observed.cells, observed.window.start.date(), observed.window.end.date()
    starts = []
    while end > first:
        starts.append((max(first, end - timedelta(days=_WEEK_DAYS)), end - timedelta(days=1)))
        end -= timedelta(days=_WEEK_DAYS)
    for since, until in reversed(starts):
        day = cells.frame["day"]
        inside = cells.frame[(day >= since.isoformat()) & (day <= until.isoformat())]
        week = Cells(inside, cells.metrics, cells.populations, cells.segments)
        yield Week(since, until, week.estimate(key, CURRENT))


def _shown(metric: MetricDefinition, value: float | None) -> str:
    return format_number("value", value, unit=metric.unit)


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
    whole = Week(window.start.date(), (window.end - timedelta(days=1)).date(), each.change.current)
    for week in each.weeks or (whole,):
        value = week.value
        if value.value is None:
            continue
        axes.plot([week.first, week.last], [value.value] * 2, color=colour, linewidth=2)
        if value.ci_lower is not None:
            middle = week.first + (week.last - week.first) / 2
            axes.plot([middle, middle], [value.ci_lower, value.ci_upper], color=colour, linewidth=1)
    axes.set_ylabel(each.metric.name)
