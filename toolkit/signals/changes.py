"""Which metrics changed: each one's mean in the current window against the reference period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Literal

from typing_extensions import override

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.metrics import MetricDefinition
from toolkit.records import ResultRow, Shown, estimate_row
from toolkit.signals.families import metric_columns, metric_family
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal

Verdict = Literal["worse", "better", "changed", "within threshold", "no evidence", "absent"]


@dataclass(frozen=True)
class MetricChange:
    """One metric in both periods. `p_adjusted`: over all metrics of the report (Benjamini & Hochberg 1995)."""

    key: str
    metric: MetricDefinition
    reference: stats.Estimate
    current: stats.Estimate
    change: stats.Estimate
    p_adjusted: float | None
    verdict: Verdict

    @property
    def times_threshold(self) -> float:
        """The change's size in practical thresholds; 0 when it is absent."""
        return 0.0 if self.change.value is None else abs(self.change.value) / self.metric.practical_threshold

    @property
    def text(self) -> str:
        """The change in one sentence."""
        return (
            f"{self.metric.name} went from {self.shown(self.reference.value)} to {self.shown(self.current.value)}, "
            f"{self.times_threshold:.1f} practical thresholds"
        )

    def shown(self, value: float | None) -> str:
        """A value of the metric as text."""
        return format_number("value", value, unit=self.metric.unit)

    def rows(self, window: str, *, then: str, now: str) -> list[ResultRow]:
        """The mean in both periods, which are called `then` and `now`, their difference, and the verdict."""
        where: dict[str, Any] = {"key": self.key, "window": window}
        unit = self.metric.unit
        return [
            estimate_row(self.reference, statistic=then, unit=unit, **where),
            estimate_row(self.current, statistic=now, unit=unit, **where),
            estimate_row(self.change, statistic="change", unit=unit, comparison=f"{now} - {then}", **where),
            ResultRow(
                statistic="verdict",
                value=self.verdict,
                p_value=self.p_adjusted,
                method="Benjamini-Hochberg over the metrics; evident and beyond the practical threshold",
                **where,
            ),
        ]


def name_changed(changes: Sequence[MetricChange]) -> str:
    """The metrics that are worse, better or changed, by name, or `none changed`."""
    named = {
        verdict: [change.metric.name for change in changes if change.verdict == verdict]
        for verdict in ("worse", "better", "changed")
    }
    return "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in named.items() if names) or "none changed"


