"""How the metrics did: each one's mean in the period, and its change against the period before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.display import Picture, format_interval, format_number, picture
from toolkit.records import ResultRow, Shown
from toolkit.reviews.period import PREVIOUS, REVIEWED, PeriodReview
from toolkit.signals import MetricChange, draw_changes, judge_change, name_changed


@dataclass(frozen=True)
class MetricMoves(Shown):
    """Every metric of the workspace, the period against the previous one (`reference` of a change is the previous)."""

    nothing_to_draw: ClassVar[str] = "no metric has a change with an interval"

    moves: tuple[MetricChange, ...]
    window: str
    no_previous: str

    @property
    def most(self) -> MetricChange | None:
        """The metric that moved most, in practical thresholds, of those whose change is evident and beyond one."""
        evident = [move for move in self.moves if move.verdict in {"worse", "better", "changed"}]
        return max(evident, key=lambda move: move.times_threshold, default=None)

    @property
    @override
    def text(self) -> str:
        if self.no_previous:
            return f"Changes are absent: {self.no_previous}."
        most = self.most
        lead = f" {most.metric.name} moved most, by {most.times_threshold:.1f} practical thresholds." if most else ""
        return f"Of {len(self.moves)} metrics against the previous period, {name_changed(self.moves)}.{lead}"

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        return [row for move in self.moves for row in move.rows(self.window, then=PREVIOUS, now=REVIEWED)]

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "metric": move.metric.name,
                "previous": _shown(move, move.reference.value),
                "period": _shown(move, move.current.value),
                "interval_95": _interval(move, move.current),
                "change": _shown(move, move.change.value),
                "change_interval_95": _interval(move, move.change),
                "practical_threshold": _shown(move, move.metric.practical_threshold),
                "verdict": move.verdict if move.verdict != "absent" else f"absent: {move.change.reason}",
            }
            for move in self.moves
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        shown = [move for move in self.moves if move.change.ci_lower is not None]
        if not shown:
            return ()
        parts = [
            f"{move.metric.name} {(move.change.value or 0.0) / move.metric.practical_threshold:+.1f} ({move.verdict})"
            for move in shown
        ]
        return (
            picture(
                lambda figure: draw_changes(figure, shown, against="the previous period"),
                name="moves",
                alt=f"Change of each metric against the previous period, in practical thresholds: {'; '.join(parts)}",
                height_inches=0.8 + 0.32 * len(shown),
            ),
        )


def compare_metrics(review: PeriodReview) -> MetricMoves:
    """Compare every metric with the previous period. Days are the clusters; the periods are independent."""
    estimates = {key: (review.estimate(key, PREVIOUS), review.estimate(key, REVIEWED)) for key in review.metrics}
    changes = {key: stats.difference(*pair) for key, pair in estimates.items()}
    adjusted = stats.adjust_p([change.p_value for change in changes.values()], "benjamini-hochberg")
    return MetricMoves(
        tuple(
            MetricChange(
                key, metric, *estimates[key], changes[key], p, judge_change(metric, *estimates[key], changes[key], p)
            )
            for (key, metric), p in zip(review.metrics.items(), adjusted, strict=True)
        ),
        review.window.label,
        review.no_previous,
    )


def _shown(move: MetricChange, value: float | None) -> str:
    return format_number("value", value, unit=move.metric.unit)


def _interval(move: MetricChange, estimate: stats.Estimate) -> str:
    return format_interval("value", estimate.ci_lower, estimate.ci_upper, unit=move.metric.unit)
