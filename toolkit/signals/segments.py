"""Which segments carry the loss that is new.

A segment's newly excess loss is its current mean loss minus its own mean in the reference period, times its current
requests: a segment that was always hard carries none. Segments of different columns hold the same requests, so their
losses overlap and do not add up. When the loss rose everywhere, every segment carries some; what asks for work of its
own is a segment whose loss rose beyond that of all other requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from toolkit import stats
from toolkit.display import PALETTE, Picture, format_interval, format_number, picture
from toolkit.records import ResultRow, Shown, estimate_row, number_row
from toolkit.signals.observation import CURRENT, REFERENCE, Observation
from toolkit.signals.signal import EVIDENCE_ALPHA, Signal

SMALLEST_SEGMENT = 200
"""Labelled requests that a segment needs in each period; smaller ones are counted, not estimated."""

_SHOWN = 12
"""Lines of the table and bars of the figure; every segment is in the rows."""


@dataclass(frozen=True)
class SegmentLoss:
    """One segment: mean loss per request then and now, and what the change sums up to in a week.

    `beyond_rest` is how much more its mean loss rose than that of all other requests; `p_adjusted` tests it, adjusted
    over all segments.
    """

    segment: str
    n: int
    reference: stats.Estimate
    current: stats.Estimate
    change: stats.Estimate
    per_week: stats.Estimate
    beyond_rest: stats.Estimate
    p_adjusted: float | None

    @property
    def evident(self) -> bool:
        """Whether the loss rose, and beyond chance more than that of all other requests."""
        return (
            self.p_adjusted is not None
            and self.p_adjusted <= EVIDENCE_ALPHA
            and (self.beyond_rest.value or 0) > 0
            and (self.change.value or 0) > 0
        )


@dataclass(frozen=True)
class SegmentLosses(Shown):
    """Every segment of the model, most newly excess loss first."""

    nothing_to_draw: ClassVar[str] = f"no segment has {SMALLEST_SEGMENT} labelled requests in both periods"

    window: str
    metric: str
    threshold: float
    total_per_week: stats.Estimate
    losses: tuple[SegmentLoss, ...]
    too_small: int

    @property
    def evident(self) -> tuple[SegmentLoss, ...]:
        """The segments whose loss rose beyond that of all other requests."""
        return tuple(loss for loss in self.losses if loss.evident)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The evident segments whose mean loss rose by at least the loss metric's practical threshold."""
        return tuple(
            Signal(
                kind="segment",
                metric=self.metric,
                segment=loss.segment,
                name=loss.segment,
                window=self.window,
                verdict="worse",
                change=loss.change,
                unit="",
                times_threshold=loss.change.value / self.threshold,
                excess_loss_per_week=loss.per_week,
                no_loss_reason="",
                text=(
                    f"the mean loss of {loss.segment} rose by {loss.change.value:.4f}, "
                    f"{loss.beyond_rest.value:.4f} more than elsewhere"
                ),
            )
            for loss in self.evident
            if loss.change.value is not None and loss.change.value >= self.threshold
        )

    @property
    @override
    def text(self) -> str:
        small = f" {self.too_small} smaller segments are not estimated." if self.too_small else ""
        if not self.losses:
            return f"No segment has {SMALLEST_SEGMENT} labelled requests in both periods.{small}"
        evident = self.evident
        total = self.total_per_week.value
        change = "an unknown amount" if total is None else f"{total:+,.4g}"
        lead = f"Over all requests, the loss changed by {change} per week."
        if not evident:
            return f"{lead} In none of {len(self.losses)} segments did the loss rise more than elsewhere.{small}"
        top = ", ".join(f"{loss.segment} ({format_number('value', loss.per_week.value)})" for loss in evident[:3])
        return (
            f"{lead} In {len(evident)} of {len(self.losses)} segments it rose more than elsewhere; most in {top}. "
            f"Segments overlap, so these do not add up.{small}"
        )

    @override
    def to_rows(self) -> Sequence[ResultRow]:
        rows = [
            estimate_row(self.total_per_week, key=self.metric, statistic="newly_excess_per_week", window=self.window)
        ]
        for loss in self.losses:
            for statistic, estimate in (
                (REFERENCE, loss.reference),
                (CURRENT, loss.current),
                ("change", loss.change),
                ("newly_excess_per_week", loss.per_week),
                ("beyond_rest", loss.beyond_rest),
            ):
                rows.append(
                    estimate_row(
                        estimate, key=self.metric, statistic=statistic, segment=loss.segment, window=self.window
                    )
                )
            rows.append(
                number_row(
                    loss.p_adjusted,
                    loss.beyond_rest.reason,
                    key=self.metric,
                    statistic="adjusted_p_value",
                    segment=loss.segment,
                    window=self.window,
                    method="Benjamini-Hochberg over the segments",
                )
            )
        return rows

    @override
    def to_table(self) -> Sequence[Mapping[str, object]]:
        return [
            {
                "segment": loss.segment,
                "labelled_requests": loss.n,
                "loss_reference": loss.reference.value,
                "loss_current": loss.current.value,
                "newly_excess_per_week": loss.per_week.value,
                "interval_95": format_interval("value", loss.per_week.ci_lower, loss.per_week.ci_upper),
                "rose_beyond_rest_by": loss.beyond_rest.value,
                "adjusted_p_value": loss.p_adjusted,
            }
            for loss in self.losses[:_SHOWN]
        ]

    @override
    def to_pictures(self) -> Sequence[Picture]:
        shown = [loss for loss in self.losses[:_SHOWN] if loss.per_week.value is not None]
        if not shown:
            return ()
        alt = "Newly excess loss per week by segment: " + "; ".join(
            f"{loss.segment} {format_number('value', loss.per_week.value)}" for loss in shown
        )
        return (
            picture(
                lambda figure: _draw(figure, shown), name="segments", alt=alt, height_inches=0.9 + 0.28 * len(shown)
            ),
        )