@dataclass(frozen=True)
class MetricChanges(Shown):
    """Every metric of the workspace, current window against reference period."""

    nothing_to_draw: ClassVar[str] = "no metric has a change with an interval"

    changes: tuple[MetricChange, ...]
    window: str
    first_day: date
    last_day: date

    @property
    def reason(self) -> str:
        """Why nothing could be judged: every metric is absent; "" when one is there."""
        if not self.changes or any(change.verdict != "absent" for change in self.changes):
            return ""
        return f"no metric could be compared: {', '.join(dict.fromkeys(c.change.reason for c in self.changes))}"

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The changes for the worse, and those without a good direction; calibration and losses have their own."""
        return tuple(
            Signal(
                kind="metric_change",
                metric=change.key,
                segment="",
                name=change.metric.name,
                window=self.window,
                verdict=change.verdict,
                change=change.change,
                unit=change.metric.unit,
                times_threshold=change.times_threshold,
                excess_loss_per_week=None,
                no_loss_reason="its share in the loss was not measured",
                text=change.text,
                family=metric_family(change.metric),
                columns=metric_columns(change.metric),
                first_day=self.first_day,
                last_day=self.last_day,
                p_adjusted=change.p_adjusted,
            )
            for change in self.changes
            if change.verdict in ("worse", "changed")
            and change.metric.role != "loss"
            and change.metric.kind != "calibration"
        )

    @property
    @override
    def text(self) -> str:
        quiet = sum(change.verdict in {"within threshold", "no evidence"} for change in self.changes)
        absent = sum(change.verdict == "absent" for change in self.changes)
        return (
            f"Of {len(self.changes)} metrics, {name_changed(self.changes)}; "
            f"{quiet} without a change that is both evident and larger than its practical threshold"
            f"{f'; {absent} absent' if absent else ''}."
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [row for change in self.changes for row in change.rows(self.window, then=REFERENCE, now=CURRENT)]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "metric": change.metric.name,
                "reference": change.shown(change.reference.value),
                "current": change.shown(change.current.value),
                "change": change.shown(change.change.value),
                "interval_95": format_interval(
                    "change", change.change.ci_lower, change.change.ci_upper, unit=change.metric.unit
                ),
                "practical_threshold": change.shown(change.metric.practical_threshold),
                "adjusted_p_value": change.p_adjusted,
                "verdict": change.verdict if change.verdict != "absent" else f"absent: {change.change.reason}",
            }
            for change in self.changes
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        shown = [change for change in self.changes if change.change.ci_lower is not None]
        if not shown:
            return ()
        alt = "Change of each metric in practical thresholds: " + "; ".join(
            f"{change.metric.name} {_signed(change, change.change.value):+.1f} ({change.verdict})" for change in shown
        )
        return (
            picture(
                lambda figure: draw_changes(figure, shown, against="the reference"),
                name="changes",
                alt=alt,
                height_inches=0.8 + 0.32 * len(shown),
            ),
        )


def metric_changes(observation: Observation) -> MetricChanges:
    """Compare every metric's current window with the reference period.

    Both periods are estimated with days as clusters; the difference is of independent estimates. A change is a signal
    when it is evident (adjusted p) and at least as large as the metric's practical threshold.
    """
    window = observation.window
    changes = compare_metrics(observation, observation.metrics)
    return MetricChanges(changes, window.label, window.first_day, window.last_day)


def compare_metrics(observation: Observation, keys: Iterable[str]) -> tuple[MetricChange, ...]:
    """The changes of some metrics, the evidence adjusted over all of these."""
    cells = observation.cells
    estimates = {key: (cells.estimate(key, REFERENCE), cells.estimate(key, CURRENT)) for key in keys}
    changes = {key: stats.difference(*pair) for key, pair in estimates.items()}
    adjusted = stats.adjust_p([change.p_value for change in changes.values()], "benjamini-hochberg")
    found = []
    for (key, change), p in zip(changes.items(), adjusted, strict=True):
        metric, pair = observation.metrics[key], estimates[key]
        found.append(MetricChange(key, metric, *pair, change, p, judge_change(metric, *pair, change, p)))
    return tuple(found)


def judge_change(
    metric: MetricDefinition,
    reference: stats.Estimate,
    current: stats.Estimate,
    change: stats.Estimate,
    p_adjusted: float | None,
) -> Verdict:
    """What a change of a metric from `reference` to `current` is, given its adjusted p-value."""
    if change.value is None or reference.value is None or current.value is None:
        return "absent"
    if p_adjusted is None or p_adjusted > EVIDENCE_ALPHA:
        return "no evidence"
    if abs(change.value) < metric.practical_threshold:
        return "within threshold"
    better = {
        "increase": change.value > 0,
        "decrease": change.value < 0,
        "toward_zero": abs(current.value) < abs(reference.value),
        "none": None,
    }[metric.direction]
    return "changed" if better is None else "better" if better else "worse"


def _signed(change: MetricChange, value: float | None) -> float:
    return (value or 0.0) / change.metric.practical_threshold


def draw_changes(figure: Any, changes: Sequence[MetricChange], *, against: str) -> None:
    """Each change with its interval on one axis, in practical thresholds."""
    colours = {"worse": PALETTE[3], "better": PALETTE[2], "changed": PALETTE[1]}
    axes = figure.subplots()
    axes.axvspan(-1, 1, color="#e3e8ee", zorder=0)
    axes.axvline(0, color=PALETTE[4], linewidth=0.8)
    for place, change in enumerate(reversed(changes)):
        colour = colours.get(change.verdict, PALETTE[4])
        low, high = (_signed(change, end) for end in (change.change.ci_lower, change.change.ci_upper))
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(_signed(change, change.change.value), place, "o", color=colour, markersize=5)
    axes.set_yticks(range(len(changes)), [change.metric.name for change in reversed(changes)])
    axes.set_xscale("symlog", linthresh=2)
    ticks = [-100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100]
    axes.set_xticks(ticks, [f"{tick:+d}" if tick else "0" for tick in ticks])
    axes.minorticks_off()
    reach = max(3.0, *(abs(_signed(c, end)) * 1.2 for c in changes for end in (c.change.ci_lower, c.change.ci_upper)))
    axes.set_xlim(-reach, reach)
    axes.grid(axis="x")
    axes.set_xlabel(f"change against {against}, in practical thresholds (shaded: within one)")
    axes.set_title("What changed")