def segment_losses(observation: Observation) -> SegmentLosses:
    """Compare each segment's mean loss with its own reference. Intervals have days as clusters."""
    cells, metric = observation.cells, observation.model.loss
    estimated, too_small = [], 0
    for column in cells.segments:
        for value in cells.values(column):
            sizes = [cells.total("labelled", name, segment=column, value=value) for name in (REFERENCE, CURRENT)]
            if min(sizes) < SMALLEST_SEGMENT:
                too_small += 1
                continue
            reference, current = (
                cells.estimate(metric, name, segment=column, value=value) for name in (REFERENCE, CURRENT)
            )
            change = stats.difference(reference, current)
            per_week = stats.scaled(change, sizes[1] / observation.weeks)
            beyond_rest = stats.difference(
                *(cells.against_rest(metric, name, segment=column, value=value) for name in (REFERENCE, CURRENT))
            )
            estimated.append((f"{column}={value}", int(sizes[1]), reference, current, change, per_week, beyond_rest))
    adjusted = stats.adjust_p([beyond_rest.p_value for *_, beyond_rest in estimated], "benjamini-hochberg")
    losses = [SegmentLoss(*parts, p) for parts, p in zip(estimated, adjusted, strict=True)]
    losses.sort(key=lambda loss: (-(loss.per_week.value or 0.0), loss.segment))
    total = stats.difference(cells.estimate(metric, REFERENCE), cells.estimate(metric, CURRENT))
    return SegmentLosses(
        window=observation.window.label,
        metric=metric,
        threshold=observation.metrics[metric].practical_threshold,
        total_per_week=stats.scaled(total, observation.labelled_per_week),
        losses=tuple(losses),
        too_small=too_small,
    )


def _draw(figure: Any, losses: Sequence[SegmentLoss]) -> None:
    axes = figure.subplots()
    for place, loss in enumerate(reversed(losses)):
        colour = PALETTE[3] if loss.evident else PALETTE[5]
        axes.barh(place, loss.per_week.value, color=colour, height=0.6)
        if loss.per_week.ci_lower is not None:
            axes.plot([loss.per_week.ci_lower, loss.per_week.ci_upper], [place, place], color="#333333", linewidth=1)
    axes.axvline(0, color=PALETTE[4], linewidth=0.8)
    axes.set_yticks(range(len(losses)), [loss.segment for loss in reversed(losses)])
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("newly excess loss per week, with 95 % interval (coloured: rose more than elsewhere)")
    axes.set_title("Where the new loss is")
